//! Values that users set, one case a purpose.

use serde_json::{Value, json};

use crate::support::chart;

/// A values file that comes with the chart.
fn shipped(name: &str) -> Value {
    let text = std::fs::read_to_string(chart().join(name)).expect("a values file");
    serde_yaml::from_str(&text).expect("YAML")
}

/// Name and values of each.
pub(crate) fn cases() -> Vec<(&'static str, Value)> {
    [permissions(), pods(), surroundings()].concat()
}

fn permissions() -> Vec<(&'static str, Value)> {
    vec![
        ("defaults", json!({})),
        ("small", shipped("values-small.yaml")),
        ("ha", shipped("values-ha.yaml")),
        ("watched", json!({ "watchNamespaces": ["team-a", "team-b", "team-a"] })),
        (
            "watched, one with secrets",
            json!({ "watchNamespaces": ["team-a", "team-b"], "secretNamespaces": ["team-a"] }),
        ),
        (
            "nothing of the cluster",
            json!({
                "watchNamespaces": ["team-a"],
                "rbac": { "namespaces": false, "aggregate": false },
                "crds": { "enabled": false },
            }),
        ),
        ("all secrets", json!({ "secretNamespaces": ["*"] })),
        ("some secrets", json!({ "secretNamespaces": ["coder", "team-a"] })),
        ("no definitions", json!({ "crds": { "enabled": false } })),
        (
            "definitions that go",
            json!({ "crds": { "keep": false, "annotations": { "example.com/team": "platform" } } }),
        ),
        (
            "permissions by others",
            json!({
                "rbac": { "create": false, "aggregate": false },
                "serviceAccount": { "create": false, "name": "theirs" },
            }),
        ),
    ]
}

fn pods() -> Vec<(&'static str, Value)> {
    vec![
        (
            "alone",
            json!({ "replicaCount": 1, "leaderElection": { "enabled": false }, "log": { "format": "text", "audit": true } }),
        ),
        (
            "proxy and authorities",
            json!({
                "proxy": { "https": "http://proxy:3128", "http": "http://proxy:3128", "none": ".svc,10.0.0.0/8" },
                "ca": { "configMap": "corp-ca" },
            }),
        ),
        (
            "authorities in a Secret",
            json!({ "ca": { "secret": "corp-ca", "key": "bundle.pem" } }),
        ),
        (
            "placement",
            json!({
                "priorityClassName": "system-cluster-critical",
                "nodeSelector": { "kubernetes.io/os": "linux" },
                "tolerations": [{ "key": "infra", "operator": "Exists" }],
                "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
                    { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "a": "b" } } },
                ] } },
                "topologySpreadConstraints": [],
            }),
        ),
        (
            "more of everything",
            json!({
                "imagePullSecrets": [{ "name": "registry" }],
                "image": { "digest": format!("sha256:{}", "0".repeat(64)), "pullPolicy": "Always" },
                "podAnnotations": { "a": "b" }, "podLabels": { "team": "platform" }, "commonLabels": { "env": "prod" },
                "extraEnv": [{ "name": "RUST_BACKTRACE", "value": "1" }],
                "extraEnvFrom": [{ "configMapRef": { "name": "environment" } }],
                "extraVolumes": [{ "name": "tmp", "emptyDir": {} }],
                "extraVolumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
                "extraObjects": [
                    { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "{{ .Release.Name }}-yaml", "namespace": "{{ .Release.Namespace }}" } },
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-text', namespace: coder}",
                ],
            }),
        ),
    ]
}

fn surroundings() -> Vec<(&'static str, Value)> {
    vec![
        (
            "network",
            json!({ "networkPolicy": {
                "ingressFrom": [{ "namespaceSelector": { "matchLabels": { "a": "b" } } }],
                "egressPorts": [443],
                "egressTo": [{ "ipBlock": { "cidr": "10.0.0.0/8" } }],
                "extraEgress": [{ "ports": [{ "port": 3128, "protocol": "TCP" }] }],
            } }),
        ),
        (
            "nothing around it",
            json!({
                "networkPolicy": { "enabled": false },
                "podDisruptionBudget": { "enabled": false },
                "metrics": { "service": { "enabled": false } },
            }),
        ),
        (
            "monitored",
            json!({ "metrics": {
                "service": { "annotations": { "a": "b" } },
                "serviceMonitor": {
                    "enabled": true, "interval": "30s", "labels": { "release": "prometheus" },
                    "relabelings": [{ "action": "labeldrop", "regex": "pod" }],
                    "metricRelabelings": [{ "action": "labeldrop", "regex": "pod" }],
                },
                "prometheusRule": { "enabled": true, "labels": { "release": "prometheus" } },
                "dashboard": { "enabled": true },
            } }),
        ),
        (
            "names",
            json!({ "fullnameOverride": "a-name-that-is-far-longer-than-what-fits-into-the-label-of-an-object" }),
        ),
        ("Argo CD", json!({ "argocd": { "customizations": true } })),
        ("another name", json!({ "nameOverride": "operator" })),
    ]
}
