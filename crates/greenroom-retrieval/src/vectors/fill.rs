//! Brings the vectors of a corpus up to date: embeds what has none yet, and nothing else.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use greenroom_core::budget::Usage;
use greenroom_core::embedder::Embeddings;
use greenroom_core::model::ModelError;
use tantivy::DocAddress;
use tantivy::directory::OwnedBytes;

use super::table::{Key, Table, Unusable, Writer, key};
use super::{Keys, Vectors};
use crate::embedding::Embedding;
use crate::report::{NoticeCode, Progress};
use crate::search::Engine;
use crate::store::Shelf;

/// How many passages are embedded together.
const BATCH: usize = 64;
/// A file that is mostly of passages that are gone is written anew, unless it is so small that it does not matter.
const SPARE_RECORDS: usize = 1024;

/// What is needed to bring vectors up to date.
pub(crate) struct Fill {
    pub(crate) engine: Arc<Engine>,
    pub(crate) embedding: Embedding,
    pub(crate) shelf: Shelf,
    pub(crate) progress: Progress,
}

/// How far it came.
#[derive(Default)]
pub(crate) struct Filled {
    /// `None` unless every passage has a vector.
    pub(crate) vectors: Option<Vectors>,
    pub(crate) n_embedded: u64,
    pub(crate) usage: Usage,
    /// What was worked around.
    pub(crate) notice: Option<NoticeCode>,
    /// Why there are no vectors.
    pub(crate) failure: Option<FillError>,
}

/// Why passages have no vectors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("vectors cannot be kept: {0}")]
    Io(#[from] io::Error),
    /// The model gives vectors of another length than it did.
    #[error("the model gives vectors of {0} numbers, and gave others before")]
    OtherLength(usize),
    #[error("another process is updating the index")]
    Busy,
}

/// What there is to do.
struct Plan {
    keys: Keys,
    missing: Missing,
    table: Option<Table>,
    notice: Option<NoticeCode>,
}

/// Passages that say something new, each with its key.
type Missing = Vec<(Key, DocAddress)>;
/// Vectors of length 1 by the keys of their texts.
type Records = Vec<(Key, Vec<f32>)>;

impl Fill {
    /// Embeds what is missing, a few requests at a time. What was embedded is kept, however it ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the requests; what has come of them is kept, and the next time goes on
    /// from there.
    pub(crate) async fn run(self) -> Filled {
        let mut filled = Filled::default();
        let mut ended = self.fill(false, &mut filled).await;
        if let Err(FillError::OtherLength(_)) = ended {
            // Another model under the same name: what it gave before is of no use.
            filled.notice = Some(NoticeCode::EmbedderChanged);
            ended = self.fill(true, &mut filled).await;
        }
        filled.failure = ended.err();
        filled
    }

    async fn fill(&self, anew: bool, filled: &mut Filled) -> Result<(), FillError> {
        let plan = self.plan(anew).await?;
        filled.notice = filled.notice.or(plan.notice);
        if !plan.missing.is_empty() && !self.shelf.is_ours() {
            return Err(FillError::Busy);
        }
        let Plan { keys, missing, table, .. } = plan;
        let (mut writer, dimensions) = (None, table.as_ref().map(Table::dimensions));
        let embedded = self.embed(missing, dimensions, &mut writer, filled).await;
        let (dir, model) = (self.shelf.dir.clone(), self.model());
        let vectors = blocking(move || {
            // What has come is kept, whether or not more was to come.
            let table = match writer.map(Writer::finish).transpose()? {
                None => table,
                Some(Some(bytes)) => Table::read(OwnedBytes::new(bytes), &model).ok(),
                Some(None) => dir.and_then(|dir| Table::open(&dir, &model)?.ok()),
            };
            let lost = || io::Error::other("what was written is not there");
            Vectors::new(table.ok_or_else(lost)?, &keys).ok_or_else(lost)
        });
        let vectors = vectors.await;
        embedded?;
        filled.vectors = Some(vectors?);
        Ok(())
    }

    fn model(&self) -> String {
        self.embedding.embedder.name().to_owned()
    }

