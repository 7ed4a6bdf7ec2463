//! `CoderGroupSync`.

use serde_json::json;

use super::table::{Bench, Rule, common};

const KIND: &str = "CoderGroupSync";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(super::group::organizations(KIND));
    rules.extend([
        Rule::new(
            KIND,
            "spec",
            "set at least one of field, regexFilter, autoCreateMissingGroups and mapping",
        )
        .refuses(json!({"field": null}))
        .accepts(json!({"field": ""}))
        .accepts(json!({"field": null, "autoCreateMissingGroups": false})),
        Rule::new(
            KIND,
            "spec",
            "mappingPolicy says how to treat mapping: set mapping, or remove mappingPolicy",
        )
        .refuses(json!({"mappingPolicy": "AtLeast"}))
        .accepts(json!({"mappingPolicy": "AtLeast", "mapping": {}})),
        Rule::new(KIND, "spec.regexFilter", "regexp")
            .refuses(json!({"regexFilter": "["}))
            .accepts(json!({"regexFilter": ""}))
            .accepts(json!({"regexFilter": "^coder-(a|b)$"})),
        Rule::new(KIND, "spec.mapping", "claim values must have 1 to 256 characters")
            .refuses(json!({"mapping": {"": ["backend"]}}))
            .refuses(json!({"mapping": {"x".repeat(257): ["backend"]}}))
            .accepts(json!({"mapping": {"x".repeat(256): ["backend", "/platform/devs"]}})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_group_sync_refuses_and_accepts() {
    Bench::new("admission-group-sync").await.try_out(rules()).await;
}
