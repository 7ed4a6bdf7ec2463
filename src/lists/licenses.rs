//! The licences of a deployment.

use jiff::Timestamp;

use super::entry;
use crate::coder::{self, AuditEntry, Client, LicenseClaims, LicenseId};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// All licences.
#[derive(Clone, Debug)]
pub struct Licenses;

/// A licence as Coder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseItem {
    /// Its number.
    pub id: LicenseId,
    /// Its uuid.
    pub uuid: Option<String>,
    /// SHA-256 of its claims.
    pub digest: String,
    /// What it says.
    pub claims: LicenseClaims,
    /// When it was stored.
    pub uploaded_at: Option<Timestamp>,
}

impl From<coder::License> for LicenseItem {
    fn from(license: coder::License) -> Self {
        Self {
            id: license.id,
            uuid: license.uuid.map(|uuid| uuid.to_string()),
            digest: license.digest(),
            claims: license.claims(),
            uploaded_at: license.uploaded_at,
        }
    }
}

impl Licenses {
    /// The log knows licences by their uuid.
    fn concern(_: &Self, entry: &AuditEntry, known: &Snapshot<LicenseItem>) -> Concerned {
        if entry.resource_type != "license" {
            return Concerned::NOTHING;
        }
        let uuid = Some(entry.resource_id.to_string());
        match known.iter().find(|license| license.uuid == uuid) {
            Some(license) => Concerned::item(&license.id, entry::logged(entry)),
            None => Concerned::Whole(entry::logged(entry)),
        }
    }
}

impl Collection for Licenses {
    type Item = LicenseItem;
    const NAME: &'static str = "licenses";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn key(item: &LicenseItem) -> String {
        item.id.to_string()
    }

    async fn list(&self, client: &Client) -> Result<Vec<LicenseItem>, coder::Error> {
        let licenses = client.list_licenses().await?.into_iter();
        Ok(licenses.map(LicenseItem::from).collect())
    }
}
