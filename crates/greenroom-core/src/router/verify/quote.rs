//! What cited evidence says of a sentence, and where it says so.

use std::ops::Range;

use super::fold::{Folded, sentences};
use super::terms::Terms;
use crate::retriever::{Citation, Passage};
use crate::router::EvidenceTable;

/// The evidence that a claim cites.
#[derive(Debug)]
pub(super) struct Cited<'a> {
    passages: Vec<&'a Passage>,
    results: Vec<Folded>,
    /// The terms of all results.
    computed: Terms,
}

impl<'a> Cited<'a> {
    /// The evidence of these numbers; a number that does not exist is left out.
    pub(super) fn new(numbers: &[u32], table: &'a EvidenceTable) -> Self {
        let mut cited =
            Self { passages: Vec::new(), results: Vec::new(), computed: Terms::default() };
        for n in numbers {
            match table.get(*n) {
                Some((_, Some(passage))) => cited.passages.push(passage),
                Some((evidence, None)) => {
                    let result = Folded::new(&evidence.text);
                    cited.computed.add(Terms::new(&result));
                    cited.results.push(result);
                }
                None => {}
            }
        }
        cited
    }

    pub(super) fn is_empty(&self) -> bool {
        self.passages.is_empty() && self.results.is_empty()
    }

    /// Whether the claim stands somewhere in the evidence word for word.
    pub(super) fn has(&self, claim: &Folded) -> bool {
        let terms = Terms::new(claim);
        self.passages.iter().any(|passage| verbatim(claim, &terms, passage).is_some())
            || self.is_computed(claim, &terms)
    }

    /// The citations that support the claim: none are needed for what a tool has said; `None` when
    /// nothing supports it.
    pub(super) fn support(&self, claim: &Folded) -> Option<Vec<Citation>> {
        let terms = Terms::new(claim);
        let mut citations = Vec::new();
        for passage in &self.passages {
            let found = verbatim(claim, &terms, passage)
                .or_else(|| paraphrased(&terms, passage, &self.computed));
            if let Some(range) = found {
                let citation = citation(passage, range);
                if !citations.contains(&citation) {
                    citations.push(citation);
                }
            }
        }
        (!citations.is_empty() || self.is_computed(claim, &terms)).then_some(citations)
    }

    /// Whether a result says the claim, or the claim says all of a result and no other number.
    fn is_computed(&self, claim: &Folded, terms: &Terms) -> bool {
        let has_own_number = terms.exact.iter().any(|term| {
            term.starts_with(|symbol: char| symbol.is_numeric() || symbol == '-')
                && !self.computed.has_exact(term)
        });
        self.results.iter().any(|result| {
            let stated = result.text.trim_end_matches('.');
            let claimed = claim.text.trim_end_matches('.');
            let is_part = has_meaning(terms) && result.places(claimed).next().is_some();
            let is_whole = claim.places(stated).next().is_some() && !has_own_number;
            stated.contains(char::is_alphanumeric) && (is_part || is_whole)
        })
    }
}

/// Whether finding the words somewhere means anything: `is` and `the.` are found everywhere.
fn has_meaning(terms: &Terms) -> bool {
    terms.n_words >= 2 && !terms.words.is_empty()
}

/// Where the passage has the claim word for word, and does not deny it.
fn verbatim(claim: &Folded, terms: &Terms, passage: &Passage) -> Option<Range<usize>> {
    if !has_meaning(terms) {
        return None;
    }
    let folded = Folded::new(&passage.text);
    let spans = sentences(&passage.text);
    let is_denied = |at: usize| {
        let sentence = spans.iter().find(|span| span.contains(&at));
        let before = sentence.map_or("", |span| &passage.text[span.start..at]);
        let clause = before.rsplit([',', ';', ':', '(']).next().unwrap_or(before);
        Terms::new(&Folded::new(clause)).is_negated
    };
    let mut places = folded.places(&claim.text).map(|place| folded.origin(&place));
    let (first, last) = places.find(|(first, _)| !is_denied(*first))?;
    let end = passage.text[last..].chars().next().map_or(last, |symbol| last + symbol.len_utf8());
    // The emphasis and code marks around the words belong to the quotation: half a pair looks broken.
    let marks = ['*', '_', '`'];
    let first = passage.text[..first].trim_end_matches(marks).len();
    let behind = &passage.text[end..];
    Some(first..end + behind.len() - behind.trim_start_matches(marks).len())
}

/// The sentence of the passage that has most of the claim's words, together with `computed`; `None` when
/// even that one has less than 60 %, lacks a number or a unit, or says the contrary.
fn paraphrased(claim: &Terms, passage: &Passage, computed: &Terms) -> Option<Range<usize>> {
    let mut best = None;
    let mut n_best = 0;
    for span in sentences(&passage.text) {
        let found = Terms::new(&Folded::new(&passage.text[span.clone()]));
        let is_exact =
            claim.exact.iter().all(|term| found.has_exact(term) || computed.has_exact(term));
        if !is_exact || found.is_negated != claim.is_negated {
            continue;
        }
        let n_own = claim.words.iter().filter(|word| found.has_word(word)).count();
        let n_more = claim
            .words
            .iter()
            .filter(|word| !found.has_word(word) && computed.has_word(word))
            .count();
        let is_enough = n_own >= 2 && (n_own + n_more) * 5 >= claim.words.len() * 3;
        if is_enough && n_own + n_more > n_best {
            (best, n_best) = (Some(span), n_own + n_more);
        }
    }
    best
}

fn citation(passage: &Passage, range: Range<usize>) -> Citation {
    let line_of = |at: usize| {
        let n_before = passage.text[..at].matches('\n').count();
        let n_before = u32::try_from(n_before).unwrap_or(u32::MAX);
        passage.start_line.saturating_add(n_before).min(passage.end_line)
    };
    Citation {
        source: passage.source.clone(),
        start_line: line_of(range.start),
        end_line: line_of(range.end),
        quote: passage.text[range].to_owned(),
    }
}
