//! The entitlements that follow from the licences.
//!
//! They are cached as on the real server: computed when a licence comes or goes, when asked to, and at the latest ten
//! minutes after the last time. A licence that lapses, or becomes valid, is therefore noticed late.

mod warnings;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::process::Configuration;
use super::{License, State, UserStatus};
use crate::clock::{rfc3339, seconds_between};
use crate::profile::Profile;

/// Seconds after which the cache is computed anew.
const STALE: f64 = 600.0;
/// Part of no licence set: sold as an add-on (recording 01).
const ADD_ONS: &[&str] = &["ai_governance_user_limit", "user_limit"];
/// Only in the Premium set.
const PREMIUM_ONLY: &[&str] = &["custom_roles", "multiple_organizations", "service_accounts"];
/// What a server without telemetry says of a licence that wants it, and all it does about it.
const TELEMETRY: &str = "License requires telemetry but telemetry is disabled";

/// What licences say of a feature, the better the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    NotEntitled,
    GracePeriod,
    Entitled,
}

impl Standing {
    const fn name(self) -> &'static str {
        match self {
            Self::NotEntitled => "not_entitled",
            Self::GracePeriod => "grace_period",
            Self::Entitled => "entitled",
        }
    }
}

/// A feature as the entitlements show it.
#[derive(Clone, Copy, Debug)]
struct Feature {
    standing: Standing,
    enabled: bool,
    limit: Option<i64>,
    actual: Option<usize>,
}

/// What the computation looks at beside the licences.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) profile: Profile,
    pub(crate) active_users: usize,
    pub(crate) configuration: &'a Configuration,
    pub(crate) now: Timestamp,
}

/// The cached result.
#[derive(Clone, Debug)]
pub(crate) struct Entitlements {
    features: BTreeMap<&'static str, Feature>,
    warnings: Vec<String>,
    errors: Vec<&'static str>,
    has_license: bool,
    trial: bool,
    require_telemetry: bool,
    pub(crate) refreshed_at: Timestamp,
}

