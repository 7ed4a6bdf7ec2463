//! `CoderOrganization` → an organization, the quota of its group Everyone, its workspace sharing.
//!
//! Coder keeps answering for deleted organizations by id, so the list decides what is there. Servers before v2.20 erase
//! an organization with everything in it, so the operator looks before it deletes.

mod contents;
mod settings;

use std::fmt;

use jiff::Timestamp;

use super::absence;
use super::field::{Differences, Field, Update};
use super::parent;
use crate::api::{CoderOrganization, DeletionPolicy, OrganizationStatus, Origin, rules};
use crate::coder::{self, CreateOrganization, OrganizationId, ShareableOwners, UpdateGroup, UpdateOrganization};
use crate::engine;
use crate::engine::remote::deletion_refused;
use crate::engine::{Cx, Deviation, Error, Reason, Remote, Report, Target};
use crate::lists::{Groups, Organizations, Sharing, SharingItem};
use contents::look_first;
use settings::{owners, with_settings};

/// What shall be.
#[derive(Clone, Debug)]
pub struct Desired {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) icon: Option<String>,
    pub(super) everyone_quota: Option<i32>,
    pub(super) sharing: Option<ShareableOwners>,
}

/// What Coder holds.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) organization: coder::Organization,
    /// Read only where it is managed.
    pub(super) everyone_quota: Option<i32>,
    /// Read only where it is managed.
    pub(super) sharing: Option<ShareableOwners>,
}

/// One call.
#[derive(Clone, Debug)]
pub enum Change {
    /// `POST /organizations`.
    Create(CreateOrganization),
    /// `PATCH /organizations/{id}`.
    Update(Update<UpdateOrganization>),
    /// `PATCH /groups/{id}` of the group Everyone.
    SetEveryoneQuota(Field<i32>),
    /// `PATCH /organizations/{id}/settings/workspace-sharing`.
    SetSharing(Field<ShareableOwners>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(request) => write!(f, "create organization {}", request.name),
            Self::Update(_) | Self::SetEveryoneQuota(_) | Self::SetSharing(_) => self.differences().fmt(f),
        }
    }
}

impl Change {
    fn differences(&self) -> Differences {
        let differences = Differences::default();
        match self {
            Self::Create(_) => differences,
            Self::Update(update) => update.differences().clone(),
            Self::SetEveryoneQuota(field) => differences.and("everyoneQuotaAllowance", Some(field)),
            Self::SetSharing(field) => differences.and("workspaceSharing", Some(field)),
        }
    }
}

impl engine::remote::Change<CoderOrganization> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    fn deviations(&self, _: &OrganizationStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation::deleted()],
            Self::Update(_) | Self::SetEveryoneQuota(_) | Self::SetSharing(_) => self.differences().deviations(),
        }
    }
}

impl Remote for CoderOrganization {
    const NOUN: &'static str = "organization";
    const NEEDS: &'static str = "the role Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = OrganizationId;
    type Change = Change;

    async fn resolve(_: &Cx<'_>, object: &CoderOrganization) -> Result<Desired, Error> {
        let spec = &object.spec;
        let name = parent::name(object);
        if !rules::is_name(&name, rules::NAME_MAX) {
            let message =
                format!("{name} is no valid Coder name (at most 32 letters, digits and single hyphens): set spec.name");
            return Err(Error::terminal(Reason::InvalidSpec, message));
        }
        Ok(Desired {
            name,
            display_name: spec.display_name.clone().filter(|name| !name.is_empty()),
            description: spec.description.clone(),
            icon: spec.icon.clone(),
            everyone_quota: spec.everyone_quota_allowance,
            sharing: spec.workspace_sharing.map(owners),
        })
    }

    fn natural_key(desired: &Desired) -> String {
        desired.name.to_ascii_lowercase()
    }

    fn organizations<'a>(desired: Option<&'a Desired>, observed: Option<&'a Observed>) -> Vec<&'a str> {
        let wanted = desired.map(|desired| &*desired.name);
        wanted
            .into_iter()
            .chain(observed.map(|held| &*held.organization.name))
            .collect()
    }

    fn identity(status: &OrganizationStatus) -> Option<OrganizationId> {
        status.id.as_ref()?.parse().ok()
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, OrganizationId>,
    ) -> Result<Option<Observed>, Error> {
        let found = match target {
            Target::Identity(id) => cx.get(&Organizations, &id.to_string()).await?,
            Target::Key(key) => {
                cx.find(&Organizations, |one| one.name.eq_ignore_ascii_case(key))
                    .await?
            }
        };
        match found {
            Some(organization) => Ok(Some(with_settings(cx, desired, organization).await?)),
            None => Ok(None),
        }
    }

