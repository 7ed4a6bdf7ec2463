//! The life of a provisioner key: in Coder, in its Secret, and through its rotations.

use coder_sim::{Fault, Method, Profile, ProvisionerKey};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use coder_operator::api::{CoderOrganization, CoderProvisionerKey, Object, ProvisionerKeyStatus};

use crate::support::{
    Coder, Operator, Settings, World, blocked, condition, message, ready, simulated_only, stalled, waiting,
};

const SECRET: &str = "blue-key";
const KEYS: &str = "/api/v2/organizations/{organization}/provisionerkeys";

fn blue(more: &Value) -> Value {
    let mut spec = json!({
        "organization": "platform", "tags": { "cluster": "blue" }, "keySecret": { "name": SECRET },
        "rotation": { "overlap": "1h" },
    });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    spec
}

/// A world with the organization platform.
async fn world_of(test: &str, profile: Profile) -> World {
    let coder = Coder::simulated(profile).await;
    coder.sim().create_organization("platform");
    World::looking_often(test, coder).await
}

/// The same with a key that is ready; answers with its value as well.
async fn ready_key(test: &str, more: &Value) -> (World, String) {
    let world = world_of(test, Profile::Main).await;
    world.apply::<CoderProvisionerKey>("blue", blue(more)).await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
    let value = secret(&world).await;
    (world, value)
}

async fn secret(world: &World) -> String {
    world
        .secret(SECRET, "key")
        .await
        .expect("the Secret is there when it is Ready")
}

fn keys(world: &World) -> Vec<ProvisionerKey> {
    world.coder.sim().provisioner_keys()
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = keys(world).into_iter().map(|key| key.name).collect();
    names.sort();
    names
}

fn works(world: &World, value: &str) -> bool {
    keys(world).iter().any(|key| key.key == value)
}

async fn status(world: &World) -> ProvisionerKeyStatus {
    let object = world.api::<CoderProvisionerKey>().get("blue").await.unwrap();
    object.status.unwrap_or_default()
}

/// Asks for a new key; answers with it when it is there.
async fn rotate(world: &World, asked: &str) -> String {
    world
        .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/rotate", asked)
        .await;
    let handled = |object: &CoderProvisionerKey| {
        object.status().unwrap().last_handled_rotate.as_deref() == Some(asked) && ready(object)
    };
    world.wait("blue", handled).await;
    secret(world).await
}

async fn another(world: &World, before: &str) -> String {
    let changed = async || world.secret(SECRET, "key").await.is_some_and(|value| value != before);
    world.until("another key is in the Secret", changed).await;
    secret(world).await
}

