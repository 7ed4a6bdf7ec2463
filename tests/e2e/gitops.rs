//! What Flux and Argo CD see of each state that an object can be in, by kstatus itself and by Argo CD's Lua; and that they find
//! nothing to apply again.

use std::path::{Path, PathBuf};

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_ground::gitops::{Question, Verdict, ask};

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, CoderWorkspaceProxy, Object};

use crate::support::{
    AnyObject, Coder, Operator, Settings, World, blocked, cluster, condition, ready, simulated_only, stalled, waiting,
};

/// The scripts that Argo CD is given for a kind: the health check, and what else there is.
fn argocd(kind: &str, part: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/coder-operator/files/argocd-cm.yaml");
    let map: Value = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let key = format!("resource.customizations.{part}.coder-operator.dev_{kind}");
    map["data"][key].as_str().expect("a script").to_owned()
}

async fn verdict(question: Question) -> Verdict {
    let mut verdicts = tokio::task::spawn_blocking(move || ask(&[question]))
        .await
        .unwrap()
        .unwrap();
    verdicts.remove(0)
}

/// The object as it is now must be seen like this.
async fn seen<K: Object>(object: &K, kstatus: &str, argo: &str) {
    let mut value = serde_json::to_value(object).unwrap();
    value["apiVersion"] = json!(K::api_version(&()));
    value["kind"] = json!(K::kind(&()));
    let lua = argocd(&K::kind(&()), "health");
    let said = verdict(Question {
        object: value.clone(),
        lua,
    })
    .await;
    let health = said.lua["status"].as_str();
    assert_eq!(
        (said.kstatus.as_str(), health),
        (kstatus, Some(argo)),
        "{}: {value:#}",
        said.message
    );
    assert!(!said.lua["message"].as_str().unwrap().is_empty());
}

