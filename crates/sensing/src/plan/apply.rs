//! `$apply`: rows chosen, put in groups, counted together.
//!
//! The groups are one SELECT, over which `$filter`, `$orderby` and paging are another. A key or an
//! aggregate is one column or several (`k1`, `k1_end`, `a1`, `a1_json`); [`Column`] says which is
//! which. Observations that a rule found implausible are left out unless the request says otherwise
//! ([`Flagged`]).
//!
//! Windows are calculated in integers, so that they know all years that can be written.

use crate::odata::{Aggregate, AggregateMethod, Apply, Expr, GroupKey, Path, Span, Window};
use crate::schema::EntityKind;

use super::collection;
use super::dataset;
use super::error::Result;
use super::order::{item, sortable};
use super::scope::{Compiler, Output, OutputName, ROOT};
use super::sql::{Select, Statement};
use super::term::{
    End, Id, Json, Length, MICROS_PER_DAY, MICROS_PER_SECOND, Number, Period, Scalar, Term,
    above_multiple, micros, stamp,
};
use super::{Column, Context, Flagged, Part, Request, Role};

const APPLY: &str = "$apply";
/// The groups, as the outer SELECT calls them.
const GROUPS: &str = "g";
/// Monday, 5 January 1970, where windows of a fixed length begin.
const ANCHOR_US: i64 = 4 * MICROS_PER_DAY;
const MONTHS_PER_YEAR: i64 = 12;
/// The longest window, a century: what is added to a time stays a time.
const WINDOW_MONTHS_MAX: i32 = 1_200;
const WINDOW_US_MAX: i64 = 36_525 * MICROS_PER_DAY;

/// The page of groups, their number if it is asked for, and what the columns mean.
pub(super) struct Grouped {
    pub page: Option<Statement>,
    pub count: Option<Statement>,
    pub columns: Vec<Column>,
}

pub(super) fn grouped(
    request: &Request<'_>,
    context: &Context,
    apply: &Apply,
    top: u64,
) -> Result<Grouped> {
    let counted = request.options.count.is_some_and(|count| count.value);
    let (page, columns) = statement(request, context, apply, Some(top))?;
    let count = match counted {
        true => Some(statement(request, context, apply, None)?.0),
        false => None,
    };
    Ok(Grouped { page: (top > 0).then_some(page), count, columns })
}

/// A page of groups, or their number where there is no page.
fn statement(
    request: &Request<'_>,
    context: &Context,
    apply: &Apply,
    top: Option<u64>,
) -> Result<(Statement, Vec<Column>)> {
    let flagged = request.extras.flagged.unwrap_or(Flagged::Exclude);
    let filter: Option<&Expr> = apply.filter.as_ref();
    let mut compiler = collection::chosen(request, context, filter, APPLY, flagged)?.compiler;
    compiler.part = APPLY;
    let mut groups = Groups { kind: request.path.last().entity.kind, ..Groups::default() };
    for (index, key) in apply.keys.iter().enumerate() {
        groups.key(&mut compiler, index, &key.value, key.span)?;
    }
    let keys = groups.selected.len();
    // A window's end says no more than its start, and is not among what is selected.
    let selected = |sql: &&String| !sql.contains(' ');
    let key_columns: Vec<String> = groups.shown.iter().filter(selected).cloned().collect();
    for (index, aggregate) in apply.aggregates.iter().enumerate() {
        groups.aggregate(&mut compiler, index, &aggregate.value, aggregate.span)?;
    }
    let root = std::mem::take(compiler.root());
    let inner = Select {
        columns: groups.selected,
        from: root.from,
        filter: root.filter,
        group: keys,
        ..Select::default()
    };

    compiler.output = Some(groups.output);
    let from = vec![format!("({}) AS {GROUPS}", inner.print())];
    let mut outer = Select { from, ..Select::default() };
    if let Some(filter) = &request.options.filter {
        compiler.part = "$filter";
        outer.filter.push(compiler.filter(filter)?);
    }
    match top {
        None => outer.columns.push("count(*) AS count".to_owned()),
        Some(top) => {
            compiler.part = "$orderby";
            outer.columns = groups.shown;
            outer.order = order(&mut compiler, request, &key_columns)?;
            outer.limit = Some(top.saturating_add(1));
            let skip = request.options.skip.map_or(0, |skip| skip.value);
            outer.offset = skip.min(super::OFFSET_ROWS_MAX);
        }
    }
    let (part, span) = super::blamed(request.options);
    let statement = compiler.parameters.statement(&outer.print(), part, span)?;
    Ok((statement, groups.columns))
}

