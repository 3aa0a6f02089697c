//! `greenroom ask`: one question, one answer.

use std::path::Path;

use greenroom_core::report::Goal;
use greenroom_core::time::Clock as _;
use greenroom_runtime::SystemClock;

use crate::args::{AskArgs, Verbosity};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failure};
use crate::models::Models;
use crate::question::question;
use crate::render::{
    agents, answer, answered_json, failed_json, problem_of, summary, waiting_json,
};
use crate::runs::{Asked, Means, asked_text, named, resume_one, unfinished};
use crate::session::Session;
use crate::watch::{Answered, Followed, Nobody, Waiting, watch};

/// Answers a question.
pub(crate) async fn ask(args: AskArgs, console: &Console) -> Result<Exit, Failure> {
    let (is_json, store) = (args.json, args.sources().store);
    match run(args, console).await {
        Ok(followed) => conclude_followed(&followed, store.as_deref(), is_json, console),
        Err(failure) => {
            told(&failure, is_json, console)?;
            Err(failure)
        }
    }
}

async fn run(args: AskArgs, console: &Console) -> Result<Followed, Failure> {
    let sources = args.sources();
    if let Some(run) = &args.resume {
        let run = unfinished(sources.store.as_deref(), run).await?;
        let config = Config::load(&args.models)?;
        Models::new(&config)?.check(&args.limits.budget())?;
        let means = Means { sources, config: &config, keep: &args.keep };
        return resume_one(&run, means, console).await;
    }
    let (budget, top_k) = (args.limits.budget(), args.limits.top_k());
    let question = question(args.question.unwrap_or_default())?;
    let config = Config::load(&args.models)?;
    let (models, keep) = (Models::new(&config)?, config.keep(&args.keep));
    models.check(&budget)?;
    let session = Session::start(&sources, models, &keep, console).await?;
    let goal = Goal { budget, top_k, ..Goal::new(question) };
    let followed = watch(&session, goal, console, &mut Nobody).await;
    session.end().await;
    followed
}

/// Prints that there was no run, where programs read it.
pub(crate) fn told(failure: &Failure, is_json: bool, console: &Console) -> Result<(), Failure> {
    match failure.problem() {
        Some(problem) if is_json => console.out(&failed_json(&problem)),
        _ => Ok(()),
    }
}

/// Prints what came of a run, or what it waits for, and gives the exit status.
pub(crate) fn conclude_followed(
    followed: &Followed,
    store: Option<&Path>,
    is_json: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let answered = match followed {
        Followed::Answered(answered) => answered,
        Followed::Waits(waiting) => return conclude_waiting(waiting, store, is_json, console),
    };
    if is_json {
        console.out(&answered_json(answered))?;
    } else {
        console.out(&answer(&answered.outcome, console.on_stdout))?;
    }
    Ok(conclude(answered, console))
}

/// Prints what a run waits for, and how it is answered.
pub(crate) fn conclude_waiting(
    waiting: &Waiting,
    store: Option<&Path>,
    is_json: bool,
    console: &Console,
) -> Result<Exit, Failure> {
    let asked: Vec<_> = waiting.calls.iter().map(|call| Asked::new(call, store)).collect();
    if is_json {
        console.out(&waiting_json(waiting.run, &asked))?;
    } else {
        console.out(&asked_text(&asked, SystemClock::new().now()))?;
    }
    let run = named(waiting.run);
    console.notice("GR0518", &format!("run {run} waits for a person, and nothing is lost"));
    console.help(&format!("answer, then `greenroom runs resume {run}` goes on"));
    Ok(Exit::Waiting)
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
