//! Names of a request as columns: rows that are at hand, joins to one, and what a path stands for.
//!
//! The row of the collection is `t`. A navigation to one is a LEFT JOIN, so that a path to what is
//! not there is null; a navigation to many is a row of an EXISTS, bound by
//! [`filter`](super::filter) before a path through it is looked at.

use crate::odata::{Expr, Path, Span, Step};
use crate::schema::{Entity, EntityKind, Navigation, Property, Schema};

use super::Context;
use super::dataset::{self, Columns, Link};
use super::error::{PlanError, PlanErrorKind, Result};
use super::sql::{Parameters, Value};
use super::term::{End, Id, Json, Period, Scalar, Term};

/// The alias of the collection's rows.
pub(super) const ROOT: &str = "t";

/// A row that a path may begin at.
struct Row {
    /// The navigations from the root that lead to it.
    path: Vec<&'static Navigation>,
    alias: String,
    entity: &'static Entity,
    /// The SELECT that it is a row of: 0 is the collection's.
    scope: usize,
    /// Of a LEFT JOIN: there may be none.
    optional: bool,
}

/// A column that `$apply` leaves: what it was made from, or its name, and what it is.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub name: OutputName,
    pub term: Term,
}

#[derive(Debug, Clone)]
pub(super) enum OutputName {
    Key(Path),
    Alias(String),
}

/// A SELECT whose FROM grows while expressions are read.
#[derive(Default)]
pub(super) struct Scope {
    pub from: Vec<String>,
    pub filter: Vec<String>,
}

/// Turns the expressions of one statement into SQL.
pub(super) struct Compiler<'a> {
    pub schema: &'static Schema,
    pub context: &'a Context,
    /// The option that is being read, for errors.
    pub part: &'static str,
    pub parameters: Parameters,
    pub scopes: Vec<Scope>,
    rows: Vec<Row>,
    aliases: usize,
    /// After `$apply` only these are there.
    pub output: Option<Vec<Output>>,
}

impl<'a> Compiler<'a> {
    /// Over the rows of an entity type.
    pub fn new(schema: &'static Schema, context: &'a Context, kind: EntityKind) -> Self {
        let entity = schema.entity(kind);
        let mut root = Scope::default();
        root.from.push(format!("{} AS {ROOT}", dataset::table(kind)));
        root.filter.extend(dataset::is_of_kind(kind, ROOT));
        let row =
            Row { path: Vec::new(), alias: ROOT.to_owned(), entity, scope: 0, optional: false };
        Self {
            schema,
            context,
            part: "path",
            parameters: Parameters::default(),
            scopes: vec![root],
            rows: vec![row],
            aliases: 0,
            output: None,
        }
    }

