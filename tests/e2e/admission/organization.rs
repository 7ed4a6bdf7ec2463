//! `CoderOrganization`.

use serde_json::json;

use super::table::{Bench, Rule, common, display_name, icon, metadata_name, names};

const KIND: &str = "CoderOrganization";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(names(KIND));
    rules.extend([
        metadata_name(KIND)
            .refuses_named(&"x".repeat(33), json!({}))
            .accepts_named(&"x".repeat(32), json!({})),
        Rule::new(
            KIND,
            "",
            "set spec.name to the real name of the default organization (at first \"coder\")",
        )
        .refuses_named("default", json!({}))
        .refuses(json!({"name": "default"}))
        .accepts_named("default", json!({"name": "coder"})),
        display_name(KIND),
        icon(KIND, "spec.icon", "icon").accepts(json!({"icon": ""})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_an_organization_refuses_and_accepts() {
    Bench::new("admission-organization").await.try_out(rules()).await;
}
