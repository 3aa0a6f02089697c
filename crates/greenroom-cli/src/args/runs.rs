//! The command line of `greenroom runs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, value_parser};

use super::duration::age;
use super::keep::KeepArgs;
use super::model::ModelArgs;

const EXAMPLES: &str = "\
Examples:
  greenroom runs
  greenroom runs show 7f3a
  greenroom runs approve 7f3a t1/1-1
  greenroom runs deny 7f3a t1/1-1 --reason \"not this file\"
  greenroom runs resume 7f3a
  greenroom runs replay 7f3a --to 12
  greenroom runs fork 7f3a --at 12
  greenroom runs export 7f3a > run.jsonl
  greenroom runs purge --older-than 30d

A run is named by its id, or by the first digits of it that no other run has. A call is named as `show`
names it.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub(crate) struct RunsArgs {
    /// Where runs are kept; by default `greenroom` in the user's data directory
    #[arg(long, value_name = "DIR", env = "GREENROOM_STORE", global = true)]
    pub(crate) store: Option<PathBuf>,
    /// Print JSON on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// List at most so many runs, the newest
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show what happened in a run, event by event, and what it waits for
    Show {
        /// The run
        run: String,
    },
    /// Let a call be made that waits for a person
    Approve(AnswerArgs),
    /// Refuse a call that waits for a person; the model reads why
    Deny {
        #[command(flatten)]
        answer: AnswerArgs,
        /// Why, for the model
        #[arg(long, value_name = "TEXT", default_value = "it was not approved")]
        reason: String,
    },
    /// Continue an unfinished run, or all of them
    Resume(ResumeArgs),
    /// Fold the events of a run again, and show the state that they make
    Replay {
        /// The run
        run: String,
        /// The last event to fold, by its number in `show`
        #[arg(long, value_name = "N")]
        to: Option<usize>,
    },
    /// Begin another run with the events of one up to a point
    Fork {
        /// The run
        run: String,
        /// The last event to take over, by its number in `show`
        #[arg(long, value_name = "N")]
        at: usize,
    },
    /// End an unfinished run that no process works on
    Cancel {
        /// The run
        run: String,
    },
    /// Print the events of a run as lines of JSON
    Export {
        /// The run
        run: String,
    },
    /// Delete finished runs
    Purge {
        /// Those that ended longer ago, for example 12h, 30d or 8w
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Duration,
    },
}

/// Which call is answered, and by whom.
#[derive(Debug, ClapArgs)]
pub(crate) struct AnswerArgs {
    /// The run
    pub(crate) run: String,
    /// The call, as `runs show` names it
    pub(crate) call: String,
    /// What was seen, as `runs show` gives it: an answer to anything else is refused
    #[arg(long, value_name = "MARK")]
    pub(crate) seen: Option<String>,
    /// Who answers; by default the user's name
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

/// What is continued, and with what.
#[derive(Debug, ClapArgs)]
pub(crate) struct ResumeArgs {
    /// The run; all that are unfinished when none is named
    pub(crate) run: Option<String>,
    /// A directory or file to answer from; by default those that the run began with
    #[arg(long, value_name = "DIR")]
    pub(crate) corpus: Vec<PathBuf>,
    /// The file of MCP servers, for runs that began with one
    #[arg(long, value_name = "FILE")]
    pub(crate) mcp: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}
