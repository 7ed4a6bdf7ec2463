//! Several replicas: one works, the others are warm, and never do two write.

use std::collections::BTreeSet;

use coder_sim::Profile;
use serde_json::json;

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, Operator, Settings, World, ready, simulated_only};

/// A world without an operator, and the settings of replicas that elect a leader in it.
pub(crate) async fn replicas(test: &str) -> (World, Settings) {
    let mut world = World::with(test, Coder::simulated(Profile::Main).await, json!({})).await;
    world.operator.crash().await;
    let settings = Settings {
        election: Some((world.ns().to_owned(), 3)),
        ..Settings::watching(world.ns())
    };
    (world, settings)
}

pub(crate) fn leads(operator: &Operator) -> bool {
    operator.log().lines().any(|line| line.contains("\"leading\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_ready_and_takes_over_when_the_leader_stops() {
    simulated_only!("reads the journal");
    let (world, settings) = replicas("handover").await;
    let first = Operator::start(world.ground, &settings).await;
    world.until("the first one leads", async || leads(&first)).await;
    let mut second = Operator::start(world.ground, &settings).await;
    world
        .until("the standby is ready", async || second.http("/readyz").await.0 == 200)
        .await;
    world
        .apply::<CoderGroup>("one", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("one", ready).await;
    assert!(!leads(&second));
    // A clean stop gives the lease back at once.
    let mut first = first;
    first.signal("TERM");
    first.ended().await;
    world
        .apply::<CoderGroup>("two", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("two", ready).await;
    assert!(leads(&second));
    second.signal("TERM");
    second.ended().await;
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_writes_nothing_after_it_was_replaced() {
    simulated_only!("reads the journal");
    let (world, settings) = replicas("frozen").await;
    let first = Operator::start(world.ground, &settings).await;
    world.until("the first one leads", async || leads(&first)).await;
    world
        .apply::<CoderGroup>("one", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("one", ready).await;
    let second = Operator::start(world.ground, &settings).await;
    world
        .until("the standby is ready", async || second.http("/readyz").await.0 == 200)
        .await;
    first.signal("STOP");
    world.until("the second one leads", async || leads(&second)).await;
    world.wait::<CoderInstance>("default", ready).await;
    let mark = world.coder.sim().journal().mark();
    // While it is frozen, there is work. It wakes up with events for it in its pipes.
    for n in 0..10 {
        world
            .apply::<CoderGroup>(&format!("g{n}"), json!({ "organization": "default" }))
            .await;
    }
    first.signal("CONT");
    for n in 0..10 {
        world.wait::<CoderGroup>(&format!("g{n}"), ready).await;
    }
    world
        .until("the first one knows", async || {
            first
                .log()
                .lines()
                .any(|line| line.contains("leadership lost") || line.contains("standing by"))
        })
        .await;
    let writes = world.coder.sim().journal().writes_since(mark);
    let creations = writes.iter().filter(|call| call.template.ends_with("/groups")).count();
    assert_eq!(creations, 10, "each group is created once: {writes:#?}");
    drop((first, second));
    world.leave();
}

/// The clients that called Coder after that, each by the word that is its own.
fn clients(world: &World, mark: coder_sim::Mark) -> BTreeSet<String> {
    let calls = world.coder.calls_since(mark).into_iter();
    calls.map(|call| call.user_agent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_any_more_reads_nothing_and_begins_anew_when_it_leads_again() {
    simulated_only!("reads the journal");
    let (world, settings) = replicas("terms").await;
    let often = json!({ "resyncInterval": "1s", "feedInterval": "1s" });
    world.patch::<CoderInstance>("default", often).await;
    let mut mark = world.coder.sim().journal().mark();
    let first = Operator::start(world.ground, &settings).await;
    world
        .apply::<CoderGroup>("one", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("one", ready).await;
    world.coder.looks(2).await;
    let of_first = clients(&world, mark);
    assert_eq!(of_first.len(), 1, "{of_first:?}");

    let mut second = Operator::start(world.ground, &settings).await;
    first.signal("STOP");
    world.until("the second one leads", async || leads(&second)).await;
    first.signal("CONT");
    world
        .until("the first one knows", async || first.log().contains("standing by"))
        .await;
    mark = world.coder.sim().journal().mark();
    world.coder.looks(3).await;
    let of_second = clients(&world, mark);
    assert_eq!(of_second.len(), 1, "only who leads reads: {of_second:?}");
    assert!(of_second.is_disjoint(&of_first));

    // While it stands by, the grant it knew is taken back and the address moves.
    let moved = Coder::simulated(Profile::Main).await;
    let accept = moved.sim().deployment_id().to_string();
    world
        .annotate::<CoderInstance>("default", "coder-operator.dev/accept-deployment", &accept)
        .await;
    world
        .put_secret(world.ns(), "default-token", &[("token", &moved.token)])
        .await;
    world
        .patch::<CoderInstance>("default", json!({ "url": moved.url }))
        .await;
    world
        .wait("default", |instance: &CoderInstance| {
            ready(instance) && instance.status.as_ref().unwrap().deployment_id.as_ref() == Some(&accept)
        })
        .await;
    mark = world.coder.sim().journal().mark();
    second.signal("KILL");
    second.ended().await;
    world
        .apply::<CoderGroup>("two", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("two", ready).await;
    assert!(moved.sim().group("coder", "two").is_some());
    assert_eq!(
        clients(&world, mark),
        BTreeSet::new(),
        "nothing goes where it went before"
    );
    drop((first, second));
    world.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_process_within_its_time_while_a_pass_hangs() {
    simulated_only!("needs faults");
    let mut world = World::with("shutdown", Coder::simulated(Profile::Main).await, json!({})).await;
    let groups = "/api/v2/organizations/{organization}/groups";
    let gate = world
        .coder
        .sim()
        .faults()
        .pause(coder_sim::Fault::on(coder_sim::Method::POST, groups).times(1));
    world
        .apply::<CoderGroup>("one", json!({ "organization": "default" }))
        .await;
    gate.arrived().await;
    let began = std::time::Instant::now();
    world.operator.signal("TERM");
    world.operator.ended().await;
    println!("stopped in {:?} while a call to Coder hung", began.elapsed());
    gate.open();
    world.operator = Operator::start(world.ground, &Settings::watching(world.ns())).await;
    world.wait::<CoderGroup>("one", ready).await;
    assert_eq!(
        world
            .coder
            .sim()
            .groups()
            .iter()
            .filter(|group| group.name == "one")
            .count(),
        1
    );
    world.finish().await;
}
