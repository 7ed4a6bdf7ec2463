//! Applications that sign people in through Coder, and their client secrets: `/oauth2-provider/apps`.
//!
//! Names are not unique. A secret is shown once, at creation.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    Client, Error, Method, OAuth2AppId, Path,
    wire::{null_default, secret},
};

const ALL: &str = "/oauth2-provider/apps";
const ONE: &str = "/oauth2-provider/apps/{app}";
const SECRETS: &str = "/oauth2-provider/apps/{app}/secrets";

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OAuth2App {
    /// Its id, which clients know as the client id.
    pub id: OAuth2AppId,
    /// Its name; several may have the same.
    pub name: String,
    /// Where people are sent back to.
    #[serde(default, deserialize_with = "null_default")]
    pub callback_url: String,
    /// May be empty.
    #[serde(default, deserialize_with = "null_default")]
    pub icon: String,
    /// Where clients go.
    #[serde(default, deserialize_with = "null_default")]
    pub endpoints: OAuth2Endpoints,
}

/// Where the clients of an application go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OAuth2Endpoints {
    /// With people.
    #[serde(default, deserialize_with = "null_default")]
    pub authorization: String,
    /// For tokens.
    #[serde(default, deserialize_with = "null_default")]
    pub token: String,
}

/// A new application, or all of one that is there: what is sent replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PutOAuth2App {
    /// Coder's name rule, at most 32 bytes.
    pub name: String,
    /// `http` or `https`.
    pub callback_url: String,
    /// May be empty.
    pub icon: String,
}

/// A client secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OAuth2Secret {
    /// Its id.
    pub id: String,
    /// Its last characters.
    #[serde(default, deserialize_with = "null_default")]
    pub client_secret_truncated: String,
}

/// A client secret that was just made.
#[derive(Debug, Deserialize)]
pub struct NewOAuth2Secret {
    /// Its id.
    pub id: String,
    /// The value; never shown again.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret_full: Option<SecretString>,
}

impl Client {
    /// All applications of the deployment, also those that clients registered themselves.
    pub async fn list_oauth2_apps(&self) -> Result<Vec<OAuth2App>, Error> {
        self.get_list(Path::new(ALL)).await
    }

    /// Creates one, also if there is one of that name.
    pub async fn create_oauth2_app(&self, request: &PutOAuth2App) -> Result<OAuth2App, Error> {
        self.call(Method::Post, Path::new(ALL), Some(request)).await
    }

    /// Replaces what one is.
    pub async fn update_oauth2_app(&self, id: OAuth2AppId, request: &PutOAuth2App) -> Result<OAuth2App, Error> {
        self.call(Method::Put, Path::new(ONE).segment(id), Some(request)).await
    }

    /// Deletes one, with its secrets and everybody's tokens for it.
    pub async fn delete_oauth2_app(&self, id: OAuth2AppId) -> Result<(), Error> {
        self.call_unit(Method::Delete, Path::new(ONE).segment(id), None::<&()>)
            .await
    }

    /// The client secrets of an application.
    pub async fn list_oauth2_secrets(&self, app: OAuth2AppId) -> Result<Vec<OAuth2Secret>, Error> {
        self.get_list(Path::new(SECRETS).segment(app)).await
    }

    /// Makes a client secret.
    pub async fn create_oauth2_secret(&self, app: OAuth2AppId) -> Result<NewOAuth2Secret, Error> {
        self.call(Method::Post, Path::new(SECRETS).segment(app), None::<&()>)
            .await
    }

    /// Deletes a client secret.
    pub async fn delete_oauth2_secret(&self, app: OAuth2AppId, secret: &str) -> Result<(), Error> {
        let path = Path::new("/oauth2-provider/apps/{app}/secrets/{secret}");
        self.call_unit(Method::Delete, path.segment(app).segment(secret), None::<&()>)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_never_shows() {
        let body = r#"{"id":"f42873ec-9413-4331-940a-16ee4e1d40ed","client_secret_full":"coder_x_topsecret"}"#;
        let made: NewOAuth2Secret = serde_json::from_str(body).unwrap();
        assert!(made.client_secret_full.is_some());
        assert!(!format!("{made:?}").contains("topsecret"));
    }
}
