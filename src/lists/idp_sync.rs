//! How Coder follows the identity provider, in an organization or in the whole deployment.

use std::marker::PhantomData;

use super::{Entries, Setting};
use crate::coder::{
    self, Client, GroupSyncSettings, IdpSync, OrganizationId, OrganizationSyncSettings, RoleSyncSettings,
};

/// One of the settings by which Coder follows the identity provider.
#[derive(Clone, Debug)]
pub struct Synced<S> {
    within: Option<OrganizationId>,
    settings: PhantomData<fn() -> S>,
}

/// How the groups of an organization follow the identity provider.
pub type GroupSync = Synced<GroupSyncSettings>;

/// How the roles in an organization follow the identity provider.
pub type RoleSync = Synced<RoleSyncSettings>;

/// How membership in organizations follows the identity provider.
pub type OrganizationSync = Synced<OrganizationSyncSettings>;

impl<S> Synced<S> {
    /// That of an organization.
    #[must_use]
    pub fn of(organization: OrganizationId) -> Self {
        Self::within(Some(organization))
    }

    /// That of an organization, or of the deployment.
    #[must_use]
    pub fn within(within: Option<OrganizationId>) -> Self {
        Self {
            within,
            settings: PhantomData,
        }
    }
}

impl<S: IdpSync> Setting for Synced<S> {
    type Value = S;
    const NAME: &'static str = S::NAME;
    const ENTRIES: Entries = Entries::Some(S::LOGGED);

    fn within(&self) -> Option<OrganizationId> {
        self.within
    }

    async fn read(&self, client: &Client) -> Result<S, coder::Error> {
        client.idp_sync(self.within).await
    }
}
