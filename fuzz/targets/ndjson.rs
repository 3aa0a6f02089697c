//! Lines of JSON: the end of the last line may be missing, and empty lines say nothing.

#![no_main]

use greenroom_fuzz::decode;
use greenroom_models::wire::Wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() > 2 << 10 {
        return;
    }
    let plain = decode(Wire::Ollama, [data]);
    if plain.1.is_some() {
        return;
    }
    assert_eq!(decode(Wire::Ollama, [data, b"\n".as_slice()]), plain);
    let spaced: Vec<u8> = data
        .iter()
        .flat_map(|byte| if *byte == b'\n' { b"\n\n".to_vec() } else { vec![*byte] })
        .collect();
    assert_eq!(decode(Wire::Ollama, [spaced.as_slice()]), plain);
});
