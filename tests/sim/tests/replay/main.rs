//! Each recorded server's conversation, part by part and in order, against the simulator in that server's profile.
//!
//! Every status, every kept header and every body must match. Ids, times and secrets differ from run to run: they are
//! bound at their first appearance and must then always be the same (`bindings.rs`). Everything else is compared by value.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "all of this is a test: a panic is how it fails, and its counts are printed"
)]

mod bindings;
mod conversation;

use coder_sim::Profile;

use conversation::{Conversation, Exception};

/// What is not compared to the letter, with the reason. An exception that is not needed fails the test as well.
const EXCEPTIONS: &[Exception] = &[Exception {
    profile: Profile::V2_16_1,
    part: "10",
    step: "list groups",
    actor: "auditor1",
    any_order: "members",
    reason: "members come in the physical order of the user table; here the database has put a written row into a gap at \
             its beginning instead of at its end, which depends on when it cleaned up",
}];

async fn replay(profile: Profile) {
    let mut conversation = Conversation::start(profile).await;
    let (mut matched, mut total) = (0, 0);
    let mut problems = Vec::new();
    for part in conversation::parts(profile) {
        let mismatches = conversation.play(&part, EXCEPTIONS).await;
        let (of, count) = (part.exchanges.len(), part.exchanges.len() - mismatches.len());
        println!("{:8} {:26} {count:3} of {of:3}", profile.name(), part.name);
        total += of;
        matched += count;
        problems.extend(mismatches.iter().map(ToString::to_string));
    }
    println!("{:8} {:26} {matched:3} of {total:3}", profile.name(), "together");
    assert!(
        problems.is_empty(),
        "{} of {total} exchanges differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert!(total > 400, "the recordings are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_server_is_matched() {
    replay(Profile::Main).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_server_is_matched() {
    replay(Profile::V2_16_1).await;
}
