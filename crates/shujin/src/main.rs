//! The command line: checks a pack, makes, serves and feeds a city, and asks it questions.
//!
//! Exit codes: 0 done, 1 refused with a reason, 2 wrong usage.

mod args;
mod commands;
mod output;
mod remote;
mod telemetry;
mod ui;
mod upload;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plans of SQL are walked by recursion; a build without optimisation has large frames.
const STACK_BYTES: usize = 16 << 20;
/// For threads to end that still compute when the command has ended.
const RUNTIME_END_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = telemetry::start(&cli, runtime.handle()).and_then(|telemetry| {
        let ended = runtime.block_on(commands::run(cli));
        // While there are still threads to send the last spans on.
        drop(telemetry);
        ended
    });
    // What computes on a thread of its own cannot be called off; nobody waits for it.
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
