//! `CoderLicense` → a licence. Coder never returns the JWT, so a licence is recognised by its claims. A changed Secret
//! adds the new licence before the old one is removed: licences may coexist, and a gap would switch features off.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::SecretString;

use crate::api::{CoderLicense, DeletionPolicy, LicenseStatus, Origin};
use crate::coder::{self, Class, LicenseClaims, LicenseId};
use crate::engine::{Cx, Deviation, Error, Note, Reason, Remote, Report, Target};
use crate::lists::{LicenseItem, Licenses};
use crate::metrics::Samples;

/// The rule.
pub struct License;

/// What shall be.
pub struct Desired {
    pub(super) jwt: SecretString,
    pub(super) claims: LicenseClaims,
    pub(super) digest: String,
    pub(super) warning: Duration,
    /// The licence that the status says is ours, whatever its claims.
    pub(super) current: Option<LicenseId>,
}

/// What Coder holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub(super) license: LicenseItem,
    /// The one that it replaced and that is still there.
    pub(super) superseded: Option<LicenseId>,
}

/// What the status keeps.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    id: LicenseId,
    replaces: Option<LicenseId>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `POST /licenses`.
    Add {
        /// Whether another one of ours is there, which it replaces.
        replaces: bool,
    },
    /// `DELETE /licenses/{id}` of the one that was replaced.
    RemoveReplaced(LicenseId),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { .. } => f.write_str("add the licence"),
            Self::RemoveReplaced(id) => write!(f, "remove licence {id}, which was replaced"),
        }
    }
}

impl Remote for License {
    type Kind = CoderLicense;
    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    const NOUN: &'static str = "the licence with the claims";

    async fn resolve(cx: &Cx<'_>, object: &CoderLicense) -> Result<Desired, Error> {
        let reference = &object.spec.license_secret_ref;
        let key = reference.key_or("license");
        let jwt = cx.secret(&reference.name, key).await?;
        let claims = LicenseClaims::decode(&jwt).map_err(|error| {
            let message = format!("key {key} of Secret {} is no licence: {error}", reference.name);
            Error::terminal(Reason::InvalidSecret, message)
        })?;
        let warning = object
            .spec
            .expiry_warning
            .parse()
            .map_err(|error| Error::terminal(Reason::InvalidSpec, format!("expiryWarning: {error}")))?;
        let status = object.status.as_ref().filter(|status| status.common.origin.is_some());
        let current = status.and_then(|status| status.id).map(LicenseId);
        Ok(Desired {
            digest: claims.digest(),
            jwt,
            claims,
            warning,
            current,
        })
    }

    fn key(desired: &Desired) -> String {
        desired.digest.clone()
    }

    fn organization(_: &Desired) -> Option<&str> {
        None
    }

    fn identity(status: &LicenseStatus) -> Option<Identity> {
        Some(Identity {
            id: LicenseId(status.id?),
            replaces: status.replaces.map(LicenseId),
        })
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let (license, before) = match target {
            Target::Identity(identity) => (cx.get(&Licenses, &identity.id.to_string()).await?, identity.replaces),
            Target::Key(digest) => {
                let current = desired.and_then(|desired| desired.current);
                (cx.find(&Licenses, |license| license.digest == digest).await?, current)
            }
        };
        let Some(license) = license else { return Ok(None) };
        let superseded = match before.filter(|before| *before != license.id) {
            Some(before) => cx.get(&Licenses, &before.to_string()).await?.map(|before| before.id),
            None => None,
        };
        Ok(Some(Observed { license, superseded }))
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        match observed {
            None => vec![Change::Add { replaces: false }],
            Some(Observed { license, .. }) if license.digest != desired.digest => vec![Change::Add { replaces: true }],
            Some(Observed { superseded, .. }) => superseded.iter().copied().map(Change::RemoveReplaced).collect(),
        }
    }

    fn creates(change: &Change) -> bool {
        matches!(change, Change::Add { .. })
    }

    fn deviations(change: &Change, _: &LicenseStatus) -> Vec<Deviation> {
        match change {
            Change::Add { replaces: false } => vec![Deviation::deleted()],
            // The Secret changed.
            Change::Add { replaces: true } | Change::RemoveReplaced(_) => Vec::new(),
        }
    }

