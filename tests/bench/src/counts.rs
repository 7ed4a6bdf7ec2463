//! Counting what came in: at Coder from the simulator's journal, at Kubernetes from the API server's own metrics.

use std::collections::BTreeMap;

use coder_sim::{Mark, Sim};
use kube::Client;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// Calls that came in at Coder.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    /// Reads that list the groups of an organization: the ones that are dear on a real server.
    pub(crate) lists_of_groups: u64,
    pub(crate) refused: u64,
    pub(crate) by_route: BTreeMap<String, u64>,
}

impl Calls {
    /// Of all these servers together.
    pub(crate) fn since(sim: &Sim, mark: Mark) -> Self {
        let mut calls = Self::default();
        for entry in sim.journal().since(mark) {
            if entry.effect.is_write() {
                calls.writes += 1;
            } else {
                calls.reads += 1;
            }
            let route = format!("{} {}", entry.method, entry.template);
            if route == "GET /api/v2/organizations/{organization}/groups" {
                calls.lists_of_groups += 1;
            }
            if entry.status.is_none_or(|status| status >= 400) {
                calls.refused += 1;
            }
            *calls.by_route.entry(route).or_default() += 1;
        }
        calls
    }
}

/// Writes that came in at the API server, by verb and resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Writes(pub(crate) BTreeMap<String, u64>);

impl Writes {
    /// All since the API server's start.
    pub(crate) async fn so_far(client: &Client) -> Result<Self, Failure> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        Ok(Self::read(&client.request_text(request).await?))
    }

    fn read(metrics: &str) -> Self {
        let mut writes = BTreeMap::new();
        for line in metrics
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total{"))
        {
            let label = |name: &str| {
                let (_, after) = line.split_once(&format!("{name}=\""))?;
                after.split('"').next()
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else {
                continue;
            };
            if !["POST", "PUT", "PATCH", "APPLY", "DELETE"].contains(&verb) || resource == "leases" {
                continue;
            }
            let subresource = label("subresource").filter(|it| !it.is_empty());
            let key = subresource.map_or_else(
                || format!("{verb} {resource}"),
                |subresource| format!("{verb} {resource}/{subresource}"),
            );
            let count = line.rsplit(' ').next().and_then(|it| it.parse::<f64>().ok());
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a counter of requests, written as a float"
            )]
            let count = count.unwrap_or_default() as u64;
            *writes.entry(key).or_default() += count;
        }
        Self(writes)
    }

    /// Those that came after `before`.
    pub(crate) fn after(&self, before: &Self) -> Self {
        let more = self.0.iter().filter_map(|(key, count)| {
            let more = count.saturating_sub(before.0.get(key).copied().unwrap_or_default());
            (more > 0).then(|| (key.clone(), more))
        });
        Self(more.collect())
    }

    /// Without so many that were not the operator's.
    pub(crate) fn without(mut self, verb: &str, resources: &[String]) -> Self {
        for resource in resources {
            self.0.remove(&format!("{verb} {resource}"));
        }
        self
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_told_by_verb_and_resource_and_reads_are_none() {
        let text = r#"
apiserver_request_total{code="201",component="apiserver",dry_run="",group="a",resource="gadgets",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="409",component="apiserver",dry_run="",group="a",resource="gadgets",scope="resource",subresource="",verb="POST",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="a",resource="gadgets",scope="resource",subresource="status",verb="APPLY",version="v1"} 1e+03
apiserver_request_total{code="200",component="apiserver",dry_run="",group="a",resource="gadgets",scope="resource",subresource="",verb="GET",version="v1"} 9
"#;
        let writes = Writes::read(text);
        let expected = [("APPLY gadgets/status", 1000), ("POST gadgets", 4)];
        assert_eq!(writes.0, expected.map(|(key, count)| (key.to_owned(), count)).into());
        let more = writes.after(&Writes([("POST gadgets".to_owned(), 4)].into()));
        assert_eq!(more.total(), 1000);
    }
}
