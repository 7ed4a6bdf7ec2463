//! What an operator of the operator sees: metrics, log, events.

use std::collections::BTreeMap;

use coder_sim::Profile;
use coder_sim::license::{LicenseSpec, mint};
use serde_json::{Value, json};

use coder_operator::api::{CoderGroup, CoderLicense, CoderWorkspaceProxy};
use coder_operator::metrics::catalog;

use crate::support::{Coder, Operator, Settings, World, cluster, ready, simulated_only};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_has_every_write_with_the_object_that_asked_for_it_and_no_secret() {
    simulated_only!("reads the journal");
    let ground = cluster().await;
    let namespace = ground.namespace("audit").await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let settings = Settings {
        environment: vec![("CODER_OPERATOR_AUDIT_LOG".to_owned(), path)],
        ..Settings::watching(namespace.name())
    };
    let operator = Operator::start(ground, &settings).await;
    let coder = Coder::simulated(Profile::Main).await;
    let kube = ground.admin().unwrap();
    let world = World {
        ground,
        namespace,
        coder,
        operator,
        kube,
    };
    world.connect(world.ns(), "default", json!({})).await;
    let proxy =
        json!({ "displayName": "P", "icon": "/p.png", "tokenSecret": { "name": "p" }, "deletionPolicy": "Delete" });
    world.apply::<CoderWorkspaceProxy>("paris", proxy).await;
    world.wait::<CoderWorkspaceProxy>("paris", ready).await;
    let group = |quota: u32| json!({ "organization": "default", "quotaAllowance": quota, "deletionPolicy": "Delete" });
    world.apply::<CoderGroup>("backend", group(1)).await;
    world.wait::<CoderGroup>("backend", ready).await;
    world.apply::<CoderGroup>("backend", group(2)).await;
    world.wait::<CoderGroup>("backend", ready).await;
    world.delete::<CoderGroup>("backend").await;
    world.gone::<CoderGroup>("backend").await;

    let text = std::fs::read_to_string(file.path()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let written: Vec<(&str, &str, u64)> = lines
        .iter()
        .map(|line| {
            (
                line["method"].as_str().unwrap(),
                line["path"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    let writes = world.coder.sim().journal().writes();
    let happened: Vec<(String, String, u64)> = writes
        .iter()
        .map(|entry| {
            let path = entry.path.trim_start_matches("/api/v2").split('?').next().unwrap();
            (
                entry.method.to_string(),
                path.to_owned(),
                u64::from(entry.status.unwrap()),
            )
        })
        .collect();
    let happened: Vec<(&str, &str, u64)> = happened
        .iter()
        .map(|(method, path, status)| (&**method, &**path, *status))
        .collect();
    assert_eq!(written, happened);
    let changed = lines.iter().find(|line| line["method"] == "PATCH").expect("the quota");
    let expected = json!({
        "name": "pass", "kind": "CoderGroup", "object": format!("{}/backend", world.ns()), "generation": 2,
    });
    assert_eq!(changed["span"], expected);
    let issued = world.secret("p", "CODER_PROXY_SESSION_TOKEN").await.unwrap();
    assert!(!text.contains(&world.coder.token) && !text.contains(&issued), "{text}");
    let log = world.operator.log();
    assert!(
        !log.contains("\"target\":\"audit\""),
        "the log itself is not twice as long"
    );
    world.finish().await;
}
