//! What goes takes something along that has no entry of its own.

use std::time::{Duration, Instant};

use coder_operator::api::{CoderGroup, CoderOrganization};
use coder_sim::{Method, Profile};
use serde_json::json;

use super::{fed, quiet};
use crate::support::{World, blocked, condition, message, ready, simulated_only};

/// A group whose only member is ann, and bob's token.
async fn world_of_ann(test: &str, profile: Profile) -> (World, String) {
    let world = fed(test, profile, "1s").await;
    let spec = json!({ "organization": "default", "members": ["ann"] });
    world.apply::<CoderGroup>("backend", spec).await;
    world
        .wait("backend", |group: &CoderGroup| members(group) == Some(1))
        .await;
    let bob = world.coder.sim().token_for("bob", &["owner"]);
    (world, bob)
}

fn members(group: &CoderGroup) -> Option<i64> {
    group.status.as_ref()?.member_count
}

fn waits_for_ann(group: &CoderGroup) -> bool {
    members(group) == Some(0) && condition(group, "MembersPending").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_an_organization_is_missed_in_its_groups_and_added_when_back() {
    simulated_only!("changes things behind the back");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let (world, bob) = world_of_ann("feed-leaves", profile).await;
        let path = "/organizations/coder/members/ann";
        world.coder.change_as(&bob, Method::DELETE, path, json!({})).await;
        world.wait("backend", waits_for_ann).await;
        world.coder.change_as(&bob, Method::POST, path, json!({})).await;
        world
            .wait("backend", |group: &CoderGroup| members(group) == Some(1))
            .await;
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_missed_in_groups() {
    simulated_only!("changes things behind the back");
    let (world, bob) = world_of_ann("feed-user", Profile::Main).await;
    let id = world.coder.sim().user("ann").unwrap().id;
    let path = format!("/users/{id}");
    world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    world.wait("backend", waits_for_ann).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_is_made_again_with_everything_in_it() {
    simulated_only!("changes things behind the back");
    let world = fed("feed-everything", Profile::V2_16_1, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    world
        .apply::<CoderOrganization>("team", json!({ "everyoneQuotaAllowance": 5 }))
        .await;
    let id = world.wait("team", ready::<CoderOrganization>).await.status.unwrap().id;
    let groups = ["backend", "frontend"];
    for group in groups {
        let spec = json!({ "organizationRef": { "name": "team" }, "quotaAllowance": 20 });
        world.apply::<CoderGroup>(group, spec).await;
        world.wait(group, ready::<CoderGroup>).await;
    }
    quiet(&world).await;
    let began = Instant::now();
    // The older servers delete an organization with all that is in it.
    let path = format!("/organizations/{}", id.unwrap());
    world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    for group in groups {
        let there = async || sim.organization("team").is_some() && sim.group("team", group).is_some();
        world.until(&format!("{group} is there again"), there).await;
    }
    println!(
        "an organization with two groups was made again after {:?}",
        began.elapsed()
    );
    world.event("team", "DriftCorrected", "deleted by bob at ").await;
    for group in groups {
        let id = sim.group("team", group).unwrap().id.to_string();
        let group = world
            .wait(group, |group: &CoderGroup| {
                ready(group)
                    && group
                        .status
                        .as_ref()
                        .is_some_and(|status| status.id.as_ref() == Some(&id))
            })
            .await;
        let organization = sim.organization("team").unwrap().id.to_string();
        assert_eq!(group.status.unwrap().organization_id, Some(organization));
    }
    assert_eq!(sim.group("team", "Everyone").unwrap().quota_allowance, 5);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_is_missed_by_what_was_in_it() {
    simulated_only!("changes things behind the back");
    let world = fed("feed-organization", Profile::Main, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    let id = sim.create_organization("team");
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "team" }))
        .await;
    world.wait("backend", ready::<CoderGroup>).await;
    let group = sim.group("team", "backend").unwrap().id;
    // Newer servers delete no organization that holds a group.
    let path = format!("/groups/{group}");
    sim.faults().add(
        coder_sim::Fault::on(Method::POST, super::GROUPS)
            .always()
            .status(403, json!({ "message": "Forbidden." })),
    );
    world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    let path = format!("/organizations/{id}");
    world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    sim.faults().clear();
    world
        .wait("backend", |group: &CoderGroup| {
            message(group, "Ready").contains("team")
                && condition(group, "Ready").is_some_and(|ready| ready.reason == "DependencyNotReady")
        })
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_waits_for_its_members_to_leave_goes_as_soon_as_the_log_says_so() {
    simulated_only!("changes things behind the back");
    let world = fed("feed-members-go", Profile::Main, "1s").await;
    world
        .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
        .await;
    world.wait("platform", ready::<CoderOrganization>).await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    for name in ["ann", "carl"] {
        sim.add_member("platform", name);
    }
    world.delete::<CoderOrganization>("platform").await;
    world
        .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    // Each look that fails doubles the time until the next one that comes by itself, up to five minutes.
    for _ in 0..10 {
        world.look::<CoderOrganization>("platform").await;
    }
    let began = Instant::now();
    for name in ["ann", "carl"] {
        let path = format!("/organizations/platform/members/{name}");
        world.coder.change_as(&bob, Method::DELETE, &path, json!({})).await;
    }
    world.gone::<CoderOrganization>("platform").await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    world.finish().await;
}
