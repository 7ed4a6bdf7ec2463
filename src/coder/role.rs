//! Roles that can be given in an organization: `/organizations/{organization}/members/roles`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Client, Error, Method, OrganizationId, Path, wire::null_default};

const ROLES: &str = "/organizations/{organization}/members/roles";

/// What a role allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Permission {
    /// On what.
    pub resource_type: String,
    /// To do what.
    pub action: String,
    /// It forbids instead; no custom role may (recording 26).
    #[serde(default, deserialize_with = "null_default")]
    pub negate: bool,
}

/// A role of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrganizationRole {
    /// Its name, without the organization.
    pub name: String,
    /// As people read it.
    #[serde(default, deserialize_with = "null_default")]
    pub display_name: String,
    /// What it allows in the organization. A set: the server keeps what is sent twice twice.
    #[serde(default, deserialize_with = "null_default")]
    pub organization_permissions: BTreeSet<Permission>,
    /// Whether Coder defines it; all others are custom roles. Absent in the answer to a write.
    #[serde(default, deserialize_with = "null_default")]
    pub built_in: bool,
}

/// A custom role as it shall be: all of it, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CustomRole {
    /// Its name; the server stores it in lower case.
    pub name: String,
    /// As people read it; empty for none.
    pub display_name: String,
    /// What it allows in the organization.
    pub organization_permissions: BTreeSet<Permission>,
}

impl Client {
    /// The roles of an organization, built-in ones among them.
    pub async fn list_organization_roles(&self, organization: OrganizationId) -> Result<Vec<OrganizationRole>, Error> {
        self.get_list(Path::new(ROLES).segment(organization)).await
    }

    /// Makes a custom role. Permissions that the server does not know are refused.
    pub async fn create_custom_role(
        &self,
        organization: OrganizationId,
        role: &CustomRole,
    ) -> Result<OrganizationRole, Error> {
        self.call(Method::Post, Path::new(ROLES).segment(organization), Some(role))
            .await
    }

    /// Replaces a custom role. Permissions that the server does not know are refused before v2.20, and left out without a
    /// word since (recording 26): the answer shows which.
    pub async fn update_custom_role(
        &self,
        organization: OrganizationId,
        role: &CustomRole,
    ) -> Result<OrganizationRole, Error> {
        self.call(Method::Put, Path::new(ROLES).segment(organization), Some(role))
            .await
    }

    /// Deletes a custom role; whoever has it loses it.
    pub async fn delete_custom_role(&self, organization: OrganizationId, name: &str) -> Result<(), Error> {
        const ROLE: &str = "/organizations/{organization}/members/roles/{role}";
        let path = Path::new(ROLE).segment(organization).segment(name);
        self.call_unit(Method::Delete, path, None::<&()>).await
    }
}
