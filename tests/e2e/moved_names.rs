//! Names that lead to something else than they did: an object stays with what it has, says so, and moves nowhere unasked.

use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderOrganization};

use crate::members::{apply, id_of, world};
use crate::support::{World, condition, message, ready, simulated_only, stalled, waiting};

async fn apply_in(world: &World, organization: Value) -> CoderGroup {
    let mut spec = json!({ "name": "backend" });
    spec.as_object_mut()
        .unwrap()
        .extend(organization.as_object().unwrap().clone());
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await
}

async fn rename(world: &World, organization: &str, name: &str) {
    let path = format!("/organizations/{organization}");
    world.coder.change(Method::PATCH, &path, json!({ "name": name })).await;
}

async fn rename_user(world: &World, user: &str, name: &str) {
    let path = format!("/users/{user}/profile");
    let profile = json!({ "username": name, "name": "" });
    world.coder.change(Method::PUT, &path, profile).await;
}

async fn moved(world: &World, says: &str) -> CoderGroup {
    world
        .wait("backend", |group: &CoderGroup| {
            ready(group) && condition(group, "NameMoved").is_some_and(|moved| moved.message.contains(says))
        })
        .await
}

async fn unmoved(world: &World) {
    world
        .wait("backend", |group: &CoderGroup| {
            ready(group) && condition(group, "NameMoved").is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_stays_in_its_organization_when_that_is_renamed() {
    simulated_only!("organizations of these names are nobody else's");
    let world = world("moved-organization").await;
    let sim = world.coder.sim();
    let alpha = sim.create_organization("alpha").to_string();
    let made = apply_in(&world, json!({ "organization": "alpha" })).await;
    let id = made.status.unwrap().id;
    rename(&world, "alpha", "beta").await;
    moved(&world, "set organization: beta").await;
    // Somebody else gets the name: the group does not go there.
    sim.create_organization("alpha");
    let group = moved(&world, "another organization is called alpha").await;
    assert_eq!(group.status.as_ref().unwrap().organization_id.as_deref(), Some(&*alpha));
    assert!(world.coder.group("alpha", "backend").await.is_none());
    // It is still managed where it is.
    sim.edit_group("beta", "backend", |group| group.name = "changed".into());
    world
        .event("backend", "DriftCorrected", "name \"backend\" → \"changed\"")
        .await;
    let group = apply_in(&world, json!({ "organization": "beta" })).await;
    assert!(condition(&group, "NameMoved").is_none());
    assert_eq!(group.status.unwrap().id, id);
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    assert!(world.coder.group("beta", "backend").await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_not_made_anew_in_a_namesake_of_its_organization() {
    simulated_only!("an organization vanishes with all that is in it");
    let world = world("moved-namesake").await;
    let sim = world.coder.sim();
    sim.create_organization("alpha");
    apply_in(&world, json!({ "organization": "alpha" })).await;
    sim.erase_organization("alpha");
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    sim.create_organization("alpha");
    let group = world.wait("backend", stalled::<CoderGroup>("NameMoved")).await;
    let said = message(&group, "Stalled");
    assert!(said.contains("delete this object and create it anew"), "{said}");
    assert!(world.coder.group("alpha", "backend").await.is_none());
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    apply_in(&world, json!({ "organization": "alpha" })).await;
    assert!(world.coder.group("alpha", "backend").await.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_of_a_group_may_be_named_in_another_way() {
    simulated_only!("organizations of these names are nobody else's");
    let world = world("moved-spelling").await;
    let sim = world.coder.sim();
    let alpha = sim.create_organization("alpha").to_string();
    sim.create_organization("gamma");
    // Before there is a group, a wrong name is just a wrong name.
    let typo = json!({ "name": "backend", "organization": "alhpa" });
    world.apply::<CoderGroup>("backend", typo).await;
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    let made = apply_in(&world, json!({ "organization": "alpha" })).await;
    let id = made.status.unwrap().id;
    for (object, name) in [("first", "alpha"), ("second", "gamma")] {
        let spec = json!({ "name": name, "adoptionPolicy": "MustExist" });
        world.apply::<CoderOrganization>(object, spec).await;
        world.wait(object, ready::<CoderOrganization>).await;
    }
    for same in [
        json!({ "organization": "ALPHA" }),
        json!({ "organization": alpha }),
        json!({ "organizationRef": { "name": "first" } }),
    ] {
        let group = apply_in(&world, same.clone()).await;
        assert_eq!(group.status.unwrap().id, id, "{same}");
    }
    // What is another one is refused, by the API server where it can tell, and else by the operator.
    let mark = sim.journal().mark();
    let other = json!({ "name": "backend", "organization": "gamma" });
    let refusal = world.try_apply_in::<CoderGroup>(world.ns(), "backend", other).await;
    let refusal = refusal.unwrap_err().to_string();
    assert!(refusal.contains("Coder cannot move what is in one"), "{refusal}");
    let other = json!({ "name": "renamed", "organizationRef": { "name": "second" } });
    world.apply::<CoderGroup>("backend", other).await;
    let group = world.wait("backend", stalled::<CoderGroup>("InvalidSpec")).await;
    let said = message(&group, "Stalled");
    assert!(said.contains("organizationRef cannot be changed"), "{said}");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    apply_in(&world, json!({ "organizationRef": { "name": "first" } })).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_stays_when_renamed_and_nobody_inherits_a_membership_with_a_name() {
    simulated_only!("users are renamed and made");
    let world = world("moved-member").await;
    let ann = id_of(&world, "ann");
    apply(&world, &json!(["ann", "bob"]), json!({})).await;
    rename_user(&world, "ann", "anna").await;
    moved(&world, "ann is anna now").await;
    assert_eq!(world.coder.members("default", "backend").await, ["anna", "bob"]);
    world.coder.sim().create_user("ann");
    let group = moved(&world, "somebody else and is not added").await;
    assert_eq!(world.coder.members("default", "backend").await, ["anna", "bob"]);
    assert_eq!(group.status.unwrap().member_ids["ann"], ann);
    // Deleted, and made anew under the name: a stranger until somebody says otherwise.
    world.coder.sim().delete_user("bob");
    world.coder.sim().create_user("bob");
    let group = moved(&world, "bob is not in the organization any more").await;
    assert_eq!(group.status.unwrap().pending_members, ["bob"]);
    assert_eq!(world.coder.members("default", "backend").await, ["anna"]);
    // Off the list and on it again: both names mean who has them now.
    apply(&world, &json!([]), json!({})).await;
    apply(&world, &json!(["ann", "bob"]), json!({})).await;
    unmoved(&world).await;
    assert_eq!(world.coder.members("default", "backend").await, ["ann", "bob"]);
    world.finish().await;
}
