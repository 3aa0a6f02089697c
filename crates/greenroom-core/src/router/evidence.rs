//! The numbered evidence that an answer may rest on, gathered from the reports of all tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::verify::without_marks;
use crate::brief::{Evidence, Finding};
use crate::report::Report;
use crate::retriever::{Location, Passage};
use crate::router::PlannedTask;

/// The most passages that a writer is shown. More would not fit small models, and the best are first.
const PASSAGES_MAX: usize = 40;

/// The evidence of a run: numbered, each place once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvidenceTable {
    entries: Vec<(Evidence, Option<Passage>)>,
}

impl EvidenceTable {
    /// Numbers the evidence of the reports: what tools computed and what agents report as a value first,
    /// then the passages, the best of each task before the second best of any. The mere words of an agent
    /// are no evidence: a model writes them.
    #[must_use]
    pub fn gather<'a>(
        reports: impl IntoIterator<Item = (&'a PlannedTask, &'a Report)> + Clone,
    ) -> (Self, Vec<Finding>) {
        let mut table = Self::default();
        let mut numbers: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (task, report) in reports.clone() {
            let source = match &task.call {
                Some(call) => format!("tool:{}", call.tool),
                None if report.value.is_some() && report.passages.is_empty() => {
                    format!("agent:{}", task.to)
                }
                None => continue,
            };
            let n = table.push_statement(source, words_of(task, report));
            numbers.entry(task.id.as_str()).or_default().push(n);
        }
        let mut places: BTreeMap<Location, u32> = BTreeMap::new();
        let depth = reports.clone().into_iter().map(|(_, report)| report.passages.len()).max();
        for i in 0..depth.unwrap_or(0) {
            for (task, report) in reports.clone() {
                let Some(passage) = report.passages.get(i) else { continue };
                let place = passage.location();
                let n = match places.get(&place) {
                    Some(n) => *n,
                    None if places.len() == PASSAGES_MAX => continue,
                    None => {
                        let n = table.push_passage(passage);
                        places.insert(place, n);
                        n
                    }
                };
                let own = numbers.entry(task.id.as_str()).or_default();
                if !own.contains(&n) {
                    own.push(n);
                }
            }
        }
        let findings = reports.into_iter().map(|(task, report)| Finding {
            task: task.id.clone(),
            question: task.question.clone(),
            text: words_of(task, report),
            evidence: numbers.get(task.id.as_str()).cloned().unwrap_or_default(),
        });
        let findings = findings.collect();
        (table, findings)
    }

    /// The evidence in the order of its numbers.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        self.entries.iter().map(|(evidence, _)| evidence.clone()).collect()
    }

    /// The evidence of a number, with its passage when it is one.
    #[must_use]
    pub fn get(&self, n: u32) -> Option<(&Evidence, Option<&Passage>)> {
        let i = usize::try_from(n).ok()?.checked_sub(1)?;
        self.entries.get(i).map(|(evidence, passage)| (evidence, passage.as_ref()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn push_statement(&mut self, source: String, text: String) -> u32 {
        self.push(Evidence { n: 0, source, computed: true, heading: Vec::new(), text }, None)
    }

    fn push_passage(&mut self, passage: &Passage) -> u32 {
        let Passage { source, start_line, end_line, .. } = passage;
        self.push(
            Evidence {
                n: 0,
                source: format!("{source}:{start_line}-{end_line}"),
                computed: false,
                heading: passage.heading.clone(),
                text: passage.text.clone(),
            },
            Some(passage.clone()),
        )
    }

    fn push(&mut self, mut evidence: Evidence, passage: Option<Passage>) -> u32 {
        evidence.n = self.entries.len() as u32 + 1;
        let n = evidence.n;
        self.entries.push((evidence, passage));
        n
    }
}

/// What an agent reported, without the marks of its own numbering of the evidence; the result of a
/// tool as it is, because `[1, 2]` may be all of it.
pub(super) fn words_of(task: &PlannedTask, report: &Report) -> String {
    match task.call {
        Some(_) => report.text.clone(),
        None => without_marks(&report.text),
    }
}

/// The passages of all reports, best first, each place once: what retrieval returned.
pub(super) fn all_passages<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<Passage> {
    let lists: Vec<_> = reports.map(|report| &report.passages).collect();
    let mut places = BTreeSet::new();
    let mut passages = Vec::new();
    for i in 0..lists.iter().map(|list| list.len()).max().unwrap_or(0) {
        for passage in lists.iter().filter_map(|list| list.get(i)) {
            if places.insert(passage.location()) {
                passages.push(passage.clone());
            }
        }
    }
    passages
}
