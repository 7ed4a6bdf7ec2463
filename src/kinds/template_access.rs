//! `CoderTemplateAccess` → who may use a template: people and groups with their roles.
//!
//! Coder merges what is sent into what is there, and answers nothing of it: it is read again after each change. It does not
//! show who is suspended, so whom it does not show right after a change is remembered, for as long as they are.

mod desired;
mod report;
mod roles;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::Differences;
use super::parent::{id_of, touched, within};
use crate::api::{CoderTemplateAccess, DeletionPolicy, Origin, TemplateAccessStatus, TemplateRole};
use crate::coder::{GroupId, OrganizationId, Template, TemplateAccess, TemplateId, UpdateTemplateAccess, UserId};
use crate::engine::{self, Cx, Deviation, Error, Life, Reason, Remote, Report, Target};
use crate::lists::{AccessTo, SETTING, Templates};
pub use desired::Desired;
use report::{note_place, texts};
use roles::Difference;

const USERS: &str = "users";
const GROUPS: &str = "groups";
/// The roles in an organization that see all of its templates.
const READERS: [&str; 3] = [
    "organization-admin",
    "organization-template-admin",
    "organization-auditor",
];

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    organization: (OrganizationId, String),
    template: Template,
    access: TemplateAccess,
    /// Whom the last change gave a role and Coder does not show.
    hidden: BTreeMap<UserId, TemplateRole>,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity {
    organization: OrganizationId,
    template: TemplateId,
    users: Vec<UserId>,
    groups: Vec<GroupId>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.template)
    }
}

/// `PATCH /templates/{id}/acl`.
#[derive(Debug)]
pub struct Change {
    request: UpdateTemplateAccess,
    differences: Differences,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.fmt(f)
    }
}

impl engine::remote::Change<CoderTemplateAccess> for Change {
    /// The status will say that what it gives was not there before.
    fn looks_first(&self) -> bool {
        true
    }

    fn deviations(&self, _: &TemplateAccessStatus) -> Vec<Deviation> {
        self.differences.deviations()
    }
}

