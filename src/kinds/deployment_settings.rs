//! `CoderDeploymentSettings` → the settings of a deployment: what everybody sees, notifications, prebuilt workspaces, the
//! health page.
//!
//! Sections stand alone: one that the licence, the server or the token does not give is said, and holds up none of the others.

mod change;
mod section;
mod wanted;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::unmanaged;
use crate::api::{CoderDeploymentSettings, DeploymentSettingsStatus, Object};
use crate::coder::{Appearance, DeploymentId, NotificationTemplate};
use crate::engine::{Cx, Error, Life, Remote, Report, Target};
use crate::lists::{
    AppearanceOf, DismissedHealthChecks, NotificationMethods, NotificationsPaused, PrebuildsPaused, SETTING,
};
use crate::mirror::Interest;
pub use change::Change;
use section::{Part, Refusal, Section};
pub use wanted::Wanted;
use wanted::{BANNERS, DISMISSED, LOGO, NAME, NOTIFICATIONS, PREBUILDS, unknown_templates};

/// What shall be, and where.
#[derive(Clone, Debug)]
pub struct Desired {
    deployment: DeploymentId,
    wanted: Wanted,
    /// Sections with a list that was managed and is not any more.
    left: BTreeSet<Section>,
}

/// What Coder holds, as far as it was asked for.
#[derive(Clone, Debug)]
pub struct Observed {
    deployment: DeploymentId,
    appearance: Part<Appearance>,
    notifications_paused: Part<bool>,
    templates: Part<Vec<NotificationTemplate>>,
    prebuilds_paused: Part<bool>,
    dismissed: Part<BTreeSet<String>>,
}

/// What the status keeps.
#[derive(Clone, Debug)]
pub struct Identity {
    deployment: DeploymentId,
    managed: Vec<String>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deployment.fmt(f)
    }
}

impl Observed {
    /// The sections that could not be read, and why.
    fn refusals(&self) -> Vec<&Refusal> {
        let all = [
            self.appearance.refusal(),
            self.notifications_paused.refusal(),
            self.templates.refusal(),
            self.prebuilds_paused.refusal(),
            self.dismissed.refusal(),
        ];
        all.into_iter().flatten().collect()
    }

    /// Whether a section was read.
    fn holds(&self, section: Section) -> bool {
        match section {
            Section::Appearance => self.appearance.held().is_some(),
            Section::Notifications => self.notifications_paused.held().is_some(),
            Section::Methods => self.templates.held().is_some(),
            Section::Prebuilds => self.prebuilds_paused.held().is_some(),
            Section::Health => self.dismissed.held().is_some(),
        }
    }

    /// Whether a list that was managed has been left with something in it, as far as that can be seen.
    fn leaves(&self, field: &str) -> bool {
        match field {
            BANNERS => self
                .appearance
                .held()
                .is_none_or(|held| !held.announcement_banners.is_empty()),
            DISMISSED => self.dismissed.held().is_none_or(|held| !held.is_empty()),
            _ => false,
        }
    }
}

impl Remote for CoderDeploymentSettings {
    const LIFE: Life = Life::Standing;
    const NOUN: &'static str = "the settings of deployment";
    const NEEDS: &'static str = "the role Owner";

    type Desired = Desired;
    type Observed = Observed;
    type Identity = Identity;
    type Change = Change;

    async fn resolve(cx: &Cx<'_>, object: &CoderDeploymentSettings) -> Result<Desired, Error> {
        let wanted = Wanted::of(object);
        let now = wanted.fields();
        let before = object.own_status().into_iter().flat_map(|status| &status.managed);
        let left = before.filter(|field| !now.iter().any(|(_, one)| one == field));
        let left = left.filter_map(|field| match field.as_str() {
            BANNERS => Some(Section::Appearance),
            DISMISSED => Some(Section::Health),
            _ => None,
        });
        Ok(Desired {
            deployment: cx.connection.link.deployment,
            left: left.collect(),
            wanted,
        })
    }

    fn natural_key(desired: &Desired) -> String {
        desired.deployment.to_string()
    }

    fn organizations<'a>(_: Option<&'a Desired>, _: Option<&'a Observed>) -> Vec<&'a str> {
        Vec::new()
    }

    fn identity(status: &DeploymentSettingsStatus) -> Option<Identity> {
        Some(Identity {
            deployment: status.id.as_ref()?.parse().ok()?,
            managed: status.managed.clone(),
        })
    }

    fn identify(observed: &Observed) -> Identity {
        Identity {
            deployment: observed.deployment,
            managed: Vec::new(),
        }
    }

