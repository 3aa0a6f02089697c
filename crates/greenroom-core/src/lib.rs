//! The vocabulary of Greenroom, the seams it is extended through, and every machine that decides.
//!
//! Nothing in this crate performs I/O, spawns, sleeps, reads a clock or the environment. A machine is
//! given events and answers with what is to be done; the runtime does it. So every decision of the
//! system can be tested, replayed and fuzzed without a runtime.

use std::future::Future;
use std::pin::Pin;

use futures_core::Stream;

pub mod fingerprint;
pub mod ids;
pub mod time;

pub mod embedder;
pub mod history;
pub mod message;
pub mod model;
pub mod output;
pub mod retriever;
pub mod secret;
pub mod tool;

pub mod brief;
pub mod budget;
pub mod journal;
pub mod report;

pub mod join;

pub mod agent;
pub mod alive;
pub mod approval;
pub mod delegation;
pub mod directory;
pub mod fanout;
pub mod fault;
pub mod mailbox;
pub mod persistence;
pub mod pool;
pub mod recovery;
pub mod resilience;
pub mod router;
pub mod supervision;

pub mod timing;
pub mod watchdog;

pub mod random;
pub mod redact;

/// The crate that [`tool::Tool::Input`] schemas come from, for users' derives.
pub use schemars;

/// A boxed future: what object-safe seams return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;
