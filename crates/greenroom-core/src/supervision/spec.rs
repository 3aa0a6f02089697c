//! What a supervisor and its children are to be like, and the check that it makes sense.
//!
//! What OTP has to check at run time and a type cannot express wrongly is not checked here: a missing
//! start, an unknown strategy, restart or child type, a negative number, an unknown field.

use std::time::Duration;

use crate::ids::AgentId;
use crate::supervision::{Backoff, Intensity};

/// Which children a failure touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Only the failed child is restarted.
    #[default]
    OneForOne,
    /// All children are stopped and restarted.
    OneForAll,
    /// The failed child and those after it are stopped and restarted.
    RestForOne,
}

/// When a child that ended is started again. The table is at [`crate::supervision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it failed.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// It is killed without being asked.
    Brutal,
    /// It is asked, and killed when it has not ended after this time.
    Timeout(Duration),
    /// It is asked, and waited for without limit. Meant for supervisors.
    Infinity,
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChildKind {
    /// It does work.
    #[default]
    Worker,
    /// It supervises others.
    Supervisor,
}

/// Whether a supervisor stops when its significant children have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// It stops with the first of them.
    AnySignificant,
    /// It stops with the last of them.
    AllSignificant,
}

/// One child of a supervisor.
///
/// What OTP refuses at run time does not compile here: an unknown field, an unknown restart type, a
/// negative time.
///
/// ```compile_fail
/// use greenroom_core::supervision::ChildSpec;
/// let child = ChildSpec { colour: "red", ..ChildSpec::worker("a") };
/// ```
///
/// ```compile_fail
/// use greenroom_core::supervision::{ChildSpec, Restart};
/// let child = ChildSpec::worker("a").restart(Restart::Sometimes);
/// ```
///
/// ```compile_fail
/// use greenroom_core::supervision::{ChildSpec, Shutdown};
/// let child = ChildSpec::worker("a").shutdown(Shutdown::Timeout(-1));
/// ```
///
/// ```
/// use std::time::Duration;
/// use greenroom_core::supervision::{ChildSpec, Restart, Shutdown};
/// let child = ChildSpec { significant: true, ..ChildSpec::worker("a") };
/// let child = child.restart(Restart::Transient).shutdown(Shutdown::Timeout(Duration::ZERO));
/// # let _ = child;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct ChildSpec {
    /// Its name, unique among its siblings.
    pub id: AgentId,
    /// When it is restarted. Default permanent.
    pub restart: Restart,
    /// How it is stopped. Default five seconds for workers, without limit for supervisors.
    pub shutdown: Shutdown,
    /// What it is. Default a worker.
    pub kind: ChildKind,
    /// Whether its end can stop the supervisor. Default no.
    pub significant: bool,
    /// How long restarts wait. Default not at all.
    pub backoff: Option<Backoff>,
    /// A limit of the child's own, which its failures count against instead of the supervisor's.
    pub intensity: Option<Intensity>,
}

impl ChildSpec {
    /// A permanent worker that has five seconds to stop.
    pub fn worker(id: impl Into<AgentId>) -> Self {
        Self {
            id: id.into(),
            restart: Restart::Permanent,
            shutdown: Shutdown::Timeout(Duration::from_secs(5)),
            kind: ChildKind::Worker,
            significant: false,
            backoff: None,
            intensity: None,
        }
    }

    /// A permanent supervisor that has all the time it needs to stop.
    pub fn supervisor(id: impl Into<AgentId>) -> Self {
        let worker = Self::worker(id);
        Self { kind: ChildKind::Supervisor, shutdown: Shutdown::Infinity, ..worker }
    }

    /// The same child, restarted otherwise.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// The same child, stopped otherwise.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// The same child, whose end can stop the supervisor.
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// The same child, waiting before restarts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// The same child, with a restart limit of its own.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = Some(intensity);
        self
    }

    /// Checks the child against the policy of its supervisor.
    ///
    /// # Errors
    ///
    /// The first mistake found.
    pub fn check(&self, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
        if self.id.as_str().is_empty() {
            return Err(SpecError::IdEmpty);
        }
        if self.significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantUnderNever { id: self.id.clone() });
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { id: self.id.clone() });
        }
        if let Some(backoff) = &self.backoff {
            backoff.check()?;
        }
        self.intensity.as_ref().map_or(Ok(()), Intensity::check)
    }
}

