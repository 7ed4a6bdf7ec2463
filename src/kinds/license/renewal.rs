//! When a licence that was replaced may go: not before the new one gives what the old one gave.
//!
//! Coder takes licences that are not valid yet, that want telemetry where there is none, or that allow fewer users than
//! there are. While both are stored its entitlements show the better of the two, so they cannot tell what the new one
//! gives by itself: its claims do, together with what the entitlements say of the deployment.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::coder::{DeploymentId, Entitlements, LicenseClaims};

/// Coder goes by its own clock and keeps what it worked out for up to ten minutes. Its look after a licence's beginning
/// proves that it counts; without one, a clock that is wrong by less than this does no harm.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);
/// Granted by the Premium set and not by the Enterprise one.
const PREMIUM_ONLY: [&str; 3] = ["custom_roles", "multiple_organizations", "service_accounts"];
const USER_LIMIT: &str = "user_limit";
/// A licence with a feature set has this one without a number of its own.
const AGENT_LIMIT: &str = "managed_agent_limit";

/// Why a licence does not do what another one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// It begins later.
    NotBegun(Timestamp),
    /// It has begun, and Coder has not looked since.
    NotSeen,
    /// It has ended, or is in its grace period while the old one is not.
    Ended(Timestamp),
    /// It is for other deployments.
    OtherDeployment,
    /// It wants telemetry, which is off.
    Telemetry,
    /// It is for fewer users than there are.
    Users(i64),
    /// It lacks features that the old one has.
    Features(Vec<String>),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBegun(at) => write!(f, "it is not valid before {at}"),
            Self::NotSeen => f.write_str("Coder has not looked at it since it is valid"),
            Self::Ended(at) => write!(f, "it expired at {at}"),
            Self::OtherDeployment => f.write_str("it is bound to another deployment"),
            Self::Telemetry => f.write_str("it requires telemetry, which is switched off in Coder"),
            Self::Users(limit) => write!(f, "it allows {limit} users, and there are more"),
            Self::Features(names) => write!(f, "it lacks {}", names.join(", ")),
        }
    }
}

/// What the decision looks at beside the two licences.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) entitlements: &'a Entitlements,
    pub(super) deployment: DeploymentId,
    pub(super) now: Timestamp,
}

/// What the new licence does not give of what the old one gives now. Nothing: the old one may go.
pub(super) fn lacks(new: &LicenseClaims, old: &LicenseClaims, around: Around<'_>) -> Vec<Lack> {
    if idle(old, around).is_some() {
        return Vec::new();
    }
    if let Some(why) = idle(new, around) {
        return vec![why];
    }
    let mut lacks = Vec::new();
    if !is_seen(new, around) {
        lacks.push(Lack::NotSeen);
    }
    let over = |claims: &LicenseClaims| claims.license_expires().filter(|at| *at <= around.now);
    if let (Some(at), None) = (over(new), over(old)) {
        lacks.push(Lack::Ended(at));
    }
    lacks.extend(users(new, old, around.entitlements));
    let missing = missing(new, old, around.entitlements);
    if !missing.is_empty() {
        lacks.push(Lack::Features(missing));
    }
    lacks
}

/// When the decision may become another one although nothing happened.
pub(super) fn look_again(lacks: &[Lack], old: &LicenseClaims, now: Timestamp) -> Option<Timestamp> {
    let of_lack = |lack: &Lack| match lack {
        Lack::NotBegun(at) => Some(*at),
        Lack::NotSeen => now.checked_add(CLOCKS_DIFFER).ok(),
        _ => None,
    };
    let times = lacks.iter().filter_map(of_lack).chain(old.exp());
    times.filter(|at| *at > now).min()
}

/// Why a licence gives nothing at all now, if that is so.
pub(super) fn idle(claims: &LicenseClaims, around: Around<'_>) -> Option<Lack> {
    if let Some(at) = claims.nbf().filter(|at| *at > around.now) {
        return Some(Lack::NotBegun(at));
    }
    if let Some(at) = claims.exp().filter(|at| *at <= around.now) {
        return Some(Lack::Ended(at));
    }
    let own = around.deployment.to_string();
    let bound_to = claims.deployment_ids();
    if !bound_to.is_empty() && !bound_to.iter().any(|id| id.eq_ignore_ascii_case(&own)) {
        return Some(Lack::OtherDeployment);
    }
    let errors = &around.entitlements.errors;
    let refused = errors
        .iter()
        .any(|error| error.to_ascii_lowercase().contains("telemetry"));
    (claims.require_telemetry() && refused).then_some(Lack::Telemetry)
}

