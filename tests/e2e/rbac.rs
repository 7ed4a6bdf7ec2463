//! The permissions that `coder-operator rbac` prints: enough to work, and no more.

use std::process::Command;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use test_ground::{ControlPlane, Options};

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense, CoderOrganization, CoderWorkspaceProxy};
use coder_operator::crds;

use crate::support::{Coder, Operator, Settings, World, ready};

/// What RBAC calls the service account `coder-operator` in the namespace `coder-operator`.
const ACCOUNT: &str = "system:serviceaccount:coder-operator:coder-operator";

/// The names of the objects are those of a real installation, hence a cluster of its own. The test process keeps it; its
/// servers end with the process.
async fn cluster() -> &'static ControlPlane {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:coder-operator"];
    let ground = ControlPlane::start(Options::default().user(ACCOUNT, &groups))
        .await
        .expect("a control plane");
    test_ground::install_crds(&ground.admin().unwrap(), &crds::all())
        .await
        .expect("the definitions");
    Box::leak(Box::new(ground))
}

/// Gives the permissions that the binary prints for one namespace.
async fn permit(ground: &ControlPlane, watched: &str) {
    let printed = Command::new(env!("CARGO_BIN_EXE_coder-operator"))
        .args(["rbac", "--watch-namespace", watched])
        .output()
        .expect("the binary runs");
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).unwrap();
    let home = "apiVersion: v1\nkind: Namespace\nmetadata: {name: coder-operator}\n---\n".to_owned();
    for document in serde_yaml::Deserializer::from_str(&(home + &text)) {
        let object = Value::deserialize(document).unwrap();
        let parsed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let kind = GroupVersionKind::try_from(parsed.types.as_ref().unwrap()).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        let name = parsed.metadata.name.unwrap();
        let api: Api<DynamicObject> = match parsed.metadata.namespace {
            Some(namespace) => Api::namespaced_with(ground.admin().unwrap(), &namespace, &resource),
            None => Api::all_with(ground.admin().unwrap(), &resource),
        };
        let applied = api
            .patch(&name, &PatchParams::apply("test"), &Patch::Apply(&object))
            .await;
        applied.unwrap_or_else(|error| panic!("{object}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_permissions_for_one_namespace_are_enough_there_and_nothing_elsewhere() {
    let ground = cluster().await;
    let namespace = ground.namespace("rbac").await.unwrap();
    permit(ground, namespace.name()).await;
    let settings = Settings {
        election: Some(("coder-operator".to_owned(), 15)),
        user: ACCOUNT,
        ..Settings::watching(namespace.name())
    };
    let operator = Operator::start(ground, &settings).await;
    let world = World {
        ground,
        namespace,
        coder: Coder::any().await,
        operator,
        kube: ground.admin().unwrap(),
    };
    world.connect(world.ns(), "default", json!({})).await;
    world.wait::<CoderInstance>("default", ready).await;
    a_whole_life(&world).await;
    let refused: Vec<String> = world
        .operator
        .log()
        .lines()
        .filter(|line| line.to_lowercase().contains("forbidden"))
        .map(str::to_owned)
        .collect();
    assert!(refused.is_empty(), "the operator lacks permissions: {refused:#?}");
    nothing_elsewhere(&world).await;
    world.finish().await;
}

/// Every kind of write that the operator makes.
async fn a_whole_life(world: &World) {
    let (organization, proxy) = (world.name("rbac"), world.name("rbac-proxy"));
    let spec = json!({"name": organization, "displayName": "First", "deletionPolicy": "Delete"});
    world.apply::<CoderOrganization>("organization", spec).await;
    world
        .apply::<CoderGroup>("group", json!({"organizationRef": {"name": "organization"}}))
        .await;
    let spec = json!({
        "name": proxy, "displayName": "Paris", "icon": "/emojis/1f1eb-1f1f7.png", "tokenSecret": {"name": "proxy-token"},
    });
    world.apply::<CoderWorkspaceProxy>("proxy", spec).await;
    world.wait::<CoderGroup>("group", ready).await;
    world.wait::<CoderWorkspaceProxy>("proxy", ready).await;
    assert!(world.secret("proxy-token", "CODER_PROXY_SESSION_TOKEN").await.is_some());
    world.event("proxy", "Created", "create workspace proxy").await;
    // An existing Secret is written as well.
    world
        .annotate::<CoderWorkspaceProxy>("proxy", "coder-operator.dev/rotate", "now")
        .await;
    let rotated = |proxy: &CoderWorkspaceProxy| {
        proxy
            .status
            .as_ref()
            .is_some_and(|status| status.last_handled_rotate.as_deref() == Some("now"))
    };
    world.wait::<CoderWorkspaceProxy>("proxy", rotated).await;
    let spec = json!({"name": organization, "displayName": "Second", "deletionPolicy": "Delete"});
    world.apply::<CoderOrganization>("organization", spec).await;
    world
        .until("the display name changes", async || {
            world
                .coder
                .organization(&organization)
                .await
                .is_some_and(|one| one["display_name"] == "Second")
        })
        .await;
    world.delete::<CoderGroup>("group").await;
    world.gone::<CoderGroup>("group").await;
    world.delete::<CoderWorkspaceProxy>("proxy").await;
    world.gone::<CoderWorkspaceProxy>("proxy").await;
    world.delete::<CoderOrganization>("organization").await;
    world.gone::<CoderOrganization>("organization").await;
    assert!(world.coder.organization(&organization).await.is_none());
}

/// Another namespace is closed to it, and so is what it never does.
async fn nothing_elsewhere(world: &World) {
    let other = world.ground.namespace("rbac-other").await.unwrap();
    world.put_secret(other.name(), "private", &[("token", "secret")]).await;
    let client = world.ground.client(ACCOUNT).unwrap();
    let secrets = Api::<Secret>::namespaced(client.clone(), other.name());
    refused(secrets.get("private").await);
    refused(secrets.list_metadata(&ListParams::default()).await);
    refused(
        Api::<Secret>::all(client.clone())
            .list_metadata(&ListParams::default())
            .await,
    );
    refused(
        Api::<CoderGroup>::namespaced(client.clone(), other.name())
            .list(&ListParams::default())
            .await,
    );
    refused(
        Api::<CoderLicense>::all(client.clone())
            .list(&ListParams::default())
            .await,
    );
    let own = Api::<Secret>::namespaced(client, world.ns());
    own.get("default-token").await.expect("its own namespace is open to it");
    let nothing = Patch::Merge(json!({}));
    refused(own.patch("default-token", &PatchParams::default(), &nothing).await);
    let everything = kube::api::DeleteParams::default();
    refused(own.delete_collection(&everything, &ListParams::default()).await);
    other.finish().await.unwrap();
}

fn refused<T: std::fmt::Debug>(result: kube::Result<T>) {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        other => panic!("not refused: {other:?}"),
    }
}
