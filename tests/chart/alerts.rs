//! The alerts and the dashboard: promtool makes each alert fire, and everything they ask for is a number that there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use coder_operator::metrics::catalog;
use serde_json::{Value, json};
use test_ground::tools::PROMTOOL;

use crate::support::{chart, kind, only, template};

/// Alert, series with their values a minute, the first minute at which it fires, and the last at which it does not.
type Case = (&'static str, &'static [(&'static str, &'static str)], u32, Option<u32>);

const CASES: &[Case] = &[
    (
        "CoderObjectNotReady",
        &[(
            r#"object_conditions{kind="CoderGroup",condition="Ready",status="False"}"#,
            "1x60",
        )],
        30,
        Some(29),
    ),
    (
        "CoderObjectStalled",
        &[(
            r#"object_conditions{kind="CoderGroup",condition="Stalled",status="True"}"#,
            "2x60",
        )],
        10,
        Some(9),
    ),
    (
        "CoderDeletionBlocked",
        &[(
            r#"object_conditions{kind="CoderGroup",condition="DeletionBlocked",status="True"}"#,
            "1x90",
        )],
        60,
        Some(59),
    ),
    (
        "CoderDriftRepeats",
        &[(
            r#"object_conditions{kind="CoderGroup",condition="DriftRepeats",status="True"}"#,
            "0x9 1x9",
        )],
        10,
        Some(9),
    ),
    // Thirteen days.
    (
        "CoderLicenseExpiring",
        &[("license_expiry_timestamp_seconds", "1123200x90")],
        60,
        Some(59),
    ),
    (
        "CoderLicenseExpired",
        &[("license_expiry_timestamp_seconds", "60x60")],
        12,
        Some(10),
    ),
    // One day.
    (
        "CoderTokenExpiring",
        &[("token_expiry_timestamp_seconds", "86400x60")],
        10,
        Some(9),
    ),
    (
        "CoderTokenRefused",
        &[(
            r#"coder_calls_total{method="GET",path="/users/me",status="401"}"#,
            "1+1x60",
        )],
        8,
        Some(1),
    ),
    ("CoderUnreachable", &[("breakers_open", "0x9 1x30")], 15, Some(14)),
    (
        "CoderRateLimited",
        &[(
            r#"coder_calls_total{method="GET",path="/groups",status="429"}"#,
            "1+1x60",
        )],
        17,
        Some(14),
    ),
    (
        "CoderWorkspaceProxyUnhealthy",
        &[(r#"workspace_proxies{health="unhealthy"}"#, "1x60")],
        10,
        Some(9),
    ),
    (
        "CoderOperatorNoLeader",
        &[(r#"leader{pod="a"}"#, "1x9 0x30"), (r#"leader{pod="b"}"#, "0x40")],
        15,
        Some(14),
    ),
    // Not scraped at all.
    (
        "CoderOperatorNoLeader",
        &[("objects{kind=\"CoderGroup\"}", "1x30")],
        5,
        Some(4),
    ),
    (
        "CoderOperatorQueueGrowing",
        &[("objects_waiting", "90+10x60")],
        17,
        Some(14),
    ),
    (
        "CoderOperatorCannotList",
        &[(r#"unlisted{kind="CoderGroup"}"#, "1x60")],
        15,
        Some(14),
    ),
    (
        "CoderOperatorUnreadableObjects",
        &[(r#"unreadable_objects_total{kind="CoderGroup"}"#, "0x9 1+1x9")],
        11,
        Some(9),
    ),
    (
        "CoderFeedFellBack",
        &[("feed_fallbacks_total", "0x9 1x90")],
        11,
        Some(9),
    ),
];

/// Everything is well.
const WELL: &[(&str, &str)] = &[
    (
        r#"object_conditions{kind="CoderGroup",condition="Ready",status="True"}"#,
        "5x120",
    ),
    (
        r#"object_conditions{kind="CoderGroup",condition="Ready",status="False"}"#,
        "0x120",
    ),
    (
        r#"object_conditions{kind="CoderGroup",condition="Suspended",status="True"}"#,
        "1x120",
    ),
    ("license_expiry_timestamp_seconds", "9999999x120"),
    ("token_expiry_timestamp_seconds", "9999999x120"),
    (
        r#"coder_calls_total{method="GET",path="/users/me",status="200"}"#,
        "1+1x120",
    ),
    (
        r#"coder_calls_total{method="GET",path="/users/me",status="401"}"#,
        "1x120",
    ),
    ("breakers_open", "0x120"),
    (r#"workspace_proxies{health="unregistered"}"#, "1x120"),
    (r#"leader{pod="a"}"#, "1x120"),
    (r#"leader{pod="b"}"#, "0x120"),
    ("objects_waiting", "500-4x120"),
    (r#"unlisted{kind="CoderGroup"}"#, "0x120"),
    (r#"unreadable_objects_total{kind="CoderGroup"}"#, "7x120"),
    ("feed_fallbacks_total", "3x120"),
];

/// Series as Prometheus would have scraped them.
fn series(series: &[(&str, &str)]) -> Vec<Value> {
    let scraped = |name: &str| match name.split_once('{') {
        Some((name, labels)) => format!("coder_operator_{name}{{namespace=\"coder\",{labels}"),
        None => format!("coder_operator_{name}{{namespace=\"coder\"}}"),
    };
    series
        .iter()
        .map(|(name, values)| json!({ "series": scraped(name), "values": values }))
        .collect()
}

fn firing(alert: &str, minute: u32, fires: bool) -> Value {
    let samples = if fires {
        json!([{ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 }])
    } else {
        json!([])
    };
    json!({
        "expr": format!("count by (alertname) (ALERTS{{alertname=~\"{alert}\",alertstate=\"firing\"}})"),
        "eval_time": format!("{minute}m"),
        "exp_samples": samples,
    })
}

fn alerts() -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(chart().join("files/alerts.yaml")).unwrap()).unwrap()
}

fn rules() -> Vec<Value> {
    alerts()["groups"][0]["rules"].as_array().unwrap().clone()
}

fn promtool(arguments: &[&str]) {
    let output = Command::new(PROMTOOL.binary().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert!(output.status.success(), "{said}");
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let mut tests: Vec<Value> = CASES
        .iter()
        .map(|(alert, input, fires, quiet)| {
            let mut expected = vec![firing(alert, *fires, true)];
            expected.extend(quiet.map(|minute| firing(alert, minute, false)));
            json!({ "name": alert, "interval": "1m", "input_series": series(input), "promql_expr_test": expected })
        })
        .collect();
    let all_is_well: Vec<Value> = [5, 30, 60, 100].map(|minute| firing(".+", minute, false)).into();
    tests.push(
        json!({ "name": "well", "interval": "1m", "input_series": series(WELL), "promql_expr_test": all_is_well }),
    );
    let rules = chart().join("files/alerts.yaml");
    let suite = json!({ "rule_files": [rules], "evaluation_interval": "1m", "tests": tests });
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), suite.to_string()).unwrap();
    promtool(&[
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        &rules.display().to_string(),
    ]);
    promtool(&["test", "rules", &file.path().display().to_string()]);
    let tried: BTreeSet<&str> = CASES.iter().map(|(alert, ..)| *alert).collect();
    let all: Vec<String> = rules_names();
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), sorted(&all));
}

fn rules_names() -> Vec<String> {
    rules()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap().to_owned())
        .collect()
}

fn sorted(names: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn each_alert_has_a_page_and_each_page_an_alert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let mut pages: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|page| page != "README")
        .collect();
    pages.sort_unstable();
    assert_eq!(pages, sorted(&rules_names()));
    for page in pages {
        let text = std::fs::read_to_string(folder.join(format!("{page}.md"))).unwrap();
        for part in ["What it means", "Where to look", "What to do"] {
            assert!(
                text.contains(&format!("\n## {part}\n")),
                "{page} has no part \"{part}\""
            );
        }
    }
}

/// The queries of the dashboard.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(chart().join("files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn alerts_and_dashboard_ask_for_numbers_that_there_are() {
    let known: BTreeSet<String> = catalog::ALL.iter().map(catalog::Described::shown).collect();
    let expressions = rules()
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    let mut used = BTreeSet::new();
    for expression in expressions.into_iter().chain(queries()) {
        for after in expression.split("coder_operator_").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let name = format!("coder_operator_{}", name.trim_end_matches("_bucket"));
            assert!(known.contains(&name), "there is no {name}: {expression}");
            used.insert(name);
        }
    }
    assert!(used.len() > 12, "{used:?}");
}

#[test]
fn the_queries_of_the_dashboard_are_queries() {
    let rules: Vec<Value> = (0..)
        .zip(queries())
        .map(|(at, query)| json!({ "record": format!("panel:{at}"), "expr": query.replace("$__rate_interval", "5m") }))
        .collect();
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), groups.to_string()).unwrap();
    promtool(&["check", "rules", &file.path().display().to_string()]);
}

#[test]
fn the_chart_installs_alerts_and_dashboard() {
    let values = json!({ "metrics": {
        "prometheusRule": { "enabled": true, "runbookUrl": "https://example.com/runbooks", "disabled": ["CoderFeedFellBack"] },
        "dashboard": { "enabled": true },
    } });
    let objects = template(&values).unwrap();
    let installed = only(&objects, "PrometheusRule").data["spec"]["groups"][0]["rules"].clone();
    let mut expected = rules();
    expected.retain(|rule| rule["alert"] != "CoderFeedFellBack");
    for rule in &mut expected {
        rule["annotations"]["runbook_url"] = json!(format!(
            "https://example.com/runbooks/{}.md",
            rule["alert"].as_str().unwrap()
        ));
    }
    assert_eq!(installed, json!(expected));
    let map = objects
        .iter()
        .find(|object| kind(object) == "ConfigMap")
        .expect("the dashboard");
    assert_eq!(map.metadata.labels.as_ref().unwrap()["grafana_dashboard"], "1");
    let text = map.data["data"]["coder-operator.json"].as_str().unwrap();
    assert_eq!(
        text.trim(),
        std::fs::read_to_string(chart().join("files/dashboard.json"))
            .unwrap()
            .trim()
    );
}
