//! `CoderCustomRole` → a custom role of an organization.
//!
//! A change replaces all of a role, so what the spec does not manage is sent as it was seen. Newer servers leave out of a
//! change what they do not know, without a word: the answer shows what is missing, and the status keeps it, so that it is
//! not asked for again and again.

mod change;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use kube::ResourceExt;

use super::absence;
use super::field::{Differences, few};
use super::parent::{Parent, id_of, parent, touched, within};
use super::unmanaged::{self, managed};
use crate::api::{CoderCustomRole, CustomRoleStatus, Kind, Object, UnknownPermissions};
use crate::coder::{CustomRole, OrganizationId, OrganizationRole, Permission};
use crate::engine::{Cx, Error, Reason, Remote, Report, Target};
use crate::lists::Roles;
pub use change::Change;
use change::{asked, read, text};

const PERMISSIONS: &str = "permissions";

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    organization: Parent,
    name: String,
    display_name: Option<String>,
    permissions: Option<BTreeSet<Permission>>,
    /// What this server is known not to know.
    unknown: BTreeSet<Permission>,
    generation: i64,
    version: String,
}

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The organization that it is a role of.
    organization: (OrganizationId, String),
    role: OrganizationRole,
    /// What the last change asked for and did not get.
    dropped: BTreeSet<Permission>,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity {
    organization: OrganizationId,
    name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name)
    }
}

impl Desired {
    /// What can be asked of this server.
    fn askable(&self, dropped: &BTreeSet<Permission>) -> Option<BTreeSet<Permission>> {
        let permissions = self.permissions.as_ref()?.iter();
        let known = permissions.filter(|one| !self.unknown.contains(one) && !dropped.contains(one));
        Some(known.cloned().collect())
    }
}

impl Remote for CoderCustomRole {
    const NOUN: &'static str = "custom role";
    const NEEDS: &'static str = "the role Owner, or organization-admin in the organization";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderCustomRole) -> Result<Desired, Error> {
        let spec = &object.spec;
        let status = object.own_status().filter(|status| status.common.origin.is_some());
        let held = status.and_then(|status| id_of(&status.place));
        let generation = object.metadata.generation.unwrap_or_default();
        let version = cx.connection.version.clone();
        let unknown = status.and_then(|status| status.unknown_permissions.as_ref());
        let unknown = unknown.filter(|unknown| unknown.version == version && unknown.generation == generation);
        Ok(Desired {
            organization: parent(cx, &object.instance_key(), &spec.place, held).await?,
            name: spec.name.clone().unwrap_or_else(|| object.name_any()),
            display_name: spec.display_name.clone(),
            permissions: spec.permissions.as_ref().map(asked),
            unknown: unknown
                .map(|unknown| unknown.permissions.iter().filter_map(|text| read(text)).collect())
                .unwrap_or_default(),
            generation,
            version,
        })
    }

    fn natural_key(desired: &Desired) -> String {
        format!("{}/{}", desired.organization.id, desired.name)
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &desired.organization);
        touched(wanted, observed.map(|held| &*held.organization.1))
    }

    fn identity(status: &CustomRoleStatus) -> Option<Identity> {
        Some(Identity {
            organization: id_of(&status.place)?,
            name: status.name.clone()?,
        })
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            organization: observed.organization.0,
            name: observed.role.name.clone(),
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        _: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let Some((organization, name)) = within(cx, target).await? else {
            return Ok(None);
        };
        let role = cx.get(&Roles(organization.id), &name).await?;
        Ok(role.filter(|role| !role.built_in).map(|role| Observed {
            organization: (organization.id, organization.name),
            role,
            dropped: BTreeSet::new(),
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        absence::believe(cx, Some(identity.organization), "the custom role").await
    }

    fn check(desired: &Desired, observed: &Observed) -> Result<(), Error> {
        if desired.name == observed.role.name {
            return Ok(());
        }
        let message = "name cannot be changed, Coder cannot rename a role: delete this object and create it anew";
        Err(Error::terminal(Reason::InvalidSpec, message))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Some(Observed { role, dropped, .. }) = observed else {
            return vec![Change::Create(CustomRole {
                name: desired.name.clone(),
                display_name: desired.display_name.clone().unwrap_or_default(),
                organization_permissions: desired.askable(&BTreeSet::new()).unwrap_or_default(),
            })];
        };
        let held = &role.organization_permissions;
        let to = CustomRole {
            name: role.name.clone(),
            display_name: desired
                .display_name
                .clone()
                .unwrap_or_else(|| role.display_name.clone()),
            organization_permissions: desired.askable(dropped).unwrap_or_else(|| held.clone()),
        };
        let mut differences = Differences::default().differing("displayName", &role.display_name, &to.display_name);
        if to.organization_permissions != *held {
            let more = to.organization_permissions.difference(held).map(text).collect();
            let fewer = held.difference(&to.organization_permissions).map(text).collect();
            differences = differences.list(PERMISSIONS, more, fewer);
        }
        if differences.is_empty() {
            return Vec::new();
        }
        vec![Change::Update(to, differences)]
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        let organization = observed.map_or_else(
            || (desired.organization.id, desired.organization.name.clone()),
            |held| held.organization.clone(),
        );
        let (answer, request) = match change {
            Change::Create(role) => (cx.coder().create_custom_role(organization.0, role).await, role),
            Change::Update(role, _) => (cx.coder().update_custom_role(organization.0, role).await, role),
        };
        let role = match answer {
            Ok(role) => role,
            // A missing permission, also for a role that is there (recording 26).
            Err(error) if error.is_absent() => {
                let list = Roles(organization.0);
                return Err(absence::refused(cx, &list, &request.name, Self::NOUN, Self::NEEDS).await?);
            }
            Err(error) => return Err(error.into()),
        };
        cx.put(&Roles(organization.0), role.clone());
        let got = &role.organization_permissions;
        let dropped = request.organization_permissions.difference(got).cloned();
        let before = observed.map(|held| held.dropped.clone()).unwrap_or_default();
        Ok(Observed {
            organization,
            dropped: dropped.chain(before).collect(),
            role,
        })
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut CustomRoleStatus, _: Timestamp) -> Report {
        let role = &observed.role;
        status.id = Some(Self::identify(observed).to_string());
        status.name = Some(role.name.clone());
        status.place = desired.organization.found();
        status.permission_count = i64::try_from(role.organization_permissions.len()).ok();
        let is_empty = role.organization_permissions.is_empty();
        status.managed = managed(
            &status.managed,
            &[(PERMISSIONS, desired.permissions.is_some(), is_empty)],
        );
        let asked = desired.permissions.iter().flatten();
        let missing: Vec<String> = asked
            .filter(|one| desired.unknown.contains(one) || observed.dropped.contains(one))
            .map(text)
            .collect();
        let mut report = Report::default();
        report.notes.extend(desired.organization.moved_note());
        if desired.permissions.is_none() {
            report.notes.extend(unmanaged::note(&status.managed, "{}"));
        }
        status.unknown_permissions = None;
        if !missing.is_empty() {
            let message = format!(
                "Coder {} does not know these permissions and left them out: {}; correct them, or upgrade Coder",
                desired.version,
                few(&missing)
            );
            report.unmet = Some(Error::terminal(Reason::Rejected, message));
            status.unknown_permissions = Some(UnknownPermissions {
                version: desired.version.clone(),
                generation: desired.generation,
                permissions: missing,
            });
        }
        report
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity, _: &Observed) -> Result<(), Error> {
        let Identity { organization, name } = identity;
        cx.coder().delete_custom_role(*organization, name).await?;
        cx.remove(&Roles(*organization), name);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
