//! Plans: what is given out when, and what is withdrawn.

use serde_json::json;

use super::simulation::{COST, Simulation, fact, failure, passage, task, team, usual};
use crate::brief::{AnswerBrief, Brief, Evidence, Finding, PlanBrief, ResearchBrief};
use crate::budget::Usage;
use crate::report::{Outcome, Status, TaskFailureKind};
use crate::retriever::Citation;
use crate::router::{ANSWER, Assignment, Join, PLAN, PlannedTask, Work};

#[test]
fn a_question_is_planned_researched_and_answered() {
    let tasks = [task("t1")];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let done = Simulation::new(&agents).run();
    let assignment = |task: &str, to: &str, brief| Assignment {
        task: task.into(),
        attempt: 1,
        to: to.into(),
        work: Work::Brief(brief),
    };
    let plan =
        PlanBrief { question: "why?".into(), conversation: vec![], agents: team(), tasks_max: 16 };
    let research = ResearchBrief { question: "what is t1?".into(), context: vec![] };
    let answer = AnswerBrief {
        question: "why?".into(),
        conversation: vec![],
        findings: vec![Finding {
            task: "t1".into(),
            question: "what is t1?".into(),
            text: fact("t1"),
            evidence: vec![1],
        }],
        evidence: vec![Evidence {
            n: 1,
            source: "t1:1-1".into(),
            computed: false,
            heading: vec![],
            text: fact("t1"),
        }],
        missing: vec![],
        objections: vec![],
    };
    let given: Vec<_> = done.assigned.values().collect();
    assert_eq!(
        given,
        [
            &assignment(ANSWER, ANSWER, Brief::Answer(answer)),
            &assignment(PLAN, PLAN, Brief::Plan(plan)),
            &assignment("t1", "research", Brief::Research(research)),
        ]
    );
    let quote = fact("t1");
    assert_eq!(
        done.outcomes,
        [Outcome {
            answer: format!("{quote} [1]"),
            citations: vec![Citation { source: "t1".into(), start_line: 1, end_line: 1, quote }],
            passages: vec![passage("t1", &fact("t1"))],
            usage: Usage {
                model_calls: 3,
                input_tokens: 30,
                output_tokens: 3,
                tool_calls: 6,
                ..Usage::default()
            },
            ..Outcome::without_answer(Status::Completed, None)
        }]
    );
    assert_eq!(COST.model_calls, 1);
}

#[test]
fn a_task_starts_the_moment_its_own_needs_are_met() {
    let tasks =
        [task("slow"), task("a"), task("b").needing(["a"]), task("c").needing(["b", "slow"])];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    assert_eq!(run.at_work(), ["slow", "a"]);
    run.finish("a");
    assert_eq!(run.at_work(), ["slow", "b"], "no barrier");
    run.finish("b");
    assert_eq!(run.at_work(), ["slow"]);
    run.finish("slow");
    assert_eq!(run.at_work(), ["c"]);
    run.finish("c");
    assert_eq!(run.at_work(), [ANSWER]);
}

#[test]
fn a_task_is_told_what_its_needs_found_and_nothing_else() {
    let tasks = [task("a"), task("b"), task("c").needing(["b"])];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let done = Simulation::new(&agents).run();
    let context = vec![Finding {
        task: "b".into(),
        question: "what is b?".into(),
        text: fact("b"),
        evidence: vec![],
    }];
    let brief = ResearchBrief { question: "what is c?".into(), context };
    assert_eq!(done.assigned[&("c".into(), 1)].work, Work::Brief(Brief::Research(brief)));
}

fn joining(join: Join) -> [PlannedTask; 4] {
    let joined = PlannedTask { join, ..task("z").needing(["a", "b", "c"]) };
    [task("a"), task("b"), task("c"), joined]
}

/// Finishes `steps` (`!` before a task that fails) and looks who is at work.
#[track_caller]
fn check_join(join: Join, steps: &[&str], at_work: &[&str], withdrawn: &[&str]) {
    let tasks = joining(join);
    let fails: Vec<_> = steps.iter().filter_map(|step| step.strip_prefix('!')).collect();
    let agents = |assignment: &Assignment| match fails.contains(&assignment.task.as_str()) {
        true => Err(failure(TaskFailureKind::Tool)),
        false => usual(&tasks, assignment),
    };
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    for step in steps {
        run.finish(step.trim_start_matches('!'));
    }
    assert_eq!(run.at_work(), at_work);
    assert_eq!(run.withdrawn, withdrawn);
}

