//! One look at a deployment: from the spec and its Secrets to a connection and what is known of the other side.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use crate::api::{CoderInstance, Reference, Scope, annotation, instance};
use crate::coder::{self, Client, Config, DeploymentId};
use crate::engine::cluster::objects::Objects;
use crate::engine::cluster::wake::Topic;
use crate::engine::connection::{Connection, Link, deployment_changed};
use crate::engine::{Engine, Error, Note, Reason};
use crate::mirror::Mirror;
use crate::mirror::feed::sweep;

/// What makes a link another one: URL, token, certificates, deployment.
#[derive(Clone, PartialEq)]
pub(super) struct Credentials {
    url: Url,
    /// Compared, never shown; the client holds the same.
    token: String,
    ca: Option<Vec<u8>>,
}

/// What a look found.
pub(super) struct Findings {
    pub(super) credentials: Credentials,
    pub(super) connection: Arc<Connection>,
    /// When the licence that ends last does.
    pub(super) license_expires: Option<Timestamp>,
    pub(super) notes: Vec<Note>,
}

/// Looks. `before` is what the last good look used, to keep its link if nothing that makes it changed.
pub(super) async fn look(
    engine: &Engine,
    object: &CoderInstance,
    before: Option<&(Credentials, Arc<Connection>)>,
) -> Result<Findings, Error> {
    let credentials = credentials(engine, object).await?;
    let kept = before
        .filter(|(last, _)| *last == credentials)
        .map(|(_, connection)| connection);
    let client = match kept {
        Some(connection) => connection.client().clone(),
        None => client(engine, object, &credentials)?,
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
    let owner = user.roles.iter().any(|role| role.name == "owner");
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
    let notes = roles_note(engine, object, &user).into_iter().collect();
    let connection = Connection {
        key: super::worker::key(object),
        link,
        access: object.spec.access.clone(),
        defaults: object.spec.defaults,
        resync: resync(object)?,
        features,
        user,
        version: build.version,
        access_url: build.dashboard_url,
    };
    Ok(Findings {
        credentials,
        connection: Arc::new(connection),
        license_expires,
        notes,
    })
}

/// How long drift may stay unseen.
pub(super) fn resync(object: &CoderInstance) -> Result<std::time::Duration, Error> {
    let interval = object
        .spec
        .resync_interval
        .parse()
        .map_err(|error| Error::terminal(Reason::InvalidSpec, format!("resyncInterval: {error}")))?;
    Ok(interval.max(std::time::Duration::from_secs(1)))
}

async fn credentials(engine: &Engine, object: &CoderInstance) -> Result<Credentials, Error> {
    let spec = &object.spec;
    let key = super::worker::key(object);
    let me = Reference {
        kind: instance::KIND,
        key: key.clone(),
    };
    let url: Url = spec
        .url
        .parse()
        .map_err(|error| Error::terminal(Reason::InvalidSpec, format!("spec.url is no URL: {error}")))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && spec.allow_insecure_http) {
        let message =
            "spec.url must be https (or http with allowInsecureHTTP: true, which sends the token in clear text)";
        return Err(Error::terminal(Reason::InvalidSpec, message));
    }
    let in_namespace = |name: &str| crate::api::ObjectKey::new(&key.namespace, name);
    let token = in_namespace(&spec.token_secret_ref.name);
    engine.wakes.depend(&me, Topic::Secret(token.clone()));
    let token = engine
        .caches
        .secret(&token, spec.token_secret_ref.key_or("token"))
        .await?;
    let ca = match (&spec.ca_secret_ref, &spec.ca_config_map_ref) {
        (Some(reference), _) => {
            let secret = in_namespace(&reference.name);
            engine.wakes.depend(&me, Topic::Secret(secret.clone()));
            let pem = engine.caches.secret(&secret, reference.key_or("ca.crt")).await?;
            Some(pem.expose_secret().as_bytes().to_vec())
        }
        (None, Some(reference)) => {
            let map = in_namespace(&reference.name);
            engine.wakes.depend(&me, Topic::ConfigMap(map.clone()));
            Some(
                engine
                    .caches
                    .config_map(&map, reference.key_or("ca.crt"))
                    .await?
                    .into_bytes(),
            )
        }
        (None, None) => None,
    };
    Ok(Credentials {
        url,
        token: token.expose_secret().to_owned(),
        ca,
    })
}

/// How calls name themselves, for who reads the audit log.
fn user_agent(object: &CoderInstance) -> String {
    format!(
        "coder-operator/{} ({})",
        env!("CARGO_PKG_VERSION"),
        object.uid().unwrap_or_default()
    )
}

fn client(engine: &Engine, object: &CoderInstance, credentials: &Credentials) -> Result<Client, Error> {
    let mut config = Config::new(credentials.url.clone(), SecretString::from(credentials.token.clone()));
    config.ca_pem.clone_from(&credentials.ca);
    config.user_agent = user_agent(object);
    config.observer = engine.metrics.clone();
    config.bodies = engine.bodies.clone();
    Client::new(config).map_err(|error| Error::terminal(Reason::InvalidSpec, error.to_string()))
}

fn link(engine: &Engine, url: Url, deployment: DeploymentId, client: Client) -> Link {
    let mirror = Arc::new(Mirror::new(
        client.clone(),
        engine.wakes.clone(),
        engine.metrics.clone(),
    ));
    let sweeping = tokio::spawn(sweep::run(Arc::clone(&mirror), engine.chance)).abort_handle();
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
            Err(deployment_changed(&super::worker::key(object), Some(deployment)))
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

/// Says when the token's user cannot do what the objects ask.
fn roles_note(engine: &Engine, object: &CoderInstance, user: &coder::User) -> Option<Note> {
    let has = |role: &str| user.roles.iter().any(|held| held.name == role);
    if has("owner") {
        return None;
    }
    let to = Reference {
        kind: instance::KIND,
        key: super::worker::key(object),
    };
    let needs_owner: BTreeSet<&str> = engine
        .caches
        .referring(&to)
        .into_iter()
        .filter(|referrer| referrer.scope == Scope::Deployment)
        .map(|referrer| referrer.reference.kind)
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

/// Whether two connections look the same to who works through them.
pub(super) fn same(a: &Connection, b: &Connection) -> bool {
    Arc::ptr_eq(&a.link, &b.link)
        && a.access == b.access
        && a.defaults == b.defaults
        && a.resync == b.resync
        && a.features == b.features
        && a.user.roles == b.user.roles
        && a.version == b.version
}

/// How many objects of each kind refer to the instance.
pub(super) fn objects(engine: &Engine, object: &CoderInstance) -> std::collections::BTreeMap<String, i64> {
    if !engine.caches.are_complete() {
        // What was counted before is nearer to the truth than a part of it.
        return object
            .status
            .as_ref()
            .map(|status| status.objects.clone())
            .unwrap_or_default();
    }
    let to = Reference {
        kind: instance::KIND,
        key: super::worker::key(object),
    };
    let mut counts = std::collections::BTreeMap::new();
    for referrer in engine.caches.referring(&to) {
        *counts.entry(referrer.reference.kind.to_owned()).or_insert(0) += 1;
    }
    counts
}
