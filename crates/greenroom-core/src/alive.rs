//! What is alive, by name: the seam through which a leak check sees a runtime.

use std::fmt;

/// Something that can name what of it is alive.
pub trait Alive {
    /// Everything that has begun and not ended, in the order of kinds and names.
    fn alive(&self) -> Vec<Living>;
}

const _: fn(&dyn Alive) = |_| {};

/// Things of one name that are alive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Living {
    /// What they are.
    pub kind: LivingKind,
    /// The id of an actor, or the name of a task.
    pub name: String,
    /// How many there are.
    pub n: usize,
}

/// What is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LivingKind {
    /// An incarnation of an agent.
    Actor,
    /// A supervisor.
    Supervisor,
    /// Work of the runtime or of an actor.
    Task,
    /// Work on a thread of its own.
    Blocking,
    /// A wait that ends in a message.
    Timer,
}

impl fmt::Display for LivingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Actor => "actor",
            Self::Supervisor => "supervisor",
            Self::Task => "task",
            Self::Blocking => "blocking task",
            Self::Timer => "timer",
        })
    }
}

impl fmt::Display for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)?;
        if self.n == 1 { Ok(()) } else { write!(f, " ({} of them)", self.n) }
    }
}
