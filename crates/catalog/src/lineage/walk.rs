//! The walk over a plan, bottom up: for each node, the origins of each of its output columns.
//!
//! ```text
//!  TableScan      field            → itself, as identity
//!  Projection …   expression       → the union of its columns' origins, made stronger by what it does
//!  Filter, Join   predicate        → indirect
//!  sub-query      its own walk, with the outer query's columns in reach
//!  recursive CTE  walked until nothing new is found
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::{Column as PlanColumn, DFSchema, DFSchemaRef, TableReference};
use datafusion::logical_expr::expr::{InSubquery, SetComparison, Sort as SortKey};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Extension, Join, JoinType, LogicalPlan, RecursiveQuery, TableScan,
    Unnest, Window, WindowFunctionDefinition,
};

use super::{Column, FieldRef, How, Indirect, Influence, Lineage, Origin};

/// The fields behind one column. A field seen in two ways keeps the stronger one.
type Origins = BTreeMap<FieldRef, How>;

/// A recursive term is walked again until its origins stop growing, but no longer than this. Each
/// round must add a field to some column or end the loop, so real queries need two or three.
const RECURSION_ROUNDS_MAX: usize = 64;

/// Columns by position, with the schema that names them.
struct Scope {
    schema: DFSchemaRef,
    columns: Vec<Origins>,
}

impl Scope {
    fn find(&self, column: &PlanColumn) -> Option<&Origins> {
        let index = self.schema.maybe_index_of_column(column).or_else(|| {
            self.schema.fields().iter().position(|field| field.name() == &column.name)
        })?;
        self.columns.get(index)
    }

    /// Everything in reach: the answer for a name that is not understood.
    fn all(&self) -> Origins {
        let mut all = Origins::new();
        for column in &self.columns {
            merge(&mut all, column, How::Transformation);
        }
        all
    }
}

fn merge(into: &mut Origins, from: &Origins, at_least: How) {
    for (field, how) in from {
        let how = (*how).max(at_least);
        into.entry(field.clone()).and_modify(|known| *known = (*known).max(how)).or_insert(how);
    }
}

fn merged<'a>(parts: impl IntoIterator<Item = &'a Origins>, at_least: How) -> Origins {
    let mut all = Origins::new();
    for part in parts {
        merge(&mut all, part, at_least);
    }
    all
}

#[derive(Default)]
pub(super) struct Walk {
    indirect: BTreeMap<FieldRef, BTreeSet<Influence>>,
    datasets: BTreeSet<String>,
    /// Scopes of the queries around the sub-query being walked, innermost last.
    outer: Vec<Scope>,
    /// Recursive queries under way: name and the origins found so far.
    recursive: Vec<(String, Vec<Origins>)>,
}

impl Walk {
    pub(super) fn lineage(mut self, plan: &LogicalPlan) -> Lineage {
        let columns = self.plan(plan);
        let names = plan.schema().fields().iter().map(|field| field.name().clone());
        Lineage {
            columns: names
                .zip(columns)
                .map(|(name, origins)| Column {
                    name,
                    from: origins.into_iter().map(|(field, how)| Origin { field, how }).collect(),
                })
                .collect(),
            indirect: self
                .indirect
                .into_iter()
                .map(|(field, influences)| Indirect { field, influences })
                .collect(),
            datasets: self.datasets,
        }
    }

