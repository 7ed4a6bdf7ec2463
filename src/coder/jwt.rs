//! What a licence says about itself: its JWT, decoded here and not verified.
//!
//! The server keeps the JWT to itself and answers the same sentence to everything that may be wrong with one
//! (recording 01). Reading it here tells which stored licence it is, and why it would be refused.

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::DeploymentId;

/// Longer than any licence; a Secret may hold anything.
const MAX_LENGTH: usize = 64 << 10;

/// The server takes no licence that expires later than this.
const FIVE_YEARS: i64 = 5 * 365 * 24 * 60 * 60;

/// Why a text is no licence at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// A JWT has three parts.
    #[error("the licence is no JWT: it does not have three parts separated by dots")]
    Parts,
    /// A part is not base64url.
    #[error("the licence is no JWT: its {0} is not base64url")]
    Base64(&'static str),
    /// A part is no JSON object.
    #[error("the licence is no JWT: its {0} is no JSON object")]
    Json(&'static str),
    /// It is larger than a licence can be.
    #[error("the licence is too long")]
    TooLong,
}

/// What a licence says, all of it unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseClaims {
    /// The key it is signed with, from the JWT's header.
    pub key_id: Option<String>,
    /// `EdDSA`, from the JWT's header.
    pub algorithm: Option<String>,
    /// The whole payload.
    pub raw: Map<String, Value>,
}

/// Why a server would refuse a licence, or ignore it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has ended, grace period and all.
    Expired(Timestamp),
    /// Another format than version 3.
    Version(Option<i64>),
    /// A claim that every licence has is missing, or not of its type.
    Missing(&'static str),
    /// It ends more than five years ahead, which the server takes for a mistake.
    TooFarAhead(Timestamp),
    /// It is bound to other deployments.
    OtherDeployment,
    /// Its signature's key is not named.
    NoKeyId,
    /// It is signed in another way than Coder does.
    Algorithm(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "it expired at {at}"),
            Self::Version(Some(version)) => write!(f, "it has version {version}, the server takes version 3"),
            Self::Version(None) => f.write_str("it has no version, the server takes version 3"),
            Self::Missing(claim) => write!(f, "its claim {claim} is missing or invalid"),
            Self::TooFarAhead(at) => write!(f, "its license_expires, {at}, is more than five years ahead"),
            Self::OtherDeployment => f.write_str("it is bound to another deployment (deployment_ids)"),
            Self::NoKeyId => f.write_str("its header names no key (kid)"),
            Self::Algorithm(algorithm) => write!(f, "it is signed with {algorithm}, not with EdDSA"),
        }
    }
}

