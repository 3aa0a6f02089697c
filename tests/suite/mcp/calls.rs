//! Calls of servers that die, are silent, or answer what nobody asked.

use std::time::Duration;

use greenroom_core::tool::{EffectClass, ToolErrorKind};
use serde_json::json;

use super::{Desk, ask, call, pass, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_dies_during_calls_fails_them_at_once() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    let reading = client.tool("hang").expect("there is one").effect(EffectClass::ReadOnly);
    let (waiting, dying) = tokio::join!(call(&reading, json!({})), async {
        desk.noted("call hang").await;
        ask(&client, "die").await
    });
    let (waiting, dying) = (waiting.expect_err("it died"), dying.expect_err("it died"));
    // Whether the call took effect is not known, and matters only where it would act twice.
    assert_eq!((waiting.kind, dying.kind), (ToolErrorKind::Failed, ToolErrorKind::InDoubt));
    let says = "the MCP server is gone: it ended with 3: token: [redacted], no memory";
    assert_eq!((waiting.message.as_str(), dying.message.as_str()), (says, says));
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_died_is_started_again_and_more_and_more_rarely() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    let n_started = || desk.pids("started").len();
    ask(&client, "die").await.expect_err("it died");
    assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
    assert_eq!(n_started(), 2);
    // A call was answered, so the next start is at once, too. From there on none is.
    ask(&client, "die").await.expect_err("it died");
    for (n_before, wait) in [(2, 1), (3, 2), (4, 4)] {
        ask(&client, "die").await.expect_err("it died");
        assert_eq!(n_started(), n_before + 1);
        for _ in 0..100 {
            let error = ask(&client, "echo").await.expect_err("it is too early");
            assert_eq!(error.kind, ToolErrorKind::Failed);
            let says =
                format!("the MCP server is gone, and is started again in {wait}s at the earliest");
            assert_eq!(error.message, says);
        }
        assert_eq!(n_started(), n_before + 1);
        pass(wait * SECOND).await;
    }
    assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
    assert_eq!(n_started(), 6);
    drop(client);
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_call_that_is_never_answered_times_out_and_the_server_is_told() {
    let desk = Desk::new();
    let client = desk.server(&[]).call_timeout(5 * SECOND).connect().await.expect("it connects");
    let (error, ()) = tokio::join!(ask(&client, "hang"), async {
        desk.noted("call hang").await;
        pass(5 * SECOND).await;
    });
    let error = error.expect_err("it hangs");
    assert_eq!(error.kind, ToolErrorKind::TimedOut);
    assert_eq!(error.message, "the server did not answer in 5s");
    desk.noted("cancelled").await;
    assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
    assert_eq!(desk.pids("started").len(), 1, "the connection is the same");
}

#[tokio::test(start_paused = true)]
async fn fi37_a_call_that_is_given_up_is_cancelled_and_its_late_answer_is_dropped() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    tokio::select! {
        answer = ask(&client, "late") => panic!("{answer:?}"),
        () = desk.noted("call late") => {}
    }
    desk.noted("answered late").await;
    for _ in 0..3 {
        assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
    }
    assert_eq!((desk.n("cancelled"), desk.pids("started").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn fi37_an_answer_to_no_request_is_dropped() {
    let desk = Desk::new();
    let client = desk.server(&[]).call_timeout(5 * SECOND).connect().await.expect("it connects");
    let (error, ()) = tokio::join!(ask(&client, "wrong_id"), async {
        desk.noted("answered another").await;
        // What was written before is read before.
        assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
        pass(5 * SECOND).await;
    });
    assert_eq!(error.expect_err("it is no answer").kind, ToolErrorKind::TimedOut);
    assert_eq!(desk.pids("started").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fi37_too_long_a_message_ends_the_server() {
    let desk = Desk::new();
    let client = desk.server(&[]).message_len_max(100 << 10).connect().await.expect("it connects");
    let error = ask(&client, "huge").await.expect_err("it is too long");
    assert_eq!(error.kind, ToolErrorKind::InDoubt);
    let says = "the MCP server is gone: it wrote a message of more than 102400 bytes";
    assert_eq!(error.message, says);
    desk.deserted().await;
    assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_reads_nothing_is_ended() {
    let desk = Desk::new();
    let client = desk.connect(&["deaf"]).await;
    let echo = client.tool("echo").expect("there is one");
    let long = json!({ "text": "x".repeat(100_000) });
    let calls = (0..100).map(|_| call(&echo, long.clone()));
    for answer in futures_util::future::join_all(calls).await {
        let error = answer.expect_err("nobody reads it");
        assert!(error.message.contains("does not read what it is sent"), "{error}");
    }
    desk.deserted().await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_server_that_asks_without_end_is_answered_within_bounds() {
    let desk = Desk::new();
    let client = desk.connect(&["asks"]).await;
    assert_eq!(ask(&client, "echo").await, Ok(json!("again")));
    until(|| desk.n("answered") > 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_last_counts() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    for n_started in 1..=20 {
        assert_eq!(ask(&client, "quit").await, Ok(json!("farewell")));
        until(|| desk.pids("started").iter().all(|pid| super::is_gone(pid))).await;
        assert_eq!(desk.pids("started").len(), n_started);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_values_and_errors() {
    let desk = Desk::new();
    let server = desk.server(&[]).output_len_max(1000).env("GIVEN", "1");
    let client = server.connect().await.expect("it connects");
    assert_eq!(ask(&client, "structured").await, Ok(json!({ "sum": 42 })));
    let big = format!("{}… and 99000 bytes more", "x".repeat(1000));
    assert_eq!(ask(&client, "big").await, Ok(json!(big)));
    let error = ask(&client, "fail").await.expect_err("it says so");
    assert_eq!((error.kind, error.message.as_str()), (ToolErrorKind::Failed, "the disk is full"));
    let echo = client.tool("echo").expect("there is one");
    let error = call(&echo, json!([1])).await.expect_err("they are no object");
    assert_eq!(error.kind, ToolErrorKind::InvalidArguments);
    assert_eq!(call(&echo, json!(null)).await, Ok(json!("nothing")));
    let env = ask(&client, "env").await.expect("it is told");
    let mut names: Vec<_> = env.as_str().expect("a text").split(' ').collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "PATH"]);
}
