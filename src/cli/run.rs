//! `coder-operator run`: puts the process together.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_controller::LeaderElection;
use k8s_controller::events::{EventRecorder, Reporter};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::api::ObjectKey;
use crate::engine::cluster::coverage::{Coverage, Namespaces};
use crate::engine::cluster::metadata::{MetadataCache, Told};
use crate::engine::cluster::objects::Caches;
use crate::engine::cluster::output::Outputs;
use crate::engine::cluster::scheduler::Scheduler;
use crate::engine::cluster::wake::{Topic, Wakes, Woken};
use crate::engine::cluster::worker::{Running, Worker};
use crate::engine::pass::reconciler::KindReconciler;
use crate::engine::{Engine, Remote};
use crate::instance::Instances;
use crate::kinds::{self, Visitor};
use crate::leader::{Leadership, RENEW_DEADLINE, gate};
use crate::metrics::Metrics;
use crate::supervisor::Supervisor;
use crate::{server, telemetry};

/// Flags of `run`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Watch only this namespace; may be given several times. Default: all.
    #[arg(
        long = "watch-namespace",
        value_delimiter = ',',
        env = "CODER_OPERATOR_WATCH_NAMESPACE"
    )]
    watch_namespaces: Vec<String>,

    /// Watch Secrets and config maps only in this namespace; may be given several times. Default: those that are watched.
    #[arg(
        long = "secret-namespace",
        value_delimiter = ',',
        env = "CODER_OPERATOR_SECRET_NAMESPACE"
    )]
    secret_namespaces: Vec<String>,

    /// Read the labels of namespaces, for the selectors of `spec.access`. `false` needs no `ClusterRole`: a selector then matches
    /// no namespace, names still do.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, env = "CODER_OPERATOR_NAMESPACE_LABELS")]
    namespace_labels: bool,

    /// Elect a leader, so that several replicas can stand by. `false` for a single process.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, env = "CODER_OPERATOR_LEADER_ELECTION")]
    leader_election: bool,

    /// Namespace of the Lease; default: that of the pod, or of the kubeconfig's context.
    #[arg(long, env = "CODER_OPERATOR_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,

    /// Name of the Lease.
    #[arg(long, default_value = "coder-operator", env = "CODER_OPERATOR_LEASE_NAME")]
    lease_name: String,

    /// Seconds that a leader may be silent before another one takes over.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=300), env = "CODER_OPERATOR_LEASE_SECONDS")]
    lease_seconds: u64,

    /// Name of this replica in the Lease; must be unique. Default: the host's name and a random part.
    #[arg(long, env = "CODER_OPERATOR_IDENTITY")]
    identity: Option<String>,

    /// Where `/livez`, `/readyz` and `/metrics` are served. `[::]` means IPv6 and IPv4, or IPv4 alone where there is no
    /// IPv6.
    #[arg(long, default_value = "[::]:8080", env = "CODER_OPERATOR_LISTEN")]
    listen: SocketAddr,

    /// Seconds that passes under way may take to end after a signal to stop.
    #[arg(long, default_value_t = 20, env = "CODER_OPERATOR_SHUTDOWN_SECONDS")]
    shutdown_seconds: u64,

    /// Look of the log.
    #[arg(long, value_enum, default_value_t = telemetry::Format::Json, env = "CODER_OPERATOR_LOG_FORMAT")]
    log_format: telemetry::Format,

    /// What is logged: a level, or a list such as `info,coder_operator=debug`.
    #[arg(long, default_value = "info", env = "CODER_OPERATOR_LOG_LEVEL")]
    log_level: String,

    /// Append every write to Coder to this file, one JSON object a line: for which object, what was called, the result.
    #[arg(long, env = "CODER_OPERATOR_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    telemetry::init(options.log_format, &options.log_level, options.audit_log.as_deref())?;
    let config = Config::infer().await?;
    let lease_namespace = options
        .lease_namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let identity = options.identity.clone().unwrap_or_else(identity);
    let leadership = if options.leader_election {
        Leadership::candidate(options.lease())
    } else {
        Leadership::alone()
    };
    let namespaces = only(&options.watch_namespaces).unwrap_or_default();
    let secrets = only(&options.secret_namespaces).unwrap_or_else(|| namespaces.clone());
    let (engine, woken) = engine(
        gate::client(config.clone(), leadership.clone())?,
        &identity,
        leadership.clone(),
        &options.labelled(),
    );
    let mut coverage = metadata(&engine, &secrets);
    let workers = workers(&engine, &namespaces);
    coverage.extend(workers.iter().map(|worker| worker.coverage.clone()));
    measure(&engine, coverage.clone());
    let serving = CancellationToken::new();
    let address = server::serve(options.listen, coverage, Arc::clone(&engine.metrics), serving.clone()).await?;
    tracing::info!(%address, identity, version = env!("CARGO_PKG_VERSION"), "serving probes and metrics");

    let kinds = workers
        .iter()
        .map(|worker| (worker.kind, Arc::clone(&worker.passes)))
        .collect();
    let scheduler = Scheduler::new(&engine, kinds, woken);
    engine.tasks.run("scheduler of passes", scheduler.run());
    for worker in workers {
        engine.tasks.run(worker.kind, worker.watch);
    }
    let resign = CancellationToken::new();
    let electing = if options.leader_election {
        // Not through the gate: who does not lead yet writes the Lease.
        let election = election(Client::try_from(config)?, &lease_namespace, &identity, &options);
        let (leadership, resign) = (leadership.clone(), resign.clone());
        Some(tokio::spawn(async move { leadership.run(election, resign).await }))
    } else {
        None
    };

    let failed = tokio::select! {
        signalled = signal() => signalled.map(|()| None)?,
        part = engine.tasks.failed() => Some(part),
    };
    tracing::info!("stopping: no new passes, those under way may end");
    if !engine.tasks.end(Duration::from_secs(options.shutdown_seconds)).await {
        tracing::warn!("some passes did not end in time and are abandoned; the next leader takes them up");
    }
    resign.cancel();
    join_all(electing).await;
    serving.cancel();
    match failed {
        Some(part) => Err(format!("the part {part} ended unexpectedly; the log says why").into()),
        None => Ok(()),
    }
}

