//! Who is in a group: members by difference, those who come later, and those who are left alone.

use coder_sim::{Fault, Method as SimMethod};
use kube::api::{Patch, PatchParams};
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::CoderGroup;

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled};

const PREBUILDS: &str = "c42fdf75-3097-471c-8c33-fb52454d81c0";
const GROUP: &str = "/api/v2/groups/{group}";

/// A world with an instance that looks every second and the users ann, bob and carl.
pub(crate) async fn world(test: &str) -> World {
    World::with(test, Coder::any().await, json!({ "resyncInterval": "1s" })).await
}

pub(crate) async fn apply(world: &World, members: &Value, more: Value) -> CoderGroup {
    let mut spec = json!({ "organization": "default", "name": "backend", "members": members });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await
}

/// What somebody else does to the group's members.
pub(crate) async fn by_hand(world: &World, change: Value) {
    let id = world.coder.group("default", "backend").await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .coder
        .change(Method::PATCH, &format!("/groups/{id}"), change)
        .await;
}

pub(crate) fn id_of(world: &World, user: &str) -> String {
    world.coder.sim().user(user).unwrap().id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_named_by_name_email_or_id_and_follow_the_list() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("members").await;
    let bob = id_of(&world, "bob");
    let group = apply(&world, &json!(["ANN", "carl@Example.com", bob]), json!({})).await;
    assert_eq!(group.status.unwrap().member_count, Some(3));
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob", "carl"]);
    apply(&world, &json!(["ann"]), json!({})).await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann"]);
    apply(&world, &json!([]), json!({})).await;
    assert!(world.coder.members("default", "backend").await.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_removes_others_and_at_least_lets_them_be() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("members-policy").await;
    let (ann, bob) = (id_of(&world, "ann"), id_of(&world, "bob"));
    apply(&world, &json!(["ann"]), json!({ "memberPolicy": "AtLeast" })).await;
    by_hand(&world, json!({ "add_users": [bob], "remove_users": [ann] })).await;
    world
        .event("backend", "DriftCorrected", "members -ann, corrected")
        .await;
    assert_eq!(
        world.coder.members("default", "backend").await,
        ["ann", "bob"],
        "bob is nobody's business"
    );
    apply(&world, &json!(["ann"]), json!({ "memberPolicy": "Exact" })).await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann"]);
    by_hand(&world, json!({ "add_users": [bob] })).await;
    world
        .event("backend", "DriftCorrected", "members +bob, corrected")
        .await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_members_are_unmanaged() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("members-absent").await;
    apply(&world, &json!(["ann"]), json!({})).await;
    let spec = json!({ "organization": "default", "name": "backend", "quotaAllowance": 1 });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await;
    by_hand(&world, json!({ "add_users": [id_of(&world, "bob")] })).await;
    let mark = world.coder.sim().journal().mark();
    world.coder.looks(3).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_exist_yet_never_blocks_the_others_and_is_added_on_arrival() {
    simulated_only!("users appear behind the server's back");
    let world = world("members-pending").await;
    let sim = world.coder.sim();
    sim.create_organization("platform");
    sim.add_member("platform", "ann");
    let spec = json!({
        "organization": "platform", "name": "backend",
        "members": ["ann", "bob", "dora@example.com", "9f5d1a5e-6a3b-4c8e-8b1c-000000000000"],
    });
    world.apply::<CoderGroup>("backend", spec).await;
    let group = world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(world.coder.members("platform", "backend").await, ["ann"]);
    let pending = condition(&group, "MembersPending").expect("a condition");
    assert!(
        pending.message.contains("bob") && pending.message.contains("dora@example.com"),
        "{}",
        pending.message
    );
    let waiting = ["bob", "dora@example.com", "9f5d1a5e-6a3b-4c8e-8b1c-000000000000"];
    assert_eq!(group.status.unwrap().pending_members, waiting);

    sim.add_member("platform", "bob");
    sim.create_user("dora");
    sim.add_member("platform", "dora");
    let group = world
        .wait("backend", |group: &CoderGroup| {
            ready(group)
                && group
                    .status
                    .as_ref()
                    .is_some_and(|status| status.pending_members.len() == 1)
        })
        .await;
    assert_eq!(world.coder.members("platform", "backend").await, ["ann", "bob", "dora"]);
    assert_eq!(group.status.unwrap().member_count, Some(3));
    assert!(
        world.events("backend", "DriftCorrected").await.is_empty(),
        "whom one waited for is no drift"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_organization_waits_again() {
    simulated_only!("users leave behind the server's back");
    let world = world("members-leave").await;
    let sim = world.coder.sim();
    sim.create_organization("platform");
    sim.add_member("platform", "ann");
    sim.add_member("platform", "bob");
    let spec = json!({ "organization": "platform", "name": "backend", "members": ["ann", "bob"] });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await;
    sim.remove_member("platform", "bob");
    let left = world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "MembersPending").is_some()
        })
        .await;
    assert!(ready(&left));
    assert_eq!(left.status.unwrap().pending_members, ["bob"]);
    sim.add_member("platform", "bob");
    world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "MembersPending").is_none()
        })
        .await;
    assert_eq!(world.coder.members("platform", "backend").await, ["ann", "bob"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_prebuilds_is_added_once_although_coder_never_shows_it() {
    simulated_only!("the journal tells what was sent");
    let mut world = world("members-prebuilds").await;
    let sent = |world: &World, field: &str| {
        let calls = world.coder.sim().journal().calls();
        let named = |call: &coder_sim::Entry| {
            let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
            body[field]
                .as_array()
                .is_some_and(|users| users.contains(&json!(PREBUILDS)))
        };
        calls
            .iter()
            .filter(|call| call.method == SimMethod::PATCH && named(call))
            .count()
    };
    apply(&world, &json!(["ann", PREBUILDS]), json!({})).await;
    assert_eq!(sent(&world, "add_users"), 1);
    world.coder.looks(3).await;
    apply(&world, &json!(["ann", "bob", PREBUILDS]), json!({})).await;
    world.kill_operator().await;
    world.restart_operator().await;
    apply(&world, &json!(["bob", PREBUILDS]), json!({ "quotaAllowance": 7 })).await;
    assert_eq!((sent(&world, "add_users"), sent(&world, "remove_users")), (1, 0));
    assert_eq!(world.coder.members("default", "backend").await, ["bob"]);
    apply(&world, &json!(["bob"]), json!({})).await;
    assert_eq!((sent(&world, "add_users"), sent(&world, "remove_users")), (1, 1));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_refused_at_admission() {
    let world = World::new("members-everyone").await;
    let spec = json!({ "organization": "default", "name": "Everyone" });
    let refusal = world
        .try_apply_in::<CoderGroup>(world.ns(), "everyone", spec)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("set everyoneQuotaAllowance on the CoderOrganization"),
        "{refusal}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_see_all_members_changes_nothing() {
    simulated_only!("tokens of other users are made behind the server's back");
    let world = world("members-partial").await;
    apply(&world, &json!(["ann", "bob"]), json!({})).await;
    by_hand(&world, json!({ "quota_allowance": 3 })).await;
    let token = world.coder.sim().token_for("ulf", &[]);
    let mark = world.coder.sim().journal().mark();
    world
        .put_secret(world.ns(), "default-token", &[("token", &token)])
        .await;
    let group = world.wait("backend", stalled::<CoderGroup>("PartialVisibility")).await;
    let said = message(&group, "Stalled");
    assert!(said.contains("does not see all members"), "{said}");
    world
        .patch::<CoderGroup>("backend", json!({ "members": [], "quotaAllowance": 9 }))
        .await;
    world.wait("backend", stalled::<CoderGroup>("PartialVisibility")).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob"]);
    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    world.wait("backend", ready::<CoderGroup>).await;
    assert!(world.coder.members("default", "backend").await.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_added_meanwhile_is_read_again() {
    simulated_only!("a call is held while somebody else changes the group");
    let world = world("members-twice").await;
    let gate = world
        .coder
        .sim()
        .faults()
        .pause(Fault::on(SimMethod::PATCH, GROUP).times(1));
    let spec = json!({ "organization": "default", "name": "backend", "members": ["ann", "bob"] });
    world.apply::<CoderGroup>("backend", spec).await;
    gate.arrived().await;
    let ann = world.coder.sim().user("ann").unwrap().id;
    world
        .coder
        .sim()
        .edit_group("default", "backend", |group| group.members.push(ann));
    gate.open();
    world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob"]);
    let journal = world.coder.sim().journal();
    let patches = journal.matching(|call| call.method == SimMethod::PATCH && call.template == GROUP);
    assert_eq!(patches[0].status, Some(400), "Coder refused the whole change");
    assert_eq!(patches[1].status, Some(200));
    assert!(
        !patches[1].body.contains(&ann.to_string()),
        "only who is still missing: {}",
        patches[1].body
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn group_sync_is_warned_of_while_members_are_managed() {
    simulated_only!("group sync of the default organization is everybody's");
    let world = world("members-sync").await;
    apply(&world, &json!(["ann"]), json!({})).await;
    let path = "/organizations/default/settings/idpsync/groups";
    let on = json!({ "field": "groups", "mapping": {}, "regex_filter": null, "auto_create_missing_groups": false });
    world.coder.change(Method::PATCH, path, on).await;
    let warned = world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "MembersOverridden").is_some()
        })
        .await;
    assert!(ready(&warned));
    world
        .event("backend", "MembersOverridden", "the identity provider overwrites")
        .await;
    let off = json!({ "field": "", "mapping": {}, "regex_filter": null, "auto_create_missing_groups": false });
    world.coder.change(Method::PATCH, path, off).await;
    world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "MembersOverridden").is_none()
        })
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_managed_and_is_absent_leaves_its_members_and_says_so() {
    simulated_only!("the user ann is the simulator's");
    let world = World::new("members-emptied").await;
    let spec = |members: Value| {
        let mut spec = json!({ "organization": "default", "name": "emptied" });
        if !members.is_null() {
            spec["members"] = members;
        }
        spec
    };
    world.apply::<CoderGroup>("emptied", spec(json!(["ann"]))).await;
    world.wait::<CoderGroup>("emptied", ready).await;
    assert_eq!(world.coder.members("default", "emptied").await, ["ann"]);
    world.apply::<CoderGroup>("emptied", spec(json!(null))).await;
    world
        .wait::<CoderGroup>("emptied", |group| {
            condition(group, "MembersUnmanaged").is_some() && ready(group)
        })
        .await;
    assert_eq!(world.coder.members("default", "emptied").await, ["ann"]);
    // Server-side apply keeps an empty list, so that it says at once what it means.
    let applied = world.apply::<CoderGroup>("emptied", spec(json!([]))).await;
    assert_eq!(applied.spec.members, Some(Vec::new()));
    world
        .wait::<CoderGroup>("emptied", |group| {
            condition(group, "MembersUnmanaged").is_none() && ready(group)
        })
        .await;
    assert!(world.coder.members("default", "emptied").await.is_empty());
    world.apply::<CoderGroup>("emptied", spec(json!(["ann"]))).await;
    world.wait::<CoderGroup>("emptied", ready).await;
    let applied = world.apply::<CoderGroup>("emptied", spec(json!([]))).await;
    assert_eq!(applied.spec.members, Some(Vec::new()), "emptied, not dropped");
    world.wait::<CoderGroup>("emptied", ready).await;
    assert!(world.coder.members("default", "emptied").await.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_applies_the_list_replaces_it_whole() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("members-managers").await;
    apply(&world, &json!(["ann", "bob"]), json!({})).await;
    let edit = json!({ "spec": { "members": ["ann", "bob", "carl"] } });
    let by_hand = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    let api = world.api::<CoderGroup>();
    api.patch("backend", &by_hand, &Patch::Merge(edit)).await.unwrap();
    world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob", "carl"]);
    let group = apply(&world, &json!(["ann", "bob"]), json!({})).await;
    assert_eq!(group.spec.members.unwrap(), ["ann", "bob"]);
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob"]);
    world.finish().await;
}
