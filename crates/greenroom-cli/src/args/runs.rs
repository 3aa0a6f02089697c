//! The command line of `greenroom runs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, value_parser};

use super::duration::age;

const EXAMPLES: &str = "\
Examples:
  greenroom runs
  greenroom runs show 7f3a
  greenroom runs replay 7f3a --to 12
  greenroom runs fork 7f3a --at 12
  greenroom runs export 7f3a > run.jsonl
  greenroom runs purge --older-than 30d

A run is named by its id, or by the first digits of it that no other run has.";

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
    /// Show what happened in a run, event by event
    Show {
        /// The run
        run: String,
    },
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
