//! What other tests rely on: faults, the journal, stopping and coming back, acting behind the server's back.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is a test: a panic is how it fails"
)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use coder_sim::{Effect, Fault, LicenseSpec, Method, Profile, ProxyStatus, Sim, UserStatus, license};
use reqwest::StatusCode;
use serde_json::{Value, json};

const ORGANIZATIONS: &str = "/api/v2/organizations";
const SECOND: Duration = Duration::from_secs(1);

/// One for all tests: connections belong to the test that made them, so none is kept.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // A second installation fails; the first is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().pool_max_idle_per_host(0);
    builder.build().expect("a client")
});

fn call(sim: &Sim, method: Method, path: &str, token: &str, body: Option<Value>) -> reqwest::RequestBuilder {
    let builder = CLIENT
        .request(method, format!("{}{path}", sim.url()))
        .header("Coder-Session-Token", token);
    match body {
        Some(body) => builder.body(body.to_string()),
        None => builder,
    }
}

async fn as_owner(sim: &Sim, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let answer = call(sim, method, path, sim.owner_token(), body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[allow(clippy::unnecessary_wraps, reason = "it is what the calls take")]
fn named(name: &str) -> Option<Value> {
    Some(json!({ "name": name }))
}

#[tokio::test]
async fn it_comes_bootstrapped_and_licensed_in_both_profiles() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).users(["ann"]).start().await;
        let (_, me) = as_owner(&sim, Method::GET, "/api/v2/users/me", None).await;
        assert_eq!(me["roles"][0]["name"], "owner");
        let (status, _) = as_owner(&sim, Method::GET, "/api/v2/groups", None).await;
        assert_eq!(status, StatusCode::OK);
        let (_, info) = as_owner(&sim, Method::GET, "/api/v2/buildinfo", None).await;
        assert_eq!(info["deployment_id"], json!(sim.deployment_id()));
        assert_eq!(sim.user("ann").expect("a user").status, UserStatus::Active);
    }
}

#[tokio::test]
async fn without_a_licence_the_gated_routes_refuse() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let (status, _) = as_owner(&sim, Method::GET, "/api/v2/groups", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    sim.add_premium_license();
    let (status, _) = as_owner(&sim, Method::GET, "/api/v2/groups", None).await;
    assert_eq!(status, StatusCode::OK);
    sim.lapse_licenses();
    let (status, _) = as_owner(&sim, Method::GET, "/api/v2/groups", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn time_alone_takes_a_licence_through_its_grace_period() {
    let sim = Sim::builder(Profile::Main).start().await;
    let standing = async || {
        let (_, body) = as_owner(&sim, Method::GET, "/api/v2/entitlements", None).await;
        let feature = &body["features"]["template_rbac"];
        (
            feature["entitlement"].as_str().map(str::to_owned),
            feature["enabled"] == true,
        )
    };
    assert_eq!(standing().await, (Some("entitled".to_owned()), true));
    sim.clock().advance(Duration::from_hours(370 * 24));
    assert_eq!(standing().await, (Some("grace_period".to_owned()), true));
    sim.clock().advance(Duration::from_hours(30 * 24));
    assert_eq!(standing().await, (Some("not_entitled".to_owned()), false));
}

#[tokio::test]
async fn licences_are_minted_to_order() {
    let sim = Sim::builder(Profile::Main).licensed(false).start().await;
    let now = sim.clock().now();
    let add = async |spec: &LicenseSpec| {
        let body = json!({ "license": license::mint(spec) });
        as_owner(&sim, Method::POST, "/api/v2/licenses", Some(body)).await
    };
    for bad in [
        LicenseSpec::expired(now),
        LicenseSpec {
            bad_signature: true,
            ..LicenseSpec::premium(now)
        },
        LicenseSpec {
            deployment_ids: vec!["another".to_owned()],
            ..LicenseSpec::premium(now)
        },
    ] {
        assert_eq!(add(&bad).await.0, StatusCode::BAD_REQUEST, "{bad:?}");
    }
    let own = LicenseSpec {
        deployment_ids: vec![sim.deployment_id().to_string()],
        ..LicenseSpec::enterprise(now)
    };
    let (status, body) = add(&own).await;
    assert_eq!((status, &body["uuid"]), (StatusCode::CREATED, &json!(own.jti)));
    let (_, entitlements) = as_owner(&sim, Method::GET, "/api/v2/entitlements", None).await;
    assert_eq!(entitlements["features"]["template_rbac"]["enabled"], true);
    assert_eq!(entitlements["features"]["multiple_organizations"]["enabled"], false);
    let single = LicenseSpec {
        feature_set: None,
        features: vec![("multiple_organizations".to_owned(), 1)],
        ..LicenseSpec::premium(now)
    };
    add(&single).await;
    let (_, entitlements) = as_owner(&sim, Method::GET, "/api/v2/entitlements", None).await;
    assert_eq!(entitlements["features"]["multiple_organizations"]["enabled"], true);
}

#[tokio::test]
async fn the_journal_tells_who_did_what_and_what_it_changed() {
    let sim = Sim::builder(Profile::Main).start().await;
    let mark = sim.journal().mark();
    as_owner(&sim, Method::POST, ORGANIZATIONS, named("alpha")).await;
    as_owner(&sim, Method::POST, ORGANIZATIONS, named("alpha")).await;
    as_owner(&sim, Method::GET, "/api/v2/organizations/alpha?x=1", None).await;
    let calls = sim.journal().since(mark);
    let id = sim.organization("alpha").expect("made").id.to_string();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].effect, Effect::Created("organization", id));
    assert_eq!((calls[0].actor.as_str(), calls[0].status), ("owner", Some(201)));
    assert_eq!((&calls[1].effect, calls[1].status), (&Effect::None, Some(409)));
    assert_eq!(calls[2].template, "/api/v2/organizations/{organization}");
    assert_eq!(calls[2].path, "/api/v2/organizations/alpha?x=1");
    assert_eq!(sim.journal().count(&Method::POST, ORGANIZATIONS), 2);
    assert_eq!(sim.journal().writes_since(mark).len(), 1);
}

