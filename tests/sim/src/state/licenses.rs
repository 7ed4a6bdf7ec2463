//! Licences that are stored.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::State;
use crate::clock::rfc3339;
use crate::license;

/// A licence that is stored.
#[derive(Clone, Debug, Serialize)]
pub struct License {
    /// Number by which the API deletes it.
    pub id: i32,
    /// The licence's own id if that is a UUID.
    pub uuid: Uuid,
    /// The JWT's payload.
    pub claims: Map<String, Value>,
    /// The JWT.
    pub jwt: String,
    /// When it was stored.
    #[serde(serialize_with = "super::serialize_time")]
    pub uploaded_at: Timestamp,
}

/// Why a licence is not stored.
pub(crate) enum LicenseRefusal {
    Invalid(&'static str),
    /// The deployments it is for.
    OtherDeployment(Vec<String>),
    /// The constraint that it violates.
    Duplicate(&'static str),
}

impl License {
    /// A claim that is a number; what is absent is zero.
    pub(super) fn number(&self, claim: &str) -> i64 {
        license::number(&self.claims, claim).unwrap_or_default()
    }

    /// A claim that is yes or no; what is absent is no.
    pub(super) fn says(&self, claim: &str) -> bool {
        self.claims.get(claim).and_then(Value::as_bool) == Some(true)
    }
}

impl State {
    /// Stores a licence. A duplicate uses up an id (recording 01).
    pub(crate) fn insert_license(&mut self, jwt: &str) -> Result<i32, LicenseRefusal> {
        let now = self.now();
        let claims = license::read(jwt, now).map_err(LicenseRefusal::Invalid)?;
        let deployments = claims.get("deployment_ids").and_then(Value::as_array);
        let deployments: Vec<String> = deployments
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect();
        if !deployments.is_empty() && !deployments.contains(&self.deployment_id.to_string()) {
            return Err(LicenseRefusal::OtherDeployment(deployments));
        }
        self.last_license_id += 1;
        if self.licenses.values().any(|license| license.jwt == jwt) {
            return Err(LicenseRefusal::Duplicate("licenses_jwt_key"));
        }
        let id = self.last_license_id;
        if self.licenses.contains_key(&id) {
            return Err(LicenseRefusal::Duplicate("licenses_pkey"));
        }
        let jti = claims.get("jti").and_then(Value::as_str).unwrap_or_default();
        let uuid = Uuid::try_parse(jti).unwrap_or_else(|_| Uuid::new_v4());
        let license = License {
            id,
            uuid,
            claims,
            jwt: jwt.to_owned(),
            uploaded_at: now,
        };
        self.licenses.insert(id, license);
        self.refresh_entitlements();
        Ok(id)
    }

    pub(crate) fn delete_license(&mut self, id: i32) -> bool {
        let found = self.licenses.remove(&id).is_some();
        if found {
            self.refresh_entitlements();
        }
        found
    }

    pub(crate) fn license_json(license: &License) -> Value {
        json!({
            "id": license.id,
            "uuid": license.uuid,
            "uploaded_at": rfc3339(license.uploaded_at),
            "claims": license.claims,
        })
    }
}
