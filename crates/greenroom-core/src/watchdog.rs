//! The watchdog machine: whose sign of life has stood still for too long, told once each time.
//!
//! It knows neither threads nor agents. Whoever owns it looks at signs every now and then and hands them
//! in with the time; a sign is any number that changes whenever there is life.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::ids::AgentId;

/// What the watchdog looks for, and what it does.
///
/// | finding | begins when | ends when |
/// |---|---|---|
/// | blocked | a hook has not returned for `handler_max` | it returns |
/// | stuck | an agent has effects under way or messages waiting, and made no progress for `progress_max` outside a protected zone | it makes progress, or has nothing to do |
///
/// Progress is a message handled, an effect done, a step set, or a word of the agent's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct WatchdogSpec {
    /// How long a hook may keep its thread. Default 100 ms.
    pub handler_max: Duration,
    /// How long an agent with something to do may show no progress. Default 2 minutes.
    pub progress_max: Duration,
    /// What is done about an agent that is stuck. Default: it is told.
    pub on_stuck: OnStuck,
}

impl Default for WatchdogSpec {
    fn default() -> Self {
        Self {
            handler_max: Duration::from_millis(100),
            progress_max: Duration::from_secs(120),
            on_stuck: OnStuck::Report,
        }
    }
}

impl WatchdogSpec {
    /// The same watchdog, with another bound for hooks.
    pub fn handler_max(mut self, handler_max: Duration) -> Self {
        self.handler_max = handler_max;
        self
    }

    /// The same watchdog, with another bound for agents without progress.
    pub fn progress_max(mut self, progress_max: Duration) -> Self {
        self.progress_max = progress_max;
        self
    }

    /// The same watchdog, which does something else about agents that are stuck.
    pub fn on_stuck(mut self, on_stuck: OnStuck) -> Self {
        self.on_stuck = on_stuck;
        self
    }
}

/// What is done about an agent that is stuck. Nothing can be done about a hook that does not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnStuck {
    /// It is told.
    #[default]
    Report,
    /// It is told, and the incarnation ends with
    /// [`ExitReason::Stuck`](crate::supervision::ExitReason::Stuck); its supervisor decides what follows.
    End,
}

/// What the watchdog found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The agent.
    pub agent: AgentId,
    /// Its incarnation, counted from 1.
    pub generation: u64,
    /// What is wrong with it.
    pub what: Found,
    /// For how long, as far as was seen: to within the time between two looks.
    pub lasted: Duration,
    /// Whether it is over: every finding is told once while it lasts, and once when it is over.
    pub is_over: bool,
}

/// What can be wrong with an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// A hook does not return, and keeps its thread.
    Blocked {
        /// The message that is being handled.
        message: &'static str,
    },
    /// There is something to do, and no progress.
    Stuck {
        /// Effects under way.
        n_effects: usize,
        /// Messages that wait.
        n_queued: usize,
    },
}

impl Finding {
    /// What was found of an incarnation.
    #[must_use]
    pub fn new(
        agent: AgentId,
        generation: u64,
        what: Found,
        lasted: Duration,
        is_over: bool,
    ) -> Self {
        Self { agent, generation, what, lasted, is_over }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, lasted, .. } = self;
        let tense = if self.is_over { "for" } else { "and still does after" };
        match &self.what {
            Found::Blocked { message } => {
                write!(f, "{agent} blocked its thread with {message} {tense} {lasted:?}")
            }
            Found::Stuck { n_effects, n_queued } => write!(
                f,
                "{agent} made no progress with {n_effects} effects and {n_queued} messages \
                 {tense} {lasted:?}"
            ),
        }
    }
}

/// One look at something that should change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign<K> {
    /// Whose.
    pub key: K,
    /// It changes whenever there is life.
    pub mark: u64,
    /// Until when standing still is fine.
    pub protected_until: Duration,
}

/// A sign that stood still for too long, or that did and does no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stillness<K> {
    /// Whose.
    pub key: K,
    /// The sign that stood still.
    pub mark: u64,
    /// For how long.
    pub lasted: Duration,
    /// Whether it is over.
    pub is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    mark: u64,
    since: Duration,
    is_told: bool,
    /// The number of the last look that saw it.
    look: u64,
}

/// Looks at signs, and tells of those that stand still.
///
/// It remembers the signs of the last look and no others, so it is as large as what was handed in.
#[derive(Debug)]
pub struct Watchdog<K> {
    max: Duration,
    seen: BTreeMap<K, Seen>,
    n_looks: u64,
}

