//! The material at hand: passages cut into units, with what is needed to score them. Never changes
//! a unit's words.

use std::collections::{HashMap, HashSet};

use super::text::{Lexicon, TermId, Unit, capped, units};

/// Passages beyond this many are not read.
const PASSAGES_MAX: usize = 200;
/// A passage is read up to this many bytes.
const PASSAGE_LEN_MAX: usize = 20_000;
/// All passages together are read up to this many bytes.
const TOTAL_LEN_MAX: usize = 1_000_000;

/// A passage to read.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    /// The number by which the caller knows it.
    pub(super) id: u32,
    /// The headings above it, and its file's name: words that its sentences need not repeat.
    pub(super) heading: String,
    /// What it is about: its own heading, or its file's name.
    pub(super) title: &'a str,
    /// Its text.
    pub(super) text: &'a str,
}

/// A unit with its terms.
#[derive(Debug)]
pub(super) struct Entry {
    /// The passage that the unit is from, as its caller knows it.
    pub(super) id: u32,
    /// How many passages stand before its passage.
    pub(super) rank: usize,
    /// The unit.
    pub(super) unit: Unit,
    /// Its terms, in its order.
    pub(super) terms: Vec<TermId>,
    /// The terms of the headings above it and of the sentence that introduces its list.
    pub(super) above: HashSet<TermId>,
    /// The terms of what it is about: the nearest heading.
    pub(super) title: Vec<TermId>,
}

impl Entry {
    /// Whether the words name what another entry is about.
    pub(super) fn names_topic_of(&self, other: &Self) -> bool {
        !other.title.is_empty() && other.title.iter().all(|term| self.terms.contains(term))
    }
}

/// Every unit of the passages at hand.
pub(super) struct Corpus {
    pub(super) lexicon: Lexicon,
    pub(super) entries: Vec<Entry>,
    /// How many entries have a term.
    n_entries_with: HashMap<TermId, u32>,
}

impl Corpus {
    /// Reads passages, in the order of their relevance.
    pub(super) fn new<'a>(sources: impl IntoIterator<Item = Source<'a>>) -> Self {
        let mut corpus =
            Self { lexicon: Lexicon::new(), entries: Vec::new(), n_entries_with: HashMap::new() };
        let mut len_left = TOTAL_LEN_MAX;
        for (rank, source) in sources.into_iter().take(PASSAGES_MAX).enumerate() {
            let text = capped(source.text, PASSAGE_LEN_MAX.min(len_left));
            len_left -= text.len();
            corpus.read(rank, &source, text);
        }
        corpus
    }

    fn read(&mut self, rank: usize, source: &Source<'_>, text: &str) {
        let first = self.entries.len();
        let heading = self.lexicon.terms(capped(&source.heading, 500));
        let title = self.title(source.title);
        for unit in units(text) {
            let terms = self.lexicon.terms(&unit.text);
            let mut above: HashSet<_> = heading.iter().copied().collect();
            let own_title =
                if unit.heading.is_empty() { None } else { Some(self.title(&unit.heading)) };
            let title = own_title.unwrap_or_else(|| title.clone());
            above.extend(self.lexicon.terms(&unit.heading));
            if let Some(lead) = unit.lead {
                above.extend(&self.entries[first + lead].terms);
            }
            let distinct: HashSet<_> = terms.iter().chain(&above).copied().collect();
            for term in distinct {
                *self.n_entries_with.entry(term).or_default() += 1;
            }
            self.entries.push(Entry { id: source.id, rank, unit, terms, above, title });
        }
    }

    /// The terms of a title, without what stands in parentheses: "Senet (board game)".
    fn title(&mut self, title: &str) -> Vec<TermId> {
        let name = capped(title, 200).split(" (").next().unwrap_or_default();
        self.lexicon.terms(name)
    }

    /// How much a term tells: the inverse document frequency with units as documents, smoothed so
    /// that it is 1 for a term that every unit has.
    pub(super) fn idf(&self, term: TermId) -> f32 {
        let n_with = self.n_entries_with.get(&term).copied().unwrap_or(0);
        1.0 + ((self.entries.len() as f32 + 1.0) / (n_with as f32 + 1.0)).ln()
    }
}