    async fn apply(
        cx: &Cx<'_>,
        desired: &Desired,
        observed: Option<&Observed>,
        change: &Change,
    ) -> Result<Observed, Error> {
        match (change, observed) {
            (Change::Add { .. }, _) => {
                let added = cx
                    .coder()
                    .add_license(&desired.jwt)
                    .await
                    .map_err(|error| refused(cx, desired, error))?;
                let license = LicenseItem::from(added);
                cx.put(&Licenses, license.clone());
                cx.recheck_instance();
                let superseded = observed
                    .map(|before| before.license.id)
                    .filter(|before| *before != license.id);
                Ok(Observed { license, superseded })
            }
            (_, None) => Err(Error::Superseded),
            (Change::RemoveReplaced(id), Some(observed)) => {
                match cx.coder().delete_license(*id).await {
                    Err(error) if !error.is_absent() => return Err(error.into()),
                    Ok(()) | Err(_) => {}
                }
                cx.remove(&Licenses, &id.to_string());
                cx.recheck_instance();
                Ok(Observed {
                    license: observed.license.clone(),
                    superseded: None,
                })
            }
        }
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut LicenseStatus, now: Timestamp) -> Report {
        let Observed { license, superseded } = observed;
        let claims = &desired.claims;
        status.id = Some(license.id.0);
        status.uuid.clone_from(&license.uuid);
        status.claims_digest = Some(license.digest.clone());
        status.replaces = superseded.map(|id| id.0);
        status.account_type = claims.account_type().map(str::to_owned);
        status.trial = Some(claims.trial());
        status.features = features(claims);
        status.expires_at = claims.license_expires().map(Time);
        status.grace_ends_at = claims.exp().map(Time);
        let Some(expires) = claims.license_expires() else {
            return Report::default();
        };
        let warn_at = expires - desired.warning;
        let message = if now >= expires {
            let ends = claims
                .exp()
                .map_or_else(String::new, |ends| format!("; its features end at {ends}"));
            format!("the licence expired at {expires}{ends}: put a new one into the Secret")
        } else if now >= warn_at {
            format!("the licence expires at {expires}: put a new one into the Secret")
        } else {
            return Report {
                notes: Vec::new(),
                look_again: Some(warn_at),
            };
        };
        let look_again = (now < expires).then_some(expires);
        Report {
            notes: vec![Note::new("Expiring", message)],
            look_again,
        }
    }

    fn measure(object: &CoderLicense, samples: &mut Samples) {
        let expires = object.status.as_ref().and_then(|status| status.expires_at.as_ref());
        if let Some(expires) = expires {
            let help = "When the licence that expires first does, in seconds since 1970";
            samples.lowest(
                "license_expiry_timestamp_seconds",
                help,
                expires.0.as_duration().as_secs_f64(),
            );
        }
    }

    fn deletion_default(_: Option<Origin>) -> DeletionPolicy {
        DeletionPolicy::Orphan
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            id: observed.license.id,
            replaces: observed.superseded,
        }
    }

    fn held(identity: &Identity) -> String {
        identity.id.to_string()
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity) -> Result<(), Error> {
        for id in identity.replaces.into_iter().chain([identity.id]) {
            match cx.coder().delete_license(id).await {
                // Coder checks the permission first: a 404 here means that it is gone.
                Err(error) if !error.is_absent() => return Err(error.into()),
                Ok(()) | Err(_) => cx.remove(&Licenses, &id.to_string()),
            }
        }
        cx.recheck_instance();
        Ok(())
    }
}

/// Coder says the same for every licence that it does not take; its claims say more.
fn refused(cx: &Cx<'_>, desired: &Desired, error: coder::Error) -> Error {
    if error.class() != Class::Invalid {
        return error.into();
    }
    let reasons: Vec<String> = desired
        .claims
        .refusals(Timestamp::now(), Some(cx.connection.link.deployment))
        .iter()
        .map(ToString::to_string)
        .collect();
    let why = if reasons.is_empty() {
        "its claims look right, so the signature may be wrong or from a key that this version does not know".to_owned()
    } else {
        reasons.join("; ")
    };
    Error::Explained {
        message: format!("Coder does not take the licence: {why} ({error})"),
        source: error,
    }
}

/// The feature set, or the features one by one.
fn features(claims: &LicenseClaims) -> Vec<String> {
    if let Some(set) = claims.feature_set() {
        return vec![set.to_owned()];
    }
    let mut names: Vec<String> = claims
        .features()
        .map(|features| features.keys().cloned().collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
