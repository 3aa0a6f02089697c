//! The server over bare sockets, so that nothing of ours stands between it and what is asserted. What real clients
//! make of it is tested where they are.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use greenroom_core::message::ToolCall;
use greenroom_core::time::Clock as _;
use serde_json::{Value, json};

use super::*;
use crate::{FaultPlan, FaultRule, ManualClock};

/// Sends a request, and reads until the server ends the connection.
fn exchange(server: &ProviderServer, head: &str, body: &Value) -> String {
    String::from_utf8_lossy(&bytes(server, head, body)).into_owned()
}

fn open(server: &ProviderServer, head: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let body = body.to_string();
    let request = format!("{head} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("it reads");
    stream
}

fn bytes(server: &ProviderServer, head: &str, body: &Value) -> Vec<u8> {
    let mut stream = open(server, head, body);
    // An answer that keeps the connection ends with it, once nothing more is sent.
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it ends in an orderly way");
    answer
}

fn chat(server: &ProviderServer, body: &Value) -> String {
    exchange(server, "POST /v1/chat/completions", body)
}

/// The data of server-sent events in chunks.
fn data(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

#[test]
fn a_script_is_given_in_order_whole_and_streamed() {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({ "a": 1 }) };
    let server =
        ProviderServer::new([Answer::text("Hello you").thinking("Hm."), Answer::calls([call])]);
    let streamed = chat(&server, &json!({ "model": "m", "stream": true }));
    assert!(streamed.starts_with("HTTP/1.1 200 OK\r\n"), "{streamed}");
    let events = data(&streamed);
    assert_eq!(events.last(), Some(&"[DONE]"));
    let said: Vec<Value> =
        events[1..4].iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    let delta = |i: usize, name: &str| said[i]["choices"][0]["delta"][name].clone();
    assert_eq!(delta(0, "reasoning_content"), "Hm.");
    assert_eq!((delta(1, "content"), delta(2, "content")), (json!("Hello "), json!("you")));
    let whole = chat(&server, &json!({ "model": "m" }));
    let body: Value = serde_json::from_str(whole.lines().last().expect("a body")).expect("JSON");
    let calls = &body["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["function"], json!({ "name": "add", "arguments": "{\"a\":1}" }));
    assert!(chat(&server, &json!({})).contains("beyond the script of 2 answers"));
    assert_eq!((server.n_answers_left(), server.requests().len()), (0, 3));
    assert_eq!((server.counts().n_answered, server.counts().n_in_flight), (3, 0));
}

#[test]
fn keys_models_lists_and_vectors_need_no_script() {
    let server = ProviderServer::builder().models(["m"]).key("k").start();
    let ask = |head: &str, body: Value| exchange(&server, head, &body);
    assert!(ask("GET /v1/models", json!(null)).starts_with("HTTP/1.1 401 "));
    let key = "HTTP/1.1\r\nauthorization: Bearer k\r\nx:";
    assert!(ask(&format!("GET /v1/models {key}"), json!(null)).contains("\"id\":\"m\""));
    assert!(ask(&format!("GET /api/tags {key}"), json!(null)).contains("\"name\":\"m\""));
    let unknown = ask(&format!("POST /api/chat {key}"), json!({ "model": "n" }));
    assert!(unknown.starts_with("HTTP/1.1 404 ") && unknown.contains("`n` does not exist"));
    let vectors = |texts: Value| {
        let answer =
            ask(&format!("POST /api/embed {key}"), json!({ "model": "m", "input": texts }));
        let body = answer.lines().last().expect("a body").to_owned();
        serde_json::from_str::<Value>(&body).expect("JSON")["embeddings"].clone()
    };
    let both = vectors(json!(["a b", "b a"]));
    assert_eq!(both[0], both[1], "the same words");
    assert_ne!(vectors(json!("c"))[0], both[0]);
    assert!(ask(&format!("GET /nothing {key}"), json!(null)).starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_struck_call_takes_nothing_from_the_script() {
    let refused = Answer::refusal(429, "slow_down", "slow down").header("retry-after", "2");
    let plan = FaultPlan::new(7)
        .rule(FaultRule::provider("m", refused))
        .rule(FaultRule::provider("m", WireFault::EndsEarly).at(2));
    let server = ProviderServer::builder().answers([Answer::text("a b")]).faults(plan.clone());
    let server = server.start();
    let asked = json!({ "model": "m", "stream": true });
    let refused = chat(&server, &asked);
    assert!(refused.contains("retry-after: 2\r\n") && refused.contains("slow_down"), "{refused}");
    let cut = chat(&server, &asked);
    assert!(cut.contains("\"b\"") && cut.ends_with("0\r\n\r\n"), "{cut}");
    assert!(!cut.contains("finish_reason\":\"stop") && !cut.contains("[DONE]"), "{cut}");
    assert_eq!(server.n_answers_left(), 1);
    assert!(chat(&server, &asked).ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
    plan.assert_every_rule_struck();
    assert!(plan.to_string().contains("EndsEarly at provider call 2 of m"), "{plan}");
}

/// How a connection ends, and what came before.
fn end(fault: WireFault) -> (String, Result<(), std::io::ErrorKind>) {
    let server = ProviderServer::always(Answer::text("one two three four").fault(fault));
    let body = json!({ "model": "m", "stream": true });
    let mut stream = open(&server, "POST /v1/messages", &body);
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (String::from_utf8_lossy(&answer).into_owned(), Ok(())),
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) => {
                return (String::from_utf8_lossy(&answer).into_owned(), Err(error.kind()));
            }
        }
    }
}

