//! What `mode` allows: Observe reads and reports, Suspend does nothing at all; and the annotation that asks for a look.

use reqwest::Method;
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderOrganization, Origin};

use crate::support::{Coder, World, condition, message, ready, simulated_only, stalled, waiting};

fn spec(quota: i32, mode: &str) -> Value {
    json!({ "organization": "default", "name": "backend", "quotaAllowance": quota, "mode": mode })
}

async fn world(test: &str) -> World {
    World::with(test, Coder::any().await, json!({ "resyncInterval": "1s" })).await
}

async fn quota(world: &World) -> i64 {
    world.coder.group("default", "backend").await.unwrap()["quota_allowance"]
        .as_i64()
        .unwrap()
}

async fn by_hand(world: &World, quota: i32) {
    let id = world.coder.group("default", "backend").await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .coder
        .change(
            Method::PATCH,
            &format!("/groups/{id}"),
            json!({ "quota_allowance": quota }),
        )
        .await;
}

fn drift(text: &str) -> impl Fn(&CoderGroup) -> bool {
    move |group| message(group, "DriftDetected").contains(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_reports_drift_once_and_writes_nothing() {
    simulated_only!("the journal tells what was written");
    let world = world("observe").await;
    world.coder.sim().create_group("default", "backend");
    let mark = world.coder.sim().journal().mark();
    world.apply::<CoderGroup>("backend", spec(5, "Observe")).await;
    let group = world.wait("backend", drift("quotaAllowance 5 → 0")).await;
    assert!(ready(&group), "it was read: that is what Observe is for");
    assert_eq!(condition(&group, "Synced").unwrap().status, "False");
    assert_eq!(group.status.as_ref().unwrap().member_count, Some(0));
    assert!(
        group.metadata.finalizers.is_none(),
        "nothing is written, so nothing holds it"
    );
    world.coder.looks(3).await;
    assert_eq!(world.events("backend", "DriftDetected").await, ["quotaAllowance 5 → 0"]);
    let metric = "coder_operator_drifts_total{kind=\"CoderGroup\",handling=\"reported\"}";
    assert_eq!(world.operator.metric(metric).await, Some(1.0));

    by_hand(&world, 4).await;
    world.wait("backend", drift("quotaAllowance 5 → 4")).await;
    by_hand(&world, 5).await;
    let group = world
        .wait("backend", |group: &CoderGroup| {
            condition(group, "DriftDetected").is_none()
        })
        .await;
    assert_eq!(condition(&group, "Synced").unwrap().status, "True");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);

    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    assert!(world.coder.group("default", "backend").await.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_creates_nothing_and_sees_what_appears() {
    simulated_only!("the journal tells what was written");
    let world = world("observe-absent").await;
    let mark = world.coder.sim().journal().mark();
    world.apply::<CoderGroup>("backend", spec(0, "Observe")).await;
    let absent = world.wait("backend", waiting::<CoderGroup>("NotFound")).await;
    assert!(message(&absent, "Reconciling").contains("mode is Observe: nothing is created"));
    world.coder.looks(2).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.coder.sim().create_group("default", "backend");
    world.wait("backend", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_observe_to_manage_is_no_adoption() {
    simulated_only!("the journal tells what was written");
    let world = world("observe-manage").await;
    world.coder.sim().create_group("default", "backend");
    let mark = world.coder.sim().journal().mark();
    world.apply::<CoderGroup>("backend", spec(5, "Observe")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("backend", spec(5, "Manage")).await;
    world.wait("backend", stalled::<CoderGroup>("AlreadyExists")).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    let mut adopting = spec(5, "Manage");
    adopting["adoptionPolicy"] = json!("IfExists");
    world.apply::<CoderGroup>("backend", adopting).await;
    let group = world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(group.status.unwrap().common.origin, Some(Origin::Adopted));
    assert_eq!(quota(&world).await, 5);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_managed_may_be_observed_for_a_while() {
    simulated_only!("the journal tells what was written");
    let world = world("manage-observe").await;
    world.apply::<CoderGroup>("backend", spec(5, "Manage")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("backend", spec(5, "Observe")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let mark = world.coder.sim().journal().mark();
    by_hand(&world, 6).await;
    world.wait("backend", drift("quotaAllowance 5 → 6")).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.apply::<CoderGroup>("backend", spec(5, "Manage")).await;
    world
        .wait("backend", |group: &CoderGroup| {
            ready(group) && condition(group, "DriftDetected").is_none()
        })
        .await;
    assert_eq!(quota(&world).await, 5);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspend_reads_and_writes_nothing_until_it_ends() {
    simulated_only!("the journal tells what was read");
    let world = world("suspend").await;
    world.apply::<CoderGroup>("backend", spec(5, "Manage")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.apply::<CoderGroup>("backend", spec(6, "Suspend")).await;
    let suspended = |group: &CoderGroup| condition(group, "Suspended").is_some_and(|it| it.status == "True");
    let group = world.wait("backend", suspended).await;
    assert!(
        ready(&group),
        "tools that wait for a whole release must not wait for it"
    );
    assert_eq!(condition(&group, "Suspended").unwrap().observed_generation, Some(2));
    // A list that was under way ends before the second look.
    world.coder.looks(2).await;
    let mark = world.coder.sim().journal().mark();
    world
        .coder
        .sim()
        .edit_group("default", "backend", |group| group.quota_allowance = 1);
    world.apply::<CoderGroup>("backend", spec(7, "Suspend")).await;
    world
        .wait("backend", |group: &CoderGroup| ready(group) && suspended(group))
        .await;
    world.coder.looks(3).await;
    let read: Vec<_> = world
        .coder
        .calls_since(mark)
        .into_iter()
        .map(|call| call.template)
        .collect();
    assert!(
        read.iter()
            .all(|template| !template.contains("group") && !template.contains("organizations")),
        "{read:?}"
    );

    world.apply::<CoderGroup>("backend", spec(7, "Manage")).await;
    let group = world
        .wait("backend", |group: &CoderGroup| ready(group) && !suspended(group))
        .await;
    assert!(condition(&group, "Suspended").is_none());
    assert_eq!(quota(&world).await, 7);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspend_from_the_beginning_counts_as_done() {
    simulated_only!("the journal tells what was written");
    let world = world("suspend-new").await;
    let mark = world.coder.sim().journal().mark();
    let spec = json!({ "name": "platform", "mode": "Suspend" });
    world.apply::<CoderOrganization>("platform", spec).await;
    let object = world.wait("platform", ready::<CoderOrganization>).await;
    assert_eq!(condition(&object, "Ready").unwrap().reason, "Suspended");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world
        .apply::<CoderOrganization>("platform", json!({ "name": "platform", "mode": "Manage" }))
        .await;
    world
        .wait("platform", |it: &CoderOrganization| {
            ready(it) && condition(it, "Suspended").is_none()
        })
        .await;
    assert!(world.coder.organization("platform").await.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotation_reconcile_at_makes_it_look() {
    simulated_only!("a group named backend is the test's own");
    let world = World::new("reconcile-at").await;
    world.apply::<CoderGroup>("backend", spec(5, "Manage")).await;
    world.wait("backend", ready::<CoderGroup>).await;
    for (value, quota_by_hand) in [("first", 1), ("second", 2)] {
        by_hand(&world, quota_by_hand).await;
        world
            .annotate::<CoderGroup>("backend", "coder-operator.dev/reconcile-at", value)
            .await;
        let handled = |group: &CoderGroup| {
            let status = group.status.as_ref();
            ready(group) && status.is_some_and(|it| it.common.last_handled_reconcile_at.as_deref() == Some(value))
        };
        world.wait("backend", handled).await;
        assert_eq!(quota(&world).await, 5);
    }
    world.finish().await;
}
