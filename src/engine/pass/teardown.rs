//! The way out: what happens to the object in Coder before its custom resource may go.
//!
//! The finalizer stays until the remote object is deleted, proven gone, or let go on purpose. It works from the status:
//! no valid spec, no living dependency and no licence is needed to get this far. Children go before what they hang on.

use std::sync::Arc;

use k8s_controller::events::EventType;

use crate::api::{DeletionPolicy, Mode, ObjectStatus, Origin, PendingCreation};
use crate::engine::cluster::output::Owner;
use crate::engine::cluster::status::{self, FINALIZER};
use crate::engine::conditions::Verdict;
use crate::engine::connection::Connection;
use crate::engine::error::{Error, Reason};
use crate::engine::pass::claims;
use crate::engine::pass::{Ended, Pass, may_come_from};
use crate::engine::remote::{Life, Remote, Target};

/// Lets the object go as soon as that is right.
pub async fn run<R: Remote>(pass: &mut Pass<'_, R>) -> Ended {
    if !status::has_finalizer(pass.record.object().as_ref()) {
        return Ended {
            error: None,
            look_again: None,
        };
    }
    let farewell = match pass.dissolve().await {
        Ok(farewell) => pass.leave_secrets(&farewell).await.map(|()| farewell),
        Err(error) => Err(error),
    };
    let error = match farewell {
        Ok(farewell) => pass.release(farewell).await.err(),
        Err(error) if error.is_silent() => Some(error),
        Err(error) => {
            let written = pass.conclude(&Verdict::DeletionBlocked(&error), None).await;
            Some(written.err().unwrap_or(error))
        }
    };
    Ended {
        error,
        look_again: None,
    }
}

/// Why the finalizer may go.
enum Farewell {
    /// There is, or was, nothing in Coder.
    Nothing,
    /// It is gone from Coder.
    Deleted,
    /// It stays in Coder.
    Orphaned(&'static str),
}

impl<R: Remote> Pass<'_, R> {
    async fn dissolve(&mut self) -> Result<Farewell, Error> {
        let common = self.record.status.common();
        let managed = common.origin.is_some() && R::identity(&self.record.status).is_some();
        if !managed && common.pending_creation.is_none() {
            return Ok(Farewell::Nothing);
        }
        let instance = self.record.object().instance_key();
        // What the instance says of deletions counts whenever it comes.
        self.depend_on_instance(&instance);
        let is_known = self.engine.connections.terms(&instance).is_some();
        if !is_known && self.record.object().common().deletion_policy != Some(DeletionPolicy::Orphan) {
            self.engine
                .connections
                .knows(&instance.namespace)
                .map_err(with_way_out)?;
        }
        if self.instance_lets_go() {
            return Ok(Farewell::Orphaned(
                "overrides.deletionPolicy of its CoderInstance is Orphan",
            ));
        }
        if self.deletion_policy() == DeletionPolicy::Orphan {
            return Ok(Farewell::Orphaned("deletionPolicy is Orphan"));
        }
        match self.record.object().common().mode {
            Mode::Manage => {}
            Mode::Observe => return Ok(Farewell::Orphaned("mode is Observe, which writes nothing")),
            Mode::Suspend => {
                let message = "mode is Suspend: set mode: Manage to delete the object in Coder, or \
                               deletionPolicy: Orphan to leave it there";
                return Err(Error::terminal(Reason::Suspended, message));
            }
        }
        self.children_first()?;
        self.authorize(&instance).map_err(with_way_out)?;
        let connection = self.engine.connections.for_deletion(&instance).map_err(with_way_out)?;
        self.keep_connection(&connection);
        if self.is_held_elsewhere(&connection) {
            return Ok(Farewell::Orphaned(
                "it is in another deployment than the one behind the URL",
            ));
        }
        // A creation whose answer never arrived may have left an object whose id nobody wrote down.
        let mut identities: Vec<R::Identity> = R::identity(&self.record.status)
            .filter(|_| managed)
            .into_iter()
            .collect();
        if let Some(PendingCreation { key, since }) = &self.record.status.common().pending_creation {
            let now = self.cx_now(&connection)?;
            let found = R::observe(&now, None, Target::Key(key)).await.map_err(with_way_out)?;
            identities.extend(
                found
                    .filter(|one| may_come_from::<R>(one, since.0))
                    .map(|one| R::identify(&one)),
            );
        }
        let mut farewell = Farewell::Nothing;
        for identity in &identities {
            if self.has_stronger_holder(&connection, identity) {
                return Ok(Farewell::Orphaned("another custom resource manages it"));
            }
            if self.delete(&connection, identity).await.map_err(with_way_out)? {
                farewell = Farewell::Deleted;
            }
        }
        Ok(farewell)
    }

