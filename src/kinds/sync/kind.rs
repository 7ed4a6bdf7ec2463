//! What a kind says of its sync.

use std::collections::BTreeMap;
use std::future::Future;

use super::{Field, Place};
use crate::api::{InOrganization, Kind, Policy, SyncStatus};
use crate::coder::IdpSync;
use crate::engine::{Cx, Error, Note};

/// A kind that says how Coder follows the identity provider.
pub trait SyncKind: Kind {
    /// What messages call it, followed by the id of where it is.
    const NOUN: &'static str;
    /// What claims are mapped to, in the plural.
    const TARGETS: &'static str;
    /// Since which version Coder has it.
    const SINCE: &'static str;
    /// The licensed feature without which Coder keeps it and does nothing with it, and what it does not do then.
    const EFFECT: (&'static str, &'static str);
    /// Its fields beside the mapping.
    const FIELDS: &'static [Field<Self>];

    /// What Coder holds.
    type Settings: IdpSync;

    /// What the spec says beside its fields.
    fn wanted(&self) -> Spec<'_>;

    /// What claims can be mapped to, by all names; the first of each is for messages.
    fn targets(cx: &Cx<'_>, place: &Place) -> impl Future<Output = Result<Vec<Named<Self>>, Error>> + Send;

    /// Whether something of that name is asked for.
    fn is_called(name: &str, asked: &str) -> bool {
        name == asked
    }

    /// What the status keeps of where it is.
    fn found(status: &Self::Status) -> Option<&str>;

    /// Writes down where it is.
    fn note_place(status: &mut Self::Status, place: &Place);

    /// The shared part of the status.
    fn facts(status: &Self::Status) -> &SyncStatus;

    /// The same, to write.
    fn facts_mut(status: &mut Self::Status) -> &mut SyncStatus;

    /// What else is worth saying of what Coder holds.
    fn warning(_settings: &Self::Settings) -> Option<Note> {
        None
    }
}

/// What claims are mapped to.
pub(super) type Goal<K> = <<K as SyncKind>::Settings as IdpSync>::Target;

/// The same, with one of its names.
pub type Named<K> = (Goal<K>, String);

/// What a spec says beside its fields.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Where; none for the deployment.
    pub(in crate::kinds) place: Option<&'a InOrganization>,
    /// From claims to targets by name.
    pub(in crate::kinds) mapping: Option<&'a BTreeMap<String, Vec<String>>>,
    /// How to read that.
    pub(in crate::kinds) policy: Option<Policy>,
}
