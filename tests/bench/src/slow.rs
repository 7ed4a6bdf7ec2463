//! One Coder among three takes long for each call: do the objects of the other two notice?

use std::path::Path;
use std::time::Duration;

use coder_sim::{Entry, Fault, Method, Sim};
use futures::future::try_join_all;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use crate::Failure;
use crate::load::{Declared, Load, Mix, group};
use crate::operator::Operator;
use crate::report::{Latency, Slow};
use crate::stage::{self, Stage};

/// What the slow one takes for each call.
const TAKES: Duration = Duration::from_secs(2);
/// Groups that are declared for it, while the others are looked at.
const WAVE: usize = 200;
/// Groups that each of the others has.
const STEADY: usize = 20;
/// Changes that are timed.
const CHANGES: usize = 20;
const EVERY: Duration = Duration::from_millis(250);

/// Times changes for two quick Coders while the third has a wave to do: first as quick as they are, then slow.
pub(crate) async fn run(binary: &Path, limit: Duration) -> Result<Slow, Failure> {
    let stage = Stage::set(binary).await?;
    let names = ["slow", "left", "right"];
    let sims = [
        stage::coder(0.0).await,
        stage::coder(0.0).await,
        stage::coder(0.0).await,
    ];
    let namespace = stage.ground.namespace("slow").await?;
    let namespace = namespace.name();
    for (name, sim) in names.iter().zip(&sims) {
        stage.connect(namespace, name, sim).await?;
    }
    let operator = Operator::start(&stage, binary, WAVE).await?;
    for name in names {
        stage.instance_ready(namespace, name, limit).await?;
    }
    let [slow, left, right] = &sims;
    for name in ["left", "right"] {
        stage.declare(namespace, &on(name, name, STEADY)).await?;
    }
    if !operator.ready(2 * STEADY, limit).await? {
        return Err("the groups of the quick ones do not become Ready".into());
    }

    stage.declare(namespace, &on("slow", "first", WAVE)).await?;
    let without = changes(&stage, namespace, left, right, 1, limit).await?;
    eprintln!("  three quick ones: {without}");
    if operator.quiet(2 * STEADY + WAVE, limit).await?.is_none() {
        return Err("the first wave does not end".into());
    }
    slow.faults().add(Fault::on_any().latency(TAKES));
    stage.declare(namespace, &on("slow", "second", WAVE)).await?;
    let with = changes(&stage, namespace, left, right, 2, limit).await?;
    eprintln!("  one slow: {with}");
    Ok(Slow {
        takes_seconds: TAKES.as_secs_f64(),
        wave: WAVE,
        without,
        with,
    })
}

/// Groups that belong to that instance, named after it and the wave.
fn on(instance: &str, wave: &str, groups: usize) -> Load {
    let objects = (0..groups).map(|number| {
        let mut declared = group(number);
        declared.name = format!("{wave}-{number}");
        if let Some(spec) = declared.spec.as_object_mut() {
            spec.insert("instanceRef".to_owned(), json!({ "name": instance }));
        }
        declared
    });
    Load {
        mix: Mix::Groups,
        objects: objects.collect::<Vec<Declared>>(),
    }
}

/// Changes at a steady pace, on the left and on the right in turns, each timed until Coder has it. None waits for the one
/// before.
async fn changes(
    stage: &Stage,
    namespace: &str,
    left: &Sim,
    right: &Sim,
    round: usize,
    limit: Duration,
) -> Result<Latency, Failure> {
    let began = Instant::now();
    let change = async |number: usize| -> Result<f64, Failure> {
        let (side, sim) = if number.is_multiple_of(2) {
            ("left", left)
        } else {
            ("right", right)
        };
        let name = format!("{side}-{}", number / 2);
        let group = sim.groups().into_iter().find(|group| group.name == name);
        let path = format!("/api/v2/groups/{}", group.ok_or("no such group")?.id);
        tokio::time::sleep_until(began + EVERY * u32::try_from(number)?).await;
        let (mark, began) = (sim.journal().mark(), Instant::now());
        let change = json!({ "spec": { "quotaAllowance": 100 * round + number } });
        stage
            .api("CoderGroup", namespace)
            .patch(&name, &PatchParams::default(), &Patch::Merge(change))
            .await?;
        let done = |entry: &Entry| entry.method == Method::PATCH && entry.path == path;
        let entry = sim.journal().wait_since(mark, done, limit).await;
        entry.ok_or_else(|| format!("a change was not done within {limit:?}"))?;
        Ok(began.elapsed().as_secs_f64())
    };
    Ok(Latency::of(try_join_all((0..CHANGES).map(change)).await?))
}
