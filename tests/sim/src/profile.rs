//! What differs between the recorded servers, as data: one server, several profiles.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

/// Which recorded server is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Profile {
    /// The newest recorded server: commit f96338110, after v2.35.
    #[default]
    #[serde(rename = "main")]
    Main,
    /// The oldest supported one.
    #[serde(rename = "v2.16.1")]
    V2_16_1,
}

impl Profile {
    /// The name of the directory with this server's recordings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::V2_16_1 => "v2.16.1",
        }
    }

    /// The profile called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Main, Self::V2_16_1]
            .into_iter()
            .find(|profile| profile.name() == name)
    }

    pub(crate) const fn traits(self) -> &'static Traits {
        match self {
            Self::Main => &MAIN,
            Self::V2_16_1 => &V2_16_1,
        }
    }

    /// The built-in organization roles as `GET …/members/roles` lists them, without the organization's id (recording 03).
    pub(crate) fn organization_roles(self) -> &'static [Value] {
        static MAIN: LazyLock<Vec<Value>> = LazyLock::new(|| parse(include_str!("data/main/organization-roles.json")));
        static OLD: LazyLock<Vec<Value>> =
            LazyLock::new(|| parse(include_str!("data/v2.16.1/organization-roles.json")));
        match self {
            Self::Main => &MAIN,
            Self::V2_16_1 => &OLD,
        }
    }

    /// The site roles as `GET /users/roles` lists them, without whether they may be given (recording 24).
    pub(crate) fn site_roles(self) -> &'static [Value] {
        static MAIN: LazyLock<Vec<Value>> = LazyLock::new(|| parse(include_str!("data/main/site-roles.json")));
        static OLD: LazyLock<Vec<Value>> = LazyLock::new(|| parse(include_str!("data/v2.16.1/site-roles.json")));
        match self {
            Self::Main => &MAIN,
            Self::V2_16_1 => &OLD,
        }
    }

    /// The notification templates every deployment is born with (recording 08).
    pub(crate) fn notification_templates(self) -> Vec<Value> {
        parse(match self {
            Self::Main => include_str!("data/main/notification-templates.json"),
            Self::V2_16_1 => include_str!("data/v2.16.1/notification-templates.json"),
        })
    }
}

fn parse(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("the data files are JSON")
}

