//! A setting that always exists, as a list of one item.

use std::fmt::Debug;
use std::future::Future;

use super::entry;
use crate::coder::{self, AuditEntry, Client, OrganizationId};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// The key of the one item.
pub const SETTING: &str = "settings";

/// A setting of the deployment or of an organization.
pub trait Setting: Clone + Debug + Send + Sync + 'static {
    /// What is kept of it.
    type Value: Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Name of the list without its organization.
    const NAME: &'static str;

    /// Which entries of the audit log are about it.
    const ENTRIES: Entries;

    /// What the specs call the fields that the log calls something else.
    const FIELDS: &'static [(&'static str, &'static str)] = &[];

    /// The organization that it belongs to.
    fn within(&self) -> Option<OrganizationId>;

    /// The call.
    fn read(&self, client: &Client) -> impl Future<Output = Result<Self::Value, coder::Error>> + Send;
}

/// The entries about a setting, by their resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// It is written without any.
    None,
    /// Not every server writes them.
    Some(&'static str),
    /// Every server writes one for each change.
    All(&'static str),
}

impl<S: Setting> Collection for S {
    type Item = S::Value;
    const NAME: &'static str = S::NAME;
    const LOG: Log<Self> = match S::ENTRIES {
        Entries::None => Log::Silent,
        Entries::Some(_) => Log::Partial(concern),
        Entries::All(_) => Log::Complete(concern),
    };

    fn within(&self) -> Option<OrganizationId> {
        Setting::within(self)
    }

    fn key(_: &S::Value) -> String {
        SETTING.to_owned()
    }

    async fn list(&self, client: &Client) -> Result<Vec<S::Value>, coder::Error> {
        Ok(vec![self.read(client).await?])
    }
}

/// Settings of a sort have one id for all organizations, or none at all: where it happened tells them apart.
fn concern<S: Setting>(setting: &S, entry: &AuditEntry, _: &Snapshot<S::Value>) -> Concerned {
    let (Entries::Some(about) | Entries::All(about)) = S::ENTRIES else {
        return Concerned::NOTHING;
    };
    if entry.resource_type == about && entry.organization() == setting.within() {
        Concerned::Whole(entry::logged_as(entry, S::FIELDS))
    } else {
        Concerned::NOTHING
    }
}
