//! Which fields of which datasets an answer's columns came from.

/// The origins of an answer, column by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    pub columns: Vec<ColumnLineage>,
}

/// One output column and the dataset fields that its values are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnLineage {
    pub name: String,
    /// `(dataset, field)`, sorted.
    pub sources: Vec<(String, String)>,
}
