//! The Helm chart, with Helm itself and a real kube-apiserver. Pods do not run there; everything else of a release does.

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
