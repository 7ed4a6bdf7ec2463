//! What the tests stand on: [`World`] is one test's Kubernetes namespace, Coder and operator.

mod coder;
mod kube;
mod operator;
pub(crate) mod permissions;
mod world;

pub(crate) use self::coder::Coder;
pub(crate) use self::kube::{AnyObject, blocked, condition, message, ready, stalled, waiting};
pub(crate) use self::operator::{Operator, Settings};
pub(crate) use self::world::{World, cluster, prepare};

use std::time::Duration;

/// How long anything may take before a test gives up. Generous: a slow machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// Ends a test that needs the simulator's switches when the environment names a real server.
macro_rules! simulated_only {
    ($why:literal) => {
        if $crate::support::Coder::is_real() {
            eprintln!("skipped on a real Coder: {}", $why);
            return;
        }
    };
}
pub(crate) use simulated_only;
