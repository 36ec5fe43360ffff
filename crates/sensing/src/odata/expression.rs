//! Expressions: operators by their precedence, functions, literals and paths.
//!
//! Precedence is OData's (OData 4.0 part 2, 5.1.1.9), from the loosest: `or`; `and`; `not`;
//! `eq ne`; `gt ge lt le`; `add sub`; `mul div mod`; the minus of one operand. `not` stands where
//! OData's grammar and every server put it, over the comparison that follows: `not a eq b` is
//! `not (a eq b)`. Words of the language are known in any case, names of the model are not.
//!
//! Every recursion passes through [`Parser::operand`] with its depth and is bounded there; a chain
//! of one operator is a loop, and its tree counts by its real depth.

use super::ast::{BinaryOp, Expr, ExprKind, Literal, Spanned};
use super::cursor::Cursor;
use super::error::{ErrorKind, ParseError, Result, Span, quote};
use super::function::{Function, Parameter};
use super::path::{self, Scope};
use super::{EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX, geography, literal, typing};
use crate::schema::ValueType;

/// Calls inside one another while reading: parentheses, `not`, arguments, right operands. Printed,
/// a level of a tree takes at most two, as `not (…)` does, so what is printed can be read again.
const NESTING_MAX: usize = 2 * EXPRESSION_DEPTH_MAX;
/// The loosest operators of all.
const ANY_OPERATOR: u8 = 1;
/// What `not` takes: comparisons and what binds closer.
const UNDER_NOT: u8 = 4;

/// Reads an expression and leaves the cursor behind it.
pub(super) fn parse(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Expr> {
    let mut parser = Parser { cursor, scope, nodes: 0 };
    parser.operators(ANY_OPERATOR, 0).map(|parsed| parsed.expr)
}

/// Reads an expression that is true or false for an entity.
pub(super) fn parse_filter(cursor: &mut Cursor<'_>, scope: Scope<'_>) -> Result<Expr> {
    let filter = parse(cursor, scope)?;
    let value = typing::of(&filter);
    if typing::can_decide(value) {
        return Ok(filter);
    }
    let fault = cursor.error(filter.span, "a filter that decides nothing");
    Err(fault.expected("true or false, such as a comparison").found(value.to_string()))
}

/// An operator with two operands, as the text has it.
enum Infix {
    And,
    Or,
    Binary(BinaryOp),
}

impl Infix {
    fn of(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("and") {
            Some(Infix::And)
        } else if word.eq_ignore_ascii_case("or") {
            Some(Infix::Or)
        } else {
            BinaryOp::of(word).map(Infix::Binary)
        }
    }

    fn precedence(&self) -> u8 {
        match self {
            Infix::Or => ANY_OPERATOR,
            Infix::And => 2,
            Infix::Binary(op) => op.precedence(),
        }
    }
}

impl BinaryOp {
    const ALL: [BinaryOp; 11] = [
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Mod,
    ];

    pub fn word(self) -> &'static str {
        match self {
            BinaryOp::Eq => "eq",
            BinaryOp::Ne => "ne",
            BinaryOp::Gt => "gt",
            BinaryOp::Ge => "ge",
            BinaryOp::Lt => "lt",
            BinaryOp::Le => "le",
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::Mod => "mod",
        }
    }

    pub fn is_arithmetic(self) -> bool {
        self.precedence() >= 6
    }

    pub(super) fn precedence(self) -> u8 {
        match self {
            BinaryOp::Eq | BinaryOp::Ne => 4,
            BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Lt | BinaryOp::Le => 5,
            BinaryOp::Add | BinaryOp::Sub => 6,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 7,
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.word().eq_ignore_ascii_case(word))
    }
}

/// An expression with what its parent needs to know of it.
struct Parsed {
    expr: Expr,
    value: ValueType,
    /// Of the tree; a literal has 1.
    depth: usize,
}

struct Parser<'c, 'a, 's> {
    cursor: &'c mut Cursor<'a>,
    scope: Scope<'s>,
    nodes: usize,
}

