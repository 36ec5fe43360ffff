//! `$expand`: related entities of many parents in one statement.
//!
//! The parents' ids are known only when the page above has been read, so a child is a plan that
//! makes its statement of them. Each statement answers rows with the column `parent`, in the order
//! of the parents; nested options hold for each parent alone: rows are numbered within their parent
//! and cut there.

use std::collections::BTreeSet;

use crate::odata::{
    Direction, Expand, ExprKind, OrderBy, QueryOptions, ResourceEnd, Spanned, Step,
};
use crate::schema::{Entity, EntityKind, Navigation};

use super::collection;
use super::dataset::{self, Link, Order};
use super::error::{PlanError, PlanErrorKind, Result};
use super::key::ObservationKey;
use super::order::Ordering;
use super::scope::{Compiler, ROOT};
use super::sql::{Select, Statement, Value, any};
use super::{CHILD_ROWS_MAX, Column, Context, Flagged, KEYS_MAX, Role, rows_of};

const EXPAND: &str = "$expand";
/// The column that says whose child a row is.
const PARENT: &str = "parent";
/// The row's number among those of its parent, from 1.
const PLACE: &str = "place";
/// Keys of one list of a statement. Longer ones are not looked at where files, row groups and pages
/// are left out (DataFusion's `MAX_IN_LIST_SIZE`).
const PRUNED_KEYS_MAX: usize = 20;

/// An expansion: a plan for the related entities of parents that are read already.
#[derive(Debug, Clone)]
pub struct Child<'a> {
    pub navigation: &'static Navigation,
    pub entity: &'static Entity,
    pub options: &'a QueryOptions,
    /// The column of the parents' rows whose values are the keys of [`Child::statement`]: their
    /// ids, or what they hold of the one related entity.
    pub keyed_by: &'static str,
    /// What the statement answers; the column `parent` is one of them.
    pub columns: Vec<Column>,
    /// At most so many for each parent, and one more that tells of a next link. 0: none is read.
    pub top: u64,
    pub children: Vec<Child<'a>>,
    link: Link,
    flagged: Flagged,
    context: &'a Context,
}

impl<'a> Child<'a> {
    pub(super) fn new(
        context: &'a Context,
        parent: EntityKind,
        expand: &'a Expand,
        flagged: Flagged,
    ) -> Result<Self> {
        let (navigation, span) = (expand.navigation.value, expand.navigation.span);
        let link = dataset::link(parent, navigation, EXPAND, span)?;
        let entity = context.schema.entity(navigation.target);
        let options = &expand.options;
        let mut columns = collection::columns(entity, &ResourceEnd::Whole, options)?;
        columns.push(Column { name: PARENT.to_owned(), roles: vec![Role::Parent] });
        let keyed_by = match link {
            Link::Holds { column } => column,
            _ => "id",
        };
        let children =
            options.expand.iter().map(|expand| Child::new(context, entity.kind, expand, flagged));
        let child = Self {
            navigation,
            entity,
            options,
            keyed_by,
            columns,
            top: if navigation.is_many() { rows_of(options.top) } else { 1 },
            children: children.collect::<Result<_>>()?,
            link,
            flagged,
            context,
        };
        // What is wrong with it is said before anything is read.
        child.statement(&[0])?;
        child.statement(&[0, 1])?;
        child.count(&[0, 1])?;
        Ok(child)
    }

    /// The related entities of parents. `None` where no rows were asked for. More than
    /// [`CHILD_ROWS_MAX`] rows mean that the request asks for too much.
    pub fn statement(&self, keys: &[i64]) -> Result<Option<Statement>> {
        self.check_keys(keys)?;
        if keys.is_empty() || self.top == 0 {
            return Ok(None);
        }
        if !self.navigation.is_many() || keys.len() == 1 {
            return self.plain(keys).map(Some);
        }
        let mut rows = self.rows(keys)?;
        let order = self.order(&mut rows)?.join(", ");
        let Rows { mut compiler, parent, .. } = rows;
        let root = std::mem::take(compiler.root());
        let mut columns = self.selected(&parent);
        columns
            .push(format!("row_number() OVER (PARTITION BY {parent} ORDER BY {order}) AS {PLACE}"));
        let inner = Select { columns, from: root.from, filter: root.filter, ..Select::default() };
        let first = self.skip();
        let last = first.saturating_add(self.top).saturating_add(1);
        let outer = Select {
            columns: self.columns.iter().map(|column| format!("c.{}", column.name)).collect(),
            from: vec![format!("({}) AS c", inner.print())],
            filter: match first {
                0 => vec![format!("c.{PLACE} <= {last}")],
                _ => vec![format!("c.{PLACE} > {first}"), format!("c.{PLACE} <= {last}")],
            },
            order: vec![format!("c.{PARENT}"), format!("c.{PLACE}")],
            limit: Some(CHILD_ROWS_MAX + 1),
            ..Select::default()
        };
        let span = self.span();
        compiler.parameters.statement(&outer.print(), EXPAND, span).map(Some)
    }

