//! An embedder of a provider.

use std::fmt;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::embedder::{Embedder, Embeddings};
use greenroom_core::model::{ModelError, ModelErrorKind};

use super::exchange::Endpoint;
use crate::wire::EmbeddingsWire;

/// How long the vectors of one request may be, in bytes: 2,048 texts with vectors of 1,024 numbers.
const BODY_LEN_MAX: usize = 64 << 20;
/// How many texts one request carries; OpenAI takes no more.
const TEXTS_MAX: usize = 2048;

/// An embedder of a provider, asked over HTTP. Cheap to clone.
///
/// More than 2,048 texts are asked for in several requests, one behind the other.
#[derive(Clone)]
pub struct HttpEmbedder(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    model: String,
    wire: EmbeddingsWire,
}

impl HttpEmbedder {
    pub(super) fn new(endpoint: Endpoint, model: String, wire: EmbeddingsWire) -> Self {
        Self(Arc::new(Inner { endpoint, model, wire }))
    }
}

impl fmt::Debug for HttpEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEmbedder")
            .field("name", &self.0.endpoint.name)
            .field("url", &self.0.endpoint.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Embedder for HttpEmbedder {
    fn name(&self) -> &str {
        &self.0.endpoint.name
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut all = Embeddings::default();
            for texts in texts.chunks(TEXTS_MAX) {
                let some = inner.embed(texts).await?;
                let len = |vectors: &[Vec<f32>]| vectors.first().map(Vec::len);
                if len(&all.vectors).is_some_and(|known| Some(known) != len(&some.vectors)) {
                    let message = "the vectors of two requests differ in length";
                    return Err(inner.endpoint.error(ModelErrorKind::InvalidReply, message));
                }
                all.vectors.extend(some.vectors);
                all.usage.add(some.usage);
            }
            Ok(all)
        })
    }
}

impl Inner {
    async fn embed(&self, texts: &[String]) -> Result<Embeddings, ModelError> {
        let body = self.wire.encode(&self.model, texts).to_string().into_bytes();
        let accepted = self.endpoint.send(body, None).await.map_err(|(_, error)| error)?;
        let body = self.endpoint.body(accepted.response, BODY_LEN_MAX).await?;
        let decoded = self.wire.decode(&self.endpoint.name, texts, &body);
        decoded.map_err(|error| self.endpoint.shown(error, accepted.meta.request_id.as_deref()))
    }
}
