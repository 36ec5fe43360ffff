//! How a file's column names meet a contract's fields.
//!
//! A column is a field's if it has, in this order, the field's name, one of its aliases, or one of
//! its titles (中文列名); letters' case, spaces, hyphens, underscores and full-width forms do not
//! matter, nor does a unit in brackets at the end.

use pack::{Contract, Field};

use crate::error::IntakeError;
use crate::text::{bare_name, normal_name};

/// The file's columns, findable by name.
#[derive(Debug, Clone)]
pub struct Header {
    pub names: Vec<String>,
    normal: Vec<String>,
}

impl Header {
    pub fn new(names: Vec<String>) -> Self {
        let normal = names.iter().map(|name| normal_name(name)).collect();
        Self { names, normal }
    }

    /// The column of this name, exactly or else in normal form.
    pub fn find(&self, name: &str) -> Option<usize> {
        let exact = self.names.iter().position(|column| column == name);
        exact.or_else(|| {
            let normal = normal_name(name);
            self.normal.iter().position(|column| *column == normal)
        })
    }

    /// Which column is which field: by field, in contract order.
    pub fn match_fields(&self, contract: &Contract) -> Result<Vec<Option<usize>>, IntakeError> {
        let mut taken = vec![false; self.names.len()];
        let mut columns = Vec::with_capacity(contract.fields.len());
        for field in &contract.fields {
            let column = self.match_field(field, &taken)?;
            if let Some(column) = column {
                taken[column] = true;
            }
            columns.push(column);
        }
        Ok(columns)
    }

    fn match_field(&self, field: &Field, taken: &[bool]) -> Result<Option<usize>, IntakeError> {
        let name = std::slice::from_ref(&field.name);
        let titles = [field.title.zh.clone(), field.title.en.clone()];
        for (known, form) in [
            (name, normal_name as fn(&str) -> String),
            (name, bare_name),
            (&field.aliases, normal_name),
            (&field.aliases, bare_name),
            (&titles, normal_name),
            (&titles, bare_name),
        ] {
            let known: Vec<String> = known.iter().map(|name| form(name)).collect();
            let found: Vec<usize> = (0..self.names.len())
                .filter(|&column| !taken[column])
                .filter(|&column| {
                    let name = form(&self.names[column]);
                    !name.is_empty() && known.contains(&name)
                })
                .collect();
            match found[..] {
                [] => {}
                [column] => return Ok(Some(column)),
                _ => {
                    let names: Vec<&str> =
                        found.iter().map(|&column| self.names[column].as_str()).collect();
                    return Err(IntakeError::Ambiguous {
                        field: field.name.clone(),
                        columns: names.join(", "),
                    });
                }
            }
        }
        Ok(None)
    }
}
