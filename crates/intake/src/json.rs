//! JSON lines, GeoJSON feature collections and plain arrays of objects, streamed.
//!
//! Neither form is parsed whole: the stream is cut into objects by counting braces outside
//! strings, and the objects are parsed in parallel like lines of CSV. A feature's properties are
//! columns beside `id` and `geometry`; nested values are kept as JSON text.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memchr::{memchr, memchr_iter, memchr2, memchr3, memrchr};
use pack::{Crs, FieldType, ImportMapping};
use serde_json::{Map, Value};

use crate::blocks::{Block, Blocks};
use crate::bounds::{
    BLOCK_BYTES, BLOCK_WIDE_BYTES, CELLS_PER_BLOCK_MAX, COLUMNS_MAX, JSON_OBJECT_BYTES_MAX,
    RECORD_BYTES_MAX, SAMPLE_BYTES, SAMPLE_RECORDS,
};
use crate::error::IntakeError;
use crate::options::Format;
use crate::pipeline::{Piece, Work};
use crate::plan::{GEOMETRY_COLUMN, Plan, Source};
use crate::table::{Fault, Table};
use crate::text::{bare_name, normal_name};
use crate::{Opened, Read, geometry, rows, source};

const SHORTEST_OBJECT: &str = "{},";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Lines,
    /// Objects between brackets, commas between them.
    Array,
}

pub fn open<'a>(read: &Read<'a>, format: Format) -> Result<Opened<'a>, IntakeError> {
    let mut source = source::open(&read.path, read.options.encoding.as_deref())?;
    let error = |source| IntakeError::Read { path: read.path.clone(), source };
    let mut head = Vec::new();
    (&mut source.reader).take(SAMPLE_BYTES as u64).read_to_end(&mut head).map_err(error)?;
    let (shape, start, crs) = match format {
        Format::JsonLines => (Shape::Lines, 0, None),
        _ => array_start(&head)?,
    };
    let skipped = head.drain(..start).collect::<Vec<u8>>();
    let skip_lines = memchr_iter(b'\n', &skipped).count() as u64;
    // A sample needs whole objects: a first object longer than it is read to its end.
    let reader = Cursor::new(head).chain(source.reader);
    let array_ended = Arc::new(AtomicBool::new(false));
    let mut blocks = blocks(Box::new(reader), shape, BLOCK_WIDE_BYTES, Arc::clone(&array_ended));
    let first = blocks.next().map_err(error)?;
    let first = first.ok_or_else(|| IntakeError::Empty { path: read.path.clone() })?;
    let names = names(&first.text, shape);
    if names.is_empty() {
        return Err(IntakeError::Content {
            format: format.name(),
            problem: "no objects in it".to_owned(),
        });
    }
    if names.len() > COLUMNS_MAX {
        return Err(IntakeError::TooManyColumns { found: names.len(), max: COLUMNS_MAX });
    }
    let columns = names.len();
    let (plan, mut drift, mapping) = read.plan(names, source.transcoded, crs)?;
    let (plan, late) = with_late_columns(read, plan, mapping, source.transcoded, crs);
    let keys = Arc::new(Keys::new(&plan, late, read.strict(mapping)));
    let sample = table(&keys, first.clone(), shape);
    drift.retyped = rows::retyped(&plan, &sample, SAMPLE_RECORDS);
    let again = Cursor::new(first.text).chain(blocks.into_reader());
    let block_bytes = if plan.wide.is_some() { BLOCK_WIDE_BYTES } else { BLOCK_BYTES };
    // Even if every object were the shortest there is, its nulls are cells.
    let objects_max = CELLS_PER_BLOCK_MAX / columns;
    let block_bytes = block_bytes.min(objects_max * SHORTEST_OBJECT.len());
    array_ended.store(false, Ordering::Relaxed);
    let pieces = Pieces {
        blocks: self::blocks(Box::new(again), shape, block_bytes, Arc::clone(&array_ended))
            .starting_on(1 + skip_lines),
        shape,
        keys,
        array_ended,
        finished: false,
        position: source.position,
        path: read.path.clone(),
        format,
    };
    Ok(Opened { plan, drift, mapping, work: Box::new(pieces) })
}

