//! Who asks a model: what a limit that many share must know to be fair.

use std::sync::Arc;

use crate::ids::RunId;
use crate::time::Timestamp;

/// Who asks, in which try, and until when.
///
/// The default is a caller that nothing is known of. Limits treat all of those as one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The run that the question belongs to. Shared limits are fair between runs.
    pub run: Option<RunId>,
    /// How far below the root of its run the caller is. Within a run, a smaller depth goes first: a parent
    /// that waits behind its own children would never end.
    pub depth: u32,
    /// Which try this is, counted from 1, when a layer above tries again by itself; 0 when none does.
    /// The first retrying layer that finds 0 owns the retries, and every layer below it makes one try.
    pub attempt: u32,
    /// Names the call across all of its tries: a provider that knows such keys answers a repeated one
    /// without doing the work twice.
    pub idempotency_key: Option<Arc<str>>,
    /// When the answer is of no use any more. A call that is later than that is never sent.
    pub deadline: Option<Timestamp>,
}
