//! What goes wrong with the audit log.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is a test: a panic is how it fails"
)]

use std::time::{Duration, Instant};

use coder_sim::{AuditRow, Fault, Method, Profile, Sim};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn client() -> reqwest::Client {
    // A second installation fails; the first is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn call(sim: &Sim, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
    let mut request = client()
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
async fn rows_out_of_order_appear_the_last_one_first_and_are_listed_by_time() {
    let sim = Sim::builder(Profile::Main).start().await;
    sim.audit_log().disorder(Duration::from_mins(5));
    for name in ["a", "b", "c", "d", "e"] {
        create(&sim, name).await;
    }
    assert_eq!(named(&sim).await, ["d"]);
    sim.clock().advance(Duration::from_secs(100));
    assert_eq!(named(&sim).await, ["d", "c"]);
    sim.clock().advance(Duration::from_secs(100));
    assert_eq!(named(&sim).await, ["d", "c", "b"]);
    sim.clock().advance(Duration::from_secs(100));
    assert_eq!(named(&sim).await, ["e", "d", "c", "b", "a"]);
    sim.audit_log().delay(Duration::ZERO);
    create(&sim, "f").await;
    assert_eq!(named(&sim).await[0], "f");
}

#[tokio::test]
async fn a_purge_may_leave_the_newer_rows() {
    let sim = Sim::builder(Profile::Main).start().await;
    create(&sim, "old").await;
    sim.clock().advance(Duration::from_mins(1));
    let between = sim.clock().now() - Duration::from_secs(30);
    create(&sim, "newer").await;
    sim.audit_log().purge_before(between);
    assert_eq!(named(&sim).await, ["newer"]);
    sim.audit_log().purge();
    assert_eq!(sim.audit_log().rows(), 0);
}

#[tokio::test]
async fn a_burst_is_listed_a_page_at_a_time() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    create(&sim, "before").await;
    sim.audit_log().burst("ann", 10_000, Duration::ZERO);
    assert_eq!(sim.audit_log().rows(), 10_001);
    let day = sim.clock().now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let path = format!("/audit?q=date_from:{day}&limit=100&offset=9950");
    let page = call(&sim, reqwest::Method::GET, &path, None).await;
    let (began, http) = (Instant::now(), client());
    for _ in 0..20 {
        let request = http.get(format!("{}/api/v2{path}", sim.url()));
        let answer = request.header("Coder-Session-Token", sim.owner_token()).send().await;
        answer.expect("an answer").bytes().await.expect("a body");
    }
    println!("a page of {} rows took {:?}", page["count"], began.elapsed() / 20);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let rows = page["audit_logs"].as_array().expect("rows");
    assert_eq!(rows.len(), 51);
    assert_eq!(rows[50]["resource_target"], "before");
    assert_eq!(rows[0]["resource_type"], "workspace_build");
    assert_eq!(rows[0]["user"]["username"], "ann");
}

#[tokio::test]
async fn a_burst_is_spread_over_a_time() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    sim.clock().advance(Duration::from_hours(1));
    let before = sim.clock().now() - Duration::from_secs(45);
    create(&sim, "now").await;
    sim.audit_log().burst("ann", 6, Duration::from_mins(1));
    sim.audit_log().purge_before(before);
    assert_eq!(sim.audit_log().rows(), 6, "one every ten seconds, and one by hand");
}

#[tokio::test]
async fn its_faults_are_made_over_http_too() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    let order = async |body: Value| {
        let path = format!("{}/_sim/audit", sim.url());
        let answer = client().post(path).body(body.to_string()).send().await;
        answer.expect("an answer").status().as_u16()
    };
    create(&sim, "first").await;
    for (body, rows) in [
        (json!("hold"), 1),
        (json!("release"), 1),
        (json!({ "delay": { "ms": 1000 } }), 1),
        (json!({ "disorder": { "ms": 1000 } }), 1),
        (json!({ "delay": { "ms": 0 } }), 1),
        (json!({ "burst": { "user": "ann", "rows": 10, "ms": 60_000 } }), 11),
        (json!({ "purge": { "before": "2020-01-01T00:00:00Z" } }), 11),
        (json!({ "purge": {} }), 0),
        (json!({ "switch": { "on": false } }), 0),
    ] {
        assert_eq!(
            (order(body.clone()).await, sim.audit_log().rows()),
            (204, rows),
            "{body}"
        );
    }
    let answer = call(&sim, reqwest::Method::GET, "/entitlements", None).await;
    assert_eq!(answer["features"]["audit_log"]["enabled"], false);
    for body in [
        json!("burn"),
        json!({ "burst": { "user": "nobody", "rows": 1, "ms": 0 } }),
    ] {
        assert_eq!(order(body.clone()).await, 400, "{body}");
    }
}

#[tokio::test]
async fn a_row_can_be_anybodys_of_any_status_and_time() {
    let sim = Sim::builder(Profile::Main).users(["ann"]).start().await;
    let group = sim.create_group("default", "backend");
    let organization = sim.organization("coder").expect("the default one").id;
    create(&sim, "first").await;
    let row = AuditRow::new("group", "write", group, "backend").within(organization);
    let difference = json!({ "quota_allowance": { "old": 1, "new": 2, "secret": false } });
    sim.audit_log()
        .write(row.clone().by("ann", "Mozilla/5.0").difference(difference.clone()));
    let before = sim
        .clock()
        .now()
        .saturating_sub(SignedDuration::from_hours(1))
        .expect("a time");
    sim.audit_log().write(row.status(502).at(before));
    let page = call(&sim, reqwest::Method::GET, "/audit?limit=10&offset=0", None).await;
    let rows = page["audit_logs"].as_array().expect("rows");
    assert_eq!(
        (&rows[0]["user"]["username"], &rows[0]["user_agent"]),
        (&json!("ann"), &json!("Mozilla/5.0"))
    );
    assert_eq!(
        (&rows[0]["diff"], &rows[0]["resource_id"]),
        (&difference, &json!(group))
    );
    assert_eq!((&rows[2]["status_code"], &rows[2]["user"]), (&json!(502), &Value::Null));
}

#[tokio::test]
async fn a_change_that_was_made_can_be_answered_and_logged_as_a_failure() {
    let sim = Sim::builder(Profile::Main).start().await;
    let route = "/api/v2/organizations/{organization}";
    create(&sim, "alpha").await;
    sim.faults().add(
        Fault::on(Method::PATCH, route)
            .times(1)
            .done_but_answered(500, json!({ "message": "An internal server error occurred." })),
    );
    let patch = client()
        .patch(format!("{}/api/v2/organizations/alpha", sim.url()))
        .header("Coder-Session-Token", sim.owner_token())
        .body(json!({ "description": "changed" }).to_string());
    assert_eq!(patch.send().await.expect("an answer").status(), 500);
    assert_eq!(sim.organization("alpha").expect("it is there").description, "changed");
    let page = call(&sim, reqwest::Method::GET, "/audit?limit=1&offset=0", None).await;
    let row = &page["audit_logs"][0];
    assert_eq!((&row["status_code"], &row["diff"]), (&json!(500), &json!({})));
}
