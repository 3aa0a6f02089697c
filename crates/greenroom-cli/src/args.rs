//! What can be said on the command line. It parses and explains; it starts nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, value_parser};
use clap_complete::Shell;
use greenroom_core::budget::{Budget, Usd};

mod duration;
mod keep;
mod model;
mod runs;

use duration::duration;
pub(crate) use keep::KeepArgs;
pub(crate) use model::ModelArgs;
pub(crate) use runs::{AnswerArgs, ResumeArgs, RunsArgs, RunsCommand};

const EXAMPLES: &str = "\
Examples:
  greenroom demo
  greenroom ask \"How large is a mailbox?\" --corpus docs
  greenroom chat --corpus docs --corpus notes

Exit status:
  0    the run completed, or gave a partial answer
  1    the run failed
  2    the command line or the question is wrong
  3    the configuration is wrong: no such corpus, for example
  4    a limit was reached: the deadline or a budget
  5    the run waits for a person; `greenroom runs approve` answers
  130  interrupted
  141  whoever read the output has gone away";

const ASK_EXAMPLES: &str = "\
Examples:
  greenroom ask \"How large is a mailbox, and what happens when it is full?\" --corpus docs
  greenroom ask \"What is 15% of 2,340?\" --corpus docs --deadline 5s
  greenroom ask - --corpus docs notes --json < question.txt
  greenroom ask \"How large is a mailbox?\" --corpus docs --model openai:gpt-5
  greenroom ask \"How large is a mailbox?\" --corpus docs --approve search
  greenroom ask \"Which issues are open?\" --corpus docs --mcp .mcp.json --approve mcp

The first Ctrl-C cancels the run and prints what there is; the second one leaves at once.";

const CHAT_EXAMPLES: &str = "\
Examples:
  greenroom chat --corpus docs
  printf 'How large is a mailbox?\\nWhat happens when it is full?\\n' | greenroom chat --corpus docs

Ctrl-C during an answer cancels it; at the prompt it clears the line. Ctrl-D leaves.";

const DEMO_EXAMPLES: &str = "\
Examples:
  greenroom demo
  greenroom demo --corpus docs";

const CONFIG_EXAMPLES: &str = "\
Examples:
  greenroom config
  greenroom config --model ollama:llama3.2 --config work.toml

The command line comes first, then the environment, then .env, then the file, then the default.";

const BENCH_EXAMPLES: &str = "\
Examples:
  greenroom bench overhead
  greenroom bench concurrent --runs 10000 --latency 50ms
  greenroom bench index --mb 100
  greenroom bench retrieval --cranfield data/cranfield --hotpot data/hotpotqa";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  greenroom completions bash > ~/.local/share/bash-completion/completions/greenroom
  greenroom completions zsh > ~/.zfunc/_greenroom
  greenroom completions fish > ~/.config/fish/completions/greenroom.fish";

/// Answers questions about documents with a team of supervised agents.
#[derive(Debug, Parser)]
#[command(name = "greenroom", version, max_term_width = 100, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Tell more of what happens
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Tell nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// How much is told on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

