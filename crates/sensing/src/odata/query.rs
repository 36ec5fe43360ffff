//! Query options (OGC 18-088, 9.3): the text behind the question mark, option by option.
//!
//! Options that begin with `$` are the language's: one that is not known is refused, and so is one
//! that stands there twice. All others are left to whoever knows them.

use super::ast::{
    Direction, Expand, OrderBy, QueryOptions, ResultFormat, SelectItem, Spanned, Step, Target,
};
use super::cursor::Cursor;
use super::error::{ErrorKind, ParseError, Result, Span, quote};
use super::path::Scope;
use super::{
    Expr, LIST_ITEMS_MAX, Path, QUERY_BYTES_MAX, apply, expand, expression, path, typing, url,
};
use crate::schema::{Entity, EntityKind, Schema};

/// The text of all options, in errors about their names.
const PART: &str = "query";

/// A system query option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionName {
    Apply,
    Count,
    Expand,
    Filter,
    OrderBy,
    ResultFormat,
    Select,
    Skip,
    Top,
}

impl OptionName {
    pub const ALL: [OptionName; 9] = [
        OptionName::Apply,
        OptionName::Count,
        OptionName::Expand,
        OptionName::Filter,
        OptionName::OrderBy,
        OptionName::ResultFormat,
        OptionName::Select,
        OptionName::Skip,
        OptionName::Top,
    ];

    pub fn text(self) -> &'static str {
        match self {
            OptionName::Apply => "$apply",
            OptionName::Count => "$count",
            OptionName::Expand => "$expand",
            OptionName::Filter => "$filter",
            OptionName::OrderBy => "$orderby",
            OptionName::ResultFormat => "$resultFormat",
            OptionName::Select => "$select",
            OptionName::Skip => "$skip",
            OptionName::Top => "$top",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }
}

