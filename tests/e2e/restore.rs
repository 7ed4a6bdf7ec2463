//! Custom resources that come back without their status: from a backup, or in a new cluster.

use std::fmt::Debug;

use coder_sim::license::mint;
use coder_sim::{LicenseSpec, Profile};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};

use coder_operator::api::Object;
use coder_operator::api::{
    CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy, Kind, ObjectStatus, Origin,
};

use crate::support::{AnyObject, Coder, World, condition, message, ready, simulated_only, stalled, waiting};

/// Takes an object away without letting the operator clean up, and creates it anew from its spec.
async fn restore<K: Object + AnyObject + Serialize + Debug>(world: &World, name: &str) {
    let api = world.api::<K>();
    let before = api.get(name).await.unwrap();
    let spec = serde_json::to_value(&before).unwrap()["spec"].clone();
    let release = json!({ "metadata": { "finalizers": null } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(release))
        .await
        .unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    world.gone::<K>(name).await;
    let restored = world.apply::<K>(name, spec).await;
    assert_ne!(restored.meta().uid, before.meta().uid);
}

async fn is_told_how_to_take_over<K: Kind + AnyObject + Debug>(world: &World, name: &str) {
    let object = world.wait(name, stalled::<K>("AlreadyExists")).await;
    let text = message(&object, "Stalled");
    assert!(text.contains("was not created by this object"), "{text}");
    assert!(
        text.contains("spec.defaults.adoptionPolicy of the CoderInstance does so for all"),
        "{text}"
    );
}

async fn is_taken_over<K: Kind + AnyObject + Debug>(world: &World, name: &str, id: &Value) {
    let object = world.wait(name, ready::<K>).await;
    let status = object.status().unwrap();
    assert_eq!(status.common().origin, Some(Origin::Adopted), "{name}");
    assert_eq!(serde_json::to_value(status).unwrap()["id"], *id, "{name}");
}

async fn id<K: Kind + AnyObject + Debug>(world: &World, name: &str) -> Value {
    let object = world.wait(name, ready::<K>).await;
    serde_json::to_value(object.status().unwrap()).unwrap()["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_without_status_destroys_and_duplicates_nothing_and_is_taken_over_on_request() {
    simulated_only!("it reads the journal of the server");
    let mut world = World::with("restore", Coder::simulated(Profile::Main).await, json!({})).await;
    let license = mint(&LicenseSpec::premium(Timestamp::now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    let organization = json!({
        "displayName": "Platform", "description": "Engineering", "everyoneQuotaAllowance": 5, "workspaceSharing": "None",
    });
    world.apply::<CoderOrganization>("platform", organization).await;
    let group = json!({ "organizationRef": { "name": "platform" }, "quotaAllowance": 7, "members": [] });
    world.apply::<CoderGroup>("backend", group).await;
    let plain = json!({ "organization": "default", "members": ["ann", "bob"] });
    world.apply::<CoderGroup>("plain", plain).await;
    world
        .apply::<CoderLicense>("license", json!({ "licenseSecretRef": { "name": "license" } }))
        .await;
    let proxy = json!({ "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" } });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    let platform = id::<CoderOrganization>(&world, "platform").await;
    let backend = id::<CoderGroup>(&world, "backend").await;
    let plain = id::<CoderGroup>(&world, "plain").await;
    let license = id::<CoderLicense>(&world, "license").await;
    let paris = id::<CoderWorkspaceProxy>(&world, "paris").await;
    let token = world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await.unwrap();
    let before = world.coder.sim().snapshot();
    let mark = world.coder.sim().journal().mark();

    world.kill_operator().await;
    restore::<CoderOrganization>(&world, "platform").await;
    restore::<CoderGroup>(&world, "backend").await;
    restore::<CoderGroup>(&world, "plain").await;
    restore::<CoderLicense>(&world, "license").await;
    restore::<CoderWorkspaceProxy>(&world, "paris").await;
    restore::<CoderInstance>(&world, "default").await;
    world
        .until(
            "Kubernetes collects what belonged to the object that is gone",
            async || world.api::<Secret>().get_opt("paris").await.unwrap().is_none(),
        )
        .await;
    world.restart_operator().await;

    is_told_how_to_take_over::<CoderOrganization>(&world, "platform").await;
    is_told_how_to_take_over::<CoderGroup>(&world, "plain").await;
    is_told_how_to_take_over::<CoderLicense>(&world, "license").await;
    is_told_how_to_take_over::<CoderWorkspaceProxy>(&world, "paris").await;
    world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());

    world
        .patch::<CoderInstance>("default", json!({ "defaults": { "adoptionPolicy": "IfExists" } }))
        .await;
    is_taken_over::<CoderOrganization>(&world, "platform", &platform).await;
    is_taken_over::<CoderGroup>(&world, "backend", &backend).await;
    is_taken_over::<CoderGroup>(&world, "plain", &plain).await;
    is_taken_over::<CoderLicense>(&world, "license", &license).await;
    is_taken_over::<CoderWorkspaceProxy>(&world, "paris", &paris).await;
    let proxy = world.api::<CoderWorkspaceProxy>().get("paris").await.unwrap();
    let note = condition(&proxy, "TokenNotIssued").unwrap();
    assert!(note.message.contains("coder-operator.dev/rotate"), "{}", note.message);
    assert!(world.coder.sim().proxy_token_valid(&token), "running proxies go on");
    assert!(
        world.coder.sim().journal().writes_since(mark).is_empty(),
        "what matches is not written"
    );
    assert_eq!(world.coder.sim().snapshot(), before);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_comes_back_with_its_secret_goes_on_with_its_token_and_issues_none_by_itself() {
    simulated_only!("it reads the journal of the server");
    let mut world = World::new("restore-proxy").await;
    let proxy = json!({ "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" } });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let token = world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await.unwrap();
    let secrets = world.api::<Secret>();
    let kept = secrets.get("paris").await.unwrap();
    let mark = world.coder.sim().journal().mark();

    world.kill_operator().await;
    restore::<CoderWorkspaceProxy>(&world, "paris").await;
    // As a backup brings it back: Kubernetes may have collected it, and its owner is the one of before.
    let _ = secrets.delete("paris", &DeleteParams::default()).await;
    let owner = json!([{
        "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderWorkspaceProxy", "name": "paris", "controller": true,
        "uid": kept.metadata.owner_references.as_ref().unwrap()[0].uid,
    }]);
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "data": kept.data,
        "metadata": { "name": "paris", "annotations": kept.metadata.annotations, "ownerReferences": owner },
    });
    world
        .patch::<CoderWorkspaceProxy>("paris", json!({ "adoptionPolicy": "IfExists" }))
        .await;
    world.restart_operator().await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let parameters = PatchParams::apply("backup").force();
    let issued = |object: &CoderWorkspaceProxy| condition(object, "TokenNotIssued").is_none() && ready(object);
    // The garbage collector takes what has an owner that is gone, unless the new one is quicker: the backup tries again.
    world
        .until("the Secret is taken over", async || {
            if secrets.get_opt("paris").await.unwrap().is_none() {
                let patch = Patch::Apply(body.clone());
                secrets.patch("paris", &parameters, &patch).await.unwrap();
            }
            issued(&world.api::<CoderWorkspaceProxy>().get("paris").await.unwrap())
        })
        .await;
    let object = world.wait("paris", issued).await;
    let now = secrets.get("paris").await.unwrap();
    assert_eq!(
        now.metadata.owner_references.unwrap()[0].uid,
        object.metadata.uid.unwrap()
    );
    assert_eq!(
        world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await.as_ref(),
        Some(&token)
    );

    // What this object did not issue, it does not issue anew unasked.
    secrets.delete("paris", &DeleteParams::default()).await.unwrap();
    let lost = |object: &CoderWorkspaceProxy| condition(object, "TokenNotIssued").is_some() && ready(object);
    world.wait("paris", lost).await;
    assert!(world.coder.sim().proxy_token_valid(&token));
    assert!(world.coder.sim().journal().writes_since(mark).is_empty());
    world.finish().await;
}
