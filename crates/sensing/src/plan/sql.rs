//! Pieces of SQL: parameters, truth joined by AND and OR, a SELECT and its bounds.
//!
//! No text of a request becomes text of a statement: it is given as a parameter. Written out are
//! names of datasets and columns, which are ours, and integers.

use std::fmt::Write;

use crate::odata::Span;

use super::error::{PlanError, PlanErrorKind, Result};
use super::{SQL_BYTES_MAX, SQL_DEPTH_MAX, SQL_RELATIONS_MAX};

/// Operands of one chain of ANDs or ORs; more of them are put in parentheses by so many. The
/// catalogue bounds what stands on one level.
const CHAIN_OPERANDS_MAX: usize = 20;
/// Steps of a parser from a parenthesis to the WHERE of the subquery in it.
const SUBQUERY_DEPTH: usize = 4;

/// A statement to be asked through a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub sql: String,
    /// The values of `$1`, `$2`, ….
    pub parameters: Vec<Value>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    /// µs since 1970, UTC.
    Instant(i64),
}

/// Parameters as they are met; [`Parameters::statement`] numbers them as they stand in the text.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<Value>);

impl Parameters {
    /// The place holder of a value.
    pub fn give(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    pub fn text(&mut self, text: impl Into<String>) -> String {
        self.give(Value::Text(text.into()))
    }

    /// The finished statement: parameters in the order of the text, those it does not use left
    /// out. Statements hold no quoted text with a `$` in it.
    pub fn statement(self, sql: &str, part: &'static str, span: Span) -> Result<Statement> {
        check_bounds(sql, part, span)?;
        let mut statement = Statement { sql: String::with_capacity(sql.len()), parameters: vec![] };
        let mut numbers = vec![None; self.0.len()];
        let mut pieces = sql.split('$');
        statement.sql.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let index: usize = piece[..digits].parse().expect("a place holder has a number");
            let number = *numbers[index - 1].get_or_insert_with(|| {
                statement.parameters.push(self.0[index - 1].clone());
                statement.parameters.len()
            });
            let _ = write!(statement.sql, "${number}{}", &piece[digits..]);
        }
        Ok(statement)
    }
}

/// What the catalogue would refuse is refused here, where the request is still known.
fn check_bounds(sql: &str, part: &'static str, span: Span) -> Result<()> {
    let too_large = |what: String, why: String| {
        Err(PlanError::new(PlanErrorKind::TooLarge, part, span, what, why))
    };
    if sql.len() > SQL_BYTES_MAX {
        let what = format!("a question of {} bytes", sql.len());
        return too_large(what, format!("at most {SQL_BYTES_MAX} are asked at once"));
    }
    let deepest = parser_depth(sql);
    if deepest > SQL_DEPTH_MAX {
        let what = format!("an expression that nests {deepest} deep");
        return too_large(what, format!("questions nest at most {SQL_DEPTH_MAX} deep"));
    }
    let relations = sql.matches("FROM ").count() + sql.matches("JOIN ").count();
    if relations > SQL_RELATIONS_MAX {
        let what = format!("paths through {relations} datasets");
        return too_large(what, format!("one question reads at most {SQL_RELATIONS_MAX}"));
    }
    Ok(())
}

/// How far down a parser of SQL goes: one step for a parenthesis, another for the operator in front
/// of it, and more for a subquery.
fn parser_depth(sql: &str) -> usize {
    let (mut open, mut depth, mut deepest) = (Vec::new(), 0, 0);
    for (at, byte) in sql.bytes().enumerate() {
        if byte == b'(' {
            let before = sql[..at].trim_end();
            let operator = before.ends_with(|c: char| !c.is_alphanumeric() && !"(,_".contains(c))
                || ["AND", "OR", "NOT"].iter().any(|word| before.ends_with(word));
            let subquery = sql[at + 1..].starts_with("SELECT");
            let steps = 1 + usize::from(operator) + if subquery { SUBQUERY_DEPTH } else { 0 };
            open.push(steps);
            depth += steps;
            deepest = deepest.max(depth);
        } else if byte == b')' {
            depth -= open.pop().unwrap_or(0);
        }
    }
    deepest
}

pub(super) const TRUE: &str = "TRUE";
pub(super) const FALSE: &str = "FALSE";

