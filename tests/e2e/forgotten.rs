//! What nobody depends on any more costs nothing: no call, and nobody is woken by it.

use coder_sim::{Fault, Method, Profile};
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance, CoderLicense};

use crate::support::{Coder, PATIENCE, World, ready, simulated_only, stalled, waiting};

const ORGANIZATIONS: &str = "/api/v2/organizations";
const GROUPS: &str = "/api/v2/organizations/{organization}/groups";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_goes_while_it_is_looked_at_is_looked_at_no_more() {
    simulated_only!("needs faults");
    let world = World::looking_often("gone-meanwhile", Coder::simulated(Profile::Main).await).await;
    let sim = world.coder.sim();
    let mark = sim.journal().mark();
    let gate = sim.faults().pause(Fault::on(Method::GET, ORGANIZATIONS).times(1));
    let observe = json!({ "organization": "default", "mode": "Observe" });
    world.apply::<CoderGroup>("brief", observe).await;
    gate.arrived().await;
    // It holds nothing, so that it goes at once.
    world.delete::<CoderGroup>("brief").await;
    world.gone::<CoderGroup>("brief").await;
    let counted = "coder_operator_objects{kind=\"CoderGroup\"}";
    world
        .until("the operator knows", async || {
            world.operator.metric(counted).await.unwrap_or_default() < 0.5
        })
        .await;
    gate.open();
    let goes_on = |call: &coder_sim::Entry| call.template == GROUPS;
    sim.journal()
        .wait_since(mark, goes_on, PATIENCE)
        .await
        .expect("its look goes on");
    world.coder.looks(2).await;
    let mark = sim.journal().mark();
    world.coder.looks(3).await;
    for list in [ORGANIZATIONS, GROUPS] {
        assert_eq!(sim.journal().count_since(mark, &Method::GET, list), 0, "{list}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_an_instance_names_no_more_does_not_wake_it() {
    simulated_only!("reads the journal");
    let world = World::with("named-before", Coder::simulated(Profile::Main).await, json!({})).await;
    let other = [("token", &*world.coder.token)];
    world.put_secret(world.ns(), "other-token", &other).await;
    world
        .patch::<CoderInstance>("default", json!({ "tokenSecretRef": { "name": "other-token" } }))
        .await;
    world.wait::<CoderInstance>("default", ready).await;
    // Who still names it shows that its change was seen.
    let spec = json!({ "licenseSecretRef": { "name": "default-token" } });
    world.apply::<CoderLicense>("witness", spec).await;
    world.wait("witness", waiting::<CoderLicense>("SecretNotFound")).await;
    let mark = world.coder.sim().journal().mark();
    let changed = [("token", "another"), ("license", "none")];
    world.put_secret(world.ns(), "default-token", &changed).await;
    world.wait("witness", stalled::<CoderLicense>("InvalidSecret")).await;
    world.look::<CoderInstance>("default").await;
    let calls = world.coder.calls_since(mark);
    let looks = calls.iter().filter(|call| call.template == "/api/v2/entitlements");
    assert_eq!(looks.count(), 1, "only because it was asked to");
    world.finish().await;
}
