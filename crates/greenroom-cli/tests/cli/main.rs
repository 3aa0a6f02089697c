//! The binary as a process: what it prints where, and how it exits.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

mod approvals;
mod canary;
mod embedder;
#[cfg(target_os = "linux")]
mod mcp;
mod models;
mod runs;
#[cfg(unix)]
mod signals;

const MAILBOX: &str = "# Mailboxes\n\nA mailbox is bounded.\n\
    The default capacity of a mailbox is 64 messages.\n\n\
    ## Crashes\n\nA message that crashes its actor again and again becomes a dead letter.\n\
    Messages that wait in the mailbox survive a crash.\n";

/// A corpus and a store of its own, which go away with it.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let world = Self { dir };
        world.file("docs/mailbox.md", MAILBOX);
        world.file("docs/colour.md", "# Colours\n\nThe door of the theatre is painted green.\n");
        world
    }

    fn file(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("it can be made");
        fs::write(path, contents).expect("it can be written");
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary in this world, with nothing of the outer environment that it reads.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path().join("home"))
            .env("XDG_DATA_HOME", self.path().join("data"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("it can be run"))
    }

    fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.piped(args);
        let mut stdin = child.stdin.take().expect("it is piped");
        // The reader may stop before the end; what it says then is what is looked at.
        let _ = stdin.write_all(input);
        drop(stdin);
        Ran::from(child.wait_with_output().expect("it ends"))
    }

    fn piped(&self, args: &[&str]) -> Child {
        piped(self.command(args))
    }
}

fn piped(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it can be run")
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// Exits with `code`, tells `error` on one line, and prints nothing.
    #[track_caller]
    fn is_refused(&self, code: i32, error: &str) {
        assert_eq!(self.out, "", "{self:?}");
        self.fails(code, error);
    }

    /// Exits with `code` and tells `error` on one line.
    #[track_caller]
    fn fails(&self, code: i32, error: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let prefix = format!("greenroom: error[{error}]: ");
        let lines = self.err.lines().filter(|line| line.starts_with(&prefix)).count();
        assert_eq!(lines, 1, "{self:?}");
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).expect("standard output is one JSON object")
    }
}

const CAPACITY: &str = "What is the default capacity of a mailbox?";

#[test]
fn an_answer_is_printed_with_its_sources() {
    let world = World::new();
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("The default capacity of a mailbox is 64 messages"), "{ran:?}");
    assert!(ran.out.contains("\nSources\n[1] docs/mailbox.md:4"), "{ran:?}");
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{ran:?}");
    assert!(ran.err.contains("research"), "the agents are shown: {ran:?}");
    assert!(ran.err.contains("greenroom: completed in "), "{ran:?}");
}

#[test]
fn quiet_tells_nothing_else_and_the_second_run_reads_the_stored_index() {
    let world = World::new();
    for _ in 0..2 {
        let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--quiet"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.out.contains("64 messages"), "{ran:?}");
    }
    assert!(world.path().join("data/greenroom").is_dir(), "the index is where the data is");
}

