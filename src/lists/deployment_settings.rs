//! The small settings of a deployment.

use std::collections::BTreeSet;

use super::{Entries, Setting, entry};
use crate::coder::{self, Appearance, AuditEntry, Client, NotificationTemplate, OrganizationId};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// What everybody sees. The log says nothing of it (recording 29).
#[derive(Clone, Debug)]
pub struct AppearanceOf;

impl Setting for AppearanceOf {
    type Value = Appearance;
    const NAME: &'static str = "appearance";
    const ENTRIES: Entries = Entries::None;

    fn within(&self) -> Option<OrganizationId> {
        None
    }

    async fn read(&self, client: &Client) -> Result<Appearance, coder::Error> {
        client.appearance().await
    }
}

/// Whether no notifications are sent.
#[derive(Clone, Debug)]
pub struct NotificationsPaused;

impl Setting for NotificationsPaused {
    type Value = bool;
    const NAME: &'static str = "notifications_settings";
    const ENTRIES: Entries = Entries::All("notifications_settings");
    const FIELDS: &'static [(&'static str, &'static str)] = &[("notifier_paused", "notifications.paused")];

    fn within(&self) -> Option<OrganizationId> {
        None
    }

    async fn read(&self, client: &Client) -> Result<bool, coder::Error> {
        client.notifications_paused().await
    }
}

/// Whether no prebuilt workspaces are made.
#[derive(Clone, Debug)]
pub struct PrebuildsPaused;

impl Setting for PrebuildsPaused {
    type Value = bool;
    const NAME: &'static str = "prebuilds_settings";
    const ENTRIES: Entries = Entries::All("prebuilds_settings");
    const FIELDS: &'static [(&'static str, &'static str)] = &[("reconciliation_paused", "prebuilds.paused")];

    fn within(&self) -> Option<OrganizationId> {
        None
    }

    async fn read(&self, client: &Client) -> Result<bool, coder::Error> {
        client.prebuilds_paused().await
    }
}

/// The checks of the health page whose warnings are not shown.
#[derive(Clone, Debug)]
pub struct DismissedHealthChecks;

impl Setting for DismissedHealthChecks {
    type Value = BTreeSet<String>;
    const NAME: &'static str = "health_settings";
    const ENTRIES: Entries = Entries::All("health_settings");
    const FIELDS: &'static [(&'static str, &'static str)] = &[("dismissed_healthchecks", "health.dismissed")];

    fn within(&self) -> Option<OrganizationId> {
        None
    }

    async fn read(&self, client: &Client) -> Result<BTreeSet<String>, coder::Error> {
        client.dismissed_health_checks().await
    }
}

/// The templates of notifications, with how they are sent.
#[derive(Clone, Debug)]
pub struct NotificationMethods;

impl NotificationMethods {
    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<NotificationTemplate>) -> Concerned {
        if entry.resource_type == "notification_template" && !entry.changed_nothing() {
            let fields = entry::logged_as(entry, &[("method", "notifications.methods")]);
            Concerned::item(&entry.resource_id, fields)
        } else {
            Concerned::NOTHING
        }
    }
}

impl Collection for NotificationMethods {
    type Item = NotificationTemplate;
    const NAME: &'static str = "notification_methods";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn key(item: &NotificationTemplate) -> String {
        item.id.to_string()
    }

    async fn list(&self, client: &Client) -> Result<Vec<NotificationTemplate>, coder::Error> {
        client.notification_templates().await
    }
}
