//! What a provider says beside its reply: limits that it enforces, and the name that it gave the request.

use std::time::Duration;

/// What came with a response, whether it is a reply or an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseMeta {
    /// The provider's name for the request, for whoever asks its support.
    pub request_id: Option<String>,
    /// The limits, as far as the provider tells them.
    pub limits: RateLimitHints,
}

/// The limits of an account, as a response tells them. Nothing is known until a provider says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimitHints {
    /// Requests.
    pub requests: LimitHint,
    /// Tokens; when a provider counts input and output apart, the one that is nearer to its end.
    pub tokens: LimitHint,
}

/// One limit, as a response tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitHint {
    /// How many there are when nothing is used.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: Option<u64>,
    /// How long until all of them are there again.
    pub reset: Option<Duration>,
}