#[test]
fn json_is_one_object_with_every_key() {
    let world = World::new();
    let question = format!("{CAPACITY} What is 64 * 12?");
    let ran = world.run(&["ask", &question, "--corpus", "docs", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = ran.json();
    let keys: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = [
        "run_id",
        "status",
        "answer",
        "citations",
        "passages",
        "agents",
        "missing",
        "pending",
        "usage",
        "models",
        "duration_ms",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!(json["status"], "completed");
    assert_eq!(json["run_id"].as_str().map(str::len), Some(32));
    assert!(json["duration_ms"].is_u64() && json["usage"]["model_calls"].is_u64());
    assert!(
        json["answer"].as_str().is_some_and(|text| text.contains("64") && text.contains("768"))
    );

    let citation = &json["citations"][0];
    let (source, start) = (citation["source"].as_str().expect("text"), &citation["start_line"]);
    let text = fs::read_to_string(world.path().join(source)).expect("the source is a file");
    let line =
        text.lines().nth(start.as_u64().expect("a number") as usize - 1).expect("it is there");
    assert!(line.contains(citation["quote"].as_str().expect("text")), "{citation} {line}");
    assert!(citation["end_line"].as_u64() >= start.as_u64());

    let passage = &json["passages"][0];
    assert_eq!(passage["source"], "docs/mailbox.md");
    for key in ["start_line", "end_line", "score", "text"] {
        assert!(!passage[key].is_null(), "{passage}");
    }
    assert_eq!(passage.as_object().map(serde_json::Map::len), Some(5));

    let agents = json["agents"].as_array().expect("a list");
    for role in ["router", "planner", "research", "writer", "retrieval", "tools"] {
        let agent = agents.iter().find(|agent| agent["role"] == role);
        let agent = agent.unwrap_or_else(|| panic!("no {role} in {agents:?}"));
        assert_eq!(agent.as_object().map(serde_json::Map::len), Some(5), "{agent}");
        assert_eq!(agent["restarts"], 0);
        assert!(agent["messages"].as_u64() > Some(0), "{agent}");
    }
}

#[test]
fn json_is_one_object_when_there_is_no_run_either() {
    let world = World::new();
    let ran = world.run(&["ask", CAPACITY, "--corpus", "nowhere", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let json = ran.json();
    assert_eq!((&json["status"], &json["run_id"]), (&"failed".into(), &Value::Null));
    assert_eq!(json["error"]["code"], "GR0201");
    assert!(json["error"]["message"].as_str().is_some_and(|text| text.contains("nowhere")));
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(12));
}

#[test]
fn a_question_is_read_from_standard_input() {
    let world = World::new();
    let ran = world.run_with_input(&["ask", "-", "--corpus", "docs"], CAPACITY.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
}

#[test]
fn what_is_no_question_is_refused() {
    let world = World::new();
    world.run(&["ask", "", "--corpus", "docs"]).is_refused(2, "GR0101");
    world.run(&["ask", " \n ", "--corpus", "docs"]).is_refused(2, "GR0101");
    world.run_with_input(&["ask", "-", "--corpus", "docs"], b"").is_refused(2, "GR0101");
    let long = "why ".repeat(300_000);
    world
        .run_with_input(&["ask", "-", "--corpus", "docs"], long.as_bytes())
        .is_refused(2, "GR0102");
    world.run_with_input(&["ask", "-", "--corpus", "docs"], b"\xff\xfe").is_refused(2, "GR0103");
}

#[test]
fn a_corpus_that_is_none_is_refused() {
    let world = World::new();
    world.file("empty/picture.bin", [0, 1, 2]);
    for (corpus, code) in [("nowhere", "GR0201"), ("empty", "GR0203"), ("/dev/null", "GR0202")] {
        let ran = world.run(&["ask", CAPACITY, "--corpus", corpus]);
        ran.is_refused(3, code);
        assert!(ran.err.contains("source documents did not start"), "the subsystem: {ran:?}");
        assert!(ran.err.contains(corpus) && ran.err.contains("\n  help: "), "{ran:?}");
        // On a slow machine, indexing is not over at once and is told of.
        let lines = ran.err.lines().filter(|line| !line.starts_with("greenroom: indexing"));
        assert_eq!(lines.count(), 2, "the error and the help: {ran:?}");
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    let world = World::new();
    for args in [
        ["ask", "why?"].as_slice(),
        &["ask", "why?", "--corpus", "docs", "--deadline", "soon"],
        &["ask", "why?", "--corpus", "docs", "--top-k", "0"],
        &["bench", "retrieval"],
        &["sing"],
    ] {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("error: "), "{ran:?}");
    }
}

#[test]
fn what_was_skipped_is_told_with_its_code_and_count() {
    let world = World::new();
    world.file("docs/a.bin", [0, 1, 2]);
    world.file("docs/b.bin", [0, 1, 2]);
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Vec<_> = ran.err.lines().filter(|line| line.contains("notice[GR0211]")).collect();
    assert_eq!(told.len(), 1, "{ran:?}");
    assert!(told[0].contains("docs/a.bin, docs/b.bin (2)"), "{told:?}");
}

#[test]
fn a_limit_has_an_exit_status_of_its_own() {
    let world = World::new();
    for limit in ["--budget-model-calls=1", "--deadline=1ms"] {
        let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", limit]);
        assert_eq!(ran.code, Some(4), "{limit}: {ran:?}");
        assert!(ran.err.contains("[GR0308]"), "{limit}: {ran:?}");
    }
}

#[test]
fn colours_can_be_forced_and_forbidden() {
    let world = World::new();
    let coloured = |force: &str, no_color: &str| {
        let mut command = world.command(&["ask", CAPACITY, "--corpus", "docs"]);
        command.env("CLICOLOR_FORCE", force).env("NO_COLOR", no_color);
        Ran::from(command.output().expect("it can be run")).out.contains('\x1b')
    };
    assert!(coloured("1", ""));
    assert!(!coloured("1", "1"));
    assert!(!coloured("", ""));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let world = World::new();
    for args in [
        ["ask", CAPACITY, "--corpus", "docs", "--quiet"].as_slice(),
        &["ask", CAPACITY, "--corpus", "docs", "--quiet", "--json"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut command = world.command(args);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("it can be run");
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(141), ""), "{ran:?}");
    }
}

#[test]
fn the_demo_shows_a_restart_that_repeats_nothing() {
    let world = World::new();
    let ran = world.run(&["demo", "--corpus", "docs"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (out, err) = (&ran.out, &ran.err);
    assert!(out.contains("on purpose, after its first search"), "{out}");
    assert!(out.contains("later, 1 restart\n"), "{out}");
    assert!(out.contains("2 calls with their results: not repeated"), "{out}");
    assert!(
        out.lines().any(|line| line.contains("─ research") && line.contains("1 restart")),
        "{out}"
    );
    assert!(out.contains("64 messages") && out.contains("768"), "{out}");
    assert!(out.contains("[1] docs/mailbox.md:"), "{out}");
    assert!(err.contains("failed: panicked") && err.contains("tools: calculate"), "{err}");
    assert!(err.contains("resumed: 2 calls kept"), "{err}");
}

#[test]
fn the_demo_answers_from_the_documentation_wherever_it_is_run() {
    let world = World::new();
    let ran = world.run(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("data/greenroom/demo/docs/semantics.md:"), "{ran:?}");
    assert!(ran.out.contains("not repeated") && ran.out.contains("768"), "{ran:?}");
    assert!(!ran.out.contains("mailbox.md"), "docs/ here is another project's: {ran:?}");
}

#[test]
fn a_conversation_is_read_line_by_line() {
    let world = World::new();
    let input = format!(
        "/sources\n{CAPACITY}\n\n/nonsense\nWhat colour is the door?\n/agents\n/quit\nunread\n"
    );
    let ran = world.run_with_input(&["chat", "--corpus", "docs"], input.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages") && ran.out.contains("green"), "{ran:?}");
    assert!(ran.out.contains("─ team ") && ran.out.contains("├─ retrieval "), "{ran:?}");
    assert!(ran.err.contains("nothing was asked yet") && ran.err.contains("/nonsense"), "{ran:?}");
    assert_eq!(ran.err.matches("completed in").count(), 2, "{ran:?}");
}

#[test]
fn completions_are_printed_for_each_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = world.run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("greenroom"), "{ran:?}");
    }
}

#[test]
fn a_benchmark_prints_a_table_with_both_rows() {
    let world = World::new();
    for args in [
        ["bench", "overhead", "--runs", "20"].as_slice(),
        &["bench", "concurrent", "--runs", "20", "--latency", "1ms"],
    ] {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for row in ["greenroom agent", "by hand"] {
            assert!(ran.out.lines().any(|line| line.contains(row)), "{row}: {ran:?}");
        }
    }
    world.run(&["bench", "retrieval", "--cranfield", "docs"]).is_refused(3, "GR0110");
}

#[cfg(unix)]
#[test]
fn an_interrupt_cancels_the_run_and_prints_what_there_is() {
    let world = World::new();
    let mut child = world.piped(&["demo", "--corpus", "docs"]);
    let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut told = String::new();
    while !told.contains("turn 1") {
        assert!(err.read_line(&mut told).expect("it can be read") > 0, "{told}");
    }
    interrupt(&child);
    for line in err.lines() {
        told.push_str(&line.expect("it can be read"));
        told.push('\n');
    }
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(130), "{told}");
    assert!(told.contains("cancelling") && told.contains("cancelled in"), "{told}");
    assert!(ran.out.contains("planner"), "the agents are shown: {ran:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_conversation_that_waits_for_input() {
    let world = World::new();
    let mut child = world.piped(&["chat", "--corpus", "docs"]);
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(format!("{CAPACITY}\n").as_bytes()).expect("it reads");
    let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut told = String::new();
    while !told.contains("completed in") {
        assert!(err.read_line(&mut told).expect("it can be read") > 0, "{told}");
    }
    // Between the answer and the next wait for input Ctrl-C has nothing to end.
    while child.try_wait().expect("it can be asked").is_none() {
        interrupt(&child);
        std::thread::yield_now();
    }
    assert_eq!(child.wait().expect("it ended").code(), Some(130), "{told}");
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill can be run").success());
}
