//! `CoderGroup` → a group of an organization and its members.
//!
//! Members are changed by difference from a fresh read, never set blindly: Coder refuses a whole change that adds
//! somebody twice. Users who are not in the organization (yet) wait and never block the others.

mod change;
mod name;
mod people;
mod report;

use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::Update;
use super::parent::{Parent, parent, touched};
use crate::api::{CoderGroup, GroupStatus, Kind, Policy};
use crate::coder::{CreateGroup, GroupId, OrganizationId, UpdateGroup};
use crate::engine::{Cx, Error, Reason, Remote, Report, Target};
use crate::lists::{GroupItem, Groups, Members, Organizations};
pub use change::Change;
use people::Memory;
pub use people::Wanted;

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) organization: Parent,
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) avatar_url: Option<String>,
    pub(super) quota_allowance: Option<i32>,
    pub(super) members: Option<Wanted>,
}

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) group: GroupItem,
    /// The name of the organization that it is in.
    pub(super) organization: String,
    /// Whether the user that owns prebuilt workspaces was added: Coder never shows it among the members.
    pub(super) prebuilds: bool,
}

/// What the status keeps.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    id: GroupId,
    organization: OrganizationId,
    prebuilds: bool,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl Remote for CoderGroup {
    const NOUN: &'static str = "group";
    const NEEDS: &'static str = "the role User Admin or Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderGroup) -> Result<Desired, Error> {
        let spec = &object.spec;
        let name = name::of(object)?;
        let instance = object.instance_key();
        let held = held_organization(object.status.as_ref());
        let organization = parent(cx, &instance, &spec.place, held).await?;
        let members = match &spec.members {
            Some(members) => {
                let exact = spec.member_policy.unwrap_or_default() == Policy::Exact;
                let memory = Memory::of(object.status.as_ref(), organization.id);
                Some(people::wanted(cx, organization.id, members, exact, memory).await?)
            }
            None => None,
        };
        Ok(Desired {
            organization,
            name,
            display_name: spec.display_name.clone(),
            avatar_url: spec.avatar_url.clone(),
            quota_allowance: spec.quota_allowance,
            members,
        })
    }

    fn natural_key(desired: &Desired) -> String {
        format!("{}/{}", desired.organization.id, desired.name)
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &desired.organization);
        touched(wanted, observed.map(|held| &*held.organization))
    }

    fn identity(status: &GroupStatus) -> Option<Identity> {
        Some(Identity {
            id: status.id.as_ref()?.parse().ok()?,
            organization: status.organization_id.as_ref()?.parse().ok()?,
            prebuilds: status.prebuilds_member,
        })
    }

    async fn observe(
        cx: &Cx<'_>,
        _: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let within: OrganizationId = match target {
            Target::Identity(identity) => identity.organization,
            Target::Key(key) => match key.split_once('/').map(|(organization, _)| organization.parse()) {
                Some(Ok(organization)) => organization,
                Some(Err(_)) | None => return Ok(None),
            },
        };
        // What is left behind the id of a deleted organization is no group any more: newer servers still list it, older ones
        // say 404.
        let Some(organization) = cx.get(&Organizations, &within.to_string()).await? else {
            return Ok(None);
        };
        let (group, prebuilds) = match target {
            Target::Identity(identity) => {
                let group = cx.get(&Groups(within), &identity.id.to_string()).await?;
                (group, identity.prebuilds)
            }
            Target::Key(key) => {
                let name = key.split_once('/').map_or(key, |(_, name)| name);
                (cx.find(&Groups(within), |group| group.name == name).await?, false)
            }
        };
        Ok(group.map(|group| Observed {
            group,
            organization: organization.name,
            prebuilds,
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        absence::believe(cx, Some(identity.organization), "the group").await
    }

    fn check(desired: &Desired, observed: &Observed) -> Result<(), Error> {
        if desired.members.is_some() && observed.group.hidden_members {
            let message = "members cannot be compared: this token does not see all members of the group; give its user \
                           a role that does (Owner, User Admin, or an administrator of the organization)";
            return Err(Error::terminal(Reason::PartialVisibility, message));
        }
        Ok(())
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Desired {
            organization: _,
            name,
            display_name,
            avatar_url,
            quota_allowance,
            members,
        } = desired;
        let Some(Observed { group, prebuilds, .. }) = observed else {
            return vec![Change::Create(CreateGroup {
                name: name.clone(),
                display_name: display_name.clone(),
                avatar_url: avatar_url.clone(),
                quota_allowance: *quota_allowance,
            })];
        };
        let quota = quota_allowance.as_ref();
        let update = Update::<UpdateGroup>::default()
            .set("name", Some(name), &group.name, |it| &mut it.name)
            .set("displayName", display_name.as_ref(), &group.display_name, |it| {
                &mut it.display_name
            })
            .set("avatarURL", avatar_url.as_ref(), &group.avatar_url, |it| {
                &mut it.avatar_url
            })
            .set("quotaAllowance", quota, &group.quota_allowance, |it| {
                &mut it.quota_allowance
            });
        let mut changes: Vec<Change> = update.unless_empty().map(Change::Update).into_iter().collect();
        if let Some(wanted) = members {
            changes.extend(change::of_members(wanted, &group.members));
            changes.extend(wanted.prebuilds_change(*prebuilds).map(Change::Prebuilds));
        }
        changes
    }

    fn prepare(desired: &Desired, observed: &Observed, status: &mut GroupStatus) {
        if let Some(wanted) = &desired.members {
            wanted.note_added(observed, status);
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        let groups = Groups(desired.organization.id);
        if let Change::Create(request) = change {
            let made = cx.coder().create_group(desired.organization.id, request).await;
            let made: GroupItem = made.map_err(|error| name::refused(error, Some(&request.name)))?.into();
            cx.put(&groups, made.clone());
            return Ok(Observed {
                group: made,
                organization: desired.organization.name.clone(),
                prebuilds: false,
            });
        }
        let (Some(request), Some(observed)) = (change.request(), observed) else {
            return Err(Error::Superseded);
        };
        let prebuilds = if let Change::Prebuilds(add) = change {
            *add
        } else {
            observed.prebuilds
        };
        match cx.coder().update_group(observed.group.id, &request).await {
            Ok(group) => {
                let group: GroupItem = group.into();
                cx.put(&groups, group.clone());
                Ok(Observed {
                    group,
                    prebuilds,
                    ..observed.clone()
                })
            }
            // It was there already: Coder never shows it, so that nobody can know.
            Err(error) if matches!(change, Change::Prebuilds(true)) && error.is_already_member() => Ok(Observed {
                prebuilds,
                ..observed.clone()
            }),
            // Somebody else changed the members, or left the organization, since they were read: read again.
            Err(error) if error.is_already_member() || error.is_not_a_member() => {
                cx.invalidate(&groups);
                cx.invalidate(&Members(desired.organization.id));
                Err(Error::NotConverging(format!("the members changed meanwhile ({error})")))
            }
            Err(error) => Err(name::refused(error, request.name.as_deref())),
        }
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut GroupStatus, _: Timestamp) -> Report {
        let Observed { group, prebuilds, .. } = observed;
        status.id = Some(group.id.to_string());
        status.name = Some(group.name.clone());
        status.organization_id = Some(desired.organization.id.to_string());
        status.organization = Some(desired.organization.name.clone());
        status.member_count = i64::try_from(group.members.len()).ok();
        status.prebuilds_member = *prebuilds;
        Report {
            notes: report::members(desired, observed, status),
            look_again: None,
            unmet: None,
        }
    }

    fn identify(observed: &Observed) -> Identity {
        let GroupItem { id, organization, .. } = observed.group;
        Identity {
            id,
            organization,
            prebuilds: observed.prebuilds,
        }
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity, _: &Observed) -> Result<(), Error> {
        cx.coder().delete_group(identity.id).await?;
        cx.remove(&Groups(identity.organization), &identity.id.to_string());
        Ok(())
    }
}

/// The organization that the group is in, if the group is this object's.
fn held_organization(status: Option<&GroupStatus>) -> Option<OrganizationId> {
    let status = status.filter(|status| status.common.origin.is_some())?;
    status.organization_id.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests;
