//! `CoderGroup`.

use serde_json::json;

use super::table::{Bench, Rule, common, display_name, icon, metadata_name, names};

const KIND: &str = "CoderGroup";
const ID: &str = "9e2f1c54-8d5b-4f0e-9d6a-0c3b7e1f2a48";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(names(KIND));
    rules.extend(parents());
    rules.extend([
        metadata_name(KIND).accepts_named(&"x".repeat(253), json!({})),
        Rule::new(KIND, "spec.name", "set everyoneQuotaAllowance on the CoderOrganization")
            .refuses(json!({"name": "Everyone"}))
            .accepts(json!({"name": "everyone"})),
        display_name(KIND).accepts(json!({"displayName": ""})),
        icon(KIND, "spec.avatarURL", "avatarURL").accepts(json!({"avatarURL": ""})),
        Rule::new(
            KIND,
            "spec",
            "memberPolicy says how to treat members: set members, or remove memberPolicy",
        )
        .refuses(json!({"memberPolicy": "AtLeast"}))
        .refuses(json!({"memberPolicy": "Exact"}))
        .accepts(json!({"memberPolicy": "AtLeast", "members": []}))
        .accepts(json!({"members": ["ann"]})),
        Rule::new(
            KIND,
            "spec.members",
            "each member must be a username, an email address or a user id",
        )
        .refuses(json!({"members": ["ann", "bob smith"]}))
        .refuses(json!({"members": ["under_score"]}))
        .refuses(json!({"members": ["@example.com"]}))
        .refuses(json!({"members": ["ann@"]}))
        .refuses(json!({"members": ["ann@example.com@example.com"]}))
        .refuses(json!({"members": ["Ann <ann@example.com>"]}))
        .accepts(json!({"members": []}))
        .accepts(json!({"members": ["ann", "Bob-2", "carl+x@example.com", ID]})),
    ]);
    rules
}

/// The rules about the organization that a group is in.
fn parents() -> [Rule; 4] {
    let by_reference = json!({"organization": null, "organizationRef": {"name": "platform"}});
    [
        Rule::new(
            KIND,
            "spec",
            "set exactly one of organizationRef (a CoderOrganization) and organization",
        )
        .refuses(json!({"organization": null}))
        .refuses(json!({"organization": "default", "organizationRef": {"name": "platform"}}))
        .accepts(by_reference.clone())
        .accepts(json!({"organization": "default"})),
        Rule::new(
            KIND,
            "spec.organization",
            "must be the name or the id of an organization in Coder, or \"default\"",
        )
        .refuses(json!({"organization": "under_score"}))
        .refuses(json!({"organization": "../users"}))
        .refuses(json!({"organization": "two--hyphens"}))
        .accepts(json!({"organization": "Platform-2"}))
        .accepts(json!({"organization": ID})),
        Rule::new(
            KIND,
            "spec",
            "organization cannot be changed, Coder cannot move a group",
        )
        .refuses_change(json!({"organization": "alpha"}), json!({"organization": "beta"}))
        .accepts_change(
            json!({"organization": "alpha"}),
            json!({"organization": "alpha", "displayName": "New"}),
        ),
        Rule::new(
            KIND,
            "spec",
            "organizationRef cannot be changed, Coder cannot move a group",
        )
        .refuses_change(
            by_reference.clone(),
            json!({"organization": null, "organizationRef": {"name": "other"}}),
        )
        .refuses_change(
            by_reference.clone(),
            json!({"organization": null, "organizationRef": {"name": "platform", "namespace": "other"}}),
        )
        .accepts_change(
            by_reference.clone(),
            json!({"organization": null, "organizationRef": {"name": "platform"}, "displayName": "New"}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_group_refuses_and_accepts() {
    Bench::new("admission-group").await.try_out(rules()).await;
}
