//! The test ground is what every other test stands on, so it is tested on its own: that it is real, that it refuses
//! what a cluster refuses, that its controllers do their work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, also in the helpers of one"
)]

use std::{path::Path, time::Duration};

use k8s_openapi::{
    api::{
        authentication::v1::SelfSubjectReview,
        core::v1::{ConfigMap, Namespace, Secret, ServiceAccount},
        rbac::v1::{ClusterRole, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::json;
use test_ground::{ControlPlane, Error, EtcdRaw, User, install_crds, tools};

/// Long enough for a busy machine; only a failing test waits that long.
const SOON: Duration = Duration::from_secs(30);
const FINALIZER: &str = "example.com/hold";

async fn ground() -> &'static ControlPlane {
    ControlPlane::shared().await.unwrap()
}

/// Builds any Kubernetes type from JSON.
fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str, finalizers: &[&str]) -> ConfigMap {
    from(json!({"metadata": {"name": name, "finalizers": finalizers}}))
}

async fn create<K>(api: &Api<K>, object: &K) -> K
where
    K: kube::Resource + Clone + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    api.create(&PostParams::default(), object).await.unwrap()
}

fn status_code(result: Result<impl std::fmt::Debug, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_api_server_tells_the_version_it_was_built_from() {
    if std::env::var_os("KUBEBUILDER_ASSETS").is_some() {
        return;
    }
    let version = ground().await.admin().unwrap().apiserver_version().await.unwrap();
    let pinned = tools::KUBE_APISERVER.version().unwrap();
    assert_eq!(version.git_version, pinned);
    assert!(pinned.starts_with(&format!("v{}.{}.", version.major, version.minor)));
}

#[tokio::test]
async fn rights_come_from_role_bindings_alone() {
    let ground = ground().await;
    let namespace = ground.namespace("rights").await.unwrap();
    let admin = ground.admin().unwrap();
    let maps = |client: Client| Api::<ConfigMap>::namespaced(client, namespace.name());
    for user in [User::OPERATOR].iter().chain(&User::ORDINARY) {
        let refused = maps(ground.client(user).unwrap()).list(&ListParams::default()).await;
        assert_eq!(status_code(refused), 403, "{user}");
    }

    let role = namespace.name();
    let reader: ClusterRole = from(json!({
        "metadata": {"name": role}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    }));
    create(&Api::all(admin.clone()), &reader).await;
    let binding: RoleBinding = from(json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": User::OPERATOR}],
    }));
    create(&Api::namespaced(admin, namespace.name()), &binding).await;
    // The authorizer reads bindings from a cache.
    let operator = maps(ground.operator().unwrap());
    tokio::time::timeout(SOON, async {
        while operator.list(&ListParams::default()).await.is_err() {}
    })
    .await
    .expect("the binding takes effect");
    assert_eq!(
        status_code(operator.create(&PostParams::default(), &config_map("a", &[])).await),
        403
    );
}

#[tokio::test]
async fn the_kubeconfig_file_of_a_user_is_that_user() {
    let ground = ground().await;
    let path = ground.kubeconfig("alice").unwrap();
    assert_eq!(who_is(&path).await.unwrap(), "alice");
    assert!(matches!(ground.client("mallory"), Err(Error::UnknownUser(name)) if name == "mallory"));
}

#[tokio::test]
async fn an_object_that_the_api_server_would_refuse_can_be_stored() {
    let ground = ground().await;
    let client = ground.admin().unwrap();
    let (definition, gadgets) = gadgets("stored");
    let definitions = [definition];
    install_crds(&client, &definitions).await.unwrap();
    // Again, and at once: tests install the same definitions at the same time.
    let (first, second) = tokio::join!(install_crds(&client, &definitions), install_crds(&client, &definitions));
    first.and(second).unwrap();

    let namespace = ground.namespace("stored").await.unwrap();
    let api = Api::<DynamicObject>::namespaced_with(client, namespace.name(), &gadgets);
    let broken = json!({
        "apiVersion": gadgets.api_version, "kind": gadgets.kind, "spec": {"size": "not a number"},
        "metadata": {
            "name": "old", "namespace": namespace.name(), "uid": "6c4ef3d1-6a1b-4a3e-9d43-0c6a3f6f2f10",
            "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 1,
        },
    });
    let mut refused: DynamicObject = from(broken.clone());
    refused.metadata.uid = None;
    assert_eq!(status_code(api.create(&PostParams::default(), &refused).await), 422);

    let etcd = ground.etcd().unwrap();
    let key = EtcdRaw::custom_resource_key(&gadgets.group, &gadgets.plural, namespace.name(), "old");
    etcd.put_json(&key, &broken).await.unwrap();
    assert_eq!(api.get("old").await.unwrap().data["spec"]["size"], "not a number");
    assert_eq!(etcd.get_json(&key).await.unwrap(), Some(broken));
    let prefix = key.strip_suffix("old").unwrap();
    assert_eq!(etcd.keys(prefix).await.unwrap(), [key.as_str()]);
    etcd.delete(&key).await.unwrap();
    assert_eq!(etcd.get(&key).await.unwrap(), None);
    assert!(api.get_opt("old").await.unwrap().is_none());
}

