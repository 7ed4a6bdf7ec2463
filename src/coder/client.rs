//! A connection to one Coder deployment: where it is, who we are there, and how patient we are.
//!
//! The calls themselves are methods of [`Client`] too, defined in one file a resource; how a call travels is in
//! `transport`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use url::Url;

use super::{
    bodies::Bodies,
    breaker::{Breaker, BreakerConfig, BreakerState},
    error::Error,
    hangs::Hangs,
    limits::CoolDowns,
    observer::Observer,
    patience::Patience,
    reach::Reach,
};

/// Whether writes may be sent now.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// How to reach a deployment.
pub struct Config {
    /// The access URL, with a path prefix if there is one; `/api/v2` is appended. Whether plain `http` is acceptable
    /// is the caller's decision.
    pub base_url: Url,
    /// The API token. White space around it (a Secret made from a file ends with a newline) is not part of it.
    pub token: SecretString,
    /// PEM certificates trusted in addition to the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// A certificate and its key in PEM: who the operator is to a gateway that asks.
    pub identity_pem: Option<SecretString>,
    /// Sent with every call: who the operator is to a gateway that asks in another way.
    pub headers: Vec<(String, SecretString)>,
    /// Until a connection is there.
    pub connect_timeout: Duration,
    /// Until an answer begins, and between two parts of it. Lists that are known to take longer, and large changes, have
    /// longer.
    pub call_timeout: Duration,
    /// The largest answer accepted, in bytes.
    pub max_body_bytes: usize,
    /// Where large answers find room: the same for all clients of a process.
    pub bodies: Bodies,
    /// Send the header that lifts the rate limit. Only for an owner's token: anyone else's calls are refused with it.
    pub bypass_rate_limit: bool,
    /// `User-Agent`: `coder-operator/<version> (<identity>)`. A word for this one client is added: the audit log shows
    /// it, so that every client knows its own writes, and those of a process that was replaced are another's.
    pub user_agent: String,
    /// Whether writes may be sent, asked at every step of one: a process that does not lead any more sends none, however long
    /// ago it was allowed to.
    pub may_write: MayWrite,
    /// Told of every call.
    pub observer: Arc<dyn Observer>,
    /// When calls stop because the server is dead.
    pub breaker: BreakerConfig,
}

impl Config {
    /// The defaults: 5 s to connect, 30 s for a call, 64 MiB (groups come with all their members), nobody told.
    #[must_use]
    pub fn new(base_url: Url, token: SecretString) -> Self {
        Self {
            base_url,
            token,
            ca_pem: None,
            identity_pem: None,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            max_body_bytes: 64 << 20,
            bodies: Bodies::default(),
            bypass_rate_limit: false,
            user_agent: concat!("coder-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
            may_write: Arc::new(|| true),
            observer: Arc::new(()),
            breaker: BreakerConfig::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base_url", &self.base_url.as_str())
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Talks to one Coder deployment. Clones share the connections, the rate limits and the breaker.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    /// With `/api/v2`, without a trailing slash.
    pub(super) base: Url,
    pub(super) token: HeaderValue,
    pub(super) headers: HeaderMap,
    pub(super) user_agent: String,
    pub(super) bypass: AtomicBool,
    pub(super) max_body: usize,
    pub(super) bodies: Bodies,
    pub(super) reach: Reach,
    pub(super) patience: Patience,
    pub(super) hangs: Hangs,
    pub(super) cool_downs: CoolDowns,
    pub(super) breaker: Breaker,
    pub(super) may_write: MayWrite,
    pub(super) observer: Arc<dyn Observer>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// Fails on a URL that is not http(s) or carries a password, an empty token, certificates that are none, and
    /// where the process has installed no TLS provider (`rustls::crypto::CryptoProvider::install_default`).
    pub fn new(config: Config) -> Result<Self, Error> {
        let Config {
            base_url,
            token,
            ca_pem,
            identity_pem,
            headers,
            connect_timeout,
            call_timeout,
            max_body_bytes,
            bodies,
            bypass_rate_limit,
            user_agent,
            may_write,
            observer,
            breaker,
        } = config;
        // reqwest would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(setup("no TLS provider is installed in this process"));
        }
        let base = api_url(base_url)?;
        let user_agent = format!("{user_agent} client/{:08x}", rand::random::<u32>());
        let mut http = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .user_agent(&user_agent)
            .referer(false)
            // Below what load balancers allow: a write on a connection that is just being closed has no known outcome.
            .pool_idle_timeout(Duration::from_secs(30))
            // Followed by hand, within the origin: see `transport`.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // No redirect leads from here to https, so that a machine without any certificates will do.
            http = http.tls_certs_only([]);
        } else if let Some(pem) = ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| setup_because("the CA certificates are not PEM", error))?;
            if certificates.is_empty() {
                return Err(setup("the CA certificates contain no certificate"));
            }
            http = http.tls_certs_merge(certificates);
        }
        if let Some(pem) = identity_pem.filter(|_| base.scheme() == "https") {
            let identity = reqwest::Identity::from_pem(pem.expose_secret().as_bytes())
                .map_err(|_| setup("the client certificate and its key are not PEM"))?;
            http = http.identity(identity);
        }
        let http = http
            .build()
            .map_err(|error| setup_because("TLS cannot be set up", error))?;
        Ok(Self(Arc::new(Inner {
            http,
            base,
            token: token_header(&token)?,
            headers: extra_headers(&headers)?,
            user_agent,
            bypass: AtomicBool::new(bypass_rate_limit),
            max_body: max_body_bytes,
            bodies: bodies.for_client(),
            reach: Reach::default(),
            patience: Patience::new(call_timeout),
            hangs: Hangs::new(breaker.clone()),
            cool_downs: CoolDowns::default(),
            breaker: Breaker::new(breaker),
            may_write,
            observer,
        })))
    }

    /// What the audit log calls this client.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// Whether the header that lifts the rate limit is sent. Switches itself off when the server refuses it.
    #[must_use]
    pub fn bypass(&self) -> bool {
        self.0.bypass.load(Ordering::Relaxed)
    }

    /// From now on, send the header that lifts the rate limit, or do not.
    pub fn set_bypass(&self, bypass: bool) {
        self.0.bypass.store(bypass, Ordering::Relaxed);
    }

    /// Whether calls pass at the moment.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.0.breaker.state()
    }

    /// To wait for `Closed` again: `client.breaker().wait_for(|state| *state == BreakerState::Closed)`. It closes
    /// when somebody's probe is answered: somebody must keep calling, no sooner than [`Error::retry_after`] says.
    #[must_use]
    pub fn breaker(&self) -> watch::Receiver<BreakerState> {
        self.0.breaker.subscribe()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.0.base.as_str())
            .field("breaker", &self.breaker_state())
            .finish_non_exhaustive()
    }
}

