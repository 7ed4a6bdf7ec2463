//! The result, as JSON and as text.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::counts::{Calls, Writes};
use crate::processors::Busy;

/// What bare clients took for a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Floor {
    pub(crate) seconds: f64,
    pub(crate) busy: Busy,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s (processors {})", self.seconds, self.busy)
    }
}

/// One step of a run. Without `seconds` it was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) seconds: Option<f64>,
    /// Bare clients that do the same.
    pub(crate) floor: Option<Floor>,
    pub(crate) busy: Busy,
    /// The most memory that the operator had meanwhile, and what it had in the end.
    pub(crate) peak_mib: f64,
    pub(crate) mib: f64,
    pub(crate) coder: Calls,
    /// Writes to Kubernetes, without those of the measurement itself.
    pub(crate) kubernetes: Writes,
}

impl Step {
    /// How many times longer than the floor.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.seconds? / self.floor?.seconds)
    }

    /// In one line.
    pub(crate) fn brief(&self) -> String {
        let seconds = self.seconds.map_or("given up".to_owned(), |it| format!("{it:.1} s"));
        let ratio = self.ratio().map(|it| format!(" ({it:.2} x)")).unwrap_or_default();
        format!(
            "{seconds}{ratio}, processors {}, peak {:.0} MiB, Coder {} writes {} reads ({} lists of groups), Kubernetes {} writes",
            self.busy,
            self.peak_mib,
            self.coder.writes,
            self.coder.reads,
            self.coder.lists_of_groups,
            self.kubernetes.total()
        )
    }
}

/// One load through all steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) mix: String,
    pub(crate) objects: usize,
    pub(crate) list_ms: f64,
    pub(crate) declared: Step,
    pub(crate) restarted: Option<Step>,
    pub(crate) idle: Option<Step>,
    pub(crate) deleted: Option<Step>,
}

/// How long changes took, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) longest: f64,
}

impl Latency {
    pub(crate) fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            median: seconds.get(seconds.len() / 2).copied().unwrap_or_default(),
            longest: seconds.last().copied().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s, at most {:.2} s", self.median, self.longest)
    }
}

/// One slow Coder among three.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Slow {
    /// What the slow one takes for a call.
    pub(crate) takes_seconds: f64,
    /// How many groups it was to make meanwhile.
    pub(crate) wave: usize,
    /// A change on one of the others while all are quick, and while one is slow.
    pub(crate) without: Latency,
    pub(crate) with: Latency,
}

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// How busy the machine was with others before it began (load average of a minute).
    pub(crate) load_before: String,
    pub(crate) runs: Vec<Run>,
    pub(crate) slow: Option<Slow>,
}

impl Report {
    /// An empty one.
    pub(crate) fn on_this_machine() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: model
                .unwrap_or_default()
                .trim_start_matches([' ', '\t', ':'])
                .to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            runs: Vec::new(),
            slow: None,
        }
    }

    /// As JSON, into that file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        Ok(fs::write(path, serde_json::to_string_pretty(self)?)?)
    }

    /// As Markdown: a table for each mix and each time of a list, a column for each size.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} processors ({}), load before {}\n",
            self.processors, self.processor, self.load_before
        );
        let mut told: Vec<(&str, f64)> = Vec::new();
        for run in &self.runs {
            let which = (run.mix.as_str(), run.list_ms);
            if told
                .iter()
                .any(|one| one.0 == which.0 && one.1.total_cmp(&which.1).is_eq())
            {
                continue;
            }
            told.push(which);
            let same = |one: &&Run| one.mix == run.mix && one.list_ms.total_cmp(&run.list_ms).is_eq();
            let runs: Vec<&Run> = self.runs.iter().filter(same).collect();
            table(&mut text, which, &runs);
        }
        if let Some(slow) = &self.slow {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n| one Coder among three takes {} s a call and has {} groups to make | a change on the others |\n|---|---|\n\
                 | all three quick | {} |\n| one slow | {} |\n",
                slow.takes_seconds, slow.wave, slow.without, slow.with
            );
        }
        text
    }
}

const EVERYBODY: &str = "processor time: operator, kube-apiserver and etcd, Coder and clients, other programs";

fn table(text: &mut String, (mix, list_ms): (&str, f64), runs: &[&Run]) {
    text.push('\n');
    let mut row = |title: &str, value: &dyn Fn(&Run) -> Option<String>| {
        let values = runs.iter().map(|run| value(run).unwrap_or_else(|| "–".to_owned()));
        let _ = writeln!(text, "| {title} | {} |", values.collect::<Vec<_>>().join(" | "));
    };
    let seconds = |step: &Step| step.seconds.map(|it| format!("{it:.1} s"));
    let calls = |step: &Step| {
        let coder = &step.coder;
        format!(
            "{} writes, {} reads ({} lists of groups)",
            coder.writes, coder.reads, coder.lists_of_groups
        )
    };
    let floor = |step: &Step| Some(format!("{:.1} s, {:.2} ×", step.floor?.seconds, step.ratio()?));
    let cost = |step: &Step| format!("{:.1} s, {:.0} MiB", step.busy.operator, step.peak_mib);
    let everybody = |step: &Step| step.busy.to_string();
    let writes = |step: &Step| step.kubernetes.total().to_string();

    row(&format!("{mix}, {list_ms} ms a listed group"), &|run| {
        Some(format!("{} objects", run.objects))
    });
    row("---", &|_| Some("---".to_owned()));
    row("declared → all Ready", &|run| seconds(&run.declared));
    row("the floor of it", &|run| floor(&run.declared));
    row("processor time, most memory", &|run| Some(cost(&run.declared)));
    row(EVERYBODY, &|run| Some(everybody(&run.declared)));
    row("the same of the floor", &|run| {
        Some(run.declared.floor?.busy.to_string())
    });
    row("calls to Coder", &|run| Some(calls(&run.declared)));
    row("writes to Kubernetes", &|run| Some(writes(&run.declared)));
    row("killed, started again → all confirmed", &|run| {
        seconds(run.restarted.as_ref()?)
    });
    row("processor time, most memory", &|run| run.restarted.as_ref().map(cost));
    row("calls to Coder", &|run| run.restarted.as_ref().map(calls));
    row("writes to Kubernetes", &|run| run.restarted.as_ref().map(writes));
    row("idle for a minute: processor time", &|run| {
        let idle = run.idle.as_ref()?;
        Some(format!("{:.2} s", idle.busy.operator * 60.0 / idle.seconds?))
    });
    row("calls to Coder", &|run| run.idle.as_ref().map(calls));
    row("deleted → all gone", &|run| seconds(run.deleted.as_ref()?));
    row("the floor of it", &|run| floor(run.deleted.as_ref()?));
    row("processor time, most memory", &|run| run.deleted.as_ref().map(cost));
    row(EVERYBODY, &|run| run.deleted.as_ref().map(everybody));
    row("calls to Coder", &|run| run.deleted.as_ref().map(calls));
    row("writes to Kubernetes", &|run| run.deleted.as_ref().map(writes));
}
