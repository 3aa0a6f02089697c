//! Units: the pieces of a passage that an answer may quote.
//!
//! # The rule of quotation
//!
//! A unit is one unbroken piece of its passage. Only its ends are trimmed (list markers, quote marks,
//! outer table pipes), its whitespace is collapsed, and markdown emphasis is taken off. A line of a
//! code block is put in a code span, and a code span that the piece cuts apart is none any more. So
//! [`normalised`] unit text is always a part of the [`normalised`] passage: that is what a verifier
//! can check, and what the tests do check.
//!
//! A piece is cut around a bracketed number of its own (`[2]`), which would be read as a citation of
//! ours, unless it is in a code span or the text of a link.

use super::sentences::sentence_ends;
use super::words::{Word, is_ideograph, words};

mod blocks;
mod marks;

use blocks::{Block, blocks, item_text};
use marks::{is_link_only, piece_ends, with_whole_code_spans, without_emphasis};

/// A unit never has more bytes than this: longer ones are cut where a clause ends.
const UNIT_LEN_MAX: usize = 600;

/// A word with more bytes than this is none, but encoded data.
const WORD_LEN_MAX: usize = 100;

/// A piece of a passage that can be quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The words, as they are quoted.
    pub(crate) text: String,
    /// What the piece is in its passage.
    pub(crate) kind: UnitKind,
    /// The nearest heading above it in its passage; the header row for a row of a table.
    pub(crate) heading: String,
    /// The unit that introduces the list or the code which this unit is a part of.
    pub(crate) lead: Option<usize>,
    /// Whether the unit goes on where the unit before it ended, in the same paragraph.
    pub(crate) continues: bool,
}

/// What a unit is in its passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UnitKind {
    /// A sentence of a paragraph.
    Sentence,
    /// A sentence of a list item.
    Item,
    /// A row of a table.
    Row,
    /// A line of code.
    Code,
}

/// The units of a passage, in its order.
pub(crate) fn units(passage: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut heading = String::new();
    let mut lead = None;
    for block in blocks(passage) {
        let (kind, text) = match block {
            Block::Heading(text) => {
                heading = without_emphasis(text.trim_matches(['#', ' ', '\t']));
                lead = None;
                continue;
            }
            Block::Paragraph(text) => (UnitKind::Sentence, text),
            Block::Item(text) => (UnitKind::Item, text),
            Block::Row { text, header } => {
                for piece in pieces(text, UnitKind::Row) {
                    let heading = header.clone();
                    push(&mut units, piece, Unit { heading, ..Unit::empty(UnitKind::Row) });
                }
                continue;
            }
            Block::Code(text) => (UnitKind::Code, text),
        };
        let lead_of_block = lead.filter(|_| matches!(kind, UnitKind::Item | UnitKind::Code));
        let n_before = units.len();
        for (i, piece) in pieces(text, kind).into_iter().enumerate() {
            let continues = i > 0 && units.len() > n_before;
            let (heading, lead) = (heading.clone(), lead_of_block);
            push(&mut units, piece, Unit { heading, lead, continues, ..Unit::empty(kind) });
        }
        if kind == UnitKind::Sentence {
            let introduces = units.len() > n_before && units.last().is_some_and(Unit::introduces);
            lead = introduces.then(|| units.len() - 1);
        }
    }
    units
}

impl Unit {
    /// Whether the unit leads to the list or the code that follows it.
    pub(crate) fn introduces(&self) -> bool {
        let lower = self.text.to_lowercase();
        let says_so = ["following", "below", "like this", "as follows"];
        lower.ends_with(':') || says_so.iter().any(|words| lower.contains(words))
    }

    /// Whether the unit begins with a word that stands for something said before.
    pub(crate) fn starts_with_pronoun(&self) -> bool {
        let first = words(&self.text).first().map(|word| word.text.to_lowercase());
        let pronouns =
            ["it", "its", "they", "their", "this", "these", "those", "he", "she", "his", "her"];
        first.is_some_and(|first| pronouns.contains(&first.as_str()))
    }

    /// Whether most words are the labels of links.
    pub(crate) fn is_mostly_links(&self) -> bool {
        let (mut n_labels, mut n_plain) = (0, 0);
        let mut rest = self.text.as_str();
        while let Some((before, link)) = rest.split_once('[')
            && let Some((label, address)) = link.split_once("](")
        {
            n_plain += words(before).len();
            n_labels += words(label).len();
            rest = address.split_once(')').map_or("", |(_, after)| after);
        }
        n_labels > n_plain + words(rest).len()
    }

