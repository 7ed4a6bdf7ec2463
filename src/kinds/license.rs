//! `CoderLicense` → a licence. Coder never returns the JWT, so a licence is recognised by its claims. A changed Secret
//! adds the new licence and removes the old one when the new one gives the same: licences may coexist, and a gap would
//! switch features off.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::SecretString;

use super::absence;
use crate::api::{CoderLicense, DeletionPolicy, LicenseStatus, Origin, ReplacedLicense};
use crate::coder::{self, Class, DeploymentId, Entitlements, LicenseClaims, LicenseId};
use crate::engine;
use crate::engine::{Cx, Deviation, Error, Reason, Remote, Report, Target};
use crate::lists::{LicenseItem, Licenses, SETTING, Standing};
use crate::metrics::Samples;
use crate::mirror::Interest;

mod identity;
mod notes;
mod renewal;

pub use identity::Identity;
use identity::Known;
use renewal::Around;

/// The status names at most this many features.
const SHOWN: usize = 100;

/// What shall be.
pub struct Desired {
    pub(super) jwt: SecretString,
    pub(super) claims: LicenseClaims,
    pub(super) digest: String,
    pub(super) warning: Duration,
    pub(super) deployment: DeploymentId,
    /// When it was asked for.
    pub(super) now: Timestamp,
    /// What the status says is ours, whatever its claims.
    pub(super) held: Option<Identity>,
    /// The licence of which the status knows the number only.
    pub(super) unproven: Option<LicenseId>,
}

/// What Coder holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub(super) license: LicenseItem,
    /// Those of ours that it replaced and that are still there.
    pub(super) superseded: Vec<LicenseItem>,
    /// One that it may have replaced.
    pub(super) unproven: Option<LicenseItem>,
    /// What all licences give together.
    pub(super) entitlements: Entitlements,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `POST /licenses`.
    Add {
        /// Whether the Secret holds another one than before.
        renewal: bool,
    },
    /// `DELETE /licenses/{id}` of one that was replaced.
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

impl engine::remote::Change<CoderLicense> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Add { .. })
    }

    fn deviations(&self, _: &LicenseStatus) -> Vec<Deviation> {
        match self {
            Self::Add { renewal: false } => vec![Deviation::deleted()],
            // The Secret changed.
            Self::Add { renewal: true } | Self::RemoveReplaced(_) => Vec::new(),
        }
    }
}

