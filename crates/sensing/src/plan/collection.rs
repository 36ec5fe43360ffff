//! Resource paths, pages and counts: which rows a request is about.

use crate::odata::{
    BinaryOp, EntityId, QueryOptions, ResourceEnd, ResourcePath, ResourceSegment, SelectItem, Span,
    Spanned, Step,
};
use crate::schema::{Entity, EntityKind};

use super::dataset::{self, Columns, Link, Order};
use super::error::Result;
use super::key::{integer_of, observation_of};
use super::order::Ordering;
use super::quality::{implausible, plausible};
use super::scope::{Compiler, ROOT};
use super::sql::{FALSE, Parameters, Select, Statement, Value};
use super::{Column, Context, Flagged, PATH, Part, Request, Role};

// --- Paths of resources -----------------------------------------------------------------------

/// Which rows of a segment a path means.
struct Way<'a> {
    segments: &'a [Spanned<ResourceSegment>],
    /// From the set on; else from the last segment that has an id, whose own place in the path
    /// another statement has looked at.
    whole: bool,
    aliases: usize,
}

impl Way<'_> {
    /// The conditions on a row of a segment that do not look at the ones before it.
    fn own(&self, index: usize, alias: &str, parameters: &mut Parameters) -> Vec<String> {
        let segment = &self.segments[index].value;
        let mut conditions: Vec<String> =
            dataset::is_of_kind(segment.entity.kind, alias).into_iter().collect();
        if let Some(id) = &segment.id {
            conditions.push(has_id(segment.entity.kind, id, alias, parameters));
        }
        conditions
    }

    /// The conditions on a row of a segment.
    fn conditions(
        &mut self,
        index: usize,
        alias: &str,
        parameters: &mut Parameters,
    ) -> Result<Vec<String>> {
        let mut conditions = self.own(index, alias, parameters);
        if let Some(link) = self.link_to(index)? {
            conditions.push(self.related(index, link, alias, parameters)?);
        }
        Ok(conditions)
    }

    /// How a segment's rows are found from the one before it.
    fn link_to(&self, index: usize) -> Result<Option<Link>> {
        let Some(before) = index.checked_sub(1) else { return Ok(None) };
        let (kind, segment) = (self.segments[before].value.entity.kind, &self.segments[index]);
        dataset::link_named(kind, segment.value.name, PATH, segment.span).map(Some)
    }

    /// A row of a segment belongs to one of the segment before.
    fn related(
        &mut self,
        index: usize,
        link: Link,
        alias: &str,
        parameters: &mut Parameters,
    ) -> Result<String> {
        Ok(match link {
            Link::HeldBy { column } => {
                let near = self.near_ids(index - 1, parameters)?;
                format!("{alias}.{column} {near}")
            }
            Link::Holds { column } => {
                let near = self.select(index - 1, column, parameters)?;
                format!("{alias}.id IN ({near})")
            }
            Link::Through { table, near, far, .. } => {
                let ids = self.near_ids(index - 1, parameters)?;
                let between = self.alias('l');
                format!(
                    "{alias}.id IN (SELECT {between}.{far} FROM {table} AS {between} \
                     WHERE {between}.{near} {ids})"
                )
            }
        })
    }

    fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    /// `= $1` or `IN (SELECT …)`: the ids of a segment's rows.
    fn near_ids(&mut self, index: usize, parameters: &mut Parameters) -> Result<String> {
        let segment = &self.segments[index].value;
        if let (false, Some(id)) = (self.whole, &segment.id)
            && let Some(id) = integer_of(id)
        {
            return Ok(format!("= {}", parameters.give(Value::Integer(id))));
        }
        Ok(format!("IN ({})", self.select(index, "id", parameters)?))
    }

    fn select(
        &mut self,
        index: usize,
        column: &str,
        parameters: &mut Parameters,
    ) -> Result<String> {
        let segment = &self.segments[index].value;
        let (kind, alias) = (segment.entity.kind, self.alias('p'));
        let conditions = match (&segment.id, self.whole) {
            (Some(id), false) => vec![has_id(kind, id, &alias, parameters)],
            _ => self.conditions(index, &alias, parameters)?,
        };
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        Ok(format!("SELECT {alias}.{column} FROM {} AS {alias}{filter}", dataset::table(kind)))
    }
}

fn has_id(kind: EntityKind, id: &EntityId, alias: &str, parameters: &mut Parameters) -> String {
    match kind {
        EntityKind::Observation => match observation_of(id) {
            Some(key) => {
                let datastream = parameters.give(Value::Integer(key.datastream));
                let time = parameters.give(Value::Instant(key.time_us));
                let ordinal = parameters.give(Value::Integer(key.ordinal));
                format!(
                    "{alias}.datastream = {datastream} AND {alias}.phenomenon_time = {time} \
                     AND {alias}.ordinal = {ordinal}"
                )
            }
            None => FALSE.to_owned(),
        },
        _ => match integer_of(id) {
            Some(id) => format!("{alias}.id = {}", parameters.give(Value::Integer(id))),
            None => FALSE.to_owned(),
        },
    }
}

