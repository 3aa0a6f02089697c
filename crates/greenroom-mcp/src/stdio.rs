//! The pipes of a server as a transport of the protocol, and what is known of its life.
//!
//! Whatever ends a connection ends the program: when its output ends, when it writes too long a message or does not
//! read what it is sent, and when nobody uses the connection any more.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_tools::program::{Kept, Program, Started, ending};
use rmcp::RoleClient;
use rmcp::model::ServerNotification;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};

use crate::output::error_text;

/// How much of what a server writes to standard error is kept.
const COMPLAINT_LEN_MAX: usize = 4 << 10;
/// How many messages may wait for the server to read them.
const N_UNREAD_MAX: usize = 64;
/// How many requests of the server may be at work.
const N_ASKED_MAX: usize = 16;
/// How long a server may take to end once its input has, and its pipes once it has.
const GRACE: Duration = Duration::from_secs(2);

/// What the connection and its users know of a program.
pub(crate) struct Life {
    program: Program,
    /// How often the server has said that its tools have changed.
    n_changes: AtomicU64,
    is_over: AtomicBool,
    notes: Mutex<Notes>,
    remains: tokio::sync::Mutex<Remains>,
}

/// What tells of a program's end.
struct Remains {
    ended: Option<BoxFuture<'static, io::Result<ExitStatus>>>,
    stderr: Option<Receiver>,
    /// How long the pipes of a program that has ended are read.
    rest: Option<Pin<Box<Sleep>>>,
}

struct Notes {
    complaint: Kept,
    fault: Option<String>,
    ending: Option<String>,
}

impl Life {
    /// How often the server has said that its tools have changed.
    pub(crate) fn n_changes(&self) -> u64 {
        self.n_changes.load(Ordering::Acquire)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire) || self.program.has_ended()
    }

    pub(crate) fn kill(&self) {
        self.is_over.store(true, Ordering::Release);
        self.program.kill();
    }

    /// Why it is over, and the end of what it wrote to standard error.
    pub(crate) fn why(&self) -> String {
        let notes = self.notes();
        let how = notes.fault.as_ref().or(notes.ending.as_ref());
        let how = how.map_or("it is gone", String::as_str).to_owned();
        drop(notes);
        self.told(how)
    }

    /// Something that happened, with the end of what the server wrote to standard error.
    pub(crate) fn told(&self, what: String) -> String {
        match error_text(&self.notes().complaint.text()) {
            text if text.is_empty() => what,
            text => format!("{what}: {text}"),
        }
    }

    /// Ends the program, and notes how it ended and what it said last.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; another call goes on with it.
    pub(crate) async fn bury(&self) {
        self.kill();
        let mut remains = self.remains.lock().await;
        if let Some(ended) = &mut remains.ended {
            let status = timeout(GRACE, ended).await;
            remains.ended = None;
            self.note_end(status.ok());
        }
        if let Some(stderr) = remains.stderr.take() {
            self.notes().complaint.rest(stderr);
        }
    }

    fn note_end(&self, status: Option<io::Result<ExitStatus>>) {
        let how = match status {
            Some(Ok(status)) => ending(status),
            Some(Err(error)) => format!("its end is not known: {error}"),
            None => "it does not end".to_owned(),
        };
        self.notes().ending = Some(how);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a program for what it did.
    fn condemn(&self, fault: impl Into<String>) {
        self.notes().fault.get_or_insert(fault.into());
        self.kill();
    }
}

/// The pipes of a server.
pub(crate) struct Stdio {
    wire: Option<AsyncRwTransport<RoleClient, Lines, Sender>>,
    life: Arc<Life>,
    unread: Arc<Semaphore>,
    n_asked: usize,
}

impl Drop for Stdio {
    fn drop(&mut self) {
        // Others know of its life, and a runtime that ends waits for the program.
        self.life.kill();
    }
}

