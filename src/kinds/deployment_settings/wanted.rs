//! What the settings of a deployment shall be.

use std::collections::{BTreeMap, BTreeSet};

use super::Observed;
use super::change::is_called;
use super::section::{Refusal, Section};
use crate::api::{AnnouncementBanner, CoderDeploymentSettings, NotificationMethod};
use crate::coder::Banner;
use crate::engine::Reason;
use crate::kinds::field::few;

pub(super) const NAME: &str = "appearance.applicationName";
pub(super) const LOGO: &str = "appearance.logoURL";
pub(super) const BANNERS: &str = "appearance.announcementBanners";
pub(super) const NOTIFICATIONS: &str = "notifications.paused";
pub(super) const METHODS: &str = "notifications.methods";
pub(super) const PREBUILDS: &str = "prebuilds.paused";
pub(super) const DISMISSED: &str = "health.dismissed";

/// What shall be; what is absent is unmanaged.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub(super) application_name: Option<String>,
    pub(super) logo_url: Option<String>,
    pub(super) banners: Option<Vec<Banner>>,
    pub(super) notifications_paused: Option<bool>,
    pub(super) methods: Option<BTreeMap<String, NotificationMethod>>,
    pub(super) prebuilds_paused: Option<bool>,
    pub(super) dismissed: Option<BTreeSet<String>>,
}

impl Wanted {
    /// What the spec says.
    pub(super) fn of(object: &CoderDeploymentSettings) -> Self {
        let spec = &object.spec;
        let (appearance, notifications) = (spec.appearance.as_ref(), spec.notifications.as_ref());
        Self {
            application_name: appearance.and_then(|it| it.application_name.clone()),
            logo_url: appearance.and_then(|it| it.logo_url.clone()),
            banners: appearance.and_then(|it| Some(it.announcement_banners.as_ref()?.iter().map(banner).collect())),
            notifications_paused: notifications.and_then(|it| it.paused),
            methods: notifications.and_then(|it| it.methods.clone()),
            prebuilds_paused: spec.prebuilds.as_ref().and_then(|it| it.paused),
            dismissed: spec.health.as_ref().and_then(|it| {
                let checks = it.dismissed.as_ref()?.iter();
                Some(checks.map(ToString::to_string).collect())
            }),
        }
    }

    /// The managed fields, each with its section.
    pub(super) fn fields(&self) -> Vec<(Section, &'static str)> {
        let fields = [
            (Section::Appearance, NAME, self.application_name.is_some()),
            (Section::Appearance, LOGO, self.logo_url.is_some()),
            (Section::Appearance, BANNERS, self.banners.is_some()),
            (
                Section::Notifications,
                NOTIFICATIONS,
                self.notifications_paused.is_some(),
            ),
            (Section::Methods, METHODS, self.methods.is_some()),
            (Section::Prebuilds, PREBUILDS, self.prebuilds_paused.is_some()),
            (Section::Health, DISMISSED, self.dismissed.is_some()),
        ];
        let managed = fields.into_iter().filter(|(.., managed)| *managed);
        managed.map(|(section, field, _)| (section, field)).collect()
    }
}

/// What to say of templates that Coder does not have.
pub(super) fn unknown_templates(wanted: &Wanted, observed: &Observed) -> Option<Refusal> {
    let (methods, templates) = (wanted.methods.as_ref()?, observed.templates.held()?);
    let is_known = |name: &str| templates.iter().any(|one| is_called(one, name));
    let unknown: Vec<String> = methods.keys().filter(|name| !is_known(name)).cloned().collect();
    if unknown.is_empty() {
        return None;
    }
    let mut known: Vec<&str> = templates.iter().map(|one| &*one.name).collect();
    known.sort_unstable();
    let (unknown, known) = (few(&unknown), known.join(", "));
    Some(if known.is_empty() {
        Refusal::terminal(
            Reason::Forbidden,
            "notifications.methods: only an Owner sees the templates of notifications",
        )
    } else {
        let message = format!("notifications.methods: Coder has no template {unknown}; it has {known}");
        Refusal::terminal(Reason::InvalidSpec, message)
    })
}

fn banner(banner: &AnnouncementBanner) -> Banner {
    Banner {
        enabled: banner.enabled.unwrap_or(true),
        message: banner.message.clone(),
        background_color: banner.background_color.clone(),
    }
}
