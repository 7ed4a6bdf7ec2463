//! A namespace for one test.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Namespace as Object;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::{
    ControlPlane, Error, Result,
    terminator::{self, Order},
};

const FINISH_WITHIN: Duration = Duration::from_mins(1);

/// A namespace that no other test uses, in this process or any other.
///
/// Dropping it leaves it: it goes with the control plane. [`Namespace::finish`] is for tests that want to see that
/// everything can be deleted, and for a control plane that outlives the tests.
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

    /// Deletes it as a cluster would, and waits until it is gone. See [`terminator::terminate`].
    pub async fn terminate(&self, order: &Order, within: Duration) -> Result<()> {
        terminator::terminate(&self.client, &self.name, order, within).await
    }

    /// Deletes it and everything in it, for tests to which the order does not matter.
    ///
    /// Fails after a minute if a finalizer holds something: somebody must be running who removes it.
    pub async fn finish(self) -> Result<()> {
        self.terminate(&Order::default(), FINISH_WITHIN).await
    }
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
