//! The Kubernetes side of the engine: what is watched, who is woken, what is written.

pub mod backoff;
pub mod coverage;
pub mod files;
pub mod guarded;
pub mod index;
pub mod metadata;
pub mod objects;
pub mod output;
pub mod queue;
pub mod scheduler;
pub mod status;
pub mod store;
pub mod triggers;
pub mod wake;
pub mod watch;
pub mod worker;