impl Stdio {
    pub(crate) fn new(started: Started, message_len_max: usize) -> (Self, Arc<Life>) {
        let Started { program, ended, stdin, stdout, stderr, .. } = started;
        let complaint = Kept::end(COMPLAINT_LEN_MAX);
        let remains = Remains { ended: Some(ended), stderr: Some(stderr), rest: None };
        let life = Arc::new(Life {
            program,
            n_changes: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            notes: Mutex::new(Notes { complaint, fault: None, ending: None }),
            remains: tokio::sync::Mutex::new(remains),
        });
        let lines =
            Lines { from: stdout, n_bytes: 0, len_max: message_len_max, life: Arc::clone(&life) };
        let stdio = Self {
            // Ours ends the connection, where that of the library would leave the answer out.
            wire: Some(AsyncRwTransport::new(lines, stdin).with_max_line_length(usize::MAX)),
            life: Arc::clone(&life),
            unread: Arc::new(Semaphore::new(N_UNREAD_MAX)),
            n_asked: 0,
        };
        (stdio, life)
    }

    /// The next message. What is written to standard error is kept meanwhile.
    async fn heard(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let life = &*self.life;
        let mut remains = life.remains.lock().await;
        let Remains { ended, stderr, rest } = &mut *remains;
        loop {
            tokio::select! {
                message = receive(&mut self.wire) => return message,
                () = listen(stderr, life) => {}
                status = of(ended) => {
                    *ended = None;
                    life.note_end(Some(status));
                    *rest = Some(Box::pin(sleep(GRACE)));
                }
                () = of(rest) => return None,
            }
        }
    }

    /// Whether a message is for whoever uses the connection.
    fn is_wanted(&mut self, message: &RxJsonRpcMessage<RoleClient>) -> bool {
        match message {
            RxJsonRpcMessage::<RoleClient>::Response(_)
            | RxJsonRpcMessage::<RoleClient>::Error(_) => true,
            RxJsonRpcMessage::<RoleClient>::Request(_) => {
                let is_wanted = self.n_asked < N_ASKED_MAX;
                self.n_asked += usize::from(is_wanted);
                is_wanted
            }
            RxJsonRpcMessage::<RoleClient>::Notification(message) => {
                if let ServerNotification::ToolListChangedNotification(_) = message.notification {
                    self.life.n_changes.fetch_add(1, Ordering::AcqRel);
                }
                false
            }
        }
    }
}

impl Transport<RoleClient> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        if let TxJsonRpcMessage::<RoleClient>::Response(_)
        | TxJsonRpcMessage::<RoleClient>::Error(_) = message
        {
            self.n_asked = self.n_asked.saturating_sub(1);
        }
        let place = Arc::clone(&self.unread).try_acquire_owned();
        let sent = self.wire.as_mut().map(|wire| wire.send(message));
        let life = Arc::clone(&self.life);
        async move {
            let (Ok(_place), Some(sent)) = (place, sent) else {
                life.condemn("it does not read what it is sent");
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            sent.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        while let Some(message) = self.heard().await {
            if self.is_wanted(&message) {
                return Some(message);
            }
        }
        self.life.bury().await;
        None
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // The end of its input tells a server to end.
        self.wire = None;
        let mut remains = self.life.remains.lock().await;
        if let Some(ended) = &mut remains.ended
            && let Ok(status) = timeout(GRACE, ended).await
        {
            remains.ended = None;
            self.life.note_end(Some(status));
        }
        drop(remains);
        self.life.bury().await;
        Ok(())
    }
}

async fn receive(
    wire: &mut Option<AsyncRwTransport<RoleClient, Lines, Sender>>,
) -> Option<RxJsonRpcMessage<RoleClient>> {
    wire.as_mut()?.receive().await
}

/// Keeps what is written to standard error.
async fn listen(stderr: &mut Option<Receiver>, life: &Life) {
    let Some(from) = stderr else { return pending().await };
    let mut piece = [0; 4 << 10];
    match from.read(&mut piece).await {
        Ok(n @ 1..) => life.notes().complaint.push(&piece[..n]),
        _ => *stderr = None,
    }
}

/// What a future gives, if there is one.
async fn of<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// The output of a server, which ends with a message that is too long.
struct Lines {
    from: Receiver,
    /// Of the line that is not complete.
    n_bytes: usize,
    len_max: usize,
    life: Arc<Life>,
}

impl AsyncRead for Lines {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(context, buffer))?;
        let read = &buffer.filled()[n_before..];
        self.n_bytes = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => read.len() - at - 1,
            None => self.n_bytes + read.len(),
        };
        if self.n_bytes > self.len_max {
            let fault = format!("it wrote a message of more than {} bytes", self.len_max);
            self.life.condemn(fault);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}
