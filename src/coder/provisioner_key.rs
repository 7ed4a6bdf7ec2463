//! Provisioner keys of an organization: `/organizations/{organization}/provisionerkeys`.
//!
//! A key is shown once, at creation, and without its id. It is never changed; names are unique in the organization,
//! whatever their case.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{
    Client, Error, Method, OrganizationId, Path, ProvisionerKeyId,
    wire::{null_default, secret},
};

const OF_ORGANIZATION: &str = "/organizations/{organization}/provisionerkeys";
/// Keys that every deployment has, and that nobody made.
const RESERVED: [&str; 3] = ["built-in", "user-auth", "psk"];

/// A provisioner key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProvisionerKey {
    /// Its id.
    pub id: ProvisionerKeyId,
    /// Its name, lower-cased by the server.
    pub name: String,
    /// What its daemons are for.
    #[serde(default, deserialize_with = "null_default")]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

impl ProvisionerKey {
    /// Whether it is one of those that nobody made.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&&*self.name)
    }
}

/// A provisioner key and who uses it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ProvisionerKeyDaemons {
    /// The key.
    pub key: ProvisionerKey,
    /// The daemons that were heard of lately.
    #[serde(default, deserialize_with = "null_default")]
    pub daemons: Vec<IgnoredAny>,
}

/// A new provisioner key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateProvisionerKey {
    /// At most 64 bytes. Coder takes any text, also one that it can never delete again (with a `/`).
    pub name: String,
    /// None if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default, deserialize_with = "secret")]
    key: Option<SecretString>,
}

impl Client {
    /// The keys of an organization, reserved ones among them, and who uses them. **Empty for a token that may not read
    /// them**: 200, not 403.
    pub async fn list_provisioner_keys(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<ProvisionerKeyDaemons>, Error> {
        self.get_list(Path::new("/organizations/{organization}/provisionerkeys/daemons").segment(organization))
            .await
    }

    /// Creates one. The answer is the key alone: its id is in the list.
    pub async fn create_provisioner_key(
        &self,
        organization: OrganizationId,
        request: &CreateProvisionerKey,
    ) -> Result<Option<SecretString>, Error> {
        let path = Path::new(OF_ORGANIZATION).segment(organization);
        let shown: Shown = self.call(Method::Post, path, Some(request)).await?;
        Ok(shown.key)
    }

    /// Deletes one by name, with the records of its daemons.
    pub async fn delete_provisioner_key(&self, organization: OrganizationId, name: &str) -> Result<(), Error> {
        let path = Path::new("/organizations/{organization}/provisionerkeys/{provisionerkey}")
            .segment(organization)
            .segment(name);
        self.call_unit(Method::Delete, path, None::<&()>).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_without_its_value_and_with_those_who_use_it() {
        let body = r#"{"key":{"id":"7c60d51f-b44e-4682-87d6-449835ea4de6","name":"user-auth","tags":null},"daemons":[{"id":"x"},{}]}"#;
        let listed: ProvisionerKeyDaemons = serde_json::from_str(body).unwrap();
        assert!(listed.key.is_reserved() && listed.key.tags.is_empty());
        assert_eq!(listed.daemons.len(), 2);
        let body = r#"{"key":{"id":"7c60d51f-b44e-4682-87d6-449835ea4de6","name":"cluster-1"},"daemons":null}"#;
        let listed: ProvisionerKeyDaemons = serde_json::from_str(body).unwrap();
        assert!(!listed.key.is_reserved() && listed.daemons.is_empty());
    }

    #[test]
    fn tags_that_are_not_managed_are_not_sent() {
        let request = CreateProvisionerKey {
            name: "cluster-1".into(),
            tags: None,
        };
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"name":"cluster-1"}"#);
    }
}
