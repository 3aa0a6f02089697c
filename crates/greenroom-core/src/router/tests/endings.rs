//! How a run ends: in time or not, with a writer or without, whole or partial.

use std::cell::Cell;
use std::time::Duration;

use super::simulation::{COST, Simulation, fact, failure, missing, passage, task, team, usual};
use crate::brief::Brief;
use crate::budget::{Limit, Usage};
use crate::journal::Event;
use crate::report::{Outcome, Report, Status, TaskFailureKind};
use crate::retriever::Citation;
use crate::router::{ANSWER, Assignment, Machine, PLAN, RouterSpec, Work};

fn citation(id: &str) -> Citation {
    Citation { source: id.into(), start_line: 1, end_line: 1, quote: fact(id) }
}

fn cost(n: u64) -> Usage {
    let mut usage = Usage::default();
    (0..n).for_each(|_| usage.add(COST));
    usage
}

#[test]
fn gathering_ends_with_what_is_there_and_names_what_is_missing() {
    let tasks = [task("a"), task("b"), task("c").needing(["b"])];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    run.finish("a");
    run.tell(Event::GatheringEnded);
    assert_eq!((run.at_work(), &run.withdrawn[..]), (vec![ANSWER], &["b".to_owned()][..]));
    run.finish(ANSWER);
    let outcome = run.outcome();
    let why = "timed out: not done in time";
    assert_eq!(missing(outcome), [format!("what is b?: {why}"), format!("what is c?: {why}")]);
    assert_eq!(outcome.answer, format!("{} [1]", fact("a")));
    assert_eq!((outcome.status, outcome.limit), (Status::Partial, Some(Limit::Deadline)));
}

/// A run whose gathering ends after these tasks are done.
#[track_caller]
fn check_gathering(done: &[&str], at_work: &[&str], limit: Option<Limit>) -> Option<Outcome> {
    let tasks = [task("a")];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    done.iter().for_each(|id| run.finish(id));
    run.tell(Event::GatheringEnded);
    assert_eq!(run.at_work(), at_work);
    while let Some(id) = run.at_work().first().map(ToString::to_string) {
        run.finish(&id);
    }
    assert_eq!(run.outcome().limit, limit);
    run.outcomes.pop()
}

#[test]
fn gathering_that_ends_early_leaves_no_answer_and_late_takes_none_away() {
    for done in [&[][..], &[PLAN]] {
        let outcome = check_gathering(done, &[], Some(Limit::Deadline)).expect("an outcome");
        let kind = outcome.failure.map(|failure| failure.kind);
        assert_eq!((outcome.status, kind), (Status::Failed, Some(TaskFailureKind::TimedOut)));
    }
    let outcome = check_gathering(&[PLAN, "a"], &[ANSWER], None).expect("an outcome");
    assert_eq!(outcome.status, Status::Completed, "nothing was cut off");
}

#[test]
fn gathering_that_is_over_before_the_plan_needs_none() {
    let agents = |assignment: &Assignment| usual(&[task("a")], assignment);
    // A run that comes back after a long sleep learns of its deadline first.
    let mut run = Simulation::new(&agents).accepted();
    run.tell(Event::GatheringEnded);
    assert!(run.assigned.is_empty());
    assert_eq!(run.outcome().status, Status::Failed);
}

#[test]
fn the_time_to_write_is_a_fifth_and_at_most_half_a_minute() {
    let check = |total, expect| {
        assert_eq!(
            Machine::gathering_time(Duration::from_secs(total)),
            Duration::from_secs(expect)
        );
    };
    check(0, 0);
    check(100, 80);
    check(150, 120);
    check(600, 570);
    assert!(Machine::gathering_time(Duration::MAX) > Duration::from_secs(600), "no overflow");
}

