//! `$apply`: choose, group, count together, on the server.
//!
//! A part of OData's extension for data aggregation 4.0:
//!
//! ```text
//! apply     = *( "filter(" expression ")" "/" ) ( groupby / aggregate )
//! groupby   = "groupby((" key *( "," key ) ")" [ "," aggregate ] ")"
//! key       = path / window
//! aggregate = "aggregate(" item *( "," item ) ")"
//! item      = path " with " method " as " alias / "$count as " alias
//! method    = "average" / "sum" / "min" / "max" / "countdistinct" / "first" / "last"
//! window    = "window(" path "," length [ "," offset ] ")" [ " as " alias ]
//! ```
//!
//! `window`, `first` and `last` are ours. `length` is `'PT1H'` or `duration'PT1H'`, whole months or
//! a fixed length; `offset` is `'+08:00'`, and where it is left out the service's own. A group's window is an interval. Paths lead to one
//! value: averages over many begin at Observations.

use super::ast::{
    Aggregate, AggregateMethod, Apply, Expr, ExprKind, GroupKey, Path, Spanned, Window,
};
use super::cursor::Cursor;
use super::error::{Result, quote};
use super::path::{self, Scope};
use super::query::check_list;
use super::time::IsoDuration;
use super::{expression, literal, typing};
use crate::schema::ValueType;

/// The name of a window that is given none.
pub(super) const WINDOW_ALIAS: &str = "window";
/// Words that mean something else where an alias may stand.
const RESERVED: [&str; 21] = [
    "add", "and", "as", "asc", "desc", "div", "eq", "false", "ge", "gt", "le", "lt", "mod", "mul",
    "ne", "not", "null", "or", "sub", "true", "with",
];

impl AggregateMethod {
    /// Those that are written after `with`.
    const NAMED: [AggregateMethod; 7] = [
        AggregateMethod::Average,
        AggregateMethod::CountDistinct,
        AggregateMethod::First,
        AggregateMethod::Last,
        AggregateMethod::Max,
        AggregateMethod::Min,
        AggregateMethod::Sum,
    ];

