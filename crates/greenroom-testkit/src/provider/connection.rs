//! One connection: requests are read, and answered as the server decides, to the byte.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::http;
use super::record::Record;
use super::response::{Ending, Response};
use super::server::Shared;

/// What is written at once, when nothing has to wait.
const BLOCK_LEN: usize = 64 << 10;

/// A connection that can be ended without an orderly end.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes the end of the connection a reset.
    fn reset(&self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn reset(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Wire for TlsStream<TcpStream> {
    fn reset(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(wire: impl Wire, shared: &Shared, number: usize) {
    let mut connection = Connection { stream: BufReader::new(wire), shared, block: Vec::new() };
    loop {
        let request = match http::read(&mut connection.stream, number).await {
            Ok(Some(request)) => request,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                // Whether the client reads it is its own business.
                let _ = connection.refuse().await;
                return;
            }
            Ok(None) | Err(_) => return,
        };
        let n = shared.record.keep(&request);
        let mut in_flight = InFlight(Some(&shared.record));
        let response = shared.respond(&request, n);
        match connection.send(&response, &mut in_flight).await {
            Ok(Ending::Keep) => {}
            Ok(Ending::Reset) => {
                // Without a reset the client sees an end, and its test fails.
                let _ = connection.stream.get_ref().reset();
                return;
            }
            Ok(_) => {
                let _ = connection.stream.get_mut().shutdown().await;
                return;
            }
            Err(_) => {
                // Whoever sees that it was given up does not find it in flight.
                drop(in_flight);
                shared.record.count(|counts| counts.n_given_up += 1);
                return;
            }
        }
    }
}

/// A request that is being answered.
struct InFlight<'a>(Option<&'a Record>);

impl InFlight<'_> {
    fn end(&mut self) {
        if let Some(record) = self.0.take() {
            record.count(|counts| {
                counts.n_in_flight -= 1;
                counts.n_answered += 1;
            });
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.0 {
            record.count(|counts| counts.n_in_flight -= 1);
        }
    }
}

struct Connection<'a, W> {
    stream: BufReader<W>,
    shared: &'a Shared,
    /// What is not written yet.
    block: Vec<u8>,
}

impl<W: Wire> Connection<'_, W> {
    /// Answers what is no request.
    async fn refuse(&mut self) -> io::Result<()> {
        self.block = b"HTTP/1.1 400 Refused\r\ncontent-length: 0\r\n\r\n".to_vec();
        self.write().await?;
        self.stream.get_mut().shutdown().await?;
        // What is left unread would make a reset of the end, and lose the answer.
        self.until_gone().await
    }

    /// Sends a response. An error says that the client has gone.
    async fn send(
        &mut self,
        response: &Response,
        in_flight: &mut InFlight<'_>,
    ) -> io::Result<Ending> {
        self.block.clear();
        self.wait(response.delay).await?;
        if !response.is_mute {
            self.block.extend_from_slice(&response.head());
            self.body(response).await?;
        }
        match response.ending {
            Ending::Silence => {
                self.write().await?;
                self.shared.record.count(|counts| counts.n_silent += 1);
                self.until_gone().await?;
            }
            ending => {
                let has_end = matches!(ending, Ending::Keep | Ending::Close);
                if has_end && response.is_chunked {
                    self.block.extend_from_slice(b"0\r\n\r\n");
                }
                // Whoever has read the answer finds it counted.
                in_flight.end();
                self.write().await?;
            }
        }
        Ok(response.ending)
    }

    async fn body(&mut self, response: &Response) -> io::Result<()> {
        let mut is_first = true;
        for piece in &response.pieces {
            for _ in 0..piece.times {
                for chunk in piece.bytes.chunks(response.chunk_len_max) {
                    if !response.pace.is_zero() && !std::mem::take(&mut is_first) {
                        self.write().await?;
                        self.wait(response.pace).await?;
                    }
                    self.chunk(chunk, response.is_chunked);
                    if self.block.len() >= BLOCK_LEN {
                        self.write().await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn chunk(&mut self, bytes: &[u8], is_chunked: bool) {
        if is_chunked {
            self.block.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        }
        self.block.extend_from_slice(bytes);
        if is_chunked {
            self.block.extend_from_slice(b"\r\n");
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(&self.block).await?;
        self.block.clear();
        stream.flush().await
    }

    /// Waits on the server's clock, and no longer than the client does.
    async fn wait(&mut self, span: Duration) -> io::Result<()> {
        if span.is_zero() {
            return Ok(());
        }
        let slept = self.shared.sleep(span);
        match select(slept, pin!(self.stream.fill_buf())).await {
            Either::Left(_) => Ok(()),
            Either::Right((Ok(bytes), slept)) if !bytes.is_empty() => {
                // The next request is there already, which is allowed.
                slept.await;
                Ok(())
            }
            Either::Right(_) => Err(gone()),
        }
    }

    async fn until_gone(&mut self) -> io::Result<()> {
        loop {
            let n_bytes = self.stream.fill_buf().await?.len();
            if n_bytes == 0 {
                return Err(gone());
            }
            self.stream.consume(n_bytes);
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
