//! JSON, GeoJSON, Parquet and Excel.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int32Array,
    RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimestampMicrosecondType};
use intake::{IntakeError, Options, Reason};
use pack::{Contract, Crs, DriftRule, FieldType, Shape, Text};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use crate::common::{contract, field, file, mapping, read, real, required, template, zip};

fn sensors() -> Contract {
    let mut name = required("name", FieldType::Text);
    name.title = Text { zh: "名称".to_owned(), en: String::new() };
    contract(
        "t.sensors",
        vec![
            name,
            field("count", FieldType::Integer),
            field("seen_at", FieldType::Timestamp),
            field("position", FieldType::Geometry),
        ],
    )
}

fn point(lon: f64, lat: f64) -> Vec<u8> {
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend(lon.to_le_bytes());
    wkb.extend(lat.to_le_bytes());
    wkb
}

fn check(rows: &RecordBatch) {
    let names: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["甲", "乙, 2"]);
    let counts: Vec<_> = rows.column(1).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(counts, [Some(7), None]);
    let times = rows.column(2).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(0), 1_709_620_200_000_000);
    let positions = rows.column(3).as_binary::<i32>();
    assert_eq!(positions.value(0), point(104.06, 30.67));
    assert_eq!(positions.value(1), point(104.07, 30.68));
}

const FEATURES: [&str; 2] = [
    r#"{"type":"Feature","properties":{"名称":"甲","count":7,"seen_at":"2024-03-05T06:30:00Z"},
        "geometry":{"type":"Point","coordinates":[104.06,30.67]}}"#,
    r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[104.07,30.68]},
        "properties":{"名称":"乙, 2","count":null,"seen_at":"2024-03-05 14:30:00"}}"#,
];

#[test]
fn geojson_in_its_forms() {
    let collection = format!(
        r#"{{"type":"FeatureCollection","name":"a \"features\": [ b","features":[{},{}],"after":[1]}}"#,
        FEATURES[0], FEATURES[1]
    );
    let lines: String = FEATURES.iter().map(|line| line.replace('\n', " ") + "\n").collect();
    let array = format!("[{}\n,\n{}]\n", FEATURES[0], FEATURES[1]);
    for (name, text) in [
        ("a.geojson", &collection),
        ("a.json", &array),
        ("a.geojsonl", &lines),
        ("lines_called.geojson", &lines),
    ] {
        let (_dir, path) = file(name, text);
        let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).expect(name);
        assert_eq!(bad, [], "{name}");
        check(&rows);
    }
}

#[test]
fn a_bad_object_spoils_itself_alone() {
    let text = "{\"name\":\"a\",\"count\":1,\"seen_at\":null,\"position\":null}\n\
        {\"name\":\"b\",\"count\":\"x\"}\n\
        {\"name\":\"c\",\n\
        {\"name\":\"d\"}\n\
        {\"name\":\"e\",\"position\":\"POINT (1 2)\"}\n";
    let (_dir, path) = file("bad.jsonl", text);
    let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).unwrap();
    let found: Vec<_> = bad.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!((rows.num_rows(), found), (3, vec![(2, Reason::Type), (3, Reason::Syntax)]));
}