/// What the request says, then the keys: a group has its own.
fn order(
    compiler: &mut Compiler<'_>,
    request: &Request<'_>,
    keys: &[String],
) -> Result<Vec<String>> {
    let (mut known, mut items) = (Vec::new(), Vec::new());
    for order in &request.options.orderby {
        let term = compiler.term(&order.value.key)?;
        for column in sortable(&term, &[]) {
            if !known.contains(&column) {
                items.push(item(&column, order.value.direction, false));
                known.push(column);
            }
        }
    }
    for column in keys {
        let column = column.clone();
        if !known.contains(&column) {
            items.push(item(&column, crate::odata::Direction::Ascending, false));
        }
    }
    Ok(items)
}

struct Groups {
    kind: EntityKind,
    /// `… AS k1`.
    selected: Vec<String>,
    /// `g.k1`, and what is calculated of it.
    shown: Vec<String>,
    columns: Vec<Column>,
    output: Vec<Output>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            kind: EntityKind::Observation,
            selected: Vec::new(),
            shown: Vec::new(),
            columns: Vec::new(),
            output: Vec::new(),
        }
    }
}

impl Groups {
    fn key(
        &mut self,
        compiler: &mut Compiler<'_>,
        index: usize,
        key: &GroupKey,
        span: Span,
    ) -> Result<()> {
        let name = format!("k{}", index + 1);
        let role = |part| Role::Group { key: index, part };
        let output = match key {
            GroupKey::Path(path) => {
                let term = compiler.path(path, span)?;
                let term = self.give(&name, &term, parts(&term), role);
                Output { name: OutputName::Key(path.clone()), term }
            }
            GroupKey::Window(window) => {
                let start = Term::Time(Period::instant(window_start(compiler, window, span)?));
                self.give(&name, &start, parts(&start), role);
                let start = format!("{GROUPS}.{name}");
                let end = window_end(window, offset_us(window, compiler.context), &start);
                let column = format!("{name}_end");
                self.shown.push(format!("{end} AS {column}"));
                self.columns.push(Column { name: column, roles: vec![role(Part::End)] });
                let period = Period {
                    start: Scalar::nullable(start),
                    end: End::At(Scalar::nullable(end)),
                    literal: None,
                };
                let name = OutputName::Alias(window.alias.clone());
                Output { name, term: Term::Time(period) }
            }
        };
        self.output.push(output);
        Ok(())
    }

    fn aggregate(
        &mut self,
        compiler: &mut Compiler<'_>,
        index: usize,
        aggregate: &Aggregate,
        span: Span,
    ) -> Result<()> {
        let (term, parts) = self.aggregated(compiler, aggregate, span)?;
        let role = |part| Role::Aggregate { item: index, part };
        let term = self.give(&format!("a{}", index + 1), &term, parts, role);
        self.output.push(Output { name: OutputName::Alias(aggregate.alias.clone()), term });
        Ok(())
    }

    /// Selects the parts of a value, and says what they are outside.
    fn give(
        &mut self,
        name: &str,
        term: &Term,
        parts: Vec<(Part, String)>,
        role: impl Fn(Part) -> Role,
    ) -> Term {
        let mut names = Vec::new();
        for (part, sql) in parts {
            let column = match (names.is_empty(), part) {
                (true, _) => name.to_owned(),
                (false, Part::End) => format!("{name}_end"),
                (false, _) => format!("{name}_json"),
            };
            self.selected.push(format!("{sql} AS {column}"));
            self.shown.push(format!("{GROUPS}.{column}"));
            names.push(format!("{GROUPS}.{column}"));
            self.columns.push(Column { name: column, roles: vec![role(part)] });
        }
        again(term, &names)
    }

