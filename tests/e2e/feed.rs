//! The audit log as a feed: a change made by hand is corrected within seconds, at a cost that does not depend on the
//! number of objects.

mod availability;
mod correction;
mod dependents;
mod idle;
mod late;
mod log;
mod operators;
mod own;
mod tokens;
mod unchanged;

use coder_operator::api::instance::Feed;
use coder_operator::api::{CoderGroup, CoderInstance};
use coder_sim::{Mark, Method, Profile};
use serde_json::{Value, json};

use crate::support::{Coder, World, ready};

const AUDIT: &str = "/api/v2/audit";
const GROUPS: &str = "/api/v2/organizations/{organization}/groups";
const GROUP: &str = "/api/v2/groups/{group}";

/// Nothing but the feed can find a change in time. Without an interval it is the default.
async fn fed(test: &str, profile: Profile, interval: impl Into<Option<&str>>) -> World {
    let interval = interval.into();
    let settings = json!({ "resyncInterval": "1h", "feedInterval": interval });
    let world = World::with(test, Coder::simulated(profile).await, settings).await;
    reads_the_log(&world).await;
    world
}

async fn reads_the_log(world: &World) {
    world
        .wait::<CoderInstance>("default", |instance| feed(instance) == Some(Feed::AuditLog))
        .await;
}

/// Waits until the instance says that the sweep does it all, because of that.
async fn sweeps_because(world: &World, reason: &str) {
    world
        .wait::<CoderInstance>("default", |instance| {
            feed(instance) == Some(Feed::Sweep) && self::reason(instance).contains(reason)
        })
        .await;
}

fn feed(instance: &CoderInstance) -> Option<Feed> {
    instance.status.as_ref()?.feed
}

fn reason(instance: &CoderInstance) -> &str {
    let status = instance.status.as_ref();
    status
        .and_then(|status| status.feed_reason.as_deref())
        .unwrap_or_default()
}

/// A group of the default organization with quota 20.
async fn group(world: &World, name: &str) {
    let spec = json!({ "organization": "default", "quotaAllowance": 20 });
    world.apply::<CoderGroup>(name, spec).await;
    world.wait(name, ready::<CoderGroup>).await;
}

/// Changes a group through the API, as anybody with an Owner's token may.
async fn change(world: &World, token: &str, group: &str, body: Value) {
    let id = world.coder.sim().group("coder", group).unwrap().id;
    let path = format!("/groups/{id}");
    world.coder.change_as(token, Method::PATCH, &path, body).await;
}

/// Sets the quota of groups by hand, and waits until all are set back.
async fn disturb(world: &World, token: &str, groups: &[&str]) {
    for group in groups {
        change(world, token, group, json!({ "quota_allowance": 99 })).await;
    }
    for group in groups {
        quota_is_set_back(world, group).await;
    }
}

async fn quota_is_set_back(world: &World, group: &str) {
    let sim = world.coder.sim();
    let held = async || {
        sim.group("coder", group)
            .is_some_and(|group| group.quota_allowance == 20)
    };
    world.until(&format!("the quota of {group} is set back"), held).await;
}

/// Waits for so many polls of the log from now on.
async fn polls(world: &World, times: usize) {
    let sim = world.coder.sim();
    let mark = sim.journal().mark();
    let polled = async || {
        pages(world, mark)
            .iter()
            .filter(|path| path.contains("offset=0"))
            .count()
            >= times
    };
    world.until("polls of the audit log", polled).await;
}

/// The pages of the log that the operator read after `mark`.
fn pages(world: &World, mark: Mark) -> Vec<String> {
    let calls = world.coder.calls_since(mark).into_iter();
    calls
        .filter(|call| call.template == AUDIT)
        .map(|call| call.path)
        .collect()
}

/// What else the operator called after `mark`.
fn others(world: &World, mark: Mark) -> Vec<String> {
    let calls = world.coder.calls_since(mark).into_iter();
    calls
        .filter(|call| call.template != AUDIT)
        .map(|call| format!("{} {}", call.method, call.path))
        .collect()
}

/// Waits until the operator does nothing but poll.
async fn quiet(world: &World) {
    world
        .until("a quiet time", async || {
            let mark = world.coder.sim().journal().mark();
            polls(world, 2).await;
            others(world, mark).is_empty()
        })
        .await;
}

/// How many entries of the log the operator has read, and how many things it has looked at again because of them.
async fn entries_and_wakes(world: &World) -> (f64, f64) {
    let metric = async |name| {
        let metric = format!("coder_operator_feed_{name}_total ");
        world.operator.metric(&metric).await.expect("a metric")
    };
    (metric("entries").await, metric("wakes").await)
}