    pub fn word(self) -> &'static str {
        match self {
            AggregateMethod::Average => "average",
            AggregateMethod::CountDistinct => "countdistinct",
            AggregateMethod::First => "first",
            AggregateMethod::Last => "last",
            AggregateMethod::Max => "max",
            AggregateMethod::Min => "min",
            AggregateMethod::Rows => "$count",
            AggregateMethod::Sum => "sum",
        }
    }

    fn takes(self, value: ValueType) -> bool {
        match self {
            AggregateMethod::Average | AggregateMethod::Sum => {
                value.is_numeric() || value.is_dynamic() || value == ValueType::Duration
            }
            AggregateMethod::CountDistinct | AggregateMethod::Rows => true,
            _ => typing::can_sort(value),
        }
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Apply> {
    let mut filters = Vec::new();
    loop {
        let Some(word) = cursor.word() else {
            return Err(cursor.unexpected("$apply breaks off", "groupby(…) or aggregate(…)"));
        };
        match word.value {
            "filter" => {
                cursor.expect('(', "filter has no condition")?;
                filters.push(expression::parse_filter(cursor, scope)?);
                cursor.expect(')', "filter has no end")?;
                cursor
                    .expect('/', "a filter alone is no aggregation")
                    .map_err(|fault| fault.hint("use $filter to choose and not to group"))?;
                check_list(cursor, filters.len(), word.span)?;
            }
            "groupby" => {
                let filter = conjunction(cursor, filters)?;
                let (keys, aggregates) = groupby(cursor, scope)?;
                return Ok(Apply { filter, keys, aggregates });
            }
            "aggregate" => {
                let filter = conjunction(cursor, filters)?;
                let aggregates = aggregate(cursor, scope, &[])?;
                return Ok(Apply { filter, keys: Vec::new(), aggregates });
            }
            other => {
                let fault = cursor.error(word.span, "no such transformation").found(quote(other));
                return Err(fault.suggest(other, ["filter", "groupby", "aggregate"]));
            }
        }
    }
}

/// Filters one after the other choose what all of them would.
fn conjunction(cursor: &Cursor<'_>, filters: Vec<Expr>) -> Result<Option<Expr>> {
    let parts: usize = filters.iter().map(nodes).sum();
    if parts > super::EXPRESSION_NODES_MAX {
        let what = format!("filters of more than {} parts", super::EXPRESSION_NODES_MAX);
        return Err(cursor.error(cursor.here(), what));
    }
    let span = match (filters.first(), filters.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        _ => return Ok(None),
    };
    let mut operands = Vec::with_capacity(filters.len());
    for filter in filters {
        match filter.value {
            ExprKind::And(more) => operands.extend(more),
            other => operands.push(Spanned::new(other, filter.span)),
        }
    }
    if operands.len() == 1 {
        return Ok(operands.pop());
    }
    Ok(Some(Spanned::new(ExprKind::And(operands), span)))
}

/// How many parts an expression has. The recursion is as deep as the tree.
fn nodes(expr: &Expr) -> usize {
    1 + match &expr.value {
        ExprKind::Literal(_) | ExprKind::Path(_) => 0,
        ExprKind::Not(operand) | ExprKind::Negate(operand) => nodes(operand),
        ExprKind::Binary { left, right, .. } => nodes(left) + nodes(right),
        ExprKind::And(all) | ExprKind::Or(all) | ExprKind::Call { arguments: all, .. } => {
            all.iter().map(nodes).sum()
        }
    }
}

type Groups = (Vec<Spanned<GroupKey>>, Vec<Spanned<Aggregate>>);

fn groupby(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Groups> {
    cursor.expect('(', "groupby has no keys")?;
    cursor.expect('(', "the keys of groupby stand in parentheses of their own")?;
    let mut keys: Vec<Spanned<GroupKey>> = Vec::new();
    loop {
        let start = cursor.at();
        let key = group_key(cursor, scope, &keys)?;
        let key = Spanned::new(key, cursor.since(start));
        if keys.contains(&key) {
            return Err(cursor.error(key.span, "a key of groupby stands there twice"));
        }
        keys.push(key);
        check_list(cursor, keys.len(), cursor.since(start))?;
        if !cursor.eat_separator(',') {
            break;
        }
    }
    cursor.expect(')', "the keys of groupby have no end")?;
    let mut aggregates = Vec::new();
    if cursor.eat_separator(',') {
        match cursor.word() {
            Some(word) if word.value == "aggregate" => {
                aggregates = aggregate(cursor, scope, &keys)?;
            }
            _ => return Err(cursor.unexpected("groupby cannot go on like this", "aggregate(…)")),
        }
    }
    cursor.expect(')', "groupby has no end")?;
    Ok((keys, aggregates))
}

fn group_key(
    cursor: &mut Cursor<'_>,
    scope: Scope<'_>,
    keys: &[Spanned<GroupKey>],
) -> Result<GroupKey> {
    if let Some(word) = cursor.peek_word()
        && word.value == "window"
        && cursor.rest()[word.value.len()..].starts_with('(')
    {
        cursor.word();
        return window(cursor, scope, keys).map(GroupKey::Window);
    }
    let path = single(cursor, scope)?;
    let value = path.value.value_type();
    if !typing::can_sort(value) {
        return Err(cursor.error(path.span, format!("there are no groups by {value}")));
    }
    Ok(GroupKey::Path(path.value))
}

/// A path to one value.
fn single(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Spanned<Path>> {
    let path = path::parse(cursor, scope)?;
    match path.value.first_many() {
        Some(many) => {
            let what = format!("{} leads to many, $apply needs one value", many.value.name);
            Err(cursor.error(many.span, what).hint("begin at Observations"))
        }
        None => Ok(path),
    }
}

fn window(cursor: &mut Cursor<'_>, scope: Scope<'_>, keys: &[Spanned<GroupKey>]) -> Result<Window> {
    cursor.expect('(', "window has no time")?;
    let time = single(cursor, scope)?;
    let value = time.value.value_type();
    if !matches!(value, ValueType::Instant | ValueType::Interval | ValueType::Time) {
        let fault = cursor.error(time.span, "a window needs a time");
        return Err(fault.found(value.to_string()));
    }
    cursor.expect(',', "a window has no length")?;
    let length = window_length(cursor)?;
    let mut offset = None;
    if cursor.eat_separator(',') {
        let text = quoted(cursor, "'+08:00'")?;
        let given = literal::offset_from_utc(&text.value).map_err(|fault| {
            let error = cursor.error(text.span, fault.what).found(quote(&text.value));
            error.hint(fault.hint.unwrap_or_default())
        })?;
        offset = Some(given);
    }
    cursor.expect(')', "a window has no end")?;
    let named = cursor.peek_word().is_some_and(|word| word.value == "as");
    let alias = if named {
        alias(cursor, scope, keys, &[])?
    } else {
        check_alias(cursor, scope, Spanned::new(WINDOW_ALIAS, cursor.here()), keys, &[])?
    };
    Ok(Window { time: time.value, length, offset, alias })
}

fn window_length(cursor: &mut Cursor<'_>) -> Result<IsoDuration> {
    if cursor.peek_word().is_some_and(|word| word.value == "duration") {
        cursor.word();
    }
    let text = quoted(cursor, "'PT1H'")?;
    let length = literal::duration(&text.value).map_err(|fault| {
        let error = cursor.error(text.span, fault.what).found(quote(&text.value));
        error.hint("write 'PT1H', 'P1D', 'P1M'")
    })?;
    let positive = length.months >= 0 && length.micros >= 0;
    if !positive || (length.months > 0) == (length.micros > 0) {
        let fault = cursor.error(text.span, "no length of a window").found(quote(&text.value));
        return Err(fault.expected("whole months or years, or a fixed time, longer than nothing"));
    }
    Ok(length)
}

fn quoted(cursor: &mut Cursor<'_>, expected: &str) -> Result<Spanned<String>> {
    if cursor.peek() == Some('\'') {
        return cursor.quoted();
    }
    Err(cursor.unexpected("a window is described by texts", expected))
}

fn aggregate(
    cursor: &mut Cursor<'_>,
    scope: Scope<'_>,
    keys: &[Spanned<GroupKey>],
) -> Result<Vec<Spanned<Aggregate>>> {
    cursor.expect('(', "aggregate has nothing to count together")?;
    let mut items: Vec<Spanned<Aggregate>> = Vec::new();
    loop {
        let start = cursor.at();
        let (method, path) = if cursor.eat('$') {
            match cursor.word() {
                Some(word) if word.value == "count" => (AggregateMethod::Rows, None),
                _ => return Err(cursor.unexpected("no such aggregate", "`$count`")),
            }
        } else {
            let path = single(cursor, scope)?;
            (method(cursor, &path)?, Some(path.value))
        };
        cursor.skip_space();
        let alias = alias(cursor, scope, keys, &items)?;
        let item = Aggregate { method, path, alias };
        items.push(Spanned::new(item, cursor.since(start)));
        check_list(cursor, items.len(), cursor.since(start))?;
        if !cursor.eat_separator(',') {
            break;
        }
    }
    cursor.expect(')', "aggregate has no end")?;
    Ok(items)
}

/// ` with average`.
fn method(cursor: &mut Cursor<'_>, path: &Spanned<Path>) -> Result<AggregateMethod> {
    cursor.skip_space();
    if cursor.peek_word().is_none_or(|word| word.value != "with") {
        let fault = cursor.unexpected("an aggregate has no method", "`with`");
        return Err(fault.hint("write `result with average as mean`"));
    }
    cursor.word();
    cursor.skip_space();
    let Some(word) = cursor.word() else {
        return Err(cursor.unexpected("an aggregate has no method", "a method such as `average`"));
    };
    let known = AggregateMethod::NAMED.into_iter().find(|method| method.word() == word.value);
    let Some(method) = known else {
        let fault = cursor.error(word.span, "no such method").found(quote(word.value));
        return Err(fault.suggest(word.value, AggregateMethod::NAMED.map(AggregateMethod::word)));
    };
    let value = path.value.value_type();
    if !method.takes(value) {
        let what = format!("there is no {} of {value}", method.word());
        return Err(cursor.error(path.span, what));
    }
    Ok(method)
}

/// ` as mean`.
fn alias(
    cursor: &mut Cursor<'_>,
    scope: Scope<'_>,
    keys: &[Spanned<GroupKey>],
    items: &[Spanned<Aggregate>],
) -> Result<String> {
    if cursor.peek_word().is_none_or(|word| word.value != "as") {
        let fault = cursor.unexpected("a result has no name", "`as` and a name");
        return Err(fault.hint("write `result with average as mean`"));
    }
    cursor.word();
    cursor.skip_space();
    let Some(word) = cursor.word() else {
        return Err(cursor.unexpected("a result has no name", "a name"));
    };
    check_alias(cursor, scope, word, keys, items)
}

/// A name that means nothing else, neither here nor in `$filter` and `$orderby`.
fn check_alias(
    cursor: &Cursor<'_>,
    scope: Scope<'_>,
    word: Spanned<&str>,
    keys: &[Spanned<GroupKey>],
    items: &[Spanned<Aggregate>],
) -> Result<String> {
    let name = word.value;
    let fault = |what: &str| Err(cursor.error(word.span, what).found(quote(name)));
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return fault("a name is made of letters, digits and `_`");
    }
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return fault("a word of the language is no name");
    }
    let entity = scope.entity;
    if entity.property(name).is_some() || entity.navigation(name).is_some() {
        return fault("a result cannot have the name of a property or a navigation");
    }
    let taken_by_window = keys.iter().any(|key| match &key.value {
        GroupKey::Window(window) => window.alias == name,
        GroupKey::Path(_) => false,
    });
    if taken_by_window || items.iter().any(|item| item.value.alias == name) {
        return fault("two results cannot have the same name");
    }
    Ok(name.to_owned())
}
