//! A provider on this machine that speaks OpenAI's chat completions and plays every role of a team.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

const CERTIFICATE: &[u8] = include_bytes!("../../../greenroom-testkit/src/provider/tls/sound.pem");
const KEY: &[u8] = include_bytes!("../../../greenroom-testkit/src/provider/tls/key.pem");

/// The first line of a request, its headers, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// Decides what is answered: the status, the content type, the body.
pub(crate) type Answer = fn(&Request) -> (u16, &'static str, String);

/// The server. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(answer: Answer) -> Self {
        Self::start(answer, None)
    }

    /// The same behind TLS, with a certificate that nobody trusts.
    pub(crate) fn with_tls(answer: Answer) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Self::start(answer, Some(Arc::new(config.expect("the key fits the certificate"))))
    }

    fn start(answer: Answer, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("it is bound");
        let (requests, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (requests, is_over) = (Arc::clone(&requests), Arc::clone(&is_over));
            move || accept(&listener, answer, tls.as_ref(), &requests, &is_over)
        });
        Self { address, requests, is_over, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("nothing panics while it holds this lock").clone()
    }

    /// How many requests asked a model, and not for a list.
    pub(crate) fn n_asked(&self) -> usize {
        self.requests().iter().filter(|request| request.head.starts_with("POST ")).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for connections.
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.transpose().expect("the server does not panic");
        }
    }
}

fn accept(
    listener: &TcpListener,
    answer: Answer,
    tls: Option<&Arc<rustls::ServerConfig>>,
    requests: &Arc<Mutex<Vec<Request>>>,
    is_over: &AtomicBool,
) {
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        connections.push(stream.try_clone().expect("a handle of the connection"));
        let (tls, requests) = (tls.cloned(), Arc::clone(requests));
        std::thread::spawn(move || match tls {
            Some(tls) => {
                let tls = rustls::ServerConnection::new(tls).expect("a configuration of TLS");
                serve(rustls::StreamOwned::new(tls, stream), answer, &requests);
            }
            None => serve(stream, answer, &requests),
        });
    }
    for connection in connections {
        drop(connection.shutdown(Shutdown::Both));
    }
}

fn serve(stream: impl Read + Write, answer: Answer, requests: &Mutex<Vec<Request>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let (status, kind, body) = answer(&request);
        requests.lock().expect("nothing panics while it holds this lock").push(request);
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
        let all = format!("{head}\r\n{body}");
        if stream.get_mut().write_all(all.as_bytes()).is_err() || stream.get_mut().flush().is_err()
        {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(Some(0), |length| length.trim().parse().ok())?];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// A reply in two pieces of text, with its cost.
fn text(text: &str) -> String {
    let (begin, end) = text.split_at(text.len() / 2);
    let delta = |text: &str| json!({ "choices": [{ "delta": { "content": text } }] });
    let usage = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": {
        "prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": { "cached_tokens": 40 },
    } });
    events(&[delta(begin), delta(end), usage])
}

fn search(query: &str) -> String {
    let arguments = json!({ "query": query }).to_string();
    let function = json!({ "name": "search", "arguments": arguments });
    let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
    let usage = json!({ "prompt_tokens": 100, "completion_tokens": 10 });
    let choice = json!({ "delta": { "tool_calls": [call] }, "finish_reason": "tool_calls" });
    events(&[json!({ "choices": [choice], "usage": usage })])
}

fn events(events: &[Value]) -> String {
    let events = events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>();
    format!("{events}data: [DONE]\n\n")
}

/// A team whose models answer well.
pub(crate) fn team(request: &Request) -> (u16, &'static str, String) {
    let messages = request.body["messages"].as_array().expect("a conversation").clone();
    let system = messages[0]["content"].as_str().unwrap_or_default();
    let sentence = "The default capacity of a mailbox is 64 messages.";
    let body = if system.starts_with("You plan") {
        let task = json!({ "id": "t1", "to": "research", "question": "What is the capacity?" });
        text(&json!({ "tasks": [task] }).to_string())
    } else if system.starts_with("You write") {
        text(&format!("{sentence} [1]"))
    } else if messages.iter().any(|message| message["role"] == "tool") {
        text(sentence)
    } else {
        search("default capacity mailbox")
    };
    (200, "text/event-stream", body)
}
