//! Keeping a city: audit, maintenance, backup and restore.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use city::BackupReport;

use super::open;
use crate::args::{DataArgs, ServerArgs};
use crate::remote::Remote;

pub async fn audit_verify(data: &DataArgs) -> Result<ExitCode> {
    let city = open(data).await?;
    let report = city.audit().verify(city.audit_anchor()?.as_ref()).await?;
    for fault in &report.faults {
        println!("{fault}");
    }
    if report.faults_more > 0 {
        println!("and {} more", report.faults_more);
    }
    println!("{} rows, head {}", report.rows, report.head);
    let sound = report.is_sound();
    city.close().await?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub async fn maintain(data: &DataArgs, dataset: Option<&str>) -> Result<ExitCode> {
    let city = open(data).await?;
    city.maintain(dataset).await?;
    city.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub async fn backup(data: &DataArgs, to: &Path, server: &ServerArgs) -> Result<ExitCode> {
    if let Some(remote) = Remote::of(server)? {
        println!("{}", remote.backup(to).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let city = open(data).await?;
    let report = city.backup(to).await?;
    tell("backed up", &report);
    city.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(from: &Path, data: &Path, records: Option<&str>) -> Result<ExitCode> {
    tell("restored", &city::restore(from, data, records).await?);
    Ok(ExitCode::SUCCESS)
}

fn tell(done: &str, report: &BackupReport) {
    println!("{done} {} files, {} bytes", report.files, report.bytes);
}
