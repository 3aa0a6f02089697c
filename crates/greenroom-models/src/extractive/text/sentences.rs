//! Where the sentences of a paragraph end. Knows abbreviations and initials, nothing of markdown but
//! code spans.

/// The byte after each sentence of a paragraph, the last one included.
///
/// A sentence ends at `.`, `!`, `?` or `…` with its closing quotes and brackets, when whitespace and
/// then something other than a lowercase letter follows, and the word before is no abbreviation; and
/// at an ideographic full stop. Nothing ends within a code span.
pub(crate) fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut in_code = false;
    let mut chars = text.char_indices().peekable();
    while let Some((i, char)) = chars.next() {
        in_code ^= char == '`';
        let after = i + char.len_utf8();
        if matches!(char, '。' | '！' | '？') {
            ends.push(after);
        } else if !in_code && matches!(char, '.' | '!' | '?' | '…') {
            let tail = &text[after..];
            let closed = tail.trim_start_matches(['"', '\'', '”', '’', ')', ']', '*', '_']);
            let end = text.len() - closed.len();
            if ends_here(&text[..i], char, closed) {
                ends.push(end);
                while chars.peek().is_some_and(|(next, _)| *next < end) {
                    chars.next();
                }
            }
        }
    }
    if ends.last() != Some(&text.len()) && !text.is_empty() {
        ends.push(text.len());
    }
    ends
}

fn ends_here(before: &str, mark: char, after: &str) -> bool {
    let Some(first) = after.chars().next() else { return true };
    let Some(next) = after.trim_start().chars().next() else { return true };
    first.is_whitespace()
        && !next.is_lowercase()
        && (mark != '.' || !is_abbreviation(last_token(before), next))
}

fn last_token(text: &str) -> &str {
    let start = text.rfind(|char: char| char.is_whitespace() || matches!(char, '(' | '"' | '['));
    start.map_or(text, |i| text[i..].trim_start_matches(|char: char| !char.is_alphanumeric()))
}

fn is_abbreviation(token: &str, next: char) -> bool {
    let is_initial = token.chars().count() == 1 && token.chars().all(char::is_uppercase);
    let is_dotted = token.contains('.') && token.split('.').all(|part| part.chars().count() == 1);
    let lower = token.to_lowercase();
    is_initial
        || is_dotted && !matches!(lower.as_str(), "a.m" | "p.m")
        || ALWAYS.contains(&lower.as_str())
        || BEFORE_NUMBERS.contains(&lower.as_str()) && next.is_ascii_digit()
}

const ALWAYS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "e.g", "i.e", "cf", "lt", "col",
    "gen", "rev", "hon", "gov", "sen", "rep", "capt", "sgt", "mt", "messrs", "approx", "incl",
];

const BEFORE_NUMBERS: &[&str] =
    &["no", "nos", "fig", "figs", "sec", "vol", "p", "pp", "ch", "ca", "c"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let mut start = 0;
        let mut found = Vec::new();
        for end in sentence_ends(text) {
            found.push(text[start..end].trim());
            start = end;
        }
        assert_eq!(found, expect);
    }

    #[test]
    fn sentences_end_at_marks_and_not_at_abbreviations() {
        check("", &[]);
        check("One. Two! Three? four", &["One.", "Two!", "Three? four"]);
        check("See e.g. The Book. Done.", &["See e.g. The Book.", "Done."]);
        check("Mr. J. K. Smith came. He left.", &["Mr. J. K. Smith came.", "He left."]);
        check("Version 1.2 is out. It works.", &["Version 1.2 is out.", "It works."]);
        check("He said \"Go.\" She went.", &["He said \"Go.\"", "She went."]);
        check("Call `a. B` now. Then stop.", &["Call `a. B` now.", "Then stop."]);
        check("See No. 5 there. No. Five.", &["See No. 5 there.", "No.", "Five."]);
        check("雨です。晴れ。", &["雨です。", "晴れ。"]);
        check("**Bold.** Next.", &["**Bold.**", "Next."]);
    }
}
