//! Splitting a question of several parts into questions that are complete in themselves.

use super::subject::{IMPERATIVES, QUESTION_WORDS, has_open_pronoun, subject, with_subject};
use crate::extractive::text::{is_function_word, sentence_ends, words};

mod compared;
mod lists;

use compared::compared;
use lists::items;

/// The parts of a question, in its order, at most `parts_max` of them: what does not fit stays with
/// the last part. A question that cannot be split is one part, unchanged.
pub(super) fn parts(question: &str, parts_max: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for item in items(question) {
        for sentence in asks(item) {
            for clause in clauses(&sentence) {
                parts.extend(compared(&clause));
            }
        }
    }
    if parts.len() <= 1 {
        return match parts.pop() {
            Some(part) if !part.is_empty() => vec![part],
            _ => vec![question.to_owned()],
        };
    }
    carry_subjects(&mut parts);
    if parts.len() > parts_max {
        let rest = parts.split_off(parts_max - 1).join(" ");
        parts.push(rest);
    }
    parts
}

/// A part that has only a pronoun gets the subject of the part before it; "they" gets the last two.
fn carry_subjects(parts: &mut [String]) {
    let mut subjects: Vec<String> = Vec::new();
    for part in parts {
        let is_plural = has_plural_pronoun(part);
        if has_open_pronoun(part) {
            match &subjects[..] {
                [.., first, second] if is_plural && !second.ends_with('s') => {
                    *part = with_subject(part, &format!("{first} and {second}"));
                }
                [.., last] => *part = with_subject(part, last),
                [] => {}
            }
        } else {
            subjects.extend(subject(part));
        }
    }
}

fn has_plural_pronoun(part: &str) -> bool {
    let plural = ["they", "them", "their", "these", "those"];
    words(part).iter().any(|word| plural.contains(&word.text.to_lowercase().as_str()))
}

/// The sentences that ask something; a statement stays with the question that follows it, or else
/// with the one before.
fn asks(text: &str) -> Vec<String> {
    let mut asks: Vec<String> = Vec::new();
    let mut statements = String::new();
    for sentence in sentences(text) {
        if is_pleasantry(sentence) {
            continue;
        }
        statements.push_str(if statements.is_empty() { "" } else { " " });
        statements.push_str(sentence);
        if is_ask(sentence) {
            asks.push(std::mem::take(&mut statements));
        }
    }
    if !statements.is_empty() {
        match asks.last_mut() {
            Some(last) => *last = format!("{last} {statements}"),
            None => asks.push(statements),
        }
    }
    asks
}

/// Sentences; a question mark ends one whatever follows, except inside code and quotes.
fn sentences(text: &str) -> Vec<&str> {
    let is_open = outside(text);
    let mut ends = sentence_ends(text);
    ends.extend(text.match_indices('?').filter_map(|(i, _)| {
        let after = text[i + 1..].chars().next();
        (is_open[i] && after.is_none_or(char::is_whitespace)).then_some(i + 1)
    }));
    ends.sort_unstable();
    ends.dedup();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let spans = starts.zip(&ends).map(|(start, &end)| text[start..end].trim());
    spans.filter(|span| span.chars().any(char::is_alphanumeric)).collect()
}

fn is_ask(sentence: &str) -> bool {
    sentence.ends_with('?') || is_verb_of_asking(&first_word(sentence))
}

fn first_word(text: &str) -> String {
    let words = words(text);
    let first = words.iter().map(|word| word.text.to_lowercase()).find(|word| word != "please");
    first.unwrap_or_default()
}

fn is_verb_of_asking(word: &str) -> bool {
    IMPERATIVES.contains(&word)
}

fn is_pleasantry(sentence: &str) -> bool {
    let words = words(sentence);
    let polite =
        ["thanks", "thank", "hi", "hello", "hey", "please", "you", "there", "much", "dear"];
    !sentence.ends_with('?')
        && words.iter().all(|word| polite.contains(&word.text.to_lowercase().as_str()))
}

