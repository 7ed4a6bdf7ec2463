//! What belongs to the server and not to its database: it stays when a backup is put back.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::Clock;
use crate::ratelimit::Limiter;

/// The running server.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) clock: Clock,
    pub(crate) access_url: String,
    pub(crate) started_at: Timestamp,
    pub(crate) replica_id: Uuid,
    pub(crate) configuration: Configuration,
    pub(crate) rate_limit: u32,
    pub(crate) limiter: Limiter,
    pub(crate) login_limiter: Limiter,
    /// Features that are off although they are licensed.
    pub(crate) switched_off: BTreeSet<&'static str>,
    /// Whether requests leave rows in the audit log.
    pub(crate) auditing: bool,
}

impl Process {
    pub(crate) fn new(clock: Clock, access_url: String) -> Self {
        Self {
            started_at: clock.now(),
            clock,
            access_url,
            replica_id: Uuid::new_v4(),
            configuration: Configuration::default(),
            rate_limit: 512,
            limiter: Limiter::default(),
            login_limiter: Limiter::default(),
            switched_off: BTreeSet::new(),
            auditing: true,
        }
    }
}

/// Flags and environment of the server: what no call of the API can change.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// Features that need settings of the server which it does not have: off although licensed.
    pub(crate) not_configured: BTreeSet<&'static str>,
    /// Whether the server reports to Coder's makers.
    pub(crate) telemetry: bool,
    /// Whether users may come from an identity provider.
    pub(crate) identity_provider: bool,
    /// Whether `GET /buildinfo` says that this is a workspace proxy.
    pub(crate) answers_as_proxy: bool,
    /// How long it takes a server to list a group: it fetches the members of each by themselves.
    pub(crate) time_per_listed_group: Duration,
}

impl Default for Configuration {
    /// As most of the recorded servers were started (recording 01).
    fn default() -> Self {
        Self {
            not_configured: BTreeSet::from(["browser_only", "external_token_encryption", "scim"]),
            telemetry: false,
            identity_provider: false,
            answers_as_proxy: false,
            time_per_listed_group: Duration::ZERO,
        }
    }
}
