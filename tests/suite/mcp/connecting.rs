//! Servers that do not get as far as telling their tools, or tell what cannot be used.

use std::time::Duration;

use greenroom_mcp::{McpErrorKind, McpServer, Protocol};

use super::{Desk, ask, connected, pass};

const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn check_name(name: &str) -> impl Future<Output = ()> {
    let connecting = McpServer::command(name, "/bin/true").connect();
    async move {
        assert_eq!(connecting.await.expect_err("a bad name").kind, McpErrorKind::BadName);
    }
}

async fn check(habits: &[&str], kind: McpErrorKind, says: &str) {
    let desk = Desk::new();
    let error = connected(desk.server(habits)).await.expect_err("it does not connect");
    assert_eq!((error.server.as_str(), error.kind), ("srv", kind), "{error}");
    assert!(error.why.contains(says), "{error}");
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_is_silent_at_first_is_given_up() {
    for method in ["initialize", "tools/list"] {
        let desk = Desk::new();
        let mute = format!("mute={method}");
        let connecting = connected(desk.server(&[&mute, "complains"]).connect_timeout(MINUTE));
        let (connected, ()) = tokio::join!(connecting, async {
            desk.noted(&format!("mute {method}")).await;
            pass(MINUTE).await;
        });
        let error = connected.expect_err("it is silent");
        assert_eq!((error.kind, error.kind.code()), (McpErrorKind::TimedOut, "GR0603"));
        assert_eq!(error.why, "it has not told its tools in 60s: key sk-[redacted]");
        desk.deserted().await;
    }
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_begins_wrongly_is_refused() {
    use McpErrorKind::{BadTools, Ended, Protocol};
    check(&["leaves", "complains"], Ended, "it ended with 4: key sk-[redacted]").await;
    check(&["wrong"], Protocol, "it answered another request").await;
    check(&["stateless"], Protocol, "no handshake").await;
    check(&["no_list"], Protocol, "this is no list of tools").await;
    check(&["many"], BadTools, "more than 512").await;
    check(&["large"], BadTools, "\"large\" has more than 65536 bytes").await;
    check(&["alike"], BadTools, "\"a.b\" and \"a/b\" would have one name").await;
    let nothing = McpServer::command("srv", "/nowhere/nothing").connect().await;
    assert_eq!(nothing.expect_err("it is not there").kind, McpErrorKind::NotStarted);
    for name in ["", "a__b", "a b"] {
        check_name(name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fi37_a_list_without_end_is_given_up() {
    let desk = Desk::new();
    let error = connected(desk.server(&["pages"])).await.expect_err("it has no end");
    assert_eq!((error.kind, desk.n("list")), (McpErrorKind::BadTools, 64), "{error}");
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn both_wires_are_spoken() {
    let desk = Desk::new();
    let client = desk.connect(&["two_pages"]).await;
    assert_eq!(desk.n("offered \"2025-11-25\""), 1, "the newest that has a handshake");
    assert_eq!(client.tools().len(), 13);
    let desk = Desk::new();
    let server = desk.server(&["stateless"]).protocol(Protocol::Stateless);
    let client = server.connect().await.expect("it connects");
    assert_eq!(ask(&client, "echo").await, Ok("again".into()));
    let desk = Desk::new();
    let server = desk.server(&["mute=server/discover"]).protocol(Protocol::Stateless);
    let (error, ()) = tokio::join!(server.connect_timeout(MINUTE).connect(), async {
        desk.noted("mute server/discover").await;
        pass(MINUTE).await;
    });
    assert_eq!(error.expect_err("it is another wire").kind, McpErrorKind::TimedOut);
}