/// Clauses of one sentence that each ask something.
fn clauses(sentence: &str) -> Vec<String> {
    let is_open = outside(sentence);
    let words = words(sentence);
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut clause_first = 0;
    for i in 1..words.len() {
        if !is_open[words[i].start] {
            continue;
        }
        let gap = &sentence[words[i - 1].end()..words[i].start];
        let joined = matches!(lower[i - 1].as_str(), "and" | "then" | "also") && i >= 2;
        let link = if joined { link_start(&lower, i) } else { i };
        let is_cut = gap.contains(';') && starts_clause(&lower[i..])
            || joined && starts_joined(&lower[clause_first..link], &lower[i..])
            || gap.contains(',')
                && matches!(lower[i].as_str(), "what" | "how" | "why")
                && is_clause(&lower[clause_first..i]);
        if is_cut && link > clause_first {
            cuts.push((words[link - 1].end(), words[i].start));
            clause_first = i;
        }
    }
    let mut clauses = Vec::new();
    let mut start = 0;
    for (end, next) in cuts {
        clauses.push(asked(&sentence[start..end]));
        start = next;
    }
    clauses.push(if start == 0 { sentence.trim().to_owned() } else { asked(&sentence[start..]) });
    clauses
}

/// The index of the first of the linking words ("and", "and then", "and also") that end before `i`.
fn link_start(lower: &[String], i: usize) -> usize {
    let n_links = lower[..i]
        .iter()
        .rev()
        .take_while(|word| matches!(word.as_str(), "and" | "then" | "also"))
        .count();
    i - n_links
}

fn starts_clause(words: &[String]) -> bool {
    words.first().is_some_and(|word| {
        QUESTION_WORDS.contains(&word.as_str()) || is_verb_of_asking(word) || word == "and"
    })
}

/// Whether "and" joins two questions: the second starts with a question word that is not the start
/// of a relative clause, or with a verb that asks for something.
fn starts_joined(before: &[String], after: &[String]) -> bool {
    let (Some(first), Some(word)) = (before.first(), after.first()) else { return false };
    let begins_question = QUESTION_WORDS.contains(&first.as_str()) || is_verb_of_asking(first);
    let has_relative =
        before[1..].iter().any(|word| matches!(word.as_str(), "who" | "which" | "that" | "whose"));
    match word.as_str() {
        "what" | "how" | "why" => begins_question || is_clause(before),
        "who" | "which" | "where" | "when" | "whose" => {
            begins_question && !has_relative && after.len() > 2
        }
        "is" | "are" | "does" | "do" | "did" | "can" | "should" | "will" | "was" | "were" => {
            begins_question && !has_relative && after.len() > 2
        }
        verb => begins_question && is_verb_of_asking(verb) && after.len() > 1,
    }
}

/// Enough words to be a question of its own.
fn is_clause(words: &[String]) -> bool {
    words.len() >= 2 && words.iter().any(|word| !is_function_word(word))
}

/// A clause as a sentence of its own.
fn asked(clause: &str) -> String {
    let clause =
        clause.trim().trim_end_matches([',', ';', ' ']).trim_start_matches([',', ';', ' ']);
    let ends = clause.ends_with(['?', '.', '!']);
    if ends || is_verb_of_asking(&first_word(clause)) {
        clause.to_owned()
    } else {
        format!("{clause}?")
    }
}

/// Per byte, whether it is outside code spans, double quotes and parentheses.
fn outside(text: &str) -> Vec<bool> {
    let is_balanced = |mark: char| text.matches(mark).count().is_multiple_of(2);
    let (reads_code, reads_quotes) = (is_balanced('`'), is_balanced('"'));
    let (mut in_code, mut in_quotes, mut depth) = (false, false, 0u32);
    let mut outside = Vec::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '`' if reads_code => in_code = !in_code,
            '"' if reads_quotes => in_quotes = !in_quotes,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        outside.extend(std::iter::repeat_n(!in_code && !in_quotes && depth == 0, char.len_utf8()));
    }
    outside
}
