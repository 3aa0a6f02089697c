//! The supervisor's machine: which child starts, stops, backs off, and when to escalate.
//!
//! [`Machine`] is given events and answers with commands. It follows OTP's `supervisor`, with two
//! differences that the rest follows from. It never waits: OTP's supervisor is deaf while a child
//! starts or stops, this one answers. And an incarnation is known by its key and generation, so that
//! news of an old one is recognised and ignored.
//!
//! # Whether a child that ended by itself is started again
//!
//! | restart | normal ending | abnormal ending | start failed again | its spec afterwards, if not |
//! |---|---|---|---|---|
//! | permanent | yes | yes | yes | stays |
//! | transient | no | yes | yes | stays (dropped when dynamic) |
//! | temporary | no | no | - | dropped |
//!
//! Which endings are abnormal is at [`ExitReason`]. Every restart, and every start that fails during
//! one, counts against the intensity: against the child's own if it has one, else against the
//! supervisor's. One too many, and:
//!
//! | limit | supervisor | what ends |
//! |---|---|---|
//! | the supervisor's | any | the supervisor, with [`ExitReason::IntensityExceeded`] |
//! | the child's own | static | the supervisor too: its children were meant to be there |
//! | the child's own | dynamic | the child alone, as if it were temporary |
//!
//! # Who else is touched
//!
//! | strategy | stopped, in reverse order | started, in order | when one of them fails to start |
//! |---|---|---|---|
//! | one for one | nobody | the child | it is tried again |
//! | one for all | all others | all | all that are up are stopped, and all started |
//! | rest for one | those after it | it and those after it | it and those after it again |
//!
//! A group is stopped one by one, each once the one before is gone; then the failed child's backoff
//! passes; then it is started one by one. As in OTP, temporary siblings do not come back, and stopped
//! ones are started with their group. A child that dies while its group is being stopped is part of
//! that round and is not counted again.
//!
//! # How a child is stopped
//!
//! | state | shutdown | at once | after its time | after `kill_grace` more |
//! |---|---|---|---|---|
//! | starting | any | `AbortSpawn` | - | abandoned |
//! | running | brutal | `Kill` | - | abandoned |
//! | running | timeout | `Stop` | `Kill` | abandoned |
//! | running | infinity | `Stop` | - | - |
//!
//! An abandoned child is no longer waited for, and is not started again before it is gone after all.
//! When it is abandoned while its group restarts, the supervisor ends with [`ExitReason::Stuck`].
//!
//! # What requests answer
//!
//! | child | start, same id | terminate | restart | delete |
//! |---|---|---|---|---|
//! | none | when it is up | `NotFound` | `NotFound` | `NotFound` |
//! | waiting, in backoff | `AlreadyPresent` | at once | `Restarting` | `Restarting` |
//! | starting | `AlreadyPresent` | when it is gone | `Restarting` | `Restarting` |
//! | running, stopping | `AlreadyStarted` | when it is gone | `Running` | `Running` |
//! | stopped | `AlreadyPresent` | at once | when it is up | at once |
//! | abandoned | `AlreadyStarted` | `Stuck` | `Running` | `Running` |
//!
//! A `StartChild` that fails leaves nothing behind; a `RestartChild` that fails leaves the child
//! stopped. A dynamic supervisor answers `Dynamic` to restart and delete. All requests are refused
//! once the supervisor is ending.
//!
//! # When significant children stop their supervisor
//!
//! Only an ending by itself that is not followed by a restart counts: not one on request, not one
//! for the strategy's sake, not one of a child that is not significant.
//!
//! | policy | the first significant child ends | the last one ends |
//! |---|---|---|
//! | never | - (no child may be significant) | - |
//! | any significant | the supervisor stops | - |
//! | all significant | nothing | the supervisor stops |

//!
//! # What outlives the process
//!
//! A supervisor whose spec is [`durable`](SupervisorSpec::durable) counts restarts beyond its process. It is
//! told of those before by [`Event::Recalled`], and says with [`Command::Count`] which are to be stored.
//!
//! | what happens | counts as |
//! |---|---|
//! | a child is restarted, or does not start again | a restart, as ever; it is stored before anything is done about it |
//! | the process dies, and the supervisor is back | one more restart, of the supervisor itself |
//! | the supervisor ends by itself or is asked to, and is back | nothing; its restarts still count |
//! | it is back, and that was one restart too many | nothing: its start fails with [`ExitReason::IntensityExceeded`] until the window has moved on |
//!
//! So a loop of crashes and boots comes to the same end as one of crashes. It also means that a supervisor
//! which gave up and is started again has no restart left before its window has moved on; one that is not
//! durable begins anew, as in OTP.
//!
//! # Where it differs from OTP
//!
//! - Escalation ends with [`ExitReason::IntensityExceeded`], an abnormal reason, not with `shutdown`.
//! - Dynamic children have names and specs of their own, instead of one template; counts say how many
//!   specs there really are. A key that was given out and is gone is terminated already.
//! - A child before the group that ends during a group restart widens it at once, instead of after it.
//! - A child that is terminated during a group restart stays down for this restart; the others are
//!   started. OTP leaves those after it down.
//! - A start that hangs can be cut off; a killed child that stays is abandoned, not waited for.
//! - The window of the intensity is exact, where OTP's is made of whole seconds.

mod backoff;
mod exit;
mod history;
mod intensity;
mod machine;
mod protocol;
mod spec;
mod table;

pub use backoff::Backoff;
pub use exit::{Detail, ExitReason};
pub use history::{Counted, History};
pub use intensity::Intensity;
pub use machine::{ChildOverview, Machine, Overview};
pub use protocol::{
    Admin, AdminError, ChildKey, Command, Done, Event, Fact, Generation, Info, RequestId,
    SupervisionEvent, Target, TimerId,
};
pub use spec::{
    AutoShutdown, ChildKind, ChildSpec, Restart, Shutdown, SpecError, Strategy, SupervisorSpec,
};
pub use table::{ChildCounts, ChildInfo, ChildState};

#[cfg(test)]
mod tests;