#[test]
fn a_key_that_turns_up_late_spoils_its_row_where_drift_is_refused() {
    let mut text = "{\"name\":\"a\"}\n".repeat(2000);
    text.push_str("{\"name\":\"b\",\"colour\":\"red\"}\n");
    let mut contract = contract("t.t", vec![required("name", FieldType::Text)]);
    let (_dir, path) = file("late.jsonl", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!((rows.num_rows(), bad.len()), (2000, 1));
    assert_eq!((bad[0].line, bad[0].reason), (2001, Reason::Columns));
    contract.drift = DriftRule::Evolve;
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!((rows.num_rows(), bad.len()), (2001, 0));
}

#[test]
fn a_key_of_a_field_that_turns_up_late_is_read() {
    let mut text = "{\"名称\":\"a\"}\n".repeat(2000);
    text.push_str("{\"名称\":\"b\",\"数 量\":7,\"position\":\"POINT (1 2)\"}\n{\"name\":\"c\"}\n");
    let mut contract = sensors();
    contract.drift = DriftRule::Evolve;
    contract.fields[1].aliases = vec!["数量".to_owned()];
    let (_dir, path) = file("late.jsonl", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    // `name` is another column beside 名称, and the row lacks what is required.
    assert_eq!((rows.num_rows(), bad.len(), bad[0].line), (2001, 1, 2002));
    let counts = rows.column(1).as_primitive::<Int64Type>();
    assert_eq!((counts.null_count(), counts.value(2000)), (2000, 7));
    assert_eq!(rows.column(3).as_binary::<i32>().value(2000), point(1.0, 2.0));
    assert_eq!(rows.column(2).null_count(), 2001);

    // A feature's geometry, too, and by way of a mapping.
    let feature = FEATURES[0].replace('\n', " ");
    let text = "{\"name\":\"a\"}\n".repeat(2000) + &feature + "\n";
    let mapping = mapping("t.sensors", Shape::Rows, &[]);
    for mappings in [vec![], vec![mapping]] {
        let text = text.replace("名称", "name");
        let (_dir, path) = file("late.geojsonl", text);
        let (rows, bad) = read(&path, &contract, &mappings, &Options::default()).unwrap();
        assert_eq!((rows.num_rows(), bad), (2001, vec![]));
        assert_eq!(rows.column(3).as_binary::<i32>().value(2000), point(104.06, 30.67));
    }
}

#[test]
fn an_array_that_is_not_closed_is_told() {
    let head = r#"{"type":"FeatureCollection","features":["#;
    for (text, whole) in [
        (format!("{head}{},\n{}", FEATURES[0], FEATURES[1]), 2),
        (format!("{head}{},\n", FEATURES[0]), 1),
        (format!("[{}", FEATURES[0]), 1),
    ] {
        let (_dir, path) = file("cut.geojson", &text);
        let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).unwrap();
        assert_eq!((rows.num_rows(), bad.len()), (whole, 1), "{text}");
        assert_eq!(bad[0].reason, Reason::Syntax);
        assert!(bad[0].message.contains("cut off"), "{}", bad[0].message);
    }
}

#[test]
fn a_truncated_collection_keeps_what_is_whole() {
    let text = format!(r#"{{"type":"FeatureCollection","features":[{},{{"type":"#, FEATURES[0]);
    let (_dir, path) = file("cut.geojson", text);
    let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).unwrap();
    assert_eq!((rows.num_rows(), bad.len(), bad[0].reason), (1, 1, Reason::Syntax));
}

#[test]
fn geojson_longer_than_a_block_loses_nothing() {
    let mut contract = contract("t.t", vec![required("n", FieldType::Integer)]);
    contract.fields.push(required("geometry", FieldType::Geometry));
    let features: Vec<String> = (0..100_000)
        .map(|n| {
            format!(
                r#"{{"type":"Feature","properties":{{"n":{n}}},"geometry":{{"type":"Point","coordinates":[104.{n},30.5]}}}}"#
            )
        })
        .collect();
    let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
    let (_dir, path) = file("long.geojson", text);
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    let numbers = rows.column(0).as_primitive::<Int64Type>();
    assert_eq!(
        numbers.values().iter().copied().collect::<Vec<_>>(),
        (0..100_000).collect::<Vec<_>>()
    );
}

#[test]
fn geojson_names_its_coordinates() {
    for (code, refused) in
        [("urn:ogc:def:crs:OGC:1.3:CRS84", false), ("urn:ogc:def:crs:EPSG::3857", true)]
    {
        let crs = format!(r#"{{"type":"name","properties":{{"name":"{code}"}}}}"#);
        let text =
            format!(r#"{{"type":"FeatureCollection","crs":{crs},"features":[{}]}}"#, FEATURES[0]);
        let (_dir, path) = file("crs.geojson", text);
        let outcome = read(&path, &sensors(), &[], &Options::default());
        assert_eq!(matches!(outcome, Err(IntakeError::Crs { .. })), refused, "{code}");
    }
}

#[test]
fn real_roads_are_lines() {
    let Some(path) = real("chengdu_core_roads_3046.geojson") else { return };
    let mut contract = contract("t.roads", vec![required("geometry", FieldType::Geometry)]);
    contract.drift = DriftRule::Evolve;
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    assert_eq!(rows.num_rows(), 3046);
    let kinds: Vec<u8> =
        rows.column(0).as_binary::<i32>().iter().flatten().map(|wkb| wkb[1]).collect();
    assert!(kinds.iter().all(|kind| matches!(kind, 2 | 5)), "lines");
}

fn write_parquet(columns: Vec<(&str, ArrayRef)>, geo: Option<&str>) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    if let Some(geo) = geo {
        writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), geo.to_owned()));
    }
    writer.into_inner().unwrap()
}

fn geo(crs: &str) -> String {
    format!(
        r#"{{"version":"1.1.0","primary_column":"geom","columns":{{"geom":{{"encoding":"WKB"{crs}}}}}}}"#
    )
}

fn sensor_columns() -> Vec<(&'static str, ArrayRef)> {
    let (a, b) = (point(104.06, 30.67), point(104.07, 30.68));
    // 14:30 by the clock in Chengdu.
    let local = TimestampMillisecondArray::from(vec![1_709_649_000_000; 2]);
    vec![
        ("名称", Arc::new(StringArray::from(vec!["甲", "乙, 2"]))),
        ("count", Arc::new(Int32Array::from(vec![Some(7), None]))),
        ("seen_at", Arc::new(local)),
        ("geom", Arc::new(BinaryArray::from(vec![a.as_slice(), b.as_slice()]))),
    ]
}

