//! Feeding a city: files in, and the rows that did not fit.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use city::{City, ImportRequest, ImportSummary, OPERATOR, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use intake::Crs;

use super::{open, open_options};
use crate::args::{CrsArg, ImportArgs, QuarantineCommand};
use crate::remote::Remote;

/// Without a terminal, a line of progress this often.
const PLAIN_PROGRESS_EVERY: Duration = Duration::from_secs(5);

pub async fn import(args: ImportArgs) -> Result<ExitCode> {
    let request = request(&args)?;
    if let Some(remote) = Remote::of(&args.server)? {
        print!("{}", remote.import(&args).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let city = City::open_or_create(&open_options(&args.data), &args.pack).await?;
    let imported = import_file(&city, request).await;
    // The lake is closed in good order also when the file was refused.
    city.close().await?;
    let summary = imported?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&summary)?),
        false => tell(&summary),
    }
    Ok(ExitCode::SUCCESS)
}

fn request(args: &ImportArgs) -> Result<ImportRequest> {
    let mut options = intake::Options {
        encoding: args.encoding.clone(),
        sheet: args.sheet.clone(),
        ..intake::Options::default()
    };
    if let Some(crs) = args.crs {
        options.crs = Some(match crs {
            CrsArg::Wgs84 => Crs::Wgs84,
            CrsArg::Gcj02 => Crs::Gcj02,
            CrsArg::Bd09 => Crs::Bd09,
            CrsArg::Cgcs2000 => Crs::Cgcs2000,
        });
    }
    if let Some(separator) = args.separator {
        options.delimiter = Some(u8::try_from(separator).context("the separator must be ASCII")?);
    }
    options.null.extend(args.nulls.iter().cloned());
    Ok(ImportRequest {
        dataset: args.dataset.clone(),
        file: args.file.clone(),
        options,
        user: OPERATOR.to_owned(),
    })
}

/// Imports with a bar on a terminal and plain lines elsewhere, both on standard error.
pub async fn import_file(city: &City, request: ImportRequest) -> Result<ImportSummary> {
    let name = request.dataset.clone();
    let summary = match std::io::stderr().is_terminal() {
        true => {
            let bar = bar(&name);
            let summary = city
                .import_and_check(request, &|progress: Progress| {
                    bar.set_length(progress.bytes_total);
                    bar.set_position(progress.bytes_read);
                    bar.set_message(format!("{} rows", progress.rows));
                })
                .await;
            bar.finish_and_clear();
            summary
        }
        false => {
            let last = Mutex::new(Instant::now());
            city.import_and_check(request, &|progress: Progress| {
                let mut last = last.lock().expect("printing does not panic");
                if last.elapsed() >= PLAIN_PROGRESS_EVERY {
                    *last = Instant::now();
                    let percent = progress.bytes_read * 100 / progress.bytes_total.max(1);
                    eprintln!("{name}: {percent} %, {} rows", progress.rows);
                }
            })
            .await
        }
    };
    Ok(summary?)
}

fn bar(name: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix} [{bar:40}] {bytes}/{total_bytes} {msg} {eta} left")
            .expect("the template is a constant");
    ProgressBar::new(0).with_style(style).with_prefix(name.to_owned())
}

pub fn tell(summary: &ImportSummary) {
    println!(
        "{}: {} taken, {} unchanged, {} in quarantine ({:.1} s)",
        summary.dataset,
        summary.rows_taken,
        summary.rows_unchanged,
        summary.rows_quarantined,
        summary.seconds
    );
    for drift in &summary.drift {
        println!("  columns: {drift}");
    }
    for (reason, count) in &summary.reasons {
        println!("  {reason}: {count}");
    }
    if let Some(quality) = &summary.quality {
        let passed = if quality.passed { "every rule that must hold does" } else { "rules broken" };
        println!("  quality of all its rows: {passed}");
        for (rule, rows) in &quality.failed {
            println!("  {rule}: {rows}");
        }
    }
    if summary.rows_quarantined > 0 {
        println!("  see them: shujin quarantine list {}", summary.dataset);
    }
}

pub async fn quarantine(command: QuarantineCommand) -> Result<ExitCode> {
    match command {
        QuarantineCommand::List { data, dataset } => {
            let city = open(&data).await?;
            let rows = city.quarantined(dataset.as_deref()).await?;
            for row in &rows {
                let field =
                    row.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
                println!("{}  {}  {}:{}", row.id, row.dataset, row.file, row.line);
                println!("    {} – {field}{}", row.reason, row.message);
                println!("    {}", row.raw);
            }
            println!("{} rows", rows.len());
            city.close().await?;
        }
        QuarantineCommand::Repair { data, id, set } => {
            let corrections = set.iter().map(|text| split(text)).collect::<Result<Vec<_>>>()?;
            let city = open(&data).await?;
            let repaired = city.repair(&id, &corrections, OPERATOR).await;
            city.close().await?;
            repaired?;
            println!("{id}: taken");
        }
        QuarantineCommand::Dismiss { data, id, reason } => {
            let city = open(&data).await?;
            let dismissed = city.dismiss(&id, &reason, OPERATOR).await;
            city.close().await?;
            dismissed?;
            println!("{id}: dismissed");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn split(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.to_owned())),
        None => bail!("`{text}` is no correction: write field=value"),
    }
}
