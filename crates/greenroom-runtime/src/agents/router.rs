//! The router: the shell of the router machine of core. It moves messages and keeps deadlines; it asks no
//! model and reads no passage.

mod accounted;
mod answers;
mod sleep;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::brief::Brief;
use greenroom_core::ids::{AgentId, CallId, StreamId, TaskId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::recovery::is_asleep;
use greenroom_core::report::{Outcome, Report, TaskFailure};
use greenroom_core::retriever::{Query, SearchCost};
use greenroom_core::router::{Assignment, Command, Machine, Work};
use greenroom_core::tool::idempotency_key;
use tokio_util::sync::CancellationToken;

use super::retrieval::{Payer, RetrievalMessage, Search};
use super::tools::{Call, ToolMessage};
use crate::actor::slot::AnySlot;
use crate::actor::{Actor, Context, Failure};
use crate::journalled::{Journalled, JournalledActor, Known, Stored};
use crate::run::RunShared;
use crate::run::dozing::Dozing;
use crate::run::events::RunEvent;
use crate::supervisor::SupervisorRef;
use crate::team::specialist::TaskDraft;
use crate::team::{Crew, Member, Seat, child_of_run};
use accounted::Accounted;
use answers::{
    brief_question, computed, found, lost, question_of, reported, seated_result, unsuited,
};

/// Everything that a router's incarnation is built from.
pub(crate) struct RouterSetup {
    pub(crate) crew: Arc<Crew>,
    pub(crate) shared: Arc<RunShared<Outcome>>,
    /// The run's own supervisor, which the agents of its tasks are started under.
    pub(crate) supervisor: SupervisorRef,
    pub(crate) stream: StreamId,
    /// What is in the stream when the first incarnation begins.
    pub(crate) known: Known,
}

pub(crate) enum RouterMessage {
    Stored(Stored),
    /// An agent was started for a task, or was there already.
    Seated {
        task: TaskId,
        attempt: u32,
        result: Result<(), TaskFailure>,
    },
    /// An attempt at a task has its result.
    Settled {
        task: TaskId,
        attempt: u32,
        result: Result<Report, TaskFailure>,
        /// What a search asked of models.
        costs: Vec<SearchCost>,
    },
    Withdrawn,
    GatheringOver,
    DeadlineOver,
    Cancel,
    Pause(bool),
    /// An agent waits for people.
    AgentWaits,
    /// Everybody may have waited for people for a while.
    Doze,
}

/// A task that somebody is working on.
struct Given {
    /// The agent that was started for it, when one was, and its stream.
    seated: Option<(AgentId, StreamId)>,
    /// Cancels the question that was asked, when no agent was started.
    token: CancellationToken,
}

/// A run's router. What it knows is in the run's root stream; a restart reads it back.
pub(crate) struct Router {
    setup: Arc<RouterSetup>,
    journalled: Journalled<Accounted>,
    given: BTreeMap<TaskId, Given>,
    dozing: Dozing,
}

impl Router {
    pub(crate) fn new(setup: Arc<RouterSetup>) -> Self {
        let machine = Machine::new(Arc::clone(&setup.crew.router));
        let machine = Accounted { machine, account: Arc::clone(&setup.shared.account) };
        let (journal, clock) = (Arc::clone(&setup.crew.journal), Arc::clone(&setup.crew.clock));
        let (stream, pace) = (setup.stream.clone(), setup.shared.pace.clone());
        let journalled = Journalled::new(machine, journal, clock, stream, pace);
        let journalled = journalled.knowing(&setup.known);
        Self { setup, journalled, given: BTreeMap::new(), dozing: Dozing::default() }
    }

    fn resume(&mut self, events: &[Recorded], context: &mut Context<'_, Self>) {
        let is_result = |recorded: &&Recorded| {
            matches!(recorded.event, Event::TaskReported { .. } | Event::TaskFailed { .. })
        };
        let n_calls_kept = events.iter().filter(is_result).count() as u64;
        let commands = self.journalled.machine.resume();
        let n_calls_open = commands.len() as u64;
        let agent = context.id().clone();
        self.setup.shared.emit(|| RunEvent::AgentResumed { agent, n_calls_kept, n_calls_open });
        for command in commands {
            self.perform(command, context);
        }
    }

    /// Arms the two deadlines of the run: when to write with what is there, and when to end.
    fn arm(&self, context: &Context<'_, Self>) {
        let Some(goal) = self.journalled.machine.goal() else { return };
        let (total, left) = (goal.budget.wall_max, self.time_left());
        let reserve = total.saturating_sub(Machine::gathering_time(total));
        if !self.journalled.machine.is_gathering_over() {
            context.after(left.saturating_sub(reserve), RouterMessage::GatheringOver);
        }
        context.after(left, RouterMessage::DeadlineOver);
    }

    fn assign(&mut self, assignment: Assignment, context: &Context<'_, Self>) {
        let Assignment { task, attempt, to, work } = assignment;
        self.setup.shared.emit(|| RunEvent::TaskAssigned {
            task: task.clone(),
            to: to.clone(),
            attempt,
            question: question_of(&work).to_owned(),
        });
        let crew = Arc::clone(&self.setup.crew);
        let deadline = self.time_left();
        // To wait for others is all that a router does.
        context.protect(deadline);
        let answer: BoxFuture<'static, (Result<Report, TaskFailure>, Vec<SearchCost>)> =
            match (crew.members.get(&to), work) {
                (Some(Member::Seat(seat)), Work::Brief(brief)) => {
                    return self.seat(seat, task, attempt, &brief, context);
                }
                (Some(Member::Retrieval(agent)), Work::Brief(brief)) => {
                    let text = brief_question(&brief).to_owned();
                    let query = Query { top_k: self.setup.shared.top_k, ..Query::new(text) };
                    let (agent, shared) = (agent.clone(), Arc::clone(&self.setup.shared));
                    let account = Arc::clone(&shared.account);
                    let payer = Payer { account, agent: agent.id().clone() };
                    let build = |reply| RetrievalMessage::Search(Search { query, payer, reply });
                    Box::pin(async move {
                        found(agent.ask(deadline, build).await, |error| {
                            let (agent, step) = (agent.id().clone(), format!("without {error}"));
                            shared.emit(|| RunEvent::Step { agent, step });
                        })
                    })
                }
                (Some(Member::Tools(agent)), Work::Call { tool, arguments })
                    if crew.offers(&to, &tool) =>
                {
                    let (agent, call) = (agent.clone(), CallId::new(task.as_str()));
                    let stream = &self.setup.stream;
                    let idempotency_key = idempotency_key(stream, &call, &tool, &arguments);
                    let call = |reply| Call {
                        call,
                        tool,
                        arguments,
                        idempotency_key,
                        waiting: Arc::from([]),
                        looks_first: false,
                        reply,
                    };
                    let build = |reply| ToolMessage::Call(call(reply));
                    Box::pin(async move { (computed(agent.ask(deadline, build).await), vec![]) })
                }
                (Some(Member::Specialist(specialist)), Work::Brief(brief)) => {
                    let answer = specialist.ask(self.draft(&task, attempt, brief), deadline);
                    Box::pin(async move { (reported(answer.await), vec![]) })
                }
                (_, work) => {
                    let failure = unsuited(&to, &work);
                    return self.record(Event::TaskFailed { task, attempt, failure });
                }
            };
        let token = CancellationToken::new();
        self.given.insert(task.clone(), Given { seated: None, token: token.clone() });
        context.cancellable("assign", deadline, token, answer, move |answer| {
            let (result, costs) = answer.unwrap_or_else(|error| (Err(lost(&error)), vec![]));
            RouterMessage::Settled { task, attempt, result, costs }
        });
    }

    /// Starts an agent for a task, or finds the one that a former incarnation started.
    fn seat(
        &mut self,
        seat: &Seat,
        task: TaskId,
        attempt: u32,
        brief: &Brief,
        context: &Context<'_, Self>,
    ) {
        let (id, stream, start) = seat.start(&self.setup, &task, attempt, brief, &context.me());
        let spec = child_of_run(id.clone());
        let supervisor = self.setup.supervisor.clone();
        self.setup.shared.add_agent(Arc::clone(&start.slot) as Arc<dyn AnySlot>);
        let given = Given { seated: Some((id, stream)), token: CancellationToken::new() };
        self.given.insert(task.clone(), given);
        let seated = async move { supervisor.start_child(spec, Arc::new(start)).await };
        context.shielded("assign", self.time_left(), seated, move |result| RouterMessage::Seated {
            task,
            attempt,
            result: seated_result(result),
        });
    }

    fn withdraw(&mut self, task: &TaskId, context: &Context<'_, Self>) {
        let Some(Given { seated, token }) = self.given.remove(task) else { return };
        token.cancel();
        if let Some((agent, _)) = seated {
            let supervisor = self.setup.supervisor.clone();
            let stop = async move { supervisor.terminate_child(agent).await };
            context.shielded("withdraw", self.time_left(), stop, |_| RouterMessage::Withdrawn);
        }
    }

    fn settled(&mut self, task: &TaskId, attempt: u32, result: &Result<Report, TaskFailure>) {
        let (task, result) = (task.clone(), result.clone());
        let id = task.clone();
        match result {
            Ok(report) => {
                self.setup.shared.emit(|| RunEvent::TaskReported { task: id });
                self.journalled.record(Event::TaskReported { task, attempt, report });
            }
            Err(failure) => {
                let why = failure.to_string();
                self.setup.shared.emit(|| RunEvent::TaskFailed { task: id, why });
                self.journalled.record(Event::TaskFailed { task, attempt, failure });
            }
        }
    }

    fn record(&mut self, event: Event) {
        self.journalled.record(event);
    }

    fn draft(&self, task: &TaskId, attempt: u32, brief: Brief) -> TaskDraft {
        let question = brief_question(&brief).to_owned();
        let context = match brief {
            Brief::Research(research) => research.context,
            _ => Vec::new(),
        };
        TaskDraft { run: self.setup.shared.id, id: task.clone(), attempt, question, context }
    }

    fn time_left(&self) -> Duration {
        let deadline = self.journalled.machine.deadline().unwrap_or_default();
        deadline.since(self.setup.crew.clock.now()).max(Duration::from_millis(1))
    }
}

impl JournalledActor for Router {
    type Machine = Accounted;

    fn journalled(&mut self) -> &mut Journalled<Accounted> {
        &mut self.journalled
    }

    fn hydrated(
        &mut self,
        events: &[Recorded],
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        self.arm(context);
        // The acceptance, and who owns the run, are written by whoever submitted it.
        let is_begun = |recorded: &Recorded| {
            !matches!(recorded.event, Event::RunAccepted { .. } | Event::RunBound { .. })
        };
        if is_asleep(events) {
            // It was not stopped after all: this incarnation is another one of the same process.
            self.record(Event::RunAwake { slept: Duration::ZERO });
        }
        if self.setup.shared.door.is_cancelled() && self.journalled.machine.outcome().is_none() {
            self.record(Event::CancelRequested);
        }
        if events.iter().any(is_begun) {
            self.resume(events, context);
        }
        Ok(())
    }

    fn perform(&mut self, command: Command, context: &mut Context<'_, Self>) {
        match command {
            Command::Assign(assignment) => self.assign(assignment, context),
            Command::Withdraw(tasks) => {
                for task in tasks {
                    self.withdraw(&task, context);
                }
            }
            Command::Sleep => self.sleep(context),
            Command::Finish(outcome) => {
                let status = outcome.status;
                self.setup.shared.emit(|| RunEvent::Finished { status });
                self.setup.shared.finish(*outcome);
                context.stop();
            }
        }
    }
}

impl Actor for Router {
    type Message = RouterMessage;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let (agent, generation) = (context.id().clone(), context.generation());
        self.setup.shared.emit(|| RunEvent::AgentStarted { agent, role: "router", generation });
        self.hydrate(context)
    }

    fn handle(
        &mut self,
        message: &RouterMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            RouterMessage::Stored(stored) => {
                self.stored(stored, context)?;
                self.doze_soon(context);
                return Ok(());
            }
            RouterMessage::Seated { result: Ok(()), .. }
            | RouterMessage::Withdrawn
            | RouterMessage::AgentWaits => {}
            RouterMessage::Doze => self.doze(),
            RouterMessage::Seated { task, attempt, result: Err(failure) } => {
                self.settled(task, *attempt, &Err(failure.clone()));
            }
            RouterMessage::Settled { task, attempt, result, costs } => {
                self.journalled.record_costs(&CallId::new(task.as_str()), costs);
                self.settled(task, *attempt, result);
            }
            RouterMessage::GatheringOver => self.record(Event::GatheringEnded),
            RouterMessage::DeadlineOver => self.record(Event::DeadlinePassed),
            RouterMessage::Cancel => self.record(Event::CancelRequested),
            RouterMessage::Pause(true) => self.record(Event::WorkPaused),
            RouterMessage::Pause(false) => self.record(Event::WorkResumed),
        }
        self.advance(context)?;
        self.doze_soon(context);
        Ok(())
    }
}

impl From<Stored> for RouterMessage {
    fn from(stored: Stored) -> Self {
        Self::Stored(stored)
    }
}

impl fmt::Debug for RouterMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored(_) => "Stored",
            Self::Seated { .. } => "Seated",
            Self::Settled { .. } => "Settled",
            Self::Withdrawn => "Withdrawn",
            Self::GatheringOver => "GatheringOver",
            Self::DeadlineOver => "DeadlineOver",
            Self::Cancel => "Cancel",
            Self::Pause(_) => "Pause",
            Self::AgentWaits => "AgentWaits",
            Self::Doze => "Doze",
        })
    }
}
