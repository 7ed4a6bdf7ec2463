//! Tokens, and when they end.

use coder_sim::{Method, Profile, Sim};
use jiff::SignedDuration;
use serde_json::json;

use crate::caller::{Call, call, get, post};

#[tokio::test]
async fn a_token_shows_when_it_ends_and_ends_then() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).start().await;
        let token = sim.owner_token();
        let path = format!("/api/v2/users/me/keys/{}", token.split('-').next().expect("an id"));
        let end = sim
            .clock()
            .now()
            .saturating_add(SignedDuration::from_hours(48))
            .expect("a time");
        sim.token_expires(token, end);
        let shown = get(&sim, &path).await;
        assert_eq!((shown.status, &shown.body["expires_at"]), (200, &json!(end)));
        sim.clock().set(end);
        let refused = get(&sim, &path).await;
        assert_eq!(refused.status, 401);
        let detail = refused.body["detail"].as_str().expect("a detail");
        assert!(detail.starts_with("API key expired at \""), "{detail}");
    }
}

#[tokio::test]
async fn using_a_token_puts_off_its_end_in_the_older_server_only() {
    for (profile, extended) in [(Profile::Main, false), (Profile::V2_16_1, true)] {
        let sim = Sim::builder(profile).users(["ann"]).start().await;
        let body = json!({ "token_name": "own", "lifetime": 36_000_000_000_000_i64 });
        let made = post(&sim, "/api/v2/users/ann/keys/tokens", body).await;
        let token = made.body["key"].as_str().expect("a token").to_owned();
        let end = async || {
            let shown = get(&sim, "/api/v2/users/ann/keys/tokens/own").await;
            shown.body["expires_at"].as_str().expect("a time").to_owned()
        };
        let first = end().await;
        sim.clock().advance(std::time::Duration::from_hours(2));
        let used = Call::new(&sim, Method::GET, "/api/v2/users/me")
            .token(&token)
            .send()
            .await;
        assert_eq!(used.expect("an answer").status, 200);
        assert_eq!(end().await != first, extended, "{profile:?}");
    }
}

#[tokio::test]
async fn a_limited_token_sees_nothing_of_the_deployment() {
    let sim = Sim::builder(Profile::Main).start().await;
    let body = json!({ "token_name": "limited", "scopes": ["workspace:read"] });
    let made = post(&sim, "/api/v2/users/me/keys/tokens", body).await;
    let limited = made.body["key"].as_str().expect("a token");
    let me = Call::new(&sim, Method::GET, "/api/v2/users/me")
        .token(limited)
        .send()
        .await;
    assert_eq!(me.expect("an answer").status, 404);
    let id = limited.split('-').next().expect("an id");
    let path = format!("/api/v2/users/me/keys/{id}");
    assert_eq!(call(&sim, Method::DELETE, &path, None).await.status, 204);
    assert_eq!(get(&sim, &path).await.status, 404);
}
