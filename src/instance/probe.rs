//! One look at a deployment: from the spec and its Secrets to a connection and what is known of the other side.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;
use url::Url;

use super::credentials::{self, Credentials};
use super::facts;
use super::reconciler::{Good, Topics, terms};
use crate::api::{CoderInstance, Object, annotation};
use crate::coder::{self, Client, DeploymentId};
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
    pub(super) notes: Vec<Note>,
}

/// Looks. `before` is what the last good look used, to keep its link if nothing that makes it changed.
pub(super) async fn look(
    engine: &Engine,
    object: &CoderInstance,
    topics: &Topics,
    before: Option<&Good>,
) -> Result<Findings, Error> {
    check_intervals(object)?;
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
    let user = client.me().await.map_err(unauthorized)?;
    let owner = user.has_role("owner");
    client.set_bypass(owner);
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
    let license_expires = licenses
        .iter()
        .filter_map(|license| license.claims().license_expires())
        .max();
    let link = match kept.filter(|connection| connection.link.deployment == deployment) {
        Some(connection) => Arc::clone(&connection.link),
        None => Arc::new(link(engine, credentials.url.clone(), deployment, client)),
    };
    link.proved(began);
    let notes = facts::roles_note(engine, &object.key(), &user).into_iter().collect();
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
        notes,
    })
}

/// The schema admits no other intervals; an object that is older than it may have them.
fn check_intervals(object: &CoderInstance) -> Result<(), Error> {
    let interval = object.spec.resync_interval.parse();
    let error = |error| Error::terminal(Reason::InvalidSpec, format!("resyncInterval: {error}"));
    interval.map(drop).map_err(error)
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
fn unauthorized(error: coder::Error) -> Error {
    if error.class() == coder::Class::Unauthorized {
        let message = format!("the token of tokenSecretRef is not accepted: put a valid one into the Secret ({error})");
        return Error::terminal(Reason::Unauthorized, message);
    }
    error.into()
}

/// Whether two connections look the same to who works through them, whatever the terms.
pub(super) fn same(a: &Connection, b: &Connection) -> bool {
    Arc::ptr_eq(&a.link, &b.link) && a.features == b.features && a.user.roles == b.user.roles && a.version == b.version
}
