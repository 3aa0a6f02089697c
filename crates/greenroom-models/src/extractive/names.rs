//! Names in a text: what a further search could be about, and what fills a tool's parameters.

use super::text::{Word, is_function_word, words};

/// A name and how likely it is one, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) trust: f32,
}

/// The names of a text: runs of capitalised words, code spans, and what stands in double quotes.
pub(super) fn names(text: &str) -> Vec<Name<'_>> {
    let mut names: Vec<Name<'_>> = Vec::new();
    for (mark, close) in [('`', '`'), ('"', '"'), ('“', '”')] {
        names.extend(spans(text, mark, close).map(|text| Name { text, trust: 1.0 }));
    }
    names.extend(capitalised(text));
    names.retain(|name| {
        let n_letters = name.text.chars().filter(|char| char.is_alphabetic()).count();
        n_letters >= 3 && name.text.len() <= 80 && !DAYS.contains(&name.text)
    });
    names
}

/// Capitalised words that name nothing that can be looked up.
const DAYS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// What stands between pairs of marks.
pub(super) fn spans(text: &str, open: char, close: char) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(open)? + open.len_utf8();
        let end = start + rest[start..].find(close)?;
        let span = &rest[start..end];
        rest = &rest[end + close.len_utf8()..];
        Some(span)
    })
}

pub(super) fn capitalised(text: &str) -> Vec<Name<'_>> {
    let words = words(text);
    let mut names = Vec::new();
    let mut i = 0;
    while i < words.len() {
        if !is_capitalised(&words[i]) {
            i += 1;
            continue;
        }
        let first = i;
        let mut last = i;
        while let Some(next) = next_of_name(text, &words, last) {
            last = next;
        }
        i = last + 1;
        let starts_sentence = first == 0
            || text[words[first - 1].end()..words[first].start].contains(['.', '!', '?', '\n']);
        let first = if starts_sentence && is_function_word(&words[first].text.to_lowercase()) {
            first + 1
        } else {
            first
        };
        if first > last || is_function_word(&words[first].text.to_lowercase()) {
            continue;
        }
        let trust = match (last > first, starts_sentence) {
            (true, _) => 1.0,
            (false, false) => 0.7,
            (false, true) => 0.3,
        };
        names.push(Name { text: &text[words[first].start..words[last].end()], trust });
    }
    names
}

fn is_capitalised(word: &Word<'_>) -> bool {
    word.text.starts_with(char::is_uppercase)
}

/// The index of the word that continues a name: the next capitalised word, joined by a space, an
/// initial's full stop, an apostrophe, a hyphen or a joining word such as "of".
fn next_of_name(text: &str, words: &[Word<'_>], last: usize) -> Option<usize> {
    let gap = |i: usize| words.get(i + 1).map(|next| &text[words[i].end()..next.start]);
    let next = words.get(last + 1)?;
    let is_initial = words[last].text.chars().count() == 1;
    let joins = match gap(last)? {
        " " | "-" | "'" | "’" | " & " | "&" => true,
        ". " | "." => is_initial,
        _ => false,
    };
    if !joins {
        return None;
    }
    if is_capitalised(next) {
        return Some(last + 1);
    }
    let joiner = matches!(next.text, "of" | "the" | "de" | "von" | "van" | "del" | "la" | "s");
    let skip = if joiner && words.get(last + 2).is_some_and(is_capitalised) {
        last + 2
    } else {
        return None;
    };
    (gap(last + 1)? == " ").then_some(skip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(names(text).iter().map(|name| name.text).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn names_are_capitalised_quoted_or_code() {
        check("", &[]);
        check("nothing here", &[]);
        check(
            "He led Dunkin' Brands and the University of New York.",
            &["Dunkin", "Brands", "University of New York"],
        );
        check("J. K. Rowling wrote \"the book\".", &["the book", "J. K. Rowling"]);
        check("Use `Slot` of the Runtime", &["Slot", "Use", "Slot", "Runtime"]);
        check("The Boston Beer Company is large.", &["Boston Beer Company"]);
    }
}
