//! Separated text in all its forms.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use intake::{IntakeError, Options, Reason};
use pack::{Contract, DriftRule, FieldType, Shape, Text};

use crate::common::{contract, drain, field, file, mapping, read, required, template};

fn people() -> Contract {
    let mut area = field("area_km2", FieldType::Number);
    area.title = Text { zh: "面积".to_owned(), en: "Area".to_owned() };
    let mut count = required("people", FieldType::Integer);
    count.aliases = vec!["常住人口".to_owned()];
    contract("people.test", vec![required("name", FieldType::Text), count, area])
}

fn check(name: &str, bytes: impl AsRef<[u8]>) -> RecordBatch {
    let (_dir, path) = file(name, bytes);
    let (rows, bad) = read(&path, &people(), &[], &Options::default()).unwrap();
    assert_eq!(bad, [], "{name}");
    let names: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["锦江区", "青羊区"], "{name}");
    let counts = rows.column(1).as_primitive::<Int64Type>();
    assert_eq!(counts.values().as_ref(), [902_933, 955_954], "{name}");
    let areas = rows.column(2).as_primitive::<Float64Type>();
    assert_eq!(areas.iter().collect::<Vec<_>>(), [Some(61.12), None], "{name}");
    rows
}

const TEXT: &str = "name,常住人口（人）,面积(平方公里)\n锦江区,902933,61.12\n青羊区,955954,NA\n";

#[test]
fn encodings_are_found_out() {
    check("utf8.csv", TEXT);
    check("bom.csv", format!("\u{FEFF}{TEXT}"));
    check("gb18030.csv", encoding_rs::GB18030.encode(TEXT).0);
    let wide = |encode: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{FEFF}{TEXT}").encode_utf16().flat_map(encode).collect()
    };
    check("utf16le.csv", wide(u16::to_le_bytes));
    check("utf16be.csv", wide(u16::to_be_bytes));
}

#[test]
fn separators_and_line_ends_are_found_out() {
    for separator in [";", "\t", "|", ","] {
        check("any.csv", TEXT.replace(',', separator));
        check("crlf.csv", TEXT.replace(',', separator).replace('\n', "\r\n"));
    }
    check("no_last_newline.csv", TEXT.trim_end());
    check("empty_lines.csv", TEXT.replace('\n', "\n\n"));
}

#[test]
fn gzip_is_undone() {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zipped, TEXT.as_bytes()).unwrap();
    check("people.csv.gz", zipped.finish().unwrap());
}

