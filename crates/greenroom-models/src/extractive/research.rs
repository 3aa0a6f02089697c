//! The researcher: searches until the question is covered, then says the sentences that answer it.

use std::collections::HashSet;

use greenroom_core::brief::ResearchBrief;
use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::retriever::Passage;
use greenroom_core::tool::ToolSpec;
use serde_json::{Value, json};

use super::Decision;
use super::corpus::{Corpus, Source};
use super::scoring::Scoring;
use super::selection::{Selection, Wanted, select};
use super::text::{Kind, Question, capped};

mod follow_up;
mod number;

/// The tool that a researcher works with: `{"query": string}` to `{"passages": [Passage]}`.
const SEARCH: &str = "search";
/// How many rounds of searching are made before the answer is what there is.
const ROUNDS_MAX: usize = 3;
/// How many searches one round makes at most.
const QUERIES_MAX: usize = 2;
/// What is searched for besides a thing's name when its mentions do not say what it is.
const OVERVIEW: &str = "overview introduction";
/// How much of the question must be covered for no further search to be made.
const COVERED: f32 = 0.8;
/// How many sentences an answer has at most.
const SENTENCES_MAX: usize = 3;
/// A query has at most this many bytes.
const QUERY_LEN_MAX: usize = 300;

/// Decides the next turn of a researcher: further searches, or the answer. An empty answer says that
/// nothing was found.
///
/// The searches end when the question is covered, when the last round brought no new passage, after
/// [`ROUNDS_MAX`] rounds, or when no search is offered any more. No query is made twice.
pub(super) fn research(brief: &ResearchBrief, since: &[Message], tools: &[ToolSpec]) -> Decision {
    let can_search = tools.iter().any(|tool| tool.name == SEARCH);
    let history = History::read(since);
    if can_search && history.n_rounds == 0 {
        return calls(first_queries(brief));
    }
    let sources = history.passages.iter().map(source);
    let mut corpus = Corpus::new(sources);
    let question = Question::new(&brief.question, &mut corpus.lexicon);
    let selection = select(
        &corpus,
        &question,
        &Wanted {
            n_max: SENTENCES_MAX,
            n_items_max: SENTENCES_MAX,
            is_allowed: &|_| true,
            bonus: &|_| 0.0,
        },
    );
    let is_covered = selection.coverage >= COVERED && selection.is_of_kind;
    let is_answered = is_covered && is_defined(&corpus, &question, &selection);
    if can_search && !is_answered && history.n_rounds < ROUNDS_MAX && history.n_new_last > 0 {
        let queries = if is_covered {
            vec![format!("{} {OVERVIEW}", query_of(&brief.question))]
        } else {
            follow_up::queries(&brief.question, &mut corpus, &question)
        };
        let queries: Vec<_> = queries
            .into_iter()
            .filter(|query| !history.has_query(query))
            .take(QUERIES_MAX)
            .collect();
        if !queries.is_empty() {
            return calls(queries);
        }
    }
    Decision::Say(text(&corpus, &question, &selection))
}

/// Whether a chosen unit says what the thing is, when that is the question.
fn is_defined(corpus: &Corpus, question: &Question, selection: &Selection) -> bool {
    let scoring = Scoring::new(corpus, question);
    question.kind != Kind::Definition
        || selection.chosen.iter().any(|&index| scoring.defines(&corpus.entries[index]))
}

fn calls(queries: Vec<String>) -> Decision {
    let call = |query: String| (SEARCH.to_owned(), json!({ "query": query }));
    Decision::Call(queries.into_iter().map(call).collect())
}

/// The passages so far, in the order in which they came, and the queries that brought them.
struct History {
    queries: Vec<String>,
    passages: Vec<Passage>,
    n_rounds: usize,
    /// How many passages the last round brought that were not there before.
    n_new_last: usize,
}

