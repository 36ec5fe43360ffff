//! The typed definitions of a pack. Plain data: reading is `load`'s work, judging is `check`'s.
//!
//! Every definition carries its [`Place`], so that whoever finds fault with it later (a row that
//! does not fit, a rule that does not plan) can still point at the line that is to blame.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::access::Rules;
use crate::map::MapPlan;
use crate::mapped::Source;
use crate::sensing::SensingPlan;

/// A place in a pack's file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Relative to the pack's folder, with `/` between parts.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

/// A whole city pack, loaded and checked.
#[derive(Debug, Clone)]
pub struct Pack {
    pub dir: PathBuf,
    pub city: City,
    /// Units that fields may be measured in, by code (`ug/m3`).
    pub units: BTreeMap<String, Text>,
    pub areas: Vec<Area>,
    pub organisations: Vec<Organisation>,
    pub datasets: BTreeMap<String, Contract>,
    pub roles: Vec<Role>,
    /// Row filters, masks and cell sizes, by dataset: see [`Policy`].
    pub policies: Vec<Policy>,
    pub imports: Vec<ImportMapping>,
    /// `None`: the pack draws no map.
    pub map: Option<MapPlan>,
    /// What the city's sensors are held to and have to cover.
    pub sensing: SensingPlan,
    /// What people look at first, by id.
    pub boards: BTreeMap<String, Board>,
    /// Devices that speak something else, in order of their files.
    pub sources: Vec<Source>,
    /// Who may take which action.
    pub access: Rules,
}

/// Chinese and English texts of one thing; Chinese first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub zh: String,
    pub en: String,
}

#[derive(Debug, Clone)]
pub struct City {
    /// Official code, 12 digits (`510100000000`).
    pub code: String,
    pub name: Text,
    /// IANA zone in which times are shown, e.g. `Asia/Shanghai`.
    pub zone: String,
    /// Offset of that zone east of UTC. China has one, without daylight saving since 1991.
    pub utc_offset_minutes: i32,
    /// The organisation that runs the platform, and answers for the datasets that are its own.
    pub operator: String,
    pub place: Place,
}

/// 市, 区县, 街镇, 村社 and the grids below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaLevel {
    City,
    District,
    Street,
    Community,
    Grid,
    MicroGrid,
}

#[derive(Debug, Clone)]
pub struct Area {
    /// 12 digits for areas with an official code; grids append theirs.
    pub code: String,
    pub level: AreaLevel,
    pub parent: Option<String>,
    pub name: Text,
    /// Well-known text in WGS-84 where known.
    pub geometry_wkt: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Organisation {
    /// Short stable id used in contracts, e.g. `ecology_environment`.
    pub id: String,
    /// GB 32100 unified social credit code, where public.
    pub credit_code: Option<String>,
    pub parent: Option<String>,
    pub name: Text,
    /// 委办局, 区县政府, 街道办, 国企 …
    pub kind: String,
    /// The area it answers for.
    pub area: String,
    pub place: Place,
}

/// How a dataset's rows come to be; decides the store's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// Appended by machines, never changed: the lake in append mode.
    Stream,
    /// Replaced row by row by primary key: the lake in upsert mode.
    Snapshot,
    /// Edited by people, kept in the records and served by `registry`.
    Register,
}

/// A field's logical type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    /// Microseconds UTC.
    Timestamp,
    /// Integer cents.
    Money,
    /// Official area code, 12 digits or more.
    AreaCode,
    /// An organisation's id in the pack.
    OrganisationId,
    /// WKB in WGS-84, an Arrow `geoarrow.wkb` extension column.
    Geometry,
}

impl FieldType {
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::AreaCode | Self::OrganisationId => DataType::Utf8,
            Self::Integer | Self::Money => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Geometry => DataType::Binary,
        }
    }
}

/// 核心 / 重要 / 一般 (GB/T 43697).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    General,
    Important,
    Core,
}

/// What of a person a field tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Pii {
    #[default]
    None,
    Name,
    /// GB 11643 identity number.
    IdentityNumber,
    Phone,
    Address,
    /// Birth date, health, income: a sensitive fact that is not an identifier.
    Sensitive,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub ty: FieldType,
    /// From the pack's unit list (UCUM-like: `ug/m3`, `Cel`, `1`, `people`).
    pub unit: Option<String>,
    pub title: Text,
    pub description: Text,
    /// `None` = unclassified: nobody outside the owner may read it.
    pub class: Option<Class>,
    /// Sensitivity level 1 (open) – 4 (secret).
    pub level: u8,
    pub pii: Pii,
    pub required: bool,
    /// Other names that files use for it, 中文列名 among them.
    pub aliases: Vec<String>,
    /// Allowed values, where the field is coded.
    pub codes: Vec<String>,
    /// What the codes are called: `urgent` → 紧急, Urgent. Each of them has a label, or none has.
    pub labels: BTreeMap<String, Text>,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharingAttribute {
    /// 无条件共享
    Unconditional,
    /// 有条件共享
    Conditional,
    /// 不予共享
    NotShared,
}

