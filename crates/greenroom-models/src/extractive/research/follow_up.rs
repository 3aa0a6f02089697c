//! Follow-up searches: what the passages name that the question did not, and what they left open.

use crate::extractive::corpus::{Corpus, Entry};
use crate::extractive::names::{Name, names};
use crate::extractive::selection::{Wanted, ranked};
use crate::extractive::text::{Question, capped};

/// How many of the best units are read for names.
const UNITS_READ: usize = 4;
/// How many uncovered words a query takes along.
const OPEN_WORDS_MAX: usize = 6;

/// The searches that could bring what is missing, most promising first; none when there are none.
///
/// A name in the question that no passage is about comes first; then names in the best units that the
/// question does not have, with the words of the question that those units leave open.
pub(super) fn queries(text: &str, corpus: &mut Corpus, question: &Question) -> Vec<String> {
    let wanted = Wanted { n_max: 0, n_items_max: 0, is_allowed: &|_| true, bonus: &|_| 0.0 };
    let best: Vec<_> = ranked(corpus, question, &wanted).into_iter().take(UNITS_READ).collect();
    let mut candidates: Vec<(f32, String)> = Vec::new();
    for name in names(text).iter().filter(|name| name.trust > 0.5 && !is_known(name, corpus)) {
        candidates.push((2.0 * name.trust, name.text.to_owned()));
    }
    for (index, score) in best {
        let entry = &corpus.entries[index];
        let weight = score.total * if is_topic(entry, question) { 1.5 } else { 1.0 };
        let open = question.terms.iter().zip(&score.matches).filter(|(_, share)| **share < 0.5);
        let open: Vec<&str> =
            open.map(|(term, _)| term.word.as_str()).take(OPEN_WORDS_MAX).collect();
        let text = entry.unit.text.clone();
        for name in names(&text) {
            if is_new(&name, corpus, question) && !is_a_topic(&name, corpus) {
                candidates.push((name.trust * weight, format!("{} {}", name.text, open.join(" "))));
            }
        }
    }
    candidates.sort_by(|left, right| right.0.total_cmp(&left.0));
    let mut queries: Vec<String> = Vec::new();
    for (_, query) in candidates {
        let query = capped(query.trim(), super::QUERY_LEN_MAX).to_owned();
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    queries
}

/// Whether the question names all of what an entry is about.
fn is_topic(entry: &Entry, question: &Question) -> bool {
    let is_asked = |term: &u32| question.terms.iter().any(|known| known.term == *term);
    !entry.title.is_empty() && entry.title.iter().all(is_asked)
}

/// Whether a name has a word that the question does not have.
fn is_new(name: &Name<'_>, corpus: &mut Corpus, question: &Question) -> bool {
    let terms = corpus.lexicon.terms(name.text);
    !terms.iter().all(|term| question.terms.iter().any(|known| known.term == *term))
}

/// Whether a unit has all words of the name.
fn is_known(name: &Name<'_>, corpus: &mut Corpus) -> bool {
    let terms = corpus.lexicon.terms(name.text);
    let has = |term: &u32, entry: &Entry| entry.terms.contains(term) || entry.above.contains(term);
    corpus.entries.iter().any(|entry| terms.iter().all(|term| has(term, entry)))
}

/// Whether a passage stands below a heading that has all words of the name: it was looked up then.
fn is_a_topic(name: &Name<'_>, corpus: &mut Corpus) -> bool {
    let terms = corpus.lexicon.terms(name.text);
    corpus.entries.iter().any(|entry| terms.iter().all(|term| entry.above.contains(term)))
}
