//! Corrections over a table in memory, asked in SQL.

use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::*;

fn fields() -> Vec<Field> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    vec![
        Field::new("datastream", DataType::Int64, false),
        Field::new("phenomenon_time", time, false),
        Field::new("ordinal", DataType::Int64, false),
        Field::new("result", DataType::Int64, true),
        Field::new("feature_of_interest", DataType::Int64, true),
    ]
}

type Row = (i64, i64, i64, Option<i64>, Option<i64>);

fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let times = rows.iter().map(|row| row.1).collect::<Vec<_>>();
    vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.4).collect::<Int64Array>()),
    ]
}

fn observations(rows: &[Row]) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(fields())), columns(rows)).unwrap()
}

/// Rows, and for each whether it is removed and where it went.
fn corrections(rows: &[(Row, bool, Option<&str>)]) -> RecordBatch {
    let mut all = fields();
    all.push(Field::new("removed", DataType::Boolean, false));
    all.push(Field::new("moved_to", DataType::Utf8, true));
    let mut columns = columns(&rows.iter().map(|row| row.0).collect::<Vec<_>>());
    columns.push(Arc::new(rows.iter().map(|row| Some(row.1)).collect::<BooleanArray>()));
    columns.push(Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>()));
    RecordBatch::try_new(Arc::new(Schema::new(all)), columns).unwrap()
}

async fn asked(over: Over, sql: &str) -> Vec<i64> {
    let rows = observations(&[
        (1, 10, 0, Some(1), Some(7)),
        (1, 20, 0, Some(2), Some(7)),
        (1, 20, 1, Some(3), None),
        (2, 10, 0, Some(4), Some(8)),
        (3, 10, 0, Some(5), Some(7)),
    ]);
    let plain = Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap());
    let context = SessionContext::new();
    let table = LaidOver { plain, over: Arc::new(over) };
    context.register_table("o", Arc::new(table)).unwrap();
    let answer = context.sql(sql).await.unwrap().collect().await.unwrap();
    let values = answer.iter().flat_map(|batch| {
        batch.column(0).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>()
    });
    values.collect()
}

#[tokio::test]
async fn what_was_corrected_reads_as_corrected() {
    let over = || {
        let rows = corrections(&[
            ((1, 20, 0, Some(20), Some(7)), false, None),
            ((2, 10, 0, None, None), true, Some("3-30-0")),
        ]);
        Over::of(&[rows], HashSet::new(), HashSet::new()).unwrap()
    };
    let ordered = "SELECT result FROM o ORDER BY result";
    assert_eq!(asked(over(), ordered).await, [1, 3, 5, 20]);
    assert_eq!(asked(over(), "SELECT count(*) FROM o").await, [4]);
    let one = "SELECT result FROM o WHERE datastream = 1 AND ordinal = 0 ORDER BY result";
    assert_eq!(asked(over(), one).await, [1, 20]);
    assert_eq!(asked(over(), "SELECT result FROM o WHERE result = 2").await, [0; 0]);
    let key = |text: &str| text.parse::<ObservationKey>().unwrap();
    assert!(over().is_corrected(key("1-20-0")) && !over().is_corrected(key("1-20-1")));
    assert_eq!(over().followed(key("2-10-0")), key("3-30-0"));
    assert_eq!(over().followed(key("1-20-0")), key("1-20-0"));
}

#[tokio::test]
async fn what_belonged_to_what_is_gone_is_gone() {
    let rows = corrections(&[
        ((1, 10, 0, Some(10), Some(9)), false, None),
        ((3, 10, 0, Some(50), None), false, None),
    ]);
    let over = Over::of(&[rows], HashSet::from([2, 3]), HashSet::from([7])).unwrap();
    let ordered = "SELECT result FROM o ORDER BY result";
    assert_eq!(asked(over, ordered).await, [3, 10], "a correction may change the feature");
    let over = Over::of(&[], HashSet::from([1]), HashSet::new()).unwrap();
    assert!(!over.is_nothing() && Over::default().is_nothing());
    assert_eq!(asked(over, ordered).await, [4, 5]);
}

#[test]
fn a_circle_of_moves_ends() {
    let rows = corrections(&[
        ((1, 10, 0, None, None), true, Some("1-20-0")),
        ((1, 20, 0, None, None), true, Some("1-10-0")),
    ]);
    let over = Over::of(&[rows], HashSet::new(), HashSet::new()).unwrap();
    over.followed("1-10-0".parse().unwrap());
}
