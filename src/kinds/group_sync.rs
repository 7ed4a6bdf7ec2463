//! `CoderGroupSync` → the group sync of an organization: which claim of the identity provider puts people into which groups.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::{Differences, few};
use super::parent::{Parent, parent};
use super::sync::{self, Mapping, Pair, Wanted};
use crate::api::{CoderGroupSync, GroupSyncStatus, Kind, NoteType, Object, Policy};
use crate::coder::{GroupId, GroupSyncSettings, OrganizationId};
use crate::engine::{self, Cx, Deviation, Error, Life, Note, Reason, Remote, Report, Target};
use crate::lists::{GroupSync, Groups, Organizations, SETTING};
use crate::mirror::Interest;

/// Names at most this many missing groups in the status.
const PENDING: usize = 100;

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    organization: Parent,
    field: Option<String>,
    regex_filter: Option<String>,
    auto_create: Option<bool>,
    mapping: Option<Wanted<GroupId>>,
    /// Names of groups, for messages.
    names: BTreeMap<GroupId, String>,
    /// Whether the licence makes it effective.
    effective: bool,
}

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    organization: Parent,
    settings: GroupSyncSettings,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity {
    organization: OrganizationId,
    managed: Vec<String>,
    entries: Mapping<GroupId>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.organization.fmt(f)
    }
}

/// One call.
#[derive(Debug)]
pub struct Change {
    part: Part,
    to: GroupSyncSettings,
    add: Vec<Pair<GroupId>>,
    remove: Vec<Pair<GroupId>>,
    differences: Differences,
}

/// Which call.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// `PATCH …/settings/idpsync/groups`, which replaces everything.
    Whole,
    /// `PATCH …/config`: all but the mapping.
    Config,
    /// `PATCH …/mapping`: entries of it.
    Mapping,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.fmt(f)
    }
}

impl engine::remote::Change<CoderGroupSync> for Change {
    fn deviations(&self, _: &GroupSyncStatus) -> Vec<Deviation> {
        self.differences.deviations()
    }
}

