//! Chat models. So far there is one: [`Extractive`], which needs neither a network nor weights.
//!
//! Nothing in this crate starts agents or knows the runtime.

mod extractive;

pub mod headers;
pub mod resilience;

pub use extractive::Extractive;
