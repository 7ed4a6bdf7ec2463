//! The custom resources and Secrets of a set of files: what passes look up where there is no Kubernetes. The rules of
//! the kinds are the same code as in the cluster; what they would write to Kubernetes has no place to go.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::{Kind, ObjectKey, Reference};
use crate::engine::cluster::objects::{self, Objects};
use crate::engine::cluster::output::{Outputs, Owner};
use crate::engine::cluster::wake::Wakes;
use crate::engine::connection::Connection;
use crate::engine::cx::{Cx, Seen};
use crate::engine::error::Error;
use crate::mirror::Freshness;

/// Why files are no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No YAML.
    #[error("{origin}: {source}")]
    Yaml {
        /// The file.
        origin: String,
        /// What is wrong with it.
        source: serde_yaml::Error,
    },
    /// A document that is no Kubernetes object.
    #[error("{origin}: document {number} has no {missing}")]
    Incomplete {
        /// The file.
        origin: String,
        /// Which document in it, from 1.
        number: usize,
        /// The field.
        missing: &'static str,
    },
    /// An object that is no object of its kind.
    #[error("{document}: {source}")]
    Unreadable {
        /// Which one.
        document: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A Secret that is none. What is wrong with it could show its content.
    #[error("{0} is no Secret: data holds base64, stringData text")]
    Secret(String),
    /// Two objects of one kind and name.
    #[error("{0} is there twice")]
    Twice(String),
}

/// An object in a file; `Display` names it and the file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub origin: String,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// Where it is; the namespace is empty for what has none.
    pub key: ObjectKey,
    value: Value,
}

impl Document {
    /// The object as it was written.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, FileError> {
        T::deserialize(&self.value).map_err(|source| FileError::Unreadable {
            document: self.to_string(),
            source,
        })
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.kind, self.key, self.origin)
    }
}

/// A set of files.
#[derive(Default)]
pub struct Files {
    documents: Vec<Document>,
    objects: HashMap<(String, ObjectKey), Arc<dyn Any + Send + Sync>>,
    secrets: HashMap<ObjectKey, Secret>,
}

impl Files {
    /// Takes in the text of a file. Objects that name no namespace are in `namespace`, as for `kubectl --namespace`.
    ///
    /// # Errors
    /// When it is no YAML, or holds what is no object.
    pub fn read(&mut self, origin: &str, text: &str, namespace: &str) -> Result<(), FileError> {
        for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            let yaml = |source| FileError::Yaml {
                origin: origin.to_owned(),
                source,
            };
            let value = Value::deserialize(document).map_err(yaml)?;
            // What `kubectl get --output yaml` writes for several objects.
            let values = match value {
                Value::Null => Vec::new(),
                Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                    serde_json::from_value(list.remove("items").unwrap_or_default()).unwrap_or_default()
                }
                value => vec![value],
            };
            for value in values {
                let incomplete = |missing| FileError::Incomplete {
                    origin: origin.to_owned(),
                    number: index + 1,
                    missing,
                };
                self.take_in(document_of(origin, value, namespace).map_err(incomplete)?)?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, document: Document) -> Result<(), FileError> {
        if document.api_version == "v1" && document.kind == "Secret" {
            let parsed = Secret::deserialize(&document.value);
            let Ok(mut secret) = parsed else {
                return Err(FileError::Secret(document.to_string()));
            };
            // As the API server does it.
            let strings = secret.string_data.take().into_iter().flatten();
            secret
                .data
                .get_or_insert_default()
                .extend(strings.map(|(key, text)| (key, ByteString(text.into_bytes()))));
            if self.secrets.insert(document.key.clone(), secret).is_some() {
                return Err(FileError::Twice(document.to_string()));
            }
            return Ok(());
        }
        self.documents.push(document);
        Ok(())
    }

    /// Reads the documents of a kind as its objects, which can be looked up from now on. Answers with them in the order
    /// of the files.
    ///
    /// # Errors
    /// When one cannot be read, or is there twice.
    pub fn add<K>(&mut self) -> Result<Vec<Arc<K>>, FileError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        let is_one = |document: &Document| document.kind == K::kind(&()) && document.api_version == K::api_version(&());
        let (mine, others) = std::mem::take(&mut self.documents)
            .into_iter()
            .partition::<Vec<_>, _>(is_one);
        self.documents = others;
        let mut objects = Vec::new();
        for document in mine {
            let mut object: K = document.parse()?;
            object.meta_mut().namespace = Some(document.key.namespace.clone());
            let object = Arc::new(object);
            let slot = (document.kind.clone(), document.key.clone());
            if self.objects.insert(slot, Arc::clone(&object) as _).is_some() {
                return Err(FileError::Twice(document.to_string()));
            }
            objects.push(object);
        }
        Ok(objects)
    }

    /// The objects of kinds that were not added, Secrets not among them.
    #[must_use]
    pub fn rest(&self) -> &[Document] {
        &self.documents
    }
}

fn document_of(origin: &str, value: Value, namespace: &str) -> Result<Document, &'static str> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let api_version = text("/apiVersion").ok_or("apiVersion")?;
    let kind = text("/kind").ok_or("kind")?;
    let name = text("/metadata/name").ok_or("metadata.name")?;
    let namespace = if kind == "Namespace" {
        String::new()
    } else {
        text("/metadata/namespace").unwrap_or(namespace.to_owned())
    };
    Ok(Document {
        origin: origin.to_owned(),
        api_version,
        kind,
        key: ObjectKey { namespace, name },
        value,
    })
}

