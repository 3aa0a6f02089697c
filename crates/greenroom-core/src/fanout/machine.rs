//! The machine of one fan-out: its members, and what their ends ask to be done.

use crate::fanout::{BRANCHES_MAX, FanOut, Verdict};
use crate::join::{JoinCount, Joined};

/// What happens to a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Begin,
    /// A branch that was started has ended.
    Ended {
        /// Its position.
        member: usize,
        /// Whether it succeeded.
        is_ok: bool,
    },
    /// The deadline of the whole has passed.
    Deadline,
    /// Nobody waits for the outcome any more.
    Cancelled,
}

/// What whoever drives a fan-out is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start the branch at this position. Its end is an [`Event::Ended`].
    Start(usize),
    /// Cancel the branch at this position. Its end is of no interest.
    Cancel(usize),
    /// The fan-out is over. No command comes after this one.
    Finish(Verdict),
}

/// Where a branch is.
///
/// | member | at first | can become |
/// |---|---|---|
/// | `Waiting` | yes | `Running`, `NotStarted` |
/// | `Running` | no | `Succeeded`, `Failed`, `Cancelled`, `Detached` |
/// | the others | no | nothing else |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Member {
    /// It waits for its turn.
    Waiting,
    /// It was started and has not ended.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was cancelled while it ran.
    Cancelled,
    /// It was shielded and goes on, although the fan-out is over.
    Detached,
    /// The fan-out was over before its turn came.
    NotStarted,
}

/// One fan-out, without everything that would make it act. See [`crate::fanout`].
#[derive(Debug, Clone)]
pub struct Machine {
    form: FanOut,
    members: Vec<Member>,
    is_shielded: Vec<bool>,
    count: JoinCount,
    /// The first member that was not started.
    next: usize,
    n_running: usize,
    verdict: Option<Verdict>,
}

impl Machine {
    /// A fan-out that has not begun, of as many branches as there are shields. A shielded branch that runs is
    /// never cancelled.
    #[must_use]
    pub fn new(form: FanOut, is_shielded: Vec<bool>) -> Self {
        let n_open = u32::try_from(is_shielded.len()).unwrap_or(u32::MAX);
        Self {
            form,
            members: vec![Member::Waiting; is_shielded.len()],
            is_shielded,
            count: JoinCount { n_open, ..JoinCount::default() },
            next: 0,
            n_running: 0,
            verdict: None,
        }
    }

    /// Takes an event and answers with what is to be done, in order. The end of a branch that does not run,
    /// and everything after the verdict, is ignored.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        if self.verdict.is_some() {
            return Vec::new();
        }
        match event {
            Event::Begin if self.members.len() > BRANCHES_MAX => {
                return self.finish(Verdict::Refused);
            }
            Event::Begin => {}
            Event::Ended { member, .. } if self.members.get(member) != Some(&Member::Running) => {
                return Vec::new();
            }
            Event::Ended { member, is_ok } => self.end(member, is_ok),
            Event::Deadline => {
                let has_some = self.count.at_deadline() == Joined::Ready;
                return self.finish(if has_some { Verdict::Partial } else { Verdict::Late });
            }
            Event::Cancelled => return self.finish(Verdict::Cancelled),
        }
        match self.form.joined(self.count) {
            Joined::Ready => self.finish(Verdict::Complete),
            Joined::Impossible => self.finish(Verdict::Impossible),
            Joined::Waiting => self.start(),
        }
    }

    /// Where every branch is, by position.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How it ended, once it is over.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    fn end(&mut self, member: usize, is_ok: bool) {
        self.n_running -= 1;
        self.count.n_open -= 1;
        if is_ok {
            self.members[member] = Member::Succeeded;
            self.count.n_ok += 1;
        } else {
            self.members[member] = Member::Failed;
            self.count.n_failed += 1;
        }
    }

    fn start(&mut self) -> Vec<Command> {
        let n_free = self.form.width_of(self.members.len()) - self.n_running;
        let until = self.members.len().min(self.next + n_free);
        let started = self.next..until;
        self.members[started.clone()].fill(Member::Running);
        self.n_running += started.len();
        self.next = until;
        started.map(Command::Start).collect()
    }

    fn finish(&mut self, verdict: Verdict) -> Vec<Command> {
        self.verdict = Some(verdict);
        let mut commands = Vec::new();
        for (i, member) in self.members.iter_mut().enumerate() {
            match member {
                Member::Waiting => *member = Member::NotStarted,
                Member::Running if self.is_shielded[i] => *member = Member::Detached,
                Member::Running => {
                    *member = Member::Cancelled;
                    commands.push(Command::Cancel(i));
                }
                _ => {}
            }
        }
        self.n_running = 0;
        commands.push(Command::Finish(verdict));
        commands
    }
}
