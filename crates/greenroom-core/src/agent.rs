//! The agent's machine: a loop of turns, each one model call and the tool calls it asks for.
//!
//! The machine folds events and says what follows from them. It calls nothing: its [`Command`]s are
//! carried out by the runtime, whose results come back as events. So an agent that is killed between any
//! two events goes on, after a fold of its stream, with the next step and not with the first.

mod spec;

mod machine;

mod command;

mod calls;

mod compaction;

mod decide;

mod people;

#[cfg(test)]
mod tests;

pub use crate::output::OutputCheck;
pub use command::{Command, Resume};
pub use machine::Machine;
pub use spec::{AgentSpec, TurnLimits};
