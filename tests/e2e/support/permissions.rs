//! The operator's identity: the service account of the chart, with what the chart gives it and nothing else.
//!
//! `CODER_E2E_PERMISSIONS=namespaces` gives it Roles in the namespaces that it watches instead of a `ClusterRole`. The tests
//! that delete whole namespaces cannot pass then: the Roles go with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use kube::api::DynamicObject;
use serde_json::{Value, json};
use test_ground::{ControlPlane, Helm, helm};

/// Release and namespace of the tests' operator.
pub(crate) const NAME: &str = "coder-operator";

static HELM: LazyLock<Helm> = LazyLock::new(|| Helm::new().expect("helm"));
/// The account's kubeconfig, by the directory of the control plane.
static KUBECONFIGS: LazyLock<Mutex<HashMap<PathBuf, PathBuf>>> = LazyLock::new(Mutex::default);

/// What the chart renders with these values.
pub(crate) async fn render(values: Value) -> Vec<DynamicObject> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/coder-operator");
    tokio::task::spawn_blocking(move || HELM.template(&chart, NAME, NAME, &values))
        .await
        .unwrap()
        .expect("the chart")
}

/// Installs account, roles and bindings of these objects.
pub(crate) async fn install(ground: &ControlPlane, objects: &[DynamicObject]) {
    let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAME } });
    let mut wanted: Vec<DynamicObject> = vec![serde_json::from_value(home).unwrap()];
    let identity = |object: &&DynamicObject| {
        let kind = &object.types.as_ref().unwrap().kind;
        kind == "ServiceAccount" || kind.ends_with("Role") || kind.ends_with("Binding")
    };
    wanted.extend(objects.iter().filter(identity).cloned());
    helm::apply(&ground.admin().unwrap(), &wanted)
        .await
        .expect("permissions");
}

/// A kubeconfig with a token of the account.
pub(crate) async fn token(ground: &ControlPlane) -> PathBuf {
    ground.service_account(NAME, NAME).await.expect("a token")
}

/// Gives the operator of a control plane what the chart gives it.
pub(super) async fn give(ground: &ControlPlane) {
    let values = if namespaced() {
        json!({ "watchNamespaces": [NAME] })
    } else {
        json!({ "secretNamespaces": ["*"] })
    };
    install(ground, &render(values).await).await;
    let kubeconfig = token(ground).await;
    let directory = ground.directory().to_owned();
    KUBECONFIGS.lock().unwrap().insert(directory, kubeconfig);
}

/// Lets it take part in an election in another namespace than that of the release.
pub(super) async fn elect(ground: &ControlPlane, namespace: &str) {
    let mut objects = render(json!({})).await;
    objects.retain(|object| object.metadata.name.as_ref().unwrap().ends_with("-leader"));
    for object in &mut objects {
        object.metadata.namespace = Some(namespace.to_owned());
    }
    helm::apply(&ground.admin().unwrap(), &objects)
        .await
        .expect("permissions");
}

/// How an operator that watches these namespaces reaches the API server.
pub(super) async fn kubeconfig(ground: &ControlPlane, namespaces: &[String]) -> PathBuf {
    if namespaced() && !namespaces.is_empty() {
        let objects = render(json!({ "watchNamespaces": namespaces })).await;
        install(ground, &objects).await;
    }
    let known = KUBECONFIGS.lock().unwrap().get(ground.directory()).cloned();
    known.expect("a control plane that was prepared")
}

fn namespaced() -> bool {
    std::env::var("CODER_E2E_PERMISSIONS").is_ok_and(|value| value == "namespaces")
}
