//! Where the log cannot be read the sweep does it all, the instance says why, and it comes back by itself.

use std::time::Duration;

use coder_operator::api::CoderInstance;
use coder_sim::{Fault, Method, Profile, Sim};
use serde_json::json;

use super::{AUDIT, disturb, fed, group, polls, quota_is_set_back, reads_the_log, sweeps_because};
use crate::support::{Coder, World, simulated_only};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_feature_the_role_or_the_wish_it_says_so_and_sweeps() {
    simulated_only!("changes licences and roles");
    let coder = Coder::simulated(Profile::Main).await;
    let settings = json!({ "resyncInterval": "1s", "feedInterval": "Off" });
    let world = World::with("feed-fallback", coder, settings).await;
    sweeps_because(&world, "feedInterval is Off").await;
    let sim = world.coder.sim();
    let ulf = sim.token_for("ann", &["user-admin"]);
    world.put_secret(world.ns(), "default-token", &[("token", &ulf)]).await;
    world
        .patch::<CoderInstance>("default", json!({ "feedInterval": "1s" }))
        .await;
    sweeps_because(&world, "neither Owner nor Auditor").await;
    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    reads_the_log(&world).await;
    sim.lapse_licenses();
    sweeps_because(&world, "does not include the audit log").await;
    sim.add_premium_license();
    reads_the_log(&world).await;
    world.finish().await;
}

/// Makes the instance look at its connection; without it that happens once a `resyncInterval`.
async fn look(world: &World) {
    world.look::<CoderInstance>("default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_nothing_was_logged_is_found_when_the_log_is_back() {
    simulated_only!("switches the feature");
    let world = fed("feed-switch", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    sim.audit_log().switch(false);
    look(&world).await;
    sweeps_because(&world, "does not include the audit log").await;
    super::change(&world, &bob, "backend", json!({ "quota_allowance": 99 })).await;
    sim.audit_log().switch(true);
    look(&world).await;
    reads_the_log(&world).await;
    quota_is_set_back(&world, "backend").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_comes_makes_it_look_at_what_was_not_logged() {
    simulated_only!("changes licences");
    let world = fed("feed-license", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    // In between there is no licence, shorter than a poll lasts: nobody but the log of its end can tell.
    sim.edit_group("coder", "backend", |group| group.quota_allowance = 99);
    let id = sim.add_premium_license();
    let path = format!("/licenses/{id}");
    world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    quota_is_set_back(&world, "backend").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_role_falls_back_and_who_gets_it_reads_again_without_anybody_asking() {
    simulated_only!("changes roles");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).users(["ann", "bob", "carl"]).start().await;
        let mut coder = Coder::of(sim);
        // The older server shows an empty log to whom it shows none; the newer one refuses.
        coder.token = coder.sim().token_for("ops", &["owner"]);
        let settings = json!({ "resyncInterval": "1h", "feedInterval": "1s" });
        let world = World::with("feed-role", coder, settings).await;
        reads_the_log(&world).await;
        group(&world, "backend").await;
        polls(&world, 2).await;
        world.coder.sim().token_for("ops", &["user-admin"]);
        sweeps_because(&world, "user ops is neither Owner nor Auditor").await;
        world.coder.sim().token_for("ops", &["owner"]);
        look(&world).await;
        reads_the_log(&world).await;
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_while_it_was_refused_is_found_by_one_sweep() {
    simulated_only!("needs faults");
    let world = fed("feed-gap", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    group(&world, "backend").await;
    let refusal = Fault::on(Method::GET, AUDIT).always();
    sim.faults()
        .add(refusal.status(403, json!({ "message": "Forbidden." })));
    sweeps_because(&world, "Forbidden.").await;
    // Changed in the database: there is no entry, and only a list can tell.
    sim.edit_group("coder", "backend", |group| group.quota_allowance = 99);
    sim.faults().clear();
    // What was refused is asked for once a minute.
    quota_is_set_back(&world, "backend").await;
    reads_the_log(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lacks_own_writes_is_not_believed_until_they_appear() {
    simulated_only!("holds rows back");
    let world = fed("feed-silent", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    sim.audit_log().hold();
    group(&world, "backend").await;
    sweeps_because(&world, "what this operator wrote is missing").await;
    sim.audit_log().release();
    reads_the_log(&world).await;
    disturb(&world, &bob, &["backend"]).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_asks_for_patience_is_given_it_and_is_read_on() {
    simulated_only!("needs faults");
    let world = fed("feed-limit", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    polls(&world, 2).await;
    let (mark, pause) = (sim.journal().mark(), Duration::from_secs(6));
    sim.faults()
        .add(Fault::on(Method::GET, AUDIT).times(1).rate_limited(pause));
    disturb(&world, &bob, &["backend"]).await;
    polls(&world, 1).await;
    let calls = world.coder.calls_since(mark).into_iter();
    let mut polls = calls
        .filter(|call| call.template == AUDIT)
        .skip_while(|call| call.status != Some(429));
    let (refused, next) = (polls.next().expect("a refusal"), polls.next().expect("the next poll"));
    let waited = next.time.duration_since(refused.time);
    println!("asked to wait {pause:?}, waited {waited:#}");
    // The pause has some jitter.
    assert!(waited.unsigned_abs() >= pause * 4 / 5, "{waited:#}");
    let lists = sim.journal().count_since(mark, &Method::GET, super::GROUPS);
    assert_eq!(lists, 0, "the entry was read after the pause");
    reads_the_log(&world).await;
    world.finish().await;
}
