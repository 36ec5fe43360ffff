//! Properties of the small parts: what is encoded decodes, what is sorted is sorted, ranges hold
//! what they are ranges of.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::Buffer;
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use super::error::LakeError;
use super::hot::with_ingested;
use super::io::DiskIo;
use super::spec::{Mode, Spec, TableSpec};
use super::sums::{self, BLOCK_BYTES, Summer, Sums};
use super::{Lake, LakeOptions, Producer, data, delta, ipc, seal, sort, stats};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("n", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
        Field::new("day", DataType::Date32, true),
        Field::new("ok", DataType::Boolean, true),
    ]))
}

fn spec(sort: &[&str]) -> Arc<Spec> {
    let table = TableSpec {
        name: "t".to_owned(),
        schema: schema(),
        mode: Mode::Append,
        sort: sort.iter().map(|s| (*s).to_owned()).collect(),
        retention: None,
    };
    Arc::new(Spec::new(table, Vec::new()).unwrap())
}

type Row = (Option<String>, i64, Option<i64>, Option<f64>, Option<i32>, Option<bool>);

fn any_row() -> impl Strategy<Value = Row> {
    let name = prop::option::of(prop_oneof!["[a-c]{0,3}", "\\PC{0,100}", "[草堂寺梁]{0,40}"]);
    let at = -4_000_000_000_000_000_i64..4_000_000_000_000_000;
    let day = prop::option::of(-40_000..60_000);
    let n = prop::option::of(prop_oneof![any::<i64>(), -3_i64..3]);
    (name, at, n, prop::option::of(any::<f64>()), day, prop::option::of(any::<bool>()))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.0.clone()).collect::<StringArray>()),
        Arc::new(
            TimestampMicrosecondArray::from(rows.iter().map(|r| r.1).collect::<Vec<_>>())
                .with_timezone("UTC"),
        ),
        Arc::new(rows.iter().map(|r| r.2).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.3).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.4).collect::<Date32Array>()),
        Arc::new(rows.iter().map(|r| r.5).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn by_arrow(batch: &RecordBatch, columns: &[usize]) -> RecordBatch {
    // Arrow's sort is not stable: the position settles what the columns leave open.
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let column = |values: ArrayRef| SortColumn { values, options };
    let mut keys: Vec<_> = columns.iter().map(|i| column(batch.column(*i).clone())).collect();
    let rows = u32::try_from(batch.num_rows()).unwrap();
    keys.push(column(Arc::new(UInt32Array::from_iter_values(0..rows))));
    take_record_batch(batch, &lexsort_to_indices(&keys, None).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_in_a_frame_decodes_to_itself(rows in prop::collection::vec(any_row(), 0..60), cut in 0_usize..60, shift in 0_usize..9) {
        // A slice, and a body that begins anywhere: as in a segment.
        let batch = batch(&rows);
        let from = cut.min(batch.num_rows());
        let slice = batch.slice(from, batch.num_rows() - from);
        let mut bytes = vec![0; shift];
        bytes.extend(ipc::encode(&slice).unwrap());
        let decoded = ipc::decode(&Buffer::from(bytes).slice(shift), schema()).unwrap();
        prop_assert_eq!(decoded, slice);
    }

    #[test]
    fn a_body_cut_anywhere_is_refused(rows in prop::collection::vec(any_row(), 1..9), keep in any::<prop::sample::Index>()) {
        let mut bytes = ipc::encode(&batch(&rows)).unwrap();
        bytes.truncate(keep.index(bytes.len()));
        prop_assert!(ipc::decode(&Buffer::from(bytes), schema()).is_err());
    }

    #[test]
    fn rows_sort_as_arrow_sorts_them(rows in prop::collection::vec(any_row(), 0..80), columns in prop::sample::subsequence(vec![0_usize, 1, 2, 3, 4], 1..4).prop_shuffle()) {
        let batch = batch(&rows);
        let sorted = sort::sorted(batch.clone(), &columns).unwrap();
        let expected = by_arrow(&batch, &columns);
        for column in &columns {
            prop_assert_eq!(sorted.column(*column), expected.column(*column));
        }
        if columns.len() <= 2 && !columns.contains(&3) && !columns.contains(&2) {
            prop_assert_eq!(sorted, expected, "the packed way is stable");
        }
    }

    #[test]
    fn a_files_ranges_hold_every_value_even_through_json(rows in prop::collection::vec(any_row(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(sums::SUMS_DIR)).unwrap();
        let spec = spec(&["name", "at"]);
        let batch = with_ingested(&batch(&rows), 1_700_000_000_000_000).unwrap();
        let file = data::write_file(Arc::new(DiskIo), dir.path(), spec.clone(), data::Effort::Seal, std::slice::from_ref(&batch)).unwrap();
        let text = stats::to_json(&spec, &file.stats);
        let read = stats::from_json(&spec, Some(&text)).unwrap();
        prop_assert_eq!(read.rows, rows.len() as u64);
        for known in [&file.stats, &read] {
            for (i, column) in known.columns.iter().enumerate() {
                let array = batch.column(i);
                if let Some(nulls) = column.nulls {
                    prop_assert_eq!(nulls, array.null_count() as u64);
                }
                let Some(range) = &column.range else { continue };
                for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                    let value = ScalarValue::try_from_array(array, row).unwrap();
                    let is_nan = matches!(value, ScalarValue::Float64(Some(x)) if x.is_nan());
                    let holds = is_nan || (range.min <= value && value <= range.max);
                    prop_assert!(holds, "{:?} in {:?}", value, range);
                }
            }
        }
        // What pruning lives on is there: times always have a range.
        prop_assert!(read.columns[1].range.is_some());
        prop_assert_eq!(file.ingested(&spec), (1_700_000_000_000_000, 1_700_000_000_000_000));
    }

    #[test]
    fn any_flipped_bit_fails_its_block(len in 1_usize..300_000, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
        let mut summer = Summer::default();
        for part in bytes.chunks(70_001) {
            summer.update(part);
        }
        let sums = summer.finish();
        let file = Path::new("/lake/tables/t/part.parquet");
        sums.check(file, 0, &bytes).unwrap();
        let at = at.index(len);
        bytes[at] ^= 1 << bit;
        let error = sums.check(file, 0, &bytes).unwrap_err();
        let block = (at / BLOCK_BYTES * BLOCK_BYTES) as u64;
        let LakeError::Corrupt { offset, .. } = error else { panic!("{error}") };
        prop_assert_eq!(offset, block);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_commits_the_numbers_of_its_own_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    let options = LakeOptions { background: false, ..LakeOptions::new(dir.path()) };
    let lake = Lake::open(options).await.unwrap();
    lake.ensure_table(spec(&["name"]).table.clone()).await.unwrap();
    let rows = |count| vec![(None, 0, None, None, None, None); count];
    // Few rows behind many are a chunk of their own, so that a small seal takes the first alone.
    for (id, count) in [("p", 10), ("q", 4)] {
        let producer = Some(Producer { id: id.to_owned(), seq: 1 });
        lake.append("t", batch(&rows(count)), producer).await.unwrap();
    }
    let table = lake.table("t").unwrap();
    for committed in [[Some(1), None], [Some(1), Some(1)]] {
        assert!(seal::seal(&table, &lake.options.io, 1).await.unwrap());
        let delta = table.delta().await.unwrap();
        for (id, expect) in ["p", "q"].into_iter().zip(committed) {
            let found = delta.transaction(&delta::producer_app(id)).await.unwrap();
            assert_eq!(found, expect, "{id}: a copy of the table would know rows it does not hold");
        }
    }
}

#[test]
fn statistics_of_a_narrower_schema_are_not_told_under_other_names() {
    let spec = spec(&[]);
    let known = stats::ColumnStats { range: None, nulls: Some(0) };
    let narrow = stats::FileStats { rows: 3, columns: vec![known; 3] };
    let read = stats::from_json(&spec, Some(&stats::to_json(&spec, &narrow))).unwrap();
    assert_eq!(read.rows, 3);
    assert!(read.columns.iter().all(|column| *column == stats::ColumnStats::default()));
}

#[test]
fn damaged_checksum_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(sums::SUMS_DIR)).unwrap();
    let file = dir.path().join("part.parquet");
    let mut summer = Summer::default();
    summer.update(&vec![1; 3 * BLOCK_BYTES + 7]);
    let sums = summer.finish();
    assert_eq!(sums.blocks.len(), 4);
    sums::save(&DiskIo, &file, &sums).unwrap();
    assert_eq!(Sums::load(&file).unwrap(), Some(sums));
    let path = sums::path_of(&file);
    let whole = std::fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(Sums::load(&file).is_err(), "byte {byte}");
        std::fs::write(&path, &whole[..byte]).unwrap();
        assert!(Sums::load(&file).is_err(), "cut at {byte}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Sums::load(&file).unwrap(), None);
}
