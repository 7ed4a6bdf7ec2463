//! What the status of an instance says of the deployment and of its use.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::probe::Findings;
use crate::api::instance::{Feed, KIND};
use crate::api::{CoderInstance, InstanceStatus, Object, ObjectKey, Scope};
use crate::coder::User;
use crate::engine::{Engine, Note};
use crate::mirror::feed::audit::FeedState;

/// What a look found goes into the status.
pub(super) fn fill(status: &mut InstanceStatus, findings: &Findings, feed: Option<FeedState>) {
    let Findings {
        connection,
        license_expires,
        ..
    } = findings;
    status.deployment_id = Some(connection.link.deployment.to_string());
    status.version = Some(connection.version.clone());
    status.user = Some(connection.user.username.clone());
    status.roles = connection.user.roles.iter().map(|role| role.name.clone()).collect();
    status.features = connection.features.iter().cloned().collect();
    status.license_expires_at = license_expires.map(Time);
    match feed {
        Some(FeedState::Reading) => (status.feed, status.feed_reason) = (Some(Feed::AuditLog), None),
        Some(FeedState::Unavailable(why)) => (status.feed, status.feed_reason) = (Some(Feed::Sweep), Some(why)),
        // After a restart the status says what was so before, and most likely is.
        None => drop(status.feed.get_or_insert(Feed::Sweep)),
    }
    status.rate_limit_bypass = Some(connection.client().bypass());
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
    let needs_owner: BTreeSet<&str> = engine
        .users(instance)
        .into_iter()
        .filter(|(_, scope, _)| *scope == Scope::Deployment)
        .map(|(kind, ..)| kind)
        .collect();
    if needs_owner.is_empty() {
        return None;
    }
    let kinds = needs_owner.into_iter().collect::<Vec<_>>().join(", ");
    Some(Note::new(
        "RoleTooSmall",
        format!(
            "user {} is no Owner, which {kinds} need to be changed: use an Owner's token",
            user.username
        ),
    ))
}
