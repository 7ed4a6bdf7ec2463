//! The token of a connection: its end is told in time, and a new one is picked up whenever it comes.

use coder_sim::{Method, Profile};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, World, blocked, condition, message, ready, simulated_only, stalled};

#[tokio::test(flavor = "multi_thread")]
async fn its_end_is_told_in_time_and_a_new_one_ends_the_warning() {
    simulated_only!("it moves the end of a token");
    let world = World::with("token-end", Coder::simulated(Profile::Main).await, json!({})).await;
    let sim = world.coder.sim();
    let ends = sim.clock().now() + SignedDuration::from_hours(24);
    let vera = sim.token_for("vera", &["owner"]);
    sim.token_expires(&vera, ends);
    let calm = world.look::<CoderInstance>("default").await;
    assert!(condition(&calm, "TokenExpiring").is_none());
    assert!(calm.status.unwrap().token_expires_at.unwrap().0 > ends);

    world.put_secret(world.ns(), "default-token", &[("token", &vera)]).await;
    let warned = |instance: &CoderInstance| ready(instance) && condition(instance, "TokenExpiring").is_some();
    let instance = world.wait("default", warned).await;
    let said = message(&instance, "TokenExpiring");
    assert!(
        said.contains("put a new one into the Secret") && said.contains("CODER_DEFAULT_TOKEN_LIFETIME"),
        "{said}"
    );
    let shown = instance.status.unwrap().token_expires_at.unwrap().0;
    assert_eq!(shown.as_second(), ends.as_second());
    assert!(said.contains(&shown.to_string()), "{said}");
    world
        .event("default", "TokenExpiring", "put a new one into the Secret")
        .await;
    let metric = world
        .operator
        .metric("coder_operator_token_expiry_timestamp_seconds")
        .await;
    #[allow(clippy::cast_precision_loss)]
    let seconds = ends.as_second() as f64;
    assert!(
        metric.is_some_and(|metric| (metric - seconds).abs() < 2.0),
        "{metric:?}"
    );

    world
        .put_secret(world.ns(), "default-token", &[("token", &world.coder.token)])
        .await;
    world
        .wait("default", |instance: &CoderInstance| {
            ready(instance) && condition(instance, "TokenExpiring").is_none()
        })
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_server_where_use_moves_the_end_nothing_is_told() {
    simulated_only!("an old server");
    let world = World::with("token-old", Coder::simulated(Profile::V2_16_1).await, json!({})).await;
    let sim = world.coder.sim();
    sim.token_expires(&world.coder.token, sim.clock().now() + SignedDuration::from_hours(1));
    let instance = world.look::<CoderInstance>("default").await;
    assert!(ready(&instance) && condition(&instance, "TokenExpiring").is_none());
    assert_eq!(instance.status.unwrap().token_expires_at, None);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_ended_says_when() {
    simulated_only!("it moves the end of a token");
    let world = World::with("token-over", Coder::simulated(Profile::Main).await, json!({})).await;
    world
        .coder
        .sim()
        .token_expires(&world.coder.token, Timestamp::now() + SignedDuration::from_secs(2));
    world
        .wait("default", |instance: &CoderInstance| {
            condition(instance, "Ready").is_some()
        })
        .await;
    world.look::<CoderInstance>("default").await;
    world
        .until("the token has ended", async || {
            let path = "/users/me";
            let (status, _) = world.coder.call(Method::GET, path, None).await;
            status.as_u16() == 401
        })
        .await;
    world.look::<CoderInstance>("default").await;
    let instance = world.wait("default", stalled::<CoderInstance>("Unauthorized")).await;
    let said = message(&instance, "Stalled");
    assert!(
        said.contains("; it ended at 20") && said.contains("put a valid one"),
        "{said}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_being_deleted_takes_a_new_one() {
    simulated_only!("it revokes tokens");
    let world = World::with("token-deleting", Coder::simulated(Profile::Main).await, json!({})).await;
    let sim = world.coder.sim();
    let group = json!({ "organization": "default", "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("backend", group).await;
    world.wait("backend", ready::<CoderGroup>).await;
    world.delete::<CoderInstance>("default").await;
    world.wait("default", blocked::<CoderInstance>("DependentsExist")).await;
    sim.revoke_token(&world.coder.token);
    world.delete::<CoderGroup>("backend").await;
    world.wait("backend", blocked::<CoderGroup>("Unauthorized")).await;
    let vera = sim.token_for("vera", &["owner"]);
    world.put_secret(world.ns(), "default-token", &[("token", &vera)]).await;
    world.gone::<CoderGroup>("backend").await;
    world.gone::<CoderInstance>("default").await;
    let deleted = sim.journal().matching(|call| call.method == Method::DELETE);
    assert!(deleted.iter().any(|call| call.actor == "vera"), "{deleted:#?}");
    assert!(sim.group("coder", "backend").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_and_defaults_count_from_the_moment_they_are_said_whether_coder_answers_or_not() {
    simulated_only!("it takes the server away");
    let other = crate::support::cluster().await.namespace("terms-team").await.unwrap();
    let access = json!({ "access": { "namespaces": { "names": [other.name()] } } });
    let coder = Coder::simulated(Profile::Main).await;
    let world = World::beside("terms", coder, access, &[&other]).await;
    let group = |name: &str| json!({ "organization": "default", "name": name, "instanceRef": { "name": "default", "namespace": world.ns() } });
    world
        .apply_in::<CoderGroup>(other.name(), "theirs", group("theirs"))
        .await;
    world.apply::<CoderGroup>("ours", group("ours")).await;
    world.wait_in(other.name(), "theirs", ready::<CoderGroup>).await;
    world.wait("ours", ready::<CoderGroup>).await;
    world.coder.sim().stop().await;
    let later = json!({ "access": null, "defaults": { "deletionPolicy": "Orphan" } });
    world.patch::<CoderInstance>("default", later).await;
    world
        .api::<Secret>()
        .delete("default-token", &DeleteParams::default())
        .await
        .unwrap();
    world
        .wait("default", |instance: &CoderInstance| {
            condition(instance, "Ready").is_some_and(|ready| ready.reason == "SecretNotFound")
        })
        .await;
    world.delete_in::<CoderGroup>(other.name(), "theirs").await;
    world.delete::<CoderGroup>("ours").await;
    // Nothing of Coder is needed to let go by the new default.
    world.gone::<CoderGroup>("ours").await;
    world.gone_in::<CoderGroup>(other.name(), "theirs").await;
    world.coder.sim().restart().await;
    assert!(world.coder.sim().group("coder", "ours").is_some());
    other.finish().await.unwrap();
    world.finish().await;
}
