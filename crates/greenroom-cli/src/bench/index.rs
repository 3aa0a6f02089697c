//! How fast a synthetic corpus is indexed, opened again and searched.

use std::path::{Path, PathBuf};

use greenroom_retrieval::bench::{SpeedOptions, speed};
use greenroom_runtime::SystemClock;

use super::table::Table;
use super::{Report, retrieval};
use crate::console::Console;
use crate::exit::Failure;
use crate::render::grouped;

/// Measures in a directory of its own, which is removed afterwards.
pub(super) async fn index(mb: u64, console: &Console) -> Result<Report, Failure> {
    let dir = Scratch::new();
    console.note(&format!("measuring in {}, which takes up to {} MB", dir.0.display(), 3 * mb));
    let options = SpeedOptions::new(dir.path()).bytes(mb * 1_000_000);
    let speed = speed(&options, &SystemClock::new()).await.map_err(|e| retrieval::failed(&e))?;
    let ms = |duration: std::time::Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
    let table = Table::new(["", "figure"])
        .row(["files".to_owned(), grouped(speed.n_files)])
        .row(["passages".to_owned(), grouped(speed.n_chunks)])
        .row(["indexing, s".to_owned(), format!("{:.1}", speed.ingest.as_secs_f64())])
        .row(["indexing, MB/s".to_owned(), format!("{:.1}", speed.bytes_per_s() / 1e6)])
        .row(["opening again, unchanged, ms".to_owned(), ms(speed.refresh)])
        .row(["query p50, ms".to_owned(), ms(speed.query_p50)])
        .row(["query p99, ms".to_owned(), ms(speed.query_p99)]);
    let title = format!("index: {mb} MB of synthetic Markdown, indexed on disk, then 500 queries");
    Ok(Report { title, table, notes: Vec::new() })
}

/// A directory that goes away with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("greenroom-bench-{}", std::process::id())))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
