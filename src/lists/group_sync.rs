//! How the groups of an organization follow the identity provider.

use super::{Entries, Setting};
use crate::coder::{self, Client, GroupSyncSettings, OrganizationId};

/// How the groups of an organization follow the identity provider.
#[derive(Clone, Debug)]
pub struct GroupSync(pub OrganizationId);

impl Setting for GroupSync {
    type Value = GroupSyncSettings;
    const NAME: &'static str = "group_sync";
    // Servers before 2026 write none.
    const ENTRIES: Entries = Entries::Some("idp_sync_settings_group");

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    async fn read(&self, client: &Client) -> Result<GroupSyncSettings, coder::Error> {
        client.group_sync(self.0).await
    }
}
