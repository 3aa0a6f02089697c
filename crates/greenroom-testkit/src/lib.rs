//! What tests of Greenroom, and of programs built on it, put in the place of the outside world.
//!
//! Scripted models, retrievers and tools do what a test says, including failing, hanging and
//! panicking, and record what was asked of them. A provider of models listens on this machine and has every
//! fault that providers have. Fault plans strike real agents, tools, models and that provider. The leak
//! check fails a test that leaves something behind. The conformance suites say what every implementation
//! of a seam must do. The kill harness looks into what became of runs whose processes died. All waiting is
//! in tokio's time, which a test can pause.

mod calls;
mod clock;
mod delayed;
mod evicting;
mod mortal;

mod embedder;
mod model;
mod retriever;
mod tool;

mod faults;
mod leaks;

pub mod conformance;
pub mod kills;
pub mod provider;

pub use calls::Calls;
pub use clock::ManualClock;
pub use delayed::Delayed;
pub use embedder::HashedEmbedder;
pub use evicting::EvictingJournal;
pub use faults::{FaultPlan, FaultRule, FaultSite, FaultyModel, FaultyTool, Injected};
pub use leaks::LeakCheck;
pub use model::{ScriptedModel, ScriptedReply};
pub use mortal::{Death, MortalJournal};
pub use retriever::{ScriptedRetriever, passage};
pub use tool::ScriptedTool;
