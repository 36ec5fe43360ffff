//! Rules of a contract, stated and implied, compiled once to what runs over a batch.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use chrono::Utc;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, ident};
use datafusion::physical_expr::PhysicalExpr;
use pack::model::{Contract, Field, FieldType, Pii, Severity, Text};
use pack::sql::{Scope, at_moment, plan_predicate, planning_state};

use super::{QualityError, RuleKind};

/// How a rule is asked of a batch.
#[derive(Debug)]
pub(super) enum Test {
    /// The column at this index has no null: answered by its null count.
    Filled(usize),
    /// The texts of the column at this index are among these, sorted.
    Coded(usize, Vec<String>),
    /// A predicate over the contract's schema.
    Predicate(Arc<dyn PhysicalExpr>),
}

/// One compiled rule.
#[derive(Debug)]
pub struct RowRule {
    pub id: Arc<str>,
    pub kind: RuleKind,
    pub field: Option<Arc<str>>,
    pub severity: Severity,
    pub title: Text,
    /// The rule as SQL over the dataset's fields: true, or null, for a good row.
    pub sql: String,
    pub(super) test: Test,
}

impl RowRule {
    /// A query for the rows that break the rule.
    pub fn failing_rows(&self, dataset: &str) -> String {
        let table = quoted_table(dataset);
        format!("select * from {table} where not coalesce(({}), true)", self.sql)
    }
}

/// All row rules of one contract.
#[derive(Debug)]
pub struct RowRules {
    pub(super) dataset: String,
    pub(super) schema: SchemaRef,
    pub(super) rules: Vec<RowRule>,
    pub(super) contract: Contract,
}

impl RowRules {
    pub fn compile(contract: &Contract) -> Result<Self, QualityError> {
        let compiler = Compiler::new(contract)?;
        let mut rules = Vec::new();
        for (index, field) in contract.fields.iter().enumerate() {
            if field.required {
                rules.push(compiler.filled(index, field));
            }
            if !field.codes.is_empty() {
                rules.push(compiler.codes(index, field)?);
            }
            if let Some(function) = checksum_function(field) {
                rules.push(compiler.checksum(field, function)?);
            }
        }
        for stated in &contract.quality {
            rules.push(RowRule {
                id: stated.id.as_str().into(),
                kind: RuleKind::Stated,
                field: None,
                severity: stated.severity,
                title: stated.title.clone(),
                sql: stated.sql.clone(),
                test: compiler.sql(&stated.id, &stated.sql)?,
            });
        }
        Ok(Self {
            dataset: contract.id.clone(),
            schema: contract.arrow_schema(),
            rules,
            contract: contract.clone(),
        })
    }

    pub fn rules(&self) -> &[RowRule] {
        &self.rules
    }

    pub fn dataset(&self) -> &str {
        &self.dataset
    }
}

struct Compiler<'a> {
    contract: &'a Contract,
    schema: DFSchema,
}

impl<'a> Compiler<'a> {
    fn new(contract: &'a Contract) -> Result<Self, QualityError> {
        let schema = DFSchema::try_from(contract.arrow_schema().as_ref().clone());
        let schema = schema.map_err(|cause| QualityError::Rule {
            dataset: contract.id.clone(),
            rule: "fields".into(),
            reason: cause.strip_backtrace(),
        })?;
        Ok(Self { contract, schema })
    }

    fn filled(&self, index: usize, field: &Field) -> RowRule {
        RowRule {
            id: format!("required:{}", field.name).into(),
            kind: RuleKind::Required,
            field: Some(field.name.as_str().into()),
            severity: Severity::Error,
            title: Text {
                zh: format!("{}必填", field.title.zh),
                en: format!("{} is required", field.title.en),
            },
            sql: format!("{} is not null", quoted(&field.name)),
            test: Test::Filled(index),
        }
    }

    fn codes(&self, index: usize, field: &Field) -> Result<RowRule, QualityError> {
        let id = format!("codes:{}", field.name);
        let ty = field.ty.arrow();
        let values = field.codes.iter().map(|code| {
            ScalarValue::try_from_string(code.clone(), &ty)
                .map_err(|_| self.fault(&id, format!("code '{code}' is no {ty}")))
        });
        let values: Vec<ScalarValue> = values.collect::<Result<_, _>>()?;
        let listed: Vec<String> = values.iter().zip(&field.codes).map(sql_literal).collect();
        let test = if ty == DataType::Utf8 {
            let mut codes = field.codes.clone();
            codes.sort_unstable();
            Test::Coded(index, codes)
        } else {
            let list = values.into_iter().map(|value| Expr::Literal(value, None)).collect();
            let coded = InList::new(Box::new(ident(&field.name)), list, false);
            self.physical(&id, Expr::InList(coded))?
        };
        Ok(RowRule {
            kind: RuleKind::Codes,
            field: Some(field.name.as_str().into()),
            severity: Severity::Error,
            title: Text {
                zh: format!("{}应为规定代码", field.title.zh),
                en: format!("{} is one of its codes", field.title.en),
            },
            sql: format!("{} in ({})", quoted(&field.name), listed.join(", ")),
            test,
            id: id.into(),
        })
    }

    fn checksum(&self, field: &Field, function: &str) -> Result<RowRule, QualityError> {
        let id = format!("checksum:{}", field.name);
        let sql = format!("{function}({})", quoted(&field.name));
        Ok(RowRule {
            kind: RuleKind::Checksum,
            field: Some(field.name.as_str().into()),
            severity: Severity::Error,
            title: Text {
                zh: format!("{}校验码正确", field.title.zh),
                en: format!("{} carries its checksum", field.title.en),
            },
            test: self.sql(&id, &sql)?,
            sql,
            id: id.into(),
        })
    }

    fn sql(&self, id: &str, sql: &str) -> Result<Test, QualityError> {
        let expr = plan_predicate(self.contract, sql, Scope::Row)
            .map_err(|fault| self.fault(id, fault.to_string()))?;
        // `now()` is when the rules were compiled: at the beginning of an import or a run.
        let expr =
            at_moment(expr, Utc::now()).map_err(|cause| self.fault(id, cause.strip_backtrace()))?;
        self.physical(id, expr)
    }

    fn physical(&self, id: &str, expr: Expr) -> Result<Test, QualityError> {
        planning_state(Scope::Row)
            .create_physical_expr(expr, &self.schema)
            .map(Test::Predicate)
            .map_err(|cause| self.fault(id, cause.strip_backtrace()))
    }

    fn fault(&self, rule: &str, reason: String) -> QualityError {
        QualityError::Rule { dataset: self.contract.id.clone(), rule: rule.to_owned(), reason }
    }
}

/// The SQL function that checks a field's own checksum: identity numbers are declared as such;
/// unified social credit codes are known by the field's name, which is `credit_code` or ends in
/// `_credit_code` wherever a contract keeps one.
fn checksum_function(field: &Field) -> Option<&'static str> {
    if field.ty != FieldType::Text {
        return None;
    }
    if field.pii == Pii::IdentityNumber {
        return Some("valid_identity_number");
    }
    let credit_code = field.name == "credit_code" || field.name.ends_with("_credit_code");
    credit_code.then_some("valid_credit_code")
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn quoted_table(dataset: &str) -> String {
    dataset.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

fn sql_literal((value, code): (&ScalarValue, &String)) -> String {
    match value.data_type() {
        DataType::Int64 | DataType::Float64 | DataType::Boolean => code.clone(),
        _ => format!("'{}'", code.replace('\'', "''")),
    }
}
