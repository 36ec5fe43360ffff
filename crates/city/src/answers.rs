//! Answers to the questions of boards, kept and shared between sessions that see exactly the same.
//!
//! ```text
//!  session ─► sights of the datasets read ─► desk: an answer under equal sights? ─► Answered
//!                                                └─ no: one asks, the others wait ─┘
//! ```
//!
//! A hundred readers of a board are few sights. An answer goes from one to another only where all
//! that decides its rows and values is equal, rows read were read under rules that stood from
//! before the first to after the last, and neither a scenario nor a past moment was asked about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use catalog::{Session, Sight};
use pack::{DatasetKind, Field};
use tokio::sync::Mutex as AsyncMutex;

use crate::{City, CityError};

/// Answers kept at once.
const ANSWERS_MAX: usize = 2_000;
/// Memory of all of them; those unused for longest go first.
const ANSWERS_BYTES_MAX: usize = 64 << 20;
/// An answer is given anew after so long whatever became of its rows: it may ask the clock.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);
/// An answer of older rows of streams is shown for so many times as long as it took, so that a
/// question about what is being fed is not asked anew for each reader.
const STALE_SHARE: u32 = 2;
/// Who has waited so long for another's answer asks for themselves: the other may be held up by
/// questions of their own.
const TURN_WAIT_MAX: Duration = Duration::from_millis(500);

/// Rows that a question was answered with.
#[derive(Debug)]
pub struct Answered {
    pub schema: SchemaRef,
    pub rows: Vec<RecordBatch>,
    /// There were more rows.
    pub cut: bool,
    /// For each column the field that it shows unchanged, where there is one.
    pub fields: Vec<Option<Field>>,
    /// Every dataset read.
    pub datasets: BTreeSet<String>,
    /// Fields of each that had any part in the answer.
    pub used: BTreeMap<String, BTreeSet<String>>,
}

impl Answered {
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// What a session sees of each dataset of a question.
type Sights = Vec<Sight>;

fn same(these: &Sights, those: &Sights, holds: fn(&Sight, &Sight) -> bool) -> bool {
    these.len() == those.len() && these.iter().zip(those).all(|(one, other)| holds(one, other))
}

fn epochs_stand(before: &Sights, after: &Sights) -> bool {
    same(before, after, |one, other| one.epoch == other.epoch && one.same_rules(other))
}

#[derive(Debug)]
struct Kept {
    answered: Arc<Answered>,
    sights: Sights,
    since: Instant,
    took: Duration,
}

/// Who asks, as far as an answer may be theirs.
struct Asker<'a> {
    sights: &'a Sights,
    at: Instant,
    /// Every dataset is a stream: whoever looks at one looks at a moment ago. Who has edited a
    /// row sees it edited.
    streams: bool,
}

impl Kept {
    fn good_for(&self, asker: &Asker<'_>) -> bool {
        let age = self.since.elapsed();
        // One that was begun after it was asked for is as new as one's own.
        let new_enough = self.since >= asker.at || asker.streams && age < self.took * STALE_SHARE;
        age < ANSWER_AGE_MAX
            && (same(&self.sights, asker.sights, Sight::alike)
                || new_enough && same(&self.sights, asker.sights, Sight::same_rules))
    }
}

/// The place of one question as those see it who see the same.
#[derive(Debug)]
struct Place {
    /// Of whoever asked first: its rules are those of all who come here.
    sights: Sights,
    kept: Mutex<Option<Kept>>,
    /// Held by whoever asks.
    turn: AsyncMutex<()>,
    used: AtomicU64,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().expect("no one panics while holding an answer")
    }

    fn good_for(&self, asker: &Asker<'_>) -> Option<Arc<Answered>> {
        let kept = self.lock();
        kept.as_ref().filter(|kept| kept.good_for(asker)).map(|kept| kept.answered.clone())
    }

    fn bytes(&self) -> usize {
        self.lock().as_ref().map_or(0, |kept| kept.answered.bytes())
    }
}

#[derive(Debug, Default)]
struct Desk {
    /// Which datasets a question reads: the same ones whoever asks.
    datasets: HashMap<String, Arc<BTreeSet<String>>>,
    places: HashMap<String, Vec<Arc<Place>>>,
}