    pub fn error(
        &self,
        kind: PlanErrorKind,
        span: Span,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Box<PlanError> {
        PlanError::new(kind, self.part, span, what, why)
    }

    pub fn unsupported(
        &self,
        span: Span,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Box<PlanError> {
        self.error(PlanErrorKind::Unsupported, span, what, why)
    }

    /// The collection's own SELECT.
    pub fn root(&mut self) -> &mut Scope {
        &mut self.scopes[0]
    }

    fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    fn row_at(&self, path: &[&'static Navigation]) -> Option<usize> {
        self.rows.iter().position(|row| row.path == path)
    }

    // --- Paths --------------------------------------------------------------------------------

    /// What a path stands for.
    pub fn path(&mut self, path: &Path, span: Span) -> Result<Term> {
        if let Some(output) = &self.output {
            let found = output.iter().find(|column| match &column.name {
                OutputName::Key(key) => key == path,
                OutputName::Alias(alias) => {
                    matches!(&path.steps[0].value, Step::Column(column) if column.name == *alias)
                }
            });
            return match found {
                Some(column) => Ok(column.term.clone()),
                None => Err(self.unsupported(span, "a path", "$apply leaves no such result")),
            };
        }
        let navigations: Vec<&'static Navigation> = path.navigations().collect();
        let mut steps = path.steps[navigations.len()..].iter();
        let Some(Step::Property(property)) = steps.next().map(|step| &step.value) else {
            return Err(self.unsupported(span, "a path to an entity", "it has no value"));
        };
        let pointer = pointer(steps.map(|step| &step.value));
        if property.name == "id"
            && let Some(id) = self.linked_id(&navigations, span)?
        {
            return Ok(Term::Id(Id::Integer(id)));
        }
        let row = self.row(&navigations, span)?;
        self.property(row, property, &pointer, span)
    }

    /// The id at the end of a path where the row before it holds it: no join is needed. Only where
    /// all rows of the dataset are of the type.
    fn linked_id(&mut self, path: &[&'static Navigation], span: Span) -> Result<Option<Scalar>> {
        let Some((last, before)) = path.split_last() else { return Ok(None) };
        if self.row_at(path).is_some() || dataset::is_of_kind(last.target, "").is_some() {
            return Ok(None);
        }
        let near = self.kind_at(before);
        let Link::Holds { column } = dataset::link(near, last, self.part, span)? else {
            return Ok(None);
        };
        let row = self.row(before, span)?;
        Ok(Some(Scalar::nullable(format!("{}.{column}", self.rows[row].alias))))
    }

    fn kind_at(&self, path: &[&'static Navigation]) -> EntityKind {
        path.last().map_or(self.rows[0].entity.kind, |navigation| navigation.target)
    }

    /// The row that navigations lead to, joined if it is not there yet.
    fn row(&mut self, path: &[&'static Navigation], span: Span) -> Result<usize> {
        if let Some(row) = self.row_at(path) {
            // A statement within a statement sees the one around it and no further.
            if self.rows[row].scope + 2 < self.scopes.len() {
                let why = "comparisons inside paths to many reach one entity further out, not two";
                return Err(self.unsupported(span, "a path from too far outside", why));
            }
            return Ok(row);
        }
        let (last, before) = path.split_last().expect("the root is a row");
        if last.is_many() {
            let what = format!("a path through {}", last.name);
            return Err(self.unsupported(span, what, "it leads to many where one value is needed"));
        }
        let near = self.row(before, span)?;
        let link = dataset::link(self.rows[near].entity.kind, last, self.part, span)?;
        let Link::Holds { column } = link else {
            return Err(dataset::unkept(last.name, self.part, span));
        };
        let alias = self.alias('j');
        let mut on = format!("{alias}.id = {}.{column}", self.rows[near].alias);
        if let Some(kind) = dataset::is_of_kind(last.target, &alias) {
            on = format!("{on} AND {kind}");
        }
        let scope = self.rows[near].scope;
        let join = format!("LEFT JOIN {} AS {alias} ON {on}", dataset::table(last.target));
        self.scopes[scope].from.push(join);
        Ok(self.add_row(path, alias, scope, true))
    }

    fn add_row(
        &mut self,
        path: &[&'static Navigation],
        alias: String,
        scope: usize,
        optional: bool,
    ) -> usize {
        let kind = self.kind_at(path);
        let entity = self.schema.entity(kind);
        self.rows.push(Row { path: path.to_vec(), alias, entity, scope, optional });
        self.rows.len() - 1
    }

    // --- Rows of EXISTS -----------------------------------------------------------------------

    /// Begins a SELECT inside the one at hand.
    pub fn open(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// Ends it: its rows are out of reach.
    pub fn close(&mut self) -> Scope {
        let scope = self.scopes.len() - 1;
        self.rows.retain(|row| row.scope != scope);
        self.scopes.pop().expect("what was opened is closed")
    }

    pub fn is_bound(&self, path: &[&'static Navigation]) -> bool {
        self.row_at(path).is_some()
    }

    /// Makes the related entities that a path to many leads to rows of the SELECT at hand.
    pub fn bind(&mut self, path: &[&'static Navigation], span: Span) -> Result<()> {
        let (last, before) = path.split_last().expect("the root is a row");
        let near_kind = self.kind_at(before);
        let link = dataset::link(near_kind, last, self.part, span)?;
        let (near, near_scope) = match self.linked_id(before, span)? {
            Some(id) => {
                let row = self.row(&before[..before.len() - 1], span)?;
                (id.sql, self.rows[row].scope)
            }
            None => {
                let row = self.row(before, span)?;
                (format!("{}.id", self.rows[row].alias), self.rows[row].scope)
            }
        };
        let scope = self.scopes.len() - 1;
        let alias = self.alias('e');
        let far = dataset::table(last.target);
        let kind = dataset::is_of_kind(last.target, &alias);
        match link {
            Link::HeldBy { column } => {
                let mut on = vec![format!("{alias}.{column} = {near}")];
                on.extend(kind);
                self.join_many(scope, far, &alias, on, near_scope == scope);
            }
            Link::Through { table, near: near_column, far: far_column, .. } => {
                let between = self.alias('l');
                let on = vec![format!("{between}.{near_column} = {near}")];
                self.join_many(scope, table, &between, on, near_scope == scope);
                let mut on = vec![format!("{alias}.id = {between}.{far_column}")];
                on.extend(kind);
                self.join_many(scope, far, &alias, on, true);
            }
            Link::Holds { .. } => return Err(dataset::unkept(last.name, self.part, span)),
        }
        self.add_row(path, alias, scope, false);
        Ok(())
    }

    /// A condition on rows outside stands in WHERE: that is what is understood everywhere.
    fn join_many(&mut self, scope: usize, table: &str, alias: &str, on: Vec<String>, inside: bool) {
        let scope = &mut self.scopes[scope];
        if inside && !scope.from.is_empty() {
            scope.from.push(format!("JOIN {table} AS {alias} ON {}", on.join(" AND ")));
            return;
        }
        let join = if scope.from.is_empty() { "" } else { "CROSS JOIN " };
        scope.from.push(format!("{join}{table} AS {alias}"));
        scope.filter.extend(on);
    }

    // --- Properties ---------------------------------------------------------------------------

    fn property(
        &mut self,
        row: usize,
        property: &'static Property,
        pointer: &str,
        span: Span,
    ) -> Result<Term> {
        let Row { alias, entity, optional, .. } = &self.rows[row];
        let (alias, entity, optional) = (alias.clone(), *entity, *optional);
        let Some(columns) = dataset::columns(entity.kind, property.name) else {
            return Err(dataset::unkept(property.name, self.part, span));
        };
        let column = |name: &str| format!("{alias}.{name}");
        let key = |name: &str| Scalar { sql: format!("{alias}.{name}"), certain: !optional };
        let nullable = |name: &str| Scalar::nullable(format!("{alias}.{name}"));
        if let Some(kept) = dataset::column_of_member(entity.kind, property.name, pointer) {
            return Ok(Term::text(nullable(kept)));
        }
        if !pointer.is_empty() {
            let column = match columns {
                Columns::Json(json) | Columns::Any(json) | Columns::Place { json, .. } => {
                    column(json)
                }
                Columns::Result => column("result_json"),
                Columns::Geometry(geometry) => format!("st_asgeojson({})", column(geometry)),
                _ => return Err(self.unsupported(span, "a member", "only JSON has members")),
            };
            let pointer = self.parameters.text(pointer);
            return Ok(Term::Any(Json { column, pointer }));
        }
        Ok(match columns {
            Columns::Id if entity.kind == EntityKind::Observation => {
                Term::Id(Id::Observation(alias))
            }
            Columns::Id => Term::Id(Id::Integer(key("id"))),
            Columns::SelfLink => Term::text(self.self_link(&alias, entity, optional)),
            Columns::Text(name) => Term::text(nullable(name)),
            Columns::Json(name) => Term::Object(Json::whole(column(name))),
            Columns::Any(name) => Term::Any(Json::whole(column(name))),
            Columns::Result => {
                Term::Result { number: column("result_number"), json: column("result_json") }
            }
            Columns::Instant(name) => Term::Time(Period::instant(nullable(name))),
            Columns::Time { start, end } => Term::Time(Period {
                start: key(start),
                end: End::OrStart(column(end)),
                literal: None,
            }),
            Columns::Interval { start, end } => Term::Time(Period {
                start: nullable(start),
                end: End::At(nullable(end)),
                literal: None,
            }),
            Columns::Place { json, geometry } => {
                Term::Geometry { geometry: nullable(geometry), given: Some(column(json)) }
            }
            Columns::Geometry(name) => Term::Geometry { geometry: nullable(name), given: None },
        })
    }

    fn self_link(&mut self, alias: &str, entity: &'static Entity, optional: bool) -> Scalar {
        let id = match entity.kind {
            EntityKind::Observation => Id::Observation(alias.to_owned()),
            _ => Id::Integer(Scalar { sql: format!("{alias}.id"), certain: !optional }),
        };
        let quote = if entity.kind == EntityKind::Observation { "'" } else { "" };
        let root = self.context.root.trim_end_matches('/');
        let before = self.parameters.text(format!("{root}/{}({quote}", entity.set));
        let after = self.parameters.give(Value::Text(format!("{quote})")));
        id.as_text().map(|id| format!("({before} || {id} || {after})"))
    }

    // --- What a path needs --------------------------------------------------------------------

    /// The paths to many in an expression that are not bound, each with the ones it goes through:
    /// shorter ones first. The recursion is as deep as the tree.
    pub fn unbound(&self, expr: &Expr) -> Vec<Vec<&'static Navigation>> {
        let mut found = Vec::new();
        if self.output.is_none() {
            self.collect_unbound(expr, &mut found);
        }
        found
    }

    fn collect_unbound(&self, expr: &Expr, found: &mut Vec<Vec<&'static Navigation>>) {
        use crate::odata::ExprKind::{And, Binary, Call, Literal, Negate, Not, Or, Path};
        match &expr.value {
            Literal(_) => {}
            Path(path) => {
                let navigations: Vec<&'static Navigation> = path.navigations().collect();
                for length in 1..=navigations.len() {
                    let prefix = &navigations[..length];
                    let many = navigations[length - 1].is_many();
                    if many && !self.is_bound(prefix) && !found.iter().any(|known| known == prefix)
                    {
                        found.push(prefix.to_vec());
                    }
                }
            }
            Not(operand) | Negate(operand) => self.collect_unbound(operand, found),
            Binary { left, right, .. } => {
                self.collect_unbound(left, found);
                self.collect_unbound(right, found);
            }
            And(operands) | Or(operands) | Call { arguments: operands, .. } => {
                for operand in operands {
                    self.collect_unbound(operand, found);
                }
            }
        }
    }
}

/// Keys and indexes as a JSON Pointer (RFC 6901).
pub(super) fn pointer<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    steps.fold(String::new(), |pointer, step| match step {
        Step::Key(key) => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Step::Index(index) => format!("{pointer}/{index}"),
        _ => pointer,
    })
}
