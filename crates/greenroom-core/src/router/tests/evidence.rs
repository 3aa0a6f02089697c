//! Evidence: how it is numbered, and which of it a writer is shown.

use super::simulation::{passage, task};
use crate::brief::Finding;
use crate::report::Report;
use crate::retriever::Passage;
use crate::router::{EvidenceTable, PlannedTask};

fn found(sources: &[&str]) -> Report {
    let passages = sources.iter().map(|source| passage(source, "text")).collect();
    Report { passages, ..Report::text("Found [3]. And [1, 2] more.") }
}

fn gather(reports: &[(PlannedTask, Report)]) -> (Vec<String>, Vec<Finding>) {
    let (table, findings) =
        EvidenceTable::gather(reports.iter().map(|(task, found)| (task, found)));
    let evidence = table.evidence();
    let is_numbered = evidence.iter().zip(1..).all(|(evidence, n)| evidence.n == n);
    assert!(is_numbered && table.is_empty() == evidence.is_empty());
    assert!(table.get(0).is_none() && table.get(evidence.len() as u32 + 1).is_none());
    (evidence.into_iter().map(|evidence| evidence.source).collect(), findings)
}

#[test]
fn results_come_first_and_then_the_best_passage_of_every_task() {
    let sum = task("sum").calling("calculate", serde_json::json!({}));
    let (sources, findings) = gather(&[
        (task("a"), found(&["a1", "both", "a3"])),
        (sum, Report::text("1 + 1 = [2]")),
        (task("b"), found(&["both", "b2", "both"])),
        (task("c"), Report::default()),
    ]);
    assert_eq!(sources, ["tool:calculate", "a1:1-1", "both:1-1", "b2:1-1", "a3:1-1"]);
    let found: Vec<_> =
        findings.iter().map(|f| (f.task.as_str(), &f.text[..], &f.evidence[..])).collect();
    assert_eq!(
        found,
        [
            // The marks of a researcher's own numbering are gone; a result stays as it is.
            ("a", "Found. And more.", &[2, 3, 5][..]),
            ("sum", "1 + 1 = [2]", &[1]),
            ("b", "Found. And more.", &[3, 4]),
            ("c", "", &[]),
        ]
    );
}

#[test]
fn a_writer_is_shown_forty_passages_the_best_of_each_task_first() {
    let many = |task: &str| -> Vec<Passage> {
        (0..30).map(|i| passage(&format!("{task}{i}"), "text")).collect()
    };
    let reports =
        ["a", "b"].map(|id| (task(id), Report { passages: many(id), ..Report::default() }));
    let (sources, findings) = gather(&reports);
    assert_eq!(sources.len(), 40);
    assert_eq!(sources[..3], ["a0:1-1", "b0:1-1", "a1:1-1"]);
    assert_eq!(sources[38..], ["a19:1-1", "b19:1-1"]);
    assert_eq!(findings.iter().map(|f| f.evidence.len()).collect::<Vec<_>>(), [20, 20]);
    assert_eq!(gather(&[]), (vec![], vec![]));
}
