//! The answer as text: what was found, what it rests on, what is missing.

use greenroom_core::budget::Usd;
use greenroom_core::report::{Outcome, Status, TaskFailureKind};
use greenroom_core::retriever::Citation;

use super::line::{clipped, count, seconds};
use crate::console::{Ink, Palette, printable};
use crate::exit::{Exit, Problem};
use crate::models::verdict;
use crate::watch::Answered;

/// The longest quote that is shown, in characters.
const QUOTE_CHARS_MAX: usize = 120;

/// The most that is told of why something failed, in characters.
const WHY_CHARS_MAX: usize = 300;

/// The answer with its numbered sources and its gaps; empty when there is nothing to show.
pub(crate) fn answer(outcome: &Outcome, palette: Palette) -> String {
    let mut text = String::new();
    if !outcome.answer.trim().is_empty() {
        text.push_str(printable(outcome.answer.trim()).as_ref());
        text.push('\n');
    }
    if !outcome.citations.is_empty() {
        section(&mut text, "Sources", palette);
        text.push_str(&sources(&outcome.citations, palette));
    }
    if !outcome.missing.is_empty() {
        section(&mut text, "Not answered", palette);
        for gap in &outcome.missing {
            let (question, why) =
                (clipped(&gap.question, QUOTE_CHARS_MAX), clipped(&gap.why, WHY_CHARS_MAX));
            text.push_str(&printable(&format!("- {question}: {why}\n")));
        }
    }
    text
}

fn section(text: &mut String, title: &'static str, palette: Palette) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&palette.paint(Ink::Bold, title));
    text.push('\n');
}

/// What an answer rests on, a numbered line for each citation.
pub(crate) fn sources(citations: &[Citation], palette: Palette) -> String {
    (1..).zip(citations).map(|(n, citation)| source(n, citation, palette)).collect()
}

fn source(n: usize, citation: &Citation, palette: Palette) -> String {
    let Citation { source, start_line, end_line, quote } = citation;
    let lines = match (start_line, end_line) {
        // The result of a tool has no lines.
        (0, 0) => String::new(),
        (start, end) if start == end => format!(":{start}"),
        (start, end) => format!(":{start}-{end}"),
    };
    // A file name may have a line break, and a line of its own would look like another source.
    let source = format!("{}{lines}", printable(&source.replace('\n', "\\n")));
    let place = palette.paint(Ink::Cyan, source);
    let quote = clipped(&printable(quote), QUOTE_CHARS_MAX);
    format!("[{n}] {place}  {}\n", palette.paint(Ink::Dim, format!("\"{quote}\"")))
}

/// How the run went, on one line.
pub(crate) fn summary(answered: &Answered) -> String {
    let Answered { outcome, duration, run_agents, team_agents, .. } = answered;
    let usage = outcome.usage;
    let agents = (run_agents.len() + team_agents.len()) as u64;
    let restarts: u64 = run_agents.iter().chain(team_agents).map(|agent| agent.n_restarts()).sum();
    let mut parts = vec![
        format!("{} in {}", outcome.status, seconds(*duration)),
        count(agents, "agent"),
        count(usage.model_calls, "model call"),
        count(usage.tool_calls, "tool call"),
        count(usage.tokens(), "token"),
    ];
    parts.extend(cost(outcome.usage.cost, answered.is_priced));
    if restarts > 0 {
        parts.insert(2, count(restarts, "restart"));
    }
    parts.join(" · ")
}

/// What the models cost, unless it is known to be nothing.
fn cost(cost: Option<Usd>, is_priced: bool) -> Option<String> {
    let cost = cost.filter(|cost| *cost > Usd::ZERO);
    match (cost, is_priced) {
        (Some(cost), true) => Some(cost.to_string()),
        (Some(cost), false) => Some(format!("at least {cost}")),
        (None, true) => None,
        (None, false) => Some("cost unknown".to_owned()),
    }
}

/// Why there is no answer, or why it is cut short; `None` when neither is the case.
pub(crate) fn problem_of(answered: &Answered) -> Option<Problem> {
    let problem = failure_of(&answered.outcome)?;
    match &answered.advice {
        Some(advice) if problem.help.is_none() => Some(problem.help(advice.as_str())),
        _ => Some(problem),
    }
}

fn failure_of(outcome: &Outcome) -> Option<Problem> {
    let failure = match outcome.status {
        Status::Completed | Status::Partial => return None,
        Status::Failed | Status::Cancelled => outcome.failure.as_ref(),
    };
    let Some(failure) = failure else {
        return Some(Problem::new(
            Exit::Failed,
            "GR0300",
            "there is no answer, and no reason for it",
        ));
    };
    let why = clipped(&failure.to_string(), WHY_CHARS_MAX);
    if let Some(kind) = failure.unstored {
        let problem = Problem::new(Exit::Failed, kind.code(), format!("no answer: {why}"));
        return Some(
            problem.help("what is stored is kept: `greenroom runs resume` goes on with it"),
        );
    }
    let (exit, code) = match (outcome.limit, outcome.status) {
        (_, Status::Cancelled) => (Exit::Interrupted, code(failure.kind)),
        // Whatever the limit broke off has a reason of its own; the limit is what can be changed.
        (Some(limit), _) => {
            let message = format!("no answer: {limit} reached: {why}");
            let problem = Problem::new(Exit::Limit, code(TaskFailureKind::Limit), message);
            return Some(problem.help("raise it with --deadline or --budget-…"));
        }
        (None, _) => verdict(failure).unwrap_or((Exit::Failed, code(failure.kind))),
    };
    Some(Problem::new(exit, code, format!("no answer: {why}")))
}

