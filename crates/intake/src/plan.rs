//! What is done with each field of the contract for one file: contract, mapping and header put
//! together once, so that the parsers decide nothing.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use pack::{Contract, Crs, FieldType, ImportMapping, Pii, Shape, ValueSource};
use regex::Regex;

use crate::drift::{Drift, Missing};
use crate::error::IntakeError;
use crate::header::Header;
use crate::options::Options;

pub struct Plan {
    pub dataset: String,
    pub schema: SchemaRef,
    pub fields: Vec<FieldPlan>,
    pub header: Header,
    /// Columns and the texts that make a row none of the dataset's.
    pub skip: Vec<(usize, Vec<String>)>,
    pub wide: Option<Wide>,
    pub nulls: Nulls,
    pub crs: Crs,
    pub utc_offset_minutes: i32,
    /// U+FFFD in a cell stands for bytes that could not be read.
    pub transcoded: bool,
}

/// What a format knows of a file before any row is read.
pub struct FileFacts {
    pub header: Header,
    pub transcoded: bool,
    /// What the file says its coordinates are in.
    pub crs: Option<Crs>,
    /// The column that the format itself holds to be the geometry.
    pub geometry: Option<String>,
}

/// What GeoJSON calls a feature's geometry.
pub const GEOMETRY_COLUMN: &str = "geometry";

pub struct FieldPlan {
    pub name: String,
    pub ty: FieldType,
    pub required: bool,
    /// The field's unit is percent, so that `12.5%` is 12.5.
    pub percent: bool,
    pub identity_number: bool,
    pub codes: Codes,
    pub source: Source,
}

/// Where a field's text comes from.
#[derive(Debug, Clone)]
pub enum Source {
    Cell(usize),
    /// The wide cell of the row.
    Wide,
    Template(Template),
    Lookup(Template, BTreeMap<String, String>),
    Point {
        lon: usize,
        lat: usize,
    },
    /// Nowhere: null.
    Absent,
}

/// The columns of which each makes a row.
pub struct Wide {
    pub columns: Vec<WideColumn>,
}

pub struct WideColumn {
    pub column: usize,
    /// What the named groups matched, by [`Part::Group`]'s number.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Template {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    Cell(usize),
    /// `{column|integer}`: a number, written without decimals: `510104.0` → `510104`.
    Integer(usize),
    Group(usize),
}

/// A field's allowed values; none: all are.
pub struct Codes {
    sorted: Vec<Vec<u8>>,
}

impl Codes {
    /// Fewer codes than these are found sooner one by one than by halves.
    const LISTED_MAX: usize = 12;

    fn new(codes: &[String]) -> Self {
        let mut sorted: Vec<Vec<u8>> = codes.iter().map(|code| code.as_bytes().to_vec()).collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    #[inline]
    pub fn allow(&self, cell: &[u8]) -> bool {
        match self.sorted.len() {
            0 => true,
            1..=Self::LISTED_MAX => self.sorted.iter().any(|code| code == cell),
            _ => self.sorted.binary_search_by(|code| code.as_slice().cmp(cell)).is_ok(),
        }
    }

    /// The first codes, for a message.
    pub fn shown(&self) -> String {
        const SHOWN_MAX: usize = 8;
        let shown: Vec<_> =
            self.sorted.iter().take(SHOWN_MAX).map(|code| String::from_utf8_lossy(code)).collect();
        let more = if self.sorted.len() > SHOWN_MAX { ", …" } else { "" };
        format!("one of {}{more}", shown.join(", "))
    }
}

/// The texts that mean that there is no value.
pub struct Nulls {
    texts: Vec<Vec<u8>>,
    /// Bit n: some null text is n bytes long. Most cells are cleared by this alone.
    lengths: u64,
}

impl Nulls {
    pub fn new<'a>(texts: impl Iterator<Item = &'a String>) -> Self {
        let texts: Vec<Vec<u8>> = texts.map(|text| text.trim().as_bytes().to_vec()).collect();
        let lengths = texts.iter().fold(1u64, |bits, text| bits | (1 << text.len().min(63)));
        Self { texts, lengths }
    }

    /// Whether a trimmed cell is none.
    #[inline]
    pub fn contains(&self, cell: &[u8]) -> bool {
        if self.lengths & (1 << cell.len().min(63)) == 0 {
            return false;
        }
        cell.is_empty() || self.texts.iter().any(|text| text == cell)
    }
}