    // Who does not see all organizations may not make one either.
    async fn believe_gone(cx: &Cx<'_>, _: &OrganizationId) -> Result<(), Error> {
        absence::believe(cx, None, "the organization").await
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let Desired {
            name,
            display_name,
            description,
            icon,
            everyone_quota,
            sharing,
        } = desired;
        let Some(Observed {
            organization,
            everyone_quota: quota_held,
            sharing: sharing_held,
        }) = observed
        else {
            return vec![Change::Create(CreateOrganization {
                name: name.clone(),
                display_name: display_name.clone(),
                description: description.clone(),
                icon: icon.clone(),
            })];
        };
        let held = organization;
        let update = Update::<UpdateOrganization>::default()
            .set("name", Some(name), &held.name, |it| &mut it.name)
            .set("displayName", display_name.as_ref(), &held.display_name, |it| {
                &mut it.display_name
            })
            .set("description", description.as_ref(), &held.description, |it| {
                &mut it.description
            })
            .set("icon", icon.as_ref(), &held.icon, |it| &mut it.icon);
        let mut changes: Vec<Change> = update.unless_empty().map(Change::Update).into_iter().collect();
        let quota = quota_held.and_then(|held| Field::differing(everyone_quota.as_ref(), &held));
        changes.extend(quota.map(Change::SetEveryoneQuota));
        let sharing = sharing_held
            .as_ref()
            .and_then(|held| Field::differing(sharing.as_ref(), held));
        changes.extend(sharing.map(Change::SetSharing));
        changes
    }

    async fn apply(cx: &Cx<'_>, _: &Desired, observed: Option<&Observed>, change: &Change) -> Result<Observed, Error> {
        match (change, observed) {
            (Change::Create(request), _) => {
                let made = cx.coder().create_organization(request).await?;
                let organization = Organizations::without_volatile(made);
                cx.put(&Organizations, organization.clone());
                Ok(Observed {
                    organization,
                    everyone_quota: None,
                    sharing: None,
                })
            }
            (_, None) => Err(Error::Superseded),
            (Change::Update(update), Some(observed)) => {
                let id = observed.organization.id;
                let answer = cx.coder().update_organization(id, &update.request).await?;
                let organization = Organizations::without_volatile(answer);
                cx.put(&Organizations, organization.clone());
                Ok(Observed {
                    organization,
                    ..observed.clone()
                })
            }
            (Change::SetEveryoneQuota(field), Some(observed)) => {
                let id = observed.organization.id;
                let request = UpdateGroup {
                    quota_allowance: Some(field.to),
                    ..UpdateGroup::default()
                };
                let everyone = cx.coder().update_group(id.everyone(), &request).await?;
                let everyone_quota = Some(everyone.quota_allowance);
                cx.put(&Groups(id), everyone.into());
                Ok(Observed {
                    everyone_quota,
                    ..observed.clone()
                })
            }
            (Change::SetSharing(field), Some(observed)) => {
                let id = observed.organization.id;
                let answer = cx.coder().update_workspace_sharing(id, &field.to).await?;
                cx.put(
                    &Sharing(id),
                    SharingItem {
                        owners: answer.owners(),
                        globally_disabled: false,
                    },
                );
                Ok(Observed {
                    sharing: Some(answer.owners()),
                    ..observed.clone()
                })
            }
        }
    }

    async fn complete(cx: &Cx<'_>, desired: &Desired, observed: Observed) -> Result<Observed, Error> {
        with_settings(cx, Some(desired), observed.organization).await
    }

    fn report(_: &Desired, observed: &Observed, status: &mut OrganizationStatus, _: Timestamp) -> Report {
        status.id = Some(observed.organization.id.to_string());
        status.name = Some(observed.organization.name.clone());
        Report::default()
    }

    fn created_at(observed: &Observed) -> Option<Timestamp> {
        observed.organization.created_at
    }

    fn deletion_default(_: Option<Origin>) -> DeletionPolicy {
        DeletionPolicy::Orphan
    }

    fn identify(observed: &Observed) -> OrganizationId {
        observed.organization.id
    }

    async fn delete(cx: &Cx<'_>, id: &OrganizationId, observed: &Observed) -> Result<(), Error> {
        let organization = &observed.organization;
        if organization.is_default {
            return Err(deletion_refused("the default organization is never deleted"));
        }
        look_first(cx, *id, &organization.name).await?;
        cx.coder().delete_organization(*id).await?;
        cx.remove(&Organizations, &id.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
