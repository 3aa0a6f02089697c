//! Answers of a person to calls of runs that nobody has at work.

use std::path::Path;

use greenroom_core::approval::{AnswerRefusal, Decision, PendingCall};
use greenroom_core::ids::RunId;
use greenroom_core::journal::Event;
use greenroom_runtime::ControlError;
use serde::Serialize;

use super::asked::{Asked, mark, name, name_at};
use super::named;
use super::stored::Stored;
use crate::args::AnswerArgs;
use crate::exit::{Exit, Failure, Problem, chain};
use crate::paths;
use crate::render::json_line;

#[derive(Serialize)]
struct Answered<'a> {
    run: String,
    call: &'a str,
    /// `approved` or `denied`.
    decision: &'static str,
    by: &'a str,
    /// The calls of the run that wait still.
    pending: Vec<Asked>,
}

/// Stores an answer. The run goes on with it when it is resumed.
pub(super) async fn answer(
    (dir, store): (&Path, Option<&Path>),
    args: &AnswerArgs,
    decision: Decision,
    json: bool,
) -> Result<String, Failure> {
    // Whoever looks for a run that is not there makes no journal.
    let run = Stored::find(dir, &args.run).await?;
    let id = run.head.run;
    if let Some(status) = run.head.status {
        return Err(over(status));
    }
    let runtime = super::idle(dir).await?;
    let open = runtime.pending(id).await.map_err(|error| refused(&error))?;
    let asked = find(&open, &run, &args.call)?;
    if args.seen.as_ref().is_some_and(|seen| *seen != mark(asked)) {
        let why = format!("call {} asks for something else than was seen", args.call);
        return Err(look_again(Problem::new(Exit::Usage, "GR0517", why), id));
    }
    let by = args.by.clone().unwrap_or_else(paths::user);
    let said = if decision == Decision::Approved { "approved" } else { "denied" };
    runtime.answer(asked, decision, by.as_str()).await.map_err(|error| refused(&error))?;
    runtime.shutdown().await;
    let left: Vec<_> = open.iter().filter(|call| *call != asked).collect();
    let (run, call) = (id.to_string(), name(asked));
    if json {
        let pending = left.into_iter().map(|call| Asked::new(call, store)).collect();
        return Ok(json_line(&Answered { run, call: &call, decision: said, by: &by, pending }));
    }
    let next = match left.len() {
        0 => format!("`greenroom runs resume {}` continues the run", named(id)),
        n => format!("{n} more to answer: `greenroom runs show {}`", named(id)),
    };
    Ok(format!("call {call} {said} by {by}; {next}\n"))
}

/// The call of that name. One that no other task has may be named by its number alone.
fn find<'a>(
    open: &'a [PendingCall],
    run: &Stored,
    wanted: &str,
) -> Result<&'a PendingCall, Failure> {
    let by_name = open.iter().find(|call| name(call) == wanted);
    let mut by_number = open.iter().filter(|call| call.call.as_str() == wanted);
    if let Some(call) = by_name.or_else(|| by_number.next().filter(|_| by_number.next().is_none()))
    {
        return Ok(call);
    }
    let was_asked = run.streams.iter().any(|(stream, events)| {
        events.iter().any(|recorded| match &recorded.event {
            Event::PersonAsked { call, .. } => name_at(stream, call) == wanted,
            _ => false,
        })
    });
    let why = match was_asked {
        true => format!("call {wanted} was answered already"),
        false => format!("no call {wanted} of the run waits for a person"),
    };
    Err(look_again(Problem::new(Exit::Usage, "GR0515", why), run.head.run))
}

fn look_again(problem: Problem, run: RunId) -> Failure {
    problem.help(format!("`greenroom runs show {}` tells what waits", named(run))).into()
}

/// What a run that is over says to everything.
pub(super) fn over(status: impl std::fmt::Display) -> Failure {
    Problem::new(Exit::Usage, "GR0513", format!("the run is over: {status}")).into()
}

/// Why a run was not told something.
pub(super) fn refused(error: &ControlError) -> Failure {
    let code = match error {
        ControlError::Journal(error) => return error.clone().into(),
        ControlError::Unknown => "GR0512",
        ControlError::Over => "GR0513",
        ControlError::Refused(AnswerRefusal::Expired) => "GR0516",
        ControlError::Refused(AnswerRefusal::Changed) => "GR0517",
        _ => "GR0515",
    };
    Problem::new(Exit::Usage, code, chain(error)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_code_and_is_a_mistake_of_use() {
        let told = |error| match refused(&error) {
            Failure::Problem(problem) => (problem.code, problem.exit),
            _ => panic!("it is told"),
        };
        let usage = |code| (code, Exit::Usage);
        assert_eq!(told(ControlError::Refused(AnswerRefusal::Expired)), usage("GR0516"));
        assert_eq!(told(ControlError::Refused(AnswerRefusal::Changed)), usage("GR0517"));
        assert_eq!(told(ControlError::Refused(AnswerRefusal::NotPending)), usage("GR0515"));
        assert_eq!(told(ControlError::Over), usage("GR0513"));
        assert_eq!(told(ControlError::Unknown), usage("GR0512"));
    }
}