fn setup(reason: &'static str) -> Error {
    Error::Setup { reason, source: None }
}

fn setup_because(reason: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Setup {
        reason,
        source: Some(Box::new(error)),
    }
}

fn api_url(mut url: Url) -> Result<Url, Error> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(setup("the URL is neither https nor http"));
    }
    // It would be shown wherever the URL is.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setup("the URL carries a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(setup("the URL has a query or fragment"));
    }
    let path = format!("{}/api/v2", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// Headers that a call has anyway; a second one of the same name would say two things.
const OURS: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "coder-session-token",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-coder-bypass-ratelimit",
];

fn extra_headers(headers: &[(String, SecretString)]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| setup("an extra header's name is none"))?;
        if OURS.contains(&name.as_str()) {
            return Err(setup("an extra header would replace one that every call has"));
        }
        let mut value = HeaderValue::from_str(value.expose_secret().trim())
            .map_err(|_| setup("an extra header's value holds characters that no header has"))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}

fn token_header(token: &SecretString) -> Result<HeaderValue, Error> {
    let token = token.expose_secret().trim();
    if token.is_empty() {
        return Err(setup("the token is empty"));
    }
    let mut value = HeaderValue::from_str(token).map_err(|_| setup("the token holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A configuration for a local test server.
    pub(in super::super) fn config(url: &str) -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Config::new(url.parse().unwrap(), SecretString::from("id-topsecret"))
    }

    #[test]
    fn the_api_is_below_the_prefix() {
        for (url, api) in [
            ("https://coder.example.com", "https://coder.example.com/api/v2"),
            ("https://coder.example.com/", "https://coder.example.com/api/v2"),
            ("https://example.com/coder/", "https://example.com/coder/api/v2"),
        ] {
            assert_eq!(Client::new(config(url)).unwrap().0.base.as_str(), api);
        }
    }

    #[test]
    fn a_url_that_is_no_base_is_refused() {
        for url in [
            "ftp://example.com",
            "https://u:p@example.com",
            "https://u@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
        ] {
            assert!(matches!(Client::new(config(url)), Err(Error::Setup { .. })), "{url}");
        }
    }

    #[test]
    fn the_token_never_shows() {
        let config = config("https://coder.example.com");
        assert!(!format!("{config:?}").contains("topsecret"));
        let client = Client::new(config).unwrap();
        assert!(!format!("{client:?} {:?}", client.0.token).contains("topsecret"));
    }

    #[test]
    fn a_token_from_a_file_may_end_with_a_newline() {
        let token = |text: &str| token_header(&SecretString::from(text));
        assert_eq!(token("id-secret\n").unwrap(), "id-secret");
        assert!(token(" \n").is_err());
        let error = token("topsecret\nX-Evil: 1").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("topsecret"));
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        for pem in [
            &b""[..],
            b"garbage",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let config = Config {
                ca_pem: Some(pem.to_vec()),
                ..config("https://coder.example.com")
            };
            assert!(matches!(Client::new(config), Err(Error::Setup { .. })));
        }
    }
}
