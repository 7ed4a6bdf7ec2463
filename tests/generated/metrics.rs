//! What is made of the numbers: their table, the table of alerts, the dashboard.

use coder_operator::metrics::catalog::{self, Described, Type};
use serde_json::{Value, json};

/// A row for each number.
pub(crate) fn table() -> String {
    let mut rows = vec![
        "| metric | type | labels | |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    rows.extend(catalog::ALL.iter().map(|number| {
        let labels: Vec<String> = number.labels.iter().map(|label| format!("`{label}`")).collect();
        let type_: &str = number.type_.into();
        format!(
            "| `{}` | {type_} | {} | {} |",
            number.shown(),
            labels.join(", "),
            number.help
        )
    }));
    rows.join("\n") + "\n"
}

/// A row for each alert of the chart.
pub(crate) fn alerts() -> String {
    let rules: Value = serde_yaml::from_str(&crate::read(&format!("{}/files/alerts.yaml", crate::CHART))).unwrap();
    let mut rows = vec!["| alert | severity | |".to_owned(), "|---|---|---|".to_owned()];
    let groups = rules["groups"].as_array().unwrap().iter();
    rows.extend(groups.flat_map(|group| group["rules"].as_array().unwrap()).map(|rule| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alert = text(&rule["alert"]);
        let summary = text(&rule["annotations"]["summary"]);
        format!(
            "| [{alert}]({alert}.md) | {} | {summary} |",
            text(&rule["labels"]["severity"])
        )
    }));
    rows.join("\n") + "\n"
}

fn number(name: &str) -> &'static Described {
    let found = catalog::ALL.iter().find(|number| number.name == name);
    found.unwrap_or_else(|| panic!("there is no number {name}"))
}

/// A panel: title, unit, and a query with its legend each.
struct Panel(&'static str, &'static str, Vec<(String, &'static str)>);

/// A gauge of which each replica shows its own: the highest.
fn highest(name: &str, by: &str, filter: &str) -> String {
    format!(
        "max by ({by}) ({}{{namespace=~\"$namespace\"{filter}}})",
        number(name).shown()
    )
}

/// How often a second a counter moves.
fn rate(name: &str, by: &str) -> String {
    assert_eq!(number(name).type_, Type::Counter);
    format!(
        "sum by ({by}) (rate({}{{namespace=~\"$namespace\"}}[$__rate_interval]))",
        number(name).shown()
    )
}

/// The time within which 95 of 100 were.
fn quantile(name: &str) -> String {
    assert_eq!(number(name).type_, Type::Histogram);
    let buckets = format!(
        "rate({}_bucket{{namespace=~\"$namespace\"}}[$__rate_interval])",
        number(name).shown()
    );
    format!("histogram_quantile(0.95, sum by (le) ({buckets}))")
}

fn panels() -> Vec<Panel> {
    let until = |name: &str| format!("{} - time()", highest(name, "namespace", ""));
    vec![
        Panel(
            "Custom resources that are not ready",
            "short",
            vec![(
                highest("object_conditions", "kind", ",condition=\"Ready\",status!=\"True\""),
                "{{kind}}",
            )],
        ),
        Panel(
            "Waiting for a human",
            "short",
            vec![(
                highest("object_conditions", "kind", ",condition=\"Stalled\""),
                "{{kind}}",
            )],
        ),
        Panel(
            "Custom resources",
            "short",
            vec![(highest("objects", "kind", ""), "{{kind}}")],
        ),
        Panel(
            "Drift",
            "ops",
            vec![(rate("drifts", "kind, handling"), "{{kind}} {{handling}}")],
        ),
        Panel(
            "Passes by outcome",
            "ops",
            vec![(rate("passes", "outcome"), "{{outcome}}")],
        ),
        Panel(
            "95 of 100 passes end within",
            "s",
            vec![(quantile("pass_duration_seconds"), "passes")],
        ),
        Panel(
            "Queue",
            "short",
            vec![
                (highest("objects_waiting", "pod", ""), "waiting {{pod}}"),
                (highest("passes_running", "pod", ""), "running {{pod}}"),
            ],
        ),
        Panel(
            "Calls to Coder",
            "ops",
            vec![(rate("coder_calls", "status"), "{{status}}")],
        ),
        Panel(
            "Deployments that do not answer",
            "short",
            vec![(highest("breakers_open", "namespace", ""), "open")],
        ),
        Panel(
            "Time left",
            "s",
            vec![
                (until("license_expiry_timestamp_seconds"), "licence"),
                (until("token_expiry_timestamp_seconds"), "token"),
            ],
        ),
        Panel(
            "Workspace proxies",
            "short",
            vec![(highest("workspace_proxies", "health", ""), "{{health}}")],
        ),
        Panel(
            "95 of 100 entries of the audit log are handled within",
            "s",
            vec![(quantile("feed_lag_seconds"), "entries")],
        ),
        Panel(
            "Since the last list",
            "s",
            vec![(highest("snapshot_age_seconds", "collection", ""), "{{collection}}")],
        ),
        Panel("Leader", "short", vec![(highest("leader", "pod", ""), "{{pod}}")]),
    ]
}

/// Grafana's dashboard.
pub(crate) fn dashboard() -> String {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let panels: Vec<Value> = (0..)
        .zip(panels())
        .map(|(at, Panel(title, unit, queries))| {
            let targets: Vec<Value> = ('A'..)
                .zip(queries)
                .map(|(id, (query, legend))| json!({ "refId": id, "expr": query, "legendFormat": legend, "datasource": source }))
                .collect();
            json!({
                "id": at + 1, "type": "timeseries", "title": title, "datasource": source, "targets": targets,
                "gridPos": { "x": 12 * (at % 2), "y": 8 * (at / 2), "w": 12, "h": 8 },
                "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
            })
        })
        .collect();
    let dashboard = json!({
        "uid": "coder-operator", "title": "coder-operator", "tags": ["coder"], "schemaVersion": 39, "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            {
                "name": "namespace", "type": "query", "datasource": source, "includeAll": true, "allValue": ".*", "refresh": 2,
                "query": format!("label_values({}, namespace)", number("leader").shown()),
            },
        ] },
        "panels": panels,
    });
    serde_json::to_string_pretty(&dashboard).unwrap() + "\n"
}