#[tokio::test]
async fn waiting_for_a_call_returns_it_or_gives_up() {
    let sim = Sim::builder(Profile::Main).start().await;
    let create = as_owner(&sim, Method::POST, ORGANIZATIONS, named("alpha"));
    let wait = sim.journal().wait_for(|entry| entry.effect.is_write(), 10 * SECOND);
    let (_, seen) = tokio::join!(create, wait);
    assert_eq!(seen.expect("a write").template, ORGANIZATIONS);
    assert!(
        sim.journal()
            .wait_for(|entry| entry.status == Some(418), Duration::from_millis(20))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_connection_cut_before_changes_nothing_and_one_cut_after_does() {
    let sim = Sim::builder(Profile::Main).start().await;
    let post = |name| call(&sim, Method::POST, ORGANIZATIONS, sim.owner_token(), named(name)).send();
    sim.faults()
        .add(Fault::on(Method::POST, ORGANIZATIONS).times(1).cut_before());
    assert!(post("before").await.is_err());
    assert!(sim.organization("before").is_none());
    sim.faults()
        .add(Fault::on(Method::POST, ORGANIZATIONS).times(1).cut_after());
    assert!(post("after").await.is_err());
    assert!(sim.organization("after").is_some());
    assert!(post("whole").await.is_ok());
    let statuses: Vec<_> = sim.journal().calls().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [None, None, Some(201)]);
}

#[tokio::test]
async fn faults_answer_delay_and_wear_off() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.faults().add(
        Fault::on(Method::GET, ORGANIZATIONS)
            .after(1)
            .times(1)
            .status(503, json!({ "message": "no" })),
    );
    sim.faults().add(
        Fault::on(Method::GET, "/api/v2/users/{user}")
            .times(1)
            .rate_limited(7 * SECOND),
    );
    let statuses = [
        as_owner(&sim, Method::GET, ORGANIZATIONS, None).await.0.as_u16(),
        as_owner(&sim, Method::GET, ORGANIZATIONS, None).await.0.as_u16(),
        as_owner(&sim, Method::GET, ORGANIZATIONS, None).await.0.as_u16(),
    ];
    assert_eq!(statuses, [200, 503, 200]);
    let me = call(&sim, Method::GET, "/api/v2/users/me", sim.owner_token(), None)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (
            me.status().as_u16(),
            me.headers()["retry-after"].to_str().expect("a text")
        ),
        (429, "7")
    );
    sim.faults().add(Fault::on_any().latency(Duration::from_millis(50)));
    let start = Instant::now();
    as_owner(&sim, Method::GET, ORGANIZATIONS, None).await;
    assert!(start.elapsed() >= Duration::from_millis(50));
    sim.faults().clear();
}