#[test]
fn a_deadline_ends_the_run_with_what_tasks_have_found() {
    let tasks = [task("a"), task("b")];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    run.finish("a");
    run.tell(Event::DeadlinePassed);
    assert!(run.at_work().is_empty());
    assert_eq!(
        run.outcomes,
        [Outcome {
            answer: format!("{} [1]", fact("a")),
            citations: vec![citation("a")],
            passages: vec![passage("a", &fact("a"))],
            usage: cost(2),
            limit: Some(Limit::Deadline),
            missing: run.outcomes[0].missing.clone(),
            ..Outcome::without_answer(Status::Partial, None)
        }]
    );
    assert_eq!(
        missing(run.outcome()),
        ["what is b?: timed out", "why?: limit reached: the deadline has passed"]
    );

    let mut run = Simulation::new(&agents).start();
    run.tell(Event::DeadlinePassed);
    let failure = run.outcome().failure.as_ref().map(|failure| failure.kind);
    assert_eq!((run.outcome().status, failure), (Status::Failed, Some(TaskFailureKind::Limit)));
}

#[test]
fn a_deadline_during_a_revision_leaves_the_draft() {
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        ANSWER => Ok(Report::text(format!("{} [1]\nCats fly.", fact("a")))),
        _ => usual(&[task("a")], assignment),
    };
    let mut run = Simulation::new(&agents).start();
    [PLAN, "a", ANSWER].into_iter().for_each(|id| run.finish(id));
    assert_eq!(run.at_work(), [ANSWER]);
    run.tell(Event::DeadlinePassed);
    let expect = (Status::Partial, format!("{} [1]", fact("a")));
    assert_eq!((run.outcome().status, run.outcome().answer.clone()), expect);
}

#[test]
fn a_run_is_cancelled_at_any_time_and_only_once() {
    let tasks = [task("a"), task("b")];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    for done in [&[][..], &[PLAN], &[PLAN, "a"], &[PLAN, "a", "b"]] {
        let mut run = Simulation::new(&agents).start();
        done.iter().for_each(|id| run.finish(id));
        run.tell(Event::CancelRequested);
        run.tell(Event::CancelRequested);
        run.tell(Event::DeadlinePassed);
        assert!(run.at_work().is_empty() && run.outcomes.len() == 1);
        let outcome = run.outcome();
        assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Cancelled, ""));
        assert_eq!(outcome.usage, cost(done.len() as u64));
        assert!(missing(outcome).iter().all(|gap| gap.ends_with(": cancelled")));
    }
}

#[test]
fn findings_stand_for_the_answer_when_nobody_can_write_it() {
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        ANSWER => Err(failure(TaskFailureKind::Model)),
        "a" => Ok(Report {
            passages: vec![passage("a", &fact("a"))],
            ..Report::text(format!("{} [1] Cats fly [1].", fact("a")))
        }),
        "b" => Ok(Report::text("Seen by an agent of its own kind.")),
        _ => usual(&[task("a"), task("b")], assignment),
    };
    let done = Simulation::new(&agents).run();
    let outcome = done.outcome();
    assert_eq!((outcome.status, &outcome.failure), (Status::Partial, &None));
    assert_eq!(outcome.citations, [citation("a")]);
    let answer = format!("{} [1]\n\nSeen by an agent of its own kind.", fact("a"));
    assert_eq!(outcome.answer, answer);
    assert_eq!(
        missing(outcome),
        [
            "why?: model failed: no",
            "why?: a sentence was taken out: the cited evidence does not say: Cats fly."
        ]
    );
}

#[test]
fn a_writer_that_is_lost_is_replaced() {
    let agents = |assignment: &Assignment| match (assignment.task.as_str(), assignment.attempt) {
        (ANSWER, 1) => Err(failure(TaskFailureKind::AgentLost)),
        _ => usual(&[task("a")], assignment),
    };
    let done = Simulation::new(&agents).run();
    assert_eq!(done.outcome().status, Status::Completed);
    assert_eq!((done.tries(ANSWER).len(), done.outcome().usage), (2, cost(4)));
}

