//! How well a unit answers a question.

use super::corpus::{Corpus, Entry};
use super::text::{Kind, Question, TermId, UnitKind, Word, words};

/// How much of a term counts that stands in the headings, not in the unit.
const ABOVE: f32 = 0.6;
/// How much of a term counts that stands in the nearest heading, when the question has all of that
/// heading: the passage is about what is asked for, and calls it "it".
const TITLE: f32 = 0.9;
/// How much of a term counts when the unit has a related one.
const RELATED: f32 = 0.6;
/// How much of a term counts that only the sentence before it in its paragraph has.
const BEFORE: f32 = 0.35;

/// What a unit gains that says what the thing asked for is.
const DEFINES: f32 = 0.3;
/// How much of a term counts that is a part of a name, when the other part stands elsewhere.
const APART: f32 = 0.4;

/// How well one unit answers a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    /// Per term of the question, how far the unit has it, from 0 to 1.
    pub(super) matches: Vec<f32>,
    /// The weighted share of the question that the unit has, from 0 to 1.
    pub(super) coverage: f32,
    /// Coverage and everything that makes one unit a better answer than another.
    pub(super) total: f32,
    /// Whether it has the kind of thing that is asked for; of a definition, whether it says what the
    /// thing is or does.
    pub(super) is_of_kind: bool,
}

