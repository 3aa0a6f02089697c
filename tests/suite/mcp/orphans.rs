//! Nothing is left of a server: no child of its own, and nothing for anybody to reap.

use std::sync::mpsc;
use std::time::Duration;

use greenroom_core::tool::ToolErrorKind;
use greenroom_mcp::McpServer;
use tokio::runtime::Builder;

use super::{Desk, SERVER, ask, call, until};

/// A server that heeds no signal, as nothing does that it begins.
fn stubborn(desk: &Desk) -> McpServer {
    let script = "trap '' TERM INT HUP; exec \"$@\"";
    McpServer::command("srv", "/bin/sh")
        .args(["-c", script, "sh", SERVER])
        .arg(desk.file())
        .arg("stays")
}

#[tokio::test(start_paused = true)]
async fn fi37_nothing_is_left_of_a_server_that_nobody_uses_any_more() {
    let desk = Desk::new();
    let client = stubborn(&desk).connect().await.expect("it connects");
    let tool = client.tool("echo").expect("there is one");
    tokio::select! {
        answer = ask(&client, "fork") => panic!("{answer:?}"),
        () = until(|| desk.pids("child").len() == 2) => {}
    }
    drop(client);
    assert!(call(&tool, serde_json::json!({})).await.is_ok(), "a tool keeps its server");
    drop(tool);
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_dies_takes_along_what_it_began() {
    let desk = Desk::new();
    let client = stubborn(&desk).connect().await.expect("it connects");
    tokio::select! {
        answer = ask(&client, "fork") => panic!("{answer:?}"),
        () = until(|| desk.pids("child").len() == 2) => {}
    }
    // Its children hold its pipes open.
    ask(&client, "die").await.expect_err("it died");
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_connecting_that_is_given_up_leaves_nothing() {
    let desk = Desk::new();
    tokio::select! {
        connected = desk.server(&["mute=initialize", "stays"]).connect() => panic!("{connected:?}"),
        () = desk.noted("mute initialize") => {}
    }
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_hundred_servers_leave_nothing() {
    let desk = Desk::new();
    for _ in 0..10 {
        let connecting = (0..10).map(|_| desk.connect(&[]));
        drop(futures_util::future::join_all(connecting).await);
    }
    assert_eq!(desk.pids("started").len(), 100);
    desk.deserted().await;
}

#[test]
fn fi37_a_runtime_that_ends_ends_its_servers() {
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let desk = Desk::new();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let client = runtime.block_on(stubborn(&desk).connect()).expect("it connects");
        // It would wait for ever for a server that lives.
        let (ended, is_ended) = mpsc::channel();
        std::thread::spawn(move || {
            drop(runtime);
            ended.send(())
        });
        is_ended.recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert!(desk.pids("started").iter().all(|pid| super::is_gone(pid)));
        drop(client);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_closed_ends_in_its_own_way_or_else_is_killed() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    client.close().await;
    assert_eq!(desk.n("bye"), 1);
    desk.deserted().await;
    let error = ask(&client, "echo").await.expect_err("it is closed");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ToolErrorKind::Failed, "the MCP server was closed")
    );
    let desk = Desk::new();
    let client = desk.connect(&["stays"]).await;
    tokio::join!(client.close(), async {
        desk.noted("bye").await;
        super::pass(Duration::from_secs(2)).await;
    });
    desk.deserted().await;
}
