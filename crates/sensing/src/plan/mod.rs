//! From a request that was read to SQL over the datasets of decision 0012. Text and parameters come
//! out; nothing is run.
//!
//! ```text
//!  ResourcePath ─┐                       ┌─► parents   are the entities on the way there?
//!  QueryOptions ─┼─► plan ─► Plan ───────┼─► page      rows, and one more where there is a next
//!  Extras ───────┘            │          ├─► count     how many there are in all
//!                             │          └─► children  for ids of the page: one statement each
//!                             └── columns: which of the answer's columns is what
//!
//!  collection   which rows: path, page, count        filter      true, false, null; EXISTS
//!  expand       related rows of many parents         compare     eq … le, times as stretches
//!  apply        groups, windows, aggregates          call        functions
//!  order        a total order                        scope       paths: joins, columns
//!  quality      what is implausible
//!  link         next links, options of ours          functions   what SQL must be able to call
//! ```
//!
//! A plan takes at most [`STATEMENTS_MAX`] statements however many rows they answer. Each is asked
//! through the session, so it names datasets and calls only functions on the catalogue's list and
//! those of [`functions::ENGINE_FUNCTIONS`]. No text of the request is text of a statement.
//!
//! What the standard leaves open:
//! - A page has [`PAGE_ROWS_DEFAULT`] rows and at most [`PAGE_ROWS_MAX`]; groups of `$apply`, which
//!   are small, come [`GROUPS_MAX`] at a time.
//! - Collections are in the order of ids; Observations in that of their keys, which say Datastream,
//!   time and ordinal; the ObservedProperties of a MultiDatastream in the order of its results.
//! - A date stands for its day in UTC where it meets an instant or an interval; a time of day meets
//!   neither.
//! - A window of `$apply` without an offset lies on the city's clock.
//! - What rules found implausible is left out of `$apply` and of nothing else; `flagged` says
//!   otherwise ([`Flagged`]). Filters of other entities look at all Observations.
//! - A text in JSON is a time where it meets one and is written as RFC 3339 says.

mod apply;
mod call;
mod collection;
mod compare;
mod dataset;
mod error;
mod expand;
mod expression;
mod filter;
pub mod functions;
mod key;
mod link;
mod order;
mod quality;
mod scope;
mod sql;
mod term;

#[cfg(test)]
mod tests;

use chrono::{DateTime, FixedOffset, Utc};

use crate::odata::{EntityId, QueryOptions, ResourceEnd, ResourcePath, Span, Spanned, Target};
use crate::schema::{Entity, Property, Schema};

pub use error::{PlanError, PlanErrorKind, Result};
pub use expand::Child;
pub use key::{NoObservationKey, ObservationKey};
pub use link::{Extras, Flagged, next_link, next_link_of_child, reason};
pub use quality::{IMPLAUSIBLE_FLAGS, implausible, plausible};
pub use sql::{Statement, Value};

/// Rows of a page where `$top` is not given, also of an expansion.
pub const PAGE_ROWS_DEFAULT: u64 = 100;
/// Rows of a page, whatever `$top` says: the rest is behind the next link.
pub const PAGE_ROWS_MAX: u64 = 1_000;
/// Groups of a page of `$apply`: a year of hours is one.
pub const GROUPS_MAX: u64 = 10_000;
/// Rows that the statement of an expansion may answer, of all parents together.
pub const CHILD_ROWS_MAX: u64 = 10_000;
/// Parents of one statement of an expansion: all that the one above may answer.
pub const KEYS_MAX: usize = 10_000;
/// Statements of one request.
pub const STATEMENTS_MAX: usize = 64;
/// What `$skip` can say at most; there is no row behind it.
const OFFSET_ROWS_MAX: u64 = 1 << 62;
/// Bytes of one statement; the catalogue takes 256 KiB.
const SQL_BYTES_MAX: usize = 200 << 10;
/// Steps of a parser down one statement; the catalogue's goes down 64.
const SQL_DEPTH_MAX: usize = 56;
/// Datasets and subqueries of one statement; the catalogue takes 100.
const SQL_RELATIONS_MAX: usize = 64;

/// The text that a resource path stands in, for errors.
const PATH: &str = "path";

/// What a plan needs to know beside the request.
#[derive(Debug, Clone)]
pub struct Context {
    pub schema: &'static Schema,
    /// The moment of `now()`, one for all statements of the request.
    pub now: DateTime<Utc>,
    /// The clock on which the windows of `$apply` lie that name none: the city's.
    pub zone: FixedOffset,
    /// The service's root, of which self links are made.
    pub root: String,
}

/// A request as it was read.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub path: &'a ResourcePath,
    pub options: &'a QueryOptions,
    pub extras: Extras,
}

