//! One look at a deployment: from the spec and its Secrets to a connection and what is known of the other side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;
use url::Url;

use super::credentials::{self, Credentials};
use super::facts;
use super::reconciler::{Good, Topics, terms};
use crate::api::{CoderInstance, DurationString, Object, annotation};
use crate::coder::{self, Client, DeploymentId, License, is_at_least};
use crate::engine::connection::{Connection, Link, deployment_changed};
use crate::engine::{Engine, Error, Note, Reason};
use crate::mirror::Mirror;
use crate::mirror::feed::sweep;

/// What a look found.
pub(super) struct Findings {
    pub(super) credentials: Credentials,
    pub(super) connection: Connection,
    /// When the licence that ends last does.
    pub(super) license_expires: Option<Timestamp>,
    /// When the token does, if that is fixed.
    pub(super) token_expires: Option<Timestamp>,
    pub(super) notes: Vec<Note>,
}

/// Looks. `before` is what the last good look used, to keep its link if nothing that makes it changed.
pub(super) async fn look(
    engine: &Engine,
    object: &CoderInstance,
    topics: &Topics,
    before: Option<&Good>,
) -> Result<Findings, Error> {
    let intervals = intervals(object)?;
    let credentials = credentials::read(engine, object, topics).await?;
    let kept = before
        .filter(|(last, _)| *last == credentials)
        .map(|(_, connection)| connection);
    let client = match kept {
        Some(connection) => connection.client().clone(),
        None => credentials::client(engine, object, &credentials)?,
    };
    let began = Instant::now();
    let build = client.build_info().await?;
    if build.workspace_proxy {
        let message = "spec.url leads to a workspace proxy: set the URL of the deployment itself";
        return Err(Error::terminal(Reason::WorkspaceProxyUrl, message));
    }
    let Some(deployment) = build.deployment_id else {
        let message = "the server says no deployment id: it is older than v2.16.1 or no Coder server";
        return Err(Error::terminal(Reason::Unsupported, message));
    };
    pinned(object, deployment)?;
    let user = client.me().await.map_err(|error| unauthorized(error, object, engine))?;
    let owner = user.has_role("owner");
    client.set_bypass(owner);
    let token_expires = token_end(&client, &build.version).await;
    let entitlements = client.entitlements().await?;
    let features: BTreeSet<String> = entitlements
        .features
        .iter()
        .filter(|(_, feature)| feature.enabled)
        .map(|(name, _)| name.clone())
        .collect();
    // Anybody else is shown an empty list.
    let licenses = if owner {
        client.list_licenses().await?
    } else {
        Vec::new()
    };
    let license_expires = facts::license_end(licenses.iter().map(License::claims), (engine.now)());
    let link = match kept.filter(|connection| connection.link.deployment == deployment) {
        Some(connection) => Arc::clone(&connection.link),
        None => Arc::new(link(engine, credentials.url.clone(), deployment, client)),
    };
    link.proved(began);
    let notes = [
        facts::roles_note(engine, &object.key(), &user),
        facts::token_note(token_expires, intervals.token_expiry_warning, (engine.now)()),
        facts::license_note(&entitlements),
    ];
    let connection = Connection {
        key: object.key(),
        link,
        terms: terms(object),
        features,
        user,
        version: build.version,
        access_url: build.dashboard_url,
    };
    Ok(Findings {
        credentials,
        connection,
        license_expires,
        token_expires,
        notes: notes.into_iter().flatten().collect(),
    })
}

/// The intervals that are not among the terms.
struct Intervals {
    token_expiry_warning: Duration,
}

/// The schema admits only intervals that can be read; an object that is older than it may have others.
fn intervals(object: &CoderInstance) -> Result<Intervals, Error> {
    let spec = &object.spec;
    let parse = |field: &str, text: &DurationString| {
        let error = |error| Error::terminal(Reason::InvalidSpec, format!("{field}: {error}"));
        text.parse().map_err(error)
    };
    parse("resyncInterval", &spec.resync_interval)?;
    parse("minResyncInterval", &spec.min_resync_interval)?;
    Ok(Intervals {
        token_expiry_warning: parse("tokenExpiryWarning", &spec.token_expiry_warning)?,
    })
}

/// When the token ends, if that is fixed: before v2.35 each use moves it. A server that does not say so is no reason not to
/// use it.
async fn token_end(client: &Client, version: &str) -> Option<Timestamp> {
    if !is_at_least(version, (2, 35)) {
        return None;
    }
    match client.own_key().await {
        // In whole seconds, as a status shows it.
        Ok(key) => Timestamp::from_second(key?.expires_at.as_second()).ok(),
        Err(error) => {
            tracing::info!(%error, "when the token ends is not known");
            None
        }
    }
}

fn link(engine: &Engine, url: Url, deployment: DeploymentId, client: Client) -> Link {
    let mirror = Arc::new(Mirror::new(
        client.clone(),
        engine.wakes.clone(),
        engine.metrics.clone(),
    ));
    let sweeping = engine
        .tasks
        .spawn("sweep of a deployment", sweep::run(Arc::clone(&mirror), engine.jitter));
    Link::new(url, deployment, client, mirror, sweeping)
}

/// The first contact pins the deployment; after that only the user's consent changes it.
fn pinned(object: &CoderInstance, deployment: DeploymentId) -> Result<(), Error> {
    let pinned = object
        .status
        .as_ref()
        .and_then(|status| status.deployment_id.as_deref());
    let consented = object
        .annotations()
        .get(annotation::ACCEPT_DEPLOYMENT)
        .map(|id| id.trim());
    let id = deployment.to_string();
    match pinned {
        Some(pinned) if pinned != id && consented != Some(&id) => {
            Err(deployment_changed(&object.key(), Some(deployment)))
        }
        _ => Ok(()),
    }
}

/// A token that is not accepted is a human's to replace.
fn unauthorized(error: coder::Error, object: &CoderInstance, engine: &Engine) -> Error {
    if error.class() != coder::Class::Unauthorized {
        return error.into();
    }
    let ends = object
        .status
        .as_ref()
        .and_then(|status| status.token_expires_at.as_ref());
    let ended = match ends {
        Some(ends) if ends.0 <= (engine.now)() => format!("; it ended at {}", ends.0),
        _ => String::new(),
    };
    let message =
        format!("the token of tokenSecretRef is not accepted{ended}: put a valid one into the Secret ({error})");
    Error::terminal(Reason::Unauthorized, message)
}

/// Whether two connections look the same to who works through them, whatever the terms.
pub(super) fn same(a: &Connection, b: &Connection) -> bool {
    Arc::ptr_eq(&a.link, &b.link) && a.features == b.features && a.user.roles == b.user.roles && a.version == b.version
}