    async fn plan(&self, anew: bool) -> Result<Plan, FillError> {
        let (engine, embedding) = (Arc::clone(&self.engine), self.embedding.clone());
        let (dir, is_ours, model) = (self.shelf.dir.clone(), self.shelf.is_ours(), self.model());
        let plan = blocking(move || {
            let mut keys: Keys = engine.segments().into_iter().map(|n| vec![None; n]).collect();
            let mut each: Missing = Vec::new();
            let read = engine.each_passage(|address, passage| {
                let key = key(&embedding.passage(&passage.heading, &passage.text));
                keys[address.segment_ord as usize][address.doc_id as usize] = Some(key);
                each.push((key, address));
            });
            read.map_err(io::Error::other)?;
            let found = dir.as_deref().and_then(|dir| Table::open(dir, &model));
            let (table, notice) = match found {
                None => (None, None),
                Some(_) if anew => (None, None),
                Some(Err(Unusable::Damaged)) => (None, Some(NoticeCode::VectorsRebuilt)),
                Some(Err(Unusable::OtherModel)) => (None, Some(NoticeCode::EmbedderChanged)),
                // A torn record at the end is what an interruption leaves behind.
                Some(Ok(table)) => (Some(table), None),
            };
            let mut seen = HashSet::new();
            each.retain(|(key, _)| seen.insert(*key));
            let mut table = table;
            if let (Some(old), Some(dir), true) = (&table, &dir, is_ours)
                && (!old.is_sound() || old.n_records() > 2 * seen.len() + SPARE_RECORDS)
            {
                let mut kept = each.iter().map(|(key, _)| *key);
                let shape = (model.as_str(), old.dimensions());
                Writer::anew(Some(dir), shape, Some((old, &mut kept)))?;
                table = Table::open(dir, &model).and_then(Result::ok);
            }
            each.retain(|(key, _)| table.as_ref().is_none_or(|table| table.row(*key).is_none()));
            Ok(Plan { keys, missing: each, table, notice })
        });
        Ok(plan.await?)
    }

    /// Embeds what is missing. Vectors are written as they come.
    async fn embed(
        &self,
        missing: Missing,
        mut dimensions: Option<usize>,
        writer: &mut Option<Writer>,
        filled: &mut Filled,
    ) -> Result<(), FillError> {
        self.progress.will_embed(missing.len() as u64);
        let is_there = dimensions.is_some();
        let batches: Vec<Missing> = missing.chunks(BATCH).map(<[_]>::to_vec).collect();
        let batches = stream::iter(batches).map(|batch| self.batch(batch));
        let mut answers = batches.buffer_unordered(self.embedding.concurrency);
        while let Some(answer) = answers.next().await {
            let (records, usage) = answer?;
            filled.usage.add(usage);
            let records = records?;
            let len = records.first().map_or(0, |(_, vector)| vector.len());
            if *dimensions.get_or_insert(len) != len {
                return Err(FillError::OtherLength(len));
            }
            let n_records = records.len() as u64;
            let (dir, model, open) = (self.shelf.dir.clone(), self.model(), writer.take());
            let written = blocking(move || {
                let mut writer = match (open, dir.as_deref()) {
                    (Some(writer), _) => writer,
                    (None, Some(dir)) if is_there => Writer::behind(dir)?,
                    (None, dir) => Writer::anew(dir, (&model, len), None)?,
                };
                writer.add(&records)?;
                Ok(writer)
            });
            *writer = Some(written.await?);
            filled.n_embedded += n_records;
            self.progress.embedded(n_records);
        }
        Ok(())
    }

    /// The vectors of some passages, of length 1, and what they cost: also those that are of no use.
    fn batch(
        &self,
        batch: Missing,
    ) -> impl Future<Output = Result<(Result<Records, ModelError>, Usage), FillError>> + Send + use<>
    {
        let (engine, embedding) = (Arc::clone(&self.engine), self.embedding.clone());
        async move {
            let of_passages = embedding.clone();
            let (keys, texts) = blocking(move || {
                let text = |(_, address): &(Key, DocAddress)| {
                    let passage = engine.passage(*address).map_err(io::Error::other)?;
                    Ok(of_passages.passage(&passage.heading, &passage.text))
                };
                let texts = batch.iter().map(text).collect::<io::Result<Arc<[String]>>>()?;
                let keys: Vec<Key> = batch.into_iter().map(|(key, _)| key).collect();
                Ok((keys, texts))
            })
            .await?;
            let Embeddings { vectors, usage } = embedding.embedder.embed(texts).await?;
            let vectors = embedding.checked(vectors, keys.len(), None);
            Ok((vectors.map(|vectors| keys.into_iter().zip(vectors).collect()), usage))
        }
    }
}

/// Does what computes, or waits for a disk, on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
