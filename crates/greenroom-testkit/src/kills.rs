//! The kill harness: runs whose processes die at every point, and an inquest into what became of them.
//!
//! A [`Witness`] outlives the processes. It writes down what the outside world saw of them: who was told
//! what, which calls of tools and models were made, and what a journal held when a process began. Afterwards
//! an [`inquest`] compares that with the journal and names every [`Invariant`] that does not hold. It is the
//! same one for deaths in virtual time ([`MortalJournal`](crate::MortalJournal)), for processes that end
//! themselves at a point ([`Points`]) and for `kill -9` at random times.
//!
//! [`Acknowledged`] asks less and of journals alone: whether what they confirmed is there, whole and in order.
//!
//! A harness that finds nothing proves nothing before it was seen to find something: a [`MutantJournal`]
//! breaks one promise on purpose.

mod acknowledged;
mod history;
mod inquest;
mod invariant;
mod mutant;
mod points;
mod stored;
mod witness;

pub use acknowledged::Acknowledged;
pub use history::unpaired;
pub use inquest::{Calm, inquest};
pub use invariant::{Invariant, Violation};
pub use mutant::{Mutant, MutantJournal};
pub use points::{PointedJournal, Points};
pub use witness::{Note, Noted, Witness, WitnessedModel, WitnessedTool};

#[cfg(test)]
mod tests;
