//! `CoderGroupSync`, `CoderRoleSync` and `CoderOrganizationSync`.

use serde_json::{Value, json};

use super::table::{Bench, Rule, common};

const GROUPS: &str = "CoderGroupSync";
const ROLES: &str = "CoderRoleSync";
const ORGANIZATIONS: &str = "CoderOrganizationSync";

pub(super) fn rules() -> Vec<Rule> {
    [
        (GROUPS, json!(["backend", "/platform/devs"])),
        (ROLES, json!(["organization-admin"])),
        (ORGANIZATIONS, json!(["default", "Alpha-2"])),
    ]
    .into_iter()
    .flat_map(|(kind, targets)| shared(kind, &targets))
    .chain([GROUPS, ROLES].into_iter().flat_map(super::group::organizations))
    .chain(fields())
    .collect()
}

fn shared(kind: &'static str, targets: &Value) -> Vec<Rule> {
    let mut rules = common(kind);
    rules.extend([
        Rule::new(
            kind,
            "spec",
            "mappingPolicy says how to treat mapping: set mapping, or remove mappingPolicy",
        )
        .refuses(json!({"mappingPolicy": "AtLeast"}))
        .accepts(json!({"mappingPolicy": "AtLeast", "mapping": {}})),
        Rule::new(kind, "spec.mapping", "claim values must have 1 to 256 characters")
            .refuses(json!({"mapping": {"": targets}}))
            .refuses(json!({"mapping": {"x".repeat(257): targets}}))
            .accepts(json!({"mapping": {"x".repeat(256): targets}})),
    ]);
    rules
}

fn fields() -> [Rule; 4] {
    [
        Rule::new(
            GROUPS,
            "spec",
            "set at least one of field, regexFilter, autoCreateMissingGroups and mapping",
        )
        .refuses(json!({"field": null}))
        .accepts(json!({"field": ""}))
        .accepts(json!({"field": null, "autoCreateMissingGroups": false})),
        Rule::new(ROLES, "spec", "set at least one of field and mapping")
            .refuses(json!({"field": null}))
            .accepts(json!({"field": ""}))
            .accepts(json!({"field": null, "mapping": {}})),
        Rule::new(
            ORGANIZATIONS,
            "spec",
            "set at least one of field, assignDefault and mapping",
        )
        .refuses(json!({"field": null}))
        .accepts(json!({"field": ""}))
        .accepts(json!({"field": null, "assignDefault": false})),
        Rule::new(GROUPS, "spec.regexFilter", "regexp")
            .refuses(json!({"regexFilter": "["}))
            .accepts(json!({"regexFilter": ""}))
            .accepts(json!({"regexFilter": "^coder-(a|b)$"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_sync_refuses_and_accepts() {
    Bench::new("admission-sync").await.try_out(rules()).await;
}
