//! Ten thousand broken responses, the same ones always: a bounded sibling of the fuzz targets, which look for more.

use greenroom_core::random::SplitMix64;

use super::*;

const CASES: u64 = 10_000;

/// Small, so that many cases reach them.
const LIMITS: Limits = Limits { line_len_max: 2_000, event_len_max: 3_000, body_len_max: 6_000 };

/// A number below `end`; 0 when there is none.
fn below(random: &mut SplitMix64, end: usize) -> usize {
    if end == 0 { 0 } else { (random.bits() % end as u64) as usize }
}

/// Pieces that break something by standing in the wrong place.
const SPLINTERS: [&[u8]; 16] = [
    b"\xff",
    b"\xc3",
    b"\\ud83d",
    b"\0",
    b"\r",
    b"\n\n",
    b"\"",
    b"{",
    b"]}",
    b"-1",
    b"1e999",
    b"null",
    b"data: ",
    b"[DONE]",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
];

/// Breaks a body in a few places: bytes flipped, cut out, doubled, brought in from elsewhere.
fn broken(random: &mut SplitMix64, payloads: &[(Wire, &str)], body: &str) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    // Short bodies, so that there is time for many.
    let from = below(random, bytes.len() / 2);
    bytes.drain(..from);
    bytes.truncate(200 + below(random, 1_200));
    for _ in 0..=below(random, 6) {
        let at = below(random, bytes.len());
        let end = (at + 1 + below(random, 40)).min(bytes.len());
        match random.bits() % 6 {
            0 if at < end => bytes[at] ^= 1 << (random.bits() % 8),
            1 if at < end => drop(bytes.drain(at..end)),
            2 => {
                let some = bytes[at..end].to_vec();
                bytes.splice(at..at, some);
            }
            3 => {
                let splinter = SPLINTERS[below(random, SPLINTERS.len())];
                bytes.splice(at..at, splinter.iter().copied());
            }
            4 => {
                let (_, other) = payloads[below(random, payloads.len())];
                let from = below(random, other.len());
                let some = &other.as_bytes()[from..(from + 80).min(other.len())];
                bytes.splice(at..at, some.iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
    if random.bits().is_multiple_of(4) {
        // The other end of a line, which pieces may cut in two.
        bytes = bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    }
    bytes
}

/// How many bytes the events hold that came from the body.
fn n_bytes_told(events: &[ChatEvent]) -> usize {
    let told = events.iter().map(|event| match event {
        ChatEvent::TextDelta(text) | ChatEvent::ReasoningDelta(text) => text.len(),
        ChatEvent::ToolCallDelta { name, arguments, .. } => name.len() + arguments.len(),
        _ => 0,
    });
    told.sum()
}

#[test]
fn ten_thousand_broken_bodies_neither_panic_nor_grow_nor_depend_on_their_pieces() {
    let payloads = payloads();
    let (mut n_read, mut n_refused) = (0, 0);
    for seed in 0..CASES {
        let mut random = SplitMix64::new(seed);
        let (wire, body) = payloads[below(&mut random, payloads.len())];
        let body = broken(&mut random, &payloads, body);
        let whole = decode_pieces(wire, LIMITS, [&*body]);
        let size = 1 + below(&mut random, 60);
        let pieces = decode_pieces(wire, LIMITS, body.chunks(size));
        assert_eq!(pieces, whole, "seed {seed}, {wire:?}, pieces of {size}");
        let (events, error) = whole;
        assert!(n_bytes_told(&events) <= body.len(), "seed {seed}: more came out than went in");
        let n_final = events.iter().filter(|event| matches!(event, ChatEvent::Finished(_))).count();
        assert_eq!(n_final, usize::from(error.is_none()), "seed {seed}: one end, of one kind");
        *if error.is_none() { &mut n_read } else { &mut n_refused } += 1;
    }
    // Neither is rare, or the bodies would be too broken or too whole to tell anything.
    assert!(n_read > CASES / 50 && n_refused > CASES / 50, "{n_read} read, {n_refused} refused");
}
