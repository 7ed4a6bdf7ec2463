//! Licences and the entitlements that follow from them.
//!
//! Entitlements are cached as on the real server: computed when a licence comes or goes, when asked to, and at the latest
//! ten minutes after the last time. A licence that lapses is therefore noticed late.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{State, UserStatus};
use crate::clock::{rfc3339, seconds_between};
use crate::license;
use crate::profile::Profile;

/// Seconds after which the cache is computed anew.
const STALE: f64 = 600.0;
/// Part of no licence set: sold as an add-on (recording 01).
const ADD_ONS: &[&str] = &["ai_governance_user_limit", "user_limit"];
/// Only in the Premium set.
const PREMIUM_ONLY: &[&str] = &["custom_roles", "multiple_organizations", "service_accounts"];
/// Off although licensed, because the deployment is not configured for them (recording 01).
const NOT_CONFIGURED: &[&str] = &["browser_only", "external_token_encryption", "scim"];

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
    OtherDeployment,
    Duplicate,
}

/// The cached result.
#[derive(Clone, Debug)]
pub(crate) struct Entitlements {
    pub(crate) features: BTreeMap<&'static str, Value>,
    pub(crate) warnings: Vec<&'static str>,
    pub(crate) has_license: bool,
    pub(crate) trial: bool,
    pub(crate) refreshed_at: Timestamp,
}

impl Entitlements {
    pub(crate) fn unlicensed(profile: Profile, now: Timestamp) -> Self {
        Self::compute(profile, &[], 0, now)
    }

    fn compute(profile: Profile, licenses: &[&License], active_users: usize, now: Timestamp) -> Self {
        let valid: Vec<(&License, &'static str)> = licenses
            .iter()
            .filter_map(|license| standing(license, now).map(|standing| (*license, standing)))
            .collect();
        let features = profile.traits().features.iter();
        let features: BTreeMap<&'static str, Value> = features
            .map(|name| (*name, feature(name, &valid, active_users)))
            .collect();
        let gateway_without_add_on = features.get("aibridge").is_some_and(is_enabled)
            && !features.get("ai_governance_user_limit").is_some_and(is_enabled);
        Self {
            features,
            warnings: gateway_without_add_on
                .then_some(
                    "The AI Governance add-on is required to use AI Gateway. Please reach out to your account team or \
                     sales@coder.com to learn more.",
                )
                .into_iter()
                .collect(),
            has_license: !valid.is_empty(),
            trial: valid
                .iter()
                .any(|(license, _)| license.claims.get("trial").and_then(Value::as_bool) == Some(true)),
            refreshed_at: now,
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "features": self.features,
            "warnings": self.warnings,
            "errors": [],
            "has_license": self.has_license,
            "trial": self.trial,
            "require_telemetry": false,
            "refreshed_at": rfc3339(self.refreshed_at),
        })
    }
}

/// `entitled` until it expires, `grace_period` until it is over, nothing before and after.
fn standing(license: &License, now: Timestamp) -> Option<&'static str> {
    let now = now.as_second();
    let claim = |name| license::number(&license.claims, name).unwrap_or_default();
    if claim("nbf") > now || claim("exp") <= now {
        return None;
    }
    Some(if claim("license_expires") > now {
        "entitled"
    } else {
        "grace_period"
    })
}

/// What a licence says about a feature: its number, if it grants it.
fn grant(license: &License, name: &str) -> Option<i64> {
    let single = license
        .claims
        .get("features")
        .and_then(|features| features.get(name))
        .and_then(Value::as_i64);
    if let Some(value) = single.filter(|value| *value > 0) {
        return Some(value);
    }
    let set = license
        .claims
        .get("feature_set")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let all = license.claims.get("all_features").and_then(Value::as_bool) == Some(true);
    let in_set = if set.eq_ignore_ascii_case("premium") {
        !ADD_ONS.contains(&name)
    } else if all || set.eq_ignore_ascii_case("enterprise") {
        !ADD_ONS.contains(&name) && !PREMIUM_ONLY.contains(&name)
    } else {
        false
    };
    in_set.then_some(1)
}