#[test]
fn geoparquet_keeps_its_types() {
    let (_dir, path) = file("a.parquet", write_parquet(sensor_columns(), Some(&geo(""))));
    let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    check(&rows);
    let utm = r#","crs":{"name":"WGS 84 / UTM zone 50N","id":{"authority":"EPSG","code":32650}}"#;
    let (_dir, path) = file("utm.parquet", write_parquet(sensor_columns(), Some(&geo(utm))));
    let error = read(&path, &sensors(), &[], &Options::default()).unwrap_err();
    assert!(error.to_string().contains("EPSG:32650"), "{error}");
    let shifted = Options { crs: Some(Crs::Gcj02), ..Options::default() };
    let (_dir, path) = file("gcj.parquet", write_parquet(sensor_columns(), Some(&geo(""))));
    let (rows, _) = read(&path, &sensors(), &[], &shifted).unwrap();
    assert_ne!(rows.column(3).as_binary::<i32>().value(0), point(104.06, 30.67));
}

#[test]
fn real_geoparquet_in_metres_is_refused() {
    let Some(path) = real("wuhan_streets.parquet") else { return };
    let mut contract = contract("t.roads", vec![required("geometry", FieldType::Geometry)]);
    contract.drift = DriftRule::Evolve;
    let error = read(&path, &contract, &[], &Options::default()).unwrap_err();
    assert!(matches!(error, IntakeError::Crs { .. }), "{error}");
}

#[test]
fn parquet_of_other_types_goes_by_way_of_text() {
    let contract = contract(
        "t.t",
        vec![
            required("code", FieldType::AreaCode),
            required("count", FieldType::Integer),
            field("ratio", FieldType::Number),
            field("open", FieldType::Boolean),
            field("at", FieldType::Timestamp),
        ],
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("district", Arc::new(Float64Array::from(vec![510_104.0, 510_105.0, 5.0, 510_107.0]))),
        ("count", Arc::new(Float64Array::from(vec![1.0, 2.5, 3.0, 4.0]))),
        ("ratio", Arc::new(Float64Array::from(vec![0.5, 1.0, f64::NAN, f64::NAN]))),
        ("open", Arc::new(BooleanArray::from(vec![true, false, true, false]))),
        ("at", Arc::new(StringArray::from(vec!["2024-03-05 14:30"; 4]))),
    ];
    let mapping = mapping("t.t", Shape::Rows, &[("code", template("{district|integer}000000"))]);
    let (_dir, path) = file("other.parquet", write_parquet(columns, None));
    let (rows, bad) = read(&path, &contract, &[mapping], &Options::default()).unwrap();
    assert_eq!(rows.num_rows(), 2);
    assert_eq!(rows.column(0).as_string::<i32>().value(1), "510107000000");
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().value(1), 4);
    assert_eq!(
        rows.column(2).as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [Some(0.5), None]
    );
    assert!(rows.column(3).as_boolean().value(0));
    let found: Vec<_> = bad.iter().map(|row| (row.line, row.reason, row.raw.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, Reason::Type, "510105.0,2.5,1.0,false,2024-03-05 14:30"),
            (3, Reason::AreaCode, "5.0,3.0,NaN,true,2024-03-05 14:30"),
        ]
    );
    assert_eq!(rows.schema().field(4).data_type(), &FieldType::Timestamp.arrow());
    assert_eq!(rows.schema().field(1).data_type(), &DataType::Int64);
}

/// The least workbook that is one: a title, a header, and rows whose dates are serial numbers.
fn workbook() -> Vec<u8> {
    workbook_of(SHEET, &[])
}

const SHEET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>传感器一览</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>名称</t></is></c><c r="B2" t="inlineStr"><is><t>count</t></is></c>
<c r="C2" t="inlineStr"><is><t>seen_at</t></is></c><c r="D2" t="inlineStr"><is><t>position</t></is></c></row>
<row r="3"><c r="A3" t="inlineStr"><is><t>甲</t></is></c><c r="B3"><v>7</v></c><c r="C3" s="1"><v>45356.604166666664</v></c>
<c r="D3" t="inlineStr"><is><t>POINT (104.06 30.67)</t></is></c></row>
<row r="5"><c r="A5" t="inlineStr"><is><t>乙, 2</t></is></c><c r="C5" s="1"><v>45356.604166666664</v></c>
<c r="D5" t="inlineStr"><is><t>POINT (104.07 30.68)</t></is></c></row>
<row r="6"><c r="A6" t="inlineStr"><is><t>丙</t></is></c><c r="B6"><v>7.5</v></c></row>
</sheetData></worksheet>"#;