async fn settled(world: &World, wanted: &[&str]) {
    let done = async || names(world) == wanted && status(world).await.previous_key.is_none();
    world.until(&format!("the keys are {wanted:?}"), done).await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_for_daemons_to_use_as_it_is_and_goes_with_its_object() {
    simulated_only!("it looks at the keys of the server");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = world_of("key", profile).await;
        world.apply::<CoderProvisionerKey>("blue", blue(&json!({}))).await;
        let object = world.wait("blue", ready::<CoderProvisionerKey>).await;
        let value = secret(&world).await;
        let [made] = keys(&world).try_into().expect("one key");
        assert_eq!((&*made.name, &made.key), ("blue", &value));
        assert_eq!(made.tags.get("cluster").map(String::as_str), Some("blue"));
        let held = world.api::<Secret>().get(SECRET).await.unwrap();
        assert_eq!(held.owner_references()[0].uid, object.uid().unwrap());
        assert_eq!(held.annotations()["coder-operator.dev/secret-id"], made.id.to_string());
        let status = object.status.unwrap();
        assert_eq!(status.id, Some(made.id.to_string()));
        assert_eq!(status.name.as_deref(), Some("blue"));
        assert_eq!(status.place.organization.as_deref(), Some("platform"));
        assert!(status.key_issued_at.is_some() && status.issuing.is_none());

        assert!(world.coder.sim().connect_provisioner(&value));
        let used = |object: &CoderProvisionerKey| object.status().unwrap().daemons == Some(1);
        world.wait("blue", used).await;
        world.delete::<CoderProvisionerKey>("blue").await;
        world.gone::<CoderProvisionerKey>("blue").await;
        assert_eq!(keys(&world).len(), 0);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_go_on_with_the_old_key_until_the_overlap_is_over() {
    simulated_only!("it looks at the keys of the server");
    let (world, first) = ready_key("key-rotation", &json!({})).await;
    assert!(world.coder.sim().connect_provisioner(&first));
    let second = rotate(&world, "1").await;
    assert_ne!(second, first);
    assert!(works(&world, &first) && works(&world, &second));
    let previous = status(&world).await.previous_key.expect("the one before is shown");
    assert_eq!(previous.name.as_deref(), Some("blue"));
    world.event("blue", "Updated", "issue a new key as asked").await;

    let third = rotate(&world, "2").await;
    assert_eq!(names(&world), ["blue", "blue.2"]);
    assert!(!works(&world, &first), "the oldest goes early: its name is needed");
    assert!(works(&world, &second) && works(&world, &third));

    world
        .patch::<CoderProvisionerKey>("blue", json!({ "rotation": { "overlap": "2s" } }))
        .await;
    let fourth = rotate(&world, "3").await;
    assert!(works(&world, &fourth));
    settled(&world, &["blue.2"]).await;
    assert!(works(&world, &fourth) && !works(&world, &third));
    let mark = world.coder.sim().journal().mark();
    world.look::<CoderProvisionerKey>("blue").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_renewed_by_itself_when_it_is_due() {
    simulated_only!("it looks at the keys of the server");
    let (world, first) = ready_key("key-due", &json!({ "rotation": { "every": "3s", "overlap": "1s" } })).await;
    let second = another(&world, &first).await;
    let third = another(&world, &second).await;
    world.event("blue", "Updated", "issue a new key, it was due").await;
    world.until("the first is gone", async || !works(&world, &first)).await;
    assert!(works(&world, &third));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_lost_the_key_gets_a_new_one_and_the_old_one_stays_for_a_while() {
    simulated_only!("it looks at the keys of the server");
    let (world, first) = ready_key("key-lost", &json!({})).await;
    let secrets = world.api::<Secret>();
    secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
    let second = another(&world, &first).await;
    world.event("blue", "DriftCorrected", "keySecret lost its key").await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
    assert!(works(&world, &first), "daemons may have it");
    assert!(works(&world, &second));

    let edited = json!({ "stringData": { "key": "by hand" } });
    let edit = Patch::Merge(edited);
    secrets.patch(SECRET, &PatchParams::default(), &edit).await.unwrap();
    let replaced = async || {
        world
            .secret(SECRET, "key")
            .await
            .is_some_and(|value| works(&world, &value))
    };
    world.until("a key that works is in the Secret again", replaced).await;
    assert_ne!(secret(&world).await, second);
    assert_eq!(names(&world), ["blue", "blue.2"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tags_and_a_deletion_by_hand_mean_a_new_key() {
    simulated_only!("it looks at the keys of the server");
    let (world, first) = ready_key("key-tags", &json!({})).await;
    world
        .patch::<CoderProvisionerKey>("blue", json!({ "tags": { "cluster": "green" } }))
        .await;
    let second = another(&world, &first).await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
    let of = |value: &str| keys(&world).into_iter().find(|key| key.key == value).unwrap();
    assert_eq!(of(&second).tags["cluster"], "green");
    assert!(works(&world, &first), "the old one stays for the overlap");

    for name in names(&world) {
        world.coder.sim().delete_provisioner_key("platform", &name);
    }
    let third = another(&world, &second).await;
    world
        .event(
            "blue",
            "DriftCorrected",
            "deleted (running daemons need the new Secret)",
        )
        .await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
    assert_eq!(names(&world), ["blue"]);
    assert!(works(&world, &third));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_key_reached_the_secret_leaves_one_key_that_works() {
    simulated_only!("needs faults");
    let mut world = world_of("key-crash", Profile::Main).await;
    let settings = Settings::watching(world.ns());
    let gate = world
        .coder
        .sim()
        .faults()
        .pause_after_effect(Fault::on(Method::POST, KEYS).times(1));
    world.apply::<CoderProvisionerKey>("blue", blue(&json!({}))).await;
    gate.arrived().await;
    world.operator.crash().await;
    gate.open();
    assert_eq!(names(&world), ["blue"]);
    world.operator = Operator::start(world.ground, &settings).await;
    settled(&world, &["blue.2"]).await;
    let first = secret(&world).await;
    assert!(works(&world, &first));

    let gate = world
        .coder
        .sim()
        .faults()
        .pause_after_effect(Fault::on(Method::POST, KEYS).times(1));
    world
        .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/rotate", "1")
        .await;
    gate.arrived().await;
    world.operator.crash().await;
    gate.open();
    assert_eq!(names(&world), ["blue", "blue.2"]);
    world
        .patch::<CoderProvisionerKey>("blue", json!({ "rotation": { "overlap": "1s" } }))
        .await;
    world.operator = Operator::start(world.ground, &settings).await;
    settled(&world, &["blue"]).await;
    let second = secret(&world).await;
    assert!(works(&world, &second) && second != first);
    world.delete::<CoderProvisionerKey>("blue").await;
    world.gone::<CoderProvisionerKey>("blue").await;
    assert_eq!(keys(&world).len(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_of_a_rotation_ends_with_one_key_that_works() {
    simulated_only!("needs faults");
    let (mut world, mut before) = ready_key("key-crashes", &json!({ "rotation": { "overlap": "1s" } })).await;
    let settings = Settings::watching(world.ns());
    let delete = "/api/v2/organizations/{organization}/provisionerkeys/{provisionerkey}";
    let list = "/api/v2/organizations/{organization}/provisionerkeys/daemons";
    let mut round = 0;
    for (method, template) in [(Method::POST, KEYS), (Method::GET, list), (Method::DELETE, delete)] {
        for after in [false, true] {
            round += 1;
            // The read that matters is the one after the key was made.
            if method == Method::GET {
                let post = world
                    .coder
                    .sim()
                    .faults()
                    .pause_after_effect(Fault::on(Method::POST, KEYS).times(1));
                world
                    .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/rotate", &round.to_string())
                    .await;
                post.arrived().await;
                let cut = Fault::on(method.clone(), template).times(1);
                world
                    .coder
                    .sim()
                    .faults()
                    .add(if after { cut.cut_after() } else { cut.cut_before() });
                post.open();
            } else {
                let cut = Fault::on(method.clone(), template).times(1);
                let gate = world.coder.sim().faults().pause_after_effect(cut);
                world
                    .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/rotate", &round.to_string())
                    .await;
                gate.arrived().await;
                world.operator.crash().await;
                gate.open();
                world.operator = Operator::start(world.ground, &settings).await;
            }
            let now = another(&world, &before).await;
            let one = async || keys(&world).len() == 1 && works(&world, &secret(&world).await);
            world
                .until(&format!("one key that works after {method} {template}"), one)
                .await;
            world.wait("blue", ready::<CoderProvisionerKey>).await;
            before = now;
        }
    }
    world.delete::<CoderProvisionerKey>("blue").await;
    world.gone::<CoderProvisionerKey>("blue").await;
    assert_eq!(keys(&world).len(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_somebody_else_under_the_second_name_is_never_deleted() {
    simulated_only!("it looks at the keys of the server");
    let (world, first) = ready_key("key-foreign", &json!({})).await;
    let theirs = world.coder.sim().create_provisioner_key("platform", "blue.2");
    world
        .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/rotate", "1")
        .await;
    let refused = world
        .wait("blue", stalled::<CoderProvisionerKey>("AlreadyExists"))
        .await;
    assert!(message(&refused, "Stalled").contains("provisioner key blue.2"));
    assert!(works(&world, &theirs) && works(&world, &first));
    assert_eq!(secret(&world).await, first);
    world.coder.sim().delete_provisioner_key("platform", "blue.2");
    let second = another(&world, &first).await;
    assert!(works(&world, &second));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_taken_over_stays_until_a_new_one_is_asked_for() {
    simulated_only!("it looks at the keys of the server");
    let world = world_of("key-adopted", Profile::Main).await;
    let theirs = world.coder.sim().create_provisioner_key("platform", "blue");
    let mark = world.coder.sim().journal().mark();
    let spec = blue(&json!({ "adoptionPolicy": "IfExists", "tags": {} }));
    world.apply::<CoderProvisionerKey>("blue", spec).await;
    let adopted = world.wait("blue", ready::<CoderProvisionerKey>).await;
    let note = message(&adopted, "SecretNotIssued");
    assert!(note.contains("coder-operator.dev/rotate"), "{note}");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert!(world.secret(SECRET, "key").await.is_none());

    let ours = rotate(&world, "1").await;
    assert!(works(&world, &ours));
    let object = world.api::<CoderProvisionerKey>().get("blue").await.unwrap();
    assert!(condition(&object, "SecretNotIssued").is_none());
    assert_eq!(names(&world), ["blue", "blue.2"]);
    assert!(works(&world, &theirs), "daemons may have it");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_goes_after_its_keys() {
    simulated_only!("it looks at the keys of the server");
    let world = World::with("key-order", Coder::simulated(Profile::Main).await, json!({})).await;
    world
        .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
        .await;
    let spec = blue(&json!({ "organization": null, "organizationRef": { "name": "platform" } }));
    world.apply::<CoderProvisionerKey>("blue", spec).await;
    world.wait("blue", ready::<CoderProvisionerKey>).await;
    world.delete::<CoderOrganization>("platform").await;
    world
        .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    world.delete::<CoderProvisionerKey>("blue").await;
    world.gone::<CoderProvisionerKey>("blue").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization("platform").await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_licence_it_waits_and_what_is_left_stays_with_its_secret() {
    simulated_only!("it takes the licence away");
    let (world, value) = ready_key("key-unlicensed", &json!({ "deletionPolicy": "Orphan" })).await;
    world.coder.sim().remove_licenses();
    world
        .annotate::<CoderProvisionerKey>("blue", "coder-operator.dev/reconcile-at", "now")
        .await;
    world.wait("blue", waiting::<CoderProvisionerKey>("NotEntitled")).await;
    world.delete::<CoderProvisionerKey>("blue").await;
    world.gone::<CoderProvisionerKey>("blue").await;
    assert!(works(&world, &value));
    assert_eq!(secret(&world).await, value, "whoever uses it goes on");
    world.finish().await;
}
