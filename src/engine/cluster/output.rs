//! Secrets that the operator writes for users: owned by the custom resource they come from, never over somebody else's.
//!
//! Who leads is asked before every write. A write insists on what was read before it, so that nothing that came meanwhile
//! is overwritten.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::api::{GROUP, Kind, ObjectKey};
use crate::engine::error::{self, Error, Reason};
use crate::leader::Leadership;

/// How often a write begins anew because somebody changed something else of the Secret.
const TRIES: usize = 5;

/// The custom resource that owns a Secret.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its namespace, and that of the Secret.
    pub namespace: String,
    /// The owner reference to put into the Secret.
    pub reference: OwnerReference,
}

impl Owner {
    /// The object as an owner; `None` for one that the API server has not given a uid.
    pub fn of<K: Kind>(object: &K) -> Option<Self> {
        let reference = object.controller_owner_ref(&())?;
        Some(Self {
            namespace: object.key().namespace,
            reference,
        })
    }
}

/// What stands where the object's Secret belongs.
#[derive(Debug)]
pub enum Output {
    /// Nothing.
    Absent,
    /// The object's own Secret.
    Ours(Box<OutputSecret>),
    /// A Secret that nobody owns, or that an earlier object of the same kind and name owned: what the object let go of
    /// once, or what came back from a backup. Whether it may be taken over is to be seen by what it holds.
    Left(Box<OutputSecret>),
    /// A Secret of somebody else.
    Foreign,
}

impl Output {
    /// The Secret, if it may be the object's.
    #[must_use]
    pub fn secret(&self) -> Option<&OutputSecret> {
        match self {
            Self::Ours(secret) | Self::Left(secret) => Some(secret),
            Self::Absent | Self::Foreign => None,
        }
    }

    fn of(secret: Option<Secret>, owner: &Owner) -> Self {
        let Some(secret) = secret else { return Self::Absent };
        let references = secret.metadata.owner_references.as_deref().unwrap_or_default();
        let ours = owned(&secret, owner);
        if !ours && !references.iter().all(|reference| precedes(reference, &owner.reference)) {
            return Self::Foreign;
        }
        let data = secret.data.unwrap_or_default();
        let secret = Box::new(OutputSecret {
            values: data
                .into_iter()
                .map(|(key, value)| (key, SecretString::from(String::from_utf8_lossy(&value.0).into_owned())))
                .collect(),
            annotations: secret.metadata.annotations.unwrap_or_default(),
        });
        if ours { Self::Ours(secret) } else { Self::Left(secret) }
    }
}

/// A Secret that the operator wrote.
#[derive(Debug)]
pub struct OutputSecret {
    values: BTreeMap<String, SecretString>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

impl OutputSecret {
    /// The value under a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<SecretString> {
        self.values.get(key).cloned()
    }

    /// The part of a value that is no secret: all of a URL, the id of a token `<id>:<secret>`, nothing of anything else.
    #[must_use]
    pub fn public(&self, key: &str) -> Option<String> {
        let text = self.values.get(key)?.expose_secret();
        Some(match text.split_once(':') {
            Some(("http" | "https", _)) => text.to_owned(),
            Some((id, _)) => id.to_owned(),
            None => String::new(),
        })
    }

    /// What tells a value from another one.
    #[must_use]
    pub fn digest(&self, key: &str) -> Option<String> {
        self.values.get(key).map(digest)
    }

    /// Whether the value is of the credential with that id, and is what the annotation named `digest` says of it, if
    /// there is one.
    #[must_use]
    pub fn holds(&self, key: &str, id: &str, digest: &str) -> bool {
        let noted = self.annotations.get(digest);
        self.public(key).is_some_and(|public| public == id)
            && noted.is_none_or(|noted| self.digest(key).as_ref() == Some(noted))
    }
}

/// One key of a Secret in the namespace of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

/// What to write.
pub struct Content {
    /// Values by key.
    pub data: BTreeMap<String, SecretString>,
    /// Annotations: what is to be known of the values without reading them.
    pub annotations: BTreeMap<String, String>,
    /// Keys that are no longer used.
    pub removed: Vec<String>,
    /// Whether a Secret that was left ([`Output::Left`]) is taken over.
    pub inherits: bool,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Yes.
    Really,
    /// Kubernetes only says whether it would take it.
    Rehearse,
}

