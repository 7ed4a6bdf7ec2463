//! An object that cannot be read, because it was stored before the schema was tightened, never stops the others.

use serde_json::json;
use test_ground::EtcdRaw;

use coder_operator::api::CoderGroup;

use crate::support::{World, ready};

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
