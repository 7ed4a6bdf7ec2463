//! What a real API server says to what the chart renders.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_ground::{ControlPlane, Options, helm, tools};

use crate::matrix::cases;
use crate::support::{NAMESPACE, kind, name, only, template};
use crate::templates::deployment;

/// The definitions of the Prometheus Operator, from its own module.
fn monitoring() -> Vec<CustomResourceDefinition> {
    let module = tools::module(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
    )
    .unwrap();
    ["servicemonitors", "prometheusrules"]
        .map(|plural| {
            let file = format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml");
            serde_yaml::from_str(&std::fs::read_to_string(module.join(file)).unwrap()).unwrap()
        })
        .into()
}

async fn namespace(client: &Client, name: &str, labels: Value) {
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    helm::apply(client, &[object]).await.unwrap();
}

/// All objects of all combinations, with unknown fields as errors: stricter than a schema, for it is the server that decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_takes_every_object_of_every_combination() {
    let ground = ControlPlane::start(Options::default()).await.unwrap();
    let client = ground.admin().unwrap();
    test_ground::install_crds(&client, &monitoring()).await.unwrap();
    for name in [NAMESPACE, "team-a", "team-b"] {
        namespace(&client, name, json!({})).await;
    }
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::apply("test").force().validation_strict()
    };
    let mut looked = 0;
    for (case, values) in cases() {
        for object in template(&values).unwrap() {
            let api = helm::api(&client, &object).unwrap();
            let answer = api.patch(name(&object), &parameters, &Patch::Apply(&object)).await;
            answer.unwrap_or_else(|error| panic!("{case}: {} {}: {error}", kind(&object), name(&object)));
            looked += 1;
        }
    }
    assert!(looked > 100, "only {looked} objects");
    a_restricted_namespace_takes_the_pods(&client).await;
}

async fn a_restricted_namespace_takes_the_pods(client: &Client) {
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    namespace(client, "restricted", labels).await;
    let account = |name: &str| ServiceAccount {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "restricted");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pods = Api::<Pod>::namespaced(client.clone(), "restricted");
    for (case, values) in cases() {
        let objects = template(&values).unwrap();
        let mut pod = pod_of(deployment(&objects));
        // Accounts and classes are not what this is about.
        let spec = pod.spec.as_mut().unwrap();
        spec.priority_class_name = None;
        let name = spec.service_account_name.clone().unwrap();
        let _ = accounts.create(&PostParams::default(), &account(&name)).await;
        pods.create(&dry, &pod)
            .await
            .unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    // The namespace does refuse what is not restricted.
    let mut pod = pod_of(deployment(&template(&json!({})).unwrap()));
    pod.spec.as_mut().unwrap().security_context = None;
    let refused = pods.create(&dry, &pod).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}

fn pod_of(deployment: Deployment) -> Pod {
    let template = deployment.spec.unwrap().template;
    Pod {
        metadata: ObjectMeta {
            name: Some("pod".to_owned()),
            ..template.metadata.unwrap()
        },
        spec: template.spec,
        ..Pod::default()
    }
}

/// Which account the Deployment uses is the one that the bindings bind.
#[test]
fn the_permissions_are_those_of_the_account_that_the_pods_use() {
    for (case, values) in cases()
        .into_iter()
        .filter(|(_, values)| values["rbac"]["create"] != json!(false))
    {
        let objects = template(&values).unwrap();
        let pod = deployment(&objects).spec.unwrap().template.spec.unwrap();
        let account = pod.service_account_name.unwrap();
        assert_eq!(name(only(&objects, "ServiceAccount")), account, "{case}");
        for binding in objects.iter().filter(|object| kind(object).ends_with("Binding")) {
            let subject = &binding.data["subjects"][0];
            assert_eq!(subject["name"], json!(account), "{case}: {}", name(binding));
            assert_eq!(subject["namespace"], json!(NAMESPACE), "{case}: {}", name(binding));
        }
    }
}