/// Reads and writes them.
#[derive(Clone)]
pub struct Outputs {
    client: Option<Client>,
    leadership: Leadership,
}

impl Outputs {
    /// Through that client, as long as this process leads.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership) -> Self {
        Self {
            client: Some(client),
            leadership,
        }
    }

    /// Where there is no Kubernetes: nothing is there, and nothing can be written.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            client: None,
            leadership: Leadership::alone(),
        }
    }

    /// What stands under that name.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked.
    pub async fn read(&self, owner: &Owner, name: &str) -> Result<Output, Error> {
        let Some(api) = self.api(owner) else {
            return Ok(Output::Absent);
        };
        let found = api
            .get_opt(name)
            .await
            .map_err(|error| refused(error, &owner.namespace, name))?;
        Ok(Output::of(found, owner))
    }

    /// Creates the Secret, or puts these values into the object's own. `before` is the digest of what was under the key
    /// when the write was decided upon.
    ///
    /// # Errors
    /// `Superseded` when another value is there now, `SecretConflict` when the name belongs to somebody else,
    /// `SecretRefused` when Kubernetes does not take it.
    pub async fn write(
        &self,
        owner: &Owner,
        place: &Place,
        before: Option<&str>,
        content: &Content,
        write: Write,
    ) -> Result<(), Error> {
        let Some(api) = self.api(owner) else {
            let message = format!("there is no Kubernetes to write Secret {} to", place.name);
            return Err(Error::terminal(Reason::KubernetesError, message));
        };
        let refused = |error| refused(error, &owner.namespace, &place.name);
        let parameters = PostParams {
            dry_run: write == Write::Rehearse,
            ..PostParams::default()
        };
        for _ in 0..TRIES {
            let existing = api.get_opt(&place.name).await.map_err(refused)?;
            let output = Output::of(existing.clone(), owner);
            match &output {
                Output::Foreign => return Err(foreign(&owner.namespace, &place.name)),
                Output::Left(_) if !content.inherits => return Err(foreign(&owner.namespace, &place.name)),
                _ => {}
            }
            let now = output.secret().and_then(|secret| secret.digest(&place.key));
            if now.as_deref() != before {
                return Err(Error::Superseded);
            }
            self.lead()?;
            let secret = filled(existing.clone().unwrap_or_default(), owner, &place.name, content);
            let written = match existing {
                None => api.create(&parameters, &secret).await,
                // The resourceVersion in it makes sure that nobody changed the Secret since it was read.
                Some(_) => api.replace(&place.name, &parameters, &secret).await,
            };
            match written {
                Ok(_) => return Ok(()),
                // The value is looked at again: only if it is still the same one, the new one goes over it.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                // A webhook that cannot be rehearsed says nothing about the write.
                Err(kube::Error::Api(status))
                    if write == Write::Rehearse && status.code == 400 && status.message.contains("dry run") =>
                {
                    return Ok(());
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::Superseded)
    }

    /// Takes these keys and annotations out of the object's own Secret. One that is empty then still goes with the object;
    /// one in which somebody else keeps something is nobody's from now on.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or refuses.
    pub async fn discard(&self, owner: &Owner, name: &str, keys: &[&str], annotations: &[&str]) -> Result<(), Error> {
        self.amend(owner, name, |secret| {
            let data = secret.data.get_or_insert_default();
            data.retain(|key, _| !keys.contains(&key.as_str()));
            let kept = !data.is_empty();
            let noted = secret.metadata.annotations.get_or_insert_default();
            noted.retain(|name, _| !annotations.contains(&name.as_str()));
            if kept {
                disowned(secret, owner);
            }
        })
        .await
    }

    /// The object lets go of its Secret, which stays: nobody owns it from now on.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or refuses.
    pub async fn disown(&self, owner: &Owner, name: &str) -> Result<(), Error> {
        self.amend(owner, name, |secret| disowned(secret, owner)).await
    }

    /// Changes the object's own Secret, if there is one.
    async fn amend(&self, owner: &Owner, name: &str, change: impl FnOnce(&mut Secret) + Send) -> Result<(), Error> {
        let Some(api) = self.api(owner) else { return Ok(()) };
        let refused = |error| refused(error, &owner.namespace, name);
        let Some(mut secret) = api.get_opt(name).await.map_err(refused)? else {
            return Ok(());
        };
        if !owned(&secret, owner) {
            return Ok(());
        }
        self.lead()?;
        change(&mut secret);
        match api.replace(name, &PostParams::default(), &secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Whether this process may write now: time passed since the pass was allowed to, a call to Coder among it.
    fn lead(&self) -> Result<(), Error> {
        if self.leadership.leads() {
            Ok(())
        } else {
            Err(Error::Superseded)
        }
    }

    fn api(&self, owner: &Owner) -> Option<Api<Secret>> {
        self.client
            .clone()
            .map(|client| Api::namespaced(client, &owner.namespace))
    }
}

/// A Secret of somebody else is in the way.
#[must_use]
pub fn foreign(namespace: &str, name: &str) -> Error {
    Error::terminal(
        Reason::SecretConflict,
        format!(
            "Secret {} exists and does not belong to this object: delete it, or choose another name",
            ObjectKey::new(namespace, name)
        ),
    )
}

/// The SHA-256 of a value, in hexadecimal.
#[must_use]
pub fn digest(value: &SecretString) -> String {
    let hash = Sha256::digest(value.expose_secret().as_bytes());
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What Kubernetes says when it does not take a Secret: a permission, a quota, a policy, a name. Trying again helps only
/// after somebody changed that.
fn refused(error: kube::Error, namespace: &str, name: &str) -> Error {
    let kube::Error::Api(status) = &error else {
        return error.into();
    };
    let key = ObjectKey::new(namespace, name);
    let said = error::sentence(&error);
    let causes = status.details.iter().flat_map(|details| &details.causes);
    if causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating") {
        return Error::waiting(Reason::SecretRefused, format!("Secret {key} cannot be written: {said}"));
    }
    let way_out = match status.code {
        403 if said.contains(" cannot ") => "give the operator the permission (of the chart: secretNamespaces)",
        403 | 422 => "correct that, or choose another Secret",
        _ => return error.into(),
    };
    Error::terminal(
        Reason::SecretRefused,
        format!("Kubernetes refuses Secret {key}: {said}; {way_out}"),
    )
}

fn filled(secret: Secret, owner: &Owner, name: &str, content: &Content) -> Secret {
    let mut secret = secret;
    let mut annotations = secret.metadata.annotations.unwrap_or_default();
    // What was noted of another value is not true of this one.
    annotations.retain(|name, _| name.split('/').next() != Some(GROUP));
    let new = content
        .annotations
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    secret.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(owner.namespace.clone()),
        owner_references: Some(vec![owner.reference.clone()]),
        annotations: Some(annotations.into_iter().chain(new).collect()),
        managed_fields: None,
        ..secret.metadata
    };
    // The type of a Secret cannot be changed.
    secret.type_.get_or_insert_with(|| "Opaque".to_owned());
    let data = secret.data.get_or_insert_default();
    data.retain(|key, _| !content.removed.contains(key));
    data.extend(
        content
            .data
            .iter()
            .map(|(key, value)| (key.clone(), ByteString(value.expose_secret().as_bytes().to_vec()))),
    );
    secret
}

fn owned(secret: &Secret, owner: &Owner) -> bool {
    let references = secret.meta().owner_references.iter().flatten();
    references
        .into_iter()
        .any(|reference| reference.uid == owner.reference.uid)
}

/// Whether that owner had the kind and name of this one. There cannot be two at a time: it is gone.
fn precedes(one: &OwnerReference, this: &OwnerReference) -> bool {
    let group = |reference: &OwnerReference| reference.api_version.split('/').next().map(str::to_owned);
    one.kind == this.kind && one.name == this.name && group(one) == group(this)
}

fn disowned(secret: &mut Secret, owner: &Owner) {
    if let Some(references) = &mut secret.metadata.owner_references {
        references.retain(|reference| reference.uid != owner.reference.uid);
    }
}
