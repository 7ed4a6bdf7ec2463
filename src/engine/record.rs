//! One object under a pass: what it is, what its status said before and says now, and everything that is written of it.

use std::sync::Arc;

use k8s_controller::events::EventType;
use kube::ResourceExt;

use crate::api::{Object, ObjectStatus, Reference, annotation};
use crate::engine::Engine;
use crate::engine::cluster::status::{self, Guard, Recent, has_finalizer};
use crate::engine::conditions::{self, READY, Verdict};
use crate::engine::error::{Error, Reason};
use crate::engine::remote::Note;

/// The object as the pass found it and as the pass leaves it.
pub struct Record<'a, K: Object> {
    engine: &'a Engine,
    recent: &'a Recent<K>,
    object: Arc<K>,
    before: K::Status,
    /// The status as the pass leaves it.
    pub status: K::Status,
    /// What the next write of the status insists on.
    guard: Guard,
}

impl<'a, K: Object> Record<'a, K> {
    /// The object as it is now: own writes that the watch does not show yet count. A status that was written for another
    /// object does not.
    #[must_use]
    pub fn new(engine: &'a Engine, recent: &'a Recent<K>, object: Arc<K>) -> Self {
        let mut object = recent.newest(object);
        if object.own_status().is_none() && object.status().is_some() {
            Arc::make_mut(&mut object).clear_status();
        }
        let before = object.status().cloned().unwrap_or_default();
        Self {
            engine,
            recent,
            status: before.clone(),
            before,
            object,
            guard: Guard::Unchanged,
        }
    }

    /// The object as it is now, own writes included.
    #[must_use]
    pub fn object(&self) -> &Arc<K> {
        &self.object
    }

    /// The status as the pass found it.
    #[must_use]
    pub fn before(&self) -> &K::Status {
        &self.before
    }

    /// From now on nothing counts of what the status said.
    pub fn forget_status(&mut self) {
        Arc::make_mut(&mut self.object).clear_status();
        self.before = K::Status::default();
        self.status = K::Status::default();
    }

    /// Which object it is.
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.object.reference()
    }

    /// Whether it is to be deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    /// Whether the finalizer is there.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        has_finalizer(self.object.as_ref())
    }

    /// Writes the verdict and what else there is to say, if that differs from what is written already. What is new of it
    /// is told in events.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn conclude(&mut self, verdict: &Verdict<'_>, notes: Option<&[Note]>) -> Result<(), Error> {
        let generation = self.object.meta().generation;
        let common = self.status.common_mut();
        common.observed_generation = generation.unwrap_or_default();
        if let Some(value) = self.object.annotations().get(annotation::RECONCILE_AT) {
            common.last_handled_reconcile_at = Some(value.clone());
        }
        conditions::conclude(&mut common.conditions, generation, verdict);
        let news = match notes {
            Some(notes) => conditions::note(&mut common.conditions, generation, notes),
            None => Vec::new(),
        };
        if let Verdict::Failed(error) | Verdict::Unmet(error) | Verdict::DeletionBlocked(error) = verdict {
            let message = conditions::cut(&error.to_string(), conditions::MESSAGE_MAX).into_owned();
            let ready = self.before.common().condition(READY);
            if ready.is_none_or(|ready| ready.message != message) {
                self.tell(EventType::Warning, error.reason(), message).await;
            }
        }
        for note in news {
            self.engine
                .tell(
                    self.object.as_ref(),
                    EventType::Warning,
                    note.type_.as_str(),
                    note.message,
                )
                .await;
        }
        self.write().await
    }

    /// What the status says by now is true whatever else happens to the object: it is written with the next write, at the
    /// latest when the pass ends.
    pub fn must_be_written(&mut self) {
        self.guard = Guard::SameObject;
    }

    /// Writes what must be written and is not yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write_what_must_be(&mut self) -> Result<(), Error> {
        match self.guard {
            Guard::SameObject => self.write().await,
            Guard::Unchanged => Ok(()),
        }
    }

    /// Writes the status if it differs from what the object has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write(&mut self) -> Result<(), Error> {
        // A status says whose it is.
        self.status.common_mut().uid = self.object.uid();
        if self.object.status() == Some(&self.status) {
            return Ok(());
        }
        let written = status::write(&self.engine.kube, self.object.as_ref(), &self.status, self.guard).await;
        self.wrote(written)?;
        self.guard = Guard::Unchanged;
        Ok(())
    }

    /// Writes a status that must stand before the next call, insisting that this pass saw the newest state of the object, and
    /// makes sure that the finalizer is there. For an object without either that is one write.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn hold(&mut self) -> Result<(), Error> {
        let is_first = self.object.status().is_none_or(|status| status.common().uid.is_none());
        if self.has_finalizer() || !is_first {
            self.require_finalizer().await?;
            return self.write().await;
        }
        self.status.common_mut().uid = self.object.uid();
        let written = status::add_finalizer(&self.engine.kube, self.object.as_ref(), Some(&self.status)).await;
        self.wrote(written)
    }

    /// Tells the readers of the object what happened to it.
    pub async fn tell(&self, type_: EventType, reason: Reason, note: String) {
        self.engine
            .tell(self.object.as_ref(), type_, reason.as_str(), note)
            .await;
    }

    /// Makes sure that the finalizer is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn require_finalizer(&mut self) -> Result<(), Error> {
        if self.has_finalizer() {
            return Ok(());
        }
        let written = status::add_finalizer(&self.engine.kube, self.object.as_ref(), None).await;
        self.wrote(written)
    }

    /// Lets the object go.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn remove_finalizer(&mut self) -> Result<(), Error> {
        let written = status::remove_finalizer(&self.engine.kube, self.object.as_ref()).await;
        match self.wrote(written) {
            Err(Error::Kubernetes(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            result => result,
        }
    }

    fn wrote(&mut self, written: Result<K, Error>) -> Result<(), Error> {
        match written {
            Ok(object) => {
                self.object = Arc::new(object);
                self.recent.wrote(Arc::clone(&self.object));
                Ok(())
            }
            Err(error) => {
                self.recent.forget(&self.object.key());
                Err(error)
            }
        }
    }
}
