//! The command line's grammar. What a flag means is said here once; the help is made from it.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Shujin 蜀锦: an operating platform for a city's government.
#[derive(Debug, Parser)]
#[command(name = "shujin", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, env = "SHUJIN_LOG_FORMAT", default_value_t)]
    pub log_format: LogFormat,
    /// An OpenTelemetry collector that takes spans by OTLP over HTTP (`http://127.0.0.1:4318`).
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a city pack: every mistake with its file, line and column.
    Check { pack: PathBuf },
    /// Make a city if the folder holds none, with logins to try it, and serve it on loopback.
    Demo(DemoArgs),
    /// Serve a city.
    Serve(ServeArgs),
    /// Make a synthetic city up: a Parquet file for each dataset, to be taken in by `import`.
    Synth(SynthArgs),
    /// Take a file into a dataset: each row is taken, unchanged or in quarantine.
    Import(ImportArgs),
    /// Ask a question in SQL, under the rules that hold for the user who asks.
    Sql(SqlArgs),
    /// Rows that were not taken: list, correct, dismiss.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Users of the city.
    #[command(subcommand)]
    User(UserCommand),
    /// Sharing: requests for a dataset, and the owner's answers.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// The audit.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Seal, compact, drop what has outlived its retention, vacuum.
    Maintain {
        #[command(flatten)]
        data: DataArgs,
        /// One dataset; all where none is named.
        dataset: Option<String>,
    },
    /// Copy a city, running or not, into a new folder.
    Backup {
        #[command(flatten)]
        data: DataArgs,
        /// A folder that does not exist yet.
        to: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a city's folder from a backup, after checking every file of it.
    Restore {
        /// The backup.
        from: PathBuf,
        /// A folder that does not exist yet.
        #[arg(long)]
        data: PathBuf,
        /// An empty database, for a city whose records were in PostgreSQL.
        #[arg(long)]
        records: Option<String>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// The city's data folder.
    #[arg(long, env = "SHUJIN_DATA", default_value = "city-data")]
    pub data: PathBuf,
    /// Where the records are: a PostgreSQL URL; by default SQLite in the data folder.
    #[arg(long, env = "SHUJIN_RECORDS")]
    pub records: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Go through a running server instead of opening the folder.
    #[arg(long, env = "SHUJIN_SERVER")]
    pub server: Option<String>,
    /// The token to show that server.
    #[arg(long, env = "SHUJIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct FaceArgs {
    /// HTTP address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Certificate chain (PEM) of the HTTP face; with it HTTP is served over TLS alone.
    #[arg(long, requires = "http_tls_key")]
    pub http_tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, requires = "http_tls_cert")]
    pub http_tls_key: Option<PathBuf>,
    /// A proxy in front ends TLS: HTTP is served in clear beyond loopback too, and the last address
    /// of X-Forwarded-For is believed.
    #[arg(long)]
    pub http_behind_proxy: bool,
    /// Where browsers find this server (`https://data.example.gov.cn`), for links and for OpenID
    /// providers; by default the HTTP address.
    #[arg(long)]
    pub public_url: Option<String>,
    /// A file of OpenID providers that people may sign in by.
    #[arg(long)]
    pub oidc: Option<PathBuf>,
    /// HTTP requests a second of one principal; five seconds' worth may come at once.
    #[arg(long, default_value_t = server::RateOptions::default().principal_per_second)]
    pub http_rate: NonZeroU32,
    /// HTTP requests a second of one address, before it is known who asks.
    #[arg(long, default_value_t = server::RateOptions::default().address_per_second)]
    pub http_rate_address: NonZeroU32,
    /// Let whoever is on this machine read /metrics without a token.
    #[arg(long, conflicts_with = "http_behind_proxy")]
    pub metrics_on_loopback: bool,
    /// PostgreSQL wire address.
    #[arg(long, default_value = "127.0.0.1:5433")]
    pub pg: SocketAddr,
    /// Certificate chain (PEM) of the PostgreSQL face; with it every connection must use TLS.
    #[arg(long, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A folder with a file for each secret that the pack's sources name in their headers.
    #[arg(long, env = "SHUJIN_SOURCE_SECRETS", value_name = "DIR")]
    pub source_secrets: Option<PathBuf>,
    /// MQTT address.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub mqtt: SocketAddr,
    /// Certificate chain (PEM) of the MQTT face; with it MQTT is served over TLS alone.
    #[arg(long, requires = "mqtt_tls_key")]
    pub mqtt_tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, requires = "mqtt_tls_cert")]
    pub mqtt_tls_key: Option<PathBuf>,
    /// Authorities (PEM) of MQTT clients: who shows a certificate of one of them is the user that
    /// its common name, or a DNS name in it, says.
    #[arg(long, requires = "mqtt_tls_cert")]
    pub mqtt_client_ca: Option<PathBuf>,
    /// MQTT publishes a second of one principal; more wait.
    #[arg(long, default_value_t = MQTT_RATE)]
    pub mqtt_rate: NonZeroU32,
}

