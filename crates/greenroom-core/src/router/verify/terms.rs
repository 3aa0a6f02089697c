//! What a sentence is compared by: its words, its numbers and units, and whether it is negated.

use std::collections::BTreeSet;

use super::fold::{Folded, is_ideograph};

/// Numbers that are written in letters. `one` is missing: it is a pronoun as often.
const NUMERALS: &[(&str, &str)] = &[
    ("zero", "0"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "hundred"),
    ("thousand", "thousand"),
    ("million", "million"),
    ("billion", "billion"),
];

/// Units in their spellings, the first of which stands for all.
const UNITS: &[&[&str]] = &[
    &["ns", "nanosecond", "nanoseconds"],
    &["us", "µs", "μs", "microsecond", "microseconds"],
    &["ms", "millisecond", "milliseconds"],
    &["s", "sec", "secs", "second", "seconds"],
    &["min", "mins", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["year", "years"],
    &["b", "byte", "bytes"],
    &["kb", "kilobyte", "kilobytes"],
    &["kib", "kibibyte", "kibibytes"],
    &["mb", "megabyte", "megabytes"],
    &["mib", "mebibyte", "mebibytes"],
    &["gb", "gigabyte", "gigabytes"],
    &["gib", "gibibyte", "gibibytes"],
    &["tb", "terabyte", "terabytes"],
    &["tib", "tebibyte", "tebibytes"],
    &["%", "percent"],
];

const NEGATIONS: &[&str] = &[
    "not", "no", "never", "none", "cannot", "neither", "nor", "without", "nothing", "nobody", "non",
];

/// What a folded text is compared by.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// How many words there are, of any kind.
    pub(super) n_words: usize,
    /// Words that carry meaning: four letters or more, and numbers.
    pub(super) words: BTreeSet<String>,
    /// The numbers, those in percent with a `%`, and the units behind them: what a claim needs to find in its evidence.
    pub(super) exact: BTreeSet<String>,
    /// The units that stand elsewhere, as in `timeout in seconds`.
    units: BTreeSet<String>,
    pub(super) is_negated: bool,
}

impl Terms {
    pub(super) fn new(folded: &Folded) -> Self {
        let mut terms = Self { is_negated: folded.text.contains("n't"), ..Self::default() };
        let mut last_number = None;
        for token in tokens(&folded.text) {
            let unit = UNITS.iter().find(|unit| unit.contains(&token)).map(|unit| unit[0]);
            match (last_number.take(), unit) {
                // `64` and `64%` are two numbers.
                (Some(number), Some("%")) => terms.add_number(number + "%"),
                (Some(number), unit) => {
                    terms.add_number(number);
                    terms.exact.extend(unit.map(str::to_owned));
                }
                (None, Some(unit)) if token.len() > 1 => drop(terms.units.insert(unit.to_owned())),
                (None, _) => {}
            }
            last_number = number(token);
            terms.n_words += 1;
            terms.is_negated |= NEGATIONS.contains(&token);
            let is_long = token.chars().count() >= 4 || token.starts_with(is_ideograph);
            if last_number.is_none() && is_long {
                terms.words.insert(token.to_owned());
            }
        }
        last_number.into_iter().for_each(|number| terms.add_number(number));
        terms
    }

    fn add_number(&mut self, number: String) {
        self.words.insert(number.clone());
        self.exact.insert(number);
    }

    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    pub(super) fn has_exact(&self, term: &str) -> bool {
        self.exact.contains(term) || self.units.contains(term)
    }

    /// Adds the words, numbers and units of another text; its negation stays its own.
    pub(super) fn add(&mut self, other: Self) {
        self.n_words += other.n_words;
        self.words.extend(other.words);
        self.exact.extend(other.exact);
        self.units.extend(other.units);
    }
}

/// The number that a token is, without separators of thousands.
fn number(token: &str) -> Option<String> {
    let is_numeric = token.starts_with(|symbol: char| symbol.is_numeric() || symbol == '-');
    match NUMERALS.iter().find(|(word, _)| *word == token) {
        Some((_, number)) => Some((*number).to_owned()),
        None => is_numeric.then(|| token.replace(',', "")),
    }
}

/// Runs of letters, and numbers with their sign, their groups and their fraction; an ideograph and a
/// percent sign are tokens by themselves.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let sign = if !before.is_alphanumeric() { rest.strip_prefix('-') } else { None };
        let digits = sign.unwrap_or(rest);
        let len = if digits.starts_with(char::is_numeric) {
            rest.len() - digits.len() + number_len(digits)
        } else if is_ideograph(first) || !first.is_alphabetic() {
            first.len_utf8()
        } else {
            rest.find(|c: char| !c.is_alphabetic() || is_ideograph(c)).unwrap_or(rest.len())
        };
        let (token, behind) = rest.split_at(len);
        if token == "%" || token.contains(char::is_alphanumeric) {
            tokens.push(token);
        }
        before = token.chars().next_back().unwrap_or(' ');
        rest = behind;
    }
    tokens
}

/// The length of the number at the beginning of the text: a point or comma belongs to it before a digit.
fn number_len(text: &str) -> usize {
    let mut len = 0;
    loop {
        let rest = &text[len..];
        let inner = rest.strip_prefix(['.', ',']).filter(|_| len > 0).unwrap_or(rest);
        if !inner.starts_with(char::is_numeric) {
            return len;
        }
        let end = inner.find(|symbol: char| !symbol.is_numeric()).unwrap_or(inner.len());
        len += rest.len() - inner.len() + end;
    }
}
