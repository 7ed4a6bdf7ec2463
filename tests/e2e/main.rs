//! The operator as its users meet it: the real binary against a real kube-apiserver and a Coder.
//!
//! One file a behaviour. Each test has its own namespace, its own Coder and its own operator process, and waits on
//! conditions, never on time. `CODER_E2E_URL` and `CODER_E2E_TOKEN` point the suite at a real Coder instead of the
//! simulated one; tests that need faults, or a server that nobody else uses, then say that they are skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::similar_names,
    missing_docs
)]

mod support;

mod access;
mod additive;
mod admission;
mod adoption;
mod conflict;
mod coverage;
mod crash;
mod custom_role;
mod deletion;
mod deletion_blocked;
mod drift;
mod examples;
mod fairness;
mod feed;
mod fight;
mod forgotten;
mod gateway;
mod gateway_identity;
mod gitops;
mod group;
mod group_sync;
mod guarantees;
mod held;
mod http_proxy;
mod instance;
mod intervals;
mod known;
mod leader;
mod license;
mod limits;
mod many_members;
mod members;
mod modes;
mod moved_names;
mod namespace_deletion;
mod oauth2_app;
mod observability;
mod order;
mod organization;
mod organization_member;
mod other_writers;
mod overload;
mod permissions;
mod provisioner_key;
mod readiness;
mod restart;
mod restore;
mod sync;
mod template_access;
mod tls;
mod token;
mod uninstall;
mod unreadable;
mod upgrade;
mod workspace_proxy;
