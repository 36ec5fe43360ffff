//! Drives the peers: PostgreSQL through `psql` and `pgbench`, DuckDB through a Python script.
//!
//! Both are driven by their own clients, so that neither pays for a client of ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};
use store::testing::{Postgres, PostgresOptions};

use crate::memory::FamilyWatch;
use crate::side::Sample;

/// A PostgreSQL server that syncs every commit, with one database.
#[derive(Debug)]
pub struct Server {
    postgres: Postgres,
    url: String,
}

impl Server {
    pub fn start() -> anyhow::Result<Self> {
        // Memory as an operator would give it on this machine, and checkpoints far enough apart
        // that they are not what is measured.
        let settings = [
            ("synchronous_commit", "on"),
            ("shared_buffers", "1GB"),
            ("max_wal_size", "8GB"),
            ("checkpoint_timeout", "30min"),
            ("maintenance_work_mem", "512MB"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let postgres = Postgres::start(&PostgresOptions { fsync: true, settings })
            .context("PostgreSQL is not installed: run scripts/setup test")?;
        let url = postgres.new_database();
        Ok(Self { postgres, url })
    }

    pub fn watch(&self) -> FamilyWatch {
        FamilyWatch::start(self.postgres.pid())
    }

    pub fn sql(&self, sql: &str) -> anyhow::Result<String> {
        let mut command = Command::new(self.postgres.programs().join("psql"));
        command.args(["-X", "-v", "ON_ERROR_STOP=1", "-Atq", "-d", &self.url, "-c", sql]);
        Ok(String::from_utf8(succeed(command)?.stdout)?.trim().to_owned())
    }

    /// Runs a script's statements one after another over one connection, twice, and returns how
    /// long each took the second time, ms: from sending it to having its answer.
    pub fn timed(&self, script: &Path) -> anyhow::Result<Vec<f64>> {
        let mut command = Command::new(self.postgres.programs().join("psql"));
        command
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-Atq", "-d", &self.url])
            .args(["-c", "\\o /dev/null", "-f"])
            .arg(script)
            .args(["-c", "\\timing on", "-f"])
            .arg(script);
        let output = String::from_utf8(succeed(command)?.stdout)?;
        let times = output.lines().filter_map(|line| line.strip_prefix("Time: "));
        times
            .map(|time| {
                let ms = time.split(' ').next().context("psql's timing has another form")?;
                Ok(ms.parse()?)
            })
            .collect()
    }

    /// Runs scripts by `clients` connections for some seconds and returns each transaction's
    /// latency. With a rate, transactions start on schedule whatever the ones before them do, and
    /// the wait for a late start counts.
    pub fn pgbench(&self, run: &PgBench<'_>) -> anyhow::Result<Latencies> {
        let logs = tempfile::tempdir_in(run.dir)?;
        let mut command = Command::new(self.postgres.programs().join("pgbench"));
        command
            .args(["--no-vacuum", "--log", "--log-prefix=log"])
            .arg(format!("--client={}", run.clients))
            .arg(format!("--jobs={}", run.clients.min(2)))
            .arg(format!("--time={}", run.seconds));
        if let Some(rate) = run.per_second {
            command.arg(format!("--rate={rate}"));
        }
        for script in run.scripts {
            command.arg("--file").arg(script);
        }
        command.arg(&self.url).current_dir(logs.path());
        succeed(command)?;
        let mut latencies_ms = Vec::new();
        for entry in std::fs::read_dir(logs.path())? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                // client, transaction, latency in µs, script, time, time µs
                let latency_us: f64 =
                    line.split(' ').nth(2).context("pgbench's log has another form")?.parse()?;
                latencies_ms.push(latency_us / 1_000.0);
            }
        }
        Ok(Latencies { ms: latencies_ms, seconds: f64::from(run.seconds) })
    }
}

#[derive(Debug)]
pub struct PgBench<'a> {
    pub scripts: &'a [PathBuf],
    pub clients: u32,
    pub seconds: u32,
    pub per_second: Option<f64>,
    pub dir: &'a Path,
}

#[derive(Debug)]
pub struct Latencies {
    pub ms: Vec<f64>,
    pub seconds: f64,
}

impl Latencies {
    pub fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.ms.len()).unwrap_or(u32::MAX)) / self.seconds
    }
}

/// Runs a script of `peers/` with the Python that `scripts/setup` made, and reads its last line.
pub fn python(script: &str, arguments: &[&str], input: &str) -> anyhow::Result<Sample> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("BENCH_PYTHON")
        .map_or_else(|| root.join("../../target/venv/bin/python"), PathBuf::from);
    if !python.exists() {
        bail!("{} is not there: run scripts/setup test, or set BENCH_PYTHON", python.display());
    }
    let mut command = Command::new(python);
    command.arg(root.join("peers").join(script)).args(arguments);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), input)?;
    command.stdin(file.reopen()?);
    Sample::from_last_line(&succeed(command)?.stdout)
}

fn succeed(mut command: Command) -> anyhow::Result<Output> {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        let program = command.get_program().display();
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