/// The mapping that reads this file, if one does.
pub fn choose<'a>(
    contract: &Contract,
    mappings: &'a [ImportMapping],
    options: &Options,
    header: &Header,
) -> Result<Option<&'a ImportMapping>, IntakeError> {
    let mut own = mappings.iter().filter(|mapping| mapping.dataset == contract.id);
    if let Some(id) = &options.mapping {
        let known: Vec<&str> = own.clone().map(|mapping| mapping.id.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return own.find(|mapping| mapping.id == *id).map(Some).ok_or_else(|| {
            IntakeError::NoSuchMapping { id: id.clone(), dataset: contract.id.clone(), known }
        });
    }
    let has_all = |mapping: &&ImportMapping| {
        !mapping.headerless && mapping.columns.iter().all(|name| header.find(name).is_some())
    };
    if let Some(mapping) = own.clone().find(has_all) {
        return Ok(Some(mapping));
    }
    if header.match_fields(contract)?.iter().any(Option::is_some) {
        return Ok(None);
    }
    let as_many = |mapping: &&ImportMapping| {
        mapping.headerless && mapping.columns.len() == header.names.len()
    };
    Ok(own.find(as_many))
}

/// Puts the plan together and says how the columns differ from what was expected.
pub fn make(
    contract: &Contract,
    mapping: Option<&ImportMapping>,
    options: &Options,
    file: FileFacts,
) -> Result<(Plan, Drift), IntakeError> {
    let FileFacts { header, transcoded, crs, geometry } = file;
    let mut maker = Maker { header: &header, mapping, groups: Vec::new(), drift: Drift::default() };
    let wide = maker.wide()?;
    let mut matched = header.match_fields(contract)?;
    if let Some(name) = geometry {
        match_geometry(contract, &header, &name, &mut matched);
    }
    let mut fields = Vec::with_capacity(contract.fields.len());
    for (field, column) in contract.fields.iter().zip(&matched) {
        let source = maker.source(field, *column)?;
        fields.push(FieldPlan {
            name: field.name.clone(),
            ty: field.ty,
            required: field.required || contract.key.contains(&field.name),
            percent: matches!(field.unit.as_deref(), Some("%" | "percent")),
            identity_number: field.pii == Pii::IdentityNumber,
            codes: Codes::new(&field.codes),
            source,
        });
    }
    let skip = maker.skip()?;
    if mapping.is_none() {
        let unused = (0..header.names.len()).filter(|column| !matched.contains(&Some(*column)));
        maker.drift.new = unused.map(|column| header.names[column].clone()).collect();
    }
    let drift = maker.drift;
    let plan = Plan {
        dataset: contract.id.clone(),
        schema: contract.arrow_schema(),
        fields,
        skip,
        wide,
        nulls: Nulls::new(
            options.null.iter().chain(mapping.iter().flat_map(|mapping| &mapping.nulls)),
        ),
        crs: options.crs.or(mapping.and_then(|mapping| mapping.crs)).or(crs).unwrap_or(Crs::Wgs84),
        utc_offset_minutes: options.utc_offset_minutes,
        transcoded,
        header,
    };
    Ok((plan, drift))
}

/// A file's own geometry column is the contract's, whatever the two are called.
fn match_geometry(contract: &Contract, header: &Header, name: &str, matched: &mut [Option<usize>]) {
    let field = contract.fields.iter().position(|field| field.ty == FieldType::Geometry);
    if let (Some(column), Some(field)) = (header.find(name), field)
        && matched[field].is_none()
        && !matched.contains(&Some(column))
    {
        matched[field] = Some(column);
    }
}

struct Maker<'a> {
    header: &'a Header,
    mapping: Option<&'a ImportMapping>,
    /// Named groups of the wide columns, in the order of [`WideColumn::groups`].
    groups: Vec<String>,
    drift: Drift,
}

