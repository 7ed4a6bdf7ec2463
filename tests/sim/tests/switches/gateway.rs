//! A gateway in front of the server.

use std::time::Duration;

use coder_sim::{Fault, Method, Page, Profile, Sim};
use serde_json::json;

use crate::caller::{Call, call, get, post};

const ORGANIZATIONS: &str = "/api/v2/organizations";

#[tokio::test]
async fn whatever_coder_answers_carries_its_version() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).start().await;
        for path in [
            ORGANIZATIONS,
            "/api/v2/buildinfo",
            "/api/v2/organizations/nowhere",
            "/api/v2/nowhere",
            "/healthz",
            "/login",
        ] {
            assert!(get(&sim, path).await.is_coders(), "{path}");
        }
        let anonymous = Call::new(&sim, Method::GET, ORGANIZATIONS)
            .send()
            .await
            .expect("an answer");
        assert_eq!((anonymous.status, anonymous.is_coders()), (401, true));
        sim.faults()
            .add(Fault::on_any().times(1).status(503, json!({ "message": "down" })));
        assert!(get(&sim, ORGANIZATIONS).await.is_coders());
    }
}

#[tokio::test]
async fn a_gateway_answers_in_the_servers_place_until_it_is_cleared() {
    let sim = Sim::builder(Profile::Main).start().await;
    for status in [200, 401, 403, 404, 502, 503] {
        sim.gateway()
            .answer(Page::html(status).retry_after(Duration::from_secs(7)));
        for _ in 0..2 {
            let answer = post(&sim, ORGANIZATIONS, json!({ "name": "alpha" })).await;
            assert_eq!((answer.status, answer.is_coders()), (status, false));
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(answer.header("retry-after"), Some("7"));
        }
    }
    assert!(sim.organization("alpha").is_none());
    sim.gateway().clear();
    assert_eq!(get(&sim, ORGANIZATIONS).await.status, 200);
}

#[tokio::test]
async fn a_gateway_answers_so_many_calls_or_those_of_a_route() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.gateway().answer_times(2, Page::text(404, "no route"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = get(&sim, ORGANIZATIONS).await;
        statuses.push((answer.status, answer.is_coders()));
    }
    assert_eq!(statuses, [(404, false), (404, false), (200, true)]);
    let login = "https://login.example.net/start?rd=coder";
    sim.faults()
        .add(Fault::on(Method::GET, ORGANIZATIONS).times(1).page(Page::login(login)));
    assert_eq!(get(&sim, "/api/v2/users/me").await.status, 200);
    let led_away = get(&sim, ORGANIZATIONS).await;
    assert_eq!((led_away.status, led_away.header("location")), (302, Some(login)));
    assert!(!led_away.is_coders());
}

#[tokio::test]
async fn a_gateway_lets_through_who_it_knows() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.gateway().demand("X-Proxy-Key", "s3cret", Page::html(403));
    let with = async |value: Option<&str>| {
        let call = Call::new(&sim, Method::GET, ORGANIZATIONS).token(sim.owner_token());
        let call = match value {
            Some(value) => call.header("X-Proxy-Key", value),
            None => call,
        };
        call.send().await.expect("an answer").status
    };
    assert_eq!(
        (with(None).await, with(Some("wrong")).await, with(Some("s3cret")).await),
        (403, 403, 200)
    );
    sim.gateway().clear();
    assert_eq!(with(None).await, 200);
}

#[tokio::test]
async fn a_gateway_is_put_up_over_http() {
    let sim = Sim::builder(Profile::Main).start().await;
    let page = json!({ "page": { "status": 503, "retry_after": 5 }, "times": 1 });
    assert_eq!(post(&sim, "/_sim/gateway", page).await.status, 204);
    let answer = get(&sim, ORGANIZATIONS).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    let demand = json!({ "page": { "status": 403 }, "demand": ["x-key", "k"] });
    assert_eq!(post(&sim, "/_sim/gateway", demand).await.status, 204);
    assert_eq!(get(&sim, ORGANIZATIONS).await.status, 403);
    assert_eq!(call(&sim, Method::DELETE, "/_sim/gateway", None).await.status, 204);
    let fault =
        json!({ "method": "GET", "template": ORGANIZATIONS, "times": 1, "page": { "status": 200, "text": "hello" } });
    assert_eq!(post(&sim, "/_sim/faults", fault).await.status, 204);
    assert_eq!(get(&sim, ORGANIZATIONS).await.text, "hello");
    assert_eq!(get(&sim, ORGANIZATIONS).await.status, 200);
}
