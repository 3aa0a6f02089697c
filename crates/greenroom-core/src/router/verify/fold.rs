//! Text made comparable, with the way back to where each piece of it stands; and where sentences end.

use std::ops::Range;

use super::claims::split_prefix;

/// Text in lower case without Markdown emphasis, white space folded, minus signs and apostrophes of one
/// kind, with the origin of every byte.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) text: String,
    origins: Vec<usize>,
}

impl Folded {
    pub(super) fn new(source: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(source.len()),
            origins: Vec::with_capacity(source.len()),
        };
        for (at, symbol) in source.char_indices() {
            let text = &mut folded.text;
            let is_product = symbol == '*'
                && text.ends_with(|before: char| before.is_ascii_digit())
                && source[at + 1..].starts_with(|after: char| after.is_ascii_digit());
            if matches!(symbol, '*' | '_' | '`') && !is_product {
                continue;
            }
            if !symbol.is_whitespace() {
                text.extend(plain(symbol).to_lowercase());
            } else if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
            folded.origins.resize(text.len(), at);
        }
        let len = folded.text.trim_end().len();
        folded.text.truncate(len);
        folded.origins.truncate(len);
        folded
    }

    /// Where the bytes of a range come from: the places of its first and its last character.
    pub(super) fn origin(&self, range: &Range<usize>) -> (usize, usize) {
        (self.origins[range.start], self.origins[range.end - 1])
    }

    /// The places of `wanted` between word boundaries.
    pub(super) fn places<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let places = self.text.match_indices(wanted).map(|(at, _)| at..at + wanted.len());
        places.filter(|range| !range.is_empty() && self.is_whole(range))
    }

    fn is_whole(&self, range: &Range<usize>) -> bool {
        // A character whose lower case is longer must not be cut: `İ` is an `i` and a dot.
        let is_cut =
            |at: usize| at > 0 && at < self.text.len() && self.origins[at - 1] == self.origins[at];
        let (before, rest) = self.text.split_at(range.start);
        let (inside, after) = rest.split_at(range.len());
        let left = joins(inside.chars().next(), before.chars().rev(), true);
        let right = joins(inside.chars().next_back(), after.chars(), false);
        !is_cut(range.start) && !is_cut(range.end) && !left && !right
    }
}

fn plain(symbol: char) -> char {
    match symbol {
        '−' => '-',
        '’' => '\'',
        symbol => symbol,
    }
}

/// Whether the word or number that `edge` belongs to goes on in `outside`, which is read away from it.
fn joins(edge: Option<char>, mut outside: impl Iterator<Item = char>, is_left: bool) -> bool {
    let Some(edge) = edge.filter(|edge| edge.is_alphanumeric()) else { return false };
    let (Some(near), far) = (outside.next(), outside.next()) else { return false };
    let far_is = |test: fn(char) -> bool| far.is_some_and(test);
    match near {
        '-' if is_left && edge.is_numeric() => true,
        '-' | '\'' => far_is(char::is_alphanumeric),
        '.' | ',' => edge.is_numeric() && far_is(char::is_numeric),
        '%' => edge.is_numeric() && !is_left,
        near => near.is_alphanumeric() && !is_ideograph(near) && !is_ideograph(edge),
    }
}

/// Characters of scripts that put no space between words.
pub(super) fn is_ideograph(symbol: char) -> bool {
    matches!(symbol, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Where the sentences of a text are, without the white space around them. They end at `.`, `!`, `?`
/// and `…` before white space, unless that is an abbreviation; every line of code, row of a table,
/// heading and item of a list begins a new one.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut cuts = vec![0];
    let mut in_code = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        let is_fence = start.starts_with("```");
        if in_code || is_fence || begins_block(start) {
            cuts.push(at);
        }
        in_code ^= is_fence;
        let ends = line.char_indices().filter_map(|(i, symbol)| sentence_end(line, i, symbol));
        cuts.extend(ends.map(|end| at + end));
        at += line.len();
        // A heading and a row end with their line.
        if start.starts_with(['#', '|']) {
            cuts.push(at);
        }
    }
    cuts.push(text.len());
    let spans = cuts.windows(2).map(|cut| {
        let sentence = &text[cut[0]..cut[1]];
        let lead = sentence.len() - sentence.trim_start().len();
        cut[0] + lead..cut[0] + lead + sentence.trim().len()
    });
    spans.filter(|span| !span.is_empty()).collect()
}

fn begins_block(line: &str) -> bool {
    let (mark, _) = split_prefix(line.trim_end());
    !mark.is_empty() || line.is_empty() || line.starts_with('|')
}

/// The byte after a sentence that ends with the mark at `i`, closing quotes and brackets included.
fn sentence_end(line: &str, i: usize, mark: char) -> Option<usize> {
    if matches!(mark, '。' | '！' | '？') {
        return Some(i + mark.len_utf8());
    }
    let is_mark = matches!(mark, '!' | '?' | '…') || mark == '.' && !is_abbreviation(&line[..i]);
    let after = &line[i + mark.len_utf8()..];
    let closed = after.trim_start_matches(['"', '\'', '”', '’', ')', ']', '*', '_', '`']);
    let is_end = is_mark && closed.chars().next().is_none_or(char::is_whitespace);
    is_end.then_some(line.len() - closed.len())
}

/// Whether the point behind this text belongs to its last word: `e.g.`, `Dr.`, `J.`
fn is_abbreviation(before: &str) -> bool {
    let start = before.rfind(|symbol: char| symbol.is_whitespace() || "([\"'".contains(symbol));
    let token =
        start.map_or(before, |at| before[at..].trim_start_matches(|c: char| !c.is_alphanumeric()));
    let is_initial = token.chars().all(char::is_uppercase) && token.chars().count() == 1;
    let is_dotted = token.contains('.') && token.split('.').all(|part| part.chars().count() == 1);
    let known = ["vs", "cf", "mr", "mrs", "ms", "dr", "prof", "st", "fig", "approx"];
    is_initial || is_dotted || known.contains(&token.to_lowercase().as_str())
}
