//! Follow-up questions: what they leave unsaid is taken from the last exchange.

use greenroom_core::brief::Exchange;

use super::subject::{QUESTION_WORDS, has_open_pronoun, subject, with_subject};
use crate::extractive::text::{Lexicon, Question, capped, words};

/// An earlier question is read up to this many bytes.
const LEN_MAX: usize = 1_000;

/// The question, complete in itself.
///
/// | question | becomes |
/// |---|---|
/// | has a pronoun and no noun before it | the subject of the last question in its place |
/// | "and its default?" | "What is the mailbox's default?" |
/// | "why?", "how so?" | "why (topic words)?" |
/// | "what about X?", "and X?" | "X (topic words)?" |
/// | anything else | itself |
///
/// Words in parentheses count for less when the question is answered.
pub(super) fn resolved(question: &str, conversation: &[Exchange]) -> String {
    let Some(last) = conversation.last() else { return question.to_owned() };
    let last = capped(last.question.trim(), LEN_MAX);
    let (bare, was_continued) = without_link(question);
    let topic = || subject(last).unwrap_or_else(|| content(last));
    if has_open_pronoun(first_clause(bare)) && !has_own_subject(bare) {
        return asked(&with_subject(bare, &topic()));
    }
    let n_content = content_words(bare).len();
    let n_words = words(bare).len();
    let topic_words = content(last);
    if topic_words.is_empty() || n_words == 0 {
        return question.to_owned();
    }
    if n_content == 0 && n_words <= 4 || was_continued && n_words <= 6 {
        let bare = bare.trim_end_matches(['?', '.', '!', ' ']);
        return asked(&format!("{bare} ({topic_words})?"));
    }
    question.to_owned()
}

/// Takes off "and", "so", "what about" and the like.
fn without_link(question: &str) -> (&str, bool) {
    let links =
        ["and what about ", "what about ", "how about ", "and ", "but ", "also ", "or ", "then "];
    for link in links {
        if let Some(head) = question.get(..link.len())
            && head.eq_ignore_ascii_case(link)
        {
            return (question[link.len()..].trim_start(), true);
        }
    }
    (question, false)
}

fn first_clause(question: &str) -> &str {
    question.split_inclusive(['?', ';']).next().unwrap_or(question)
}

/// Whether a noun phrase stands before the pronoun, so that the question explains itself.
fn has_own_subject(question: &str) -> bool {
    let lower = question.to_lowercase();
    let pronouns =
        [" it", " its", " they", " them", " their", " this", " that", " these", " those"];
    let at = pronouns.iter().filter_map(|word| lower.find(word)).min();
    // Lowercasing can move bytes in rare scripts; the head is then simply cut short.
    let head = capped(question, at.unwrap_or(question.len()));
    subject(head).is_some_and(|subject| !has_open_pronoun(&subject))
}

/// A bare noun phrase becomes a question.
fn asked(text: &str) -> String {
    let first = words(text).first().map(|word| word.text.to_lowercase()).unwrap_or_default();
    if QUESTION_WORDS.contains(&first.as_str()) || text.contains('(') {
        return text.to_owned();
    }
    format!("What is {text}")
}

fn content_words(text: &str) -> Vec<String> {
    let mut lexicon = Lexicon::new();
    let has_content = !lexicon.terms(capped(text, LEN_MAX)).is_empty();
    let read = Question::new(text, &mut lexicon);
    if has_content { read.terms.into_iter().map(|term| term.word).collect() } else { Vec::new() }
}

fn content(text: &str) -> String {
    content_words(text).join(" ")
}