    /// Deletes it; says whether it was there.
    async fn delete(&self, connection: &Arc<Connection>, identity: &R::Identity) -> Result<bool, Error> {
        let target = || Target::Identity(identity);
        let cx = self.cx(connection)?;
        // A status is a claim: what is there is looked at before it is deleted. An id stands for one object for good, so it
        // does not matter how old the look is, unless nothing is to be seen.
        let there = match R::observe(&cx, None, target()).await {
            Ok(Some(there)) => Some(there),
            Err(error) if !error.may_be_outdated() => return Err(error),
            Ok(None) | Err(_) => R::observe(&self.cx_now(connection)?, None, target()).await?,
        };
        let Some(there) = there else {
            R::believe_gone(&cx, identity).await?;
            return Ok(false);
        };
        self.authorize_organizations(connection, None, Some(&there))?;
        self.permit(connection).await?;
        match R::delete(&cx, identity, &there).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_absent() => {
                self.explain_not_found(connection, identity).await?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Coder says "not found" of what is gone and of what may not be deleted: what can still be seen was refused.
    async fn explain_not_found(&self, connection: &Arc<Connection>, identity: &R::Identity) -> Result<(), Error> {
        let now = self.cx_now(connection)?;
        match R::observe(&now, None, Target::Identity(identity)).await {
            Ok(None) => {}
            // What it was in is gone, and everything with it.
            Err(error) if error.is_absent() => {}
            Ok(Some(_)) => {
                let message = format!(
                    "the token's user may not delete the {}: give {} {}",
                    R::NOUN,
                    connection.user.username,
                    R::NEEDS
                );
                return Err(Error::terminal(Reason::Forbidden, message));
            }
            Err(error) => return Err(error),
        }
        R::believe_gone(&now, identity).await
    }

    /// Whatever points at this object and still stands for something in Coder goes first.
    fn children_first(&self) -> Result<(), Error> {
        let depend = |topic| self.depend(topic);
        let children = self
            .engine
            .dependents(&self.me, &self.record.object().instance_key(), &depend)?;
        if children.is_empty() {
            return Ok(());
        }
        Err(children.still_used("delete them first"))
    }

    fn has_stronger_holder(&self, connection: &Connection, identity: &R::Identity) -> bool {
        let id = identity.to_string();
        let others = self.holders(connection, &id);
        let mine = self.my_claim(connection, None, Some(id));
        claims::stronger(&mine, &others).is_some()
    }

    /// What stays in Coder goes on to be used: so do the Secrets with its tokens, which Kubernetes would collect together
    /// with their owner.
    async fn leave_secrets(&self, farewell: &Farewell) -> Result<(), Error> {
        if let (Farewell::Orphaned(_), Some(owner)) = (farewell, Owner::of(self.record.object().as_ref())) {
            for name in R::secrets(self.record.object()) {
                self.engine.outputs.disown(&owner, name).await?;
            }
        }
        Ok(())
    }

    async fn release(&mut self, farewell: Farewell) -> Result<(), Error> {
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        match farewell {
            Farewell::Nothing => {}
            Farewell::Deleted => {
                let text = match R::LIFE {
                    Life::Object => "deleted in Coder",
                    Life::Standing => "what it had set has its initial value in Coder again",
                };
                self.tell(EventType::Normal, Reason::Deleted, text.to_owned()).await;
            }
            Farewell::Orphaned(why) => {
                self.tell(EventType::Normal, Reason::Orphaned, format!("left in Coder: {why}"))
                    .await;
            }
        }
        tracing::info!(finalizer = FINALIZER, "letting go");
        self.record.remove_finalizer().await
    }

    /// What becomes of the object in Coder: said by the instance for all, by the object, by the instance for those that say
    /// nothing, or by the kind.
    pub(in crate::engine) fn deletion_policy(&self) -> DeletionPolicy {
        if self.instance_lets_go() {
            return DeletionPolicy::Orphan;
        }
        // What was begun and never recorded is ours all the same.
        let common = self.record.status.common();
        let begun = common.pending_creation.as_ref().map(|_| Origin::Created);
        let default = R::deletion_default(common.origin.or(begun));
        let terms = self.engine.connections.terms(&self.record.object().instance_key());
        let by_instance = terms
            .as_ref()
            .and_then(|terms| terms.defaults.deletion_policy)
            // What nobody created here, and what is never deleted unless it says so itself, an instance cannot condemn.
            .filter(|policy| *policy == DeletionPolicy::Orphan || default == DeletionPolicy::Delete);
        // The instance may be gone; what it said is in the status.
        let recorded = if terms.is_none() {
            common.effective_deletion_policy
        } else {
            None
        };
        self.record
            .object()
            .common()
            .deletion_policy
            .or(by_instance)
            .or(recorded)
            .unwrap_or(default)
    }

    /// Whether everything of the instance stays in Coder, whatever its objects say.
    fn instance_lets_go(&self) -> bool {
        let terms = self.engine.connections.terms(&self.record.object().instance_key());
        terms.is_some_and(|terms| terms.lets_go)
    }
}

/// An error of a deletion always says how to end it without Coder.
fn with_way_out(error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Superseded => Error::Superseded,
        Error::Pending => Error::Pending,
        error => Error::Undeletable(Box::new(error)),
    }
}
