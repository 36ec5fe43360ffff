//! Entries for fuzzers: arbitrary bytes in, no panic out, and what must hold for any of them.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use pack::{
    Contract, DatasetKind, DriftRule, Field, FieldType, ImportMapping, Pii, Place, Shape, Sharing,
    SharingAttribute, Text, ValueSource,
};

use crate::chunk::BadRow;
use crate::error::IntakeError;
use crate::options::Options;
use crate::{Read, csv, rows, source};

/// A block so small that every record but the shortest lies across two.
const SMALL_BLOCK_BYTES: usize = 48;

/// Reads arbitrary bytes as separated text, in small blocks and in one, as rows and as a wide file:
/// where the blocks are cut must not show in what comes out.
pub fn fuzz_csv(bytes: &[u8]) {
    for mappings in [Vec::new(), vec![wide()]] {
        let small = read(bytes, &mappings, Some(SMALL_BLOCK_BYTES));
        let whole = read(bytes, &mappings, None);
        match (small, whole) {
            (Ok(small), Ok(whole)) => assert_eq!(small, whole, "blocks show"),
            (Err(small), Err(whole)) => assert_eq!(small.to_string(), whole.to_string()),
            (small, whole) => panic!("blocks show: {small:?} against {whole:?}"),
        }
    }
}

fn read(
    bytes: &[u8],
    mappings: &[ImportMapping],
    block_bytes: Option<usize>,
) -> Result<(RecordBatch, Vec<BadRow>), IntakeError> {
    let (contract, options) = (contract(), Options::default());
    let path = PathBuf::from("fuzz.csv");
    let reader = Box::new(Cursor::new(bytes.to_vec()));
    let failed = |source| IntakeError::Read { path: "fuzz.csv".into(), source };
    let source = source::from_reader(reader, None, failed)?;
    let read = Read { path, contract: &contract, mappings, options: &options };
    let mut opened = csv::from_source(&read, source, block_bytes)?;
    let (mut batches, mut bad) = (Vec::new(), Vec::new());
    let plan = Arc::new(opened.plan);
    while let Some((piece, _)) = opened.work.next()? {
        let table = piece(&plan)?;
        let chunk = rows::chunk(&plan, table, 0, 0)?;
        batches.push(chunk.rows);
        bad.extend(chunk.bad);
    }
    let rows = concat_batches(&plan.schema, &batches).expect("one schema");
    Ok((rows, bad))
}

fn wide() -> ImportMapping {
    let values = [
        ("a", ValueSource::Template("{g}-{a|integer}".to_owned())),
        ("p", ValueSource::Point { lon: "a".to_owned(), lat: "b".to_owned() }),
    ];
    ImportMapping {
        id: "fuzz".to_owned(),
        dataset: "fuzz.fuzz".to_owned(),
        columns: vec!["a".to_owned(), "b".to_owned()],
        shape: Shape::Wide { columns: "^(?P<g>[bcd])".to_owned(), value: "n".to_owned() },
        values: values.map(|(name, value)| (name.to_owned(), value)).into(),
        headerless: false,
        crs: Some(pack::Crs::Bd09),
        nulls: Vec::new(),
        skip: Vec::new(),
        place: Place::default(),
    }
}

fn contract() -> Contract {
    let field = |name: &str, ty| Field {
        name: name.to_owned(),
        ty,
        unit: None,
        title: Text::default(),
        description: Text::default(),
        class: None,
        level: 1,
        pii: Pii::None,
        required: false,
        aliases: Vec::new(),
        codes: Vec::new(),
        labels: Default::default(),
        place: Place::default(),
    };
    Contract {
        id: "fuzz.fuzz".to_owned(),
        resource_id: String::new(),
        title: Text::default(),
        description: Text::default(),
        theme: String::new(),
        keywords: Vec::new(),
        owner: String::new(),
        accountable: String::new(),
        source_system: String::new(),
        kind: DatasetKind::Stream,
        fields: vec![
            field("a", FieldType::Text),
            field("b", FieldType::Integer),
            field("n", FieldType::Number),
            field("d", FieldType::Date),
            field("t", FieldType::Timestamp),
            field("m", FieldType::Money),
            field("f", FieldType::Boolean),
            field("p", FieldType::Geometry),
        ],
        key: Vec::new(),
        time: None,
        geometry: None,
        update_period_minutes: None,
        freshness_limit_minutes: None,
        sharing: Sharing {
            attribute: SharingAttribute::Unconditional,
            legal_ground: Text::default(),
            conditions: Text::default(),
        },
        open: true,
        published: String::new(),
        related: Vec::new(),
        retention_days: None,
        drift: DriftRule::Evolve,
        quality: Vec::new(),
        place: Place::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            fuzz_csv(&bytes);
        }

        /// Text of the characters that matter, below a header that is understood.
        #[test]
        fn no_text_panics(text in "[abn0-9,;\"\n\r.年月万 -]{0,200}") {
            fuzz_csv(format!("a,b,n,d,t,m,f,p\n{text}").as_bytes());
        }
    }
}
