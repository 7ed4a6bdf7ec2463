//! The workspace proxies of a deployment.

use super::entry;
use crate::coder::{self, AuditEntry, Client, ProxyStatus, WorkspaceProxy};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

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
        match entry.resource_type.as_str() {
            "workspace_proxy" => Concerned::item(&entry.resource_id, entry::logged(entry)),
            _ => Concerned::NOTHING,
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
