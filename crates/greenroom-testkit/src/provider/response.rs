//! A response in pieces, before it is bytes: what a fault can still change.

use std::time::Duration;

/// What follows the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The end of the body, and the connection stays for the next request.
    Keep,
    /// The end of the body, and then the connection is closed without a word.
    Close,
    /// The connection is closed although the body has no end.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing, for as long as the client keeps the connection.
    Silence,
}

/// Where a piece stands in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Start,
    Content,
    End,
}

/// Bytes that are sent in one chunk, so many times.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) bytes: Vec<u8>,
    pub(super) times: u64,
}

impl Piece {
    pub(super) fn new(part: Part, bytes: impl Into<Vec<u8>>) -> Self {
        Self { part, bytes: bytes.into(), times: 1 }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) pieces: Vec<Piece>,
    /// Whether the body comes in chunks, and its length is not told.
    pub(super) is_chunked: bool,
    /// The most bytes of one chunk.
    pub(super) chunk_len_max: usize,
    pub(super) delay: Duration,
    /// How long each chunk waits for the one before it.
    pub(super) pace: Duration,
    /// The length that the head tells, when it is not that of the pieces.
    pub(super) len_told: Option<u64>,
    /// Whether not even the head is sent.
    pub(super) is_mute: bool,
    pub(super) ending: Ending,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, pieces: Vec<Piece>) -> Self {
        let mut response = Self {
            status,
            headers: Vec::new(),
            pieces,
            is_chunked: false,
            chunk_len_max: usize::MAX,
            delay: Duration::ZERO,
            pace: Duration::ZERO,
            len_told: None,
            is_mute: false,
            ending: Ending::Keep,
        };
        response.set("content-type", content_type);
        response
    }

    /// A body that is one piece.
    pub(super) fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, content_type, vec![Piece::new(Part::Content, body)])
    }

    /// A body that is one JSON value.
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::raw(status, "application/json", body.to_string())
    }

    /// Sets a header in place of those of its name; an empty value leaves it out.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(super) fn first_content(&mut self) -> Option<&mut Piece> {
        self.pieces.iter_mut().find(|piece| piece.part == Part::Content)
    }

    /// Leaves out the second half of the content, and everything behind it.
    pub(super) fn cut_in_half(&mut self) {
        let is_content = |piece: &&Piece| piece.part == Part::Content;
        let n_content = self.pieces.iter().filter(is_content).count();
        self.pieces.retain(|piece| piece.part != Part::End);
        if n_content > 1 {
            let n_start = self.pieces.len() - n_content;
            self.pieces.truncate(n_start + n_content / 2);
        } else if let Some(last) = self.pieces.last_mut() {
            last.bytes.truncate(last.bytes.len() / 2);
        }
    }

    /// Bytes of the body.
    pub(super) fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes.len() as u64 * piece.times).sum()
    }

    /// The head, without which nothing is sent.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.is_chunked {
            head += "transfer-encoding: chunked\r\n";
        } else if self.status != 204 {
            head += &format!("content-length: {}\r\n", self.len_told.unwrap_or(self.len()));
        }
        (head + "\r\n").into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        300..400 => "Elsewhere",
        400..500 => "Refused",
        _ => "Failed",
    }
}