/// A row if all entities on the way to the last segment are there, each where the path says.
pub(super) fn parents(path: &ResourcePath) -> Result<Option<Statement>> {
    let Some(last) = path.segments.len().checked_sub(2) else { return Ok(None) };
    let mut parameters = Parameters::default();
    let mut way = Way { segments: &path.segments, whole: true, aliases: 0 };
    let filter = way.conditions(last, ROOT, &mut parameters)?;
    let segment = &path.segments[last];
    let select = Select {
        columns: vec!["1 AS found".to_owned()],
        from: vec![format!("{} AS {ROOT}", dataset::table(segment.value.entity.kind))],
        filter,
        limit: Some(1),
        ..Select::default()
    };
    parameters.statement(&select.print(), PATH, segment.span).map(Some)
}

/// The columns of the key that the path gives one value.
fn settled(path: &ResourcePath) -> Vec<&'static str> {
    let [.., before, last] = path.segments.as_slice() else { return Vec::new() };
    let link = dataset::link_named(before.value.entity.kind, last.value.name, PATH, last.span);
    match (&before.value.id, link) {
        (Some(_), Ok(Link::HeldBy { column })) => vec![column],
        _ => Vec::new(),
    }
}

/// Does the path itself put what it leads to in order?
pub(super) fn is_ordered(path: &ResourcePath) -> bool {
    let way = Way { segments: &path.segments, whole: false, aliases: 0 };
    let link = way.link_to(path.segments.len() - 1);
    matches!(link, Ok(Some(Link::Through { order: Order::By(_), .. })))
}

// --- Pages ------------------------------------------------------------------------------------

/// The rows of a request's path that its filter chooses, ready to be selected, counted or grouped.
pub(super) struct Chosen<'a> {
    pub compiler: Compiler<'a>,
    /// A column that puts them in order, where the path does.
    natural: Option<String>,
}

pub(super) fn chosen<'a>(
    request: &Request<'a>,
    context: &'a Context,
    filter: Option<&crate::odata::Expr>,
    part: &'static str,
    flagged: Flagged,
) -> Result<Chosen<'a>> {
    let last = request.path.last();
    let kind = last.entity.kind;
    let mut compiler = Compiler::new(context.schema, context, kind);
    compiler.root().filter.clear();
    let mut way = Way { segments: &request.path.segments, whole: false, aliases: 0 };
    let index = request.path.segments.len() - 1;
    let mut natural = None;
    let conditions = match way.link_to(index)? {
        // What puts rows in order has to be at hand beside them.
        Some(Link::Through { table, near, far, order: Order::By(order) }) => {
            let between = way.alias('l');
            let mut conditions = way.own(index, ROOT, &mut compiler.parameters);
            let ids = way.near_ids(index - 1, &mut compiler.parameters)?;
            conditions.push(format!("{between}.{near} {ids}"));
            let join = format!("JOIN {table} AS {between} ON {between}.{far} = {ROOT}.id");
            compiler.root().from.push(join);
            natural = Some(format!("{between}.{order}"));
            conditions
        }
        _ => way.conditions(index, ROOT, &mut compiler.parameters)?,
    };
    compiler.root().filter.extend(conditions);
    compiler.root().filter.extend(of_quality(kind, flagged));
    if let Some(filter) = filter {
        compiler.part = part;
        let condition = compiler.filter(filter)?;
        compiler.root().filter.push(condition);
    }
    Ok(Chosen { compiler, natural })
}

/// Observations by whether a rule found them implausible.
pub(super) fn of_quality(kind: EntityKind, flagged: Flagged) -> Option<String> {
    let flags = || format!("{ROOT}.flags");
    match (kind, flagged) {
        (EntityKind::Observation, Flagged::Exclude) => Some(plausible(&flags())),
        (EntityKind::Observation, Flagged::Only) => Some(implausible(&flags())),
        _ => None,
    }
}

