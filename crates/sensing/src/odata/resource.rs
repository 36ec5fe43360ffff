//! Resource paths (OGC 18-088, 9.2): from an entity set over ids and navigations to an entity, a
//! collection, a property or links.

use super::ast::{EntityId, Path, ResourceEnd, ResourcePath, ResourceSegment, Spanned, Step};
use super::cursor::Cursor;
use super::error::{ErrorKind, ParseError, Result, Span, quote};
use super::{PATH_BYTES_MAX, PATH_STEPS_MAX, url};
use crate::schema::{Entity, Property, Schema};

const PART: &str = "path";

impl ResourcePath {
    /// Reads a path as it stands in a URL, behind the service's root. A slash at either end does
    /// not matter.
    pub fn parse(schema: &'static Schema, raw: &str) -> Result<Self> {
        read(schema, raw, |span| url::decode_path(PART, raw, span))
    }

    /// Reads a path that is not encoded, such as a topic of MQTT.
    pub fn parse_plain(schema: &'static Schema, text: &str) -> Result<Self> {
        read(schema, text, |span| Ok(text[span.start..span.end].to_owned()))
    }
}

fn read(
    schema: &'static Schema,
    raw: &str,
    decode: impl Fn(Span) -> Result<String>,
) -> Result<ResourcePath> {
    if raw.len() > PATH_BYTES_MAX {
        let what = format!("a path of more than {PATH_BYTES_MAX} bytes");
        return Err(ParseError::new(PART, raw, Span::default(), what));
    }
    // Decoded step by step: an encoded slash does not divide.
    let (mut text, mut steps) = (String::new(), Vec::new());
    for span in divide(raw) {
        if !steps.is_empty() {
            text.push('/');
        }
        let start = text.len();
        text.push_str(&decode(span)?);
        steps.push(Span::new(start, text.len()));
    }
    let first = steps.first().copied().unwrap_or_default();
    if let Some(step) = steps.get(PATH_STEPS_MAX) {
        let what = format!("a path of more than {PATH_STEPS_MAX} steps");
        return Err(ParseError::new(PART, &text, *step, what));
    }

    let mut reader = Reader { schema, text: &text };
    let mut segments = vec![reader.entity_set(first)?];
    for (index, span) in steps.iter().copied().enumerate().skip(1) {
        match reader.below(&segments[index - 1].value, span)? {
            Below::Segment(segment) => segments.push(segment),
            Below::References => {
                let end = ResourceEnd::References;
                return match steps.get(index + 1) {
                    None => Ok(ResourcePath { segments, end }),
                    Some(after) => Err(reader.nothing_below("$ref", *after)),
                };
            }
            Below::Property(steps_of_property) => {
                let end = reader.property(steps_of_property, &steps[index + 1..])?;
                return Ok(ResourcePath { segments, end });
            }
        }
    }
    Ok(ResourcePath { segments, end: ResourceEnd::Whole })
}

/// The steps between slashes. A slash in the quotes of an id does not divide.
fn divide(raw: &str) -> Vec<Span> {
    let start = usize::from(raw.starts_with('/'));
    let end = if raw.len() > start && raw.ends_with('/') { raw.len() - 1 } else { raw.len() };
    let (mut spans, mut step) = (Vec::new(), start);
    let (mut in_id, mut quoted) = (false, false);
    let mut at = start;
    while at < end {
        let rest = &raw.as_bytes()[at..end];
        let starts = |plain: u8, encoded: &[u8]| {
            rest[0] == plain || rest.get(..3).is_some_and(|three| three == encoded)
        };
        if starts(b'(', b"%28") {
            in_id = true;
        } else if in_id && starts(b'\'', b"%27") {
            quoted = !quoted;
        } else if !quoted && starts(b')', b"%29") {
            in_id = false;
        } else if rest[0] == b'/' && !quoted {
            spans.push(Span::new(step, at));
            (step, in_id) = (at + 1, false);
        }
        at += 1;
    }
    spans.push(Span::new(step, end));
    spans
}

