//! The provider, in a process of its own: what it costs is not what is measured. It knows a few questions, and answers
//! with bytes that were made before.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a run asks, and what it must answer.
pub(crate) const QUESTION: &str = "What is 64 * 12?";
pub(crate) const ANSWER: &str = "64 * 12 is 768.";
/// What a stream asks for, and how many tokens it gets.
pub(crate) const TELL: &str = "Tell me something.";
pub(crate) const TOKENS: usize = 200;
/// What a team is asked, what each of its three specialists is asked, and the passage that answers both.
pub(crate) const TEAM: &str = "How much does a mailbox hold?";
pub(crate) const SPECIAL: &str = "Look up the capacity";
pub(crate) const PASSAGE: &str = "The default capacity of a mailbox is 64 messages.";

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    x-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n";

/// Answers by heart.
struct Answers {
    latency: Duration,
    pace: Duration,
    call: Vec<u8>,
    answer: Vec<u8>,
    plan: Vec<u8>,
    search: Vec<u8>,
    found: Vec<u8>,
    written: Vec<u8>,
    token: Vec<u8>,
    end: Vec<u8>,
}

fn chunk(choices: &Value, usage: &Value) -> Vec<u8> {
    let data = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_764_000_000, "model": "m",
        "service_tier": "default", "system_fingerprint": "fp_1", "choices": choices, "usage": usage,
    });
    let data = format!("data: {data}\n\n");
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn delta(delta: &Value) -> Vec<u8> {
    chunk(
        &json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }]),
        &Value::Null,
    )
}

fn end(reason: &str) -> Vec<u8> {
    let choices = json!([{ "index": 0, "delta": {}, "logprobs": null, "finish_reason": reason }]);
    let details = json!({ "cached_tokens": 0 });
    let usage = json!({
        "prompt_tokens": 60, "completion_tokens": 9, "total_tokens": 69, "prompt_tokens_details": details,
    });
    let mut bytes = chunk(&choices, &Value::Null);
    bytes.extend(chunk(&json!([]), &usage));
    bytes.extend(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let words = text.split_inclusive(' ').flat_map(|word| delta(&json!({ "content": word })));
    words.chain(end("stop")).collect()
}

/// A wish that a tool be called, in the pieces that providers send.
fn call(tool: &str, field: &str, value: &str) -> Vec<u8> {
    let piece = |text: String| {
        let function = json!({ "arguments": text });
        delta(&json!({ "tool_calls": [{ "index": 0, "function": function }] }))
    };
    let function = json!({ "name": tool, "arguments": "" });
    let begun = json!([{ "index": 0, "id": "call_1", "type": "function", "function": function }]);
    let pieces = [
        delta(&json!({ "role": "assistant", "content": null, "tool_calls": begun })),
        piece(format!("{{\"{field}\":")),
        piece(format!("\"{value}\"}}")),
        end("tool_calls"),
    ];
    pieces.concat()
}

impl Answers {
    fn new(latency: Duration, pace: Duration) -> Self {
        let tasks = ["a", "b", "c"].map(
            |id| json!({ "id": id, "to": "research", "question": format!("{SPECIAL} ({id})") }),
        );
        Self {
            latency,
            pace,
            call: call("calculate", "expression", "64 * 12"),
            answer: text(ANSWER),
            plan: text(&json!({ "tasks": tasks }).to_string()),
            search: call("search", "query", "mailbox"),
            found: text(PASSAGE),
            written: text(&format!("{PASSAGE} [1]")),
            token: delta(&json!({ "content": "word " })),
            end: end("stop"),
        }
    }

    /// Answers one request; an error says that the client has gone.
    async fn answer(&self, body: &[u8], stream: &mut TcpStream) -> std::io::Result<()> {
        let has = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if has(TELL) {
            stream.write_all(&[HEAD.as_bytes(), &self.token].concat()).await?;
            for _ in 1..TOKENS {
                if !self.pace.is_zero() {
                    tokio::time::sleep(self.pace).await;
                }
                stream.write_all(&self.token).await?;
            }
            return stream.write_all(&self.end).await;
        }
        let answer = match (has(SPECIAL), has("\"tool_call_id\"")) {
            // Only a writer is told what was found.
            _ if has(TEAM) && has(PASSAGE) => &self.written,
            _ if has(TEAM) => &self.plan,
            (true, false) => &self.search,
            (true, true) => &self.found,
            (false, false) => &self.call,
            (false, true) => &self.answer,
        };
        stream.write_all(&[HEAD.as_bytes(), answer].concat()).await
    }
}

async fn connection(mut stream: TcpStream, answers: Arc<Answers>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    loop {
        let (mut body_at, mut end) = (0, usize::MAX);
        while read.len() < end {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            if let (0, Some(at)) = (body_at, read.windows(4).position(|four| four == b"\r\n\r\n")) {
                let head = String::from_utf8_lossy(&read[..at]).to_ascii_lowercase();
                let mut lines = head.lines();
                let len = lines
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .expect("it is told");
                body_at = at + 4;
                end = body_at + len.parse::<usize>().expect("a number");
            }
        }
        answers.answer(&read[body_at..end], &mut stream).await?;
        read.clear();
    }
}

/// Serves until its standard input ends.
pub(crate) fn serve(latency: &str, pace: &str) {
    let span = |text: &str| Duration::from_micros(text.parse().expect("microseconds"));
    let answers = Arc::new(Answers::new(span(latency), span(pace)));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            // A backlog for everybody: all of them come at once.
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let listener: TcpListener = socket.listen(16_384).expect("it listens");
            println!("http://{}/v1", listener.local_addr().expect("it is bound"));
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&answers)));
                while connections.try_join_next().is_some() {}
            }
        });
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A provider that is running.
pub(crate) struct Provider {
    child: Child,
    pub(crate) url: String,
}

impl Provider {
    pub(crate) fn start(latency: Duration, pace: Duration) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["serve", &latency.as_micros().to_string(), &pace.as_micros().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts again");
        let mut url = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut url).expect("it says where it is");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // The end of its input is the end of the provider.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
