//! Chat models: [`Extractive`], which needs neither a network nor weights, and the models of providers.
//!
//! [`wire`] knows how providers spell requests and replies, and opens no connection. `http`, behind the
//! feature of that name, sends them. A [`cassette`] replays what was once sent. Nothing in this crate starts agents or knows the runtime.

mod extractive;

pub mod cassette;
pub mod headers;
#[cfg(feature = "http")]
pub mod http;
pub mod resilience;
pub mod wire;

pub use extractive::Extractive;