    /// Of one parent, or one of each: nothing has to be numbered, and what the dataset keeps in
    /// order is read in order.
    fn plain(&self, keys: &[i64]) -> Result<Statement> {
        let mut rows = self.rows(keys)?;
        let mut order = Vec::new();
        let (mut limit, mut offset) = (CHILD_ROWS_MAX + 1, 0);
        if self.navigation.is_many() {
            order = self.order(&mut rows)?;
            limit = self.top.saturating_add(1);
            offset = self.skip();
        }
        let Rows { mut compiler, parent, .. } = rows;
        let root = std::mem::take(compiler.root());
        let select = Select {
            columns: self.selected(&parent),
            from: root.from,
            filter: root.filter,
            order,
            limit: Some(limit),
            offset,
            ..Select::default()
        };
        compiler.parameters.statement(&select.print(), EXPAND, self.span())
    }

    /// How many related entities each parent has, as rows of `parent` and `count`: those that have
    /// none are left out. `None` where `$count` was not asked for.
    pub fn count(&self, keys: &[i64]) -> Result<Option<Statement>> {
        self.check_keys(keys)?;
        let wanted = self.options.count.is_some_and(|count| count.value);
        if !wanted || keys.is_empty() || !self.navigation.is_many() {
            return Ok(None);
        }
        let Rows { mut compiler, parent, .. } = self.rows(keys)?;
        let root = std::mem::take(compiler.root());
        let select = Select {
            columns: vec![format!("{parent} AS {PARENT}"), "count(*) AS count".to_owned()],
            from: root.from,
            filter: root.filter,
            group: 1,
            ..Select::default()
        };
        compiler.parameters.statement(&select.print(), EXPAND, self.span()).map(Some)
    }

    /// Does it ask for each Datastream's newest Observation and nothing else? What ingest keeps in
    /// memory tells the keys of these rows ([`Child::by_keys`]).
    pub fn is_newest(&self) -> bool {
        let newest = |order: &OrderBy| match (&order.key.value, order.direction) {
            (ExprKind::Path(path), Direction::Descending) => {
                matches!(path.steps.as_slice(), [only]
                    if matches!(&only.value, Step::Property(p) if p.name == "phenomenonTime"))
            }
            _ => false,
        };
        let QueryOptions { filter, orderby, skip, top, .. } = self.options;
        self.is_of_streams()
            && filter.is_none()
            && skip.is_none_or(|skip| skip.value == 0)
            && top.is_some_and(|top| top.value == 1)
            && matches!(orderby.as_slice(), [order] if newest(&order.value))
    }

    /// Whether rules decide which Observations are among the related entities.
    pub fn flagged(&self) -> Flagged {
        self.flagged
    }

    /// Is what is counted all Observations of each Datastream? What ingest keeps in memory answers
    /// that without a statement.
    pub fn counts_streams(&self) -> bool {
        self.options.count.is_some_and(|count| count.value)
            && self.options.filter.is_none()
            && self.flagged == Flagged::Include
            && self.is_of_streams()
    }

    fn is_of_streams(&self) -> bool {
        self.entity.kind == EntityKind::Observation
            && self.keyed_by == "id"
            && matches!(self.link, Link::HeldBy { column: "datastream" })
    }

