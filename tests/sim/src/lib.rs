//! A simulated Coder server, for tests.
//!
//! It keeps its state in memory, speaks the REST API as far as an operator of a deployment uses it, and is proven against
//! recordings of real servers (`tests/replay/`): each [`Profile`] answers one recorded server's conversation word for
//! word. Beyond that a test can look behind the server's back, change things there, read the journal of all calls, make
//! faults, and take the server away and bring it back.
//!
//! Map:
//!
//! * [`Sim`], [`Builder`]: starting, stopping; `behind`: acting behind the server's back; `views`: looking at its state;
//!   `seed`: a lot of it at once
//! * [`Journal`], [`Faults`], [`Gateway`], [`Clock`], [`license`]: what came in, what goes wrong, what stands in front, what
//!   time it is, minting licences
//! * `backup`, `stale`: another past; `signin`: people who come from an identity provider
//! * [`Profile`]: the differences between the recorded servers, as data
//! * `server`, `inbound`: connections, and a call's way through gateway and faults; `guard`: its way through limiter,
//!   licence gate and token to its handler
//! * `router`, `routes/`: routes and handlers; `answer`, `json`, `validate`, `rbac`, `ratelimit`: what they share
//! * `state/`: the data and the functions that change it; `audit`: what the audit log makes of a call,
//!   `auditlog`: its rows, and what goes wrong with them
//! * `control`: the control surface over HTTP, for the binary
//!
//! It is judged by its match with the real server and is never bent to what a client would like.

// A test double that cannot do its work, or is told about things that do not exist, stops the test.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]
// Handlers are rows of a table: those that cannot fail have the others' signature.
#![allow(clippy::unnecessary_wraps)]

mod answer;
mod audit;
mod auditlog;
mod backup;
mod behind;
mod clock;
mod control;
mod faults;
mod gateway;
mod guard;
mod inbound;
mod journal;
mod json;
pub mod license;
mod profile;
mod ratelimit;
mod rbac;
mod router;
mod routes;
mod seed;
mod server;
mod signin;
mod sim;
mod stale;
mod state;
mod validate;
mod views;

pub use auditlog::{AuditLog, AuditRow};
pub use axum::http::Method;
pub use backup::Backup;
pub use clock::Clock;
pub use faults::{Fault, Faults, Gate};
pub use gateway::{Gateway, Page};
pub use journal::{Effect, Entry, Journal, Mark};
pub use license::LicenseSpec;
pub use profile::Profile;
pub use signin::SignIn;
pub use sim::{Builder, Sim};
pub use state::{
    CustomRole, Group, License, Member, Organization, ProvisionerKey, Proxy, ProxyStatus, Template, User, UserStatus,
};