impl Parser<'_, '_, '_> {
    /// Operands joined by operators that bind at least as close as `floor`.
    fn operators(&mut self, floor: u8, nesting: usize) -> Result<Parsed> {
        let mut left = self.operand(nesting)?;
        loop {
            let before = self.cursor.at();
            self.cursor.skip_space();
            let operator = self.cursor.peek_word();
            let Some((infix, word)) = operator
                .and_then(|word| Infix::of(word.value).map(|infix| (infix, word)))
                .filter(|(infix, _)| infix.precedence() >= floor)
            else {
                if let Some(word) = operator {
                    self.refuse_foreign_operator(word)?;
                }
                self.cursor.rewind(before);
                return Ok(left);
            };
            self.cursor.word();
            let right = self.operators(infix.precedence() + 1, nesting + 1)?;
            left = match infix {
                Infix::And | Infix::Or => self.join(&infix, left, right)?,
                Infix::Binary(op) => self.binary(op, word.span, left, right)?,
            };
        }
    }

    /// Operators of OData that 1.1 leaves out: to say so is better than to stop reading.
    fn refuse_foreign_operator(&self, word: Spanned<&str>) -> Result<()> {
        let hint = match word.value {
            "in" => "write `id eq 1 or id eq 2`",
            "has" => "there are no enumerations",
            "divby" => "`div` keeps the fraction",
            _ => return Ok(()),
        };
        let what = format!("SensorThings 1.1 has no `{}`", word.value);
        Err(self.cursor.error(word.span, what).hint(hint))
    }

    fn join(&mut self, infix: &Infix, left: Parsed, right: Parsed) -> Result<Parsed> {
        self.needs_truth(&left)?;
        self.needs_truth(&right)?;
        let span = left.expr.span.to(right.expr.span);
        let (same, depth) = match (infix, &left.expr.value) {
            (Infix::And, ExprKind::And(_)) | (Infix::Or, ExprKind::Or(_)) => {
                (true, left.depth.max(right.depth + 1))
            }
            _ => (false, left.depth.max(right.depth) + 1),
        };
        let mut operands = match left.expr.value {
            ExprKind::And(operands) | ExprKind::Or(operands) if same => operands,
            other => vec![Spanned::new(other, left.expr.span)],
        };
        match (infix, right.expr.value) {
            // In parentheses it says the same, and is written without them.
            (Infix::And, ExprKind::And(more)) | (Infix::Or, ExprKind::Or(more)) => {
                operands.extend(more);
            }
            (_, other) => operands.push(Spanned::new(other, right.expr.span)),
        }
        let kind = match infix {
            Infix::And => ExprKind::And(operands),
            _ => ExprKind::Or(operands),
        };
        self.node(kind, span, depth, ValueType::Boolean)
    }

    fn needs_truth(&self, operand: &Parsed) -> Result<()> {
        if typing::can_decide(operand.value) {
            return Ok(());
        }
        let fault =
            self.cursor.error(operand.expr.span, "an operand that is neither true nor false");
        Err(fault.expected("a comparison").found(operand.value.to_string()))
    }

    fn binary(&mut self, op: BinaryOp, at: Span, left: Parsed, right: Parsed) -> Result<Parsed> {
        let span = left.expr.span.to(right.expr.span);
        let value = if op.is_arithmetic() {
            typing::arithmetic(op, left.value, right.value).ok_or_else(|| {
                let (left, right) = (left.value, right.value);
                let what = format!("`{}` cannot join {left} and {right}", op.word());
                self.cursor.error(at, what)
            })?
        } else if let Some(what) = typing::comparison(op, left.value, right.value) {
            let fault = self.cursor.error(at, what);
            return Err(match unquoted(&left).or_else(|| unquoted(&right)) {
                Some(hint) => fault.hint(hint),
                None => fault,
            });
        } else {
            ValueType::Boolean
        };
        let depth = left.depth.max(right.depth) + 1;
        let kind = ExprKind::Binary { op, left: Box::new(left.expr), right: Box::new(right.expr) };
        self.node(kind, span, depth, value)
    }

    /// One operand, and whatever is nested in it.
    fn operand(&mut self, nesting: usize) -> Result<Parsed> {
        self.cursor.skip_space();
        if nesting > NESTING_MAX {
            return Err(self.too_deep(self.cursor.here()));
        }
        let start = self.cursor.at();
        match self.cursor.peek() {
            Some('(') => self.parentheses(nesting),
            Some('\'') => {
                let text = self.cursor.quoted()?;
                self.literal(Literal::Text(text.value), start)
            }
            Some('-') if !self.cursor.peek_second().is_some_and(|c| c.is_ascii_digit()) => {
                self.cursor.eat('-');
                let operand = self.operand(nesting + 1)?;
                self.negate(operand, start)
            }
            Some(c) if c.is_ascii_digit() || c == '-' => self.run(),
            _ => self.named(nesting),
        }
    }

    fn parentheses(&mut self, nesting: usize) -> Result<Parsed> {
        let start = self.cursor.at();
        self.cursor.eat('(');
        let mut inner = self.operators(ANY_OPERATOR, nesting + 1)?;
        self.cursor.skip_space();
        if !self.cursor.eat(')') {
            let hint = format!("it closes the parenthesis at byte {}", start + 1);
            return Err(self.cannot_go_on("`)` or an operator").hint(hint));
        }
        inner.expr.span = self.cursor.since(start);
        Ok(inner)
    }

    fn negate(&mut self, operand: Parsed, start: usize) -> Result<Parsed> {
        if !typing::can_negate(operand.value) {
            let what = format!("{} has no negative", operand.value);
            return Err(self.cursor.error(self.cursor.since(start), what));
        }
        let (depth, value) = (operand.depth + 1, typing::negated(operand.value));
        let kind = ExprKind::Negate(Box::new(operand.expr));
        self.node(kind, self.cursor.since(start), depth, value)
    }

    /// A number, a date, a time or an interval.
    fn run(&mut self) -> Result<Parsed> {
        let start = self.cursor.at();
        let run = self.cursor.take_while(literal::belongs_to_run);
        if literal::may_begin_interval(run) && self.cursor.eat('/') {
            self.cursor.take_while(literal::belongs_to_run);
        }
        let span = self.cursor.since(start);
        match literal::of_run(self.cursor.slice(span)) {
            Ok(literal) => self.literal(literal, start),
            Err(fault) => Err(self.no_literal(span, fault)),
        }
    }

    fn no_literal(&self, span: Span, fault: literal::NoLiteral) -> Box<ParseError> {
        let error = self.cursor.error(span, fault.what).found(quote(self.cursor.slice(span)));
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Whatever begins with a name.
    fn named(&mut self, nesting: usize) -> Result<Parsed> {
        let start = self.cursor.at();
        let Some(word) = self.cursor.peek_word() else {
            return Err(self
                .cursor
                .unexpected("an expression breaks off", "a path, a literal, a function or `(`"));
        };
        let after = word.span.end - start;
        let next = self.cursor.rest()[after..].chars().next();
        match (word.value, next) {
            (_, Some('\'')) => return self.prefixed(word),
            (_, Some('/')) => {}
            (name, _) if name.eq_ignore_ascii_case("not") => return self.not(nesting),
            (name, Some('(')) => return self.call(Spanned::new(name, word.span), nesting),
            ("true" | "false", _) => {
                self.cursor.word();
                return self.literal(Literal::Boolean(word.value == "true"), start);
            }
            ("null", _) => {
                self.cursor.word();
                return self.literal(Literal::Null, start);
            }
            ("INF" | "NaN", _) => {
                let fault = self.cursor.error(word.span, "a number that is none");
                return Err(fault.found(quote(word.value)).expected("a finite number"));
            }
            _ => {}
        }
        let path = path::parse(self.cursor, self.scope)?;
        let value = path.value.value_type();
        self.node(ExprKind::Path(path.value), path.span, 1, value)
    }

    fn not(&mut self, nesting: usize) -> Result<Parsed> {
        let start = self.cursor.at();
        self.cursor.word();
        // `not not a` nests without parentheses.
        let operand = self.operators(UNDER_NOT, nesting + 1)?;
        self.needs_truth(&operand)?;
        let depth = operand.depth + 1;
        let kind = ExprKind::Not(Box::new(operand.expr));
        self.node(kind, self.cursor.since(start), depth, ValueType::Boolean)
    }

    /// `geography'…'`, `duration'…'`.
    fn prefixed(&mut self, prefix: Spanned<&str>) -> Result<Parsed> {
        self.cursor.word();
        let text = self.cursor.quoted()?;
        let start = prefix.span.start;
        match prefix.value {
            "geography" => match geography::parse(&text.value) {
                Ok(geometry) => self.literal(Literal::Geography(geometry), start),
                Err((what, hint)) => {
                    let fault = self.cursor.error(text.span, what).found(quote(&text.value));
                    Err(match hint {
                        Some(hint) => fault.hint(hint),
                        None => fault,
                    })
                }
            },
            "duration" => match literal::duration(&text.value) {
                Ok(duration) => self.literal(Literal::Duration(duration), start),
                Err(fault) => Err(self.no_literal(text.span, fault)),
            },
            other => {
                let fault = self.cursor.error(prefix.span, "no kind of literal");
                let fault = fault.expected("geography'…' or duration'…'").found(quote(other));
                Err(match other {
                    "datetime" | "datetimeoffset" | "guid" | "date" | "time" => {
                        fault.hint("times are written without quotes: 2020-01-01T00:00:00Z")
                    }
                    _ => fault.suggest(other, ["geography", "duration"]),
                })
            }
        }
    }

    fn call(&mut self, name: Spanned<&str>, nesting: usize) -> Result<Parsed> {
        let Some(function) = Function::named(name.value) else {
            return Err(match name.value {
                "any" | "all" => path::unknown(self.cursor, self.scope.entity, name),
                _ => self
                    .cursor
                    .error(name.span, format!("there is no function {}", quote(name.value)))
                    .kind(ErrorKind::Unsupported)
                    .suggest(name.value, Function::ALL.iter().map(|known| known.name())),
            });
        };
        self.cursor.word();
        self.cursor.eat_separator('(');
        let (mut arguments, mut depth) = (Vec::new(), 0);
        if !self.cursor.eat(')') {
            loop {
                let argument = self.operators(ANY_OPERATOR, nesting + 1)?;
                self.check_argument(function, arguments.len(), &argument)?;
                depth = depth.max(argument.depth);
                arguments.push(argument.expr);
                if !self.cursor.eat_separator(',') {
                    break;
                }
            }
            self.cursor.skip_space();
            if !self.cursor.eat(')') {
                return Err(self.cannot_go_on("`,`, `)` or an operator"));
            }
        }
        let span = self.cursor.since(name.span.start);
        let signature = function.signature();
        let parameters = signature.parameters.len();
        if arguments.len() + signature.optional < parameters {
            return Err(self.wrong_count(function, span, arguments.len()));
        }
        let kind = ExprKind::Call { function, arguments };
        self.node(kind, span, depth + 1, signature.returns)
    }

    fn check_argument(&self, function: Function, index: usize, argument: &Parsed) -> Result<()> {
        let span = argument.expr.span;
        let Some(parameter) = function.signature().parameters.get(index) else {
            return Err(self.wrong_count(function, span, index + 1));
        };
        let literal = match &argument.expr.value {
            ExprKind::Literal(literal) => Some(literal),
            _ => None,
        };
        let fits = match (parameter, literal) {
            (Parameter::Matrix, Some(Literal::Text(matrix))) => is_matrix(matrix),
            (Parameter::Integer, Some(Literal::Integer(number))) => *number >= 0,
            (Parameter::Integer, Some(Literal::Double(_))) => false,
            _ => parameter.accepts(argument.value),
        };
        if fits {
            return Ok(());
        }
        let what = format!("argument {} of {} is of the wrong kind", index + 1, function.name());
        let found = match literal {
            Some(_) => quote(self.cursor.slice(span)),
            None => argument.value.to_string(),
        };
        let fault = self.cursor.error(span, what).expected(parameter.describe()).found(found);
        Err(match (parameter, unquoted(argument)) {
            (Parameter::Temporal, Some(hint)) => fault.hint(hint),
            _ => fault,
        })
    }

    fn wrong_count(&self, function: Function, span: Span, found: usize) -> Box<ParseError> {
        let signature = function.signature();
        let most = signature.parameters.len();
        let expected = match (signature.optional, most) {
            (0, 0) => "no argument".to_owned(),
            (0, 1) => "one argument".to_owned(),
            (0, _) => format!("{most} arguments"),
            (optional, _) => format!("{} to {most} arguments", most - optional),
        };
        let what = format!("{} has a wrong number of arguments", function.name());
        self.cursor.error(span, what).expected(expected).found(found.to_string())
    }

    /// Neither an operator nor what closes: says what the word could have been meant for.
    fn cannot_go_on(&mut self, expected: &str) -> Box<ParseError> {
        self.cursor.unexpected("an expression cannot go on like this", expected)
    }

    fn literal(&mut self, literal: Literal, start: usize) -> Result<Parsed> {
        let value = literal.value_type();
        self.node(ExprKind::Literal(literal), self.cursor.since(start), 1, value)
    }

    fn node(
        &mut self,
        kind: ExprKind,
        span: Span,
        depth: usize,
        value: ValueType,
    ) -> Result<Parsed> {
        self.nodes += 1;
        if depth > EXPRESSION_DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        if self.nodes > EXPRESSION_NODES_MAX {
            let what = format!("an expression of more than {EXPRESSION_NODES_MAX} parts");
            return Err(self.cursor.error(span, what));
        }
        Ok(Parsed { expr: Spanned::new(kind, span), value, depth })
    }

    fn too_deep(&self, span: Span) -> Box<ParseError> {
        let what = format!("an expression nested more than {EXPRESSION_DEPTH_MAX} deep");
        self.cursor.error(span, what)
    }
}

fn is_matrix(text: &str) -> bool {
    text.len() == 9 && text.bytes().all(|byte| b"TF*012".contains(&byte))
}

/// A time in quotes is a text: many write it so.
fn unquoted(operand: &Parsed) -> Option<String> {
    let ExprKind::Literal(Literal::Text(text)) = &operand.expr.value else { return None };
    let time = literal::of_run(text).ok().filter(|literal| literal.value_type().is_temporal());
    time.map(|_| format!("write the time without quotes: {text}"))
}
