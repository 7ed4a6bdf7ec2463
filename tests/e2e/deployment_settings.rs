//! The settings of a deployment.

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile, Sim};
use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::CoderDeploymentSettings;

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

async fn world(test: &str, coder: Coder) -> World {
    World::with(test, coder, json!({ "resyncInterval": "1s" })).await
}

async fn method_of(world: &World, template: &str) -> Value {
    let templates = world.coder.get("/notifications/templates/system").await;
    let mut templates = templates.as_array().unwrap().iter();
    templates.find(|one| one["name"] == template).unwrap()["method"].clone()
}

fn banner(message: &str, enabled: bool) -> Value {
    json!({ "message": message, "backgroundColor": "#004852", "enabled": enabled })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_section_and_each_field_is_managed_by_itself() {
    simulated_only!("settings of the whole deployment");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world("settings-fields", Coder::simulated(profile).await).await;
        let theirs = json!({ "application_name": "Theirs", "logo_url": "https://theirs.example/l.svg" });
        world.coder.change(Method::PUT, "/appearance", theirs).await;
        let banners = [banner("Two", false), banner("One", true)];
        world
            .apply::<CoderDeploymentSettings>("it", json!({ "appearance": { "announcementBanners": banners } }))
            .await;
        world.wait("it", ready::<CoderDeploymentSettings>).await;
        let held = world.coder.get("/appearance").await;
        assert_eq!(held["application_name"], "Theirs");
        assert_eq!(held["logo_url"], "https://theirs.example/l.svg");
        let messages = |held: &Value| [0, 1].map(|at: usize| held["announcement_banners"][at]["message"].clone());
        assert_eq!(messages(&held), ["Two", "One"]);
        assert_eq!(
            world.coder.get("/notifications/settings").await,
            json!({ "notifier_paused": false })
        );

        // Another order is another value.
        let turned = [banner("One", true), banner("Two", false)];
        world
            .apply::<CoderDeploymentSettings>("it", json!({ "appearance": { "announcementBanners": turned } }))
            .await;
        world
            .until("the banners are turned", async || {
                messages(&world.coder.get("/appearance").await) == ["One", "Two"]
            })
            .await;

        // What is managed no more stays, and is said until the empty list is applied.
        world
            .apply::<CoderDeploymentSettings>("it", json!({ "health": { "dismissed": ["Websocket", "DERP"] } }))
            .await;
        let unmanaged = |object: &CoderDeploymentSettings| condition(object, "Unmanaged").is_some() && ready(object);
        let object = world.wait("it", unmanaged).await;
        assert!(message(&object, "Unmanaged").contains("appearance.announcementBanners"));
        let dismissed = world.coder.get("/debug/health/settings").await;
        assert_eq!(dismissed["dismissed_healthchecks"], json!(["DERP", "Websocket"]));
        let emptied = json!({ "appearance": { "announcementBanners": [] }, "health": { "dismissed": ["DERP"] } });
        world.apply::<CoderDeploymentSettings>("it", emptied).await;
        let managed = |object: &CoderDeploymentSettings| condition(object, "Unmanaged").is_none() && ready(object);
        world.wait("it", managed).await;
        let held = world.coder.get("/appearance").await;
        assert_eq!(held["announcement_banners"], json!([]));
        assert_eq!(held["application_name"], "Theirs");
        world.delete::<CoderDeploymentSettings>("it").await;
        world.gone::<CoderDeploymentSettings>("it").await;
        let dismissed = world.coder.get("/debug/health/settings").await;
        assert_eq!(dismissed["dismissed_healthchecks"], json!([]));
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_licence_the_appearance_is_neither_compared_nor_overwritten_and_the_rest_is_applied() {
    simulated_only!("licences");
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let world = world("settings-unlicensed", Coder::of(sim)).await;
    let theirs = json!({ "application_name": "Theirs" });
    world.coder.change(Method::PUT, "/appearance", theirs).await;
    let mark = world.coder.sim().journal().mark();
    let spec = json!({
        "appearance": { "logoURL": "https://acme.example/l.svg" }, "prebuilds": { "paused": true },
        "notifications": { "paused": true },
    });
    world.apply::<CoderDeploymentSettings>("it", spec).await;
    let object = world
        .wait("it", waiting::<CoderDeploymentSettings>("NotEntitled"))
        .await;
    let said = message(&object, "Ready");
    assert!(said.contains("appearance: the licence lacks appearance"), "{said}");
    assert!(said.contains("prebuilds: "), "{said}");
    assert_eq!(object.status.unwrap().managed, ["notifications.paused"]);
    assert_eq!(world.coder.writes_since(mark), ["PUT /api/v2/notifications/settings"]);

    let license = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world
        .coder
        .change(Method::POST, "/licenses", json!({ "license": license }))
        .await;
    world.wait("it", ready::<CoderDeploymentSettings>).await;
    let held = world.coder.get("/appearance").await;
    assert_eq!(held["application_name"], "Theirs", "what is not managed was not overwritten");
    assert_eq!(held["logo_url"], "https://acme.example/l.svg");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_server_does_not_have_is_said_and_the_rest_is_applied() {
    simulated_only!("an old server");
    let world = world("settings-old", Coder::simulated(Profile::V2_16_1).await).await;
    let spec = json!({ "prebuilds": { "paused": true }, "notifications": { "paused": true } });
    world.apply::<CoderDeploymentSettings>("it", spec).await;
    let object = world
        .wait("it", stalled::<CoderDeploymentSettings>("Unsupported"))
        .await;
    assert!(message(&object, "Stalled").contains("prebuilds: needs Coder v2.25"));
    assert_eq!(
        world.coder.get("/notifications/settings").await,
        json!({ "notifier_paused": true })
    );
    let spec = json!({ "notifications": { "paused": true, "methods": { "Workspace Deleted": "Inbox" } } });
    world.apply::<CoderDeploymentSettings>("it", spec).await;
    let object = world.wait("it", stalled::<CoderDeploymentSettings>("Rejected")).await;
    assert!(message(&object, "Stalled").contains("not a valid method"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_set_by_name_kept_on_deletion_and_unknown_templates_are_named() {
    simulated_only!("settings of the whole deployment");
    let world = world("settings-methods", Coder::simulated(Profile::Main).await).await;
    let spec = |more: Value| {
        let mut methods = json!({ "Workspace Deleted": "Webhook" });
        methods.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "notifications": { "methods": methods } })
    };
    world
        .apply::<CoderDeploymentSettings>("it", spec(json!({ "No Such Thing": "Smtp" })))
        .await;
    let object = world
        .wait("it", stalled::<CoderDeploymentSettings>("InvalidSpec"))
        .await;
    let said = message(&object, "Stalled");
    assert!(said.contains("no template No Such Thing; it has ") && said.contains("Workspace Deleted"), "{said}");
    assert_eq!(method_of(&world, "Workspace Deleted").await, "webhook");
    world.apply::<CoderDeploymentSettings>("it", spec(json!({}))).await;
    world.wait("it", ready::<CoderDeploymentSettings>).await;
    world.delete::<CoderDeploymentSettings>("it").await;
    world.gone::<CoderDeploymentSettings>("it").await;
    assert_eq!(method_of(&world, "Workspace Deleted").await, "webhook");
    world.finish().await;
}
