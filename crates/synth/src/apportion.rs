//! Shares a whole number out by weights, so that the parts are whole and add up.

use crate::num::{floor, real};

/// Largest remainders (Hamilton): each part is its exact share rounded up or down. Ties go to the
/// earlier part. Weights that add up to nothing count as equal.
pub fn apportion(total: usize, weights: &[f64]) -> Vec<usize> {
    if weights.is_empty() {
        return Vec::new();
    }
    let sum: f64 = weights.iter().sum();
    let even = 1.0 / real(weights.len());
    let share = |weight: f64| if sum > 0.0 { weight / sum } else { even };
    let exact: Vec<f64> = weights.iter().map(|weight| share(*weight) * real(total)).collect();
    let mut parts: Vec<usize> = exact.iter().map(|part| floor(*part)).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let remainder = |at: usize| exact[at] - real(parts[at]);
    order.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)).then(a.cmp(b)));
    let given: usize = parts.iter().sum();
    // Fewer than one each is left, but rounding of the sum may take one more round.
    for at in order.iter().cycle().take(total.saturating_sub(given)) {
        parts[*at] += 1;
    }
    parts
}

/// Running totals, one for each item.
pub fn totals(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let running = weights.into_iter().map(|weight| {
        sum += weight;
        sum
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use super::apportion;

    #[test]
    fn parts_add_up_and_are_within_one_of_their_share() {
        assert_eq!(apportion(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(apportion(7, &[0.0, 0.0]), [4, 3]);
        assert_eq!(apportion(0, &[2.0, 1.0]), [0, 0]);
        assert_eq!(apportion(5, &[]), [0; 0]);
        let weights = [902_933.0, 955_954.0, 1_265_398.0, 363_591.0];
        let parts = apportion(9_999, &weights);
        assert_eq!(parts.iter().sum::<usize>(), 9_999);
        let sum: f64 = weights.iter().sum();
        for (part, weight) in parts.iter().zip(weights) {
            assert!((crate::num::real(*part) - weight / sum * 9_999.0).abs() < 1.0);
        }
    }
}
