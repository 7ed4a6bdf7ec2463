//! A Kubernetes operator that keeps the control configuration of a Coder deployment as declared.
//!
//! The rooms of the house, each knowing only those below it:
//!
//! * [`cli`] — the commands, one file each;
//! * [`kinds`] — the rules: what each custom resource means in Coder, one file a kind, and the registry of all kinds; beside
//!   them [`instance`], the connection that they work through;
//! * [`engine`] — one reconcile pass for all kinds: adoption, conflict, deletion, crash safety, status;
//! * [`lists`] — the lists of Coder's that are read, and what the audit log says of them;
//! * [`mirror`] — what Coder holds right now: shared snapshots, and who is woken when they change;
//! * [`coder`] — the client of Coder's API; knows nothing of Kubernetes;
//! * [`api`] — the custom resources as users write them; no I/O.
//!
//! Beside them stand [`crds`] and [`rbac`] (what to install), [`leader`] (which replica works), [`supervisor`] (the tasks of
//! the process), [`server`] (probes and metrics over HTTP), [`metrics`] and [`telemetry`].
//!
//! A kind has the same file name in three rooms: `api/group.rs` is what users write, `coder/group.rs` what the server
//! speaks, `kinds/group.rs` the rule that turns one into the other.

pub mod api;
pub mod cli;
pub mod coder;
pub mod crds;
pub mod engine;
pub mod instance;
pub mod kinds;
pub mod leader;
pub mod lists;
pub mod metrics;
pub mod mirror;
pub mod rbac;
pub mod server;
pub mod supervisor;
pub mod telemetry;
