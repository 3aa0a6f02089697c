//! The half of a search that is by vectors: of passages when a corpus is opened, of a question when it is
//! searched, and what becomes of both when they cannot be had.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::budget::Estimate;
use greenroom_core::embedder::Embeddings;
use greenroom_core::model::{ModelError, ModelErrorKind};
use greenroom_core::retriever::{
    Found, ModelAsk, Query, RetrieveError, RetrieveErrorKind, SearchCost,
};

use crate::embedding::Embedding;
use crate::error::{CorpusError, CorpusErrorKind};
use crate::report::{IngestReport, NoticeCode, Notices};
use crate::vectors::{Fill, Filled, Vectors};

/// Vectors of all passages, and who makes those of questions.
pub(crate) struct Semantic {
    embedding: Embedding,
    vectors: Vectors,
    /// How many searches had to do without, and why the last one had.
    without: Mutex<(u64, Option<RetrieveError>)>,
}

impl Semantic {
    /// Brings the vectors up to date, and tells in `report` what came of it; `None` where there are none.
    ///
    /// # Errors
    ///
    /// [`CorpusErrorKind::Embedding`], when they must be there.
    pub(crate) async fn open(
        fill: Fill,
        report: &mut IngestReport,
    ) -> Result<Option<Self>, CorpusError> {
        let embedding = fill.embedding.clone();
        let Filled { vectors, n_embedded, usage, notice, failure } = fill.run().await;
        (report.n_embedded, report.embedding_usage) = (n_embedded, usage);
        let mut notices = Notices::default();
        if let Some(code) = notice {
            notices.add(code, None);
        }
        match failure {
            Some(error) if embedding.is_strict => {
                let error = io::Error::other(error);
                return Err(CorpusError::new(CorpusErrorKind::Embedding).because(error));
            }
            Some(error) => notices.add(NoticeCode::NotEmbedded, Some(&error.to_string())),
            None => {}
        }
        report.notices.extend(notices.into_vec());
        Ok(vectors.map(|vectors| Self { embedding, vectors, without: Mutex::default() }))
    }

    /// What the vector of a question asks of the embedder.
    pub(crate) fn asks(&self, text: &str) -> ModelAsk {
        let Embedding { embedder, .. } = &self.embedding;
        let input_tokens = self.embedding.query(text).len().div_ceil(4) as u64;
        let estimate =
            Estimate { input_tokens, output_tokens_max: Some(0), price: embedder.price() };
        ModelAsk { model: embedder.name().to_owned(), estimate }
    }

    /// The vector of a question, or why the search does without, told in `found`.
    pub(crate) async fn vector(
        &self,
        source: &str,
        query: &Query,
        found: &mut Found,
    ) -> Result<Option<Vec<f32>>, RetrieveError> {
        let Embedding { embedder, query_timeout, is_strict, .. } = &self.embedding;
        let name = embedder.name();
        let failed = |kind, why: String| Err(ModelError::new(kind, name, why));
        let asked = if query.by_words {
            failed(ModelErrorKind::Quota, "no model is to be asked for this search".to_owned())
        } else {
            let texts = Arc::from([self.embedding.query(&query.text)]);
            let asked = tokio::time::timeout(*query_timeout, embedder.embed(texts)).await;
            let late = || format!("no vector within {query_timeout:?}");
            asked.unwrap_or_else(|_| failed(ModelErrorKind::Timeout, late()))
        };
        let checked = asked.and_then(|Embeddings { vectors, usage }| {
            found.cost = Some(SearchCost { model: name.to_owned(), usage });
            self.embedding.checked(vectors, 1, Some(self.vectors.dimensions()))
        });
        let error = match checked {
            Ok(mut vectors) => return Ok(vectors.pop()),
            Err(error) => error,
        };
        let kind = match error.kind {
            ModelErrorKind::Timeout => RetrieveErrorKind::Timeout,
            _ => RetrieveErrorKind::Unavailable,
        };
        let code = NoticeCode::QueryNotEmbedded.as_str();
        let message = format!("[{code}] the question was not embedded: {error}");
        let error = RetrieveError { kind, source_name: source.to_owned(), message };
        if *is_strict {
            return Err(error);
        }
        tracing::warn!(code, %error, "searched by words alone");
        let mut without = self.lock();
        *without = (without.0 + 1, Some(error.clone()));
        drop(without);
        found.without = Some(error);
        Ok(None)
    }

    /// How many searches had to do without, and why the last one had.
    pub(crate) fn without(&self) -> (u64, Option<RetrieveError>) {
        self.lock().clone()
    }

    pub(crate) fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<RetrieveError>)> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
