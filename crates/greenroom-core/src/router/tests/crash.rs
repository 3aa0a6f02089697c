//! Crashes: the run goes on where it was, with the tasks that are not done.

use proptest::prelude::*;

use super::simulation::{Crash, Result, Simulation, failure, task, team, usual};
use crate::journal::Event;
use crate::report::{Report, TaskFailureKind};
use crate::router::{ANSWER, Assignment, Join, PLAN, PlannedTask, RouterSpec};

#[derive(Debug, Clone)]
struct Script {
    tasks: Vec<PlannedTask>,
    /// How the attempts at a task go, by its place in the plan; success when nothing is said.
    failures: Vec<Vec<TaskFailureKind>>,
    /// In which order tasks are done.
    priorities: Vec<u8>,
    n_objections: u32,
    outside: Option<(usize, Event)>,
}

fn script() -> impl Strategy<Value = Script> {
    use TaskFailureKind::{AgentLost, Model, TimedOut, Tool};
    let join = prop_oneof![
        Just(Join::All),
        Just(Join::Settled),
        Just(Join::First),
        Just(Join::AtLeast(1))
    ];
    let planned = (proptest::collection::vec(0_usize..5, 0..3), join, any::<bool>());
    let kind = proptest::sample::select(vec![AgentLost, TimedOut, Model, Tool]);
    let outside = proptest::option::of((
        2_usize..20,
        proptest::sample::select(vec![
            Event::GatheringEnded,
            Event::CancelRequested,
            Event::DeadlinePassed,
        ]),
    ));
    let parts = (
        proptest::collection::vec(planned, 1..6),
        proptest::collection::vec(proptest::collection::vec(kind, 0..4), 7),
        proptest::collection::vec(any::<u8>(), 7),
        0_u32..3,
        outside,
    );
    parts.prop_map(|(planned, failures, priorities, n_objections, outside)| {
        let tasks = planned.into_iter().enumerate().map(|(i, (needs, join, has_fallback))| {
            let needs = needs.into_iter().filter(|need| *need < i);
            let needs: Vec<_> = needs.map(|need| format!("t{need}").into()).collect();
            let join = if needs.is_empty() { Join::All } else { join };
            let fallback = has_fallback.then(|| "backup".to_owned());
            PlannedTask { needs, join, fallback, ..task(&format!("t{i}")) }
        });
        Script { tasks: tasks.collect(), failures, priorities, n_objections, outside }
    })
}

impl Script {
    fn place(&self, assignment: &Assignment) -> usize {
        match assignment.task.as_str() {
            PLAN => 5,
            ANSWER => 6,
            id => id[1..].parse().expect("t and its place"),
        }
    }

    fn agents(&self, assignment: &Assignment) -> Result {
        let failures = &self.failures[self.place(assignment)];
        if let Some(kind) = failures.get(assignment.attempt as usize - 1) {
            return Err(failure(*kind));
        }
        let report = usual(&self.tasks, assignment)?;
        let is_disputed = assignment.to == ANSWER && assignment.attempt <= self.n_objections;
        let text = report.text.clone() + if is_disputed { "\nCats fly." } else { "" };
        Ok(Report { text, ..report })
    }

    fn run(&self, crashes: impl IntoIterator<Item = Crash>) -> (Vec<Event>, usize) {
        let agents = |assignment: &Assignment| self.agents(assignment);
        let spec = RouterSpec { revisions_max: 2, ..RouterSpec::new(team()) };
        let mut simulation = Simulation::of(spec, &agents);
        simulation.crashes = crashes.into_iter().collect();
        simulation.outside = self.outside.clone().into_iter().collect();
        let priority = |assignment: &Assignment| {
            let place = self.place(assignment);
            (self.priorities[place], place)
        };
        let done = simulation.run_in_order(priority);
        (done.journal, done.assigned.len())
    }
}

fn sorted(journal: &[Event]) -> Vec<String> {
    let mut events: Vec<_> = journal.iter().map(|event| format!("{event:?}")).collect();
    events.sort();
    events
}

proptest! {
    #[test]
    fn a_run_with_crashes_is_the_run_without(
        script in script(),
        some in proptest::collection::vec(1_usize..30, 1..5),
        is_router_only in any::<bool>(),
    ) {
        let (calm, n_assigned) = script.run([]);
        let every: Vec<_> = (1..calm.len()).collect();
        for crashes in every.chunks(1).chain([&some[..], &every[..]]) {
            let crashes = crashes.iter().map(|&n_events| Crash { n_events, is_router_only });
            let (rough, n_assigned_rough) = script.run(crashes);
            // The same events, though a crash among decisions may change their order: nothing was
            // done twice, and the outcome is the same.
            prop_assert_eq!(rough.last(), calm.last());
            prop_assert_eq!(sorted(&rough), sorted(&calm));
            prop_assert_eq!(n_assigned_rough, n_assigned);
        }
    }
}

#[test]
fn only_what_is_not_done_is_given_out_again() {
    let tasks = [task("a"), task("b"), task("c").needing(["a"])];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    run.crashes = [Crash { n_events: run.journal.len() + 1, is_router_only: false }].into();
    run.finish("a");
    // The crash came behind the report of `a`, before anything followed from it.
    assert_eq!(run.at_work(), ["b", "c"]);
}

#[test]
fn what_was_given_up_is_withdrawn_by_the_next_router_if_not_by_the_last() {
    let tasks = [task("a"), task("b")];
    let agents = |assignment: &Assignment| usual(&tasks, assignment);
    let mut run = Simulation::new(&agents).start();
    run.finish(PLAN);
    run.finish("a");
    run.crashes = [Crash { n_events: run.journal.len() + 1, is_router_only: true }].into();
    run.tell(Event::GatheringEnded);
    assert_eq!((run.at_work(), &run.withdrawn[..]), (vec![ANSWER], &["b".to_owned()][..]));
}

#[test]
fn a_finished_run_is_finished_again_for_who_missed_it() {
    let agents = |assignment: &Assignment| usual(&[task("a")], assignment);
    let done = Simulation::new(&agents).run();
    let n_events = done.journal.len();
    let mut again = Simulation::new(&agents);
    again.crashes = [Crash { n_events, is_router_only: false }].into();
    let again = again.run();
    assert_eq!((again.journal, again.outcomes), (done.journal, done.outcomes));
}
