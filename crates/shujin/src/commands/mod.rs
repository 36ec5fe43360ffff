//! What each command does, a file for each family.

mod access;
mod ask;
mod feed;
mod keep;
mod live;
mod sample;
mod serve;
mod synthesis;

use std::process::ExitCode;

use anyhow::Result;
use city::{City, OpenOptions};

use crate::args::{AuditCommand, Cli, Command, DataArgs};

pub async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Check { pack } => Ok(check(&pack)),
        Command::Demo(args) => serve::demo(args).await,
        Command::Serve(args) => serve::serve(args).await,
        Command::Synth(args) => synthesis::synth(args),
        Command::Import(args) => feed::import(args).await,
        Command::Quarantine(command) => feed::quarantine(command).await,
        Command::Sql(args) => ask::sql(args).await,
        Command::User(command) => access::user(command).await,
        Command::Grant(command) => access::grant(command).await,
        Command::Token(command) => access::token(command).await,
        Command::Audit(AuditCommand::Verify { data }) => keep::audit_verify(&data).await,
        Command::Maintain { data, dataset } => keep::maintain(&data, dataset.as_deref()).await,
        Command::Backup { data, to, server } => keep::backup(&data, &to, &server).await,
        Command::Restore { from, data, records } => {
            keep::restore(&from, &data, records.as_deref()).await
        }
    }
}

/// Checks a pack; mistakes go to standard error, one a line.
fn check(dir: &std::path::Path) -> ExitCode {
    match pack::load(dir) {
        Ok(pack) => {
            println!(
                "{}: {} areas, {} organisations, {} datasets, {} policies, {} roles, {} access \
                 rules, {} import mappings: no mistakes",
                pack.city.name.en,
                pack.areas.len(),
                pack.organisations.len(),
                pack.datasets.len(),
                pack.policies.len(),
                pack.roles.len(),
                pack.access.count(),
                pack.imports.len(),
            );
            ExitCode::SUCCESS
        }
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            let count = diagnostics.count();
            eprintln!("{count} mistake{}", if count == 1 { "" } else { "s" });
            ExitCode::FAILURE
        }
    }
}

fn open_options(data: &DataArgs) -> OpenOptions {
    let (dir, records) = (data.data.clone(), data.records.clone());
    OpenOptions { dir, records, ..OpenOptions::default() }
}

/// Opens the folder's city for one command.
async fn open(data: &DataArgs) -> Result<City> {
    Ok(City::open(&open_options(data)).await?)
}
