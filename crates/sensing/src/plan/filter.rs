//! Filters as SQL: three truths, and what it means that a path leads to many.
//!
//! A condition is written twice over: as what is true where the filter is true, and, below a `not`,
//! as what is true where it is false. So `not` goes down to the comparisons, nulls decide nothing
//! on either side, and what SQL makes of a null never matters.
//!
//! # Where a related entity is chosen
//!
//! A comparison with a path to many holds where it holds for any of them: an EXISTS around it. Of
//! the operands of an `and`, those that share navigations to many speak of the same entity: one
//! EXISTS around all of them. Around an `or` none is needed, since any of `a or b` is any of `a` or
//! any of `b`; and `not` is around the EXISTS: no related entity is such.

use crate::odata::{Expr, ExprKind, Literal, Span};
use crate::schema::Navigation;

use super::compare::Predicate;
use super::error::Result;
use super::scope::Compiler;
use super::sql::{FALSE, Select, TRUE, all, any, not};
use super::term::Term;

type Way = Vec<&'static Navigation>;

impl Compiler<'_> {
    /// What is true for the rows that a filter chooses.
    pub fn filter(&mut self, expr: &Expr) -> Result<String> {
        self.truth(expr, true)
    }

    /// What is true where the expression is `wanted`. The recursion is as deep as the tree.
    fn truth(&mut self, expr: &Expr, wanted: bool) -> Result<String> {
        let operands = match &expr.value {
            ExprKind::And(operands) => return self.conjunction(operands, expr.span, wanted),
            ExprKind::Not(operand) => return self.truth(operand, !wanted),
            ExprKind::Or(operands) => operands,
            _ => return self.leaf(expr, wanted),
        };
        let truths = operands.iter().map(|operand| self.truth(operand, wanted));
        let truths = truths.collect::<Result<Vec<_>>>()?;
        Ok(if wanted { any(truths) } else { all(truths) })
    }

    fn conjunction(&mut self, operands: &[Expr], span: Span, wanted: bool) -> Result<String> {
        let mut truths = Vec::new();
        for together in self.together(operands) {
            truths.push(match together.as_slice() {
                [one] => self.truth(one, wanted)?,
                several => self.exists(shared(several, self), span, wanted, |compiler| {
                    let truths = several.iter().map(|operand| compiler.truth(operand, true));
                    Ok(all(truths.collect::<Result<Vec<_>>>()?))
                })?,
            });
        }
        Ok(if wanted { all(truths) } else { any(truths) })
    }

    /// Operands in groups: those of a group share paths to many, directly or over others.
    fn together<'e>(&self, operands: &'e [Expr]) -> Vec<Vec<&'e Expr>> {
        let mut groups: Vec<(Vec<&Expr>, Vec<Way>)> = Vec::new();
        for operand in operands {
            let mut ways = self.unbound(operand);
            let mut group = vec![operand];
            let mut place = groups.len();
            let mut at = 0;
            while at < groups.len() {
                if groups[at].1.iter().any(|way| ways.contains(way)) {
                    let (mut found, found_ways) = groups.remove(at);
                    found.append(&mut group);
                    group = found;
                    ways.extend(found_ways);
                    place = place.min(at);
                } else {
                    at += 1;
                }
            }
            groups.insert(place.min(groups.len()), (group, ways));
        }
        groups.into_iter().map(|(group, _)| group).collect()
    }

    /// A condition for any of the related entities, or for none of them.
    fn exists(
        &mut self,
        ways: Vec<Way>,
        span: Span,
        wanted: bool,
        condition: impl FnOnce(&mut Self) -> Result<String>,
    ) -> Result<String> {
        self.open();
        for way in &ways {
            self.bind(way, span)?;
        }
        let condition = condition(self)?;
        let mut scope = self.close();
        if condition == FALSE {
            return Ok(if wanted { FALSE } else { TRUE }.to_owned());
        }
        scope.filter.push(condition);
        let select = Select {
            columns: vec!["1".to_owned()],
            from: scope.from,
            filter: scope.filter,
            ..Select::default()
        };
        let exists = format!("EXISTS ({})", select.print().replace("\n  ", " ").replace('\n', " "));
        Ok(if wanted { exists } else { not(&exists) })
    }

    /// Neither `and`, `or` nor `not`.
    fn leaf(&mut self, expr: &Expr, wanted: bool) -> Result<String> {
        let ways = self.unbound(expr);
        if ways.is_empty() {
            return self.leaf_here(expr, wanted);
        }
        self.exists(ways, expr.span, wanted, |compiler| compiler.leaf_here(expr, true))
    }

    fn leaf_here(&mut self, expr: &Expr, wanted: bool) -> Result<String> {
        match &expr.value {
            ExprKind::Literal(Literal::Boolean(value)) => {
                Ok(if *value == wanted { TRUE } else { FALSE }.to_owned())
            }
            ExprKind::Literal(_) => Ok(FALSE.to_owned()),
            ExprKind::Binary { op, .. } if !op.is_arithmetic() => {
                let predicate = self.comparison(expr)?;
                Ok(if wanted { predicate.holds } else { predicate.fails })
            }
            _ => {
                let truth = self.term(expr)?.as_boolean().sql;
                Ok(if wanted { truth } else { not(&truth) })
            }
        }
    }

    /// A comparison's two sides, compared.
    fn comparison(&mut self, expr: &Expr) -> Result<Predicate> {
        let ExprKind::Binary { op, left, right } = &expr.value else {
            return Ok(Predicate::new(FALSE.to_owned()));
        };
        let (l, r) = (self.term(left)?, self.term(right)?);
        for (side, term) in [(left, &l), (right, &r)] {
            self.refuse_calendar(side.span, term)?;
        }
        Ok(self.compare(*op, &l, &r))
    }

    /// The value of an expression that is true, false or null, as an operand of a comparison.
    pub fn truth_value(&mut self, expr: &Expr) -> Result<Term> {
        let value = match &expr.value {
            ExprKind::Not(operand) => not(&self.truth_of(operand)?),
            ExprKind::And(operands) => all(self.truths_of(operands)?),
            ExprKind::Or(operands) => any(self.truths_of(operands)?),
            _ => self.comparison(expr)?.value(),
        };
        // What decides nothing is no operand of `=`, whatever SQL thinks of precedence.
        Ok(Term::Boolean(super::term::Scalar::nullable(value)))
    }

    fn truths_of(&mut self, operands: &[Expr]) -> Result<Vec<String>> {
        operands.iter().map(|operand| self.truth_of(operand)).collect()
    }

    fn truth_of(&mut self, operand: &Expr) -> Result<String> {
        Ok(match &operand.value {
            ExprKind::Literal(Literal::Null) => "CAST(NULL AS BOOLEAN)".to_owned(),
            ExprKind::Literal(Literal::Boolean(value)) => {
                if *value { TRUE } else { FALSE }.to_owned()
            }
            _ => self.term(operand)?.as_boolean().sql,
        })
    }
}

/// The paths to many that are bound around a group: those that two of it share, and all of an
/// operand that is a single comparison, for which no second EXISTS is needed.
fn shared(group: &[&Expr], compiler: &Compiler<'_>) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let all_ways: Vec<Vec<Way>> = group.iter().map(|operand| compiler.unbound(operand)).collect();
    for (operand, own) in group.iter().zip(&all_ways) {
        let alone = !matches!(operand.value, ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_));
        for way in own {
            let users = all_ways.iter().filter(|other| other.contains(way)).count();
            if (alone || users > 1) && !ways.contains(way) {
                ways.push(way.clone());
            }
        }
    }
    // The longer ones go through the shorter ones.
    ways.sort_by_key(Vec::len);
    ways
}