/// A kind of its own for each test, since definitions belong to the whole cluster.
fn gadgets(test: &str) -> (CustomResourceDefinition, ApiResource) {
    let group = format!("{test}.example.com");
    let definition = from(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": "Gadget", "plural": "gadgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                },
            }}}],
        },
    }));
    let kind = GroupVersionKind::gvk(&group, "v1", "Gadget");
    (definition, ApiResource::from_gvk_with_plural(&kind, "gadgets"))
}

#[tokio::test]
async fn a_namespace_goes_with_everything_in_it() {
    let ground = ground().await;
    let client = ground.admin().unwrap();
    let (definition, gadgets) = gadgets("whole");
    install_crds(&client, &[definition]).await.unwrap();
    let namespace = ground.namespace("whole").await.unwrap();
    let gadgets = Api::<DynamicObject>::namespaced_with(client.clone(), namespace.name(), &gadgets);
    let gadget = from(json!({"apiVersion": "whole.example.com/v1", "kind": "Gadget", "metadata": {"name": "a"}}));
    create(&gadgets, &gadget).await;
    let secret: Secret = from(json!({"metadata": {"name": "a"}, "stringData": {"token": "t"}}));
    create(&Api::namespaced(client.clone(), namespace.name()), &secret).await;

    namespace.delete().await.unwrap();
    namespace.gone(SOON).await.unwrap();
    let left = ground.etcd().unwrap().keys("/registry/").await.unwrap();
    assert!(!left.iter().any(|key| key.contains(namespace.name())), "{left:?}");
    // There is nothing to delete any more, and that is no error.
    namespace.delete().await.unwrap();
    namespace.finish().await.unwrap();
}

#[tokio::test]
async fn a_finalizer_holds_the_namespace_and_its_removal_lets_it_go() {
    let ground = ground().await;
    let client = ground.admin().unwrap();
    let namespace = ground.namespace("held").await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), namespace.name());
    create(&maps, &config_map("held", &[FINALIZER])).await;
    create(&maps, &config_map("free", &[])).await;

    namespace.delete().await.unwrap();
    let late = maps.create(&PostParams::default(), &config_map("late", &[])).await;
    assert_eq!(status_code(late), 403);
    let freed = await_condition(maps.clone(), "free", |object: Option<&ConfigMap>| object.is_none());
    tokio::time::timeout(SOON, freed).await.unwrap().unwrap();
    let told = |object: Option<&Namespace>| {
        let status = object.and_then(|it| it.status.as_ref());
        let mut conditions = status.into_iter().flat_map(|it| it.conditions.iter().flatten());
        conditions.any(|it| it.type_ == "NamespaceFinalizersRemaining" && it.status == "True")
    };
    let told = await_condition(Api::<Namespace>::all(client), namespace.name(), told);
    tokio::time::timeout(SOON, told).await.unwrap().unwrap();
    let Err(Error::Timeout { last, .. }) = namespace.gone(Duration::ZERO).await else {
        panic!("the namespace went although an object has a finalizer");
    };
    assert!(last.contains(FINALIZER), "{last}");

    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &none).await.unwrap();
    namespace.gone(SOON).await.unwrap();
}

#[tokio::test]
async fn what_a_test_deletes_first_is_gone_while_the_namespace_controller_still_waits() {
    let ground = ground().await;
    let client = ground.admin().unwrap();
    let namespace = ground.namespace("order").await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), namespace.name());
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace.name());
    let finalizers = [FINALIZER];
    create(&maps, &config_map("a", &finalizers)).await;
    let secret = json!({"metadata": {"name": "a", "finalizers": finalizers}});
    create(&secrets, &from(secret)).await;
    namespace.delete().await.unwrap();
    namespace.delete_all::<Secret>().await.unwrap();
    let marked = |object: Option<&ConfigMap>| object.is_some_and(|it| it.metadata.deletion_timestamp.is_some());
    tokio::time::timeout(SOON, await_condition(maps.clone(), "a", marked))
        .await
        .unwrap()
        .unwrap();
    let stamp = |metadata: kube::api::ObjectMeta| metadata.resource_version.unwrap().parse::<u64>().unwrap();
    let (map, secret) = (maps.get("a").await.unwrap(), secrets.get("a").await.unwrap());
    assert!(stamp(secret.metadata) < stamp(map.metadata));
}