fn blocks(
    reader: Box<dyn std::io::Read + Send>,
    shape: Shape,
    block_bytes: usize,
    ended: Arc<AtomicBool>,
) -> Blocks {
    match shape {
        Shape::Lines => {
            let cut = |text: &[u8], _| memrchr(b'\n', text).map_or(0, |newline| newline + 1);
            Blocks::new(reader, block_bytes, RECORD_BYTES_MAX, Box::new(cut))
        }
        Shape::Array => {
            let cut = move |text: &[u8], last: bool| {
                let mut objects = Objects { text, at: 0, ended: false };
                let mut end = 0;
                while let Some(object) = objects.next().filter(|object| object.whole || last) {
                    end = objects.at;
                    if !object.whole {
                        // A bad row tells of it; the end that is missing need not be told too.
                        ended.store(true, Ordering::Relaxed);
                    }
                }
                if objects.ended {
                    ended.store(true, Ordering::Relaxed);
                    return objects.at;
                }
                end
            };
            Blocks::new(reader, block_bytes, JSON_OBJECT_BYTES_MAX, Box::new(cut))
        }
    }
}

/// Finds where the array of objects begins, and what coordinates the collection says it has.
fn array_start(head: &[u8]) -> Result<(Shape, usize, Option<Crs>), IntakeError> {
    let problem =
        |problem: &str| IntakeError::Content { format: "GeoJSON", problem: problem.to_owned() };
    let first = head.iter().position(|byte| !byte.is_ascii_whitespace());
    match first.map(|at| (at, head[at])) {
        Some((at, b'[')) => return Ok((Shape::Array, at + 1, None)),
        Some((_, b'{')) => {}
        _ => return Err(problem("it begins with neither { nor [")),
    }
    // One object a line, whatever the name says: a newline follows a whole object.
    let mut objects = Objects { text: head, at: 0, ended: false };
    if let Some(object) = objects.next()
        && object.whole
        && next_object_follows(&head[objects.at..])
    {
        return Ok((Shape::Lines, 0, None));
    }
    let found = member(head, b"features");
    let found = found.ok_or_else(|| problem("no `features` within its first bytes"))?;
    let open = memchr(b'[', &head[found..])
        .filter(|offset| head[found..found + offset].iter().all(u8::is_ascii_whitespace));
    let open = open.ok_or_else(|| problem("`features` is no array"))?;
    let crs = member(&head[..found], b"crs").map(|at| named_crs(&head[at..found])).transpose()?;
    Ok((Shape::Array, found + open + 1, crs.flatten()))
}

fn next_object_follows(rest: &[u8]) -> bool {
    let newline = memchr(b'\n', rest);
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    newline.is_some() && next == Some(&b'{')
}

/// Where the value of a member of the outermost object begins.
fn member(text: &[u8], name: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0u32);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let end = string_end(text, at)?;
                let rest = &text[end..];
                let colon = rest.iter().position(|byte| !byte.is_ascii_whitespace());
                let colon = colon.filter(|colon| rest[*colon] == b':');
                if let Some(colon) = colon
                    && depth == 1
                    && &text[at + 1..end - 1] == name
                {
                    return Some(end + colon + 1);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// GeoJSON of before 2016 may name its coordinate system.
fn named_crs(text: &[u8]) -> Result<Option<Crs>, IntakeError> {
    let mut objects = Objects { text, at: 0, ended: false };
    let Some(object) = objects.next().filter(|object| object.whole) else { return Ok(None) };
    let value: Value = serde_json::from_slice(&text[object.start..object.end]).unwrap_or_default();
    let name = value.pointer("/properties/name").and_then(Value::as_str).unwrap_or_default();
    crs_of(name).map(Some)
}

/// A coordinate system by its authority's code.
pub fn crs_of(name: &str) -> Result<Crs, IntakeError> {
    let code = name.rsplit(':').next().unwrap_or_default().to_ascii_uppercase();
    match code.as_str() {
        "CRS84" | "4326" | "4979" | "CRS84H" | "" => Ok(Crs::Wgs84),
        "4490" | "4480" => Ok(Crs::Cgcs2000),
        _ => Err(IntakeError::Crs { found: name.to_owned() }),
    }
}

/// The end of the string that begins at `at`, behind its closing quote.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Walks over the objects of an array whose opening bracket has been passed.
struct Objects<'a> {
    text: &'a [u8],
    /// Behind the last object given out.
    at: usize,
    /// The closing bracket has been passed.
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Object {
    start: usize,
    end: usize,
    /// False: the text ends within it, or it is no object.
    whole: bool,
}

impl Objects<'_> {
    fn next(&mut self) -> Option<Object> {
        let passed = |byte: &u8| !byte.is_ascii_whitespace() && *byte != b',';
        let start = self.at + self.text.get(self.at..)?.iter().position(passed)?;
        match self.text[start] {
            b']' => {
                self.at = start + 1;
                self.ended = true;
                None
            }
            b'{' => {
                let end = object_end(self.text, start);
                self.at = end.unwrap_or(self.text.len());
                Some(Object { start, end: self.at, whole: end.is_some() })
            }
            _ => {
                // Not an object: a bad record up to the next separator.
                let end = memchr3(b',', b']', b'\n', &self.text[start..]);
                self.at = end.map_or(self.text.len(), |end| start + end);
                Some(Object { start, end: self.at, whole: end.is_some() })
            }
        }
    }
}

