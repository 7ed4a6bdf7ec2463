//! So many objects: declared, confirmed by an operator that starts anew, left alone, deleted.

use std::path::Path;
use std::time::Duration;

use coder_sim::{Mark, Sim};
use tokio::time::Instant;

use crate::counts::{Calls, Writes};
use crate::floor;
use crate::load::Load;
use crate::operator::Operator;
use crate::processors::Busy;
use crate::report::{Floor, Run, Step};
use crate::stage::{self, Stage};
use crate::{Failure, Options};

const NAMESPACE: &str = "bench";
const WARM: usize = 200;

/// Everything of one load, on a cluster and a Coder of its own.
pub(crate) async fn run(binary: &Path, load: &Load, list_ms: f64, options: &Options) -> Result<Run, Failure> {
    let (objects, limit) = (load.objects.len(), options.limit());
    let stage = Stage::set(binary).await?;
    // The API server is slow with the first objects of a kind: neither of the two shall pay for it.
    let warm = stage.ground.namespace("warm").await?;
    let few = Load::new(load.mix, WARM);
    floor::measure(&stage, warm.name(), &stage::coder(0.0).await, &few).await?;
    let bare = stage.ground.namespace("floor").await?;
    let floor = floor::measure(&stage, bare.name(), &stage::coder(0.0).await, load).await?;
    eprintln!("  floor: declared {}, deleted {}", floor.declared, floor.deleted);

    let namespace = stage.ground.namespace(NAMESPACE).await?;
    let namespace = namespace.name();
    let sim = stage::coder(list_ms).await;
    stage.connect(namespace, "default", &sim).await?;
    let operator = Operator::start(&stage, binary, objects).await?;
    stage.instance_ready(namespace, "default", limit).await?;
    let plurals: Vec<String> = load.kinds().into_iter().map(stage::plural).collect();

    let meter = Meter::start(&stage, &sim, &operator).await?;
    stage.declare(namespace, load).await?;
    let ready = operator.ready(objects, limit).await?;
    let took = ready.then(|| meter.began.elapsed());
    let calm = ready && operator.quiet(objects, limit).await?.is_some();
    let mut declared = meter.stop(&stage, &sim, &operator, took, Some(floor.declared)).await?;
    declared.kubernetes = declared.kubernetes.without("POST", &plurals);
    eprintln!("  declared: {}", declared.brief());
    let mut run = Run {
        mix: load.mix.to_string(),
        objects,
        list_ms,
        declared,
        restarted: None,
        idle: None,
        deleted: None,
    };
    if !calm {
        return Ok(run);
    }

    operator.kill()?;
    let before = (sim.journal().mark(), Writes::so_far(&stage.kube).await?);
    let (began, busy) = (Instant::now(), Busy::so_far()?);
    let operator = Operator::start(&stage, binary, objects).await?;
    let last = operator.quiet(objects, limit).await?;
    let meter = Meter {
        began,
        busy,
        mark: before.0,
        writes: before.1,
    };
    let took = last.map(|last| last - began);
    let restarted = meter.stop(&stage, &sim, &operator, took, None).await?;
    eprintln!("  restarted: {}", restarted.brief());
    run.restarted = Some(restarted);
    if last.is_none() {
        return Ok(run);
    }

    let meter = Meter::start(&stage, &sim, &operator).await?;
    // Nothing is waited for: what nothing costs is what is measured.
    let idle = Duration::from_secs(options.idle_seconds);
    tokio::time::sleep(idle).await;
    let idle = meter.stop(&stage, &sim, &operator, Some(idle), None).await?;
    eprintln!("  idle: {}", idle.brief());
    run.idle = Some(idle);

    let meter = Meter::start(&stage, &sim, &operator).await?;
    stage.delete(namespace, load).await?;
    let gone = stage.gone(namespace, load, limit).await?;
    let took = gone.then(|| meter.began.elapsed());
    let mut deleted = meter.stop(&stage, &sim, &operator, took, Some(floor.deleted)).await?;
    deleted.kubernetes = deleted.kubernetes.without("DELETE", &plurals);
    eprintln!("  deleted: {}", deleted.brief());
    run.deleted = Some(deleted);
    operator.kill()?;
    Ok(run)
}

/// What there was when a step began.
struct Meter {
    began: Instant,
    busy: Busy,
    mark: Mark,
    writes: Writes,
}

impl Meter {
    async fn start(stage: &Stage, sim: &Sim, operator: &Operator) -> Result<Self, Failure> {
        operator.forget_peak()?;
        Ok(Self {
            writes: Writes::so_far(&stage.kube).await?,
            busy: Busy::so_far()?,
            mark: sim.journal().mark(),
            began: Instant::now(),
        })
    }

    async fn stop(
        self,
        stage: &Stage,
        sim: &Sim,
        operator: &Operator,
        took: Option<Duration>,
        floor: Option<Floor>,
    ) -> Result<Step, Failure> {
        let busy = Busy::so_far()?.after(&self.busy);
        let (peak_mib, mib) = operator.memory_mib()?;
        Ok(Step {
            seconds: took.map(|it| it.as_secs_f64()),
            floor,
            busy,
            peak_mib,
            mib,
            coder: Calls::since(sim, self.mark),
            kubernetes: Writes::so_far(&stage.kube).await?.after(&self.writes),
        })
    }
}
