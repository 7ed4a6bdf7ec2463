//! The Kubernetes side of the engine: what is watched, who is woken, what is written.

pub mod backoff;
pub mod files;
pub mod metadata;
pub mod objects;
pub mod output;
pub mod status;
pub mod wake;
pub mod watch;
pub mod worker;
