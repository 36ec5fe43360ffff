//! What a connection holds between messages: its prepared statements and portals, by name and
//! size. The wire library keeps them; here is only the count, so that it has a bound.

use std::collections::BTreeMap;

use crate::fault::{Code, Fault};
use crate::limits::{PREPARED_BYTES_MAX, PREPARED_MAX};

/// Names and their bytes.
#[derive(Debug, Default)]
pub struct Held {
    sizes: BTreeMap<String, usize>,
    bytes: usize,
}

impl Held {
    /// Whether there is room for a thing of this name and size, in the place of its namesake.
    pub fn check(&self, what: &str, name: &str, bytes: usize) -> Result<(), Fault> {
        let before = self.sizes.get(name);
        if before.is_none() && self.sizes.len() >= PREPARED_MAX {
            let reason = format!("a session may hold {PREPARED_MAX} {what}: close some");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        if self.bytes - before.copied().unwrap_or(0) + bytes > PREPARED_BYTES_MAX {
            let reason =
                format!("a session's {what} may have {PREPARED_BYTES_MAX} bytes: close some");
            return Err(Fault::new(Code::TooLarge, reason));
        }
        Ok(())
    }

    pub fn put(&mut self, name: &str, bytes: usize) {
        self.bytes += bytes;
        self.bytes -= self.sizes.insert(name.to_owned(), bytes).unwrap_or(0);
    }

    /// False where there was none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let removed = self.sizes.remove(name);
        self.bytes -= removed.unwrap_or(0);
        removed.is_some()
    }

    /// Forgets all of them, and says which they were.
    pub fn clear(&mut self) -> Vec<String> {
        self.bytes = 0;
        std::mem::take(&mut self.sizes).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_makes_room() {
        let mut held = Held::default();
        for number in 0..PREPARED_MAX {
            held.check("statements", &number.to_string(), 10).unwrap();
            held.put(&number.to_string(), 10);
        }
        assert!(held.check("statements", "one more", 10).is_err());
        held.check("statements", "7", 20).expect("a namesake's place is free");
        assert!(held.remove("7") && !held.remove("7"));
        held.check("statements", "one more", 10).unwrap();
        assert!(held.check("statements", "too long", PREPARED_BYTES_MAX).is_err());
        assert_eq!(held.clear().len(), PREPARED_MAX - 1);
        held.check("statements", "long", PREPARED_BYTES_MAX).unwrap();
    }
}
