//! The wires of embeddings: what a request asks for, and how vectors are told.

use serde_json::{Value, json};

use super::route::Dialect;
use crate::embedder::{DIMENSIONS, hashed};

/// The texts of a request for embeddings.
pub(super) fn texts(request: &Value) -> Vec<String> {
    match &request["input"] {
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// Vectors for the texts of a request, as long as it wants them: those of
/// [`HashedEmbedder`](crate::HashedEmbedder).
pub(super) fn vectors(request: &Value) -> Vec<Vec<f32>> {
    let dimensions = request["dimensions"].as_u64().map_or(DIMENSIONS, |wanted| wanted as usize);
    texts(request).iter().map(|text| hashed(text, dimensions)).collect()
}

/// The body of a response.
pub(super) fn body(dialect: Dialect, model: &str, vectors: &[Vec<f32>], n_tokens: usize) -> Value {
    if dialect == Dialect::Ollama {
        return json!({ "model": model, "embeddings": vectors, "prompt_eval_count": n_tokens });
    }
    let item = |(index, vector): (usize, &Vec<f32>)| json!({ "object": "embedding", "index": index, "embedding": vector });
    let data: Vec<_> = vectors.iter().enumerate().map(item).collect();
    let usage = json!({ "prompt_tokens": n_tokens, "total_tokens": n_tokens });
    json!({ "object": "list", "data": data, "model": model, "usage": usage })
}
