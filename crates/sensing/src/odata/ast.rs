//! The tree of a request: a resource path and its query options.
//!
//! Every node carries the bytes it was read from. Two nodes are equal when they say the same,
//! wherever they stood. A tree made by the parsers has no expression deeper than
//! [`EXPRESSION_DEPTH_MAX`](super::EXPRESSION_DEPTH_MAX), so it may be walked by recursion.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};

use super::error::Span;
use super::function::Function;
use super::time::IsoDuration;
use crate::schema::{Entity, EntityKind, Navigation, Property, ValueType};

/// A node and where it stood.
#[derive(Clone, Copy)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        write!(f, "@{}..{}", self.span.start, self.span.end)
    }
}

// --- Resource paths ---------------------------------------------------------------------------

/// `Things(1)/Datastreams(2)/Observations`: a way through the model from an entity set.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourcePath {
    /// At least one. The first is a set, the others are navigations from what stands before.
    pub segments: Vec<Spanned<ResourceSegment>>,
    pub end: ResourceEnd,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ResourceSegment {
    /// As it is written: the set's name, then the navigations'.
    pub name: &'static str,
    pub entity: &'static Entity,
    /// Without an id this is a collection.
    pub many: bool,
    pub id: Option<EntityId>,
}

/// What of the last segment is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceEnd {
    /// The collection or the entity itself.
    Whole,
    /// `/$ref`: links instead of entities.
    References,
    /// A property or a member of it; `raw` is `/$value`.
    Property { path: Path, raw: bool },
}

/// The id of an entity, as it stands between the parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityId {
    Integer(i64),
    Text(String),
}

impl ResourcePath {
    /// The entity type that the path ends at.
    pub fn entity(&self) -> &'static Entity {
        self.last().entity
    }

    pub fn last(&self) -> &ResourceSegment {
        &self.segments.last().expect("a path has a segment").value
    }

    /// What query options apply to.
    pub fn target(&self) -> Target {
        let last = self.last();
        match &self.end {
            ResourceEnd::Property { .. } => Target::Property,
            _ if last.many && last.id.is_none() => Target::Collection(last.entity.kind),
            _ => Target::Entity(last.entity.kind),
        }
    }
}

/// What query options are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Collection(EntityKind),
    Entity(EntityKind),
    Property,
}

// --- Query options ----------------------------------------------------------------------------

/// The query options of a request or of an expansion. [`Default`] is none of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryOptions {
    pub apply: Option<Spanned<Apply>>,
    pub filter: Option<Expr>,
    pub count: Option<Spanned<bool>>,
    pub orderby: Vec<Spanned<OrderBy>>,
    pub skip: Option<Spanned<u64>>,
    pub top: Option<Spanned<u64>>,
    /// None given: everything. Never empty where it is given.
    pub select: Vec<Spanned<SelectItem>>,
    pub expand: Vec<Expand>,
    pub result_format: Option<Spanned<ResultFormat>>,
}

/// A navigation to be answered inline. `A/B` is read as `A($expand=B)`, and two expansions of one
/// navigation are one with the options of both: a navigation stands here once.
#[derive(Debug, Clone, PartialEq)]
pub struct Expand {
    pub navigation: Spanned<&'static Navigation>,
    pub options: QueryOptions,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// A property or a member of it.
    Property(Path),
    /// The link to related entities.
    Navigation(&'static Navigation),
}

#[derive(Debug, Clone, PartialEq)]
pub struct OrderBy {
    pub key: Expr,
    pub direction: Direction,
}

/// Null is the least of all values (OGC 18-088, 9.3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// OGC 18-088, clause 12; Observations only.
    DataArray,
    GeoJson,
}

// --- $apply -----------------------------------------------------------------------------------

/// `filter(…)/groupby((…),aggregate(…))`: rows are chosen, put in groups and counted together.
/// Keys or aggregates may be missing, not both.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    pub filter: Option<Expr>,
    pub keys: Vec<Spanned<GroupKey>>,
    pub aggregates: Vec<Spanned<Aggregate>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GroupKey {
    /// A value that all of a group share, under the path's own name.
    Path(Path),
    Window(Window),
}

/// `window(phenomenonTime,'PT1H','+08:00') as hour`: the stretch of time that a value falls into.
///
/// See [`semantics::window_of`](super::semantics::window_of) for where windows begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub time: Path,
    /// Longer than nothing; either whole months or a fixed length, never both.
    pub length: IsoDuration,
    /// Whose midnights, Mondays and months are meant; the service's own where it is not given.
    pub offset: Option<FixedOffset>,
    /// `window` where it is not given.
    pub alias: String,
}

/// `result with average as mean`, `$count as n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub method: AggregateMethod,
    /// None for the number of rows.
    pub path: Option<Path>,
    pub alias: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateMethod {
    Average,
    CountDistinct,
    /// The value of the earliest row, by phenomenon time.
    First,
    Last,
    Max,
    Min,
    /// Of the rows themselves: `$count`.
    Rows,
    Sum,
}

// --- Expressions ------------------------------------------------------------------------------

pub type Expr = Spanned<ExprKind>;

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Literal(Literal),
    Path(Path),
    /// At least two, none of them an `And`: a long chain is wide and not deep.
    And(Vec<Expr>),
    /// At least two, none of them an `Or`.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Call {
        function: Function,
        arguments: Vec<Expr>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Finite.
    Double(f64),
    Text(String),
    /// With the offset it was written in.
    Instant(DateTime<FixedOffset>),
    Date(NaiveDate),
    TimeOfDay(NaiveTime),
    Duration(IsoDuration),
    /// From one instant to a later or the same one.
    Interval {
        start: DateTime<FixedOffset>,
        end: DateTime<FixedOffset>,
    },
    /// WGS-84, longitude before latitude.
    Geography(geo_types::Geometry<f64>),
}

/// `Thing/Locations/name`, `properties/x/y[0]`: from the entity at hand to a value.
///
/// Through a navigation to many, a path stands for many values, and a comparison with it holds
/// where it holds for any of them; see [`semantics`](super::semantics).
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Navigations, then a property, then members of it; or one column.
    pub steps: Vec<Spanned<Step>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Navigation(&'static Navigation),
    Property(&'static Property),
    /// A member of a JSON object.
    Key(String),
    /// An element of a JSON array, from 0.
    Index(u32),
    /// A result of `$apply`.
    Column(Column),
}

/// A named result of `$apply`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub value: ValueType,
}

impl Path {
    /// The navigations that lead to the property.
    pub fn navigations(&self) -> impl Iterator<Item = &'static Navigation> {
        self.steps.iter().map_while(|step| match &step.value {
            Step::Navigation(navigation) => Some(*navigation),
            _ => None,
        })
    }

    /// Does it stand for many values?
    pub fn is_many(&self) -> bool {
        self.navigations().any(Navigation::is_many)
    }

    /// The first navigation to many, and where it stands.
    pub(super) fn first_many(&self) -> Option<Spanned<&'static Navigation>> {
        self.steps.iter().find_map(|step| match &step.value {
            Step::Navigation(navigation) if navigation.is_many() => {
                Some(Spanned::new(*navigation, step.span))
            }
            _ => None,
        })
    }
}