fn says<K: AnyObject>(type_: &'static str) -> impl Fn(&K) -> bool {
    move |object| condition(object, type_).is_some_and(|it| it.status == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_and_argo_cd_see_each_state_as_it_is_meant() {
    let mut world = World::new("gitops-states").await;
    seen(
        &world.api::<CoderInstance>().get("default").await.unwrap(),
        "Current",
        "Healthy",
    )
    .await;

    // Ready.
    let name = world.name("backend");
    let backend = json!({ "organization": "default", "name": name, "quotaAllowance": 1, "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("backend", backend).await;
    seen(&world.wait::<CoderGroup>("backend", ready).await, "Current", "Healthy").await;

    // Waits for something that may come by itself.
    let waits = json!({ "organizationRef": { "name": "absent" } });
    world.apply::<CoderGroup>("waits", waits).await;
    let object = world.wait("waits", waiting::<CoderGroup>("DependencyNotReady")).await;
    seen(&object, "InProgress", "Progressing").await;

    // A human must do something.
    world
        .apply::<CoderGroup>("taken", json!({ "organization": "default", "name": name }))
        .await;
    let object = world.wait("taken", stalled::<CoderGroup>("Conflict")).await;
    seen(&object, "Failed", "Degraded").await;

    world.delete::<CoderGroup>("taken").await;
    world.gone::<CoderGroup>("taken").await;

    // Observed, with drift: it was read, as asked.
    let observed = json!({ "mode": "Observe", "quotaAllowance": 9 });
    world.patch::<CoderGroup>("backend", observed).await;
    let drifted = |group: &CoderGroup| says("DriftDetected")(group) && ready(group);
    seen(
        &world.wait::<CoderGroup>("backend", drifted).await,
        "Current",
        "Healthy",
    )
    .await;

    // Suspended: neither a rollout nor a wave may hang on it.
    world.patch::<CoderGroup>("backend", json!({ "mode": "Suspend" })).await;
    let object = world.wait::<CoderGroup>("backend", says("Suspended")).await;
    seen(&object, "Current", "Suspended").await;

    // To be deleted, and held up.
    world.delete::<CoderGroup>("backend").await;
    let object = world.wait("backend", blocked::<CoderGroup>("Suspended")).await;
    seen(&object, "Terminating", "Progressing").await;
    world.patch::<CoderGroup>("backend", json!({ "mode": "Manage" })).await;
    world.gone::<CoderGroup>("backend").await;

    // Nobody looked yet, at a new object and at a new generation of one that was Ready.
    world
        .apply::<CoderOrganization>("platform", json!({ "name": world.name("platform") }))
        .await;
    world.wait::<CoderOrganization>("platform", ready).await;
    world.kill_operator().await;
    let changed = json!({ "displayName": "Other" });
    world.patch::<CoderOrganization>("platform", changed).await;
    seen(
        &world.api::<CoderOrganization>().get("platform").await.unwrap(),
        "InProgress",
        "Progressing",
    )
    .await;
    let group = world
        .apply::<CoderGroup>("unseen", json!({ "organization": "default" }))
        .await;
    seen(&group, "InProgress", "Progressing").await;
    world.restart_operator().await;
    world.wait::<CoderOrganization>("platform", ready).await;
    world.finish().await;
}

/// Runs an action as Argo CD does: the script's answer is the object that is wanted.
async fn act<K: Object>(world: &World, name: &str, action: &str) -> Vec<String> {
    let mut object = serde_json::to_value(world.api::<K>().get(name).await.unwrap()).unwrap();
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    let actions: Value = serde_yaml::from_str(&argocd(&K::kind(&()), "actions")).unwrap();
    let discovery = actions["discovery.lua"].as_str().unwrap().to_owned();
    let found = verdict(Question {
        object: object.clone(),
        lua: discovery,
    })
    .await
    .lua;
    let definitions = actions["definitions"].as_array().unwrap();
    let definition = definitions.iter().find(|it| it["name"] == action).expect("the action");
    let lua = definition["action.lua"].as_str().unwrap().to_owned();
    let wanted = verdict(Question {
        object: object.clone(),
        lua,
    })
    .await
    .lua;
    let changes = json!({ "metadata": { "annotations": wanted["metadata"]["annotations"] }, "spec": wanted["spec"] });
    let patch = Patch::Merge(changes);
    world
        .api::<K>()
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let enabled = found
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, it)| it["disabled"] == json!(false));
    enabled.map(|(name, _)| name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actions_of_argo_cd_do_what_their_names_say() {
    let world = World::new("gitops-actions").await;
    let proxy = json!({
        "name": world.name("paris"), "displayName": "Paris", "icon": "/emojis/1f1eb-1f1f7.png",
        "tokenSecret": { "name": "paris" }, "deletionPolicy": "Delete",
    });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait::<CoderWorkspaceProxy>("paris", ready).await;
    let token = world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await;

    act::<CoderWorkspaceProxy>(&world, "paris", "rotate-token").await;
    world
        .until("the token is another one", async || {
            world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await != token
        })
        .await;
    let enabled = act::<CoderWorkspaceProxy>(&world, "paris", "suspend").await;
    assert_eq!(enabled, ["reconcile-now", "rotate-token", "suspend"]);
    world.wait::<CoderWorkspaceProxy>("paris", says("Suspended")).await;
    let enabled = act::<CoderWorkspaceProxy>(&world, "paris", "resume").await;
    assert_eq!(enabled, ["reconcile-now", "resume", "rotate-token"]);
    let runs = |proxy: &CoderWorkspaceProxy| ready(proxy) && !says("Suspended")(proxy);
    world.wait::<CoderWorkspaceProxy>("paris", runs).await;
    let enabled = act::<CoderInstance>(&world, "default", "reconcile-now").await;
    assert_eq!(enabled, ["reconcile-now"], "an instance has no mode");
    world
        .wait::<CoderInstance>("default", |instance| instance.handled().is_some())
        .await;
    world.finish().await;
}

/// The documents of all examples.
fn examples() -> Vec<DynamicObject> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let documents = folders(&root)
        .into_iter()
        .flat_map(|folder| crate::examples::documents(&folder));
    let typed = documents.filter(|document| document["kind"].is_string());
    typed
        .map(|document| serde_json::from_value(document).unwrap())
        .collect()
}

/// A folder and all in it.
fn folders(root: &Path) -> Vec<PathBuf> {
    let inner = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let inner = inner.filter(|path| path.is_dir()).flat_map(|path| folders(&path));
    std::iter::once(root.to_owned()).chain(inner).collect()
}

/// Every value that was applied.
fn differences(applied: &Value, held: &Value, path: &str, found: &mut Vec<String>) {
    match applied {
        Value::Object(fields) => {
            for (name, value) in fields {
                differences(value, &held[name], &format!("{path}.{name}"), found);
            }
        }
        value if value == held => {}
        value => found.push(format!("{path}: {value} became {held}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_what_was_applied_so_that_nothing_stays_out_of_sync() {
    let world = World::new("gitops-diff").await;
    let mut looked = 0;
    for mut object in examples() {
        let types = object.types.clone().unwrap();
        if !types.api_version.starts_with("coder-operator.dev/") {
            continue;
        }
        object.metadata.namespace = None;
        let kind = kube::api::GroupVersionKind::try_from(&types).unwrap();
        let resource = crate::examples::resource(&kind);
        let api = Api::<DynamicObject>::namespaced_with(world.kube.clone(), world.ns(), &resource);
        let mut applied = serde_json::to_value(&object).unwrap();
        // Suspended, so that nothing of it reaches Coder; an instance of its own name each.
        if types.kind != "CoderInstance" {
            applied["spec"]["mode"] = json!("Suspend");
        }
        let name = format!("{}-{looked}", object.name_any());
        applied["metadata"]["name"] = json!(name);
        let parameters = PatchParams::apply("argocd").force();
        let stored = api.patch(&name, &parameters, &Patch::Apply(&applied)).await;
        let stored = stored.unwrap_or_else(|error| panic!("{name}: {error}"));
        let held = serde_json::to_value(&stored).unwrap();
        let mut found = Vec::new();
        differences(&applied, &held, "", &mut found);
        assert!(found.is_empty(), "{} {name}: {found:?}", types.kind);
        // What the server adds (defaults) belongs to nobody, and applying it again changes nothing.
        let again = api.patch(&name, &parameters, &Patch::Apply(&applied)).await.unwrap();
        assert_eq!(
            again.metadata.generation, stored.metadata.generation,
            "{} {name}",
            types.kind
        );
        looked += 1;
    }
    assert!(looked > 20, "only {looked} objects");
    world.finish().await;
}

fn repository(folder: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops");
    crate::examples::documents(&root.join(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_of_the_example_becomes_ready_in_its_order() {
    simulated_only!("the names in the example are not unique");
    // It names its namespaces, which the other tests do not use.
    let ground = cluster().await;
    let kube = ground.admin().unwrap();
    let mut documents = repository("repository/platform");
    documents.extend(repository("repository/teams/amber"));
    documents.extend(repository("repository/teams/green"));
    let namespaces = ["coder-platform", "team-green", "team-amber"]
        .map(str::to_owned)
        .to_vec();
    let settings = Settings {
        namespaces,
        ..Settings::watching("")
    };
    let coder = Coder::simulated(coder_sim::Profile::Main).await;
    let objects = documents.into_iter().map(|mut document| {
        match document["kind"].as_str().unwrap() {
            // What the store would have made of it.
            "ExternalSecret" => {
                let metadata = document["metadata"].clone();
                let token = json!({ "token": coder.token });
                document = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": token });
            }
            "CoderInstance" => {
                document["spec"]["url"] = json!(coder.url);
                document["spec"]["allowInsecureHTTP"] = json!(true);
            }
            _ => {}
        }
        serde_json::from_value::<DynamicObject>(document).unwrap()
    });
    test_ground::helm::apply(&kube, &objects.collect::<Vec<_>>())
        .await
        .unwrap();
    let operator = Operator::start(ground, &settings).await;
    let namespace = ground.namespace("gitops-repository").await.unwrap();
    let world = World {
        ground,
        namespace,
        coder,
        operator,
        kube,
    };
    world.wait_in::<CoderInstance>("coder-platform", "default", ready).await;
    for team in ["green", "amber"] {
        let group = world
            .wait_in::<CoderGroup>(&format!("team-{team}"), "developers", ready)
            .await;
        seen(&group, "Current", "Healthy").await;
    }
    world.finish().await;
}

/// What the tools are told to apply is there, and what they depend on is declared.
#[test]
fn the_ways_to_apply_the_repository_name_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops/repository");
    let mut documents = repository("argocd");
    documents.extend(repository("flux"));
    let names: Vec<&str> = documents
        .iter()
        .map(|it| it["metadata"]["name"].as_str().unwrap())
        .collect();
    let mut paths = 0;
    for document in &documents {
        let kustomized = document["spec"]["path"].as_str().into_iter();
        for path in kustomized.chain(document["spec"]["source"]["path"].as_str()) {
            assert!(root.join(path).is_dir(), "{path}");
            paths += 1;
        }
        for dependency in document["spec"]["dependsOn"].as_array().into_iter().flatten() {
            assert!(names.contains(&dependency["name"].as_str().unwrap()), "{dependency}");
        }
    }
    assert!(paths >= 4, "only {paths} paths");
}
