//! Where layers are kept: found by what they are of and by what of it is seen; the ones unused for
//! longest make room. Layers of the past make room for one another and for those of now, never the
//! other way round: there are as many moments as somebody cares to ask about.

use std::cmp::Reverse;
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

impl Kept {
    fn of_the_past(&self) -> bool {
        self.sight.as_of_us.is_some()
    }

    fn bytes(&self) -> usize {
        match self.cell.get() {
            Some(Made::Shown(shown)) => shown.layer.bytes(),
            _ => 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Shelf {
    kept: Mutex<Vec<Kept>>,
    clock: AtomicU64,
    limits: AtlasLimits,
}

impl Shelf {
    pub fn new(limits: &AtlasLimits) -> Self {
        Self { kept: Mutex::default(), clock: AtomicU64::new(0), limits: limits.clone() }
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
        kept.sort_unstable_by_key(|entry| (entry.of_the_past(), Reverse(entry.used)));
        let mut room = Room::new(&self.limits);
        kept.retain(|entry| room.take(entry.of_the_past(), entry.bytes()));
    }
}

/// The room on the shelf, given away layer by layer: those of now before those of the past, and of
/// each the last used first.
#[derive(Debug)]
struct Room<'a> {
    limits: &'a AtlasLimits,
    bytes: usize,
    now: usize,
    past: usize,
}

impl<'a> Room<'a> {
    fn new(limits: &'a AtlasLimits) -> Self {
        Self { limits, bytes: 0, now: 0, past: 0 }
    }

    /// Whether the next layer has a place.
    fn take(&mut self, past: bool, bytes: usize) -> bool {
        let (count, count_max) = match past {
            true => (&mut self.past, self.limits.past_layers_max),
            false => (&mut self.now, self.limits.layers_max),
        };
        *count += 1;
        self.bytes += bytes;
        // The newest stays, whatever it takes: it is within its own bound, and whoever has just
        // asked for it draws many tiles from it.
        *count == 1 || (self.bytes <= self.limits.bytes_max && *count <= count_max)
    }
}

/// A name that no other layer has, of this process or one before.
pub(super) fn stamp() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(|| Uuid::now_v7().simple().to_string());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count:x}", PROCESS.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many layers, of so many bytes each, keep their places.
    fn stay(room: &mut Room<'_>, past: bool, layers: usize, bytes: usize) -> usize {
        (0..layers).filter(|_| room.take(past, bytes)).count()
    }

    #[test]
    fn layers_of_the_past_put_none_of_now_away() {
        let limits = AtlasLimits { bytes_max: 100, layers_max: 10, ..AtlasLimits::default() };
        let mut room = Room::new(&limits);
        assert_eq!(stay(&mut room, false, 10, 9), 10);
        assert_eq!(stay(&mut room, true, 1_000, 5), 2, "what those of now leave");
        let mut room = Room::new(&limits);
        assert_eq!(stay(&mut room, false, 12, 9), 10);
        assert_eq!(stay(&mut room, true, 1_000, 5), 1, "the newest, in any case");
    }

    #[test]
    fn so_many_layers_of_the_past_are_kept() {
        let limits = AtlasLimits::default();
        let mut room = Room::new(&limits);
        assert_eq!(stay(&mut room, false, 3, 1), 3);
        assert_eq!(stay(&mut room, true, 1_000, 1), limits.past_layers_max);
    }

    #[test]
    fn the_newest_layer_stays_whatever_it_takes() {
        let limits = AtlasLimits { bytes_max: 100, ..AtlasLimits::default() };
        let mut room = Room::new(&limits);
        assert_eq!(stay(&mut room, false, 5, 150), 1);
    }
}
