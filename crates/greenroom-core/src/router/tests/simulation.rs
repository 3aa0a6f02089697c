//! A driver without a runtime: it records, performs and, when told, crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use crate::brief::{AgentCard, Brief, ToolCard};
use crate::budget::Usage;
use crate::journal::Event;
use crate::report::{Goal, Outcome, Report, TaskFailure, TaskFailureKind};
use crate::retriever::Passage;
use crate::router::{Assignment, Command, Machine, Plan, PlannedTask, RouterSpec, Work};
use crate::time::Timestamp;

pub(super) type Result = std::result::Result<Report, TaskFailure>;
pub(super) type Agents<'a> = dyn Fn(&Assignment) -> Result + 'a;

/// What every attempt at a task costs.
pub(super) const COST: Usage = Usage {
    model_calls: 1,
    input_tokens: 10,
    output_tokens: 1,
    tool_calls: 2,
    cached_tokens: None,
    cache_written_tokens: None,
    reasoning_tokens: None,
    estimated_calls: 0,
    cost: None,
    priced_calls: 0,
};

/// A team of `research` and `backup`, who take questions, and `tools`, who calculates.
pub(super) fn team() -> Vec<AgentCard> {
    let card =
        |role: &str, tools| AgentCard { role: role.into(), description: String::new(), tools };
    let tool =
        ToolCard { name: "calculate".into(), description: String::new(), parameters: json!({}) };
    vec![card("tools", vec![tool]), card("research", vec![]), card("backup", vec![])]
}

pub(super) fn task(id: &str) -> PlannedTask {
    PlannedTask::new(id, "research", format!("what is {id}?"))
}

pub(super) fn passage(source: &str, text: &str) -> Passage {
    Passage {
        source: source.into(),
        start_line: 1,
        end_line: 1 + text.matches('\n').count() as u32,
        heading: Vec::new(),
        score: 1.0,
        text: text.into(),
        also_at: Vec::new(),
        ranks: None,
    }
}

/// The sentence that is found about a task.
pub(super) fn fact(id: &str) -> String {
    format!("The sources know everything about {id}.")
}

pub(super) fn planned(tasks: Vec<PlannedTask>) -> Report {
    let value = serde_json::to_value(Plan { tasks }).expect("a plan is JSON");
    Report { value: Some(value), usage: COST, ..Report::default() }
}

pub(super) fn failure(kind: TaskFailureKind) -> TaskFailure {
    TaskFailure { usage: COST, ..TaskFailure::new(kind, "no") }
}

/// What agents do who have no trouble: the planner plans this, researchers find their fact, the tool
/// calculates 42, and the writer repeats all evidence.
pub(super) fn usual(tasks: &[PlannedTask], assignment: &Assignment) -> Result {
    let id = assignment.task.as_str();
    let report = match &assignment.work {
        Work::Brief(Brief::Plan(_)) => return Ok(planned(tasks.to_vec())),
        Work::Brief(Brief::Research(_)) => {
            let passages = vec![passage(id, &fact(id))];
            Report { passages, ..Report::text(format!("{} [1]", fact(id))) }
        }
        Work::Brief(Brief::Answer(brief)) => {
            let lines = brief.evidence.iter().map(|e| format!("{} [{}]", e.text, e.n));
            Report::text(lines.collect::<Vec<_>>().join("\n"))
        }
        Work::Call { .. } => Report::text("40 + 2 = 42"),
    };
    Ok(Report { usage: COST, ..report })
}

/// Where a crash strikes: after the event that makes the journal this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crash {
    pub(super) n_events: usize,
    /// Whether the agents live on, so that only the router is lost.
    pub(super) is_router_only: bool,
}

