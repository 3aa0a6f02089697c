//! A corpus: the files under some directories, indexed and searchable.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_core::BoxFuture;
use greenroom_core::retriever::{
    Found, Location, ModelAsk, Passage, Query, Ranks, RetrieveError, RetrieveErrorKind, Retriever,
};

use crate::embedding::Embedding;
use crate::error::{CorpusError, CorpusErrorKind};
use crate::options::{CorpusOptions, SearchOptions};
use crate::refresh::Refresh;
use crate::report::{IngestReport, NoticeCode, Notices, Progress};
use crate::search::{Engine, Hit};
use crate::semantic::Semantic;
use crate::store::{Opened, Shelf, Store};
use crate::vectors::Fill;
use crate::walk::{self, Root, resolve, shown, walk};

/// The files under some directories, indexed and searchable. Clones share the index.
///
/// A corpus shows the files as they were when it was opened; open it again to see changes.
///
/// # Examples
///
/// ```no_run
/// use greenroom_core::retriever::{Query, Retriever};
/// use greenroom_retrieval::{Corpus, CorpusOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let corpus = Corpus::open(CorpusOptions::new(["docs"]).store_dir(".cache")).await?;
/// for passage in corpus.search(Query::new("what happens when a mailbox is full?")).await? {
///     println!("{}:{}", passage.source, passage.start_line);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Corpus {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    description: String,
    report: IngestReport,
    roots: Vec<Root>,
    options: SearchOptions,
    engine: Arc<Engine>,
    semantic: Option<Semantic>,
}

impl Corpus {
    /// Opens a corpus, which brings its index up to date with the files. What can be worked around
    /// (a damaged index, a binary file, a directory that cannot be written) becomes a notice of the
    /// [`report`](Self::report).
    ///
    /// # Errors
    ///
    /// [`CorpusError`] when a root is missing or unreadable, when there is nothing to index, or when
    /// the index cannot be built.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops ingest at the next file; the stored index stays as it was. While passages are
    /// embedded it cancels the requests; what has come of them is kept.
    pub async fn open(options: CorpusOptions) -> Result<Self, CorpusError> {
        let _finish = Finish(options.progress.clone());
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let cancelled = Arc::clone(&cancel.0);
        // Ingest reads files and computes for seconds: it must not hold a thread that drives tasks.
        let work = tokio::task::spawn_blocking(move || open_blocking(options, &cancelled));
        let opened = work.await;
        drop(cancel);
        let opened = opened.unwrap_or_else(|panic| Err(failed(panic)))?;
        let inner = opened.with_vectors().await?;
        for notice in &inner.report.notices {
            tracing::debug!(code = notice.code.as_str(), count = notice.count, "{notice}");
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many searches went by words alone because their question could not be embedded, and why the last
    /// one did.
    #[must_use]
    pub fn without_vectors(&self) -> (u64, Option<RetrieveError>) {
        let semantic = self.inner.semantic.as_ref();
        semantic.map(Semantic::without).unwrap_or_default()
    }

    /// What opening found and did.
    #[must_use]
    pub fn report(&self) -> &IngestReport {
        &self.inner.report
    }
}

impl fmt::Debug for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corpus")
            .field("name", &self.inner.name)
            .field("n_files", &self.inner.report.n_files)
            .field("n_chunks", &self.inner.report.n_chunks)
            .finish_non_exhaustive()
    }
}

impl Retriever for Corpus {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn description(&self) -> &str {
        &self.inner.description
    }

    fn search(&self, query: Query) -> BoxFuture<'static, Result<Vec<Passage>, RetrieveError>> {
        let found = self.find(query);
        Box::pin(async move { Ok(found.await?.passages) })
    }

    fn asks(&self, query: &Query) -> Option<ModelAsk> {
        self.inner.semantic.as_ref().map(|semantic| semantic.asks(&query.text))
    }

    /// Searches on a thread for blocking work. Dropping the future discards the answer; the search
    /// itself takes milliseconds and is not interrupted. A request for the vector of the question is
    /// cancelled.
    fn find(&self, query: Query) -> BoxFuture<'static, Result<Found, RetrieveError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let name = inner.name.clone();
            let mut found = Found::default();
            let vector = match &inner.semantic {
                Some(semantic) => semantic.vector(&name, &query, &mut found).await?,
                None => None,
            };
            // A search computes for milliseconds and may wait for the disk behind a mapped file.
            let work = tokio::task::spawn_blocking(move || inner.search(&query, vector.as_deref()));
            found.passages = work.await.unwrap_or_else(|panic| {
                Err(RetrieveError {
                    kind: RetrieveErrorKind::Corrupt,
                    source_name: name,
                    message: panic.to_string(),
                })
            })?;
            Ok(found)
        })
    }
}

impl Inner {
    fn search(&self, query: &Query, vector: Option<&[f32]>) -> Result<Vec<Passage>, RetrieveError> {
        let near = self.semantic.as_ref().zip(vector).map(|(semantic, vector)| {
            self.engine.nearest(semantic.vectors(), vector, query.top_k, &self.options)
        });
        let hits = self.engine.search(&query.text, query.top_k, &self.options, near.as_deref());
        let hits = hits.map_err(|error| RetrieveError {
            kind: RetrieveErrorKind::Corrupt,
            source_name: self.name.clone(),
            message: error.to_string(),
        })?;
        let passages: Vec<_> = hits.into_iter().map(|hit| self.passage(hit)).collect();
        for Passage { source, start_line, ranks, score, .. } in &passages {
            if let Some(Ranks { words, vectors }) = ranks {
                tracing::debug!(source, start_line, score, ?words, ?vectors, "found");
            }
        }
        Ok(passages)
    }