/// Whether Coder counts the licence, which has begun by this clock.
fn is_seen(claims: &LicenseClaims, around: Around<'_>) -> bool {
    let Entitlements {
        has_license,
        refreshed_at,
        ..
    } = around.entitlements;
    let looked = claims.nbf().is_none_or(|from| {
        let long_ago = around.now.duration_since(from) >= CLOCKS_DIFFER;
        long_ago || refreshed_at.is_some_and(|at| at >= from)
    });
    *has_license && looked
}

/// Users are counted against what the licence says; one that says nothing sets no limit.
fn users(new: &LicenseClaims, old: &LicenseClaims, entitlements: &Entitlements) -> Option<Lack> {
    let limit = limit(new, USER_LIMIT)?;
    let fewer = self::limit(old, USER_LIMIT).is_none_or(|before| limit < before);
    (fewer && limit < used(entitlements, USER_LIMIT)).then_some(Lack::Users(limit))
}

/// What of the old licence's sets, features and add-ons the new one does not have.
fn missing(new: &LicenseClaims, old: &LicenseClaims, entitlements: &Entitlements) -> Vec<String> {
    let set = set(new);
    let mut missing = Vec::new();
    if let Some(before) = self::set(old)
        && set.as_ref() != Some(&before)
        && !(before == "enterprise" && set.as_deref() == Some("premium"))
    {
        missing.push(format!("the feature set {before}"));
    }
    let singles = old.features().into_iter().flatten();
    let wanted = singles.filter(|(name, value)| *name != USER_LIMIT && value.as_i64().is_some_and(|value| value > 0));
    for (name, value) in wanted {
        let in_set = match set.as_deref() {
            None => false,
            Some(_) if name.ends_with("_limit") => name == AGENT_LIMIT,
            Some(set) => set == "premium" || !PREMIUM_ONLY.contains(&name.as_str()),
        };
        let single = limit(new, name).is_some_and(|limit| {
            let before = value.as_i64().unwrap_or_default();
            limit > 0 && (limit >= before || limit >= used(entitlements, name))
        });
        if !in_set && !single {
            missing.push(name.clone());
        }
    }
    let addons = new.addons();
    let lost = old.addons().into_iter().filter(|addon| !addons.contains(addon));
    missing.extend(lost.map(|addon| format!("the add-on {addon}")));
    missing
}

fn set(claims: &LicenseClaims) -> Option<String> {
    let named = claims.feature_set().filter(|set| !set.is_empty());
    let all = || claims.raw.get("all_features").and_then(Value::as_bool) == Some(true);
    named
        .map(str::to_ascii_lowercase)
        .or_else(|| all().then(|| "enterprise".to_owned()))
}

fn limit(claims: &LicenseClaims, name: &str) -> Option<i64> {
    claims.features()?.get(name)?.as_i64()
}

