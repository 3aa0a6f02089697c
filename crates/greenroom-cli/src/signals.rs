//! What asks the process to end: Ctrl-C, one press at a time, and SIGTERM.

use std::io;
use std::pin::Pin;

use crate::exit::{Exit, Failure};

/// Somebody asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C, or SIGINT: what is being done is not wanted any more.
    Interrupt,
    /// SIGTERM: the process is to go, and what it does is to be gone on with.
    Terminate,
}

impl Signal {
    /// How the process exits.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }

    /// What became of what was being done.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        }
    }
}

impl From<Signal> for Failure {
    fn from(signal: Signal) -> Self {
        Self::Ended(signal)
    }
}

/// Signals from its creation on. From the first one of the process on, they no longer end it by themselves.
pub(crate) struct Signals {
    interrupt: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            interrupt: Box::pin(tokio::signal::ctrl_c()),
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .ok(),
        }
    }

    /// Waits for the next one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Signal {
        #[cfg(unix)]
        let terminate = async {
            let received = match &mut self.terminate {
                Some(terminate) => terminate.recv().await,
                None => None,
            };
            // Where signals cannot be watched, they still end the process by themselves.
            if received.is_none() {
                std::future::pending::<()>().await;
            }
        };
        #[cfg(not(unix))]
        let terminate = std::future::pending::<()>();
        tokio::select! {
            pressed = self.interrupt.as_mut() => match pressed {
                Ok(()) => {
                    self.interrupt = Box::pin(tokio::signal::ctrl_c());
                    Signal::Interrupt
                }
                Err(_) => std::future::pending().await,
            },
            () = terminate => Signal::Terminate,
        }
    }
}
