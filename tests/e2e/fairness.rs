//! One Coder that answers slowly, or not at all, delays only the objects that need it.

use std::time::{Duration, Instant};

use coder_sim::{Fault, Method, Profile};
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, World, ready, simulated_only};

async fn group_is_ready(world: &World, name: &str) -> Duration {
    let began = Instant::now();
    world
        .apply::<CoderGroup>(name, json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>(name, ready).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_objects_of_a_coder_that_hangs_do_not_delay_those_of_another() {
    simulated_only!("a second server hangs");
    let world = World::with("fair-hang", Coder::simulated(Profile::Main).await, json!({})).await;
    let slow = Coder::simulated(Profile::Main).await;
    world.connect_to(&slow, "slow", json!({})).await;
    world.wait::<CoderInstance>("slow", ready).await;
    group_is_ready(&world, "warm").await;
    let alone = group_is_ready(&world, "alone").await;
    let lists = "/api/v2/organizations";
    slow.sim().faults().add(Fault::on(Method::GET, lists).always().hang());
    let through_slow = json!({ "organization": "default", "instanceRef": { "name": "slow" } });
    for n in 0..200 {
        world
            .apply::<CoderGroup>(&format!("slow-{n}"), through_slow.clone())
            .await;
    }
    let waiting = async || {
        let running = world.operator.metric("coder_operator_passes_running").await;
        running.is_some_and(|running| running >= 32.0)
    };
    world
        .until("as many passes as may wait for the slow server", waiting)
        .await;
    let beside = group_is_ready(&world, "beside").await;
    println!("a group is Ready after {alone:?} alone, after {beside:?} beside 200 that hang");
    assert!(
        beside < alone * 3 + Duration::from_secs(2),
        "{alone:?} alone, {beside:?}"
    );
    slow.sim().faults().clear();
    let orphan = json!({ "organization": "default", "instanceRef": { "name": "slow" }, "deletionPolicy": "Orphan" });
    for n in 0..200 {
        world.apply::<CoderGroup>(&format!("slow-{n}"), orphan.clone()).await;
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_instances_that_answer_late_do_not_delay_the_rotation_of_another_ones_token() {
    simulated_only!("a second server answers late");
    let world = World::with("fair-late", Coder::simulated(Profile::Main).await, json!({})).await;
    let late = Coder::simulated(Profile::Main).await;
    let build = "/api/v2/buildinfo";
    let gate = late.sim().faults().pause(Fault::on(Method::GET, build).always());
    for n in 0..20 {
        world.connect_to(&late, &format!("late-{n}"), json!({})).await;
    }
    gate.arrived_times(20).await;
    // Whoever needs one of them waits, and does not ask again and again.
    let through_late = json!({ "organization": "default", "instanceRef": { "name": "late-0" } });
    world.apply::<CoderGroup>("early", through_late).await;
    world
        .patch::<CoderInstance>("default", json!({ "resyncInterval": "1s" }))
        .await;
    world.coder.looks(3).await;
    let unsaid = "coder_operator_passes_total{kind=\"CoderGroup\",outcome=\"Superseded\"}";
    let count = world.operator.metric(unsaid).await.unwrap_or_default();
    assert!(count <= 3.0, "{count} passes that had nothing to say");
    let vera = world.coder.sim().token_for("vera", &["owner"]);
    let began = Instant::now();
    world.put_secret(world.ns(), "default-token", &[("token", &vera)]).await;
    let rotated = |instance: &CoderInstance| {
        let user = instance.status.as_ref().and_then(|status| status.user.as_deref());
        ready(instance) && user == Some("vera")
    };
    world.wait("default", rotated).await;
    let took = began.elapsed();
    println!("a token is rotated after {took:?} while twenty instances wait");
    assert!(took < Duration::from_secs(10), "{took:?}");
    gate.open();
    for n in 0..20 {
        world.wait::<CoderInstance>(&format!("late-{n}"), ready).await;
    }
    world.wait::<CoderGroup>("early", ready).await;
    world.finish().await;
}
