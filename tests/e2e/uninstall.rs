//! Leaving: everything is let go of at once, and nothing hangs, whichever goes first. The commands are those of
//! `docs/uninstall.md`.

use std::fmt::Debug;
use std::process::Command;

use coder_sim::Profile;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use test_ground::{ControlPlane, Options};

use coder_operator::api::{
    CoderGroup, CoderInstance, CoderOrganization, CoderWorkspaceProxy, DeletionPolicy, Kind, Object, ObjectStatus,
};

use crate::support::{AnyObject, Coder, World, blocked, prepare, ready, simulated_only};

/// Organization with a group in it, a group that is suspended later, and a proxy: all to be deleted in Coder.
async fn fill(world: &World) {
    world
        .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
        .await;
    let group = json!({ "organizationRef": { "name": "platform" } });
    world.apply::<CoderGroup>("inside", group).await;
    let group = json!({ "organization": "default", "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("paused", group).await;
    let proxy = json!({
        "displayName": "Paris", "icon": "/emojis/1f680.png", "tokenSecret": { "name": "paris" }, "deletionPolicy": "Delete",
    });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait("platform", ready::<CoderOrganization>).await;
    world.wait("inside", ready::<CoderGroup>).await;
    world.wait("paused", ready::<CoderGroup>).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    world.patch::<CoderGroup>("paused", json!({ "mode": "Suspend" })).await;
    let suspended = |group: &CoderGroup| {
        let status = group.status.as_ref();
        status.is_some_and(|status| status.common.is_true("Suspended"))
    };
    world.wait("paused", suspended).await;
}

fn all_is_in_coder(world: &World) -> bool {
    let sim = world.coder.sim();
    sim.group("platform", "inside").is_some() && sim.group("coder", "paused").is_some() && sim.proxy("paris").is_some()
}

/// The token Secret is there and nobody's.
async fn the_token_stays(world: &World) {
    let secret = world.api::<Secret>().get("paris").await.expect("the Secret");
    assert!(secret.owner_references().is_empty(), "{:?}", secret.metadata);
    assert!(world.secret("paris", "CODER_PROXY_SESSION_TOKEN").await.is_some());
}

async fn let_go(world: &World) {
    let overrides = json!({ "overrides": { "deletionPolicy": "Orphan" } });
    world.patch::<CoderInstance>("default", overrides).await;
}

async fn shows_orphan<K: Kind + AnyObject + Debug>(world: &World, name: &str) {
    let orphan = |object: &K| {
        let status = object.status();
        status.is_some_and(|status| status.common().effective_deletion_policy == Some(DeletionPolicy::Orphan))
    };
    world.wait(name, orphan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_word_on_the_instance_lets_go_of_everything_whatever_it_says_itself() {
    simulated_only!("reads the journal");
    let world = World::with("let-go", Coder::simulated(Profile::Main).await, json!({})).await;
    fill(&world).await;
    let sim = world.coder.sim();
    let mark = sim.journal().mark();
    let_go(&world).await;
    shows_orphan::<CoderOrganization>(&world, "platform").await;
    shows_orphan::<CoderGroup>(&world, "inside").await;
    shows_orphan::<CoderGroup>(&world, "paused").await;
    shows_orphan::<CoderWorkspaceProxy>(&world, "paris").await;
    world.namespace.delete_all::<CoderInstance>().await.unwrap();
    world.namespace.delete_all::<CoderOrganization>().await.unwrap();
    world.namespace.delete_all::<CoderGroup>().await.unwrap();
    world.namespace.delete_all::<CoderWorkspaceProxy>().await.unwrap();
    world.gone::<CoderInstance>("default").await;
    world
        .event("inside", "Orphaned", "overrides.deletionPolicy of its CoderInstance")
        .await;
    assert!(all_is_in_coder(&world));
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    the_token_stays(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_deletions_that_are_under_way_while_coder_is_gone() {
    simulated_only!("it takes the server away");
    let world = World::with("let-go-late", Coder::simulated(Profile::Main).await, json!({})).await;
    fill(&world).await;
    world.coder.sim().stop().await;
    world.delete::<CoderOrganization>("platform").await;
    world.delete::<CoderGroup>("inside").await;
    world.delete::<CoderGroup>("paused").await;
    world.delete::<CoderWorkspaceProxy>("paris").await;
    world
        .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    world.wait("inside", blocked::<CoderGroup>("Unreachable")).await;
    world.wait("paused", blocked::<CoderGroup>("Suspended")).await;
    world.wait("paris", blocked::<CoderWorkspaceProxy>("Unreachable")).await;
    let_go(&world).await;
    world.gone::<CoderOrganization>("platform").await;
    world.gone::<CoderGroup>("inside").await;
    world.gone::<CoderGroup>("paused").await;
    world.gone::<CoderWorkspaceProxy>("paris").await;
    the_token_stays(&world).await;
    world.coder.sim().restart().await;
    assert!(all_is_in_coder(&world));
    world.finish().await;
}

/// The definitions are the cluster's, hence one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_hangs_whichever_goes_first() {
    simulated_only!("reads what is left in Coder");
    let ground: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    in_the_documented_order(ground).await;
    with_the_operator_first_and_once_more(ground).await;
    with_the_operator_first_and_by_hand(ground).await;
}

async fn world(ground: &'static ControlPlane, test: &str) -> World {
    prepare(ground).await;
    let world = World::on(ground, test, Coder::simulated(Profile::Main).await, json!({}), &[]).await;
    fill(&world).await;
    world
}

async fn in_the_documented_order(ground: &'static ControlPlane) {
    let mut world = world(ground, "leave").await;
    if !documented(ground, "let go") {
        let_go(&world).await;
    }
    shows_orphan::<CoderGroup>(&world, "paused").await;
    if !documented(ground, "delete") {
        delete_all(&world).await;
    }
    world.gone::<CoderInstance>("default").await;
    world.operator.signal("TERM");
    world.operator.ended().await;
    delete_definitions(ground).await;
    definitions_are_gone(&world).await;
    assert!(all_is_in_coder(&world));
    the_token_stays(&world).await;
    world.leave();
}

async fn with_the_operator_first_and_once_more(ground: &'static ControlPlane) {
    let mut world = world(ground, "leave-once-more").await;
    world.kill_operator().await;
    delete_definitions(ground).await;
    marked::<CoderGroup>(&world, "inside").await;
    world.patch::<CoderGroup>("paused", json!({ "mode": "Manage" })).await;
    world.restart_operator().await;
    definitions_are_gone(&world).await;
    let sim = world.coder.sim();
    assert!(sim.organization("platform").is_none() && sim.group("coder", "paused").is_none());
    assert!(sim.proxy("paris").is_none());
    world.leave();
}

async fn with_the_operator_first_and_by_hand(ground: &'static ControlPlane) {
    let mut world = world(ground, "leave-by-hand").await;
    world.kill_operator().await;
    delete_definitions(ground).await;
    marked::<CoderWorkspaceProxy>(&world, "paris").await;
    if !documented(ground, "by hand") {
        by_hand(&world).await;
    }
    definitions_are_gone(&world).await;
    assert!(all_is_in_coder(&world));
    the_token_stays(&world).await;
    world.leave();
}

async fn marked<K: Object + Debug + AnyObject>(world: &World, name: &str) {
    world
        .wait::<K>(name, |object| object.meta().deletion_timestamp.is_some())
        .await;
}

/// Runs the commands that stand below that word in the document; says whether there is a kubectl to do so.
fn documented(ground: &ControlPlane, word: &str) -> bool {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/uninstall.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (_, below) = text
        .split_once(&format!("<!-- {word} -->\n```sh\n"))
        .expect("the commands");
    let (commands, _) = below.split_once("```").unwrap();
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("no kubectl: the commands of the document are not tried");
        return false;
    }
    let output = Command::new("sh")
        .args(["-e", "-c", commands])
        .env("KUBECONFIG", ground.kubeconfig("admin").unwrap())
        .output()
        .unwrap();
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    assert_eq!(said(&output.stderr), "", "{word}");
    true
}

/// What the document does, without kubectl.
async fn delete_all(world: &World) {
    world.namespace.delete_all::<CoderInstance>().await.unwrap();
    world.namespace.delete_all::<CoderOrganization>().await.unwrap();
    world.namespace.delete_all::<CoderGroup>().await.unwrap();
    world.namespace.delete_all::<CoderWorkspaceProxy>().await.unwrap();
}

async fn by_hand(world: &World) {
    let merge = |body| kube::api::Patch::Merge(body);
    let parameters = kube::api::PatchParams::default();
    let body = json!({ "metadata": { "ownerReferences": null } });
    world
        .api::<Secret>()
        .patch("paris", &parameters, &merge(body))
        .await
        .unwrap();
    for definition in coder_operator::crds::all() {
        let names = definition.spec.names;
        let kind = kube::api::GroupVersionKind::gvk("coder-operator.dev", "v1alpha1", &names.kind);
        let resource = kube::api::ApiResource::from_gvk_with_plural(&kind, &names.plural);
        let api = Api::<kube::api::DynamicObject>::namespaced_with(world.kube.clone(), world.ns(), &resource);
        for object in api.list(&ListParams::default()).await.unwrap() {
            let body = json!({ "metadata": { "finalizers": null } });
            api.patch(&object.name_any(), &parameters, &merge(body)).await.unwrap();
        }
    }
}

async fn delete_definitions(ground: &ControlPlane) {
    let api = Api::<CustomResourceDefinition>::all(ground.admin().unwrap());
    for definition in coder_operator::crds::all() {
        let name = definition.name_any();
        api.delete(&name, &DeleteParams::default())
            .await
            .expect("the definition");
    }
}

async fn definitions_are_gone(world: &World) {
    let api = Api::<CustomResourceDefinition>::all(world.kube.clone());
    world
        .until("no definition is left", async || {
            api.list_metadata(&ListParams::default())
                .await
                .unwrap()
                .items
                .is_empty()
        })
        .await;
}
