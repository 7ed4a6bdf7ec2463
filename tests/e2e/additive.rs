//! `memberPolicy: AtLeast`: what an object added beside others it takes away again, and nothing else.

use coder_sim::{Fault, Method as SimMethod};
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::CoderGroup;

use crate::members::{apply, by_hand, id_of, world};
use crate::support::{World, ready, simulated_only};

async fn at_least(world: &World, members: Value) -> CoderGroup {
    apply(world, &members, json!({ "memberPolicy": "AtLeast" })).await
}

async fn exactly(world: &World, members: Value) -> CoderGroup {
    apply(world, &members, json!({ "memberPolicy": "Exact" })).await
}

async fn members(world: &World) -> Vec<String> {
    world.coder.members("default", "backend").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_it_added_goes_when_the_list_names_them_no_more_and_others_stay() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let mut world = world("additive").await;
    at_least(&world, json!(["ann"])).await;
    by_hand(&world, json!({ "add_users": [id_of(&world, "bob")] })).await;
    // Bob was there already: to name him makes him nobody's to take away.
    let group = at_least(&world, json!(["ann", "bob", "carl"])).await;
    let mut added = [id_of(&world, "ann"), id_of(&world, "carl")];
    added.sort();
    assert_eq!(group.status.unwrap().added_members, added);
    at_least(&world, json!(["bob", "carl"])).await;
    assert_eq!(members(&world).await, ["bob", "carl"]);
    world.kill_operator().await;
    world.restart_operator().await;
    let group = at_least(&world, json!([])).await;
    assert_eq!(members(&world).await, ["bob"]);
    assert!(group.status.unwrap().added_members.is_empty());
    assert!(world.events("backend", "DriftCorrected").await.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_somebody_else_took_out_and_put_back_is_not_forgotten() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("additive-drift").await;
    at_least(&world, json!(["ann"])).await;
    by_hand(&world, json!({ "remove_users": [id_of(&world, "ann")] })).await;
    world
        .event("backend", "DriftCorrected", "members -ann, corrected")
        .await;
    world.wait("backend", ready::<CoderGroup>).await;
    // The group itself is made again, and she with it.
    let id = world.coder.group("default", "backend").await.unwrap()["id"].clone();
    let path = format!("/groups/{}", id.as_str().unwrap());
    world.coder.change(Method::DELETE, &path, json!({})).await;
    world.event("backend", "DriftCorrected", "deleted").await;
    at_least(&world, json!([])).await;
    assert_eq!(members(&world).await, [""; 0]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policy_begins_with_who_is_there() {
    simulated_only!("the users ann, bob and carl are the simulator's");
    let world = world("additive-policy").await;
    exactly(&world, json!(["ann", "bob"])).await;
    // Let be: what was there when the policy became AtLeast is left as it is.
    at_least(&world, json!(["ann"])).await;
    assert_eq!(members(&world).await, ["ann", "bob"]);
    at_least(&world, json!(["ann", "carl"])).await;
    at_least(&world, json!([])).await;
    assert_eq!(
        members(&world).await,
        ["ann", "bob"],
        "only carl was added beside others"
    );
    at_least(&world, json!(["carl"])).await;
    let group = exactly(&world, json!(["carl"])).await;
    assert_eq!(members(&world).await, ["carl"]);
    assert!(group.status.unwrap().added_members.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_it_adds_is_known_before_the_call_is_made() {
    simulated_only!("a call is held while the operator dies");
    let mut world = world("additive-crash").await;
    at_least(&world, json!([])).await;
    let call = Fault::on(SimMethod::PATCH, "/api/v2/groups/{group}").times(1);
    let gate = world.coder.sim().faults().pause(call);
    let spec = json!({
        "organization": "default", "name": "backend", "members": ["ann"], "memberPolicy": "AtLeast",
    });
    world.apply::<CoderGroup>("backend", spec).await;
    gate.arrived().await;
    let held = world.look::<CoderGroup>("backend").await;
    assert_eq!(held.status.unwrap().added_members, [id_of(&world, "ann")]);
    // The call is carried out, and nobody hears of it.
    world.kill_operator().await;
    gate.open();
    world
        .until("ann is a member", async || members(&world).await == ["ann"])
        .await;
    let taken_back = json!({ "organization": "default", "name": "backend", "members": [], "memberPolicy": "AtLeast" });
    world.apply::<CoderGroup>("backend", taken_back).await;
    world.restart_operator().await;
    world
        .until("ann is taken out", async || members(&world).await.is_empty())
        .await;
    world.finish().await;
}
