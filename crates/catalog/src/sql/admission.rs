//! Who may run now, and with how much memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{LimitKind, Limits, SqlError};

/// Places for queries: so many in all, so many a principal.
#[derive(Debug)]
pub(super) struct Admission {
    all: Arc<Semaphore>,
    /// Only principals with a query running or waiting are in here.
    principals: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place, held until the answer's stream is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { all: Arc::new(Semaphore::new(limits.concurrent_max)), principals: Mutex::default() }
    }

    pub(super) async fn enter(&self, user: &str, limits: &Limits) -> Result<Place, SqlError> {
        let own = {
            let mut principals = self.principals.lock();
            // One strong count is the map's own: nobody of that principal is here any more.
            principals.retain(|_, places| {
                Arc::strong_count(places) > 1
                    || places.available_permits() < limits.concurrent_per_principal_max
            });
            let places = principals
                .entry(user.to_owned())
                .or_insert_with(|| Arc::new(Semaphore::new(limits.concurrent_per_principal_max)));
            Arc::clone(places)
        };
        // The principal's own place first: who waits for it must not hold one of everybody's.
        let wait = async {
            let own = own.acquire_owned().await.expect("the semaphore is never closed");
            let all =
                Arc::clone(&self.all).acquire_owned().await.expect("the semaphore is never closed");
            Place { _own: own, _all: all }
        };
        tokio::time::timeout(limits.admission_wait_max, wait).await.map_err(|_| {
            SqlError::limit(
                LimitKind::Concurrency,
                format!(
                    "no place within {:?}: at most {} queries at a time for one user, {} in all",
                    limits.admission_wait_max,
                    limits.concurrent_per_principal_max,
                    limits.concurrent_max
                ),
            )
        })
    }
}

/// Memory of one query inside the memory of all: each operator that can spill gets a fair share
/// of the query's, and no query takes what the process has not got.
#[derive(Debug)]
pub(super) struct QueryPool {
    query: FairSpillPool,
    limit: usize,
    process: Arc<ProcessMemory>,
}

#[derive(Debug)]
pub(super) struct ProcessMemory {
    used: AtomicUsize,
    limit: usize,
}

impl ProcessMemory {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    fn try_take(&self, bytes: usize) -> bool {
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.limit)
        });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "more memory given back than was taken");
    }
}

impl QueryPool {
    pub(super) fn new(limit: usize, process: Arc<ProcessMemory>) -> Self {
        Self { query: FairSpillPool::new(limit), limit, process }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryPool({} bytes)", self.limit)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.query.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.query.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        // Growth that cannot be refused is counted all the same: others get less.
        self.process.used.fetch_add(additional, Ordering::AcqRel);
        self.query.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.query.shrink(reservation, shrink);
        self.process.give_back(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.process.try_take(additional) {
            return Err(resources_datafusion_err!(
                "the process has no {additional} bytes left for queries"
            ));
        }
        let grown = self.query.try_grow(reservation, additional);
        if grown.is_err() {
            self.process.give_back(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.query.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}