impl Objects for Files {
    fn object(&self, reference: &Reference) -> Option<Arc<dyn Any + Send + Sync>> {
        self.objects
            .get(&(reference.kind.to_owned(), reference.key.clone()))
            .cloned()
    }

    fn secret<'a>(&'a self, key: &'a ObjectKey, entry: &'a str) -> BoxFuture<'a, Result<SecretString, Error>> {
        Box::pin(async move { objects::secret_value(self.secrets.get(key).cloned(), key, entry) })
    }

    fn have_status(&self) -> bool {
        false
    }
}

/// What a kind works with over a set of files.
pub struct Offline {
    files: Files,
    outputs: Outputs,
    wakes: Wakes,
    seen: Mutex<Seen>,
}

impl Offline {
    /// Over these files, to which the kinds were added.
    #[must_use]
    pub fn new(files: Files) -> Self {
        Self {
            files,
            outputs: Outputs::nowhere(),
            wakes: Wakes::default(),
            seen: Mutex::default(),
        }
    }

    /// One look at one object of the files. What Coder holds is read anew.
    #[must_use]
    pub fn cx<K: Kind>(&self, connection: &Arc<Connection>, object: &K) -> Cx<'_> {
        let key = object.key();
        Cx {
            owner: Owner {
                namespace: key.namespace.clone(),
                reference: OwnerReference::default(),
            },
            me: Reference { kind: K::KIND, key },
            connection: Arc::clone(connection),
            freshness: Freshness::Since(Instant::now()),
            interval: connection.terms.resync,
            now: Timestamp::now(),
            objects: &self.files,
            outputs: &self.outputs,
            wakes: &self.wakes,
            seen: &self.seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::api::{CoderGroup, CoderOrganization};

    const TEXT: &str = "
# A comment alone is no document.
---
apiVersion: v1
kind: Secret
metadata: {name: both}
data: {a: b25l, b: b25l}
stringData: {b: two}
---
apiVersion: v1
kind: List
items:
- apiVersion: coder-operator.dev/v1alpha1
  kind: CoderOrganization
  metadata: {name: platform, namespace: elsewhere}
  spec: {}
- apiVersion: v1
  kind: Namespace
  metadata: {name: elsewhere}
";

    fn files(text: &str) -> Files {
        let mut files = Files::default();
        files.read("a.yaml", text, "here").unwrap();
        files
    }

    #[tokio::test]
    async fn secrets_are_as_the_api_server_would_store_them() {
        let files = files(TEXT);
        let key = ObjectKey::new("here", "both");
        assert_eq!(files.secret(&key, "a").await.unwrap().expose_secret(), "one");
        assert_eq!(files.secret(&key, "b").await.unwrap().expose_secret(), "two");
        let missing = files.secret(&key, "c").await.unwrap_err();
        assert_eq!(missing.to_string(), "Secret here/both has no value under the key c");
        let missing = files.secret(&ObjectKey::new("here", "other"), "a").await.unwrap_err();
        assert_eq!(missing.to_string(), "Secret here/other does not exist");
    }

    #[test]
    fn objects_are_found_by_kind_and_key_once_their_kind_is_added() {
        let mut files = files(TEXT);
        let key = ObjectKey::new("elsewhere", "platform");
        assert!(objects::typed::<CoderOrganization>(&files, &key).is_none());
        assert_eq!(files.add::<CoderOrganization>().unwrap().len(), 1);
        assert!(objects::typed::<CoderOrganization>(&files, &key).is_some());
        assert!(objects::typed::<CoderGroup>(&files, &key).is_none());
        let rest: Vec<String> = files.rest().iter().map(ToString::to_string).collect();
        assert_eq!(rest, ["Namespace /elsewhere in a.yaml"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let mut files = Files::default();
        let why = |result: Result<(), FileError>| result.unwrap_err().to_string();
        assert!(why(files.read("a.yaml", "a: [", "here")).starts_with("a.yaml: "));
        assert_eq!(
            why(files.read("a.yaml", "---\n{}", "here")),
            "a.yaml: document 1 has no apiVersion"
        );
        let group =
            "apiVersion: coder-operator.dev/v1alpha1\nkind: CoderGroup\nmetadata: {name: g}\nspec: {members: 5}";
        files.read("b.yaml", group, "here").unwrap();
        let unreadable = files.add::<CoderGroup>().unwrap_err().to_string();
        assert!(
            unreadable.starts_with("CoderGroup here/g in b.yaml: invalid type"),
            "{unreadable}"
        );
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {token: very secret}";
        let refusal = files.read("d.yaml", secret, "here").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Secret here/s in d.yaml is no Secret: data holds base64, stringData text"
        );
        assert!(!format!("{refusal:?}").contains("very secret"));
        let twice = format!("{0}\n---\n{0}", group.replace('5', "[]"));
        files.read("c.yaml", &twice, "here").unwrap();
        assert_eq!(
            files.add::<CoderGroup>().unwrap_err().to_string(),
            "CoderGroup here/g in c.yaml is there twice"
        );
    }
}