#[derive(Debug, Clone)]
pub struct Sharing {
    pub attribute: SharingAttribute,
    /// The legal ground for the attribute; required unless unconditional.
    pub legal_ground: Text,
    /// Conditions of use, shown to who asks.
    pub conditions: Text,
}

/// What import does with a file whose columns are not the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DriftRule {
    /// New, missing or retyped columns: refuse the file, naming them.
    #[default]
    Refuse,
    /// New columns are ignored (and reported); missing optional columns become null.
    Evolve,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The row goes to quarantine at import.
    #[default]
    Error,
    /// The row is taken and counted as failing.
    Warning,
}

/// A boolean SQL expression over one row that every good row fulfils.
#[derive(Debug, Clone)]
pub struct QualityRule {
    pub id: String,
    pub sql: String,
    pub severity: Severity,
    pub title: Text,
    pub place: Place,
}

/// The contract of a dataset. `GB/T 21063.3`'s six mandatory elements (resource name, provider,
/// abstract, sharing attribute, information items, identifier) and six optional ones (format,
/// classification, open attribute, update period, publication date, related resources) are all
/// here, by these names or derived from them.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Two parts, `domain.name`: the SQL schema and table.
    pub id: String,
    /// DB51/T 10002-2022 style resource identifier.
    pub resource_id: String,
    pub title: Text,
    pub description: Text,
    pub theme: String,
    pub keywords: Vec<String>,
    pub owner: String,
    /// The accountable person's post, not a name that changes.
    pub accountable: String,
    pub source_system: String,
    pub kind: DatasetKind,
    pub fields: Vec<Field>,
    pub key: Vec<String>,
    pub time: Option<String>,
    pub geometry: Option<String>,
    /// ISO 8601 duration as minutes; `None`: irregular.
    pub update_period_minutes: Option<u64>,
    pub freshness_limit_minutes: Option<u64>,
    pub sharing: Sharing,
    pub open: bool,
    pub published: String,
    pub related: Vec<String>,
    /// `None`: kept for ever.
    pub retention_days: Option<u32>,
    pub drift: DriftRule,
    pub quality: Vec<QualityRule>,
    pub place: Place,
}

impl Contract {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The Arrow schema that the stores keep and queries see, fields in contract order.
    /// Geometry columns carry the `geoarrow.wkb` extension with WGS-84 as their CRS.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields = self.fields.iter().map(|field| {
            let arrow = ArrowField::new(&field.name, field.ty.arrow(), !field.required);
            match field.ty {
                FieldType::Geometry => arrow.with_metadata(geometry_metadata()),
                _ => arrow,
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// What a column of geometries is marked with: that it is WKB, and in WGS-84.
pub(crate) fn geometry_metadata() -> HashMap<String, String> {
    HashMap::from([
        ("ARROW:extension:name".to_owned(), "geoarrow.wkb".to_owned()),
        ("ARROW:extension:metadata".to_owned(), WGS84_METADATA.to_owned()),
    ])
}

const WGS84_METADATA: &str = r#"{"crs":"OGC:CRS84","crs_type":"authority_code"}"#;

/// What a role may allow. One list, so that a pack cannot grant what nothing checks.
pub const PERMISSIONS: [&str; 11] = [
    "read_catalogue",
    "query",
    "import",
    "request_sharing",
    "grant",
    "correct",
    "edit_register",
    "scenario",
    "audit",
    "manage_users",
    "administer",
];

#[derive(Debug, Clone)]
pub struct Role {
    pub id: String,
    pub title: Text,
    /// What holders may do: some of [`PERMISSIONS`].
    pub permissions: Vec<String>,
    /// Holders sign in with a second factor, or to nothing but getting one.
    pub second_factor: bool,
    /// Roles that nobody holds beside this one.
    pub excludes: BTreeSet<String>,
    pub place: Place,
}

/// Roles of which one person holds one at most.
#[derive(Debug, Clone)]
pub struct Exclusive {
    pub roles: Vec<String>,
    pub place: Place,
}

impl Pack {
    /// Two of these roles that one person must not hold together.
    pub fn excluded<'a>(&self, roles: &'a [String]) -> Option<(&'a str, &'a str)> {
        let role = |id: &String| self.roles.iter().find(|role| role.id == *id);
        roles.iter().find_map(|one| {
            let excludes = &role(one)?.excludes;
            let other = roles.iter().find(|other| excludes.contains(*other))?;
            Some((one.as_str(), other.as_str()))
        })
    }
}

/// How a field is shown to who may not see it plain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Null.
    Redact,
    /// All but the last four characters become `*`.
    LastFour,
    /// A date or timestamp keeps its year: 1 January.
    YearOnly,
    /// A keyed token, equal for equal values within one dataset, useless across datasets.
    Token,
}

