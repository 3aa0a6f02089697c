//! The kinds of answers that questions ask for, and how a text shows that it has one.

use super::words::{Word, is_numeral, is_one_of, words};

/// What kind of answer a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How many or how much: nothing but a number answers it.
    Count,
    /// A size, a limit or the like, which is a number most of the time.
    Number,
    /// A date or a year.
    Time,
    /// Somebody.
    Person,
    /// Somewhere.
    Place,
    /// What something is.
    Definition,
    /// Why something is so.
    Reason,
    /// How something is done.
    Manner,
    /// Anything else.
    Fact,
}

impl Kind {
    /// The kind of a question with these words, `n_terms` of which say what it is about.
    pub(super) fn of(words: &[Word<'_>], n_terms: usize) -> Self {
        let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
        for pair in lower.windows(2) {
            let kind = Self::of_pair(&pair[0], &pair[1]);
            if kind != Self::Fact {
                return kind;
            }
        }
        let first = lower.first().map_or("", String::as_str);
        if matches!(first, "define" | "explain" | "describe") {
            return Self::Definition;
        }
        let has = |list: &[&str]| lower.iter().any(|word| list.contains(&word.as_str()));
        if has(&["what", "which"]) && lower.iter().any(|word| is_one_of(QUANTITIES, word)) {
            return Self::Number;
        }
        let is_about_being = lower.windows(2).any(|pair| {
            matches!(pair[0].as_str(), "what" | "s")
                && matches!(pair[1].as_str(), "is" | "are" | "s" | "a" | "an" | "the")
        });
        match first {
            "when" => Self::Time,
            "who" => Self::Person,
            "where" => Self::Place,
            "why" => Self::Reason,
            "how" => Self::Manner,
            "what" if is_about_being && n_terms <= 3 => Self::Definition,
            _ if has(&["when"]) && !has(&["what", "which"]) => Self::Time,
            _ if has(&["who", "whom"]) && !has(&["what", "which"]) => Self::Person,
            _ if has(&["where"]) && !has(&["what", "which"]) => Self::Place,
            _ => Self::Fact,
        }
    }

    fn of_pair(first: &str, second: &str) -> Self {
        match (first, second) {
            ("how", "many" | "much") => Self::Count,
            ("how", "long" | "big" | "large" | "old" | "far" | "tall" | "high" | "often") => {
                Self::Number
            }
            ("what" | "which", "year" | "date" | "day" | "month" | "century" | "decade") => {
                Self::Time
            }
            ("what" | "which", "city" | "country" | "state" | "place" | "town" | "province") => {
                Self::Place
            }
            ("what" | "which", "person" | "actor" | "actress" | "singer" | "author") => {
                Self::Person
            }
            ("what" | "which", "percentage" | "number") => Self::Number,
            _ => Self::Fact,
        }
    }

    /// Whether a piece of text has what this kind of question asks for, in words that the question
    /// itself does not have.
    pub(crate) fn is_answered_by(self, text: &str, is_in_question: impl Fn(&str) -> bool) -> bool {
        let words = words(text);
        let new = || words.iter().filter(|word| !is_in_question(word.text));
        let lower = |word: &Word<'_>| word.text.to_lowercase();
        match self {
            Self::Count | Self::Number => new().any(|word| {
                is_quantity(word.text) && !text[..word.start].ends_with(['#', '/', '='])
            }),
            Self::Time => new().any(|word| is_year(word.text) || is_month(word.text)),
            Self::Person => has_name(text, &words, &is_in_question),
            Self::Place => words.windows(2).any(|pair| {
                matches!(pair[0].text, "in" | "at" | "of" | "from" | "near" | "In" | "At" | "From")
                    && pair[1].text.starts_with(char::is_uppercase)
                    && !is_in_question(pair[1].text)
            }),
            Self::Reason => words.iter().any(|word| is_one_of(REASONS, &lower(word))),
            Self::Manner => words.iter().any(|word| is_one_of(MANNERS, &lower(word))),
            Self::Definition | Self::Fact => true,
        }
    }
}

/// Whether a word is a number, with or without a unit written to it: `64`, `10ms`, `twice`.
fn is_quantity(word: &str) -> bool {
    let digits = word.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    is_numeral(digits) && word.len() - digits.len() <= 3
        || is_one_of(NUMBER_WORDS, &word.to_lowercase())
}

/// Whether a word is the name of a month, or "century".
pub(crate) fn is_month(word: &str) -> bool {
    MONTHS.contains(&word.to_lowercase().as_str())
}

/// Whether a word can be a year of our calendar.
pub(crate) fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse().is_ok_and(|year: u32| (1000..2200).contains(&year))
}

/// Two capitalised words in a row, the question's own words excepted.
fn has_name(text: &str, words: &[Word<'_>], is_in_question: impl Fn(&str) -> bool) -> bool {
    let is_name = |word: &Word<'_>| word.text.starts_with(char::is_uppercase);
    words.windows(2).any(|pair| {
        is_name(&pair[0])
            && is_name(&pair[1])
            && text[pair[0].end()..pair[1].start].len() <= 2
            && !is_in_question(pair[1].text)
    })
}

const QUANTITIES: &str = "
    size capacity limit maximum minimum population port timeout interval percentage percent
    number length height width duration cost price age amount total count msrv
";

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "century",
];

const NUMBER_WORDS: &str = "
    zero two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
    sixty hundred thousand million billion once twice number thrice unlimited unbounded none
    half dozen
";

const REASONS: &str = "
    because since so therefore due avoid avoids prevent prevents reason otherwise thus hence
    ensure ensures cause caused allows means would
";

const MANNERS: &str = "
    by use using call run add set with through via when then first each create pass enable
    implement cargo
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_what_is_asked_for_in_words_of_its_own() {
        let check = |kind: Kind, text: &str, expect: bool| {
            let found = kind.is_answered_by(text, |word| word == "7" || word == "Paris");
            assert_eq!(found, expect, "{kind:?} {text}");
        };
        check(Kind::Number, "It holds 64 messages.", true);
        check(Kind::Number, "It waits 10ms.", true);
        check(Kind::Number, "Version 7 holds many (#123).", false);
        check(Kind::Time, "It began in 1999.", true);
        check(Kind::Time, "It holds 64.", false);
        check(Kind::Person, "It was written by Ada Lovelace.", true);
        check(Kind::Person, "It was written.", false);
        check(Kind::Place, "It lies in Paris.", false);
        check(Kind::Place, "It lies in Rome.", true);
        check(Kind::Reason, "It waits because it must.", true);
    }
}