    fn passage(&self, hit: Hit) -> Passage {
        let source = |path: &str| shown(&self.roots, Path::new(path));
        let also_at = hit.also_at.iter().map(|(path, start_line, end_line)| Location {
            source: source(path),
            start_line: *start_line,
            end_line: *end_line,
        });
        Passage {
            also_at: also_at.collect(),
            source: source(&hit.path),
            start_line: hit.chunk.start_line,
            end_line: hit.chunk.end_line,
            heading: hit.chunk.heading,
            score: hit.score,
            text: hit.chunk.text,
            ranks: hit.ranks,
        }
    }
}

/// Tells ingest that nobody waits any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells whoever watches that ingest is over, however it ended.
struct Finish(Progress);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// A corpus that can be searched by words.
struct Indexed {
    inner: Inner,
    embedding: Option<Embedding>,
    shelf: Shelf,
    progress: Progress,
}

impl Indexed {
    /// The same with vectors, where they are wanted and can be had.
    async fn with_vectors(self) -> Result<Inner, CorpusError> {
        let Self { mut inner, embedding, shelf, progress } = self;
        let Some(embedding) = embedding else { return Ok(inner) };
        let engine = Arc::clone(&inner.engine);
        let fill = Fill { engine, embedding, shelf, progress };
        inner.semantic = Semantic::open(fill, &mut inner.report).await?;
        Ok(inner)
    }
}

fn open_blocking(options: CorpusOptions, cancelled: &AtomicBool) -> Result<Indexed, CorpusError> {
    let (roots, engine, shelf, report) = Ingest { options: &options, cancelled }.open()?;
    let CorpusOptions { name, description, search: options, embedding, progress, .. } = options;
    let description = description.unwrap_or_else(|| describe(&roots, &report));
    let (engine, semantic) = (Arc::new(engine), None);
    let inner = Inner { name, description, report, roots, options, engine, semantic };
    Ok(Indexed { inner, embedding, shelf, progress })
}

/// One opening of a corpus.
struct Ingest<'a> {
    options: &'a CorpusOptions,
    cancelled: &'a AtomicBool,
}

impl Ingest<'_> {
    fn open(&self) -> Result<(Vec<Root>, Engine, Shelf, IngestReport), CorpusError> {
        let roots = resolve(&self.options.roots)?;
        let mut notices = Notices::default();
        let store = self.store(&roots, &mut notices);
        let found = walk(&roots, &self.options.progress, &mut notices);
        let (store, mut report) = self.refresh(store, &roots, &found, &mut notices)?;
        if report.n_chunks == 0 {
            let error = CorpusError::new(CorpusErrorKind::Empty);
            return Err(match self.options.roots.as_slice() {
                [root] => error.at(root),
                _ => error,
            });
        }
        let engine = Engine::open(&store.index).map_err(failed)?;
        report.notices = notices.into_vec();
        Ok((roots, engine, store.shelf, report))
    }

    /// The index on disk where that is wanted and possible; `None` for one in memory.
    fn store(&self, roots: &[Root], notices: &mut Notices) -> Option<Opened> {
        let dir = self.options.store_dir.as_deref()?;
        match Store::on_disk(dir, roots) {
            Ok(opened) => {
                match &opened {
                    Opened::Ready(_) => {}
                    Opened::Rebuilt(_) => notices.add(NoticeCode::IndexRebuilt, None),
                    Opened::Busy(_) | Opened::BusyAndEmpty => {
                        notices.add(NoticeCode::IndexBusy, None);
                    }
                }
                Some(opened)
            }
            Err(error) => {
                self.not_stored(dir, &error, notices);
                None
            }
        }
    }

    fn refresh(
        &self,
        store: Option<Opened>,
        roots: &[Root],
        found: &walk::Found,
        notices: &mut Notices,
    ) -> Result<(Store, IngestReport), CorpusError> {
        let refresh = Refresh {
            roots,
            found,
            file_bytes_max: self.options.file_bytes_max,
            progress: &self.options.progress,
            cancelled: self.cancelled,
        };
        match store {
            Some(Opened::Busy(store)) => {
                let (n_files, n_chunks) = store.manifest.counts();
                return Ok((store, IngestReport { n_files, n_chunks, ..IngestReport::default() }));
            }
            Some(Opened::Ready(mut store) | Opened::Rebuilt(mut store)) => {
                let mut found_out = Notices::default();
                match refresh.run(&mut store, &mut found_out) {
                    Ok(report) => {
                        notices.extend(found_out);
                        return Ok((store, report));
                    }
                    Err(error) if self.cancelled.load(Ordering::Relaxed) => {
                        return Err(failed(error));
                    }
                    // A full disk, most likely: memory may still have room.
                    Err(error) => {
                        let dir = self.options.store_dir.as_deref().unwrap_or(Path::new(""));
                        self.not_stored(dir, &error, notices);
                    }
                }
            }
            Some(Opened::BusyAndEmpty) | None => {}
        }
        let mut store = Store::in_memory();
        let report = refresh.run(&mut store, notices).map_err(failed)?;
        Ok((store, report))
    }

    fn not_stored(&self, dir: &Path, error: &io::Error, notices: &mut Notices) {
        tracing::warn!(dir = %dir.display(), %error, "index kept in memory");
        notices.add(NoticeCode::StoreNotWritable, Some(&dir.to_string_lossy()));
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CorpusError {
    CorpusError::new(CorpusErrorKind::Index).because(io::Error::other(error))
}

fn describe(roots: &[Root], report: &IngestReport) -> String {
    let names: Vec<_> = roots.iter().map(|root| root.given.display().to_string()).collect();
    let plural = if report.n_files == 1 { "" } else { "s" };
    format!("{} file{plural} under {}", report.n_files, names.join(", "))
}
