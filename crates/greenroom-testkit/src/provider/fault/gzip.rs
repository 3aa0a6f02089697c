//! Replies that are packed although nobody asked for it.

use super::super::response::{Part, Piece, Response};

/// The head of a gzip file, the head of a block with fixed codes, a zero, and once "repeat it 258 times": together
/// they end where a byte ends.
const BEGIN: [u8; 13] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0b0110_0010, 0b0001_1000, 0b0000_0101];

/// Eight times "repeat it 258 times", 13 bits each.
fn repeats() -> [u8; 13] {
    // Length 258 is the code 1100_0101, distance 1 is 00000; codes are written from their highest bit, and bytes
    // are filled from their lowest.
    const CODE: [u8; 13] = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let mut bytes = [0; 13];
    for (at, bit) in CODE.iter().cycle().take(104).enumerate() {
        bytes[at / 8] |= bit << (at % 8);
    }
    bytes
}

/// About `len` bytes that unpack to 158 times as many.
pub(super) fn bomb(response: &mut Response, len: u64) {
    response.set("content-encoding", "gzip");
    let begin = Piece::new(Part::Content, BEGIN);
    let repeats = Piece { times: (len / 13).max(1), ..Piece::new(Part::Content, repeats()) };
    response.pieces = vec![begin, repeats];
}

/// The head of a gzip file, and then what is none.
pub(super) fn broken(response: &mut Response) {
    response.set("content-encoding", "gzip");
    let bytes = [&BEGIN[..10], b"this is not packed"].concat();
    response.pieces = vec![Piece::new(Part::Content, bytes)];
}
