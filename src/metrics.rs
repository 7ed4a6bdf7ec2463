//! Numbers for Prometheus. Labels are kinds, reasons, path templates: never names of objects.

pub mod catalog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use crate::coder::{self, BreakerState, CallInfo, Class};
use crate::mirror;

const PREFIX: &str = "coder_operator";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    path: &'static str,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    kind: &'static str,
    handling: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListLabels {
    collection: &'static str,
    outcome: &'static str,
}

/// All numbers of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    passes: Family<PassLabels, Counter>,
    pass_seconds: Family<KindLabel, Histogram>,
    waiting: Gauge,
    running: Gauge,
    calls: Family<CallLabels, Counter>,
    drifts: Family<DriftLabels, Counter>,
    drift_repeats: Family<KindLabel, Counter>,
    unreadable: Family<KindLabel, Counter>,
    feed: FeedNumbers,
    lists: Family<ListLabels, Counter>,
    scrape: Arc<Scrape>,
}

/// Numbers of the audit log as a feed.
struct FeedNumbers {
    entries: Counter,
    touches: Counter,
    fallbacks: Counter,
    lag: Histogram,
}

impl FeedNumbers {
    fn register(registry: &mut Registry) -> Self {
        let numbers = Self {
            entries: Counter::default(),
            touches: Counter::default(),
            fallbacks: Counter::default(),
            lag: seconds(),
        };
        register(registry, "feed_entries", numbers.entries.clone());
        register(registry, "feed_wakes", numbers.touches.clone());
        register(registry, "feed_fallbacks", numbers.fallbacks.clone());
        register(registry, "feed_lag_seconds", numbers.lag.clone());
        numbers
    }
}

/// What is counted when somebody asks.
#[derive(Default)]
struct Scrape {
    sources: Mutex<Vec<Source>>,
    fetched: Mutex<BTreeMap<&'static str, Instant>>,
}

type Source = Box<dyn Fn(&mut Samples) + Send + Sync>;

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix(PREFIX);
        let passes = Family::default();
        register(&mut registry, "passes", passes.clone());
        let pass_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        register(&mut registry, "pass_duration_seconds", pass_seconds.clone());
        let (waiting, running) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        register(&mut registry, "objects_waiting", waiting.clone());
        register(&mut registry, "passes_running", running.clone());
        let calls = Family::default();
        register(&mut registry, "coder_calls", calls.clone());
        let drifts = Family::default();
        register(&mut registry, "drifts", drifts.clone());
        let drift_repeats = Family::default();
        register(&mut registry, "drift_repeats", drift_repeats.clone());
        let unreadable = Family::default();
        register(&mut registry, "unreadable_objects", unreadable.clone());
        let feed = FeedNumbers::register(&mut registry);
        let lists = Family::default();
        register(&mut registry, "lists", lists.clone());
        let scrape = Arc::new(Scrape::default());
        registry.register_collector(Box::new(ScrapeCollector(Arc::clone(&scrape))));
        Arc::new(Self {
            registry: Mutex::new(registry),
            passes,
            pass_seconds,
            waiting,
            running,
            calls,
            drifts,
            drift_repeats,
            unreadable,
            feed,
            lists,
            scrape,
        })
    }

    /// A pass ended with that outcome: a reason.
    pub fn pass(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.passes.get_or_create(&PassLabels { kind, outcome }).inc();
        self.pass_seconds
            .get_or_create(&KindLabel { kind })
            .observe(took.as_secs_f64());
    }

    /// So many objects wait for their pass, and so many passes run.
    pub fn queue(&self, waiting: usize, running: usize) {
        let value = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.set(value(waiting));
        self.running.set(value(running));
    }

    /// Drift was found, and corrected or reported.
    pub fn drift(&self, kind: &'static str, handling: &'static str) {
        self.drifts.get_or_create(&DriftLabels { kind, handling }).inc();
    }

    /// Somebody and the operator change the same field back and forth.
    pub fn drift_repeats(&self, kind: &'static str) {
        self.drift_repeats.get_or_create(&KindLabel { kind }).inc();
    }

    /// An object could not be read.
    pub fn unreadable(&self, kind: &'static str) {
        self.unreadable.get_or_create(&KindLabel { kind }).inc();
    }

    /// A poll of the audit log: entries that were new, things that were looked at again because of them, and how old
    /// the newest entry was when it was handled.
    pub fn feed_read(&self, entries: usize, touches: usize, lag: Option<Duration>) {
        self.feed.entries.inc_by(entries as u64);
        self.feed.touches.inc_by(touches as u64);
        if let Some(lag) = lag {
            self.feed.lag.observe(lag.as_secs_f64());
        }
    }

    /// The audit log cannot be read any more: the sweeps take over.
    pub fn feed_fallback(&self) {
        self.feed.fallbacks.inc();
    }

    /// Something to count when somebody asks.
    pub fn at_scrape(&self, source: impl Fn(&mut Samples) + Send + Sync + 'static) {
        lock(&self.scrape.sources).push(Box::new(source));
    }

    /// All numbers in the text format of Prometheus (`OpenMetrics`).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &lock(&self.registry)) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

