//! The OAuth2 applications of a deployment, and the client secrets of one.

use super::entry;
use crate::coder::{self, AuditEntry, Client, OAuth2App, OAuth2AppId, OAuth2Secret};
use crate::mirror::{Collection, Concerned, Fields, Log, Snapshot};

/// All OAuth2 applications.
#[derive(Clone, Debug)]
pub struct OAuth2Apps;

impl OAuth2Apps {
    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<OAuth2App>) -> Concerned {
        if entry.resource_type == "oauth2_provider_app" {
            Concerned::item(&entry.resource_id, entry::logged(entry))
        } else {
            Concerned::NOTHING
        }
    }
}

impl Collection for OAuth2Apps {
    type Item = OAuth2App;
    const NAME: &'static str = "oauth2_apps";
    // No server between the two that were recorded was asked what it logs.
    const LOG: Log<Self> = Log::Partial(Self::concern);

    fn key(item: &OAuth2App) -> String {
        item.id.to_string()
    }

    fn names(item: &OAuth2App) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<OAuth2App>, coder::Error> {
        client.list_oauth2_apps().await
    }
}

/// The client secrets of an application, without when they were last used.
#[derive(Clone, Debug)]
pub struct OAuth2Secrets(pub OAuth2AppId);

impl OAuth2Secrets {
    /// The log does not say of which application a secret is.
    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<OAuth2Secret>) -> Concerned {
        if entry.resource_type == "oauth2_provider_app_secret" {
            Concerned::Whole(Fields::All)
        } else {
            Concerned::NOTHING
        }
    }
}

impl Collection for OAuth2Secrets {
    type Item = OAuth2Secret;
    const NAME: &'static str = "oauth2_secrets";
    const LOG: Log<Self> = Log::Partial(Self::concern);

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &OAuth2Secret) -> String {
        item.id.clone()
    }

    async fn list(&self, client: &Client) -> Result<Vec<OAuth2Secret>, coder::Error> {
        client.list_oauth2_secrets(self.0).await
    }
}
