//! Failures: who tries again, who steps in, and what becomes of a plan that is none.

use super::simulation::{Result, Simulation, fact, failure, missing, planned, task, team, usual};
use crate::budget::Limit;
use crate::report::{Report, Status, TaskFailure, TaskFailureKind};
use crate::router::{ANSWER, Assignment, Join, PLAN, PlannedTask, RouterSpec};

/// How a task that fails so often is tried, and whether it succeeds.
#[track_caller]
fn check_tries(
    kind: TaskFailureKind,
    n_failures: u32,
    attempts_max: u32,
    fallback: bool,
    expect: &[&str],
) {
    let fallback = fallback.then(|| "backup".to_owned());
    let tasks = [PlannedTask { fallback, ..task("t1") }];
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        "t1" if assignment.attempt <= n_failures => Err(failure(kind)),
        _ => usual(&tasks, assignment),
    };
    let spec = RouterSpec { attempts_max, ..RouterSpec::new(team()) };
    let done = Simulation::of(spec, &agents).run();
    assert_eq!(done.tries("t1"), expect);
    let is_found = expect.len() > n_failures as usize;
    let status = if is_found { Status::Completed } else { Status::Failed };
    assert_eq!(done.outcome().status, status);
    // Every attempt has its cost: those that failed, the plan, and the answer when there was one.
    let n_calls = 1 + expect.len() as u64 + u64::from(is_found);
    assert_eq!(done.outcome().usage.model_calls, n_calls);
    if !is_found {
        assert_eq!(done.outcome().failure, Some(failure(kind)));
        assert_eq!(missing(done.outcome()), [format!("what is t1?: {}", failure(kind))]);
    }
}

#[test]
fn a_lost_agent_is_replaced_then_the_fallback_steps_in_then_the_task_is_lost() {
    use TaskFailureKind::{AgentLost, InDoubt, Model, TimedOut};
    check_tries(AgentLost, 0, 2, true, &["research"]);
    check_tries(AgentLost, 1, 2, true, &["research", "research"]);
    check_tries(AgentLost, 2, 2, true, &["research", "research", "backup"]);
    check_tries(TimedOut, 3, 2, true, &["research", "research", "backup", "backup"]);
    check_tries(TimedOut, 4, 2, true, &["research", "research", "backup", "backup"]);
    check_tries(AgentLost, 2, 2, false, &["research", "research"]);
    check_tries(AgentLost, 1, 1, false, &["research"]);
    check_tries(AgentLost, 1, 0, true, &["research", "backup"]);
    // What another incarnation cannot mend goes to the fallback at once.
    check_tries(Model, 1, 2, true, &["research", "backup"]);
    check_tries(Model, 1, 2, false, &["research"]);
    // What may have happened must not happen again.
    check_tries(InDoubt, 1, 2, true, &["research"]);
}

#[test]
fn words_of_a_fallback_are_no_result_of_a_tool() {
    let call = task("t1").calling("calculate", serde_json::json!({ "expression": "1" }));
    let tasks = [PlannedTask { to: "tools".into(), fallback: Some("backup".into()), ..call }];
    let agents = |assignment: &Assignment| match assignment.to.as_str() {
        "tools" => Err(failure(TaskFailureKind::Tool)),
        "backup" => Ok(Report::text("The moon is made of cheese.")),
        ANSWER => Ok(Report::text("The moon is made of cheese [1].")),
        _ => usual(&tasks, assignment),
    };
    let done = Simulation::new(&agents).run();
    assert_eq!(done.tries("t1"), ["tools", "backup"]);
    let outcome = done.outcome();
    assert_eq!((outcome.status, outcome.citations.len()), (Status::Partial, 0));
    let why = "why?: output invalid: no sentence of the answer is supported by its evidence";
    assert_eq!(missing(outcome), [why], "the word of an agent stands, and is not proven");
}

fn plans_nothing(result: &Result, assignment: &Assignment) -> Result {
    match assignment.task.as_str() {
        PLAN => result.clone(),
        _ => usual(&[], assignment),
    }
}

