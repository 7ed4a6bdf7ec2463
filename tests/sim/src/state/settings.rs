//! Appearance, OAuth2 apps and the small settings of a deployment.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{State, secret};

/// An announcement.
#[derive(Clone, Debug)]
pub(crate) struct Banner {
    pub(crate) enabled: bool,
    pub(crate) message: String,
    pub(crate) background_color: String,
}

impl Banner {
    /// What is empty is left out of the one banner there was before there could be several.
    pub(crate) fn as_answered(&self) -> Value {
        let texts = [("message", &self.message), ("background_color", &self.background_color)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        std::iter::once(("enabled", json!(self.enabled)))
            .chain(texts.map(|(name, text)| (name, json!(text))))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "enabled": self.enabled, "message": self.message, "background_color": self.background_color })
    }
}

/// An OAuth2 app.
#[derive(Clone, Debug)]
pub(crate) struct OAuth2App {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) callback_url: String,
    pub(crate) icon: String,
}

/// A secret of an OAuth2 app.
#[derive(Clone, Debug)]
pub(crate) struct OAuth2Secret {
    pub(crate) id: Uuid,
    pub(crate) app: Uuid,
    pub(crate) full: String,
}

impl OAuth2Secret {
    /// The part of it that is shown again.
    pub(crate) fn end(&self) -> String {
        self.full.chars().skip(self.full.len().saturating_sub(6)).collect()
    }
}

impl State {
    /// The stored appearance if the feature is on, else the defaults: writing it is not gated, reading is (recording 00).
    pub(crate) fn appearance_json(&mut self) -> Value {
        let entitled = self.feature_enabled("appearance");
        let banners: Vec<Value> = if entitled {
            self.banners.iter().map(Banner::json).collect()
        } else {
            Vec::new()
        };
        let (name, logo) = if entitled {
            (self.application_name.as_str(), self.logo_url.as_str())
        } else {
            ("", "")
        };
        let traits = self.traits();
        let version = traits.version;
        let docs = format!("https://coder.com/docs/@{version}");
        let repository = "https://github.com/coder/coder";
        json!({
            "application_name": name,
            "logo_url": logo,
            "docs_url": docs,
            "service_banner": banners.first().cloned().unwrap_or_else(|| json!({ "enabled": false })),
            "announcement_banners": banners,
            "support_links": [
                { "name": "Documentation", "target": docs, "icon": "docs" },
                {
                    "name": "Report a bug",
                    "target": format!(
                        "{repository}/issues/new?labels={}&body=Version: [`{version}`]({repository})",
                        traits.bug_label
                    ),
                    "icon": "bug",
                },
                { "name": "Join the Coder Discord", "target": traits.chat_link, "icon": "chat" },
                { "name": "Star the Repo", "target": repository, "icon": "star" },
            ],
        })
    }

    pub(crate) fn oauth2_app_json(&self, app: &OAuth2App) -> Value {
        let url = &self.process.access_url;
        json!({
            "id": app.id,
            "name": app.name,
            "callback_url": app.callback_url,
            "icon": app.icon,
            "endpoints": {
                "authorization": format!("{url}/oauth2/authorize"),
                "token": format!("{url}/oauth2/tokens"),
                "token_revoke": format!("{url}/oauth2/revoke"),
                "device_authorization": "",
            },
        })
    }

    pub(crate) fn insert_oauth2_secret(&mut self, app: Uuid) -> OAuth2Secret {
        let full = format!("coder_{}_{}", secret(10), secret(40));
        let secret = OAuth2Secret {
            id: Uuid::new_v4(),
            app,
            full,
        };
        self.oauth2_secrets.push(secret.clone());
        secret
    }
}
