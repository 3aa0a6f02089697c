//! `greenroom demo`: a question of several parts, and an agent that is crashed on purpose half-way.

mod crash;
mod docs;

use std::time::Duration;

use greenroom_core::report::Goal;

use crate::args::{DemoArgs, KeepArgs, Sources};
use crate::ask::{conclude, conclude_waiting};
use crate::config::Config;
use crate::console::{Console, Ink};
use crate::exit::{Exit, Failure};
use crate::models::Models;
use crate::paths;
use crate::render::{agents, answer};
use crate::session::Session;
use crate::watch::{Followed, watch};
use crash::Crash;

/// Two questions for the documentation and a sum.
const QUESTIONS: [&str; 3] = [
    "What is the default capacity of a mailbox?",
    "What happens to a message that crashes its actor again and again?",
    "What is 64 * 12?",
];

/// How long each call of the model takes. The offline model answers in well under a millisecond, and
/// then there is nothing to see and nothing to crash.
const PACE: Duration = Duration::from_millis(400);

/// Shows a team at work.
pub(crate) async fn demo(args: DemoArgs, console: &Console) -> Result<Exit, Failure> {
    let config = Config::load(&args.models)?;
    let (models, keep) = (Models::new(&config)?, config.keep(&KeepArgs::default()));
    let store = args.store.store.or_else(paths::store_dir);
    let corpora =
        if args.corpus.is_empty() { docs::corpus(store.as_deref())? } else { args.corpus };
    let paint = console.on_stdout;
    let section = |title: &'static str| paint.paint(Ink::Bold, title);
    let parts: String = QUESTIONS.iter().map(|part| format!("  {part}\n")).collect();
    console.out(&format!("{}\n{parts}\n", section("Question")))?;
    let models = if models.is_offline() {
        console.note(&format!("the model is slowed down to {} ms a call", PACE.as_millis()));
        models.slowed(PACE)
    } else {
        models
    };
    let sources = Sources { corpora, store, mcp: None };
    let session = Session::start(&sources, models, &keep, console).await?;
    let mut crash = Crash::default();
    let followed = watch(&session, Goal::new(QUESTIONS.join(" ")), console, &mut crash).await;
    session.end().await;
    let answered = match followed? {
        Followed::Answered(answered) => answered,
        // The configuration says so, and it holds here as well.
        Followed::Waits(waiting) => {
            return conclude_waiting(&waiting, sources.store.as_deref(), false, console);
        }
    };

    console.out(&format!("{}\n{}\n", section("Agents"), agents(&answered, paint)))?;
    console.out(&format!("{}\n{}\n", section("What happened"), crash.story()))?;
    let text = answer(&answered.outcome, paint);
    console.out(&format!("{}\n{text}", section("Answer")))?;
    Ok(conclude(&answered, console))
}
