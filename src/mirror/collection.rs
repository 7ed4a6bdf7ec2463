//! What can be mirrored: anything that one list call shows in full.

use std::fmt::Debug;
use std::future::Future;

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

    /// What an item is called, for those who look it up by one of its names.
    fn names(_item: &Self::Item) -> Vec<&str> {
        Vec::new()
    }

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
