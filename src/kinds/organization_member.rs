//! `CoderOrganizationMember` → a user as a member of an organization, with the roles there.
//!
//! Whom a name led to once it means from then on: a membership is a right, and nobody inherits it by being called the same.

mod change;
mod person;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::few;
use super::parent::{Parent, id_of, parent, touched, within};
use super::unmanaged::{self, managed};
use crate::api::{CoderOrganizationMember, Kind, MemberQuota, Object, OrganizationMemberStatus};
use crate::coder::{OrganizationId, OrganizationMember, Quota, UserId};
use crate::engine::remote::deletion_refused;
use crate::engine::{Cx, Error, Reason, Remote, Report, Target};
use crate::lists::{MemberItem, Members, QuotaOf, Roles, SETTING};
pub use change::Change;
use person::{Idp, Person};

const ROLES: &str = "roles";

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    organization: Parent,
    person: Person,
    roles: Option<BTreeSet<String>>,
    /// Roles that are not there yet.
    pending: Vec<String>,
    quota: bool,
}

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    organization: (OrganizationId, String),
    member: MemberItem,
    quota: Option<Quota>,
}

/// What the status keeps.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    organization: OrganizationId,
    user: UserId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.user)
    }
}

impl Remote for CoderOrganizationMember {
    const NOUN: &'static str = "membership";
    const NEEDS: &'static str = "the role User Admin or Owner, or organization-user-admin in the organization";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderOrganizationMember) -> Result<Desired, Error> {
        let spec = &object.spec;
        let status = object.own_status().filter(|status| status.common.origin.is_some());
        let held = status.and_then(|status| id_of(&status.place));
        let organization = parent(cx, &object.instance_key(), &spec.place, held).await?;
        let before = status.and_then(|status| status.id.as_ref()?.parse().ok());
        let person = Person::find(cx, organization.id, &spec.user, before).await?;
        let (mut roles, mut pending) = (spec.roles.as_ref().map(|_| BTreeSet::new()), Vec::new());
        for role in spec.roles.iter().flatten() {
            let known = cx.get(&Roles(organization.id), role).await?.is_some();
            match &mut roles {
                Some(roles) if known => drop(roles.insert(role.clone())),
                _ => pending.push(role.clone()),
            }
        }
        Ok(Desired {
            organization,
            person,
            roles,
            pending,
            quota: spec.report_quota,
        })
    }

    fn natural_key(desired: &Desired) -> String {
        format!("{}/{}", desired.organization.id, desired.person.id)
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &desired.organization);
        touched(wanted, observed.map(|held| &*held.organization.1))
    }

    fn identity(status: &OrganizationMemberStatus) -> Option<Identity> {
        Some(Identity {
            organization: id_of(&status.place)?,
            user: status.id.as_ref()?.parse().ok()?,
        })
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            organization: observed.organization.0,
            user: observed.member.id,
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let Some((organization, user)) = within(cx, target).await? else {
            return Ok(None);
        };
        let Some(member) = cx.get(&Members(organization.id), &user).await? else {
            return Ok(None);
        };
        let quota = match desired {
            Some(desired) if desired.quota => quota(cx, organization.id, member.id).await?,
            _ => None,
        };
        Ok(Some(Observed {
            organization: (organization.id, organization.name),
            member,
            quota,
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        absence::believe(cx, Some(identity.organization), "the member").await
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Some(Observed { member, .. }) = observed else {
            return vec![Change::Add(desired.person.name.clone())];
        };
        let held: BTreeSet<String> = member.roles.iter().cloned().collect();
        match &desired.roles {
            Some(wanted) if *wanted != held && desired.person.roles_are_ours() => vec![Change::SetRoles {
                more: wanted.difference(&held).cloned().collect(),
                fewer: held.difference(wanted).cloned().collect(),
                to: wanted.clone(),
            }],
            _ => Vec::new(),
        }
    }

    async fn rehearse(_: &Cx<'_>, desired: &Desired, change: &Change) -> Result<(), Error> {
        match (change, desired.person.idp.places) {
            (Change::Add(name), true) => Err(Idp::places_whom(name)),
            _ => Ok(()),
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        let list = Members(desired.organization.id);
        let (organization, person) = (desired.organization.id, &desired.person);
        let answer = match change {
            Change::Add(_) => cx.coder().add_member(organization, person.id).await,
            Change::SetRoles { to, .. } => {
                let roles: Vec<String> = to.iter().cloned().collect();
                cx.coder().set_member_roles(organization, person.id, &roles).await
            }
        };
        let answer = match answer {
            Ok(member) => member,
            // A missing permission, also for who is a member (recording 25).
            Err(error) if error.is_absent() => {
                return Err(absence::refused(cx, &list, &person.id.to_string(), Self::NOUN, Self::NEEDS).await?);
            }
            Err(error) => return Err(error.into()),
        };
        let member = MemberItem {
            id: person.id,
            username: person.name.clone(),
            email: person.email.clone(),
            roles: sorted(answer),
            is_suspended: observed.map_or(Some(person.is_suspended), |held| held.member.is_suspended),
        };
        cx.put(&list, member.clone());
        Ok(Observed {
            organization: observed.map_or_else(
                || (organization, desired.organization.name.clone()),
                |held| held.organization.clone(),
            ),
            member,
            quota: observed.and_then(|held| held.quota),
        })
    }

    async fn complete(cx: &Cx<'_>, desired: &Desired, observed: Observed) -> Result<Observed, Error> {
        if !desired.quota {
            return Ok(observed);
        }
        let quota = quota(cx, observed.organization.0, observed.member.id).await?;
        Ok(Observed { quota, ..observed })
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut OrganizationMemberStatus, _: Timestamp) -> Report {
        let member = &observed.member;
        status.id = Some(member.id.to_string());
        status.user = Some(member.username.clone());
        status.place = desired.organization.found();
        status.roles.clone_from(&member.roles);
        status.pending_roles.clone_from(&desired.pending);
        status.quota = observed.quota.map(|quota| MemberQuota {
            budget: Some(quota.budget).filter(|budget| *budget >= 0),
            consumed: quota.credits_consumed,
        });
        status.managed = managed(
            &status.managed,
            &[(ROLES, desired.roles.is_some(), member.roles.is_empty())],
        );
        let mut report = Report::default();
        report.notes.extend(desired.organization.moved_note());
        report.notes.extend(desired.person.moved_note());
        let Some(wanted) = &desired.roles else {
            report.notes.extend(unmanaged::note(&status.managed, "[]"));
            return report;
        };
        let differs = !wanted.iter().eq(&member.roles);
        report.unmet = if differs && !desired.person.roles_are_ours() {
            Some(desired.person.keeps_roles())
        } else if desired.pending.is_empty() {
            None
        } else {
            let names = few(&desired.pending);
            let message = format!("roles are not there yet, the others are given: {names}");
            Some(Error::waiting(Reason::DependencyNotReady, message))
        };
        report
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity, _: &Observed) -> Result<(), Error> {
        let Identity { organization, user } = *identity;
        if user == cx.connection.user.id {
            let message = "it is the token's own user, who cannot leave an organization";
            return Err(deletion_refused(message));
        }
        cx.coder().remove_member(organization, user).await?;
        cx.remove(&Members(organization), &user.to_string());
        Ok(())
    }
}

/// What the member may spend, as far as the token sees that.
async fn quota(cx: &Cx<'_>, organization: OrganizationId, user: UserId) -> Result<Option<Quota>, Error> {
    match cx.get(&QuotaOf { organization, user }, SETTING).await {
        Err(error) if error.is_absent() => Ok(None),
        quota => quota,
    }
}

fn sorted(member: OrganizationMember) -> Vec<String> {
    let mut roles: Vec<String> = member.roles.into_iter().map(|role| role.name).collect();
    roles.sort();
    roles
}

#[cfg(test)]
mod tests;