/// The page of a collection, or the one entity; the columns of its rows.
pub(super) fn page(
    request: &Request<'_>,
    context: &Context,
    columns: &[Column],
    top: u64,
) -> Result<Statement> {
    let (path, options) = (request.path, request.options);
    let flagged = request.extras.flagged.unwrap_or(Flagged::Include);
    let Chosen { mut compiler, natural } =
        chosen(request, context, options.filter.as_ref(), "$filter", flagged)?;
    let kind = path.last().entity.kind;
    let one = path.last().id.is_some() || !path.last().many;
    if let Some(after) = &request.extras.after {
        let condition = behind(&mut compiler, kind, after);
        compiler.root().filter.push(condition);
    }
    let (settled, mut order) = (settled(path), Vec::new());
    if !one {
        compiler.part = "$orderby";
        let keys = &options.orderby;
        order = compiler.order(&Ordering { keys, kind, settled: &settled, natural })?;
    }
    let skip = options.skip.map_or(0, |skip| skip.value);
    let root = std::mem::take(compiler.root());
    let select = Select {
        columns: columns.iter().map(|column| column.of(ROOT)).collect(),
        from: root.from,
        filter: root.filter,
        order,
        limit: Some(if one { 1 } else { top.saturating_add(1) }),
        offset: if one { 0 } else { skip.min(super::OFFSET_ROWS_MAX) },
        ..Select::default()
    };
    let (part, span) = super::blamed(request.options);
    compiler.parameters.statement(&select.print(), part, span)
}

/// Rows that come after one in the order of the key.
fn behind(compiler: &mut Compiler<'_>, kind: EntityKind, after: &EntityId) -> String {
    match kind {
        EntityKind::Observation => match observation_of(after) {
            Some(key) => compiler.observation(BinaryOp::Gt, ROOT, key),
            None => FALSE.to_owned(),
        },
        _ => match integer_of(after) {
            Some(id) => {
                format!("{ROOT}.id > {}", compiler.parameters.give(Value::Integer(id)))
            }
            None => FALSE.to_owned(),
        },
    }
}

/// How many there are, whatever the page shows.
pub(super) fn count(request: &Request<'_>, context: &Context) -> Result<Statement> {
    let flagged = request.extras.flagged.unwrap_or(Flagged::Include);
    let filter = request.options.filter.as_ref();
    let mut compiler = chosen(request, context, filter, "$filter", flagged)?.compiler;
    let root = std::mem::take(compiler.root());
    let select = Select {
        columns: vec!["count(*) AS count".to_owned()],
        from: root.from,
        filter: root.filter,
        ..Select::default()
    };
    let (part, span) = super::blamed(request.options);
    compiler.parameters.statement(&select.print(), part, span)
}

// --- Columns ----------------------------------------------------------------------------------

/// The columns that an answer is written from: the key, for links, and what was selected.
pub(super) fn columns(
    entity: &'static Entity,
    end: &ResourceEnd,
    options: &QueryOptions,
) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = dataset::key(entity.kind)
        .iter()
        .map(|name| Column { name: (*name).to_owned(), roles: vec![Role::Key] })
        .collect();
    match end {
        ResourceEnd::References => {}
        ResourceEnd::Property { path, .. } => {
            add_property(&mut columns, entity, &path.steps[0])?;
        }
        ResourceEnd::Whole if options.select.is_empty() => {
            for property in entity.properties {
                let step = Spanned::new(Step::Property(property), Span::default());
                add_property(&mut columns, entity, &step)?;
            }
        }
        ResourceEnd::Whole => {
            for item in &options.select {
                if let SelectItem::Property(path) = &item.value {
                    add_property(&mut columns, entity, &path.steps[0])?;
                }
            }
        }
    }
    for expand in &options.expand {
        let (navigation, span) = (expand.navigation.value, expand.navigation.span);
        let link = dataset::link(entity.kind, navigation, "$expand", span)?;
        if let Link::Holds { column } = link {
            add(&mut columns, column, Role::Link);
        }
    }
    Ok(columns)
}

fn add_property(
    columns: &mut Vec<Column>,
    entity: &'static Entity,
    step: &Spanned<Step>,
) -> Result<()> {
    let Step::Property(property) = step.value else { return Ok(()) };
    let Some(kept) = dataset::columns(entity.kind, property.name) else {
        return Err(dataset::unkept(property.name, PATH, step.span));
    };
    let mut give = |name: &str, part| add(columns, name, Role::Property { property, part });
    match kept {
        // Made of the key.
        Columns::Id | Columns::SelfLink => {}
        Columns::Text(name) | Columns::Instant(name) | Columns::Geometry(name) => {
            give(name, Part::Value);
        }
        Columns::Json(name) | Columns::Any(name) | Columns::Place { json: name, .. } => {
            give(name, Part::Json);
        }
        Columns::Result => {
            give("result_number", Part::Number);
            give("result_json", Part::Json);
        }
        Columns::Time { start, end } | Columns::Interval { start, end } => {
            give(start, Part::Start);
            give(end, Part::End);
        }
    }
    Ok(())
}

/// A column of the key may be one of a property as well.
fn add(columns: &mut Vec<Column>, name: &str, role: Role) {
    match columns.iter_mut().find(|column| column.name == name) {
        Some(column) if column.roles.contains(&role) => {}
        Some(column) => column.roles.push(role),
        None => columns.push(Column { name: name.to_owned(), roles: vec![role] }),
    }
}
