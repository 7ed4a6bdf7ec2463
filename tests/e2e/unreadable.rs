//! An object that cannot be read, because it was stored before the schema was tightened, never stops the others.

use coder_sim::Profile;
use serde_json::json;
use test_ground::EtcdRaw;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization};

use crate::support::{Coder, PATIENCE, World, blocked, cluster, message, ready, simulated_only, stalled, waiting};

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_object_does_not_stop_the_others() {
    let world = World::new("unreadable").await;
    let etcd = world.ground.etcd().unwrap();
    let key = EtcdRaw::custom_resource_key("coder-operator.dev", "codergroups", world.ns(), "broken");
    let object = json!({
        "apiVersion": "coder-operator.dev/v1alpha1",
        "kind": "CoderGroup",
        "metadata": {
            "name": "broken", "namespace": world.ns(), "uid": "7c60d51f-b44e-4682-87d6-449835ea4de6",
            "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1,
        },
        "spec": { "organization": "default", "quotaAllowance": "many", "members": "ann" },
    });
    etcd.put_json(&key, &object).await.unwrap();
    world
        .until("the metric counts it", async || {
            let counted = world
                .operator
                .metric("coder_operator_unreadable_objects_total{kind=\"CoderGroup\"}")
                .await;
            counted.is_some_and(|count| count >= 1.0)
        })
        .await;
    let name = world.name("healthy");
    world
        .apply::<CoderGroup>("healthy", json!({ "organization": "default", "name": name }))
        .await;
    world.wait::<CoderGroup>("healthy", ready).await;

    // Also when it is there before the operator starts.
    let settings = crate::support::Settings::watching(world.ns());
    let second = crate::support::Operator::start(world.ground, &settings).await;
    world
        .until("the second operator is ready", async || {
            second.http("/readyz").await.0 == 200
        })
        .await;
    drop(second);

    etcd.delete(&key).await.unwrap();
    world.finish().await;
}

/// Stores an object as an older version of the definition would have let it.
async fn store(etcd: &EtcdRaw, plural: &str, object: &serde_json::Value) -> String {
    let metadata = &object["metadata"];
    let (namespace, name) = (
        metadata["namespace"].as_str().unwrap(),
        metadata["name"].as_str().unwrap(),
    );
    let key = EtcdRaw::custom_resource_key("coder-operator.dev", plural, namespace, name);
    etcd.put_json(&key, object).await.unwrap();
    key
}

