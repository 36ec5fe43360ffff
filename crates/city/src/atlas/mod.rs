//! Features packed for the map, kept in memory: what one session sees of one dataset, shared by
//! all sessions that see exactly the same.
//!
//! ```text
//!  session ─► sight (rows, fields, masks) ─► shelf: a layer of an equal sight? ─► Shown
//!                                                 └─ no: governed SQL ─► spatial::Builder ─┘
//! ```
//!
//! Rows come through governed SQL alone, under the asker's own session. A layer is shared only
//! between sights that are equal in everything that decides rows and values, and it is made under
//! rules that stood from before its first row to after its last.

mod build;
mod queue;
mod shelf;

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::usage::UsageSink;
use catalog::{Catalog, Session, Sight};
use pack::{Contract, Zooms};
use spatial::Layer;
use tokio::sync::oneshot;

use crate::CityError;
use queue::Queue;
use shelf::{Shelf, Slot};

/// Tries to make a layer while access rules keep changing under it.
const BUILD_TRIES_MAX: usize = 3;
/// Rows that move with the clock are read anew after so long.
const MOVING_AGE_MAX: Duration = Duration::from_secs(10);
/// A layer of older rows is shown for so many times as long as it took to make, so that a dataset
/// that is being fed is not read anew for each tile.
const STALE_SHARE: u32 = 2;

/// Memory for packed features.
#[derive(Debug, Clone)]
pub struct AtlasLimits {
    /// All layers of now together; the ones unused for longest go first. Layers of the past have
    /// what these leave of it, and one of them in any case.
    pub bytes_max: usize,
    /// One layer.
    pub layer_bytes_max: usize,
    pub layer_features_max: usize,
    /// Layers of now kept at once.
    pub layers_max: usize,
    /// Layers of moments in the past: two maps' worth, however many moments are asked about.
    pub past_layers_max: usize,
}

impl Default for AtlasLimits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            bytes_max: 1_280 * MIB,
            layer_bytes_max: 768 * MIB,
            layer_features_max: 5_000_000,
            layers_max: 500,
            past_layers_max: 24,
        }
    }
}

/// What of a dataset is packed, and how. Two specs of one id are the same.
#[derive(Debug, Clone, Default)]
pub struct LayerSpec {
    pub id: String,
    pub dataset: String,
    /// Fields beside the key, in order; those that the session does not see are left out.
    pub fields: Vec<String>,
    pub minzoom: u8,
    pub as_labels: bool,
    /// The field that labels are written from: without a value there is none.
    pub label: Option<String>,
    pub zooms: Option<Zooms>,
    pub rank: Option<String>,
}

impl LayerSpec {
    /// A layer of the pack's map.
    pub fn of(layer: &pack::Layer) -> Self {
        let titles = layer.title_field.iter().chain(&layer.title_field_en);
        let class = layer.zooms.iter().map(|zooms| &zooms.field);
        let as_labels = layer.shape == pack::LayerShape::Label;
        Self {
            id: format!("map/{}", layer.id),
            dataset: layer.dataset.clone(),
            fields: titles.chain(class).chain(&layer.fields).chain(&layer.rank).cloned().collect(),
            minzoom: layer.minzoom,
            as_labels,
            label: layer.title_field.clone().filter(|_| as_labels),
            zooms: layer.zooms.clone(),
            rank: layer.rank.clone(),
        }
    }
}

/// A layer as one sight shows it.
#[derive(Debug)]
pub struct Shown {
    pub layer: Layer,
    /// Names this very layer: another one, of the same rows even, has another stamp.
    pub stamp: String,
    pub sight: Sight,
    since: Instant,
    took: Duration,
}

impl Shown {
    /// Whether it may still be shown to who sees as `sight` says.
    fn good_for(&self, sight: &Sight) -> bool {
        let age = self.since.elapsed();
        if self.sight.moving() && age > MOVING_AGE_MAX {
            return false;
        }
        self.sight.alike(sight) || self.sight.same_rules(sight) && age < self.took * STALE_SHARE
    }
}

