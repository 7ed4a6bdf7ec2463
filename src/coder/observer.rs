//! Who is told of every call: the place where metrics are counted, without the client knowing them.

use std::time::Duration;

use super::{class::Class, path::Method};

/// The target of the events that record each call which may have changed something: `telemetry.rs` writes them into the audit log.
pub const WRITES: &str = "audit";

/// One finished call.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo {
    /// The method.
    pub method: Method,
    /// The path template, a label of few values.
    pub template: &'static str,
    /// The HTTP status, if the server answered.
    pub status: Option<u16>,
    /// What the error means; none for a success.
    pub class: Option<Class>,
    /// From the decision to call to the last byte of the answer.
    pub duration: Duration,
    /// False if the call never left the client: a path cooling down, an open breaker.
    pub sent: bool,
}

/// Told of every call when it has ended.
pub trait Observer: Send + Sync {
    /// Called on the task that made the call: must not block.
    fn call(&self, call: &CallInfo);
}

/// Tells nobody.
impl Observer for () {
    fn call(&self, _: &CallInfo) {}
}
