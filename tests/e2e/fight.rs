//! Who changes the same field again and again is named as the other side of a fight, once.

use coder_sim::{Method, Profile};
use reqwest::StatusCode;
use serde_json::json;

use coder_operator::api::CoderGroup;

use crate::support::{Coder, World, condition, message, ready, simulated_only};

const METRIC: &str = "coder_operator_drift_repeats_total{kind=\"CoderGroup\"}";

/// Changes the quota with that token, and waits until it is set back.
async fn provoke(world: &World, token: &str, quota: i32) {
    let sim = world.coder.sim();
    let id = sim.group("coder", "backend").unwrap().id;
    let answer = reqwest::Client::new()
        .patch(format!("{}/api/v2/groups/{id}", world.coder.url))
        .header("Coder-Session-Token", token)
        .json(&json!({ "quota_allowance": quota }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let text = format!("quotaAllowance 20 → {quota} by ");
    world.event("backend", "DriftCorrected", &text).await;
    let held = async || sim.group("coder", "backend").unwrap().quota_allowance == 20;
    world.until("the quota is set back", held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourth_change_of_a_field_by_the_same_user_within_an_hour_is_said_once() {
    simulated_only!("another user changes things");
    let coder = Coder::simulated(Profile::Main).await;
    let settings = json!({ "resyncInterval": "1h", "feedInterval": "1s" });
    let world = World::with("fight", coder, settings).await;
    let sim = world.coder.sim();
    let (bob, carl) = (sim.token_for("bob", &["owner"]), sim.token_for("carl", &["owner"]));
    let spec = json!({ "organization": "default", "quotaAllowance": 20 });
    world.apply::<CoderGroup>("backend", spec).await;
    world.wait("backend", ready::<CoderGroup>).await;
    let mark = sim.journal().mark();
    for quota in [1, 2, 3] {
        provoke(&world, &bob, quota).await;
    }
    provoke(&world, &carl, 4).await;
    let group = world.look::<CoderGroup>("backend").await;
    assert!(
        condition(&group, "DriftRepeats").is_none(),
        "three times is no fight, and carl did it once"
    );
    provoke(&world, &bob, 5).await;
    let fought = |group: &CoderGroup| condition(group, "DriftRepeats").is_some();
    let group = world.wait("backend", fought).await;
    assert!(ready(&group), "it is corrected all the same");
    let text = message(&group, "DriftRepeats");
    assert!(text.contains("quotaAllowance by bob;"), "{text}");
    provoke(&world, &bob, 6).await;
    assert_eq!(world.events("backend", "DriftRepeats").await, [text], "one event");
    assert_eq!(world.operator.metric(METRIC).await, Some(1.0));
    let patches = sim
        .journal()
        .count_since(mark, &Method::PATCH, "/api/v2/groups/{group}");
    assert_eq!(patches, 12, "six changes and six corrections");
    world.finish().await;
}
