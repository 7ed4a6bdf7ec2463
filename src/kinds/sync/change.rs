//! The calls that change a sync, and how they read.

use std::collections::BTreeMap;
use std::fmt;

use super::mapping::{Pair, without};
use super::{Goal, MAPPING, SyncKind};
use crate::coder::{IdpSync, OrganizationId};
use crate::engine::{self, Cx, Deviation, Error, Reason};
use crate::kinds::field::Differences;
use crate::lists::Synced;

/// A field beside the mapping.
pub struct Field<K: SyncKind> {
    /// Its name in the spec.
    pub(in crate::kinds) name: &'static str,
    /// Takes it from a spec, if that manages it.
    pub(in crate::kinds) take: fn(&K, &mut K::Settings) -> bool,
    /// How it reads.
    pub(in crate::kinds) show: fn(&K::Settings) -> String,
    /// Takes it from one to the other.
    pub(in crate::kinds) copy: fn(&K::Settings, &mut K::Settings),
}

/// Fields: the name in the spec, the spec's, and that of the settings.
macro_rules! fields {
    ($($name:literal: $asked:ident => $held:ident),+ $(,)?) => {
        &[$($crate::kinds::sync::Field {
            name: $name,
            take: |object, to| object.spec.$asked.as_ref().map(|asked| to.$held.clone_from(asked)).is_some(),
            show: |it| format!("{:?}", it.$held),
            copy: |from, to| to.$held.clone_from(&from.$held),
        }),+]
    };
}
pub(in crate::kinds) use fields;

/// One call.
#[derive(Debug)]
pub struct Change<S: IdpSync> {
    pub(super) part: Part,
    pub(super) to: S,
    pub(super) add: Vec<Pair<S::Target>>,
    pub(super) remove: Vec<Pair<S::Target>>,
    differences: Differences,
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The one that replaces everything.
    Whole,
    /// All but the mapping.
    Config,
    /// Entries of the mapping.
    Mapping,
}

impl<S: IdpSync> fmt::Display for Change<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.fmt(f)
    }
}

impl<K: SyncKind> engine::remote::Change<K> for Change<K::Settings> {
    fn looks_first(&self) -> bool {
        true
    }

    fn deviations(&self, _: &K::Status) -> Vec<Deviation> {
        self.differences.deviations()
    }
}

/// The calls from one to the other: one if everything is managed, else only for what differs.
pub(super) fn changes<K: SyncKind>(
    held: &K::Settings,
    to: &K::Settings,
    whole: bool,
    names: &BTreeMap<Goal<K>, String>,
) -> Vec<Change<K::Settings>> {
    let config = K::FIELDS.iter().fold(Differences::default(), |differences, field| {
        differences.shown(field.name, (field.show)(held), (field.show)(to))
    });
    let (add, remove) = (
        without(to.mapping(), held.mapping()),
        without(held.mapping(), to.mapping()),
    );
    let shown = |pairs: &[Pair<Goal<K>>]| {
        let name = |(claim, target): &Pair<Goal<K>>| {
            let name = names.get(target).cloned().unwrap_or_else(|| target.to_string());
            format!("{claim}:{name}")
        };
        pairs.iter().map(name).collect()
    };
    let mapping = Differences::default().list(MAPPING, shown(&add), shown(&remove));
    let change = |part, differences| Change {
        part,
        to: to.clone(),
        add: add.clone(),
        remove: remove.clone(),
        differences,
    };
    match (config.is_empty(), add.is_empty() && remove.is_empty()) {
        (true, true) => Vec::new(),
        (false, true) if !whole => vec![change(Part::Config, config)],
        (true, false) if !whole => vec![change(Part::Mapping, mapping)],
        (false, false) if !whole => vec![change(Part::Config, config), change(Part::Mapping, mapping)],
        (_, nothing_mapped) => {
            let both = if nothing_mapped { config } else { config.join(mapping) };
            vec![change(Part::Whole, both)]
        }
    }
}

impl<S: IdpSync> Change<S> {
    /// Makes the call; where the server has only the one that replaces everything, with the rest as it is now.
    pub(super) async fn send(&self, cx: &Cx<'_>, within: Option<OrganizationId>) -> Result<S, Error> {
        let coder = cx.coder();
        let answer = match self.part {
            Part::Whole => coder.replace_idp_sync(within, &self.to).await,
            Part::Config => coder.update_idp_sync_config(within, &self.to).await,
            Part::Mapping => coder.update_idp_sync_mapping(within, &self.add, &self.remove).await,
        };
        let settings = match answer {
            Err(error) if error.is_unsupported() && self.part != Part::Whole => {
                let now: S = coder.idp_sync(within).await?;
                if now.has_more_than_can_be_written() {
                    let message = "this version of Coder can only replace the whole setting, which would drop the mapping \
                                   that its flag CODER_OIDC_GROUP_MAPPING set: upgrade to v2.20, or manage all fields";
                    return Err(Error::terminal(Reason::Unsupported, message));
                }
                coder.replace_idp_sync(within, &self.on(now)).await?
            }
            answer => answer?,
        };
        cx.put(&Synced::within(within), settings.clone());
        Ok(settings)
    }

    /// What the narrow call makes of what is there now.
    fn on(&self, now: S) -> S {
        let (mut into, from) = match self.part {
            Part::Mapping => (now, &self.to),
            Part::Config | Part::Whole => (self.to.clone(), &now),
        };
        let mapping = from.mapping().clone();
        *into.mapping_mut() = mapping;
        into
    }
}