#[tokio::test]
async fn a_gate_holds_a_call_before_or_after_its_effect() {
    let sim = Sim::builder(Profile::Main).start().await;
    let gate = sim.faults().pause(Fault::on(Method::POST, ORGANIZATIONS).times(1));
    let held = as_owner(&sim, Method::POST, ORGANIZATIONS, named("alpha"));
    let test = async {
        gate.arrived().await;
        assert!(sim.organization("alpha").is_none());
        gate.open();
    };
    let ((status, _), ()) = tokio::join!(held, test);
    assert_eq!(status, StatusCode::CREATED);
    let gate = sim
        .faults()
        .pause_after_effect(Fault::on(Method::POST, ORGANIZATIONS).times(1));
    let held = as_owner(&sim, Method::POST, ORGANIZATIONS, named("beta"));
    let test = async {
        gate.arrived().await;
        assert!(sim.organization("beta").is_some());
        gate.open();
    };
    let ((status, _), ()) = tokio::join!(held, test);
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back_with_its_state() {
    let sim = Sim::builder(Profile::Main).start().await;
    let keep_alive = reqwest::Client::new();
    let get = || keep_alive.get(format!("{}/api/v2/buildinfo", sim.url())).send();
    as_owner(&sim, Method::POST, ORGANIZATIONS, named("alpha")).await;
    assert!(get().await.is_ok());
    sim.stop().await;
    assert!(get().await.is_err());
    sim.restart().await;
    assert!(get().await.is_ok());
    let (status, _) = as_owner(&sim, Method::GET, "/api/v2/organizations/alpha", None).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_have_the_rights_of_their_user_and_can_be_taken_away() {
    let sim = Sim::builder(Profile::Main).start().await;
    let token = sim.token_for("ulf", &["user-admin"]);
    let get = async |token: &str, path: &str| {
        call(&sim, Method::GET, path, token, None)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    assert_eq!(get(&token, "/api/v2/users/me").await, 200);
    assert_eq!(get(&token, "/api/v2/replicas").await, 404);
    sim.set_user_status("ulf", UserStatus::Suspended);
    assert_eq!(get(&token, "/api/v2/users/me").await, 401);
    sim.set_user_status("ulf", UserStatus::Active);
    assert_eq!(get(&token, "/api/v2/users/me").await, 200);
    sim.expire_token(&token);
    assert_eq!(get(&token, "/api/v2/users/me").await, 401);
    let token = sim.token_for("ulf", &[]);
    sim.revoke_token(&token);
    assert_eq!(get(&token, "/api/v2/users/me").await, 401);
}

#[tokio::test]
async fn what_is_in_an_organization_blocks_its_deletion_or_falls_to_it() {
    let sim = Sim::builder(Profile::Main).users(["ann", "bob"]).start().await;
    sim.create_organization("alpha");
    sim.set_contents("alpha", 1, 2);
    sim.add_member("alpha", "ann");
    sim.create_group("alpha", "backend");
    sim.create_provisioner_key("alpha", "one");
    let (status, body) = as_owner(&sim, Method::DELETE, "/api/v2/organizations/alpha", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        body["detail"],
        "This organization has 2 workspaces, 1 template, 1 member, 1 group, 1 provisioner key that must be deleted first."
    );
    let older = Sim::builder(Profile::V2_16_1).start().await;
    older.create_organization("alpha");
    older.set_contents("alpha", 1, 2);
    let (status, _) = as_owner(&older, Method::DELETE, "/api/v2/organizations/alpha", None).await;
    assert_eq!((status, older.organization("alpha").is_none()), (StatusCode::OK, true));
}

#[tokio::test]
async fn a_proxys_token_is_good_until_it_is_renewed() {
    let sim = Sim::builder(Profile::Main).start().await;
    let body = json!({ "name": "paris", "display_name": "Paris", "icon": "x" });
    let (_, made) = as_owner(&sim, Method::POST, "/api/v2/workspaceproxies", Some(body)).await;
    let old = made["proxy_token"].as_str().expect("a token").to_owned();
    assert!(sim.proxy_token_valid(&old));
    let id = &made["proxy"]["id"];
    let body = json!({ "id": id, "name": "paris", "display_name": "Paris", "icon": "x", "regenerate_token": true });
    let (_, renewed) = as_owner(&sim, Method::PATCH, "/api/v2/workspaceproxies/paris", Some(body)).await;
    assert!(!sim.proxy_token_valid(&old));
    assert!(sim.proxy_token_valid(renewed["proxy_token"].as_str().expect("a token")));
    sim.set_proxy_health("paris", ProxyStatus::ok("https://paris.example.com"));
    let (_, seen) = as_owner(&sim, Method::GET, "/api/v2/workspaceproxies/paris", None).await;
    assert_eq!(
        (&seen["healthy"], &seen["status"]["status"]),
        (&json!(true), &json!("ok"))
    );
    sim.delete_proxy("paris");
    assert!(sim.proxies()[0].deleted && sim.proxy("paris").is_none());
}

#[tokio::test]
async fn thousands_of_groups_are_listed_quickly() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    for number in 0..3000 {
        sim.create_group("default", &format!("g{number}"));
    }
    let start = Instant::now();
    let (_, groups) = as_owner(&sim, Method::GET, "/api/v2/organizations/default/groups", None).await;
    assert_eq!(groups.as_array().map(Vec::len), Some(3001));
    assert!(start.elapsed() < 5 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test]
async fn it_can_be_steered_over_http() {
    let sim = Sim::builder(Profile::Main).start().await;
    let fault = json!({ "method": "GET", "template": ORGANIZATIONS, "times": 1, "status": 503 });
    assert_eq!(
        as_owner(&sim, Method::POST, "/_sim/faults", Some(fault)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        as_owner(&sim, Method::GET, ORGANIZATIONS, None).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let (_, journal) = as_owner(&sim, Method::GET, "/_sim/journal", None).await;
    assert_eq!(
        (journal.as_array().map(Vec::len), &journal[0]["status"]),
        (Some(1), &json!(503))
    );
    let (_, state) = as_owner(&sim, Method::GET, "/_sim/state", None).await;
    assert_eq!(state["organizations"][0]["name"], "coder");
    let bad = json!({ "cut": "sideways" });
    assert_eq!(
        as_owner(&sim, Method::POST, "/_sim/faults", Some(bad)).await.0,
        StatusCode::BAD_REQUEST
    );
}
