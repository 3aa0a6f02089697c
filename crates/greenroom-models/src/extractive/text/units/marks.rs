//! Marks inside a piece of markdown: emphasis, links, and the places where a piece must be cut.

/// Collapses whitespace and takes off runs of `*` and `_` that emphasise: those outside code spans
/// with a word on one side only.
pub(super) fn without_emphasis(piece: &str) -> String {
    let piece = piece.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::with_capacity(piece.len());
    let mut in_code = false;
    let mut rest = piece.as_str();
    while let Some(char) = rest.chars().next() {
        in_code ^= char == '`';
        let is_mark = matches!(char, '*' | '_') && !in_code;
        let after = if is_mark { rest.trim_start_matches(char) } else { &rest[char.len_utf8()..] };
        let before = text.chars().next_back();
        let next = after.chars().next();
        let is_product = before == Some(' ') && next == Some(' ');
        let is_inside =
            before.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric);
        if !is_mark || is_product || is_inside {
            text.push_str(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    text.truncate(text.trim_end().len());
    text
}

/// Whether a piece is nothing but links, images, badges or an address.
pub(super) fn is_link_only(piece: &str) -> bool {
    let mut rest = piece.trim();
    let mut n_links = 0;
    loop {
        rest =
            rest.trim_start_matches([' ', '|', '·', '•', '-', ',', '!', '\n', '/', '—', ':', '.']);
        if rest.is_empty() {
            return n_links > 0;
        }
        let end = if rest.starts_with('[') {
            link_end(rest)
        } else if rest.starts_with("http://")
            || rest.starts_with("https://")
            || rest.starts_with("<http")
        {
            Some(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        } else {
            None
        };
        let Some(end) = end else { return false };
        rest = &rest[end..];
        n_links += 1;
    }
}

/// The byte after the link at the start of `text`: `[..](..)`, `[..][..]` or `[..]`.
fn link_end(text: &str) -> Option<usize> {
    let label = closing(text, '[', ']')?;
    match text[label..].chars().next() {
        Some('(') => Some(label + closing(&text[label..], '(', ')')?),
        Some('[') => Some(label + closing(&text[label..], '[', ']')?),
        _ => Some(label),
    }
}

fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0usize;
    for (i, char) in text.char_indices() {
        if char == open {
            depth += 1;
        } else if char == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(i + close.len_utf8());
            }
        }
    }
    None
}

/// The byte after each part of a sentence: it is cut around bracketed numbers such as `[2]`, which
/// would be read as citations of ours, and where it is longer than `len_max`.
pub(super) fn piece_ends(sentence: &str, len_max: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < sentence.len() {
        let rest = &sentence[start..];
        let (mut len, mut skip) = footnote(rest).map_or((rest.len(), 0), |(at, len)| (at, len));
        if len > len_max {
            (len, skip) = (clause_end(rest, len_max), 0);
        }
        ends.push(start + len);
        if skip > 0 {
            ends.push(start + len + skip);
        }
        start += len + skip;
    }
    ends
}

/// Where the first bracketed number is that would be read as a citation, and how long it is.
fn footnote(text: &str) -> Option<(usize, usize)> {
    let has_spans = text.matches('`').count().is_multiple_of(2);
    text.match_indices('[').find_map(|(i, _)| {
        let len = text[i..].find(']')? + 1;
        let inner = &text[i + 1..i + len - 1];
        let is_number = inner.bytes().any(|byte| byte.is_ascii_digit())
            && inner
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b' ' | b'-'));
        let in_code = has_spans && text[..i].matches('`').count() % 2 == 1;
        let is_link = text[i + len..].starts_with('(');
        (is_number && !in_code && !is_link).then_some((i, len))
    })
}

/// Takes the backticks off a text that they do not pair up in.
pub(super) fn with_whole_code_spans(text: String) -> String {
    if text.matches('`').count().is_multiple_of(2) && !text.contains("``") {
        text
    } else {
        text.replace('`', "")
    }
}

fn clause_end(text: &str, len_max: usize) -> usize {
    let head = super::super::words::capped(text, len_max);
    let end = ["; ", ": ", ", ", " ", "\n"].iter().find_map(|mark| Some(head.rfind(mark)? + 1));
    end.filter(|&end| end > 1).unwrap_or(head.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_emphasis(piece: &str, expect: &str) {
        assert_eq!(without_emphasis(piece), expect);
    }

    #[test]
    fn emphasis_is_taken_off_and_names_and_products_are_kept() {
        check_emphasis("**Bold** and *it*  is __so__", "Bold and it is so");
        check_emphasis("`a_b` and snake_case_name", "`a_b` and snake_case_name");
        check_emphasis("`*mut T` is 2 * 3", "`*mut T` is 2 * 3");
        check_emphasis("", "");
    }

    #[test]
    fn navigation_is_not_text() {
        for nav in ["[Home](a.md) | [Docs][d]", "[![ci](x)](y)", "https://example.org", "![a](b)"] {
            assert!(is_link_only(nav), "{nav}");
        }
        for text in ["See [Home](a.md).x", "plain", "", "[unclosed"] {
            assert!(!is_link_only(text), "{text}");
        }
    }

    #[test]
    fn pieces_are_cut_around_bracketed_numbers_and_at_clauses() {
        assert_eq!(piece_ends("Built in 1889[1] and tall.[2, 3]", 600), [13, 16, 26, 32]);
        assert_eq!(piece_ends("See `a[1]` and [2](x) there", 600), [27]);
        assert_eq!(piece_ends("one two; three", 10), [8, 14]);
        assert_eq!(piece_ends("ééééé", 3), [2, 4, 6, 8, 10]);
    }
}