impl LicenseClaims {
    /// Reads a JWT; white space around it (a Secret made from a file) is not part of it.
    pub fn decode(jwt: &SecretString) -> Result<Self, JwtError> {
        let text = jwt.expose_secret().trim();
        if text.len() > MAX_LENGTH {
            return Err(JwtError::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::Parts);
        };
        let header = object("header", header)?;
        let raw = object("payload", payload)?;
        let word = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            key_id: word("kid"),
            algorithm: word("alg"),
            raw,
        })
    }

    /// A digest of all claims, equal to [`License::digest`](super::License::digest) of the same licence on the server,
    /// however either side orders keys and writes numbers. SHA-256, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        Self::digest_of(&self.raw)
    }

    pub(super) fn digest_of(claims: &Map<String, Value>) -> String {
        let mut hash = Sha256::new();
        digest_object(&mut hash, claims);
        hash.finalize()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// The end of the grace period: after it, the licence does nothing and is not accepted.
    #[must_use]
    pub fn exp(&self) -> Option<Timestamp> {
        self.time("exp")
    }

    /// The end of what was paid for: after it, features are in their grace period.
    #[must_use]
    pub fn license_expires(&self) -> Option<Timestamp> {
        self.time("license_expires")
    }

    /// The beginning. A licence that has not begun is accepted and waits.
    #[must_use]
    pub fn nbf(&self) -> Option<Timestamp> {
        self.time("nbf")
    }

    /// When it was issued.
    #[must_use]
    pub fn iat(&self) -> Option<Timestamp> {
        self.time("iat")
    }

    /// Its id; the server's `uuid` if it is one.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.text("jti")
    }

    /// Whose it is.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.text("account_id")
    }

    /// What kind of account that is, for example `salesforce`.
    #[must_use]
    pub fn account_type(&self) -> Option<&str> {
        self.text("account_type")
    }

    /// `enterprise`, `premium` or none.
    #[must_use]
    pub fn feature_set(&self) -> Option<&str> {
        self.text("feature_set")
    }

    /// 3.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        self.number("version")
    }

    /// It is a trial.
    #[must_use]
    pub fn trial(&self) -> bool {
        self.flag("trial")
    }

    /// It has no effect where telemetry is off.
    #[must_use]
    pub fn require_telemetry(&self) -> bool {
        self.flag("require_telemetry")
    }

    /// Limits by feature: `user_limit` and so on.
    #[must_use]
    pub fn features(&self) -> Option<&Map<String, Value>> {
        self.raw.get("features").and_then(Value::as_object)
    }

    /// What was bought beside the feature set.
    #[must_use]
    pub fn addons(&self) -> Vec<&str> {
        self.texts("addons")
    }

    /// The only deployments it works on; empty = any.
    #[must_use]
    pub fn deployment_ids(&self) -> Vec<&str> {
        self.texts("deployment_ids")
    }

    /// Why a server would refuse this licence, as far as it can be told without the key: empty if nothing is known
    /// against it. `deployment` is the server's, if known.
    #[must_use]
    pub fn refusals(&self, now: Timestamp, deployment: Option<DeploymentId>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        match &self.algorithm {
            Some(algorithm) if algorithm == "EdDSA" => {}
            Some(algorithm) => refusals.push(Refusal::Algorithm(super::sanitise(algorithm))),
            None => refusals.push(Refusal::Algorithm("nothing".to_owned())),
        }
        if self.key_id.as_deref().unwrap_or_default().is_empty() {
            refusals.push(Refusal::NoKeyId);
        }
        if self.version() != Some(3) {
            refusals.push(Refusal::Version(self.version()));
        }
        match self.exp() {
            None => refusals.push(Refusal::Missing("exp")),
            Some(exp) if exp <= now => refusals.push(Refusal::Expired(exp)),
            Some(_) => {}
        }
        match self.license_expires() {
            None => refusals.push(Refusal::Missing("license_expires")),
            Some(at) if at.as_second() - now.as_second() > FIVE_YEARS => refusals.push(Refusal::TooFarAhead(at)),
            Some(_) => {}
        }
        refusals.extend(
            ["iat", "nbf"]
                .into_iter()
                .filter(|claim| self.time(claim).is_none())
                .map(Refusal::Missing),
        );
        refusals.extend(
            ["account_type", "account_id"]
                .into_iter()
                .filter(|claim| self.text(claim).unwrap_or_default().is_empty())
                .map(Refusal::Missing),
        );
        let bound_to = self.deployment_ids();
        if let Some(deployment) = deployment.map(|id| id.to_string())
            && !bound_to.is_empty()
            && !bound_to.iter().any(|id| id.eq_ignore_ascii_case(&deployment))
        {
            refusals.push(Refusal::OtherDeployment);
        }
        refusals
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.raw.get(claim).and_then(Value::as_str)
    }

    fn texts(&self, claim: &str) -> Vec<&str> {
        self.raw
            .get(claim)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    fn flag(&self, claim: &str) -> bool {
        self.raw.get(claim).and_then(Value::as_bool).unwrap_or_default()
    }

    fn number(&self, claim: &str) -> Option<i64> {
        match self.raw.get(claim)? {
            Value::Number(number) => whole(number),
            _ => None,
        }
    }

    /// Seconds since 1970, as JWTs count.
    fn time(&self, claim: &str) -> Option<Timestamp> {
        Timestamp::from_second(self.number(claim)?).ok()
    }
}

fn object(name: &'static str, part: &str) -> Result<Map<String, Value>, JwtError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Base64(name))?;
    serde_json::from_slice(&json).map_err(|_| JwtError::Json(name))
}

/// A number that is whole, however it is written: Go reads a claim as a float and writes it as one.
#[allow(clippy::cast_possible_truncation)] // the part after the point: dates are sometimes written with one
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        number
            .as_f64()
            .filter(|float| float.abs() < 9e15)
            .map(|float| float as i64)
    })
}

/// Each value is fed with a mark of its kind and with its length, so that no two values feed the same bytes.
fn digest_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update("n"),
        Value::Bool(flag) => hash.update(if *flag { "t" } else { "f" }),
        Value::Number(number) => {
            // Beyond 2^53 Go's float loses digits; written as a float, both sides lose the same ones.
            let text = match number.as_i64() {
                Some(whole) if whole.unsigned_abs() < 1 << 53 => whole.to_string(),
                _ => number
                    .as_f64()
                    .map_or_else(|| number.to_string(), |float| float.to_string()),
            };
            digest_text(hash, "#", &text);
        }
        Value::String(text) => digest_text(hash, "s", text),
        Value::Array(values) => {
            hash.update("[");
            hash.update(values.len().to_le_bytes());
            for value in values {
                digest_value(hash, value);
            }
        }
        Value::Object(object) => digest_object(hash, object),
    }
}

