//! What an operator of the operator sees: metrics, log, events.

use coder_sim::Profile;
use coder_sim::license::{LicenseSpec, mint};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderLicense, CoderWorkspaceProxy};

use crate::support::{Coder, World, ready, simulated_only};

#[tokio::test(flavor = "multi_thread")]
async fn the_promised_metrics_are_there_and_name_no_object() {
    simulated_only!("mints a licence");
    let world = World::with("metrics", Coder::simulated(Profile::Main).await, json!({})).await;
    let license = mint(&LicenseSpec::premium(world.coder.sim().clock().now()));
    world.put_secret(world.ns(), "license", &[("license", &license)]).await;
    world
        .apply::<CoderLicense>("license", json!({ "licenseSecretRef": { "name": "license" } }))
        .await;
    world.wait::<CoderLicense>("license", ready).await;
    world
        .apply::<CoderGroup>("conspicuous", json!({ "organization": "default" }))
        .await;
    world.wait::<CoderGroup>("conspicuous", ready).await;
    let proxy = json!({ "displayName": "P", "icon": "/p.png", "tokenSecret": { "name": "p" } });
    world.apply::<CoderWorkspaceProxy>("conspicuous-proxy", proxy).await;
    world.wait::<CoderWorkspaceProxy>("conspicuous-proxy", ready).await;
    let promised = [
        "coder_operator_passes_total{kind=\"CoderGroup\",outcome=\"InSync\"}",
        "coder_operator_pass_duration_seconds_bucket{",
        "coder_operator_objects{kind=\"CoderGroup\"} 1",
        "coder_operator_object_conditions{kind=\"CoderGroup\",condition=\"Ready\",status=\"True\"} 1",
        "coder_operator_coder_calls_total{method=\"POST\",path=\"/organizations/{organization}/groups\",status=\"201\"} 1",
        "coder_operator_snapshot_age_seconds{collection=\"groups\"}",
        "coder_operator_lists_total{collection=\"groups\",outcome=\"ok\"}",
        "coder_operator_breakers_open 0.0",
        "coder_operator_license_expiry_timestamp_seconds ",
        "coder_operator_workspace_proxies{health=\"unregistered\"} 1",
    ];
    for line in promised {
        world
            .until(line, async || world.operator.http("/metrics").await.1.contains(line))
            .await;
    }
    let (_, text) = world.operator.http("/metrics").await;
    assert!(!text.contains("conspicuous") && !text.contains(world.ns()), "{text}");
    assert!(text.ends_with("# EOF\n"), "OpenMetrics text ends so");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_is_a_span_and_a_change_is_an_event_and_a_log_line() {
    let world = World::new("telemetry").await;
    let name = world.name("backend");
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default", "name": name }))
        .await;
    world.wait::<CoderGroup>("backend", ready).await;
    world.event("backend", "Created", &format!("create group {name}")).await;
    let log = world.operator.log();
    let line = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["change"] == format!("create group {name}"))
        .expect("a line about the change");
    assert_eq!(line["span"]["kind"], "CoderGroup");
    assert_eq!(line["span"]["object"], format!("{}/backend", world.ns()));
    assert!(!log.contains(&world.coder.token), "the token is in the log");
    world.finish().await;
}
