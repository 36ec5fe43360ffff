//! Our own sides, each a process: started by a figure, it prints one line of JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::memory::own_peak_mib;
use crate::work;

/// What one process measured of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sample {
    pub values: BTreeMap<String, Vec<f64>>,
    pub peak_mib: f64,
}

impl Sample {
    pub fn of(values: BTreeMap<String, Vec<f64>>) -> Self {
        Self { values, peak_mib: own_peak_mib() }
    }

    pub fn from_last_line(output: &[u8]) -> anyhow::Result<Self> {
        let text = String::from_utf8_lossy(output);
        let last = text.lines().last().context("a side printed nothing")?;
        serde_json::from_str(last).with_context(|| format!("a side printed: {last}"))
    }

    /// All measurements of one name.
    pub fn all(&self, name: &str) -> anyhow::Result<&[f64]> {
        let found = self.values.get(name).filter(|values| !values.is_empty());
        found.map(Vec::as_slice).with_context(|| format!("a side did not measure {name}"))
    }

    pub fn one(&self, name: &str) -> anyhow::Result<f64> {
        Ok(self.all(name)?[0])
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Subcommand)]
pub enum Side {
    /// Producers append batches to a lake, each waiting for its acknowledgement.
    Append {
        dir: PathBuf,
        #[arg(long)]
        producers: u64,
        #[arg(long)]
        seconds: u64,
        /// Batches a second, all producers together; as fast as they can where none is given.
        #[arg(long)]
        per_second: Option<f64>,
    },
    /// A city takes in a CSV file.
    Import {
        dir: PathBuf,
        file: PathBuf,
        /// Into the dataset with a key, and settled as a served city settles it by itself.
        #[arg(long)]
        keyed: bool,
    },
    /// Queries through the catalogue, as a principal with a row filter.
    Governed {
        dir: PathBuf,
        #[arg(long)]
        rounds: usize,
    },
    /// The same queries by DataFusion alone, over the same files.
    Bare {
        dir: PathBuf,
        /// With the policy's filter written out, as somebody without policies would.
        #[arg(long)]
        filtered: bool,
        #[arg(long)]
        rounds: usize,
    },
    /// The newest rows of one series after another, through the catalogue.
    Point {
        dir: PathBuf,
        #[arg(long)]
        reads: u64,
    },
    /// Makes a city of Things and Datastreams, with a year of observations where some are wanted.
    Sense {
        dir: PathBuf,
        #[arg(long)]
        datastreams: u64,
        #[arg(long)]
        observations: u64,
    },
}

/// Does a side's work in this process.
pub fn run(side: Side) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let values = runtime.block_on(work::run(side))?;
    println!("{}", serde_json::to_string(&Sample::of(values))?);
    Ok(())
}

/// Has a side's work done by a process of its own.
pub fn start(arguments: &[String]) -> anyhow::Result<Sample> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("side").args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        bail!("a side failed: {command:?}");
    }
    Sample::from_last_line(&output.stdout)
}
