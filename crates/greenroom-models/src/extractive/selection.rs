//! The choice of the units that answer a question together: the best one, and those that add to it.

use std::collections::HashSet;

use super::corpus::{Corpus, Entry};
use super::scoring::{Score, Scoring};
use super::text::{Kind, Question, UnitKind, normalised};

/// How much of the question must be covered by units that are linked for them to be an answer.
const COVERAGE_MIN: f32 = 0.5;
/// How much more, when none of them has the kind of thing that is asked for.
const OFF_KIND: f32 = 0.2;
/// How much less, when the question has so many words that few passages have many of them by chance.
const LONG: f32 = 0.1;
/// How many words that is.
const LONG_TERMS: usize = 8;
/// How much of a question of at most two words one unit must cover alone, and of one of three.
const COVERAGE_MIN_SHORT: [f32; 2] = [0.75, 0.6];
/// How good a further unit must be, compared with the best one, when it adds nothing of the question.
const NEARLY_AS_GOOD: f32 = 0.9;
/// How much of its gain counts for a further unit that is linked to none.
const UNLINKED: f32 = 0.5;
/// How much of a question the headings and the lead of a list must cover for it to be the answer.
const LIST_COVERAGE_MIN: f32 = 0.55;
/// How good prose must be, compared with the best unit, for no row of a table to be said: a row is no sentence.
const PROSE_MIN: f32 = 0.7;
/// How much two units may have in common.
const OVERLAP_MAX: f32 = 0.6;

/// The units that answer a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selection {
    /// Indices of entries, best first.
    pub(super) chosen: Vec<usize>,
    /// The share of the question that those have together which are linked, from 0 to 1.
    pub(super) coverage: f32,
    /// Whether one of them has the kind of thing that is asked for.
    pub(super) is_of_kind: bool,
}

/// What is to be chosen.
pub(super) struct Wanted<'a> {
    /// The most units to choose.
    pub(super) n_max: usize,
    /// The most items to choose when the question asks for a list.
    pub(super) n_items_max: usize,
    /// Which entries can be chosen.
    pub(super) is_allowed: &'a dyn Fn(&Entry) -> bool,
    /// What is added to the score of an entry.
    pub(super) bonus: &'a dyn Fn(&Entry) -> f32,
}

/// Scores every unit; entries that have nothing of the question are left out.
pub(super) fn ranked(
    corpus: &Corpus,
    question: &Question,
    wanted: &Wanted<'_>,
) -> Vec<(usize, Score)> {
    let scoring = Scoring::new(corpus, question);
    let mut ranked: Vec<(usize, Score)> = Vec::new();
    let mut seen = HashSet::new();
    for (i, entry) in corpus.entries.iter().enumerate() {
        if !(wanted.is_allowed)(entry) {
            continue;
        }
        let mut score = scoring.score(i);
        if score.coverage > 0.0 && seen.insert(normalised(&entry.unit.text)) {
            score.total += (wanted.bonus)(entry);
            ranked.push((i, score));
        }
    }
    ranked.sort_by(|left, right| right.1.total.total_cmp(&left.1.total));
    ranked
}

/// How a further unit hangs together with those that are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// A chosen unit names what it is about, and the question does not: it answers the next step.
    Bridge,
    /// It is of the same passage, is about what the question names, or names what a chosen one is about.
    Close,
    None,
}

impl Link {
    /// What it gains by the link.
    fn bonus(self) -> f32 {
        match self {
            Self::Bridge => 0.25,
            Self::Close => 0.08,
            Self::None => 0.0,
        }
    }

    /// How much of the question it must add, and how good it must be compared with the best one.
    fn thresholds(self) -> (f32, f32) {
        match self {
            Self::Bridge => (0.02, 0.1),
            Self::Close => (0.1, 0.35),
            Self::None => (0.2, 0.5),
        }
    }
}

/// The items of the list that a question asks for: those below the heading, or after the sentence,
/// that names what is to be listed.
fn list(corpus: &Corpus, question: &Question, ranked: &[(usize, Score)]) -> Option<Vec<usize>> {
    let listed = question.listed?;
    let is_item = |entry: &Entry| {
        entry.unit.kind == UnitKind::Item && !entry.unit.continues && entry.above.contains(&listed)
    };
    let (first, _) = ranked.iter().find(|(index, score)| {
        is_item(&corpus.entries[*index]) && score.coverage >= LIST_COVERAGE_MIN
    })?;
    let first = &corpus.entries[*first];
    let is_sibling = |entry: &Entry| {
        let (own, other) = (&first.unit, &entry.unit);
        entry.rank == first.rank && (&own.heading, own.lead) == (&other.heading, other.lead)
    };
    let mut items: Vec<usize> = ranked.iter().map(|(index, _)| *index).collect();
    items.retain(|index| is_item(&corpus.entries[*index]) && is_sibling(&corpus.entries[*index]));
    items.sort_unstable();
    (items.len() > 1).then_some(items)
}

