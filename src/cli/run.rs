//! `coder-operator run`: puts the process together.

use std::fmt::Debug;
use std::net::SocketAddr;
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
use tokio_util::task::TaskTracker;

use super::Failure;
use crate::api::ObjectKey;
use crate::engine::cluster::metadata::MetadataCache;
use crate::engine::cluster::objects::Caches;
use crate::engine::cluster::output::Outputs;
use crate::engine::cluster::wake::{Topic, Wakes};
use crate::engine::cluster::watch::{Namespaces, Watchable};
use crate::engine::cluster::worker::{Running, Worker};
use crate::engine::{Engine, Remote};
use crate::kinds::{self, Visitor};
use crate::leader::Leadership;
use crate::metrics::Metrics;
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

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[arg(long, default_value = "0.0.0.0:8080", env = "CODER_OPERATOR_LISTEN")]
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
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    telemetry::init(options.log_format, &options.log_level)?;
    let config = Config::infer().await?;
    let lease_namespace = options
        .lease_namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let identity = options.identity.clone().unwrap_or_else(identity);
    let leadership = if options.leader_election {
        Leadership::candidate()
    } else {
        Leadership::alone()
    };
    let namespaces = match options.watch_namespaces.as_slice() {
        [] => Namespaces::All,
        names => Namespaces::Only(names.to_vec()),
    };
    let engine = engine(&client, &identity, leadership.clone());
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let mut parts = metadata(&engine, &namespaces, &stop, &tasks);
    let workers = workers(&engine, &namespaces, &stop);
    parts.extend(
        workers
            .iter()
            .map(|worker| (worker.kind.to_owned(), worker.synced.clone())),
    );
    let serving = CancellationToken::new();
    let address = server::serve(options.listen, parts, Arc::clone(&engine.metrics), serving.clone()).await?;
    tracing::info!(%address, identity, version = env!("CARGO_PKG_VERSION"), "serving probes and metrics");

    let wake_all: Vec<_> = workers.iter().map(|worker| Arc::clone(&worker.wake_all)).collect();
    for worker in workers {
        tasks.spawn(worker.run);
    }
    tasks.spawn(wake_when_leading(leadership.clone(), wake_all, stop.clone()));
    let resign = CancellationToken::new();
    let electing = options.leader_election.then(|| {
        let election = election(&client, &lease_namespace, &identity, &options);
        let (leadership, resign) = (leadership.clone(), resign.clone());
        tokio::spawn(async move { leadership.run(election, resign).await })
    });

    signal().await?;
    tracing::info!("stopping: no new passes, those under way may end");
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(Duration::from_secs(options.shutdown_seconds), tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("some passes did not end in time and are abandoned; the next leader takes them up");
    }
    resign.cancel();
    join_all(electing).await;
    serving.cancel();
    Ok(())
}

fn engine(client: &Client, identity: &str, leadership: Leadership) -> Arc<Engine> {
    let reporter = Reporter {
        controller: "coder-operator.dev/coder-operator".to_owned(),
        instance: Some(identity.to_owned()),
    };
    Arc::new(Engine {
        kube: client.clone(),
        caches: Arc::new(Caches::new(client.clone())),
        namespaces: Arc::default(),
        wakes: Arc::new(Wakes::default()),
        claims: crate::engine::pass::claims::Claims::default(),
        fights: crate::engine::pass::fights::Fights::default(),
        connections: crate::engine::connection::Connections::default(),
        bodies: crate::coder::Bodies::default(),
        outputs: Outputs::new(client.clone(), leadership.clone()),
        events: EventRecorder::new(client.clone(), reporter),
        leadership,
        metrics: Metrics::new(),
        now: Timestamp::now,
        chance: rand::random::<f64>,
    })
}

/// The watches of what is no custom resource: metadata only.
fn metadata(
    engine: &Arc<Engine>,
    namespaces: &Namespaces,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Vec<server::Part> {
    let client = &engine.kube;
    let watch = MetadataWatch { engine, stop, tasks };
    let labels = Arc::clone(&engine.namespaces);
    vec![
        watch.start::<Namespace>(vec![Api::all(client.clone())], labels, |key| {
            Topic::Namespace(key.name.clone())
        }),
        watch.start::<Secret>(apis(client, namespaces), Arc::default(), |key| {
            Topic::Secret(key.clone())
        }),
        watch.start::<ConfigMap>(apis(client, namespaces), Arc::default(), |key| {
            Topic::ConfigMap(key.clone())
        }),
    ]
}

struct MetadataWatch<'a> {
    engine: &'a Arc<Engine>,
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
}

impl MetadataWatch<'_> {
    fn start<K>(
        &self,
        apis: Vec<Api<PartialObjectMeta<K>>>,
        cache: Arc<MetadataCache>,
        topic: fn(&ObjectKey) -> Topic,
    ) -> server::Part
    where
        K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let part = (K::kind(&()).into_owned(), cache.synced());
        let (wakes, stop) = (Arc::clone(&self.engine.wakes), self.stop.clone());
        self.tasks
            .spawn(async move { cache.run(apis, stop, |key| wakes.changed(&topic(key))).await });
        part
    }
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
fn workers(engine: &Arc<Engine>, namespaces: &Namespaces, stop: &CancellationToken) -> Vec<Running> {
    struct Started<'a> {
        engine: &'a Arc<Engine>,
        namespaces: &'a Namespaces,
        stop: &'a CancellationToken,
        running: Vec<Running>,
    }
    impl Visitor for Started<'_> {
        fn visit<R: Remote<Kind: Watchable>>(&mut self) {
            self.running.push(Worker::<R>::start(
                self.engine,
                self.namespaces.clone(),
                self.stop.clone(),
            ));
        }
    }
    let instances = kinds::instance::start(engine, namespaces.clone(), stop.clone());
    let mut started = Started {
        engine,
        namespaces,
        stop,
        running: vec![instances],
    };
    kinds::visit(&mut started);
    started.running
}

/// Whoever begins to lead looks at everything: what happened while nobody led, nobody was woken for.
async fn wake_when_leading(
    leadership: Leadership,
    wake_all: Vec<Arc<dyn Fn() + Send + Sync>>,
    stop: CancellationToken,
) {
    let mut leads = leadership.watch();
    loop {
        if *leads.borrow_and_update() {
            for wake in &wake_all {
                wake();
            }
        }
        tokio::select! {
            changed = leads.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

fn election(client: &Client, namespace: &str, identity: &str, options: &Options) -> LeaderElection {
    let lease = Duration::from_secs(options.lease_seconds);
    LeaderElection::new(client.clone(), namespace, &options.lease_name, identity)
        .with_lease_duration(lease)
        .with_renew_deadline(lease.mul_f64(2.0 / 3.0))
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
