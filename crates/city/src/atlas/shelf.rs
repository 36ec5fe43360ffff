//! Where layers are kept: found by what they are of and by what of it is seen; the ones unused for
//! longest make room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use catalog::Sight;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{AtlasLimits, Shown};

/// What came of making a layer.
#[derive(Debug, Clone)]
pub(super) enum Made {
    Shown(Arc<Shown>),
    /// It is too large, and will be until its rows change.
    Refused(String),
}

/// A place for one layer, made once.
pub(super) type Cell = Arc<OnceCell<Made>>;

pub(super) enum Slot {
    Ready(Arc<Shown>),
    /// Nothing in it yet, or not what is wanted: whoever has it may have it filled.
    Empty(Cell),
}

#[derive(Debug)]
struct Kept {
    id: String,
    /// Of whoever asked for it first; what is in the cell says of itself how it was seen.
    sight: Sight,
    cell: Cell,
    used: u64,
}

#[derive(Debug)]
pub(super) struct Shelf {
    kept: Mutex<Vec<Kept>>,
    clock: AtomicU64,
    bytes_max: usize,
    layers_max: usize,
}

impl Shelf {
    pub fn new(limits: &AtlasLimits) -> Self {
        Self {
            kept: Mutex::default(),
            clock: AtomicU64::new(0),
            bytes_max: limits.bytes_max,
            layers_max: limits.layers_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().expect("no one panics while holding the shelf")
    }

    /// The layer for a sight, or the cell that it is to be put in.
    pub fn find(&self, id: &str, sight: &Sight) -> Slot {
        let mut kept = self.lock();
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut waiting = None;
        for entry in kept.iter_mut().filter(|entry| entry.id == id) {
            match entry.cell.get() {
                Some(Made::Shown(shown)) if shown.good_for(sight) => {
                    entry.used = now;
                    return Slot::Ready(shown.clone());
                }
                // What is being made will hold rows a moment old at most.
                None if entry.sight.same_rules(sight) => {
                    entry.used = now;
                    waiting = Some(entry.cell.clone());
                }
                Some(Made::Refused(_)) if entry.sight.alike(sight) => {
                    entry.used = now;
                    waiting = Some(entry.cell.clone());
                }
                _ => {}
            }
        }
        if let Some(cell) = waiting {
            return Slot::Empty(cell);
        }
        // Layers of rows as they were before have no more use, once these are here.
        kept.retain(|entry| entry.id != id || !entry.sight.same_rules(sight));
        let cell = Cell::default();
        kept.push(Kept { id: id.to_owned(), sight: sight.clone(), cell: cell.clone(), used: now });
        Slot::Empty(cell)
    }

    /// Takes away a cell that was not filled, with the last of those who would have filled it.
    pub fn give_up(&self, cell: Cell) {
        /// The shelf's own hold, and that of whoever gives up.
        const HOLDS: usize = 2;
        let mut kept = self.lock();
        kept.retain(|entry| {
            !Arc::ptr_eq(&entry.cell, &cell)
                || entry.cell.get().is_some()
                || Arc::strong_count(&cell) > HOLDS
        });
        // Let go under the lock: of two who give up at once the second is the last.
        drop(cell);
    }

    /// Lets go of what was unused for longest until the rest fits. Who is drawing from a layer
    /// keeps it until the tile is done.
    pub fn trim(&self) {
        let mut kept = self.lock();
        kept.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut bytes = 0;
        let mut count = 0;
        kept.retain(|entry| {
            if let Some(Made::Shown(shown)) = entry.cell.get() {
                bytes += shown.layer.bytes();
            }
            count += 1;
            // The newest stays, whatever it takes: it is within its own bound.
            count == 1 || (bytes <= self.bytes_max && count <= self.layers_max)
        });
    }
}

/// A name that no other layer has, of this process or one before.
pub(super) fn stamp() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(|| Uuid::now_v7().simple().to_string());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count:x}", PROCESS.as_str())
}
