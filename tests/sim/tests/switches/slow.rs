//! Answers that come late, or never.

use std::time::{Duration, Instant};

use coder_sim::{Fault, Method, Profile, Sim};
use serde_json::json;

use crate::caller::{Call, get, post};

const ORGANIZATIONS: &str = "/api/v2/organizations";
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_read_is_held_before_or_after_it_looked() {
    let sim = Sim::builder(Profile::Main).start().await;
    let names = |body: &serde_json::Value| body.as_array().map_or(0, Vec::len);
    let gate = sim.faults().pause(Fault::on(Method::GET, ORGANIZATIONS).times(1));
    let test = async {
        gate.arrived().await;
        sim.create_organization("alpha");
        gate.open();
    };
    let (seen, ()) = tokio::join!(get(&sim, ORGANIZATIONS), test);
    assert_eq!(names(&seen.body), 2, "it looked after it was let through");
    let gate = sim
        .faults()
        .pause_after_effect(Fault::on(Method::GET, ORGANIZATIONS).times(1));
    let test = async {
        gate.arrived().await;
        sim.create_organization("beta");
        gate.open();
    };
    let (seen, ()) = tokio::join!(get(&sim, ORGANIZATIONS), test);
    assert_eq!(names(&seen.body), 2, "it looked before it was held");
}

#[tokio::test]
async fn all_calls_are_held_or_the_third_of_a_route() {
    let sim = Sim::builder(Profile::Main).start().await;
    let gate = sim.faults().pause(Fault::on_any());
    let test = async {
        gate.arrived_times(2).await;
        assert!(sim.journal().calls().is_empty());
        sim.faults().clear();
        gate.open();
    };
    let (one, two, ()) = tokio::join!(get(&sim, ORGANIZATIONS), get(&sim, "/api/v2/users/me"), test);
    assert_eq!((one.status, two.status), (200, 200));
    let gate = sim
        .faults()
        .pause(Fault::on(Method::GET, ORGANIZATIONS).after(2).times(1));
    get(&sim, ORGANIZATIONS).await;
    get(&sim, ORGANIZATIONS).await;
    assert_eq!(gate.arrivals(), 0);
    let test = async {
        gate.arrived().await;
        gate.open();
    };
    tokio::join!(get(&sim, ORGANIZATIONS), test);
    assert_eq!((get(&sim, ORGANIZATIONS).await.status, gate.arrivals()), (200, 1));
}

#[tokio::test]
async fn a_route_hangs_and_the_others_do_not() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.faults().add(Fault::on(Method::POST, ORGANIZATIONS).hang());
    let post = Call::new(&sim, Method::POST, ORGANIZATIONS)
        .token(sim.owner_token())
        .body(&json!({ "name": "alpha" }))
        .timeout(Duration::from_millis(100));
    assert!(post.send().await.is_none());
    assert_eq!(get(&sim, ORGANIZATIONS).await.status, 200);
    assert!(sim.organization("alpha").is_none());
    let hung = sim.journal().wait_for(|call| call.status.is_none(), LONG).await;
    assert_eq!(hung.expect("an entry").method, Method::POST);
}

#[tokio::test]
async fn an_answer_comes_late_and_its_effect_at_once() {
    let sim = Sim::builder(Profile::Main).start().await;
    let delay = Duration::from_millis(200);
    sim.faults()
        .add(Fault::on(Method::POST, ORGANIZATIONS).times(1).answer_after(delay));
    let start = Instant::now();
    let watch = async {
        sim.journal()
            .wait_for(|call| call.effect.is_write(), LONG)
            .await
            .expect("a write");
        start.elapsed()
    };
    let (made, seen) = tokio::join!(post(&sim, ORGANIZATIONS, json!({ "name": "alpha" })), watch);
    assert_eq!(made.status, 201);
    assert!(start.elapsed() >= delay && seen < start.elapsed());
}
