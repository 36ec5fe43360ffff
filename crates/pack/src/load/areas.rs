//! Reads `areas.csv`: `code,level,parent,zh,en[,wkt]`, after note lines that begin with `#`.
//!
//! Judges a line by itself; the tree is `check`'s.

use std::sync::Arc;

use crate::diagnostics::Diagnostic;
use crate::model::{Area, AreaLevel, Place, Text};
use crate::reader::Faults;
use crate::source::SourceFile;

/// More areas than any city has, grids included.
const AREAS_MAX: usize = 1_000_000;

const COLUMNS: [&str; 5] = ["code", "level", "parent", "zh", "en"];
const GEOMETRY_COLUMN: &str = "wkt";

const LEVELS: [(&str, AreaLevel); 6] = [
    ("city", AreaLevel::City),
    ("district", AreaLevel::District),
    ("street", AreaLevel::Street),
    ("community", AreaLevel::Community),
    ("grid", AreaLevel::Grid),
    ("micro_grid", AreaLevel::MicroGrid),
];

/// `None` where the file as a whole is not one of areas.
pub(super) fn read(file: &Arc<SourceFile>, faults: &Faults) -> Option<Vec<Area>> {
    let note = |fault: Diagnostic| faults.borrow_mut().push(fault);
    let mut lines = (1_u32..).zip(file.text.lines()).skip_while(|(_, line)| line.starts_with('#'));

    let Some((header_line, header)) = lines.next() else {
        note(
            Diagnostic::new(file.place(0), "the file has no header")
                .expected(format!("`{}`", COLUMNS.join(","))),
        );
        return None;
    };
    let header: Vec<String> = cells(header).into_iter().map(|cell| cell.text).collect();
    let geometry = match header.split_at_checked(COLUMNS.len()) {
        Some((known, [])) if known == COLUMNS => false,
        Some((known, [last])) if known == COLUMNS && last == GEOMETRY_COLUMN => true,
        _ => {
            note(
                Diagnostic::new(file.place_at(header_line, 1), "wrong header")
                    .expected(format!("`{}` and perhaps `,{GEOMETRY_COLUMN}`", COLUMNS.join(",")))
                    .found(format!("`{}`", header.join(","))),
            );
            return None;
        }
    };

    let mut areas = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.is_empty()) {
        if areas.len() == AREAS_MAX {
            note(
                Diagnostic::new(file.place_at(line, 1), "too many areas")
                    .expected(format!("at most {AREAS_MAX}")),
            );
            break;
        }
        let cells = cells(text);
        let expected = COLUMNS.len() + usize::from(geometry);
        if cells.len() != expected {
            note(
                Diagnostic::new(file.place_at(line, 1), "wrong number of columns")
                    .expected(expected.to_string())
                    .found(cells.len().to_string())
                    .mend("put texts that hold commas in double quotes"),
            );
            continue;
        }
        let place = |column: usize| file.place_at(line, cells[column].column);
        areas.extend(area(&cells, place, note));
    }
    Some(areas)
}

fn area(cells: &[Cell], place: impl Fn(usize) -> Place, note: impl Fn(Diagnostic)) -> Option<Area> {
    let text = |column: usize| cells.get(column).map(|cell| cell.text.clone()).unwrap_or_default();
    let optional = |column: usize| Some(text(column)).filter(|text| !text.is_empty());
    for (column, name) in [(0, "code"), (3, "zh")] {
        if text(column).is_empty() {
            note(Diagnostic::new(place(column), format!("`{name}` is missing")).expected("a text"));
            return None;
        }
    }
    let level = LEVELS.iter().find(|(name, _)| *name == text(1));
    let Some((_, level)) = level else {
        note(
            Diagnostic::new(place(1), format!("unknown level `{}`", text(1)))
                .suggest(&text(1), LEVELS.iter().map(|(name, _)| *name)),
        );
        return None;
    };
    // Streets and communities rarely have an English name; theirs is then the Chinese one.
    let en = optional(4).unwrap_or_else(|| text(3));
    Some(Area {
        code: text(0),
        level: *level,
        parent: optional(2),
        name: Text { zh: text(3), en },
        geometry_wkt: optional(5),
        place: place(0),
    })
}

struct Cell {
    text: String,
    /// Where it begins in its line, from 1, in characters.
    column: u32,
}

/// One line's cells. Cells hold no line breaks, so lines are read one by one and know their
/// place, which a CSV reader does not tell of a cell.
fn cells(line: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut characters = (1_u32..).zip(line.chars()).peekable();
    loop {
        let column = characters.peek().map_or_else(
            || u32::try_from(line.chars().count()).unwrap_or(u32::MAX).saturating_add(1),
            |(column, _)| *column,
        );
        let mut text = String::new();
        let mut quoted = false;
        let mut ended = true;
        while let Some((_, character)) = characters.next() {
            match character {
                '"' if !quoted && text.is_empty() => quoted = true,
                '"' if quoted && characters.next_if(|(_, next)| *next == '"').is_some() => {
                    text.push('"');
                }
                '"' if quoted => quoted = false,
                ',' if !quoted => {
                    ended = false;
                    break;
                }
                character => text.push(character),
            }
        }
        cells.push(Cell { text: text.trim().to_owned(), column });
        if ended {
            return cells;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_know_their_columns() {
        let line = "锦江区,\"a,\"\"b\"\"\",,x";
        let found: Vec<_> = cells(line).into_iter().map(|cell| (cell.text, cell.column)).collect();
        let expected = [("锦江区", 1), ("a,\"b\"", 5), ("", 15), ("x", 16)];
        assert_eq!(found, expected.map(|(text, column)| (text.to_owned(), column)));
    }
}
