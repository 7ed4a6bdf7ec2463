//! Sessions and API tokens.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{State, UserStatus, secret};
use crate::audit::{Fields, Note, Record};
use crate::clock::rfc3339;
use crate::state::audited_user;

/// A session, or a token without a lifetime, is good for so long.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A use is noted when the last one that was is older.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A session or an API token.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) user: Uuid,
    /// Empty for a session.
    pub(crate) name: String,
    /// `token`, or how the session came to be.
    pub(crate) login_type: &'static str,
    /// What it may be used for; everything is `coder:all`.
    pub(crate) scopes: Vec<String>,
    pub(crate) lifetime: SignedDuration,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) seq: u64,
}

/// What is needed to make one.
#[derive(Clone, Debug)]
pub(crate) struct NewApiKey {
    pub(crate) name: String,
    pub(crate) login_type: &'static str,
    pub(crate) scopes: Vec<String>,
    pub(crate) lifetime: Option<SignedDuration>,
}

impl NewApiKey {
    pub(crate) fn session(login_type: &'static str) -> Self {
        Self {
            name: String::new(),
            login_type,
            scopes: vec!["coder:all".to_owned()],
            lifetime: None,
        }
    }

    /// One that a test is started with: it ends when the test says so, however often it is used.
    pub(crate) fn without_end() -> Self {
        Self {
            lifetime: Some(SignedDuration::MAX),
            ..Self::token("operator".to_owned())
        }
    }

    pub(crate) fn token(name: String) -> Self {
        Self {
            name,
            ..Self::session("token")
        }
    }
}

/// Why a token is no good.
pub(crate) enum TokenProblem {
    Missing,
    Invalid(String),
    Suspended(Uuid, UserStatus),
}

/// The part of a token that names it.
pub(crate) fn key_id(token: &str) -> &str {
    token.split('-').next().unwrap_or_default()
}

impl ApiKey {
    /// The one word that older servers have for its scopes.
    fn scope(&self) -> &'static str {
        match self.scopes.as_slice() {
            [one] if one == "coder:all" => "all",
            [one] if one == "coder:application_connect" => "application_connect",
            _ => "",
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.scope() != "all"
    }
}

impl State {
    /// Makes a key for `user` and returns it as it is sent: `<id>-<secret>`.
    pub(crate) fn insert_api_key(&mut self, user: Uuid, new: NewApiKey) -> String {
        let token = format!("{}-{}", secret(10), secret(22));
        self.insert_fixed_api_key(user, &token, new);
        token
    }

    /// Accepts `token`, whatever it looks like, as long as it has the form `<id>-<secret>`.
    pub(crate) fn insert_fixed_api_key(&mut self, user: Uuid, token: &str, new: NewApiKey) {
        let Some((id, secret)) = token.split_once('-') else {
            return;
        };
        let (now, seq) = (self.now(), self.next_seq());
        let lifetime = new.lifetime.unwrap_or(WEEK);
        let key = ApiKey {
            id: id.to_owned(),
            secret: secret.to_owned(),
            user,
            name: new.name,
            login_type: new.login_type,
            scopes: new.scopes,
            lifetime,
            created_at: now,
            last_used: None,
            expires_at: now.saturating_add(lifetime).unwrap_or(Timestamp::MAX),
            seq,
        };
        self.api_keys.insert(key.id.clone(), key);
    }

    /// Whose token this is. Does not note that it was used: see [`State::note_use`].
    pub(crate) fn authenticate(&self, token: Option<&str>) -> Result<Uuid, TokenProblem> {
        let Some(token) = token else {
            return Err(TokenProblem::Missing);
        };
        let parts: Vec<&str> = token.split('-').collect();
        let [id, secret] = parts.as_slice() else {
            return Err(TokenProblem::Invalid(format!(
                "Invalid API key format: incorrect amount of API key parts, expected 2 got {}",
                parts.len()
            )));
        };
        let Some(key) = self.api_keys.get(*id) else {
            return Err(TokenProblem::Invalid("API key is invalid.".to_owned()));
        };
        if key.secret != *secret {
            return Err(TokenProblem::Invalid("API key secret is invalid.".to_owned()));
        }
        if key.expires_at <= self.now() {
            let expired = key.expires_at.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string();
            return Err(TokenProblem::Invalid(format!("API key expired at {expired:?}.")));
        }
        match self.users.get(&key.user) {
            Some(user) if user.status == UserStatus::Suspended => {
                Err(TokenProblem::Suspended(user.id, UserStatus::Suspended))
            }
            Some(user) => Ok(user.id),
            None => Err(TokenProblem::Invalid("API key is invalid.".to_owned())),
        }
    }