impl Remote for CoderTemplateAccess {
    const LIFE: Life = Life::Standing;
    const NOUN: &'static str = "the access to template";
    const NEEDS: &'static str = "the role Template Admin or Owner, or organization-template-admin in the organization";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderTemplateAccess) -> Result<Desired, Error> {
        Desired::of(cx, object).await
    }

    fn natural_key(desired: &Desired) -> String {
        format!("{}/{}", desired.organization.id, desired.template.id)
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &desired.organization);
        touched(wanted, observed.map(|held| &*held.organization.1))
    }

    fn identity(status: &TemplateAccessStatus) -> Option<Identity> {
        Some(Identity {
            organization: id_of(&status.place)?,
            template: status.id.as_ref()?.parse().ok()?,
            users: status.given_users.iter().filter_map(|id| id.parse().ok()).collect(),
            groups: status.given_groups.iter().filter_map(|id| id.parse().ok()).collect(),
        })
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            organization: observed.organization.0,
            template: observed.template.id,
            users: Vec::new(),
            groups: Vec::new(),
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        _: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let Some((organization, template)) = within(cx, target).await? else {
            return Ok(None);
        };
        let Some(template) = cx.get(&Templates(organization.id), &template).await? else {
            return Ok(None);
        };
        let access = match cx.get(&list(organization.id, template.id), SETTING).await {
            // It is in the list: what was refused is to see who may use it.
            Err(error) if error.is_absent() => {
                let user = &cx.connection.user.username;
                let message = format!(
                    "this token does not see who may use template {}: give {user} {}",
                    template.name,
                    Self::NEEDS
                );
                return Err(Error::terminal(Reason::Forbidden, message));
            }
            access => access?.unwrap_or_default(),
        };
        Ok(Some(Observed {
            organization: (organization.id, organization.name),
            template,
            access,
            hidden: BTreeMap::new(),
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        absence::believe_as(cx, Some(identity.organization), &READERS, "the template").await
    }

    fn untouched(desired: &Desired, observed: &Observed) -> bool {
        let access = &observed.access;
        let everyone = observed.organization.0.everyone();
        let users = desired.users.as_ref();
        let groups = desired.groups.as_ref();
        users.is_none_or(|wanted| wanted.is_untouched(&access.users, None))
            && groups.is_none_or(|wanted| wanted.is_untouched(&access.groups, Some(&everyone)))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Some(Observed { access, hidden, .. }) = observed else {
            return Vec::new();
        };
        let users = desired.users.as_ref().map(|wanted| {
            let mut wanted = wanted.clone();
            wanted.hidden.extend(hidden.iter().map(|(who, role)| (*who, *role)));
            wanted.difference(&access.users)
        });
        let groups = desired.groups.as_ref().map(|wanted| wanted.difference(&access.groups));
        let differences = in_words(
            in_words(Differences::default(), USERS, users.as_ref()),
            GROUPS,
            groups.as_ref(),
        );
        if differences.is_empty() {
            return Vec::new();
        }
        let request = UpdateTemplateAccess {
            user_perms: users.map(|users| users.send).unwrap_or_default(),
            group_perms: groups.map(|groups| groups.send).unwrap_or_default(),
        };
        vec![Change { request, differences }]
    }

    fn prepare(desired: &Desired, observed: &Observed, status: &mut TemplateAccessStatus) {
        note_place(desired, observed, status);
        if let Some(wanted) = &desired.users {
            status.given_users = texts(wanted.given(&observed.access.users));
        }
        if let Some(wanted) = &desired.groups {
            status.given_groups = texts(wanted.given(&observed.access.groups));
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        let Some(observed) = observed else {
            return Err(Error::Superseded);
        };
        let (organization, template) = (observed.organization.0, observed.template.id);
        match cx.coder().update_template_access(template, &change.request).await {
            Ok(()) => {}
            Err(error) if error.is_absent() => {
                let templates = Templates(organization);
                return Err(absence::refused(cx, &templates, &template.to_string(), Self::NOUN, Self::NEEDS).await?);
            }
            Err(error) => return Err(error.into()),
        }
        let access = cx.coder().template_access(template).await?;
        cx.put(&list(organization, template), access.clone());
        let wanted = desired.users.as_ref();
        let hidden = wanted.map(|wanted| wanted.not_shown(&access.users)).unwrap_or_default();
        Ok(Observed {
            access,
            hidden,
            ..observed.clone()
        })
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut TemplateAccessStatus, _: Timestamp) -> Report {
        report::report(desired, observed, status)
    }

    /// A template that this object closed stays closed, and what it opened stays open, unless it is told.
    fn deletion_default(_: Option<Origin>) -> DeletionPolicy {
        DeletionPolicy::Orphan
    }

    /// Takes away what this object gave. Nothing is given back: a deletion never opens a template.
    async fn delete(cx: &Cx<'_>, identity: &Identity, observed: &Observed) -> Result<(), Error> {
        let access = &observed.access;
        let users = identity.users.iter();
        let groups = identity.groups.iter().filter(|id| access.groups.contains_key(id));
        let request = UpdateTemplateAccess {
            // Also those who are not shown.
            user_perms: users.map(|id| (*id, String::new())).collect(),
            group_perms: groups.map(|id| (*id, String::new())).collect(),
        };
        if request == UpdateTemplateAccess::default() {
            return Ok(());
        }
        cx.coder().update_template_access(identity.template, &request).await?;
        cx.invalidate(&list(identity.organization, identity.template));
        Ok(())
    }
}

fn list(organization: OrganizationId, template: TemplateId) -> AccessTo {
    AccessTo { organization, template }
}

fn in_words<T>(differences: Differences, field: &'static str, difference: Option<&Difference<T>>) -> Differences {
    match difference {
        Some(difference) if !difference.send.is_empty() => {
            differences.list(field, difference.more.clone(), difference.fewer.clone())
        }
        _ => differences,
    }
}

#[cfg(test)]
mod tests;
