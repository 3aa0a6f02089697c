//! The end of a run that nobody works on: whoever owns the journal is its writer.

use std::path::Path;

use greenroom_core::report::Status;
use serde::Serialize;

use super::answer::{over, refused};
use crate::exit::Failure;
use crate::render::json_line;

#[derive(Serialize)]
struct Cancelled {
    run: String,
    status: Status,
}

/// Stores that a run is cancelled. Another process cannot be at work on it: it would own the journal.
pub(super) async fn cancel(dir: &Path, id: &str, json: bool) -> Result<String, Failure> {
    // Whoever looks for a run that is not there makes no journal.
    let head = super::find(dir, &super::readable(dir)?, id).await?;
    if let Some(status) = head.status {
        return Err(over(status));
    }
    let runtime = super::idle(dir).await?;
    runtime.cancel(head.run).await.map_err(|error| refused(&error))?;
    runtime.shutdown().await;
    let run = head.run.to_string();
    Ok(match json {
        true => json_line(&Cancelled { run, status: Status::Cancelled }),
        false => format!("{run} cancelled\n"),
    })
}