impl Maker<'_> {
    fn wide(&mut self) -> Result<Option<Wide>, IntakeError> {
        let Some(mapping) = self.mapping else { return Ok(None) };
        let Shape::Wide { columns: pattern, value: _ } = &mapping.shape else { return Ok(None) };
        let pattern = Regex::new(pattern).map_err(|error| {
            self.problem(format!("`columns` is no regular expression: {error}"))
        })?;
        self.groups = pattern.capture_names().flatten().map(str::to_owned).collect();
        let mut columns = Vec::new();
        for (column, name) in self.header.names.iter().enumerate() {
            if let Some(captures) = pattern.captures(name) {
                let group = |name: &String| {
                    captures.name(name).map_or("", |found| found.as_str()).to_owned()
                };
                columns
                    .push(WideColumn { column, groups: self.groups.iter().map(group).collect() });
            }
        }
        if columns.is_empty() {
            self.drift.missing.push(Missing { name: pattern.to_string(), required: true });
        }
        Ok(Some(Wide { columns }))
    }

    fn source(
        &mut self,
        field: &pack::Field,
        column: Option<usize>,
    ) -> Result<Source, IntakeError> {
        if let Some(mapping) = self.mapping {
            if let Shape::Wide { value, .. } = &mapping.shape
                && *value == field.name
            {
                return Ok(Source::Wide);
            }
            if let Some(value) = mapping.values.get(&field.name) {
                return self.mapped(field, value);
            }
            if column.is_none() && !field.required {
                return Ok(Source::Absent);
            }
        }
        Ok(column.map_or_else(|| self.missing(field, &field.name), Source::Cell))
    }

    fn missing(&mut self, field: &pack::Field, name: &str) -> Source {
        let known = self.drift.missing.iter_mut().find(|missing| missing.name == name);
        match known {
            Some(missing) => missing.required |= field.required,
            None => {
                let missing = Missing { name: name.to_owned(), required: field.required };
                self.drift.missing.push(missing);
            }
        }
        Source::Absent
    }

    fn mapped(&mut self, field: &pack::Field, value: &ValueSource) -> Result<Source, IntakeError> {
        let header = self.header;
        Ok(match value {
            ValueSource::Column(name) => match header.find(name) {
                Some(column) => Source::Cell(column),
                None => self.missing(field, name),
            },
            ValueSource::Template(text) | ValueSource::LocalTime(text) => {
                self.template(field, text)?.map_or(Source::Absent, Source::Template)
            }
            ValueSource::Lookup { template, table } => self
                .template(field, template)?
                .map_or(Source::Absent, |template| Source::Lookup(template, table.clone())),
            ValueSource::Point { lon, lat } => match (header.find(lon), header.find(lat)) {
                (Some(lon), Some(lat)) => Source::Point { lon, lat },
                (None, _) => self.missing(field, lon),
                (_, None) => self.missing(field, lat),
            },
        })
    }

    /// `None`: a column that it names is missing.
    fn template(
        &mut self,
        field: &pack::Field,
        text: &str,
    ) -> Result<Option<Template>, IntakeError> {
        let (mut parts, mut rest, mut whole) = (Vec::new(), text, true);
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(self.problem(format!("`{text}` opens a brace that it does not close")));
            };
            parts.push(Part::Literal(literal.to_owned()));
            let (name, form) = name.split_once('|').unwrap_or((name, ""));
            let group = self.groups.iter().position(|group| group == name);
            match (group, self.header.find(name), form) {
                (Some(group), _, "") => parts.push(Part::Group(group)),
                (_, Some(column), "") => parts.push(Part::Cell(column)),
                (_, Some(column), "integer") => parts.push(Part::Integer(column)),
                (_, None, "" | "integer") => {
                    self.missing(field, name);
                    whole = false;
                }
                _ => {
                    let problem =
                        format!("`{form}` in `{text}` is no form: use `|integer` on a column");
                    return Err(self.problem(problem));
                }
            }
            rest = after;
        }
        parts.push(Part::Literal(rest.to_owned()));
        parts.retain(|part| *part != Part::Literal(String::new()));
        Ok(whole.then_some(Template { parts }))
    }

    fn skip(&mut self) -> Result<Vec<(usize, Vec<String>)>, IntakeError> {
        let conditions = self.mapping.map_or(&[][..], |mapping| &mapping.skip);
        conditions
            .iter()
            .map(|condition| match self.header.find(&condition.column) {
                Some(column) => Ok((column, condition.values.clone())),
                None => Err(self.problem(format!(
                    "`skip` names column {}, which the file lacks",
                    condition.column
                ))),
            })
            .collect()
    }

    fn problem(&self, problem: String) -> IntakeError {
        let mapping = self.mapping.map_or_else(String::new, |mapping| mapping.id.clone());
        IntakeError::Mapping { mapping, problem }
    }
}
