//! What the audit log says about a collection. Each collection says so itself: nothing else knows which entries concern
//! it, and none can claim to be covered by the log without saying how.

use super::{Collection, Fields, Snapshot};
use crate::coder::AuditEntry;

/// What the log says about the collection `C`.
#[derive(Clone, Copy, Debug)]
pub enum Log<C: Collection> {
    /// Nothing: only the sweep finds its changes.
    Silent,
    /// Some of what matters, or not on every server: its entries are followed, and the sweep stays frequent.
    Partial(Concern<C>),
    /// Every change that matters, on every server: while the log is believed, the collection is swept rarely.
    Complete(Concern<C>),
}

/// What of a collection an entry concerns, given what is known of it. Refused calls are none of its business.
pub type Concern<C> = fn(&C, &AuditEntry, &Snapshot<<C as Collection>::Item>) -> Concerned;

/// What of a collection an entry concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerned {
    /// These items, by their keys; none when it concerns others.
    Items(Vec<(String, Fields)>),
    /// These items, in a way that the list does not show, such as a new password: who depends on them is woken.
    Unseen(Vec<(String, Fields)>),
    /// Any of its items.
    Whole(Fields),
    /// Something may have moved that no entry will name, as when somebody signs in through the identity provider: until
    /// the next list the log is no proof of what is known.
    Perhaps,
}

impl Concerned {
    /// None of it.
    pub const NOTHING: Self = Self::Items(Vec::new());

    /// One item.
    #[must_use]
    pub fn item(key: &impl ToString, fields: Fields) -> Self {
        Self::Items(vec![(key.to_string(), fields)])
    }
}

impl<C: Collection> Log<C> {
    /// Whether the log names every change that matters.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_))
    }

    /// What of the collection an entry concerns.
    #[must_use]
    pub fn concerned(&self, collection: &C, entry: &AuditEntry, known: &Snapshot<C::Item>) -> Concerned {
        match self {
            Self::Silent => Concerned::NOTHING,
            Self::Partial(concern) | Self::Complete(concern) => concern(collection, entry, known),
        }
    }
}
