//! What a pass leaves behind: status, events, and who is woken by what from now on.

use k8s_controller::events::EventType;

use super::Pass;
use crate::api::{ObjectKey, ObjectStatus, Reference, instance};
use crate::engine::cluster::wake::Topic;
use crate::engine::conditions::{self, SYNCED, Verdict};
use crate::engine::cx::Seen;
use crate::engine::error::{Error, Reason};
use crate::engine::pass::drift::{Attributed, Deviation};
use crate::engine::remote::{Change, Remote, Report};
use crate::mirror::Author;

/// A change that was made.
pub(super) struct Done {
    pub(super) text: String,
    pub(super) creates: bool,
    /// What somebody else did that it set right.
    pub(super) deviations: Vec<Deviation>,
}

impl<R: Remote> Pass<'_, R> {
    /// What the pass did is told once, in one event for each way it came about.
    pub(super) async fn tell_changes(&self, done: Vec<Done>) {
        let join = |wanted: &dyn Fn(&Done) -> bool| {
            let lines: Vec<&str> = done
                .iter()
                .filter(|done| wanted(done))
                .map(|done| &*done.text)
                .collect();
            (!lines.is_empty()).then(|| lines.join("; "))
        };
        // What a new object is filled with belongs to its creation.
        let reason = if done.iter().any(|done| done.creates) {
            Reason::Created
        } else {
            Reason::Updated
        };
        if let Some(text) = join(&|done| done.creates || done.deviations.is_empty()) {
            self.tell(EventType::Normal, reason, text).await;
        }
        let deviations: Vec<Deviation> = done.into_iter().flat_map(|done| done.deviations).collect();
        if !deviations.is_empty() {
            self.tell_drift(deviations).await;
        }
    }

    async fn tell_drift(&self, deviations: Vec<Deviation>) {
        let drift = Attributed::new(deviations, &self.authors());
        let text = format!("{}, corrected", drift.with_times());
        tracing::info!(drift = text, "drift");
        self.engine.metrics.drift(R::KIND, "corrected");
        self.engine.fights.corrected(&self.me, &drift, (self.engine.now)());
        // What was learned of since this pass looked is not answered yet.
        if let Some(connection) = &self.connection {
            connection
                .mirror()
                .mark_answered(&self.looked_at(), self.due.fresh.unwrap_or(self.due.asked));
        }
        self.tell(EventType::Warning, Reason::DriftCorrected, text).await;
    }

    /// Adds what there is to say of an object that is fought over.
    pub(super) fn with_fights(&self, mut report: Report) -> Report {
        if let Some((note, until)) = self.engine.fights.standing(&self.me, (self.engine.now)()) {
            if self.record.before().common().condition(note.type_.as_str()).is_none() {
                self.engine.metrics.drift_repeats(R::KIND);
            }
            report.notes.push(note);
            report.look_again = Some(report.look_again.map_or(until, |at| at.min(until)));
        }
        report
    }

    /// The items that this pass looked at.
    fn looked_at(&self) -> Vec<(String, String)> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .items
            .clone()
    }

    /// Who changed what this pass looked at, as far as a feed said so.
    fn authors(&self) -> Vec<Author> {
        let items = self.looked_at();
        let connection = self.connection.as_ref();
        connection.map_or_else(Vec::new, |connection| connection.mirror().authors_of(&items))
    }

    /// What Observe mode says of these differences, for a condition: no time is in it, and who was named once stays
    /// named, because the message must not change while the cause does not.
    pub(super) fn drift_of(&self, changes: &[R::Change]) -> String {
        let (mut deviations, mut others) = (Vec::new(), Vec::new());
        let mut said = String::new();
        for change in changes {
            let text = change.to_string();
            // What several calls do together is said once.
            if text == said {
                continue;
            }
            let found = change.deviations(self.record.before());
            if found.is_empty() {
                others.push(text.clone());
            }
            deviations.extend(found);
            said = text;
        }
        let drift = Attributed::new(deviations, &self.authors()).and_unattributed(others);
        let before = self.record.before().common().condition(conditions::DRIFT_DETECTED);
        let named = before.filter(|before| !drift.names_anybody() && drift.is_said_by(&before.message));
        named.map_or_else(|| drift.without_times(), |before| before.message.clone())
    }

    /// Whether nothing that the user did can be the cause of a difference.
    pub(super) fn was_in_sync(&self) -> bool {
        let before = self.record.before().common();
        // Also when a part was unmet: what differs in the rest is somebody's doing.
        before
            .condition(SYNCED)
            .is_some_and(|synced| synced.status != "Unknown")
            && before.origin.is_some()
            && Some(before.observed_generation) == self.record.object().meta().generation
    }

    /// Writes the verdict, if it differs from what is written already.
    pub(in crate::engine) async fn conclude(
        &mut self,
        verdict: &Verdict<'_>,
        report: Option<&Report>,
    ) -> Result<(), Error> {
        self.bind();
        self.record.conclude(verdict, report.map(|report| &*report.notes)).await
    }

    /// Writes the status if it differs from what the object has.
    pub(in crate::engine) async fn write(&mut self) -> Result<(), Error> {
        self.bind();
        self.record.write().await
    }

    /// A status says in which deployment it holds something.
    pub(super) fn bind(&mut self) {
        let deployment = self
            .connection
            .as_ref()
            .map(|connection| connection.link.deployment.to_string());
        let common = self.record.status.common_mut();
        if !common.holds() {
            common.deployment = None;
        } else if deployment.is_some() {
            common.deployment = deployment;
        }
    }

    pub(in crate::engine) async fn tell(&self, type_: EventType, reason: Reason, note: String) {
        self.record.tell(type_, reason, note).await;
    }

    /// What the object depends on from now on is what this pass saw.
    pub(in crate::engine) fn settle(&self, error: Option<&Error>) {
        if !self.claims {
            self.engine.claims.forget(&self.me);
        }
        let instance = self.record.object().instance_key();
        if let Some(error) = error {
            self.report_to_instance(&instance, error);
        }
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Seen {
            topics,
            interests,
            searched: _,
            items: _,
        } = std::mem::take(&mut *seen);
        self.engine.wakes.replace_topics(&self.me, topics);
        if let Some(connection) = self
            .connection
            .clone()
            .or_else(|| self.engine.connections.last(&instance))
        {
            connection.mirror().retain_subscriptions(&self.me, &interests);
            // It went while it was looked at.
            if !self.engine.caches.index().has(&self.me) {
                connection.mirror().retain_subscriptions(&self.me, &[]);
            }
        }
    }

    /// What concerns the connection as a whole is the instance's to find out and to say. Its next success wakes only who
    /// could not get through at all: for the others it must change (features, roles), or they would go round in circles.
    pub(in crate::engine) fn report_to_instance(&self, instance: &ObjectKey, error: &Error) {
        let reason = error.reason();
        let dead = matches!(error.coder(), Some(crate::coder::Error::BreakerOpen { .. }));
        if dead || matches!(reason, Reason::InstanceNotReady | Reason::InstanceNotFound) {
            self.depend(Topic::Recovery(instance.clone()));
        }
        let concerns_all = [
            Reason::Unauthorized,
            Reason::NotEntitled,
            Reason::DeploymentChanged,
            Reason::Forbidden,
        ];
        // What the instance said itself is no news to it.
        let news =
            dead || (error.coder().is_some() && concerns_all.contains(&reason)) || self.found_other_deployment(error);
        if news {
            let instance = Reference {
                kind: instance::KIND,
                key: instance.clone(),
            };
            self.engine.wakes.wake(&instance);
        }
    }

    /// Whether this very pass found that the deployment is another one.
    pub(in crate::engine) fn found_other_deployment(&self, error: &Error) -> bool {
        error.reason() == Reason::DeploymentChanged && self.connection.is_some()
    }
}