impl Entitlements {
    /// Computes them; a licence that wants telemetry where there is none is an error, and then what was before stays.
    pub(crate) fn compute(licenses: &[&License], around: Circumstances<'_>) -> Result<Self, &'static str> {
        let valid: Vec<(&License, Standing)> = licenses
            .iter()
            .filter_map(|license| standing(license, around.now).map(|standing| (*license, standing)))
            .collect();
        let any = |claim| valid.iter().any(|(license, _)| license.says(claim));
        if any("require_telemetry") && !around.configuration.telemetry {
            return Err(TELEMETRY);
        }
        let features = around.profile.traits().features.iter();
        let features: BTreeMap<&'static str, Feature> =
            features.map(|name| (*name, feature(name, &valid, around))).collect();
        let mut entitlements = Self {
            features,
            warnings: Vec::new(),
            errors: Vec::new(),
            has_license: !valid.is_empty(),
            trial: any("trial"),
            require_telemetry: any("require_telemetry"),
            refreshed_at: around.now,
        };
        entitlements.warnings = warnings::of(&entitlements, licenses, around);
        Ok(entitlements)
    }

    pub(crate) fn enabled(&self, name: &str) -> bool {
        self.features.get(name).is_some_and(|feature| feature.enabled)
    }

    pub(crate) fn switch_off(&mut self, name: &str) {
        if let Some(feature) = self.features.get_mut(name) {
            feature.enabled = false;
        }
    }

    pub(crate) fn json(&self) -> Value {
        let features: BTreeMap<&str, Value> = self
            .features
            .iter()
            .map(|(name, feature)| (*name, feature_json(name, feature)))
            .collect();
        json!({
            "features": features,
            "warnings": self.warnings,
            "errors": self.errors,
            "has_license": self.has_license,
            "trial": self.trial,
            "require_telemetry": self.require_telemetry,
            "refreshed_at": rfc3339(self.refreshed_at),
        })
    }
}

/// Entitled until it expires, in its grace period until it is over, nothing before and after.
fn standing(license: &License, now: Timestamp) -> Option<Standing> {
    let now = now.as_second();
    if license.number("nbf") > now || license.number("exp") <= now {
        return None;
    }
    Some(if license.number("license_expires") > now {
        Standing::Entitled
    } else {
        Standing::GracePeriod
    })
}

/// What a licence says about a feature: its number, if it grants it.
fn grant(license: &License, name: &str) -> Option<i64> {
    let features = license.claims.get("features");
    let single = features.and_then(|features| features.get(name)).and_then(Value::as_i64);
    if let Some(value) = single.filter(|value| *value > 0) {
        return Some(value);
    }
    let set = license.claims.get("feature_set").and_then(Value::as_str);
    let is = |wanted: &str| set.is_some_and(|set| set.eq_ignore_ascii_case(wanted));
    let in_set = if is("premium") {
        !ADD_ONS.contains(&name)
    } else if is("enterprise") || license.says("all_features") {
        !ADD_ONS.contains(&name) && !PREMIUM_ONLY.contains(&name)
    } else {
        false
    };
    in_set.then_some(1)
}

/// The best that any of the licences gives.
fn feature(name: &'static str, valid: &[(&License, Standing)], around: Circumstances<'_>) -> Feature {
    let given = valid.iter().filter_map(|(license, standing)| {
        let value = grant(license, name)?;
        let (limit, actual) = match name {
            "user_limit" => (Some(value), Some(around.active_users)),
            // Without a number of its own a licence gives a thousand (recording 01).
            "managed_agent_limit" => (Some(if value > 1 { value } else { 1000 }), Some(0)),
            _ => (None, None),
        };
        Some(Feature {
            standing: *standing,
            enabled: !around.configuration.not_configured.contains(name),
            limit,
            actual,
        })
    });
    given.max_by(better).unwrap_or(Feature {
        standing: Standing::NotEntitled,
        enabled: false,
        limit: None,
        actual: (name == "user_limit").then_some(around.active_users),
    })
}

/// One whose limit suffices beats one whose limit does not; then the standing counts, then the limit.
fn better(one: &Feature, other: &Feature) -> Ordering {
    let suffices = |feature: &Feature| {
        let actual = feature.actual.and_then(|actual| i64::try_from(actual).ok());
        feature.limit >= actual
    };
    let rank = |feature: &Feature| (suffices(feature), feature.standing, feature.limit);
    rank(one).cmp(&rank(other))
}

fn feature_json(name: &str, feature: &Feature) -> Value {
    let mut body = json!({ "entitlement": feature.standing.name(), "enabled": feature.enabled });
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    if let Some(limit) = feature.limit {
        object.insert("limit".to_owned(), json!(limit));
    }
    if let Some(actual) = feature.actual {
        object.insert("actual".to_owned(), json!(actual));
    }
    if name == "managed_agent_limit" && feature.limit.is_some() {
        // A constant of the server, not of the licence (recording 01).
        let period = json!({
            "issued_at": "2025-07-01T00:00:00Z",
            "start": "2025-07-01T00:00:00Z",
            "end": "2125-07-01T00:00:00Z",
        });
        object.insert("usage_period".to_owned(), period);
    }
    body
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
        let around = Circumstances {
            profile: self.profile,
            active_users: active,
            configuration: &self.process.configuration,
            now: self.now(),
        };
        let before = self.entitlements.enabled("audit_log");
        match Entitlements::compute(&licenses, around) {
            Ok(entitlements) => self.entitlements = entitlements,
            Err(problem) => self.entitlements.errors = vec![problem],
        }
        for name in &self.process.switched_off {
            self.entitlements.switch_off(name);
        }
        let now = self.entitlements.enabled("audit_log");
        if before != now {
            self.process.auditing = now;
        }
    }

    /// Whether requests are logged: as the feature says, and before a server has ever had it (recording 20).
    pub(crate) fn auditing(&mut self) -> bool {
        self.current_entitlements();
        self.process.auditing
    }

    /// The entitlements, computed anew if they are stale.
    pub(crate) fn current_entitlements(&mut self) -> &Entitlements {
        if seconds_between(self.entitlements.refreshed_at, self.now()).abs() >= STALE {
            self.refresh_entitlements();
        }
        &self.entitlements
    }

    pub(crate) fn feature_enabled(&mut self, name: &str) -> bool {
        self.current_entitlements().enabled(name)
    }
}
