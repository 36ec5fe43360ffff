//! Boards: the roles that they are for, and whether their queries plan.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use super::{Names, known, plain_name, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::model::{Board, Tile, TileKind};
use crate::platform;
use crate::sql;

/// More than a person takes in, and more than a city should be asked at once.
const TILES_MAX: usize = 24;

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let boards = &draft.boards;
    unique("board", boards.iter().map(|b| (b.value.id.as_str(), b.sites.place("id"))), names);
    let homes = boards.iter().flat_map(|board| {
        let place = move |index: usize| board.sites.place(&format!("home_for.{index}"));
        let roles = board.value.home_for.iter().enumerate();
        roles.map(move |(index, role)| (role.as_str(), place(index)))
    });
    unique("home of the role", homes, names);
    // Where a contract could not be read, what does not plan may not be the query's fault.
    let whole = !draft.unread.datasets && draft.datasets.iter().all(|dataset| dataset.sound);
    let schemas = whole.then(|| schemas(draft));
    for board in boards {
        head(board, names);
        for (index, tile) in board.value.tiles.iter().enumerate() {
            parts(board, index, tile, names);
            if let Some(schemas) = schemas.as_ref().filter(|_| !tile.sql.is_empty()) {
                query(board, index, tile, schemas, names);
            }
        }
    }
}

fn schemas(draft: &Draft) -> BTreeMap<String, SchemaRef> {
    let own = platform::contracts("");
    let all = draft.datasets.iter().map(|dataset| &dataset.value).chain(&own);
    all.filter(|contract| {
        let mut fields: Vec<&str> = contract.fields.iter().map(|f| f.name.as_str()).collect();
        fields.sort_unstable();
        fields.windows(2).all(|pair| pair[0] != pair[1])
    })
    .map(|contract| (contract.id.clone(), contract.arrow_schema()))
    .collect()
}

fn head(Sited { value, sites, .. }: &Sited<Board>, names: &Names<'_>) {
    if !value.id.is_empty() && !plain_name(&value.id) {
        names.fault(
            Diagnostic::new(sites.place("id"), "bad board id")
                .expected("small letters, digits and `_`"),
        );
    }
    for (key, roles) in [("roles", &value.roles), ("home_for", &value.home_for)] {
        for (index, role) in roles.iter().enumerate() {
            names.role(role, || sites.place(&format!("{key}.{index}")));
        }
    }
    for (index, role) in value.home_for.iter().enumerate() {
        if !value.roles.is_empty() && !value.roles.contains(role) {
            let place = sites.place(&format!("home_for.{index}"));
            names.fault(
                Diagnostic::new(place, format!("`{role}` has a home that it is not offered"))
                    .mend("add it to `roles`"),
            );
        }
    }
    if value.tiles.len() > TILES_MAX {
        names.fault(
            Diagnostic::new(sites.place("id"), "too many tiles on the board")
                .expected(format!("at most {TILES_MAX}"))
                .found(value.tiles.len().to_string()),
        );
    }
    let tiles = value.tiles.iter().enumerate();
    let ids = tiles.map(|(index, tile)| (tile.id.as_str(), sites.place(&format!("tile.{index}"))));
    unique("tile", ids, names);
}

fn parts(board: &Sited<Board>, index: usize, tile: &Tile, names: &Names<'_>) {
    let site = |key: &str| board.sites.place(&format!("tile.{index}.{key}"));
    if let Some(unit) = &tile.unit {
        names.unit(unit, || site("unit"));
    }
    for (nth, column) in tile.columns.iter().enumerate() {
        if let Some(unit) = &column.unit {
            names.unit(unit, || site(&format!("column.{nth}.unit")));
        }
    }
    if (tile.target.is_some() || tile.floor.is_some()) && tile.better.is_none() {
        names.fault(
            Diagnostic::new(site("id"), "a target or floor without a direction")
                .mend("add `better = \"higher\"` or `better = \"lower\"`"),
        );
    }
}

fn query(
    board: &Sited<Board>,
    index: usize,
    tile: &Tile,
    schemas: &BTreeMap<String, SchemaRef>,
    names: &Names<'_>,
) {
    let site = |key: &str| board.sites.place(&format!("tile.{index}.{key}"));
    let datasets = schemas.iter().map(|(id, schema)| (id.as_str(), schema.clone())).collect();
    let shape = match sql::shape(&tile.sql, &datasets) {
        Ok(shape) => shape,
        Err(fault) => {
            let path = format!("tile.{index}.sql");
            let place = board.sites.sql_place(&path, &tile.sql, fault.position);
            let mut diagnostic = Diagnostic::new(place, fault.problem);
            diagnostic.expected = fault.expected;
            diagnostic.found = fault.found;
            diagnostic.mend = fault.mend;
            return names.fault(diagnostic);
        }
    };
    let answered: Vec<&str> = shape.schema.fields().iter().map(|f| f.name().as_str()).collect();
    for (nth, column) in tile.columns.iter().enumerate() {
        let place = || site(&format!("column.{nth}.name"));
        known("column of the answer", &column.name, answered.iter().copied(), place, names);
    }
    let numbers = |columns: &[&str]| {
        let wanted =
            |name: &&str| shape.word(name).is_some_and(|w| w == "integer" || w == "number");
        columns.iter().all(wanted)
    };
    let (fits, expected) = match tile.kind {
        TileKind::Number => {
            (numbers(answered.get(..1).unwrap_or_default()), "a number in the first column")
        }
        TileKind::Line | TileKind::Bar => (
            answered.len() > 1 && numbers(&answered[1..]),
            "a first column and numbers in the others",
        ),
        TileKind::Table => (true, ""),
    };
    if !fits {
        let words = answered.iter().filter_map(|name| shape.word(name)).collect::<Vec<_>>();
        names.fault(
            Diagnostic::new(site("sql"), "the answer cannot be drawn so")
                .expected(expected)
                .found(words.join(", ")),
        );
    }
}