impl Remote for CoderGroupSync {
    const LIFE: Life = Life::Standing;
    const NOUN: &'static str = "the group sync of organization";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderGroupSync) -> Result<Desired, Error> {
        let spec = &object.spec;
        let status = object.own_status().filter(|status| status.common.origin.is_some());
        let held = status.and_then(|status| status.organization_id.as_ref()?.parse().ok());
        let (reference, plain) = (spec.organization_ref.as_ref(), spec.organization.as_deref());
        let organization = parent(cx, &object.instance_key(), reference, plain, held).await?;
        let mut names = BTreeMap::new();
        let mapping = match &spec.mapping {
            None => None,
            Some(mapping) => {
                let groups = cx.list(&Groups(organization.id), Interest::Any).await?;
                names.extend(groups.iter().map(|group| (group.id, group.name.clone())));
                let exact = spec.mapping_policy.unwrap_or_default() == Policy::Exact;
                // Coder would also take groups of other organizations, and put people into them who are no members.
                let find = |name: &str| {
                    groups
                        .iter()
                        .find(|group| is_called(group.id, &group.name, name))
                        .map(|it| it.id)
                };
                let own = status.map(|status| entries(&status.entries)).unwrap_or_default();
                Some(Wanted::resolve(mapping, exact, own, find))
            }
        };
        Ok(Desired {
            organization,
            field: spec.field.clone(),
            regex_filter: spec.regex_filter.clone(),
            auto_create: spec.auto_create_missing_groups,
            mapping,
            names,
            effective: cx.connection.features.contains("template_rbac"),
        })
    }

    fn natural_key(desired: &Desired) -> String {
        desired.organization.id.to_string()
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &*desired.organization.name);
        wanted
            .into_iter()
            .chain(observed.map(|held| &*held.organization.name))
            .collect()
    }

    fn identity(status: &GroupSyncStatus) -> Option<Identity> {
        Some(Identity {
            organization: status.organization_id.as_ref()?.parse().ok()?,
            managed: status.managed.clone(),
            entries: entries(&status.entries),
        })
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            organization: observed.organization.id,
            managed: Vec::new(),
            entries: Mapping::new(),
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        _: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let id = match target {
            Target::Identity(identity) => identity.to_string(),
            Target::Key(key) => key.to_owned(),
        };
        let Some(organization) = cx.get(&Organizations, &id).await? else {
            return Ok(None);
        };
        let settings = cx.get(&GroupSync(organization.id), SETTING).await?.unwrap_or_default();
        Ok(Some(Observed {
            organization: Parent {
                id: organization.id,
                name: organization.name,
                moved: None,
            },
            settings,
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, _: &Identity) -> Result<(), Error> {
        absence::believe(cx, None, "the organization of the group sync").await
    }

    fn untouched(desired: &Desired, observed: &Observed) -> bool {
        let held = &observed.settings;
        (desired.field.is_none() || held.field.is_empty())
            && (desired.regex_filter.is_none() || pattern(held).is_empty())
            && (desired.auto_create.is_none() || !held.auto_create_missing_groups)
            && desired
                .mapping
                .as_ref()
                .is_none_or(|wanted| wanted.is_untouched(&held.mapping))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Some(Observed { settings: held, .. }) = observed else {
            return Vec::new();
        };
        let to = GroupSyncSettings {
            field: desired.field.clone().unwrap_or_else(|| held.field.clone()),
            regex_filter: match &desired.regex_filter {
                Some(wanted) => Some(wanted.clone()).filter(|wanted| !wanted.is_empty()),
                None => held.regex_filter.clone(),
            },
            auto_create_missing_groups: desired.auto_create.unwrap_or(held.auto_create_missing_groups),
            mapping: desired
                .mapping
                .as_ref()
                .map_or_else(|| held.mapping.clone(), |wanted| wanted.goal(&held.mapping)),
            legacy_group_name_mapping: BTreeMap::new(),
        };
        let all = desired.field.is_some() && desired.regex_filter.is_some() && desired.auto_create.is_some();
        let whole = all && desired.mapping.as_ref().is_some_and(|wanted| wanted.exact);
        changes(held, &to, whole, &desired.names)
    }

    fn prepare(desired: &Desired, observed: &Observed, status: &mut GroupSyncStatus) {
        status.organization_id = Some(observed.organization.id.to_string());
        status.managed = managed(desired, observed, &status.managed);
        if let Some(wanted) = &desired.mapping {
            status.entries = texts(&wanted.entries(&observed.settings.mapping));
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        let organization = observed
            .map_or(&desired.organization, |held| &held.organization)
            .clone();
        let settings = send(cx, organization.id, change).await?;
        Ok(Observed { organization, settings })
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut GroupSyncStatus, _: Timestamp) -> Report {
        let held = &observed.settings;
        status.managed = managed(desired, observed, &status.managed);
        status.organization_id = Some(observed.organization.id.to_string());
        status.organization = Some(observed.organization.name.clone());
        status.field = Some(held.field.clone());
        status.claims = i64::try_from(held.mapping.len()).ok();
        let mut report = Report::default();
        let mut note = |type_, message: String| report.notes.push(Note::new(type_, message));
        if let Some(moved) = &desired.organization.moved {
            note(NoteType::NameMoved, moved.clone());
        }
        if !desired.effective {
            let message = "the licence lacks template_rbac: Coder keeps the setting and puts nobody into groups";
            note(NoteType::NotEffective, message.to_owned());
        }
        status.pending_mapping = Vec::new();
        match &desired.mapping {
            None if status.managed.iter().any(|field| field == MAPPING) => {
                let message = "mapping was managed and is not any more, so the present entries stay: apply mapping: {} to \
                               remove them (with mappingPolicy: AtLeast only those of this object)";
                note(NoteType::Unmanaged, message.to_owned());
            }
            None => status.entries = BTreeMap::new(),
            Some(wanted) => {
                status.entries = texts(&wanted.still(&entries(&status.entries)));
                status.pending_mapping = wanted.pending.iter().take(PENDING).cloned().collect();
                report.unmet = missing(&wanted.pending);
            }
        }
        report
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        let manages = |field: &str| identity.managed.iter().any(|managed| managed == field);
        let held = cx.coder().group_sync(identity.organization).await?;
        let mut to = held.clone();
        if manages(FIELD) {
            to.field = String::new();
        }
        if manages(REGEX) {
            to.regex_filter = None;
        }
        if manages(AUTO_CREATE) {
            to.auto_create_missing_groups = false;
        }
        if !identity.entries.is_empty() {
            to.mapping = sync::of(sync::without(&held.mapping, &identity.entries));
        } else if manages(MAPPING) {
            to.mapping = Mapping::new();
        }
        let whole = to == GroupSyncSettings::default();
        for change in changes(&held, &to, whole, &BTreeMap::new()) {
            send(cx, identity.organization, &change).await?;
        }
        Ok(())
    }
}

const FIELD: &str = "field";
const REGEX: &str = "regexFilter";
const AUTO_CREATE: &str = "autoCreateMissingGroups";
const MAPPING: &str = "mapping";

/// The fields that the spec manages, and a mapping that it did and left behind.
fn managed(desired: &Desired, observed: &Observed, before: &[String]) -> Vec<String> {
    let left = before.iter().any(|field| field == MAPPING) && !observed.settings.mapping.is_empty();
    let fields = [
        (FIELD, desired.field.is_some()),
        (REGEX, desired.regex_filter.is_some()),
        (AUTO_CREATE, desired.auto_create.is_some()),
        (MAPPING, desired.mapping.is_some() || left),
    ];
    let managed = fields.into_iter().filter(|(_, managed)| *managed);
    managed.map(|(field, _)| field.to_owned()).collect()
}

/// The calls from one to the other.
fn changes(
    held: &GroupSyncSettings,
    to: &GroupSyncSettings,
    whole: bool,
    names: &BTreeMap<GroupId, String>,
) -> Vec<Change> {
    let config = Differences::default()
        .differing(FIELD, &held.field, &to.field)
        .differing(REGEX, pattern(held), pattern(to))
        .differing(
            AUTO_CREATE,
            &held.auto_create_missing_groups,
            &to.auto_create_missing_groups,
        );
    let (add, remove) = (
        sync::without(&to.mapping, &held.mapping),
        sync::without(&held.mapping, &to.mapping),
    );
    let shown = |pairs: &[Pair<GroupId>]| {
        let name = |(claim, id): &Pair<GroupId>| {
            let name = names.get(id).cloned().unwrap_or_else(|| id.to_string());
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

/// Makes the call; where the server has only the one that replaces everything, with the rest as it is now.
async fn send(cx: &Cx<'_>, organization: OrganizationId, change: &Change) -> Result<GroupSyncSettings, Error> {
    let coder = cx.coder();
    let answer = match change.part {
        Part::Whole => coder.update_group_sync(organization, &change.to).await,
        Part::Config => coder.update_group_sync_config(organization, &change.to).await,
        Part::Mapping => {
            coder
                .update_group_sync_mapping(organization, &change.add, &change.remove)
                .await
        }
    };
    let settings = match answer {
        Err(error) if error.is_unsupported() && !matches!(change.part, Part::Whole) => {
            let now = coder.group_sync(organization).await?;
            if !now.legacy_group_name_mapping.is_empty() {
                let message = "this version of Coder can only replace the whole group sync, which would drop the mapping that \
                               its flag CODER_OIDC_GROUP_MAPPING set: upgrade to v2.20, or manage all four fields";
                return Err(Error::terminal(Reason::Unsupported, message));
            }
            let whole = match change.part {
                Part::Mapping => GroupSyncSettings {
                    mapping: change.to.mapping.clone(),
                    ..now
                },
                Part::Config | Part::Whole => GroupSyncSettings {
                    mapping: now.mapping,
                    ..change.to.clone()
                },
            };
            coder.update_group_sync(organization, &whole).await?
        }
        answer => answer?,
    };
    cx.put(&GroupSync(organization), settings.clone());
    Ok(settings)
}

/// The pattern; none and an empty one are equal.
fn pattern(settings: &GroupSyncSettings) -> &str {
    settings.regex_filter.as_deref().unwrap_or_default()
}

fn is_called(id: GroupId, name: &str, asked: &str) -> bool {
    name == asked || (asked.len() == 36 && asked.parse() == Ok(id))
}

fn missing(pending: &[String]) -> Option<Error> {
    if pending.is_empty() {
        return None;
    }
    let names = few(pending);
    let message = format!("groups of the mapping are not there yet, so these claims stay as they are: {names}");
    Some(Error::waiting(Reason::DependencyNotReady, message))
}

fn entries(texts: &BTreeMap<String, Vec<String>>) -> Mapping<GroupId> {
    let ids = texts
        .iter()
        .flat_map(|(claim, ids)| ids.iter().map(move |id| (claim, id)));
    sync::of(ids.filter_map(|(claim, id)| Some((claim.clone(), id.parse().ok()?))))
}

fn texts(entries: &Mapping<GroupId>) -> BTreeMap<String, Vec<String>> {
    let texts = entries.iter().map(|(claim, ids)| {
        let ids = ids.iter().map(ToString::to_string).collect();
        (claim.clone(), ids)
    });
    texts.collect()
}

#[cfg(test)]
mod tests;
