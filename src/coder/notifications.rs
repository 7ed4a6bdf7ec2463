//! Notifications: whether they are sent, and how those of each template are.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Client, Error, Method, Path, wire::null_default};

/// A template of notifications.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NotificationTemplate {
    /// Its id.
    pub id: Uuid,
    /// Its name: `Workspace Deleted`.
    pub name: String,
    /// How it is sent: `smtp`, `webhook`, `inbox`; empty for the deployment's default, which nobody can go back to.
    #[serde(default, deserialize_with = "null_default")]
    pub method: String,
}

#[derive(Deserialize, Serialize)]
struct Settings {
    #[serde(default, deserialize_with = "null_default")]
    notifier_paused: bool,
}

#[derive(Serialize)]
struct MethodBody<'a> {
    method: &'a str,
}

impl Client {
    /// Whether no notifications are sent.
    pub async fn notifications_paused(&self) -> Result<bool, Error> {
        let settings: Settings = self.get(Path::new("/notifications/settings")).await?;
        Ok(settings.notifier_paused)
    }

    /// Says so.
    pub async fn pause_notifications(&self, notifier_paused: bool) -> Result<(), Error> {
        let body = Settings { notifier_paused };
        self.call_unit(Method::Put, Path::new("/notifications/settings"), Some(&body))
            .await
    }

    /// The templates of notifications; none to who is no owner.
    pub async fn notification_templates(&self) -> Result<Vec<NotificationTemplate>, Error> {
        self.get_list(Path::new("/notifications/templates/system")).await
    }

    /// Says how those of a template are sent.
    pub async fn set_notification_method(&self, template: Uuid, method: &str) -> Result<(), Error> {
        const METHOD: &str = "/notifications/templates/{template}/method";
        let path = Path::new(METHOD).segment(template);
        self.call_unit(Method::Put, path, Some(&MethodBody { method })).await
    }
}
