//! Words: where they stand in a text. No meaning, no stemming.

/// A word and where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// The byte at which the word starts.
    pub(crate) start: usize,
    /// The word as it is written.
    pub(crate) text: &'a str,
}

impl Word<'_> {
    /// The byte after the word.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The words of a text: runs of letters and digits, in which a `.` or `,` between two digits belongs
/// to the number. An ideograph is a word by itself.
pub(crate) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut previous = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((i, char)) = chars.next() {
        let next_is_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let in_number = matches!(char, '.' | ',') && previous.is_ascii_digit() && next_is_digit;
        if is_ideograph(char) {
            words.extend(start.take().map(|start| Word { start, text: &text[start..i] }));
            words.push(Word { start: i, text: &text[i..i + char.len_utf8()] });
        } else if char.is_alphanumeric() || in_number {
            start.get_or_insert(i);
        } else {
            words.extend(start.take().map(|start| Word { start, text: &text[start..i] }));
        }
        previous = char;
    }
    words.extend(start.map(|start| Word { start, text: &text[start..] }));
    words
}

/// Whether a character is of a script that puts no spaces between words.
pub(crate) fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Whether a word is written in digits, for example `64`, `1,024` or `2.5`.
pub(crate) fn is_numeral(word: &str) -> bool {
    word.starts_with(|char: char| char.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',')
}

/// Whether a list of words, separated by whitespace, has a word.
pub(crate) fn is_one_of(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// The longest beginning of a text that has at most `len_max` bytes and ends between characters.
pub(crate) fn capped(text: &str, len_max: usize) -> &str {
    let mut end = len_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let found = words(text);
        assert_eq!(found.iter().map(|word| word.text).collect::<Vec<_>>(), expect);
        assert!(found.iter().all(|word| text[word.start..].starts_with(word.text)));
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        check("", &[]);
        check("mailbox_capacity = 1,024.", &["mailbox", "capacity", "1,024"]);
        check("v1.85, it's", &["v1.85", "it", "s"]);
        check("Géza 東京 ok", &["Géza", "東", "京", "ok"]);
    }

    #[test]
    fn a_cap_never_splits_a_character() {
        assert_eq!(capped("aé", 2), "a");
        assert_eq!(capped("aé", 9), "aé");
    }
}
