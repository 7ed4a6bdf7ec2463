//! What goes wrong with the audit log.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is a test: a panic is how it fails"
)]

use std::time::{Duration, Instant};

use coder_sim::{Profile, Sim};
use serde_json::{Value, json};

async fn call(sim: &Sim, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
    // A second installation fails; the first is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new()
        .request(method, format!("{}/api/v2{path}", sim.url()))
        .header("Coder-Session-Token", sim.owner_token());
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default()
}

async fn create(sim: &Sim, name: &str) {
    let body = json!({ "name": name });
    call(sim, reqwest::Method::POST, "/organizations", Some(body)).await;
}

/// The organizations that the log names, newest first.
async fn named(sim: &Sim) -> Vec<String> {
    let page = call(sim, reqwest::Method::GET, "/audit?limit=10&offset=0", None).await;
    let rows = page["audit_logs"].as_array().expect("rows");
    rows.iter()
        .map(|row| row["resource_target"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn rows_that_were_held_appear_late_and_between_those_that_were_not() {
    let sim = Sim::builder(Profile::Main).start().await;
    create(&sim, "first").await;
    sim.audit_log().hold();
    create(&sim, "held").await;
    assert_eq!(named(&sim).await, ["first"]);
    sim.audit_log().release();
    create(&sim, "last").await;
    assert_eq!(named(&sim).await, ["last", "held", "first"]);
    assert_eq!(sim.audit_log().rows(), 3);

    sim.audit_log().hold();
    create(&sim, "older").await;
    sim.audit_log().delay(Duration::ZERO);
    sim.audit_log().release();
    sim.audit_log().delay(Duration::from_secs(30));
    create(&sim, "late").await;
    assert_eq!(named(&sim).await.first().map(String::as_str), Some("older"));
    sim.clock().advance(Duration::from_secs(31));
    assert_eq!(named(&sim).await.first().map(String::as_str), Some("late"));
}

#[tokio::test]
async fn nothing_is_logged_while_the_feature_is_off_and_a_purge_leaves_nothing() {
    for profile in [Profile::Main, Profile::V2_16_1] {
        let sim = Sim::builder(profile).start().await;
        let enabled = async || {
            let answer = call(&sim, reqwest::Method::GET, "/entitlements", None).await;
            answer["features"]["audit_log"]["enabled"] == true
        };
        sim.audit_log().switch(false);
        assert!(!enabled().await);
        create(&sim, "unseen").await;
        sim.audit_log().switch(true);
        assert!(enabled().await);
        create(&sim, "seen").await;
        assert_eq!(named(&sim).await, ["seen"]);
        sim.audit_log().purge();
        assert_eq!(named(&sim).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_burst_is_listed_a_page_at_a_time() {
    let sim = Sim::builder(Profile::Main).start().await;
    create(&sim, "before").await;
    sim.audit_log().burst(10_000);
    assert_eq!(sim.audit_log().rows(), 10_001);
    let began = Instant::now();
    let page = call(&sim, reqwest::Method::GET, "/audit?limit=100&offset=9950", None).await;
    println!("a page of {} rows took {:?}", page["count"], began.elapsed());
    let rows = page["audit_logs"].as_array().expect("rows");
    assert_eq!(rows.len(), 51);
    assert_eq!(rows[50]["resource_target"], "before");
    assert_eq!(rows[0]["resource_type"], "workspace_build");
}
