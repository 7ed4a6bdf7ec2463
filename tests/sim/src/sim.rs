//! Starting, stopping and looking at a simulated server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::gateway::Front;
use crate::journal::Journal;
use crate::license::{self, LicenseSpec};
use crate::profile::Profile;
use crate::routes;
use crate::server::{self, Shared};
use crate::stale::Previous;
use crate::state::{NewApiKey, State};

/// A simulated Coder server. It goes away when this is dropped.
#[derive(Debug)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    clock: Clock,
    address: SocketAddr,
    owner_token: String,
    server: Mutex<Option<JoinHandle<()>>>,
}

/// How a server starts. The default: bootstrapped, with a Premium licence, on a free port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Builder {
    profile: Profile,
    listen: SocketAddr,
    empty: bool,
    licensed: bool,
    token: Option<String>,
    deployment_id: Uuid,
    clock: Clock,
    rate_limit: u32,
    users: Vec<String>,
    identity_provider: bool,
    configured: Vec<(&'static str, bool)>,
}

impl Builder {
    /// Listens here instead of on a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Nobody has used the server yet: no user, no licence. [`Sim::owner_token`] is empty.
    #[must_use]
    pub fn empty(mut self) -> Self {
        self.empty = true;
        self
    }

    /// Whether a Premium licence with every feature is in place.
    #[must_use]
    pub fn licensed(mut self, licensed: bool) -> Self {
        self.licensed = licensed;
        self
    }

    /// The owner's token, of the form `<id>-<secret>` without further hyphens. Random unless given.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The deployment's id. Random unless given.
    #[must_use]
    pub fn deployment_id(mut self, id: Uuid) -> Self {
        self.deployment_id = id;
        self
    }

    /// The server's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Calls a minute on one path; 512 on real servers unless configured.
    #[must_use]
    pub fn rate_limit(mut self, calls: u32) -> Self {
        self.rate_limit = calls;
        self
    }

    /// Active users in the default organization, by name.
    #[must_use]
    pub fn users<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.users.extend(names.into_iter().map(Into::into));
        self
    }

    /// The server was told of an identity provider: users can be made that come from there.
    #[must_use]
    pub fn identity_provider(mut self) -> Self {
        self.identity_provider = true;
        self
    }

    /// Whether the server has the settings that a feature needs beside a licence. Most have; not `scim`, `browser_only` and
    /// `external_token_encryption`.
    #[must_use]
    pub fn configured(mut self, feature: &'static str, configured: bool) -> Self {
        self.configured.push((feature, configured));
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// When the address cannot be listened on: a test has nothing to go on with then.
    pub async fn start(self) -> Sim {
        let listener = TcpListener::bind(self.listen)
            .await
            .expect("the simulator's address can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let mut state = State::new(
            self.profile,
            self.clock.clone(),
            format!("http://{address}"),
            self.deployment_id,
        );
        state.process.rate_limit = self.rate_limit;
        state.process.configuration.identity_provider = self.identity_provider;
        for (feature, configured) in &self.configured {
            if *configured {
                state.process.configuration.not_configured.remove(feature);
            } else {
                state.process.configuration.not_configured.insert(feature);
            }
        }
        let owner_token = if self.empty {
            String::new()
        } else {
            self.bootstrap(&mut state)
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            journal: Journal::new(),
            faults: Faults::default(),
            front: Front::default(),
            previous: Previous::default(),
            profile: self.profile,
        });
        let sim = Sim {
            shared,
            clock: self.clock,
            address,
            owner_token,
            server: Mutex::new(None),
        };
        sim.serve(listener);
        for name in &self.users {
            sim.create_user(name);
        }
        sim
    }

    fn bootstrap(&self, state: &mut State) -> String {
        let text = str::to_owned;
        let owner = routes::insert_first_user(
            state,
            text("owner"),
            text("owner@example.com"),
            text("Owner"),
            text("SomeSecurePassword!1"),
        );
        if self.licensed {
            let _ = state.insert_license(&license::mint(&LicenseSpec::premium(self.clock.now())));
        }
        let token = self.token.clone();
        let token = token.unwrap_or_else(|| format!("{}-{}", crate::state::secret(10), crate::state::secret(22)));
        state.insert_fixed_api_key(owner, &token, NewApiKey::without_end());
        token
    }
}

impl Sim {
    /// A server as described by `profile`.
    #[must_use]
    pub fn builder(profile: Profile) -> Builder {
        Builder {
            profile,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            empty: false,
            licensed: true,
            token: None,
            deployment_id: Uuid::new_v4(),
            clock: Clock::system(),
            rate_limit: 512,
            users: Vec::new(),
            identity_provider: false,
            configured: Vec::new(),
        }
    }

    /// Where the server is reached, for example `http://127.0.0.1:34567`. It stays the same over a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token of the first user, `owner`, that does not expire.
    #[must_use]
    pub fn owner_token(&self) -> &str {
        &self.owner_token
    }

    /// Which server is simulated.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.shared.profile
    }

    /// The server's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What came in.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    fn serve(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            let _: std::convert::Infallible = server::serve(listener, shared).await;
        });
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Takes the server away: connections are dropped, new ones refused. The state stays.
    pub async fn stop(&self) {
        let task = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // It was aborted: what it returns says nothing.
            let _ = task.await;
        }
    }

    /// Brings the server back on the same address with the state it had. A running one is stopped first.
    ///
    /// # Panics
    ///
    /// When the address has been taken meanwhile.
    pub async fn restart(&self) {
        self.stop().await;
        // A server that starts logs requests until its licences say otherwise.
        self.shared.state().process.auditing = true;
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the simulator's address is still free");
        self.serve(listener);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let task = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}
