//! Secrets that the operator writes for users: owned by the custom resource they come from, never over somebody else's.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use secrecy::{ExposeSecret, SecretString};

use crate::api::{Kind, ObjectKey};
use crate::engine::error::{Error, Reason};

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
pub enum Output {
    /// Nothing.
    Absent,
    /// The object's own Secret.
    Ours(Box<OutputSecret>),
    /// A Secret of somebody else.
    Foreign,
}

/// A Secret that the operator wrote, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSecret {
    /// The keys that have a value, each with the part of the value that is no secret: see [`public_part`].
    pub public: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What to write.
pub struct Content {
    /// Values by key.
    pub data: BTreeMap<String, SecretString>,
    /// Annotations: what is to be known of the values without reading them.
    pub annotations: BTreeMap<String, String>,
}

/// Reads and writes them.
#[derive(Clone)]
pub struct Outputs {
    client: Option<Client>,
}

impl Outputs {
    /// Through that client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client: Some(client) }
    }

    /// Where there is no Kubernetes: nothing is there, and nothing can be written.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { client: None }
    }

    /// What stands under that name.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked.
    pub async fn read(&self, owner: &Owner, name: &str) -> Result<Output, Error> {
        let Some(api) = self.api(owner) else {
            return Ok(Output::Absent);
        };
        Ok(match api.get_opt(name).await? {
            None => Output::Absent,
            Some(secret) if !owned(&secret, owner) => Output::Foreign,
            Some(secret) => {
                let data = secret.data.unwrap_or_default();
                Output::Ours(Box::new(OutputSecret {
                    public: data
                        .into_iter()
                        .map(|(key, value)| (key, public_part(&value)))
                        .collect(),
                    annotations: secret.metadata.annotations.unwrap_or_default(),
                }))
            }
        })
    }

    /// Creates the Secret, or puts these values into the object's own.
    ///
    /// # Errors
    /// `SecretConflict` when the name belongs to somebody else.
    pub async fn write(&self, owner: &Owner, name: &str, content: Content) -> Result<(), Error> {
        let Some(api) = self.api(owner) else {
            let message = format!("there is no Kubernetes to write Secret {name} to");
            return Err(Error::terminal(Reason::KubernetesError, message));
        };
        let existing = api.get_opt(name).await?;
        let mut secret = existing.clone().unwrap_or_default();
        if existing.is_some() && !owned(&secret, owner) {
            return Err(foreign(&owner.namespace, name));
        }
        let Content { data, annotations } = content;
        secret.metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(owner.namespace.clone()),
            owner_references: Some(vec![owner.reference.clone()]),
            annotations: Some(
                secret
                    .metadata
                    .annotations
                    .unwrap_or_default()
                    .into_iter()
                    .chain(annotations)
                    .collect(),
            ),
            managed_fields: None,
            ..secret.metadata
        };
        secret.type_ = Some("Opaque".to_owned());
        let new = data
            .into_iter()
            .map(|(key, value)| (key, ByteString(value.expose_secret().as_bytes().to_vec())));
        secret.data.get_or_insert_default().extend(new);
        let parameters = PostParams::default();
        let written = match existing {
            None => api.create(&parameters, &secret).await,
            // The resourceVersion in it makes sure that nobody took the Secret over since it was read.
            Some(_) => api.replace(name, &parameters, &secret).await,
        };
        match written {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Err(foreign(&owner.namespace, name)),
            Err(error) => Err(error.into()),
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

/// A URL is public as a whole; of a token `<id>:<secret>` the id is; of anything else nothing is.
fn public_part(value: &ByteString) -> String {
    let text = String::from_utf8_lossy(&value.0);
    match text.split_once(':') {
        Some(("http" | "https", _)) => text.into_owned(),
        Some((id, _)) => id.to_owned(),
        None => String::new(),
    }
}

fn owned(secret: &Secret, owner: &Owner) -> bool {
    secret
        .meta()
        .owner_references
        .iter()
        .flatten()
        .any(|reference| reference.uid == owner.reference.uid)
}
