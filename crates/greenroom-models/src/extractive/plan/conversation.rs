//! Follow-up questions: what they leave unsaid is taken from the last exchange.

use greenroom_core::brief::Exchange;

use super::subject::{QUESTION_WORDS, has_open_pronoun, has_person_pronoun, subject, with_subject};
use crate::extractive::names::{Name, capitalised, names};
use crate::extractive::text::{Lexicon, Question, capped, words};

/// An earlier question or answer is read up to this many bytes.
const LEN_MAX: usize = 1_000;
/// So many exchanges are looked at.
const EXCHANGES_MAX: usize = 16;

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
/// The last question is itself read as complete: what it took from the one before is still spoken of.
/// Words in parentheses count for less when the question is answered.
pub(super) fn resolved(question: &str, conversation: &[Exchange]) -> String {
    let mut last: Option<Last<'_>> = None;
    for exchange in &conversation[conversation.len().saturating_sub(EXCHANGES_MAX)..] {
        let read = Read::new(capped(exchange.question.trim(), LEN_MAX), last.as_ref());
        last = Some(Last { read, answer: capped(&exchange.answer, LEN_MAX) });
    }
    Read::new(question, last.as_ref()).question
}

/// A question that was made complete.
struct Read {
    question: String,
    /// What its pronoun stood for.
    topic: Option<String>,
}

/// The exchange that a question follows.
struct Last<'a> {
    read: Read,
    answer: &'a str,
}

impl Read {
    fn new(question: &str, last: Option<&Last<'_>>) -> Self {
        let as_it_is = || Self { question: question.to_owned(), topic: None };
        let Some(last) = last else { return as_it_is() };
        let (bare, was_continued) = without_link(question);
        if has_open_pronoun(first_clause(bare)) && !has_own_subject(bare) {
            let topic = last.topic_of(bare);
            return Self { question: asked(&with_subject(bare, &topic)), topic: Some(topic) };
        }
        let n_content = content_words(bare).len();
        let n_words = words(bare).len();
        let topic_words = content(&last.read.question);
        if topic_words.is_empty() || n_words == 0 {
            return as_it_is();
        }
        if n_content == 0 && n_words <= 4 || was_continued && n_words <= 6 {
            let bare = bare.trim_end_matches(['?', '.', '!', ' ']);
            return Self { question: asked(&format!("{bare} ({topic_words})?")), topic: None };
        }
        as_it_is()
    }
}

impl Last<'_> {
    /// What a pronoun of the next question stands for: what one of this question stood for, or else
    /// its subject; for "she" and the like, the person whom the answer names, unless the question does.
    fn topic_of(&self, next: &str) -> String {
        if let Some(topic) = &self.read.topic {
            return topic.clone();
        }
        let question = &self.read.question;
        let topic = subject(question).unwrap_or_else(|| content(question));
        let is_whole = |name: &Name<'_>| name.trust >= 1.0 && name.text == topic;
        if !has_person_pronoun(next) || names(&topic).iter().any(is_whole) {
            return topic;
        }
        let is_person = |name: &Name<'_>| {
            name.text.contains(' ')
                && words(name.text).iter().all(|word| !question.contains(word.text))
        };
        let named = capitalised(self.answer).into_iter().find(is_person);
        named.map_or(topic, |name| name.text.to_owned())
    }
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
