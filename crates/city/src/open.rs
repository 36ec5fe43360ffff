//! Opens a city: takes the folder, loads the pack, brings the records up to date, declares every
//! dataset's table in the lake, and wires catalogue and registry together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use catalog::audit::{Audit, Event, Head, Outcome};
use catalog::corrections::Corrections;
use catalog::saved::SavedQueries;
use catalog::scenario::Scenarios;
use catalog::sharing::Sharing;
use catalog::statistics::Statistics;
use catalog::usage::{UsageLog, UsageLogOptions, UsageSink, UsageSummary};
use catalog::{Answer, Catalog, CatalogOptions, Limits, Session, Sight, Source, Surface};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use pack::{Contract, DatasetKind, Pack};
use registry::{NewUser, Registers, Registry, RegistryError};
use sha2::{Digest, Sha256};
use store::blobs::Blobs;
use store::lake::{Lake, LakeOptions, Mode, Producer, Retention, TableSpec};
use store::records::{Migrations, Records};
use tokio::sync::Mutex as AsyncMutex;

use crate::answers::Answers;
use crate::atlas::{Atlas, AtlasLimits, LayerSpec, Shown};
use crate::census::Census;
use crate::events::{CityEvent, Events};
use crate::folder::Folder;
use crate::kept::Kept;
use crate::live::{KEEP_FILE, Live};
use crate::mapped::Mapping;
use crate::newest::KEPT_SHARE;
use crate::plausible::Plausibility;
use crate::scratch;
use crate::sensing_view::Coverages;
use crate::source::Stores;
use crate::sta::Sta;
use crate::{CityError, ImportSummary};

/// Who asks where nobody is named: whoever may open the folder itself.
pub const OPERATOR: &str = "operator";
/// The role that the operator is made with, if the pack has it.
const OPERATOR_ROLE: &str = "data_steward";
/// How long an importer waits for the lake to make room before it tries again.
pub(crate) const ROOM_WAIT: Duration = Duration::from_millis(50);
/// Tries before an importer gives up: a minute.
pub(crate) const ROOM_TRIES_MAX: u32 = 1_200;

/// Statistics are kept for so many times as long as they took, whatever happens to the rows.
const STATISTICS_SHARE: u32 = 10;
/// And what is summed up of a dataset's use, which changes with every question.
const USE_SHARE: u32 = 100;

/// Work on a dataset of which one goes on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Import,
    Repair,
    Quality,
}

/// Where a city is and how it is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    pub dir: PathBuf,
    /// PostgreSQL URL of the records; `None`: SQLite in the folder.
    pub records: Option<String>,
    pub limits: Option<Limits>,
    /// The folder of the secrets that the pack's sources name.
    pub source_secrets: Option<PathBuf>,
}

/// An open city. One process owns it at a time.
#[derive(Debug)]
pub struct City {
    folder: Folder,
    pack: Arc<Pack>,
    records: Records,
    lake: Arc<Lake>,
    blobs: Blobs,
    audit: Audit,
    registry: Arc<Registry>,
    registers: Arc<Registers>,
    sharing: Arc<Sharing>,
    corrections: Arc<Corrections>,
    scenarios: Arc<Scenarios>,
    saved: SavedQueries,
    events: Events,
    usage: UsageLog,
    usage_sink: Arc<dyn UsageSink>,
    stores: Arc<Stores>,
    catalog: Arc<Catalog>,
    atlas: Arc<Atlas>,
    /// Who is at work on what: an import on its dataset, a check on its own.
    turns: Mutex<BTreeMap<(Work, String), Turn>>,
    pub(crate) statistics: Kept<Arc<Statistics>>,
    pub(crate) used: Kept<UsageSummary>,
    pub(crate) answers: Answers,
    pub(crate) sta: Sta,
    pub(crate) coverages: Coverages,
    pub(crate) mapping: Mapping,
    source_secrets: Option<PathBuf>,
    /// Makes the salts shown to names that nobody has.
    login_secret: Vec<u8>,
}

/// Held by whoever is at work.
type Turn = Arc<AsyncMutex<()>>;

impl City {
    /// Makes a city from a pack in a folder that holds none, and opens it.
    pub async fn create(options: &OpenOptions, pack_dir: &Path) -> Result<Self, CityError> {
        let pack = load(pack_dir)?;
        let folder = Folder::create(&options.dir, pack_dir, &pack.city.code)?;
        Self::wire(folder, pack, options).await
    }

