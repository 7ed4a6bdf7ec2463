//! What is delivered: the Helm chart, with Helm itself and a real kube-apiserver (pods do not run there; everything else of a
//! release does), its alerts, and the workflows that release it.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod admission;
mod alerts;
mod matrix;
mod release;
mod support;
mod templates;
mod workflows;
