//! Ctrl-C, one press at a time.

use std::io;
use std::pin::Pin;

/// Presses of Ctrl-C from its creation on. From the first one of the process on, Ctrl-C no longer ends
/// it by itself.
pub(crate) struct Interrupts {
    next: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self { next: Box::pin(tokio::signal::ctrl_c()) }
    }

    /// Waits for the next press.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no press.
    pub(crate) async fn pressed(&mut self) {
        match self.next.as_mut().await {
            Ok(()) => self.next = Box::pin(tokio::signal::ctrl_c()),
            // Where signals cannot be watched, Ctrl-C still ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    }
}