    /// The first use of a token, and once an hour after that, marks its user as seen and, if dormant, active
    /// (recording 10). In older servers it also puts off the token's end.
    pub(crate) fn note_use(&mut self, token: &str) {
        let (now, seq) = (self.now(), self.next_seq());
        let extends = self.traits().use_extends_tokens;
        let Some(key) = self.api_keys.get_mut(key_id(token)) else {
            return;
        };
        if key.last_used.is_some_and(|used| now.duration_since(used) <= HOUR) {
            return;
        }
        key.last_used = Some(now);
        key.seq = seq;
        let ends = key.lifetime < SignedDuration::MAX;
        if extends && ends && key.expires_at.duration_since(now) <= key.lifetime - HOUR {
            key.expires_at = now.saturating_add(key.lifetime).unwrap_or(Timestamp::MAX);
        }
        let user = key.user;
        self.activate_user(user);
        self.edit_user(user, |user| {
            user.last_seen_at = Some(now);
            user.updated_at = now;
        });
    }

    /// A dormant user becomes active. The server makes an entry of its own for that, in the user's name.
    pub(crate) fn activate_user(&mut self, id: Uuid) {
        let Some(before) = self.users.get(&id).filter(|user| user.status == UserStatus::Dormant) else {
            return;
        };
        let before = audited_user(before);
        self.edit_user(id, |user| user.status = UserStatus::Active);
        if !self.traits().audit_of_activation || !self.auditing() {
            return;
        }
        let Some(user) = self.users.get(&id) else { return };
        let note = Note::new("user", "write", id, &user.username);
        let note = note.before(before).after(audited_user(user));
        let record = Record {
            request_id: Uuid::nil(),
            additional_fields: json!({ "automatic_actor": "coder", "automatic_subsystem": "dormancy" }),
            ..Record::of(note, id, 200, self.now(), String::new(), String::new())
        };
        self.audit_log.write(record);
    }

    /// What a key shows: never its secret.
    pub(crate) fn api_key_json(&self, key: &ApiKey) -> Value {
        let mut body = json!({
            "id": key.id,
            "user_id": key.user,
            "last_used": self.last_used(key),
            "expires_at": rfc3339(key.expires_at),
            "created_at": rfc3339(key.created_at),
            "updated_at": rfc3339(key.created_at),
            "login_type": key.login_type,
            "scope": key.scope(),
            "token_name": key.name,
            "lifetime_seconds": key.lifetime.as_secs(),
        });
        if self.traits().token_scopes
            && let Some(object) = body.as_object_mut()
        {
            object.insert("scopes".to_owned(), json!(key.scopes));
            object.insert("allow_list".to_owned(), json!(["*:*"]));
        }
        body
    }

    /// What the audit log watches of a key.
    pub(crate) fn audited_api_key(&self, key: &ApiKey) -> Fields {
        let fields = json!({
            "user_id": key.user,
            "last_used": self.last_used(key),
            "expires_at": rfc3339(key.expires_at),
            "created_at": rfc3339(key.created_at),
        });
        fields.as_object().cloned().unwrap_or_default()
    }

    /// The newer server has an own zero for a token that was never used (recording 23).
    fn last_used(&self, key: &ApiKey) -> String {
        let never = if self.traits().token_scopes {
            "1970-01-01T00:00:00Z"
        } else {
            "0001-01-01T00:00:00Z"
        };
        key.last_used.map_or_else(|| never.to_owned(), rfc3339)
    }
}
