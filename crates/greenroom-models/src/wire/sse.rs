//! Server-sent events, as the HTML standard defines them, with limits.
//!
//! A parser of our own, because those at hand have no limits on lines and events; it is small.

use std::mem;

use super::lines::{Lines, too_long};
use super::{Fault, Limits};

/// Splits a body into the data of its events. Events without data, comments, ids, retry times and the names
/// of events are left out: the wires repeat in the data what they name.
#[derive(Debug)]
pub(super) struct Events {
    lines: Lines,
    event_len_max: usize,
    /// The data of the event that is not complete, its lines joined by a line feed.
    open: String,
    has_data: bool,
    /// Whether `open` is the event that was handed out last.
    is_handed_out: bool,
}

impl Events {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            lines: Lines::of_events(limits.line_len_max),
            event_len_max: limits.event_len_max,
            open: String::new(),
            has_data: false,
            is_handed_out: false,
        }
    }

    /// Takes the data of the next event from the front of `bytes`; `None` when they do not complete one, and all of
    /// them are taken.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&str>, Fault> {
        if mem::take(&mut self.is_handed_out) {
            self.open.clear();
        }
        while let Some(line) = self.lines.next(bytes)? {
            if line.is_empty() {
                if mem::take(&mut self.has_data) {
                    self.is_handed_out = true;
                    return Ok(Some(&self.open));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            if field != "data" {
                continue;
            }
            if mem::replace(&mut self.has_data, true) {
                self.open.push('\n');
            }
            self.open.push_str(value);
            if self.open.len() > self.event_len_max {
                return Err(too_long("event", self.event_len_max));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
