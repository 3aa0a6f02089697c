//! What can go wrong between a provider and its client, and how it is done to a response.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::answer::{Answer, Refusal};
use super::dialect::{Counts, Spoken};
use super::response::{Ending, Part, Piece, Response};
use super::route::Dialect;

mod gzip;
mod odd;

/// Stands in a text where bytes come that no JSON writer writes.
const MARK: &str = "\u{e000}fault\u{e000}";

/// What goes wrong with one answer of a [`ProviderServer`](super::ProviderServer).
///
/// It strikes by a [`FaultRule::provider`](crate::FaultRule::provider), or with
/// [`Answer::fault`](super::Answer::fault). A call that a rule strikes takes nothing from the script, so the next
/// try finds the reply that was meant for it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WireFault {
    /// Another answer is given: a refusal, a page, anything.
    Instead(Box<Answer>),
    /// Nothing is sent.
    SilentBeforeHead,
    /// The head is sent, and nothing more.
    SilentAfterHead,
    /// Half of the reply is sent, and nothing more.
    StopsMidText,
    /// After the beginning there are only signs of life, one for each span, without end.
    PingsOnly(Duration),
    /// One byte is sent for each span.
    Slow(Duration),
    /// The connection is reset before anything is sent.
    ResetBeforeHead,
    /// Half of the reply is sent, and the connection is reset.
    ResetMidText,
    /// Half of the reply is sent, and the connection is closed.
    ClosesMidText,
    /// The body ends as a body does, without what ends a reply.
    EndsEarly,
    /// The reply is whole; then the connection is closed, which the head did not say.
    ClosesAfter,
    /// An error comes in the reply.
    FailsInStream {
        /// The status that the error stands for.
        status: u16,
        /// Whether half of the reply comes before it.
        is_shown: bool,
    },
    /// Each chunk of the body is one byte.
    Bytewise,
    /// Server-sent events in every form that the standard allows. Nothing is wrong with it.
    OddEvents,
    /// The text has bytes that are not UTF-8.
    NotUtf8,
    /// The text has half of a surrogate pair, escaped.
    HalfSurrogate,
    /// A byte-order mark begins the body, and the text ends in NUL and U+2028. Nothing is wrong with it.
    OddSigns,
    /// A line of so many bytes.
    LongLine(u64),
    /// The first piece of the content comes so often.
    Repeats(u64),
    /// This comes in the place of the first JSON of the content.
    Data(String),
    /// A few bytes that unpack to a hundred times as many, so many of them.
    GzipBomb(u64),
    /// Bytes that say they are gzip and are not.
    BrokenGzip,
    /// The reply says that it is packed in this way, and is not.
    Encoding(String),
    /// A proxy's page of HTML, with status 200.
    Page,
    /// Status 204.
    NoContent,
    /// Status 200, and a body of no bytes.
    EmptyBody,
    /// Another content type.
    ContentType(String),
    /// A redirect with this status, to this address.
    Redirect(u16, String),
    /// No tokens are counted.
    NoUsage,
    /// These are the counts of tokens, in and out.
    Usage(i64, i64),
}

impl From<Answer> for WireFault {
    fn from(answer: Answer) -> Self {
        Self::Instead(Box::new(answer))
    }
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instead(answer) => write!(f, "another answer ({:?})", answer.says),
            fault => fmt::Debug::fmt(fault, f),
        }
    }
}

impl WireFault {
    /// Changes what is to be said.
    pub(super) fn prepare(&self, spoken: &mut Spoken) {
        match self {
            Self::NotUtf8 | Self::HalfSurrogate => spoken.reply.text.push_str(MARK),
            Self::OddSigns => spoken.reply.text.push_str("\0\u{2028}"),
            Self::NoUsage => spoken.counts = None,
            Self::Usage(input, output) => {
                let (input, output) = (json!(input), json!(output));
                spoken.counts = Some(Counts { input, output, cached: 0, reasoning: 0 });
            }
            _ => {}
        }
    }

