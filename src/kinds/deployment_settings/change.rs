//! The calls that change settings of a deployment, and how they read.

use std::collections::BTreeSet;
use std::fmt;

use super::section::Part;
use super::wanted::{BANNERS, DISMISSED, LOGO, METHODS, NAME, NOTIFICATIONS, PREBUILDS};
use super::{Observed, Wanted};
use crate::api::{CoderDeploymentSettings, DeploymentSettingsStatus, NotificationMethod};
use crate::coder::{Appearance, Banner, NotificationTemplate};
use crate::engine::{self, Cx, Deviation, Error};
use crate::kinds::field::{Differences, Field};
use crate::lists::{AppearanceOf, DismissedHealthChecks, NotificationMethods, NotificationsPaused, PrebuildsPaused};

/// So many letters of a banner are shown.
const SHOWN: usize = 40;

/// One call.
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) request: Request,
    differences: Differences,
}

/// What it sets.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Appearance(Appearance),
    Notifications(bool),
    Prebuilds(bool),
    Dismissed(BTreeSet<String>),
    Method(NotificationTemplate),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.fmt(f)
    }
}

impl engine::remote::Change<CoderDeploymentSettings> for Change {
    /// The appearance is written as a whole.
    fn looks_first(&self) -> bool {
        matches!(self.request, Request::Appearance(_))
    }

    fn deviations(&self, _: &DeploymentSettingsStatus) -> Vec<Deviation> {
        self.differences.deviations()
    }
}

impl Change {
    /// Makes the call.
    pub(super) async fn send(&self, cx: &Cx<'_>, mut observed: Observed) -> Result<Observed, Error> {
        let coder = cx.coder();
        match &self.request {
            Request::Appearance(to) => {
                coder.update_appearance(to).await?;
                cx.put(&AppearanceOf, to.clone());
            }
            Request::Notifications(to) => {
                coder.pause_notifications(*to).await?;
                cx.put(&NotificationsPaused, *to);
            }
            Request::Prebuilds(to) => {
                coder.pause_prebuilds(*to).await?;
                cx.put(&PrebuildsPaused, *to);
            }
            Request::Dismissed(to) => {
                coder.dismiss_health_checks(to).await?;
                cx.put(&DismissedHealthChecks, to.clone());
            }
            Request::Method(to) => {
                coder.set_notification_method(to.id, &to.method).await?;
                cx.put(&NotificationMethods, to.clone());
            }
        }
        self.request.on(&mut observed);
        Ok(observed)
    }
}

impl Request {
    /// What is there after it.
    pub(super) fn on(&self, observed: &mut Observed) {
        match self {
            Self::Appearance(to) => observed.appearance = Part::Held(to.clone()),
            Self::Notifications(to) => observed.notifications_paused = Part::Held(*to),
            Self::Prebuilds(to) => observed.prebuilds_paused = Part::Held(*to),
            Self::Dismissed(to) => observed.dismissed = Part::Held(to.clone()),
            Self::Method(to) => {
                if let Part::Held(templates) = &mut observed.templates {
                    let same = templates.iter_mut().filter(|one| one.id == to.id);
                    same.for_each(|one| one.method.clone_from(&to.method));
                }
            }
        }
    }
}

