//! A pack's file as text, and how byte offsets in it become places.
//!
//! Knows neither TOML nor CSV.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostics::Diagnostic;
use crate::model::Place;
use crate::sql::SqlPosition;

/// Longer files are refused: a pack is text that people write, not a data store.
const FILE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct SourceFile {
    pub name: Arc<str>,
    pub text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// Reads a file of the pack; `name` is its path relative to the pack's folder.
    pub fn read(dir: &Path, name: &str) -> Result<Arc<Self>, Diagnostic> {
        let start = Place { file: name.into(), line: 1, column: 1 };
        let bytes = std::fs::read(dir.join(name)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Diagnostic::new(start.clone(), "the file is missing")
                .mend("every pack has one: write it"),
            _ => Diagnostic::new(start.clone(), format!("cannot read the file: {error}")),
        })?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Diagnostic::new(start, "the file is too large")
                .expected(format!("at most {FILE_BYTES_MAX} bytes"))
                .found(bytes.len().to_string()));
        }
        String::from_utf8(bytes).map(|text| Self::of_text(name, text)).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let bad = error.as_bytes()[good.len()];
            let file = Self::of_text(name, String::from_utf8_lossy(good).into_owned());
            Diagnostic::new(file.place(good.len()), "the file is not UTF-8")
                .found(format!("byte 0x{bad:02x}"))
                .mend("save it as UTF-8; Chinese Windows programs may write GB18030")
        })
    }

    pub fn of_text(name: &str, text: String) -> Arc<Self> {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { name: name.into(), text, line_starts })
    }

    /// The place of a byte offset.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        let column = 1 + self.text.get(start..offset).map_or(0, |before| before.chars().count());
        let number = |n: usize| u32::try_from(n).expect("files are bounded by FILE_BYTES_MAX");
        Place { file: self.name.clone(), line: number(line), column: number(column) }
    }

    /// The place of line `line` (from 1), column `column`.
    pub fn place_at(&self, line: u32, column: u32) -> Place {
        Place { file: self.name.clone(), line, column }
    }
}

/// Where each value of one definition stands, by dotted path: `owner`, `masks.phone`, `key.0`.
#[derive(Debug, Clone)]
pub(crate) struct Sites {
    pub file: Arc<SourceFile>,
    pub own: usize,
    pub spans: BTreeMap<String, Range<usize>>,
}

impl Sites {
    /// The value's place, or the definition's own where the path is not written.
    pub fn place(&self, path: &str) -> Place {
        self.file.place(self.spans.get(path).map_or(self.own, |span| span.start))
    }

    /// The place of a position within an expression that is the string at `path`. Where the
    /// string is written with escapes, its start.
    pub fn sql_place(&self, path: &str, sql: &str, position: Option<SqlPosition>) -> Place {
        let Some((span, position)) = self.spans.get(path).zip(position) else {
            return self.place(path);
        };
        let written = &self.file.text[span.clone()];
        let Some(body) = written.find(sql).filter(|_| !sql.is_empty()) else {
            return self.place(path);
        };
        let line =
            sql.split('\n').nth((position.line as usize).saturating_sub(1)).unwrap_or_default();
        let line_start = line.as_ptr() as usize - sql.as_ptr() as usize;
        let before = line.char_indices().nth((position.column as usize).saturating_sub(1));
        let column = before.map_or(line.len(), |(at, _)| at);
        self.file.place(span.start + body + line_start + column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_character_columns() {
        let file = SourceFile::of_text("a.toml", "名 = 1\nb = 2\n".to_owned());
        let at = |offset| {
            let place = file.place(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at("名 ".len()), (1, 3));
        assert_eq!(at("名 = 1\n".len()), (2, 1));
        assert_eq!(at(999), (3, 1));
    }
}
