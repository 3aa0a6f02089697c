//! The binary with models of a provider: where they are named, and what is told when something is wrong.

use std::net::TcpListener;

use greenroom_core::budget::Usage;
use greenroom_core::message::ToolCall;
use greenroom_testkit::provider::{Answer, Certificate, ProviderServer, Received};
use serde_json::json;

use super::{CAPACITY, Ran, World};

pub(super) const KEY: &str = "sk-canary-0123456789abcdef";

/// Asks with variables besides those of the world.
#[track_caller]
pub(super) fn ask(world: &World, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let args = [&["ask", CAPACITY, "--corpus", "docs"], args].concat();
    let output = world.command(&args).envs(variables.iter().copied()).output();
    let ran = Ran::from(output.expect("it can be run"));
    assert!(!format!("{} {}", ran.out, ran.err).contains("canary"), "a key is shown: {ran:?}");
    ran
}

/// A team whose models answer well. Each reply has 100 tokens sent, 40 of them from a cache, and 10 received.
pub(super) fn team(request: &Received) -> Answer {
    let messages = request.body["messages"].as_array().expect("a conversation");
    let system = messages[0]["content"].as_str().unwrap_or_default();
    let sentence = "The default capacity of a mailbox is 64 messages.";
    let answer = if system.starts_with("You plan") {
        let task = json!({ "id": "t1", "to": "research", "question": "What is the capacity?" });
        Answer::text(json!({ "tasks": [task] }).to_string())
    } else if system.starts_with("You write") {
        Answer::text(format!("{sentence} [1]"))
    } else if messages.iter().any(|message| message["role"] == "tool") {
        Answer::text(sentence)
    } else {
        let arguments = json!({ "query": "default capacity mailbox" });
        Answer::calls([ToolCall { id: "call_1".into(), name: "search".into(), arguments }])
    };
    let usage = Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() };
    answer.usage(Usage { cached_tokens: Some(40), ..usage })
}

/// The roles that a server was asked as, and the models that were named.
pub(super) fn asked(server: &ProviderServer) -> Vec<(String, String)> {
    let requests = server.requests().into_iter().filter(|request| request.method == "POST");
    let asked = requests.map(|request| {
        let system = request.body["messages"][0]["content"].as_str().unwrap_or_default();
        let role = system.split_whitespace().nth(1).unwrap_or_default().to_owned();
        (role, request.model().to_owned())
    });
    asked.collect()
}

fn names(expect: [(&str, &str); 4]) -> Vec<(String, String)> {
    expect.map(|(role, model)| (role.to_owned(), model.to_owned())).into()
}

#[test]
fn a_model_of_a_provider_answers_for_every_role() {
    let (world, server) = (World::new(), ProviderServer::answering(team));
    let model = format!("{}#m", server.url("/v1"));
    let ran = ask(&world, &["--model", &model], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("The default capacity of a mailbox is 64 messages. [1]"),
        "{ran:?}"
    );
    assert!(ran.out.contains("[1] docs/mailbox.md:4"), "{ran:?}");
    assert!(ran.err.contains("4 model calls"), "{ran:?}");
    assert_eq!(
        asked(&server),
        names([("plan", "m"), ("find", "m"), ("find", "m"), ("write", "m")])
    );
}

