//! Backups of the database: put back, or put into another deployment.

use uuid::Uuid;

use crate::behind::user_id;
use crate::sim::Sim;
use crate::state::{NewApiKey, State};

/// What a deployment remembered at one moment.
#[derive(Clone, Debug)]
pub struct Backup(Box<State>);

impl Backup {
    /// The same content as another deployment has it: the same ids and numbers under another deployment's id.
    #[must_use]
    pub fn of_deployment(mut self, id: Uuid) -> Self {
        self.0.deployment_id = id;
        self
    }
}

impl Sim {
    /// A backup of everything that the database keeps: also deployment id, tokens, sequences and the audit log.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(Box::new(self.shared.state().clone()))
    }

    /// Replaces the database by a backup, of this simulator or of another one of the same profile. What is the server's own
    /// stays: address, clock, flags, counted calls. Tokens come with the backup: see [`Sim::accept_token`].
    pub fn restore(&self, backup: &Backup) {
        let mut state = self.shared.state();
        let mut restored = State::clone(&backup.0);
        restored.process = state.process.clone();
        *state = restored;
        state.refresh_entitlements();
    }

    /// Makes a token of the form `<id>-<secret>` one of `user`, beside those it has.
    pub fn accept_token(&self, user: &str, token: &str) {
        let mut state = self.shared.state();
        let id = user_id(&state, user);
        state.insert_fixed_api_key(id, token, NewApiKey::without_end());
    }
}
