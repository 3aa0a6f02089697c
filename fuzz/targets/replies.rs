//! What is read whole: errors of every status, and vectors.

#![no_main]

use greenroom_models::wire::{EmbeddingsWire, Failed, Wire, failure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((status, body)) = data.split_first() else { return };
    let status = 200 + u16::from(*status) * 2;
    for wire in [Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Anthropic, Wire::Ollama] {
        let error = failure(wire, "fuzzed", &Failed { status, body, ..Failed::default() });
        assert!(error.message.len() < 4_000 && !error.message.contains('\n'), "{error}");
    }
    let texts = ["a".to_owned(), "b".to_owned()];
    for wire in [EmbeddingsWire::OpenAi, EmbeddingsWire::Ollama] {
        if let Ok(found) = wire.decode("fuzzed", &texts, body) {
            assert_eq!(found.vectors.len(), texts.len());
        }
    }
});
