//! The tree as text: one way of writing for all that say the same.
//!
//! Expressions print as they are read, decoded. Resource paths and query options print as they
//! stand in a URL, encoded, with the options in a fixed order: what a next link is made of.
//! Whatever is printed is read again as the same tree.

use std::fmt::{self, Display, Formatter, Write};

use super::apply::WINDOW_ALIAS;
use super::ast::{
    Aggregate, Apply, Direction, EntityId, Expand, ExprKind, GroupKey, Literal, OrderBy, Path,
    QueryOptions, ResourceEnd, ResourcePath, ResultFormat, SelectItem, Spanned, Step, Window,
};
use super::query::OptionName;
use super::{time, url};

impl<T: Display> Display for Spanned<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A text in quotes, with those inside doubled.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// Items with a comma between them.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

// --- Expressions ------------------------------------------------------------------------------

/// How close an expression binds: what an operand must reach to stand without parentheses.
mod precedence {
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const NEGATE: u8 = 8;
    pub const PRIMARY: u8 = 9;
}

impl ExprKind {
    fn precedence(&self) -> u8 {
        match self {
            ExprKind::Or(_) => precedence::OR,
            ExprKind::And(_) => precedence::AND,
            ExprKind::Not(_) => precedence::NOT,
            ExprKind::Binary { op, .. } => op.precedence(),
            ExprKind::Negate(_) => precedence::NEGATE,
            ExprKind::Literal(_) | ExprKind::Path(_) | ExprKind::Call { .. } => precedence::PRIMARY,
        }
    }

    fn operand(&self, f: &mut Formatter<'_>, floor: u8) -> fmt::Result {
        if self.precedence() >= floor { write!(f, "{self}") } else { write!(f, "({self})") }
    }

    fn chain(f: &mut Formatter<'_>, operands: &[super::Expr], word: &str, own: u8) -> fmt::Result {
        for (index, operand) in operands.iter().enumerate() {
            if index > 0 {
                write!(f, " {word} ")?;
            }
            operand.value.operand(f, own + 1)?;
        }
        Ok(())
    }
}

impl Display for ExprKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Path(path) => path.fmt(f),
            ExprKind::Or(operands) => Self::chain(f, operands, "or", precedence::OR),
            ExprKind::And(operands) => Self::chain(f, operands, "and", precedence::AND),
            ExprKind::Not(operand) => {
                // Other servers read `not a eq b` otherwise: parentheses leave no doubt.
                f.write_str("not ")?;
                operand.value.operand(f, precedence::PRIMARY)
            }
            ExprKind::Negate(operand) => {
                f.write_char('-')?;
                // A minus in front of a number would belong to the number.
                match &operand.value {
                    ExprKind::Literal(literal) => write!(f, "({literal})"),
                    other => other.operand(f, precedence::PRIMARY),
                }
            }
            ExprKind::Binary { op, left, right } => {
                left.value.operand(f, op.precedence())?;
                write!(f, " {} ", op.word())?;
                right.value.operand(f, op.precedence() + 1)
            }
            ExprKind::Call { function, arguments } => {
                write!(f, "{}({})", function.name(), List(arguments))
            }
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Integer(value) => write!(f, "{value}"),
            // With a fraction or an exponent, so that it stays a double.
            Literal::Double(value) => write!(f, "{value:?}"),
            Literal::Text(text) => Quoted(text).fmt(f),
            Literal::Instant(instant) => f.write_str(&time::instant(instant)),
            Literal::Date(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            Literal::TimeOfDay(time) => write!(f, "{}", time.format("%H:%M:%S%.f")),
            Literal::Duration(duration) => write!(f, "duration'{duration}'"),
            Literal::Interval { start, end } => {
                write!(f, "{}/{}", time::instant(start), time::instant(end))
            }
            Literal::Geography(geometry) => {
                write!(f, "geography'{}'", wkt::ToWkt::wkt_string(geometry))
            }
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 && !matches!(step.value, Step::Index(_)) {
                f.write_char('/')?;
            }
            match &step.value {
                Step::Navigation(navigation) => f.write_str(navigation.name)?,
                Step::Property(property) => f.write_str(property.name)?,
                Step::Column(column) => f.write_str(&column.name)?,
                Step::Key(key) if is_plain(key) => f.write_str(key)?,
                Step::Key(key) => Quoted(key).fmt(f)?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Can the name of a member stand without quotes? What the cursor takes as a key.
fn is_plain(key: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | ':');
    !key.is_empty() && key.chars().all(known)
}

// --- Query options ----------------------------------------------------------------------------

impl QueryOptions {
    /// Each option that is given, in a fixed order, with its decoded value.
    fn values(&self) -> Vec<(OptionName, String)> {
        let mut values = Vec::new();
        let mut give = |name, value: &dyn Display| values.push((name, value.to_string()));
        if let Some(apply) = &self.apply {
            give(OptionName::Apply, apply);
        }
        if let Some(filter) = &self.filter {
            give(OptionName::Filter, filter);
        }
        if let Some(count) = &self.count {
            give(OptionName::Count, count);
        }
        if !self.orderby.is_empty() {
            give(OptionName::OrderBy, &List(&self.orderby));
        }
        if let Some(skip) = &self.skip {
            give(OptionName::Skip, skip);
        }
        if let Some(top) = &self.top {
            give(OptionName::Top, top);
        }
        if !self.select.is_empty() {
            give(OptionName::Select, &List(&self.select));
        }
        if !self.expand.is_empty() {
            give(OptionName::Expand, &List(&self.expand));
        }
        if let Some(format) = &self.result_format {
            give(OptionName::ResultFormat, format);
        }
        values
    }
}

/// As it stands in a URL, behind the question mark.
impl Display for QueryOptions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.values().into_iter().enumerate() {
            let and = if index > 0 { "&" } else { "" };
            write!(f, "{and}{}={}", name.text(), url::encode_query(&value))?;
        }
        Ok(())
    }
}