fn feature(name: &'static str, valid: &[(&License, &'static str)], active_users: usize) -> Value {
    let granted: Vec<(i64, &'static str)> = valid
        .iter()
        .filter_map(|(license, standing)| grant(license, name).map(|value| (value, *standing)))
        .collect();
    // Of several licences the better standing counts.
    let standing = granted
        .iter()
        .map(|(_, standing)| *standing)
        .min_by_key(|standing| *standing != "entitled");
    let mut body = json!({
        "entitlement": standing.unwrap_or("not_entitled"),
        "enabled": standing.is_some() && !NOT_CONFIGURED.contains(&name),
    });
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    let limit = granted.iter().map(|(value, _)| *value).max();
    match name {
        "user_limit" => {
            if let Some(limit) = limit {
                object.insert("limit".to_owned(), json!(limit));
            }
            object.insert("actual".to_owned(), json!(active_users));
        }
        "managed_agent_limit" if standing.is_some() => {
            object.insert(
                "limit".to_owned(),
                json!(limit.filter(|limit| *limit > 1).unwrap_or(1000)),
            );
            object.insert("actual".to_owned(), json!(0));
            // A constant of the server, not of the licence (recording 01).
            object.insert(
                "usage_period".to_owned(),
                json!({
                    "issued_at": "2025-07-01T00:00:00Z",
                    "start": "2025-07-01T00:00:00Z",
                    "end": "2125-07-01T00:00:00Z",
                }),
            );
        }
        _ => {}
    }
    body
}

fn is_enabled(feature: &Value) -> bool {
    feature.get("enabled").and_then(Value::as_bool) == Some(true)
}

impl State {
    /// Computes the entitlements anew.
    pub(crate) fn refresh_entitlements(&mut self) {
        let active = self
            .users
            .values()
            .filter(|user| !user.deleted && user.status == UserStatus::Active)
            .count();
        let licenses: Vec<&License> = self.licenses.values().collect();
        self.entitlements = Entitlements::compute(self.profile, &licenses, active, self.now());
        for name in &self.switched_off {
            if let Some(feature) = self.entitlements.features.get_mut(name) {
                feature["enabled"] = json!(false);
            }
        }
    }

    /// The entitlements, computed anew if they are stale.
    pub(crate) fn current_entitlements(&mut self) -> &Entitlements {
        if seconds_between(self.entitlements.refreshed_at, self.now()).abs() >= STALE {
            self.refresh_entitlements();
        }
        &self.entitlements
    }

    pub(crate) fn feature_enabled(&mut self, name: &str) -> bool {
        self.current_entitlements().features.get(name).is_some_and(is_enabled)
    }

    /// Stores a licence. A duplicate uses up an id (recording 01).
    pub(crate) fn insert_license(&mut self, jwt: &str) -> Result<i32, LicenseRefusal> {
        let now = self.now();
        let claims = license::read(jwt, now).map_err(LicenseRefusal::Invalid)?;
        let deployments = claims.get("deployment_ids").and_then(Value::as_array);
        let own = self.deployment_id.to_string();
        if deployments.is_some_and(|ids| !ids.is_empty() && !ids.iter().any(|id| id.as_str() == Some(&own))) {
            return Err(LicenseRefusal::OtherDeployment);
        }
        self.last_license_id += 1;
        if self.licenses.values().any(|license| license.jwt == jwt) {
            return Err(LicenseRefusal::Duplicate);
        }
        let id = self.last_license_id;
        let jti = claims.get("jti").and_then(Value::as_str).unwrap_or_default();
        let uuid = Uuid::try_parse(jti).unwrap_or_else(|_| Uuid::new_v4());
        self.licenses.insert(
            id,
            License {
                id,
                uuid,
                claims,
                jwt: jwt.to_owned(),
                uploaded_at: now,
            },
        );
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
