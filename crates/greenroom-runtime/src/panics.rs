//! Where panics come from. The language tells that to the hook of the process and to nobody else, and the
//! hook belongs to the application: so the application says whether it is to be used.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use greenroom_core::supervision::Detail;

/// Threads whose last panic is remembered.
const THREADS_MAX: usize = 256;

/// The places where panics happen, for the reasons that exits are given.
///
/// Hand it to [`RuntimeBuilder::panic_locations`](crate::RuntimeBuilder::panic_locations), and the reason of
/// an agent that panicked begins with the file and the line. Without it, the reason is the message alone.
#[derive(Clone)]
pub struct PanicLocations {
    /// The last panic of each thread, the oldest first.
    last: Arc<Mutex<VecDeque<(ThreadId, String)>>>,
}

impl PanicLocations {
    /// Puts a hook before the one that the process has, which is called as before. For the application to
    /// call once, early; once the last clone is gone, the hook does nothing of its own any more.
    ///
    /// # Panics
    ///
    /// On a thread that is panicking.
    #[must_use]
    pub fn install() -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let remembered = Arc::downgrade(&last);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let (Some(last), Some(location)) = (remembered.upgrade(), info.location()) {
                Self { last }.remember(location.to_string());
            }
            before(info);
        }));
        Self { last }
    }

    fn remember(&self, location: String) {
        let thread = std::thread::current().id();
        let mut last = self.lock();
        last.retain(|(known, _)| *known != thread);
        if last.len() == THREADS_MAX {
            last.pop_front();
        }
        last.push_back((thread, location));
    }

    /// Where the last panic of this thread happened, told once.
    fn take(&self) -> Option<String> {
        let thread = std::thread::current().id();
        let mut last = self.lock();
        let i = last.iter().position(|(known, _)| *known == thread)?;
        last.remove(i).map(|(_, location)| location)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(ThreadId, String)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PanicLocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PanicLocations")
    }
}

/// What a panic said, cut to a bound and without secrets.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Detail {
    Detail::new(message(payload))
}

/// Tells what panics said that are caught on the thread they happened on, with the place when the
/// application lets it be known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panics(pub(crate) Option<PanicLocations>);

impl Panics {
    pub(crate) fn here(&self, payload: &(dyn Any + Send)) -> Detail {
        match self.0.as_ref().and_then(PanicLocations::take) {
            Some(location) => Detail::new(&format!("{location}: {}", message(payload))),
            None => panic_text(payload),
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message")
}