    async fn observe(
        cx: &Cx<'_>,
        desired: Option<&Desired>,
        target: Target<'_, Identity>,
    ) -> Result<Option<Observed>, Error> {
        let deployment = cx.connection.link.deployment;
        let id = match target {
            Target::Identity(identity) => identity.to_string(),
            Target::Key(key) => key.to_owned(),
        };
        if id != deployment.to_string() {
            return Ok(None);
        }
        let mut asked: BTreeSet<Section> = desired.map(|desired| desired.left.clone()).unwrap_or_default();
        let fields = desired.map(|desired| desired.wanted.fields()).unwrap_or_default();
        asked.extend(fields.into_iter().map(|(section, _)| section));
        let section = |section: Section| asked.contains(&section).then_some(section);
        let templates = async {
            let templates = cx.list(&NotificationMethods, Interest::Any).await?;
            Ok(Some(templates.iter().cloned().collect()))
        };
        Ok(Some(Observed {
            deployment,
            appearance: Part::read(cx, section(Section::Appearance), cx.get(&AppearanceOf, SETTING)).await?,
            notifications_paused: {
                let read = cx.get(&NotificationsPaused, SETTING);
                Part::read(cx, section(Section::Notifications), read).await?
            },
            templates: Part::read(cx, section(Section::Methods), templates).await?,
            prebuilds_paused: Part::read(cx, section(Section::Prebuilds), cx.get(&PrebuildsPaused, SETTING)).await?,
            dismissed: Part::read(cx, section(Section::Health), cx.get(&DismissedHealthChecks, SETTING)).await?,
        }))
    }

    fn untouched(desired: &Desired, observed: &Observed) -> bool {
        change::is_initial(&desired.wanted, observed)
    }

    fn plan(desired: &Desired, observed: Option<&Observed>) -> Vec<Change> {
        observed
            .map(|observed| change::changes(&desired.wanted, observed))
            .unwrap_or_default()
    }

    fn prepare(desired: &Desired, observed: &Observed, status: &mut DeploymentSettingsStatus) {
        status.id = Some(observed.deployment.to_string());
        let before = std::mem::take(&mut status.managed);
        // What cannot be read is not taken into hand, and what was in hand stays there.
        let fields = desired.wanted.fields().into_iter();
        let fields =
            fields.filter(|(section, field)| observed.holds(*section) || before.iter().any(|one| one == field));
        status.managed = fields.map(|(_, field)| field.to_owned()).collect();
        let left = before
            .into_iter()
            .filter(|field| observed.leaves(field) && !status.managed.contains(field));
        let left: Vec<String> = left.collect();
        status.managed.extend(left);
    }

    async fn apply(cx: &Cx<'_>, _: &Desired, observed: Option<&Observed>, change: &Change) -> Result<Observed, Error> {
        let Some(observed) = observed else {
            return Err(Error::Superseded);
        };
        change.send(cx, observed.clone()).await
    }

    fn report(desired: &Desired, observed: &Observed, status: &mut DeploymentSettingsStatus, _: Timestamp) -> Report {
        Self::prepare(desired, observed, status);
        let managed: Vec<&str> = desired.wanted.fields().into_iter().map(|(_, field)| field).collect();
        let left = status.managed.iter().filter(|field| !managed.contains(&field.as_str()));
        let left: Vec<String> = left.cloned().collect();
        let mut report = Report::default();
        report.notes.extend(unmanaged::note(&left, "[]"));
        let unknown = unknown_templates(&desired.wanted, observed);
        report.unmet = section::unmet(observed.refusals().into_iter().chain(unknown.as_ref()));
        report
    }

    /// How notifications of a template are sent cannot be taken back.
    async fn delete(cx: &Cx<'_>, identity: &Identity, _: &Observed) -> Result<(), Error> {
        let manages = |field: &str| identity.managed.iter().any(|managed| managed == field);
        let initial = Wanted {
            application_name: manages(NAME).then(String::new),
            logo_url: manages(LOGO).then(String::new),
            banners: manages(BANNERS).then(Vec::new),
            notifications_paused: manages(NOTIFICATIONS).then_some(false),
            methods: None,
            prebuilds_paused: manages(PREBUILDS).then_some(false),
            dismissed: manages(DISMISSED).then(BTreeSet::new),
        };
        let desired = Desired {
            deployment: identity.deployment,
            wanted: initial,
            left: BTreeSet::new(),
        };
        let Some(mut held) = Self::observe(cx, Some(&desired), Target::Identity(identity)).await? else {
            return Ok(());
        };
        if let Some(refused) = section::unmet(held.refusals().into_iter()) {
            return Err(refused);
        }
        for change in change::changes(&desired.wanted, &held) {
            held = change.send(cx, held).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
