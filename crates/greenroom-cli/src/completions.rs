//! `greenroom completions`.

use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::console::Console;
use crate::exit::{Exit, Failure};

/// Prints completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs, console: &Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "greenroom", &mut script);
    console.out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