/// A writer of these drafts; returns how often it was asked, the objections that it was told, and the
/// outcome.
fn revise(revisions_max: u32, drafts: &[&str]) -> (usize, Vec<Vec<String>>, Outcome) {
    let n_asked = Cell::new(0);
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        ANSWER => {
            let draft = drafts[n_asked.replace(n_asked.get() + 1)];
            match draft.strip_prefix('!') {
                Some(_) => Err(failure(TaskFailureKind::AgentLost)),
                None => Ok(Report::text(draft.replace("FACT", &fact("a")))),
            }
        }
        _ => usual(&[task("a")], assignment),
    };
    let spec = RouterSpec { revisions_max, ..RouterSpec::new(team()) };
    let mut done = Simulation::of(spec, &agents).run();
    let told = done.assigned.values().filter_map(|assignment| match &assignment.work {
        Work::Brief(Brief::Answer(brief)) => Some(brief.objections.clone()),
        _ => None,
    });
    (n_asked.get(), told.collect(), done.outcomes.remove(0))
}

#[track_caller]
fn check_revision(
    revisions_max: u32,
    drafts: &[&str],
    n_asked: usize,
    status: Status,
    answer: &str,
) {
    let (n, _, outcome) = revise(revisions_max, drafts);
    let expect = (n_asked, status, answer.replace("FACT", &fact("a")));
    assert_eq!((n, outcome.status, outcome.answer), expect);
}

#[test]
fn a_disputed_draft_is_revised_so_often_and_no_more() {
    use Status::{Completed, Partial};
    let disputed = "FACT [1] Cats fly.";
    check_revision(1, &["FACT [1]"], 1, Completed, "FACT [1]");
    check_revision(0, &[disputed], 1, Partial, "FACT [1]");
    check_revision(1, &[disputed, "FACT [1]"], 2, Completed, "FACT [1]");
    check_revision(1, &[disputed, disputed], 2, Partial, "FACT [1]");
    check_revision(3, &[disputed; 4], 4, Partial, "FACT [1]");
    // A writer that is lost has not revised.
    check_revision(1, &["!", disputed, "FACT [1]"], 3, Completed, "FACT [1]");
    check_revision(1, &[disputed, "!", "FACT [1]"], 3, Completed, "FACT [1]");
}

#[test]
fn the_best_draft_is_kept() {
    use Status::{Completed, Partial};
    let (good, worse) = ("FACT [1] Cats fly.", "Cats fly. Dogs bark. FACT [1]");
    check_revision(1, &[good, worse], 2, Partial, "FACT [1]");
    let (_, told, outcome) = revise(2, &[good, worse, worse]);
    let objection = "no evidence is cited for: Cats fly.".to_owned();
    assert_eq!(told, [vec![], vec![objection.clone()], vec![objection.clone()]]);
    assert_eq!(missing(&outcome), [format!("why?: a sentence was taken out: {objection}")]);
    // Any words are better than none, however few objections there are to none.
    let (_, _, outcome) = revise(1, &["Cats fly.", worse]);
    assert_eq!(missing(&outcome).len(), 2, "the objections of the draft with words");
    check_revision(1, &[good, "Cats fly."], 2, Partial, "FACT [1]");
    // A writer that is lost for good leaves the draft that it had.
    let (n_asked, _, outcome) = revise(1, &[good, "!", "!"]);
    let gap = format!("why?: a sentence was taken out: {objection}");
    assert_eq!((n_asked, missing(&outcome)), (3, vec![gap]));
    check_revision(0, &["", ""], 1, Partial, "FACT [1]");
    check_revision(1, &["FACT [1]", ""], 1, Completed, "FACT [1]");
}

#[test]
fn there_is_no_revision_once_gathering_is_over() {
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        ANSWER => Ok(Report::text(format!("{} [1]\nCats fly.", fact("a")))),
        _ => usual(&[task("a")], assignment),
    };
    let mut run = Simulation::new(&agents).start();
    [PLAN, "a"].into_iter().for_each(|id| run.finish(id));
    run.tell(Event::GatheringEnded);
    run.finish(ANSWER);
    assert_eq!((run.tries(ANSWER).len(), run.outcome().status), (1, Status::Partial));
}

