//! `CoderTemplateAccess`.

use serde_json::json;

use super::table::{Bench, Rule, common};

const KIND: &str = "CoderTemplateAccess";
const ID: &str = "9e2f1c54-8d5b-4f0e-9d6a-0c3b7e1f2a48";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(super::group::organizations(KIND));
    let held = json!({
        "origin": "Created", "id": ID, "template": "web", "observedGeneration": 1, "conditions": [],
    });
    rules.extend([
        Rule::new(KIND, "spec", "set at least one of users and groups")
            .refuses(json!({"groups": null}))
            .accepts(json!({"groups": null, "users": {}}))
            .accepts(json!({"groups": {}})),
        Rule::new(KIND, "spec.template", "must be the name or the id of a template")
            .refuses(json!({"template": "a space"}))
            .refuses(json!({"template": "under_score"}))
            .accepts(json!({"template": "Web-2"}))
            .accepts(json!({"template": ID})),
        Rule::new(KIND, "", "template cannot be changed: delete this object")
            .refuses_change_of(held.clone(), json!({}), json!({"template": "other"}))
            .accepts_change_of(held.clone(), json!({}), json!({"template": ID}))
            .accepts_change_of(held, json!({"template": ID}), json!({"template": "Web"}))
            .accepts_change(json!({}), json!({"template": "other"})),
        Rule::new(KIND, "spec.users", "names of people must have 1 to 254 characters")
            .refuses(json!({"users": {"": "Use"}}))
            .refuses(json!({"users": {"x".repeat(255): "Use"}}))
            .accepts(json!({"users": {"ann@example.com": "Admin", ID: "Use"}})),
        Rule::new(KIND, "spec.groups", "names of groups must have 1 to 255 characters")
            .refuses(json!({"groups": {"": "Use"}}))
            .refuses(json!({"groups": {"x".repeat(256): "Use"}}))
            .accepts(json!({"groups": {"Everyone": "Use", "/platform/devs": "Admin"}})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_template_access_refuses_and_accepts() {
    Bench::new("admission-template-access").await.try_out(rules()).await;
}