/// The switches. Each says in its comment what the recordings show on either side.
#[allow(
    clippy::struct_excessive_bools,
    reason = "a table of differences is made of yes and no"
)]
pub(crate) struct Traits {
    pub(crate) version: &'static str,
    pub(crate) provisioner_api_version: &'static str,
    /// `GET /buildinfo` carries a key for web push.
    pub(crate) webpush_public_key: Option<&'static str>,
    /// A deleted organization stays behind its id, and what is inside blocks its deletion; before v2.20 the deletion
    /// takes everything with it (recording 02).
    pub(crate) soft_delete_organizations: bool,
    /// An unknown user in a path is 404; before v2.32 it was 400 (recording 03).
    pub(crate) unknown_user_is_404: bool,
    /// The limiter counts by user; before v2.32 by client address (recordings 00 and 10).
    pub(crate) limit_by_user: bool,
    /// `X-Coder-Bypass-Ratelimit` works; the older server never gets to it (recording 10).
    pub(crate) bypass_header: bool,
    /// Empty lists and mappings are `[]` and `{}` instead of `null` (recordings 01 and 06).
    pub(crate) empty_not_null: bool,
    /// Answers 401 carry `WWW-Authenticate` (recording 00).
    pub(crate) www_authenticate: bool,
    /// 403 `Forbidden.` comes with a long detail (recording 10).
    pub(crate) forbidden_detail: bool,
    /// Users carry `avatar_url`, `name` and `theme_preference` even when empty, and no `has_ai_seat` (recording 03).
    pub(crate) verbose_users: bool,
    /// Organizations carry `default_org_member_roles` (v2.35).
    pub(crate) default_member_roles: bool,
    /// Site-wide readers see all organizations; in the older server only their own (recording 10).
    pub(crate) site_roles_read_organizations: bool,
    /// Members see every group of their organization; in the older server only those they are in (recording 10).
    pub(crate) members_read_groups: bool,
    /// The answer of `PATCH /groups/{group}` is sorted by username (recording 04).
    pub(crate) patched_group_by_username: bool,
    /// The system user that owns prebuilds may be put into a group (v2.24).
    pub(crate) system_user_in_groups: bool,
    /// `?exclude_members` is honoured (v2.32).
    pub(crate) exclude_members: bool,
    /// `PUT` of a custom role drops what it does not know; the older one refuses it (recording 03).
    pub(crate) custom_role_put_drops_unknown: bool,
    /// A User Admin may change the group sync of any organization (recording 10).
    pub(crate) user_admin_group_sync: bool,
    /// After changing a group the older server looks its organization up with the caller's rights. If it may not be read,
    /// an error is written in front of the answer: status 500, two bodies, and the change is done (recording 14).
    pub(crate) patched_group_needs_organization: bool,
    /// The audit log has the IdP sync settings (recording 14).
    pub(crate) audit_of_settings: bool,
    /// Reading the audit log without permission is refused; the older server answers an empty one (recording 14).
    pub(crate) forbidden_audit: bool,
    /// A dormant user that becomes active by signing in is an entry of the audit log (counts of recording 14).
    pub(crate) audit_of_activation: bool,
    /// The OAuth2 provider can be used at all (v2.25; recording 09).
    pub(crate) oauth2_provider: bool,
    /// Of several licences that follow each other only the end of the last is warned of.
    pub(crate) one_expiry_warning: bool,
    /// The list of templates leaves deprecated ones out unless asked.
    pub(crate) deprecated_templates_hidden: bool,
    /// Who is suspended is turned away at the identity provider's door already (recording 22).
    pub(crate) suspended_sign_in_refused: bool,
    /// Who may not write roles because of role sync is told how to get others (recording 22).
    pub(crate) role_sync_refusal: &'static str,
    /// An empty name in the path of a group is refused as such (recording 21).
    pub(crate) empty_group_name_is_400: bool,
    /// A User Admin sets the passwords of all but owners (recording 24).
    pub(crate) user_admin_sets_passwords: bool,
    /// A profile has a picture that can be written (recording 24).
    pub(crate) profile_has_picture: bool,
    /// Who may not see a member is told that it may not change the member's roles, not that there is none (recording 25).
    pub(crate) roles_of_unseen_members: bool,
    /// An organization-user-admin may delete custom roles (recording 26).
    pub(crate) user_admin_deletes_roles: bool,
    /// Members see the provisioner keys of their organization, and organization-template-admins write them (recording 27).
    pub(crate) members_read_provisioner_keys: bool,
    /// Who may not read the health settings is told that there are none (recording 29).
    pub(crate) health_settings_hidden: bool,
    /// Tokens have scopes (recording 23).
    pub(crate) token_scopes: bool,
    /// Expired tokens are listed only on demand (recording 23).
    pub(crate) expired_tokens_hidden: bool,
    /// An owner's token is good for a week at most (recording 23).
    pub(crate) owners_tokens_end_soon: bool,
    /// Using a token puts off its end (before v2.35).
    pub(crate) use_extends_tokens: bool,
    /// A deleted user loses its memberships and is no longer listed as a member (v2.34; recordings 11 and 24).
    pub(crate) deleted_user_leaves: bool,
    /// The entitlements answered before the first licence already count the first user (recording 00).
    pub(crate) first_user_counted: bool,
    /// A dormant user that signs in counts as seen then, not only when it uses its session (recording 10).
    pub(crate) sign_in_is_seen: bool,
    /// Provisioner keys come in the order of their names instead of their creation (recording 07).
    pub(crate) provisioner_keys_by_name: bool,
    /// Daemons without a key are listed under a key of their own (recording 07).
    pub(crate) user_auth_key: bool,
    /// How the list of provisioner daemons is refused without a licence (recordings 20 and 30).
    pub(crate) unlicensed_daemons: Option<&'static str>,
    /// What the provisioner key routes are gated on (recording 00).
    pub(crate) provisioner_key_feature: &'static str,
    /// Delivery methods of notifications.
    pub(crate) notification_methods: &'static [&'static str],
    /// Label in the link for reporting a bug.
    pub(crate) bug_label: &'static str,
    /// Where the chat link leads.
    pub(crate) chat_link: &'static str,
    /// Milliseconds to the database, as `GET /replicas` reported them.
    pub(crate) database_latency: u32,
    /// All features, in the order of their names.
    pub(crate) features: &'static [&'static str],
}