    /// What an aggregate is of, and the columns that it becomes.
    fn aggregated(
        &self,
        compiler: &mut Compiler<'_>,
        aggregate: &Aggregate,
        span: Span,
    ) -> Result<(Term, Vec<(Part, String)>)> {
        let count =
            |sql: String| Ok((Term::whole(Scalar::certain(sql.clone())), vec![(Part::Value, sql)]));
        let Some(path) = &aggregate.path else { return count("count(*)".to_owned()) };
        let term = compiler.path(path, span)?;
        let plain = |function: &str, term: Term, part: Part, of: &str| {
            Ok((term, vec![(part, format!("{function}({of})"))]))
        };
        match aggregate.method {
            AggregateMethod::Rows => count("count(*)".to_owned()),
            AggregateMethod::CountDistinct => count(distinct(&term)),
            AggregateMethod::Average | AggregateMethod::Sum => {
                let function = if aggregate.method == AggregateMethod::Sum { "sum" } else { "avg" };
                let number = term.as_double();
                plain(function, Term::number(number.clone()), Part::Value, &number.sql)
            }
            AggregateMethod::Min | AggregateMethod::Max => {
                let function = if aggregate.method == AggregateMethod::Min { "min" } else { "max" };
                match term {
                    Term::Time(period) => {
                        let start = period.start;
                        let of = start.sql.clone();
                        plain(function, Term::Time(Period::instant(start)), Part::Start, &of)
                    }
                    // Of values of several types, the numbers.
                    Term::Any(_) | Term::Result { .. } => {
                        let number = term.as_number();
                        plain(function, Term::number(number.clone()), Part::Value, &number.sql)
                    }
                    Term::Id(Id::Observation(_)) => {
                        let text = term.as_text();
                        plain(function, Term::text(text.clone()), Part::Value, &text.sql)
                    }
                    other => {
                        let parts = parts(&other);
                        let of = parts.first().map_or_else(String::new, |(_, sql)| sql.clone());
                        plain(function, other, Part::Value, &of)
                    }
                }
            }
            AggregateMethod::First | AggregateMethod::Last => {
                let function = match aggregate.method {
                    AggregateMethod::First => "first_value",
                    _ => "last_value",
                };
                let order = self.by_time();
                let parts = parts(&term)
                    .into_iter()
                    .map(|(part, sql)| (part, format!("{function}({sql} ORDER BY {order})")));
                let parts = parts.collect();
                Ok((term, parts))
            }
        }
    }

    /// The order of rows by phenomenon time; of those that have none, by id.
    fn by_time(&self) -> String {
        let columns: &[&str] = match self.kind {
            EntityKind::Observation => &["phenomenon_time", "datastream", "ordinal"],
            other => dataset::key(other),
        };
        let columns: Vec<String> = columns.iter().map(|name| format!("{ROOT}.{name}")).collect();
        columns.join(", ")
    }
}

/// How many different values there are, nulls apart.
fn distinct(term: &Term) -> String {
    match parts(term).as_slice() {
        [(_, only)] => format!("count(DISTINCT {only})"),
        // A number, or JSON, never both.
        [(Part::Number, number), (_, json)] => {
            format!("count(DISTINCT {number}) + count(DISTINCT {json})")
        }
        several => {
            let texts: Vec<String> =
                several.iter().map(|(_, sql)| format!("CAST({} AS TEXT)", micros(sql))).collect();
            format!("count(DISTINCT {})", texts.join(" || '/' || "))
        }
    }
}

/// The columns that a value is made of.
fn parts(term: &Term) -> Vec<(Part, String)> {
    let value = |sql: &str| vec![(Part::Value, sql.to_owned())];
    match term {
        Term::Null => value("NULL"),
        Term::Text { scalar, .. }
        | Term::Boolean(scalar)
        | Term::Date { scalar, .. }
        | Term::TimeOfDay(scalar)
        | Term::Number(Number { scalar, .. })
        | Term::Duration(Length { scalar, .. })
        | Term::Id(Id::Integer(scalar))
        | Term::Geometry { geometry: scalar, .. } => value(&scalar.sql),
        Term::Id(id @ Id::Observation(_)) => value(&id.as_text().sql),
        Term::Time(period) => match &period.end {
            End::Same => vec![(Part::Start, period.start.sql.clone())],
            _ => vec![(Part::Start, period.start.sql.clone()), (Part::End, period.end().sql)],
        },
        Term::Object(json) | Term::Any(json) => {
            vec![(Part::Json, format!("json_value({}, {})", json.column, json.pointer))]
        }
        Term::Result { number, json } => {
            vec![(Part::Number, number.clone()), (Part::Json, json.clone())]
        }
    }
}

