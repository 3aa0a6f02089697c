//! The writer: an answer made of sentences of the evidence, each followed by its number.
//!
//! A sentence stands as it does in its passage (see the rule of quotation), then a space, then the
//! number in brackets: `The default is 64. [2]`. Nothing else is said, but what was not found.

use std::collections::HashSet;

use greenroom_core::brief::{AnswerBrief, Evidence, Finding};

use super::corpus::{Corpus, Entry, Source};
use super::research::file_stem;
use super::selection::{Wanted, select};
use super::text::{Question, UnitKind, capped, normalised, sentence_ends};

/// How many sentences a sub-question gets at most, list items included.
const SENTENCES_MAX: usize = 6;
/// How many sentences are chosen for a sub-question, before list items are added to them.
const CHOSEN_MAX: usize = 3;
/// What a sentence gains that the researcher chose as well.
const FOUND: f32 = 0.3;
/// An objection names a sentence when it has this much of its beginning, in characters.
const OBJECTED_LEN: usize = 60;

/// A gap is named in at most this many bytes.
const GAP_LEN_MAX: usize = 300;
/// What makes an admission more than one.
const TURNS: &[&str] =
    &[" but ", " however", " although ", " though ", " yet ", " while ", " because ", ";", "["];

/// What is said when no evidence is of use.
const NO_ANSWER: &str = "The sources do not answer this question.";

/// Writes the answer: a paragraph per sub-question, then what was not found.
pub(super) fn answer(brief: &AnswerBrief) -> String {
    let mut writer = Writer::new(brief);
    let whole = Finding {
        task: "t1".into(),
        question: brief.question.clone(),
        text: String::new(),
        evidence: Vec::new(),
    };
    let findings = match &brief.findings[..] {
        [] => std::slice::from_ref(&whole),
        findings => findings,
    };
    let mut paragraphs = Vec::new();
    let mut missing: Vec<&str> = brief.missing.iter().map(|gap| gap.question.as_str()).collect();
    for finding in findings {
        if missing.contains(&finding.question.as_str()) {
            continue;
        }
        match writer.paragraph(finding) {
            Paragraph::Written(paragraph) => paragraphs.push(paragraph),
            Paragraph::SaidBefore => {}
            Paragraph::NothingFound => missing.push(&finding.question),
        }
    }
    if paragraphs.is_empty() {
        return NO_ANSWER.to_owned();
    }
    let mut said = HashSet::new();
    let gaps =
        missing.into_iter().map(str::trim).filter(|gap| !gap.is_empty() && said.insert(*gap));
    paragraphs.extend(gaps.map(not_found));
    paragraphs.join("\n\n")
}

/// One sentence that only admits: of a question of several sentences it names the last, and it stops
/// where a clause turns, because "not found, but ..." would be more than an admission.
fn not_found(question: &str) -> String {
    let question = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = sentence_ends(&question);
    let last = ends.iter().rev().nth(1).map_or(0, |end| *end);
    let mut question = capped(question[last..].trim(), GAP_LEN_MAX).trim_end_matches(';');
    let whole = question.len();
    for turn in TURNS {
        question = question.find(turn).map_or(question, |at| &question[..at]);
    }
    let stop = match question.ends_with(['?', '.', '!']) {
        _ if question.len() < whole => "…",
        true => "",
        false => ".",
    };
    format!("Not found in the sources: {question}{stop}")
}

enum Paragraph {
    Written(String),
    SaidBefore,
    NothingFound,
}

struct Writer<'a> {
    brief: &'a AnswerBrief,
    corpus: Corpus,
    objections: Vec<String>,
    /// The sentences written so far, normalised.
    said: HashSet<String>,
}

impl<'a> Writer<'a> {
    fn new(brief: &'a AnswerBrief) -> Self {
        let passages = brief.evidence.iter().filter(|evidence| !evidence.computed);
        let corpus = Corpus::new(passages.map(source));
        let objections = brief.objections.iter().map(|objection| normalised(objection)).collect();
        Self { brief, corpus, objections, said: HashSet::new() }
    }

