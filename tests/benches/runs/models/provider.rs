//! The provider, in a process of its own: what it costs is not what is measured. It knows a few questions, and answers
//! with bytes that were made before.

mod answers;
mod wires;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;
use wires::Server;

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

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speech {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS, with so many streams of a connection at once.
    Http2 { streams_max: u32 },
}

/// What a provider is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Before an answer begins.
    pub(crate) latency: Duration,
    /// Between the tokens of a stream.
    pub(crate) pace: Duration,
    pub(crate) speech: Speech,
}

impl Manner {
    pub(crate) const AT_ONCE: Self =
        Self { latency: Duration::ZERO, pace: Duration::ZERO, speech: Speech::Plain };

    fn words(self) -> [String; 3] {
        let speech = match self.speech {
            Speech::Plain => "plain".to_owned(),
            Speech::Tls => "tls".to_owned(),
            Speech::Http2 { streams_max } => streams_max.to_string(),
        };
        [self.latency.as_micros().to_string(), self.pace.as_micros().to_string(), speech]
    }

    fn read([latency, pace, speech]: [&str; 3]) -> Self {
        let span = |text: &str| Duration::from_micros(text.parse().expect("microseconds"));
        let speech = match speech {
            "plain" => Speech::Plain,
            "tls" => Speech::Tls,
            streams_max => {
                Speech::Http2 { streams_max: streams_max.parse().expect("a number of streams") }
            }
        };
        Self { latency: span(latency), pace: span(pace), speech }
    }
}

/// Serves until its standard input ends, and says for each line of it how many connections were made.
pub(crate) fn serve(words: [&str; 3]) {
    let manner = Manner::read(words);
    let server: &'static Server = Box::leak(Box::new(Server::new(manner)));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            // A backlog for everybody: all of them come at once.
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let listener: TcpListener = socket.listen(16_384).expect("it listens");
            let scheme = if matches!(manner.speech, Speech::Plain) { "http" } else { "https" };
            println!("{scheme}://{}/v1", listener.local_addr().expect("it is bound"));
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(server.connection(stream));
                while connections.try_join_next().is_some() {}
            }
        });
    });
    for _ in std::io::stdin().lines() {
        let [made, used] = server.n_connections();
        println!("{made} {used}");
    }
}

/// A provider that is running.
pub(crate) struct Provider {
    child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Provider {
    pub(crate) fn start(manner: Manner) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg("serve")
            .args(manner.words())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts again");
        let out = child.stdout.take().expect("it is piped");
        let mut provider = Self { child, out: BufReader::new(out), url: String::new() };
        provider.url = provider.line();
        provider
    }

    /// How many connections were made, and how many of them carried a request.
    pub(crate) fn n_connections(&mut self) -> [f64; 2] {
        let mut asked = self.child.stdin.as_ref().expect("it is piped");
        asked.write_all(b"\n").expect("it listens");
        let line = self.line();
        let (made, used) = line.split_once(' ').expect("two numbers");
        [made, used].map(|number| number.parse().expect("a number"))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it answers");
        line.trim().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // The end of its input is the end of the provider.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
