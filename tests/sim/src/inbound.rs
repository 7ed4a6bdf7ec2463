//! A request as it came in.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};

use crate::answer::Answer;
use crate::router;
use crate::state::{State, TokenProblem};

/// A request, read.
pub(crate) struct Inbound {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
    /// What a fault answers once it is done.
    pub(crate) instead: Option<Answer>,
}

impl Inbound {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Cookie, then query, then header.
    pub(crate) fn token(&self) -> Option<String> {
        let cookies = self.header("cookie").unwrap_or_default().split(';');
        let mut cookies = cookies.filter_map(|pair| pair.trim().strip_prefix("coder_session_token="));
        let cookie = cookies.next();
        let from_query = || {
            self.pairs()
                .into_iter()
                .find(|(key, _)| key == "coder_session_token")
                .map(|(_, value)| value)
        };
        cookie
            .map(str::to_owned)
            .or_else(from_query)
            .or_else(|| self.header("coder-session-token").map(str::to_owned))
            .filter(|token| !token.is_empty())
    }

    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let decode = |text: &str| router::percent_decode(&text.replace('+', " "));
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(k, v)| (decode(k), decode(v)))
            .collect()
    }

    pub(crate) fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// The name of the user that the token belongs to.
    pub(crate) fn actor(&self, state: &State) -> String {
        let user = match state.authenticate(self.token().as_deref()) {
            Ok(user) | Err(TokenProblem::Suspended(user, _)) => state.users.get(&user),
            Err(_) => None,
        };
        user.map_or_else(|| "anonymous".to_owned(), |user| user.username.clone())
    }
}