/// The answers of a city's boards.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    desk: Mutex<Desk>,
    clock: AtomicU64,
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no one panics while holding the desk")
    }

    fn datasets(&self, sql: &str) -> Option<Arc<BTreeSet<String>>> {
        self.lock().datasets.get(sql).cloned()
    }

    /// What reads no dataset is never shared: nothing says what decides it.
    fn learn(&self, sql: &str, datasets: &BTreeSet<String>) {
        let mut desk = self.lock();
        if datasets.is_empty() {
            return;
        }
        if desk.datasets.len() >= ANSWERS_MAX {
            desk.datasets.clear();
        }
        desk.datasets.entry(sql.to_owned()).or_insert_with(|| Arc::new(datasets.clone()));
    }

    fn place(&self, sql: &str, sights: &Sights) -> Arc<Place> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut desk = self.lock();
        let places = desk.places.entry(sql.to_owned()).or_default();
        let found = places.iter().find(|place| same(&place.sights, sights, Sight::same_rules));
        if let Some(place) = found {
            place.used.store(now, Ordering::Relaxed);
            return place.clone();
        }
        let (kept, turn) = (Mutex::default(), AsyncMutex::default());
        let sights = sights.clone();
        let place = Arc::new(Place { sights, kept, turn, used: AtomicU64::new(now) });
        places.push(place.clone());
        desk.trim(ANSWERS_MAX, ANSWERS_BYTES_MAX);
        place
    }

    /// Keeps an answer. One that is given anew is about as large as the one before: only a first
    /// one makes others go.
    fn keep(&self, place: &Place, kept: Kept) {
        let first = place.lock().replace(kept).is_none();
        if first {
            self.lock().trim(ANSWERS_MAX, ANSWERS_BYTES_MAX);
        }
    }
}

impl Desk {
    /// Lets go of what was unused for longest until the rest fits.
    fn trim(&mut self, answers_max: usize, bytes_max: usize) {
        let mut all: Vec<(u64, usize)> = (self.places.values().flatten())
            .map(|place| (place.used.load(Ordering::Relaxed), place.bytes()))
            .collect();
        all.sort_unstable_by_key(|(used, _)| std::cmp::Reverse(*used));
        let mut bytes = 0;
        let fits = |(_, more): &&(u64, usize)| {
            bytes += more;
            bytes <= bytes_max
        };
        let fit = all.iter().take(answers_max).take_while(fits).count();
        let Some((oldest, _)) = fit.checked_sub(1).map(|last| all[last]) else {
            self.places.clear();
            return;
        };
        if fit < all.len() {
            self.places.retain(|_, places| {
                places.retain(|place| place.used.load(Ordering::Relaxed) >= oldest);
                !places.is_empty()
            });
        }
    }
}

impl City {
    /// The answer to a question of the pack: a kept one where there is one as good. True: it was
    /// kept.
    pub(crate) async fn answered(
        &self,
        session: &Session,
        sql: &str,
    ) -> Result<(Arc<Answered>, bool), CityError> {
        let at = Instant::now();
        let datasets = match session.scenario.is_none() && session.as_of.is_none() {
            true => self.answers.datasets(sql),
            false => return Ok((Arc::new(self.ask(session, sql).await?), false)),
        };
        let sights = match &datasets {
            Some(datasets) => self.sights(session, datasets).await?,
            None => None,
        };
        let Some(sights) = sights else {
            // Nobody knows yet what it reads, or it reads what the asker may not: it will say so.
            let answered = self.ask(session, sql).await?;
            self.answers.learn(sql, &answered.datasets);
            return Ok((Arc::new(answered), false));
        };
        let place = self.answers.place(sql, &sights);
        let asker = Asker { sights: &sights, at, streams: self.are_streams(&sights) };
        if let Some(answered) = place.good_for(&asker) {
            return Ok((answered, true));
        }
        let turn = tokio::time::timeout(TURN_WAIT_MAX, place.turn.lock()).await;
        if let Some(answered) = place.good_for(&asker) {
            return Ok((answered, true));
        }
        let since = Instant::now();
        let answered = Arc::new(self.ask(session, sql).await?);
        let after = self.sights(session, &answered.datasets).await?;
        // Rows may have been read under the rules of a moment between: then they are the asker's.
        if turn.is_ok() && after.is_some_and(|after| epochs_stand(&sights, &after)) {
            let (answered, took) = (answered.clone(), since.elapsed());
            self.answers.keep(&place, Kept { answered, sights, since, took });
        }
        Ok((answered, false))
    }

    fn are_streams(&self, sights: &Sights) -> bool {
        let kind = |sight: &Sight| self.pack().datasets.get(&sight.dataset).map(|found| found.kind);
        sights.iter().all(|sight| kind(sight) == Some(DatasetKind::Stream))
    }

    /// What the session sees of each dataset; none where it sees nothing of one.
    async fn sights(
        &self,
        session: &Session,
        datasets: &BTreeSet<String>,
    ) -> Result<Option<Sights>, CityError> {
        let mut sights = Sights::with_capacity(datasets.len());
        for dataset in datasets {
            let contract = self.contract(dataset)?;
            match self.catalog().sight(session, contract).await? {
                Some(sight) => sights.push(sight),
                None => return Ok(None),
            }
        }
        Ok(Some(sights))
    }
}
