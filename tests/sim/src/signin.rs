//! Signing in through an identity provider, as a person at a browser does.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::sim::Sim;

/// What came of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignIn {
    /// Status of the last page.
    pub status: u16,
    /// The session, if there is one: it is used as a token.
    pub session: Option<String>,
}

impl Sim {
    /// Signs somebody in with these claims (an object with `sub`, `email`, `preferred_username` and whatever the syncs look
    /// at), and does to its memberships, groups and roles what the settings say. It works whether or not the server was
    /// told of an identity provider.
    ///
    /// # Panics
    ///
    /// When the claims are no object.
    pub fn sign_in(&self, claims: &Value) -> SignIn {
        let claims = claims.as_object().expect("claims are an object");
        sign_in(&mut self.shared.state(), claims)
    }
}

pub(crate) fn sign_in(state: &mut crate::state::State, claims: &Map<String, Value>) -> SignIn {
    match state.sign_in(claims) {
        Ok(session) => SignIn {
            status: 200,
            session: Some(session),
        },
        Err(status) => SignIn { status, session: None },
    }
}
