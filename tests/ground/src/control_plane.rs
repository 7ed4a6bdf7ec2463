//! A Kubernetes control plane without nodes: etcd, kube-apiserver and the controllers that objects without pods need.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, Config};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::OnceCell, time::Instant};
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

use crate::{
    Error, EtcdRaw, Result, User,
    guard::{Guard, Role},
    init, pki,
    run_dir::RunDir,
    servers, tools, user,
};

/// Names the directory of a control plane that is already running (`ground serve --dir`), to be used instead of a new one.
pub const REUSE_VARIABLE: &str = "CODER_OPERATOR_TEST_GROUND";

const DESCRIPTION: &str = "ground.json";
/// Generous: a machine busy with a compilation takes several times as long as an idle one.
const READY_WITHIN: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(25);
const ATTEMPTS: u32 = 3;

/// What a control plane is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    users: Vec<User>,
    directory: Option<PathBuf>,
    uncontrolled: bool,
    audited: bool,
}

impl Options {
    /// Adds a user to those that every control plane has.
    #[must_use]
    pub fn user(mut self, name: &str, groups: &[&str]) -> Self {
        self.users.push(User::new(name, groups));
        self
    }

    /// Runs no controllers, for measurements: they follow every object.
    #[must_use]
    pub fn without_controllers(mut self) -> Self {
        self.uncontrolled = true;
        self
    }

    /// Records the requests of service accounts, for [`ControlPlane::audit`].
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.audited = true;
        self
    }

    /// Uses this directory, which must be empty or absent, instead of a temporary one.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }
}

/// How to reach a control plane; `ground.json` in its directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Description {
    server: String,
    etcd: String,
    ca: String,
    users: Vec<User>,
    directory: PathBuf,
}

/// A running control plane. Dropping it stops the servers and removes their directory, and so does the end of the
/// process, however it comes.
///
/// It is bound to no runtime: clients are made on demand and belong to the runtime they are made in.
#[derive(Debug)]
pub struct ControlPlane {
    description: Description,
    /// `None` for one that somebody else started.
    running: Option<Running>,
}

/// Fields are dropped in order: the servers die before their directory goes.
#[derive(Debug)]
struct Running {
    servers: Vec<Guard>,
    directory: RunDir,
}

