//! The calls that change an application and its client secrets, and how they read.

use std::fmt;

use crate::api::{CoderOAuth2App, OAuth2AppStatus};
use crate::coder::PutOAuth2App;
use crate::engine::{self, Deviation};
use crate::kinds::field::Differences;
use crate::kinds::issued::{Why, Words};

/// How a client secret is called.
pub(super) const WORDS: Words = Words {
    field: "clientSecret",
    noun: "client secret",
    means: "clients need the new Secret",
};

/// One call.
#[derive(Clone, Debug)]
pub enum Change {
    /// `POST /oauth2-provider/apps`.
    Create(PutOAuth2App),
    /// `PUT /oauth2-provider/apps/{id}`; whether it also sends what the spec leaves open.
    Update(PutOAuth2App, Differences, bool),
    /// `POST /oauth2-provider/apps/{id}/secrets`; the secret goes into the Secret.
    IssueSecret(Why),
    /// `DELETE /oauth2-provider/apps/{id}/secrets/{id}`.
    RetireSecret(String),
    /// No call: the Secret as it shall be, with the client secret that there is.
    SettleSecret,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(request) => write!(f, "create OAuth2 application {}", request.name),
            Self::Update(_, differences, _) => differences.fmt(f),
            Self::IssueSecret(why) => f.write_str(&why.describe(WORDS)),
            Self::RetireSecret(_) => f.write_str("delete the client secret before"),
            Self::SettleSecret => f.write_str("bring the Secret up to date, with the same client secret"),
        }
    }
}

impl engine::remote::Change<CoderOAuth2App> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    fn looks_first(&self) -> bool {
        matches!(self, Self::Update(_, _, true))
    }

    fn deviations(&self, _: &OAuth2AppStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation::deleted()],
            Self::Update(_, differences, _) => differences.deviations(),
            Self::IssueSecret(why) => why.deviation(WORDS).into_iter().collect(),
            Self::RetireSecret(_) | Self::SettleSecret => Vec::new(),
        }
    }
}