#[track_caller]
fn check_status(report: &Report, draft: &str, status: Status, gaps: &[&str]) {
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        "a" => Ok(report.clone()),
        ANSWER => Ok(Report::text(draft)),
        _ => usual(&[task("a")], assignment),
    };
    let spec = RouterSpec { revisions_max: 0, ..RouterSpec::new(team()) };
    let done = Simulation::of(spec, &agents).run();
    assert_eq!(
        (done.outcome().status, &missing(done.outcome())[..]),
        (status, &gaps.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
    );
}

#[test]
fn a_run_is_completed_only_when_nothing_is_missing() {
    use Status::{Completed, Failed, Partial};
    let passages = vec![passage("a", &fact("a"))];
    let found = Report { passages: passages.clone(), ..Report::text(fact("a")) };
    let cited = format!("{} [1]", fact("a"));
    check_status(&found, &cited, Completed, &[]);
    let limited = Report { limit: Some(Limit::Tokens), ..found.clone() };
    check_status(&limited, &cited, Partial, &[]);
    let admission = "The sources do not say when.";
    let both = format!("{cited}\n{admission}");
    check_status(&found, &both, Partial, &[&format!("why?: {admission}")]);
    let taken_out = "why?: a sentence was taken out: no evidence is cited for: Cats fly.";
    check_status(&found, &format!("{cited} Cats fly."), Partial, &[taken_out]);

    // Research that came back with nothing: the sources have nothing, or nobody made anything of it.
    let admission = "Not found in the sources.";
    let gap = "what is a?: not found in the sources";
    check_status(&Report::default(), admission, Partial, &[gap]);
    let unread = Report { passages: passages.clone(), ..Report::default() };
    let gap = "what is a?: passages were found, and nothing was made of them";
    check_status(&unread, &cited, Partial, &[gap]);
    let cut_off = Report { passages, limit: Some(Limit::ModelCalls), ..Report::default() };
    check_status(&cut_off, &cited, Partial, &["what is a?: model-call budget"]);
    check_status(
        &Report::default(),
        "Cats fly.",
        Failed,
        &["what is a?: not found in the sources"],
    );
}

#[test]
fn late_and_duplicate_events_change_nothing() {
    let agents = |assignment: &Assignment| match (assignment.task.as_str(), assignment.attempt) {
        ("a" | ANSWER, 1) => Err(failure(TaskFailureKind::AgentLost)),
        _ => usual(&[task("a"), task("b").needing(["a"])], assignment),
    };
    let done = Simulation::new(&agents).run();
    let mut machine = Machine::new(std::sync::Arc::new(RouterSpec::new(team())));
    let strangers = [
        Event::TaskReported { task: "zz".into(), attempt: 1, report: Report::text("?") },
        Event::TaskReported { task: "a".into(), attempt: 9, report: Report::text("?") },
        Event::TaskReported { task: "b".into(), attempt: 0, report: Report::text("?") },
        Event::TaskAssigned { task: task("zz"), attempt: 1 },
        Event::TaskAssigned { task: task("b"), attempt: 7 },
        Event::TaskAssigned { task: task("a"), attempt: 3 },
        Event::LimitReached { limit: Limit::Tokens, is_refusal: false },
    ];
    for (i, event) in done.journal.iter().enumerate() {
        machine.apply(event);
        let before = format!("{machine:?}");
        for again in done.journal[..=i].iter().chain(&strangers) {
            machine.apply(again);
            assert_eq!(format!("{machine:?}"), before, "after {again:?}");
        }
    }
    let outcome = Outcome::without_answer(Status::Cancelled, None);
    machine.apply(&Event::RunFinished { outcome: outcome.into() });
    assert_eq!(machine.outcome(), Some(done.outcome()), "an outcome stays");
}
