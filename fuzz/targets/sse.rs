//! Server-sent events: how their lines end changes nothing.

#![no_main]

use greenroom_fuzz::decode;
use greenroom_models::wire::Wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Other ends make a body longer, and what is too long is another matter.
    if data.contains(&b'\r') || data.len() > 2 << 10 {
        return;
    }
    let plain = decode(Wire::OpenAiChat, [data]);
    for end in [b"\r\n".as_slice(), b"\r"] {
        let other: Vec<u8> = data
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| match line.split_last() {
                Some((b'\n', text)) => [text, end].concat(),
                _ => line.to_vec(),
            })
            .collect();
        // A body that is one JSON value tells where its error is, in lines.
        if plain.1.is_none() {
            assert_eq!(decode(Wire::OpenAiChat, [other.as_slice()]), plain);
        }
    }
});