/// Joined so that it stands as an operand anywhere below `NOT`, `AND` and `OR`.
pub(super) fn all(operands: Vec<String>) -> String {
    if operands.iter().any(|operand| operand == FALSE) {
        return FALSE.to_owned();
    }
    join(operands, "AND", TRUE)
}

pub(super) fn any(operands: Vec<String>) -> String {
    if operands.iter().any(|operand| operand == TRUE) {
        return TRUE.to_owned();
    }
    join(operands, "OR", FALSE)
}

/// `none` is what no operands are, and what an operand may be left out for.
fn join(mut operands: Vec<String>, word: &str, none: &str) -> String {
    operands.retain(|operand| operand != none);
    while operands.len() > CHAIN_OPERANDS_MAX {
        operands = operands
            .chunks(CHAIN_OPERANDS_MAX)
            .map(|chunk| join(chunk.to_vec(), word, none))
            .collect();
    }
    match operands.len() {
        0 => none.to_owned(),
        1 => operands.remove(0),
        _ => format!("({})", operands.join(&format!(" {word} "))),
    }
}

/// The other truth of an operand that is true, false or null: null stays null.
pub(super) fn not(operand: &str) -> String {
    match operand {
        TRUE => FALSE.to_owned(),
        FALSE => TRUE.to_owned(),
        _ => format!("(NOT {operand})"),
    }
}

/// True where the operand is false or null.
pub(super) fn is_not_true(operand: &str) -> String {
    match operand {
        TRUE => FALSE.to_owned(),
        FALSE => TRUE.to_owned(),
        _ => format!("({operand} IS NOT TRUE)"),
    }
}

/// A SELECT on its way.
#[derive(Debug, Default)]
pub(super) struct Select {
    pub columns: Vec<String>,
    /// The first is a dataset, the others are joins.
    pub from: Vec<String>,
    pub filter: Vec<String>,
    pub group: usize,
    pub order: Vec<String>,
    pub limit: Option<u64>,
    pub offset: u64,
}

impl Select {
    pub fn print(&self) -> String {
        let mut sql = format!("SELECT {}", self.columns.join(", "));
        let _ = write!(sql, "\nFROM {}", self.from.join("\n  "));
        let filter: Vec<&str> =
            self.filter.iter().map(String::as_str).filter(|part| *part != TRUE).collect();
        if !filter.is_empty() {
            let _ = write!(sql, "\nWHERE {}", filter.join(" AND "));
        }
        if self.group > 0 {
            let numbers: Vec<String> = (1..=self.group).map(|number| number.to_string()).collect();
            let _ = write!(sql, "\nGROUP BY {}", numbers.join(", "));
        }
        if !self.order.is_empty() {
            let _ = write!(sql, "\nORDER BY {}", self.order.join(", "));
        }
        if let Some(limit) = self.limit {
            let _ = write!(sql, "\nLIMIT {limit}");
        }
        if self.offset > 0 {
            let _ = write!(sql, " OFFSET {}", self.offset);
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_as_they_stand() {
        let mut parameters = Parameters::default();
        let (first, _) = (parameters.text("a"), parameters.text("unused"));
        let third = parameters.text("c");
        let sql = format!("{third} = {first} OR {third} = x");
        let statement = parameters.statement(&sql, "$filter", Span::default()).unwrap();
        assert_eq!(statement.sql, "$1 = $2 OR $1 = x");
        assert_eq!(statement.parameters, [Value::Text("c".into()), Value::Text("a".into())]);
    }

    #[test]
    fn long_chains_are_put_in_parentheses() {
        let operands: Vec<String> = (0..500).map(|n| format!("a = {n}")).collect();
        let joined = any(operands);
        assert_eq!(joined.matches("a = ").count(), 500);
        let widest = joined.split('(').map(|part| part.matches(" OR ").count()).max();
        assert!(widest.unwrap() <= CHAIN_OPERANDS_MAX);
    }

    #[test]
    fn what_decides_decides() {
        assert_eq!(all(vec!["a".into(), FALSE.into()]), FALSE);
        assert_eq!(any(vec!["a".into(), FALSE.into()]), "a");
        assert_eq!(all(vec![]), TRUE);
    }
}
