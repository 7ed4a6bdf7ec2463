//! Coder's own rules for names, as CEL for the API server and as code for everything that did not pass through it.
//!
//! Lengths are bytes, as in Coder. Names allow neither dots nor underscores, which Kubernetes names may have: a name is
//! never derived silently, an unsuitable `metadata.name` asks for `spec.name`.

use kube::core::Rule;
use schemars::{Schema, json_schema};

/// The longest name of an organization, user or template, in bytes.
pub const NAME_MAX: usize = 32;
/// The longest name of a group, in bytes (36 before Coder v2.18, which the server then says itself).
pub const GROUP_NAME_MAX: usize = 255;
/// The longest name of a provisioner key, in bytes: Coder takes 64, and a second one of two has two more.
pub const KEY_NAME_MAX: usize = 56;
/// The longest display name, in bytes.
pub const DISPLAY_NAME_MAX: usize = 64;

/// `spec.name` is a valid Coder name.
pub fn name() -> Rule {
    Rule::new("self.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$')")
        .message("must be a Coder name: letters, digits and single hyphens between them")
}

/// `spec.name` is none of the words that Coder's own pages use.
pub fn name_not_reserved() -> Rule {
    Rule::new("!(self in ['new', 'create'])")
        .message("\"new\" and \"create\" are reserved by Coder: choose another name")
}

/// `metadata.name` stands in for an absent `spec.name` only when Coder would take it (32 bytes).
pub fn metadata_name() -> Rule {
    Rule::new(
        "has(self.spec.name) || (self.metadata.name.size() <= 32 && \
         self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && !(self.metadata.name in ['new', 'create']))",
    )
    .message(
        "metadata.name is no valid Coder name (letters, digits and single hyphens, at most 32, not \"new\" or \"create\"): \
         set spec.name to the name in Coder",
    )
}

/// The same for groups, whose names may be longer.
pub fn metadata_name_of_group() -> Rule {
    Rule::new(
        "has(self.spec.name) || (self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && \
         !(self.metadata.name in ['new', 'create']))",
    )
    .message(
        "metadata.name is no valid Coder name (letters, digits and single hyphens, not \"new\" or \"create\"): \
         set spec.name to the name in Coder",
    )
}

/// The name of a provisioner key. Coder takes any text; one with a `/` it could never delete again.
pub fn key_name() -> Rule {
    Rule::new("self.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && !(self in ['built-in', 'user-auth', 'psk'])").message(
        "must be lower-case letters, digits and single hyphens between them, and none of Coder's own keys built-in, \
         user-auth and psk",
    )
}

/// The same for the `metadata.name` that stands in for it.
pub fn metadata_name_of_key() -> Rule {
    Rule::new(
        "has(self.spec.name) || (self.metadata.name.size() <= 56 && \
         self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && \
         !(self.metadata.name in ['built-in', 'user-auth', 'psk']))",
    )
    .message(
        "metadata.name is no name for a provisioner key (lower-case letters, digits and single hyphens, at most 56, not \
         built-in, user-auth or psk): set spec.name to the name in Coder",
    )
}

/// The name in Coder, said or not, stays the same.
pub fn name_stays() -> Rule {
    Rule::new(
        "(has(self.spec.name) ? self.spec.name : self.metadata.name) == \
         (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",
    )
    .message("name cannot be changed, Coder renames nothing of this kind: delete this object and create it anew")
}

/// A new group needs a Coder name; one that is taken over has the name that it has.
pub fn group_name() -> Rule {
    Rule::new(
        "!has(self.name) || self.name.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$') || \
         (has(self.adoptionPolicy) && self.adoptionPolicy in ['IfExists', 'MustExist'])",
    )
    .message(
        "name must be a Coder name (letters, digits and single hyphens between them), unless adoptionPolicy: IfExists or \
         MustExist takes over a group that has another one, as the identity provider makes them",
    )
}

/// What every group that exists is called.
pub fn group_name_characters() -> Rule {
    Rule::new("!self.matches('[[:cntrl:]]') && bytes(self).size() <= 255")
        .message("must have at most 255 bytes and no control characters")
}

/// The organization is named in one of the two ways.
pub fn one_organization() -> Rule {
    Rule::new("has(self.organization) != has(self.organizationRef)").message(
        "set exactly one of organizationRef (a CoderOrganization) and organization (Coder's own name or id, or \"default\")",
    )
}

/// `organization` is a name, an id, or the word for the default one.
pub fn organization() -> Rule {
    Rule::new("self.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$')")
        .message("must be the name or the id of an organization in Coder, or \"default\"")
}

/// What says how to read a mapping needs one.
pub fn mapping_policy() -> Rule {
    Rule::new("!has(self.mappingPolicy) || has(self.mapping)")
        .message("mappingPolicy says how to treat mapping: set mapping, or remove mappingPolicy")
}

/// The name of a role, as Coder stores it. A pattern of the schema: as a rule it would cost too much in long lists.
pub fn role_name_schema() -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$" })
}

/// The names of Coder's own roles, and the words that its pages use.
const ROLES: &str = "['new', 'create', 'owner', 'member', 'auditor', 'template-admin', 'user-admin', 'agents-access', \
                     'organization-admin', 'organization-member', 'organization-service-account', 'organization-auditor', \
                     'organization-user-admin', 'organization-template-admin', 'organization-workspace-creation-ban', \
                     'organization-workspace-access']";