/// The statements of a request, and what their answers are.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    pub entity: &'static Entity,
    pub target: Target,
    /// Answers one row if all entities on the way to the last step are there; without one the path
    /// leads nowhere: 404. `None` where there are none.
    pub parents: Option<Statement>,
    /// The rows, at most one more than [`Plan::top`], which tells of a next page. An entity's is
    /// one row, or none: 404. `None` where no rows were asked for.
    pub page: Option<Statement>,
    /// One row with the column `count`.
    pub count: Option<Statement>,
    /// The columns of the page.
    pub columns: Vec<Column>,
    pub top: u64,
    /// Is the page in the order of ids, so that the next one can begin behind its last?
    pub by_id: bool,
    /// The member of a property that the path ends at, as a JSON Pointer; empty for the whole.
    pub member: String,
    pub children: Vec<Child<'a>>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// A part of the key may be a part of a property as well.
    pub roles: Vec<Role>,
}

/// What a column is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// The id, or a part of it in the order of [`ObservationKey`].
    Key,
    Property {
        property: &'static Property,
        part: Part,
    },
    /// What the row holds of a related entity that is expanded.
    Link,
    /// Of an expansion: whose child the row is.
    Parent,
    /// Of `$apply`: a key, counted from 0.
    Group {
        key: usize,
        part: Part,
    },
    /// Of `$apply`: an aggregate, counted from 0.
    Aggregate {
        item: usize,
        part: Part,
    },
}

/// Which part of a value a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Value,
    /// All of it, as JSON; beside a number what is none.
    Json,
    Number,
    Start,
    /// Null for an instant.
    End,
}

impl Column {
    fn of(&self, alias: &str) -> String {
        format!("{alias}.{}", self.name)
    }
}

/// Plans a request.
pub fn plan<'a>(request: &Request<'a>, context: &'a Context) -> Result<Plan<'a>> {
    let (path, options) = (request.path, request.options);
    let entity = path.entity();
    let member = match &path.end {
        ResourceEnd::Property { path, .. } => {
            scope::pointer(path.steps[1..].iter().map(|step| &step.value))
        }
        _ => String::new(),
    };
    check_after(request)?;
    let mut plan = Plan {
        entity,
        target: path.target(),
        parents: collection::parents(path)?,
        page: None,
        count: None,
        columns: Vec::new(),
        top: rows_of(options.top),
        by_id: false,
        member,
        children: Vec::new(),
    };
    if let Some(apply) = &options.apply {
        plan.top = options.top.map_or(GROUPS_MAX, |top| top.value.min(GROUPS_MAX));
        let grouped = apply::grouped(request, context, &apply.value, plan.top)?;
        (plan.page, plan.count, plan.columns) = (grouped.page, grouped.count, grouped.columns);
        return Ok(plan);
    }
    let collection = path.last().many && path.last().id.is_none();
    plan.by_id = collection && options.orderby.is_empty() && !collection::is_ordered(path);
    plan.columns = collection::columns(entity, &path.end, options)?;
    let page = collection::page(request, context, &plan.columns, plan.top)?;
    plan.page = (!collection || plan.top > 0).then_some(page);
    if collection && options.count.is_some_and(|count| count.value) {
        plan.count = Some(collection::count(request, context)?);
    }
    let flagged = request.extras.flagged.unwrap_or(Flagged::Include);
    let child = |expand| Child::new(context, entity.kind, expand, flagged);
    plan.children = options.expand.iter().map(child).collect::<Result<_>>()?;
    check_statements(&plan, options)?;
    Ok(plan)
}

/// What to name where a statement is too large: the filter, which is mostly why.
fn blamed(options: &QueryOptions) -> (&'static str, Span) {
    match (&options.filter, options.orderby.first(), &options.apply) {
        (Some(filter), ..) => ("$filter", filter.span),
        (None, Some(order), _) => ("$orderby", order.span),
        (None, None, Some(apply)) => ("$apply", apply.span),
        _ => (PATH, Span::default()),
    }
}

/// How many rows are asked for, of those that may be.
fn rows_of(top: Option<Spanned<u64>>) -> u64 {
    top.map_or(PAGE_ROWS_DEFAULT, |top| top.value.min(PAGE_ROWS_MAX))
}

/// A page that begins behind an id is in the order of ids.
fn check_after(request: &Request<'_>) -> Result<()> {
    let Request { path, options, extras } = request;
    let Some(EntityId::Integer(_) | EntityId::Text(_)) = extras.after else { return Ok(()) };
    let by_id = options.orderby.is_empty() && !collection::is_ordered(path);
    if by_id && options.apply.is_none() && matches!(path.target(), Target::Collection(_)) {
        return Ok(());
    }
    let why = "it goes on in a collection that is in the order of ids";
    let span = Span::default();
    Err(PlanError::new(PlanErrorKind::Malformed, "query", span, "`after` does not apply", why))
}

fn check_statements(plan: &Plan<'_>, options: &QueryOptions) -> Result<()> {
    let own = [&plan.parents, &plan.page, &plan.count].into_iter().flatten().count();
    let statements = own + plan.children.iter().map(Child::statements).sum::<usize>();
    if statements <= STATEMENTS_MAX {
        return Ok(());
    }
    let span = options.expand.last().map_or(Span::default(), |expand| expand.navigation.span);
    let what = format!("expansions that take {statements} questions");
    let why = format!("a request takes at most {STATEMENTS_MAX}");
    Err(PlanError::new(PlanErrorKind::TooLarge, "$expand", span, what, why))
}
