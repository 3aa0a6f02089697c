//! Logs on standard error, by `RUST_LOG`; panics as one line of them, and in full with
//! `RUST_BACKTRACE`.

use std::env;
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::Verbosity;
use crate::console::{Console, LogWriter};
use crate::render::clipped;

/// The most of a panic's message that is shown, in characters.
const LINE_CHARS_MAX: usize = 300;

/// Starts logging. Without `RUST_LOG`, warnings and errors are shown, and more with `--verbose`.
pub(crate) fn init(console: &Console) {
    let default = match console.verbosity {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::WARN,
        Verbosity::Verbose => LevelFilter::INFO,
    };
    let wanted = env::var_os("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .parse_lossy(wanted.to_string_lossy());
    let writer = console.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console.on_stderr.is_coloured())
        .without_time()
        .with_target(false)
        .with_writer(move || LogWriter(writer.clone()))
        .init();
    let in_full = panic::take_hook();
    let wants_all = env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |info| if wants_all { in_full(info) } else { log_panic(info) }));
}

/// A panic of an agent is an event that its supervisor handles: one line is enough.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let what = clipped(info.payload_as_str().unwrap_or("a value that is no text"), LINE_CHARS_MAX);
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%place, "panic: {what}");
}
