//! Retrieval over a tree of files: ingest, chunk, index and search, without a service or a model; with the
//! vectors of an embedder besides, where one is given.
//!
//! [`Corpus`] implements [`greenroom_core::retriever::Retriever`]. A corpus is opened, which brings
//! its index up to date with the files; from then on it answers queries and changes nothing.

mod corpus;
mod embedding;
mod error;
mod options;
mod report;

mod lines;
mod walk;

mod analyze;
mod chunk;

mod index;
mod manifest;
mod refresh;
mod store;

mod search;
mod semantic;
mod vectors;

pub mod bench;
pub mod eval;

pub use corpus::Corpus;
pub use embedding::Embedding;
pub use error::{CorpusError, CorpusErrorKind};
pub use options::{CorpusOptions, SearchOptions};
pub use report::{IngestReport, Notice, NoticeCode, Progress, ProgressSnapshot};