const MQTT_RATE: NonZeroU32 =
    NonZeroU32::new(server::limits::MQTT_RATE_OF_PRINCIPAL_PER_SECOND).expect("it is no nought");

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[arg(long, default_value = "packs/chengdu")]
    pub pack: PathBuf,
    /// Residents to make up, from 10 thousand to 25 million.
    #[arg(long, default_value_t = 20_000)]
    pub people: usize,
    /// The same seed makes the same city.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A folder with the real files; they are imported instead of made up where they are there.
    #[arg(long, env = "CITY_DATA")]
    pub city_data: Option<PathBuf>,
    #[command(flatten)]
    pub faces: FaceArgs,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// The pack of a city that is made now; one that is there knows its own.
    #[arg(long)]
    pub pack: Option<PathBuf>,
    #[command(flatten)]
    pub faces: FaceArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SynthArgs {
    #[command(flatten)]
    pub city: SynthCity,
    /// The folder that the files go to.
    #[arg(long, default_value = "city-files")]
    pub out: PathBuf,
    /// Work on so many threads; what comes out does not depend on it.
    #[arg(long)]
    pub threads: Option<usize>,
    #[command(subcommand)]
    pub command: Option<SynthCommand>,
}

/// Which city is made up. The same three make the same one.
#[derive(Debug, Clone, Args)]
pub struct SynthCity {
    #[arg(long, default_value = "packs/chengdu")]
    pub pack: PathBuf,
    /// Residents, from 10 thousand to 25 million.
    #[arg(long, default_value_t = 100_000)]
    pub people: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Subcommand)]
pub enum SynthCommand {
    /// Play readings of that city's sensors.
    Stream(StreamArgs),
}