/// A question weighed against the material at hand.
pub(super) struct Scoring<'a> {
    corpus: &'a Corpus,
    question: &'a Question,
    weights: Vec<f32>,
    weight_total: f32,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(corpus: &'a Corpus, question: &'a Question) -> Self {
        let weights: Vec<f32> =
            question.terms.iter().map(|term| term.weight * corpus.idf(term.term)).collect();
        let weight_total = weights.iter().sum::<f32>().max(f32::EPSILON);
        Self { corpus, question, weights, weight_total }
    }

    /// The weighted share of the question that these matches are, from 0 to 1.
    pub(super) fn coverage(&self, matches: &[f32]) -> f32 {
        let sum: f32 =
            matches.iter().zip(&self.weights).map(|(share, weight)| share * weight).sum();
        sum / self.weight_total
    }

    /// Scores the entry with this index.
    pub(super) fn score(&self, index: usize) -> Score {
        let entry = &self.corpus.entries[index];
        let is_topic = self.is_topic(entry);
        let before = entry.unit.continues.then(|| &self.corpus.entries[index - 1]);
        let mut matches: Vec<f32> = self
            .question
            .terms
            .iter()
            .map(|term| {
                if entry.terms.contains(&term.term) {
                    1.0
                } else if is_topic && entry.title.contains(&term.term) {
                    TITLE
                } else if entry.above.contains(&term.term) {
                    ABOVE
                } else if term.related.iter().any(|related| entry.terms.contains(related)) {
                    RELATED
                } else if before.is_some_and(|before| before.terms.contains(&term.term)) {
                    BEFORE
                } else {
                    0.0
                }
            })
            .collect();
        for &(first, second) in &self.question.compounds {
            let pair = [self.question.terms[first].term, self.question.terms[second].term];
            let is_apart = matches[first] == 1.0
                && matches[second] == 1.0
                && !entry.terms.windows(2).any(|window| window == pair);
            if is_apart {
                matches[first] = APART;
                matches[second] = APART;
            }
        }
        let coverage = self.coverage(&matches);
        let is_of_kind = self.is_of_kind(entry);
        let prior = 0.04 / (1.0 + entry.rank as f32);
        let topic = if is_topic { 0.08 } else { 0.0 };
        let bonus = self.proximity(entry) + self.definition(entry) + prior + topic;
        let shape = shape(entry, self.question.kind);
        let kind = if is_of_kind { 1.0 } else { 0.65 };
        let total = if coverage > 0.0 { (coverage + bonus) * shape * kind } else { 0.0 };
        Score { matches, coverage, total, is_of_kind }
    }

    /// Whether a word of a text is one of the question's.
    pub(super) fn is_in_question(&self, word: &str) -> bool {
        self.question.terms.iter().any(|term| term.word.eq_ignore_ascii_case(word))
    }

    /// Whether the question names all of what the entry is about.
    pub(super) fn is_topic(&self, entry: &Entry) -> bool {
        let is_asked = |term: &TermId| self.question.terms.iter().any(|known| known.term == *term);
        !entry.title.is_empty() && entry.title.iter().all(is_asked)
    }

    fn is_of_kind(&self, entry: &Entry) -> bool {
        let is_shown = entry.unit.kind == UnitKind::Code || entry.unit.introduces();
        is_shown && self.question.kind == Kind::Manner
            || self.question.kind.is_answered_by(&entry.unit.text, |word| self.is_in_question(word))
    }

    /// Terms that are neighbours in the question and in the unit, up to 0.15.
    fn proximity(&self, entry: &Entry) -> f32 {
        let terms = &self.question.terms;
        if terms.len() < 2 {
            return 0.0;
        }
        let is_near = |first: TermId, second: TermId| {
            entry.terms.windows(3).any(|window| window[0] == first && window[1..].contains(&second))
                || entry.terms.windows(2).any(|window| window == [first, second])
        };
        let n_near = terms.windows(2).filter(|pair| is_near(pair[0].term, pair[1].term)).count();
        0.15 * n_near as f32 / (terms.len() - 1) as f32
    }

    /// Whether the unit begins with the thing asked for and says what it is.
    pub(super) fn defines(&self, entry: &Entry) -> bool {
        self.definition(entry) >= DEFINES
    }

    /// 0.3 when the unit begins with the thing asked for and says what it is: "A slot is ...",
    /// "`slot`: ..."; less when it says what the thing does, only begins with it, or comes to it later.
    fn definition(&self, entry: &Entry) -> f32 {
        if self.question.kind != Kind::Definition || entry.unit.kind == UnitKind::Code {
            return 0.0;
        }
        let Some(subject) = self.question.terms.last() else { return 0.0 };
        let singular = |word: &str| word.to_lowercase().trim_end_matches('s').to_owned();
        let subject = singular(&subject.word);
        let text = &entry.unit.text;
        let words = words(text);
        let Some(at) = words.iter().take(8).position(|word| singular(word.text) == subject) else {
            return 0.0;
        };
        let is_before = |word: &Word<'_>| {
            self.is_in_question(word.text)
                || matches!(word.text, "A" | "An" | "The" | "a" | "an" | "the")
        };
        let begins = words[..at].iter().all(is_before);
        let after = text[words[at].end()..].trim_start_matches(['`', '*', '"', '”', ')', ' ']);
        let verbs = [
            "is ", "are ", "was ", "were ", "means ", "refers ", ": ", "— ", "– ", "- ", "| ", "(",
        ];
        let next = after.split_whitespace().next().unwrap_or_default();
        let acts = next.len() > 3
            && next.ends_with('s')
            && next.bytes().all(|byte| byte.is_ascii_lowercase());
        let defines = verbs.iter().any(|verb| after.starts_with(verb));
        match (begins, defines) {
            (true, true) => DEFINES,
            (true, false) if acts => 0.2,
            (true, false) => 0.1,
            (false, true) => 0.04,
            (false, false) => 0.0,
        }
    }
}

/// Less for what reads badly as an answer: lines of code, very long and very short units, links, questions.
fn shape(entry: &Entry, kind: Kind) -> f32 {
    let of_kind = match entry.unit.kind {
        UnitKind::Code if kind == Kind::Manner => 0.95,
        UnitKind::Code => 0.75,
        UnitKind::Row => 0.95,
        UnitKind::Sentence | UnitKind::Item => 1.0,
    };
    let of_length = match entry.terms.len() {
        0..=2 if kind == Kind::Manner && entry.unit.introduces() => 1.0,
        0..=2 => 0.8,
        3..=35 => 1.0,
        36..=60 => 0.93,
        _ => 0.85,
    };
    let of_links = if entry.unit.is_mostly_links() { 0.6 } else { 1.0 };
    let is_question = entry.unit.text.ends_with('?');
    of_kind * of_length * of_links * if is_question { 0.6 } else { 1.0 }
}
