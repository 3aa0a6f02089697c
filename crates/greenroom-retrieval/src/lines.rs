//! The lines of a text, by number and by byte offset. The one place that says what a line is:
//! it ends at `\n`, and neither the `\n` nor a `\r` before it is part of it.

use std::ops::Range;

/// The lines of one text. Line indices count from 0; a citation adds 1.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines. A final `\n` ends the last line and begins no other.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut starts = Vec::with_capacity(text.len() / 40 + 1);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            starts.push(at);
            at += line.len();
        }
        Self { text, starts }
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// One line.
    pub(crate) fn get(&self, i: usize) -> &'a str {
        let end = self.starts.get(i + 1).copied().unwrap_or(self.text.len());
        let line = &self.text[self.starts[i]..end];
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// Whether a line holds nothing but white space.
    pub(crate) fn is_blank(&self, i: usize) -> bool {
        self.get(i).trim().is_empty()
    }

    /// The line that holds a byte.
    pub(crate) fn at(&self, byte: usize) -> usize {
        self.starts.partition_point(|&start| start <= byte).saturating_sub(1)
    }

    /// Lines joined by `\n`.
    pub(crate) fn join(&self, range: Range<usize>) -> String {
        let mut joined = String::new();
        for i in range.clone() {
            if i > range.start {
                joined.push('\n');
            }
            joined.push_str(self.get(i));
        }
        joined
    }

    /// The range without the blank lines at its ends.
    pub(crate) fn trim(&self, mut range: Range<usize>) -> Range<usize> {
        while range.start < range.end && self.is_blank(range.start) {
            range.start += 1;
        }
        while range.start < range.end && self.is_blank(range.end - 1) {
            range.end -= 1;
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_line_has_no_line_end() {
        let lines = Lines::new("a\r\nb\n\nc\rd");
        let all: Vec<_> = (0..lines.len()).map(|i| lines.get(i)).collect();
        assert_eq!(all, ["a", "b", "", "c\rd"]);
        assert_eq!((lines.at(0), lines.at(2), lines.at(3), lines.at(99)), (0, 0, 1, 3));
        assert_eq!(lines.join(0..2), "a\nb");
        assert_eq!(Lines::new("").len(), 0);
        assert_eq!(Lines::new("\n").len(), 1);
    }
}
