//! Small settings of a deployment: whether prebuilt workspaces are made, which checks of the health page are not shown.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Client, Error, Method, Path, wire::null_default};

const PREBUILDS: &str = "/prebuilds/settings";
const HEALTH: &str = "/debug/health/settings";

#[derive(Deserialize, Serialize)]
struct Prebuilds {
    #[serde(default, deserialize_with = "null_default")]
    reconciliation_paused: bool,
}

/// A set: the server compares texts, and takes another order for a change (recording 29).
#[derive(Deserialize, Serialize)]
struct Health {
    #[serde(default, deserialize_with = "null_default")]
    dismissed_healthchecks: BTreeSet<String>,
}

impl Client {
    /// Whether no prebuilt workspaces are made. Unsupported before v2.25.
    pub async fn prebuilds_paused(&self) -> Result<bool, Error> {
        let settings: Prebuilds = self.get(Path::new(PREBUILDS)).await?;
        Ok(settings.reconciliation_paused)
    }

    /// Says so.
    pub async fn pause_prebuilds(&self, reconciliation_paused: bool) -> Result<(), Error> {
        let body = Prebuilds { reconciliation_paused };
        self.call_unit(Method::Put, Path::new(PREBUILDS), Some(&body)).await
    }

    /// The checks of the health page whose warnings are not shown. Only an Owner sees them.
    pub async fn dismissed_health_checks(&self) -> Result<BTreeSet<String>, Error> {
        let settings: Health = self.get(Path::new(HEALTH)).await?;
        Ok(settings.dismissed_healthchecks)
    }

    /// Replaces them.
    pub async fn dismiss_health_checks(&self, dismissed: &BTreeSet<String>) -> Result<(), Error> {
        let body = Health {
            dismissed_healthchecks: dismissed.clone(),
        };
        self.call_unit(Method::Put, Path::new(HEALTH), Some(&body)).await
    }
}