impl ControlPlane {
    /// The one control plane of this process, started when first asked for.
    ///
    /// A start that failed is not tried again: every test that needs it fails at once, with the same words.
    pub async fn shared() -> Result<&'static Self, &'static Error> {
        static SHARED: OnceCell<Result<ControlPlane>> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                match env::var_os(REUSE_VARIABLE).filter(|it| !it.is_empty()) {
                    Some(directory) => Self::attach(Path::new(&directory)),
                    None => Self::start(Options::default()).await,
                }
            })
            .await
            .as_ref()
    }

    /// Uses the control plane that runs in `directory`.
    pub fn attach(directory: &Path) -> Result<Self> {
        init();
        let path = directory.join(DESCRIPTION);
        let text = fs::read(&path).map_err(Error::io(format!("no control plane: cannot read {}", path.display())))?;
        Ok(Self {
            description: serde_json::from_slice(&text).map_err(Error::format(path.display().to_string()))?,
            running: None,
        })
    }

    /// Starts a control plane of its own and waits until it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        init();
        let uncontrolled = options.uncontrolled;
        let binaries = tokio::task::spawn_blocking(move || Binaries::find(uncontrolled))
            .await
            .map_err(|error| Error::format("building the tools")(error))??;
        let mut attempt = 1;
        loop {
            match Self::start_once(&options, &binaries).await {
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start_once(options: &Options, binaries: &Binaries) -> Result<Self> {
        let directory = RunDir::create(options.directory.as_deref())?;
        let ca = pki::generate(&directory)?;
        let mut users = User::defaults();
        users.extend(options.users.iter().cloned());
        directory.write(servers::TOKENS, user::token_file(&users))?;
        if options.audited {
            directory.write(servers::AUDIT_POLICY, servers::AUDIT_RULES)?;
        }

        let [etcd_port, port] = servers::free_ports()?;
        let description = Description {
            server: format!("https://127.0.0.1:{port}"),
            etcd: format!("http://127.0.0.1:{etcd_port}"),
            ca,
            users,
            directory: directory.path().to_owned(),
        };
        description.write_kubeconfigs(&directory)?;
        let mut running = Running {
            servers: Vec::new(),
            directory,
        };
        // Without a log: kube's client calls every refused connection and every "not ready yet" an error.
        let ready = running
            .start(&description, binaries, port, options.audited)
            .with_subscriber(NoSubscriber::default());
        if let Err(error) = ready.await {
            if !port_was_taken(&error) {
                running.directory.keep();
            }
            return Err(error);
        }
        let text = serde_json::to_vec_pretty(&description).map_err(Error::format(DESCRIPTION))?;
        running.directory.write(DESCRIPTION, text)?;
        Ok(Self {
            description,
            running: Some(running),
        })
    }

    /// A client with all rights.
    pub fn admin(&self) -> Result<Client> {
        self.client(User::ADMIN)
    }

    /// A client with the operator's identity, which has the rights that the test's bindings give it.
    pub fn operator(&self) -> Result<Client> {
        self.client(User::OPERATOR)
    }

    /// A client of the user of that name, for the current runtime.
    pub fn client(&self, user: &str) -> Result<Client> {
        Client::try_from(self.config(user)?).map_err(Error::kube("cannot make a client"))
    }

    /// What a client of that user is made from, for callers that change something first.
    pub fn config(&self, user: &str) -> Result<Config> {
        self.description.config(user)
    }

    /// The path of the user's kubeconfig file.
    pub fn kubeconfig(&self, user: &str) -> Result<PathBuf> {
        self.description.user(user)?;
        Ok(self.directory().join(user::kubeconfig_name(user)))
    }

    /// The text of a kubeconfig file for a user that it does not know from its start.
    pub(crate) fn kubeconfig_for(&self, user: &User) -> Result<String> {
        self.description.kubeconfig(user)
    }

    /// The user's bearer token, for a process that is configured without a kubeconfig.
    pub fn token(&self, user: &str) -> Result<&str> {
        Ok(&self.description.user(user)?.token)
    }

    /// The users it knows.
    #[must_use]
    pub fn users(&self) -> &[User] {
        &self.description.users
    }

    /// What service accounts asked so far, oldest first, where that is recorded: entries of Kubernetes' audit log.
    pub fn audit(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.directory().join(servers::AUDIT_LOG);
        let text = fs::read_to_string(&path).map_err(Error::io(format!("cannot read {}", path.display())))?;
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(Error::format(servers::AUDIT_LOG)))
            .collect()
    }

    /// The API server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.description.server
    }

    /// Where its files and logs are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.description.directory
    }

    /// Direct access to the store, past every check of the API server.
    pub fn etcd(&self) -> Result<EtcdRaw> {
        EtcdRaw::new(&self.description.etcd)
    }

    /// Stops the servers and removes the directory. Dropping does the same; this one can be waited for.
    pub async fn stop(self) {
        // Waiting for a process blocks, though only for milliseconds. A failure would be a panic of a destructor.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Keeps the logs when the control plane ends.
    pub fn keep_logs(&self) {
        if let Some(running) = &self.running {
            running.directory.keep();
        }
    }
}

/// The programs that a control plane consists of.
struct Binaries {
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    /// `None` where no controllers shall run.
    kube_controller_manager: Option<PathBuf>,
}

impl Binaries {
    /// Builds what is missing.
    fn find(uncontrolled: bool) -> Result<Self> {
        let controllers = (!uncontrolled).then(|| tools::KUBE_CONTROLLER_MANAGER.binary());
        Ok(Self {
            etcd: tools::ETCD.binary()?,
            kube_apiserver: tools::KUBE_APISERVER.binary()?,
            kube_controller_manager: controllers.transpose()?,
        })
    }
}

