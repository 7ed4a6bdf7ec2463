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
mod exceptions;
mod recordings;
mod unrecorded;

use conversation::Conversation;
use recordings::Recording;

async fn replay(recording: Recording, exchanges: usize) {
    let mut conversation = Conversation::start(recording).await;
    let (mut matched, mut total) = (0, 0);
    let mut problems = Vec::new();
    for part in recording.parts() {
        let mismatches = conversation.play(&part, exceptions::ALL).await;
        let (of, count) = (part.exchanges.len(), part.exchanges.len() - mismatches.len());
        println!("{:14} {:28} {count:3} of {of:3}", recording.directory(), part.name);
        total += of;
        matched += count;
        problems.extend(mismatches.iter().map(ToString::to_string));
    }
    println!(
        "{:14} {:28} {matched:3} of {total:3}",
        recording.directory(),
        "together"
    );
    problems.extend(conversation.unneeded(exceptions::ALL));
    assert!(
        problems.is_empty(),
        "{} of {total} exchanges differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert_eq!(total, exchanges, "all of the recording is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_server_is_matched() {
    replay(Recording::Main, 510).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_server_is_matched() {
    replay(Recording::V2_16_1, 495).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_settings_of_the_newest_server_are_matched() {
    replay(Recording::PeopleMain, 766).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_settings_of_the_oldest_server_are_matched() {
    replay(Recording::PeopleV2_16_1, 766).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_to_templates_is_matched() {
    replay(Recording::Templates, 50).await;
}
