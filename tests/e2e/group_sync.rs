//! The group sync of an organization: a setting that always stands.

use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderGroupSync, CoderOrganization, Origin};
use coder_sim::Profile;

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

async fn world(test: &str, profile: Profile) -> World {
    World::with(test, Coder::simulated(profile).await, json!({ "resyncInterval": "1s" })).await
}

async fn settings(world: &World, organization: &str) -> Value {
    let id = world.coder.organization(organization).await.expect("the organization")["id"].clone();
    let path = format!("/organizations/{}/settings/idpsync/groups", id.as_str().unwrap());
    world.coder.get(&path).await
}

async fn by_hand(world: &World, organization: &str, body: Value) {
    let id = world.coder.organization(organization).await.expect("the organization")["id"].clone();
    let path = format!("/organizations/{}/settings/idpsync/groups", id.as_str().unwrap());
    world.coder.change(Method::PATCH, &path, body).await;
}

fn spec() -> Value {
    json!({
        "organizationRef": { "name": "platform" }, "field": "groups", "regexFilter": "^coder-",
        "autoCreateMissingGroups": false, "mapping": { "coder-backend": ["backend"] },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_of_all_at_once_becomes_ready_drift_is_set_back_and_deleting_gives_back_the_initial_values() {
    simulated_only!("an organization of a fixed name");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("group-sync-wave", profile).await;
        world.apply::<CoderGroupSync>("platform", spec()).await;
        let group = json!({ "organizationRef": { "name": "platform" } });
        world.apply::<CoderGroup>("backend", group).await;
        world
            .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
            .await;
        let object = world.wait("platform", ready::<CoderGroupSync>).await;
        assert_eq!(object.status.unwrap().common.origin, Some(Origin::Created));
        let backend = world.coder.group("platform", "backend").await.unwrap()["id"].clone();
        let held = settings(&world, "platform").await;
        assert_eq!(
            (&held["field"], &held["regex_filter"]),
            (&json!("groups"), &json!("^coder-"))
        );
        assert_eq!(held["mapping"]["coder-backend"], json!([backend]));

        by_hand(
            &world,
            "platform",
            json!({ "field": "teams", "regex_filter": "^coder-", "mapping": {} }),
        )
        .await;
        world
            .event("platform", "DriftCorrected", "field \"groups\" → \"teams\"")
            .await;
        world
            .until("the mapping is back", async || {
                settings(&world, "platform").await["mapping"]["coder-backend"] == json!([backend])
            })
            .await;

        world.delete::<CoderGroupSync>("platform").await;
        world.gone::<CoderGroupSync>("platform").await;
        let left = settings(&world, "platform").await;
        assert_eq!((&left["field"], &left["regex_filter"]), (&json!(""), &Value::Null));
        assert!(
            left["mapping"].as_object().is_none_or(serde_json::Map::is_empty),
            "{left}"
        );
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_set_is_taken_over_only_when_told_and_without_a_write_when_it_is_equal() {
    simulated_only!("the journal tells what was written");
    let world = world("group-sync-adopt", Profile::Main).await;
    world.coder.sim().create_organization("theirs");
    let set = json!({ "field": "groups", "mapping": {}, "auto_create_missing_groups": true });
    by_hand(&world, "theirs", set.clone()).await;
    let mark = world.coder.sim().journal().mark();
    let mut spec = json!({ "organization": "theirs", "field": "groups", "autoCreateMissingGroups": true });
    world.apply::<CoderGroupSync>("theirs", spec.clone()).await;
    let refused = world.wait("theirs", stalled::<CoderGroupSync>("AlreadyExists")).await;
    assert!(message(&refused, "Stalled").contains("set adoptionPolicy: IfExists"));
    spec["adoptionPolicy"] = json!("IfExists");
    world.apply::<CoderGroupSync>("theirs", spec).await;
    let object = world.wait("theirs", ready::<CoderGroupSync>).await;
    assert_eq!(object.status.unwrap().common.origin, Some(Origin::Adopted));
    world.delete::<CoderGroupSync>("theirs").await;
    world.gone::<CoderGroupSync>("theirs").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(
        settings(&world, "theirs").await["field"],
        "groups",
        "what was taken over is left"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_group_is_not_there_yet_waits_and_the_rest_is_applied() {
    simulated_only!("an organization of a fixed name");
    let world = world("group-sync-pending", Profile::Main).await;
    world.coder.sim().create_organization("platform");
    world.coder.sim().create_group("platform", "ops");
    let spec = json!({
        "organization": "platform", "field": "groups", "mapping": { "a": ["ops"], "b": ["ops", "later"] },
    });
    world.apply::<CoderGroupSync>("platform", spec).await;
    let object = world
        .wait("platform", waiting::<CoderGroupSync>("DependencyNotReady"))
        .await;
    assert!(
        message(&object, "Ready").contains("b: later"),
        "{}",
        message(&object, "Ready")
    );
    assert_eq!(object.status.as_ref().unwrap().sync.pending_mapping, ["b: later"]);
    assert_eq!(condition(&object, "Synced").unwrap().status, "False");
    let held = settings(&world, "platform").await;
    assert_eq!(held["field"], "groups");
    assert!(
        held["mapping"]["a"].is_array() && held["mapping"]["b"].is_null(),
        "{held}"
    );
    world.coder.sim().create_group("platform", "later");
    world.wait("platform", ready::<CoderGroupSync>).await;
    assert_eq!(
        settings(&world, "platform").await["mapping"]["b"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_others_it_takes_away_only_what_it_put_there() {
    simulated_only!("an organization of a fixed name");
    let world = world("group-sync-beside", Profile::Main).await;
    let sim = world.coder.sim();
    sim.create_organization("platform");
    for group in ["ops", "web"] {
        sim.create_group("platform", group);
    }
    let ops = world.coder.group("platform", "ops").await.unwrap()["id"].clone();
    by_hand(
        &world,
        "platform",
        json!({ "field": "groups", "mapping": { "theirs": [ops] } }),
    )
    .await;
    let spec = |mapping: Value| json!({ "organization": "platform", "mapping": mapping, "mappingPolicy": "AtLeast" });
    world
        .apply::<CoderGroupSync>("platform", spec(json!({ "ours": ["web"], "more": ["ops"] })))
        .await;
    let object = world.wait("platform", ready::<CoderGroupSync>).await;
    assert_eq!(object.status.as_ref().unwrap().sync.entries.len(), 2);
    world
        .apply::<CoderGroupSync>("platform", spec(json!({ "ours": ["web"] })))
        .await;
    world
        .until("the entry that is named no more is gone", async || {
            settings(&world, "platform").await["mapping"]["more"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .await;
    world.delete::<CoderGroupSync>("platform").await;
    world.gone::<CoderGroupSync>("platform").await;
    let left = settings(&world, "platform").await;
    assert_eq!(
        (&left["mapping"]["theirs"], &left["field"]),
        (&json!([ops]), &json!("groups"))
    );
    assert!(left["mapping"]["ours"].as_array().is_none_or(Vec::is_empty), "{left}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_keeps_to_the_group_that_a_name_led_to_and_follows_one_that_is_made_anew() {
    simulated_only!("an organization of a fixed name");
    let world = world("group-sync-names", Profile::Main).await;
    let sim = world.coder.sim();
    sim.create_organization("platform");
    sim.create_group("platform", "ops");
    let id = async |name: &str| world.coder.group("platform", name).await.unwrap()["id"].clone();
    let ops = id("ops").await;
    let spec = json!({ "organization": "platform", "mapping": { "staff": ["ops"] } });
    world.apply::<CoderGroupSync>("platform", spec).await;
    world.wait("platform", ready::<CoderGroupSync>).await;

    let path = format!("/groups/{}", ops.as_str().unwrap());
    world
        .coder
        .change(Method::PATCH, &path, json!({ "name": "operations" }))
        .await;
    sim.create_group("platform", "ops");
    let object = world.look::<CoderGroupSync>("platform").await;
    let said = message(&object, "NameMoved");
    let expected = "ops is called operations now, and another one is called ops";
    assert!(ready(&object) && said.contains(expected), "{said}");
    assert_eq!(settings(&world, "platform").await["mapping"]["staff"], json!([ops]));

    world.coder.change(Method::DELETE, &path, json!({})).await;
    let namesake = id("ops").await;
    world
        .until("the mapping leads to the one that there is", async || {
            settings(&world, "platform").await["mapping"]["staff"] == json!([namesake])
        })
        .await;
    let object = world.look::<CoderGroupSync>("platform").await;
    assert!(ready(&object) && condition(&object, "NameMoved").is_none());
    world.finish().await;
}
