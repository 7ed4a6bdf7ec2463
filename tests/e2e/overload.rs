//! A Coder that limits, fails or is gone costs a bounded number of calls.

use std::time::Duration;

use coder_sim::{Fault, Method, Profile};
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance, CoderOrganization, CoderWorkspaceProxy};

use crate::support::{Coder, World, condition, message, ready, simulated_only, waiting};

const GROUPS: &str = "/api/v2/organizations/{organization}/groups";
const GROUP: &str = "/api/v2/groups/{group}";

async fn world(test: &str, instance: serde_json::Value) -> World {
    World::with(test, Coder::simulated(Profile::Main).await, instance).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_as_long_as_the_server_says() {
    simulated_only!("needs faults");
    let world = world("limited", json!({})).await;
    let sim = world.coder.sim();
    sim.faults().add(
        Fault::on(Method::POST, GROUPS)
            .times(1)
            .rate_limited(Duration::from_secs(2)),
    );
    let mark = sim.journal().mark();
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    let limited = world
        .wait::<CoderGroup>("backend", |group| {
            condition(group, "Reconciling").is_some_and(|condition| condition.reason == "RateLimited")
        })
        .await;
    assert!(condition(&limited, "Stalled").is_none());
    world.wait::<CoderGroup>("backend", ready).await;
    let posts = sim
        .journal()
        .matching(|call| call.template == GROUPS && call.method == Method::POST);
    assert_eq!(posts.len(), 2, "one that was limited, one after the wait");
    assert!(
        posts[1].time.duration_since(posts[0].time).as_secs() >= 2,
        "not before the server said"
    );
    assert_eq!(sim.journal().count_since(mark, &Method::POST, GROUPS), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_one_path_does_not_stop_the_others() {
    simulated_only!("needs faults");
    let world = world("one-path", json!({})).await;
    let sim = world.coder.sim();
    sim.faults().add(
        Fault::on(Method::POST, GROUPS)
            .always()
            .rate_limited(Duration::from_mins(1)),
    );
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    world
        .wait::<CoderGroup>("backend", |group| {
            condition(group, "Reconciling").is_some_and(|condition| condition.reason == "RateLimited")
        })
        .await;
    let name = world.name("other");
    world.apply::<CoderOrganization>("other", json!({ "name": name })).await;
    world.wait::<CoderOrganization>("other", ready).await;
    world
        .patch::<CoderGroup>("backend", json!({ "deletionPolicy": "Orphan" }))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_coder_takes_and_does_not_make_is_one_call_a_try() {
    simulated_only!("needs faults");
    let world = world("not-converging", json!({})).await;
    let sim = world.coder.sim();
    let group = |quota: i32| json!({ "organization": "default", "quotaAllowance": quota });
    world.apply::<CoderGroup>("backend", group(1)).await;
    world.wait::<CoderGroup>("backend", ready).await;
    let as_before = world.coder.group("default", "backend").await.unwrap();
    sim.faults()
        .add(Fault::on(Method::PATCH, GROUP).always().status(200, as_before));
    let mark = sim.journal().mark();
    world.apply::<CoderGroup>("backend", group(2)).await;
    let stubborn = world.wait("backend", waiting::<CoderGroup>("NotConverging")).await;
    assert!(message(&stubborn, "Ready").contains("quotaAllowance 1 → 2"));
    let tries = async || {
        let line = "coder_operator_passes_total{kind=\"CoderGroup\",outcome=\"NotConverging\"}";
        world.operator.metric(line).await.unwrap_or_default()
    };
    world.until("it is tried again", async || tries().await >= 3.0).await;
    // A try may be under way while it is counted.
    let (before, calls, after) = (
        tries().await,
        sim.journal().count_since(mark, &Method::PATCH, GROUP),
        tries().await,
    );
    let calls = f64::from(u32::try_from(calls).unwrap());
    assert!(
        (before..=after + 1.0).contains(&calls),
        "{calls} calls in {before} to {after} tries"
    );
    sim.faults().clear();
    world.wait::<CoderGroup>("backend", ready).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_gets_probes_and_not_a_storm() {
    simulated_only!("needs faults");
    let world = world("dead", json!({ "resyncInterval": "1s" })).await;
    let sim = world.coder.sim();
    let count = 40;
    for n in 0..count {
        world
            .apply::<CoderGroup>(&format!("g{n}"), json!({ "organization": "default" }))
            .await;
    }
    for n in 0..count {
        world.wait::<CoderGroup>(&format!("g{n}"), ready).await;
    }
    sim.faults().add(
        Fault::on_any()
            .always()
            .status(503, json!({ "message": "maintenance" })),
    );
    let mark = sim.journal().mark();
    world
        .wait::<CoderInstance>("default", |instance| !ready(instance))
        .await;
    // Everybody wants something from the dead server.
    for n in 0..count {
        world
            .patch::<CoderGroup>(&format!("g{n}"), json!({ "quotaAllowance": 7 }))
            .await;
    }
    for n in 0..count {
        world.wait::<CoderGroup>(&format!("g{n}"), |group| !ready(group)).await;
    }
    let calls = sim.journal().since(mark).len();
    assert!(calls < count, "{calls} calls to a dead server for {count} objects");
    println!("a dead server got {calls} calls while {count} objects wanted a change");
    sim.faults().clear();
    for n in 0..count {
        world.wait::<CoderGroup>(&format!("g{n}"), ready).await;
    }
    assert!(
        sim.groups()
            .iter()
            .filter(|group| group.name.starts_with('g'))
            .all(|group| group.quota_allowance == 7)
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_noticed_without_anybody_asking() {
    simulated_only!("needs a server that can be stopped");
    let world = world("back", json!({})).await;
    let sim = world.coder.sim();
    sim.stop().await;
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default" }))
        .await;
    let waiting = world
        .wait::<CoderGroup>("backend", |group| condition(group, "Reconciling").is_some())
        .await;
    assert!(condition(&waiting, "Stalled").is_none());
    sim.restart().await;
    world.wait::<CoderGroup>("backend", ready).await;
    assert!(sim.group("coder", "backend").is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_hangs_holds_up_only_those_who_need_it() {
    const PROXIES: &str = "/api/v2/workspaceproxies";
    simulated_only!("needs faults");
    let world = world("hangs", json!({})).await;
    let sim = world.coder.sim();
    sim.faults().add(Fault::on(Method::GET, PROXIES).hang());
    let mark = sim.journal().mark();
    for proxy in 0..40 {
        let spec = json!({ "displayName": "P", "icon": "/p.png", "tokenSecret": { "name": format!("proxy-{proxy}") } });
        world
            .apply::<CoderWorkspaceProxy>(&format!("proxy-{proxy}"), spec)
            .await;
    }
    for group in ["backend", "frontend"] {
        world
            .apply::<CoderGroup>(group, json!({ "organization": "default" }))
            .await;
        world.wait::<CoderGroup>(group, ready).await;
    }
    // Nobody waits for ever: they say what they wait for.
    world
        .wait::<CoderWorkspaceProxy>("proxy-7", |proxy| {
            condition(proxy, "Ready").is_some_and(|ready| ready.reason == "Unreachable")
        })
        .await;
    world.wait::<CoderInstance>("default", ready).await;
    world
        .apply::<CoderGroup>("late", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("late", ready).await;
    let asked = sim.journal().count_since(mark, &Method::GET, PROXIES);
    assert!(asked <= 2, "{asked} calls by forty objects");
    sim.faults().clear();
    world.finish().await;
}
