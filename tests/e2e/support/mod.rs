//! What the tests stand on: [`World`] is one test's Kubernetes namespace, Coder and operator.

mod coder;
mod kube;
mod operator;
mod world;

pub(crate) use self::coder::Coder;
pub(crate) use self::kube::{ObjectExt, condition, ready, stalled};
pub(crate) use self::operator::{Operator, Settings};
pub(crate) use self::world::World;

use std::time::Duration;

/// How long anything may take before a test gives up. Generous: a slow machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