impl Args {
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer one question from documents, with citations
    #[command(after_help = ASK_EXAMPLES)]
    Ask(AskArgs),
    /// Watch a team answer a question while one of its agents is crashed on purpose
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Ask one question after another
    #[command(after_help = CHAT_EXAMPLES)]
    Chat(ChatArgs),
    /// Show which models are asked, and where each setting came from
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ModelArgs),
    /// List the runs of the past, look into them, continue them in another way
    Runs(RunsArgs),
    /// Measure the runtime and retrieval on this machine
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AskArgs {
    /// The question; `-` reads it from standard input
    #[arg(required_unless_present = "resume")]
    pub(crate) question: Option<String>,
    /// Continue a question whose process died: this run, or the newest that is unfinished
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", conflicts_with = "question")]
    pub(crate) resume: Option<String>,
    #[command(flatten)]
    corpus: CorpusArgs,
    /// More directories or files to answer from, as if each had a `--corpus` of its own
    #[arg(value_name = "DIR")]
    more_corpora: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Print one JSON object on standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// A directory or file to answer from; by default the documentation of Greenroom
    #[arg(long, value_name = "DIR", action = ArgAction::Append)]
    pub(crate) corpus: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    corpus: CorpusArgs,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

#[derive(Debug, ClapArgs)]
struct CorpusArgs {
    /// A directory or file to answer from; may be given more than once
    #[arg(long, value_name = "DIR", action = ArgAction::Append, required = true)]
    corpus: Vec<PathBuf>,
    /// A file of MCP servers, such as `.mcp.json`: its commands are run, and the agents get their tools
    #[arg(long, value_name = "FILE")]
    mcp: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StoreArgs {
    /// Where indexes and runs are kept; by default `greenroom` in the user's data directory
    #[arg(long, value_name = "DIR", env = "GREENROOM_STORE")]
    pub(crate) store: Option<PathBuf>,
}

/// Where to answer from, and where its index is.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) corpora: Vec<PathBuf>,
    pub(crate) store: Option<PathBuf>,
    /// A file of MCP servers.
    pub(crate) mcp: Option<PathBuf>,
}

impl AskArgs {
    pub(crate) fn sources(&self) -> Sources {
        let mut sources = self.corpus.sources();
        sources.corpora.extend(self.more_corpora.iter().cloned());
        sources
    }
}

impl ChatArgs {
    pub(crate) fn sources(&self) -> Sources {
        self.corpus.sources()
    }
}

impl CorpusArgs {
    fn sources(&self) -> Sources {
        Sources {
            corpora: self.corpus.clone(),
            store: self.store.store.clone(),
            mcp: self.mcp.clone(),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LimitArgs {
    /// Time from the question to its answer, for example 500ms, 30s or 2m; indexing does not count
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<Duration>,
    /// The most tokens that models may read and write
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    budget_tokens: Option<u64>,
    /// The most requests to models
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    budget_model_calls: Option<u64>,
    /// The most tool calls, searches included
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    budget_tool_calls: Option<u64>,
    /// The most dollars that models may cost, for example 0.50; every model needs a known price then
    #[arg(long, value_name = "USD", value_parser = Usd::parse)]
    budget_usd: Option<Usd>,
    /// The most tasks that the question may be divided into
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    budget_tasks: Option<u32>,
    /// The most passages that one search returns
    #[arg(long, value_name = "N", default_value = "8", value_parser = value_parser!(u64).range(1..=100))]
    top_k: u64,
}

impl LimitArgs {
    pub(crate) fn top_k(&self) -> usize {
        usize::try_from(self.top_k).expect("the parser admits at most 100")
    }

    pub(crate) fn budget(&self) -> Budget {
        let default = Budget::default();
        Budget {
            tokens_max: self.budget_tokens.unwrap_or(default.tokens_max),
            model_calls_max: self.budget_model_calls.unwrap_or(default.model_calls_max),
            tool_calls_max: self.budget_tool_calls.unwrap_or(default.tool_calls_max),
            tasks_max: self.budget_tasks.unwrap_or(default.tasks_max),
            wall_max: self.deadline.unwrap_or(default.wall_max),
            money_max: self.budget_usd,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Benchmark {
    /// What a run costs when the model answers at once, next to a loop written by hand
    Overhead {
        /// How many runs, one after another
        #[arg(long, value_name = "N", default_value = "20000", value_parser = value_parser!(u32).range(1..))]
        runs: u32,
    },
    /// Many runs at once on a slow model, next to a loop written by hand
    Concurrent {
        /// How many runs, all at once
        #[arg(long, value_name = "N", default_value = "10000", value_parser = value_parser!(u32).range(1..=100_000))]
        runs: u32,
        /// How long each call of the model takes
        #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
        latency: Duration,
    },
    /// How fast a synthetic corpus is indexed, opened again and searched
    Index {
        /// The size of the corpus, in millions of bytes
        #[arg(long, value_name = "N", default_value = "100", value_parser = value_parser!(u64).range(1..=10_000))]
        mb: u64,
    },
    /// How well two public data sets are searched, next to plain BM25
    Retrieval(RetrievalArgs),
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct RetrievalArgs {
    /// The directory of the Cranfield collection
    #[arg(long, value_name = "DIR")]
    pub(crate) cranfield: Option<PathBuf>,
    /// The directory of the HotpotQA questions
    #[arg(long, value_name = "DIR")]
    pub(crate) hotpot: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parsed(line: &[&str]) -> Args {
        Args::try_parse_from([&["greenroom"], line].concat()).expect("it parses")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn corpora_may_follow_one_option_or_have_one_each_on_either_side_of_the_question() {
        let wanted = [PathBuf::from("a"), PathBuf::from("b")];
        for line in [
            ["ask", "why?", "--corpus", "a", "b"].as_slice(),
            &["ask", "why?", "--corpus", "a", "--corpus", "b"],
            &["ask", "--corpus", "a", "--corpus", "b", "why?"],
        ] {
            let Command::Ask(args) = parsed(line).command else { panic!("{line:?}") };
            assert_eq!(
                (args.question.as_deref(), args.sources().corpora.as_slice()),
                (Some("why?"), &wanted[..])
            );
        }
    }

    #[test]
    fn limits_replace_the_defaults_and_nothing_else() {
        let line = ["ask", "q", "--corpus", "a", "--deadline", "1.5s", "--budget-tasks", "2"];
        let Command::Ask(args) = parsed(&line).command else { panic!("not ask") };
        let wanted =
            Budget { wall_max: Duration::from_millis(1500), tasks_max: 2, ..Budget::default() };
        assert_eq!((args.limits.budget(), args.limits.top_k()), (wanted, 8));
    }

    #[test]
    fn limits_of_zero_are_refused() {
        for option in [
            "--deadline=0s",
            "--budget-usd=-1",
            "--budget-usd=$1",
            "--budget-tokens=0",
            "--budget-tasks=0",
            "--top-k=0",
        ] {
            let line = ["greenroom", "ask", "q", "--corpus", "a", option];
            assert!(Args::try_parse_from(line).is_err(), "{option}");
        }
    }
}
