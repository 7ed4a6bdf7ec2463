//! Where a sync is: in an organization, or in the deployment.

use std::fmt;

use super::SyncKind;
use super::kind::Goal;
use crate::api::{FoundOrganization, Scope};
use crate::coder::{DeploymentId, OrganizationId, SyncMapping};
use crate::engine::{Cx, Error};
use crate::kinds::parent::Parent;
use crate::lists::Organizations;
use crate::mirror::Interest;

/// Where a sync is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In an organization.
    Organization(Parent),
    /// In the deployment.
    Deployment(DeploymentId),
}

impl Place {
    /// The organization, if it is in one.
    pub(in crate::kinds) fn within(&self) -> Option<OrganizationId> {
        match self {
            Self::Organization(parent) => Some(parent.id),
            Self::Deployment(_) => None,
        }
    }

    /// The same, as the status shows it.
    pub(in crate::kinds) fn found(&self) -> FoundOrganization {
        match self {
            Self::Organization(parent) => parent.found(),
            Self::Deployment(_) => FoundOrganization::default(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(parent) => parent.id.fmt(f),
            Self::Deployment(id) => id.fmt(f),
        }
    }
}

/// Where that id is, if it is there.
pub(super) async fn place<K: SyncKind>(cx: &Cx<'_>, id: &str) -> Result<Option<Place>, Error> {
    let deployment = cx.connection.link.deployment;
    if K::SCOPE != Scope::Administration {
        return Ok((deployment.to_string() == id).then_some(Place::Deployment(deployment)));
    }
    let organization = cx.get(&Organizations, id).await?;
    Ok(organization.map(|organization| {
        Place::Organization(Parent {
            id: organization.id,
            name: organization.name,
            moved: None,
        })
    }))
}

/// The organizations that such a setting is about: its own, or those that claims are mapped to.
pub(super) async fn organizations<K: SyncKind>(
    cx: &Cx<'_>,
    place: &Place,
    mapping: Option<&SyncMapping<Goal<K>>>,
) -> Result<Vec<String>, Error> {
    if let Place::Organization(parent) = place {
        return Ok(vec![parent.name.clone()]);
    }
    let targets = mapping.into_iter().flatten().flat_map(|(_, targets)| targets);
    let ids: Vec<String> = targets.map(ToString::to_string).collect();
    let organizations = cx.list(&Organizations, Interest::Any).await?;
    let names = ids.iter().filter_map(|id| organizations.get(id));
    Ok(names.map(|organization| organization.name.clone()).collect())
}