#[test]
fn connections_end_as_they_are_told_to() {
    let (answer, ended) = end(WireFault::ClosesMidText);
    assert_eq!(ended, Ok(()));
    assert!(answer.contains("one ") && !answer.contains("four"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    let (answer, ended) = end(WireFault::ClosesAfter);
    assert!(ended.is_ok() && answer.contains("message_stop") && answer.ends_with("0\r\n\r\n"));
    let reset = Err(std::io::ErrorKind::ConnectionReset);
    assert_eq!(end(WireFault::ResetBeforeHead), (String::new(), reset));
    assert_eq!(end(WireFault::ResetMidText).1, reset);
}

#[tokio::test]
async fn silence_lasts_until_the_client_gives_up() {
    for (fault, has_head) in
        [(WireFault::SilentBeforeHead, false), (WireFault::SilentAfterHead, true)]
    {
        let server = ProviderServer::always(Answer::text("a").fault(fault));
        let mut stream = open(&server, "POST /api/chat", &json!({ "model": "m" }));
        assert_eq!(server.until(|counts| counts.n_silent == 1).await.n_given_up, 0);
        stream.set_nonblocking(true).expect("a socket can be set up");
        let mut head = [0; 12];
        assert_eq!(stream.read(&mut head).is_ok_and(|n| n > 0), has_head);
        drop(stream);
        let counts = server.until(|counts| counts.n_given_up == 1).await;
        assert_eq!((counts.n_answered, counts.n_in_flight), (0, 0));
    }
}

#[tokio::test]
async fn the_server_waits_on_the_clock_it_is_given() {
    let clock = ManualClock::new();
    let slow = Answer::text("ab")
        .after(Duration::from_secs(5))
        .fault(WireFault::Slow(Duration::from_secs(1)));
    let builder =
        ProviderServer::builder().answers([slow]).clock(std::sync::Arc::new(clock.clone()));
    let server = builder.start();
    let mut stream = open(&server, "POST /api/chat", &json!({ "model": "m", "stream": false }));
    clock.until_asleep(1).await;
    clock.advance(Duration::from_secs(5));
    let mut n_seconds = 0;
    while server.counts().n_answered == 0 {
        clock.until_asleep(1).await;
        clock.advance_to_next();
        n_seconds += 1;
        if n_seconds > 20 {
            // The first bytes of many have come, one for each second.
            assert!(clock.elapsed() >= Duration::from_secs(20));
            break;
        }
    }
    let mut head = [0; 15];
    stream.read_exact(&mut head).expect("the head came at once");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
}

#[test]
fn what_is_over_capacity_is_refused() {
    let full = Answer::refusal(529, "overloaded_error", "full");
    let stuck = Answer::text("a").fault(WireFault::SilentBeforeHead);
    let builder = ProviderServer::builder().answering(move |_| stuck.clone()).capacity(1, full);
    let server = builder.start();
    let first = open(&server, "POST /api/chat", &json!({}));
    while server.counts().n_in_flight == 0 {
        std::thread::yield_now();
    }
    assert!(exchange(&server, "POST /api/chat", &json!({})).starts_with("HTTP/1.1 529 "));
    assert_eq!((server.counts().n_over_capacity, server.counts().n_in_flight_max), (1, 2));
    drop(first);
}

#[test]
fn bodies_are_as_broken_as_they_are_told_to_be() {
    let body = |fault: WireFault| {
        let server = ProviderServer::always(Answer::text("ab").fault(fault));
        bytes(&server, "POST /v1/chat/completions", &json!({ "stream": true }))
    };
    let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|some| some == what);
    assert!(has(&body(WireFault::NotUtf8), b"ab\xff\xfe\""));
    assert!(has(&body(WireFault::HalfSurrogate), b"ab\\ud800\""));
    assert!(has(&body(WireFault::Data("{\"a\":".into())), b"data: {\"a\":\n\n"));
    assert!(has(&body(WireFault::Usage(-1, 7)), b"[DONE]"));
    assert!(body(WireFault::LongLine(1 << 20)).len() > 1 << 20);
    assert!(has(&body(WireFault::Bytewise), b"1\r\nd\r\n1\r\na\r\n"));
    let odd = body(WireFault::OddEvents);
    assert!(has(&odd, b"3\r\nret\r\n") && !has(&odd, b"4\r\n"));
    let packed = body(WireFault::GzipBomb(13_000));
    assert!(has(&packed, b"content-encoding: gzip") && has(&packed, b"\x1f\x8b\x08"));
    assert!(has(&body(WireFault::Redirect(302, "http://x/".into())), b"location: http://x/\r\n"));
    assert!(body(WireFault::NoContent).starts_with(b"HTTP/1.1 204 "));
    assert!(
        body(WireFault::FailsInStream { status: 529, is_shown: false })
            .windows(10)
            .any(|w| w == b"Overloaded")
    );
}
