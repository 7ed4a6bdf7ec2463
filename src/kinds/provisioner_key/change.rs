//! The calls that change the keys, and how they read.

use std::fmt;

use crate::api::{CoderProvisionerKey, ProvisionerKeyStatus};
use crate::coder::CreateProvisionerKey;
use crate::engine::{self, Deviation};
use crate::kinds::issued::{Why, Words};
use crate::lists::ProvisionerKeyItem;

/// How a key is called.
pub(super) const WORDS: Words = Words {
    field: "keySecret",
    noun: "key",
    means: "running daemons need the new Secret",
};

/// One call.
#[derive(Clone, Debug)]
pub enum Change {
    /// `POST /organizations/{id}/provisionerkeys`; the key goes into the Secret.
    Create(CreateProvisionerKey),
    /// The same beside the key that there is.
    Issue(Why, CreateProvisionerKey),
    /// `DELETE /organizations/{id}/provisionerkeys/{name}`.
    Retire(ProvisionerKeyItem, Retired),
    /// No call: the Secret as it shall be, with the key that there is.
    SettleSecret,
}

/// Why a key is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// Its time is over, or nobody uses it.
    Over,
    /// Its name is needed.
    Early,
    /// Its value reached no Secret, so that nobody can use it.
    Stray,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(request) => write!(f, "create provisioner key {}", request.name),
            Self::Issue(why, request) => write!(f, "{}, as {}", why.describe(WORDS), request.name),
            Self::Retire(key, Retired::Over) => write!(f, "delete the key before, {}", key.name),
            Self::Retire(key, Retired::Early) => {
                write!(f, "delete the key before, {}, early: its name is needed", key.name)
            }
            Self::Retire(key, Retired::Stray) => write!(f, "delete key {}, which reached no Secret", key.name),
            Self::SettleSecret => f.write_str("bring the Secret up to date, with the same key"),
        }
    }
}

impl engine::remote::Change<CoderProvisionerKey> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    /// Keys are deleted by name, and what has the name must be what was meant.
    fn looks_first(&self) -> bool {
        matches!(self, Self::Issue(..) | Self::Retire(..))
    }

    fn deviations(&self, _: &ProvisionerKeyStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation {
                text: format!("deleted ({})", WORDS.means),
                ..Deviation::deleted()
            }],
            Self::Issue(why, _) => why.deviation(WORDS).into_iter().collect(),
            Self::Retire(..) | Self::SettleSecret => Vec::new(),
        }
    }
}