/// Who of a dataset sees which rows and which fields how. Policies of one dataset are tried in
/// order and the first that applies to the principal decides; none applies: closed.
#[derive(Debug, Clone)]
pub struct Policy {
    pub id: String,
    pub dataset: String,
    pub applies: Applies,
    /// Boolean SQL over the dataset's fields and the session functions `in_area(code)`,
    /// `in_organisation(id)`, `my_organisation()`, `has_role(id)`. `None`: all rows.
    pub row_filter: Option<String>,
    /// Field → mask. Fields not named are plain.
    pub masks: BTreeMap<String, Mask>,
    /// Fields that this policy does not show at all.
    pub hidden: Vec<String>,
    /// Answers must aggregate at least this many rows a group.
    pub min_cell: Option<u32>,
    pub place: Place,
}

/// To whom a policy applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// The owner organisation and those below it.
    Owner,
    /// Holders of a role.
    Role(String),
    /// Members of an organisation or of one below it.
    Organisation(String),
    /// Every principal that may query, for datasets shared unconditionally.
    Everyone,
}

/// How a file of another shape becomes a dataset's rows.
#[derive(Debug, Clone)]
pub struct ImportMapping {
    pub id: String,
    pub dataset: String,
    /// Applies when all these columns are in the file; for a headerless file, when it has this many.
    pub columns: Vec<String>,
    pub shape: Shape,
    /// Contract field → how its value is made.
    pub values: BTreeMap<String, ValueSource>,
    /// The file has no header row: `columns` names its columns, in order.
    pub headerless: bool,
    /// The coordinate system of the file, where the mapping knows it; an option given by hand wins.
    pub crs: Option<Crs>,
    /// Texts that stand for a missing value in this file, e.g. `NA`; the empty text always does.
    pub nulls: Vec<String>,
    /// Rows that are not the dataset's, e.g. totals: a row is skipped when any of these holds.
    pub skip: Vec<SkipWhen>,
    pub place: Place,
}

/// Skips the rows whose `column`, trimmed, is one of `values`; `""` is an empty cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipWhen {
    pub column: String,
    pub values: Vec<String>,
}

/// Coordinate systems in which Chinese files come; everything is stored in WGS-84.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crs {
    Wgs84,
    Gcj02,
    Bd09,
    Cgcs2000,
}

#[derive(Debug, Clone)]
pub enum Shape {
    /// One row in, one row out.
    Rows,
    /// One row in, one row out for each column that matches: wide → long. A cell that is null
    /// gives no row.
    Wide {
        /// Regular expression over column names; its named groups are usable in values as
        /// `{group}`.
        columns: String,
        /// The field that takes the cell.
        value: String,
    },
}

#[derive(Debug, Clone)]
pub enum ValueSource {
    /// A column of the file.
    Column(String),
    /// A text with `{column}`s and `{group}`s, then read as the field's type; empty is null.
    /// `{column|integer}` writes a number without decimals: `510104.0` → `510104`.
    Template(String),
    /// A group of the wide columns' name looked up in a table: `{site}` → `草堂寺`.
    Lookup { template: String, table: BTreeMap<String, String> },
    /// Local time in the city's zone from a template `YYYY-MM-DD HH:MM`, stored as UTC. Months,
    /// days and hours may lack their leading zero (`2010-1-1 0:00`).
    LocalTime(String),
    /// A point from longitude and latitude columns.
    Point { lon: String, lat: String },
}

/// A page of tiles, each a question in SQL: what a role sees first, or what a wall shows.
#[derive(Debug, Clone)]
pub struct Board {
    pub id: String,
    pub title: Text,
    pub description: Text,
    /// Who is offered it; nobody named: everybody.
    pub roles: Vec<String>,
    /// Roles that see it when they come in.
    pub home_for: Vec<String>,
    pub tiles: Vec<Tile>,
    pub place: Place,
}

/// How a tile's rows are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TileKind {
    /// The first column of the one row.
    Number,
    /// The first column against the others, in order.
    Line,
    /// The same, as bars.
    Bar,
    Table,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
}

/// One question of a board. It is asked under the reader's own session.
#[derive(Debug, Clone)]
pub struct Tile {
    pub id: String,
    pub title: Text,
    /// What the number means and what to do about it, for who is tired.
    pub note: Text,
    pub kind: TileKind,
    /// From the pack's unit list.
    pub unit: Option<String>,
    /// Quarters of the board's width, 1 to 4.
    pub width: u8,
    /// One `SELECT`; `$area` stands for the code prefix of the area looked at.
    pub sql: String,
    /// What is aimed at.
    pub target: Option<f64>,
    /// What must not be fallen short of (or gone over, where lower is better).
    pub floor: Option<f64>,
    pub better: Option<Better>,
    pub columns: Vec<TileColumn>,
    pub place: Place,
}

impl Tile {
    /// Whether it can be asked about one area.
    pub fn by_area(&self) -> bool {
        self.sql.contains(crate::sql::AREA_PARAMETER)
    }
}

/// What a column of a tile is called. Columns that are not named here have their field's title.
#[derive(Debug, Clone)]
pub struct TileColumn {
    pub name: String,
    pub title: Text,
    pub unit: Option<String>,
    /// What values are called, where their field has no labels or they are to be called otherwise.
    pub labels: BTreeMap<String, Text>,
    pub place: Place,
}