/// The layers of a city.
#[derive(Debug)]
pub(crate) struct Atlas {
    catalog: Arc<Catalog>,
    usage: Arc<dyn UsageSink>,
    shelf: Shelf,
    limits: AtlasLimits,
    queue: Queue,
}

impl Atlas {
    pub fn new(catalog: Arc<Catalog>, usage: Arc<dyn UsageSink>, limits: AtlasLimits) -> Self {
        let shelf = Shelf::new(&limits);
        Self { catalog, usage, shelf, limits, queue: Queue::default() }
    }

    /// What the session sees of a dataset whose places it may see, one by one.
    pub async fn places(
        &self,
        session: &Session,
        contract: &Contract,
    ) -> Result<Option<Sight>, CityError> {
        let Some(geometry) = &contract.geometry else { return Ok(None) };
        let Some(sight) = self.catalog.sight(session, contract).await? else { return Ok(None) };
        // Groups have no places, and a place that is masked is none.
        Ok((sight.min_cell.is_none() && sight.plain(geometry)).then_some(sight))
    }

    pub async fn features(
        self: &Arc<Self>,
        session: &Session,
        contract: &Contract,
        spec: &LayerSpec,
    ) -> Result<Option<Arc<Shown>>, CityError> {
        let Some(sight) = self.places(session, contract).await? else { return Ok(None) };
        let slot = match self.shelf.find(&spec.id, &sight) {
            Slot::Ready(shown) => return Ok(Some(shown)),
            Slot::Empty(cell) => cell,
        };
        // In a task of its own: once it is being made, who asked may go away, others wait for the
        // same layer. Before that nobody makes what nobody waits for; the next who does has a turn.
        let (asker, here) = oneshot::channel();
        let (atlas, session) = (self.clone(), session.clone());
        let (contract, spec) = (contract.clone(), spec.clone());
        let work = tokio::spawn(async move {
            let make = || atlas.make(&session, &contract, &spec, sight, asker);
            let made = slot.get_or_try_init(make).await.cloned();
            match &made {
                Ok(_) => atlas.shelf.trim(),
                Err(_) => atlas.shelf.give_up(slot),
            }
            made
        });
        let made = work.await.map_err(build::broken)?;
        drop(here);
        match made? {
            shelf::Made::Shown(shown) => Ok(Some(shown)),
            shelf::Made::Refused(reason) => Err(CityError::TooLarge(reason)),
        }
    }

    async fn make(
        &self,
        session: &Session,
        contract: &Contract,
        spec: &LayerSpec,
        mut sight: Sight,
        asker: oneshot::Sender<()>,
    ) -> Result<shelf::Made, CityError> {
        let (user, past) = (&session.principal.user, session.as_of.is_some());
        let _turn = self.queue.turn(user, past, asker).await?;
        for _ in 0..BUILD_TRIES_MAX {
            let started = Instant::now();
            let built = self.build(session, contract, spec, &sight).await?;
            // Rows were read under the rules of a moment between: they must be those of the sight.
            match self.catalog.sight(session, contract).await? {
                Some(now) if now.epoch == sight.epoch && now.same_rules(&sight) => {
                    return Ok(match built {
                        Ok(layer) => shelf::Made::Shown(Arc::new(Shown {
                            layer,
                            stamp: shelf::stamp(),
                            sight,
                            since: started,
                            took: started.elapsed(),
                        })),
                        Err(error) => shelf::Made::Refused(format!("{}: {error}", contract.id)),
                    });
                }
                // The slot is the first sight's: under other rules nothing may be put in it.
                Some(now) if now.same_rules(&sight) => sight = now,
                _ => break,
            }
        }
        Err(CityError::Busy("access rules are changing: try again".to_owned()))
    }
}
