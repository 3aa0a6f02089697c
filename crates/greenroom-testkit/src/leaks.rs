//! The leak check: what a test leaves behind fails it, by name.

use std::fmt::Write as _;
use std::time::Duration;

use greenroom_core::alive::{Alive, Living};
use tokio::runtime::Handle;

/// How long what is ending may take to be gone, in tokio's time.
const GRACE: Duration = Duration::from_secs(1);

/// How often to look within that time.
const LOOKS: u32 = 100;

/// Fails a test that leaves an actor, a supervisor, a task or a timer behind, and says which.
///
/// | left behind | is known by |
/// |---|---|
/// | an incarnation or a supervisor of the runtime | its id |
/// | an effect, a blocking function, a timer | the name that its actor gave it |
/// | a task that somebody else spawned on this tokio runtime | the number of them |
///
/// # Examples
///
/// ```
/// use greenroom_core::alive::{Alive, Living};
/// use greenroom_testkit::LeakCheck;
///
/// # struct Runtime;
/// # impl Runtime { async fn shutdown(&self) {} }
/// # impl Alive for Runtime { fn alive(&self) -> Vec<Living> { Vec::new() } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let leaks = LeakCheck::begin();
/// let runtime = Runtime;
/// // … what is tested …
/// runtime.shutdown().await;
/// leaks.finish(&runtime).await;
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a check that is not finished checks nothing"]
pub struct LeakCheck {
    n_tasks_before: usize,
    is_finished: bool,
}

impl LeakCheck {
    /// Begins, before anything is started: tasks that are alive already are not counted.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn begin() -> Self {
        Self { n_tasks_before: n_tasks(), is_finished: false }
    }

    /// A check that began with the tokio runtime: every task on it counts.
    pub fn of_everything() -> Self {
        Self { n_tasks_before: 0, is_finished: false }
    }

    /// Fails when something is left: of the runtime, which must have been shut down, or on this tokio
    /// runtime. What is ending has one second of tokio's time to be gone.
    ///
    /// # Panics
    ///
    /// When something is left, naming it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the check unfinished, which panics.
    pub async fn finish(mut self, runtime: &(impl Alive + Sync + ?Sized)) {
        let mut left = self.left(runtime);
        for _ in 0..LOOKS {
            if left.is_none() {
                break;
            }
            tokio::time::sleep(GRACE / LOOKS).await;
            left = self.left(runtime);
        }
        self.is_finished = true;
        if let Some(left) = left {
            panic!("the test leaves something behind: {left}");
        }
    }

    fn left(&self, runtime: &(impl Alive + ?Sized)) -> Option<String> {
        let named = runtime.alive();
        // Actors and all work but that on threads of its own are tasks of tokio, and were named.
        let n_more = n_tasks().saturating_sub(self.n_tasks_before);
        let mut text = named.iter().map(Living::to_string).collect::<Vec<_>>().join(", ");
        if named.is_empty() && n_more > 0 {
            let tasks = if n_more == 1 { "task" } else { "tasks" };
            let _ = write!(text, "{n_more} {tasks} that the runtime did not start");
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Drop for LeakCheck {
    fn drop(&mut self) {
        if !self.is_finished && !std::thread::panicking() {
            panic!("a leak check was begun and not finished");
        }
    }
}

fn n_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
