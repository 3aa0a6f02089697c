//! Files as people have them, and files with mistakes.

use super::*;

fn parse(json: &str) -> Result<McpConfig, McpConfigError> {
    McpConfig::parse(json, |name| (name == "ROOT").then(|| "/srv".to_owned()))
}

#[test]
fn what_other_programs_read_is_read() {
    let config = parse(
        r#"{ "inputs": [], "mcpServers": {
            "files": {
                "type": "stdio", "command": "${ROOT}/bin/files", "args": ["$ROOT", "${ROOT}${NO:-x}", "${NO:-}", "sk-canary-0123456789"],
                "env": { "KEY": "sk-canary-0123456789" }, "cwd": "${ROOT}", "timeout": 1500, "icon": "a.png"
            },
            "modern": { "command": "a", "protocol": "2026-07-28", "disabled": false },
            "off": { "command": "a", "disabled": true }
        } }"#,
    );
    let config = config.expect("it is one");
    let shown: Vec<_> = config.servers.iter().map(ToString::to_string).collect();
    let files = r#"files: KEY=… "/srv/bin/files" "$ROOT" "${ROOT}${NO:-x}" "${NO:-}" "sk-[redacted]" in /srv"#;
    assert_eq!(shown, [files, r#"modern: "a""#]);
    let command = config.servers[0].to_command();
    let args: Vec<_> = command.get_args().collect();
    assert_eq!(args, ["$ROOT", "/srvx", "", "sk-canary-0123456789"]);
    assert_eq!(config.servers[0].limits.call_timeout, Duration::from_millis(1500));
    let protocols: Vec<_> = config.servers.iter().map(|server| server.protocol).collect();
    assert_eq!(protocols, [Protocol::Handshake, Protocol::Stateless]);
    assert_eq!(config.unknown, ["mcpServers.files.icon"]);
    assert!(!format!("{config:?}").contains("canary"));
    let other = parse(r#"{ "servers": { "a": { "command": "b" } } }"#).expect("it is one");
    assert_eq!(other.servers.len(), 1);
}

#[track_caller]
fn check(json: &str, place: &str, kind: McpConfigErrorKind, says: &str) {
    let error = parse(json).expect_err(json);
    assert_eq!((error.place.as_str(), error.kind), (place, kind));
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn mistakes_are_found_where_they_are() {
    use McpConfigErrorKind::{BadServer, NoVariable, NotJson};
    let server = |server: &str| format!(r#"{{ "mcpServers": {{ "a": {server} }} }}"#);
    check("{", "", NotJson, "EOF");
    check("{}", "", NotJson, "there is no `mcpServers`");
    check(r#"{ "mcpServers": [] }"#, "", NotJson, "there is no `mcpServers`");
    check(&server("1"), "mcpServers.a", BadServer, "an object");
    check(&server("{}"), "mcpServers.a.command", BadServer, "a program");
    let elsewhere = r#"{ "type": "http", "url": "https://example.com", "command": "a" }"#;
    check(&server(elsewhere), "mcpServers.a.command", BadServer, "elsewhere");
    for (entry, place, says) in [
        (r#""args": "b""#, "args", "a list of texts"),
        (r#""args": [1]"#, "args", "a text"),
        (r#""args": ["${A"]"#, "args", "closes"),
        (r#""env": []"#, "env", "an object of texts"),
        (r#""env": { "B": 1 }"#, "env", "a text"),
        (r#""timeout": "1""#, "timeout", "milliseconds"),
        (r#""timeout": 0"#, "timeout", "milliseconds"),
        (r#""protocol": "1""#, "protocol", "2026-07-28"),
    ] {
        let json = server(&format!(r#"{{ "command": "a", {entry} }}"#));
        check(&json, &format!("mcpServers.a.{place}"), BadServer, says);
    }
    let unset = server(r#"{ "command": "${NOBODY}" }"#);
    check(&unset, "mcpServers.a.command", NoVariable, "NOBODY is not set");
}