    /// The origins of each output column of a plan, in its schema's order.
    fn plan(&mut self, plan: &LogicalPlan) -> Vec<Origins> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => {
                let scope = self.scope(&projection.input);
                self.each(&projection.expr, &scope)
            }
            LogicalPlan::Filter(filter) => {
                let scope = self.scope(&filter.input);
                self.influence(&filter.predicate, &scope, Influence::Filter);
                scope.columns
            }
            LogicalPlan::Sort(sort) => {
                let scope = self.scope(&sort.input);
                self.sorted(&sort.expr, &scope);
                scope.columns
            }
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => {
                let inputs: Vec<_> = union.inputs.iter().map(|input| self.plan(input)).collect();
                (0..union.schema.fields().len())
                    .map(|column| {
                        merged(inputs.iter().filter_map(|i| i.get(column)), How::Identity)
                    })
                    .collect()
            }
            LogicalPlan::Distinct(distinct) => self.distinct(distinct),
            LogicalPlan::Subquery(subquery) => self.plan(&subquery.subquery),
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            LogicalPlan::Limit(limit) => self.plan(&limit.input),
            LogicalPlan::Repartition(repartition) => self.plan(&repartition.input),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::RecursiveQuery(query) => self.recursive(query),
            LogicalPlan::Extension(extension) => self.extension(extension),
            // These give rows that are not their inputs' rows; what they read is still read.
            LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => {
                for input in plan.inputs() {
                    self.plan(input);
                }
                vec![Origins::new(); plan.schema().fields().len()]
            }
        }
    }

    fn scope(&mut self, plan: &LogicalPlan) -> Scope {
        Scope { columns: self.plan(plan), schema: Arc::clone(plan.schema()) }
    }

    fn scan(&mut self, scan: &TableScan) -> Vec<Origins> {
        let fields = scan.projected_schema.fields();
        if let TableReference::Bare { table } = &scan.table_name
            && let Some((_, columns)) =
                self.recursive.iter().rev().find(|(name, _)| name.as_str() == table.as_ref())
        {
            return match &scan.projection {
                None => columns.clone(),
                Some(picked) => {
                    picked.iter().map(|i| columns.get(*i).cloned().unwrap_or_default()).collect()
                }
            };
        }
        let dataset = dataset_name(&scan.table_name);
        self.datasets.insert(dataset.clone());
        let own = |field: &str| {
            Origins::from([(
                FieldRef { dataset: dataset.clone(), field: field.to_owned() },
                How::Identity,
            )])
        };
        if !scan.filters.is_empty() {
            // A filter pushed into the scan may name fields that the scan does not give out.
            let source = scan.source.schema();
            if let Ok(schema) =
                DFSchema::try_from_qualified_schema(scan.table_name.clone(), &source)
            {
                let columns = source.fields().iter().map(|field| own(field.name())).collect();
                let scope = Scope { schema: Arc::new(schema), columns };
                for filter in &scan.filters {
                    self.influence(filter, &scope, Influence::Filter);
                }
            }
        }
        fields.iter().map(|field| own(field.name())).collect()
    }

    fn window(&mut self, window: &Window) -> Vec<Origins> {
        let scope = self.scope(&window.input);
        let computed = self.each(&window.window_expr, &scope);
        let mut columns = scope.columns;
        columns.extend(computed);
        columns
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Vec<Origins> {
        let scope = self.scope(&aggregate.input);
        let groups = grouping_set_to_exprlist(&aggregate.group_expr).unwrap_or_default();
        let mut columns = Vec::with_capacity(aggregate.schema.fields().len());
        for group in groups {
            self.influence(group, &scope, Influence::GroupBy);
            columns.push(self.expr(group, &scope));
        }
        if matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
            // The column that says which grouping set a row is of: made by the plan itself.
            columns.push(Origins::new());
        }
        columns.extend(self.each(&aggregate.aggr_expr, &scope));
        columns
    }

    fn join(&mut self, join: &Join) -> Vec<Origins> {
        let left = self.scope(&join.left);
        // A lateral right side speaks of the left's columns as those of an outer query.
        let right = Scope {
            columns: self.subquery(&join.right, &left),
            schema: Arc::clone(join.right.schema()),
        };
        let mut marks = Origins::new();
        for (left_key, right_key) in &join.on {
            for (key, scope) in [(left_key, &left), (right_key, &right)] {
                self.influence(key, scope, Influence::Join);
                let origins = self.expr(key, scope);
                merge(&mut marks, &origins, How::Transformation);
            }
        }
        if let Some(filter) = &join.filter
            && let Ok(schema) = left.schema.join(&right.schema)
        {
            let columns = left.columns.iter().chain(&right.columns).cloned().collect();
            let both = Scope { schema: Arc::new(schema), columns };
            self.influence(filter, &both, Influence::Join);
            let origins = self.expr(filter, &both);
            merge(&mut marks, &origins, How::Transformation);
        }
        let (mut kept, other) = match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                (right.columns, left.columns)
            }
            _ => (left.columns, right.columns),
        };
        match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                kept.extend(other);
            }
            // The mark says whether a partner was found: computed from the keys.
            JoinType::LeftMark | JoinType::RightMark => kept.push(marks),
            JoinType::LeftSemi | JoinType::RightSemi | JoinType::LeftAnti | JoinType::RightAnti => {
            }
        }
        kept
    }

    fn distinct(&mut self, distinct: &Distinct) -> Vec<Origins> {
        match distinct {
            Distinct::All(input) => {
                let columns = self.plan(input);
                for column in &columns {
                    self.note(column, Influence::GroupBy);
                }
                columns
            }
            Distinct::On(on) => {
                let scope = self.scope(&on.input);
                for expr in &on.on_expr {
                    self.influence(expr, &scope, Influence::GroupBy);
                }
                if let Some(keys) = &on.sort_expr {
                    self.sorted(keys, &scope);
                }
                self.each(&on.select_expr, &scope)
            }
        }
    }

    fn unnest(&mut self, unnest: &Unnest) -> Vec<Origins> {
        let input = self.plan(&unnest.input);
        let lists = unnest.list_type_columns.iter().map(|(column, _)| *column);
        let opened: BTreeSet<usize> =
            lists.chain(unnest.struct_type_columns.iter().copied()).collect();
        unnest
            .dependency_indices
            .iter()
            .map(|column| {
                let how = match opened.contains(column) {
                    true => How::Transformation,
                    false => How::Identity,
                };
                merged(input.get(*column), how)
            })
            .collect()
    }

    fn recursive(&mut self, query: &RecursiveQuery) -> Vec<Origins> {
        let mut known = self.plan(&query.static_term);
        for _ in 0..RECURSION_ROUNDS_MAX {
            self.recursive.push((query.name.clone(), known.clone()));
            let found = self.plan(&query.recursive_term);
            self.recursive.pop();
            let mut next = known.clone();
            for (column, origins) in next.iter_mut().zip(&found) {
                merge(column, origins, How::Identity);
            }
            if next == known {
                break;
            }
            known = next;
        }
        known
    }

    /// A node from outside DataFusion. One whose columns have its input's names is taken to pass
    /// them on (barriers and limits do); of any other, every column may come from everything.
    fn extension(&mut self, extension: &Extension) -> Vec<Origins> {
        let node = &extension.node;
        let scopes: Vec<Scope> = node.inputs().into_iter().map(|input| self.scope(input)).collect();
        for expr in node.expressions() {
            for scope in &scopes {
                self.influence(&expr, scope, Influence::Filter);
            }
        }
        let names = |schema: &DFSchema| -> Vec<String> {
            schema.fields().iter().map(|field| field.name().clone()).collect()
        };
        match scopes.as_slice() {
            [only] if names(&only.schema) == names(node.schema()) => only.columns.clone(),
            _ => {
                let all: Vec<Origins> = scopes.iter().map(Scope::all).collect();
                vec![merged(&all, How::Transformation); node.schema().fields().len()]
            }
        }
    }

    fn each(&mut self, exprs: &[Expr], scope: &Scope) -> Vec<Origins> {
        exprs.iter().map(|expr| self.expr(expr, scope)).collect()
    }

    fn sorted(&mut self, keys: &[SortKey], scope: &Scope) {
        for key in keys {
            self.influence(&key.expr, scope, Influence::Sort);
        }
    }

    fn influence(&mut self, expr: &Expr, scope: &Scope, influence: Influence) {
        let origins = self.expr(expr, scope);
        self.note(&origins, influence);
    }

    fn note(&mut self, origins: &Origins, influence: Influence) {
        for field in origins.keys() {
            self.indirect.entry(field.clone()).or_default().insert(influence);
        }
    }

    /// The fields whose values reach an expression's value.
    fn expr(&mut self, expr: &Expr, scope: &Scope) -> Origins {
        match expr {
            Expr::Column(column) => match scope.find(column) {
                Some(origins) => origins.clone(),
                None => scope.all(),
            },
            Expr::OuterReferenceColumn(_, column) => {
                let found = self.outer.iter().rev().find_map(|outer| outer.find(column));
                found.cloned().unwrap_or_else(|| merged(&self.outer_all(), How::Transformation))
            }
            Expr::Alias(alias) => self.expr(&alias.expr, scope),
            Expr::AggregateFunction(function) => {
                let params = &function.params;
                if let Some(filter) = &params.filter {
                    self.influence(filter, scope, Influence::Filter);
                }
                self.sorted(&params.order_by, scope);
                self.all_of(&params.args, scope, How::Aggregation)
            }
            Expr::WindowFunction(function) => {
                let params = &function.params;
                if let Some(filter) = &params.filter {
                    self.influence(filter, scope, Influence::Filter);
                }
                let keys = params.order_by.iter().map(|key| &key.expr);
                for expr in params.partition_by.iter().chain(keys) {
                    self.influence(expr, scope, Influence::Window);
                }
                let how = match function.fun {
                    WindowFunctionDefinition::AggregateUDF(_) => How::Aggregation,
                    WindowFunctionDefinition::WindowUDF(_) => How::Transformation,
                };
                self.all_of(&params.args, scope, how)
            }
            Expr::ScalarSubquery(subquery) => {
                let columns = self.subquery(&subquery.subquery, scope);
                merged(&columns, How::Identity)
            }
            Expr::InSubquery(InSubquery { expr, subquery, .. })
            | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
                let mut origins =
                    merged(&self.subquery(&subquery.subquery, scope), How::Transformation);
                let compared = self.expr(expr, scope);
                merge(&mut origins, &compared, How::Transformation);
                origins
            }
            Expr::Exists(exists) => {
                // Only whether there is a row matters: its filters are noted, its columns are not.
                self.subquery(&exists.subquery.subquery, scope);
                Origins::new()
            }
            other => self.children(other, scope),
        }
    }

    fn children(&mut self, expr: &Expr, scope: &Scope) -> Origins {
        use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
        let mut parts = Vec::new();
        expr.apply_children(|child| {
            parts.push(self.expr(child, scope));
            Ok(TreeNodeRecursion::Continue)
        })
        .expect("the closure never fails");
        merged(&parts, How::Transformation)
    }

    fn all_of(&mut self, exprs: &[Expr], scope: &Scope, at_least: How) -> Origins {
        let parts = self.each(exprs, scope);
        merged(&parts, at_least)
    }

    fn subquery(&mut self, plan: &LogicalPlan, scope: &Scope) -> Vec<Origins> {
        self.outer
            .push(Scope { schema: Arc::clone(&scope.schema), columns: scope.columns.clone() });
        let columns = self.plan(plan);
        self.outer.pop();
        columns
    }

    fn outer_all(&self) -> Vec<Origins> {
        self.outer.iter().map(Scope::all).collect()
    }
}

/// `domain.name`, whatever catalogue stands before it.
fn dataset_name(table: &TableReference) -> String {
    match table.schema() {
        Some(schema) => format!("{schema}.{}", table.table()),
        None => table.table().to_owned(),
    }
}