impl Options {
    /// The namespaces whose labels are read: all of the cluster or none, for there is no right to some.
    fn labelled(&self) -> Namespaces {
        if self.namespace_labels {
            Namespaces::All
        } else {
            Namespaces::Only(Vec::new())
        }
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

fn engine(client: Client, identity: &str, leadership: Leadership, labelled: &Namespaces) -> (Arc<Engine>, Woken) {
    let reporter = Reporter {
        controller: "coder-operator.dev/coder-operator".to_owned(),
        instance: Some(identity.to_owned()),
    };
    let (wakes, woken) = Wakes::new();
    let engine = Engine {
        caches: Arc::new(Caches::new(client.clone())),
        namespaces: Arc::new(MetadataCache::new("Namespace", labelled, true)),
        wakes: Arc::new(wakes),
        claims: crate::engine::pass::claims::Claims::default(),
        fights: crate::engine::pass::fights::Fights::default(),
        connections: crate::engine::connection::Connections::default(),
        bodies: crate::coder::Bodies::default(),
        outputs: Outputs::new(client.clone(), leadership.clone()),
        events: EventRecorder::new(client.clone(), reporter),
        kube: client,
        leadership,
        metrics: Metrics::new(),
        now: Timestamp::now,
        jitter: rand::random::<f64>,
        tasks: Arc::new(Supervisor::default()),
    };
    (Arc::new(engine), woken)
}

/// Says who leads and counts what cannot be listed whenever somebody asks for the metrics.
fn measure(engine: &Engine, coverage: Vec<Coverage>) {
    let leadership = engine.leadership.clone();
    engine.metrics.at_scrape(move |samples| {
        let leads = if leadership.leads() { 1.0 } else { 0.0 };
        samples.set(
            "leader",
            "Whether this replica leads, and so may write",
            Vec::new(),
            leads,
        );
        for coverage in &coverage {
            let failing = coverage.missing().into_iter().filter(|missing| missing.cause.is_some());
            let count = u32::try_from(failing.count()).unwrap_or(u32::MAX);
            let help = "Lists that the operator cannot make: a namespace or definition is missing or forbidden";
            let labels = vec![("kind", coverage.kind().to_owned())];
            samples.set("unlisted", help, labels, f64::from(count));
        }
    });
}

/// These namespaces, if there are any.
fn only(names: &[String]) -> Option<Namespaces> {
    (!names.is_empty()).then(|| Namespaces::Only(names.to_vec()))
}

/// The watches of what is no custom resource: metadata only. Secrets and `ConfigMap`s are those of some namespaces.
fn metadata(engine: &Arc<Engine>, secrets: &Namespaces) -> Vec<Coverage> {
    let client = &engine.kube;
    let cache = |kind| Arc::new(MetadataCache::new(kind, secrets, false));
    let mut watched = vec![
        watch_metadata::<Secret>(engine, apis(client, secrets), "Secret", cache("Secret"), |key| {
            Topic::Secret(key.clone())
        }),
        watch_metadata::<ConfigMap>(engine, apis(client, secrets), "ConfigMap", cache("ConfigMap"), |key| {
            Topic::ConfigMap(key.clone())
        }),
    ];
    if engine.namespaces.coverage().is_watched() {
        let labels = Arc::clone(&engine.namespaces);
        let all = vec![Api::all(client.clone())];
        let topic = |key: &ObjectKey| Topic::Namespace(key.name.clone());
        watched.push(watch_metadata::<Namespace>(engine, all, "Namespace", labels, topic));
    }
    watched
}

fn watch_metadata<K>(
    engine: &Arc<Engine>,
    apis: Vec<Api<PartialObjectMeta<K>>>,
    kind: &'static str,
    cache: Arc<MetadataCache>,
    topic: fn(&ObjectKey) -> Topic,
) -> Coverage
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let coverage = cache.coverage();
    let (wakes, stop) = (Arc::clone(&engine.wakes), engine.tasks.stop());
    let tell = move |told: Told<'_>| match told {
        Told::Changed(key) => wakes.changed(&topic(key)),
        Told::Coverage => wakes.changed(&Topic::Coverage(kind)),
    };
    engine.tasks.run(kind, async move { cache.run(apis, stop, tell).await });
    coverage
}