/// What a step leads to.
enum Below {
    Segment(Spanned<ResourceSegment>),
    References,
    Property(Vec<Spanned<Step>>),
}

struct Reader<'t> {
    schema: &'static Schema,
    text: &'t str,
}

impl<'t> Reader<'t> {
    fn cursor(&self, span: Span) -> Cursor<'t> {
        Cursor::within(PART, self.text, span)
    }

    fn missing(&self, span: Span, what: impl Into<String>) -> Box<ParseError> {
        self.cursor(span).error(span, what).kind(ErrorKind::NotFound)
    }

    fn entity_set(&mut self, span: Span) -> Result<Spanned<ResourceSegment>> {
        let mut cursor = self.cursor(span);
        let name = cursor.word().map_or("", |word| word.value);
        let Some(entity) = self.schema.entity_set(name) else {
            let sets = self.schema.entities.iter().map(|entity| entity.set);
            let found = quote(&self.text[span.start..span.end]);
            let fault = self.missing(span, "there is no such entity set");
            return Err(fault.expected("an entity set").found(found).suggest(name, sets));
        };
        self.segment(cursor, span, entity.set, entity, true)
    }

    /// The id in parentheses, if there is one, and nothing else.
    fn segment(
        &self,
        mut cursor: Cursor<'t>,
        span: Span,
        name: &'static str,
        entity: &'static Entity,
        many: bool,
    ) -> Result<Spanned<ResourceSegment>> {
        let parenthesis = cursor.here();
        let mut id = None;
        if cursor.eat('(') {
            id = Some(entity_id(&mut cursor)?);
            if !many {
                let what = format!("{name} is one entity and takes no id");
                return Err(cursor.error(parenthesis, what).kind(ErrorKind::NotFound));
            }
        }
        if !cursor.is_done() {
            return Err(cursor.unexpected("a step of a path cannot go on", "`/` or the end"));
        }
        Ok(Spanned::new(ResourceSegment { name, entity, many, id }, span))
    }

    /// The step below an entity or a collection.
    fn below(&mut self, above: &ResourceSegment, span: Span) -> Result<Below> {
        let mut cursor = self.cursor(span);
        let step = &self.text[span.start..span.end];
        match step {
            "$ref" => return Ok(Below::References),
            "$value" => {
                let fault = self.missing(span, "only a property has a `$value`");
                return Err(fault.hint(format!("write {}/name/$value", above.name)));
            }
            "$count" => {
                let fault = self.missing(span, "SensorThings has no path to a count");
                return Err(fault.hint("write ?$count=true&$top=0"));
            }
            _ => {}
        }
        let entity = above.entity;
        if above.many && above.id.is_none() {
            let what = format!("{} is a collection", above.name);
            let fault = self.missing(span, what).expected("an entity of it, or `$ref`");
            return Err(fault.found(quote(step)).hint(format!("write {}(1)/…", above.name)));
        }
        let name = cursor.word().map_or("", |word| word.value);
        if let Some(property) = entity.property(name) {
            let mut steps = vec![Spanned::new(Step::Property(property), cursor.since(span.start))];
            while cursor.eat('[') {
                steps.push(self.indexed(&mut cursor, property)?);
            }
            if !cursor.is_done() {
                return Err(cursor.unexpected("a step of a path cannot go on", "`/` or the end"));
            }
            return Ok(Below::Property(steps));
        }
        let Some(navigation) = entity.navigation(name) else {
            let what = format!("{} has no {}", entity.name, quote(step));
            let known = entity.navigation_names().chain(entity.property_names());
            let fault = self.missing(span, what).expected("a navigation or a property");
            return Err(fault.found(quote(step)).suggest(name, known));
        };
        let target = self.schema.entity(navigation.target);
        self.segment(cursor, span, navigation.name, target, navigation.is_many())
            .map(Below::Segment)
    }

    fn indexed(&self, cursor: &mut Cursor<'t>, property: &Property) -> Result<Spanned<Step>> {
        let start = cursor.at() - 1;
        let index = super::path::index(cursor)?;
        let span = cursor.since(start);
        if !property.value.has_members() {
            return Err(self.no_members(property, span));
        }
        Ok(Spanned::new(Step::Index(index), span))
    }

    fn no_members(&self, property: &Property, span: Span) -> Box<ParseError> {
        self.missing(span, format!("{} is {} and has no members", property.name, property.value))
    }

    /// Members below a property, and `$value`.
    fn property(&self, mut steps: Vec<Spanned<Step>>, below: &[Span]) -> Result<ResourceEnd> {
        let Some(Step::Property(property)) = steps.first().map(|step| step.value.clone()) else {
            unreachable!("the reader begins a property with itself");
        };
        for (index, span) in below.iter().copied().enumerate() {
            let step = &self.text[span.start..span.end];
            if step == "$value" {
                return match below.get(index + 1) {
                    None => Ok(ResourceEnd::Property { path: Path { steps }, raw: true }),
                    Some(after) => Err(self.nothing_below("$value", *after)),
                };
            }
            if step.is_empty() || step.starts_with('$') {
                let fault = self.missing(span, "no member has such a name");
                return Err(fault.expected("a member, or `$value`").found(quote(step)));
            }
            if !property.value.has_members() {
                return Err(self.no_members(property, span));
            }
            let (key, indexes) = key_and_indexes(step);
            if !key.is_empty() {
                steps.push(Spanned::new(Step::Key(key.to_owned()), span));
            }
            steps.extend(indexes.into_iter().map(|i| Spanned::new(Step::Index(i), span)));
        }
        if let Some(step) = steps.get(PATH_STEPS_MAX) {
            let what = format!("a path of more than {PATH_STEPS_MAX} steps");
            return Err(self.missing(step.span, what));
        }
        Ok(ResourceEnd::Property { path: Path { steps }, raw: false })
    }

    fn nothing_below(&self, what: &str, span: Span) -> Box<ParseError> {
        let found = quote(&self.text[span.start..span.end]);
        self.missing(span, format!("nothing lies below `{what}`")).expected("the end").found(found)
    }
}

