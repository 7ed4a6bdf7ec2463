//! What an answer of Coder means, whatever status it came dressed in.
//!
//! Coder's statuses alone do not say it: a missing permission can be 403, 404, 400 or 500, an object that exists
//! already 409, 400 or 500, and a 404 may be a route that this version does not have. The tables below are what real
//! servers answered (recordings of v2.16.1 and of a commit after v2.35); `tests/client` checks them against every
//! refusal recorded.

use strum::{EnumIter, IntoStaticStr};

/// What an error means for whoever made the call. The word is stable: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, EnumIter)]
pub enum Class {
    /// The token is missing, wrong or expired, or its user is suspended. Only another token helps.
    Unauthorized,
    /// The deployment's licence (or an experiment that is off) does not allow this; [`Error::feature`] says which.
    /// It says nothing about the object: without the licence even reading and deleting are refused.
    ///
    /// [`Error::feature`]: super::Error::feature
    NotEntitled,
    /// The token's user may not do this: 403, or a 400 or 500 that carries the server's authorization error
    /// (recording 10). Never a sign that the object is gone, and never worth a hot retry.
    Forbidden,
    /// The server has no such route: too old, or built without enterprise code (404 `Route not found.`, 405).
    /// Never a sign that the object is gone.
    Unsupported,
    /// The object does not exist **or may not be read**: Coder answers both with the same 404 on purpose, and for
    /// many writes without permission as well. A list that should show the object decides.
    Absent,
    /// Something of that name, or that very licence, is there already.
    AlreadyExists,
    /// The user is already a member: of the organization, or of the group. In the group's case the whole change was
    /// rolled back.
    AlreadyMember,
    /// The identity provider decides it: nobody can change it here while it does.
    IdpManaged,
    /// It cannot be deleted while something else still hangs on it; the detail lists what.
    DependentsExist,
    /// The server refuses the content of the request. The same request will be refused again.
    Invalid,
    /// Too many calls; [`Error::retry_after`] says how long to wait.
    ///
    /// [`Error::retry_after`]: super::Error::retry_after
    RateLimited,
    /// The header that lifts the rate limit was sent by a user who is no owner. The client stops sending it.
    BypassRefused,
    /// The server, or the way to it, fails at the moment: no connection, timeout, 5xx.
    Transient,
    /// Something in front of Coder answered, where Coder did before: soon over, as while a server is replaced.
    Gateway,
    /// What answered does not speak Coder's API: HTML, a redirect, an answer of another shape.
    Protocol,
}

impl Class {
    /// The stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a refusal is classified by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    /// The JSON body's message, or a plain text body; empty if there was neither.
    pub(super) message: &'a str,
    pub(super) detail: &'a str,
    /// The body was Coder's error object.
    pub(super) json: bool,
    /// The answer carried `X-Coder-Build-Version`: Coder itself wrote it, not something in front of it.
    pub(super) from_coder: bool,
}

/// The authorization error, in whatever the handler wrapped it.
const FORBIDDEN: &[&str] = &["rbac: forbidden", "unauthorized"];

/// 404s that are about the object. An unknown message counts only if Coder itself signed the answer: a gateway's
/// own 404 while Coder restarts must not read as "deleted".
const ABSENT: &[&str] = &[
    "Resource not found or you do not have access to this resource",
    "Unknown license ID",
    "OAuth2 application not found.",
    "No custom role with the name ",
    "Organization does not exist with the provided id ",
    "The initial user has not been created!",
];

/// 403s that are rules, not permissions: nobody may do it.
const NOBODY_MAY: &[&str] = &[
    "Cannot add or remove users from the \"Everyone\" group!",
    "You cannot delete yourself!",
];

/// 400s for a membership that is there already; the second is how v2.16.1 says the first.
const ALREADY_MEMBER: &[&str] = &[
    "User is already an organization member",
    "Organization member already exists in this organization",
    "Cannot add the same user to a group twice!",
];

