//! What can be mirrored: anything that one list call shows in full.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::log::Log;
use crate::coder::{self, Client, OrganizationId};

/// A list of Coder's, such as all organizations or the groups of one organization.
pub trait Collection: Clone + Debug + Send + Sync + 'static {
    /// What is kept of each item. Two items are equal when nothing changed that anybody manages or reports, so leave
    /// out what moves by itself (times of the last visit, of the last check).
    type Item: Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Name of the collection without its parameters: a metric label.
    const NAME: &'static str;

    /// What the audit log says about it. Whoever claims that the log names every change says how.
    const LOG: Log<Self> = Log::Silent;

    /// The organization that it belongs to.
    fn within(&self) -> Option<OrganizationId> {
        None
    }

    /// Name with its parameters: `groups/<organization id>`. Equal for equal collections; made, never read.
    fn id(&self) -> String {
        match self.within() {
            Some(organization) => format!("{}/{organization}", Self::NAME),
            None => Self::NAME.to_owned(),
        }
    }

    /// The id of an item; unique in the collection and never used for another.
    fn key(item: &Self::Item) -> String;

    /// The call that shows one item alone, where there is one that never shows what is deleted. `Ok(None)`: it is gone.
    fn one(
        &self,
        _client: &Client,
        _key: &str,
    ) -> Option<impl Future<Output = Result<Option<Self::Item>, coder::Error>> + Send> {
        None::<std::future::Ready<_>>
    }

    /// The list call.
    fn list(&self, client: &Client) -> impl Future<Output = Result<Vec<Self::Item>, coder::Error>> + Send;
}

/// Items by id. Shared, because a snapshot that somebody still reads is copied when an own write patches it.
pub(super) type Items<I> = BTreeMap<Arc<str>, Arc<I>>;

/// A collection at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot<I> {
    pub(super) items: Items<I>,
    pub(super) began: Instant,
}

impl<I> Snapshot<I> {
    /// What a test says that it holds.
    #[cfg(test)]
    pub(crate) fn of<C: Collection<Item = I>>(items: impl IntoIterator<Item = I>) -> Self {
        let items = items.into_iter();
        Self {
            items: items.map(|item| (Arc::from(C::key(&item)), Arc::new(item))).collect(),
            began: Instant::now(),
        }
    }

    /// The item with that id.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&I> {
        self.items.get(key).map(|item| &**item)
    }

    /// All items, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &I> {
        self.items.values().map(|item| &**item)
    }

    /// When the list call that it comes from was sent.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }
}
