//! A namespace for one test.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use k8s_openapi::{
    api::core::v1::{Namespace as Object, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, PostParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{ControlPlane, Error, Result};

const FINISH_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A namespace that no other test uses, in this process or any other.
///
/// Dropping it leaves it: it goes with the control plane. [`Namespace::finish`] is for tests that want to see that
/// everything can be deleted, and for a control plane that outlives them.
#[derive(Clone)]
pub struct Namespace {
    name: String,
    client: Client,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// Creates a namespace named after the test, so that a log tells whose it was.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        self.labelled_namespace(prefix, []).await
    }

    /// Creates a namespace with labels.
    pub async fn labelled_namespace<const N: usize>(
        &self,
        prefix: &str,
        labels: [(&str, &str); N],
    ) -> Result<Namespace> {
        let name = unique_name(prefix);
        let client = self.admin()?;
        let labels: BTreeMap<_, _> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let object = Object {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            ..Object::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .map_err(Error::kube(format!("cannot create namespace {name}")))?;
        Ok(Namespace { name, client })
    }
}

impl Namespace {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for its deletion, and does not wait. From now on nothing can be created in it.
    ///
    /// The namespace controller lets five seconds pass before it deletes what is in it, all kinds in random order. So a
    /// test that wants an order deletes with [`Self::delete_all`] what shall go first.
    pub async fn delete(&self) -> Result<()> {
        let api = Api::<Object>::all(self.client.clone());
        match api.delete(&self.name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            // It is going or gone already, which is what we want.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            Err(error) => Err(Error::kube(format!("cannot delete namespace {}", self.name))(error)),
        }
    }

    /// Asks for the deletion of all objects of a kind in it, and does not wait.
    pub async fn delete_all<K>(&self) -> Result<()>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        self.delete_collection(&Api::<K>::namespaced(self.client.clone(), &self.name), &K::plural(&()))
            .await
    }

    /// Waits until it is gone.
    ///
    /// The time runs out when an object keeps a finalizer; the error has the namespace controller's words for it.
    pub async fn gone(&self, within: Duration) -> Result<()> {
        let api = Api::<Object>::all(self.client.clone());
        let began = Instant::now();
        loop {
            let found = api.get_opt(&self.name).await;
            let Some(object) = found.map_err(Error::kube(format!("cannot read namespace {}", self.name)))? else {
                return Ok(());
            };
            self.pause(began, within, || remaining(&object)).await?;
        }
    }

    /// Deletes it, and waits until nothing in it can hold it any more: its Secrets are gone, and the custom resources,
    /// whose finalizers need somebody who removes them. The rest is the namespace controller's, in a while.
    ///
    /// Fails after a minute.
    pub async fn finish(self) -> Result<()> {
        self.delete().await?;
        self.delete_all::<Secret>().await?;
        let definitions = Api::<CustomResourceDefinition>::all(self.client.clone())
            .list(&ListParams::default())
            .await
            .map_err(Error::kube("cannot list the definitions"))?;
        let kinds: Vec<(String, Api<DynamicObject>)> = definitions
            .items
            .iter()
            .filter(|definition| definition.spec.scope == "Namespaced")
            .filter_map(|definition| {
                let resource = resource(definition)?;
                let api = Api::namespaced_with(self.client.clone(), &self.name, &resource);
                Some((resource.plural, api))
            })
            .collect();
        for (plural, api) in &kinds {
            self.delete_collection(api, plural).await?;
        }
        let began = Instant::now();
        for (plural, api) in &kinds {
            loop {
                let left = api.list_metadata(&ListParams::default()).await;
                let left = left.map_err(Error::kube(format!("cannot list {plural}")))?.items;
                if left.is_empty() {
                    break;
                }
                self.pause(began, FINISH_WITHIN, || {
                    held(plural, left.iter().map(|it| &it.metadata))
                })
                .await?;
            }
        }
        Ok(())
    }

    async fn delete_collection<K>(&self, api: &Api<K>, plural: &str) -> Result<()>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        api.delete_collection(&DeleteParams::background(), &ListParams::default())
            .await
            .map(drop)
            .map_err(Error::kube(format!("cannot delete the {plural} in {}", self.name)))
    }

    async fn pause(&self, began: Instant, within: Duration, last: impl FnOnce() -> String) -> Result<()> {
        if began.elapsed() > within {
            return Err(Error::Timeout {
                what: format!("namespace {} is deleted", self.name),
                within,
                last: last(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }
}

/// How the objects of a definition are reached, in a version that is served.
fn resource(definition: &CustomResourceDefinition) -> Option<ApiResource> {
    let spec = &definition.spec;
    let version = spec.versions.iter().find(|it| it.served)?;
    let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
    Some(ApiResource::from_gvk_with_plural(&kind, &spec.names.plural))
}

/// What the namespace controller says that remains.
fn remaining(namespace: &Object) -> String {
    let conditions = namespace.status.iter().flat_map(|it| it.conditions.iter().flatten());
    let messages = conditions
        .filter(|it| it.status == "True")
        .filter_map(|it| it.message.as_deref());
    messages.collect::<Vec<_>>().join("; ")
}

/// Objects with their finalizers.
fn held<'a>(plural: &str, left: impl Iterator<Item = &'a ObjectMeta>) -> String {
    left.map(|metadata| {
        let name = metadata.name.as_deref().unwrap_or_default();
        let finalizers = metadata.finalizers.as_deref().unwrap_or_default().join(" ");
        format!("{plural}/{name} [{finalizers}]")
    })
    .collect::<Vec<_>>()
    .join(", ")
}

/// `prefix` as a DNS label of at most 63 characters, with a random end.
fn unique_name(prefix: &str) -> String {
    let words: String = prefix
        .chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() {
                it.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(50)
        .collect();
    let words = match words.trim_matches('-') {
        "" => "test",
        words => words,
    };
    format!("{words}-{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_path_becomes_a_label() {
        let name = unique_name("tests::Adoption_of_");
        assert!(name.starts_with("tests--adoption-of-"), "{name}");
        assert!(unique_name("::").starts_with("test-"));
        assert!(unique_name(&"x".repeat(99)).len() <= 63);
        assert_ne!(unique_name("a"), unique_name("a"));
    }
}
