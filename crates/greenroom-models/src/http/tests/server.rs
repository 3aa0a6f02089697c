//! A server on this machine that answers as a test says, byte by byte.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The certificate of the server, for 127.0.0.1 and signed by nobody else.
pub(super) const CERTIFICATE: &str = include_str!("cert.pem");

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The first line and the headers, with the names of headers in small letters.
    pub(super) head: String,
    pub(super) body: Value,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The connection stays, for the next request.
    Keep,
    /// The connection is closed.
    Close,
    /// Nothing more is sent until the other side closes the connection.
    Hold,
}

impl Answer {
    /// A whole answer.
    pub(super) fn new(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{headers}\r\n");
        Self { bytes: [head.as_bytes(), body.as_bytes()].concat(), end: End::Keep }
    }

    /// Server-sent events.
    pub(super) fn events(body: &str) -> Self {
        Self::new(200, "content-type: text/event-stream\r\nx-request-id: req_7\r\n", body)
    }

    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::new(status, "content-type: application/json\r\n", body)
    }

    /// The beginning of server-sent events, without an end.
    fn open(body: &str) -> Self {
        let length = body.len();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
        let bytes = format!("{head}\r\n\r\n{length:x}\r\n{body}\r\n").into_bytes();
        Self { bytes, end: End::Hold }
    }

    /// The beginning of server-sent events, and then silence.
    pub(super) fn silent(body: &str) -> Self {
        Self::open(body)
    }

    /// The beginning of server-sent events, and then the end of the connection.
    pub(super) fn cut(body: &str) -> Self {
        Self { end: End::Close, ..Self::open(body) }
    }
}

/// The server. It ends when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    n_connections: AtomicUsize,
    n_closed: AtomicUsize,
    is_over: AtomicBool,
}

impl Server {
    /// Answers every request with the answers in turn, and with the last one from then on.
    pub(super) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(answers, false)
    }

    /// The same behind TLS.
    pub(super) fn with_tls(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(answers, true)
    }

    fn start(answers: impl IntoIterator<Item = Answer>, has_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let answers: Vec<_> = answers.into_iter().collect();
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || accept(&listener, &answers, has_tls, &seen)
        });
        Self { address, seen, thread: Some(thread) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().expect("nothing panics while it holds this lock").clone()
    }

    pub(super) fn n_connections(&self) -> usize {
        self.seen.n_connections.load(Ordering::SeqCst)
    }

    /// How many held connections the other side has closed.
    pub(super) fn n_closed(&self) -> usize {
        self.seen.n_closed.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for connections.
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.transpose().expect("the server does not panic");
        }
    }
}

/// The address, as if it spoke TLS, of a server that answers one connection with plain HTTP.
pub(super) fn without_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut hello = [0; 64];
        drop(stream.read(&mut hello));
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
        // What is left unread would turn the end of the connection into a reset, and the answer be lost.
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
    });
    format!("https://{address}/v1")
}

fn accept(listener: &TcpListener, answers: &[Answer], has_tls: bool, seen: &Arc<Seen>) {
    let mut connections = Vec::new();
    let n_answered = Arc::new(AtomicUsize::new(0));
    while let Ok((stream, _)) = listener.accept() {
        if seen.is_over.load(Ordering::SeqCst) {
            break;
        }
        seen.n_connections.fetch_add(1, Ordering::SeqCst);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let (answers, seen) = (answers.to_vec(), Arc::clone(seen));
        let n_answered = Arc::clone(&n_answered);
        let handle = stream.try_clone().expect("a handle of the connection");
        connections.push(stream.try_clone().expect("a handle of the connection"));
        std::thread::spawn(move || {
            if has_tls {
                let tls = rustls::ServerConnection::new(tls()).expect("a configuration of TLS");
                serve(rustls::StreamOwned::new(tls, stream), &answers, &n_answered, &seen);
            } else {
                serve(stream, &answers, &n_answered, &seen);
            }
            // The other handle would keep the connection open.
            drop(handle.shutdown(Shutdown::Both));
        });
    }
    for connection in connections {
        // Ends the threads that still wait for something.
        drop(connection.shutdown(Shutdown::Both));
    }
}

fn tls() -> Arc<rustls::ServerConfig> {
    let certificate =
        CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("the key fits the certificate"))
}

fn serve(stream: impl Read + Write, answers: &[Answer], n_answered: &AtomicUsize, seen: &Seen) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        seen.requests.lock().expect("nothing panics while it holds this lock").push(request);
        let n = n_answered.fetch_add(1, Ordering::SeqCst);
        let answer = &answers[n.min(answers.len() - 1)];
        if stream.get_mut().write_all(&answer.bytes).is_err() {
            return;
        }
        drop(stream.get_mut().flush());
        match answer.end {
            End::Keep => {}
            End::Close => return,
            End::Hold => {
                // Ends when the other side closes, with an end or with an error.
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest));
                seen.n_closed.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

fn read(stream: &mut impl std::io::BufRead) -> Option<Request> {
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
    let mut body = vec![0; length?.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    Some(Request { head, body })
}