impl Remote for CoderLicense {
    const NOUN: &'static str = "the licence with the claims";
    const NEEDS: &'static str = "the role Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

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
        Ok(Desired {
            digest: claims.digest(),
            jwt,
            claims,
            warning,
            deployment: cx.connection.link.deployment,
            now: Timestamp::now(),
            held: status.and_then(Identity::of),
            unproven: status.and_then(|status| status.replaces).map(LicenseId),
        })
    }

    fn natural_key(desired: &Desired) -> String {
        desired.digest.clone()
    }

    fn organizations<'a>(_: Option<&'a Desired>, _: Option<&'a Observed>) -> Vec<&'a str> {
        Vec::new()
    }

    fn identity(status: &LicenseStatus) -> Option<Identity> {
        Identity::of(status)
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let held = match target {
            Target::Identity(identity) => Some(identity),
            Target::Key(_) => desired.and_then(|desired| desired.held.as_ref()),
        };
        let ours = match held {
            Some(held) => held.ours(cx).await?,
            None => Vec::new(),
        };
        let license = match target {
            // A Secret that goes back to the licence that was replaced finds that one.
            Target::Identity(_) => ours
                .iter()
                .find(|one| desired.is_some_and(|desired| desired.digest == one.digest))
                .or(ours.first())
                .cloned(),
            Target::Key(digest) => cx.find(&Licenses, |license| license.digest == digest).await?,
        };
        let Some(license) = license else { return Ok(None) };
        let unproven = match desired.and_then(|desired| desired.unproven) {
            Some(left) if left != license.id => cx.get(&Licenses, &left.to_string()).await?,
            _ => None,
        };
        let entitlements = match desired {
            Some(_) => standing(cx).await?,
            None => Entitlements::default(),
        };
        Ok(Some(Observed {
            superseded: ours.into_iter().filter(|one| one.id != license.id).collect(),
            license,
            unproven,
            entitlements,
        }))
    }

    async fn believe_gone(cx: &Cx<'_>, _: &Identity) -> Result<(), Error> {
        absence::believe_of_owners(cx, "the licence")
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        let add = || {
            let before = desired.held.as_ref().map(|held| &held.current);
            let renewal = before.is_some_and(|before| before.digest() != Some(&desired.digest));
            vec![Change::Add { renewal }]
        };
        let Some(observed) = observed.filter(|observed| observed.license.digest == desired.digest) else {
            return add();
        };
        let around = Around {
            entitlements: &observed.entitlements,
            deployment: desired.deployment,
            now: desired.now,
        };
        let may_go = |old: &&LicenseItem| renewal::lacks(&desired.claims, &old.claims, around).is_empty();
        let going = observed.superseded.iter().filter(may_go);
        going.map(|old| Change::RemoveReplaced(old.id)).collect()
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
                let before = observed.into_iter().flat_map(|before| {
                    let replaced = before.superseded.iter();
                    std::iter::once(&before.license).chain(replaced)
                });
                Ok(Observed {
                    superseded: before.filter(|before| before.id != license.id).cloned().collect(),
                    license,
                    unproven: observed.and_then(|before| before.unproven.clone()),
                    entitlements: Entitlements::default(),
                })
            }
            (_, None) => Err(Error::Superseded),
            (Change::RemoveReplaced(id), Some(observed)) => {
                let (going, staying) = observed.superseded.iter().cloned().partition(|old| old.id == *id);
                let going: Vec<LicenseItem> = going;
                for old in &going {
                    Known::from(old).remove(cx).await?;
                }
                Ok(Observed {
                    superseded: staying,
                    entitlements: standing_after_write(cx).await,
                    ..observed.clone()
                })
            }
        }
    }

    async fn complete(cx: &Cx<'_>, _: &Desired, observed: Observed) -> Result<Observed, Error> {
        Ok(Observed {
            entitlements: standing_after_write(cx).await,
            ..observed
        })
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut LicenseStatus, now: Timestamp) -> Report {
        let license = &observed.license;
        let claims = &desired.claims;
        status.id = Some(license.id.0);
        status.uuid.clone_from(&license.uuid);
        status.claims_digest = Some(license.digest.clone());
        status.replaced = observed.superseded.iter().map(ReplacedLicense::from).collect();
        status.replaces = observed.unproven.as_ref().map(|left| left.id.0);
        status.account_type = claims.account_type().map(str::to_owned);
        status.trial = Some(claims.trial());
        status.features = features(claims);
        status.expires_at = claims.license_expires().map(Time);
        status.grace_ends_at = claims.exp().map(Time);
        notes::of(desired, observed, now)
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

    fn created_at(observed: &Observed) -> Option<Timestamp> {
        observed.license.uploaded_at
    }

    fn deletion_default(_: Option<Origin>) -> DeletionPolicy {
        DeletionPolicy::Orphan
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            current: Known::from(&observed.license),
            replaced: observed.superseded.iter().map(Known::from).collect(),
        }
    }

    async fn delete(cx: &Cx<'_>, identity: &Identity, _: &Observed) -> Result<(), Error> {
        for known in identity.replaced.iter().chain([&identity.current]) {
            known.remove(cx).await?;
        }
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
    names.truncate(SHOWN);
    names
}

/// What the licences give together, as it is.
async fn standing(cx: &Cx<'_>) -> Result<Entitlements, Error> {
    let shown = cx.list(&Standing, Interest::Item(SETTING.to_owned())).await?;
    Ok(shown.get(SETTING).cloned().unwrap_or_default())
}

/// What they give after one came or went. A failure must not take back what was written: it leaves nothing known, which
/// keeps what was replaced.
async fn standing_after_write(cx: &Cx<'_>) -> Entitlements {
    cx.invalidate(&Standing);
    standing(cx).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the entitlements could not be read");
        Entitlements::default()
    })
}

#[cfg(test)]
mod tests;
