//! A small city behind the faces: three datasets in memory and two users, of whom one sees all
//! and the other one dataset. It filters nothing within a dataset; governing is tested elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use catalog::{Principal, Session};
use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use registry::scram::Verifier;
use server::backend::{Answer, Backend, Description, Visible};
use server::{Code, Fault};

/// Password of both users.
pub const PASSWORD: &str = "锦官城 pw";
const HOURS: i64 = 2_000;
const SITES: [&str; 3] = ["草堂寺", "Shahepu", "US Post"];

#[derive(Debug, Default)]
pub struct Small {
    pub epoch: AtomicU64,
    /// Nobody may log in or go on.
    pub disabled: AtomicBool,
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// 2010-01-01 00:00 UTC in microseconds.
const START_US: i64 = 1_262_304_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

fn air() -> RecordBatch {
    let rows = HOURS * 3;
    let schema = Schema::new(vec![
        Field::new("site", DataType::Utf8, false),
        Field::new("observed_at", utc(), false),
        Field::new("pm25", DataType::Float64, true),
    ]);
    let site = (0..rows).map(|row| SITES[usize::try_from(row % 3).unwrap()]);
    let at = (0..rows).map(|row| START_US + row / 3 * HOUR_US);
    let value = (0..rows)
        .map(|row| (row % 7 != 6).then_some(f64::from(i32::try_from(row % 200).unwrap()) / 2.0));
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(site)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(at).with_timezone("UTC")),
        Arc::new(Float64Array::from_iter(value)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// One row of each type, and one of nulls.
fn kinds() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("flag", DataType::Boolean, true),
        Field::new("ratio", DataType::Float64, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", utc(), true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("raw", DataType::Binary, true),
        Field::new("name", DataType::Utf8, true),
    ]);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(Float64Array::from(vec![Some(0.1), None])),
        Arc::new(Date32Array::from(vec![Some(14_610), None])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(START_US + 1), None]).with_timezone("UTC"),
        ),
        Arc::new(
            Decimal128Array::from(vec![Some(-123_456_i128), None])
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0, 255, 10]), None])),
        Arc::new(StringArray::from(vec![Some("a\tb\\\"x\",\n成都"), None])),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn secrets() -> RecordBatch {
    let schema = Schema::new(vec![Field::new("word", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec!["tiger"]))])
        .unwrap()
}

fn datasets(user: &str) -> Vec<(Visible, RecordBatch)> {
    let visible = |id: &str, title: &str, owner: &str, key: &[&str], schema: SchemaRef| Visible {
        id: id.to_owned(),
        title: title.to_owned(),
        description: String::new(),
        owner: owner.to_owned(),
        comments: match id {
            "air.pm25" => BTreeMap::from([("pm25".to_owned(), "细颗粒物 (ug/m3)".to_owned())]),
            _ => BTreeMap::new(),
        },
        key: key.iter().map(|&name| name.to_owned()).collect(),
        schema,
    };
    let mut all = vec![(
        visible("air.pm25", "PM2.5 小时值", "ecology", &["site", "observed_at"], air().schema()),
        air(),
    )];
    if user == "chen" {
        all.push((
            visible("test.kinds", "各种类型", "data_bureau", &["id"], kinds().schema()),
            kinds(),
        ));
        let schema = secrets().schema();
        all.push((visible("test.secrets", "Secrets", "data_bureau", &[], schema), secrets()));
    }
    all
}

impl Small {
    fn context(user: &str) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("chengdu", "public")
            .with_create_default_catalog_and_schema(false);
        config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
        let context = SessionContext::new_with_config(config);
        let catalog = Arc::new(MemoryCatalogProvider::new());
        catalog.register_schema("public", Arc::new(MemorySchemaProvider::new())).unwrap();
        for (dataset, rows) in datasets(user) {
            let (schema, table) = dataset.id.split_once('.').unwrap();
            if catalog.schema(schema).is_none() {
                catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new())).unwrap();
            }
            let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
            let schema = catalog.schema(schema).unwrap();
            schema.register_table(table.to_owned(), Arc::new(rows)).unwrap();
        }
        context.register_catalog("chengdu", catalog);
        context
    }

    async fn plan(
        session: &Session,
        sql: &str,
    ) -> Result<(SessionContext, datafusion::logical_expr::LogicalPlan), Fault> {
        let context = Self::context(&session.principal.user);
        let plan = context.state().create_logical_plan(sql).await.map_err(|e| fault(&e))?;
        let reading = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        reading.verify_plan(&plan).map_err(|e| Fault::new(Code::Refused, e.to_string()))?;
        Ok((context, plan))
    }
}

