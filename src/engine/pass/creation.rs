//! Crash-safe creation: what is about to be created is written down before the call, its id right after.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Pass, name_of};
use crate::api::{ObjectStatus, Origin, PendingCreation};
use crate::engine::connection::Connection;
use crate::engine::error::{Error, Reason};
use crate::engine::pass::adoption::{self, Found};
use crate::engine::remote::{Remote, Target};

/// How much later than Coder's clock ours may be; the status keeps whole seconds besides.
const BETWEEN_CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// Whether the object can have come from a creation begun at `since`, as far as Coder says when it was made.
pub(crate) fn may_come_from<R: Remote>(observed: &R::Observed, since: Timestamp) -> bool {
    R::created_at(observed).is_none_or(|made| made >= since - BETWEEN_CLOCKS)
}

impl<R: Remote> Pass<'_, R> {
    /// Writes down what is about to be created, insisting that this pass saw the newest state of the object.
    pub(super) async fn begin_creation(&mut self, key: &str) -> Result<(), Error> {
        let pending = self.record.status.common().pending_creation.as_ref();
        if pending.is_some_and(|pending| pending.key == key) {
            return self.record.require_finalizer().await;
        }
        let since = Time(seconds((self.engine.now)()));
        self.record.status.common_mut().pending_creation = Some(PendingCreation {
            key: key.to_owned(),
            since,
        });
        self.show_deletion_policy();
        self.bind();
        self.record.hold().await
    }

    /// Whether a creation was begun that may have been done, or may still be.
    pub(super) fn is_unanswered(&self) -> bool {
        R::SETTLES.is_some() && self.record.status.common().pending_creation.is_some()
    }

    /// What Coder would make twice is not begun again while the first call may still come true.
    pub(super) fn let_settle(&self, what: &str) -> Result<(), Error> {
        let pending = self.record.status.common().pending_creation.as_ref();
        let until = pending
            .zip(R::SETTLES)
            .map(|(pending, settles)| pending.since.0 + settles);
        match until {
            Some(until) if (self.engine.now)() < until => {
                let message = format!(
                    "the creation of {what} was begun and its answer is missing: it may still come true, so that it is not \
                     repeated before {until}"
                );
                let reason = Reason::Unreachable;
                Err(Error::Retrying { reason, message })
            }
            _ => Ok(()),
        }
    }

    /// A creation that was refused: either it is there because it is ours after all, or it may be taken over, or not.
    pub(super) async fn creation_failed(
        &mut self,
        connection: &Arc<Connection>,
        desired: &R::Desired,
        key: &str,
        begun_before: bool,
        error: Error,
    ) -> Result<Option<R::Observed>, Error> {
        let Some(refusal) = error.coder() else {
            return Err(error);
        };
        let exists = refusal.is_already_exists();
        let may_be_ours = refusal.outcome_unknown() || (exists && begun_before);
        if !may_be_ours {
            self.record.status.common_mut().pending_creation = None;
            self.unclaim_creation(connection, key);
        }
        if !exists {
            return Err(error);
        }
        let cx = self.cx_now(connection)?;
        let found = R::observe(&cx, Some(desired), Target::Key(key)).await?;
        let what = name_of::<R>(key);
        let found = match (found, begun_before) {
            // The list does not show it, but Coder says that it is there: it differs in case, or may not be read.
            (None, _) => return Err(adoption::already_exists(&what)),
            (Some(ours), true) => Found {
                owned: None,
                pending: Some(ours),
                named: None,
            },
            (Some(theirs), false) => Found {
                owned: None,
                pending: None,
                named: Some(theirs),
            },
        };
        self.take(adoption::decide(found, self.adoption_policy(connection), &what)?)
            .await
    }

    /// The id goes into the status, whatever else happened to the object meanwhile or comes of the calls that follow. Until
    /// it is written, what is written of the intent leads to the object.
    pub(super) fn record_creation(&mut self, desired: &R::Desired, observed: &R::Observed) {
        let _ = R::report(desired, observed, &mut self.record.status, (self.engine.now)());
        let common = self.record.status.common_mut();
        common.pending_creation = None;
        common.origin.get_or_insert(Origin::Created);
        self.show_deletion_policy();
        self.bind();
        self.record.must_be_written();
    }
}

fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
