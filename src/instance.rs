//! `CoderInstance`: the connection that all other objects work through.
//!
//! It is ready when the server answers as a deployment (no workspace proxy), the token is good, and the deployment is
//! the pinned one. It goes only after everything that refers to it is gone.
//!
//! [`reconciler`] is its pass; `probe` looks at the deployment, with the `credentials` that the spec names; `facts` is what
//! the status says of it, and `feed` reads its audit log.

mod credentials;
mod facts;
mod feed;
mod probe;
pub mod reconciler;

pub use reconciler::Instances;
