//! What an operator of the operator sees: metrics, log, events.

use std::collections::BTreeMap;

use coder_sim::Profile;
use coder_sim::license::{LicenseSpec, mint};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderLicense, CoderWorkspaceProxy};
use coder_operator::metrics::catalog;

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
    is_as_described(&text);
    world.finish().await;
}

/// Each number is in the catalog, from which the documents are made, with its type, labels and meaning; and all are there but those that
/// nothing here moves.
fn is_as_described(text: &str) {
    const UNMOVED: [&str; 4] = [
        "drifts",
        "drift_repeats",
        "unreadable_objects",
        "token_expiry_timestamp_seconds",
    ];
    let word = |line: &str, begin: &str| -> Option<(String, String)> {
        let (name, rest) = line.strip_prefix(begin)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let help: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| word(line, "# HELP coder_operator_"))
        .collect();
    let types: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| word(line, "# TYPE coder_operator_"))
        .collect();
    for (name, said) in &help {
        let described = catalog::ALL
            .iter()
            .find(|it| it.name == name)
            .unwrap_or_else(|| panic!("{name} is in no document"));
        // The library ends each with a full stop.
        assert_eq!(said.trim_end_matches('.'), described.help, "{name}");
        let type_: &str = described.type_.into();
        assert_eq!(types[name], type_, "{name}");
        let shown = format!("coder_operator_{name}");
        for line in text.lines().filter(|line| {
            line.strip_prefix(&shown)
                .is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
        }) {
            let Some((sample, labels)) = line.split_once('{') else {
                continue;
            };
            let parts = ["", "_total", "_bucket", "_sum", "_count"].map(|part| format!("{shown}{part}"));
            if !parts.contains(&sample.to_owned()) {
                continue;
            }
            let labels = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0));
            let labels: Vec<&str> = labels.filter(|label| *label != "le").collect();
            assert_eq!(labels, described.labels, "{line}");
        }
    }
    let missing = catalog::ALL
        .iter()
        .filter(|it| !help.contains_key(it.name))
        .map(|it| it.name);
    let missing: Vec<&str> = missing.filter(|name| !UNMOVED.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are promised");
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