impl Display for Expand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.navigation.value.name)?;
        let values = self.options.values();
        if values.is_empty() {
            return Ok(());
        }
        for (index, (name, value)) in values.into_iter().enumerate() {
            let before = if index > 0 { ';' } else { '(' };
            write!(f, "{before}{}={value}", name.text())?;
        }
        f.write_char(')')
    }
}

impl Display for OrderBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Ascending => self.key.fmt(f),
            Direction::Descending => write!(f, "{} desc", self.key),
        }
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SelectItem::Property(path) => path.fmt(f),
            SelectItem::Navigation(navigation) => f.write_str(navigation.name),
        }
    }
}

impl Display for ResultFormat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResultFormat::DataArray => "dataArray",
            ResultFormat::GeoJson => "GeoJSON",
        })
    }
}

impl Display for Apply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(filter) = &self.filter {
            write!(f, "filter({filter})/")?;
        }
        let aggregates = List(&self.aggregates);
        match (self.keys.is_empty(), self.aggregates.is_empty()) {
            (true, _) => write!(f, "aggregate({aggregates})"),
            (false, true) => write!(f, "groupby(({}))", List(&self.keys)),
            (false, false) => {
                write!(f, "groupby(({}),aggregate({aggregates}))", List(&self.keys))
            }
        }
    }
}

impl Display for GroupKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            GroupKey::Path(path) => path.fmt(f),
            GroupKey::Window(window) => window.fmt(f),
        }
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "window({},duration'{}'", self.time, self.length)?;
        if let Some(offset) = &self.offset {
            write!(f, ",'{offset}'")?;
        }
        f.write_char(')')?;
        if self.alias == WINDOW_ALIAS { Ok(()) } else { write!(f, " as {}", self.alias) }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{path} with {} as {}", self.method.word(), self.alias),
            None => write!(f, "{} as {}", self.method.word(), self.alias),
        }
    }
}

// --- Resource paths ---------------------------------------------------------------------------

/// Unencoded, as it stands between parentheses.
impl Display for EntityId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            EntityId::Integer(id) => write!(f, "{id}"),
            EntityId::Text(id) => Quoted(id).fmt(f),
        }
    }
}

/// As it stands in a URL, behind the service's root and a slash.
impl Display for ResourcePath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_char('/')?;
            }
            f.write_str(segment.value.name)?;
            if let Some(id) = &segment.value.id {
                write!(f, "({})", url::encode_path(&id.to_string()))?;
            }
        }
        match &self.end {
            ResourceEnd::Whole => Ok(()),
            ResourceEnd::References => f.write_str("/$ref"),
            ResourceEnd::Property { path, raw } => {
                for step in &path.steps {
                    match &step.value {
                        Step::Property(property) => write!(f, "/{}", property.name)?,
                        Step::Key(key) => write!(f, "/{}", url::encode_path(key))?,
                        Step::Index(index) => write!(f, "%5B{index}%5D")?,
                        // A resource path keeps them in its segments.
                        Step::Navigation(_) | Step::Column(_) => return Err(fmt::Error),
                    }
                }
                f.write_str(if *raw { "/$value" } else { "" })
            }
        }
    }
}