    fn empty(kind: UnitKind) -> Self {
        Self { text: String::new(), kind, heading: String::new(), lead: None, continues: false }
    }
}

fn pieces(text: &str, kind: UnitKind) -> Vec<&str> {
    if kind == UnitKind::Code && text.len() <= UNIT_LEN_MAX && !text.contains('`') {
        return vec![text];
    }
    let is_line = matches!(kind, UnitKind::Code | UnitKind::Row);
    let ends = if is_line { vec![text.len()] } else { sentence_ends(text) };
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in ends {
        let mut piece_start = start;
        for piece_end in piece_ends(&text[start..end], UNIT_LEN_MAX) {
            let piece_end = start + piece_end;
            // What a "not" before the cut denies must not be said without it.
            if !negates(&text[start..piece_start]) {
                pieces.push(&text[piece_start..piece_end]);
            }
            piece_start = piece_end;
        }
        start = end;
    }
    pieces
}

/// Whether a text has a word that can deny what follows it.
pub(crate) fn negates(text: &str) -> bool {
    let negations = [
        "not", "no", "never", "none", "cannot", "neither", "nor", "without", "nothing", "nobody",
        "t",
    ];
    words(text).iter().any(|word| negations.contains(&word.text.to_lowercase().as_str()))
}

fn push(units: &mut Vec<Unit>, piece: &str, unit: Unit) {
    // An image says nothing, be it of Markdown or of HTML; code about images does.
    let is_image = piece.contains("![") || unit.kind != UnitKind::Code && piece.contains("src=\"");
    if is_link_only(piece) || is_image {
        return;
    }
    let text = match unit.kind {
        UnitKind::Code if !piece.contains('`') => {
            format!("`{}`", piece.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        _ => {
            let text = with_whole_code_spans(without_emphasis(trimmed(piece)));
            trimmed(&text).to_owned()
        }
    };
    let n_words = words(&text).len();
    let n_words_min = match unit.kind {
        UnitKind::Sentence => 3,
        UnitKind::Item | UnitKind::Row | UnitKind::Code => 2,
    };
    if n_words >= n_words_min && is_legible(&text) {
        units.push(Unit { text, ..unit });
    }
}

/// Whether a text has a word of some length, or a number, and no run of letters that is no word.
fn is_legible(text: &str) -> bool {
    let words = words(text);
    let tells = |word: &Word<'_>| {
        word.text.chars().count() >= 4
            || word.text.contains(|char: char| char.is_numeric() || is_ideograph(char))
    };
    text.chars().any(char::is_alphabetic)
        && words.iter().any(tells)
        && words.iter().all(|word| word.text.len() <= WORD_LEN_MAX)
}

/// Takes off what stands around a piece, not what belongs to it: list markers and other marks of
/// blocks, which a reader of the answer would take for marks of its own, and the rests of a cut.
fn trimmed(piece: &str) -> &str {
    let mut rest = piece.trim();
    loop {
        let marks = rest.len()
            - rest.trim_start_matches([',', ';', '.', ')', ']', '!', '?', '#', '>']).len();
        let is_apart = rest[marks..].starts_with(char::is_whitespace) || marks == rest.len();
        let next = match item_text(rest) {
            Some(item) => item,
            None if is_apart => rest[marks..].trim_start(),
            None => rest.trim_start_matches(['|', ' ', '\t']),
        };
        if next.len() == rest.len() {
            return rest.trim_end_matches(['[', '(', '|', ' ', '\t', '\n']);
        }
        rest = next;
    }
}

/// Text as it is compared: without `*`, `_` and `` ` ``, and with single spaces.
pub(crate) fn normalised(text: &str) -> String {
    let mut normalised = String::with_capacity(text.len());
    for char in text.chars().filter(|char| !matches!(char, '*' | '_' | '`')) {
        if !char.is_whitespace() {
            normalised.push(char);
        } else if !normalised.is_empty() && !normalised.ends_with(' ') {
            normalised.push(' ');
        }
    }
    normalised.truncate(normalised.trim_end().len());
    normalised
}

#[cfg(test)]
mod tests;
