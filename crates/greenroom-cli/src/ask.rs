//! `greenroom ask`: one question, one answer.

use std::time::Duration;

use greenroom_core::ids::RunId;
use greenroom_core::report::Goal;

use crate::args::{AskArgs, Verbosity};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failure};
use crate::models::Models;
use crate::question::question;
use crate::render::{agents, answer, answered_json, failed_json, problem_of, summary};
use crate::runs::unfinished;
use crate::session::Session;
use crate::watch::{Answered, Nobody, follow, watch};

/// Answers a question.
pub(crate) async fn ask(args: AskArgs, console: &Console) -> Result<Exit, Failure> {
    let is_json = args.json;
    let answered = match run(args, console).await {
        Ok(answered) => answered,
        Err(failure) => {
            if is_json && let Some(problem) = failure.problem() {
                console.out(&failed_json(&problem))?;
            }
            return Err(failure);
        }
    };
    if is_json {
        console.out(&answered_json(&answered))?;
    } else {
        console.out(&answer(&answered.outcome, console.on_stdout))?;
    }
    Ok(conclude(&answered, console))
}

async fn run(args: AskArgs, console: &Console) -> Result<Answered, Failure> {
    let sources = args.sources();
    let unfinished = match &args.resume {
        Some(run) => Some(unfinished(sources.store.as_deref(), run).await?),
        None => None,
    };
    let goal = || {
        let (budget, top_k) = (args.limits.budget(), args.limits.top_k());
        let question = question(args.question.unwrap_or_default())?;
        Ok::<_, Failure>(Goal { budget, top_k, ..Goal::new(question) })
    };
    let goal = if unfinished.is_none() { Some(goal()?) } else { None };
    let models = Models::new(&Config::load(&args.models)?)?;
    models.check(&args.limits.budget())?;
    let session = Session::start(&sources, models, console).await?;
    let answered = match (goal, unfinished) {
        (Some(goal), _) => watch(&session, goal, console, &mut Nobody).await,
        (None, Some((run, rest))) => resumed(&session, run, rest, console).await,
        (None, None) => unreachable!("there is a goal unless a run is continued"),
    };
    session.end().await;
    answered
}

/// Continues a run, with as much of its time as is left.
async fn resumed(
    session: &Session,
    run: RunId,
    rest: Duration,
    console: &Console,
) -> Result<Answered, Failure> {
    let run = session.resume(run).await?;
    follow(session, run, rest, console, &mut Nobody).await
}

/// Tells how the run went, and gives the exit status.
pub(crate) fn conclude(answered: &Answered, console: &Console) -> Exit {
    if console.verbosity == Verbosity::Verbose {
        console.say(agents(answered, console.on_stderr).trim_end());
    }
    let outcome = &answered.outcome;
    let problem = problem_of(answered);
    if console.is_live() {
        console.say("");
    }
    match (&problem, outcome.limit) {
        (Some(problem), _) if problem.exit != Exit::Interrupted => problem.report(console),
        (None, Some(limit)) => console.notice("GR0308", &format!("cut short by the {limit}")),
        _ => {}
    }
    console.note(&summary(answered));
    if answered.was_interrupted {
        return Exit::Interrupted;
    }
    match (problem, outcome.limit) {
        (Some(problem), _) => problem.exit,
        (None, Some(_)) => Exit::Limit,
        (None, None) => Exit::Ok,
    }
}