/// `spec.name` is a name that Coder keeps as it is.
pub fn role_name() -> Rule {
    Rule::new("self.matches('^[a-z0-9]+(-[a-z0-9]+)*$')")
        .message("must be a role's name: lower-case letters, digits and single hyphens between them")
}

/// `spec.name` is none of Coder's own roles.
pub fn role_name_free() -> Rule {
    Rule::new(format!("!(self in {ROLES})"))
        .message("Coder has a role of that name itself, or reserves it: choose another")
}

/// `metadata.name` stands in for an absent `spec.name` only when Coder would take it.
pub fn metadata_name_of_role() -> Rule {
    Rule::new(format!(
        "has(self.spec.name) || (self.metadata.name.size() <= 32 && \
         self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && !(self.metadata.name in {ROLES}))"
    ))
    .message(
        "metadata.name is no name of a custom role (lower-case letters, digits and single hyphens, at most 32, none of Coder's \
         own roles): set spec.name",
    )
}

/// A user by name, email or id.
pub fn user() -> Rule {
    Rule::new("self.contains('@') ? self.matches('^[^@ ]+@[^@ ]+$') : self.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$')")
        .message("must be a username, an email address or a user id")
}

/// Coder shows nowhere what the user is a member of that owns prebuilt workspaces.
pub fn no_system_user() -> Rule {
    Rule::new("self != 'c42fdf75-3097-471c-8c33-fb52454d81c0'")
        .message("the user that owns prebuilt workspaces is shown among no members: it cannot be managed here")
}

/// A pattern that Coder can read. CEL has the same syntax (RE2): evaluating a wrong one is an error, which refuses it.
pub fn pattern() -> Rule {
    Rule::new("self == '' || (''.matches(self) ? true : true)").message("must be a regexp that Coder can read (RE2)")
}

/// The organization of what is in Coder may be named in another way, and may not be another one. What this cannot tell, the
/// operator finds out.
pub fn organization_stays() -> Rule {
    Rule::new(
        "!has(self.spec.organization) || !has(self.status) || !has(self.status.origin) || \
         !has(self.status.organizationId) || \
         (has(oldSelf.spec.organization) && self.spec.organization == oldSelf.spec.organization) || \
         self.spec.organization == 'default' || self.spec.organization.lowerAscii() == self.status.organizationId || \
         (has(self.status.organization) && self.spec.organization.lowerAscii() == self.status.organization.lowerAscii())",
    )
    .message("organization cannot be changed, Coder cannot move what is in one: delete this object and create it anew")
}

/// A display name has no space at its ends and at most 64 bytes. Empty is allowed where the field may be cleared.
pub fn display_name() -> Rule {
    Rule::new("self == '' || (self.matches('^[^\\\\s](.*[^\\\\s])?$') && bytes(self).size() <= 64)")
        .message("must have at most 64 bytes and no space at either end")
}

/// An icon or avatar is a URL or a path, without spaces.
pub fn no_spaces() -> Rule {
    Rule::new("!self.matches('\\\\s')").message("must be a URL or a path such as /emojis/1f680.png, without spaces")
}

/// The name of a Secret or `ConfigMap`, by the rule of Kubernetes (a DNS subdomain): one that cannot exist would only be
/// found out about when it is to be written.
pub fn secret_name() -> Rule {
    Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message(
        "no Secret or ConfigMap can have that name: use lower-case letters, digits, hyphens and dots, such as paris-proxy",
    )
}

/// A key of a Secret or `ConfigMap`, by the rule of Kubernetes.
pub fn secret_key() -> Rule {
    Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')").message(
        "no Secret or ConfigMap can have that key: use letters, digits, hyphens, underscores and dots, such as ca.crt",
    )
}

/// The URL of a deployment.
pub fn access_url() -> Rule {
    Rule::new(
        "isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHostname() != '' \
         && !self.contains('?') && !self.contains('#') && !self.contains('@')",
    )
    .message("must be an absolute URL such as https://coder.example.com, without user, query or fragment")
}

/// Where an OAuth2 application sends people back to.
pub fn callback_url() -> Rule {
    Rule::new("isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''")
        .message("must be an absolute URL such as https://app.example.com/callback")
}

/// Whether Coder takes this as a name of at most `max` bytes.
#[must_use]
pub fn is_name(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && !matches!(text, "new" | "create")
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether a provisioner key that the operator makes can have this name.
#[must_use]
pub fn is_key_name(text: &str) -> bool {
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= KEY_NAME_MAX
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(is_lower))
        && !matches!(text, "built-in" | "user-auth" | "psk")
}

/// Whether a group can have this name, whoever gave it.
#[must_use]
pub fn is_group_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= GROUP_NAME_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_coders_rule() {
        for good in ["a", "alpha", "Alpha-2", "x1-y2-z3"] {
            assert!(is_name(good, NAME_MAX), "{good}");
        }
        let long = "a".repeat(NAME_MAX + 1);
        for bad in [
            "",
            "new",
            "create",
            "-x",
            "x-",
            "x--y",
            "under_score",
            "dot.name",
            "Bad Name",
            "ünicode",
            &long,
        ] {
            assert!(!is_name(bad, NAME_MAX), "{bad}");
        }
    }
}
