//! The objects as the API server shows them: a table redrawn in place on a terminal, a line a change elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use futures::stream::{SelectAll, StreamExt};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::Failure;
use crate::coder::list;
use crate::manifests::at;

/// The objects by place of the kind, namespace and name.
pub(crate) type Objects = BTreeMap<(usize, String, String), DynamicObject>;

/// Shows objects while somebody waits for them.
pub(crate) struct Board<'a> {
    client: &'a Client,
    resources: &'a [ApiResource],
    began: Instant,
    terminal: bool,
    width: usize,
    /// Lines of the table that stands on the terminal.
    drawn: usize,
    /// What was printed of each object, where there is no terminal.
    printed: BTreeMap<String, String>,
}

impl<'a> Board<'a> {
    pub(crate) fn new(client: &'a Client, resources: &'a [ApiResource]) -> Self {
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok())
            .unwrap_or(110);
        let terminal = std::io::stdout().is_terminal();
        Self {
            client,
            resources,
            began: Instant::now(),
            terminal,
            width,
            drawn: 0,
            printed: BTreeMap::new(),
        }
    }

    /// Shows all objects until they are as wanted; answers with them, and whether they became so in time.
    pub(crate) async fn until(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Objects) -> bool,
    ) -> Result<(Objects, bool), Failure> {
        let mut objects = Objects::new();
        let mut events: SelectAll<_> = self
            .resources
            .iter()
            .enumerate()
            .map(|(place, resource)| {
                let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
                let events = watcher(api, watcher::Config::default())
                    .default_backoff()
                    .applied_objects();
                events.map(move |event| (place, event)).boxed()
            })
            .collect();
        self.drawn = 0;
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let Ok(next) = tokio::time::timeout_at(deadline, events.next()).await else {
                return Ok((objects, false));
            };
            let Some((place, event)) = next else {
                return Err("the watches ended".into());
            };
            // A watch that failed comes back by itself.
            let Ok(object) = event else { continue };
            objects.insert(
                (place, object.namespace().unwrap_or_default(), object.name_any()),
                object,
            );
            self.draw(&objects)?;
            if wanted(&objects) {
                return Ok((objects, true));
            }
        }
    }

    fn draw(&mut self, objects: &Objects) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if !self.terminal {
            for object in objects.values().filter(|object| ready(object).is_some()) {
                let row = self.row(object);
                let key = format!("{} {}", kind(object), object.name_any());
                if self.printed.get(&key) != Some(&row) {
                    let elapsed = format!("+{:.1} s", self.began.elapsed().as_secs_f64());
                    writeln!(out, "  {elapsed:>8}  {row}")?;
                    self.printed.insert(key, row);
                }
            }
            return out.flush();
        }
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        let titles = columns("KIND", "NAME", "READY", "REASON", "");
        writeln!(out, "  \x1b[1m{titles}\x1b[0m")?;
        for object in objects.values() {
            writeln!(out, "  {}", self.row(object))?;
        }
        self.drawn = objects.len() + 1;
        out.flush()
    }

    fn row(&self, object: &DynamicObject) -> String {
        let unknown = Value::Null;
        let condition = ready(object).unwrap_or(&unknown);
        let (status, reason) = (at(condition, "/status"), at(condition, "/reason"));
        let more = if status == "True" {
            facts(object)
        } else {
            at(condition, "/message").to_owned()
        };
        let status = if status.is_empty() { "…" } else { status };
        let row = columns(kind(object), &object.name_any(), status, reason, &more);
        // A line that wraps could not be redrawn.
        let longest = if self.terminal {
            self.width.saturating_sub(4)
        } else {
            usize::MAX
        };
        row.trim_end().chars().take(longest).collect()
    }
}

fn columns(kind: &str, name: &str, ready: &str, reason: &str, more: &str) -> String {
    format!("{kind:<21}{name:<16}{ready:<7}{reason:<20}{more}")
}

/// What is worth seeing of an object that is Ready.
fn facts(object: &DynamicObject) -> String {
    let status = |field: &str| at(&object.data, &format!("/status/{field}")).to_owned();
    match kind(object) {
        "CoderInstance" => format!("Coder {}, user {}", status("version"), status("user")),
        "CoderLicense" => format!("expires {}", status("expiresAt")),
        "CoderGroup" => {
            let waiting: Vec<&str> = pending(object).collect();
            let members = object
                .data
                .pointer("/status/memberCount")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            let pending = if waiting.is_empty() {
                String::new()
            } else {
                format!(", waiting: {}", waiting.join(" "))
            };
            let noun = if members == 1 { "member" } else { "members" };
            format!("{members} {noun}{pending}")
        }
        "CoderWorkspaceProxy" => format!(
            "{}, token in Secret {}",
            status("health"),
            at(&object.data, "/spec/tokenSecret/name")
        ),
        _ => format!("id {}", status("id")),
    }
}

/// The kind's name.
pub(crate) fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

/// The condition Ready.
pub(crate) fn ready(object: &DynamicObject) -> Option<&Value> {
    list(object.data.pointer("/status/conditions")?).find(|condition| at(condition, "/type") == "Ready")
}

/// Why it is Ready, or not.
pub(crate) fn reason(object: &DynamicObject) -> &str {
    ready(object).map_or("", |ready| at(ready, "/reason"))
}

/// Whether the operator has drawn a conclusion from the object as it is now.
pub(crate) fn concluded(object: &DynamicObject) -> bool {
    let observed = object
        .data
        .pointer("/status/observedGeneration")
        .and_then(Value::as_i64);
    ready(object).is_some() && observed.is_some() && observed == object.metadata.generation
}

/// Whether it is Ready as it is now.
pub(crate) fn is_ready(object: &DynamicObject) -> bool {
    concluded(object) && ready(object).is_some_and(|ready| at(ready, "/status") == "True")
}

/// The members that a group waits for.
pub(crate) fn pending(object: &DynamicObject) -> impl Iterator<Item = &str> {
    object
        .data
        .pointer("/status/pendingMembers")
        .into_iter()
        .flat_map(list)
        .filter_map(Value::as_str)
}
