//! Whether the groups of an organization come from the identity provider.

use super::{Entries, Setting};
use crate::coder::{self, Client, OrganizationId};

/// Whether the groups of an organization come from the identity provider.
#[derive(Clone, Debug)]
pub struct GroupSync(pub OrganizationId);

impl Setting for GroupSync {
    type Value = bool;
    const NAME: &'static str = "group_sync";
    // Servers before 2026 write none.
    const ENTRIES: Entries = Entries::Some("idp_sync_settings_group");

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    async fn read(&self, client: &Client) -> Result<bool, coder::Error> {
        Ok(client.group_sync(self.0).await?.is_on())
    }
}
