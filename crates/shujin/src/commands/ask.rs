//! Questions in SQL.

use std::process::ExitCode;

use anyhow::{Context, Result};
use catalog::Surface;
use chrono::DateTime;

use super::open;
use crate::args::SqlArgs;
use crate::output;
use crate::remote::Remote;

pub async fn sql(args: SqlArgs) -> Result<ExitCode> {
    if let Some(remote) = Remote::of(&args.server)? {
        remote.sql(&args).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let city = open(&args.data).await?;
    let mut session = city.session(&args.user, Surface::Cli).await?;
    session.as_of = args
        .as_of
        .as_deref()
        .map(|text| {
            DateTime::parse_from_rfc3339(text)
                .with_context(|| format!("`{text}` is no moment: write 2024-01-31T00:00:00+08:00"))
        })
        .transpose()?
        .map(Into::into);
    session.scenario = args.scenario.clone();
    let answered = answer(&city, &session, &args).await;
    city.close().await?;
    answered?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(city: &city::City, session: &catalog::Session, args: &SqlArgs) -> Result<()> {
    let answer = city.query(session, &args.sql, &[]).await?;
    let lineage = args.lineage.then(|| answer.lineage.clone());
    output::print(answer, args.format, args.out.as_deref()).await?;
    if let Some(lineage) = lineage {
        for column in &lineage.columns {
            println!("{}", serde_json::to_string(column)?);
        }
    }
    Ok(())
}
