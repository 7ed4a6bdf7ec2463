//! What makes the mirror look again.
//!
//! Two sources feed it. The [`sweep`] is always on: it lists each collection once an interval and compares. The
//! [`audit`] log, where it is to be had, names what somebody changed within seconds; while it is believed, collections
//! that it covers are swept rarely. Both end in the same: who depends on something that changed is woken.

pub mod audit;
mod cursor;
pub(in crate::mirror) mod looks;
pub mod sweep;
mod trust;
pub(in crate::mirror) mod writes;

use super::authors::Fields;

/// What to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The collection, by its id.
    pub collection: String,
    /// The item; nothing when it may be any of them.
    pub item: Option<String>,
    /// What of it whoever made the entry changed.
    pub fields: Fields,
    /// The item does not show it: who depends on it is woken whether it differs or not.
    pub unseen: bool,
}
