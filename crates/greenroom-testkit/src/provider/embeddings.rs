//! Vectors for texts: texts that share words are near each other, and the same text has the same vector always.

use greenroom_core::random::SplitMix64;
use serde_json::{Value, json};

use super::route::Dialect;

const DIMENSIONS: usize = 32;

/// The texts of a request for embeddings.
pub(super) fn texts(request: &Value) -> Vec<String> {
    match &request["input"] {
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// The sum of the vectors of a text's words, of length 1.
pub(super) fn vector(text: &str) -> Vec<f32> {
    let mut sum = [0.0_f64; DIMENSIONS];
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        let seed = word
            .to_lowercase()
            .bytes()
            .fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut random = SplitMix64::new(seed);
        sum.iter_mut().for_each(|number| *number += random.unit() - 0.5);
    }
    let length = sum.iter().map(|number| number * number).sum::<f64>().sqrt();
    let scale = if length > 0.0 { length } else { 1.0 };
    if length == 0.0 {
        sum[0] = 1.0;
    }
    sum.iter().map(|number| (number / scale) as f32).collect()
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
