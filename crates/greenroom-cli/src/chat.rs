//! `greenroom chat`: one question after another, each in the light of those before.

mod input;

use std::collections::VecDeque;

use greenroom_core::brief::Exchange;
use greenroom_core::report::{Goal, Outcome};

use crate::args::ChatArgs;
use crate::ask::{conclude, conclude_waiting};
use crate::config::Config;
use crate::console::{Console, Ink, printable};
use crate::exit::{Exit, Failure};
use crate::models::Models;
use crate::question::checked;
use crate::render::{answer, count, sources, without_marks};
use crate::session::Session;
use crate::signals::Signals;
use crate::watch::{Followed, Nobody, watch};
use input::{Input, Line};

/// The most exchanges that a question is asked in the light of.
const EXCHANGES_MAX: usize = 10;

const HELP: &str = "\
Ask a question, or say
  /sources  what the last answer rests on
  /agents   the tree of what runs
  /clear    forget the conversation
  /help     this
  /quit     leave; so does Ctrl-D
Ctrl-C during an answer cancels it.
";

/// Answers questions until there are no more.
pub(crate) async fn chat(args: ChatArgs, console: &Console) -> Result<Exit, Failure> {
    let config = Config::load(&args.models)?;
    let (models, keep) = (Models::new(&config)?, config.keep(&args.keep));
    models.check(&args.limits.budget())?;
    let session = Session::start(&args.sources(), models, &keep, console).await?;
    let mut chat = Chat { args, console, conversation: VecDeque::new(), last: None };
    let ended = chat.talk(&session).await;
    session.end().await;
    ended
}

struct Chat<'a> {
    args: ChatArgs,
    console: &'a Console,
    conversation: VecDeque<Exchange>,
    last: Option<Outcome>,
}

impl Chat<'_> {
    async fn talk(&mut self, session: &Session) -> Result<Exit, Failure> {
        let mut input = Input::new()?;
        if input.is_terminal() {
            self.console.note("ask a question; /help tells what else there is");
        }
        loop {
            let line;
            (input, line) = next_line(input).await?;
            match line {
                Line::End => return Ok(Exit::Ok),
                Line::Interrupt => self.console.note("press Ctrl-D or say /quit to leave"),
                Line::Text(text) => match text.trim() {
                    "" => {}
                    "/quit" | "/exit" => return Ok(Exit::Ok),
                    "/agents" => self.console.out(&printable(&session.tree().await))?,
                    command if command.starts_with('/') => self.command(command)?,
                    question => self.ask(session, question.to_owned()).await?,
                },
            }
        }
    }

    fn command(&mut self, command: &str) -> Result<(), Failure> {
        match command {
            "/help" => self.console.out(HELP)?,
            "/clear" => {
                self.conversation.clear();
                self.last = None;
                self.console.note("the conversation is forgotten");
            }
            "/sources" => self.sources()?,
            _ => self.console.note(&format!("there is no {command}; /help tells what there is")),
        }
        Ok(())
    }

    async fn ask(&mut self, session: &Session, question: String) -> Result<(), Failure> {
        let question = match checked(question) {
            Err(Failure::Problem(problem)) => {
                problem.report(self.console);
                return Ok(());
            }
            question => question?,
        };
        let goal = Goal {
            conversation: self.conversation.iter().cloned().collect(),
            budget: self.args.limits.budget(),
            top_k: self.args.limits.top_k(),
            ..Goal::new(question.clone())
        };
        let answered = match watch(session, goal, self.console, &mut Nobody).await? {
            Followed::Answered(answered) => *answered,
            Followed::Waits(waiting) => {
                let store = self.args.sources().store;
                conclude_waiting(&waiting, store.as_deref(), false, self.console)?;
                self.console.note("this program has the store; leave it first");
                return Ok(());
            }
        };
        let text = answer(&answered.outcome, self.console.on_stdout);
        self.console.out(&text)?;
        conclude(&answered, self.console);
        if !answered.outcome.answer.trim().is_empty() {
            let answer = without_marks(&answered.outcome.answer);
            self.conversation.push_back(Exchange { question, answer });
            if self.conversation.len() > EXCHANGES_MAX {
                self.conversation.pop_front();
            }
        }
        self.last = Some(answered.outcome);
        Ok(())
    }

    fn sources(&self) -> Result<(), Failure> {
        let Some(last) = &self.last else {
            self.console.note("nothing was asked yet");
            return Ok(());
        };
        let palette = self.console.on_stdout;
        let found = count(last.passages.len() as u64, "passage");
        let title = format!("The last answer rests on these, out of {found} found:");
        let title = palette.paint(Ink::Bold, title);
        self.console.out(&format!("{title}\n{}", sources(&last.citations, palette)))
    }
}

/// The next line. A terminal tells of Ctrl-C itself; without one, Ctrl-C ends the program.
async fn next_line(input: Input) -> Result<(Input, Line), Failure> {
    let is_terminal = input.is_terminal();
    let next = tokio::task::spawn_blocking(move || input.next());
    let next = if is_terminal {
        next.await
    } else {
        tokio::select! {
            next = next => next,
            signal = async { Signals::new().next().await } => return Err(signal.into()),
        }
    };
    next.map_err(|error| Failure::environment("the input broke off", &error))?
}
