//! A provider of models on this machine, for tests: real connections, scripted replies, and every fault that a
//! provider or what stands before it can have.
//!
//! A [`ProviderServer`] speaks the wires of OpenAI (chat completions and Responses), Anthropic and Ollama,
//! streamed and whole, with embeddings and the list of models. Which one a request is of shows in its path. The
//! same script answers all of them, as a [`ScriptedModel`](crate::ScriptedModel) would. A
//! [`FaultPlan`](crate::FaultPlan) says which calls go wrong, and a [`WireFault`] how.
//!
//! The server has a thread of its own, so it answers whatever the test's runtime does, paused time included. All
//! of its waiting is on a clock that can be handed in; see [`ManualClock`](crate::ManualClock).

mod answer;
mod builder;
mod connection;
mod dialect;
mod embeddings;
mod fault;
mod http;
mod record;
mod response;
mod route;
mod server;
mod tls;

pub use answer::Answer;
pub use builder::ProviderBuilder;
pub use fault::WireFault;
pub use record::{ProviderCounts, Received};
pub use server::ProviderServer;
pub use tls::Certificate;

#[cfg(test)]
mod tests;