#[test]
fn joins_are_ready_when_they_say() {
    check_join(Join::All, &["a", "b"], &["c"], &[]);
    check_join(Join::All, &["a", "b", "c"], &["z"], &[]);
    check_join(Join::All, &["a", "!b"], &["c"], &[]);
    check_join(Join::All, &["a", "!b", "c"], &[ANSWER], &[]);
    check_join(Join::Settled, &["a", "!b"], &["c"], &[]);
    check_join(Join::Settled, &["a", "!b", "c"], &["z"], &[]);
    check_join(Join::Settled, &["!a", "!b", "!c"], &["z"], &[]);
    check_join(Join::First, &["!a"], &["b", "c"], &[]);
    check_join(Join::First, &["!a", "b"], &["z"], &["c"]);
    check_join(Join::First, &["a"], &["z"], &["b", "c"]);
    check_join(Join::First, &["!a", "!b", "!c"], &[], &[]);
    check_join(Join::AtLeast(0), &[], &["z"], &["a", "b", "c"]);
    check_join(Join::AtLeast(2), &["a"], &["b", "c"], &[]);
    check_join(Join::AtLeast(2), &["a", "c"], &["z"], &["b"]);
    check_join(Join::AtLeast(2), &["!a", "!c"], &["b"], &[]);
}

#[test]
fn a_loser_is_no_gap_and_a_task_that_can_never_start_is_one() {
    let tasks = joining(Join::First);
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let done = Simulation::new(&agents).run();
    assert_eq!((done.outcome().status, done.outcome().missing.len()), (Status::Completed, 0));

    let tasks = joining(Join::All);
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        "b" => Err(failure(TaskFailureKind::Tool)),
        _ => usual(&tasks, assignment),
    };
    let done = Simulation::new(&agents).run();
    assert_eq!(done.outcome().status, Status::Partial);
    assert_eq!(
        super::simulation::missing(done.outcome()),
        [
            "what is b?: tool failed: no",
            "what is z?: a needed task failed: what it needs is missing"
        ]
    );
    assert!(done.outcome().answer.contains(&fact("c")), "what was found is in the answer");
}

#[test]
fn what_only_a_loser_needs_is_withdrawn_with_it_and_what_others_need_is_not() {
    let tasks = [
        task("a"),
        task("b").needing(["b0"]),
        task("b0"),
        task("d"),
        task("e").needing(["d"]),
        PlannedTask { join: Join::First, ..task("z").needing(["a", "b", "d"]) },
    ];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    assert_eq!(run.at_work(), ["a", "b0", "d"]);
    run.finish("a");
    assert_eq!(run.at_work(), ["d", "z"]);
    assert_eq!(run.withdrawn, ["b", "b0"]);
}

#[test]
fn a_loser_that_failed_is_not_tried_again() {
    let tasks = joining(Join::First);
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        "b" => Err(failure(TaskFailureKind::AgentLost)),
        _ => usual(&tasks, assignment),
    };
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    run.finish("a");
    assert_eq!((run.at_work(), run.tries("b").len()), (vec!["z"], 1));
    // The report of a task that was withdrawn comes too late.
    let late = crate::journal::Event::TaskReported {
        task: "b".into(),
        attempt: 1,
        report: crate::report::Report::text("late"),
    };
    let before = format!("{:?}", run.machine);
    run.machine.apply(&late);
    assert_eq!(format!("{:?}", run.machine), before);
}

#[test]
fn calls_go_to_who_takes_them_with_results_filled_in() {
    let sum = task("sum").needing(["t1"]).calling("calculate", json!({ "expression": "{t1} + 2" }));
    let sum = PlannedTask { to: "tools".into(), ..sum };
    // A call that is planned for somebody who takes questions is asked as a question.
    let odd = task("odd").calling("calculate", json!({ "expression": "1" }));
    let tasks = [task("t1"), sum, odd];
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        "t1" => Ok(crate::report::Report::text("It is 40.")),
        _ => usual(&tasks, assignment),
    };
    let done = Simulation::new(&agents).run();
    let arguments = json!({ "expression": "40 + 2" });
    let work = Work::Call { tool: "calculate".into(), arguments };
    assert_eq!(done.assigned[&("sum".into(), 1)].work, work);
    let question = ResearchBrief { question: "what is odd?".into(), context: vec![] };
    assert_eq!(done.assigned[&("odd".into(), 1)].work, Work::Brief(Brief::Research(question)));
    // What it found is a passage and not the result of a tool.
    let Work::Brief(Brief::Answer(brief)) = &done.assigned[&(ANSWER.into(), 1)].work else {
        panic!("the writer gets a brief");
    };
    let sources: Vec<_> = brief.evidence.iter().map(|e| (&*e.source, e.computed)).collect();
    assert_eq!(sources, [("tool:calculate", true), ("odd:1-1", false)]);
}
