//! What the server warns of beside the entitlements, in its words and its order (recording 30).

use super::{Circumstances, Entitlements, License, Standing};

const ADD_ON: &str = "The AI Governance add-on is required to use AI Gateway. Please reach out to your account team or \
                      sales@coder.com to learn more.";
const DAY: i64 = 24 * 3600;

/// The features that are warned of one by one, in the server's order, with the names it gives them.
const WATCHED: [(&str, &str); 22] = [
    ("audit_log", "Audit Log"),
    ("connection_log", "Connection Log"),
    ("browser_only", "Browser Only"),
    ("scim", "SCIM"),
    ("template_rbac", "Template RBAC"),
    ("external_provisioner_daemons", "External Provisioner Daemons"),
    ("appearance", "Appearance"),
    ("advanced_template_scheduling", "Advanced Template Scheduling"),
    ("workspace_proxy", "Workspace Proxy"),
    ("user_role_management", "User Role Management"),
    ("external_token_encryption", "External Token Encryption"),
    ("workspace_batch_actions", "Workspace Batch Actions"),
    ("task_batch_actions", "Task Batch Actions"),
    ("access_control", "Access Control"),
    ("control_shared_ports", "Control Shared Ports"),
    ("custom_roles", "Custom Roles"),
    ("multiple_organizations", "Multiple Organizations"),
    ("workspace_prebuilds", "Workspace Prebuilds"),
    ("workspace_external_agent", "Workspace External Agent"),
    ("aibridge", "AI Gateway"),
    ("boundary", "Boundary"),
    ("service_accounts", "Service Accounts"),
];

/// All of it. A server without a valid licence warns of nothing, whatever is stored.
pub(super) fn of(entitlements: &Entitlements, licenses: &[&License], around: Circumstances<'_>) -> Vec<String> {
    if !entitlements.has_license {
        return Vec::new();
    }
    let mut warnings = expiry(entitlements, licenses, around);
    warnings.extend(users(entitlements, around));
    for (name, shown) in WATCHED {
        let feature = entitlements.features.get(name);
        if feature.is_some_and(|feature| feature.enabled && feature.standing == Standing::GracePeriod) {
            warnings.push(format!(
                "{shown} is enabled but your license for this feature is expired."
            ));
        }
    }
    if entitlements.enabled("aibridge") && !entitlements.enabled("ai_governance_user_limit") {
        warnings.push(ADD_ON.to_owned());
    }
    warnings
}

/// The older server warns of each licence that ends soon; the newer one only when none goes on after it.
fn expiry(entitlements: &Entitlements, licenses: &[&License], around: Circumstances<'_>) -> Vec<String> {
    let now = around.now.as_second();
    let ends: Vec<i64> = if around.profile.traits().one_expiry_warning {
        last_end(licenses, now).into_iter().collect()
    } else {
        let valid = licenses.iter().filter(|license| license.number("nbf") <= now);
        valid.map(|license| license.number("license_expires")).collect()
    };
    let soon = if entitlements.trial { 7 } else { 30 };
    let days = ends.into_iter().map(|end| (end - now + DAY - 1).div_euclid(DAY));
    days.filter(|days| (1..soon).contains(days))
        .map(|days| {
            format!(
                "Your license expires in {days} day{}.",
                if days == 1 { "" } else { "s" }
            )
        })
        .collect()
}

/// When the last of the licences ends that follow each other without a gap from now on.
fn last_end(licenses: &[&License], now: i64) -> Option<i64> {
    let mut end = now;
    let covers =
        |license: &&&License, end: i64| license.number("nbf") <= end && license.number("license_expires") > end;
    while let Some(next) = licenses.iter().find(|license| covers(license, end)) {
        end = next.number("license_expires");
    }
    (end > now).then_some(end)
}

fn users(entitlements: &Entitlements, around: Circumstances<'_>) -> Option<String> {
    let feature = entitlements.features.get("user_limit")?;
    let (limit, actual) = (feature.limit?, around.active_users);
    if i64::try_from(actual).is_ok_and(|actual| actual > limit) {
        return Some(format!(
            "Your deployment has {actual} active users but is only licensed for {limit}."
        ));
    }
    (feature.standing == Standing::GracePeriod).then(|| {
        format!("Your deployment has {actual} active users but the license with the limit {limit} is expired.")
    })
}