#[derive(Debug, Args)]
pub struct StreamArgs {
    #[command(flatten)]
    pub city: SynthCity,
    /// When it begins, RFC 3339 (`2024-01-31T00:00:00+08:00`); now where none is given.
    #[arg(long)]
    pub from: Option<String>,
    /// How many hours are played.
    #[arg(long, default_value_t = 24.0)]
    pub hours: f64,
    /// So many times as fast as time goes by. Where none is given: as fast as can be from a moment,
    /// as time goes by from now.
    #[arg(long)]
    pub speed: Option<f64>,
    /// The file that readings go to; standard output where none is given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = StreamFormat::Csv)]
    pub format: StreamFormat,
    /// A file for what is true behind the readings: incidents and faults, a JSON object a line.
    #[arg(long)]
    pub truth: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamFormat {
    Csv,
    /// JSON lines.
    Json,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    /// The pack of a city that is made now.
    #[arg(long, default_value = "packs/chengdu")]
    pub pack: PathBuf,
    /// The dataset, e.g. `air.pm25`.
    pub dataset: String,
    /// CSV (plain or .gz), Parquet, GeoParquet, GeoJSON, JSON lines or .xlsx.
    pub file: PathBuf,
    /// Text encoding; found out by itself where it can be.
    #[arg(long)]
    pub encoding: Option<String>,
    /// The file's coordinates.
    #[arg(long, value_enum)]
    pub crs: Option<CrsArg>,
    /// A text that means “no value”; may be given several times.
    #[arg(long = "null")]
    pub nulls: Vec<String>,
    /// Column separator of a CSV file.
    #[arg(long)]
    pub separator: Option<char>,
    /// Sheet of an Excel file, by name; the first where none is named.
    #[arg(long)]
    pub sheet: Option<String>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CrsArg {
    Wgs84,
    Gcj02,
    Bd09,
    Cgcs2000,
}

#[derive(Debug, Args)]
pub struct SqlArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Who asks.
    #[arg(long = "as", default_value = city::OPERATOR)]
    pub user: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The moment asked about, RFC 3339 (`2024-01-31T00:00:00+08:00`); now where none is given.
    #[arg(long)]
    pub as_of: Option<String>,
    /// A scenario's name.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Where a Parquet answer goes.
    #[arg(long, required_if_eq("format", "parquet"))]
    pub out: Option<PathBuf>,
    /// Also print which fields of which datasets the answer came from.
    #[arg(long)]
    pub lineage: bool,
    pub sql: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
    Parquet,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Rows waiting for a correction.
    List {
        #[command(flatten)]
        data: DataArgs,
        /// One dataset; all where none is named.
        dataset: Option<String>,
    },
    /// Correct a row's fields and take it again.
    Repair {
        #[command(flatten)]
        data: DataArgs,
        id: String,
        /// `field=value`, in the forms that import reads; may be given several times.
        #[arg(long = "set", required = true)]
        set: Vec<String>,
    },
    /// Close a row that will not be corrected.
    Dismiss {
        #[command(flatten)]
        data: DataArgs,
        id: String,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user. A password is read from standard input if `--password` is given.
    Add {
        #[command(flatten)]
        data: DataArgs,
        name: String,
        /// Organisation id in the pack.
        #[arg(long)]
        organisation: String,
        /// Role id in the pack; may be given several times.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// Area code the user answers for; may be given several times.
        #[arg(long = "area")]
        areas: Vec<String>,
        /// Read a password from standard input.
        #[arg(long)]
        password: bool,
    },
    List {
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Ask for a dataset.
    Request {
        #[command(flatten)]
        data: DataArgs,
        dataset: String,
        #[arg(long = "as")]
        user: String,
        #[arg(long)]
        purpose: String,
        #[arg(long)]
        legal_ground: String,
        /// Fields asked for; all where none is named.
        #[arg(long = "field")]
        fields: Vec<String>,
        /// Rows asked for, as a SQL condition.
        #[arg(long)]
        rows: Option<String>,
        /// For how long.
        #[arg(long, default_value_t = 365)]
        days: u32,
    },
    /// The requests that a user's organisation made or decides about.
    List {
        #[command(flatten)]
        data: DataArgs,
        #[arg(long = "as")]
        user: String,
    },
    /// Grant a request, as its owner.
    Approve {
        #[command(flatten)]
        data: DataArgs,
        id: String,
        #[arg(long = "as")]
        user: String,
        /// Rows granted, as a SQL condition; the request's where none is given.
        #[arg(long)]
        rows: Option<String>,
        /// `field=redact|last_four|year_only|token`; may be given several times.
        #[arg(long = "mask")]
        masks: Vec<String>,
    },
    /// Refuse a request, as its owner.
    Refuse {
        #[command(flatten)]
        data: DataArgs,
        id: String,
        #[arg(long = "as")]
        user: String,
        #[arg(long)]
        reason: String,
    },
    /// End a grant before its term.
    Revoke {
        #[command(flatten)]
        data: DataArgs,
        id: String,
        #[arg(long = "as")]
        user: String,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for a user; it is printed once and kept only as a hash.
    Create {
        #[command(flatten)]
        data: DataArgs,
        user: String,
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    Revoke {
        #[command(flatten)]
        data: DataArgs,
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain: a changed, dropped or swapped row is named.
    Verify {
        #[command(flatten)]
        data: DataArgs,
    },
}
