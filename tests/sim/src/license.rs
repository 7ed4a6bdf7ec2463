//! Licences: reading a JWT, and minting one that the simulator accepts.
//!
//! Signatures are not verified: the recordings' key is not kept. A licence must look like one (three parts, an Ed25519
//! header with a known `kid`, a signature of 64 bytes), and a signature that ends in four zero bytes counts as tampered
//! with. That is how recording 01 spoils its signature, and a real signature ends so once in four thousand million.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The keys of the recordings' licences, and the one of minted ones.
const KNOWN_KEYS: [&str; 3] = ["lab", "enterprise-test", "sim"];

/// What is on a minted licence. [`LicenseSpec::premium`] is the usual one; change what a test is about.
#[derive(Clone, Debug)]
pub struct LicenseSpec {
    /// `premium`, `enterprise`, or none: then only `features` count.
    pub feature_set: Option<String>,
    /// Single features with their value: 1 for on, a number for a limit.
    pub features: Vec<(String, i64)>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// When the licence expires and the grace period starts.
    pub license_expires: Timestamp,
    /// When the grace period ends.
    pub expires: Timestamp,
    /// Deployments the licence is locked to; empty for any.
    pub deployment_ids: Vec<String>,
    /// Id of the licence, a UUID on real ones: it becomes the licence's `uuid`.
    pub jti: String,
    /// Whose licence it is.
    pub account_id: String,
    /// Whether it is a trial.
    pub trial: bool,
    /// Whether it gives nothing while telemetry is off.
    pub require_telemetry: bool,
    /// Spoils the signature, so that the server refuses the licence.
    pub bad_signature: bool,
}

impl LicenseSpec {
    /// A Premium licence valid from an hour before `now` for a year, with thirty days of grace.
    #[must_use]
    pub fn premium(now: Timestamp) -> Self {
        let day = 24 * 3600;
        Self {
            feature_set: Some("premium".to_owned()),
            features: vec![("user_limit".to_owned(), 10_000)],
            not_before: shifted(now, -3600),
            license_expires: shifted(now, 365 * day),
            expires: shifted(now, 395 * day),
            deployment_ids: Vec::new(),
            jti: Uuid::new_v4().to_string(),
            account_id: "sim".to_owned(),
            trial: false,
            require_telemetry: false,
            bad_signature: false,
        }
    }

    /// The Enterprise set: no organizations beyond the default one, no custom roles.
    #[must_use]
    pub fn enterprise(now: Timestamp) -> Self {
        Self {
            feature_set: Some("enterprise".to_owned()),
            ..Self::premium(now)
        }
    }

    /// A Premium licence that has expired but is still in its grace period.
    #[must_use]
    pub fn in_grace(now: Timestamp) -> Self {
        let day = 24 * 3600;
        Self {
            not_before: shifted(now, -30 * day),
            license_expires: shifted(now, -day),
            expires: shifted(now, day),
            ..Self::premium(now)
        }
    }

    /// A Premium licence that is accepted and gives nothing before `from`.
    #[must_use]
    pub fn valid_from(from: Timestamp) -> Self {
        Self {
            not_before: from,
            ..Self::premium(from)
        }
    }

    /// A Premium licence that wants telemetry.
    #[must_use]
    pub fn requiring_telemetry(now: Timestamp) -> Self {
        Self {
            require_telemetry: true,
            ..Self::premium(now)
        }
    }

    /// The same licence for that many users.
    #[must_use]
    pub fn users(mut self, limit: i64) -> Self {
        self.features.retain(|(name, _)| name != "user_limit");
        self.features.push(("user_limit".to_owned(), limit));
        self
    }

    /// The same licence for these deployments and no other.
    #[must_use]
    pub fn for_deployments(mut self, ids: &[&str]) -> Self {
        self.deployment_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self
    }

    /// A Premium licence that is over: the server refuses it.
    #[must_use]
    pub fn expired(now: Timestamp) -> Self {
        let day = 24 * 3600;
        Self {
            not_before: shifted(now, -30 * day),
            license_expires: shifted(now, -2 * day),
            expires: shifted(now, -day),
            ..Self::premium(now)
        }
    }
}

fn shifted(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second() + seconds).unwrap_or(at)
}

/// Makes a JWT that the simulator accepts (unless it is spoilt, expired or locked to another deployment). The same
/// specification makes the same JWT.
#[must_use]
pub fn mint(spec: &LicenseSpec) -> String {
    let features: Map<String, Value> = spec
        .features
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut claims = json!({
        "iss": "sim@testing.test",
        "exp": spec.expires.as_second(),
        "nbf": spec.not_before.as_second(),
        "iat": spec.not_before.as_second(),
        "jti": spec.jti,
        "license_expires": spec.license_expires.as_second(),
        "account_type": "salesforce",
        "account_id": spec.account_id,
        "trial": spec.trial,
        "version": 3,
        "features": features,
    });
    if let Some(object) = claims.as_object_mut() {
        if let Some(set) = &spec.feature_set {
            object.insert("feature_set".to_owned(), json!(set));
            object.insert("all_features".to_owned(), json!(true));
        }
        if spec.require_telemetry {
            object.insert("require_telemetry".to_owned(), json!(true));
        }
        if !spec.deployment_ids.is_empty() {
            object.insert("deployment_ids".to_owned(), json!(spec.deployment_ids));
        }
    }
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "EdDSA", "kid": "sim", "typ": "JWT" }).to_string());
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut signature = [0x5a_u8; 64];
    if spec.bad_signature {
        for byte in signature.iter_mut().skip(60) {
            *byte = 0;
        }
    }
    format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of a licence, or why the server would refuse it (its detail text).
pub(crate) fn read(jwt: &str, now: Timestamp) -> Result<Map<String, Value>, &'static str> {
    // One text for malformed, badly signed and expired ones (recording 01).
    const ISSUES: &str = "license has multiple issues; contact support";
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Err(ISSUES);
    };
    let (Some(header), Some(claims)) = (object(header), object(payload)) else {
        return Err(ISSUES);
    };
    let key = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    if header.get("alg").and_then(Value::as_str) != Some("EdDSA") || !KNOWN_KEYS.contains(&key) {
        return Err(ISSUES);
    }
    match URL_SAFE_NO_PAD.decode(signature) {
        Ok(bytes) if bytes.len() == 64 && !bytes.ends_with(&[0; 4]) => {}
        _ => return Err(ISSUES),
    }
    if number(&claims, "exp").is_none_or(|expires| expires <= now.as_second()) {
        return Err(ISSUES);
    }
    if number(&claims, "version") != Some(3) {
        return Err("license must be version 3");
    }
    let five_years = now.as_second() + 5 * 366 * 24 * 3600;
    if number(&claims, "license_expires").is_none_or(|expires| expires <= 0 || expires > five_years) {
        return Err("license has invalid or missing license_expires claim");
    }
    Ok(claims)
}

/// An integer claim.
pub(crate) fn number(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name).and_then(Value::as_i64)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_licence_is_read_and_a_spoilt_or_old_one_is_not() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        assert!(read(&mint(&LicenseSpec::premium(now)), now).is_ok());
        assert!(read(&mint(&LicenseSpec::in_grace(now)), now).is_ok());
        assert!(read(&mint(&LicenseSpec::expired(now)), now).is_err());
        assert!(
            read(
                &mint(&LicenseSpec {
                    bad_signature: true,
                    ..LicenseSpec::premium(now)
                }),
                now
            )
            .is_err()
        );
        assert!(read("garbage", now).is_err());
    }
}
