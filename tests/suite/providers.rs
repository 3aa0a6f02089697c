//! Models of providers over real connections, surrounded by everything that makes them reliable, against a provider
//! that fails on purpose: the rows FI of the fault matrix.
//!
//! Nothing sleeps. Every timer is on a clock that is moved by hand, and the provider says when it has gone silent.

mod bodies;
mod crowds;
mod embedders;
mod refusals;
mod shapes;
mod stalls;
pub(crate) mod world;
