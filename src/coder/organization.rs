//! Organizations: `/organizations`.
//!
//! From v2.20 on a deleted organization stays in the database and **keeps answering 200 by id**, to reads, changes and
//! deletions (recording 02). Only [`Client::list_organizations`] and a lookup by name tell. Before v2.20 deleting one
//! erases everything in it at once and without asking.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Client, Error, Method, OrganizationId, OrganizationRef, Path, user::absent_is_none, wire::null_default};

const ONE: &str = "/organizations/{organization}";

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Unique among those that are not deleted, case-insensitive; free again after deletion.
    pub name: String,
    /// Its name if none was given.
    #[serde(default, deserialize_with = "null_default")]
    pub display_name: String,
    /// A path of an emoji, or a URL.
    #[serde(default, deserialize_with = "null_default")]
    pub icon: String,
    /// Free text.
    #[serde(default, deserialize_with = "null_default")]
    pub description: String,
    /// The one that always exists and cannot be deleted.
    #[serde(default, deserialize_with = "null_default")]
    pub is_default: bool,
    /// Roles that every member has, v2.35 and later. None on a server without them.
    #[serde(default)]
    pub default_org_member_roles: Option<Vec<String>>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
}

/// A new organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateOrganization {
    /// Coder's name rule, at most 32 bytes; not `default`.
    pub name: String,
    /// The name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Empty if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Empty if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
}

/// A change; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateOrganization {
    /// Empty = unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Empty = unchanged: it cannot be cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Replaces the list; v2.35 and later. Anything but `organization-workspace-access` alone needs the experiment
    /// `minimum-implicit-member`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_org_member_roles: Option<Vec<String>>,
}

impl Client {
    /// All organizations that are not deleted and that the token may read.
    pub async fn list_organizations(&self) -> Result<Vec<Organization>, Error> {
        self.get_list(Path::new("/organizations")).await
    }

    /// One organization. **By id, a deleted one answers too.**
    pub async fn get_organization(&self, organization: &OrganizationRef) -> Result<Option<Organization>, Error> {
        absent_is_none(self.get(Path::new(ONE).segment(organization)).await)
    }

    /// Creates one, with the caller as its member and a group `Everyone` of the same id.
    pub async fn create_organization(&self, request: &CreateOrganization) -> Result<Organization, Error> {
        self.call(Method::Post, Path::new("/organizations"), Some(request))
            .await
    }

    /// Changes one.
    pub async fn update_organization(
        &self,
        id: OrganizationId,
        request: &UpdateOrganization,
    ) -> Result<Organization, Error> {
        self.call(Method::Patch, Path::new(ONE).segment(id), Some(request))
            .await
    }

    /// Deletes one. [`Class::DependentsExist`](super::Class::DependentsExist) while it holds anything, but only from
    /// v2.20 on: **look first**.
    pub async fn delete_organization(&self, id: OrganizationId) -> Result<(), Error> {
        self.call_unit(Method::Delete, Path::new(ONE).segment(id), None::<&()>)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_not_sent() {
        let request = UpdateOrganization {
            description: Some(String::new()),
            ..UpdateOrganization::default()
        };
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"description":""}"#);
    }
}
