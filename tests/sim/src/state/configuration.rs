//! How the server was started: what no call of the API can change.

use std::collections::BTreeSet;
use std::time::Duration;

/// Flags and environment of the server.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// Features that need settings of the server which it does not have: off although licensed.
    pub(crate) not_configured: BTreeSet<&'static str>,
    /// Whether the server reports to Coder's makers.
    pub(crate) telemetry: bool,
    /// How long it takes a server to list a group: it fetches the members of each by themselves.
    pub(crate) time_per_listed_group: Duration,
}

impl Default for Configuration {
    /// As most of the recorded servers were started (recording 01).
    fn default() -> Self {
        Self {
            not_configured: BTreeSet::from(["browser_only", "external_token_encryption", "scim"]),
            telemetry: false,
            time_per_listed_group: Duration::ZERO,
        }
    }
}
