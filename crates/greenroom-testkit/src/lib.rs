//! What tests of Greenroom, and of programs built on it, put in the place of the outside world.
//!
//! Scripted models, retrievers and tools do what a test says, including failing, hanging and
//! panicking, and record what was asked of them. Fault plans strike real agents, tools and models. The leak
//! check fails a test that leaves something behind. The conformance suites say what every implementation
//! of a seam must do. All waiting is in tokio's time, which a test can pause.

mod calls;
mod delayed;

mod model;
mod retriever;
mod tool;

mod faults;
mod leaks;

pub mod conformance;

pub use calls::Calls;
pub use delayed::Delayed;
pub use faults::{FaultPlan, FaultRule, FaultSite, FaultyModel, FaultyTool, Injected};
pub use leaks::LeakCheck;
pub use model::{ScriptedModel, ScriptedReply};
pub use retriever::{ScriptedRetriever, passage};
pub use tool::ScriptedTool;
