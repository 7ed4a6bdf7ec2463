//! Two custom resources that want one object in Coder: one keeps it, the other is told by whom and takes over later.

use kube::Api;
use serde_json::{Value, json};
use test_ground::Namespace;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, Origin};

use crate::support::{Coder, World, cluster, condition, message, ready, simulated_only, stalled};

const CONFLICT: &str = "Conflict";

/// A world whose operator watches another namespace as well, which the instance lets in.
async fn world(test: &str) -> (World, Namespace) {
    let other = cluster().await.namespace(&format!("{test}-other")).await.unwrap();
    let access = json!({ "access": { "namespaces": { "names": [other.name()] } } });
    let world = World::beside(test, Coder::any().await, access, &[&other]).await;
    (world, other)
}

fn spec(world: &World, more: &Value) -> Value {
    let mut spec = json!({
        "instanceRef": { "name": "default", "namespace": world.ns() }, "organization": "default", "name": "backend",
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The first one is Ready, and the second one, in the other namespace, is told whose it is.
async fn both(world: &World, other: &Namespace, first: Value, second: Value) {
    world.apply::<CoderGroup>("first", spec(world, &first)).await;
    world.wait("first", ready::<CoderGroup>).await;
    world
        .apply_in::<CoderGroup>(other.name(), "a-second", spec(world, &second))
        .await;
    let loser = world
        .wait_in(other.name(), "a-second", stalled::<CoderGroup>(CONFLICT))
        .await;
    let said = message(&loser, "Stalled");
    assert!(said.contains(&format!("CoderGroup {}/first", world.ns())), "{said}");
    assert!(loser.status.unwrap().common.origin.is_none());
}

fn id(group: &CoderGroup) -> Option<String> {
    group.status.as_ref().and_then(|status| status.id.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_is_told_the_owner_and_leaves_without_a_trace() {
    simulated_only!("the journal tells what was written");
    let (world, other) = world("conflict-loser").await;
    both(
        &world,
        &other,
        json!({ "quotaAllowance": 1 }),
        json!({ "quotaAllowance": 2, "adoptionPolicy": "IfExists" }),
    )
    .await;
    let mark = world.coder.sim().journal().mark();
    world.delete_in::<CoderGroup>(other.name(), "a-second").await;
    world.gone_in::<CoderGroup>(other.name(), "a-second").await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(
        world.coder.group("default", "backend").await.unwrap()["quota_allowance"],
        1
    );
    other.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_takes_over_when_the_winner_goes_with_its_object() {
    simulated_only!("a group named backend is the test's own");
    let (world, other) = world("conflict-deleted").await;
    both(&world, &other, json!({}), json!({ "quotaAllowance": 2 })).await;
    let first = world.coder.group("default", "backend").await.unwrap();
    world.delete::<CoderGroup>("first").await;
    let second = world.wait_in(other.name(), "a-second", ready::<CoderGroup>).await;
    world.gone::<CoderGroup>("first").await;
    let now = world.coder.group("default", "backend").await.unwrap();
    assert_ne!(now["id"], first["id"]);
    assert_eq!(id(&second).as_deref(), now["id"].as_str());
    assert_eq!(second.status.unwrap().common.origin, Some(Origin::Created));
    assert_eq!(now["quota_allowance"], 2);
    other.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_adopts_what_the_winner_leaves_behind() {
    simulated_only!("a group named backend is the test's own");
    let (world, other) = world("conflict-orphan").await;
    let orphan = json!({ "deletionPolicy": "Orphan" });
    both(
        &world,
        &other,
        orphan,
        json!({ "adoptionPolicy": "IfExists", "quotaAllowance": 2 }),
    )
    .await;
    let first = world.coder.group("default", "backend").await.unwrap();
    world.delete::<CoderGroup>("first").await;
    let second = world.wait_in(other.name(), "a-second", ready::<CoderGroup>).await;
    assert_eq!(id(&second).as_deref(), first["id"].as_str());
    assert_eq!(second.status.unwrap().common.origin, Some(Origin::Adopted));
    assert_eq!(
        world.coder.group("default", "backend").await.unwrap()["quota_allowance"],
        2
    );
    other.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_that_may_not_adopt_is_told_so_when_the_winner_leaves_its_object_behind() {
    simulated_only!("a group named backend is the test's own");
    let (world, other) = world("conflict-never").await;
    both(&world, &other, json!({ "deletionPolicy": "Orphan" }), json!({})).await;
    world.delete::<CoderGroup>("first").await;
    world
        .wait_in(other.name(), "a-second", stalled::<CoderGroup>("AlreadyExists"))
        .await;
    other.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_of_one_deployment_conflict_too() {
    simulated_only!("a group named backend is the test's own");
    let world = World::new("conflict-instances").await;
    world.connect(world.ns(), "again", json!({})).await;
    world.wait("again", ready::<CoderInstance>).await;
    let spec =
        |instance: &str| json!({ "instanceRef": { "name": instance }, "organization": "default", "name": "backend" });
    world.apply::<CoderGroup>("first", spec("default")).await;
    world.wait("first", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("a-second", spec("again")).await;
    let loser = world.wait("a-second", stalled::<CoderGroup>(CONFLICT)).await;
    assert!(message(&loser, "Stalled").contains(&format!("{}/first", world.ns())));
    world.delete::<CoderGroup>("first").await;
    world.wait("a-second", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_another_case_is_the_same_organization_and_another_group() {
    simulated_only!("names are the test's own");
    let world = World::new("conflict-case").await;
    world
        .apply::<CoderOrganization>("first", json!({ "name": "platform" }))
        .await;
    world.wait("first", ready::<CoderOrganization>).await;
    world
        .apply::<CoderOrganization>("second", json!({ "name": "Platform", "adoptionPolicy": "IfExists" }))
        .await;
    world.wait("second", stalled::<CoderOrganization>(CONFLICT)).await;
    let group = |name: &str| json!({ "organization": "default", "name": name });
    world.apply::<CoderGroup>("first", group("backend")).await;
    world.apply::<CoderGroup>("second", group("Backend")).await;
    world.wait("first", ready::<CoderGroup>).await;
    world.wait("second", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_onto_a_held_name_steals_nothing_and_succeeds_once_the_name_is_free() {
    simulated_only!("the journal tells what was written");
    let world = World::new("conflict-rename").await;
    let spec = |name: &str| json!({ "organization": "default", "name": name, "adoptionPolicy": "IfExists" });
    // The older one renames itself: age alone gives no right to what somebody holds.
    world.apply::<CoderGroup>("a", spec("left")).await;
    let a = world.wait("a", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("b", spec("right")).await;
    let b = world.wait("b", ready::<CoderGroup>).await;
    let mark = world.coder.sim().journal().mark();
    world.apply::<CoderGroup>("a", spec("right")).await;
    let refused = world.wait("a", stalled::<CoderGroup>(CONFLICT)).await;
    assert!(message(&refused, "Stalled").contains(&format!("{}/b", world.ns())));
    assert_eq!(id(&refused), id(&a), "it keeps what it has");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    let value = "coder-operator.dev/reconcile-at";
    world.annotate::<CoderGroup>("b", value, "now").await;
    let looked = |group: &CoderGroup| {
        group
            .status
            .as_ref()
            .is_some_and(|status| status.common.last_handled_reconcile_at.is_some())
    };
    assert!(
        ready(&world.wait("b", looked).await),
        "who holds the name is not disturbed"
    );

    world.apply::<CoderGroup>("b", spec("elsewhere")).await;
    let renamed = world.wait("a", ready::<CoderGroup>).await;
    assert_eq!(id(&renamed), id(&a));
    assert_eq!(
        world.coder.group("default", "right").await.unwrap()["id"].as_str(),
        id(&a).as_deref()
    );
    assert_eq!(
        world.coder.group("default", "elsewhere").await.unwrap()["id"].as_str(),
        id(&b).as_deref()
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_are_to_swap_their_names_say_so_and_do_it_by_way_of_a_third() {
    simulated_only!("the journal tells what was written");
    let world = World::new("conflict-swap").await;
    let spec = |name: &str| json!({ "organization": "default", "name": name });
    world.apply::<CoderGroup>("a", spec("left")).await;
    world.apply::<CoderGroup>("b", spec("right")).await;
    let (a, b) = (
        world.wait("a", ready::<CoderGroup>).await,
        world.wait("b", ready::<CoderGroup>).await,
    );
    world.apply::<CoderGroup>("a", spec("right")).await;
    world.apply::<CoderGroup>("b", spec("left")).await;
    for (name, other) in [("a", "b"), ("b", "a")] {
        let refused = world.wait(name, stalled::<CoderGroup>(CONFLICT)).await;
        let said = message(&refused, "Stalled");
        assert!(said.contains(&format!("CoderGroup {}/{other} ", world.ns())), "{said}");
        assert!(said.contains("give one of them a third name first"), "{said}");
    }
    // Nothing goes round in circles: each may have woken the other once.
    world.look::<CoderGroup>("a").await;
    world.look::<CoderGroup>("b").await;
    let renames = || {
        let calls = world
            .coder
            .sim()
            .journal()
            .matching(|call| call.method == coder_sim::Method::PATCH);
        calls.len()
    };
    assert!(renames() <= 8, "{} renames were tried", renames());

    world.apply::<CoderGroup>("b", spec("third")).await;
    let renamed = world.wait("a", ready::<CoderGroup>).await;
    world.wait("b", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("b", spec("left")).await;
    let swapped = world.wait("b", ready::<CoderGroup>).await;
    assert_eq!((id(&renamed), id(&swapped)), (id(&a), id(&b)));
    for (name, group) in [("right", &a), ("left", &b)] {
        let held = world.coder.group("default", name).await.unwrap();
        assert_eq!(held["id"].as_str(), id(group).as_deref());
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_exactly_one_wins_and_the_others_take_their_turns() {
    simulated_only!("a group named backend is the test's own");
    let world = World::new("conflict-many").await;
    let names = ["one", "two", "three", "four"];
    for name in names {
        world
            .apply::<CoderGroup>(name, json!({ "organization": "default", "name": "backend" }))
            .await;
    }
    let api: Api<CoderGroup> = world.api();
    let mut left: Vec<&str> = names.to_vec();
    while !left.is_empty() {
        let mut winners = Vec::new();
        world
            .until("each of them is Ready or Stalled", async || {
                let list = api.list(&kube::api::ListParams::default()).await.unwrap();
                let done = |group: &CoderGroup| ready(group) || condition(group, "Stalled").is_some();
                list.items.len() == left.len() && list.iter().all(done) && list.iter().any(ready)
            })
            .await;
        for group in api.list(&kube::api::ListParams::default()).await.unwrap() {
            if ready(&group) {
                winners.push(group.metadata.name.clone().unwrap());
            } else {
                assert!(stalled::<CoderGroup>(CONFLICT)(&group), "{:?}", group.status);
            }
        }
        let [winner] = winners.as_slice() else {
            panic!("exactly one wins: {winners:?}")
        };
        world.delete::<CoderGroup>(winner).await;
        world.gone::<CoderGroup>(winner).await;
        left.retain(|name| name != winner);
    }
    assert!(world.coder.group("default", "backend").await.is_none());
    world.finish().await;
}
