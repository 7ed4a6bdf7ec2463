//! `CoderCustomRole`.

use serde_json::json;

use super::table::{Bench, Rule, common, display_name};

const KIND: &str = "CoderCustomRole";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(super::group::organizations(KIND));
    let held = json!({"origin": "Created", "observedGeneration": 1, "conditions": []});
    let name = Rule::new(KIND, "spec.name", "must be a role's name");
    let name = ["Upper", "under_score", "two--hyphens", "-first", "a space"]
        .into_iter()
        .fold(name, |rule, name| rule.refuses(json!({"name": name})));
    let own = [
        "owner",
        "organization-admin",
        "organization-workspace-access",
        "agents-access",
        "new",
    ];
    rules.extend([
        name.accepts(json!({"name": "template-author-2"})),
        own.iter()
            .fold(
                Rule::new(
                    KIND,
                    "spec.name",
                    "Coder has a role of that name itself, or reserves it",
                ),
                |rule, name| rule.refuses(json!({"name": name})),
            )
            .accepts(json!({"name": "owner-2"})),
        own.iter()
            .chain(&["dotted.name", "a-name-that-is-longer-than-roles-have"])
            .fold(
                Rule::new(KIND, "", "metadata.name is no name of a custom role"),
                |rule, name| rule.refuses_named(name, json!({})),
            )
            .accepts_named("template-author", json!({}))
            .accepts_named("dotted.name", json!({"name": "given"})),
        Rule::new(KIND, "", "name cannot be changed, Coder cannot rename a role")
            .refuses_change_of(held.clone(), json!({"name": "one"}), json!({"name": "other"}))
            .refuses_change_of(held.clone(), json!({}), json!({"name": "other"}))
            .accepts_change_of(held, json!({}), json!({"name": "tried"}))
            .accepts_change(json!({"name": "one"}), json!({"name": "other"})),
        display_name(KIND).accepts(json!({"displayName": ""})),
        Rule::new(
            KIND,
            "spec.permissions",
            "resources are words of lower-case letters, digits and underscores",
        )
        .refuses(json!({"permissions": {"*": ["read"]}}))
        .refuses(json!({"permissions": {"Template": ["read"]}}))
        .refuses(json!({"permissions": {"x".repeat(65): ["read"]}}))
        .accepts(json!({"permissions": {}}))
        .accepts(json!({"permissions": {"assign_org_role": ["read", "unassign"]}})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_custom_role_refuses_and_accepts() {
    Bench::new("admission-custom-role").await.try_out(rules()).await;
}
