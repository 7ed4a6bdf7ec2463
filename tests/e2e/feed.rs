//! The audit log as a feed: a change made by hand is corrected within seconds, at a cost that does not depend on the
//! number of objects.

use std::time::Instant;

use coder_sim::{Fault, Method, Profile};
use serde_json::json;

use coder_operator::api::instance::Feed;
use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization};

use crate::support::{Coder, World, ready, simulated_only};

const AUDIT: &str = "/api/v2/audit";
const GROUPS: &str = "/api/v2/organizations/{organization}/groups";

/// Nothing but the feed can find a change in time.
async fn fed(test: &str, profile: Profile) -> World {
    let world = World::with(
        test,
        Coder::simulated(profile).await,
        json!({ "resyncInterval": "1h", "feedInterval": "1s" }),
    )
    .await;
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::AuditLog))
        .await;
    world
}

fn feed(instance: &CoderInstance) -> Option<Feed> {
    instance.status.as_ref()?.feed
}

fn reason(instance: &CoderInstance) -> &str {
    instance
        .status
        .as_ref()
        .and_then(|status| status.feed_reason.as_deref())
        .unwrap_or_default()
}

/// Changes a group through the API, as anybody with an Owner's token may.
async fn change(world: &World, group: &str, body: serde_json::Value) {
    let id = world.coder.sim().group("coder", group).unwrap().id;
    world.coder.change(Method::PATCH, &format!("/groups/{id}"), body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_corrected_within_seconds_on_both_servers() {
    simulated_only!("changes things behind the back");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = fed("feed", profile).await;
        let sim = world.coder.sim();
        world
            .apply::<CoderGroup>("backend", json!({ "organization": "default", "quotaAllowance": 20 }))
            .await;
        world.wait::<CoderGroup>("backend", ready).await;
        world
            .apply::<CoderOrganization>("platform", json!({ "description": "ours" }))
            .await;
        world.wait::<CoderOrganization>("platform", ready).await;

        let began = Instant::now();
        change(&world, "backend", json!({ "quota_allowance": 99 })).await;
        let quota = async || {
            sim.group("coder", "backend")
                .is_some_and(|group| group.quota_allowance == 20)
        };
        world.until("the quota is set back", quota).await;
        world
            .event("backend", "DriftCorrected", "quotaAllowance 20 → 99 by owner at ")
            .await;
        println!("{profile:?}: a group's quota was set back after {:?}", began.elapsed());

        let began = Instant::now();
        let id = sim.organization("platform").unwrap().id;
        world
            .coder
            .change(
                Method::PATCH,
                &format!("/organizations/{id}"),
                json!({ "description": "theirs" }),
            )
            .await;
        let described = async || sim.organization("platform").is_some_and(|it| it.description == "ours");
        world.until("the description is set back", described).await;
        println!("{profile:?}: an organization was set back after {:?}", began.elapsed());

        let began = Instant::now();
        let id = sim.group("coder", "backend").unwrap().id;
        world
            .coder
            .change(Method::DELETE, &format!("/groups/{id}"), json!({}))
            .await;
        world
            .until("the group is there again", async || {
                sim.group("coder", "backend").is_some()
            })
            .await;
        println!(
            "{profile:?}: a deleted group was there again after {:?}",
            began.elapsed()
        );
        world.wait::<CoderGroup>("backend", ready).await;
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_wake_nobody_and_a_change_reads_one_group_and_no_list() {
    simulated_only!("reads the journal");
    let world = fed("feed-own", Profile::Main).await;
    let sim = world.coder.sim();
    for name in ["a", "b", "c"] {
        world
            .apply::<CoderGroup>(name, json!({ "organization": "default", "quotaAllowance": 1 }))
            .await;
        world.wait::<CoderGroup>(name, ready).await;
    }
    // What was written until now has been read before this entry.
    change(&world, "a", json!({ "quota_allowance": 2 })).await;
    world
        .until("the quota is set back", async || {
            sim.group("coder", "a").unwrap().quota_allowance == 1
        })
        .await;
    let mark = sim.journal().mark();
    let polls = async |n: usize| {
        world
            .until("polls", async || {
                sim.journal().count_since(mark, &Method::GET, AUDIT) >= n
            })
            .await;
    };
    polls(3).await;
    let reads = |mark| {
        let calls = sim.journal().since(mark).into_iter();
        calls
            .filter(|call| call.method == Method::GET && call.template != AUDIT)
            .map(|call| call.path)
            .collect::<Vec<_>>()
    };
    assert!(
        reads(mark).is_empty(),
        "own writes made the operator read: {:?}",
        reads(mark)
    );
    change(&world, "b", json!({ "quota_allowance": 2 })).await;
    world
        .until("the quota is set back", async || {
            sim.group("coder", "b").unwrap().quota_allowance == 1
        })
        .await;
    let lists = sim.journal().count_since(mark, &Method::GET, GROUPS);
    assert_eq!(lists, 0, "one group was changed: one group is read");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_feature_the_role_or_the_wish_it_says_so_and_sweeps() {
    simulated_only!("changes licences and roles");
    let coder = Coder::simulated(Profile::Main).await;
    let world = World::with(
        "feed-fallback",
        coder,
        json!({ "resyncInterval": "1s", "feedInterval": "Off" }),
    )
    .await;
    let instance = world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::Sweep))
        .await;
    assert_eq!(reason(&instance), "feedInterval is Off");
    let sim = world.coder.sim();
    let ulf = sim.token_for("ann", &["user-admin"]);
    world.put_secret(world.ns(), "default-token", &[("token", &ulf)]).await;
    world
        .patch::<CoderInstance>("default", json!({ "feedInterval": "1s" }))
        .await;
    world
        .wait::<CoderInstance>("default", |instance| {
            reason(instance).contains("neither Owner nor Auditor")
        })
        .await;
    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::AuditLog))
        .await;
    sim.lapse_licenses();
    world
        .wait::<CoderInstance>("default", |instance| {
            reason(instance).contains("does not include the audit log")
        })
        .await;
    sim.add_premium_license();
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::AuditLog))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_feed_lost_is_found_by_the_sweep_after_the_gap() {
    simulated_only!("needs faults");
    let world = fed("feed-gap", Profile::Main).await;
    let sim = world.coder.sim();
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default", "quotaAllowance": 20 }))
        .await;
    world.wait::<CoderGroup>("backend", ready).await;
    // Changed in the database: there is no entry, and only a list can tell.
    sim.edit_group("coder", "backend", |group| group.quota_allowance = 99);
    let mark = sim.journal().mark();
    sim.faults().add(
        Fault::on(Method::GET, AUDIT)
            .always()
            .status(403, json!({ "message": "Forbidden." })),
    );
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::Sweep))
        .await;
    sim.faults().clear();
    world
        .annotate::<CoderInstance>("default", "coder-operator.dev/reconcile-at", "now")
        .await;
    let _ = mark;
    world
        .patch::<CoderInstance>("default", json!({ "feedInterval": "2s" }))
        .await;
    world
        .until("the quota is set back", async || {
            sim.group("coder", "backend").unwrap().quota_allowance == 20
        })
        .await;
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::AuditLog))
        .await;
    world.finish().await;
}
