//! A question: what it asks for, and the terms that an answer should have.

use super::kind::Kind;
use super::lexicon::{Lexicon, TermId};
use super::related::related;
use super::words::{Word, capped, is_one_of, words};

/// A question has at most this many terms; the rest is not considered.
const TERMS_MAX: usize = 48;
/// A question is read up to this many bytes.
const LEN_MAX: usize = 4_000;
/// How much a term counts that stands in an aside, in parentheses.
const ASIDE: f32 = 0.5;
/// How much a term counts that says little, such as "use".
const VAGUE: f32 = 0.15;
/// How much a term next to the question word counts: "which city" asks for the city.
const FOCUS: f32 = 1.2;

/// A question that was read.
#[derive(Debug)]
pub(crate) struct Question {
    /// The distinct content words, in the question's order.
    pub(crate) terms: Vec<QuestionTerm>,
    /// What kind of answer it asks for.
    pub(crate) kind: Kind,
    /// The plural noun that is to be listed, as in "what are the strategies of a supervisor?"
    pub(crate) listed: Option<TermId>,
    /// Pairs of terms, by their indices, that are parts of one name: `async-trait`, `rest_for_one`.
    pub(crate) compounds: Vec<(usize, usize)>,
}

/// A content word of a question.
#[derive(Debug)]
pub(crate) struct QuestionTerm {
    /// The word as it stands in the question.
    pub(crate) word: String,
    /// Its term.
    pub(crate) term: TermId,
    /// The terms that answers use instead of it.
    pub(crate) related: Vec<TermId>,
    /// How much it counts, before it is known how rare it is.
    pub(crate) weight: f32,
}

impl Question {
    /// Reads a question, its terms numbered by `lexicon`.
    pub(crate) fn new(text: &str, lexicon: &mut Lexicon) -> Self {
        let text = capped(text, LEN_MAX);
        let words = words(text);
        let mut terms = content(text, &words, lexicon, Lexicon::term);
        if terms.is_empty() {
            terms = content(text, &words, lexicon, |lexicon, word| Some(lexicon.stem(word)));
        }
        let kind = Kind::of(&words, terms.len());
        let compounds = compounds(text, &words, &terms);
        let listed = listed(&words, &terms);
        Self { terms, kind, listed, compounds }
    }
}

fn content(
    text: &str,
    words: &[Word<'_>],
    lexicon: &mut Lexicon,
    term: impl Fn(&mut Lexicon, &str) -> Option<TermId>,
) -> Vec<QuestionTerm> {
    let mut terms: Vec<QuestionTerm> = Vec::new();
    let mut after_question_word = false;
    for word in words {
        let lower = word.text.to_lowercase();
        let found = term(lexicon, word.text);
        let is_new = |term: &TermId| terms.iter().all(|known| known.term != *term);
        if let Some(term) = found.filter(is_new)
            && terms.len() < TERMS_MAX
        {
            let weight = if is_vague(&lower) {
                VAGUE
            } else if is_aside(text, word.start) {
                ASIDE
            } else if after_question_word {
                FOCUS
            } else {
                1.0
            };
            let related = related(term, lexicon);
            terms.push(QuestionTerm { word: word.text.to_owned(), term, related, weight });
        }
        after_question_word = matches!(lower.as_str(), "what" | "which" | "whose");
    }
    terms
}

fn listed(words: &[Word<'_>], terms: &[QuestionTerm]) -> Option<TermId> {
    let first = words.first()?.text.to_lowercase();
    let asks = matches!(first.as_str(), "what" | "which" | "list" | "name");
    let is_plural = |term: &&QuestionTerm| term.word.ends_with('s') && !term.word.ends_with("ss");
    let names_more = terms.len() > 1 || first != "what";
    terms.iter().find(is_plural).filter(|_| asks && names_more).map(|term| term.term)
}

fn compounds(text: &str, words: &[Word<'_>], terms: &[QuestionTerm]) -> Vec<(usize, usize)> {
    let index = |word: &Word<'_>| terms.iter().position(|term| term.word == word.text);
    let joined = |pair: &&[Word<'_>]| {
        matches!(&text[pair[0].end()..pair[1].start], "-" | "_" | "::" | "." | "/")
    };
    let pairs = words.windows(2).filter(joined);
    pairs.filter_map(|pair| Some((index(&pair[0])?, index(&pair[1])?))).collect()
}

fn is_aside(text: &str, at: usize) -> bool {
    let before = &text[..at];
    before.rfind('(').is_some_and(|open| before.rfind(')').is_none_or(|close| close < open))
}

/// Whether a lowercase word says little about what is asked for.
pub(crate) fn is_vague(word: &str) -> bool {
    is_one_of(VAGUE_WORDS, word)
}

const VAGUE_WORDS: &str = "
    use used uses using work works working mean means happen happens make makes get gets give
    given tell explain describe define list show name named called know known need want possible
    way ways kind type types thing things exactly actually compare difference find take role
    purpose meaning value go goes let like various respective project number count amount total
";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(question: &str, kind: Kind, terms: &[&str]) {
        let question = Question::new(question, &mut Lexicon::new());
        let found: Vec<_> = question.terms.iter().map(|term| term.word.as_str()).collect();
        assert_eq!((question.kind, found.as_slice()), (kind, terms));
    }

    #[test]
    fn a_question_says_what_it_asks_for() {
        check("How many slots are there?", Kind::Count, &["slots"]);
        check(
            "What is the default mailbox capacity?",
            Kind::Number,
            &["default", "mailbox", "capacity"],
        );
        check("In what year was it founded?", Kind::Time, &["year", "founded"]);
        check("Who wrote Hamlet?", Kind::Person, &["wrote", "Hamlet"]);
        check("The company is based in what city?", Kind::Place, &["company", "based", "city"]);
        check("What is a slot?", Kind::Definition, &["slot"]);
        check("Why does it wait?", Kind::Reason, &["wait"]);
        check("How do I install it?", Kind::Manner, &["install"]);
        check("Does it support Windows?", Kind::Fact, &["support", "Windows"]);
        check("why?", Kind::Reason, &["why"]);
        check("", Kind::Fact, &[]);
    }
}
