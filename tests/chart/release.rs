//! A release from beginning to end on a real API server: what an upgrade brings, what a rollback takes away, what stays.

use std::path::Path;
use std::process::Output;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_ground::{ControlPlane, Options, User};

use coder_operator::api::CoderGroup;
use coder_operator::crds;

use crate::support::{HELM, NAMESPACE, RELEASE, chart};

const GROUPS: &str = "codergroups.coder-operator.dev";

struct Cluster {
    ground: ControlPlane,
    client: Client,
}

impl Cluster {
    async fn start() -> Self {
        let ground = ControlPlane::start(Options::default()).await.unwrap();
        let client = ground.admin().unwrap();
        Self { ground, client }
    }

    /// Runs helm against it.
    fn try_helm(&self, arguments: &[&str]) -> Output {
        let kubeconfig = self.ground.kubeconfig(User::ADMIN).unwrap();
        let mut command = HELM.command();
        command
            .env("KUBECONFIG", kubeconfig)
            .args(arguments)
            .args(["--namespace", NAMESPACE]);
        command.output().unwrap()
    }

    fn helm(&self, arguments: &[&str]) {
        let output = self.try_helm(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }

    /// Installs or upgrades.
    fn install(&self, chart: &Path, more: &[&str]) {
        let chart = chart.display().to_string();
        let arguments = ["upgrade", "--install", RELEASE, &chart, "--create-namespace"];
        self.helm(&[&arguments, more].concat());
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.client.clone())
    }

    fn groups(&self) -> Api<CoderGroup> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// What the server would keep of a group's quota.
    async fn quota(&self) -> Option<i64> {
        let spec = json!({ "organization": "default", "quotaAllowance": 7 });
        let group = CoderGroup::new("another", serde_json::from_value(spec).unwrap());
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let kept = self.groups().create(&parameters, &group).await.unwrap();
        serde_json::to_value(kept).unwrap()["spec"]["quotaAllowance"].as_i64()
    }

    /// Waits until the server has taken up a definition, which it does a moment after it was changed.
    async fn until_quota_is(&self, expected: Option<i64>) {
        let began = std::time::Instant::now();
        loop {
            let held = self.quota().await;
            if held == expected {
                return;
            }
            assert!(began.elapsed().as_secs() < 60, "the quota is {held:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

/// The chart as a version before might have been: without the quota of groups.
fn older() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&chart(), directory.path());
    let file = directory.path().join("files/crds/codergroups.yaml");
    let mut definition: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let spec = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let removed = spec["properties"].as_object_mut().unwrap().remove("quotaAllowance");
    assert!(removed.is_some());
    // In the order of the generated file, which begins with what the template looks for.
    let text = format!(
        "apiVersion: {}\nkind: {}\nmetadata:\n  name: {GROUPS}\nspec: {}\n",
        definition["apiVersion"].as_str().unwrap(),
        definition["kind"].as_str().unwrap(),
        definition["spec"],
    );
    std::fs::write(&file, text).unwrap();
    let file = directory.path().join("Chart.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\nversion: ", "\nversion: 0.0.1-")).unwrap();
    directory
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_brings_new_fields_a_rollback_takes_them_away_and_uninstalling_leaves_what_users_declared() {
    let cluster = Cluster::start().await;
    let older = older();
    cluster.install(older.path(), &[]);
    cluster.until_quota_is(None).await;
    let group = CoderGroup::new(
        "backend",
        serde_json::from_value(json!({ "organization": "default" })).unwrap(),
    );
    cluster.groups().create(&PostParams::default(), &group).await.unwrap();
    cluster.install(&chart(), &[]);
    cluster.until_quota_is(Some(7)).await;
    cluster.helm(&["rollback", RELEASE, "1"]);
    cluster.until_quota_is(None).await;
    cluster.install(&chart(), &["--set", "replicaCount=1"]);
    cluster.until_quota_is(Some(7)).await;
    is_small(&cluster).await;

    cluster.helm(&["uninstall", RELEASE]);
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), NAMESPACE);
    assert!(
        deployments
            .get_opt(RELEASE)
            .await
            .unwrap()
            .is_none_or(|it| it.metadata.deletion_timestamp.is_some())
    );
    let kept = cluster
        .groups()
        .get("backend")
        .await
        .expect("what users declared stays");
    assert!(kept.metadata.deletion_timestamp.is_none());
    // It comes back by the same command.
    cluster.install(&chart(), &[]);
    let again = cluster.groups().get("backend").await.unwrap();
    assert_eq!(again.metadata.uid, kept.metadata.uid);
}

/// Kubernetes stores no Secret larger than 1 MiB, and a release is one.
async fn is_small(cluster: &Cluster) {
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), NAMESPACE);
    let releases = secrets.list(&ListParams::default().labels("owner=helm")).await.unwrap();
    assert_eq!(releases.items.len(), 4);
    for release in releases {
        let size: usize = release.data.unwrap().values().map(|value| value.0.len()).sum();
        assert!(size < 512 * 1024, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_were_applied_by_other_means_are_taken_over_on_request() {
    let cluster = Cluster::start().await;
    test_ground::install_crds(&cluster.client, &crds::all()).await.unwrap();
    let chart = chart().display().to_string();
    let install = ["install", RELEASE, &chart, "--create-namespace"];
    let refused = cluster.try_helm(&install);
    assert!(
        !refused.status.success() && said(&refused).contains("coder-operator.dev\" in namespace \"\" exists"),
        "{}",
        said(&refused)
    );
    cluster.helm(&[&install[..], &["--take-ownership"]].concat());
    let definition = cluster.definitions().get(GROUPS).await.unwrap();
    let annotations = definition.metadata.annotations.unwrap();
    assert_eq!(annotations["meta.helm.sh/release-name"], RELEASE);
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    cluster.until_quota_is(Some(7)).await;

    // Who wants them gone says so first.
    cluster.helm(&["upgrade", RELEASE, &chart, "--set", "crds.keep=false"]);
    cluster.helm(&["uninstall", RELEASE]);
    let left = cluster
        .definitions()
        .list_metadata(&ListParams::default())
        .await
        .unwrap();
    let ours = left
        .items
        .iter()
        .filter(|it| it.metadata.name.as_ref().unwrap().ends_with("coder-operator.dev"));
    assert!(
        ours.clone().all(|it| it.metadata.deletion_timestamp.is_some()),
        "{:?}",
        ours.count()
    );
}
