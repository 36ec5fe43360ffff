//! Loss by sequence: which of a sender's numbers never came.
//!
//! Numbers may come in any order within a window. One that leaves the window without having come is
//! lost. A sender that begins anew, or jumps, is followed without a loss being said: nobody knows
//! what it did in between.

/// Numbers that may still come after a later one.
pub(crate) const WINDOW_NUMBERS: u64 = 128;
/// A larger step is a sender that counts anew, not a loss.
const STEP_MAX: u64 = 1_000_000;

/// The numbers of one sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// One more than the highest that came; 0 before the first.
    next: u64,
    /// Bit `i`: `next - 1 - i` came.
    seen: u128,
    /// Numbers that did not come.
    pub lost: u64,
}

impl Sequence {
    /// Takes a number that came.
    pub fn take(&mut self, number: u64) {
        let Some(next) = number.checked_add(1) else { return };
        if self.next == 0 || next > self.next.saturating_add(STEP_MAX) {
            self.begin(next);
            return;
        }
        if next > self.next {
            self.step(next - self.next);
            self.next = next;
            self.seen |= 1;
            return;
        }
        let back = self.next - next;
        if back < WINDOW_NUMBERS {
            self.seen |= 1 << back;
        } else if back > STEP_MAX || number < 2 {
            // Begun anew. Numbers that are only very late change nothing: they were counted lost.
            self.begin(next);
        }
    }

    fn begin(&mut self, next: u64) {
        self.next = next;
        // What was before the first is not missed.
        self.seen = u128::MAX;
    }

    /// Moves the window on; what leaves it unseen is lost.
    fn step(&mut self, by: u64) {
        if by >= WINDOW_NUMBERS {
            self.lost += u64::from(self.seen.count_zeros()) + (by - WINDOW_NUMBERS);
            self.seen = 0;
            return;
        }
        let leaving = self.seen >> (WINDOW_NUMBERS - by);
        self.lost += by - u64::from(leaving.count_ones());
        self.seen <<= by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(numbers: impl IntoIterator<Item = u64>) -> u64 {
        let mut sequence = Sequence::default();
        numbers.into_iter().for_each(|number| sequence.take(number));
        sequence.lost
    }

    #[test]
    fn what_leaves_the_window_without_having_come_is_lost() {
        assert_eq!(lost(5..1_000), 0, "nothing is missed before the first");
        assert_eq!(lost((0..1_000).filter(|n| n % 10 != 3)), 87, "those in the window may come");
        assert_eq!(lost((0..500).filter(|n| !(100..110).contains(n))), 10);
    }

    #[test]
    fn what_comes_late_within_the_window_is_not_lost() {
        let swapped = (0..1_000).map(|n| n ^ 1);
        assert_eq!(lost(swapped), 0);
        let late = (0..400).filter(|n| *n != 100);
        let mut numbers: Vec<u64> = late.collect();
        numbers.insert(180, 100);
        assert_eq!(lost(numbers), 0);
    }

    #[test]
    fn a_sender_that_begins_anew_loses_nothing() {
        assert_eq!(lost((0..300).chain(0..300)), 0);
        assert_eq!(lost((0..300).chain(5_000_000..5_000_300)), 0);
    }

    #[test]
    fn a_gap_longer_than_the_window_is_all_lost() {
        assert_eq!(lost((0..200).chain(1_200..1_400)), 1_000);
    }
}