    pub async fn open(options: &OpenOptions) -> Result<Self, CityError> {
        let folder = Folder::open(&options.dir)?;
        let pack = load(&folder.manifest.pack)?;
        Self::wire(folder, pack, options).await
    }

    /// Opens the folder's city, or makes one from `pack_dir`.
    pub async fn open_or_create(options: &OpenOptions, pack_dir: &Path) -> Result<Self, CityError> {
        match Folder::holds_city(&options.dir) {
            true => Self::open(options).await,
            false => Self::create(options, pack_dir).await,
        }
    }

    async fn wire(folder: Folder, pack: Pack, options: &OpenOptions) -> Result<Self, CityError> {
        scratch::empty(&folder.dir)?;
        let pack = Arc::new(with_own_datasets(pack));
        let target =
            options.records.clone().unwrap_or_else(|| folder.records_file().display().to_string());
        let records = Records::open(&target).await?;
        records.migrate(migrations()).await?;

        let lake = Lake::open(LakeOptions::new(folder.lake_dir())).await?;
        for contract in pack.datasets.values() {
            if contract.kind != DatasetKind::Register {
                lake.ensure_table(table_spec(contract)).await?;
            }
        }
        let blobs = Blobs::open(&folder.blobs_dir())?;
        let audit = Audit::open(&records);
        let secret = folder.secret()?;
        let registry = Arc::new(Registry::open(&records, &audit).await?.with_secret(&secret));
        registry.synchronise(&pack, Utc::now()).await?;
        let sharing = Arc::new(Sharing::open(&records, &audit, pack.clone()).await?);
        let events = Events::default();
        let told = events.clone();
        sharing.watch(Box::new(move |step| told.tell(CityEvent::Request(step))));
        let corrections = Arc::new(Corrections::open(&records, &audit, pack.clone()));
        let scenarios = Arc::new(Scenarios::open(&records, &audit, pack.clone()));
        let usage = UsageLog::start(records.clone(), UsageLogOptions::default());
        let registers = Arc::new(Registers::open(&records, &audit));
        let stores = Arc::new(Stores {
            pack: pack.clone(),
            lake: lake.clone(),
            registry: registry.clone(),
            registers: registers.clone(),
            sharing: sharing.clone(),
            audit: audit.clone(),
            newest: Kept::for_times(KEPT_SHARE),
            asked: AtomicU64::new(0),
            over: Mutex::default(),
            live: Arc::default(),
            live_file: folder.dir.join(KEEP_FILE),
            plausible: Plausibility::default(),
            census: Census::default(),
        });
        let catalog = Catalog::open(
            pack.clone(),
            stores.clone(),
            CatalogOptions {
                secret: secret.to_vec(),
                limits: options.limits.clone().unwrap_or_default(),
                grants: sharing.clone(),
                overlays: scenarios.clone(),
                events: Arc::new(audit.clone()),
            },
        )?;
        let sink: Arc<dyn UsageSink> = Arc::new(usage.clone());
        let atlas = Arc::new(Atlas::new(catalog.clone(), sink.clone(), AtlasLimits::default()));
        let city = Self {
            folder,
            pack,
            lake,
            blobs,
            saved: SavedQueries::open(&records, &audit),
            records,
            audit,
            registry,
            registers,
            events,
            sharing,
            corrections,
            scenarios,
            usage_sink: sink,
            usage,
            stores,
            catalog,
            atlas,
            turns: Mutex::default(),
            statistics: Kept::for_times(STATISTICS_SHARE),
            used: Kept::for_times(USE_SHARE),
            answers: Answers::default(),
            sta: Sta::default(),
            coverages: Coverages::default(),
            mapping: Mapping::default(),
            source_secrets: options.source_secrets.clone(),
            login_secret: Sha256::new()
                .chain_update(secret)
                .chain_update(b"salts of names that nobody has")
                .finalize()
                .to_vec(),
        };
        city.ensure_operator().await?;
        Ok(city)
    }

