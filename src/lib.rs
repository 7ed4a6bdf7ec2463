//! x
pub mod api;
pub mod coder;
