//! A namespace goes with everything in it, the connection and its Secret included, in whatever order.

use std::fmt::Debug;

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy, Object};

use crate::support::{AnyObject, Coder, PATIENCE, World, blocked, message, ready, simulated_only};

/// Organization, a group in it, licence and proxy, all to be deleted in Coder.
async fn full(test: &str) -> World {
    let world = World::with(test, Coder::simulated(Profile::Main).await, json!({})).await;
    let license = mint(&LicenseSpec {
        account_id: "ours".into(),
        ..LicenseSpec::premium(Timestamp::now())
    });
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    world
        .apply::<CoderOrganization>("organization", json!({ "deletionPolicy": "Delete" }))
        .await;
    let group = json!({ "organizationRef": { "name": "organization" }, "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("group", group).await;
    let license = json!({ "licenseSecretRef": { "name": "license" }, "deletionPolicy": "Delete" });
    world.apply::<CoderLicense>("license", license).await;
    let proxy = json!({
        "displayName": "Proxy", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "proxy" }, "deletionPolicy": "Delete",
    });
    world.apply::<CoderWorkspaceProxy>("proxy", proxy).await;
    world.wait("group", ready::<CoderGroup>).await;
    world.wait("license", ready::<CoderLicense>).await;
    world.wait("proxy", ready::<CoderWorkspaceProxy>).await;
    world
}

/// After the namespace controller has done its work.
async fn nothing_is_left(world: &World) {
    world.namespace.gone(PATIENCE).await.unwrap();
    let sim = world.coder.sim();
    assert!(sim.organization("organization").is_none());
    assert!(sim.groups().iter().all(|group| group.name != "group"));
    assert!(
        sim.licenses()
            .iter()
            .all(|license| license.claims["account_id"] != "ours")
    );
    assert!(sim.proxy("proxy").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_it_goes_in_whatever_order() {
    simulated_only!("it needs licences that the server takes");
    let world = full("namespace-whole").await;
    world.namespace.delete().await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_secrets_go_first() {
    simulated_only!("it needs licences that the server takes");
    let world = full("namespace-secrets").await;
    world.namespace.delete().await.unwrap();
    world.namespace.delete_all::<Secret>().await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_secrets_went_before_the_namespace() {
    simulated_only!("it needs licences that the server takes");
    let world = full("namespace-unprepared").await;
    world.namespace.delete_all::<Secret>().await.unwrap();
    world.namespace.delete().await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_secrets_go_last() {
    simulated_only!("it needs licences that the server takes");
    let world = full("namespace-reverse").await;
    let namespace = &world.namespace;
    namespace.delete().await.unwrap();
    namespace.delete_all::<CoderWorkspaceProxy>().await.unwrap();
    namespace.delete_all::<CoderOrganization>().await.unwrap();
    namespace.delete_all::<CoderLicense>().await.unwrap();
    namespace.delete_all::<CoderInstance>().await.unwrap();
    namespace.delete_all::<CoderGroup>().await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_secrets_and_connection_go_first() {
    simulated_only!("it needs licences that the server takes");
    let world = full("namespace-connection").await;
    world.namespace.delete().await.unwrap();
    world.namespace.delete_all::<Secret>().await.unwrap();
    world.namespace.delete_all::<CoderInstance>().await.unwrap();
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_starts_in_the_middle_without_the_token_says_the_way_out() {
    simulated_only!("it needs licences that the server takes");
    let mut world = full("namespace-restart").await;
    world.kill_operator().await;
    // Without the operator nothing with a finalizer goes: all of it is marked, the Secrets are gone.
    let namespace = world.namespace.clone();
    namespace.delete().await.unwrap();
    namespace.delete_all::<CoderInstance>().await.unwrap();
    namespace.delete_all::<Secret>().await.unwrap();
    marked::<CoderInstance>(&world, "default").await;
    marked::<CoderOrganization>(&world, "organization").await;
    marked::<CoderGroup>(&world, "group").await;
    marked::<CoderLicense>(&world, "license").await;
    marked::<CoderWorkspaceProxy>(&world, "proxy").await;
    assert!(world.secret("default-token", "token").await.is_none());
    // Its token is gone with the Secrets: nothing can be deleted any more, and that is said.
    world.restart_operator().await;
    let proxy = world
        .wait("proxy", blocked::<CoderWorkspaceProxy>("InstanceNotReady"))
        .await;
    let text = message(&proxy, "DeletionBlocked");
    assert!(
        text.contains("SecretNotFound") && text.contains("set deletionPolicy: Orphan"),
        "{text}"
    );
    let_all_go(&world).await;
    namespace.gone(PATIENCE).await.unwrap();
    assert!(world.coder.sim().proxy("proxy").is_some());
}

async fn marked<K: Object + Debug + AnyObject>(world: &World, name: &str) {
    world
        .wait::<K>(name, |object| object.meta().deletion_timestamp.is_some())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_living_server_the_objects_say_the_way_out_and_orphan_lets_all_go() {
    simulated_only!("it takes the server away");
    let world = full("namespace-dead").await;
    world.coder.sim().stop().await;
    world.namespace.delete().await.unwrap();
    world.namespace.delete_all::<Secret>().await.unwrap();
    let proxy = world.wait("proxy", blocked::<CoderWorkspaceProxy>("Unreachable")).await;
    let group = world.wait("group", blocked::<CoderGroup>("Unreachable")).await;
    let license = world.wait("license", blocked::<CoderLicense>("Unreachable")).await;
    for text in [
        message(&proxy, "Ready"),
        message(&group, "Ready"),
        message(&license, "Ready"),
    ] {
        assert!(
            text.contains("to let go without Coder, set deletionPolicy: Orphan"),
            "{text}"
        );
    }
    let organization = world
        .wait("organization", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    assert!(message(&organization, "Ready").contains(&format!("CoderGroup {}/group", world.ns())));
    let_all_go(&world).await;
    world.namespace.gone(PATIENCE).await.unwrap();
    world.coder.sim().restart().await;
    assert!(world.coder.sim().organization("organization").is_some());
    assert!(world.coder.sim().proxy("proxy").is_some());
}

async fn let_all_go(world: &World) {
    let orphan = || json!({ "deletionPolicy": "Orphan" });
    world.patch::<CoderGroup>("group", orphan()).await;
    world.patch::<CoderLicense>("license", orphan()).await;
    world.patch::<CoderWorkspaceProxy>("proxy", orphan()).await;
    world.patch::<CoderOrganization>("organization", orphan()).await;
}
