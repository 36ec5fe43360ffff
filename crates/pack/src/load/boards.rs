//! Reads a board: one file, one board.
//!
//! Judges what a value says by itself; roles, units and queries are `check`'s.

use crate::diagnostics::Diagnostic;
use crate::model::{Better, Board, Tile, TileColumn, TileKind};
use crate::reader::Table;

/// A board is quarters wide.
const WIDTH_MAX: i64 = 4;

const KINDS: [(&str, TileKind); 4] = [
    ("number", TileKind::Number),
    ("line", TileKind::Line),
    ("bar", TileKind::Bar),
    ("table", TileKind::Table),
];

const BETTER: [(&str, Better); 2] = [("higher", Better::Higher), ("lower", Better::Lower)];

pub(super) fn board(table: &Table<'_>) -> Board {
    let tiles = table.tables("tile");
    if tiles.is_empty() {
        table.fault(
            Diagnostic::new(table.own_place(), "the board has no tiles").mend("add a `[[tile]]`"),
        );
    }
    Board {
        id: table.text("id"),
        title: table.label("title"),
        description: table.label_if("description").unwrap_or_default(),
        roles: table.texts("roles"),
        home_for: table.texts("home_for"),
        tiles: tiles.iter().map(tile).collect(),
        place: table.own_place(),
    }
}

fn tile(table: &Table<'_>) -> Tile {
    let width = table.integer_if("width", 1..WIDTH_MAX + 1).unwrap_or(1);
    let read = Tile {
        id: table.text("id"),
        title: table.label("title"),
        note: table.label_if("note").unwrap_or_default(),
        kind: table.choice("kind", &KINDS),
        unit: table.text_if("unit"),
        width: u8::try_from(width).expect("bounded above"),
        sql: table.text("sql"),
        target: table.number_if("target"),
        floor: table.number_if("floor"),
        better: table.choice_if("better", &BETTER),
        columns: table.tables("column").iter().map(column).collect(),
        place: table.own_place(),
    };
    table.finish();
    read
}

fn column(table: &Table<'_>) -> TileColumn {
    let read = TileColumn {
        name: table.text("name"),
        title: table.label("title"),
        unit: table.text_if("unit"),
        labels: table.labels("labels"),
        place: table.own_place(),
    };
    table.finish();
    read
}
