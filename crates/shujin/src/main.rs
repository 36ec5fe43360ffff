//! The command line: checks a pack, makes, serves and feeds a city, and asks it questions.
//!
//! Exit codes: 0 done, 1 refused with a reason, 2 wrong usage.

mod args;
mod commands;
mod output;
mod remote;
mod ui;
mod upload;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plans of SQL are walked by recursion; a build without optimisation has large frames.
const STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logs();
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
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `SHUJIN_LOG` filters as `RUST_LOG` does (`warn`, `server=debug`); by default warnings are shown.
fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SHUJIN_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("warn,datafusion_common::pruning=error,server=info")
    });
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