    /// The Observations of these keys, and perhaps a few others of the same Datastreams and
    /// moments. What may be ruled out by a file's statistics is told in lists that are short
    /// enough to be looked at.
    pub fn by_keys(&self, keys: &[ObservationKey]) -> Result<Statement> {
        self.check_keys_count(keys.len())?;
        let mut compiler = Compiler::new(self.context.schema, self.context, self.entity.kind);
        compiler.part = EXPAND;
        let mut groups = Vec::new();
        for keys in keys.chunks(PRUNED_KEYS_MAX) {
            let streams: Vec<String> = keys.iter().map(|key| key.datastream.to_string()).collect();
            let times: BTreeSet<i64> = keys.iter().map(|key| key.time_us).collect();
            let times: Vec<String> =
                times.iter().map(|time| compiler.parameters.give(Value::Instant(*time))).collect();
            groups.push(format!(
                "({ROOT}.datastream IN ({}) AND {ROOT}.phenomenon_time IN ({}))",
                streams.join(", "),
                times.join(", ")
            ));
        }
        let root = std::mem::take(compiler.root());
        let mut filter = root.filter;
        filter.extend(collection::of_quality(self.entity.kind, self.flagged));
        filter.push(any(groups));
        let columns = self.selected(&format!("{ROOT}.datastream"));
        let select = Select { columns, from: root.from, filter, ..Select::default() };
        compiler.parameters.statement(&select.print(), EXPAND, self.span())
    }

    /// Statements that this expansion and those below it take, for at most [`KEYS_MAX`] parents.
    pub(super) fn statements(&self) -> usize {
        let count = usize::from(self.options.count.is_some_and(|count| count.value));
        1 + count + self.children.iter().map(Child::statements).sum::<usize>()
    }

    fn span(&self) -> crate::odata::Span {
        self.options.filter.as_ref().map(|filter| filter.span).unwrap_or_default()
    }

    fn skip(&self) -> u64 {
        self.options.skip.map_or(0, |skip| skip.value).min(super::OFFSET_ROWS_MAX)
    }

    fn check_keys(&self, keys: &[i64]) -> Result<()> {
        self.check_keys_count(keys.len())
    }

    fn check_keys_count(&self, keys: usize) -> Result<()> {
        if keys <= KEYS_MAX {
            return Ok(());
        }
        let what = format!("{} of {keys} entities", self.navigation.name);
        let why = format!("at most {KEYS_MAX} are expanded at once; ask for less with $top");
        Err(PlanError::new(PlanErrorKind::TooLarge, EXPAND, self.span(), what, why))
    }

    fn selected(&self, parent: &str) -> Vec<String> {
        let column = |column: &Column| match column.name.as_str() {
            PARENT => format!("{parent} AS {PARENT}"),
            _ => column.of(ROOT),
        };
        self.columns.iter().map(column).collect()
    }

    /// The rows of the parents that the filter chooses.
    fn rows(&self, keys: &[i64]) -> Result<Rows<'a>> {
        let kind = self.entity.kind;
        let mut compiler = Compiler::new(self.context.schema, self.context, kind);
        compiler.part = EXPAND;
        let (mut settled, mut natural) = (Vec::new(), None);
        let parent = match self.link {
            Link::Holds { .. } => format!("{ROOT}.id"),
            Link::HeldBy { column } => {
                settled.push(column);
                format!("{ROOT}.{column}")
            }
            Link::Through { table, near, far, order } => {
                let table = match order {
                    Order::Repeated => format!("(SELECT DISTINCT {near}, {far} FROM {table})"),
                    _ => table.to_owned(),
                };
                let join = format!("JOIN {table} AS l ON l.{far} = {ROOT}.id");
                compiler.root().from.push(join);
                if let Order::By(column) = order {
                    natural = Some(format!("l.{column}"));
                }
                format!("l.{near}")
            }
        };
        compiler.root().filter.insert(0, format!("{parent} {}", among(keys)));
        compiler.root().filter.extend(collection::of_quality(kind, self.flagged));
        if let Some(filter) = &self.options.filter {
            let condition = compiler.filter(filter)?;
            compiler.root().filter.push(condition);
        }
        Ok(Rows { compiler, parent, settled, natural })
    }

    fn order(&self, rows: &mut Rows<'_>) -> Result<Vec<String>> {
        let keys: &[Spanned<OrderBy>] = &self.options.orderby;
        let natural = rows.natural.clone();
        let ordering = Ordering { keys, kind: self.entity.kind, settled: &rows.settled, natural };
        rows.compiler.order(&ordering)
    }
}

struct Rows<'a> {
    compiler: Compiler<'a>,
    /// The column that says whose child a row is.
    parent: String,
    /// Columns that are the same in all rows of a parent.
    settled: Vec<&'static str>,
    natural: Option<String>,
}

/// Keys are integers from rows that were read, so they are written out.
fn among(keys: &[i64]) -> String {
    match keys {
        [one] => format!("= {one}"),
        _ => {
            let list: Vec<String> = keys.iter().map(i64::to_string).collect();
            format!("IN ({})", list.join(", "))
        }
    }
}