fn apis<K>(client: &Client, namespaces: &Namespaces) -> Vec<Api<PartialObjectMeta<K>>>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespaces {
        Namespaces::All => vec![Api::all(client.clone())],
        Namespaces::Only(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    }
}

/// The instances and every kind of the registry.
fn workers(engine: &Arc<Engine>, namespaces: &Namespaces) -> Vec<Running> {
    struct Started<'a> {
        engine: &'a Arc<Engine>,
        namespaces: &'a Namespaces,
        running: Vec<Running>,
    }
    impl Visitor for Started<'_> {
        fn visit<R: Remote>(&mut self) {
            let reconciler = KindReconciler::<R>::default();
            let running = Worker::start(self.engine, reconciler, self.namespaces.clone());
            self.running.push(running);
        }
    }
    let instances = Worker::start(engine, Instances::default(), namespaces.clone());
    engine.connections.known_by(instances.coverage.clone());
    let mut started = Started {
        engine,
        namespaces,
        running: vec![instances],
    };
    kinds::visit(&mut started);
    started.running
}

fn election(client: Client, namespace: &str, identity: &str, options: &Options) -> LeaderElection {
    let lease = options.lease();
    LeaderElection::new(client, namespace, &options.lease_name, identity)
        .with_lease_duration(lease)
        .with_renew_deadline(lease.mul_f64(RENEW_DEADLINE))
        .with_retry_period(lease.mul_f64(2.0 / 15.0))
}

fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "coder-operator".to_owned());
    format!("{host}-{:08x}", rand::random::<u32>())
}

/// Waits for a signal to stop.
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
