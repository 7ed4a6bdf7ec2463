//! `CoderProvisionerKey`.

use serde_json::json;

use super::table::{Bench, Rule, common, name_stays, rotation, secret};

const KIND: &str = "CoderProvisionerKey";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(super::group::organizations(KIND));
    rules.extend(secret(KIND, "spec.keySecret", "keySecret"));
    rules.extend(rotation(KIND));
    rules.extend([name(), metadata_name(), name_stays(KIND)]);
    rules
}

fn name() -> Rule {
    let rule = Rule::new(
        KIND,
        "spec.name",
        "must be lower-case letters, digits and single hyphens",
    );
    let refused = [
        "Upper",
        "a.2",
        "a/b",
        "a b",
        "two--hyphens",
        "-a",
        "psk",
        "user-auth",
        "built-in",
    ];
    let rule = refused
        .into_iter()
        .fold(rule, |rule, name| rule.refuses(json!({"name": name})));
    rule.accepts(json!({"name": "cluster-1"}))
        .accepts(json!({"name": "x".repeat(56)}))
}

fn metadata_name() -> Rule {
    Rule::new(KIND, "", "metadata.name is no name for a provisioner key")
        .refuses_named("dotted.name", json!({}))
        .refuses_named("psk", json!({}))
        .refuses_named(&"x".repeat(57), json!({}))
        .accepts_named("dotted.name", json!({"name": "given"}))
        .accepts_named(&"x".repeat(56), json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_provisioner_key_refuses_and_accepts() {
    Bench::new("admission-key").await.try_out(rules()).await;
}
