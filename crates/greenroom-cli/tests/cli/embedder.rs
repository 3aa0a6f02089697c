//! Documents that are searched by vectors besides words: what is sent, what is told, what it costs.

use greenroom_testkit::provider::{Answer, ProviderServer};
use serde_json::Value;

use super::models::{KEY, ask};
use super::{Ran, World};

/// Every text that a server was asked to embed.
fn embedded(server: &ProviderServer) -> Vec<String> {
    let inputs = server.requests().into_iter().filter_map(|request| {
        assert!(request.path.ends_with("/v1/embeddings"), "{}", request.path);
        let texts = request.body["input"].as_array()?.clone();
        Some(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
    });
    inputs.flatten().collect()
}

/// Those that are passages: they have headings.
fn passages(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).filter(|text| text.contains('#')).collect()
}

#[test]
fn passages_are_embedded_once_and_those_that_change_again() {
    let (world, server) = (World::new(), ProviderServer::builder().start());
    let name = format!("{}#e", server.url("/v1"));
    let ran = ask(&world, &["--embedder", &name], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages") && ran.out.contains("docs/mailbox.md:4"), "{ran:?}");
    assert!(ran.err.contains("greenroom: embedded 3 passages · "), "{ran:?}");
    let first = embedded(&server);
    assert_eq!(passages(&first).len(), 3, "{first:?}");
    assert!(first.len() > 3, "the question as well: {first:?}");

    let ran = ask(&world, &["--embedder", &name], &[]);
    assert!(ran.code == Some(0) && !ran.err.contains("embedded"), "{ran:?}");
    let second = embedded(&server).split_off(first.len());
    assert!(passages(&second).is_empty() && !second.is_empty(), "{second:?}");

    world.file(
        "docs/colour.md",
        "# Colours\n\nThe door of the theatre is painted red, and not green.\n",
    );
    let ran = ask(&world, &["--embedder", &name], &[]);
    assert!(ran.err.contains("greenroom: embedded 1 passage · "), "{ran:?}");
    let third = embedded(&server).split_off(first.len() + second.len());
    assert_eq!(
        passages(&third),
        ["# Colours\n\nThe door of the theatre is painted red, and not green."]
    );

    // Without the option nobody is asked.
    let n_before = server.requests().len();
    let ran = ask(&world, &[], &[]);
    assert_eq!((ran.code, server.requests().len()), (Some(0), n_before), "{ran:?}");
}

/// What is not known is never told as nothing, and the help on it helps.
#[test]
fn an_embedder_whose_price_is_not_known_is_told_as_such() {
    let (world, server) = (World::new(), ProviderServer::builder().start());
    let name = format!("{}#e", server.url("/v1"));
    let ran = ask(&world, &["--embedder", &name], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(" · cost unknown"), "{ran:?}");
    let table = world.run(&["runs"]).out;
    assert!(table.contains("  ≥ $0.0000  "), "{table}");

    let embedder = format!("[embedder]\nmodel = {name:?}\ndimensions = 64\n");
    world.file("greenroom.toml", &embedder);
    let ran = ask(&world, &["--budget-usd", "1"], &[]);
    ran.is_refused(3, "GR0409");
    let price = format!("[prices.{name:?}]");
    assert!(ran.err.contains(&price) && ran.err.contains("#e@64 is not known"), "{ran:?}");
    world.file("greenroom.toml", format!("{embedder}{price}\ninput = 0\noutput = 0\n"));
    let ran = ask(&world, &["--budget-usd", "1"], &[]);
    assert!(ran.code == Some(0) && !ran.err.contains("cost unknown"), "{ran:?}");
}

#[test]
fn an_embedder_that_is_not_there_leaves_the_words_unless_the_file_is_strict() {
    let world = World::new();
    world.file("greenroom.toml", "[embedder]\nmodel = \"openai:e\"\n");
    let offline = [("OPENAI_API_KEY", KEY), ("GREENROOM_OFFLINE", "1")];
    let ran = ask(&world, &[], &offline);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
    assert!(
        ran.err.contains("[GR0221]") && ran.err.contains("real calls are forbidden"),
        "{ran:?}"
    );

    world.file("strict.toml", "[embedder]\nmodel = \"openai:e\"\nstrict = true\n");
    let ran = ask(&world, &["--config", "strict.toml"], &offline);
    ran.fails(3, "GR0205");
    assert!(ran.err.contains("real calls are forbidden"), "{ran:?}");
    let ran = ask(&world, &["--config", "strict.toml", "--embedder", "none"], &offline);
    assert!(ran.code == Some(0) && !ran.err.contains("GR02"), "{ran:?}");
}

#[test]
fn a_question_that_cannot_be_embedded_is_told_without_the_key() {
    let world = World::new();
    let message = format!("Incorrect API key provided: {KEY}");
    let server = ProviderServer::answering(move |request| {
        let texts = request.body["input"].as_array().expect("texts");
        let are_passages = texts.iter().any(|text| text.as_str().expect("text").contains('#'));
        if are_passages { Answer::text("") } else { Answer::refusal(401, "", message.clone()) }
    });
    let url = server.url("/v1");
    let variables = [
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", url.as_str()),
        ("GREENROOM_EMBEDDER", "openai:e"),
    ];
    let ran = ask(&world, &[], &variables);
    assert!(ran.code == Some(0) && ran.out.contains("64 messages"), "{ran:?}");
    assert!(ran.err.contains("[GR0223]") && ran.err.contains("[redacted]"), "{ran:?}");
}

#[test]
fn an_embedder_that_cannot_be_set_up_is_told_before_anything_begins() {
    let world = World::new();
    for (name, code, says) in [
        ("anthropic:e", "GR0403", "the embedder (--embedder): anthropic has no embeddings"),
        ("openai:e", "GR0401", "the embedder (--embedder): openai wants a key"),
        ("opnai:e", "GR0403", "did you mean \"openai\"?"),
    ] {
        let ran = ask(&world, &["--embedder", name], &[]);
        ran.is_refused(3, code);
        assert!(ran.err.contains(says), "{ran:?}");
    }
    let mut command = world.command(&["config", "--embedder", "ollama:nomic-embed-text"]);
    let ran = Ran::from(command.output().expect("it can be run"));
    let lines: Vec<_> =
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(lines.contains(&"embedder ollama:nomic-embed-text (--embedder)".to_owned()), "{ran:?}");
    assert!(lines.iter().any(|line| line.starts_with("ollama http://127.0.0.1:11434")), "{ran:?}");
}