async fn unreadable(world: &World, kind: &str) {
    let line = format!("coder_operator_unreadable_objects_total{{kind=\"{kind}\"}}");
    world
        .until("the metric counts it", async || {
            world.operator.metric(&line).await.is_some_and(|count| count >= 1.0)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_again_is_looked_at_at_once() {
    simulated_only!("its token is the simulator's");
    let world = World::with("readable", Coder::simulated(Profile::Main).await, json!({})).await;
    let etcd = world.ground.etcd().unwrap();
    let api = world.api::<CoderInstance>();
    let good = serde_json::to_value(api.get("default").await.unwrap()).unwrap();
    let mut bad = good.clone();
    bad["spec"]["allowInsecureHTTP"] = json!("perhaps");
    store(&etcd, "coderinstances", &bad).await;
    unreadable(&world, "CoderInstance").await;
    // What works through it goes on with what is known.
    let group = json!({ "organization": "default", "name": "backend" });
    world.apply::<CoderGroup>("backend", group).await;
    world.wait::<CoderGroup>("backend", ready).await;
    let mark = world.coder.sim().journal().mark();
    store(&etcd, "coderinstances", &good).await;
    let looked = |call: &coder_sim::Entry| call.template == "/api/v2/entitlements";
    let journal = world.coder.sim().journal();
    assert!(journal.wait_since(mark, looked, PATIENCE).await.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_withdrawn_or_cannot_be_read_counts_no_more() {
    simulated_only!("groups named by the test");
    let team = cluster().await.namespace("unreadable-team").await.unwrap();
    let access = json!({ "access": { "namespaces": { "names": [team.name()] } } });
    let coder = Coder::simulated(Profile::Main).await;
    let world = World::beside("unreadable-grant", coder, access, &[&team]).await;
    let etcd = world.ground.etcd().unwrap();
    let spec = json!({ "organization": "default", "instanceRef": { "name": "default", "namespace": world.ns() } });
    world.apply_in::<CoderGroup>(team.name(), "theirs", spec).await;
    world.wait_in(team.name(), "theirs", ready::<CoderGroup>).await;
    let now = world.api::<CoderInstance>().get("default").await.unwrap();
    let good = serde_json::to_value(now).unwrap();
    for broken in [json!(null), json!({ "namespaces": "all" })] {
        let mut bad = good.clone();
        bad["spec"]["allowInsecureHTTP"] = json!("perhaps");
        bad["spec"]["access"] = broken;
        store(&etcd, "coderinstances", &bad).await;
        let refused = stalled::<CoderGroup>("AccessDenied");
        world.wait_in(team.name(), "theirs", refused).await;
        store(&etcd, "coderinstances", &good).await;
        world.wait_in(team.name(), "theirs", ready::<CoderGroup>).await;
    }
    world.delete_in::<CoderGroup>(team.name(), "theirs").await;
    world.gone_in::<CoderGroup>(team.name(), "theirs").await;
    team.finish().await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_it_is_told_that_it_cannot_be_read_and_not_that_it_does_not_exist() {
    simulated_only!("groups named by the test");
    let world = World::with("unreadable-needed", Coder::simulated(Profile::Main).await, json!({})).await;
    let etcd = world.ground.etcd().unwrap();
    world.apply::<CoderOrganization>("platform", json!({})).await;
    let platform = world.wait("platform", ready::<CoderOrganization>).await;
    let good = serde_json::to_value(platform).unwrap();
    let mut bad = good.clone();
    bad["spec"]["everyoneQuotaAllowance"] = json!("many");
    store(&etcd, "coderorganizations", &bad).await;
    unreadable(&world, "CoderOrganization").await;
    let group = json!({ "organizationRef": { "name": "platform" } });
    world.apply::<CoderGroup>("backend", group).await;
    let group = world.wait("backend", waiting::<CoderGroup>("DependencyNotReady")).await;
    let said = message(&group, "Reconciling");
    let right = format!("CoderOrganization {}/platform cannot be read: correct it", world.ns());
    assert!(said.contains(&right), "{said}");
    store(&etcd, "coderorganizations", &good).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_still_holds_and_hangs_on_what_it_did() {
    simulated_only!("groups named by the test");
    let world = World::with("unreadable-holds", Coder::simulated(Profile::Main).await, json!({})).await;
    let etcd = world.ground.etcd().unwrap();
    world
        .apply::<CoderOrganization>("platform", json!({ "deletionPolicy": "Delete" }))
        .await;
    let group = json!({ "organizationRef": { "name": "platform" }, "name": "backend" });
    world.apply::<CoderGroup>("backend", group.clone()).await;
    world.wait::<CoderGroup>("backend", ready).await;
    let good = serde_json::to_value(world.api::<CoderGroup>().get("backend").await.unwrap()).unwrap();
    let mut bad = good.clone();
    bad["spec"]["quotaAllowance"] = json!("many");
    store(&etcd, "codergroups", &bad).await;
    unreadable(&world, "CoderGroup").await;

    let mut rival = group;
    rival["adoptionPolicy"] = json!("IfExists");
    world.apply::<CoderGroup>("rival", rival).await;
    let refused = world.wait("rival", stalled::<CoderGroup>("Conflict")).await;
    assert!(message(&refused, "Stalled").contains(&format!("CoderGroup {}/backend manages", world.ns())));
    world.delete::<CoderGroup>("rival").await;
    world.gone::<CoderGroup>("rival").await;
    world.delete::<CoderOrganization>("platform").await;
    let held = world
        .wait("platform", blocked::<CoderOrganization>("DependentsExist"))
        .await;
    let said = message(&held, "DeletionBlocked");
    assert!(
        said.contains(&format!(
            "CoderGroup {}/backend (which cannot be read: correct it)",
            world.ns()
        )),
        "{said}"
    );
    store(&etcd, "codergroups", &good).await;
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;
    world.gone::<CoderOrganization>("platform").await;
    world.finish().await;
}