/// The stable codes that `docs/errors.md` explains.
fn code(kind: TaskFailureKind) -> &'static str {
    match kind {
        TaskFailureKind::AgentLost => "GR0301",
        TaskFailureKind::TimedOut => "GR0302",
        TaskFailureKind::Model => "GR0303",
        TaskFailureKind::Tool => "GR0304",
        TaskFailureKind::NotFound => "GR0305",
        TaskFailureKind::Output => "GR0306",
        TaskFailureKind::Dependency => "GR0307",
        TaskFailureKind::Limit => "GR0308",
        TaskFailureKind::Cancelled => "GR0309",
        TaskFailureKind::InDoubt => "GR0310",
        TaskFailureKind::Refused => "GR0311",
        TaskFailureKind::CutOff => "GR0312",
        TaskFailureKind::Empty => "GR0313",
        TaskFailureKind::ContextLength => "GR0314",
        TaskFailureKind::Parked => "GR0315",
        _ => "GR0300",
    }
}

/// The text without its citation marks: what a later question of the conversation refers to.
pub(crate) fn without_marks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let mark = after.split_once(']').filter(|(inside, _)| is_mark(inside));
        match mark {
            Some((_, after_mark)) => {
                kept.push_str(before.trim_end_matches(' '));
                rest = after_mark;
            }
            None => {
                kept.push_str(before);
                kept.push('[');
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    kept
}

fn is_mark(inside: &str) -> bool {
    !inside.is_empty() && inside.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use greenroom_core::brief::Gap;
    use greenroom_core::budget::Limit;
    use greenroom_core::journal::JournalErrorKind;
    use greenroom_core::report::TaskFailure;

    fn outcome() -> Outcome {
        Outcome {
            answer: "The default is 64 [1].".to_owned(),
            citations: vec![Citation {
                source: "docs/semantics.md".to_owned(),
                start_line: 12,
                end_line: 14,
                quote: "The default\nis 64\x1b[2J.".to_owned(),
            }],
            missing: vec![Gap {
                question: "And the rest?".to_owned(),
                why: "not found".to_owned(),
            }],
            ..Outcome::without_answer(Status::Partial, None)
        }
    }

    #[test]
    fn an_answer_is_shown_with_its_sources_and_its_gaps() {
        let wanted = "The default is 64 [1].\n\nSources\n\
            [1] docs/semantics.md:12-14  \"The default is 64[2J.\"\n\n\
            Not answered\n- And the rest?: not found\n";
        assert_eq!(answer(&outcome(), Palette::new(false)), wanted);
        let coloured = answer(&outcome(), Palette::new(true));
        assert!(coloured.contains("[1] \x1b[36mdocs/semantics.md:12-14\x1b[0m"), "{coloured}");
    }

    #[test]
    fn a_file_name_cannot_add_a_line() {
        let mut outcome = outcome();
        outcome.citations[0].source = "a\n[2] b.md".to_owned();
        let text = sources(&outcome.citations, Palette::new(false));
        assert_eq!(text, "[1] a\\n[2] b.md:12-14  \"The default is 64[2J.\"\n");
    }

    #[test]
    fn what_there_is_begins_on_the_first_line() {
        let outcome = Outcome { answer: String::new(), citations: Vec::new(), ..outcome() };
        let wanted = "Not answered\n- And the rest?: not found\n";
        assert_eq!(answer(&outcome, Palette::new(false)), wanted);
    }

    #[test]
    fn what_is_not_known_to_cost_nothing_is_told() {
        let told = |nanos: Option<u64>, is_priced| {
            cost(nanos.map(Usd::from_nanos), is_priced).unwrap_or_default()
        };
        assert_eq!(told(Some(4_200_000), true), "$0.0042");
        assert_eq!(told(Some(4_200_000), false), "at least $0.0042");
        assert_eq!((told(Some(0), true), told(None, true)), (String::new(), String::new()));
        for unknown in [Some(0), None] {
            assert_eq!(told(unknown, false), "cost unknown");
        }
    }

    #[test]
    fn a_limit_is_told_from_a_failure() {
        let failed = |kind, limit| {
            let failure = TaskFailure::new(kind, "why");
            let outcome = Outcome::without_answer(Status::Failed, Some(failure));
            let problem = failure_of(&Outcome { limit, ..outcome }).expect("it failed");
            (problem.exit, problem.code)
        };
        assert_eq!(failed(TaskFailureKind::NotFound, None), (Exit::Failed, "GR0305"));
        for kind in [TaskFailureKind::Limit, TaskFailureKind::TimedOut] {
            assert_eq!(failed(kind, Some(Limit::Deadline)), (Exit::Limit, "GR0308"));
        }
        assert_eq!(failure_of(&outcome()), None);
    }

    #[test]
    fn a_journal_that_fails_is_named_by_its_own_code() {
        let failure = TaskFailure {
            unstored: Some(JournalErrorKind::Full),
            ..TaskFailure::new(TaskFailureKind::AgentLost, "no room")
        };
        let outcome = Outcome::without_answer(Status::Failed, Some(failure));
        let problem = failure_of(&outcome).expect("it failed");
        assert_eq!((problem.exit, problem.code), (Exit::Failed, "GR0505"));
        assert!(problem.help.is_some_and(|help| help.contains("runs resume")));
    }

    #[test]
    fn marks_are_taken_out_and_other_brackets_stay() {
        assert_eq!(without_marks("It is 64 [1]. Not a[0x] [2, 3]!"), "It is 64. Not a[0x]!");
        assert_eq!(without_marks("open [1"), "open [1");
    }
}