/// A supervisor.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct SupervisorSpec {
    /// Which children a failure touches. Default one for one.
    pub strategy: Strategy,
    /// How often children may fail before the supervisor gives up. Default once in five seconds.
    pub intensity: Intensity,
    /// Whether the end of significant children stops the supervisor. Default never.
    pub auto_shutdown: AutoShutdown,
    /// Whether children come and go at run time, in any number and in no order, as under OTP's
    /// `simple_one_for_one`. Default no.
    pub dynamic: bool,
    /// How many children there may be, stopped ones included. Default 1,000,000.
    pub children_max: usize,
    /// How long a killed child may take to be gone before it is abandoned. Default five seconds.
    pub kill_grace: Duration,
    /// Whether restarts are counted beyond the process. Default no.
    pub durable: bool,
}

impl SupervisorSpec {
    /// A supervisor with OTP's defaults.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::Never,
            dynamic: false,
            children_max: 1_000_000,
            kill_grace: Duration::from_secs(5),
            durable: false,
        }
    }

    /// A supervisor of children that come and go.
    pub fn dynamic() -> Self {
        Self { dynamic: true, ..Self::new(Strategy::OneForOne) }
    }

    /// The same supervisor, with another restart limit.
    pub fn intensity(mut self, restarts_max: u32, period: Duration) -> Self {
        self.intensity = Intensity::new(restarts_max, period);
        self
    }

    /// The same supervisor, stopping by itself.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// The same supervisor, with at most so many children.
    pub fn children_max(mut self, children_max: usize) -> Self {
        self.children_max = children_max;
        self
    }

    /// The same supervisor, abandoning killed children after this time.
    pub fn kill_grace(mut self, kill_grace: Duration) -> Self {
        self.kill_grace = kill_grace;
        self
    }

    /// The same supervisor, whose restarts count beyond its process, so that no loop of crashes and boots
    /// resets them. What counts is at [`crate::supervision`]; it is kept in the journal, under the
    /// supervisor's name.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Checks the supervisor and the children it starts with.
    ///
    /// # Errors
    ///
    /// The first mistake found.
    pub fn check(&self, children: &[ChildSpec]) -> Result<(), SpecError> {
        self.intensity.check()?;
        if self.kill_grace.is_zero() {
            return Err(SpecError::KillGraceZero);
        }
        if self.kill_grace == Duration::MAX {
            return Err(SpecError::KillGraceInfinite);
        }
        if self.children_max == 0 {
            return Err(SpecError::ChildrenMaxZero);
        }
        if children.len() > self.children_max {
            return Err(SpecError::TooManyChildren { children_max: self.children_max });
        }
        if self.dynamic && self.strategy != Strategy::OneForOne {
            return Err(SpecError::DynamicStrategy);
        }
        if self.dynamic && !children.is_empty() {
            return Err(SpecError::DynamicChildren);
        }
        let mut ids = std::collections::BTreeSet::new();
        for child in children {
            child.check(self.auto_shutdown)?;
            if !ids.insert(&child.id) {
                return Err(SpecError::IdDuplicate { id: child.id.clone() });
            }
        }
        Ok(())
    }
}

/// What is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A child has no name.
    #[error("a child's id is empty")]
    IdEmpty,
    /// Two children have the same name.
    #[error("the child id {id} is used twice")]
    IdDuplicate {
        /// The name.
        id: AgentId,
    },
    /// A child is significant, and the supervisor never stops by itself.
    #[error("child {id} is significant, but auto-shutdown is never")]
    SignificantUnderNever {
        /// The child.
        id: AgentId,
    },
    /// A child is significant, and always restarted.
    #[error("child {id} is significant, but permanent")]
    SignificantPermanent {
        /// The child.
        id: AgentId,
    },
    /// The limit of restarts is the largest number there is, which is no limit.
    #[error("the restart intensity is infinite")]
    IntensityInfinite,
    /// The window of the limit is empty.
    #[error("the intensity period is zero")]
    PeriodZero,
    /// The window of the limit is endless.
    #[error("the intensity period is infinite")]
    PeriodInfinite,
    /// The first wait is longer than the longest.
    #[error("the shortest backoff is longer than the longest")]
    BackoffMinAboveMax,
    /// The jitter is not a share.
    #[error("the backoff jitter is not between 0 and 1")]
    BackoffJitter,
    /// Killed children would be abandoned at once.
    #[error("the kill grace is zero")]
    KillGraceZero,
    /// Killed children would be waited for without limit.
    #[error("the kill grace is infinite")]
    KillGraceInfinite,
    /// There is no room for a child.
    #[error("the maximum of children is zero")]
    ChildrenMaxZero,
    /// There are more children than allowed.
    #[error("more than {children_max} children")]
    TooManyChildren {
        /// How many may be.
        children_max: usize,
    },
    /// Children that come and go have no order that a group strategy could follow.
    #[error("a dynamic supervisor is one for one")]
    DynamicStrategy,
    /// A dynamic supervisor was given children to start with.
    #[error("a dynamic supervisor starts without children")]
    DynamicChildren,
}
