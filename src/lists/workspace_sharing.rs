//! The workspace sharing of an organization.

use super::{Entries, Setting};
use crate::coder::{self, Client, OrganizationId, ShareableOwners};

/// The workspace sharing of an organization.
#[derive(Clone, Debug)]
pub struct Sharing(pub OrganizationId);

/// Who may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingItem {
    /// Whose workspaces.
    pub owners: ShareableOwners,
    /// The server's flags switch it off, whatever the organization says.
    pub globally_disabled: bool,
}

impl Setting for Sharing {
    type Value = SharingItem;
    const NAME: &'static str = "workspace_sharing";
    // It is written without any (recording 14).
    const ENTRIES: Entries = Entries::None;

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    async fn read(&self, client: &Client) -> Result<SharingItem, coder::Error> {
        let settings = client.workspace_sharing(self.0).await?;
        Ok(SharingItem {
            owners: settings.owners(),
            globally_disabled: settings.sharing_globally_disabled,
        })
    }
}