    async fn ensure_operator(&self) -> Result<(), CityError> {
        match self.registry.user(OPERATOR).await {
            Ok(_) => return Ok(()),
            Err(RegistryError::UnknownUser(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let role = self.pack.roles.iter().find(|role| role.id == OPERATOR_ROLE);
        let user = NewUser {
            name: OPERATOR.to_owned(),
            organisation: self.pack.city.operator.clone(),
            roles: role
                .or(self.pack.roles.first())
                .map(|role| role.id.clone())
                .into_iter()
                .collect(),
            areas: vec![self.pack.city.code.clone()],
            password: None,
        };
        self.registry.create_user("city", user, &self.pack, Utc::now()).await?;
        Ok(())
    }

    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// What the session sees of a dataset whose places it may see, one by one; `None` where it
    /// may not, or where there are none.
    pub async fn places(
        &self,
        session: &Session,
        dataset: &str,
    ) -> Result<Option<Sight>, CityError> {
        self.atlas.places(session, self.contract(dataset)?).await
    }

    /// The packed features of a dataset as the session sees them; `None` where it may not see
    /// single rows of it with their places.
    pub async fn features(
        &self,
        session: &Session,
        spec: &LayerSpec,
    ) -> Result<Option<Arc<Shown>>, CityError> {
        let contract = self.contract(&spec.dataset)?;
        self.atlas.features(session, contract, spec).await
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub fn registers(&self) -> &Arc<Registers> {
        &self.registers
    }

    pub fn saved_queries(&self) -> &SavedQueries {
        &self.saved
    }

    pub fn events(&self) -> &Events {
        &self.events
    }

    pub fn sharing(&self) -> &Arc<Sharing> {
        &self.sharing
    }

    pub fn scenarios(&self) -> &Arc<Scenarios> {
        &self.scenarios
    }

    pub fn corrections(&self) -> &Arc<Corrections> {
        &self.corrections
    }

    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    pub fn usage(&self) -> &UsageLog {
        &self.usage
    }

    pub(crate) fn usage_sink(&self) -> &dyn UsageSink {
        self.usage_sink.as_ref()
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn dir(&self) -> &Path {
        &self.folder.dir
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn contract(&self, dataset: &str) -> Result<&Contract, CityError> {
        self.pack.datasets.get(dataset).ok_or_else(|| {
            let domain = dataset.split('.').next().unwrap_or_default();
            let near: Vec<&str> = self
                .pack
                .datasets
                .keys()
                .filter(|id| id.starts_with(domain))
                .map(String::as_str)
                .collect();
            let hint = match near.is_empty() {
                true => String::new(),
                false => format!("; did you mean {}?", near.join(" or ")),
            };
            CityError::UnknownDataset(dataset.to_owned(), hint)
        })
    }

    /// A session for a user of the city.
    pub async fn session(&self, user: &str, surface: Surface) -> Result<Session, CityError> {
        let principal = Arc::new(self.registry.principal(user, &self.pack).await?);
        Ok(Session { principal, as_of: None, scenario: None, surface })
    }

    pub async fn query(
        &self,
        session: &Session,
        sql: &str,
        params: &[ScalarValue],
    ) -> Result<Answer, CityError> {
        Ok(catalog::usage::query(&self.catalog, session, sql, params, &self.usage_sink).await?)
    }

    /// A dataset's rows, ungoverned.
    pub(crate) async fn raw_table(
        &self,
        dataset: &str,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Arc<dyn TableProvider>, CityError> {
        Ok(self.stores.table(dataset, as_of).await?)
    }

    /// Appends, waiting while the lake is full. True: the producer had appended this before.
    pub(crate) async fn append_waiting(
        &self,
        dataset: &str,
        rows: RecordBatch,
        producer: Option<Producer>,
    ) -> Result<bool, CityError> {
        for _ in 0..ROOM_TRIES_MAX {
            match self.lake.append(dataset, rows.clone(), producer.clone()).await {
                Ok(ack) => return Ok(ack.duplicate),
                Err(error) if error.is_back_pressure() => tokio::time::sleep(ROOM_WAIT).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(CityError::Invalid(format!(
            "the lake made no room for {dataset} in a minute: its disk is too slow or full; run \
             the import again, it goes on where it stopped"
        )))
    }

    pub(crate) fn source_secrets(&self) -> Option<&Path> {
        self.source_secrets.as_deref()
    }

    pub(crate) fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// What is known of each Datastream without a scan.
    pub(crate) fn live(&self) -> &Live {
        &self.stores.live
    }

    /// The lock of one kind of work on a dataset.
    pub(crate) fn turn(&self, work: Work, dataset: &str) -> Arc<AsyncMutex<()>> {
        let mut turns = self.turns.lock().expect("no one panics while holding the turns");
        turns.entry((work, dataset.to_owned())).or_default().clone()
    }

    /// Makes the salts shown to names that nobody has: the same ones for as long as the folder
    /// lives.
    pub fn login_secret(&self) -> &[u8] {
        &self.login_secret
    }

    pub(crate) async fn record_import(
        &self,
        user: &str,
        summary: &ImportSummary,
    ) -> Result<(), CityError> {
        let owner = &self.contract(&summary.dataset)?.owner;
        let detail = serde_json::to_value(summary).expect("a summary of plain fields serialises");
        let event = Event::new(user, owner, "import", &summary.dataset).detail(detail);
        self.audit.record(event).await?;
        Ok(())
    }

    /// Notes an import that failed: rows may have been taken before it did.
    pub(crate) async fn record_failed_import(
        &self,
        user: &str,
        contract: &Contract,
        file: &str,
        error: &CityError,
    ) -> Result<(), CityError> {
        let detail = serde_json::json!({ "file": file, "error": error.to_string() });
        let event = Event::new(user, &contract.owner, "import", &contract.id);
        self.audit.record(event.outcome(Outcome::Failed).detail(detail)).await?;
        Ok(())
    }

    /// The end of the audit as it was when the folder was last left in order: rows dropped from
    /// the records' end since then are missed by it.
    pub fn audit_anchor(&self) -> Result<Option<Head>, CityError> {
        match self.folder.read_anchor()? {
            Some(text) => Ok(Some(text.parse()?)),
            None => Ok(None),
        }
    }

    /// Moves the anchor to the audit's present end. An audit that no longer passes through the
    /// anchor was cut or rewritten: then it stays, for `verify` to find that out at any time later.
    async fn move_anchor(&self) -> Result<(), CityError> {
        let head = self.audit.head().await?;
        if let Some(anchor) = self.audit_anchor()?
            && anchor.count > 0
        {
            let rows = self.audit.page(anchor.count - 1, 1).await?;
            let passes = |row: &_| is_anchored(row, &anchor);
            if !rows.first().is_some_and(passes) {
                tracing::error!(
                    "the audit no longer has the row that audit.anchor names: see `shujin audit \
                     verify`"
                );
                return Ok(());
            }
        }
        self.folder.write_anchor(&head.to_string())
    }

    /// Seals, compacts, drops what has outlived its retention, vacuums.
    pub async fn maintain(&self, dataset: Option<&str>) -> Result<(), CityError> {
        for contract in self.pack.datasets.values() {
            let wanted = dataset.is_none_or(|wanted| wanted == contract.id);
            if wanted && contract.kind != DatasetKind::Register {
                self.lake.maintain(&contract.id).await?;
            }
        }
        Ok(())
    }

    /// Writes what is still in memory and lets go of the folder.
    pub async fn close(self) -> Result<(), CityError> {
        self.sharing.expire_due(Utc::now()).await?;
        self.usage.flush().await;
        self.audit.flush().await?;
        self.move_anchor().await?;
        if let Err(error) = self.stores.keep_live().await {
            tracing::warn!(%error, "the memory of datastreams was not kept: it is made up anew");
        }
        self.lake.close().await?;
        self.records.close().await?;
        Ok(())
    }
}

/// The migrations of every crate that keeps records.
pub(crate) fn migrations() -> Migrations {
    let mut migrations = catalog::records::migrations();
    migrations.extend(registry::migrations());
    migrations.extend(catalog::records::later_migrations());
    migrations
}

fn is_anchored(row: &catalog::records::audit_entry::Model, anchor: &Head) -> bool {
    row.seq == anchor.count && row.hash == anchor.hash
}

fn load(dir: &Path) -> Result<Pack, CityError> {
    pack::load(dir).map_err(|diagnostics| CityError::Pack(diagnostics.to_string()))
}

/// The pack with the datasets that every city has.
fn with_own_datasets(mut pack: Pack) -> Pack {
    for contract in pack::platform::contracts(&pack.city.operator) {
        pack.datasets.insert(contract.id.clone(), contract);
    }
    pack.policies.extend(pack::platform::policies(&pack.roles));
    pack
}

fn table_spec(contract: &Contract) -> TableSpec {
    let mode = match contract.kind {
        DatasetKind::Snapshot => Mode::Upsert { key: contract.key.clone() },
        DatasetKind::Stream | DatasetKind::Register => Mode::Append,
    };
    // The series first, then its time: what a point read asks for lies together.
    let mut sort: Vec<String> =
        contract.key.iter().filter(|name| Some(*name) != contract.time.as_ref()).cloned().collect();
    sort.extend(contract.time.clone());
    let retention = contract
        .retention_days
        .zip(contract.time.clone())
        .map(|(days, column)| Retention { column, days });
    TableSpec { name: contract.id.clone(), schema: contract.arrow_schema(), mode, sort, retention }
}
