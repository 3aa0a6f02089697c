//! The number that a question asks for, brought to the front of the sentence that has it.

use crate::extractive::text::{
    Question, Word, is_month, is_numeral, is_one_of, is_year, negates, words,
};

/// The end of a sentence that starts so late that its first number is the one asked for: the number
/// that stands nearest to the question's words, and is no part of a date. The sentence itself when it
/// has at most one number.
///
/// The cut is made where a clause starts, or else right after the number before; never behind a "not".
pub(super) fn first<'a>(sentence: &'a str, question: &Question) -> &'a str {
    let words = words(sentence);
    let has_digit = |i: &usize| words[*i].text.contains(|char: char| char.is_ascii_digit());
    let numbers: Vec<usize> = (0..words.len()).filter(has_digit).collect();
    let is_asked = |i: usize| is_in(question, words[i].text);
    let is_open = |i: &&usize| is_number(&words[**i]) && !is_asked(**i);
    let closer = |i: &&usize, j: &&usize| {
        closeness(sentence, &words, **i, question)
            .total_cmp(&closeness(sentence, &words, **j, question))
            .then(j.cmp(i))
    };
    let undated = numbers.iter().filter(is_open).filter(|i| !is_of_date(&words, **i));
    let Some(&best) =
        undated.max_by(closer).or_else(|| numbers.iter().filter(is_open).max_by(closer))
    else {
        return sentence;
    };
    let Some(&before) = numbers.iter().rev().find(|&&i| i < best) else { return sentence };
    let gap = &sentence[words[before].end()..words[best].start];
    let marks = ["; ", ": ", ", ", " (", " | ", " - ", " – ", " — "];
    let clause = marks.iter().filter_map(|mark| Some(gap.find(mark)? + mark.len())).min();
    let next_word = words.get(before + 1).map(|word| word.start - words[before].end());
    match clause.or(next_word) {
        Some(offset) if !negates(&sentence[..words[before].end() + offset]) => {
            &sentence[words[before].end() + offset..]
        }
        _ => sentence,
    }
}

fn is_number(word: &Word<'_>) -> bool {
    word.text.starts_with(|char: char| char.is_ascii_digit()) && {
        let digits = word.text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        is_numeral(digits)
    }
}

/// Whether a number is a year, "in 2023", or the day of a month.
fn is_of_date(words: &[Word<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |i| words[i].text);
    let after = words.get(at + 1).map_or("", |word| word.text);
    let is_dated = is_month(before) || is_one_of(BEFORE_YEARS, &before.to_lowercase());
    is_dated && is_year(words[at].text) || is_month(before) || is_month(after)
}

const BEFORE_YEARS: &str = "
    in of for since until till from to by during before after year and early late mid
";

fn is_in(question: &Question, word: &str) -> bool {
    question.terms.iter().any(|term| same(&term.word, word))
}

/// Whether two words are the same but for their endings.
fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.to_lowercase(), right.to_lowercase());
    let n_min = left.len().min(right.len());
    left == right || n_min >= 4 && (left.starts_with(&right) || right.starts_with(&left))
}

/// The sum of the inverse distances to the question's words; words before count most, because English
/// says "the capacity is 64", words of another clause half, and a year on both sides: "71 in 2022".
fn closeness(sentence: &str, words: &[Word<'_>], at: usize, question: &Question) -> f32 {
    let share = |i: usize, word: &Word<'_>| {
        let (first, last) = (i.min(at), i.max(at));
        let between = &sentence[words[first].end()..words[last].start.max(words[first].end())];
        let clause = if between.contains("; ") || between.contains(", ") { 0.5 } else { 1.0 };
        let side = match i < at {
            _ if is_year(word.text) => 4.0,
            true => 2.0,
            false => 0.7,
        };
        let weight = if i != at && is_in(question, word.text) { side * clause } else { 0.0 };
        weight / i.abs_diff(at).max(1) as f32
    };
    words.iter().enumerate().map(|(i, word)| share(i, word)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extractive::text::Lexicon;

    #[track_caller]
    fn check(sentence: &str, question: &str, expect: &str) {
        let question = Question::new(question, &mut Lexicon::new());
        assert_eq!(first(sentence, &question), expect);
    }

    #[test]
    fn the_number_of_the_year_that_is_asked_for_is_taken() {
        let revenue = "Revenue in 2023 was 86 million, up from 71 million in 2022.";
        check(
            revenue,
            "How much was the revenue in 2023?",
            "was 86 million, up from 71 million in 2022.",
        );
        check(revenue, "How much was the revenue in 2022?", "up from 71 million in 2022.");
        let fires = "In 2022 there were 17 fires; in 2023 there were 11.";
        check(
            fires,
            "How many fires were there in 2022?",
            "there were 17 fires; in 2023 there were 11.",
        );
        check(fires, "How many fires were there in 2023?", "there were 11.");
    }

    #[test]
    fn the_first_number_is_the_one_asked_for() {
        let capacity = "What is the default mailbox capacity?";
        check("The capacity is large.", capacity, "The capacity is large.");
        check("The capacity is 64.", capacity, "The capacity is 64.");
        check(
            "Since version 2, the mailbox capacity is 64.",
            capacity,
            "the mailbox capacity is 64.",
        );
        check(
            "A capacity of 64 holds for 2 mailboxes.",
            capacity,
            "A capacity of 64 holds for 2 mailboxes.",
        );
        check("Version 2 has a capacity of 64.", capacity, "has a capacity of 64.");
        check(
            "It is not 2, the mailbox capacity is 64.",
            capacity,
            "It is not 2, the mailbox capacity is 64.",
        );
        let dividend = "The dividend for 2023 was 1.20 kroner a share.";
        check(dividend, "How much is the dividend?", "was 1.20 kroner a share.");
        check("It was paid on 1 March 2019: 7 kroner.", "How much was paid?", "7 kroner.");
        check("The limit is 2048.", "How much is the limit?", "The limit is 2048.");
        check("retries | 5 | capacity | 64", capacity, "capacity | 64");
    }
}
