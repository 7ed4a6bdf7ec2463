//! What a process that led before had sent, and what takes effect only when another one leads, is another's doing.

use coder_operator::api::{CoderGroup, CoderInstance, CoderWorkspaceProxy};
use coder_sim::{Fault, Gate, Method};
use serde_json::json;

use super::tokens::{another_that_works, paris, token};
use super::{GROUP, group, polls, quota_is_set_back, reads_the_log};
use crate::leader::{leads, replicas};
use crate::support::{Operator, World, ready, simulated_only};

const PROXY: &str = "/api/v2/workspaceproxies/{workspaceproxy}";

/// Two replicas of which the first leads, where nothing but the log can find a change in time.
async fn two(test: &str) -> (World, Operator, Operator) {
    let (world, settings) = replicas(test).await;
    let settled = json!({ "resyncInterval": "1h", "feedInterval": "1s" });
    world.patch::<CoderInstance>("default", settled).await;
    let first = Operator::start(world.ground, &settings).await;
    world.until("the first one leads", async || leads(&first)).await;
    reads_the_log(&world).await;
    let second = Operator::start(world.ground, &settings).await;
    world
        .until("the standby is ready", async || second.http("/readyz").await.0 == 200)
        .await;
    (world, first, second)
}

/// The next write there has no effect until the gate is opened.
fn holds_back(world: &World, template: &str) -> Gate {
    world
        .coder
        .sim()
        .faults()
        .pause(Fault::on(Method::PATCH, template).times(1))
}

/// The first one freezes; the second one takes over and reads the log.
async fn taken_over(world: &World, first: &Operator, second: &Operator) {
    first.signal("STOP");
    world.until("the second one leads", async || leads(second)).await;
    polls(world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_replaced_leader_that_comes_late_is_set_back() {
    simulated_only!("needs faults");
    let (world, first, second) = two("late-change").await;
    group(&world, "backend").await;
    let gate = holds_back(&world, GROUP);
    world
        .patch::<CoderGroup>("backend", json!({ "quotaAllowance": 30 }))
        .await;
    gate.arrived().await;
    taken_over(&world, &first, &second).await;
    world
        .patch::<CoderGroup>("backend", json!({ "quotaAllowance": 20 }))
        .await;
    world.wait("backend", ready::<CoderGroup>).await;
    let quota = async || world.coder.sim().group("coder", "backend").unwrap().quota_allowance;
    assert_eq!(quota().await, 20);

    gate.open();
    world.event("backend", "DriftCorrected", "quotaAllowance 20 → 30").await;
    quota_is_set_back(&world, "backend").await;
    first.signal("CONT");
    drop((first, second));
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_replaced_leader_has_issued_late_leaves_no_dead_one_in_the_secret() {
    simulated_only!("needs faults");
    let (world, first, second) = two("late-token").await;
    let before = paris(&world).await;
    let gate = holds_back(&world, PROXY);
    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "1")
        .await;
    gate.arrived().await;
    taken_over(&world, &first, &second).await;
    let rotated = another_that_works(&world, &before).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;

    gate.open();
    another_that_works(&world, &rotated).await;
    let works = token(&world).await;
    first.signal("CONT");
    world
        .until("the first one learned that it leads no more", async || {
            first.log().contains("standing by")
        })
        .await;
    polls(&world, 2).await;
    assert_eq!(token(&world).await, works);
    assert!(world.coder.sim().proxy_token_valid(&works));
    drop((first, second));
    world.leave();
}
