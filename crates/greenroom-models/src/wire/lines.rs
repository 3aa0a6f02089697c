//! Bytes into lines, in pieces of any size.

use std::mem;

use greenroom_core::model::ModelErrorKind;
use memchr::{memchr, memchr2};

use super::Fault;

/// A response is longer than its limit.
pub(super) fn too_long(what: &str, len_max: usize) -> Fault {
    Fault::new(ModelErrorKind::InvalidReply, format!("the {what} is longer than {len_max} bytes"))
}

/// Splits a body into lines. A byte-order mark in front of the first one is left out.
#[derive(Debug)]
pub(super) struct Lines {
    len_max: usize,
    /// Whether a carriage return ends a line by itself, as in server-sent events.
    cr_ends: bool,
    /// The bytes of the line that is not complete, or those of the line that was handed out last.
    open: Vec<u8>,
    is_handed_out: bool,
    is_first: bool,
    /// Whether a line feed that comes next belongs to the carriage return that ended the last line.
    after_cr: bool,
}

impl Lines {
    pub(super) fn of_events(len_max: usize) -> Self {
        Self { cr_ends: true, ..Self::of_json(len_max) }
    }

    pub(super) fn of_json(len_max: usize) -> Self {
        Self {
            len_max,
            cr_ends: false,
            open: Vec::new(),
            is_handed_out: false,
            is_first: true,
            after_cr: false,
        }
    }

    /// Takes the next line from the front of `bytes`; `None` when they hold no end of a line, and all of
    /// them are taken.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&str>, Fault> {
        if mem::take(&mut self.after_cr) {
            match bytes.split_first() {
                Some((b'\n', rest)) => *bytes = rest,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        if mem::take(&mut self.is_handed_out) {
            self.open.clear();
        }
        let end = if self.cr_ends { memchr2(b'\n', b'\r', bytes) } else { memchr(b'\n', bytes) };
        let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if self.open.len() + piece.len() > self.len_max {
            return Err(too_long("line", self.len_max));
        }
        self.open.extend_from_slice(piece);
        let Some((ending, rest)) = rest.split_first() else {
            *bytes = rest;
            return Ok(None);
        };
        *bytes = rest;
        self.after_cr = *ending == b'\r';
        self.take().map(Some)
    }

    fn take(&mut self) -> Result<&str, Fault> {
        self.is_handed_out = true;
        if mem::take(&mut self.is_first) && self.open.starts_with("\u{feff}".as_bytes()) {
            self.open.drain(.."\u{feff}".len());
        }
        // Mending the text instead would put signs into stored replies that no model wrote.
        str::from_utf8(&self.open).map_err(|_| Fault::invalid("the reply is not UTF-8"))
    }
}