/// `a[0][1]` is the member `a` and two indexes; any other bracket belongs to the name.
fn key_and_indexes(step: &str) -> (&str, Vec<u32>) {
    let (mut key, mut indexes) = (step, Vec::new());
    while let Some((before, index)) = key
        .strip_suffix(']')
        .and_then(|open| open.rsplit_once('['))
        .filter(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|(before, digits)| Some((before, digits.parse().ok()?)))
    {
        key = before;
        indexes.push(index);
    }
    indexes.reverse();
    (key, indexes)
}

/// An id and the parenthesis behind it.
fn entity_id(cursor: &mut Cursor<'_>) -> Result<EntityId> {
    let start = cursor.at();
    let id = if cursor.peek() == Some('\'') {
        EntityId::Text(cursor.quoted()?.value)
    } else {
        let text = cursor.take_while(|c| c != ')');
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let fault = cursor.error(cursor.since(start), "no id of an entity");
            let fault = fault.expected("an integer, or a text in quotes").found(quote(text));
            return Err(fault.hint("a text stands in single quotes: Things('a')"));
        }
        match text.parse() {
            Ok(id) => EntityId::Integer(id),
            Err(_) => {
                let fault = cursor.error(cursor.since(start), "an id too large for an integer");
                return Err(fault.found(quote(text)).kind(ErrorKind::NotFound));
            }
        }
    };
    if !cursor.eat(')') {
        return Err(cursor.unexpected("an id has no end", "`)`"));
    }
    Ok(id)
}
