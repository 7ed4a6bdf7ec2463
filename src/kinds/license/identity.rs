//! Which licence of Coder's is ours. A number alone proves nothing: after a restore it may be somebody else's, so what it
//! shows is compared with what is known of the licence, and once more right before a deletion.

use std::fmt;

use super::super::absence;
use crate::api::{LicenseStatus, ReplacedLicense};
use crate::coder::LicenseId;
use crate::engine::{Cx, Error};
use crate::lists::{LicenseItem, Licenses};

/// A licence of ours, as the status knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: LicenseId,
    uuid: Option<String>,
    digest: Option<String>,
}

/// What the status keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) current: Known,
    /// Those that it replaced and that are still there.
    pub(super) replaced: Vec<Known>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.current.held())
    }
}

impl Known {
    /// Whether this is what the number shows.
    fn is(&self, item: &LicenseItem) -> bool {
        let same_claims = self.digest.as_ref() == Some(&item.digest);
        let same_row = self.uuid.is_some() && self.uuid == item.uuid;
        self.id == item.id && (same_claims || same_row)
    }

    pub(super) fn digest(&self) -> Option<&String> {
        self.digest.as_ref()
    }

    /// Equal for two who hold the same licence, and not for one whose number has become another's.
    pub(super) fn held(&self) -> String {
        let digest = self.digest.as_deref().unwrap_or_default();
        format!("{} {digest}", self.id)
    }

    /// The licence, if the number still shows it.
    async fn look(&self, cx: &Cx<'_>) -> Result<Option<LicenseItem>, Error> {
        let shown = cx.get(&Licenses, &self.id.to_string()).await?;
        Ok(shown.filter(|item| self.is(item)))
    }

    /// Removes the licence, if a list that is read now shows it. What shows under its number otherwise is not ours.
    pub(super) async fn remove(&self, cx: &Cx<'_>) -> Result<(), Error> {
        cx.invalidate(&Licenses);
        let number = self.id.to_string();
        let Some(shown) = cx.get(&Licenses, &number).await? else {
            return absence::believe_of_owners(cx, "the licence");
        };
        if !self.is(&shown) {
            tracing::warn!(number, "the number shows another licence: it is left alone");
            return Ok(());
        }
        match cx.coder().delete_license(self.id).await {
            // Coder checks the permission first: a 404 here means that it is gone.
            Err(error) if !error.is_absent() => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        cx.remove(&Licenses, &number);
        cx.recheck_instance();
        Ok(())
    }
}

impl From<&LicenseItem> for Known {
    fn from(item: &LicenseItem) -> Self {
        Self {
            id: item.id,
            uuid: item.uuid.clone(),
            digest: Some(item.digest.clone()),
        }
    }
}

impl From<&ReplacedLicense> for Known {
    fn from(replaced: &ReplacedLicense) -> Self {
        Self {
            id: LicenseId(replaced.id),
            uuid: replaced.uuid.clone(),
            digest: Some(replaced.claims_digest.clone()),
        }
    }
}

impl From<&LicenseItem> for ReplacedLicense {
    fn from(item: &LicenseItem) -> Self {
        Self {
            id: item.id.0,
            uuid: item.uuid.clone(),
            claims_digest: item.digest.clone(),
        }
    }
}

impl Identity {
    /// From the status, if it knows of one.
    pub(super) fn of(status: &LicenseStatus) -> Option<Self> {
        let current = Known {
            id: LicenseId(status.id?),
            uuid: status.uuid.clone(),
            digest: status.claims_digest.clone(),
        };
        Some(Self {
            current,
            replaced: status.replaced.iter().map(Known::from).collect(),
        })
    }

    /// All licences that are ours, the current one first, as far as they are still there.
    pub(super) async fn ours(&self, cx: &Cx<'_>) -> Result<Vec<LicenseItem>, Error> {
        let mut ours = Vec::new();
        for known in std::iter::once(&self.current).chain(&self.replaced) {
            ours.extend(known.look(cx).await?);
        }
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::item;
    use super::*;

    fn known(id: i32, uuid: Option<&str>, digest: Option<&str>) -> Known {
        Known {
            id: LicenseId(id),
            uuid: uuid.map(str::to_owned),
            digest: digest.map(str::to_owned),
        }
    }

    #[test]
    fn a_number_alone_proves_nothing() {
        let shown = LicenseItem {
            uuid: Some("u".into()),
            ..item(3, "d".into())
        };
        assert!(known(3, Some("u"), Some("d")).is(&shown));
        assert!(known(3, None, Some("d")).is(&shown), "the claims say it");
        assert!(known(3, Some("u"), None).is(&shown), "the uuid says it");
        assert!(
            !known(3, Some("v"), Some("e")).is(&shown),
            "the number is another's now"
        );
        assert!(!known(3, None, None).is(&shown), "nothing but the number");
        assert!(!known(4, Some("u"), Some("d")).is(&shown), "another number");
        let nameless = LicenseItem { uuid: None, ..shown };
        assert!(
            !known(3, None, Some("e")).is(&nameless),
            "two unknown uuids are not one"
        );
    }

    #[test]
    fn two_hold_the_same_only_if_number_and_claims_are_the_same() {
        assert_eq!(known(3, None, Some("d")).held(), known(3, Some("u"), Some("d")).held());
        assert_ne!(known(3, None, Some("d")).held(), known(3, None, Some("e")).held());
    }
}
