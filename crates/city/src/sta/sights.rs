//! What principals see of the sensing datasets, kept for as long as the rules stand, so that rows
//! just written can be shown to many without asking for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use catalog::{Principal, Session, Sight};
use pack::access::{Action, Thing};

use crate::{City, CityError};

/// Sights that are kept at once. All are looked up again when there are more.
const SIGHTS_MAX: usize = 8_192;
/// And each for so long: a grant ends by the clock, which moves no epoch.
const KEPT_SECONDS: u64 = 5;

/// What one principal sees of one dataset.
#[derive(Debug)]
pub struct StaSight {
    /// Of two sights with one number the answers are the same.
    pub(super) number: u64,
    /// None where nothing is seen of it, or not all of a row.
    sight: Option<Sight>,
}

impl StaSight {
    /// Which of these rows, in the contract's schema, are seen as they are.
    pub fn sees(&self, rows: &RecordBatch) -> Result<BooleanArray, CityError> {
        match &self.sight {
            Some(sight) => Ok(sight.keeps(rows)?),
            None => Ok(BooleanArray::from(vec![false; rows.num_rows()])),
        }
    }

    /// Whether what is seen changes by itself as time goes on.
    pub(super) fn moves(&self) -> bool {
        self.sight.as_ref().is_some_and(Sight::moving)
    }

    /// Whether the same is seen as by what was found now.
    fn is_still(&self, found: Option<&Sight>) -> bool {
        match (&self.sight, found) {
            (Some(kept), Some(found)) => kept.same_rules(found),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Kept under the principal's address, which nobody else has while it is held here.
#[derive(Debug, Default)]
pub(super) struct Sights(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    kept: HashMap<(usize, String), Kept>,
    last: u64,
}

#[derive(Debug)]
struct Kept {
    _principal: Arc<Principal>,
    epoch: u64,
    since: Instant,
    sight: Arc<StaSight>,
}

impl Kept {
    fn stands(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.since.elapsed() < Duration::from_secs(KEPT_SECONDS)
    }
}

impl City {
    /// Moves whenever what somebody sees may have changed.
    pub fn sight_epoch(&self) -> u64 {
        // Both only grow, so their sum moves when either does.
        self.registry().version() + self.sharing().policy_epoch()
    }

    /// What the session's principal sees of a dataset now.
    pub async fn sta_sight(
        &self,
        session: &Session,
        dataset: &str,
    ) -> Result<Arc<StaSight>, CityError> {
        let key = (Arc::as_ptr(&session.principal).addr(), dataset.to_owned());
        let (epoch, since) = (self.sight_epoch(), Instant::now());
        {
            let book = self.sta.sights.0.lock().expect("no one panics while holding the sights");
            if let Some(kept) = book.kept.get(&key).filter(|kept| kept.stands(epoch)) {
                return Ok(kept.sight.clone());
            }
        }
        let contract = self.contract(dataset)?;
        let found = self.catalog().sight(session, contract).await?;
        // A row with a masked field is not passed on: whoever wants the rest asks for it.
        let whole = |sight: &Sight| contract.fields.iter().all(|field| sight.plain(&field.name));
        let sight = found.filter(whole);
        let mut book = self.sta.sights.0.lock().expect("no one panics while holding the sights");
        let before = book.kept.get(&key).map(|kept| kept.sight.clone());
        let same = before.filter(|before| before.is_still(sight.as_ref()));
        if book.kept.len() >= SIGHTS_MAX {
            book.kept.clear();
        }
        let sight = match same {
            // What was remembered of rows by its number holds.
            Some(same) => same,
            None => {
                book.last += 1;
                Arc::new(StaSight { number: book.last, sight })
            }
        };
        let principal = session.principal.clone();
        let kept = Kept { _principal: principal, epoch, since, sight: sight.clone() };
        book.kept.insert(key, kept);
        Ok(sight)
    }

    /// Whether the session's principal may ask at all, as the face of every question does.
    pub fn sta_may_ask(&self, session: &Session) -> Result<(), CityError> {
        let principal = &session.principal;
        match self.catalog().asker(principal).may(Action::Query, Thing::Platform) {
            true => Ok(()),
            false => Err(CityError::Refused(pack::access::denial(&principal.user, Action::Query))),
        }
    }

    /// The same, to bring something in.
    pub fn sta_may_sense(&self, session: &Session) -> Result<(), CityError> {
        self.may_sense(session)
    }
}