/// The end of the object that begins at `start`, by its braces.
fn object_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0usize);
    loop {
        at += memchr3(b'{', b'}', b'"', text.get(at..)?)?;
        match text[at] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {
                at = string_end(text, at)?;
                continue;
            }
        }
        at += 1;
    }
}

/// Calls `take` with each object's range and line.
fn each_object(text: &[u8], shape: Shape, first_line: u64, mut take: impl FnMut(Object, u64)) {
    let (mut counted, mut line) = (0, first_line);
    let mut with_line = |object: Object| {
        line += memchr_iter(b'\n', &text[counted..object.start]).count() as u64;
        counted = object.start;
        take(object, line);
    };
    match shape {
        Shape::Array => {
            let mut objects = Objects { text, at: 0, ended: false };
            while let Some(object) = objects.next() {
                with_line(object);
            }
        }
        Shape::Lines => {
            let mut start = 0;
            while start < text.len() {
                let end = memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end);
                if !text[start..end].trim_ascii().is_empty() {
                    with_line(Object { start, end, whole: true });
                }
                start = end + 1;
            }
        }
    }
}

/// The columns of the first objects, in the order of their first appearance.
fn names(text: &[u8], shape: Shape) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut known = std::collections::HashSet::new();
    let mut count = 0;
    each_object(text, shape, 1, |object, _| {
        count += 1;
        if count > SAMPLE_RECORDS || !object.whole {
            return;
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(&text[object.start..object.end])
        else {
            return;
        };
        each_member(&object, |name, _| {
            if known.insert(name.to_owned()) {
                names.push(name.to_owned());
            }
        });
    });
    names
}

/// The columns of an object; of a feature its properties, `id` and `geometry`.
fn each_member<'a>(object: &'a Map<String, Value>, mut take: impl FnMut(&'a str, &'a Value)) {
    let feature = object.get("type").and_then(Value::as_str) == Some("Feature");
    if !feature {
        object.iter().for_each(|(name, value)| take(name, value));
        return;
    }
    let properties = object.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().for_each(|(name, value)| take(name, value));
    let has = |name| properties.is_some_and(|properties| properties.contains_key(name));
    for name in ["id", GEOMETRY_COLUMN] {
        if let Some(value) = object.get(name)
            && !has(name)
        {
            take(name, value);
        }
    }
}

/// The plan with a column for each field that no key of the first objects fills. Keys may be left
/// out where they have no value, so that one may turn up at any object; and the columns, by their
/// normal names.
fn with_late_columns(
    read: &Read<'_>,
    plan: Plan,
    mapping: Option<&ImportMapping>,
    transcoded: bool,
    crs: Option<Crs>,
) -> (Plan, HashMap<String, usize>) {
    let mut names = plan.header.names.clone();
    let mut late = HashMap::new();
    for (field, planned) in read.contract.fields.iter().zip(&plan.fields) {
        if !matches!(planned.source, Source::Absent) || plan.header.find(&field.name).is_some() {
            continue;
        }
        let titles = [&field.name, &field.title.zh, &field.title.en];
        for name in titles.into_iter().chain(&field.aliases).filter(|name| !name.is_empty()) {
            late.entry(normal_name(name)).or_insert(names.len());
        }
        if field.ty == FieldType::Geometry {
            late.entry(GEOMETRY_COLUMN.to_owned()).or_insert(names.len());
        }
        names.push(field.name.clone());
    }
    if late.is_empty() {
        return (plan, late);
    }
    match read.plan(names, transcoded, crs) {
        Ok((wider, _, again)) if again.map(|m| &m.id) == mapping.map(|m| &m.id) => (wider, late),
        _ => (plan, HashMap::new()),
    }
}

/// Which column a key is.
struct Keys {
    columns: HashMap<String, usize>,
    /// Columns that the first objects lack, by all names that their fields go by.
    late: HashMap<String, usize>,
    /// Cells of a record.
    width: usize,
    /// A key of no column spoils its row.
    strict: bool,
}

