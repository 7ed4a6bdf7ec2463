//! `CoderInstance`: the connection that all other objects work through.
//!
//! It is ready when the server answers as a deployment (no workspace proxy), the token is good, and the deployment is
//! the pinned one. It goes only after everything that refers to it is gone.

mod feed;
mod probe;
mod worker;

pub use worker::{InstanceWorker, start};