const MAIN: Traits = Traits {
    version: "v2.35.99",
    provisioner_api_version: "1.18",
    webpush_public_key: Some("BEA-78yp1rb8XMhQN_m6x6eh7-WwDJwuHJV_FJexpRZM0GWBjU-DnM81RA3kKIQpwOx6j3_CnbuZTAlADo3mrG8"),
    soft_delete_organizations: true,
    unknown_user_is_404: true,
    limit_by_user: true,
    bypass_header: true,
    empty_not_null: true,
    www_authenticate: true,
    forbidden_detail: true,
    verbose_users: false,
    default_member_roles: true,
    site_roles_read_organizations: true,
    members_read_groups: true,
    patched_group_by_username: false,
    system_user_in_groups: true,
    exclude_members: true,
    custom_role_put_drops_unknown: true,
    user_admin_group_sync: true,
    patched_group_needs_organization: false,
    audit_of_settings: true,
    forbidden_audit: true,
    audit_of_activation: true,
    oauth2_provider: true,
    one_expiry_warning: true,
    deprecated_templates_hidden: true,
    suspended_sign_in_refused: true,
    role_sync_refusal: "Cannot modify roles for OIDC users when role sync is enabled. This organization member's roles are \
                        managed by the identity provider. Have the user re-login to refresh their roles.",
    empty_group_name_is_400: false,
    user_admin_sets_passwords: true,
    profile_has_picture: true,
    roles_of_unseen_members: true,
    user_admin_deletes_roles: false,
    members_read_provisioner_keys: true,
    health_settings_hidden: false,
    token_scopes: true,
    expired_tokens_hidden: true,
    owners_tokens_end_soon: true,
    use_extends_tokens: false,
    deleted_user_leaves: true,
    first_user_counted: true,
    sign_in_is_seen: true,
    provisioner_keys_by_name: false,
    user_auth_key: true,
    unlicensed_daemons: None,
    provisioner_key_feature: "external_provisioner_daemons",
    notification_methods: &["smtp", "webhook", "inbox"],
    bug_label: "needs+triage",
    chat_link: "https://discord.gg/coder",
    database_latency: 83,
    features: &[
        "access_control",
        "advanced_template_scheduling",
        "ai_governance_user_limit",
        "aibridge",
        "appearance",
        "audit_log",
        "boundary",
        "browser_only",
        "connection_log",
        "control_shared_ports",
        "custom_roles",
        "external_provisioner_daemons",
        "external_token_encryption",
        "high_availability",
        "managed_agent_limit",
        "multiple_external_auth",
        "multiple_organizations",
        "scim",
        "service_accounts",
        "task_batch_actions",
        "template_rbac",
        "user_limit",
        "user_role_management",
        "workspace_batch_actions",
        "workspace_external_agent",
        "workspace_prebuilds",
        "workspace_proxy",
    ],
};

const V2_16_1: Traits = Traits {
    version: "v2.16.1",
    provisioner_api_version: "1.1",
    webpush_public_key: None,
    soft_delete_organizations: false,
    unknown_user_is_404: false,
    limit_by_user: false,
    bypass_header: false,
    empty_not_null: false,
    www_authenticate: false,
    forbidden_detail: false,
    verbose_users: true,
    default_member_roles: false,
    site_roles_read_organizations: false,
    members_read_groups: false,
    patched_group_by_username: true,
    system_user_in_groups: false,
    exclude_members: false,
    custom_role_put_drops_unknown: false,
    user_admin_group_sync: false,
    patched_group_needs_organization: true,
    audit_of_settings: false,
    forbidden_audit: false,
    audit_of_activation: false,
    oauth2_provider: false,
    one_expiry_warning: false,
    deprecated_templates_hidden: false,
    suspended_sign_in_refused: false,
    role_sync_refusal: "Cannot modify roles for OIDC users when role sync is enabled. This organization member's roles are \
                        managed by the identity provider.",
    empty_group_name_is_400: true,
    user_admin_sets_passwords: false,
    profile_has_picture: false,
    roles_of_unseen_members: false,
    user_admin_deletes_roles: true,
    members_read_provisioner_keys: false,
    health_settings_hidden: true,
    token_scopes: false,
    expired_tokens_hidden: false,
    owners_tokens_end_soon: false,
    use_extends_tokens: true,
    deleted_user_leaves: false,
    first_user_counted: false,
    sign_in_is_seen: false,
    provisioner_keys_by_name: true,
    user_auth_key: false,
    unlicensed_daemons: Some("External provisioner daemons is an Enterprise feature. Contact sales!"),
    provisioner_key_feature: "multiple_organizations",
    notification_methods: &["smtp", "webhook"],
    bug_label: "needs+grooming",
    chat_link: "https://coder.com/chat?utm_source=coder&utm_medium=coder&utm_campaign=server-footer",
    database_latency: 80,
    features: &[
        "access_control",
        "advanced_template_scheduling",
        "appearance",
        "audit_log",
        "browser_only",
        "control_shared_ports",
        "custom_roles",
        "external_provisioner_daemons",
        "external_token_encryption",
        "high_availability",
        "multiple_external_auth",
        "multiple_organizations",
        "scim",
        "template_rbac",
        "user_limit",
        "user_role_management",
        "workspace_batch_actions",
        "workspace_proxy",
    ],
};
