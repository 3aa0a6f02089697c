//! The durable journal: events in a SQLite file that one process owns.
//!
//! `docs/journal.md` tells what is stored, which failures each [`Durability`] survives, and how to look into
//! the file with the `sqlite3` program. This crate never decides what a run does next: it stores and reads.

mod journal;
mod options;

mod readers;
mod writer;

mod store;

mod chain;

mod error;
mod files;

#[cfg(test)]
mod disk;
#[cfg(test)]
mod golden;

pub use journal::SqliteJournal;
pub use options::{Durability, SqliteOptions};
