//! The k candidates that together gain most, by lazy greedy choice, and how much more any other k
//! could gain.
//!
//! What k sensors cover never gains more by coming later: it is submodular. So a gain that was
//! worked out for an earlier choice is a bound for now, and only the candidate at the top of the
//! heap has to be worked out again (Minoux 1978). Greedy choice reaches at least 1 − 1/e of the
//! best (Nemhauser, Wolsey, Fisher 1978); what is left over mostly bounds it closer: the best k
//! reach no more than what was reached and the k largest gains that remain (ibid., and Leskovec
//! et al. 2007 as the online bound).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something of which each candidate takes a share that nobody has taken yet.
pub(crate) trait Gains {
    /// What this candidate would add to what was taken.
    fn gain(&self, candidate: usize) -> f64;
    fn take(&mut self, candidate: usize);
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chosen {
    pub candidate: usize,
    pub gain: f64,
}

/// What was chosen, in order, and what no choice of as many gains more than.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Greedy {
    pub chosen: Vec<Chosen>,
    pub bound: f64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    gain: f64,
    candidate: usize,
    /// How many were chosen when the gain was worked out.
    round: usize,
}

impl Ord for Entry {
    /// Of equal gains the candidate that comes first, so that a choice can be repeated.
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then_with(|| other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// Chooses up to `k` of the candidates `0..candidates`; fewer where no other gains anything.
pub(crate) fn greedy(field: &mut impl Gains, candidates: usize, k: usize) -> Greedy {
    let first: Vec<f64> = (0..candidates).map(|candidate| field.gain(candidate)).collect();
    let mut bound = largest(first.iter().copied(), k);
    let entries = first.iter().enumerate();
    let mut heap: BinaryHeap<Entry> =
        entries.map(|(candidate, gain)| Entry { gain: *gain, candidate, round: 0 }).collect();
    let mut chosen: Vec<Chosen> = Vec::with_capacity(k.min(candidates));
    while chosen.len() < k
        && let Some(top) = heap.pop()
    {
        if top.gain <= 0.0 {
            break;
        }
        if top.round == chosen.len() {
            field.take(top.candidate);
            chosen.push(Chosen { candidate: top.candidate, gain: top.gain });
        } else {
            let gain = field.gain(top.candidate);
            heap.push(Entry { gain, candidate: top.candidate, round: chosen.len() });
        }
    }
    let reached: f64 = chosen.iter().map(|chosen| chosen.gain).sum();
    let left = (0..candidates).map(|candidate| field.gain(candidate));
    bound = bound.min(reached + largest(left, k));
    bound = bound.min(reached / (1.0 - (-1.0_f64).exp()));
    Greedy { chosen, bound: bound.max(reached) }
}

/// The sum of the k largest.
fn largest(gains: impl Iterator<Item = f64>, k: usize) -> f64 {
    let mut gains: Vec<f64> = gains.collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    gains.iter().take(k).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates as sets of weighted elements.
    #[derive(Clone)]
    struct Sets {
        sets: Vec<Vec<usize>>,
        left: Vec<f64>,
    }

    impl Gains for Sets {
        fn gain(&self, candidate: usize) -> f64 {
            self.sets[candidate].iter().map(|element| self.left[*element]).sum()
        }

        fn take(&mut self, candidate: usize) {
            for element in &self.sets[candidate] {
                self.left[*element] = 0.0;
            }
        }
    }

    /// Numbers that look like chance and are the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: u64) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((self.0 >> 33) % end).unwrap()
        }
    }

    fn instance(seed: u64) -> Sets {
        let mut numbers = Numbers(seed);
        let left = (0..12).map(|_| 1.0 + numbers.below(9) as f64).collect();
        let sets = (0..9).map(|_| {
            let mut set: Vec<usize> = (0..=numbers.below(5)).map(|_| numbers.below(12)).collect();
            set.sort_unstable();
            set.dedup();
            set
        });
        Sets { sets: sets.collect(), left }
    }

    fn best(sets: &Sets, k: usize, from: usize) -> f64 {
        if k == 0 {
            return 0.0;
        }
        (from..sets.sets.len())
            .map(|candidate| {
                let mut taken = sets.clone();
                let gain = taken.gain(candidate);
                taken.take(candidate);
                gain + best(&taken, k - 1, candidate + 1)
            })
            .fold(0.0, f64::max)
    }

    /// Without a heap: every gain anew for each choice.
    fn plain(sets: &Sets, k: usize) -> Vec<usize> {
        let mut sets = sets.clone();
        let mut chosen = Vec::new();
        for _ in 0..k {
            let gains = (0..sets.sets.len()).map(|candidate| (candidate, sets.gain(candidate)));
            let top = gains.reduce(|top, next| if next.1 > top.1 { next } else { top });
            let Some((candidate, _)) = top.filter(|(_, gain)| *gain > 0.0) else { break };
            sets.take(candidate);
            chosen.push(candidate);
        }
        chosen
    }

    #[test]
    fn it_is_greedy_and_its_bound_holds() {
        let mut close = 0;
        for seed in 1..200 {
            let sets = instance(seed);
            for k in 1..=4 {
                let found = greedy(&mut sets.clone(), sets.sets.len(), k);
                let candidates: Vec<_> = found.chosen.iter().map(|one| one.candidate).collect();
                assert_eq!(candidates, plain(&sets, k), "seed {seed}, k {k}");
                let reached: f64 = found.chosen.iter().map(|one| one.gain).sum();
                let best = best(&sets, k, 0);
                assert!(reached <= best + 1e-9, "seed {seed}, k {k}");
                assert!(found.bound >= best - 1e-9, "seed {seed}, k {k}: {} < {best}", found.bound);
                assert!(reached >= (1.0 - 1.0 / std::f64::consts::E) * best - 1e-9);
                close +=
                    usize::from(found.bound < reached / (1.0 - 1.0 / std::f64::consts::E) - 1e-9);
            }
        }
        assert!(close > 100, "the bound from the data is closer than 1 - 1/e: {close}");
    }

    #[test]
    fn what_gains_nothing_is_not_chosen() {
        let mut sets = Sets { sets: vec![vec![0], vec![0], vec![]], left: vec![3.0] };
        let found = greedy(&mut sets, 3, 3);
        assert_eq!(found.chosen, [Chosen { candidate: 0, gain: 3.0 }]);
        assert!((found.bound - 3.0).abs() < 1e-9);
        let none = greedy(&mut sets, 0, 3);
        assert_eq!((none.chosen.len(), none.bound), (0, 0.0));
    }
}
