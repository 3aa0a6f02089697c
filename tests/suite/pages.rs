//! The pages: their Rust is code that is compiled here or in the examples, and their links lead somewhere.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::recovery::RecoverySpec;
use greenroom_core::supervision::{ChildSpec, Strategy, SupervisorSpec};
use greenroom_core::tool::tool;
use greenroom_models::Extractive;
use greenroom_models::http::{Providers, Settings};
use greenroom_models::resilience::{Governor, GovernorSpec, ResilienceSpec, resilient};
use greenroom_retrieval::{Corpus, CorpusOptions, Embedding};
use greenroom_runtime::{RactorChild, SystemClock};
use greenroom_testkit::{ScriptedModel, ScriptedReply, ScriptedTool};
use ractor::{ActorProcessingErr, ActorRef};

use crate::support::{end, runtime};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

struct Printer;

impl ractor::Actor for Printer {
    type Msg = String;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<String>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// The raw actor of the page on custom actors.
#[tokio::test(start_paused = true)]
async fn a_raw_actor_is_a_child() {
    let runtime = runtime().await;
    let started = async {
        let child = RactorChild::new(|supervisor| async move {
            let (actor, _) = ractor::Actor::spawn_linked(None, Printer, (), supervisor).await?;
            Ok(actor.get_cell())
        });
        runtime.supervisor().start_child(ChildSpec::worker("printer"), Arc::new(child)).await?;
        Ok::<_, greenroom_core::supervision::AdminError>(())
    };
    assert_eq!(started.await, Ok(()));
    end(runtime).await;
}

/// The durable supervisor of the same page.
#[tokio::test(start_paused = true)]
async fn a_supervisor_counts_beyond_its_process() {
    let runtime = runtime().await;
    let (hour, children) = (Duration::from_secs(3600), Vec::new());
    let started = async {
        let spec = SupervisorSpec::new(Strategy::OneForAll).intensity(5, hour).durable();
        let feeds = runtime.supervise("feeds", spec, children).await?;
        Ok::<_, greenroom_core::supervision::AdminError>(feeds)
    };
    assert!(started.await.is_ok());
    end(runtime).await;
}

/// The model of the page on models.
#[tokio::test(start_paused = true)]
async fn a_model_is_surrounded() {
    let runtime = runtime().await;
    let account = Governor::new(GovernorSpec::default(), Arc::new(SystemClock::new()));
    let model = resilient(Extractive::new(), &account, ResilienceSpec::default());
    let clerk = runtime.agent("clerk").model(model).build();
    let text = "Mailboxes are bounded. What is bounded?";
    assert!(clerk.expect("complete").run(text).await.is_ok());
    assert_eq!((account.status().n_in_flight, account.status().n_refused), (0, 0));
    end(runtime).await;
}

/// The recovery of the page on durability.
#[tokio::test(start_paused = true)]
async fn an_agent_recovers_its_runs() {
    let runtime = runtime().await;
    let (model, look) = (Extractive::new(), ScriptedTool::echo("look"));
    let recovered = async {
        let clerk = runtime.agent("clerk").model(model).tool(look).build()?;
        let round = runtime.recover(RecoverySpec::default()).await?;
        drop(clerk);
        Ok::<_, Box<dyn Error>>(round)
    };
    assert!(recovered.await.expect("a round ends").resumed.is_empty());
    end(runtime).await;
}

/// The vectors of the page on retrieval. Nobody is asked: the call would leave this machine.
#[expect(dead_code, reason = "it is compiled, and would cost money if it were run")]
async fn a_corpus_has_vectors() -> Result<(), Box<dyn Error>> {
    let settings = Settings::new().with_key("openai", "sk-…");
    let embedder = Providers::new(settings)?.embedder("openai:text-embedding-3-small")?;
    let options =
        CorpusOptions::new(["docs"]).store_dir(".cache").embedding(Embedding::new(embedder));
    let corpus = Corpus::open(options).await?;
    let n_embedded = corpus.report().n_embedded;
    assert!(n_embedded > 0);
    Ok(())
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Invoice {}

/// The approvals of the page on durability.
#[tokio::test(start_paused = true)]
async fn a_call_is_approved() {
    let runtime = runtime().await;
    let pay = |Invoice {}| async { Ok("paid") };
    let model = ScriptedModel::new([ScriptedReply::text("nothing is due")]);
    let approved = async {
        let pay = tool("pay", "Pays an invoice.", pay).requires_approval();
        let clerk = runtime.agent("clerk").model(model).tool(pay).build()?;
        let run = clerk.start("Pay what is due.").await?;
        for call in runtime.pending(run.id()).await? {
            println!("{}", call.shown());
            runtime.approve(&call, "ann").await?;
        }
        Ok::<_, Box<dyn Error>>(run.outcome().await?)
    };
    assert_eq!(approved.await.expect("an answer").text, "nothing is due");
    end(runtime).await;
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    for folder in ["docs", "docs/adr"] {
        let entries = fs::read_dir(root.join(folder)).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("readable").path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(pages.len() > 12, "{pages:?}");
    pages
}

#[test]
fn the_rust_on_every_page_is_compiled_somewhere() {
    let sources = [
        "examples/typed_agent.rs",
        "examples/embed.rs",
        "examples/custom_actor.rs",
        "examples/mcp.rs",
        "examples/operations.rs",
        "examples/pool.rs",
        "examples/persistent_actor.rs",
        "examples/structured_output.rs",
    ];
    let compiled: String = sources.iter().map(|file| read(Path::new(ROOT).join(file))).collect();
    let compiled = compiled
        + include_str!("pages.rs")
        + include_str!("testing.rs")
        + include_str!("from_asyncio.rs");
    let compiled: BTreeSet<_> = compiled.lines().map(str::trim).collect();
    let mut n_lines = 0;
    for page in pages() {
        let text = read(&page);
        for block in text.split("```rust\n").skip(1) {
            let (code, _) = block.split_once("```").expect("every block ends");
            for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
                assert!(compiled.contains(line), "{}: nothing compiles {line:?}", page.display());
                n_lines += 1;
            }
        }
    }
    assert!(n_lines > 40, "{n_lines}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut n_links = 0;
    for page in pages() {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let target = link.0.split('#').next().unwrap_or_default();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let path = page.parent().expect("a page is in a folder").join(target);
            assert!(path.exists(), "{}: {target} does not exist", page.display());
            n_links += 1;
        }
    }
    assert!(n_links > 20, "{n_links}");
}

/// The tests that the pages name exist: as `module::test` of this suite or of retrieval's.
#[test]
fn every_test_that_a_page_names_exists() {
    let mut tests = BTreeSet::new();
    for suite in ["tests/suite", "crates/greenroom-retrieval/tests/retrieval"] {
        collect_tests(&Path::new(ROOT).join(suite), &mut tests);
    }
    let mut n_named = 0;
    for page in ["README.md", "docs/semantics.md"] {
        let text = read(Path::new(ROOT).join(page));
        for row in text.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")) {
            let name = row.trim_end_matches("` |").rsplit('`').next().unwrap_or_default();
            let Some((_, test)) = name.rsplit_once("::") else { continue };
            assert!(tests.contains(test), "{page}: there is no test {name}");
            n_named += 1;
        }
    }
    assert!(n_named > 20, "{n_named}");
}

/// The letters of the conformance list, each with the number of its rows.
const ROWS: [(char, usize); 11] = [
    ('A', 14),
    ('B', 8),
    ('C', 5),
    ('D', 8),
    ('E', 7),
    ('F', 11),
    ('G', 8),
    ('H', 12),
    ('I', 8),
    ('J', 6),
    ('K', 6),
];

/// Every row is there, in order; each names tests that exist, or says why there is none.
#[test]
fn every_row_of_the_conformance_list_has_its_tests() {
    let mut tests = BTreeSet::new();
    for folder in ["tests/suite", "crates/greenroom-core/src", "crates/greenroom-runtime/src"] {
        collect_tests(&Path::new(ROOT).join(folder), &mut tests);
    }
    let numbered = |(letter, n)| (1..=n).map(move |i| format!("{letter}{i:02}"));
    let mut expected = ROWS.into_iter().flat_map(numbered);
    let text = read(Path::new(ROOT).join("docs/supervision-conformance.md"));
    let is_row = |line: &&str| line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
    for line in text.lines().filter(is_row) {
        let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [row, promise, machine, actors] = cells[..] else { panic!("{line}") };
        assert_eq!(expected.next().as_deref(), Some(row));
        assert!(promise.ends_with('.'), "{row}: {promise}");
        let named = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let cells: [Vec<String>; 2] = [machine, actors].map(named);
        let names = cells.iter().flatten().filter_map(|name| name.rsplit_once("::"));
        let mut n_tests = 0;
        for (_, test) in names {
            assert!(tests.contains(test), "{row}: there is no test {test}");
            n_tests += 1;
        }
        assert!(n_tests > 0 || actors.starts_with("none: "), "{row}: no test, and no reason");
    }
    assert_eq!(expected.next(), None, "rows are missing");
}

fn collect_tests(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect_tests(&path, tests);
        } else {
            let text = read(&path);
            let named = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
            tests.extend(named.map(|(name, _)| name.to_owned()));
        }
    }
}
