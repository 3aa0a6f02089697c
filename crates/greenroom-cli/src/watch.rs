//! From a goal to its outcome, watched: events go to the screen, Ctrl-C cancels, and SIGTERM leaves the run
//! to the next process.

mod ending;

use std::time::Duration;

use greenroom_core::approval::PendingCall;
use greenroom_core::budget::Spent;
use greenroom_core::ids::RunId;
use greenroom_core::report::{Goal, Outcome};
use greenroom_retrieval::NoticeCode;
use greenroom_runtime::{AgentInfo, Run, RunError, RunEvent};
use tokio::time::{Instant, MissedTickBehavior};

use crate::console::Console;
use crate::exit::{Exit, Failure, Problem, chain};
use crate::render::Screen;
use crate::session::Session;
use crate::signals::{Signal, Signals};
use ending::Ending;

/// How often the screen shows that time passes.
const FRAME: Duration = Duration::from_millis(100);

/// How much longer than its deadline a run may take to have its outcome.
const GRACE: Duration = Duration::from_secs(10);

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) run: RunId,
    pub(crate) outcome: Outcome,
    /// From the question to its outcome.
    pub(crate) duration: Duration,
    /// The agents of the run.
    pub(crate) run_agents: Vec<AgentInfo>,
    /// The agents that live as long as the team.
    pub(crate) team_agents: Vec<AgentInfo>,
    pub(crate) was_interrupted: bool,
    /// What each agent spent on each model.
    pub(crate) spending: Vec<Spent>,
    /// Whether the prices of all those models are known.
    pub(crate) is_priced: bool,
    /// What to do when a model is to blame.
    pub(crate) advice: Option<String>,
}

/// A run that waits for people, and sleeps.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) run: RunId,
    pub(crate) calls: Vec<PendingCall>,
}

/// How far a run was followed.
#[derive(Debug)]
pub(crate) enum Followed {
    /// To its outcome.
    Answered(Box<Answered>),
    /// Until nobody could go on before a person answers.
    Waits(Waiting),
}

/// Whoever looks at events besides the screen, and may act on them.
pub(crate) trait Onlooker {
    /// An event of the run.
    fn event(&mut self, event: &RunEvent, run: &Run<Outcome>);
}

/// Only looks.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Onlooker for Nobody {
    fn event(&mut self, _event: &RunEvent, _run: &Run<Outcome>) {}
}

/// Asks the session's team and waits for the outcome. The first Ctrl-C cancels the run, the second one
/// ends the process.
pub(crate) async fn watch(
    session: &Session,
    goal: Goal,
    console: &Console,
    onlooker: &mut impl Onlooker,
) -> Result<Followed, Failure> {
    let wall_max = goal.budget.wall_max;
    let run = session.team.submit(goal).await.map_err(|error| not_accepted(&error))?;
    follow(session, run, wall_max, console, onlooker).await
}

/// Waits for the outcome of a run that has so much time left.
pub(crate) async fn follow(
    session: &Session,
    mut run: Run<Outcome>,
    wall_max: Duration,
    console: &Console,
    onlooker: &mut impl Onlooker,
) -> Result<Followed, Failure> {
    let before = session.without_vectors();
    let mut signals = Signals::new();
    let mut ending = Ending::new(session);
    let mut screen = Screen::new(console, &session.team.agents());
    let begun_at = Instant::now();
    let mut give_up_at = begun_at + wall_max + GRACE;
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            event = run.next_event() => match event {
                Some(event) => {
                    screen.event(&event);
                    onlooker.event(&event, &run);
                }
                None => break,
            },
            signal = signals.next() => match ending.begin(signal, &run, console) {
                Some(ends_within) => give_up_at = Instant::now() + ends_within,
                None => {
                    screen.end();
                    std::process::exit(signal.exit() as i32);
                }
            },
            () = ending.drained() => {}
            _ = frames.tick() => {
                screen.tick();
                if run.asleep_until().is_some() && !ending.has_begun() {
                    screen.end();
                    let calls = session.pending(run.id()).await;
                    return Ok(Followed::Waits(Waiting { run: run.id(), calls }));
                }
            }
            () = tokio::time::sleep_until(give_up_at) => {
                screen.end();
                return Err(without_outcome());
            }
        }
    }
    let outcome = run.outcome().await;
    let duration = begun_at.elapsed();
    screen.end();
    tell_of_vectors(session, before.0, console);
    let was_interrupted = ending.is(Signal::Interrupt);
    if ending.left(run.id()).await {
        return Err(left(run.id()));
    }
    let advice = session.models.advice(&outcome).await;
    let spending = run.spending();
    Ok(Followed::Answered(Box::new(Answered {
        run: run.id(),
        is_priced: session.models.are_priced(&spending),
        spending,
        outcome,
        duration,
        advice,
        run_agents: run.agents(),
        team_agents: session.team.agents(),
        was_interrupted,
    })))
}

/// Tells when searches went by words alone although there are vectors.
fn tell_of_vectors(session: &Session, n_before: u64, console: &Console) {
    let (n_searches, why) = session.without_vectors();
    if n_searches > n_before {
        let notice = NoticeCode::QueryNotEmbedded;
        console.notice(notice.as_str(), &format!("{} ({why})", notice.message()));
    }
}

fn not_accepted(error: &RunError) -> Failure {
    Problem::new(Exit::Failed, error.code(), format!("the run was not accepted: {}", chain(error)))
        .into()
}

fn without_outcome() -> Failure {
    Problem::new(Exit::Failed, "GR0107", "the run did not end in its time").into()
}

/// The run goes on in another process.
fn left(run: RunId) -> Failure {
    let message = "the program was asked to end before there was an answer";
    let problem = Problem::new(Exit::Terminated, "GR0315", message);
    problem.help(format!("`greenroom runs resume {run}` goes on with it")).into()
}
