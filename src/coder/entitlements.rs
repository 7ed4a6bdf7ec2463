//! What the deployment's licences allow: `GET /entitlements`. Answers without a token too, so that it proves nothing
//! about one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Client, Error, Path,
    wire::{null_default, open_enum},
};

open_enum! {
    /// Whether a licence covers a feature.
    pub enum Entitlement {
        /// It does.
        Entitled = "entitled",
        /// It did until it expired, and still does for a while.
        GracePeriod = "grace_period",
        /// It does not.
        NotEntitled = "not_entitled",
    }
}

/// One licensed feature.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Feature {
    /// What the licences say.
    pub entitlement: Entitlement,
    /// What decides: entitled (or in grace) and not switched off.
    #[serde(default, deserialize_with = "null_default")]
    pub enabled: bool,
    /// For a limited feature, how much is allowed.
    #[serde(default)]
    pub limit: Option<i64>,
    /// For a limited feature, how much is used.
    #[serde(default)]
    pub actual: Option<i64>,
}

/// A sentence that warns of something that is not wrong: newer servers say so of every licence without the add-on.
const ADD_ON: &str = "add-on is required";

/// What the licences allow, as of the server's last look (it looks every ten minutes and when a licence changes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Entitlements {
    /// By key: `template_rbac`, `multiple_organizations`, `workspace_proxy`, ….
    #[serde(default, deserialize_with = "null_default")]
    pub features: BTreeMap<String, Feature>,
    /// For the administrator: a licence about to expire, more users than allowed.
    #[serde(default, deserialize_with = "null_default")]
    pub warnings: Vec<String>,
    /// Why a licence has no effect, for example telemetry that it requires and that is off.
    #[serde(default, deserialize_with = "null_default")]
    pub errors: Vec<String>,
    /// There is a licence at all.
    #[serde(default, deserialize_with = "null_default")]
    pub has_license: bool,
    /// It is a trial.
    #[serde(default, deserialize_with = "null_default")]
    pub trial: bool,
    /// It requires telemetry.
    #[serde(default, deserialize_with = "null_default")]
    pub require_telemetry: bool,
    /// When the server looked last.
    #[serde(default)]
    pub refreshed_at: Option<Timestamp>,
}

impl Entitlements {
    /// Whether the feature works now. A feature in its grace period does; one that is licensed but off does not.
    #[must_use]
    pub fn is_enabled(&self, feature: &str) -> bool {
        self.features.get(feature).is_some_and(|feature| feature.enabled)
    }

    /// What Coder has to say against the licences: errors, then warnings. Advice to buy an add-on is left out, or there
    /// would be something for ever.
    #[must_use]
    pub fn complaints(&self) -> Vec<&str> {
        let said = self.errors.iter().chain(&self.warnings).map(|text| text.trim());
        said.filter(|text| !text.is_empty() && !text.contains(ADD_ON)).collect()
    }
}

impl Client {
    /// What the deployment's licences allow.
    pub async fn entitlements(&self) -> Result<Entitlements, Error> {
        self.get(Path::new("/entitlements")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enabled_decides_and_not_the_licence() {
        let body = r#"{"features":{
            "workspace_proxy":{"entitlement":"grace_period","enabled":true},
            "scim":{"entitlement":"entitled","enabled":false},
            "user_limit":{"entitlement":"entitled","enabled":true,"limit":100,"actual":42}},"warnings":null}"#;
        let entitlements: Entitlements = serde_json::from_str(body).unwrap();
        assert!(entitlements.is_enabled("workspace_proxy"));
        assert!(!entitlements.is_enabled("scim"));
        assert!(!entitlements.is_enabled("of a later version"));
        assert_eq!(entitlements.features["user_limit"].limit, Some(100));
    }

    #[test]
    fn advice_to_buy_an_add_on_is_no_complaint() {
        let body = r#"{"warnings":["Your license expires in 1 day.",
            "The AI Governance add-on is required to use AI Gateway. Please reach out to your account team."," "],
            "errors":["License requires telemetry but telemetry is disabled"]}"#;
        let entitlements: Entitlements = serde_json::from_str(body).unwrap();
        assert_eq!(
            entitlements.complaints(),
            [
                "License requires telemetry but telemetry is disabled",
                "Your license expires in 1 day."
            ]
        );
        assert!(Entitlements::default().complaints().is_empty());
    }
}
