//! The examples on a real API server, and the quickstart with an operator.

use std::path::{Path, PathBuf};

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, CoderWorkspaceProxy};
use coder_operator::crds;

use crate::support::{Coder, Operator, Settings, World, cluster, condition, ready, simulated_only};

/// The documents of an example, in the order in which kubectl applies a folder.
pub(crate) fn documents(folder: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let parse = |text: String| {
        let parsed = serde_yaml::Deserializer::from_str(&text);
        parsed
            .map(|document| Value::deserialize(document).unwrap())
            .collect::<Vec<_>>()
    };
    files.iter().map(text).flat_map(parse).collect()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// How the kind is called in paths, as its definition says if it is one of ours.
pub(crate) fn resource(kind: &GroupVersionKind) -> ApiResource {
    let definitions = crds::all();
    let ours = definitions
        .iter()
        .find(|definition| definition.spec.names.kind == kind.kind);
    match ours {
        Some(definition) => ApiResource::from_gvk_with_plural(kind, &definition.spec.names.plural),
        None => ApiResource::from_gvk(kind),
    }
}

fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let types: kube::core::TypeMeta = serde_json::from_value(object.clone()).unwrap();
    let kind = GroupVersionKind::try_from(&types).unwrap();
    let resource = resource(&kind);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_each_example_as_it_is_written() {
    let client = cluster().await.admin().unwrap();
    let mut tried = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        for document in documents(&entry.unwrap().path()) {
            let name = document["metadata"]["name"].as_str().unwrap().to_owned();
            let api = api(&client, &document);
            if document["kind"] == "Namespace" {
                // The one thing that must be there for the rest to be tried.
                let applied = api
                    .patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&document))
                    .await;
                applied.unwrap_or_else(|error| panic!("{document}: {error}"));
                continue;
            }
            let mut strict = PatchParams::apply("test").validation_strict();
            strict.dry_run = true;
            let taken = api.patch(&name, &strict, &Patch::Apply(&document)).await;
            taken.unwrap_or_else(|error| panic!("{document}: {error}"));
            tried += 1;
        }
    }
    assert!(tried > 0);
}

/// As a demonstration does it: the files as they are, but for where Coder is.
#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_ends_with_everything_ready() {
    simulated_only!("the names in the example are not unique");
    let ground = cluster().await;
    let namespace = ground.namespace("quickstart").await.unwrap();
    let operator = Operator::start(ground, &Settings::watching(namespace.name())).await;
    let world = World {
        ground,
        namespace,
        coder: Coder::any().await,
        operator,
        kube: ground.admin().unwrap(),
    };
    for mut document in documents(&examples().join("quickstart")) {
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        match document["kind"].as_str().unwrap() {
            "Namespace" => continue,
            "Secret" => document["stringData"]["token"] = json!(world.coder.token),
            "CoderInstance" => {
                document["spec"]["url"] = json!(world.coder.url);
                document["spec"]["allowInsecureHTTP"] = json!(true);
            }
            _ => {}
        }
        document["metadata"]["namespace"] = json!(world.ns());
        let api = api(&world.kube, &document);
        let applied = api
            .patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&document))
            .await;
        applied.unwrap_or_else(|error| panic!("{document}: {error}"));
    }
    world.wait::<CoderInstance>("default", ready).await;
    world.wait::<CoderOrganization>("platform", ready).await;
    let waits = |group: &CoderGroup| ready(group) && condition(group, "MembersPending").is_some();
    world.wait::<CoderGroup>("backend", waits).await;
    world.wait::<CoderGroup>("on-call", waits).await;
    world.wait::<CoderWorkspaceProxy>("paris", ready).await;
    assert!(world.secret("paris-proxy", "CODER_PROXY_SESSION_TOKEN").await.is_some());
    assert_eq!(
        world.secret("paris-proxy", "CODER_PRIMARY_ACCESS_URL").await,
        Some(world.coder.url.clone())
    );

    // Who joins the organization joins the group that waits for them.
    let ann = world.coder.get("/users/ann").await["id"].as_str().unwrap().to_owned();
    world
        .coder
        .change(
            reqwest::Method::POST,
            &format!("/organizations/platform/members/{ann}"),
            json!({}),
        )
        .await;
    let joined = |group: &CoderGroup| {
        group
            .status
            .as_ref()
            .is_some_and(|status| status.pending_members.is_empty())
    };
    world.look::<CoderGroup>("on-call").await;
    world.wait::<CoderGroup>("on-call", joined).await;
    assert_eq!(world.coder.members("platform", "on-call").await, ["ann"]);
    for group in ["backend", "on-call"] {
        world.delete::<CoderGroup>(group).await;
        world.gone::<CoderGroup>(group).await;
    }
    world.finish().await;
}