fn used(entitlements: &Entitlements, name: &str) -> i64 {
    let feature = entitlements.features.get(name);
    feature.and_then(|feature| feature.actual).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_000_000;
    const DEPLOYMENT: &str = "2d5895a6-02bc-4283-99c0-49d28337bbd5";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn premium(change: impl FnOnce(&mut Value)) -> LicenseClaims {
        let mut raw = json!({"nbf": NOW - 100, "exp": NOW + 2000, "license_expires": NOW + 1000,
            "feature_set": "premium", "features": {"user_limit": 100}});
        change(&mut raw);
        let raw = raw.as_object().unwrap().clone();
        LicenseClaims {
            key_id: None,
            algorithm: None,
            raw,
        }
    }

    fn shown(body: &Value) -> Entitlements {
        let mut all = json!({"has_license": true, "refreshed_at": at(NOW - 1).to_string(),
            "features": {"user_limit": {"entitlement": "entitled", "enabled": true, "limit": 100, "actual": 42}}});
        for (key, value) in body.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn decide_with(new: &LicenseClaims, old: &LicenseClaims, entitlements: &Entitlements) -> Vec<Lack> {
        let around = Around {
            entitlements,
            deployment: DEPLOYMENT.parse().unwrap(),
            now: at(NOW),
        };
        lacks(new, old, around)
    }

    fn decide(new: impl FnOnce(&mut Value), old: impl FnOnce(&mut Value)) -> Vec<Lack> {
        decide_with(&premium(new), &premium(old), &shown(&json!({})))
    }

    fn features(names: &[&str]) -> Vec<Lack> {
        vec![Lack::Features(names.iter().map(|name| (*name).to_owned()).collect())]
    }

    #[test]
    fn one_that_gives_the_same_takes_the_place_at_once() {
        assert_eq!(decide(|_| {}, |_| {}), []);
        assert_eq!(decide(|_| {}, |old| old["feature_set"] = json!("enterprise")), []);
        assert_eq!(
            decide(|new| new["deployment_ids"] = json!([DEPLOYMENT.to_uppercase()]), |_| {}),
            []
        );
    }

    #[test]
    fn one_that_begins_later_waits_for_its_beginning() {
        let later = |new: &mut Value| new["nbf"] = json!(NOW + 50);
        let why = decide(later, |_| {});
        assert_eq!(why, [Lack::NotBegun(at(NOW + 50))]);
        assert_eq!(look_again(&why, &premium(|_| {}), at(NOW)), Some(at(NOW + 50)));
        let ends_before = premium(|old| old["exp"] = json!(NOW + 20));
        assert_eq!(
            look_again(&why, &ends_before, at(NOW)),
            Some(at(NOW + 20)),
            "what has ended may go before"
        );
    }

    #[test]
    fn one_that_has_just_begun_waits_until_coder_looked() {
        let begun = premium(|new| new["nbf"] = json!(NOW - 10));
        let before = shown(&json!({"refreshed_at": at(NOW - 11).to_string()}));
        let old = premium(|_| {});
        assert_eq!(decide_with(&begun, &old, &before), [Lack::NotSeen]);
        assert_eq!(decide_with(&begun, &old, &shown(&json!({}))), [], "it looked after");
        let long_ago = premium(|new| new["nbf"] = json!(NOW - 60));
        assert_eq!(decide_with(&long_ago, &old, &before), [], "no clock is that wrong");
        let nothing_counts = shown(&json!({"has_license": false}));
        assert_eq!(decide_with(&begun, &old, &nothing_counts), [Lack::NotSeen]);
    }

    #[test]
    fn one_that_does_nothing_here_takes_no_place() {
        assert_eq!(decide(|new| new["exp"] = json!(NOW), |_| {}), [Lack::Ended(at(NOW))]);
        assert_eq!(
            decide(|new| new["license_expires"] = json!(NOW - 5), |_| {}),
            [Lack::Ended(at(NOW - 5))]
        );
        assert_eq!(
            decide(|new| new["deployment_ids"] = json!(["another"]), |_| {}),
            [Lack::OtherDeployment]
        );
        let wants = premium(|new| new["require_telemetry"] = json!(true));
        let off = shown(&json!({"errors": ["License requires telemetry but telemetry is disabled"]}));
        let old = premium(|_| {});
        assert_eq!(decide_with(&wants, &old, &off), [Lack::Telemetry]);
        assert_eq!(decide_with(&wants, &old, &shown(&json!({}))), [], "telemetry is on");
        assert_eq!(
            decide_with(&old, &wants, &off),
            [],
            "it is the old one that does nothing"
        );
    }

    #[test]
    fn one_for_fewer_users_than_there_are_takes_no_place() {
        let users = |limit: i64| move |claims: &mut Value| claims["features"]["user_limit"] = json!(limit);
        assert_eq!(decide(users(41), users(100)), [Lack::Users(41)]);
        assert_eq!(decide(users(42), users(100)), [], "fewer than before, and enough");
        assert_eq!(decide(users(10), users(5)), [], "better than before");
        assert_eq!(decide(|new| new["features"] = json!({}), users(100)), [], "no limit");
    }

    #[test]
    fn one_with_fewer_features_takes_no_place() {
        let enterprise = |new: &mut Value| new["feature_set"] = json!("enterprise");
        assert_eq!(decide(enterprise, |_| {}), features(&["the feature set premium"]));
        let single = |claims: &mut Value| {
            claims["feature_set"] = Value::Null;
            claims["features"] = json!({"template_rbac": 1, "multiple_organizations": 1, "off": 0});
        };
        assert_eq!(decide(|_| {}, single), [], "a set has them all");
        assert_eq!(decide(enterprise, single), features(&["multiple_organizations"]));
        assert_eq!(decide(single, single), []);
        let limited = |claims: &mut Value| claims["features"]["ai_governance_user_limit"] = json!(50);
        assert_eq!(decide(|_| {}, limited), features(&["ai_governance_user_limit"]));
        let addon = |claims: &mut Value| claims["addons"] = json!(["ai_governance"]);
        assert_eq!(decide(|_| {}, addon), features(&["the add-on ai_governance"]));
    }

    #[test]
    fn what_gives_nothing_any_more_goes_whatever_the_new_one_gives() {
        let later = |new: &mut Value| new["nbf"] = json!(NOW + 50);
        assert_eq!(decide(later, |old| old["exp"] = json!(NOW)), []);
        assert_eq!(decide(later, |old| old["nbf"] = json!(NOW + 20)), []);
        let grace = |old: &mut Value| old["license_expires"] = json!(NOW - 5);
        assert_eq!(
            decide(later, grace),
            [Lack::NotBegun(at(NOW + 50))],
            "in its grace period it still gives"
        );
    }
}
