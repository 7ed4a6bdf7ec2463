//! API keys, which tokens are made of: `/users/{user}/keys`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Client, Error, Path, user::absent_is_none, wire::null_default};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiKey {
    /// Its id: a token is `<id>-<secret>`.
    pub id: String,
    /// When it stops working. Before v2.35 each use moves it; since then it stays.
    pub expires_at: Timestamp,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// How it was called; empty for that of a session.
    #[serde(default, deserialize_with = "null_default")]
    pub token_name: String,
    /// How long it was made for.
    #[serde(default, deserialize_with = "null_default")]
    pub lifetime_seconds: i64,
}

impl Client {
    /// The key of the token that this client works with: tells when it ends. None where the server does not show it, or
    /// the token is of no shape that tells its id.
    pub async fn own_key(&self) -> Result<Option<ApiKey>, Error> {
        let token = self.0.token.to_str().unwrap_or_default();
        let Some((id, _)) = token.split_once('-') else {
            return Ok(None);
        };
        let path = Path::new("/users/{user}/keys/{key}").segment("me").segment(id);
        absent_is_none(self.get(path).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_key_is_what_counts() {
        let body = r#"{"id":"gqoXDxtBG0","user_id":"7c60d51f-b44e-4682-87d6-449835ea4de6","expires_at":"2026-12-02T08:14:05Z",
            "last_used":"2026-11-25T08:14:05Z","login_type":"token","scope":"all","token_name":null}"#;
        let key: ApiKey = serde_json::from_str(body).unwrap();
        assert_eq!(key.id, "gqoXDxtBG0");
        assert_eq!(key.expires_at.to_string(), "2026-12-02T08:14:05Z");
    }
}
