//! What Argo CD is to know of the kinds: how to read their health, and what its users can do with them. The scripts are in
//! `charts/coder-operator/files/argocd`; which kind gets which action follows from its definition.

use coder_operator::crds;
use serde_json::{Value, json};

/// A `ConfigMap` that is applied over that of Argo CD.
pub(crate) fn config_map() -> String {
    let mut data = serde_json::Map::new();
    for definition in crds::all() {
        let definition = serde_json::to_value(definition).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let key = |part: &str| format!("resource.customizations.{part}.coder-operator.dev_{kind}");
        data.insert(key("health"), json!(script("health")));
        data.insert(
            key("actions"),
            json!(serde_yaml::to_string(&actions(&definition)).unwrap()),
        );
    }
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "argocd-cm", "labels": { "app.kubernetes.io/part-of": "argocd" } },
        "data": data,
    });
    serde_yaml::to_string(&map).unwrap()
}

fn script(name: &str) -> String {
    crate::read(&format!("{}/files/argocd/{name}.lua", crate::CHART))
}

/// Discovery and definitions, as Argo CD reads them.
fn actions(definition: &Value) -> Value {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut names = vec!["reconcile-now"];
    let mut discovery = String::from("local actions = {}\nactions[\"reconcile-now\"] = {disabled = false}\n");
    if schema["status"]["properties"].get("lastHandledRotate").is_some() {
        names.push("rotate-token");
        discovery.push_str("actions[\"rotate-token\"] = {disabled = false}\n");
    }
    if schema["spec"]["properties"].get("mode").is_some() {
        names.extend(["suspend", "resume"]);
        discovery.push_str("local suspended = obj.spec.mode == \"Suspend\"\n");
        discovery.push_str("actions[\"suspend\"] = {disabled = suspended}\n");
        discovery.push_str("actions[\"resume\"] = {disabled = not suspended}\n");
    }
    discovery.push_str("return actions\n");
    let definitions: Vec<Value> = names
        .into_iter()
        .map(|name| json!({ "name": name, "action.lua": script(name) }))
        .collect();
    json!({ "discovery.lua": discovery, "definitions": definitions })
}
