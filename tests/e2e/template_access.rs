//! Who may use a template.

use coder_sim::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::CoderTemplateAccess;

use crate::support::{Coder, World, condition, message, ready, simulated_only, waiting};

/// A world with the organization platform, its groups backend and ops, ann and bob in it, and the template web.
async fn world(test: &str, profile: Profile) -> World {
    let world = World::with(test, Coder::simulated(profile).await, json!({ "resyncInterval": "1s" })).await;
    let sim = world.coder.sim();
    sim.create_organization("platform");
    for group in ["backend", "ops"] {
        sim.create_group("platform", group);
    }
    sim.create_template("platform", "web");
    for user in ["ann", "bob"] {
        let joined = path(&world, &format!("members/{user}")).await;
        world.coder.change(Method::POST, &joined, json!({})).await;
    }
    world
}

async fn path(world: &World, rest: &str) -> String {
    let platform = world.coder.organization("platform").await.expect("the organization");
    format!("/organizations/{}/{rest}", platform["id"].as_str().unwrap())
}

async fn acl(world: &World) -> String {
    let templates = world.coder.get(&path(world, "templates").await).await;
    format!("/templates/{}/acl", templates[0]["id"].as_str().unwrap())
}

/// The roles of people and groups that Coder shows, as `name:role`.
async fn roles(world: &World) -> Vec<String> {
    let access = world.coder.get(&acl(world).await).await;
    let named = |list: &str, name: &str| -> Vec<String> {
        let entries = access[list].as_array().unwrap().iter();
        entries
            .map(|one| format!("{}:{}", one[name].as_str().unwrap(), one["role"].as_str().unwrap()))
            .collect()
    };
    let mut roles = [named("users", "username"), named("group", "name")].concat();
    roles.sort();
    roles
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({ "organization": "platform", "template": "web" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_becomes_private_is_opened_again_and_waits_for_what_is_not_there() {
    simulated_only!("names of its own");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("access-private", profile).await;
        world
            .apply::<CoderTemplateAccess>("web", spec(&json!({ "groups": { "backend": "Use" } })))
            .await;
        let object = world.wait("web", ready::<CoderTemplateAccess>).await;
        assert_eq!(roles(&world).await, ["backend:use"]);
        assert_eq!(object.status.unwrap().group_count, Some(1));
        let opened = json!({ "groups": { "Everyone": "Use", "later": "Admin" } });
        world.apply::<CoderTemplateAccess>("web", spec(&opened)).await;
        let object = world
            .wait("web", waiting::<CoderTemplateAccess>("DependencyNotReady"))
            .await;
        assert!(message(&object, "Ready").contains("no group loses its role until they are: later"));
        assert_eq!(roles(&world).await, ["Everyone:use", "backend:use"]);
        world.coder.sim().create_group("platform", "later");
        world.wait("web", ready::<CoderTemplateAccess>).await;
        assert_eq!(roles(&world).await, ["Everyone:use", "later:admin"]);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_yet_holds_up_nobody_and_a_missing_template_is_waited_for() {
    simulated_only!("names of its own");
    let world = world("access-pending", Profile::Main).await;
    let mut later = spec(&json!({ "users": { "ann@example.com": "Admin", "carl": "Use" } }));
    later["template"] = json!("other");
    world.apply::<CoderTemplateAccess>("other", later).await;
    let object = world
        .wait("other", waiting::<CoderTemplateAccess>("DependencyNotReady"))
        .await;
    assert!(message(&object, "Ready").contains("template other does not exist"));
    world.coder.sim().create_template("platform", "other");
    // Deprecated templates are in no plain list of newer servers.
    world.coder.sim().edit_template("platform", "other", |template| {
        template.deprecation_message = "use web".to_owned();
    });
    let pending = |object: &CoderTemplateAccess| condition(object, "UsersPending").is_some() && ready(object);
    let object = world.wait("other", pending).await;
    let status = object.status.unwrap();
    assert_eq!(
        (status.pending_users, status.user_count),
        (vec!["carl".to_owned()], Some(1))
    );
    let joined = path(&world, "members/carl").await;
    world.coder.change(Method::POST, &joined, json!({})).await;
    let done = |object: &CoderTemplateAccess| {
        let count = object.status.as_ref().and_then(|status| status.user_count);
        count == Some(2) && condition(object, "UsersPending").is_none()
    };
    world.wait("other", done).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_is_given_a_role_once_and_looked_at_again_afterwards() {
    simulated_only!("the journal tells what was written");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("access-suspended", profile).await;
        let suspend = |how: &'static str| world.coder.change(Method::PUT, how, json!({}));
        suspend("/users/ann/status/suspend").await;
        let mark = world.coder.sim().journal().mark();
        let wanted = json!({ "users": { "ann": "Use", "bob": "Use" } });
        world.apply::<CoderTemplateAccess>("web", spec(&wanted)).await;
        let object = world.wait("web", ready::<CoderTemplateAccess>).await;
        assert_eq!(object.status.unwrap().hidden_users.len(), 1);
        world.coder.looks(2).await;
        assert_eq!(
            world.coder.writes_since(mark).len(),
            1,
            "{:?}",
            world.coder.writes_since(mark)
        );
        suspend("/users/ann/status/activate").await;
        let shown = |object: &CoderTemplateAccess| {
            let status = object.status.as_ref().unwrap();
            status.hidden_users.is_empty() && status.user_count == Some(2)
        };
        world.wait("web", shown).await;
        assert_eq!(roles(&world).await, ["Everyone:use", "ann:use", "bob:use"]);
        assert_eq!(world.coder.writes_since(mark).len(), 1);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_others_it_takes_away_only_what_it_gave() {
    simulated_only!("names of its own");
    let world = world("access-beside", Profile::Main).await;
    let ops = world.coder.group("platform", "ops").await.unwrap()["id"].clone();
    let mut theirs = serde_json::Map::new();
    theirs.insert(ops.as_str().unwrap().to_owned(), json!("admin"));
    let path = acl(&world).await;
    world
        .coder
        .change(Method::PATCH, &path, json!({ "group_perms": theirs }))
        .await;
    let beside = |groups: Value| {
        spec(
            &json!({ "accessPolicy": "AtLeast", "deletionPolicy": "Delete", "groups": groups, "users": { "bob": "Use" } }),
        )
    };
    world
        .apply::<CoderTemplateAccess>("web", beside(json!({ "backend": "Use" })))
        .await;
    world.wait("web", ready::<CoderTemplateAccess>).await;
    assert_eq!(
        roles(&world).await,
        ["Everyone:use", "backend:use", "bob:use", "ops:admin"]
    );
    world.apply::<CoderTemplateAccess>("web", beside(json!({}))).await;
    world
        .until("what is named no more is taken away", async || {
            roles(&world).await == ["Everyone:use", "bob:use", "ops:admin"]
        })
        .await;
    world.delete::<CoderTemplateAccess>("web").await;
    world.gone::<CoderTemplateAccess>("web").await;
    assert_eq!(roles(&world).await, ["Everyone:use", "ops:admin"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_takes_away_what_was_given_when_told_and_never_opens_a_template() {
    simulated_only!("names of its own");
    let world = world("access-delete", Profile::Main).await;
    let wanted = json!({ "deletionPolicy": "Delete", "groups": { "backend": "Use" } });
    world.apply::<CoderTemplateAccess>("web", spec(&wanted)).await;
    world.wait("web", ready::<CoderTemplateAccess>).await;
    world.delete::<CoderTemplateAccess>("web").await;
    world.gone::<CoderTemplateAccess>("web").await;
    assert_eq!(roles(&world).await, [""; 0]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_licence_it_waits_and_with_it_goes_on() {
    simulated_only!("licences");
    let sim = coder_sim::Sim::builder(Profile::Main)
        .licensed(false)
        .users(["ann"])
        .start()
        .await;
    let world = World::with("access-unlicensed", Coder::of(sim), json!({ "resyncInterval": "1s" })).await;
    world.coder.sim().create_template("default", "web");
    let wanted = json!({ "organization": "default", "template": "web", "users": { "ann": "Use" } });
    world.apply::<CoderTemplateAccess>("web", wanted).await;
    world.wait("web", waiting::<CoderTemplateAccess>("NotEntitled")).await;
    let license = coder_sim::license::mint(&coder_sim::LicenseSpec::premium(world.coder.sim().clock().now()));
    world
        .coder
        .change(Method::POST, "/licenses", json!({ "license": license }))
        .await;
    world.wait("web", ready::<CoderTemplateAccess>).await;
    world.finish().await;
}
