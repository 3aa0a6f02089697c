//! When a model that says nothing, or nothing that counts, is given up.
//!
//! | timer | runs from | is set again by | default |
//! |---|---|---|---|
//! | first sign | the request | nothing | 60 s |
//! | content | the first sign | text, reasoning, pieces of tool calls | 120 s |
//! | silence | the first sign | anything at all, pings included | none |
//! | total | the request | nothing | 600 s |
//!
//! A ping says that the connection is alive and not that the model is: it never sets the content timer
//! again. The time to connect is the transport's business.

use std::fmt;
use std::time::Duration;

/// How long to wait for what. Every timer is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StallSpec {
    /// From the request to the first sign of life.
    pub first_sign: Duration,
    /// Between two pieces of content.
    pub content: Duration,
    /// Between any two signs of life. `None`, because a provider need not send any beside content.
    pub silence: Option<Duration>,
    /// From the request to its end.
    pub total: Duration,
}

impl Default for StallSpec {
    fn default() -> Self {
        Self {
            first_sign: Duration::from_secs(60),
            content: Duration::from_secs(120),
            silence: None,
            total: Duration::from_secs(600),
        }
    }
}

/// What a stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// It is connected: headers, a ping.
    Life,
    /// It goes on.
    Content,
}

/// Which timer ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stalled {
    /// No sign of life at all.
    FirstSign,
    /// No content, though it may be alive.
    Content,
    /// Not even a ping.
    Silence,
    /// It took too long altogether.
    Total,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstSign => "no answer",
            Self::Content => "the reply stalled",
            Self::Silence => "the connection fell silent",
            Self::Total => "the reply took too long",
        })
    }
}

/// The timers of one call.
#[derive(Debug, Clone)]
pub struct Stall {
    spec: StallSpec,
    begun_at: Duration,
    sign_at: Option<Duration>,
    content_at: Option<Duration>,
    has_content: bool,
}

impl Stall {
    /// The timers of a call that begins now.
    #[must_use]
    pub fn new(spec: StallSpec, now: Duration) -> Self {
        Self { spec, begun_at: now, sign_at: None, content_at: None, has_content: false }
    }

    /// The stream showed something.
    pub fn saw(&mut self, sign: Sign, now: Duration) {
        if sign == Sign::Content || self.content_at.is_none() {
            self.content_at = Some(now);
        }
        self.sign_at = Some(now);
        self.has_content |= sign == Sign::Content;
    }

    /// Whether there was any content.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Which timer is next, and when.
    #[must_use]
    pub fn next(&self) -> (Duration, Stalled) {
        let total = (self.begun_at.saturating_add(self.spec.total), Stalled::Total);
        let (Some(sign_at), Some(content_at)) = (self.sign_at, self.content_at) else {
            let first = self.begun_at.saturating_add(self.spec.first_sign);
            return (first, Stalled::FirstSign).min_by_time(total);
        };
        let content = (content_at.saturating_add(self.spec.content), Stalled::Content);
        let next = content.min_by_time(total);
        match self.spec.silence {
            Some(silence) => next.min_by_time((sign_at.saturating_add(silence), Stalled::Silence)),
            None => next,
        }
    }

    /// Which timer has run out, if one has.
    #[must_use]
    pub fn over(&self, now: Duration) -> Option<Stalled> {
        let (at, stalled) = self.next();
        (now >= at).then_some(stalled)
    }
}

trait MinByTime {
    fn min_by_time(self, other: Self) -> Self;
}

impl MinByTime for (Duration, Stalled) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: StallSpec = StallSpec {
        first_sign: Duration::from_secs(10),
        content: Duration::from_secs(20),
        silence: Some(Duration::from_secs(5)),
        total: Duration::from_secs(100),
    };

    /// Feeds signs at seconds; when does which timer run out, with nothing more to come?
    #[track_caller]
    fn check(spec: StallSpec, signs: &[(u64, Sign)], expect: (u64, Stalled)) {
        let mut stall = Stall::new(spec, Duration::from_secs(1000));
        for (at, sign) in signs {
            let now = Duration::from_secs(1000 + at);
            assert_eq!(stall.over(now), None, "at {at}");
            stall.saw(*sign, now);
        }
        let (at, stalled) = stall.next();
        assert_eq!((at.as_secs() - 1000, stalled), expect);
        assert_eq!(stall.over(at), Some(stalled));
        assert_eq!(stall.over(at - Duration::from_nanos(1)), None);
    }

    #[test]
    fn to01_each_timer_runs_by_itself() {
        use Sign::{Content, Life};
        let patient = StallSpec { silence: None, ..SPEC };
        check(SPEC, &[], (10, Stalled::FirstSign));
        check(SPEC, &[(9, Life)], (14, Stalled::Silence));
        check(patient, &[(9, Life)], (29, Stalled::Content));
        check(patient, &[(1, Content), (20, Content)], (40, Stalled::Content));
        let steady: Vec<_> = (1..9).map(|i| (i * 12, Content)).collect();
        check(
            StallSpec { first_sign: Duration::from_secs(13), ..patient },
            &steady,
            (100, Stalled::Total),
        );
        check(StallSpec { total: Duration::from_secs(3), ..SPEC }, &[], (3, Stalled::Total));
    }

    #[test]
    fn to03_pings_keep_the_connection_and_not_the_content_alive() {
        let pings: Vec<_> = (0..7).map(|i| (i * 4, Sign::Life)).collect();
        check(SPEC, &pings[..5], (20, Stalled::Content));
        let until_content: Vec<_> =
            [&pings[..5], &[(18, Sign::Content), (22, Sign::Life)]].concat();
        check(SPEC, &until_content, (27, Stalled::Silence));
    }

    #[test]
    fn spans_without_end_do_not_overflow() {
        let spec = StallSpec {
            first_sign: Duration::MAX,
            content: Duration::MAX,
            silence: Some(Duration::MAX),
            total: Duration::MAX,
        };
        let mut stall = Stall::new(spec, Duration::from_secs(1));
        stall.saw(Sign::Content, Duration::from_secs(2));
        assert_eq!(stall.over(Duration::from_secs(1_000_000)), None);
    }
}
