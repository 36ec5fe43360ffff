//! `bench`: each headline figure beside its peer, in one run on one machine.
//!
//! ```text
//!  bench NAME ──► figure ──► side: ours   ─┐  a process each, in turn, round after round
//!                        └─► side: a peer ─┴─► medians, ratio, peak memory, the machine
//! ```
//!
//! Every side runs in a process of its own, so that its peak memory is its own and one side's warm
//! allocator does not help the other. The peers are real: Debian's PostgreSQL and mosquitto, DuckDB's
//! Python wheel, DataFusion as it comes.

mod figures;
mod load;
mod machine;
mod memory;
mod peers;
mod readings;
mod report;
mod served;
mod side;
mod stats;
mod work;

use clap::{Parser, Subcommand, ValueEnum};

/// Measure a headline figure beside its peer.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The figure.
    #[arg(value_enum, default_value_t = Name::All)]
    name: Name,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds a side; the median is reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A share of the full number of rows, for a quick look: the figure then says so.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where the sides write; on the disk that is to be measured, with 10 GB free.
    #[arg(long, default_value = "target/bench")]
    dir: std::path::PathBuf,
    /// A folder made by `shujin synth` that tiles are drawn of; made at the scale where none is
    /// given.
    #[arg(long)]
    city: Option<std::path::PathBuf>,
    #[command(flatten)]
    sensing: figures::sensing::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One side of a figure, in this process. Run by the figure itself.
    #[command(hide = true, subcommand)]
    Side(side::Side),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Durable appends, beside PostgreSQL's multi-row INSERT.
    Append,
    /// A CSV file taken in under a contract, beside DuckDB's COPY to Parquet.
    Import,
    /// Ten analytic queries, governed, beside bare DataFusion and DuckDB.
    Analytic,
    /// The newest rows of one series, beside PostgreSQL with an index.
    Point,
    /// Vector tiles of streets and boundaries, beside PostGIS.
    Tiles,
    /// A demonstration's start, and 200 browsers at once.
    Browsers,
    /// Observations in and out: HTTP, MQTT, PostgreSQL with FROST's schema, mosquitto.
    Sensing,
    /// All of them.
    All,
}

/// What a figure is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub rounds: usize,
    pub scale: f64,
    pub dir: std::path::PathBuf,
    pub city: Option<std::path::PathBuf>,
    pub sensing: figures::sensing::Options,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Side(side)) = cli.command {
        return side::run(side);
    }
    std::fs::create_dir_all(&cli.dir)?;
    let settings = Settings {
        rounds: cli.rounds.max(1),
        scale: cli.scale,
        dir: std::fs::canonicalize(&cli.dir)?,
        city: cli.city.map(std::fs::canonicalize).transpose()?,
        sensing: cli.sensing,
    };
    let mut reports = Vec::new();
    for (name, figure) in FIGURES {
        if cli.name == *name || cli.name == Name::All {
            eprintln!("bench: {name:?}, {} rounds a side", settings.rounds);
            reports.push(figure(&settings)?);
        }
    }
    report::print(&reports, cli.json)
}

type Figure = fn(&Settings) -> anyhow::Result<report::Report>;

const FIGURES: &[(Name, Figure)] = &[
    (Name::Append, figures::append::measure),
    (Name::Import, figures::import::measure),
    (Name::Analytic, figures::analytic::measure),
    (Name::Point, figures::point::measure),
    (Name::Tiles, figures::tiles::measure),
    (Name::Browsers, figures::browsers::measure),
    (Name::Sensing, figures::sensing::measure),
];
