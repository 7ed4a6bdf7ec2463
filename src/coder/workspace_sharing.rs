//! Who may share workspaces in an organization: `/organizations/{organization}/settings/workspace-sharing`, v2.30+.

use serde::{Deserialize, Serialize};

use super::{
    Client, Error, Method, OrganizationId, Path,
    wire::{null_default, open_enum},
};

const SETTINGS: &str = "/organizations/{organization}/settings/workspace-sharing";

open_enum! {
    /// Whose workspaces may be shared with others.
    pub enum ShareableOwners {
        /// Nobody's.
        None = "none",
        /// Everybody's.
        Everyone = "everyone",
        /// Those of service accounts only, v2.32 and later.
        ServiceAccounts = "service_accounts",
    }
}

/// The settings of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkspaceSharing {
    /// The deployment forbids sharing: the rest then reads as `none` whatever is stored. Never set in the answer to a
    /// change.
    #[serde(default, deserialize_with = "null_default")]
    pub sharing_globally_disabled: bool,
    /// The older form.
    #[serde(default, deserialize_with = "null_default")]
    sharing_disabled: bool,
    #[serde(default)]
    shareable_workspace_owners: Option<ShareableOwners>,
}

impl WorkspaceSharing {
    /// Whose workspaces may be shared, whichever form the server speaks.
    #[must_use]
    pub fn owners(&self) -> ShareableOwners {
        match &self.shareable_workspace_owners {
            Some(owners) => owners.clone(),
            None if self.sharing_disabled => ShareableOwners::None,
            None => ShareableOwners::Everyone,
        }
    }
}

/// Both forms: a server that knows only the older one would read the newer one alone as `{}`, which means everyone.
#[derive(Serialize)]
struct Update<'a> {
    shareable_workspace_owners: &'a ShareableOwners,
    sharing_disabled: bool,
}

impl Client {
    /// The settings of an organization. Unsupported before v2.30.
    pub async fn workspace_sharing(&self, organization: OrganizationId) -> Result<WorkspaceSharing, Error> {
        self.get(Path::new(SETTINGS).segment(organization)).await
    }

    /// Changes them. **Away from `everyone`, the server erases how workspaces are shared now, for good.**
    pub async fn update_workspace_sharing(
        &self,
        organization: OrganizationId,
        owners: &ShareableOwners,
    ) -> Result<WorkspaceSharing, Error> {
        let body = Update {
            shareable_workspace_owners: owners,
            sharing_disabled: *owners != ShareableOwners::Everyone,
        };
        self.call(Method::Patch, Path::new(SETTINGS).segment(organization), Some(&body))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let owners = |body| serde_json::from_str::<WorkspaceSharing>(body).unwrap().owners();
        assert_eq!(owners(r#"{"sharing_disabled":true}"#), ShareableOwners::None);
        assert_eq!(owners(r#"{"sharing_disabled":false}"#), ShareableOwners::Everyone);
        assert_eq!(
            owners(r#"{"sharing_disabled":false,"shareable_workspace_owners":"service_accounts"}"#),
            ShareableOwners::ServiceAccounts
        );
    }
}
