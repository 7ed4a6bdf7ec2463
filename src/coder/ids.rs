//! Identifiers as types of their own, so that a user's id cannot be passed where a group's is meant.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is no id as Coder writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no id: 36 characters with hyphens are")]
pub struct NoId;

/// Coder writes ids with hyphens. Other spellings of a UUID are names: 32 hexadecimal digits are a fine name for a group.
fn hyphenated(text: &str) -> Result<Uuid, NoId> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(NoId);
    }
    Uuid::try_parse(text).map_err(|_| NoId)
}

/// An id that Coder writes as a UUID.
macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hyphenated(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

uuid_id! {
    /// An organization. Its group `Everyone` has the same value as [`GroupId`].
    OrganizationId;
    /// A group of one organization.
    GroupId;
    /// A user of the deployment.
    UserId;
    /// A template of one organization.
    TemplateId;
    /// A workspace proxy. The primary region is listed among the proxies with the deployment's id.
    ProxyId;
    /// A provisioner key of one organization.
    ProvisionerKeyId;
    /// An OAuth2 application: its client id.
    OAuth2AppId;
    /// A Coder deployment: the same for all its replicas, and for as long as its database lives.
    DeploymentId;
}

impl OrganizationId {
    /// The group every member belongs to: Coder gives it the organization's own id.
    #[must_use]
    pub fn everyone(self) -> GroupId {
        GroupId(self.0)
    }
}

impl UserId {
    /// The user that owns prebuilt workspaces. It may be put into a group (v2.24+) but is never returned among the
    /// group's members, so that adding it again answers "twice".
    pub const PREBUILDS: Self = Self(Uuid::from_u128(0xc42f_df75_3097_471c_8c33_fb52_454d_81c0));
}

/// A stored licence: a counter, because Coder's licences have no natural key that the API would accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LicenseId(pub i32);

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LicenseId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// How an organization is named in a path.
///
/// An id also reaches deleted organizations on servers from v2.20 on (they keep answering 200 by id, recording 02);
/// a name never does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrganizationRef {
    /// By id.
    Id(OrganizationId),
    /// By name, case-insensitive. `default` is the default organization.
    Name(String),
}

impl fmt::Display for OrganizationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl From<OrganizationId> for OrganizationRef {
    fn from(id: OrganizationId) -> Self {
        Self::Id(id)
    }
}

impl FromStr for OrganizationRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7c60d51f-b44e-4682-87d6-449835ea4de6";

    #[test]
    fn an_id_reads_and_writes_as_the_server_does() {
        let id: OrganizationId = ID.parse().unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{ID}\""));
        assert_eq!(
            serde_json::from_str::<OrganizationId>(&format!("\"{ID}\"")).unwrap(),
            id
        );
        assert_eq!(id.everyone().to_string(), ID);
        for name in [
            "backend",
            &ID.replace('-', ""),
            &format!("{{{ID}}}"),
            &format!("urn:uuid:{ID}"),
        ] {
            assert_eq!(name.parse::<GroupId>(), Err(NoId), "{name}");
        }
    }

    #[test]
    fn a_licence_id_is_a_json_number() {
        assert_eq!(serde_json::from_str::<LicenseId>("3").unwrap(), LicenseId(3));
        assert_eq!(serde_json::to_string(&LicenseId(3)).unwrap(), "3");
    }

    #[test]
    fn a_reference_is_an_id_exactly_when_it_is_written_as_one() {
        assert_eq!(ID.parse(), Ok(OrganizationRef::Id(ID.parse().unwrap())));
        let name = ID.replace('-', "");
        assert_eq!(name.parse(), Ok(OrganizationRef::Name(name)));
        assert_eq!("alpha".parse(), Ok(OrganizationRef::Name("alpha".into())));
    }

    #[test]
    fn the_prebuilds_user_is_the_documented_one() {
        assert_eq!(UserId::PREBUILDS.to_string(), "c42fdf75-3097-471c-8c33-fb52454d81c0");
    }
}
