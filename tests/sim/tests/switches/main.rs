//! The switches that any test can use to make things go wrong, one file a subject.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "all of this is a test: a panic is how it fails"
)]

mod caller;
mod gateway;
mod licences;
mod many;
mod past;
mod sign_in;
mod slow;
mod templates;
mod tokens;
