//! The parts: Kubernetes, Coder, the operator.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coder_operator::{crds, rbac};
use coder_sim::{Profile, Sim};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_ground::{ControlPlane, Guard, Role, User};

use crate::{Failure, Options};

/// Who the demo is to the API server's field management.
pub(crate) const MANAGER: &str = "demo";
/// Until the operator serves its probes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that runs. Fields are dropped in order: the operator ends before what it talks to.
pub(crate) struct Stage {
    operator: Guard,
    /// Where the operator's probes and metrics are.
    pub(crate) operator_url: String,
    pub(crate) ground: ControlPlane,
    pub(crate) kube: Client,
    /// The simulated Coder, unless a real one is used.
    pub(crate) sim: Option<Sim>,
    pub(crate) coder_url: String,
    pub(crate) coder_token: String,
}

impl Stage {
    /// Starts all of it. The simulated Coder has these users, and a licence unless one is `declared`.
    pub(crate) async fn set(options: &Options, users: Vec<String>, declared: bool) -> Result<Self, Failure> {
        let (sim, coder_url, coder_token) = if let Some((url, token)) = options.server()? {
            (None, url, token)
        } else {
            let sim = Sim::builder(Profile::Main)
                .users(users)
                .licensed(!declared)
                .start()
                .await;
            let (url, token) = (sim.url(), sim.owner_token().to_owned());
            (Some(sim), url, token)
        };
        let what = match (&sim, options.write) {
            (Some(_), _) if declared => "simulated, without a licence yet",
            (Some(_), _) => "simulated",
            (None, true) => "real, WRITE: it will be changed, and stays changed",
            (None, false) => "real, only read",
        };
        println!("Coder            {coder_url} ({what})");
        let binary = binary(options)?;
        println!(
            "Kubernetes       etcd, kube-apiserver, kube-controller-manager; the first use compiles them, which takes some minutes …"
        );
        let began = Instant::now();
        let ground = ControlPlane::start(test_ground::Options::default()).await?;
        println!(
            "                 {} after {:.1} s",
            ground.url(),
            began.elapsed().as_secs_f64()
        );
        println!("                 files in {}", ground.directory().display());
        let kube = ground.admin()?;
        test_ground::install_crds(&kube, &crds::all()).await?;
        permissions(&kube).await?;
        let (operator, operator_url) = start(&ground, &binary).await?;
        println!(
            "Operator         process {} as user {}, {operator_url}/metrics",
            pid(&operator),
            User::OPERATOR
        );
        Ok(Self {
            operator,
            operator_url,
            ground,
            kube,
            sim,
            coder_url,
            coder_token,
        })
    }

    /// Where the operator's log is.
    pub(crate) fn operator_log(&self) -> &Path {
        self.operator.log()
    }

    /// What the operator had to say that was no routine.
    pub(crate) fn complaints(&self) -> String {
        let log = std::fs::read_to_string(self.operator.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
        let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
        last.join("\n")
    }

    /// Creates a namespace.
    pub(crate) async fn namespace(&self, name: &str) -> Result<(), Failure> {
        apply::<Namespace>(
            &self.kube,
            name,
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
        )
        .await
    }
}

/// The operator's program: named, or beside this one.
fn binary(options: &Options) -> Result<PathBuf, Failure> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("coder-operator"));
    let path = options.operator.clone().or_else(beside).unwrap_or_default();
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no operator at {}: run `make demo`, or build it with `cargo build`",
        path.display()
    )
    .into())
}

/// As the chart gives them, for the user that the operator runs as here.
async fn permissions(kube: &Client) -> Result<(), Failure> {
    let api = "rbac.authorization.k8s.io/v1";
    let rules = [rbac::objects(), rbac::secrets(), rbac::namespaces()].concat();
    let meta = json!({ "name": User::OPERATOR });
    let role = json!({ "apiVersion": api, "kind": "ClusterRole", "metadata": meta, "rules": rules });
    apply::<ClusterRole>(kube, User::OPERATOR, role).await?;
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": meta,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": User::OPERATOR },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": User::OPERATOR }],
    });
    apply::<ClusterRoleBinding>(kube, User::OPERATOR, binding).await
}

async fn apply<K>(kube: &Client, name: &str, object: Value) -> Result<(), Failure>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    Api::<K>::all(kube.clone())
        .patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
        .await?;
    Ok(())
}

async fn start(ground: &ControlPlane, binary: &Path) -> Result<(Guard, String), Failure> {
    let kubeconfig = ground.kubeconfig(User::OPERATOR)?;
    let command = [
        "env".to_owned(),
        format!("KUBECONFIG={}", kubeconfig.display()),
        binary.display().to_string(),
        "run".to_owned(),
        "--leader-election=false".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
    ];
    let mut guard = Guard::spawn(ground.directory(), "operator", Role::Member, &command)?;
    let began = Instant::now();
    loop {
        let log = std::fs::read_to_string(guard.log()).unwrap_or_default();
        let address = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|line| Some(line.get("address")?.as_str()?.to_owned()));
        if let Some(address) = address {
            return Ok((guard, format!("http://{address}")));
        }
        guard.check()?;
        if began.elapsed() > PATIENCE {
            return Err(format!("the operator does not serve its probes:\n{log}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pid(guard: &Guard) -> String {
    guard.pid().map_or_else(|| "?".to_owned(), |pid| pid.to_string())
}
