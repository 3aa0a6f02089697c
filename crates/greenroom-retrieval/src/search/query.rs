//! What a query asks for: its words, weighed and bounded.

use std::collections::HashMap;

use super::bm25::Scorer;
use super::candidates::{TermId, Vocabulary, Word};

/// The most bytes of a query that are read.
const BYTES_MAX: usize = 64 << 10;
/// The most terms that are searched for; of more, those that say most are kept.
const TERMS_MAX: usize = 64;

/// The terms of a query.
#[derive(Debug)]
pub(super) struct QueryTerms {
    /// Each term once, with how often it occurs, in the order of the query.
    pub(super) terms: Vec<(TermId, f32)>,
    /// The words as they stand, for proximity and titles.
    pub(super) words: Vec<Word>,
}

impl QueryTerms {
    /// Reads a query. Stop words are dropped unless there is nothing else.
    pub(super) fn new(
        text: &str,
        vocabulary: &mut Vocabulary,
        scorer: &Scorer,
    ) -> tantivy::Result<Self> {
        let mut end = text.len().min(BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let words = vocabulary.words(&text[..end]);
        let all_stop = words.iter().all(|word| word.stop);
        let mut counts: HashMap<TermId, f32> = HashMap::new();
        let mut order = Vec::new();
        for word in words.iter().filter(|word| all_stop || !word.stop) {
            let count = counts.entry(word.id).or_insert(0.0);
            if *count == 0.0 {
                order.push(word.id);
            }
            *count += 1.0;
        }
        let mut terms: Vec<(TermId, f32)> = order.into_iter().map(|id| (id, counts[&id])).collect();
        if terms.len() > TERMS_MAX {
            let mut weighed = Vec::with_capacity(terms.len());
            for (place, &(id, count)) in terms.iter().enumerate() {
                let term = vocabulary.term(id);
                // A word that is nowhere in the index finds nothing, however rare it is.
                let found = scorer.n_chunks_with(term)? > 0;
                let weight = if found { scorer.idf(term)? * count } else { 0.0 };
                weighed.push((weight, place));
            }
            weighed.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
            weighed.truncate(TERMS_MAX);
            weighed.sort_by_key(|&(_, place)| place);
            terms = weighed.into_iter().map(|(_, place)| terms[place]).collect();
        }
        Ok(Self { terms, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::Analyzer;
    use crate::index::reader;
    use crate::store::Store;

    #[test]
    fn a_query_has_a_bounded_number_of_terms_in_its_own_order() {
        let searcher = reader(&Store::in_memory().index).unwrap().searcher();
        let scorer = Scorer::open(&searcher).unwrap();
        let mut vocabulary = Vocabulary::new(Analyzer::default());
        let text: String = (0..5_000).map(|i| format!("the w{i} ")).collect();
        let query = QueryTerms::new(&text, &mut vocabulary, &scorer).unwrap();
        assert_eq!(query.terms.len(), TERMS_MAX);
        assert!(query.terms.is_sorted_by_key(|(id, _)| *id));
        let query = QueryTerms::new("b a the b", &mut vocabulary, &scorer).unwrap();
        let terms: Vec<_> =
            query.terms.iter().map(|&(id, count)| (vocabulary.term(id), count)).collect();
        assert_eq!(terms, [("b", 2.0)]);
    }
}
