//! The agent's machine, driven as the runtime drives it, by scripted models and tools.

mod compaction;
mod crash;
mod endings;
mod people;
mod retries;
mod simulation;
mod turns;
