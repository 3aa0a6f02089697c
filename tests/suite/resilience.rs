//! What protects a provider from its callers and callers from their provider, row by row: breaker,
//! retries, limits, deadlines, shedding, fairness.

mod account;
mod callers;
mod decorators;
mod runs;
mod world;