/// The same value over columns of the groups.
fn again(term: &Term, names: &[String]) -> Term {
    let name = names.first().cloned().unwrap_or_default();
    let scalar = Scalar::nullable(&name);
    match (term, names.get(1)) {
        (Term::Number(number), _) => Term::Number(Number { scalar, whole: number.whole }),
        (Term::Id(Id::Integer(_)), _) => Term::Id(Id::Integer(scalar)),
        (Term::Time(_), None) => Term::Time(Period::instant(scalar)),
        (Term::Time(_), Some(end)) => {
            let end = End::At(Scalar::nullable(end));
            Term::Time(Period { start: scalar, end, literal: None })
        }
        (Term::Any(_) | Term::Object(_), _) => Term::Any(Json::whole(name)),
        (Term::Result { .. }, Some(json)) => Term::Result { number: name, json: json.clone() },
        (Term::Boolean(_), _) => Term::Boolean(scalar),
        (Term::Duration(_), _) => Term::length(scalar),
        _ => Term::text(scalar),
    }
}

// --- Windows ----------------------------------------------------------------------------------

/// Where the window begins that a time falls into, as [`odata::semantics`](crate::odata::semantics)
/// lays them.
fn window_start(compiler: &mut Compiler<'_>, window: &Window, span: Span) -> Result<Scalar> {
    if window.length.months > WINDOW_MONTHS_MAX || window.length.micros > WINDOW_US_MAX {
        return Err(compiler.unsupported(span, "a window", "it is longer than a century"));
    }
    let path: &Path = &window.time;
    let Some(time) = compiler.path(path, span)?.as_period().map(|period| period.start) else {
        return Err(compiler.unsupported(span, "a window", "its path leads to no time"));
    };
    let offset_us = offset_us(window, compiler.context);
    Ok(match window.length.months {
        0 => fixed(&time, window.length.micros, offset_us),
        months => calendar(&time, months, offset_us),
    })
}

fn window_end(window: &Window, offset_us: i64, start: &str) -> String {
    match window.length.months {
        0 => add(start, window.length.micros),
        months => {
            let local = add(start, offset_us);
            add(&format!("({local} + INTERVAL '{months} months')"), -offset_us)
        }
    }
}

fn offset_us(window: &Window, context: &Context) -> i64 {
    let offset = window.offset.unwrap_or(context.zone);
    i64::from(offset.local_minus_utc()) * MICROS_PER_SECOND
}

fn add(stamp: &str, micros: i64) -> String {
    if micros == 0 {
        return stamp.to_owned();
    }
    format!("({stamp} + INTERVAL '{micros} microseconds')")
}

/// Windows of one length, from the anchor on the window's clock.
fn fixed(time: &Scalar, length_us: i64, offset_us: i64) -> Scalar {
    let anchor = (ANCHOR_US - offset_us).rem_euclid(length_us);
    time.map(|time| {
        let micros = micros(time);
        let since = if anchor == 0 { micros.clone() } else { format!("({micros} - {anchor})") };
        stamp(&format!("({micros} - {})", above_multiple(&since, length_us)))
    })
}

/// Windows of whole months, from January 1970 on the window's clock. `date_trunc` and `date_bin`
/// fail beyond the year 2262, and one row with such a time would fail all.
fn calendar(time: &Scalar, months: i32, offset_us: i64) -> Scalar {
    let length = i64::from(months);
    time.map(|time| {
        let local = add(time, offset_us);
        let year = format!("date_part('year', {local})");
        let month = format!("date_part('month', {local})");
        let (year, month) = if MONTHS_PER_YEAR % length == 0 {
            (year, format!("({month} - ({month} - 1) % {length})"))
        } else {
            let since = format!("(({year} - 1970) * {MONTHS_PER_YEAR} + {month} - 1)");
            let first = format!("({since} - {})", above_multiple(&since, length));
            let in_year = above_multiple(&first, MONTHS_PER_YEAR);
            let year = format!("(1970 + ({first} - {in_year}) / {MONTHS_PER_YEAR})");
            (year, format!("({in_year} + 1)"))
        };
        let days = format!("CAST(CAST(make_date({year}, {month}, 1) AS INTEGER) AS BIGINT)");
        match offset_us {
            0 => stamp(&format!("({days} * {MICROS_PER_DAY})")),
            _ => stamp(&format!("({days} * {MICROS_PER_DAY} - ({offset_us}))")),
        }
    })
}
