//! The `greenroom` binary: it wires corpus, model, tools and runtime together and shows what happens.
//!
//! Everything that decides is in the libraries; nothing here is a library to anyone.

use std::process::ExitCode;

mod args;
mod config;
mod console;
mod exit;
mod logging;
mod models;
mod paths;
mod servers;
mod signals;

mod session;
mod watch;

mod render;

mod ask;
mod bench;
mod chat;
mod completions;
mod demo;
mod question;
mod runs;

use args::{Args, Command};
use clap::Parser as _;
use console::Console;
use exit::{Exit, Failure};

fn main() -> ExitCode {
    let args = Args::parse();
    let console = Console::new(args.verbosity());
    logging::init(&console);
    let exit = match perform(args, &console) {
        Ok(exit) => exit,
        Err(failure) => failure.report(&console),
    };
    exit.into()
}

fn perform(args: Args, console: &Console) -> Result<Exit, Failure> {
    if let Command::Completions(args) = &args.command {
        return completions::completions(args, console);
    }
    if let Command::Config(args) = &args.command {
        return config::show(args, console);
    }
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("the async runtime did not start", &error))?;
    let exit = tokio.block_on(async {
        match args.command {
            Command::Ask(args) => Box::pin(ask::ask(args, console)).await,
            Command::Demo(args) => Box::pin(demo::demo(args, console)).await,
            Command::Chat(args) => Box::pin(chat::chat(args, console)).await,
            Command::Runs(args) => Box::pin(runs::runs(args, console)).await,
            Command::Bench(args) => Box::pin(bench::bench(args.benchmark, console)).await,
            Command::Completions(_) | Command::Config(_) => {
                unreachable!("what needs no async runtime is done above")
            }
        }
    });
    // A search or a file that is being read may hold a thread; nobody waits for it any more.
    tokio.shutdown_background();
    exit
}