impl<K: Ord + Copy> Watchdog<K> {
    /// A watchdog that knows nothing yet.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self { max, seen: BTreeMap::new(), n_looks: 0 }
    }

    /// How long to wait between two looks, so that what lasts a quarter longer than it may is seen.
    #[must_use]
    pub fn interval(&self) -> Duration {
        (self.max / 4).max(Duration::from_millis(1))
    }

    /// Looks at the signs of everybody who has something to do at `now`, which is monotonic time since
    /// any fixed origin. Whoever is missing has nothing to do.
    ///
    /// | the sign | was told | told now |
    /// |---|---|---|
    /// | is new, or changed | no | - |
    /// | is new, changed, or gone | yes | that it is over |
    /// | is the same for less than `max` since it was first seen, or since its protection ended | no | - |
    /// | is the same for `max` | no | that it stands still |
    /// | is the same | yes | - |
    pub fn look(
        &mut self,
        now: Duration,
        signs: impl IntoIterator<Item = Sign<K>>,
    ) -> Vec<Stillness<K>> {
        self.n_looks += 1;
        let look = self.n_looks;
        let mut told = Vec::new();
        for Sign { key, mark, protected_until } in signs {
            let fresh = Seen { mark, since: now, is_told: false, look };
            let seen = self.seen.entry(key).or_insert(fresh);
            seen.look = look;
            if seen.mark != mark {
                told.extend(over(key, seen, now));
                *seen = fresh;
            } else if !seen.is_told {
                seen.since = seen.since.max(protected_until.min(now));
                let lasted = now.saturating_sub(seen.since);
                if lasted >= self.max && protected_until <= now {
                    seen.is_told = true;
                    told.push(Stillness { key, mark, lasted, is_over: false });
                }
            }
        }
        self.seen.retain(|key, seen| {
            let is_here = seen.look == look;
            if !is_here {
                told.extend(over(*key, seen, now));
            }
            is_here
        });
        told
    }
}

fn over<K: Copy>(key: K, seen: &Seen, now: Duration) -> Option<Stillness<K>> {
    let lasted = now.saturating_sub(seen.since);
    seen.is_told.then_some(Stillness { key, mark: seen.mark, lasted, is_over: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn sign(key: u32, mark: u64) -> Sign<u32> {
        Sign { key, mark, protected_until: Duration::ZERO }
    }

    fn still(lasted_ms: u64, is_over: bool) -> Vec<Stillness<u32>> {
        vec![Stillness { key: 1, mark: 7, lasted: ms(lasted_ms), is_over }]
    }

    #[test]
    fn what_stands_still_is_told_once_and_when_it_is_over() {
        let mut watchdog = Watchdog::new(ms(100));
        assert_eq!(watchdog.look(ms(0), [sign(1, 7)]), []);
        assert_eq!(watchdog.look(ms(99), [sign(1, 7)]), []);
        assert_eq!(watchdog.look(ms(100), [sign(1, 7)]), still(100, false));
        assert_eq!(watchdog.look(ms(200), [sign(1, 7)]), [], "once for each time");
        assert_eq!(watchdog.look(ms(250), [sign(1, 8)]), still(250, true));
        assert_eq!(watchdog.look(ms(349), [sign(1, 8)]), []);
        assert_eq!(watchdog.look(ms(350), [sign(1, 8)]).len(), 1, "and again the next time");
    }

    #[test]
    fn whoever_has_nothing_to_do_any_more_is_over_it() {
        let mut watchdog = Watchdog::new(ms(100));
        watchdog.look(ms(0), [sign(1, 7)]);
        watchdog.look(ms(100), [sign(1, 7)]);
        assert_eq!(watchdog.look(ms(130), []), still(130, true));
        assert_eq!(watchdog.look(ms(140), []), []);
        assert!(watchdog.seen.is_empty(), "it is forgotten");
        assert_eq!(watchdog.look(ms(150), [sign(1, 7)]), [], "and new when it is back");
    }

    #[test]
    fn a_protected_zone_stops_the_clock_until_it_ends() {
        let mut watchdog = Watchdog::new(ms(100));
        let protected = |until| Sign { protected_until: ms(until), ..sign(1, 7) };
        watchdog.look(ms(0), [protected(500)]);
        assert_eq!(watchdog.look(ms(499), [protected(500)]), []);
        assert_eq!(watchdog.look(ms(599), [protected(500)]), []);
        assert_eq!(watchdog.look(ms(600), [protected(500)]), still(100, false));
    }

    proptest! {
        /// Against the plain reading of the rule: for each sign, the looks since it last changed.
        #[test]
        fn it_tells_what_the_rule_says(
            looks in prop::collection::vec((1..80_u64, prop::option::of(0..2_u64)), 1..60),
        ) {
            let mut watchdog = Watchdog::new(ms(100));
            let (mut now, mut since, mut last, mut is_told) = (0, 0, None, false);
            for (step, mark) in looks {
                now += step;
                let mut expect = Vec::new();
                if mark != last {
                    if is_told {
                        expect.push((now - since, true));
                    }
                    (since, last, is_told) = (now, mark, false);
                }
                if last.is_some() && !is_told && now - since >= 100 {
                    is_told = true;
                    expect.push((now - since, false));
                }
                let told = watchdog.look(ms(now), mark.map(|mark| sign(1, mark)));
                let told: Vec<_> =
                    told.iter().map(|s| (s.lasted.as_millis() as u64, s.is_over)).collect();
                prop_assert_eq!(told, expect);
            }
        }
    }
}