/// Whatever the planner does here, the question is the plan.
#[track_caller]
fn check_unplanned(result: &Result) {
    let agents = |assignment: &Assignment| plans_nothing(result, assignment);
    let done = Simulation::new(&agents).run();
    assert_eq!(done.tries("t1"), ["research"]);
    let given: Vec<_> = done.assigned.keys().map(|(task, _)| task.as_str()).collect();
    assert!(given.iter().all(|id| [PLAN, "t1", ANSWER].contains(id)), "{given:?}");
    assert_eq!(done.outcome().answer, format!("{} [1]", fact("t1")));
    assert_eq!(done.outcome().status, Status::Completed);
}

#[test]
fn without_a_usable_plan_the_question_is_the_plan() {
    let greedy = PlannedTask { join: Join::AtLeast(2), ..task("b").needing(["a"]) };
    for tasks in [
        vec![],
        (0..17).map(|i| task(&format!("t{i}"))).collect(),
        vec![task("../a")],
        vec![task("answer")],
        vec![task("a"), task("a")],
        vec![PlannedTask::new("a", "wizard", "?")],
        vec![PlannedTask { fallback: Some("wizard".into()), ..task("a") }],
        vec![task("a").needing(["z"])],
        vec![task("a"), greedy],
        vec![task("a").needing(["b"]), task("b").needing(["a"])],
    ] {
        check_unplanned(&Ok(planned(tasks)));
    }
    check_unplanned(&Ok(Report::text("First, I would look it up.")));
    check_unplanned(&Ok(Report {
        value: Some(serde_json::json!({ "tasks": 3 })),
        ..Report::default()
    }));
    check_unplanned(&Err(failure(TaskFailureKind::Model)));
    check_unplanned(&Err(failure(TaskFailureKind::Output)));
}

#[test]
fn a_plan_can_be_written_as_text() {
    let plan = planned(vec![task("x")]).value.expect("a plan").to_string();
    let agents =
        |assignment: &Assignment| plans_nothing(&Ok(Report::text(plan.clone())), assignment);
    assert_eq!(Simulation::new(&agents).run().tries("x"), ["research"]);
}

#[test]
fn a_planner_that_is_lost_is_replaced() {
    let agents = |assignment: &Assignment| match (assignment.task.as_str(), assignment.attempt) {
        (PLAN, 1) => Err(failure(TaskFailureKind::AgentLost)),
        _ => usual(&[task("x")], assignment),
    };
    let done = Simulation::new(&agents).run();
    assert_eq!((done.tries(PLAN), done.tries("x")), (vec![PLAN, PLAN], vec!["research"]));
}

#[test]
fn a_team_that_takes_no_questions_needs_a_plan() {
    let spec = || RouterSpec::new(team()[..1].to_vec());
    let agents = |assignment: &Assignment| plans_nothing(&Ok(Report::text("no")), assignment);
    let done = Simulation::of(spec(), &agents).run();
    let outcome = done.outcome();
    assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Failed, ""));
    let failure = outcome.failure.as_ref().map(|failure| failure.kind);
    assert_eq!(failure, Some(TaskFailureKind::AgentLost));
    assert!(done.tries(ANSWER).is_empty(), "there is nothing to write");

    let call = task("t1").calling("calculate", serde_json::json!({ "expression": "40 + 2" }));
    let tasks = [PlannedTask { to: "tools".into(), ..call }];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let done = Simulation::of(spec(), &agents).run();
    assert_eq!(done.outcome().answer, "40 + 2 = 42");
    assert_eq!(done.outcome().status, Status::Completed);
}

#[test]
fn the_cause_of_a_failed_run_is_the_first_failure_that_has_no_other_cause() {
    let tasks = [task("b").needing(["a"]), task("a"), task("c")];
    let limited = || TaskFailure { limit: Some(Limit::Money), ..failure(TaskFailureKind::Limit) };
    let agents = |assignment: &Assignment| match assignment.task.as_str() {
        PLAN => usual(&tasks, assignment),
        "a" => Err(limited()),
        _ => Err(failure(TaskFailureKind::Model)),
    };
    let done = Simulation::new(&agents).run();
    let outcome = done.outcome();
    assert_eq!(outcome.failure, Some(limited()));
    assert_eq!((outcome.status, outcome.limit), (Status::Failed, Some(Limit::Money)));
    assert_eq!(missing(outcome).len(), 3);
}