impl Running {
    /// Starts the servers, and returns when all of them do their work.
    async fn start(&mut self, description: &Description, binaries: &Binaries, port: u16, audited: bool) -> Result<()> {
        let etcd = servers::etcd(&binaries.etcd, &self.directory, &description.etcd);
        let mut kube_apiserver =
            servers::kube_apiserver(&binaries.kube_apiserver, &self.directory, port, &description.etcd);
        if audited {
            kube_apiserver.extend(servers::audit(&self.directory));
        }
        // The guard that removes the directory is that of the server which writes most into it.
        self.spawn(servers::ETCD, Role::Owner, &etcd)?;
        self.spawn(servers::KUBE_APISERVER, Role::Member, &kube_apiserver)?;
        let client = Client::try_from(description.config(User::ADMIN)?).map_err(Error::kube("cannot make a client"))?;
        self.until(servers::KUBE_APISERVER, async || ready(&client).await)
            .await?;

        let Some(controllers) = &binaries.kube_controller_manager else {
            return Ok(());
        };
        // Not before: it gives up on an API server that is long in coming.
        let controllers =
            servers::kube_controller_manager(controllers, &self.directory, &user::kubeconfig_name(User::CONTROLLERS));
        self.spawn(servers::KUBE_CONTROLLER_MANAGER, Role::Member, &controllers)?;
        self.until(servers::KUBE_CONTROLLER_MANAGER, async || controlled(&client).await)
            .await
    }

    fn spawn(&mut self, name: &'static str, role: Role, command: &[String]) -> Result<()> {
        let guard = Guard::spawn(self.directory.path(), name, role, command)?;
        self.servers.push(guard);
        Ok(())
    }

    /// Waits until the server has answered as it should, or one of the servers has ended.
    async fn until(&mut self, server: &str, mut ready: impl AsyncFnMut() -> Result<(), String>) -> Result<()> {
        let began = Instant::now();
        loop {
            for server in &mut self.servers {
                server.check()?;
            }
            let last = match tokio::time::timeout(Duration::from_secs(5), ready()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "no answer".to_owned(),
            };
            if began.elapsed() > READY_WITHIN {
                return Err(Error::Timeout {
                    what: format!("{server} in {} is ready", self.directory.path().display()),
                    within: READY_WITHIN,
                    last,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.directory.keep();
        }
        // All at once; each guard is waited for when it is dropped.
        self.servers.iter_mut().for_each(Guard::stop);
    }
}

impl Description {
    fn user(&self, name: &str) -> Result<&User> {
        self.users
            .iter()
            .find(|user| user.name == name)
            .ok_or_else(|| Error::UnknownUser(name.to_owned()))
    }

    fn kubeconfig(&self, user: &User) -> Result<String> {
        let kubeconfig = user::kubeconfig(&self.server, &self.ca, user);
        serde_yaml::to_string(&kubeconfig).map_err(Error::format("kubeconfig"))
    }

    fn write_kubeconfigs(&self, directory: &RunDir) -> Result<()> {
        for user in &self.users {
            directory.write(&user::kubeconfig_name(&user.name), self.kubeconfig(user)?)?;
        }
        Ok(())
    }

    /// By hand rather than from the kubeconfig file: no file is read, and nothing waits.
    fn config(&self, user: &str) -> Result<Config> {
        let server = self.server.parse().map_err(Error::format("the API server's address"))?;
        let ca = CertificateDer::from_pem_slice(self.ca.as_bytes()).map_err(Error::format("the CA certificate"))?;
        let token = json!({"token": self.user(user)?.token});
        let mut config = Config::new(server);
        config.root_cert = Some(vec![ca.to_vec()]);
        config.auth_info = serde_json::from_value(token).map_err(Error::format("the user's token"))?;
        Ok(config)
    }
}

/// The free port was not free any more when the server came.
fn port_was_taken(error: &Error) -> bool {
    matches!(error, Error::Ended { tail, .. } if tail.contains("address already in use"))
}

/// Whether the API server says that it is ready.
async fn ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    let answer = client.request_text(request).await;
    answer.map(drop).map_err(|error| error.to_string())
}

/// Whether the controllers have done the first thing that they do in every namespace.
async fn controlled(client: &Client) -> Result<(), String> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let account = accounts.get("default").await;
    account.map(drop).map_err(|error| error.to_string())
}
