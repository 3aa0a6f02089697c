//! Answers that are kept for a while. Bounded by entries, by bytes and by age; off unless asked for,
//! because a model asked twice may well be meant to answer twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What a cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSpec {
    /// Answers. Default 256.
    pub entries_max: usize,
    /// Bytes of questions and answers together. Default 16 MiB.
    pub bytes_max: usize,
    /// How long an answer is good for. Default 1 hour.
    pub age_max: Duration,
}

impl Default for CacheSpec {
    fn default() -> Self {
        Self { entries_max: 256, bytes_max: 16 << 20, age_max: Duration::from_secs(3600) }
    }
}

#[derive(Debug, Clone)]
struct Entry<V> {
    value: V,
    n_bytes: usize,
    stored_at: Duration,
    used: u64,
}

/// Answers by question. What was not used for longest goes first.
#[derive(Debug, Clone)]
pub struct Cache<V> {
    spec: CacheSpec,
    entries: HashMap<Arc<str>, Entry<V>>,
    by_use: BTreeMap<u64, Arc<str>>,
    n_bytes: usize,
    n_uses: u64,
}

impl<V: Clone> Cache<V> {
    /// An empty cache.
    #[must_use]
    pub fn new(spec: CacheSpec) -> Self {
        Self { spec, entries: HashMap::new(), by_use: BTreeMap::new(), n_bytes: 0, n_uses: 0 }
    }

    /// How many answers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The answer to a question, when it is there and young enough.
    pub fn get(&mut self, question: &str, now: Duration) -> Option<V> {
        let stored_at = self.entries.get(question)?.stored_at;
        if now.saturating_sub(stored_at) >= self.spec.age_max {
            self.remove(question);
            return None;
        }
        self.n_uses += 1;
        let (key, _) = self.entries.get_key_value(question)?;
        let key = Arc::clone(key);
        let entry = self.entries.get_mut(question)?;
        self.by_use.remove(&entry.used);
        entry.used = self.n_uses;
        self.by_use.insert(self.n_uses, key);
        Some(entry.value.clone())
    }

    /// Keeps an answer of so many bytes. One that is too large for the whole cache is not kept.
    pub fn put(&mut self, question: &str, value: V, n_bytes: usize, now: Duration) {
        self.remove(question);
        let n_bytes = n_bytes.saturating_add(question.len());
        if n_bytes > self.spec.bytes_max || self.spec.entries_max == 0 {
            return;
        }
        while self.entries.len() >= self.spec.entries_max
            || self.n_bytes + n_bytes > self.spec.bytes_max
        {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.remove(&oldest);
        }
        self.n_uses += 1;
        let key: Arc<str> = question.into();
        self.by_use.insert(self.n_uses, Arc::clone(&key));
        self.entries.insert(key, Entry { value, n_bytes, stored_at: now, used: self.n_uses });
        self.n_bytes += n_bytes;
    }

    fn remove(&mut self, question: &str) {
        if let Some(entry) = self.entries.remove(question) {
            self.by_use.remove(&entry.used);
            self.n_bytes -= entry.n_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: CacheSpec =
        CacheSpec { entries_max: 2, bytes_max: 100, age_max: Duration::from_secs(10) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = Cache::new(SPEC);
        cache.put("a", 1, 1, at(0));
        cache.put("b", 2, 1, at(0));
        assert_eq!(cache.get("a", at(1)), Some(1));
        cache.put("c", 3, 1, at(1));
        let answers = ["a", "b", "c"].map(|question| cache.get(question, at(2)));
        assert_eq!((answers, cache.len()), ([Some(1), None, Some(3)], 2));
    }

    #[test]
    fn an_answer_ages_and_is_not_made_younger_by_use() {
        let mut cache = Cache::new(SPEC);
        cache.put("a", 1, 1, at(0));
        assert_eq!(cache.get("a", at(9)), Some(1));
        assert_eq!(cache.get("a", at(10)), None);
        assert!(cache.is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut cache = Cache::new(SPEC);
        cache.put("a", 1, 49, at(0));
        cache.put("b", 2, 49, at(0));
        assert_eq!(cache.len(), 2);
        cache.put("b", 3, 60, at(0));
        assert_eq!([cache.get("a", at(1)), cache.get("b", at(1))], [None, Some(3)]);
        cache.put("huge", 4, 100, at(0));
        assert_eq!((cache.get("huge", at(1)), cache.get("b", at(1))), (None, Some(3)));
        cache.put("b", 5, 1, at(0));
        cache.put("c", 6, 90, at(0));
        assert_eq!(cache.len(), 2, "what was replaced takes no place");
        let mut none = Cache::new(CacheSpec { entries_max: 0, ..SPEC });
        none.put("a", 1, 1, at(0));
        assert!(none.is_empty());
    }
}