impl coder::Observer for Metrics {
    fn call(&self, call: &CallInfo) {
        if !call.sent {
            return;
        }
        let status = match (call.status, call.class) {
            (Some(status), _) => status.to_string(),
            (None, Some(class)) => class.as_str().to_owned(),
            (None, None) => "none".to_owned(),
        };
        let labels = CallLabels {
            method: call.method.as_str(),
            path: call.template,
            status,
        };
        self.calls.get_or_create(&labels).inc();
    }
}

impl mirror::Observer for Metrics {
    fn fetched(&self, collection: &'static str, result: Result<Duration, Class>) {
        let outcome = match result {
            Ok(_) => {
                lock(&self.scrape.fetched).insert(collection, Instant::now());
                "ok"
            }
            Err(class) => class.as_str(),
        };
        self.lists.get_or_create(&ListLabels { collection, outcome }).inc();
    }
}

/// Gauges that are computed when somebody asks.
#[derive(Default)]
pub struct Samples {
    gauges: BTreeMap<&'static str, (&'static str, BTreeMap<Labels, f64>)>,
}

type Labels = Vec<(&'static str, String)>;

impl Samples {
    /// One more with these labels.
    pub fn add(&mut self, name: &'static str, help: &'static str, labels: Labels) {
        *self.gauge(name, help).entry(labels).or_default() += 1.0;
    }

    /// One more custom resource of that kind, with these conditions.
    pub fn object(&mut self, kind: &'static str, conditions: &[Condition]) {
        self.add("objects", catalog::help("objects"), vec![("kind", kind.to_owned())]);
        for condition in conditions {
            let labels = vec![
                ("kind", kind.to_owned()),
                ("condition", condition.type_.clone()),
                ("status", condition.status.clone()),
            ];
            self.add("object_conditions", catalog::help("object_conditions"), labels);
        }
    }

    /// The value, if it is the lowest so far.
    pub fn lowest(&mut self, name: &'static str, help: &'static str, value: f64) {
        let lowest = self.gauge(name, help).entry(Vec::new()).or_insert(value);
        *lowest = lowest.min(value);
    }

    /// The value.
    pub fn set(&mut self, name: &'static str, help: &'static str, labels: Labels, value: f64) {
        self.gauge(name, help).insert(labels, value);
    }

    /// Adds whether a breaker is open.
    pub fn breaker(&mut self, state: BreakerState) {
        let open = if state == BreakerState::Open { 1.0 } else { 0.0 };
        *self
            .gauge("breakers_open", catalog::help("breakers_open"))
            .entry(Vec::new())
            .or_default() += open;
    }

    fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut BTreeMap<Labels, f64> {
        &mut self.gauges.entry(name).or_insert_with(|| (help, BTreeMap::new())).1
    }
}

struct ScrapeCollector(Arc<Scrape>);

impl std::fmt::Debug for ScrapeCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapeCollector").finish_non_exhaustive()
    }
}

impl Collector for ScrapeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut samples = Samples::default();
        for (collection, at) in lock(&self.0.fetched).iter() {
            let labels = vec![("collection", (*collection).to_owned())];
            let help = catalog::help("snapshot_age_seconds");
            samples.set("snapshot_age_seconds", help, labels, at.elapsed().as_secs_f64());
        }
        for source in lock(&self.0.sources).iter() {
            source(&mut samples);
        }
        for (name, (help, values)) in samples.gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            // A value without labels stands alone; the family would write empty braces.
            if let Some(value) = values.get(&Labels::new()) {
                ConstGauge::new(*value).encode(family)?;
                continue;
            }
            for (labels, value) in values {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn register(registry: &mut Registry, name: &'static str, metric: impl Metric) {
    registry.register(name, catalog::help(name), metric);
}

/// From 1 ms to about a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 3.0, 11))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