fn workbook_of(sheet: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let styles = r#"<?xml version="1.0" encoding="UTF-8"?>
<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="1">
<numFmt numFmtId="164" formatCode="yyyy-mm-dd hh:mm:ss"/></numFmts>
<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="164" applyNumberFormat="1"/><xf numFmtId="10"/></cellXfs></styleSheet>"#;
    let book = r#"<?xml version="1.0" encoding="UTF-8"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="表一" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    let relations = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>
</Relationships>"#;
    let root = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>
</Relationships>"#;
    let parts = [
        ("_rels/.rels", root),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/styles.xml", styles),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    zip(&[&parts, more].concat())
}

#[test]
fn excel_shares_are_what_people_see() {
    let sheet = r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>rate</t></is></c><c r="B1" t="inlineStr"><is><t>share</t></is></c></row>
<row r="2"><c r="A2" s="2"><v>0.125</v></c><c r="B2" s="2"><v>0.125</v></c></row>
<row r="3"><c r="A3"><v>12.5</v></c><c r="B3"><v>0.125</v></c></row>
</sheetData></worksheet>"#;
    let mut rate = field("rate", FieldType::Number);
    rate.unit = Some("%".to_owned());
    let contract = contract("t.t", vec![rate, field("share", FieldType::Number)]);
    let (_dir, path) = file("shares.xlsx", workbook_of(sheet, &[]));
    let (rows, bad) = read(&path, &contract, &[], &Options::default()).unwrap();
    assert_eq!(bad, []);
    assert_eq!(rows.column(0).as_primitive::<Float64Type>().values(), &[12.5, 12.5]);
    assert_eq!(rows.column(1).as_primitive::<Float64Type>().values(), &[0.125, 0.125]);
}

/// A file of a few kilobytes must not be able to end the process.
#[test]
fn a_workbook_that_claims_or_counts_too_much_is_refused() {
    let texts = r#"<sst uniqueCount="99999999999999"><si><t>a</t></si></sst>"#;
    let text = |text: &str| Some(text.to_owned());
    for (bytes, expect) in [
        (workbook_of(SHEET, &[("xl/sharedStrings.xml", texts)]), text("texts")),
        (workbook_of(&SHEET.replace("r=\"B6\"", "r=\"B99999999999\""), &[]), None),
        (workbook_of(&SHEET.replace("r=\"B6\"", "r=\"ZZZZZZZZZZ6\""), &[]), None),
        (b"PK\x03\x04 and no more".to_vec(), None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), text("password")),
        (b"name,count\n".to_vec(), text("no workbook")),
    ] {
        let (_dir, path) = file("a.xlsx", bytes);
        let error = read(&path, &sensors(), &[], &Options::default()).unwrap_err();
        assert!(matches!(error, IntakeError::Content { .. }), "{error}");
        assert!(error.to_string().contains(&expect.unwrap_or_default()), "{error}");
    }
    let fine = r#"<sst uniqueCount="1"><si><t>a</t></si></sst>"#;
    let (_dir, path) = file("a.xlsx", workbook_of(SHEET, &[("xl/sharedStrings.xml", fine)]));
    check(&read(&path, &sensors(), &[], &Options::default()).unwrap().0);
}

#[test]
fn long_parquet_rows_make_short_chunks() {
    const ROWS: usize = 8192;
    let long = "长".repeat(4000);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("text", Arc::new(StringArray::from(vec![long.as_str(); ROWS])))];
    let (_dir, path) = file("long.parquet", write_parquet(columns, None));
    let contract = contract("t.t", vec![required("text", FieldType::Text)]);
    let mut intake = intake::open(&path, &contract, &[], &Options::default()).unwrap();
    let mut rows = Vec::new();
    while let Some(chunk) = intake.next_chunk().unwrap() {
        assert_eq!(chunk.bad, []);
        rows.push(chunk.rows.num_rows());
    }
    assert_eq!(rows, [ROWS / 2, ROWS / 2]);
}

#[test]
fn excel_below_a_title_with_serial_dates() {
    let (_dir, path) = file("a.xlsx", workbook());
    let (rows, bad) = read(&path, &sensors(), &[], &Options::default()).unwrap();
    check(&rows);
    let found: Vec<_> = bad.iter().map(|row| (row.line, row.reason, row.raw.as_str())).collect();
    assert_eq!(found, [(6, Reason::Type, "丙,7.5,,")]);
    let named = |name: &str| Options { sheet: Some(name.to_owned()), ..Options::default() };
    assert!(read(&path, &sensors(), &[], &named("表一")).is_ok());
    let error = read(&path, &sensors(), &[], &named("表二")).unwrap_err();
    assert!(error.to_string().contains("表一"), "{error}");
}