#[test]
fn roles_differ_by_the_file_and_keys_come_from_dot_env() {
    let (world, server) = (World::new(), ProviderServer::answering(team));
    world.file(
        "greenroom.toml",
        format!(
            "model = \"openai:small\"\n\n[roles.research]\nmodel = \"openai:large\"\n\n\
             [roles.writer]\nmodel = \"extractive\"\n\n[providers.openai]\nbase_url = \"{}\"\n",
            server.url("/v1")
        ),
    );
    world.file(".env", format!("OPENAI_API_KEY={KEY}\n"));
    let ran = ask(&world, &[], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("64 messages") && ran.out.contains("[1] docs/mailbox.md:4"),
        "{ran:?}"
    );
    let wanted = [("plan", "small"), ("find", "large"), ("find", "large")];
    assert_eq!(asked(&server), wanted.map(|(role, model)| (role.to_owned(), model.to_owned())));
    let bearer = |n: usize| server.requests()[n].header("authorization").map(str::to_owned);
    assert_eq!(bearer(0), Some(format!("Bearer {KEY}")));

    // The environment is not overridden by `.env`, and the command line is by nothing.
    let ran = ask(&world, &["--model", "openai:other"], &[("OPENAI_API_KEY", "from-outside")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(asked(&server).len(), 7, "{:?}", asked(&server));
    assert_eq!(bearer(3).as_deref(), Some("Bearer from-outside"));
    assert!(asked(&server)[3..].iter().all(|(_, model)| model == "other"));
}

#[test]
fn the_configuration_is_shown_with_its_origins_and_without_its_keys() {
    let world = World::new();
    world.file(
        "work.toml",
        "tries = 2\n[roles.writer]\nmodel = \"anthropic:claude\"\n\
         [roles.planner]\nmodel = \"http://h/v1?key=canary#m\"\n",
    );
    world.file(
        ".env",
        format!("ANTHROPIC_API_KEY={KEY}\nOPENAI_BASE_URL=https://me:{KEY}@gate/v1\n"),
    );
    let mut command = world.command(&["config", "--config", "work.toml"]);
    command.env("OPENAI_API_KEY", KEY);
    let ran = Ran::from(command.output().expect("it can be run"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(!ran.out.contains("canary"), "{ran:?}");
    let lines: Vec<_> =
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "planner [redacted]#m (work.toml:5)",
            "research extractive (default)",
            "writer anthropic:claude (work.toml:3)",
            "embedder none (default)",
            "anthropic:claude price unknown ([prices] of the file can say it)",
            "[redacted]#m price unknown ([prices] of the file can say it)",
            "tries 2 (work.toml:1)",
            "durability durable (default)",
            "openai [redacted] (OPENAI_BASE_URL in .env)",
            "openai key set (from OPENAI_API_KEY)",
            "openai-responses [redacted] (OPENAI_BASE_URL in .env)",
            "openai-responses key set (from OPENAI_API_KEY)",
            "anthropic https://api.anthropic.com (default)",
            "anthropic key set (from ANTHROPIC_API_KEY in .env)",
            "file work.toml (--config names another one)",
            ".env read (in this directory)",
        ]
    );
}

/// A run with these settings is refused with an error of one line, and asks as often as there are agents that
/// can go on without the others: the planner, and the one that works without a plan.
#[track_caller]
fn check_refused(server: &ProviderServer, path: &str, code: (i32, &str), says: &[&str]) {
    let world = World::new();
    let url = server.url(path);
    let variables = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", url.as_str())];
    let ran = ask(&world, &["--model", "openai:gpt-6"], &variables);
    ran.fails(code.0, code.1);
    for words in says {
        assert!(ran.err.contains(&words.replace("URL", &server.url(""))), "{words}: {ran:?}");
    }
    assert_eq!(asked(server).len(), 2, "{ran:?}");

    let ran = ask(&world, &["--model", "openai:gpt-6", "--json"], &variables);
    assert_eq!(ran.json()["error"]["code"], code.1);
}

#[test]
fn a_key_that_is_refused_is_not_shown_and_not_tried_again() {
    let message = format!("Incorrect API key provided: {KEY}");
    let server = ProviderServer::always(Answer::refusal(401, "invalid_api_key", message));
    let says =
        ["HTTP 401: Incorrect API key provided: [redacted]", "`greenroom config` tells where"];
    check_refused(&server, "/v1", (3, "GR0402"), &says);
}

#[test]
fn a_model_that_does_not_exist_is_told_with_those_that_do() {
    let server = ProviderServer::builder().models(["gpt-5", "gpt-5-mini", "other"]).start();
    let says = ["HTTP 404", "did you mean \"gpt-5\"? the provider has gpt-5, gpt-5-mini, other"];
    check_refused(&server, "/v1", (3, "GR0404"), &says);
}

#[test]
fn a_base_url_without_v1_is_told_with_what_to_write() {
    let missing = Answer::raw(404, "application/json", r#"{"detail":"Not Found"}"#);
    let server = ProviderServer::always(missing);
    check_refused(&server, "", (3, "GR0405"), &["HTTP 404: Not Found", "write URL/v1)"]);
}

#[test]
fn a_page_of_a_proxy_is_told_from_an_api() {
    let page = Answer::raw(200, "text/html", "<html><h1>Sign in</h1></html>");
    let says = ["HTTP 200: an HTML page and not an API's reply", "`greenroom config` tells where"];
    check_refused(&ProviderServer::always(page), "/v1", (3, "GR0405"), &says);
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_at_once() {
    let world = World::new();
    let server = ProviderServer::builder().answering(team).tls(Certificate::Sound).start();
    let model = format!("{}#m", server.url("/v1"));
    let ran = ask(&world, &["--model", &model], &[]);
    ran.fails(3, "GR0405");
    assert!(ran.err.contains("its certificate is not trusted"), "{ran:?}");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_host_that_is_not_there_is_told_after_as_many_tries_as_the_file_says() {
    let world = World::new();
    world.file("greenroom.toml", "tries = 1\n");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let ran = ask(&world, &["--model", &format!("http://{address}/v1#m")], &[]);
    ran.fails(1, "GR0407");
    assert!(ran.err.contains("after 1 of 1 tries"), "{ran:?}");
    assert!(ran.err.contains(&format!("http://{address} cannot be reached")), "{ran:?}");
}

#[test]
fn what_cannot_be_set_up_is_told_before_anything_begins() {
    let world = World::new();
    world.file("unknown.toml", "[roles.writer]\nmodle = \"x\"\n");
    for (args, code, says) in [
        (["--model", "openai:gpt-5"], "GR0401", "set OPENAI_API_KEY; keys are made at https://"),
        (["--model", "opnai:gpt-5"], "GR0403", "did you mean \"openai\"?"),
        (["--model", "gpt-5"], "GR0403", "write PROVIDER:MODEL or http://HOST/v1#MODEL"),
        (["--model", "http://h/v1?key=canary#m"], "GR0405", "nothing behind ?"),
        (["--config", "nowhere.toml"], "GR0411", "nowhere.toml cannot be read"),
        (["--config", "unknown.toml"], "GR0413", "unknown.toml:2: there is no `modle`"),
    ] {
        let ran = ask(&world, &args, &[]);
        ran.is_refused(3, code);
        assert!(ran.err.contains(says), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1 + ran.err.matches("\n  help: ").count(), "{ran:?}");
    }
    let ran = ask(&world, &["--model", "ollama:m"], &[("HTTPS_PROXY", "http://\u{7}canary")]);
    ran.is_refused(3, "GR0406");
    world.file(".env", "sk-canary is no entry\n");
    ask(&world, &[], &[]).is_refused(3, "GR0415");
}

#[test]
fn the_demo_and_a_conversation_ask_the_models_that_are_named() {
    let (world, server) = (World::new(), ProviderServer::answering(team));
    let model = format!("{}#m", server.url("/v1"));
    let ran = world.run(&["demo", "--corpus", "docs", "--model", &model]);
    assert!(ran.out.contains("64 messages") && !ran.err.contains("slowed down"), "{ran:?}");
    let n_asked = asked(&server).len();
    assert!(n_asked >= 4, "{n_asked}");
    let input = format!("{CAPACITY}\n");
    let ran =
        world.run_with_input(&["chat", "--corpus", "docs", "--model", &model], input.as_bytes());
    assert_eq!((ran.code, asked(&server).len()), (Some(0), n_asked + 4), "{ran:?}");
}

/// Four calls, each 60 tokens at a dollar, 40 at a tenth and 10 at ten dollars for a million: 164 millionths.
const PRICES: &str = "[prices.\"openai:small\"]\ninput = 1\ncached = 0.1\noutput = 10.0\n";

#[test]
fn what_was_used_is_told_by_agent_and_model_with_its_cost() {
    let (world, server) = (World::new(), ProviderServer::answering(team));
    world.file("greenroom.toml", PRICES);
    let url = server.url("/v1");
    let variables = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", url.as_str())];
    let ran = ask(&world, &["--model", "openai:small"], &variables);
    assert!(ran.err.contains("4 model calls · 1 tool call · 440 tokens · $0.0007"), "{ran:?}");

    let json = ask(&world, &["--model", "openai:small", "--json"], &variables).json();
    let usage = &json["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cached_tokens"]), (&400.into(), &160.into()));
    assert_eq!((&usage["cost_usd"], &usage["priced_calls"]), (&0.000_656.into(), &4.into()));
    let models = json["models"].as_array().expect("a list");
    assert_eq!((models.len(), &models[0]["model"]), (1, &"openai:small".into()));
    assert_eq!(models[0]["usage"]["cost_nano_usd"], 656_000);
    let agents = json["agents"].as_array().expect("a list");
    let cost = |role: &str| {
        let agent = agents.iter().find(|agent| agent["role"] == role).expect(role);
        agent["usage"]["cost_nano_usd"].as_u64()
    };
    assert_eq!((cost("planner"), cost("research")), (Some(164_000), Some(328_000)));
    assert_eq!(cost("retrieval"), None);

    // Unknown is unknown, and never nothing.
    let ran = ask(&world, &["--model", "openai:large"], &variables);
    assert!(ran.err.contains("440 tokens · cost unknown"), "{ran:?}");
    let json = ask(&world, &["--model", "openai:large", "--json"], &variables).json();
    assert_eq!(
        (&json["usage"]["cost_usd"], &json["usage"]["priced_calls"]),
        (&json!(null), &json!(null))
    );
}

#[test]
fn a_limit_on_money_is_kept_and_needs_a_price() {
    let (world, server) = (World::new(), ProviderServer::answering(team));
    world.file("greenroom.toml", PRICES);
    let url = server.url("/v1");
    let variables = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", url.as_str())];
    let ran = ask(&world, &["--model", "openai:small", "--budget-usd", "0.0001"], &variables);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("[GR0308]") && ran.err.contains("money budget"), "{ran:?}");
    assert!(asked(&server).len() <= 1, "{:?}", asked(&server));

    let ran = ask(&world, &["--model", "openai:large", "--budget-usd", "1"], &variables);
    ran.is_refused(3, "GR0409");
    assert!(ran.err.contains("the price of openai:large is not known"), "{ran:?}");
    assert!(ran.err.contains("[prices.\"openai:large\"]"), "{ran:?}");
    // The offline model costs nothing, and that is known.
    let ran = ask(&world, &["--budget-usd", "0.01"], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
