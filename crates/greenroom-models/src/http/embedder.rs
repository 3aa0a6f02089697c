//! An embedder of a provider.

use std::fmt;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::embedder::{Embedder, Embeddings, TellLimits};
use greenroom_core::model::{ModelError, ModelErrorKind};

use super::exchange::Endpoint;
use crate::wire::EmbeddingsWire;

/// How long the vectors of one request may be, in bytes: 2,048 texts with vectors of 1,024 numbers.
const BODY_LEN_MAX: usize = 64 << 20;
/// How many texts one request carries; OpenAI takes no more.
const TEXTS_MAX: usize = 2048;
/// How many bytes of text one request carries. OpenAI takes 300,000 tokens, and no token is shorter than a
/// byte.
const TEXT_LEN_MAX: usize = 256 << 10;

/// An embedder of a provider, asked over HTTP. Cheap to clone.
///
/// What one request cannot carry (2,048 texts, 256 KiB of text) is asked for in several, one behind the
/// other.
#[derive(Clone)]
pub struct HttpEmbedder(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoint: Endpoint,
    model: String,
    wire: EmbeddingsWire,
    dimensions: Option<u32>,
    price: Option<Price>,
}

impl HttpEmbedder {
    pub(super) fn new(endpoint: Endpoint, model: String, wire: EmbeddingsWire) -> Self {
        Self(Arc::new(Inner { endpoint, model, wire, dimensions: None, price: None }))
    }

    /// Asks for vectors of so many numbers, of a model that can shorten its own. Its name tells them from the
    /// long ones: `openai:text-embedding-3-small@256`.
    #[must_use]
    pub fn with_dimensions(self, dimensions: u32) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        let name = inner.endpoint.name.rsplit_once('@').filter(|_| inner.dimensions.is_some());
        let name = name.map_or(inner.endpoint.name.as_str(), |(name, _)| name);
        inner.endpoint.name = format!("{name}@{dimensions}");
        inner.dimensions = Some(dimensions);
        Self(Arc::new(inner))
    }

    pub(super) fn with_price(self, price: Option<Price>) -> Self {
        Self(Arc::new(Inner { price, ..Arc::unwrap_or_clone(self.0) }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
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

    fn price(&self) -> Option<Price> {
        self.0.price
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        self.embed_telling(texts, Arc::new(|_| {}))
    }

    fn embed_telling(
        &self,
        texts: Arc<[String]>,
        tell: TellLimits,
    ) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut all = Embeddings::default();
            for texts in requests(&texts) {
                let some = inner.embed(texts, &tell).await?;
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
    async fn embed(&self, texts: &[String], tell: &TellLimits) -> Result<Embeddings, ModelError> {
        let body = self.wire.encode(&self.model, texts, self.dimensions).to_string().into_bytes();
        let sent = self.endpoint.send(body, None).await;
        let meta = match &sent {
            Ok(accepted) => Some(&accepted.meta),
            Err((meta, _)) => meta.as_ref(),
        };
        if let Some(meta) = meta {
            tell(&meta.limits);
        }
        let accepted = sent.map_err(|(_, error)| error)?;
        let body = self.endpoint.body(accepted.response, BODY_LEN_MAX).await?;
        let decoded = self.wire.decode(&self.endpoint.name, texts, &body);
        let mut found = decoded
            .map_err(|error| self.endpoint.shown(error, accepted.meta.request_id.as_deref()))?;
        let len = found.vectors.first().map_or(0, Vec::len);
        if let Some(wanted) = self.dimensions.filter(|wanted| len != *wanted as usize) {
            let message = format!("vectors of {len} numbers where {wanted} were asked for");
            return Err(self.endpoint.error(ModelErrorKind::InvalidReply, message));
        }
        found.usage = found.usage.priced(self.price);
        Ok(found)
    }
}

/// The texts of each request, in order.
fn requests(texts: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut len = 0;
        let fits = |text: &&String| {
            len += text.len();
            len <= TEXT_LEN_MAX
        };
        // A text that is too long for itself is sent all the same: the provider says it best.
        let n = rest.iter().take(TEXTS_MAX).take_while(fits).count().max(1).min(rest.len());
        let (now, later) = rest.split_at(n);
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}
