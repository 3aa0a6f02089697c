//! The second hop: passages about what the question, or one of the best passages, names.
//!
//! A question in two steps ("where was the director of X born?") shares no word with the passage
//! that answers it, except that the passage about X names it. So the titles of the index, headings
//! and file names, are looked for in the text of the best passages, and the passages they head are
//! raised in proportion to how good the passage was and how rare the title's words are.

use tantivy::{DocAddress, Searcher};

use super::Candidates;
use super::bm25::Scores;
use super::candidates::Word;
use super::query::QueryTerms;
use crate::index::{TITLE_KEY, TITLE_WORDS_MAX, TitleKey};
use crate::options::SearchOptions;

/// A title that so many sections share names none of them.
const NAMESAKES_MAX: usize = 3;
/// The most passages that one search reaches by their title.
const LINKS_MAX: usize = 64;

/// Which passages have which title.
pub(super) struct Titles {
    /// Sorted by key.
    entries: Vec<(u64, DocAddress)>,
    /// Where the entries begin whose keys begin with these bits: keys are hashes, so that a bucket
    /// holds one entry on average.
    buckets: Vec<u32>,
    shift: u32,
}

impl Titles {
    pub(super) fn open(searcher: &Searcher) -> tantivy::Result<Self> {
        let mut entries = Vec::new();
        for (ord, reader) in searcher.segment_readers().iter().enumerate() {
            let keys = reader.fast_fields().u64(TITLE_KEY)?;
            for doc in reader.doc_ids_alive() {
                let address = DocAddress::new(ord as u32, doc);
                entries.extend(keys.values_for_doc(doc).map(|key| (key, address)));
            }
        }
        entries.sort_unstable();
        let bits = (entries.len() + 1).next_power_of_two().ilog2().max(1);
        let shift = u64::BITS - bits;
        let mut buckets = vec![0_u32; (1 << bits) + 1];
        for (key, _) in &entries {
            buckets[(key >> shift) as usize + 1] += 1;
        }
        for i in 1..buckets.len() {
            buckets[i] += buckets[i - 1];
        }
        Ok(Self { entries, buckets, shift })
    }

    /// The passages with this title, unless it is too common to name any.
    fn get(&self, key: u64) -> &[(u64, DocAddress)] {
        let bucket = (key >> self.shift) as usize;
        let bucket = self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize;
        let bucket = &self.entries[bucket];
        let start = bucket.partition_point(|(found, _)| *found < key);
        let n = bucket[start..].partition_point(|(found, _)| *found == key);
        if n > NAMESAKES_MAX { &[] } else { &bucket[start..start + n] }
    }
}

/// A title found in a text.
struct Mention {
    address: DocAddress,
    /// The sum of the idf of the title's words.
    rarity: f32,
}

/// Raises passages that the question or one of the best candidates names.
pub(super) fn add(
    ranked: &mut Vec<super::Candidate>,
    query: &QueryTerms,
    scores: &Scores,
    candidates: &mut Candidates<'_>,
    options: &SearchOptions,
) -> tantivy::Result<()> {
    let Some(best) = ranked.first().map(|candidate| candidate.score) else { return Ok(()) };
    let unique = candidates.engine.scorer.idf_max();
    let mut links: Vec<(DocAddress, f32)> = Vec::new();
    let mut link = |mentions: Vec<Mention>, strength: f32, from: Option<DocAddress>| {
        for mention in mentions {
            if Some(mention.address) == from {
                continue;
            }
            let bonus = strength * (mention.rarity / unique).min(1.0);
            match links.iter().position(|(address, _)| *address == mention.address) {
                Some(i) => links[i].1 = links[i].1.max(bonus),
                None if links.len() < LINKS_MAX => links.push((mention.address, bonus)),
                None => {}
            }
        }
    };
    link(mentions(&query.words, candidates)?, 1.0, None);
    for candidate in ranked.iter().take(options.bridge_passages) {
        let strength = candidate.score / best;
        link(mentions(&candidate.words, candidates)?, strength, Some(candidate.address));
    }
    for (address, bonus) in links {
        let bonus = options.bridge_weight * best * bonus;
        match ranked.iter_mut().find(|candidate| candidate.address == address) {
            Some(candidate) => candidate.score += bonus,
            None => {
                let mut candidate = candidates.load(address)?;
                candidate.score = scores.get(address) + bonus;
                ranked.push(candidate);
            }
        }
    }
    Ok(())
}

/// The titles of the index that stand in a text, longest first at each place.
fn mentions(words: &[Word], candidates: &Candidates<'_>) -> tantivy::Result<Vec<Mention>> {
    let mut mentions = Vec::new();
    let words: Vec<&Word> = words.iter().filter(|word| !word.part).collect();
    let mut start = 0;
    while start < words.len() {
        let mut key = TitleKey::default();
        let mut longest = None;
        for (i, word) in words[start..].iter().take(TITLE_WORDS_MAX).enumerate() {
            key.push(candidates.vocabulary.term(word.id));
            let found = candidates.engine.titles.get(key.value());
            if !found.is_empty() {
                longest = Some((i + 1, found));
            }
        }
        let Some((n_words, found)) = longest else {
            start += 1;
            continue;
        };
        let mut rarity = 0.0;
        for word in words[start..start + n_words].iter().filter(|word| !word.stop) {
            rarity += candidates.engine.scorer.idf(candidates.vocabulary.term(word.id))?;
        }
        mentions.extend(found.iter().map(|&(_, address)| Mention { address, rarity }));
        start += n_words;
    }
    Ok(mentions)
}
