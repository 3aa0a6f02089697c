//! The embedding seam: texts in, vectors out.
//!
//! What the vectors are compared with, and how, is retrieval's business.

use std::sync::Arc;

use crate::BoxFuture;
use crate::budget::{Price, Usage};
use crate::model::{ModelError, RateLimitHints};

/// A model that turns texts into vectors.
///
/// # Contract
///
/// There is one vector for each text, in the order of the texts, and all vectors of one embedder have the
/// same length. No texts give no vectors, and ask nobody. Dropping the future cancels the request. An
/// embedder does not retry.
pub trait Embedder: Send + Sync + 'static {
    /// The model's name; vectors of two embedders of different names must not be compared.
    fn name(&self) -> &str;

    /// What its tokens cost; `None` when that is not known. It has said so in the usage already.
    fn price(&self) -> Option<Price> {
        None
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    ///
    /// [`ModelError`], for all texts together.
    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>>;

    /// The same, and tells what each response says of the limits of its account, also one that is an error.
    /// An embedder without an account has nothing to tell, which is what this does unless it is written anew.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed).
    fn embed_telling(
        &self,
        texts: Arc<[String]>,
        tell: TellLimits,
    ) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        drop(tell);
        self.embed(texts)
    }
}

/// Hears what a provider says of the limits of an account. It must not block.
pub type TellLimits = Arc<dyn Fn(&RateLimitHints) + Send + Sync>;

const _: fn(&dyn Embedder) = |_| {};

impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn price(&self) -> Option<Price> {
        (**self).price()
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        (**self).embed(texts)
    }

    fn embed_telling(
        &self,
        texts: Arc<[String]>,
        tell: TellLimits,
    ) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        (**self).embed_telling(texts, tell)
    }
}

/// The vectors of some texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// One vector for each text, in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// What they cost.
    pub usage: Usage,
}
