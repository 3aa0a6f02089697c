//! What every fuzz target checks. A target only says what its bytes are.

use greenroom_core::model::{ChatEvent, ModelError};
use greenroom_models::wire::{Limits, Wire};

/// Small, so that they are reached.
const LIMITS: Limits =
    Limits { line_len_max: 4 << 10, event_len_max: 8 << 10, body_len_max: 16 << 10 };

/// Decodes a body that comes in these pieces.
pub fn decode<'a>(
    wire: Wire,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<ChatEvent>, Option<ModelError>) {
    let mut decoder = wire.decoder_within("fuzzed", LIMITS);
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Some(error));
        }
    }
    let error = decoder.end(&mut events).err();
    (events, error)
}

/// Checks that a body has one end, that no more comes out than went in, and that its pieces change nothing. The first
/// byte says how long the pieces are.
///
/// # Panics
///
/// When one of these does not hold.
pub fn check(wire: Wire, data: &[u8]) {
    let Some((size, body)) = data.split_first() else { return };
    let whole = decode(wire, [body]);
    let pieces = decode(wire, body.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "the pieces changed something");
    let (events, error) = whole;
    let n_final = events.iter().filter(|event| matches!(event, ChatEvent::Finished(_))).count();
    assert_eq!(n_final, usize::from(error.is_none()), "one end, of one kind");
    let told = events.iter().map(|event| match event {
        ChatEvent::TextDelta(text) | ChatEvent::ReasoningDelta(text) => text.len(),
        ChatEvent::ToolCallDelta { name, arguments, .. } => name.len() + arguments.len(),
        _ => 0,
    });
    assert!(told.sum::<usize>() <= body.len(), "more came out than went in");
}
