//! Paths in expressions: names looked up in the model, one step after the other.

use super::PATH_STEPS_MAX;
use super::ast::{Apply, Column, GroupKey, Path, Spanned, Step};
use super::cursor::Cursor;
use super::error::{ParseError, Result, Span, quote};
use super::typing;
use crate::schema::{Entity, Property, Schema};

/// What names can mean here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub schema: &'static Schema,
    pub entity: &'static Entity,
    /// After `$apply` only its results are there.
    pub output: Option<&'a Apply>,
}

impl Scope<'_> {
    pub fn of(schema: &'static Schema, entity: &'static Entity) -> Self {
        Self { schema, entity, output: None }
    }
}

/// Reads a path that ends at a value.
pub(super) fn parse(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Spanned<Path>> {
    let start = cursor.at();
    if let Some(apply) = scope.output
        && let Some(word) = cursor.peek_word()
        && let Some(value) = typing::column(apply, word.value)
    {
        cursor.word();
        let column = Column { name: word.value.to_owned(), value };
        let steps = vec![Spanned::new(Step::Column(column), word.span)];
        return Ok(Spanned::new(Path { steps }, word.span));
    }
    let steps = entity_steps(cursor, scope)?;
    let path = Spanned::new(Path { steps }, cursor.since(start));
    match scope.output {
        Some(apply) if !is_key(apply, &path.value) => Err(not_in_output(cursor, apply, path.span)),
        _ => Ok(path),
    }
}

fn is_key(apply: &Apply, path: &Path) -> bool {
    apply.keys.iter().any(|key| matches!(&key.value, GroupKey::Path(key) if key == path))
}

fn not_in_output(cursor: &Cursor<'_>, apply: &Apply, span: Span) -> Box<ParseError> {
    let known = typing::columns(apply).map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    cursor
        .error(span, format!("$apply leaves no {}", quote(cursor.slice(span))))
        .expected(if known.is_empty() {
            "a path of groupby".to_owned()
        } else {
            format!("a path of groupby, or one of: {known}")
        })
        .hint("what chooses rows before they are grouped belongs in $apply=filter(…)/…")
}

/// Navigations, a property, members of it.
fn entity_steps(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Vec<Spanned<Step>>> {
    let mut entity = scope.entity;
    let mut steps = Vec::new();
    loop {
        let Some(word) = cursor.word() else {
            return Err(cursor.unexpected("a path breaks off", name_of(entity)));
        };
        if let Some(property) = entity.property(word.value) {
            steps.push(Spanned::new(Step::Property(property), word.span));
            members(cursor, property, &mut steps)?;
            return Ok(steps);
        }
        let Some(navigation) = entity.navigation(word.value) else {
            return Err(unknown(cursor, entity, word));
        };
        steps.push(Spanned::new(Step::Navigation(navigation), word.span));
        check_length(cursor, &steps)?;
        entity = scope.schema.entity(navigation.target);
        if !cursor.eat('/') {
            return Err(cursor
                .error(word.span, format!("{} is an entity and not a value", word.value))
                .expected(format!("a path to {}", name_of(entity)))
                .hint(format!("write `{}/id` for its id", word.value)));
        }
    }
}

fn name_of(entity: &Entity) -> String {
    format!("a property or a navigation of {}", entity.name)
}

/// A name that an entity does not have.
pub(super) fn unknown(
    cursor: &Cursor<'_>,
    entity: &Entity,
    word: Spanned<&str>,
) -> Box<ParseError> {
    if matches!(word.value, "any" | "all") {
        return cursor
            .error(word.span, format!("SensorThings 1.1 has no `{}`", word.value))
            .hint("a comparison with a path to many holds where it holds for any of them");
    }
    cursor
        .error(word.span, format!("{} has no {}", entity.name, quote(word.value)))
        .expected("a property or a navigation")
        .found(quote(word.value))
        .suggest(word.value, entity.property_names().chain(entity.navigation_names()))
}

/// `/key` and `[0]` below a property, as far as they go.
pub(super) fn members(
    cursor: &mut Cursor<'_>,
    property: &Property,
    steps: &mut Vec<Spanned<Step>>,
) -> Result<()> {
    loop {
        let start = cursor.at();
        let step = if cursor.eat('/') {
            Step::Key(key(cursor)?)
        } else if cursor.eat('[') {
            Step::Index(index(cursor)?)
        } else {
            return Ok(());
        };
        if !property.value.has_members() {
            let what = format!("{} is {} and has no members", property.name, property.value);
            return Err(cursor.error(cursor.since(start), what));
        }
        steps.push(Spanned::new(step, cursor.since(start)));
        check_length(cursor, steps)?;
    }
}

fn key(cursor: &mut Cursor<'_>) -> Result<String> {
    if cursor.peek() == Some('\'') {
        return cursor.quoted().map(|text| text.value);
    }
    let what = "a path breaks off";
    match cursor.key() {
        Some(key) => Ok(key.value.to_owned()),
        None => Err(cursor
            .unexpected(what, "the name of a member")
            .hint("a name with other characters stands in quotes: properties/'a b'")),
    }
}

/// The digits and the bracket of `[0]`.
pub(super) fn index(cursor: &mut Cursor<'_>) -> Result<u32> {
    let start = cursor.at();
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let Ok(index) = digits.parse() else {
        let found = quote(digits);
        let fault = cursor.error(cursor.since(start), "an array is indexed by a number");
        return Err(fault.expected("a number from 0 to 4294967295").found(found));
    };
    if !cursor.eat(']') {
        return Err(cursor.unexpected("an index has no end", "`]`"));
    }
    Ok(index)
}

fn check_length(cursor: &Cursor<'_>, steps: &[Spanned<Step>]) -> Result<()> {
    match steps.get(PATH_STEPS_MAX) {
        Some(step) => {
            let what = format!("a path of more than {PATH_STEPS_MAX} steps");
            Err(cursor.error(step.span, what))
        }
        None => Ok(()),
    }
}
