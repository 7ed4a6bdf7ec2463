//! What makes the mirror look again.
//!
//! Two sources feed it. The [`sweep`] is always on: it lists each collection once an interval and compares. The
//! [`audit`] log, where it is to be had, names what somebody changed within seconds; while it is read, collections that
//! it covers are swept rarely. Both end in the same: who depends on something that changed is woken.

pub mod audit;
mod cursor;
pub mod sweep;