impl QueryOptions {
    /// Reads the options as they stand in a URL, behind the question mark.
    pub fn parse(schema: &'static Schema, target: Target, raw: &str) -> Result<Self> {
        if raw.len() > QUERY_BYTES_MAX {
            let what = format!("a query of more than {QUERY_BYTES_MAX} bytes");
            return Err(ParseError::new(PART, raw, Span::default(), what));
        }
        let given = given_options(raw)?;
        if let Some((name, _, span)) = given.iter().find(|(name, ..)| !applies(*name, target)) {
            return Err(not_for(*name, target, raw, *span));
        }
        let entity = match target {
            Target::Collection(kind) | Target::Entity(kind) => schema.entity(kind),
            Target::Property => return Ok(Self::default()),
        };

        let mut options = Self::default();
        let mut reader = Reader { schema, expands: 0 };
        // What the others may name depends on `$apply`, wherever it stands.
        let (first, then): (Vec<_>, Vec<_>) =
            given.iter().partition(|(name, ..)| *name == OptionName::Apply);
        for (name, value, _) in first.into_iter().chain(then) {
            let mut cursor = Cursor::new(name.text(), value);
            reader.option(*name, &mut cursor, entity, &mut options, 0)?;
            cursor.finish("the end of the option")?;
        }
        check_together(&options, target, raw, &given)?;
        Ok(options)
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Expr {
    /// Reads a filter that is not part of a URL, for entities of one type.
    pub fn parse_filter(schema: &'static Schema, kind: EntityKind, text: &str) -> Result<Self> {
        let part = OptionName::Filter.text();
        if text.len() > QUERY_BYTES_MAX {
            let what = format!("a filter of more than {QUERY_BYTES_MAX} bytes");
            return Err(ParseError::new(part, text, Span::default(), what));
        }
        let mut cursor = Cursor::new(part, text);
        let scope = Scope::of(schema, schema.entity(kind));
        let filter = expression::parse_filter(&mut cursor, scope)?;
        cursor.finish("an operator or the end")?;
        Ok(filter)
    }
}

/// An option, its decoded value, and where its name stands in the raw text.
type Given = (OptionName, String, Span);

fn given_options(raw: &str) -> Result<Vec<Given>> {
    let mut given: Vec<Given> = Vec::new();
    let mut start = 0;
    for piece in raw.split('&') {
        let whole = Span::new(start, start + piece.len());
        start = whole.end + 1;
        let name_end = piece.find('=').map_or(whole.end, |at| whole.start + at);
        let name_span = Span::new(whole.start, name_end);
        let name = url::decode_query(PART, raw, name_span)?;
        if !name.starts_with('$') {
            continue;
        }
        let Some(option) = OptionName::named(&name) else {
            let fault = ParseError::new(PART, raw, name_span, "no such query option")
                .kind(ErrorKind::Unsupported)
                .found(quote(&name));
            return Err(fault.suggest(&name, OptionName::ALL.map(OptionName::text)));
        };
        if given.iter().any(|(known, ..)| *known == option) {
            let what = format!("{} is given twice", option.text());
            return Err(ParseError::new(PART, raw, name_span, what));
        }
        let value_start = (name_end + 1).min(whole.end);
        let value = url::decode_query(PART, raw, Span::new(value_start, whole.end))?;
        if value.trim().is_empty() {
            let what = format!("{} has no value", option.text());
            return Err(ParseError::new(PART, raw, name_span, what));
        }
        given.push((option, value, name_span));
    }
    Ok(given)
}

fn applies(name: OptionName, target: Target) -> bool {
    use OptionName::{Expand, ResultFormat, Select};
    match target {
        Target::Collection(_) => true,
        Target::Entity(_) => matches!(name, Select | Expand | ResultFormat),
        Target::Property => false,
    }
}

fn not_for(name: OptionName, target: Target, raw: &str, span: Span) -> Box<ParseError> {
    let whose = match target {
        Target::Property => "the path leads to a property, which takes no query options",
        _ => "the path leads to one entity, which takes $select and $expand",
    };
    ParseError::new(PART, raw, span, format!("{} does not apply: {whose}", name.text()))
}

/// What is wrong with options that are right each for itself.
fn check_together(
    options: &QueryOptions,
    target: Target,
    raw: &str,
    given: &[Given],
) -> Result<()> {
    let place = |name: OptionName| {
        given.iter().find(|(known, ..)| *known == name).map_or(Span::default(), |(.., span)| *span)
    };
    if options.apply.is_some() {
        for name in [OptionName::Select, OptionName::Expand] {
            if place(name) != Span::default() {
                let what = format!("{} has nothing to do after $apply", name.text());
                let fault = ParseError::new(PART, raw, place(name), what);
                return Err(fault.hint("name what is wanted in groupby and aggregate"));
            }
        }
    }
    let geojson = options.result_format.map(|format| format.value) == Some(ResultFormat::GeoJson);
    if geojson && options.apply.is_some() {
        let what = "groups have no place, and so no format GeoJSON";
        return Err(ParseError::new(PART, raw, place(OptionName::ResultFormat), what));
    }
    let data_array =
        options.result_format.map(|format| format.value) == Some(ResultFormat::DataArray);
    if data_array
        && (target != Target::Collection(EntityKind::Observation) || options.apply.is_some())
    {
        let what = "only a collection of Observations has the format dataArray";
        return Err(ParseError::new(PART, raw, place(OptionName::ResultFormat), what));
    }
    Ok(())
}

/// Reads the values of options.
pub(super) struct Reader {
    pub schema: &'static Schema,
    /// Expansions so far, of the whole query.
    pub expands: usize,
}

impl Reader {
    /// Reads the value of one option and leaves the cursor behind it.
    pub fn option(
        &mut self,
        name: OptionName,
        cursor: &mut Cursor<'_>,
        entity: &'static Entity,
        options: &mut QueryOptions,
        depth: usize,
    ) -> Result<()> {
        cursor.skip_space();
        let start = cursor.at();
        let mut scope = Scope::of(self.schema, entity);
        if name == OptionName::Apply {
            let value = apply::parse(cursor, scope)?;
            options.apply = Some(Spanned::new(value, cursor.since(start)));
            return Ok(());
        }
        scope.output = options.apply.as_ref().map(|apply| &apply.value);
        match name {
            OptionName::Filter => options.filter = Some(expression::parse_filter(cursor, scope)?),
            OptionName::OrderBy => options.orderby = orderby(cursor, scope)?,
            OptionName::Select => options.select = select(cursor, entity)?,
            OptionName::Count => options.count = Some(truth(cursor)?),
            OptionName::Skip => options.skip = Some(whole_number(cursor)?),
            OptionName::Top => options.top = Some(whole_number(cursor)?),
            OptionName::ResultFormat => options.result_format = Some(result_format(cursor)?),
            OptionName::Expand => self.expand(cursor, entity, &mut options.expand, depth)?,
            OptionName::Apply => unreachable!("read above"),
        }
        Ok(())
    }

    fn expand(
        &mut self,
        cursor: &mut Cursor<'_>,
        entity: &'static Entity,
        expands: &mut Vec<Expand>,
        depth: usize,
    ) -> Result<()> {
        loop {
            let expand = expand::parse(self, cursor, entity, depth)?;
            expand::merge(cursor, expands, expand)?;
            if !cursor.eat_separator(',') {
                return Ok(());
            }
        }
    }
}

fn truth(cursor: &mut Cursor<'_>) -> Result<Spanned<bool>> {
    match cursor.peek_word() {
        Some(word) if matches!(word.value, "true" | "false") => {
            cursor.word();
            Ok(Spanned::new(word.value == "true", word.span))
        }
        _ => Err(cursor.unexpected("no such value", "`true` or `false`")),
    }
}

fn whole_number(cursor: &mut Cursor<'_>) -> Result<Spanned<u64>> {
    let start = cursor.at();
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let span = cursor.since(start);
    if digits.is_empty() {
        return Err(cursor.unexpected("no such value", "a whole number from 0"));
    }
    match digits.parse() {
        Ok(number) => Ok(Spanned::new(number, span)),
        Err(_) => Err(cursor.error(span, "a number too large").found(quote(digits))),
    }
}

fn result_format(cursor: &mut Cursor<'_>) -> Result<Spanned<ResultFormat>> {
    let Some(word) = cursor.word() else {
        return Err(cursor.unexpected("no such format", "dataArray or GeoJSON"));
    };
    let format = match word.value.to_ascii_lowercase().as_str() {
        "dataarray" => ResultFormat::DataArray,
        "geojson" => ResultFormat::GeoJson,
        _ => {
            let fault = cursor.error(word.span, "no such format").kind(ErrorKind::Unsupported);
            let fault = fault.found(quote(word.value));
            return Err(fault.suggest(word.value, ["dataArray", "GeoJSON"]));
        }
    };
    Ok(Spanned::new(format, word.span))
}

fn orderby(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Vec<Spanned<OrderBy>>> {
    let mut items = Vec::new();
    loop {
        let key = expression::parse(cursor, scope)?;
        check_order(cursor, &key)?;
        cursor.skip_space();
        let direction = match cursor.peek_word() {
            Some(word) if word.value.eq_ignore_ascii_case("asc") => Some(Direction::Ascending),
            Some(word) if word.value.eq_ignore_ascii_case("desc") => Some(Direction::Descending),
            _ => None,
        };
        if direction.is_some() {
            cursor.word();
        }
        let span = cursor.since(key.span.start);
        let direction = direction.unwrap_or_default();
        items.push(Spanned::new(OrderBy { key, direction }, span));
        check_list(cursor, items.len(), span)?;
        if !cursor.eat_separator(',') {
            return Ok(items);
        }
    }
}

/// One value for each entity, and of a type that has an order.
fn check_order(cursor: &Cursor<'_>, key: &Expr) -> Result<()> {
    let value = typing::of(key);
    if !typing::can_sort(value) {
        let what = format!("entities cannot be put in order by {value}");
        return Err(cursor.error(key.span, what));
    }
    match many_in(key) {
        Some(path) => {
            let many = path.first_many().expect("a path to many has such a step");
            let what = format!("{} leads to many, an order needs one value", many.value.name);
            Err(cursor.error(many.span, what))
        }
        None => Ok(()),
    }
}

/// A path to many somewhere in an expression. The recursion is as deep as the tree.
fn many_in(expr: &Expr) -> Option<&Path> {
    use super::ExprKind::{And, Binary, Call, Literal, Negate, Not, Or, Path};
    match &expr.value {
        Literal(_) => None,
        Path(path) => path.is_many().then_some(path),
        Not(operand) | Negate(operand) => many_in(operand),
        Binary { left, right, .. } => many_in(left).or_else(|| many_in(right)),
        And(operands) | Or(operands) | Call { arguments: operands, .. } => {
            operands.iter().find_map(many_in)
        }
    }
}

fn select(cursor: &mut Cursor<'_>, entity: &'static Entity) -> Result<Vec<Spanned<SelectItem>>> {
    let mut items: Vec<Spanned<SelectItem>> = Vec::new();
    loop {
        let Some(word) = cursor.word() else {
            return Err(cursor.unexpected("a selection breaks off", "a property or a navigation"));
        };
        let item = if let Some(property) = entity.property(word.value) {
            let mut steps = vec![Spanned::new(Step::Property(property), word.span)];
            path::members(cursor, property, &mut steps)?;
            SelectItem::Property(Path { steps })
        } else if let Some(navigation) = entity.navigation(word.value) {
            SelectItem::Navigation(navigation)
        } else {
            return Err(path::unknown(cursor, entity, word));
        };
        let item = Spanned::new(item, cursor.since(word.span.start));
        // Asked for twice, it is answered once.
        if !items.contains(&item) {
            items.push(item);
        }
        check_list(cursor, items.len(), word.span)?;
        if !cursor.eat_separator(',') {
            return Ok(items);
        }
        if cursor.is_done() {
            return Err(cursor.unexpected("a selection breaks off", "a property or a navigation"));
        }
    }
}

pub(super) fn check_list(cursor: &Cursor<'_>, items: usize, span: Span) -> Result<()> {
    if items <= LIST_ITEMS_MAX {
        return Ok(());
    }
    Err(cursor.error(span, format!("a list of more than {LIST_ITEMS_MAX} items")))
}
