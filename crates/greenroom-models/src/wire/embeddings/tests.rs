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
    let body = EmbeddingsWire::OpenAi.encode("e", &texts());
    assert_eq!(body, json!({ "model": "e", "input": ["one", "two!"], "encoding_format": "float" }));
    assert_eq!(
        EmbeddingsWire::Ollama.encode("e", &texts()),
        json!({ "model": "e", "input": ["one", "two!"] })
    );
}
