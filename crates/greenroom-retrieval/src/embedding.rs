//! What a caller chooses of vectors: who makes them, and what becomes of a search without.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::embedder::Embedder;
use greenroom_core::model::{ModelError, ModelErrorKind};

use crate::vectors::normal;

/// The most bytes of a text that are embedded. Usual models read 2,048 or 8,192 tokens, and no token is shorter
/// than a byte.
const TEXT_LEN_MAX: usize = 8_000;

/// How a corpus is searched by vectors besides words.
///
/// # Examples
///
/// ```no_run
/// use greenroom_core::embedder::Embedder;
/// use greenroom_retrieval::{Corpus, CorpusOptions, Embedding};
///
/// # async fn example(embedder: impl Embedder) -> Result<(), Box<dyn std::error::Error>> {
/// let options = CorpusOptions::new(["docs"]).store_dir(".cache").embedding(Embedding::new(embedder));
/// let corpus = Corpus::open(options).await?;
/// println!("{} passages were embedded", corpus.report().n_embedded);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Embedding {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) is_strict: bool,
    pub(crate) concurrency: usize,
    pub(crate) query_timeout: Duration,
    passage_prefix: String,
    query_prefix: String,
}

impl Embedding {
    /// Vectors of an embedder, which is asked for those of passages when a corpus is opened and for those of
    /// questions when it is searched. It should try again by itself what is worth it.
    pub fn new(embedder: impl Embedder) -> Self {
        Self {
            embedder: Arc::new(embedder),
            is_strict: false,
            concurrency: 4,
            query_timeout: Duration::from_secs(10),
            passage_prefix: String::new(),
            query_prefix: String::new(),
        }
    }

    /// Fails where vectors cannot be had. By default the corpus is searched by words alone then, with a
    /// notice.
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// How many requests for vectors of passages are under way at once. Default 4, at least 1.
    pub fn concurrency(mut self, n_requests: usize) -> Self {
        self.concurrency = n_requests.max(1);
        self
    }

    /// How long a search waits for the vector of its question. Default 10 s.
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.query_timeout = timeout;
        self
    }

    /// What is put before every passage and every question, for models that were trained with such words: of
    /// `nomic-embed-text` they are `search_document: ` and `search_query: `. Default nothing.
    pub fn prefixes(mut self, passage: impl Into<String>, query: impl Into<String>) -> Self {
        (self.passage_prefix, self.query_prefix) = (passage.into(), query.into());
        self
    }

    /// What is embedded of a passage: its text, below the headings that it does not begin with itself.
    pub(crate) fn passage(&self, heading: &[String], text: &str) -> String {
        let begins = text.lines().next().unwrap_or_default();
        let above = heading.iter().map(String::as_str).filter(|above| !begins.contains(above));
        let mut whole = self.passage_prefix.clone();
        for part in above.chain([text]) {
            whole.push_str(part);
            whole.push('\n');
        }
        cut(whole)
    }

    /// The vectors of an answer, made of length 1: one for each text, all of as many numbers as are wanted, or
    /// as the first one has.
    pub(crate) fn checked(
        &self,
        vectors: Vec<Vec<f32>>,
        n_texts: usize,
        dimensions: Option<usize>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let bad = |why| ModelError::new(ModelErrorKind::InvalidReply, self.embedder.name(), why);
        let n_vectors = vectors.len();
        if n_vectors != n_texts {
            return Err(bad(format!("{n_vectors} vectors for {n_texts} texts")));
        }
        let wanted = dimensions.or_else(|| vectors.first().map(Vec::len)).unwrap_or_default();
        let all_fit = |all: &Vec<Vec<f32>>| wanted > 0 && all.iter().all(|v| v.len() == wanted);
        let normal: Option<Vec<_>> = vectors.into_iter().map(normal).collect();
        let none = || bad(format!("not every vector has {wanted} numbers"));
        normal.filter(all_fit).ok_or_else(none)
    }

    /// What is embedded of a question.
    pub(crate) fn query(&self, text: &str) -> String {
        cut(format!("{}{text}", self.query_prefix))
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
    text.truncate(text.trim_end().len());
    text
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding")
            .field("embedder", &self.embedder.name())
            .field("is_strict", &self.is_strict)
            .finish_non_exhaustive()
    }
}
