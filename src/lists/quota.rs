//! What a member of an organization may spend.

use crate::coder::{self, Client, OrganizationId, Quota, UserId};
use crate::mirror::Collection;

/// The quota of a member, as a list of one item.
#[derive(Clone, Debug)]
pub struct QuotaOf {
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub user: UserId,
}

impl Collection for QuotaOf {
    type Item = Quota;
    const NAME: &'static str = "quota";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.organization)
    }

    fn id(&self) -> String {
        format!("{}/{}/{}", Self::NAME, self.organization, self.user)
    }

    fn key(_: &Quota) -> String {
        super::SETTING.to_owned()
    }

    async fn list(&self, client: &Client) -> Result<Vec<Quota>, coder::Error> {
        Ok(vec![client.member_quota(self.organization, self.user).await?])
    }
}