#[test]
fn chinese_forms_are_read() {
    let contract = contract(
        "t.t",
        vec![
            field("d", FieldType::Date),
            field("t", FieldType::Timestamp),
            field("n", FieldType::Number),
            field("i", FieldType::Integer),
            field("b", FieldType::Boolean),
            field("m", FieldType::Money),
        ],
    );
    let text = "d,t,n,i,b,m\n\
        2024年3月5日,2024年3月5日14时30分,3.5万,一百二十三,是,\"1,234.5\"\n\
        2024-03-05,2024-03-05T06:30:00Z,35000,１２３,1,1234.50元\n\
        2024/3/5,2024/3/5 14:30,\"35,000\",123,true,¥1234.5\n";
    let (_dir, path) = file("forms.csv", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    for row in 0..3 {
        assert_eq!(rows.column(0).as_primitive::<Date32Type>().value(row), 19_787);
        let time = rows.column(1).as_primitive::<TimestampMicrosecondType>().value(row);
        assert_eq!(time, 1_709_620_200_000_000, "row {row}");
        assert!((rows.column(2).as_primitive::<Float64Type>().value(row) - 35_000.0).abs() < 1e-9);
        assert_eq!(rows.column(3).as_primitive::<Int64Type>().value(row), 123);
        assert!(rows.column(4).as_boolean().value(row));
        assert_eq!(rows.column(5).as_primitive::<Int64Type>().value(row), 123_450);
    }
}

#[test]
fn quotes_follow_the_rules_and_forgive_the_rest() {
    let contract = contract("t.t", vec![field("a", FieldType::Text), field("b", FieldType::Text)]);
    let text = "a,b\n\"x, y\",\"he said \"\"so\"\"\"\n\"two\nlines\",5\" pipe\n\"\",last\n";
    let (_dir, path) = file("quotes.csv", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    let column = |at: usize| rows.column(at).as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(column(0), [Some("x, y"), Some("two\nlines"), None]);
    assert_eq!(column(1), [Some("he said \"so\""), Some("5\" pipe"), Some("last")]);
}

#[test]
fn bad_rows_say_where_what_and_why() {
    let mut contract = people();
    contract.fields[0].codes = vec!["锦江区".to_owned(), "青羊区".to_owned()];
    let text = "name,people,area_km2\n\
        锦江区,many,1\n\
        \"青羊区\n\",1,2\n\
        武侯区,1,2\n\
        青羊区,,3\n\
        青羊区,7\n\
        青羊区,1,2\n\
        \"青羊区,1,2\n\
        锦江区,5,6\n";
    let (_dir, path) = file("bad.csv", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(rows.num_rows(), 3);
    let found: Vec<_> = bad
        .iter()
        .map(|row| (row.line, row.field.as_deref(), row.reason, row.raw.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (2, Some("people"), Reason::Type, "锦江区,many,1"),
            (5, Some("name"), Reason::Code, "武侯区,1,2"),
            (6, Some("people"), Reason::Required, "青羊区,,3"),
            (7, None, Reason::Columns, "青羊区,7"),
            (9, None, Reason::Syntax, "\"青羊区,1,2"),
        ]
    );
    assert_eq!(bad[0].message, "expected an integer, found `many`");
    assert_eq!(bad[1].message, "expected one of 锦江区, 青羊区, found `武侯区`");
    assert_eq!(bad[3].message, "expected 3 cells, found 2");
}

#[test]
fn drift_is_refused_or_evolved_and_named() {
    let mut contract = people();
    let (_dir, path) = file("drift.csv", "name,people,colour\n锦江区,1,red\n");
    let error = read(&path, &contract, &[], &Options::default()).unwrap_err();
    let IntakeError::Drift { drift, .. } = &error else { panic!("{error}") };
    assert_eq!(drift.new, ["colour"]);
    assert_eq!(drift.missing[0].name, "area_km2");
    assert!(!drift.missing[0].required);
    assert!(error.to_string().contains("colour"), "{error}");
    contract.drift = DriftRule::Evolve;
    let intake = intake::open(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(intake.drift().new, ["colour"]);
    let (rows, bad) = drain(intake).unwrap();
    assert_eq!((rows.num_rows(), rows.column(2).null_count(), bad.len()), (1, 1, 0));

    let (_dir, path) = file("required.csv", "name,area_km2\n锦江区,1\n");
    let error = read(&path, &contract, &[], &Options::default()).unwrap_err();
    assert!(error.to_string().contains("missing column people (required)"), "{error}");

    let rows: String = (0..10).map(|row| format!("区,{row}x,1\n")).collect();
    contract.drift = DriftRule::Refuse;
    let (_dir, path) = file("retyped.csv", format!("name,people,area_km2\n{rows}"));
    let error = read(&path, &contract, &[], &Options::default()).unwrap_err();
    let IntakeError::Drift { drift, .. } = &error else { panic!("{error}") };
    assert_eq!((drift.retyped[0].field.as_str(), drift.retyped[0].refused), ("people", 10));
}

#[test]
fn two_columns_cannot_be_one_field() {
    let (_dir, path) = file("two.csv", "name,people,People,area_km2\na,1,2,3\n");
    let error = read(&path, &people(), &[], &Options::default()).unwrap_err();
    assert!(matches!(error, IntakeError::Ambiguous { .. }), "{error}");
}

#[test]
fn bytes_that_are_no_text_spoil_their_row_alone() {
    let mut text = b"name,people,area_km2\n".to_vec();
    text.extend_from_slice(b"\xff\xff,1,2\nok,3,4\n");
    let (_dir, path) = file("bytes.csv", text);
    let options = Options { encoding: Some("utf-8".to_owned()), ..Options::default() };
    let (rows, bad) = read(&path, &people(), &[], &options).unwrap();
    assert_eq!((rows.num_rows(), bad.len(), bad[0].reason), (1, 1, Reason::Encoding));
    assert_eq!(bad[0].line, 2);
}

#[test]
fn chunks_are_the_same_in_every_run() {
    let mut text = "name,people,area_km2\n".to_owned();
    for row in 0..400_000 {
        text.push_str(&format!("\"name, {row}\",{row},{}.5\n", row / 7));
    }
    let (_dir, path) = file("long.csv", text);
    let run = |threads| {
        let options = Options { threads: Some(threads), ..Options::default() };
        let mut intake = intake::open(&path, &people(), &[], &options).unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = intake.next_chunk().unwrap() {
            chunks.push((chunk.seq, chunk.rows));
        }
        (intake.fingerprint().unwrap(), chunks)
    };
    let one = run(1);
    assert!(one.1.len() > 2, "{} chunks", one.1.len());
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
    let rows: usize = one.1.iter().map(|(_, rows)| rows.num_rows()).sum();
    assert_eq!(rows, 400_000);
}

#[test]
fn the_fingerprint_is_of_content_and_terms() {
    let (_dir, path) = file("a.csv", TEXT);
    let (_dir, other) = file("b.csv", TEXT.replace("902933", "902934"));
    let print = |path, options: &Options| {
        intake::open(path, &people(), &[], options).unwrap().fingerprint().unwrap()
    };
    let plain = Options::default();
    let shifted = Options { utc_offset_minutes: 0, ..Options::default() };
    assert_eq!(print(&path, &plain), print(&path, &plain));
    assert_ne!(print(&path, &plain), print(&other, &plain));
    assert_ne!(print(&path, &plain), print(&path, &shifted));
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n\n", "\u{FEFF}"] {
        let (_dir, path) = file("empty.csv", text);
        let error = read(&path, &people(), &[], &Options::default()).unwrap_err();
        assert!(matches!(error, IntakeError::Empty { .. }), "{error}");
    }
}

#[test]
fn a_bad_row_of_a_wide_file_keeps_its_own_cell_alone() {
    let contract = contract(
        "t.wide",
        vec![
            required("day", FieldType::Date),
            required("site", FieldType::Text),
            required("v", FieldType::Number),
        ],
    );
    let wide = Shape::Wide { columns: "^V_(?P<site>.+)$".to_owned(), value: "v".to_owned() };
    let mapping = mapping("t.wide", wide, &[("site", template("{site}"))]);
    let (_dir, path) = file("wide.csv", "day;V_a;V_b;V_c\n2024-01-01;1;x;3\n2024-01-02;;5;\n");
    let (rows, bad) =
        read(&path, &contract, std::slice::from_ref(&mapping), &Options::default()).unwrap();
    assert_eq!(rows.num_rows(), 3);
    assert_eq!((bad.len(), bad[0].line, bad[0].raw.as_str()), (1, 2, "2024-01-01,,x,"));
    let again = format!("day,V_a,V_b,V_c\n{}\n", bad[0].raw.replace('x', "2"));
    let (_dir, path) = file("again.csv", again);
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!((rows.num_rows(), bad.len()), (1, 0));
    assert_eq!(rows.column(1).as_string::<i32>().value(0), "b");
}

#[test]
fn many_columns_and_short_lines_stay_small() {
    let names: Vec<String> = (0..4000).map(|number| format!("c{number}")).collect();
    let mut contract = contract("t.many", vec![field("c0", FieldType::Text)]);
    contract.drift = DriftRule::Evolve;
    let text = format!("{}\n{}", names.join(","), "a\n".repeat(50_000));
    let (_dir, path) = file("many.csv", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!((rows.num_rows(), bad.len()), (0, 50_000));
    assert_eq!((bad[0].line, bad[49_999].line), (2, 50_001));
}

#[test]
fn a_chunk_of_bad_rows_refuses_the_file_and_says_why() {
    let mut contract = people();
    contract.drift = DriftRule::Evolve;
    let bad_cells = "a,x,1\n".repeat(70_000);
    let bad_records = "a\n".repeat(70_000);
    let both = "a,x,1\nb\n".repeat(40_000);
    for (text, expect) in [
        (bad_cells, "expected an integer, found `x`"),
        (bad_records, "expected 3 cells, found 1"),
        (both, "expected 3 cells, found 1"),
    ] {
        let (_dir, path) = file("bad.csv", format!("name,people,area_km2\n{text}"));
        let error = read(&path, &contract, &[], &Options::default()).unwrap_err();
        assert!(matches!(error, IntakeError::TooManyBadRows { line: 2, .. }), "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    }
}

#[test]
fn a_share_is_no_amount_of_money() {
    let contract = contract("t.t", vec![field("paid", FieldType::Money)]);
    let (_dir, path) = file("paid.csv", "paid\n50%\n12.5\n5‰\n");
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[1250]);
    assert_eq!(bad.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
}
