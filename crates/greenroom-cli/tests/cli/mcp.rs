//! The binary with MCP servers, which are named on the command line.

use greenroom_core::message::ToolCall;
use greenroom_testkit::provider::{Answer, ProviderServer, Received};
use serde_json::{Value, json};

use super::models::team;
use super::{CAPACITY, Ran, World};

/// A server with one tool. The members of what it is sent are in the order of the protocol's library.
const SERVER: &str = r#"
while read -r line; do
    id=${line#*\"id\":}
    id=${id%%,*}
    case $line in
        *'"initialize"'*)
            result='{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"n","version":"1"}}';;
        *'"tools/list"'*)
            result='{"tools":[{"name":"recall","description":"Recalls.","inputSchema":{"type":"object"}}]}';;
        *'"tools/call"'*)
            result='{"content":[{"type":"text","text":"learned by heart"}]}';;
        *)
            continue;;
    esac
    echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$result}"
done
"#;

/// A world with a file of servers.
fn world() -> World {
    let world = World::new();
    world.file("server.sh", SERVER);
    let notes = json!({
        "command": "${SHELL_HERE:-/bin/sh}", "args": ["server.sh", "${HOME}"], "env": { "KEY": "sk-canary-0123456789" },
        "icon": "notes.png",
    });
    world.file(".mcp.json", json!({ "mcpServers": { "notes": notes } }).to_string());
    world
}

/// A team whose research recalls before it searches.
fn recalling(request: &Received) -> Answer {
    let messages = request.body["messages"].as_array().expect("a conversation");
    let system = messages[0]["content"].as_str().unwrap_or_default();
    let n_results = messages.iter().filter(|message| message["role"] == "tool").count();
    if system.starts_with("You plan") || system.starts_with("You write") || n_results > 1 {
        return team(request);
    }
    let (name, arguments) = match n_results {
        0 => ("notes__recall", json!({})),
        _ => ("search", json!({ "query": "default capacity mailbox" })),
    };
    Answer::calls([ToolCall {
        id: format!("call_{n_results}").as_str().into(),
        name: name.into(),
        arguments,
    }])
}

fn has_recalled(server: &ProviderServer) -> bool {
    let requests = server.requests();
    requests.iter().any(|request| request.body.to_string().contains("learned by heart"))
}

#[test]
fn agents_get_the_tools_of_the_servers_that_are_named() {
    let (world, server) = (world(), ProviderServer::answering(recalling));
    let model = format!("{}#m", server.url("/v1"));
    let ask = ["ask", CAPACITY, "--corpus", "docs", "--model", &model];
    let ran = world.run(&[&ask[..], &["--mcp", ".mcp.json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("64 messages"), "{ran:?}");
    assert!(has_recalled(&server));
    let started = "greenroom: starting notes: KEY=… \"/bin/sh\" \"server.sh\" \"${HOME}\"";
    assert!(ran.err.lines().any(|line| line == started), "{ran:?}");
    assert!(ran.err.contains("notice[GR0611]: .mcp.json: mcpServers.notes.icon"), "{ran:?}");
    assert!(!ran.err.contains("canary"), "{ran:?}");
    // Nothing reads the file on its own.
    let other = ProviderServer::answering(recalling);
    let model = format!("{}#m", other.url("/v1"));
    let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--model", &model]);
    assert!(!ran.err.contains("starting notes") && !has_recalled(&other), "{ran:?}");
}

/// The calls that wait.
fn pending(ran: &Ran) -> Vec<Value> {
    ran.json()["pending"].as_array().expect("a list").clone()
}

#[test]
fn calls_of_servers_wait_for_a_person_and_go_on_with_the_servers_named_again() {
    let (world, server) = (world(), ProviderServer::answering(recalling));
    let model = format!("{}#m", server.url("/v1"));
    let ask = ["ask", CAPACITY, "--corpus", "docs", "--model", &model, "--json"];
    let ran = world.run(&[&ask[..], &["--mcp", ".mcp.json", "--approve", "mcp"]].concat());
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let (calls, id) = (pending(&ran), ran.json()["run_id"].as_str().expect("an id").to_owned());
    assert_eq!(calls[0]["tool"], "notes__recall", "{calls:?}");
    assert!(!has_recalled(&server));
    let call = calls[0]["call"].as_str().expect("it has a name");
    assert_eq!(world.run(&["runs", "approve", &id, call]).code, Some(0));
    let resume = ["runs", "resume", &id, "--model", &model];
    let ran = world.run(&resume);
    ran.fails(1, "GR0514");
    assert!(ran.err.contains("name them with --mcp") && ran.err.contains("/.mcp.json"), "{ran:?}");
    let ran = world.run(&[&resume[..], &["--mcp", ".mcp.json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(has_recalled(&server));
    // It began with the approval, and went on with it.
    let events = world.run(&["runs", "export", &id]).out;
    let lines = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let claims: Vec<_> = lines.filter(|line| line["event"]["kind"] == "run_claimed").collect();
    let is_other = |claim: &Value| claim["event"]["changes"].to_string().contains("mcp");
    assert!(!claims.is_empty() && !claims.iter().any(is_other), "{claims:?}");
}

#[test]
fn a_file_of_servers_that_cannot_be_used_is_told() {
    let world = World::new();
    let file = |server: &str| format!("{{ \"mcpServers\": {{ \"notes\": {server} }} }}");
    for (text, code) in [
        (None, "GR0610"),
        (Some("{".to_owned()), "GR0607"),
        (Some(file("{ \"url\": \"https://example.com\" }")), "GR0608"),
        (Some(file("{ \"command\": \"${NOBODY_SET_THIS}\" }")), "GR0609"),
        (Some(file("{ \"command\": \"/nowhere/nothing\" }")), "GR0602"),
        (Some(file("{ \"command\": \"false\" }")), "GR0604"),
    ] {
        if let Some(text) = text {
            world.file("servers.json", text);
        }
        let ran = world.run(&["ask", CAPACITY, "--corpus", "docs", "--mcp", "servers.json"]);
        ran.is_refused(3, code);
        assert!(ran.err.contains("servers.json"), "{ran:?}");
    }
}
