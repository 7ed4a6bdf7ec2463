//! Custom roles.

use coder_sim::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderCustomRole, CoderInstance, CoderOrganizationMember};

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

async fn world(test: &str, profile: Profile) -> World {
    let world = World::with(test, Coder::simulated(profile).await, json!({ "resyncInterval": "1s" })).await;
    world.coder.sim().create_organization("platform");
    world
}

async fn path(world: &World, rest: &str) -> String {
    let platform = world.coder.organization("platform").await.expect("the organization");
    format!("/organizations/{}/{rest}", platform["id"].as_str().unwrap())
}

async fn role(world: &World, name: &str) -> Option<Value> {
    let roles = world.coder.get(&path(world, "members/roles").await).await;
    roles
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == name)
        .cloned()
}

fn spec(permissions: &Value) -> Value {
    json!({ "organization": "platform", "permissions": permissions })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_newer_servers_leave_out_without_a_word_is_said_and_asked_for_once() {
    simulated_only!("the journal tells what was written");
    let world = world("custom-role-unknown", Profile::Main).await;
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read"] })))
        .await;
    world.wait("author", ready::<CoderCustomRole>).await;
    let mark = world.coder.sim().journal().mark();
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read", "update", "fly"] })))
        .await;
    let object = world.wait("author", stalled::<CoderCustomRole>("Rejected")).await;
    assert!(message(&object, "Stalled").contains("template.fly"));
    let unknown = object.status.unwrap().unknown_permissions.unwrap();
    assert_eq!(unknown.permissions, ["template.fly"]);
    let held = role(&world, "author").await.unwrap();
    assert_eq!(held["organization_permissions"].as_array().unwrap().len(), 2);
    world.coder.looks(3).await;
    assert_eq!(
        world.coder.writes_since(mark).len(),
        1,
        "{:?}",
        world.coder.writes_since(mark)
    );
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read", "update"] })))
        .await;
    let object = world.wait("author", ready::<CoderCustomRole>).await;
    assert_eq!(object.status.unwrap().unknown_permissions, None);
    assert_eq!(world.coder.writes_since(mark).len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_rejected_in_its_words() {
    simulated_only!("an organization of a fixed name");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("custom-role-refused", profile).await;
        world
            .apply::<CoderCustomRole>("odd", spec(&json!({ "spaceship": ["fly"] })))
            .await;
        let object = world.wait("odd", stalled::<CoderCustomRole>("Rejected")).await;
        assert!(
            message(&object, "Stalled").contains("spaceship"),
            "{}",
            message(&object, "Stalled")
        );
        assert!(role(&world, "odd").await.is_none());
        world.delete::<CoderCustomRole>("odd").await;
        world.gone::<CoderCustomRole>("odd").await;
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmanaged_display_name_survives_a_change_and_unmanaged_permissions_are_said() {
    simulated_only!("an organization of a fixed name");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("custom-role-unmanaged", profile).await;
        let theirs = json!({
            "name": "author", "display_name": "Author",
            "organization_permissions": [{ "resource_type": "file", "action": "create" }],
        });
        let roles = path(&world, "members/roles").await;
        world.coder.change(Method::POST, &roles, theirs).await;
        let mut adopting = spec(&json!({ "template": ["read"] }));
        adopting["adoptionPolicy"] = json!("IfExists");
        world.apply::<CoderCustomRole>("author", adopting).await;
        world.wait("author", ready::<CoderCustomRole>).await;
        let held = role(&world, "author").await.unwrap();
        assert_eq!(held["display_name"], "Author");
        assert_eq!(held["organization_permissions"][0]["action"], "read");
        world
            .apply::<CoderCustomRole>("author", json!({ "organization": "platform", "displayName": "A" }))
            .await;
        let unmanaged = |object: &CoderCustomRole| condition(object, "Unmanaged").is_some() && ready(object);
        world.wait("author", unmanaged).await;
        let held = role(&world, "author").await.unwrap();
        assert_eq!(held["display_name"], "A");
        assert_eq!(held["organization_permissions"][0]["action"], "read");
        world.apply::<CoderCustomRole>("author", spec(&json!({}))).await;
        let managed = |object: &CoderCustomRole| condition(object, "Unmanaged").is_none() && ready(object);
        world.wait("author", managed).await;
        let held = role(&world, "author").await.unwrap();
        assert_eq!(held["organization_permissions"].as_array().unwrap().len(), 0);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_role_loses_it_when_it_is_deleted() {
    simulated_only!("an organization of a fixed name");
    let world = world("custom-role-holder", Profile::Main).await;
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read"] })))
        .await;
    let member = json!({ "organization": "platform", "user": "ann", "roles": ["author"] });
    world.apply::<CoderOrganizationMember>("ann", member).await;
    world.wait("ann", ready::<CoderOrganizationMember>).await;
    world.delete::<CoderCustomRole>("author").await;
    world.gone::<CoderCustomRole>("author").await;
    let object = world
        .wait("ann", waiting::<CoderOrganizationMember>("DependencyNotReady"))
        .await;
    assert!(message(&object, "Ready").contains("author"));
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read"] })))
        .await;
    let object = world.wait("ann", ready::<CoderOrganizationMember>).await;
    assert_eq!(object.status.unwrap().roles, ["author"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_make_roles_is_said_to_be_too_weak_and_deletes_nothing() {
    simulated_only!("the tokens of others");
    let world = world("custom-role-forbidden", Profile::Main).await;
    let (uma, owner) = (
        world.coder.sim().token_for("uma", &["user-admin"]),
        world.coder.token.clone(),
    );
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["read"] })))
        .await;
    world.wait("author", ready::<CoderCustomRole>).await;
    world.put_secret(world.ns(), "default-token", &[("token", &uma)]).await;
    let is_uma = |instance: &CoderInstance| {
        let status = instance.status.as_ref();
        status.and_then(|status| status.user.as_deref()) == Some("uma") && ready(instance)
    };
    world.wait("default", is_uma).await;
    world
        .apply::<CoderCustomRole>("author", spec(&json!({ "template": ["update"] })))
        .await;
    let object = world.wait("author", stalled::<CoderCustomRole>("Forbidden")).await;
    assert!(message(&object, "Stalled").contains("organization-admin"));
    world
        .put_secret(world.ns(), "default-token", &[("token", &owner)])
        .await;
    world.wait("author", ready::<CoderCustomRole>).await;
    world.finish().await;
}