    fn paragraph(&mut self, finding: &Finding) -> Paragraph {
        let is_own = |n: u32| finding.evidence.is_empty() || finding.evidence.contains(&n);
        let mut sentences: Vec<(String, bool)> = Vec::new();
        let mut n_known = 0;
        for evidence in self.brief.evidence.iter().filter(|evidence| evidence.computed) {
            let text = evidence.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if finding.evidence.contains(&evidence.n) || self.brief.findings.is_empty() {
                n_known += usize::from(self.said.contains(&normalised(&text)));
                self.write(&text, evidence.n, false, &mut sentences);
            }
        }
        let question = Question::new(&finding.question, &mut self.corpus.lexicon);
        let found = normalised(&finding.text);
        let was_found = |entry: &Entry| {
            let text = normalised(&entry.unit.text);
            !found.is_empty() && found.contains(text.trim_end_matches('.'))
        };
        let is_allowed = |entry: &Entry| is_own(entry.id) && !self.is_objected(&entry.unit.text);
        let mut chosen = select(
            &self.corpus,
            &question,
            &Wanted {
                n_max: CHOSEN_MAX,
                n_items_max: SENTENCES_MAX,
                is_allowed: &is_allowed,
                bonus: &|entry| if was_found(entry) { FOUND } else { 0.0 },
            },
        )
        .chosen;
        if chosen.is_empty() {
            let all = (0..self.corpus.entries.len()).map(|i| (i, &self.corpus.entries[i]));
            let found = all.filter(|(_, entry)| is_allowed(entry) && was_found(entry));
            chosen = found.map(|(i, _)| i).take(CHOSEN_MAX).collect();
        }
        for index in self.with_items(&self.with_antecedents(&chosen)) {
            let entry = &self.corpus.entries[index];
            let (text, n) = (entry.unit.text.clone(), entry.id);
            let is_line = entry.unit.kind != UnitKind::Sentence;
            if is_allowed_still(&self.objections, &text) && sentences.len() < SENTENCES_MAX {
                n_known += usize::from(self.said.contains(&normalised(&text)));
                self.write(&text, n, is_line, &mut sentences);
            }
        }
        match (sentences.is_empty(), n_known) {
            (false, _) => Paragraph::Written(joined(&sentences)),
            (true, 0) => Paragraph::NothingFound,
            (true, _) => Paragraph::SaidBefore,
        }
    }

    fn write(&mut self, text: &str, n: u32, is_line: bool, sentences: &mut Vec<(String, bool)>) {
        if !text.is_empty()
            && is_allowed_still(&self.objections, text)
            && self.said.insert(normalised(text))
        {
            sentences.push((format!("{text} [{n}]"), is_line));
        }
    }

    fn is_objected(&self, text: &str) -> bool {
        !is_allowed_still(&self.objections, text)
    }

    /// The chosen units, each that starts with a pronoun after the one before it in its paragraph.
    fn with_antecedents(&self, chosen: &[usize]) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        for &index in chosen {
            let unit = &self.corpus.entries[index].unit;
            let needs_one = unit.continues
                && unit.starts_with_pronoun()
                && !self.is_objected(&self.corpus.entries[index - 1].unit.text);
            for index in needs_one.then(|| index - 1).into_iter().chain([index]) {
                if !all.contains(&index) {
                    all.push(index);
                }
            }
        }
        all
    }

    /// The chosen units; a unit that introduces a list or code is followed by it.
    fn with_items(&self, chosen: &[usize]) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        for &index in chosen {
            let entry = &self.corpus.entries[index];
            all.extend((!all.contains(&index)).then_some(index));
            if !entry.unit.introduces() {
                continue;
            }
            let of_same_passage = |other: &&Entry| other.rank == entry.rank;
            let first =
                self.corpus.entries[..index].iter().rev().take_while(of_same_passage).count();
            let following = self.corpus.entries[index + 1..].iter().take_while(of_same_passage);
            let items = following
                .enumerate()
                .filter(|(_, item)| item.unit.lead == Some(first) && !item.unit.continues);
            let items: Vec<usize> = items.map(|(i, _)| index + 1 + i).collect();
            all.extend(items.into_iter().filter(|item| !chosen.contains(item)).take(SENTENCES_MAX));
        }
        all
    }
}

fn source(evidence: &Evidence) -> Source<'_> {
    Source {
        id: evidence.n,
        heading: format!("{} {}", evidence.heading.join(" "), file_stem(&evidence.source)),
        title: evidence.heading.last().map_or(file_stem(&evidence.source), String::as_str),
        text: &evidence.text,
    }
}

/// Whether no objection names the sentence: has its beginning, or is a part of it.
fn is_allowed_still(objections: &[String], text: &str) -> bool {
    let text = normalised(text);
    let beginning: String = text.chars().take(OBJECTED_LEN).collect();
    !objections.iter().any(|objection| {
        objection.contains(&beginning)
            || objection.chars().count() >= 12 && text.contains(objection)
    })
}

/// Sentences run on; list items, rows and code lines stand on their own.
fn joined(sentences: &[(String, bool)]) -> String {
    let mut paragraph = String::new();
    for (i, (text, is_line)) in sentences.iter().enumerate() {
        if i > 0 {
            let was_line = sentences[i - 1].1;
            paragraph.push(if *is_line || was_line { '\n' } else { ' ' });
        }
        paragraph.push_str(text);
    }
    paragraph
}

#[cfg(test)]
mod tests;
