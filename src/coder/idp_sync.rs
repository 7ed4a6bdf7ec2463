//! How Coder follows the identity provider: three settings of one shape, each with the claim that counts and a mapping from
//! the values of the claim. They always exist, and act when somebody signs in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Client, Error, Method, OrganizationId, Path};

/// From the values of a claim to what they give.
pub type SyncMapping<T> = BTreeMap<String, BTreeSet<T>>;

/// One of the three settings.
pub trait IdpSync: Clone + Debug + PartialEq + DeserializeOwned + Serialize + Send + Sync + 'static {
    /// What a value of the claim gives. It need not exist.
    type Target: Ord + Clone + Debug + Display + FromStr + DeserializeOwned + Serialize + Send + Sync + 'static;

    /// What it is called among lists.
    const NAME: &'static str;
    /// What the audit log calls it. Servers before 2026 write no entries.
    const LOGGED: &'static str;
    /// The path of the whole, with the organization if it is one's.
    const SETTINGS: &'static str;
    /// The path of all but the mapping.
    const CONFIG: &'static str;
    /// The path of the mapping.
    const MAPPING: &'static str;

    /// As it is while nobody has set it.
    fn initial() -> Self;

    /// The claim; empty = off.
    fn claim(&self) -> &str;

    /// The mapping, without emptied entries.
    fn mapping(&self) -> &SyncMapping<Self::Target>;

    /// The same, to write.
    fn mapping_mut(&mut self) -> &mut SyncMapping<Self::Target>;

    /// All but the mapping, as the narrow call takes it.
    fn config(&self) -> Value;

    /// Whether it holds something that a write of the whole would drop.
    fn has_more_than_can_be_written(&self) -> bool {
        false
    }
}

/// One entry of a mapping, as calls take it.
#[derive(Serialize)]
struct Entry<'a, T> {
    given: &'a str,
    gets: &'a T,
}

#[derive(Serialize)]
struct MappingBody<'a, T> {
    add: Vec<Entry<'a, T>>,
    remove: Vec<Entry<'a, T>>,
}

impl Client {
    /// The settings of an organization, or of the deployment.
    pub async fn idp_sync<S: IdpSync>(&self, within: Option<OrganizationId>) -> Result<S, Error> {
        self.get(path(S::SETTINGS, within)).await
    }

    /// Replaces all of them.
    pub async fn replace_idp_sync<S: IdpSync>(&self, within: Option<OrganizationId>, to: &S) -> Result<S, Error> {
        self.call(Method::Patch, path(S::SETTINGS, within), Some(to)).await
    }

    /// Replaces all but the mapping. Unsupported before v2.20.
    pub async fn update_idp_sync_config<S: IdpSync>(&self, within: Option<OrganizationId>, to: &S) -> Result<S, Error> {
        self.call(Method::Patch, path(S::CONFIG, within), Some(&to.config()))
            .await
    }

    /// Adds entries to the mapping and removes some; removing wins. Unsupported before v2.20.
    pub async fn update_idp_sync_mapping<S: IdpSync>(
        &self,
        within: Option<OrganizationId>,
        add: &[(String, S::Target)],
        remove: &[(String, S::Target)],
    ) -> Result<S, Error> {
        let body = MappingBody {
            add: entries(add),
            remove: entries(remove),
        };
        self.call(Method::Patch, path(S::MAPPING, within), Some(&body)).await
    }
}

fn path(template: &'static str, within: Option<OrganizationId>) -> Path {
    let path = Path::new(template);
    match within {
        Some(organization) => path.segment(organization),
        None => path,
    }
}

fn entries<T>(pairs: &[(String, T)]) -> Vec<Entry<'_, T>> {
    let entry = |(given, gets)| Entry { given, gets };
    pairs
        .iter()
        .map(|(given, gets)| entry((given.as_str(), gets)))
        .collect()
}

/// Reads a mapping. Emptied entries, which the server keeps as `[]` or `null` (recording 06), are left out.
pub(super) fn mapping<'de, D, T>(deserializer: D) -> Result<SyncMapping<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Ord + Deserialize<'de>,
{
    let raw = Option::<BTreeMap<String, Option<BTreeSet<T>>>>::deserialize(deserializer)?.unwrap_or_default();
    let entries = raw
        .into_iter()
        .map(|(claim, targets)| (claim, targets.unwrap_or_default()));
    Ok(entries.filter(|(_, targets)| !targets.is_empty()).collect())
}
