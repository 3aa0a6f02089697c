//! The connections of the provider: HTTP/1.1 by hand, and HTTP/2.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom_testkit::provider::Certificate;
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answers::{Answers, Reply};
use super::{Manner, Speech};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    x-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n";

/// As much of what is sent may be under way, in bytes.
const WINDOW_LEN: u32 = 16 << 20;

/// What all connections share.
pub(super) struct Server {
    speech: Speech,
    answers: Answers,
    tls: TlsAcceptor,
    n_made: AtomicUsize,
    n_used: AtomicUsize,
}

impl Server {
    pub(super) fn new(manner: Manner) -> Self {
        let alpn = match manner.speech {
            Speech::Http2 { .. } => "h2",
            _ => "http/1.1",
        };
        Self {
            speech: manner.speech,
            answers: Answers::new(manner),
            tls: TlsAcceptor::from(Arc::new(Certificate::Sound.server_config(&[alpn]))),
            n_made: AtomicUsize::new(0),
            n_used: AtomicUsize::new(0),
        }
    }

    /// How many connections were made, and how many of them carried a request.
    pub(super) fn n_connections(&self) -> [usize; 2] {
        [&self.n_made, &self.n_used].map(|n| n.load(Ordering::Relaxed))
    }

    pub(super) async fn connection(&'static self, stream: TcpStream) -> io::Result<()> {
        self.n_made.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true)?;
        match self.speech {
            Speech::Plain => self.http1(stream).await,
            Speech::Tls => self.http1(self.tls.accept(stream).await?).await,
            Speech::Http2 { streams_max } => {
                let stream = self.tls.accept(stream).await?;
                // Who offers no HTTP/2 is not served: that would be measured as if it were.
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                self.http2(stream, streams_max).await
            }
        }
    }

    async fn http1(
        &'static self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    ) -> io::Result<()> {
        let (mut read, mut is_used) = (Vec::new(), false);
        loop {
            let (mut body_at, mut end) = (0, usize::MAX);
            while read.len() < end {
                if stream.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
                if let (0, Some(at)) =
                    (body_at, read.windows(4).position(|four| four == b"\r\n\r\n"))
                {
                    let head = String::from_utf8_lossy(&read[..at]).to_ascii_lowercase();
                    let mut lines = head.lines();
                    let len = lines
                        .find_map(|line| line.strip_prefix("content-length: "))
                        .expect("it is told");
                    body_at = at + 4;
                    end = body_at + len.parse::<usize>().expect("a number");
                }
            }
            if !std::mem::replace(&mut is_used, true) {
                self.n_used.fetch_add(1, Ordering::Relaxed);
            }
            let reply = Http1 { stream: &mut stream, is_begun: false };
            self.answers.answer(&read[body_at..end], reply).await?;
            read.clear();
        }
    }

    async fn http2(
        &'static self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        streams_max: u32,
    ) -> io::Result<()> {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(streams_max);
        // Of small windows, many requests at once are cut to pieces that are too small to be allowed.
        settings.initial_window_size(WINDOW_LEN).initial_connection_window_size(WINDOW_LEN);
        let handshake = settings.handshake(stream);
        let mut connection = handshake.await.map_err(broken)?;
        // Ended with the connection.
        let mut answers = JoinSet::new();
        let mut is_used = false;
        while let Some(request) = connection.accept().await {
            let (request, respond) = request.map_err(broken)?;
            assert_eq!(request.version(), http::Version::HTTP_2);
            if !std::mem::replace(&mut is_used, true) {
                self.n_used.fetch_add(1, Ordering::Relaxed);
            }
            answers.spawn(async move {
                let body = body(request.into_body()).await?;
                self.answers.answer(&body, Http2 { respond, body: None }).await
            });
            while answers.try_join_next().is_some() {}
        }
        Ok(())
    }
}

struct Http1<'a, S> {
    stream: &'a mut S,
    is_begun: bool,
}

impl<S: AsyncWrite + Unpin + Send> Reply for Http1<'_, S> {
    async fn say(&mut self, bytes: &'static [u8], _: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.is_begun, true) {
            self.stream.write_all(bytes).await?;
        } else {
            self.stream.write_all(&[HEAD, bytes].concat()).await?;
        }
        // What TLS has wrapped is not sent before.
        self.stream.flush().await
    }
}

struct Http2 {
    respond: SendResponse<&'static [u8]>,
    /// Once the head is sent.
    body: Option<h2::SendStream<&'static [u8]>>,
}

impl Reply for Http2 {
    async fn say(&mut self, bytes: &'static [u8], is_last: bool) -> io::Result<()> {
        if self.body.is_none() {
            let head = http::Response::builder()
                .header("content-type", "text/event-stream")
                .header("x-request-id", "req_1")
                .body(());
            let head = head.expect("a head");
            self.body = Some(self.respond.send_response(head, false).map_err(broken)?);
        }
        let body = self.body.as_mut().expect("it is begun");
        body.send_data(bytes, is_last).map_err(broken)
    }
}

async fn body(mut stream: RecvStream) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes.map_err(broken)?;
        body.extend_from_slice(&bytes);
        stream.flow_control().release_capacity(bytes.len()).map_err(broken)?;
    }
    Ok(body)
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