/// Chooses the units that answer the question; none when they would not.
pub(super) fn select(corpus: &Corpus, question: &Question, wanted: &Wanted<'_>) -> Selection {
    let ranked = ranked(corpus, question, wanted);
    if let Some(mut chosen) = list(corpus, question, &ranked) {
        chosen.truncate(wanted.n_items_max);
        return Selection { chosen, coverage: 1.0, is_of_kind: true };
    }
    let scoring = Scoring::new(corpus, question);
    let mut chosen: Vec<usize> = Vec::new();
    let mut matches = vec![0.0; question.terms.len()];
    let mut linked_matches = matches.clone();
    let mut is_of_kind = false;
    let best_total = ranked.first().map_or(0.0, |(_, score)| score.total);
    let is_row = |index: usize| corpus.entries[index].unit.kind == UnitKind::Row;
    let mut prose = ranked.iter().filter(|(index, _)| !is_row(*index));
    let has_prose = prose.any(|(_, score)| score.total >= PROSE_MIN * best_total);
    while chosen.len() < wanted.n_max {
        let covered = scoring.coverage(&matches);
        let value = |index: usize, score: &Score| {
            let follows_prose = chosen.first().is_some_and(|&first| !is_row(first));
            if is_row(index) && (has_prose || follows_prose) {
                return None;
            }
            if chosen.is_empty() {
                return Some((score.total, Link::Close));
            }
            let entry = &corpus.entries[index];
            let link = link(&scoring, corpus, entry, &chosen);
            let gain = scoring.coverage(&united(&matches, &score.matches)) - covered;
            let (gain_min, share_min) = link.thresholds();
            let is_worth_it = gain >= gain_min && score.total >= share_min * best_total
                || score.total >= NEARLY_AS_GOOD * best_total;
            let repeats =
                chosen.iter().any(|&other| overlap(entry, &corpus.entries[other]) > OVERLAP_MAX);
            let gain = if link == Link::None { UNLINKED * gain } else { gain };
            (is_worth_it && !repeats).then(|| (0.7 * score.total + gain + link.bonus(), link))
        };
        let best = ranked
            .iter()
            .filter(|(index, _)| !chosen.contains(index))
            .filter_map(|(index, score)| Some((value(*index, score)?, *index, score)))
            .reduce(|best, next| if next.0.0 > best.0.0 { next } else { best });
        let Some(((_, link), index, score)) = best else { break };
        if link != Link::None {
            is_of_kind |= score.is_of_kind;
            linked_matches = united(&linked_matches, &score.matches);
        }
        chosen.push(index);
        matches = united(&matches, &score.matches);
    }
    let coverage = scoring.coverage(&linked_matches);
    let best = ranked.iter().map(|(_, score)| score.coverage).fold(0.0, f32::max);
    let best_min = match question.terms.len() {
        0..=2 => COVERAGE_MIN_SHORT[0],
        3 => COVERAGE_MIN_SHORT[1],
        _ => 0.0,
    };
    let is_long = question.terms.len() >= LONG_TERMS;
    let coverage_min =
        COVERAGE_MIN + if is_of_kind { 0.0 } else { OFF_KIND } - if is_long { LONG } else { 0.0 };
    let lacks_number = question.kind == Kind::Count && !is_of_kind;
    if coverage < coverage_min || lacks_number || best < best_min {
        chosen.clear();
    }
    Selection { chosen, coverage, is_of_kind }
}

fn link(scoring: &Scoring<'_>, corpus: &Corpus, entry: &Entry, chosen: &[usize]) -> Link {
    let chosen = || chosen.iter().map(|&index| &corpus.entries[index]);
    let is_topic = scoring.is_topic(entry);
    if !is_topic && chosen().any(|other| other.rank != entry.rank && other.names_topic_of(entry)) {
        Link::Bridge
    } else if is_topic
        || chosen().any(|other| other.rank == entry.rank || entry.names_topic_of(other))
    {
        Link::Close
    } else {
        Link::None
    }
}

fn united(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).map(|(left, right)| left.max(*right)).collect()
}

/// The share of the shorter unit's terms that the other one has as well.
fn overlap(left: &Entry, right: &Entry) -> f32 {
    let left: HashSet<_> = left.terms.iter().collect();
    let right: HashSet<_> = right.terms.iter().collect();
    let n_min = left.len().min(right.len()).max(1);
    left.intersection(&right).count() as f32 / n_min as f32
}

#[cfg(test)]
mod tests;