    /// Changes how it is said.
    pub(super) fn strike(&self, response: &mut Response, dialect: Dialect) {
        match self {
            Self::SilentBeforeHead => {
                (response.is_mute, response.ending) = (true, Ending::Silence);
            }
            Self::ResetBeforeHead => (response.is_mute, response.ending) = (true, Ending::Reset),
            Self::SilentAfterHead => {
                response.len_told = Some(response.len());
                response.pieces.clear();
                response.ending = Ending::Silence;
            }
            Self::StopsMidText => cut(response, Ending::Silence),
            Self::ResetMidText => cut(response, Ending::Reset),
            Self::ClosesMidText => cut(response, Ending::Cut),
            Self::EndsEarly if response.is_chunked => {
                response.pieces.retain(|piece| piece.part != Part::End);
            }
            Self::EndsEarly => response.cut_in_half(),
            Self::ClosesAfter => response.ending = Ending::Close,
            Self::PingsOnly(pace) => {
                let ping = Piece { times: u64::MAX, ..Piece::new(Part::Content, dialect.ping()) };
                response.pieces.retain(|piece| piece.part == Part::Start);
                response.pieces.push(ping);
                (response.is_chunked, response.pace) = (true, *pace);
            }
            Self::Slow(pace) => (response.chunk_len_max, response.pace) = (1, *pace),
            Self::Bytewise => response.chunk_len_max = 1,
            Self::FailsInStream { status, is_shown } => {
                fail(response, dialect, *status, *is_shown);
            }
            Self::NotUtf8 => replace_mark(response, b"\xff\xfe"),
            Self::HalfSurrogate => replace_mark(response, b"\\ud800"),
            Self::OddSigns => response.pieces.insert(0, Piece::new(Part::Start, "\u{feff}")),
            Self::OddEvents => odd::events(response),
            Self::LongLine(len) => long_line(response, *len),
            Self::Repeats(times) => {
                response.is_chunked = true;
                if let Some(piece) = response.first_content() {
                    piece.times = *times;
                }
            }
            Self::Data(json) => replace_data(response, json),
            Self::GzipBomb(len) => gzip::bomb(response, *len),
            Self::BrokenGzip => gzip::broken(response),
            Self::Encoding(name) => response.set("content-encoding", name),
            Self::ContentType(kind) => response.set("content-type", kind),
            Self::Page => {
                instead(response, 200, "text/html", "<html>Sign in to the network</html>")
            }
            Self::NoContent => instead(response, 204, "", ""),
            Self::EmptyBody => {
                response.pieces.clear();
            }
            Self::Redirect(status, to) => {
                instead(response, *status, "", "");
                response.set("location", to);
            }
            // What is said already.
            Self::Instead(_) | Self::NoUsage | Self::Usage(..) => {}
        }
    }
}

fn cut(response: &mut Response, ending: Ending) {
    response.len_told = Some(response.len());
    response.cut_in_half();
    response.ending = ending;
}

fn fail(response: &mut Response, dialect: Dialect, status: u16, is_shown: bool) {
    let (code, message) = match status {
        529 => ("overloaded_error", "Overloaded"),
        429 => ("rate_limit_exceeded", "Slow down"),
        _ => ("server_error", "The server had an error"),
    };
    let refusal = Refusal { status, code: code.into(), message: message.into() };
    if !response.is_chunked {
        response.pieces = vec![Piece::new(Part::Content, dialect.error(&refusal).to_string())];
        return;
    }
    if is_shown {
        response.cut_in_half();
    } else {
        response.pieces.retain(|piece| piece.part == Part::Start);
    }
    response.pieces.push(dialect.error_event(&refusal));
}

fn instead(response: &mut Response, status: u16, content_type: &str, body: &str) {
    let pieces = vec![Piece::new(Part::Content, body)];
    *response = Response { delay: response.delay, ..Response::new(status, content_type, pieces) };
}

fn replace_mark(response: &mut Response, with: &[u8]) {
    let mark = MARK.as_bytes();
    for piece in &mut response.pieces {
        while let Some(at) = piece.bytes.windows(mark.len()).position(|bytes| bytes == mark) {
            piece.bytes.splice(at..at + mark.len(), with.iter().copied());
        }
    }
}

fn is_events(response: &Response) -> bool {
    let kind = response.headers.iter().find(|(name, _)| name == "content-type");
    kind.is_some_and(|(_, kind)| kind == "text/event-stream")
}

fn replace_data(response: &mut Response, json: &str) {
    let end = if is_events(response) { "\n\n" } else { "\n" };
    let begin = if is_events(response) { "data: " } else { "" };
    if let Some(piece) = response.first_content() {
        piece.bytes = format!("{begin}{json}{end}").into_bytes();
    }
}

fn long_line(response: &mut Response, len: u64) {
    const BLOCK_LEN: usize = 1 << 16;
    let begin = if is_events(response) { "data: {\"a\":\"" } else { "{\"a\":\"" };
    response.pieces.retain(|piece| piece.part == Part::Start && response.is_chunked);
    response.pieces.push(Piece::new(Part::Content, begin));
    let block = Piece::new(Part::Content, vec![b'x'; BLOCK_LEN]);
    response.pieces.push(Piece { times: len.div_ceil(BLOCK_LEN as u64), ..block });
}
