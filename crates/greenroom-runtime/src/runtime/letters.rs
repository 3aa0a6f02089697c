//! What a runtime knows of the messages that nobody handled.

use std::collections::BTreeMap;

use super::Runtime;
use crate::actor::dead_letters::DeadLetter;
use crate::feed::Feed;

impl Runtime {
    /// The most recent messages that nobody handled, oldest first: at most 256.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.inner.house.dead_letters.recent()
    }

    /// How many messages nobody handled, by reason.
    #[must_use]
    pub fn dead_letter_counts(&self) -> BTreeMap<&'static str, u64> {
        self.inner.house.dead_letters.counts()
    }

    /// Messages that nobody handles, as it happens.
    #[must_use]
    pub fn dead_letter_events(&self) -> Feed<DeadLetter> {
        self.inner.house.dead_letters.read(self.inner.tasks.over())
    }

    /// Takes dead letters with messages of this type that are kept and wanted, oldest first: to look at
    /// them, to store them, or to send them to another agent. They are dead letters no more.
    ///
    /// To send an agent its own again, use [`AgentRef::redeliver`](crate::AgentRef::redeliver).
    #[must_use]
    pub fn take_dead_letters<M: Send + 'static>(
        &self,
        mut wanted: impl FnMut(&DeadLetter) -> bool,
    ) -> Vec<(DeadLetter, M)> {
        let letters = &self.inner.house.dead_letters;
        let kept = letters.kept::<M>().into_iter().filter(|letter| wanted(letter));
        kept.filter_map(|letter| letters.take(letter.number)).collect()
    }
}
