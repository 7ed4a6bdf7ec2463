//! What the status of an instance says of the deployment and of its use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::probe::Findings;
use crate::api::instance::{Feed, KIND};
use crate::api::{CoderInstance, InstanceStatus, NoteType, Object, ObjectKey, Scope};
use crate::coder::{Entitlements, LicenseClaims, User};
use crate::engine::{Engine, Note};
use crate::mirror::feed::audit::FeedState;

/// A status shows at most this many of what a server names: it has to be stored, whatever that says.
const SHOWN: usize = 100;

/// What a look found goes into the status.
pub(super) fn fill(status: &mut InstanceStatus, findings: &Findings, feed: Option<FeedState>) {
    let Findings {
        connection,
        license_expires,
        token_expires,
        ..
    } = findings;
    status.deployment_id = Some(connection.link.deployment.to_string());
    status.version = Some(connection.version.clone());
    status.user = Some(connection.user.username.clone());
    status.roles = some(connection.user.roles.iter().map(|role| &role.name));
    status.features = some(connection.features.iter());
    status.license_expires_at = license_expires.map(Time);
    status.token_expires_at = token_expires.map(Time);
    match feed {
        Some(FeedState::Reading) => (status.feed, status.feed_reason) = (Some(Feed::AuditLog), None),
        Some(FeedState::Unavailable(why)) => (status.feed, status.feed_reason) = (Some(Feed::Sweep), Some(why)),
        // After a restart the status says what was so before, and most likely is.
        None => drop(status.feed.get_or_insert(Feed::Sweep)),
    }
    status.rate_limit_bypass = Some(connection.client().bypass());
}

fn some<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.take(SHOWN).cloned().collect()
}

/// How many objects of each kind use the instance.
pub(super) fn objects(engine: &Engine, object: &CoderInstance) -> BTreeMap<String, i64> {
    let kinds = engine.caches.pointing_at(KIND);
    if kinds.iter().any(|(_, _, coverage)| !coverage.is_complete()) {
        // What was counted before is nearer to the truth than a part of it.
        let status = object.status.as_ref();
        return status.map(|status| status.objects.clone()).unwrap_or_default();
    }
    let mut counts = BTreeMap::new();
    for (kind, _, count) in engine.users(&object.key()) {
        *counts.entry(kind.to_owned()).or_insert(0) += count;
    }
    counts
}

/// Says when the token's user cannot do what the objects ask.
pub(super) fn roles_note(engine: &Engine, instance: &ObjectKey, user: &User) -> Option<Note> {
    if user.has_role("owner") {
        return None;
    }
    let in_use = engine.users(instance);
    let of = |asked: Scope| {
        let kinds = in_use.iter().filter(|(_, scope, _)| *scope == asked);
        let kinds: BTreeSet<&str> = kinds.map(|(kind, ..)| *kind).collect();
        (!kinds.is_empty()).then(|| kinds.into_iter().collect::<Vec<_>>().join(", "))
    };
    let name = &user.username;
    let owners = of(Scope::Deployment)
        .map(|kinds| format!("user {name} is no Owner, which {kinds} need to be changed: use an Owner's token"));
    let managers = of(Scope::Users).filter(|_| !user.has_role("user-admin")).map(|kinds| {
        format!(
            "user {name} is neither Owner nor User Admin, which {kinds} need to be changed: use such a user's token"
        )
    });
    let said: Vec<String> = owners.into_iter().chain(managers).collect();
    (!said.is_empty()).then(|| Note::new(NoteType::RoleTooSmall, said.join("; ")))
}

/// Says in time that the token ends.
pub(super) fn token_note(ends: Option<Timestamp>, warning: Duration, now: Timestamp) -> Option<Note> {
    let ends = ends.filter(|ends| ends.duration_since(now) <= SignedDuration::try_from(warning).unwrap_or_default())?;
    let message = format!(
        "the token of tokenSecretRef ends at {ends}, and everything stops then: put a new one into the Secret. `coder \
         tokens create --lifetime` says how long it lives, CODER_DEFAULT_TOKEN_LIFETIME of the server what it is unless \
         said, CODER_MAX_ADMIN_TOKEN_LIFETIME what is allowed"
    );
    Some(Note::new(NoteType::TokenExpiring, message))
}

/// When the last of the licences that are in force ends.
pub(super) fn license_end(licenses: impl Iterator<Item = LicenseClaims>, now: Timestamp) -> Option<Timestamp> {
    licenses
        .filter(|license| license.nbf().is_none_or(|begins| begins <= now))
        .filter_map(|license| license.license_expires())
        .max()
}

/// What Coder has to say against its licences, whoever manages them.
pub(super) fn license_note(entitlements: &Entitlements) -> Option<Note> {
    let complaints = entitlements.complaints();
    (!complaints.is_empty()).then(|| {
        Note::new(
            NoteType::LicenseWarning,
            format!("Coder says: {}", complaints.join(" ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_that_has_not_begun_puts_off_no_end() {
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let day = |days: i64| now.as_second() + days * 86_400;
        let licence = |begins: Option<i64>, ends: i64| {
            let claims = serde_json::json!({ "nbf": begins, "license_expires": ends });
            LicenseClaims {
                key_id: None,
                algorithm: None,
                raw: claims.as_object().unwrap().clone(),
            }
        };
        let end = |licences: Vec<LicenseClaims>| license_end(licences.into_iter(), now).map(Timestamp::as_second);
        let (old, next) = (licence(None, day(10)), licence(Some(day(5)), day(400)));
        assert_eq!(end(vec![old.clone(), next.clone()]), Some(day(10)));
        assert_eq!(end(vec![old, licence(Some(day(0)), day(400))]), Some(day(400)));
        assert_eq!(end(vec![next]), None);
    }

    #[test]
    fn of_what_a_server_names_only_so_much_is_shown() {
        let names: Vec<String> = (0..1000).map(|number| format!("feature-{number}")).collect();
        assert_eq!(some(names.iter()).len(), SHOWN);
        assert_eq!(some(names.iter().take(3)), names[..3]);
    }

    #[test]
    fn the_end_of_a_token_is_told_ahead_of_time_and_always_in_the_same_words() {
        let ends: Timestamp = "2026-12-02T08:14:05Z".parse().unwrap();
        let before = |days: i64| ends - SignedDuration::from_hours(24 * days);
        let two_days = Duration::from_hours(48);
        assert_eq!(token_note(Some(ends), two_days, before(3)), None);
        assert_eq!(token_note(None, two_days, before(0)), None);
        let note = token_note(Some(ends), two_days, before(2)).unwrap();
        assert_eq!(token_note(Some(ends), two_days, before(1)), Some(note.clone()));
        assert!(note.message.contains("2026-12-02T08:14:05Z") && note.message.contains("CODER_DEFAULT_TOKEN_LIFETIME"));
    }
}