/// 400s for what the identity provider decides (recording 22), also when nothing would change.
const IDP_MANAGED: &[&str] = &[
    "Organization sync is enabled for OIDC users",
    "Cannot modify roles for OIDC users when role sync is enabled",
];

/// 400s for giving what one does not have oneself (recordings 25 and 26): in the message, or in the detail.
const NOT_TO_GIVE: [&str; 2] = ["not authorized to assign role", "not allowed to grant this permission"];

/// 500s for what the request got wrong (recording 08: a schedule, a health section).
const INVALID_IN_500: &[&str] = &["parse daily schedule", "Failed to validate health settings."];

impl Refusal<'_> {
    pub(super) fn class(self) -> Class {
        match self.status {
            // A gateway that wants to know who calls.
            401 if !self.json && !self.from_coder => Class::Protocol,
            401 => Class::Unauthorized,
            405 => Class::Unsupported,
            413 => Class::Invalid,
            428 => Class::BypassRefused,
            429 => Class::RateLimited,
            408 | 502..=504 => Class::Transient,
            500..=599 => self.server_error(),
            _ if !self.json => Class::Protocol,
            403 => self.forbidden(),
            404 => self.not_found(),
            409 => Class::AlreadyExists,
            417 => Class::DependentsExist,
            _ => self.bad_request(),
        }
    }

    /// Which feature or experiment is missing: the key in `/entitlements` where it is known.
    pub(super) fn feature(self) -> Option<String> {
        if self.status != 403 {
            return None;
        }
        if self.message == "Changing default organization roles is not enabled on this deployment." {
            return Some("minimum-implicit-member".to_owned());
        }
        if let Some((_, rest)) = self.message.split_once("requires enabling the '") {
            return rest.split_once('\'').map(|(experiment, _)| experiment.to_owned());
        }
        let (name, _) = self
            .message
            .split_once(" is a Premium feature")
            .or_else(|| self.message.split_once(" is an Enterprise feature"))?;
        // The sentence names the feature in words: `Template RBAC`, and once with an explanation in parentheses.
        let words = name.split_once(" (").map_or(name, |(words, _)| words);
        Some(words.to_lowercase().replace(' ', "_"))
    }

    fn says_forbidden(self) -> bool {
        FORBIDDEN.iter().any(|text| self.detail.contains(text))
    }

    fn gives_too_much(self) -> bool {
        let [assign, grant] = NOT_TO_GIVE;
        self.message.starts_with(assign) || self.detail.ends_with(grant)
    }

    fn forbidden(self) -> Class {
        if self.feature().is_some() {
            Class::NotEntitled
        } else if self.message == "OAuth2 provider is under development." {
            // v2.16.1 says so whatever the licence and the experiments (recording 09).
            Class::Unsupported
        } else if NOBODY_MAY.contains(&self.message) {
            Class::Invalid
        } else {
            Class::Forbidden
        }
    }

    fn not_found(self) -> Class {
        if self.message == "Route not found." {
            Class::Unsupported
        } else if self.message == "License ID must be an integer" {
            Class::Invalid
        } else if self.from_coder || ABSENT.iter().any(|known| self.message.starts_with(known)) {
            Class::Absent
        } else {
            Class::Protocol
        }
    }

    fn bad_request(self) -> Class {
        if self.says_forbidden() || self.gives_too_much() {
            Class::Forbidden
        } else if IDP_MANAGED.iter().any(|text| self.message.starts_with(text)) {
            Class::IdpManaged
        } else if self.message.contains("must be an existing uuid or username") {
            // Every route with a user in it, before v2.32.
            Class::Absent
        } else if ALREADY_MEMBER.contains(&self.message) {
            Class::AlreadyMember
        } else if self.detail.contains("duplicate key value violates unique constraint") {
            Class::AlreadyExists
        } else if self.message.starts_with("Entitlements already recently refreshed") {
            Class::RateLimited
        } else {
            Class::Invalid
        }
    }

    fn server_error(self) -> Class {
        if self.says_forbidden() {
            Class::Forbidden
        } else if self.detail.contains("duplicate key value violates unique constraint") {
            // Handlers that do not expect it: a stored licence (`licenses_jwt_key`), a taken proxy name on rename.
            Class::AlreadyExists
        } else if self.message == "Error deleting organization." && self.detail.contains("must be deleted first") {
            Class::DependentsExist
        } else if INVALID_IN_500
            .iter()
            .any(|text| self.message.starts_with(text) || self.detail.starts_with(text))
        {
            Class::Invalid
        } else {
            Class::Transient
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coder(status: u16, message: &'static str, detail: &'static str) -> Refusal<'static> {
        Refusal {
            status,
            message,
            detail,
            json: true,
            from_coder: false,
        }
    }

    #[test]
    fn a_missing_permission_is_forbidden_in_all_its_clothes() {
        let wrapped = "execute transaction: update group by ID: unauthorized: rbac: forbidden";
        for refusal in [
            coder(403, "Forbidden.", ""),
            coder(400, "Failed to add or remove non-existent group member", wrapped),
            coder(
                500,
                "An internal server error occurred.",
                "unauthorized: rbac: forbidden",
            ),
            coder(
                500,
                "Internal error deleting organization.",
                "delete organization: unauthorized: rbac: forbidden",
            ),
        ] {
            assert_eq!(refusal.class(), Class::Forbidden, "{refusal:?}");
        }
    }

    #[test]
    fn three_kinds_of_404_and_a_gateways_are_told_apart() {
        assert_eq!(coder(404, ABSENT[0], "").class(), Class::Absent);
        assert_eq!(coder(404, "Unknown license ID", "").class(), Class::Absent);
        assert_eq!(coder(404, "Route not found.", "").class(), Class::Unsupported);
        assert_eq!(
            Refusal {
                from_coder: true,
                ..coder(404, "Route not found.", "")
            }
            .class(),
            Class::Unsupported
        );
        let gateway = coder(404, "no Route matched with those values", "");
        assert_eq!(gateway.class(), Class::Protocol);
        assert_eq!(
            Refusal {
                from_coder: true,
                ..gateway
            }
            .class(),
            Class::Absent
        );
        assert_eq!(
            Refusal {
                json: false,
                ..coder(404, "", "")
            }
            .class(),
            Class::Protocol,
            "an ingress's HTML"
        );
    }

    #[test]
    fn the_missing_feature_is_named_by_its_key() {
        for (message, feature) in [
            (
                "Template RBAC is a Premium feature. Contact sales!",
                Some("template_rbac"),
            ),
            (
                "Multiple Organizations is a Premium feature. Contact sales!",
                Some("multiple_organizations"),
            ),
            (
                "Workspace Proxy is a Premium feature. Contact sales!",
                Some("workspace_proxy"),
            ),
            (
                "Advanced template scheduling (and user quiet hours schedule) is an Enterprise feature. Contact sales!",
                Some("advanced_template_scheduling"),
            ),
            (
                "OAuth2 Provider Functionality functionality requires enabling the 'oauth2' experiment.",
                Some("oauth2"),
            ),
            ("Forbidden.", None),
        ] {
            assert_eq!(coder(403, message, "").feature().as_deref(), feature);
        }
    }

    #[test]
    fn a_failing_server_is_transient_whatever_its_body() {
        for status in [500, 502, 503, 504, 520] {
            assert_eq!(coder(status, "", "").class(), Class::Transient);
            assert_eq!(
                Refusal {
                    json: false,
                    ..coder(status, "", "")
                }
                .class(),
                Class::Transient
            );
        }
        assert_eq!(
            coder(500, "Error deleting organization.", "pq: connection lost").class(),
            Class::Transient
        );
    }

    #[test]
    fn the_word_is_the_variants_name() {
        assert_eq!(Class::NotEntitled.as_str(), "NotEntitled");
    }
}