fn digest_object(hash: &mut Sha256, object: &Map<String, Value>) {
    hash.update("{");
    hash.update(object.len().to_le_bytes());
    // Sorted here, so that it does not depend on how the map keeps its keys.
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in entries {
        digest_text(hash, "k", key);
        digest_value(hash, value);
    }
}

fn digest_text(hash: &mut Sha256, kind: &str, text: &str) {
    hash.update(kind);
    hash.update(text.len().to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn jwt(claims: &Value) -> SecretString {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"lab","typ":"JWT"}"#);
        SecretString::from(format!(
            "{header}.{}.c2ln\n",
            URL_SAFE_NO_PAD.encode(claims.to_string())
        ))
    }

    fn good() -> Value {
        json!({"version": 3, "exp": NOW + 100, "license_expires": NOW + 50, "iat": NOW, "nbf": NOW,
               "account_type": "salesforce", "account_id": "lab", "trial": false, "feature_set": "premium"})
    }

    fn refusals(change: impl FnOnce(&mut Value)) -> Vec<Refusal> {
        let mut claims = good();
        change(&mut claims);
        let deployment = "2d5895a6-02bc-4283-99c0-49d28337bbd5".parse().unwrap();
        LicenseClaims::decode(&jwt(&claims))
            .unwrap()
            .refusals(at(NOW), Some(deployment))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_no_jwt_says_why() {
        let decode = |text: &str| LicenseClaims::decode(&SecretString::from(text)).unwrap_err();
        assert_eq!(decode("garbage"), JwtError::Parts);
        assert_eq!(decode("a.b.c.d"), JwtError::Parts);
        assert_eq!(decode("!.e30.x"), JwtError::Base64("header"));
        assert_eq!(decode("e30.e30=.x"), JwtError::Base64("payload"));
        assert_eq!(decode("e30.W10.x"), JwtError::Json("payload"));
        assert_eq!(decode(&"x".repeat(MAX_LENGTH + 1)), JwtError::TooLong);
    }

    #[test]
    fn a_good_licence_has_nothing_against_it() {
        assert_eq!(refusals(|_| {}), []);
        assert_eq!(
            refusals(|claims| claims["nbf"] = json!(NOW + 60)),
            [],
            "one that has not begun is accepted"
        );
        assert_eq!(
            refusals(|claims| claims["license_expires"] = json!(NOW - 1)),
            [],
            "grace is accepted"
        );
        assert_eq!(
            refusals(|claims| claims["deployment_ids"] = json!(["2D5895A6-02bc-4283-99c0-49d28337bbd5"])),
            []
        );
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(
            refusals(|claims| claims["exp"] = json!(NOW)),
            [Refusal::Expired(at(NOW))]
        );
        assert_eq!(
            refusals(|claims| claims["version"] = json!(2)),
            [Refusal::Version(Some(2))]
        );
        assert_eq!(
            refusals(|claims| claims["license_expires"] = json!("soon")),
            [Refusal::Missing("license_expires")]
        );
        let far = NOW + FIVE_YEARS + 1;
        assert_eq!(
            refusals(|claims| claims["license_expires"] = json!(far)),
            [Refusal::TooFarAhead(at(far))]
        );
        assert_eq!(
            refusals(|claims| claims["deployment_ids"] = json!(["another"])),
            [Refusal::OtherDeployment]
        );
        assert_eq!(
            refusals(|claims| claims["account_id"] = json!("")),
            [Refusal::Missing("account_id")]
        );
    }

    #[test]
    fn the_digest_does_not_depend_on_how_the_claims_are_written() {
        let digest = |text: &str| LicenseClaims::digest_of(&serde_json::from_str(text).unwrap());
        let one = digest(r#"{"exp":1826871245,"features":{"a":1,"b":2.5},"big":12345678901234567890}"#);
        assert_eq!(
            one,
            digest(r#"{"big":1.2345678901234567e19,"features":{"b":2.50,"a":1.0},"exp":1.826871245e9}"#)
        );
        for other in [
            r#"{"exp":1826871246,"features":{"a":1,"b":2.5},"big":12345678901234567890}"#,
            r#"{"exp":"1826871245","features":{"a":1,"b":2.5},"big":12345678901234567890}"#,
            r#"{"exp":1826871245,"features":{"a":1},"b":2.5,"big":12345678901234567890}"#,
        ] {
            assert_ne!(one, digest(other), "{other}");
        }
        assert_eq!(one.len(), 64);
    }
}
