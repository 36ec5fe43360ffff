//! Which Observations a rule found implausible: the SQL of it stands here and nowhere else.
//!
//! `flags` is a number of bits. All of them say that a reading may be wrong but the last, which
//! says that it came late: that alone leaves nothing out.

/// The bits of `sensing.observation.flags` that make an observation implausible: out of range,
/// changed too fast, stuck, a spike, in a wrong unit, ahead of the clock. What is `late` (64) is
/// not among them.
pub const IMPLAUSIBLE_FLAGS: i64 = 63;

/// True for what no rule found implausible; `flags` is the column.
pub fn plausible(flags: &str) -> String {
    format!("({flags} & {IMPLAUSIBLE_FLAGS}) = 0")
}

/// True for what a rule found implausible.
pub fn implausible(flags: &str) -> String {
    format!("({flags} & {IMPLAUSIBLE_FLAGS}) <> 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_plausible() {
        assert_eq!(plausible("t.flags"), "(t.flags & 63) = 0");
        assert_eq!(implausible("o.flags"), "(o.flags & 63) <> 0");
        assert_eq!(64 & IMPLAUSIBLE_FLAGS, 0);
    }
}
