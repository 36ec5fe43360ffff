//! How a file's columns differ from what its contract expects.

use std::fmt;

/// Columns that are new, missing or of another type than the contract's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// In the file, but no field's.
    pub new: Vec<String>,
    /// Fields that no column fills; `true`: the field is required.
    pub missing: Vec<Missing>,
    pub retyped: Vec<Retyped>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The field, and where a mapping names it the column.
    pub name: String,
    pub required: bool,
}

/// A column most of whose first cells are not what the field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retyped {
    pub field: String,
    pub expected: String,
    /// The first cell that does not fit, as a message.
    pub found: String,
    /// Cells of the sample that do not fit, of those that have a value.
    pub refused: usize,
    pub of: usize,
}

impl Drift {
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.missing.is_empty() && self.retyped.is_empty()
    }

    /// What even an evolving contract cannot take: a required field without a column.
    pub fn lacks_required(&self) -> bool {
        self.missing.iter().any(|missing| missing.required)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.new.is_empty() {
            parts.push(format!(
                "new columns {} (add fields or aliases to the contract, or let its drift rule evolve)",
                self.new.join(", ")
            ));
        }
        for Missing { name, required } in &self.missing {
            let kind = if *required { "required" } else { "optional" };
            parts.push(format!("missing column {name} ({kind})"));
        }
        for Retyped { field, expected, found, refused, of } in &self.retyped {
            parts.push(format!(
                "retyped column {field}: expected {expected}, but {refused} of the first {of} values are not; the first is {found}"
            ));
        }
        write!(out, "{}", parts.join("; "))
    }
}
