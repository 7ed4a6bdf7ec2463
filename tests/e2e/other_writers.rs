//! Others may write into the status of an object as well: their conditions are left alone.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderInstance, Object};

use crate::support::{World, condition, ready};

fn writes(world: &World) -> usize {
    world.operator.log().matches("writing the status").count()
}

/// Writes a condition as another controller would.
async fn approve<K: Object>(world: &World, name: &str) {
    let body = json!({
        "apiVersion": "coder-operator.dev/v1alpha1", "kind": K::KIND,
        "metadata": { "name": name, "namespace": world.ns() },
        "status": { "conditions": [{
            "type": "Approved", "status": "True", "reason": "ByHand", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }] },
    });
    let parameters = PatchParams::apply("approver").force();
    let api = world.api::<K>();
    api.patch_status(name, &parameters, &Patch::Apply(body))
        .await
        .expect("a condition");
}

/// Makes the operator look although there is nothing to do, and waits until it has.
async fn pass<K: Object>(world: &World, name: &str, n: i32) {
    let line = format!("coder_operator_passes_total{{kind=\"{}\",outcome=\"InSync\"}}", K::KIND);
    let passes = async || world.operator.metric(&line).await.unwrap_or_default();
    let before = passes().await;
    // Asks for nothing of these kinds.
    world
        .annotate::<K>(name, "coder-operator.dev/rotate", &n.to_string())
        .await;
    world.until("a pass", async || passes().await > before).await;
}

/// The managers that own the condition.
fn owners(object: &impl ResourceExt) -> Vec<String> {
    let fields = object.managed_fields().iter().filter(|entry| {
        let owned = entry.fields_v1.as_ref().map(|fields| &fields.0);
        owned.is_some_and(|owned: &Value| owned.to_string().contains("Approved"))
    });
    fields.filter_map(|entry| entry.manager.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn their_conditions_stay_theirs_and_cost_no_write() {
    let world = World::new("other-writers").await;
    let name = world.name("backend");
    let spec = |quota: i32| json!({ "organization": "default", "name": name, "quotaAllowance": quota });
    world.apply::<CoderGroup>("backend", spec(1)).await;
    world.wait("backend", ready::<CoderGroup>).await;
    approve::<CoderGroup>(&world, "backend").await;
    approve::<CoderInstance>(&world, "default").await;
    // The watch shows them by now, and the value that was handled is written.
    world.look::<CoderGroup>("backend").await;
    world.look::<CoderInstance>("default").await;
    let before = writes(&world);
    for n in 0..3 {
        pass::<CoderGroup>(&world, "backend", n).await;
        pass::<CoderInstance>(&world, "default", n).await;
    }
    assert_eq!(writes(&world), before, "nothing changed, so nothing is written");
    world.apply::<CoderGroup>("backend", spec(2)).await;
    let group = world.wait("backend", ready::<CoderGroup>).await;
    assert_eq!(
        condition(&group, "Approved").map(|one| one.reason).as_deref(),
        Some("ByHand")
    );
    assert_eq!(owners(&group), ["approver"]);
    let instance = world.api::<CoderInstance>().get("default").await.unwrap();
    assert_eq!(owners(&instance), ["approver"]);
    world.finish().await;
}
