//! `$orderby` as SQL: a total order, so that pages neither repeat nor leave out.
//!
//! Null is the least of all values. Behind the keys of the request stands the dataset's own key,
//! without columns that the path has settled and in the direction of the last key, so that one
//! Datastream's newest observations are read off the end of what the lake keeps in order.

use crate::odata::{Direction, OrderBy, Spanned};
use crate::schema::EntityKind;

use super::dataset;
use super::error::Result;
use super::scope::{Compiler, ROOT};
use super::term::{End, Id, Term};

/// What the order of a collection is made of.
pub(super) struct Ordering<'a> {
    pub keys: &'a [Spanned<OrderBy>],
    pub kind: EntityKind,
    /// Columns of the key that are the same in all rows.
    pub settled: &'a [&'static str],
    /// What comes before the key where the request has no order of its own.
    pub natural: Option<String>,
}

impl Compiler<'_> {
    /// The items of ORDER BY.
    pub fn order(&mut self, ordering: &Ordering<'_>) -> Result<Vec<String>> {
        let own: Vec<String> =
            dataset::key(ordering.kind).iter().map(|name| format!("{ROOT}.{name}")).collect();
        let mut items: Vec<(String, Direction)> = Vec::new();
        for key in ordering.keys {
            let term = self.term(&key.value.key)?;
            for column in sortable(&term, &own) {
                if !items.iter().any(|(known, _)| *known == column) {
                    items.push((column, key.value.direction));
                }
            }
        }
        let last = items.last().map_or(Direction::Ascending, |(_, direction)| *direction);
        if items.is_empty()
            && let Some(natural) = &ordering.natural
        {
            items.push((natural.clone(), last));
        }
        let settled: Vec<String> =
            ordering.settled.iter().map(|name| format!("{ROOT}.{name}")).collect();
        for column in &own {
            if !settled.contains(column) && !items.iter().any(|(known, _)| known == column) {
                items.push((column.clone(), last));
            }
        }
        let certain =
            |column: &String| own.contains(column) || ordering.natural.as_ref() == Some(column);
        Ok(items.iter().map(|(column, way)| item(column, *way, certain(column))).collect())
    }
}

/// A column with its direction, and where nulls go if there may be any.
pub(super) fn item(column: &str, direction: Direction, certain: bool) -> String {
    match (direction, certain) {
        (Direction::Ascending, true) => column.to_owned(),
        (Direction::Descending, true) => format!("{column} DESC"),
        (Direction::Ascending, false) => format!("{column} NULLS FIRST"),
        (Direction::Descending, false) => format!("{column} DESC NULLS LAST"),
    }
}

/// What a value is put in order by. Values of several types have no order among each other: numbers
/// come together, and so do texts.
pub(super) fn sortable(term: &Term, own_key: &[String]) -> Vec<String> {
    match term {
        Term::Null => Vec::new(),
        Term::Text { scalar, .. }
        | Term::Boolean(scalar)
        | Term::Date { scalar, .. }
        | Term::TimeOfDay(scalar)
        | Term::Id(Id::Integer(scalar)) => vec![scalar.sql.clone()],
        Term::Number(number) => vec![number.scalar.sql.clone()],
        Term::Duration(length) => vec![length.scalar.sql.clone()],
        Term::Id(Id::Observation(alias)) => dataset::key(EntityKind::Observation)
            .iter()
            .map(|name| format!("{alias}.{name}"))
            .collect(),
        Term::Time(period) => match &period.end {
            End::Same => vec![period.start.sql.clone()],
            // Behind the start of phenomenon time comes the rest of the key.
            End::OrStart(_) if own_key.contains(&period.start.sql) => {
                vec![period.start.sql.clone()]
            }
            _ => vec![period.start.sql.clone(), period.end().sql],
        },
        Term::Any(_) | Term::Result { .. } => vec![term.as_number().sql, term.as_text().sql],
        Term::Geometry { .. } | Term::Object(_) => Vec::new(),
    }
}
