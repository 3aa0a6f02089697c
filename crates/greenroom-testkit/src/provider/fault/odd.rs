//! Server-sent events in every form that the standard allows.

use super::super::response::{Part, Piece, Response};

/// Each event takes the next of the odd forms. The data stay the same.
pub(super) fn events(response: &mut Response) {
    let pieces = std::mem::take(&mut response.pieces);
    let mut odd = Vec::new();
    for (i, piece) in pieces.into_iter().enumerate() {
        let text = String::from_utf8_lossy(&piece.bytes).into_owned();
        let text = form(i, &text);
        // Two events in one chunk, every fourth time.
        match odd.last_mut() {
            Some(last) if i % 4 == 3 => {
                let last: &mut Piece = last;
                last.bytes.extend_from_slice(text.as_bytes());
            }
            _ => odd.push(Piece::new(piece.part, text)),
        }
    }
    odd.insert(0, Piece::new(Part::Start, "retry: 3000\n: hello\n\nevent: nothing\n\ndata\n\n"));
    response.pieces = odd;
    // An event is in many chunks, which end anywhere.
    response.chunk_len_max = 3;
}

fn form(i: usize, event: &str) -> String {
    match i % 6 {
        0 => event.replace('\n', "\r\n"),
        1 => event.replace('\n', "\r"),
        2 => event.replace(": ", ":").replacen("data:", "id: 7\ndata:", 1),
        // The data are in two lines, which are joined by a line feed: between tokens JSON allows it.
        3 => event.replacen("data: {", "data: {\ndata: ", 1),
        4 => format!(": a comment\nretry: soon\nid\n{event}"),
        _ => format!("unknown: field\n{event}"),
    }
}
