//! Bodies in the forms of <https://platform.openai.com/docs/api-reference/embeddings> and of Ollama's
//! `docs/api.md`; with vectors of our own.

use super::*;

fn texts() -> Vec<String> {
    vec!["one".into(), "two!".into()]
}

fn decode(wire: EmbeddingsWire, body: &Value) -> Result<Embeddings, ModelError> {
    wire.decode("m", &texts(), body.to_string().as_bytes())
}

#[test]
fn vectors_are_read_and_counted() {
    let vectors = vec![vec![0.5, -1.0], vec![0.25, 2.0]];
    let item = |index: usize| json!({ "object": "embedding", "index": index, "embedding": vectors[index] });
    let body = json!({ "object": "list", "data": [item(1), item(0)], "model": "m", "usage": { "prompt_tokens": 8, "total_tokens": 8 } });
    let read = decode(EmbeddingsWire::OpenAi, &body).expect("vectors");
    assert_eq!(read.vectors, vectors, "the index counts, not the order");
    assert_eq!((read.usage.input_tokens, read.usage.estimated_calls), (8, 0));
    let body = json!({ "model": "m", "embeddings": vectors, "prompt_eval_count": -1 });
    let read = decode(EmbeddingsWire::Ollama, &body).expect("vectors");
    assert_eq!(read.vectors, vectors);
    assert_eq!((read.usage.input_tokens, read.usage.estimated_calls), (2, 1));
}

#[test]
fn vectors_that_do_not_fit_their_texts_are_refused() {
    let item = |index: usize, vector: Value| json!({ "index": index, "embedding": vector });
    for data in [
        json!([]),
        json!([item(0, json!([1.0]))]),
        json!([item(0, json!([1.0])), item(0, json!([1.0]))]),
        json!([item(0, json!([1.0])), item(2, json!([1.0]))]),
        json!([item(0, json!([1.0])), item(1, json!([1.0])), item(1, json!([2.0]))]),
        json!([item(0, json!([1.0])), item(1, json!([1.0, 2.0]))]),
        json!([item(0, json!([])), item(1, json!([]))]),
        json!([item(0, json!([1.0])), item(1, json!([1e300]))]),
        json!([item(0, json!([1.0])), item(1, json!(["a"]))]),
    ] {
        let refused = decode(EmbeddingsWire::OpenAi, &json!({ "data": data }));
        let error = refused.expect_err(&data.to_string());
        assert_eq!(
            (error.kind, error.model.as_str()),
            (ModelErrorKind::InvalidReply, "m"),
            "{data}"
        );
    }
    let failed = decode(EmbeddingsWire::Ollama, &json!({ "error": "busy" })).expect_err("an error");
    assert_eq!(failed.kind, ModelErrorKind::Unavailable);
    let page = EmbeddingsWire::OpenAi.decode("m", &texts(), b" <html>").expect_err("a page");
    assert_eq!(page.kind, ModelErrorKind::Endpoint);
}

#[test]
fn requests_are_spelled_as_published() {
    let wire = EmbeddingsWire::OpenAi;
    let body = wire.encode("e", &texts(), None);
    assert_eq!(body, json!({ "model": "e", "input": ["one", "two!"], "encoding_format": "float" }));
    assert_eq!(wire.encode("e", &texts(), Some(256))["dimensions"], 256);
    let wire = EmbeddingsWire::Ollama;
    assert_eq!(wire.encode("e", &texts(), None), json!({ "model": "e", "input": ["one", "two!"] }));
    assert_eq!(wire.encode("e", &texts(), Some(64))["dimensions"], 64);
}

#[test]
fn vectors_in_base64_are_little_endian_numbers() {
    // As `encoding_format: base64` gives them: 1.0, -2.5, and 0.0, 0.25.
    let of = |first: &str| {
        let item = |index: usize, text: &str| json!({ "object": "embedding", "index": index, "embedding": text });
        json!({ "data": [item(0, first), item(1, "AAAAAAAAgD4=")], "usage": { "prompt_tokens": 3 } })
    };
    let read = decode(EmbeddingsWire::OpenAi, &of("AACAPwAAIMA=")).expect("vectors");
    assert_eq!(read.vectors, [vec![1.0, -2.5], vec![0.0, 0.25]]);
    // No base64; a byte too few; a number that is none; another length.
    for text in ["AACAPwAAIM?=", "AACAPwAAIA==", "AADAfwAAIMA=", "AACAPw=="] {
        let error = decode(EmbeddingsWire::OpenAi, &of(text)).expect_err(text);
        assert_eq!(error.kind, ModelErrorKind::InvalidReply, "{text}");
    }
}

/// The example of the reference of OpenAI's API, its vector shortened.
#[test]
fn the_published_example_of_openai_is_read() {
    let body = br#"{
  "object": "list",
  "data": [
    {
      "object": "embedding",
      "embedding": [
        0.0023064255,
        -0.009327292,
        -0.0028842222
      ],
      "index": 0
    }
  ],
  "model": "text-embedding-ada-002",
  "usage": {
    "prompt_tokens": 8,
    "total_tokens": 8
  }
}"#;
    let texts = ["The food was delicious and the waiter...".to_owned()];
    let read = EmbeddingsWire::OpenAi.decode("m", &texts, body).expect("vectors");
    assert_eq!(read.vectors, [[0.002_306_425_5, -0.009_327_292, -0.002_884_222_2]]);
    assert_eq!((read.usage.model_calls, read.usage.input_tokens), (1, 8));
}

/// The example of Ollama's documentation for several inputs, its vectors shortened.
#[test]
fn the_published_example_of_ollama_is_read() {
    let body = br#"{
  "model": "all-minilm",
  "embeddings": [[
    0.010071029, -0.0017594862, 0.05007221
  ],[
    -0.0098027075, 0.06042469, 0.025257962
  ]],
  "total_duration": 14143917,
  "load_duration": 1019500,
  "prompt_eval_count": 8
}"#;
    let texts = ["Why is the sky blue?".to_owned(), "Why is the grass green?".to_owned()];
    let read = EmbeddingsWire::Ollama.decode("m", &texts, body).expect("vectors");
    assert_eq!(read.vectors[1], [-0.009_802_707_5, 0.060_424_69, 0.025_257_962]);
    assert_eq!((read.vectors.len(), read.usage.input_tokens), (2, 8));
}

/// An answer to a request that names no such model, as both providers give it.
#[test]
fn published_errors_are_errors() {
    let body = br#"{"error":{"message":"busy","type":"server_error","param":null,"code":null}}"#;
    let error = EmbeddingsWire::OpenAi.decode("m", &texts(), body).expect_err("an error");
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
}
