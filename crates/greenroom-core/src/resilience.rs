//! The machines that stand between agents and a provider: whether a call is made now, later or not at
//! all, and whether a failed one is made again.
//!
//! Each is plain data that is told what happened and when, and answers with what is to be done. None
//! reads a clock, sleeps, or knows a model: the decorators of `greenroom-models` do that around them.
//! Instants are spans of monotonic time since an origin that all calls share.

mod window;

pub mod breaker;
pub mod budget;
pub mod cache;
pub mod concurrency;
pub mod governor;
pub mod hedge;
pub mod rate;
pub mod retry;
pub mod stall;
pub mod throttle;

pub use breaker::{Breaker, BreakerSpec};
pub use budget::{RetryBudget, RetryBudgetSpec};
pub use cache::{Cache, CacheSpec};
pub use concurrency::{Concurrency, ConcurrencyRule, ConcurrencySpec};
pub use governor::{Governor, GovernorSpec};
pub use hedge::{Hedge, HedgeSpec};
pub use rate::{Bucket, RateLimits, RateSpec};
pub use retry::{Jitter, RetrySpec, Verdict};
pub use stall::{Stall, StallSpec};
pub use throttle::Throttle;
