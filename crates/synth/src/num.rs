//! Conversions between kinds of numbers, each with the invariant that makes it safe.

/// A count as a number to reckon with. Counts here stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub fn real(count: usize) -> f64 {
    count as f64
}

/// The whole part of a number that is not negative; anything else is nought.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and the range is what the callers promise"
)]
pub fn floor(value: f64) -> usize {
    value as usize
}

/// The nearest whole number, ties away from nought; negative numbers give nought.
pub fn round(value: f64) -> usize {
    floor(value + 0.5)
}

/// The nearest whole number with its sign.
#[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
pub fn round_i64(value: f64) -> i64 {
    value.round() as i64
}

/// An index of something of which there are fewer than 2^32.
pub fn index(count: usize) -> u32 {
    u32::try_from(count).expect("a city has fewer than 2^32 of anything")
}

/// A count as a signed integer, as Arrow's columns hold them.
pub fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("a count fits 63 bits")
}