#[tokio::test]
async fn finishing_a_namespace_waits_for_finalizers_and_says_which() {
    let ground = ground().await;
    let client = ground.admin().unwrap();
    let (definition, gadgets) = gadgets("finish");
    install_crds(&client, &[definition]).await.unwrap();
    let namespace = ground.namespace("finish").await.unwrap();
    let gadgets = Api::<DynamicObject>::namespaced_with(client.clone(), namespace.name(), &gadgets);
    let metadata = json!({"name": "a", "finalizers": [FINALIZER]});
    let gadget = from(json!({"apiVersion": "finish.example.com/v1", "kind": "Gadget", "metadata": metadata}));
    create(&gadgets, &gadget).await;

    let marked = |object: Option<&DynamicObject>| object.is_some_and(|it| it.metadata.deletion_timestamp.is_some());
    let finishing = tokio::spawn(namespace.finish());
    tokio::time::timeout(SOON, await_condition(gadgets.clone(), "a", marked))
        .await
        .unwrap()
        .unwrap();
    assert!(!finishing.is_finished());
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    gadgets.patch("a", &PatchParams::default(), &none).await.unwrap();
    finishing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dependent_is_collected_after_its_owner() {
    let ground = ground().await;
    let namespace = ground.namespace("dependent").await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(ground.admin().unwrap(), namespace.name());
    let owner = create(&maps, &config_map("owner", &[])).await;
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid});
    let dependent = json!({"metadata": {"name": "dependent", "ownerReferences": [reference]}});
    create(&maps, &from(dependent)).await;
    create(&maps, &config_map("other", &[])).await;
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    let collected = await_condition(maps.clone(), "dependent", |object: Option<&ConfigMap>| object.is_none());
    tokio::time::timeout(SOON, collected).await.unwrap().unwrap();
    maps.get("other").await.unwrap();
}

#[tokio::test]
async fn a_service_account_is_who_its_token_says_until_it_is_deleted() {
    let ground = ground().await;
    let namespace = ground.namespace("account").await.unwrap();
    let name = namespace.name();
    // One that a controller makes, as in every namespace.
    let accounts = Api::<ServiceAccount>::namespaced(ground.admin().unwrap(), name);
    let made = await_condition(accounts.clone(), "default", |it: Option<&ServiceAccount>| it.is_some());
    tokio::time::timeout(SOON, made).await.unwrap().unwrap();
    create(&accounts, &from(json!({"metadata": {"name": "robot"}}))).await;
    for account in ["default", "robot"] {
        let path = ground.service_account(name, account).await.unwrap();
        assert_eq!(
            who_is(&path).await.unwrap(),
            format!("system:serviceaccount:{name}:{account}")
        );
    }
    let path = ground.service_account(name, "robot").await.unwrap();
    accounts.delete("robot", &DeleteParams::default()).await.unwrap();
    tokio::time::timeout(SOON, async { while who_is(&path).await.is_ok() {} })
        .await
        .expect("the token ends");
    assert!(ground.service_account(name, "robot").await.unwrap_err().status_code() == Some(404));
}

/// The name that the API server knows the user of a kubeconfig file by.
async fn who_is(kubeconfig: &Path) -> kube::Result<String> {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .unwrap();
    let reviews = Api::<SelfSubjectReview>::all(Client::try_from(config).unwrap());
    let review = reviews
        .create(&PostParams::default(), &from(json!({"metadata": {}})))
        .await?;
    Ok(review.status.unwrap().user_info.unwrap().username.unwrap())
}

#[tokio::test]
async fn a_watch_sees_what_another_client_does() {
    let ground = ground().await;
    let namespace = ground.namespace("watch").await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(ground.admin().unwrap(), namespace.name());
    create(&maps, &config_map("a", &[])).await;
    let gone = await_condition(maps.clone(), "a", |object: Option<&ConfigMap>| object.is_none());
    let delete = DeleteParams::default();
    let (gone, deleted) = tokio::join!(tokio::time::timeout(SOON, gone), maps.delete("a", &delete));
    gone.unwrap().unwrap();
    deleted.unwrap();
}
