//! Who may use a connection from another namespace: what the owner of the instance grants, and nothing else.

use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_ground::Namespace;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization};

use crate::support::{Coder, World, blocked, cluster, message, ready, simulated_only, stalled, waiting};

const DENIED: &str = "AccessDenied";

/// A world whose operator watches a second namespace as well, with `spec.access` made of that one's name.
async fn world(test: &str, access: impl Fn(&str) -> Value) -> (World, Namespace) {
    let other = cluster()
        .await
        .labelled_namespace(&format!("{test}-team"), [("team", "blue")])
        .await
        .unwrap();
    let instance = json!({ "access": access(other.name()) });
    let world = World::beside(test, Coder::any().await, instance, &[&other]).await;
    (world, other)
}

fn group(world: &World, more: &Value) -> Value {
    let mut spec = json!({ "instanceRef": { "name": "default", "namespace": world.ns() }, "name": "backend" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if spec.get("organizationRef").is_none() && spec.get("organization").is_none() {
        spec["organization"] = json!("default");
    }
    spec
}

async fn grant(world: &World, access: Value) {
    world
        .patch::<CoderInstance>("default", json!({ "access": access }))
        .await;
    world.wait("default", ready::<CoderInstance>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_granted_by_name() {
    simulated_only!("a group named backend is the test's own");
    let (world, team) = world("access-name", |name| json!({ "namespaces": { "names": [name] } })).await;
    world
        .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
        .await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    assert!(world.coder.group("default", "backend").await.is_some());
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_granted_by_label_and_follows_the_label() {
    simulated_only!("a group named backend is the test's own");
    let selector = json!({ "namespaces": { "selector": { "matchLabels": { "coder": "yes" } } } });
    let (world, team) = world("access-label", |_| selector.clone()).await;
    world
        .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
        .await;
    world
        .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
        .await;
    let label = |value: Value| {
        let api: Api<KubeNamespace> = Api::all(world.kube.clone());
        let name = team.name().to_owned();
        async move {
            let body = json!({ "metadata": { "labels": { "coder": value } } });
            api.patch(&name, &PatchParams::default(), &Patch::Merge(body))
                .await
                .unwrap();
        }
    };
    label(json!("yes")).await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    label(Value::Null).await;
    world
        .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
        .await;
    label(json!("yes")).await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_nothing_is_read_or_written() {
    simulated_only!("the journal tells what was called");
    let nobody =
        json!({ "namespaces": { "names": ["somebody-else"], "selector": { "matchLabels": { "coder": "yes" } } } });
    for access in [Value::Null, nobody] {
        let (world, team) = world("access-refused", |_| access.clone()).await;
        let mark = world.coder.sim().journal().mark();
        world
            .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
            .await;
        let refused = world
            .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
            .await;
        let said = message(&refused, "Stalled");
        assert!(said.contains("spec.access") && said.contains(team.name()), "{said}");
        assert!(world.coder.calls_since(mark).is_empty());
        world.delete_in::<CoderGroup>(team.name(), "backend").await;
        world.gone_in::<CoderGroup>(team.name(), "backend").await;
        assert!(world.coder.calls_since(mark).is_empty());
        team.finish().await.unwrap();
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_none_does_not_learn_which_instances_there_are_nor_how_they_are() {
    let (world, team) = world("access-secret", |_| Value::Null).await;
    let broken = json!({ "url": "http://127.0.0.1:9" });
    world.connect(world.ns(), "broken", broken).await;
    world.wait("broken", waiting::<CoderInstance>("Unreachable")).await;
    let mut said = Vec::new();
    for name in ["default", "broken", "absent"] {
        let spec = json!({ "organization": "default", "instanceRef": { "name": name, "namespace": world.ns() } });
        world.apply_in::<CoderGroup>(team.name(), name, spec).await;
        let refused = world.wait_in(team.name(), name, stalled::<CoderGroup>(DENIED)).await;
        said.push(message(&refused, "Stalled").replace(&format!("{}/{name}", world.ns()), "X"));
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
    let passes = "coder_operator_passes_total{kind=\"CoderGroup\",outcome=\"AccessDenied\"}";
    let count = world.operator.metric(passes).await.unwrap();
    assert!(
        count <= 9.0,
        "{count} passes for three objects: nobody goes round in circles"
    );
    // Who was refused learns of it when that changes, also of an instance that comes later.
    world
        .connect(
            world.ns(),
            "absent",
            json!({ "access": { "namespaces": { "names": [team.name()] } } }),
        )
        .await;
    let name = world.name("late");
    let spec = json!({
        "organization": "default", "name": name, "instanceRef": { "name": "absent", "namespace": world.ns() },
    });
    world.delete_in::<CoderGroup>(team.name(), "absent").await;
    world.gone_in::<CoderGroup>(team.name(), "absent").await;
    world.apply_in::<CoderGroup>(team.name(), "late", spec).await;
    world.wait_in(team.name(), "late", ready::<CoderGroup>).await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_nobody_holds_up_a_deletion_and_with_one_they_are_counted_and_not_named() {
    let (world, team) = world("access-hold", |name| json!({ "namespaces": { "names": [name] } })).await;
    let name = world.name("backend");
    let spec = group(&world, &json!({ "name": name, "deletionPolicy": "Delete" }));
    world.apply_in::<CoderGroup>(team.name(), "private-name", spec).await;
    world.wait_in(team.name(), "private-name", ready::<CoderGroup>).await;
    world.delete::<CoderInstance>("default").await;
    let held = world.wait("default", blocked::<CoderInstance>("DependentsExist")).await;
    let said = message(&held, "DeletionBlocked");
    assert!(
        said.contains("1 object in another namespace") && !said.contains("private-name"),
        "{said}"
    );
    // Whoever may not use it any more, but names it, has a finalizer and says to hold something, does not count.
    let api = Api::<CoderGroup>::namespaced(world.kube.clone(), team.name());
    let finalizer = json!({ "metadata": { "finalizers": ["coder-operator.dev/finalizer", "somebody.example/else"] } });
    api.patch("private-name", &PatchParams::default(), &Patch::Merge(finalizer))
        .await
        .unwrap();
    world.patch::<CoderInstance>("default", json!({ "access": null })).await;
    world.gone::<CoderInstance>("default").await;
    let free = json!({ "metadata": { "finalizers": null } });
    api.patch("private-name", &PatchParams::default(), &Patch::Merge(free))
        .await
        .unwrap();
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_withdrawn_stops_everything_and_leaves_a_way_out() {
    simulated_only!("the journal tells what was written");
    let (world, team) = world("access-withdrawn", |name| json!({ "namespaces": { "names": [name] } })).await;
    world
        .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
        .await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    grant(&world, Value::Null).await;
    world
        .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
        .await;
    let mark = world.coder.sim().journal().mark();
    let changed = group(&world, &json!({ "quotaAllowance": 9 }));
    world.apply_in::<CoderGroup>(team.name(), "backend", changed).await;
    world
        .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
        .await;
    world.delete_in::<CoderGroup>(team.name(), "backend").await;
    let held = world
        .wait_in(team.name(), "backend", blocked::<CoderGroup>(DENIED))
        .await;
    let said = message(&held, "DeletionBlocked");
    assert!(said.contains("set deletionPolicy: Orphan"), "{said}");
    let orphan = group(&world, &json!({ "quotaAllowance": 9, "deletionPolicy": "Orphan" }));
    world.apply_in::<CoderGroup>(team.name(), "backend", orphan).await;
    world.gone_in::<CoderGroup>(team.name(), "backend").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert!(world.coder.group("default", "backend").await.is_some());
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_back_lets_a_deletion_end() {
    simulated_only!("a group named backend is the test's own");
    let (world, team) = world("access-again", |name| json!({ "namespaces": { "names": [name] } })).await;
    world
        .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
        .await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    grant(&world, Value::Null).await;
    world.delete_in::<CoderGroup>(team.name(), "backend").await;
    world
        .wait_in(team.name(), "backend", blocked::<CoderGroup>(DENIED))
        .await;
    grant(&world, json!({ "namespaces": { "names": [team.name()] } })).await;
    world.gone_in::<CoderGroup>(team.name(), "backend").await;
    assert!(world.coder.group("default", "backend").await.is_none());
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn covers_the_kinds_it_names_and_deployment_wide_ones_only_when_named() {
    simulated_only!("the journal tells what was written");
    let (world, team) = world("access-kinds", |name| json!({ "namespaces": { "names": [name] } })).await;
    let reference = json!({ "name": "default", "namespace": world.ns() });
    let organization = json!({ "instanceRef": reference, "name": "platform" });
    let mark = world.coder.sim().journal().mark();
    world
        .apply_in::<CoderOrganization>(team.name(), "platform", organization)
        .await;
    let refused = world
        .wait_in(team.name(), "platform", stalled::<CoderOrganization>(DENIED))
        .await;
    assert!(message(&refused, "Stalled").contains("spec.access.kinds does not include CoderOrganization"));
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    let named = json!({ "namespaces": { "names": [team.name()] }, "kinds": ["CoderOrganization"] });
    grant(&world, named).await;
    world.wait_in(team.name(), "platform", ready::<CoderOrganization>).await;
    world
        .apply_in::<CoderGroup>(team.name(), "backend", group(&world, &json!({})))
        .await;
    let refused = world
        .wait_in(team.name(), "backend", stalled::<CoderGroup>(DENIED))
        .await;
    assert!(message(&refused, "Stalled").contains("spec.access.kinds does not include CoderGroup"));
    assert!(world.coder.group("default", "backend").await.is_none());
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn covers_the_organizations_whose_names_it_allows() {
    simulated_only!("the journal tells what was written");
    let grant = |name: &str| json!({ "namespaces": { "names": [name] }, "kinds": ["CoderGroup", "CoderOrganization"], "organizations": ["team-*"] });
    let (world, team) = world("access-organizations", grant).await;
    let sim = world.coder.sim();
    let foreign = sim.create_organization("platform").to_string();
    sim.create_organization("team-blue");
    world
        .apply::<CoderOrganization>("owned", json!({ "name": "platform-two" }))
        .await;
    world.wait("owned", ready::<CoderOrganization>).await;
    let mark = sim.journal().mark();
    for (object, place) in [
        ("by-name", json!({ "organization": "platform" })),
        ("by-id", json!({ "organization": foreign })),
        ("by-default", json!({ "organization": "default" })),
        (
            "by-reference",
            json!({ "organizationRef": { "name": "owned", "namespace": world.ns() } }),
        ),
    ] {
        world
            .apply_in::<CoderGroup>(team.name(), object, group(&world, &place))
            .await;
        let refused = world.wait_in(team.name(), object, stalled::<CoderGroup>(DENIED)).await;
        let said = message(&refused, "Stalled");
        assert!(
            said.contains("spec.access.organizations does not include"),
            "{object}: {said}"
        );
    }
    let reference = json!({ "name": "default", "namespace": world.ns() });
    let spec = json!({ "instanceRef": reference, "name": "blue-team" });
    world.apply_in::<CoderOrganization>(team.name(), "wrong", spec).await;
    world
        .wait_in(team.name(), "wrong", stalled::<CoderOrganization>(DENIED))
        .await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world
        .apply_in::<CoderGroup>(
            team.name(),
            "right",
            group(&world, &json!({ "organization": "team-blue" })),
        )
        .await;
    world.wait_in(team.name(), "right", ready::<CoderGroup>).await;
    // The owner's own namespace needs no grant.
    world
        .apply::<CoderGroup>("own", json!({ "organization": "platform", "name": "own" }))
        .await;
    world.wait("own", ready::<CoderGroup>).await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_withdrawn_from_who_holds_up_a_deletion_lets_it_go_on() {
    simulated_only!("an organization named platform is the test's own");
    let (world, team) = world("access-freed", |name| json!({ "namespaces": { "names": [name] } })).await;
    let spec = json!({ "name": "platform", "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    let reference = json!({ "name": "platform", "namespace": world.ns() });
    let spec = group(
        &world,
        &json!({ "organizationRef": reference, "deletionPolicy": "Delete" }),
    );
    world.apply_in::<CoderGroup>(team.name(), "backend", spec).await;
    world.wait_in(team.name(), "backend", ready::<CoderGroup>).await;
    world.delete::<CoderOrganization>("platform").await;
    world
        .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    // It is deleted in Coder by hand, so that Coder has no objection either.
    world.coder.sim().delete_group("platform", "backend");
    world.patch::<CoderInstance>("default", json!({ "access": null })).await;
    world.gone::<CoderOrganization>("platform").await;
    let free = json!({ "metadata": { "finalizers": null } });
    let api = Api::<CoderGroup>::namespaced(world.kube.clone(), team.name());
    api.patch("backend", &PatchParams::default(), &Patch::Merge(free))
        .await
        .unwrap();
    team.finish().await.unwrap();
    world.finish().await;
}
