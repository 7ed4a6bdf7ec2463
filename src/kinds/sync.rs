//! How Coder follows the identity provider: one rule for the groups and the roles of an organization and for the
//! organizations of a deployment. A kind says where its setting is, what it maps claims to, and which fields it has beside
//! the mapping.
//!
//! A claim one of whose targets is not there yet is left as it is, so that neither a renamed target nor a wave that is half
//! created costs anybody anything at the next sign-in.

mod change;
mod desired;
mod kind;
mod mapping;
mod place;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::few;
use super::parent::Parent;
use crate::api::NoteType;
use crate::coder::{self, IdpSync, SyncMapping};
use crate::engine::{Cx, Error, Life, Note, Reason, Remote, Report, Target};
use crate::lists::{SETTING, Synced};
pub(super) use change::fields;
pub use change::{Change, Field};
pub use desired::Desired;
use kind::Goal;
pub use kind::{Named, Spec, SyncKind};
pub use mapping::Wanted;
pub use place::Place;
use place::{organizations, place};

/// The field of the spec that all have.
const MAPPING: &str = "mapping";
/// Names at most this many missing targets in the status.
const PENDING: usize = 100;

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed<S> {
    place: Place,
    settings: S,
    /// The organizations that it is about, by name.
    organizations: Vec<String>,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity<T> {
    id: String,
    managed: Vec<String>,
    entries: SyncMapping<T>,
}

impl<T> fmt::Display for Identity<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<K: SyncKind> Remote for K {
    const LIFE: Life = Life::Standing;
    const NOUN: &'static str = K::NOUN;
    const NEEDS: &'static str = "the role User Admin or Owner";

    type Desired = Desired<K::Settings>;
    type Observed = Observed<K::Settings>;
    type Identity = Identity<Goal<K>>;
    type Change = Change<K::Settings>;

    async fn resolve(cx: &Cx<'_>, object: &K) -> Result<Self::Desired, Error> {
        Desired::of(cx, object).await
    }

    fn natural_key(desired: &Self::Desired) -> String {
        desired.place.to_string()
    }

    fn organizations<'a>(desired: Option<&'a Self::Desired>, observed: Option<&'a Self::Observed>) -> Vec<&'a str> {
        let wanted = desired.into_iter().flat_map(|desired| &desired.organizations);
        let held = observed.into_iter().flat_map(|held| &held.organizations);
        wanted.chain(held).map(String::as_str).collect()
    }

    fn identity(status: &K::Status) -> Option<Self::Identity> {
        let facts = K::facts(status);
        Some(Identity {
            id: K::found(status)?.to_owned(),
            managed: facts.managed.clone(),
            entries: mapping::from_texts(&facts.entries),
        })
    }

    fn identify(observed: &Self::Observed) -> Self::Identity {
        Identity {
            id: observed.place.to_string(),
            managed: Vec::new(),
            entries: SyncMapping::new(),
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        _: Option<&Self::Desired>,
        target: Target<'_, Self::Identity>,
    ) -> Result<Option<Self::Observed>, Error> {
        let id = match target {
            Target::Identity(identity) => &identity.id,
            Target::Key(key) => key,
        };
        let Some(place) = place::<K>(cx, id).await? else {
            return Ok(None);
        };
        let list = Synced::<K::Settings>::within(place.within());
        let settings = match cx.get(&list, SETTING).await {
            Err(error) if error.coder().is_some_and(coder::Error::is_unsupported) => {
                let message = format!("{} needs Coder {} or later", K::KIND, K::SINCE);
                return Err(Error::terminal(Reason::Unsupported, message));
            }
            settings => settings?.unwrap_or_else(K::Settings::initial),
        };
        let organizations = organizations::<K>(cx, &place, Some(settings.mapping())).await?;
        Ok(Some(Observed {
            place,
            settings,
            organizations,
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, _: &Self::Identity) -> Result<(), Error> {
        absence::believe(cx, None, &format!("{} of this object", K::NOUN)).await
    }

    fn untouched(desired: &Self::Desired, observed: &Self::Observed) -> bool {
        let (held, initial) = (&observed.settings, K::Settings::initial());
        let mut managed = K::FIELDS.iter().filter(|field| desired.manages(field.name));
        managed.all(|field| (field.show)(held) == (field.show)(&initial))
            && desired
                .mapping
                .as_ref()
                .is_none_or(|wanted| wanted.is_untouched(held.mapping()))
    }

    fn plan(desired: &Self::Desired, observed: Option<&Self::Observed>) -> Vec<Self::Change> {
        let Some(Observed { settings: held, .. }) = observed else {
            return Vec::new();
        };
        let mut to = held.clone();
        for field in K::FIELDS.iter().filter(|field| desired.manages(field.name)) {
            (field.copy)(&desired.settings, &mut to);
        }
        if let Some(wanted) = &desired.mapping {
            *to.mapping_mut() = wanted.goal(held.mapping());
        }
        let all = K::FIELDS.iter().all(|field| desired.manages(field.name));
        let whole = all && desired.mapping.as_ref().is_some_and(|wanted| wanted.exact);
        change::changes::<K>(held, &to, whole, &desired.names)
    }

    fn prepare(desired: &Self::Desired, observed: &Self::Observed, status: &mut K::Status) {
        K::note_place(status, &observed.place);
        let facts = K::facts_mut(status);
        facts.managed = managed(desired, observed, &facts.managed);
        if let Some(wanted) = &desired.mapping {
            facts.entries = mapping::texts(&wanted.entries(observed.settings.mapping()));
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Self::Desired,
        observed: Option<&Self::Observed>,
        change: &Self::Change,
    ) -> Result<Self::Observed, Error> {
        let place = observed.map_or(&desired.place, |held| &held.place).clone();
        let settings = change.send(cx, place.within()).await?;
        let organizations = organizations::<K>(cx, &place, Some(settings.mapping())).await?;
        Ok(Observed {
            place,
            settings,
            organizations,
        })
    }

    fn report(desired: &Self::Desired, observed: &Self::Observed, status: &mut K::Status, _: Timestamp) -> Report {
        let held = &observed.settings;
        K::note_place(status, &observed.place);
        let facts = K::facts_mut(status);
        facts.managed = managed(desired, observed, &facts.managed);
        facts.field = Some(held.claim().to_owned());
        facts.claims = i64::try_from(held.mapping().len()).ok();
        let mut report = Report::default();
        let mut note = |type_, message: String| report.notes.push(Note::new(type_, message));
        let place = match &desired.place {
            Place::Organization(Parent { moved, .. }) => moved.clone(),
            Place::Deployment(_) => None,
        };
        let moved = place
            .into_iter()
            .chain(desired.targets.moved_message(MAPPING, K::TARGETS));
        let moved: Vec<String> = moved.collect();
        if !moved.is_empty() {
            note(NoteType::NameMoved, moved.join("; "));
        }
        facts.target_ids.clone_from(&desired.targets.ids);
        if !desired.effective {
            let (feature, effect) = K::EFFECT;
            let message = format!("the licence lacks {feature}: Coder keeps the setting and {effect}");
            note(NoteType::NotEffective, message);
        }
        facts.pending_mapping = Vec::new();
        match &desired.mapping {
            None if facts.managed.iter().any(|field| field == MAPPING) => {
                let message = "mapping was managed and is not any more, so the present entries stay: apply mapping: {} to \
                               remove them (with mappingPolicy: AtLeast only those of this object)";
                note(NoteType::Unmanaged, message.to_owned());
            }
            None => facts.entries = BTreeMap::new(),
            Some(wanted) => {
                let added = wanted.still(&mapping::from_texts(&facts.entries));
                facts.entries = mapping::texts(&added);
                if mapping::count(&added) >= mapping::REMEMBERED {
                    let message = format!(
                        "this object remembers {} entries that it added, and no more: what it added beyond that stays when \
                         mapping does not name it any more; remove it in Coder, or set mappingPolicy: Exact",
                        mapping::REMEMBERED
                    );
                    note(NoteType::EntriesStay, message);
                }
                facts.pending_mapping = wanted.pending.iter().take(PENDING).cloned().collect();
                report.unmet = missing::<K>(&wanted.pending);
            }
        }
        report.notes.extend(K::warning(held));
        report
    }

    async fn delete(cx: &Cx<'_>, identity: &Self::Identity, observed: &Self::Observed) -> Result<(), Error> {
        let manages = |field: &str| identity.managed.iter().any(|managed| managed == field);
        let place = &observed.place;
        let held: K::Settings = cx.coder().idp_sync(place.within()).await?;
        let (mut to, initial) = (held.clone(), K::Settings::initial());
        for field in K::FIELDS.iter().filter(|field| manages(field.name)) {
            (field.copy)(&initial, &mut to);
        }
        if !identity.entries.is_empty() {
            *to.mapping_mut() = mapping::of(mapping::without(held.mapping(), &identity.entries));
        } else if manages(MAPPING) {
            *to.mapping_mut() = SyncMapping::new();
        }
        let whole = to == initial;
        for change in change::changes::<K>(&held, &to, whole, &BTreeMap::new()) {
            change.send(cx, place.within()).await?;
        }
        Ok(())
    }
}

/// The fields that the spec manages, and a mapping that it did and left behind.
fn managed<S: IdpSync>(desired: &Desired<S>, observed: &Observed<S>, before: &[String]) -> Vec<String> {
    let left = before.iter().any(|field| field == MAPPING) && !observed.settings.mapping().is_empty();
    let mapping = (desired.mapping.is_some() || left).then_some(MAPPING);
    let fields = desired.managed.iter().copied().chain(mapping);
    fields.map(str::to_owned).collect()
}

fn missing<K: SyncKind>(pending: &[String]) -> Option<Error> {
    if pending.is_empty() {
        return None;
    }
    let (targets, names) = (K::TARGETS, few(pending));
    let message = format!("{targets} of the mapping are not there yet, so these claims stay as they are: {names}");
    Some(Error::waiting(Reason::DependencyNotReady, message))
}

#[cfg(test)]
mod tests;