fn fault(error: &DataFusionError) -> Fault {
    let text = error.strip_backtrace();
    match error.find_root() {
        DataFusionError::Plan(_) if text.contains("not found") => Fault::new(Code::NotFound, text),
        DataFusionError::SchemaError(..) => Fault::new(Code::ColumnNotFound, text),
        DataFusionError::ResourcesExhausted(_) => Fault::new(Code::Memory, text),
        _ => Fault::new(Code::Invalid, text),
    }
}

fn principal(user: &str) -> Option<Arc<Principal>> {
    let permissions: &[&str] = match user {
        "chen" => &["query", "read_catalogue", "import", "grant", "audit", "administer"],
        "guest" => &["query", "read_catalogue"],
        "mute" => &[],
        _ => return None,
    };
    Some(Arc::new(Principal {
        user: user.to_owned(),
        organisation: "ecology".to_owned(),
        permissions: permissions.iter().map(|&name| name.to_owned()).collect(),
        ..Default::default()
    }))
}

#[async_trait]
impl Backend for Small {
    fn database(&self) -> &str {
        "chengdu"
    }

    fn zone(&self) -> &str {
        "Asia/Shanghai"
    }

    fn decoy_secret(&self) -> &[u8] {
        b"a secret of the small city"
    }

    fn policy_epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    async fn scram_verifier(&self, user: &str) -> Result<Option<Verifier>, Fault> {
        Ok(principal(user).map(|_| Verifier::of_password(PASSWORD)).transpose()?)
    }

    async fn authenticate_token(&self, token: &str) -> Result<Option<Arc<Principal>>, Fault> {
        Ok(token.strip_prefix("token-of-").and_then(principal))
    }

    async fn principal(&self, user: &str) -> Result<Option<Arc<Principal>>, Fault> {
        let enabled = !self.disabled.load(Ordering::Relaxed);
        Ok(principal(user).filter(|_| enabled))
    }

    async fn query(
        &self,
        session: &Session,
        sql: &str,
        parameters: Vec<ScalarValue>,
    ) -> Result<Answer, Fault> {
        if sql.contains("panic_please") {
            panic!("asked to");
        }
        let (context, plan) = Self::plan(session, sql).await?;
        let plan = match parameters.is_empty() {
            true => plan,
            false => plan
                .replace_params_with_values(&ParamValues::from(parameters))
                .map_err(|e| fault(&e))?,
        };
        let frame = context.execute_logical_plan(plan).await.map_err(|e| fault(&e))?;
        let stream = frame.execute_stream().await.map_err(|e| fault(&e))?;
        Ok(Answer {
            id: "1".to_owned(),
            schema: stream.schema(),
            rows: Box::pin(stream.map_err(|e| fault(&e))),
        })
    }

    async fn describe(&self, session: &Session, sql: &str) -> Result<Description, Fault> {
        let (_, plan) = Self::plan(session, sql).await?;
        let types = plan.get_parameter_types().map_err(|e| fault(&e))?;
        let parameters = (1..=types.len()).map(|n| types.get(&format!("${n}")).cloned().flatten());
        Ok(Description {
            schema: Arc::new(plan.schema().as_arrow().clone()),
            parameters: parameters.collect(),
        })
    }

    async fn visible(&self, session: &Session) -> Result<Vec<Visible>, Fault> {
        Ok(datasets(&session.principal.user).into_iter().map(|(visible, _)| visible).collect())
    }
}
