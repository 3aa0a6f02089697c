//! A simulated disk below SQLite, to see what a journal makes of one that loses, tears and fails.
//!
//! Modes D3 and D4 of the kill harness. The product's own store and writer run on it. What the disk holds
//! after a loss of power is then laid into real files, and opened as the next process opens it.

mod failing;
mod losing;
mod platter;
mod script;
mod vfs;
