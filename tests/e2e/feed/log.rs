//! What goes wrong with the log itself: nothing is missed, and the reader stays bounded.

use std::time::{Duration, Instant};

use coder_sim::{Fault, Method, Profile};
use serde_json::json;

use super::{
    AUDIT, GROUPS, change, disturb, fed, group, others, pages, polls, quiet, quota_is_set_back, reads_the_log,
    sweeps_because,
};
use crate::support::simulated_only;

/// Pages of 25 and 100 rows that one poll reads at most.
const PAGES: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_is_found_behind_those_that_happened_after_it() {
    simulated_only!("rows appear late");
    let world = fed("feed-late", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    for name in ["late", "later", "prompt"] {
        group(&world, name).await;
    }
    polls(&world, 2).await;
    let (mark, began) = (sim.journal().mark(), Instant::now());
    sim.audit_log().delay(Duration::from_secs(15));
    change(&world, &bob, "later", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().delay(Duration::from_secs(4));
    change(&world, &bob, "late", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().delay(Duration::ZERO);
    disturb(&world, &bob, &["prompt"]).await;
    println!("the prompt row was answered after {:?}", began.elapsed());
    quota_is_set_back(&world, "late").await;
    println!("the row that came 4 s late was answered after {:?}", began.elapsed());
    quota_is_set_back(&world, "later").await;
    println!("the row that came 15 s late was answered after {:?}", began.elapsed());
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "no sweep found it");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_another_order_than_they_happened_all_count() {
    simulated_only!("rows appear out of order");
    let world = fed("feed-order", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    let names = ["first", "second", "third", "fourth"];
    for name in names {
        group(&world, name).await;
    }
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    // The last one is seen at once, each one before it two seconds after its successor.
    sim.audit_log().disorder(Duration::from_secs(6));
    for name in names {
        change(&world, &bob, name, json!({ "quota_allowance": 99 })).await;
    }
    for name in names {
        quota_is_set_back(&world, name).await;
        world
            .event(name, "DriftCorrected", "quotaAllowance 20 → 99 by bob")
            .await;
    }
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "no sweep found them");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_fails_on_a_later_page_loses_nothing() {
    simulated_only!("needs faults");
    let world = fed("feed-page", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    // The change is on the first page, and that is full: there is a second one, which fails.
    sim.audit_log().hold();
    sim.audit_log().burst("carl", 60, Duration::ZERO);
    change(&world, &bob, "backend", json!({ "quota_allowance": 99 })).await;
    let second = Fault::on(Method::GET, AUDIT).after(1).times(1);
    sim.faults()
        .add(second.status(500, json!({ "message": "Internal error." })));
    sim.audit_log().release();
    quota_is_set_back(&world, "backend").await;
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "the entry was read");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_costs_one_sweep_and_loses_nothing() {
    simulated_only!("purges the log");
    let world = fed("feed-purge", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    polls(&world, 2).await;
    sim.audit_log().hold();
    change(&world, &bob, "backend", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().purge();
    sim.audit_log().release();
    quota_is_set_back(&world, "backend").await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    disturb(&world, &bob, &["backend"]).await;
    polls(&world, 3).await;
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "it was one sweep, and then the feed again");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_purge_of_old_rows_costs_nothing() {
    simulated_only!("purges the log");
    let world = fed("feed-tidy", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    let begin = sim.clock().now();
    sim.audit_log().burst("carl", 50, Duration::from_mins(10));
    group(&world, "backend").await;
    quiet(&world).await;
    let mark = sim.journal().mark();
    sim.audit_log().purge_before(begin);
    polls(&world, 3).await;
    assert_eq!(others(&world, mark), [""; 0], "nothing but polls");
    disturb(&world, &bob, &["backend"]).await;
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "and the feed goes on");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_unrelated_rows_costs_a_bounded_number_of_pages_and_one_sweep() {
    simulated_only!("needs a burst");
    let world = fed("feed-burst", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    let began = Instant::now();
    // All of it is seen at once: two bursts between polls would be a flood.
    sim.audit_log().hold();
    sim.audit_log().burst("carl", 5000, Duration::ZERO);
    change(&world, &bob, "backend", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().burst("carl", 5000, Duration::ZERO);
    sim.audit_log().release();
    quota_is_set_back(&world, "backend").await;
    println!(
        "a change amid 10000 other rows was corrected after {:?}",
        began.elapsed()
    );
    polls(&world, 5).await;
    let read = pages(&world, mark);
    let first = read.iter().filter(|page| page.contains("offset=0")).count();
    println!("{} pages in {first} polls", read.len());
    assert!(
        read.len() < first + PAGES,
        "one poll of many pages, all others of one: {read:#?}"
    );
    let mut listed: Vec<String> = others(&world, mark);
    listed.retain(|call| call.ends_with("/groups"));
    assert_eq!(listed.len(), 1, "one sweep finds what was not read: {listed:?}");
    let mark = sim.journal().mark();
    polls(&world, 3).await;
    assert_eq!(others(&world, mark), [""; 0], "then all is quiet again");
    reads_the_log(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_hundred_rows_between_two_polls_are_all_read() {
    simulated_only!("needs a burst");
    let world = fed("feed-pages", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    sim.audit_log().hold();
    change(&world, &bob, "backend", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().burst("carl", 300, Duration::ZERO);
    sim.audit_log().release();
    quota_is_set_back(&world, "backend").await;
    world
        .event("backend", "DriftCorrected", "quotaAllowance 20 → 99 by bob")
        .await;
    let read = pages(&world, mark)
        .into_iter()
        .filter(|page| !page.contains("offset=0"));
    println!("pages beyond the first: {}", read.count());
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "it was read, not swept");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_flood_the_usual_sweeps_take_over_and_what_is_read_still_counts() {
    simulated_only!("needs a flood");
    let world = fed("feed-flood", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    sim.audit_log().burst("carl", 2000, Duration::ZERO);
    polls(&world, 2).await;
    sim.audit_log().burst("carl", 2000, Duration::ZERO);
    sweeps_because(&world, "grows faster than it is read").await;
    polls(&world, 2).await;
    let mark = sim.journal().mark();
    disturb(&world, &bob, &["backend"]).await;
    polls(&world, 2).await;
    assert_eq!(sim.journal().count_since(mark, &Method::GET, GROUPS), 0, "it was read");
    world.finish().await;
}
