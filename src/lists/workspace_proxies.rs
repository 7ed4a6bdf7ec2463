//! The workspace proxies of a deployment.

use super::entry;
use crate::coder::{self, AuditEntry, Client, ProxyStatus, WorkspaceProxy};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// What a new token changes, as authors are asked for it: no list shows that there is one.
pub const TOKEN: &str = "tokenSecret";

/// All workspace proxies that are not deleted; the primary region is none.
#[derive(Clone, Debug)]
pub struct Proxies;

impl Proxies {
    /// Without what moves by itself.
    #[must_use]
    pub fn without_volatile(proxy: WorkspaceProxy) -> WorkspaceProxy {
        let status = proxy.status.map(|status| ProxyStatus {
            checked_at: None,
            ..status
        });
        WorkspaceProxy {
            updated_at: None,
            status,
            ..proxy
        }
    }

    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<WorkspaceProxy>) -> Concerned {
        if entry.resource_type != "workspace_proxy" || entry.changed_nothing() {
            return Concerned::NOTHING;
        }
        let fields = entry::logged_as(entry, &[("token_hashed_secret", TOKEN)]);
        if entry.diff.contains_key("token_hashed_secret") {
            Concerned::Unseen(vec![(entry.resource_id.to_string(), fields)])
        } else {
            Concerned::item(&entry.resource_id, fields)
        }
    }
}

impl Collection for Proxies {
    type Item = WorkspaceProxy;
    const NAME: &'static str = "workspace_proxies";
    // A proxy's health is nobody's doing.
    const LOG: Log<Self> = Log::Partial(Self::concern);

    fn key(item: &WorkspaceProxy) -> String {
        item.id.to_string()
    }

    fn names(item: &WorkspaceProxy) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<WorkspaceProxy>, coder::Error> {
        let proxies = client.list_proxies().await?.into_iter();
        Ok(proxies
            .filter(|proxy| !proxy.is_primary() && !proxy.deleted)
            .map(Self::without_volatile)
            .collect())
    }
}