impl History {
    fn read(since: &[Message]) -> Self {
        let mut history =
            Self { queries: Vec::new(), passages: Vec::new(), n_rounds: 0, n_new_last: 0 };
        let mut seen = HashSet::new();
        for message in since {
            match message {
                Message::Assistant { tool_calls, .. } => {
                    let searches = tool_calls.iter().filter(|call| call.name == SEARCH);
                    let queries = searches.filter_map(|call| call.arguments["query"].as_str());
                    let n_before = history.queries.len();
                    history.queries.extend(queries.map(str::to_owned));
                    if history.queries.len() > n_before {
                        history.n_rounds += 1;
                        history.n_new_last = 0;
                    }
                }
                Message::Tool { name, outcome: ToolOutcome::Ok(value), .. } if name == SEARCH => {
                    let new = passages(value).filter(|passage| seen.insert(passage.location()));
                    let n_before = history.passages.len();
                    history.passages.extend(new);
                    history.n_new_last += history.passages.len() - n_before;
                }
                _ => {}
            }
        }
        history
    }

    /// Whether a query with the same words was made.
    fn has_query(&self, query: &str) -> bool {
        let words = |query: &str| {
            let mut words: Vec<_> = query.split_whitespace().map(str::to_lowercase).collect();
            words.sort();
            words
        };
        let query = words(query);
        self.queries.iter().any(|earlier| words(earlier) == query)
    }
}

fn passages(value: &Value) -> impl Iterator<Item = Passage> {
    let list = value["passages"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    list.iter().filter_map(|passage| serde_json::from_value(passage.clone()).ok())
}

fn source(passage: &Passage) -> Source<'_> {
    Source {
        id: 0,
        heading: format!("{} {}", passage.heading.join(" "), file_stem(&passage.source)),
        title: passage.heading.last().map_or(file_stem(&passage.source), String::as_str),
        text: &passage.text,
    }
}

/// `docs/mailbox.md:10-20` is about `mailbox`.
pub(super) fn file_stem(source: &str) -> &str {
    let file = source.rsplit(['/', '\\']).next().unwrap_or(source);
    file.split_once('.').map_or(file, |(stem, _)| stem)
}

/// The question's content words; and with the names that earlier tasks found, when there are any.
fn first_queries(brief: &ResearchBrief) -> Vec<String> {
    let plain = query_of(&brief.question);
    let found = brief.context.iter().flat_map(|finding| super::names::names(&finding.text));
    let names: Vec<_> =
        found.filter(|name| name.trust > 0.5).map(|name| name.text).take(3).collect();
    let with_names = (!names.is_empty())
        .then(|| capped(&format!("{} {plain}", names.join(" ")), QUERY_LEN_MAX).to_owned());
    std::iter::once(plain).chain(with_names).collect()
}

fn query_of(question: &str) -> String {
    let read = Question::new(question, &mut super::text::Lexicon::new());
    let words: Vec<_> = read.terms.iter().map(|term| term.word.as_str()).collect();
    let query = if words.is_empty() { question.trim().to_owned() } else { words.join(" ") };
    capped(&query, QUERY_LEN_MAX).to_owned()
}

/// The chosen sentences. Where a number is asked for, the first sentence that has one comes first and
/// begins so late that its first number is the one asked for: calculations read the first number.
fn text(corpus: &Corpus, question: &Question, selection: &Selection) -> String {
    let chosen = selection.chosen.iter();
    let mut sentences: Vec<&str> =
        chosen.map(|&index| corpus.entries[index].unit.text.as_str()).collect();
    if matches!(question.kind, Kind::Count | Kind::Number) {
        let is_asked =
            |word: &str| question.terms.iter().any(|term| term.word.eq_ignore_ascii_case(word));
        sentences.sort_by_key(|sentence| !question.kind.is_answered_by(sentence, is_asked));
        if let Some(first) = sentences.first_mut() {
            *first = number::first(first, question);
        }
    }
    let ended = sentences.into_iter().map(|sentence| {
        let is_ended = sentence.ends_with(['.', '!', '?', '。', ':', ';', ',']);
        if is_ended { sentence.to_owned() } else { format!("{sentence}.") }
    });
    ended.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
