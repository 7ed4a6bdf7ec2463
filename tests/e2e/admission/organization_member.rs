//! `CoderOrganizationMember`.

use serde_json::json;

use super::table::{Bench, Rule, common};

const KIND: &str = "CoderOrganizationMember";
const PREBUILDS: &str = "c42fdf75-3097-471c-8c33-fb52454d81c0";
const ID: &str = "9e2f1c54-8d5b-4f0e-9d6a-0c3b7e1f2a48";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(super::group::organizations(KIND));
    let held = json!({
        "origin": "Created", "id": ID, "user": "ann", "observedGeneration": 1, "conditions": [],
    });
    let user = Rule::new(KIND, "spec.user", "must be a username, an email address or a user id");
    let user = [
        "under_score",
        "a space",
        "@example.com",
        "ann@",
        "Ann <ann@example.com>",
    ]
    .into_iter()
    .fold(user, |rule, user| rule.refuses(json!({"user": user})));
    rules.extend([
        ["ann", "Bob-2", "carl+x@example.com", ID]
            .into_iter()
            .fold(user, |rule, user| rule.accepts(json!({"user": user}))),
        Rule::new(KIND, "spec.user", "the user that owns prebuilt workspaces")
            .refuses(json!({"user": PREBUILDS}))
            .accepts(json!({"user": ID})),
        Rule::new(KIND, "", "user cannot be changed, a membership is one person's")
            .refuses_change_of(held.clone(), json!({"user": "ann"}), json!({"user": "bob"}))
            .accepts_change_of(held.clone(), json!({"user": "ann@example.com"}), json!({"user": "Ann"}))
            .accepts_change_of(held, json!({"user": "ann"}), json!({"user": ID}))
            .accepts_change(json!({"user": "ann"}), json!({"user": "bob"})),
        Rule::new(
            KIND,
            "spec.roles",
            "every member is an organization-member: leave it out",
        )
        .refuses(json!({"roles": ["organization-member"]}))
        .accepts(json!({"roles": []}))
        .accepts(json!({"roles": ["organization-admin", "template-author"]})),
    ]);
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_member_refuses_and_accepts() {
    Bench::new("admission-member").await.try_out(rules()).await;
}
