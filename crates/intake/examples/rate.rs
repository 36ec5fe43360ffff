//! How fast a long CSV becomes validated Arrow rows, without storing them.
//!
//! `cargo run --release -p intake --example rate -- [ROWS] [FILE]` writes the file if it is not
//! there: seven columns — text series, time, float, integer, text code, float, boolean.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a measuring tool")]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use intake::Options;
use pack::{
    Contract, DatasetKind, DriftRule, Field, FieldType, Pii, Place, Sharing, SharingAttribute, Text,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rows: u64 = arguments.next().map_or(10_000_000, |text| text.parse().unwrap());
    let path = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("intake-rate-{rows}.csv")),
        PathBuf::from,
    );
    if !path.exists() {
        write(&path, rows);
    }
    let options = Options::default();
    let started = Instant::now();
    let mut intake = intake::open(&path, &contract(), &[], &options).unwrap();
    let fingerprint = intake.fingerprint().unwrap();
    let hashed = started.elapsed();
    let (mut taken, mut bad, mut bytes) = (0, 0, 0);
    while let Some(chunk) = intake.next_chunk().unwrap() {
        taken += chunk.rows.num_rows();
        bad += chunk.bad.len();
        bytes += chunk.rows.get_array_memory_size();
    }
    let elapsed = started.elapsed();
    let megabytes = intake.bytes_total() as f64 / 1e6;
    println!("{}", &fingerprint[..16]);
    println!(
        "{taken} rows, {bad} bad, {megabytes:.0} MB of text, {} MB of Arrow",
        bytes / 1_000_000
    );
    println!(
        "{:.2} s, of which waiting for the fingerprint {:.2} s",
        elapsed.as_secs_f64(),
        hashed.as_secs_f64()
    );
    println!(
        "{:.2} M rows/s, {:.0} MB/s",
        taken as f64 / elapsed.as_secs_f64() / 1e6,
        megabytes / elapsed.as_secs_f64()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
}

fn write(path: &Path, rows: u64) {
    let mut out = BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(out, "series,observed_at,value,count,code,ratio,valid").unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for row in 0..rows {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let second = row % 60;
        let minute = row / 60 % 60;
        let hour = row / 3600 % 24;
        let day = row / 86_400 % 28 + 1;
        writeln!(
            out,
            "series-{:05},2024-03-{day:02} {hour:02}:{minute:02}:{second:02},{:.2},{},{},{:.6},{}",
            state % 50_000,
            (state >> 8 & 0xFFFF) as f64 / 100.0,
            state >> 20 & 0xFFFFF,
            ["normal", "warning", "alarm", "offline"][(state >> 40 & 3) as usize],
            (state >> 42 & 0xFFFFF) as f64 / 1_048_576.0,
            state >> 63 == 1
        )
        .unwrap();
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
        required: true,
        aliases: Vec::new(),
        codes: if name == "code" {
            ["normal", "warning", "alarm", "offline"].map(str::to_owned).to_vec()
        } else {
            Vec::new()
        },
        labels: Default::default(),
        place: Place::default(),
    };
    Contract {
        id: "bench.readings".to_owned(),
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
            field("series", FieldType::Text),
            field("observed_at", FieldType::Timestamp),
            field("value", FieldType::Number),
            field("count", FieldType::Integer),
            field("code", FieldType::Text),
            field("ratio", FieldType::Number),
            field("valid", FieldType::Boolean),
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
        drift: DriftRule::Refuse,
        quality: Vec::new(),
        place: Place::default(),
    }
}