/// The calls from what is to what shall be. Those that a server may refuse by their content come last.
pub(super) fn changes(wanted: &Wanted, observed: &Observed) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    if let Some(held) = observed.appearance.held() {
        changes.extend(appearance(wanted, held));
    }
    let mut set = |field, wanted: Option<bool>, held: &Part<bool>, request: fn(bool) -> Request| {
        if let (Some(to), Some(from)) = (wanted, held.held())
            && to != *from
        {
            let differences = Differences::default().differing(field, from, &to);
            let request = request(to);
            changes.push(Change { request, differences });
        }
    };
    let held = &observed.notifications_paused;
    set(NOTIFICATIONS, wanted.notifications_paused, held, Request::Notifications);
    let held = &observed.prebuilds_paused;
    set(PREBUILDS, wanted.prebuilds_paused, held, Request::Prebuilds);
    if let (Some(to), Some(held)) = (&wanted.dismissed, observed.dismissed.held())
        && to != held
    {
        let (more, fewer) = (to.difference(held).cloned(), held.difference(to).cloned());
        changes.push(Change {
            request: Request::Dismissed(to.clone()),
            differences: Differences::default().list(DISMISSED, more.collect(), fewer.collect()),
        });
    }
    let templates = observed.templates.held().into_iter().flatten();
    for (template, method) in templates.filter_map(|one| Some((one, method_of(wanted, one)?))) {
        let to = method.to_string().to_lowercase();
        if to != template.method {
            let entry = |method: &str| vec![format!("{}:{method}", template.name)];
            let fewer = if template.method.is_empty() {
                Vec::new()
            } else {
                entry(&template.method)
            };
            changes.push(Change {
                differences: Differences::default().list(METHODS, entry(&to), fewer),
                request: Request::Method(NotificationTemplate {
                    method: to,
                    ..template.clone()
                }),
            });
        }
    }
    changes
}

/// Whether nobody has set yet what is managed.
pub(super) fn is_initial(wanted: &Wanted, observed: &Observed) -> bool {
    let nothing = Appearance::default();
    let held = observed.appearance.held().unwrap_or(&nothing);
    let is_off = |wanted: Option<bool>, held: &Part<bool>| wanted.is_none() || held.held() != Some(&true);
    let mut templates = observed.templates.held().into_iter().flatten();
    (wanted.application_name.is_none() || held.application_name.is_empty())
        && (wanted.logo_url.is_none() || held.logo_url.is_empty())
        && (wanted.banners.is_none() || held.announcement_banners.is_empty())
        && is_off(wanted.notifications_paused, &observed.notifications_paused)
        && is_off(wanted.prebuilds_paused, &observed.prebuilds_paused)
        && (wanted.dismissed.is_none() || observed.dismissed.held().is_none_or(BTreeSet::is_empty))
        && templates.all(|one| one.method.is_empty() || method_of(wanted, one).is_none())
}

/// Whether it is what a spec means.
pub(super) fn is_called(template: &NotificationTemplate, name: &str) -> bool {
    template.name == name || template.id.to_string().eq_ignore_ascii_case(name)
}

fn method_of(wanted: &Wanted, template: &NotificationTemplate) -> Option<NotificationMethod> {
    let methods = wanted.methods.as_ref()?.iter();
    let mut meant = methods.filter(|(name, _)| is_called(template, name));
    meant.next().map(|(_, method)| *method)
}

/// All of it is written: what is not managed as it was seen.
fn appearance(wanted: &Wanted, held: &Appearance) -> Option<Change> {
    let to = Appearance {
        application_name: wanted
            .application_name
            .as_ref()
            .unwrap_or(&held.application_name)
            .clone(),
        logo_url: wanted.logo_url.as_ref().unwrap_or(&held.logo_url).clone(),
        announcement_banners: wanted.banners.as_ref().unwrap_or(&held.announcement_banners).clone(),
    };
    let (from, into) = (&held.announcement_banners, &to.announcement_banners);
    let banners = (from != into).then(|| Field {
        from: in_short(from),
        to: in_short(into),
    });
    let differences = Differences::default()
        .differing(NAME, &held.application_name, &to.application_name)
        .differing(LOGO, &held.logo_url, &to.logo_url)
        .and(BANNERS, banners.as_ref());
    (!differences.is_empty()).then_some(Change {
        request: Request::Appearance(to),
        differences,
    })
}

fn in_short(banners: &[Banner]) -> Vec<String> {
    let short = |banner: &Banner| {
        let mut text: String = banner.message.chars().take(SHOWN).collect();
        if text.len() < banner.message.len() {
            text.push('…');
        }
        let off = if banner.enabled { "" } else { " (off)" };
        format!("{text} {}{off}", banner.background_color)
    };
    banners.iter().map(short).collect()
}
