//! `CoderGroup`.

use serde_json::json;

use super::table::{Bench, Rule, common, display_name, icon, metadata_name, names};

const KIND: &str = "CoderGroup";
const PREBUILDS: &str = "c42fdf75-3097-471c-8c33-fb52454d81c0";
const ID: &str = "9e2f1c54-8d5b-4f0e-9d6a-0c3b7e1f2a48";

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = common(KIND);
    rules.extend(own_names());
    rules.extend(organizations(KIND));
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

/// The rules about its name: what is taken over may have one that no new group gets.
fn own_names() -> Vec<Rule> {
    let odd = [
        "under_score",
        "dot.name",
        "two--hyphens",
        "a space",
        "ünicode",
        "/platform/devs",
    ];
    let pattern = Rule::new(
        KIND,
        "spec",
        "name must be a Coder name (letters, digits and single hyphens",
    );
    let pattern = odd.into_iter().fold(pattern, |rule, name| {
        rule.refuses(json!({"name": name}))
            .refuses(json!({"name": name, "adoptionPolicy": "Never"}))
            .accepts(json!({"name": name, "adoptionPolicy": "IfExists"}))
            .accepts(json!({"name": name, "adoptionPolicy": "MustExist"}))
    });
    let mut rules: Vec<Rule> = names(KIND).into_iter().skip(1).collect();
    rules.extend([
        ["a", "Alpha-2", "x1-y2-z3", "default2"]
            .into_iter()
            .fold(pattern, |rule, name| rule.accepts(json!({"name": name}))),
        Rule::new(
            KIND,
            "spec.name",
            "must have at most 255 bytes and no control characters",
        )
        .refuses(json!({"name": "a\tb", "adoptionPolicy": "IfExists"}))
        .refuses(json!({"name": "a\nb", "adoptionPolicy": "IfExists"}))
        .refuses(json!({"name": "ä".repeat(128), "adoptionPolicy": "IfExists"}))
        .accepts(json!({"name": "ä".repeat(127), "adoptionPolicy": "IfExists"})),
    ]);
    rules
}

/// The rules about the organization that something is in.
pub(super) fn organizations(kind: &'static str) -> [Rule; 3] {
    let by_reference = json!({"organization": null, "organizationRef": {"name": "platform"}});
    [
        Rule::new(
            kind,
            "spec",
            "set exactly one of organizationRef (a CoderOrganization) and organization",
        )
        .refuses(json!({"organization": null}))
        .refuses(json!({"organization": "default", "organizationRef": {"name": "platform"}}))
        .accepts(by_reference.clone())
        .accepts(json!({"organization": "default"})),
        Rule::new(
            kind,
            "spec.organization",
            "must be the name or the id of an organization in Coder, or \"default\"",
        )
        .refuses(json!({"organization": "under_score"}))
        .refuses(json!({"organization": "../users"}))
        .refuses(json!({"organization": "two--hyphens"}))
        .accepts(json!({"organization": "Platform-2"}))
        .accepts(json!({"organization": ID})),
        organization_stays(kind),
    ]
}

/// The organization of what is there may be named in another way.
fn organization_stays(kind: &'static str) -> Rule {
    let there = json!({"origin": "Created", "organizationId": ID, "organization": "Alpha"});
    let observed = json!({"organizationId": ID, "organization": "Alpha"});
    let waiting = json!({"observedGeneration": 1});
    let alpha = || json!({"organization": "alpha"});
    let beta = || json!({"organization": "beta"});
    let by_reference = |name: &str| json!({"organization": null, "organizationRef": {"name": name}});
    let rule = Rule::new(
        kind,
        "",
        "organization cannot be changed, Coder cannot move what is in one",
    )
    .refuses_change_of(there.clone(), alpha(), beta())
    .refuses_change_of(there.clone(), by_reference("alpha"), beta())
    .refuses_change_of(there.clone(), alpha(), json!({"organization": PREBUILDS}))
    .accepts_change_of(
        there.clone(),
        beta(),
        json!({"organization": "beta", "mode": "Observe"}),
    )
    .accepts_change_of(observed, alpha(), beta())
    .accepts_change_of(waiting, alpha(), beta())
    .accepts_change(alpha(), beta());
    [
        json!({"organization": "ALPHA"}),
        json!({"organization": ID}),
        json!({"organization": ID.to_uppercase()}),
        json!({"organization": "default"}),
        by_reference("alpha"),
        by_reference("other"),
    ]
    .into_iter()
    .fold(rule, |rule, to| rule.accepts_change_of(there.clone(), beta(), to))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_a_group_refuses_and_accepts() {
    Bench::new("admission-group").await.try_out(rules()).await;
}
