//! Where the deployment is and who we are there: what the spec says, and the Secrets that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reconciler::Topics;
use crate::api::{CoderInstance, Object, ObjectKey, SecretRef};
use crate::coder::{Client, Config};
use crate::engine::cluster::objects::Objects;
use crate::engine::cluster::wake::Topic;
use crate::engine::{Engine, Error, Reason};

/// What makes a link another one: URL, token, certificates.
#[derive(Clone, PartialEq)]
pub(super) struct Credentials {
    pub(super) url: Url,
    /// Compared, never shown; the client holds the same.
    token: String,
    ca: Option<Vec<u8>>,
    headers: BTreeMap<String, String>,
    identity: Option<String>,
}

/// Reads them.
pub(super) async fn read(engine: &Engine, object: &CoderInstance, topics: &Topics) -> Result<Credentials, Error> {
    let spec = &object.spec;
    let url: Url = spec
        .url
        .parse()
        .map_err(|error| Error::terminal(Reason::InvalidSpec, format!("spec.url is no URL: {error}")))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && spec.allow_insecure_http) {
        let message =
            "spec.url must be https (or http with allowInsecureHTTP: true, which sends the token in clear text)";
        return Err(Error::terminal(Reason::InvalidSpec, message));
    }
    let me = object.reference();
    let in_namespace = |name: &str| ObjectKey::new(&me.key.namespace, name);
    let secret = async |name: &str, entry: &str| {
        let key = in_namespace(name);
        topics.depend(engine, &me, Topic::Secret(key.clone()));
        engine.caches.secret(&key, entry).await
    };
    let reference = &spec.token_secret_ref;
    let token = secret(&reference.name, reference.key_or("token")).await?;
    let ca = match (&spec.ca_secret_ref, &spec.ca_config_map_ref) {
        (Some(reference), _) => {
            let pem = secret(&reference.name, reference.key_or("ca.crt")).await?;
            Some(pem.expose_secret().as_bytes().to_vec())
        }
        (None, Some(reference)) => {
            let map = in_namespace(&reference.name);
            topics.depend(engine, &me, Topic::ConfigMap(map.clone()));
            let pem = engine.caches.config_map(&map, reference.key_or("ca.crt")).await?;
            Some(pem.into_bytes())
        }
        (None, None) => None,
    };
    let headers = match &spec.headers_secret_ref {
        Some(reference) => {
            let key = in_namespace(&reference.name);
            topics.depend(engine, &me, Topic::Secret(key.clone()));
            let headers = engine.caches.whole_secret(&key).await?.into_iter();
            headers
                .map(|(name, value)| (name, value.expose_secret().to_owned()))
                .collect()
        }
        None => BTreeMap::new(),
    };
    let identity = match &spec.client_certificate_secret_ref {
        Some(SecretRef { name }) => {
            let (certificate, private_key) = (secret(name, "tls.crt").await?, secret(name, "tls.key").await?);
            Some(format!(
                "{}\n{}\n",
                certificate.expose_secret(),
                private_key.expose_secret()
            ))
        }
        None => None,
    };
    Ok(Credentials {
        url,
        token: token.expose_secret().to_owned(),
        ca,
        headers,
        identity,
    })
}

/// A client that uses them.
pub(super) fn client(engine: &Engine, object: &CoderInstance, credentials: &Credentials) -> Result<Client, Error> {
    let mut config = Config::new(credentials.url.clone(), SecretString::from(credentials.token.clone()));
    config.ca_pem.clone_from(&credentials.ca);
    config.identity_pem = credentials.identity.clone().map(SecretString::from);
    let headers = credentials.headers.iter();
    config.headers = headers
        .map(|(name, value)| (name.clone(), SecretString::from(value.clone())))
        .collect();
    config.user_agent = user_agent(object);
    config.observer = engine.metrics.clone();
    config.bodies = engine.bodies.clone();
    let leadership = engine.leadership.clone();
    config.may_write = Arc::new(move || leadership.leads());
    Client::new(config).map_err(|error| Error::terminal(Reason::InvalidSpec, error.to_string()))
}

/// How calls name themselves, for who reads the audit log.
fn user_agent(object: &CoderInstance) -> String {
    format!(
        "coder-operator/{} ({})",
        env!("CARGO_PKG_VERSION"),
        object.uid().unwrap_or_default()
    )
}
