//! Files to contract-typed rows. Nothing is stored here: the caller appends what comes out.
//!
//! ```text
//!  file ─► source ─► blocks ─► table ─► columns ─► Chunk { rows, bad }
//!          gunzip,   cut at    cells    typed,
//!          to UTF-8  records   by place checked
//!                      │
//!                      └ one thread reads, the others parse a block each, chunks keep their order
//! ```
//!
//! [`open`] finds out what the file is (format, encoding, separator, header), puts contract,
//! mapping and header together into a plan, and refuses the file if its columns have drifted.
//! [`Intake::next_chunk`] then gives one [`Chunk`] after the other. Chunk n of a file is the same
//! in every run, so that whoever stores chunks under `(fingerprint, n)` can run an import again
//! after a crash and lose or double nothing.
//!
//! A row that does not fit is a [`BadRow`] with line, raw text and reason; it never stops the rest.
//! This crate knows no storage, no session and no quality rules.

mod blocks;
pub mod bounds;
mod chunk;
mod columns;
pub mod crs;
mod csv;
mod drift;
mod error;
mod excel;
mod fingerprint;
mod fuzz;
mod geometry;
mod header;
mod json;
mod number;
mod options;
mod parquet;
mod pipeline;
mod plan;
mod rows;
mod source;
mod split;
mod table;
mod text;
mod time;
mod typed;
mod workbook;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
pub use pack::Crs;
use pack::{Contract, DriftRule, ImportMapping};

pub use chunk::{BadRow, Chunk, Reason};
pub use drift::{Drift, Missing, Retyped};
pub use error::IntakeError;
pub use fingerprint::INTAKE_VERSION;
#[doc(hidden)]
pub use fuzz::fuzz_csv;
pub use options::{Format, NULL_TEXTS, Options};
pub use rows::Origin;

use fingerprint::Fingerprint;
use header::Header;
use pipeline::Pipeline;
use plan::Plan;

/// A file being read.
pub struct Intake {
    plan: Arc<Plan>,
    drift: Drift,
    mapping: Option<String>,
    fingerprint: Fingerprint,
    pipeline: Pipeline,
    bytes_total: u64,
}

/// Opens a file as rows of `contract`. Mappings of other datasets are passed over.
pub fn open(
    path: &Path,
    contract: &Contract,
    mappings: &[ImportMapping],
    options: &Options,
) -> Result<Intake, IntakeError> {
    let error = |source| IntakeError::Read { path: path.to_owned(), source };
    let before = std::fs::metadata(path).map_err(error)?;
    let bytes_total = before.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let format = options.format.or_else(|| Format::of_name(&name));
    let format = format.ok_or_else(|| IntakeError::Format { path: path.to_owned() })?;
    let read = Read { path: path.to_owned(), contract, mappings, options };
    let opened = match format {
        Format::Csv => csv::open(&read)?,
        Format::JsonLines | Format::GeoJson => json::open(&read, format)?,
        Format::Parquet => parquet::open(&read)?,
        Format::Excel => excel::open(&read)?,
    };
    let Opened { plan, drift, mapping, work } = opened;
    refuse_drift(contract, &drift)?;
    let fingerprint = Fingerprint::start(path, before, contract, mapping, options);
    let plan = Arc::new(plan);
    let threads = options.threads.unwrap_or_else(pipeline::default_threads);
    let pipeline = Pipeline::start(Arc::clone(&plan), work, threads);
    let mapping = mapping.map(|mapping| mapping.id.clone());
    Ok(Intake { plan, drift, mapping, fingerprint, pipeline, bytes_total })
}

/// What the formats need to open a file.
struct Read<'a> {
    path: PathBuf,
    contract: &'a Contract,
    mappings: &'a [ImportMapping],
    options: &'a Options,
}

impl<'a> Read<'a> {
    /// Chooses the mapping for these columns and puts the plan together. `crs` is what the file
    /// says of itself.
    fn plan(
        &self,
        names: Vec<String>,
        transcoded: bool,
        crs: Option<Crs>,
    ) -> Result<(Plan, Drift, Option<&'a ImportMapping>), IntakeError> {
        self.plan_with_geometry(names, transcoded, crs, Some(plan::GEOMETRY_COLUMN.to_owned()))
    }

    /// The same where the file says which column its geometry is.
    fn plan_with_geometry(
        &self,
        mut names: Vec<String>,
        transcoded: bool,
        crs: Option<Crs>,
        geometry: Option<String>,
    ) -> Result<(Plan, Drift, Option<&'a ImportMapping>), IntakeError> {
        let mapping =
            plan::choose(self.contract, self.mappings, self.options, &Header::new(names.clone()))?;
        if let Some(mapping) = mapping.filter(|mapping| mapping.headerless) {
            names.clone_from(&mapping.columns);
        }
        let header = Header::new(names);
        let file = plan::FileFacts { header, transcoded, crs, geometry };
        let (plan, drift) = plan::make(self.contract, mapping, self.options, file)?;
        Ok((plan, drift, mapping))
    }

    /// Whether a column that turns up later than the first rows is a fault.
    fn strict(&self, mapping: Option<&ImportMapping>) -> bool {
        mapping.is_none() && self.contract.drift == DriftRule::Refuse
    }
}

/// What the formats make of it.
struct Opened<'a> {
    plan: Plan,
    drift: Drift,
    mapping: Option<&'a ImportMapping>,
    work: Box<dyn pipeline::Work>,
}

fn refuse_drift(contract: &Contract, drift: &Drift) -> Result<(), IntakeError> {
    let refused = match contract.drift {
        DriftRule::Refuse => !drift.is_empty(),
        DriftRule::Evolve => drift.lacks_required(),
    };
    if refused {
        return Err(IntakeError::Drift { dataset: contract.id.clone(), drift: drift.clone() });
    }
    Ok(())
}

impl Intake {
    /// SHA-256 over the file's content, the mapping, the options and [`INTAKE_VERSION`]: equal
    /// exactly when the chunks are. Computed by a thread of its own since the file was opened.
    pub fn fingerprint(&mut self) -> Result<String, IntakeError> {
        self.fingerprint.get()
    }

    /// How the file's columns differ from the contract's, as far as the contract's rule lets them.
    pub fn drift(&self) -> &Drift {
        &self.drift
    }

    /// The mapping that reads the file; `None`: columns met fields by name.
    pub fn mapping(&self) -> Option<&str> {
        self.mapping.as_deref()
    }

    /// The file's columns, in its order.
    pub fn columns(&self) -> &[String] {
        &self.plan.header.names
    }

    /// What the file's coordinates were taken to be in.
    pub fn crs(&self) -> Crs {
        self.plan.crs
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.plan.schema
    }

    /// The file's size, beside which [`Chunk::bytes_read`] is progress.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// The next chunk, in order; `None` at the end. Blocks the thread while the parsers work.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, IntakeError> {
        match self.pipeline.next()? {
            Some(chunk) => Ok(Some(chunk)),
            None => self.fingerprint.check_unchanged().map(|()| None),
        }
    }
}
