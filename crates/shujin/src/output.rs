//! Prints an answer as a table, CSV, JSON or Parquet, a batch at a time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use catalog::Answer;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;

use crate::args::Format;

/// Rows that a table shows: a terminal is for reading, `--format csv` for more.
const TABLE_ROWS_MAX: usize = 10_000;

pub async fn print(answer: Answer, format: Format, out: Option<&Path>) -> Result<()> {
    match format {
        Format::Table => table(answer).await,
        Format::Csv => csv(answer).await,
        Format::Json => json(answer).await,
        Format::Parquet => parquet(answer, out.context("--format parquet needs --out FILE")?).await,
    }
}

async fn table(mut answer: Answer) -> Result<()> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    while let Some(batch) = answer.stream.try_next().await? {
        let room = TABLE_ROWS_MAX.saturating_sub(rows);
        rows += batch.num_rows();
        if room > 0 {
            batches.push(batch.slice(0, room.min(batch.num_rows())));
        }
    }
    print_table(&answer.schema, &batches)?;
    match rows {
        1 => println!("1 row"),
        _ if rows > TABLE_ROWS_MAX => println!("{rows} rows, {TABLE_ROWS_MAX} of them shown"),
        _ => println!("{rows} rows"),
    }
    Ok(())
}

/// Columns aligned by what a terminal shows: a Chinese character is two cells wide.
fn print_table(schema: &arrow::datatypes::Schema, batches: &[RecordBatch]) -> Result<()> {
    let options = FormatOptions::default().with_null("");
    let mut cells: Vec<Vec<String>> =
        vec![schema.fields().iter().map(|field| field.name().clone()).collect()];
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            cells.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    let widths: Vec<usize> = (0..schema.fields().len())
        .map(|column| cells.iter().map(|row| cell_width(&row[column])).max().unwrap_or(0))
        .collect();
    let right: Vec<bool> =
        schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    for (index, row) in cells.iter().enumerate() {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .zip(&right)
            .map(|((cell, width), right)| pad(cell, *width, *right))
            .collect();
        writeln!(out, " {}", line.join(" │ ").trim_end())?;
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            writeln!(out, "─{}─", rule.join("─┼─"))?;
        }
    }
    out.flush()?;
    Ok(())
}

fn pad(cell: &str, width: usize, right: bool) -> String {
    let gap = " ".repeat(width.saturating_sub(cell_width(cell)));
    if right { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
}

fn cell_width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

async fn csv(mut answer: Answer) -> Result<()> {
    let mut writer = arrow::csv::Writer::new(BufWriter::new(io::stdout().lock()));
    writer.write(&RecordBatch::new_empty(answer.schema.clone()))?;
    while let Some(batch) = answer.stream.try_next().await? {
        writer.write(&batch)?;
    }
    writer.into_inner().flush()?;
    Ok(())
}

async fn json(mut answer: Answer) -> Result<()> {
    let mut writer = arrow::json::ArrayWriter::new(BufWriter::new(io::stdout().lock()));
    while let Some(batch) = answer.stream.try_next().await? {
        writer.write(&batch)?;
    }
    writer.finish()?;
    let mut out = writer.into_inner();
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

async fn parquet(mut answer: Answer, path: &Path) -> Result<()> {
    let file = File::create_new(path).with_context(|| format!("{}", path.display()))?;
    let mut writer = ArrowWriter::try_new(file, answer.schema.clone(), None)?;
    while let Some(batch) = answer.stream.try_next().await? {
        writer.write(&batch)?;
    }
    let rows = writer.close()?.file_metadata().num_rows();
    eprintln!("{rows} rows in {}", path.display());
    Ok(())
}
