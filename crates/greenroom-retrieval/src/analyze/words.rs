//! Where the words of a text are, and how they are spelt alike. Knows no language.

use std::ops::Range;

/// Longer words are cut: nobody types them, and the index bounds the length of a term.
pub(super) const WORD_BYTES_MAX: usize = 64;
/// Lower case, without the diacritics of European languages.
pub(super) fn fold(word: &str, into: &mut String) {
    for c in word.chars() {
        if into.len() >= WORD_BYTES_MAX {
            break;
        }
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' => into.push(c.to_ascii_lowercase()),
            '\u{2019}' => into.push('\''),
            '\u{300}'..='\u{36f}' => {}
            'À'..='Å' | 'à'..='å' | 'Ā'..='ą' => into.push('a'),
            'Æ' | 'æ' => into.push_str("ae"),
            'Ç' | 'ç' | 'Ć'..='č' => into.push('c'),
            'Ď'..='đ' | 'Ð' | 'ð' => into.push('d'),
            'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => into.push('e'),
            'Ĝ'..='ģ' => into.push('g'),
            'Ĥ'..='ħ' => into.push('h'),
            'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => into.push('i'),
            'Ĺ'..='ł' => into.push('l'),
            'Ñ' | 'ñ' | 'Ń'..='ň' => into.push('n'),
            'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' => into.push('o'),
            'Œ' | 'œ' => into.push_str("oe"),
            'Ŕ'..='ř' => into.push('r'),
            'Ś'..='š' => into.push('s'),
            'ß' => into.push_str("ss"),
            'Ţ'..='ŧ' => into.push('t'),
            'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => into.push('u'),
            'Ý' | 'ý' | 'ÿ' | 'Ŷ'..='Ÿ' => into.push('y'),
            'Ź'..='ž' => into.push('z'),
            _ => into.extend(c.to_lowercase()),
        }
    }
}

/// The words of a text, and after each compound name (`camelCase`, `snake_case`) its parts.
#[derive(Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
    /// The rest of a compound name whose parts are being yielded.
    parts: Range<usize>,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, parts: 0..0 }
    }

    pub(super) fn next(&mut self) -> Option<(&'a str, bool)> {
        if let Some(part) = self.next_part() {
            return Some((part, true));
        }
        let rest = &self.text[self.at..];
        let begin = match rest.bytes().position(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
        {
            Some(at) if rest.as_bytes()[at] < 0x80 => at,
            Some(at) => at + rest[at..].find(char::is_alphanumeric)?,
            None => return None,
        };
        let rest = &rest[begin..];
        // Most words are plain letters up to a space.
        let mut end = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if !matches!(rest.as_bytes().get(end), None | Some(b' ' | b'\n' | b',' | b'.')) {
            end = word_end(rest);
        }
        let word = &rest[..end];
        self.at += begin + end;
        if part_end(word).is_some() {
            self.parts = self.at - end..self.at;
        }
        Some((word, false))
    }

    /// The next part of at least two bytes: a single letter says nothing.
    fn next_part(&mut self) -> Option<&'a str> {
        while !self.parts.is_empty() {
            let rest = &self.text[self.parts.clone()];
            let end = part_end(rest).unwrap_or(rest.len());
            self.parts.start += end;
            let part = rest[..end].trim_start_matches('_');
            if part.len() > 1 {
                return Some(part);
            }
        }
        None
    }
}

/// Where the word that a text begins with ends.
fn word_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let mut end = 0;
    while let Some((i, c)) = chars.next() {
        if is_unspaced(c) {
            return if i == 0 { c.len_utf8() } else { i };
        }
        let next = chars.peek().map_or(' ', |(_, next)| *next);
        let joins = match c {
            '_' => next.is_alphanumeric(),
            '\'' | '\u{2019}' => next.is_alphabetic(),
            _ => false,
        };
        if !(c.is_alphanumeric() || joins || matches!(c, '\u{300}'..='\u{36f}')) {
            break;
        }
        end = i + c.len_utf8();
    }
    end
}

/// Where the first part of a compound name ends: `Http|Server`, `HTTP|Server`, `queue|_depth`.
fn part_end(word: &str) -> Option<usize> {
    let bytes = word.as_bytes();
    (1..bytes.len()).find(|&i| {
        bytes[i] == b'_'
            || bytes[i].is_ascii_uppercase()
                && (bytes[i - 1].is_ascii_lowercase()
                    || bytes[i - 1].is_ascii_uppercase()
                        && bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase))
    })
}

/// Whether a character is of a script that does not put spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
