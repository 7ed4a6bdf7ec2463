//! What the schema itself refuses: lengths, ranges, closed lists of values, fields that are required.

use serde_json::{Value, json};

use super::table::{Bench, object};

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines)] // a table
async fn values_outside_the_schema_are_refused_by_the_name_of_the_field() {
    let bench = Bench::new("admission-values").await;
    let refused: [(&str, Value, &str, &str); 37] = [
        (
            "CoderInstance",
            json!({"overrides": {"deletionPolicy": "Delete"}}),
            "spec.overrides.deletionPolicy",
            "Unsupported value",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"displayName": null}),
            "spec.displayName",
            "Required value",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"displayName": ""}),
            "spec.displayName",
            "at least 1 chars",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"icon": null}),
            "spec.icon",
            "Required value",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"icon": ""}),
            "spec.icon",
            "at least 1 chars",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"tokenSecret": null}),
            "spec.tokenSecret",
            "Required value",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"tokenSecret": {}}),
            "spec.tokenSecret.name",
            "Required value",
        ),
        (
            "CoderWorkspaceProxy",
            json!({"name": "x".repeat(33)}),
            "spec.name",
            "32",
        ),
        (
            "CoderOrganization",
            json!({"name": ""}),
            "spec.name",
            "at least 1 chars",
        ),
        ("CoderOrganization", json!({"name": "x".repeat(33)}), "spec.name", "32"),
        // Coder cannot clear it.
        (
            "CoderOrganization",
            json!({"displayName": ""}),
            "spec.displayName",
            "at least 1 chars",
        ),
        (
            "CoderOrganization",
            json!({"displayName": "x".repeat(65)}),
            "spec.displayName",
            "64",
        ),
        (
            "CoderOrganization",
            json!({"everyoneQuotaAllowance": -1}),
            "spec.everyoneQuotaAllowance",
            "greater than or equal to 0",
        ),
        (
            "CoderOrganization",
            json!({"workspaceSharing": "none"}),
            "spec.workspaceSharing",
            "\"ServiceAccounts\"",
        ),
        (
            "CoderOrganization",
            json!({"mode": "Paused"}),
            "spec.mode",
            "\"Suspend\"",
        ),
        (
            "CoderOrganization",
            json!({"adoptionPolicy": "Always"}),
            "spec.adoptionPolicy",
            "\"IfExists\"",
        ),
        (
            "CoderOrganization",
            json!({"deletionPolicy": "Retain"}),
            "spec.deletionPolicy",
            "\"Orphan\"",
        ),
        ("CoderGroup", json!({"name": "x".repeat(256)}), "spec.name", "255"),
        (
            "CoderGroup",
            json!({"quotaAllowance": 2_147_483_648_i64}),
            "spec.quotaAllowance",
            "2147483647",
        ),
        (
            "CoderInstance",
            json!({"access": {"namespaces": {"names": ["blue", "blue"]}}}),
            "spec.access.namespaces.names[1]",
            "Duplicate value",
        ),
        (
            "CoderGroup",
            json!({"members": ["ann"], "memberPolicy": "Some"}),
            "spec.memberPolicy",
            "\"AtLeast\"",
        ),
        (
            "CoderCustomRole",
            json!({"permissions": {"template": ["*"]}}),
            "spec.permissions.template[0]",
            "should match",
        ),
        ("CoderCustomRole", json!({"name": "x".repeat(33)}), "spec.name", "32"),
        (
            "CoderOrganizationMember",
            json!({"user": null}),
            "spec.user",
            "Required value",
        ),
        (
            "CoderTemplateAccess",
            json!({"users": {"ann": "Owner"}}),
            "spec.users.ann",
            "\"Admin\"",
        ),
        (
            "CoderDeploymentSettings",
            json!({"appearance": {"announcementBanners": [{"message": "x", "backgroundColor": "blue"}]}}),
            "spec.appearance.announcementBanners[0].backgroundColor",
            "should match",
        ),
        (
            "CoderDeploymentSettings",
            json!({"health": {"dismissed": ["Derp"]}}),
            "spec.health.dismissed[0]",
            "\"DERP\"",
        ),
        (
            "CoderRoleSync",
            json!({"mapping": {"a": ["Organization-Admin"]}}),
            "spec.mapping.a[0]",
            "should match",
        ),
        (
            "CoderOrganizationSync",
            json!({"mapping": {"a": ["two words"]}}),
            "spec.mapping.a[0]",
            "should match",
        ),
        (
            "CoderProvisionerKey",
            json!({"keySecret": null}),
            "spec.keySecret",
            "Required value",
        ),
        (
            "CoderProvisionerKey",
            json!({"name": "x".repeat(57)}),
            "spec.name",
            "56",
        ),
        (
            "CoderProvisionerKey",
            json!({"tags": (0..33).map(|tag| (tag.to_string(), "x")).collect::<std::collections::BTreeMap<_, _>>()}),
            "spec.tags",
            "32",
        ),
        (
            "CoderOAuth2App",
            json!({"callbackURL": null}),
            "spec.callbackURL",
            "Required value",
        ),
        (
            "CoderLicense",
            json!({"licenseSecretRef": null}),
            "spec.licenseSecretRef",
            "Required value",
        ),
        ("CoderInstance", json!({"url": null}), "spec.url", "Required value"),
        (
            "CoderInstance",
            json!({"tokenSecretRef": null}),
            "spec.tokenSecretRef",
            "Required value",
        ),
        (
            "CoderInstance",
            json!({"access": {}}),
            "spec.access.namespaces",
            "Required value",
        ),
    ];
    for (kind, spec, field, says) in refused {
        let tried = object(kind, "tried", spec);
        let why = bench.create(&tried).await.expect_err(&tried.to_string());
        let named = why.iter().any(|one| one.field == field && one.message.contains(says));
        assert!(named, "{field} does not say \"{says}\": {tried}\n{why:#?}");
    }
    bench.finish().await;
}
