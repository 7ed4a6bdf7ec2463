//! Two operators as one user of one Coder: they see each other's writes.

use std::time::Instant;

use coder_operator::api::instance::Feed;
use coder_operator::api::{CoderGroup, CoderInstance};
use coder_sim::Profile;
use serde_json::json;
use test_ground::Namespace;

use super::{fed, feed, group};
use crate::support::{Operator, Settings, World, condition, message, ready, simulated_only};

/// An operator in another namespace that works on the same Coder as the same user.
async fn other_operator(world: &World) -> (Namespace, Operator) {
    let other = world.ground.namespace("feed-two-other").await.unwrap();
    let operator = Operator::start(world.ground, &Settings::watching(other.name())).await;
    let settings = json!({ "resyncInterval": "1h", "feedInterval": "1s" });
    world.connect(other.name(), "default", settings).await;
    world
        .wait_in::<CoderInstance>(other.name(), "default", |instance| {
            feed(instance) == Some(Feed::AuditLog)
        })
        .await;
    (other, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_writes_is_drift_to_the_other() {
    simulated_only!("reads the audit log");
    let world = fed("feed-see", Profile::Main, "1s").await;
    let (other, operator) = other_operator(&world).await;
    group(&world, "backend").await;
    let spec = json!({ "organization": "default", "quotaAllowance": 20, "mode": "Observe" });
    world.apply_in::<CoderGroup>(other.name(), "backend", spec).await;
    world.wait_in(other.name(), "backend", ready::<CoderGroup>).await;
    let began = Instant::now();
    world
        .patch::<CoderGroup>("backend", json!({ "quotaAllowance": 30 }))
        .await;
    let drifts = |group: &CoderGroup| condition(group, "DriftDetected").is_some();
    let seen = world.wait_in(other.name(), "backend", drifts).await;
    println!(
        "a write of one operator was seen by the other after {:?}",
        began.elapsed()
    );
    assert_eq!(message(&seen, "DriftDetected"), "quotaAllowance 20 → 30 by owner");
    other.finish().await.expect("the namespace goes");
    drop(operator);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_under_one_user_see_each_other_and_learn_that_they_fight() {
    simulated_only!("reads the audit log");
    let world = fed("feed-two", Profile::Main, "1s").await;
    let (other, operator) = other_operator(&world).await;
    let spec = json!({ "organization": "default", "quotaAllowance": 20 });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await;
    // The other manages another field of the same group: nothing to fight about.
    let spec = json!({ "organization": "default", "displayName": "Theirs", "adoptionPolicy": "MustExist" });
    world.apply_in::<CoderGroup>(other.name(), "backend", spec).await;
    world.wait_in(other.name(), "backend", ready::<CoderGroup>).await;
    // It wakes the first within seconds, which finds nothing to do; now it takes the first one's field as well.
    let both = json!({
        "organization": "default", "displayName": "Theirs", "quotaAllowance": 30, "adoptionPolicy": "MustExist",
    });
    world.apply_in::<CoderGroup>(other.name(), "backend", both).await;
    world
        .event("backend", "DriftCorrected", "quotaAllowance 20 → 30 by owner at ")
        .await;
    let fights = |group: &CoderGroup| condition(group, "DriftRepeats").is_some();
    world.wait("backend", fights).await;
    world.wait_in(other.name(), "backend", fights).await;

    // One of the two lets go: the other's value stands.
    world
        .patch::<CoderGroup>("backend", json!({ "quotaAllowance": null }))
        .await;
    let sim = world.coder.sim();
    let theirs = async || {
        sim.group("coder", "backend")
            .is_some_and(|group| group.quota_allowance == 30)
    };
    world.until("the other's quota stands", theirs).await;
    super::polls(&world, 4).await;
    assert!(theirs().await, "nobody sets it back any more");
    // Each goes through its own operator, which must still be there.
    other.finish().await.expect("the namespace goes");
    drop(operator);
    world.finish().await;
}
