//! Reads that show what was: as if another replica, or a cache, answered.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;

use crate::faults::Fault;
use crate::sim::Sim;
use crate::state::State;

/// Which past a read is answered from.
#[derive(Clone, Debug)]
pub(crate) enum Past {
    /// This one.
    Frozen(Arc<Mutex<State>>),
    /// What was before the last call that wrote.
    BeforeLastWrite,
}

/// The state before the last call that wrote, from the moment on when a test is about it.
#[derive(Debug, Default)]
pub(crate) struct Previous(Mutex<Option<Kept>>);

#[derive(Debug, Default)]
struct Kept(Option<Box<State>>);

impl Previous {
    /// What to keep in case the call that begins writes.
    pub(crate) fn candidate(&self, state: &State, method: &Method) -> Option<Box<State>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.is_some() && *method != Method::GET).then(|| Box::new(state.clone()))
    }

    pub(crate) fn keep(&self, state: Box<State>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept(Some(state)));
    }

    /// Does `read` with what was before the last write; `None` when nothing was written.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = kept.as_mut().and_then(|kept| kept.0.as_mut());
        previous.map(|state| read(state))
    }
}

impl Sim {
    /// Answers matching reads from what the deployment remembers now, whatever is written meanwhile. Writes pass.
    pub fn stale_reads(&self, fault: Fault) {
        let now = Arc::new(Mutex::new(self.shared.state().clone()));
        self.faults().add(fault.past(Past::Frozen(now)));
    }

    /// Answers matching reads from what was before the last call that wrote since now. Writes pass.
    pub fn lagging_reads(&self, fault: Fault) {
        let previous = &self.shared.previous;
        previous
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default();
        self.faults().add(fault.past(Past::BeforeLastWrite));
    }
}
