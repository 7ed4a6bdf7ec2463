//! What answers at the URL: `GET /buildinfo`. Needs no token.

use serde::Deserialize;

use super::{Client, DeploymentId, Error, Path, wire::null_default};

/// The server's build and deployment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BuildInfo {
    /// `v2.35.1+8b44bd6`. Builds of the main branch report the previous minor with `-devel`: to know what a server can
    /// do, ask for the route and look for [`Class::Unsupported`](super::Class::Unsupported).
    pub version: String,
    /// The same for every replica, and for as long as the database lives.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
    /// True on a workspace proxy, which answers here but has no API.
    #[serde(default, deserialize_with = "null_default")]
    pub workspace_proxy: bool,
    /// The deployment's own access URL.
    #[serde(default, deserialize_with = "null_default")]
    pub dashboard_url: String,
    /// Whether telemetry is on: some licences require it.
    #[serde(default, deserialize_with = "null_default")]
    pub telemetry: bool,
}

/// Whether a server that reports `version` is of that release (major, minor) or a later one; an unreadable version is not.
#[must_use]
pub fn is_at_least(version: &str, release: (u32, u32)) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= release,
        _ => false,
    }
}

impl Client {
    /// What answers at the URL. Also the lightest call there is.
    pub async fn build_info(&self) -> Result<BuildInfo, Error> {
        self.get(Path::new("/buildinfo")).await
    }

    /// The deployment that answers at the URL.
    pub async fn deployment_id(&self) -> Result<Option<DeploymentId>, Error> {
        Ok(self.build_info().await?.deployment_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_is_certain() {
        let info: BuildInfo = serde_json::from_str(r#"{"version":"v2.16.1","dashboard_url":null}"#).unwrap();
        assert_eq!(
            (info.version.as_str(), info.deployment_id, info.workspace_proxy),
            ("v2.16.1", None, false)
        );
    }
}