pub(super) struct Simulation<'a> {
    spec: Arc<RouterSpec>,
    agents: &'a Agents<'a>,
    pub(super) machine: Machine,
    pub(super) journal: Vec<Event>,
    pub(super) in_flight: Vec<Assignment>,
    /// What comes from outside, recorded once the journal is so long.
    pub(super) outside: Vec<(usize, Event)>,
    pub(super) crashes: BTreeSet<Crash>,
    pub(super) withdrawn: Vec<String>,
    /// Everything that was ever given out, by task and attempt.
    pub(super) assigned: BTreeMap<(String, u32), Assignment>,
    pub(super) outcomes: Vec<Outcome>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(agents: &'a Agents<'a>) -> Self {
        Self::of(RouterSpec::new(team()), agents)
    }

    pub(super) fn of(spec: RouterSpec, agents: &'a Agents<'a>) -> Self {
        let spec = Arc::new(spec);
        Self {
            machine: Machine::new(Arc::clone(&spec)),
            spec,
            agents,
            journal: Vec::new(),
            in_flight: Vec::new(),
            outside: Vec::new(),
            crashes: BTreeSet::new(),
            withdrawn: Vec::new(),
            assigned: BTreeMap::new(),
            outcomes: Vec::new(),
        }
    }

    /// Accepts a goal.
    pub(super) fn accepted(mut self) -> Self {
        let goal = Goal::new("why?");
        self.record(Event::RunAccepted { goal, deadline: Timestamp::from_millis(600_000) });
        self
    }

    /// Accepts a goal and gives out what can be.
    pub(super) fn start(self) -> Self {
        let mut started = self.accepted();
        started.settle();
        started
    }

    /// Runs to the outcome. Whoever has the task with the first id is the next to be done.
    pub(super) fn run(self) -> Self {
        self.run_in_order(|assignment| assignment.task.to_string())
    }

    pub(super) fn run_in_order<K: Ord>(self, order: impl Fn(&Assignment) -> K) -> Self {
        let mut running = self.start();
        for _ in 0..1_000 {
            if let Some(next) = running.in_flight.iter().min_by_key(|next| order(next)) {
                let id = next.task.to_string();
                running.finish(&id);
            } else {
                assert_eq!(running.outcomes.len(), 1, "stuck: {:?}", running.journal.last());
                return running;
            }
        }
        panic!("the run never ends");
    }

    /// Lets the agent that has a task finish it.
    #[track_caller]
    pub(super) fn finish(&mut self, id: &str) {
        let is_it = |assignment: &Assignment| assignment.task.as_str() == id;
        let at = self.in_flight.iter().position(is_it).expect("nobody has the task");
        let Assignment { task, attempt, .. } = self.in_flight[at].clone();
        let result = (self.agents)(&self.in_flight.remove(at));
        self.record(match result {
            Ok(report) => Event::TaskReported { task, attempt, report },
            Err(failure) => Event::TaskFailed { task, attempt, failure },
        });
        self.settle();
    }

    /// Records something from outside.
    pub(super) fn tell(&mut self, event: Event) {
        self.record(event);
        self.settle();
    }

    /// Records decisions until there are none.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let decided = self.machine.decide();
            if decided.is_empty() {
                let n_events = self.journal.len();
                let due = self.outside.iter().position(|(after, _)| *after <= n_events);
                let Some(due) = due.filter(|_| self.outcomes.is_empty()) else { return };
                let (_, event) = self.outside.remove(due);
                self.record(event);
            }
            for event in decided {
                if !self.record(event) {
                    break;
                }
            }
        }
        panic!("the router never comes to rest");
    }

    /// Records an event and performs what it asks for; `false` when a crash cut that short.
    fn record(&mut self, event: Event) -> bool {
        self.machine.apply(&event);
        self.journal.push(event);
        let n_events = self.journal.len();
        let strikes = |crash: &Crash| crash.n_events == n_events;
        if let Some(crash) = self.crashes.iter().copied().find(strikes) {
            self.crashes.remove(&crash);
            self.crash(crash);
            return false;
        }
        let command = self.machine.command(&self.journal[n_events - 1]);
        command.into_iter().for_each(|command| self.perform(command));
        true
    }

    fn crash(&mut self, crash: Crash) {
        if !crash.is_router_only {
            self.in_flight.clear();
        }
        self.machine = Machine::new(Arc::clone(&self.spec));
        self.journal.iter().for_each(|event| self.machine.apply(event));
        self.machine.resume().into_iter().for_each(|command| self.perform(command));
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Assign(assignment) => {
                let Assignment { task, attempt, .. } = &assignment;
                let key = (task.to_string(), *attempt);
                let known = self.assigned.entry(key).or_insert_with(|| assignment.clone());
                assert_eq!(*known, assignment, "a task that is given out again is the same");
                self.in_flight.retain(|other| other.task != assignment.task);
                self.in_flight.push(assignment);
            }
            Command::Withdraw(ids) => {
                self.in_flight.retain(|assignment| !ids.contains(&assignment.task));
                self.withdrawn.extend(ids.iter().map(ToString::to_string));
            }
            Command::Sleep => unreachable!("nobody waits for people here"),
            Command::Finish(outcome) => {
                self.in_flight.clear();
                self.outcomes.push(*outcome);
            }
        }
    }

    /// The tasks that agents have.
    pub(super) fn at_work(&self) -> Vec<&str> {
        self.in_flight.iter().map(|assignment| assignment.task.as_str()).collect()
    }

    #[track_caller]
    pub(super) fn outcome(&self) -> &Outcome {
        self.outcomes.last().expect("the run is over")
    }

    /// Who got a task, attempt by attempt.
    pub(super) fn tries(&self, id: &str) -> Vec<&str> {
        let of_task = self.assigned.iter().filter(|((task, _), _)| task == id);
        of_task.map(|(_, assignment)| assignment.to.as_str()).collect()
    }
}

/// Who lacks what: the outcome's gaps as `question: why`.
pub(super) fn missing(outcome: &Outcome) -> Vec<String> {
    outcome.missing.iter().map(|gap| format!("{}: {}", gap.question, gap.why)).collect()
}
