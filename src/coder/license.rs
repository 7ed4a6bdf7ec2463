//! Licences: `/licenses`. The server never returns a JWT again; a licence is recognised by its claims.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Client, Error, LicenseClaims, LicenseId, Method, Path,
    wire::{expose, null_default},
};

/// A stored licence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct License {
    /// Its number. Refused duplicates use numbers up.
    pub id: LicenseId,
    /// The JWT's `jti` if that is a UUID, otherwise random.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// When it was stored.
    #[serde(default)]
    pub uploaded_at: Option<Timestamp>,
    /// The JWT's payload as it was signed.
    #[serde(default, deserialize_with = "null_default")]
    pub claims: Map<String, Value>,
}

impl License {
    /// What identifies it: equal for the same JWT, here and on the server.
    #[must_use]
    pub fn digest(&self) -> String {
        LicenseClaims::digest_of(&self.claims)
    }

    /// Its claims, as those of a JWT are read.
    #[must_use]
    pub fn claims(&self) -> LicenseClaims {
        LicenseClaims {
            key_id: None,
            algorithm: None,
            raw: self.claims.clone(),
        }
    }
}

#[derive(Serialize)]
struct AddLicense<'a> {
    #[serde(serialize_with = "expose")]
    license: &'a SecretString,
}

impl Client {
    /// All licences, oldest first. **Empty for a token that may not read them**: the server answers `[]`, not 403
    /// (recording 10).
    pub async fn list_licenses(&self) -> Result<Vec<License>, Error> {
        self.get_list(Path::new("/licenses")).await
    }

    /// Stores a licence. [`Class::AlreadyExists`](super::Class::AlreadyExists) if this very JWT is stored already.
    /// The server gives the same reason for whatever is wrong with one: see [`LicenseClaims::refusals`].
    pub async fn add_license(&self, jwt: &SecretString) -> Result<License, Error> {
        self.call(Method::Post, Path::new("/licenses"), Some(&AddLicense { license: jwt }))
            .await
    }

    /// Removes a licence.
    pub async fn delete_license(&self, id: LicenseId) -> Result<(), Error> {
        self.call_unit(
            Method::Delete,
            Path::new("/licenses/{license}").segment(id),
            None::<&()>,
        )
        .await
    }
}