impl Keys {
    fn new(plan: &Plan, late: HashMap<String, usize>, strict: bool) -> Self {
        let names = plan.header.names.iter().enumerate();
        let columns = names.map(|(column, name)| (name.clone(), column)).collect();
        Self { columns, late, width: plan.header.names.len(), strict }
    }

    fn column(&self, key: &str) -> Option<usize> {
        let known = self.columns.get(key);
        if known.is_some() || self.late.is_empty() {
            return known.copied();
        }
        self.late.get(&normal_name(key)).or_else(|| self.late.get(&bare_name(key))).copied()
    }
}

struct Pieces {
    blocks: Blocks,
    shape: Shape,
    keys: Arc<Keys>,
    array_ended: Arc<AtomicBool>,
    finished: bool,
    position: Arc<AtomicU64>,
    path: PathBuf,
    format: Format,
}

impl Pieces {
    /// An array that the file does not close was cut off, even if between two objects.
    fn missing_end(&mut self) -> Option<(Piece, u64)> {
        if self.shape == Shape::Lines || self.array_ended.load(Ordering::Relaxed) {
            return None;
        }
        self.finished = true;
        let (width, line) = (self.keys.width, self.blocks.line());
        let piece = move |_: &Plan| {
            let mut table = Table::new(width);
            let problem = "expected the array's closing ], found the file's end: it is cut off";
            table.end_faulty(0, 0, line, Fault::Syntax(problem.to_owned()));
            Ok(table)
        };
        Some((Box::new(piece), self.position.load(Ordering::Relaxed)))
    }
}

impl Work for Pieces {
    fn next(&mut self) -> Result<Option<(Piece, u64)>, IntakeError> {
        if self.finished {
            return Ok(None);
        }
        let block = self.blocks.next();
        let block =
            block.map_err(|source| IntakeError::Read { path: self.path.clone(), source })?;
        let Some(block) = block else { return Ok(self.missing_end()) };
        // What follows the array is not its business.
        self.finished = self.array_ended.load(Ordering::Relaxed);
        if block.oversized && self.shape == Shape::Array {
            let line = block.first_line;
            let problem =
                format!("an object of more than {JSON_OBJECT_BYTES_MAX} bytes at line {line}");
            return Err(IntakeError::Content { format: self.format.name(), problem });
        }
        let (keys, shape) = (Arc::clone(&self.keys), self.shape);
        let piece = move |_: &Plan| Ok(table(&keys, block, shape));
        Ok(Some((Box::new(piece), self.position.load(Ordering::Relaxed))))
    }
}

fn table(keys: &Keys, block: Block, shape: Shape) -> Table {
    let mut table = Table::new(keys.width);
    let first_line = block.first_line;
    if block.oversized {
        table.end_faulty(0, block.text.len(), first_line, Fault::TooLong);
    } else {
        let mut cells: Vec<Option<Vec<u8>>> = vec![None; keys.width];
        each_object(&block.text, shape, first_line, |object, line| {
            let text = &block.text[object.start..object.end];
            match fill(keys, text, object.whole, &mut cells) {
                Ok(()) => {
                    for cell in &mut cells {
                        match cell.take() {
                            Some(value) => table.push_scratch(&value),
                            None => table.push_null(),
                        }
                    }
                    table.end_record(object.start, object.end, line);
                }
                Err(fault) => {
                    cells.fill(None);
                    table.end_faulty(object.start, object.end, line, fault);
                }
            }
        });
    }
    table.body = block.text;
    table
}

/// Puts an object's values into the cells of its columns.
fn fill(keys: &Keys, text: &[u8], whole: bool, cells: &mut [Option<Vec<u8>>]) -> Result<(), Fault> {
    if !whole {
        return Err(Fault::Syntax("expected a JSON object, found none that ends".to_owned()));
    }
    let object: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|error| Fault::Syntax(format!("expected a JSON object: {error}")))?;
    let mut new = None;
    each_member(&object, |name, value| match keys.column(name) {
        Some(column) => cells[column] = cell(name, value),
        None if keys.strict && !value.is_null() => new = Some(name.to_owned()),
        None => {}
    });
    new.map_or(Ok(()), |name| Err(Fault::NewColumn(name)))
}

/// A value as a cell: texts plain, geometries as WKB still in the file's coordinates.
fn cell(name: &str, value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Object(_) if name == GEOMETRY_COLUMN => {
            let wkb = geometry::from_json(value, Crs::Wgs84);
            Some(wkb.unwrap_or_else(|_| value.to_string().into_bytes()))
        }
        other => Some(other.to_string().into_bytes()),
    }
}
