//! What the API server refuses before the operator ever sees it: each rule with what it refuses and what is nearest to
//! that and right.
//!
//! The tables stand in a file a kind. [`every_rule_has_a_case`] compares them with the rules in the definitions, so that
//! a new rule without a case fails.

mod custom_role;
mod definitions;
mod deployment_settings;
mod group;
mod instance;
mod license;
mod oauth2_app;
mod organization;
mod organization_member;
mod provisioner_key;
mod sync;
mod table;
mod template_access;
mod values;
mod workspace_proxy;

use std::collections::BTreeSet;

use coder_operator::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrArray;

use table::Rule;

/// Every rule in the definitions: kind, path and message.
fn rules() -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for definition in crds::all() {
        let kind = &definition.spec.names.kind;
        for schema in definition
            .spec
            .versions
            .iter()
            .filter_map(|version| version.schema.as_ref())
        {
            walk(
                kind,
                "",
                schema.open_api_v3_schema.as_ref().expect("a schema"),
                &mut found,
            );
        }
    }
    found
}

fn walk(kind: &str, path: &str, schema: &JSONSchemaProps, found: &mut BTreeSet<(String, String, String)>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let message = rule
            .message
            .clone()
            .unwrap_or_else(|| panic!("{kind} {path}: no message for {}", rule.rule));
        let new = found.insert((kind.to_owned(), path.to_owned(), message));
        assert!(
            new,
            "{kind} {path}: two rules have the same message, one of them is {}",
            rule.rule
        );
    }
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        walk(kind, &path, property, found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(kind, &format!("{path}[]"), items, found);
    }
}

#[test]
fn every_rule_has_a_case() {
    let tables = [
        custom_role::rules(),
        deployment_settings::rules(),
        group::rules(),
        instance::rules(),
        license::rules(),
        oauth2_app::rules(),
        organization::rules(),
        organization_member::rules(),
        provisioner_key::rules(),
        sync::rules(),
        template_access::rules(),
        workspace_proxy::rules(),
    ];
    let covered: Vec<Rule> = tables.into_iter().flatten().collect();
    for (kind, path, message) in rules() {
        let cases = covered.iter().filter(|rule| rule.is(&kind, &path, &message)).count();
        assert_eq!(cases, 1, "cases for the rule of {kind} at {path:?}: {message}");
    }
    assert_eq!(
        covered.len(),
        rules().len(),
        "a case speaks of a rule that is not there"
    );
}
