//! What every implementation of a seam must do: one suite per seam, run by every implementation.
//!
//! A suite is an async function that panics, naming what it was given as `label` and the promise that
//! was broken. It bounds every wait by [`PATIENCE`], so that an implementation that hangs fails.

mod chat_model;
mod embedder;
mod journal;
mod retriever;

pub use chat_model::{chat_model, chat_model_failure, chat_model_is_lazy};
pub use embedder::embedder;
pub use journal::journal;
pub use retriever::retriever;

use std::time::Duration;

/// How long a suite waits for one answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

async fn patiently<T>(label: &str, what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(done) => done,
        Err(_) => panic!("{label}: {what} took longer than {PATIENCE:?}"),
    }
}

#[cfg(test)]
mod tests;
