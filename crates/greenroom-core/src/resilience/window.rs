//! Counts over the last span of time, in a fixed number of slots: memory does not grow with traffic.

use std::time::Duration;

/// Slots of equal length; the oldest is forgotten as a new one begins.
#[derive(Debug, Clone)]
pub(super) struct Window<T, const N: usize> {
    slot_len: Duration,
    slots: [T; N],
    /// The number of the current slot, counted from the origin of time.
    epoch: u128,
}

impl<T: Copy + Default, const N: usize> Window<T, N> {
    /// Remembers `span`, to the length of a slot.
    pub(super) fn new(span: Duration) -> Self {
        let n_slots = u32::try_from(N).unwrap_or(u32::MAX).max(1);
        let slot_len = (span / n_slots).max(Duration::from_nanos(1));
        Self { slot_len, slots: [T::default(); N], epoch: 0 }
    }

    /// The slot of `now`. Time that seems to go backwards counts into the current slot.
    pub(super) fn current(&mut self, now: Duration) -> &mut T {
        let epoch = now.as_nanos() / self.slot_len.as_nanos();
        let n_passed = epoch.saturating_sub(self.epoch).min(N as u128);
        self.epoch = self.epoch.max(epoch);
        for passed in 0..n_passed {
            self.slots[((self.epoch - passed) % N as u128) as usize] = T::default();
        }
        &mut self.slots[(self.epoch % N as u128) as usize]
    }

    /// All slots that are remembered at `now`, in no order.
    pub(super) fn slots(&mut self, now: Duration) -> &[T; N] {
        self.current(now);
        &self.slots
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots = [T::default(); N];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_forgotten_slot_by_slot() {
        let second = Duration::from_secs(1);
        let mut window: Window<u32, 4> = Window::new(4 * second);
        let mut sum_after = |now: Duration| {
            *window.current(now) += 1;
            window.slots(now).iter().sum::<u32>()
        };
        assert_eq!([0, 1, 1, 3].map(|at| sum_after(at * second)), [1, 2, 3, 4]);
        assert_eq!(sum_after(4 * second), 4, "the slot of second 0 is gone");
        assert_eq!(sum_after(2 * second), 5, "a clock that goes backwards loses nothing");
        assert_eq!(sum_after(1000 * second), 1);
    }
}
