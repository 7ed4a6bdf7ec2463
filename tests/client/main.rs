//! The client against what real Coder servers answered.
//!
//! Every recorded exchange of a route that the client knows is played to it by a local server: the call must go where
//! the recorded one went, and its answer must be understood, of either version. Every refusal recorded, of any route,
//! must be classified as the table says. What no recording can show, such as ten thousand groups, is tried on the simulator.

// `cfg(test)` tells clippy that helper functions are tests too.
#[cfg(test)]
mod classes;
#[cfg(test)]
mod large;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod replay;
