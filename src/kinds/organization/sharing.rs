//! The workspace sharing of an organization, as a collection of one item.

use crate::coder::{self, Client, OrganizationId, ShareableOwners};
use crate::mirror::Collection;

/// The id of the one item.
pub(super) const SHARING_KEY: &str = "settings";

/// The workspace sharing of an organization: always one item.
#[derive(Clone, Debug)]
pub(in crate::kinds) struct Sharing(pub(super) OrganizationId);

/// Who may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kinds) struct SharingItem {
    pub(super) owners: ShareableOwners,
    pub(super) globally_disabled: bool,
}

impl Collection for Sharing {
    type Item = SharingItem;
    const NAME: &'static str = "workspace_sharing";

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(_: &SharingItem) -> String {
        SHARING_KEY.to_owned()
    }

    async fn list(&self, client: &Client) -> Result<Vec<SharingItem>, coder::Error> {
        let settings = client.workspace_sharing(self.0).await?;
        Ok(vec![SharingItem {
            owners: settings.owners(),
            globally_disabled: settings.sharing_globally_disabled,
        }])
    }
}
