//! The wires of embeddings: texts in, vectors out, one JSON value each way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use greenroom_core::budget::Usage;
use greenroom_core::embedder::Embeddings;
use greenroom_core::model::{ModelError, ModelErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{count, parse};
use super::{Fault, failure};

/// A way to ask for embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmbeddingsWire {
    /// OpenAI's, which most other vendors speak as well: `POST embeddings`.
    OpenAi,
    /// Ollama's own: `POST api/embed`.
    Ollama,
}

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    data: Vec<Item>,
    #[serde(default)]
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    prompt_eval_count: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Item {
    index: usize,
    embedding: Spelled,
}

/// A vector, in one of the two ways in which it is written. Which one was asked for does not matter: some
/// servers know only theirs.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Spelled {
    Numbers(Vec<f32>),
    /// Little-endian numbers of 32 bits.
    Base64(String),
}

impl Spelled {
    fn vector(self) -> Option<Vec<f32>> {
        let text = match self {
            Self::Numbers(numbers) => return Some(numbers),
            Self::Base64(text) => text,
        };
        let bytes = STANDARD.decode(text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

impl EmbeddingsWire {
    /// The path of a request below the base URL, without a slash in front.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "embeddings",
            Self::Ollama => "api/embed",
        }
    }

    /// The body of a request. `dimensions` shortens the vectors, when the model can.
    #[must_use]
    pub fn encode(self, model: &str, texts: &[String], dimensions: Option<u32>) -> Value {
        let mut body = json!({ "model": model, "input": texts });
        if self == Self::OpenAi {
            body["encoding_format"] = "float".into();
        }
        if let Some(dimensions) = dimensions {
            body["dimensions"] = dimensions.into();
        }
        body
    }

    /// Reads a response.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when there is not exactly one vector for each text, the vectors differ in length, or
    /// one has a number that is none.
    pub fn decode(
        self,
        model: &str,
        texts: &[String],
        body: &[u8],
    ) -> Result<Embeddings, ModelError> {
        self.read(texts, body).map_err(|fault| ModelError { model: model.to_owned(), ..*fault.0 })
    }

    fn read(self, texts: &[String], body: &[u8]) -> Result<Embeddings, Fault> {
        let Ok(body) = std::str::from_utf8(body) else {
            return Err(Fault::invalid("the reply is not UTF-8"));
        };
        if body.trim_start().starts_with('<') {
            let message = "an HTML page and not an API's reply";
            return Err(Fault::new(ModelErrorKind::Endpoint, message));
        }
        let body: Body = parse(body)?;
        if let Some(error) = body.error.filter(|error| !error.is_null()) {
            return Err(failure::in_stream(&json!({ "error": error })));
        }
        let (vectors, n_tokens) = match self {
            Self::OpenAi => {
                let usage = body.usage.unwrap_or_default();
                (in_order(body.data, texts.len())?, count(usage.get("prompt_tokens")))
            }
            Self::Ollama => (body.embeddings, count(body.prompt_eval_count.as_ref())),
        };
        if vectors.len() != texts.len() {
            let message = format!("{} vectors for {} texts", vectors.len(), texts.len());
            return Err(Fault::invalid(message));
        }
        let len = vectors.first().map_or(0, Vec::len);
        let is_sound = |vector: &Vec<f32>| {
            vector.len() == len && len > 0 && vector.iter().all(|number| number.is_finite())
        };
        if !vectors.iter().all(is_sound) {
            return Err(Fault::invalid(
                "the vectors are empty, differ in length or are no numbers",
            ));
        }
        let n_bytes: usize = texts.iter().map(String::len).sum();
        let known = n_tokens.filter(|n_tokens| *n_tokens > 0);
        let usage = Usage {
            model_calls: 1,
            input_tokens: known.unwrap_or(n_bytes.div_ceil(4) as u64),
            estimated_calls: u64::from(known.is_none()),
            ..Usage::default()
        };
        Ok(Embeddings { vectors, usage })
    }
}

/// Vectors by their index, which says more than their order.
fn in_order(items: Vec<Item>, n_texts: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let n_items = items.len();
    let mut vectors = vec![None; n_texts];
    for item in items {
        match vectors.get_mut(item.index) {
            Some(open @ None) => {
                let Some(vector) = item.embedding.vector() else {
                    return Err(Fault::invalid(format!("the vector {} is none", item.index)));
                };
                *open = Some(vector);
            }
            _ => return Err(Fault::invalid(format!("the vector {} is one too many", item.index))),
        }
    }
    let vectors: Option<Vec<_>> = vectors.into_iter().collect();
    vectors.ok_or_else(|| Fault::invalid(format!("{n_items} vectors for {n_texts} texts")))
}

#[cfg(test)]
mod tests;
