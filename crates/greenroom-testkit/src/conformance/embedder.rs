//! The suite of [`Embedder`].

use std::sync::Arc;

use greenroom_core::embedder::{Embedder, Embeddings};

use super::patiently;

/// Checks that an embedder keeps the seam's promises: one vector for each text, all of one length and of
/// real numbers; no texts give no vectors and cost nothing.
/// Gives the vectors of the texts.
///
/// # Panics
///
/// When a promise is broken, or the embedder fails.
pub async fn embedder(label: &str, embedder: &dyn Embedder, texts: [&str; 2]) -> Embeddings {
    assert!(!embedder.name().is_empty(), "{label}: the embedder has no name");
    let none = embed(label, embedder, &[]).await;
    assert_eq!(none, Embeddings::default(), "{label}: no texts give no vectors and cost nothing");
    let found = embed(label, embedder, &texts).await;
    assert_eq!(found.vectors.len(), 2, "{label}: one vector for each text");
    let len = found.vectors[0].len();
    assert!(len > 0, "{label}: a vector is empty");
    assert_eq!(found.vectors[1].len(), len, "{label}: vectors differ in length");
    let numbers = found.vectors.iter().flatten();
    assert!(numbers.clone().all(|number| number.is_finite()), "{label}: a number is none");
    assert!(found.usage.model_calls > 0, "{label}: the request was not counted");
    found
}

async fn embed(label: &str, embedder: &dyn Embedder, texts: &[&str]) -> Embeddings {
    let texts: Arc<[String]> = texts.iter().map(|text| (*text).to_owned()).collect();
    let answer = patiently(label, "the vectors", embedder.embed(texts)).await;
    answer.unwrap_or_else(|error| panic!("{label}: the embedder should answer: {error}"))
}
