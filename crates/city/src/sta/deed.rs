//! What one request does, or one change set: who, why and when, and what is done of it so far, so
//! that what fails halfway is taken back.

use std::sync::Mutex;

use arrow::record_batch::RecordBatch;
use catalog::Session;
use chrono::{DateTime, Utc};
use sensing::plan::ObservationKey;

use super::columns::Terms;
use super::sheet::Sheet;
use crate::{City, CityError};

/// The reason that stands beside each version of a row where nobody gave another.
const REASON: &str = "SensorThings";
/// And beside one that is as it was before something that failed.
const UNDONE: &str = "SensorThings: taken back, because what it was part of failed";
/// Characters of a reason, as for edits of registers.
const REASON_CHARS_MAX: usize = 500;

/// One request's writing, or one change set's.
#[derive(Debug)]
pub struct StaDeed {
    pub(super) session: Session,
    pub(super) reason: String,
    pub(super) now: DateTime<Utc>,
    done: Mutex<Vec<Done>>,
}

#[derive(Debug)]
enum Done {
    Rows(Vec<Undo>),
    Observed(Vec<(ObservationKey, Terms)>),
}

/// How a row was before it was written, and the version that it stands at since, if it does.
#[derive(Debug)]
pub(super) struct Undo {
    pub dataset: &'static str,
    pub key: String,
    pub before: Option<RecordBatch>,
    pub after: Option<i64>,
}

impl StaDeed {
    /// What the session's principal does. A reason is kept beside every row that it writes.
    pub fn new(session: &Session, reason: Option<&str>) -> Result<Self, CityError> {
        let reason = reason.map_or(REASON, str::trim);
        let chars = reason.chars().count();
        if chars == 0 || chars > REASON_CHARS_MAX {
            let problem = format!("a reason has 1 to {REASON_CHARS_MAX} characters");
            return Err(CityError::Invalid(problem));
        }
        Ok(Self::because(session, reason))
    }

    /// For what needs no reason of its own.
    pub(super) fn of(session: &Session) -> Self {
        Self::because(session, REASON)
    }

    fn because(session: &Session, reason: &str) -> Self {
        Self {
            session: session.clone(),
            reason: reason.to_owned(),
            now: Utc::now(),
            done: Mutex::default(),
        }
    }

    fn note(&self, done: Done) {
        self.done.lock().expect("no one panics while holding what is done").push(done);
    }

    pub(super) fn note_rows(&self, rows: Vec<Undo>) {
        self.note(Done::Rows(rows));
    }

    pub(super) fn note_observed(&self, observed: Vec<(ObservationKey, Terms)>) {
        self.note(Done::Observed(observed));
    }

    /// The observations that were noted last were not taken.
    pub(super) fn observed_none(&self) {
        let mut done = self.done.lock().expect("no one panics while holding what is done");
        done.pop_if(|done| matches!(done, Done::Observed(_)));
    }
}

impl City {
    /// Takes back what was done. Rows are as they were before, in versions of their own, so that
    /// the history has both; observations are taken away. Where somebody else has changed one of
    /// the rows meanwhile, all of it stays: that is an error.
    pub async fn sta_undo(&self, deed: &StaDeed) -> Result<(), CityError> {
        let done = {
            let mut done = deed.done.lock().expect("no one panics while holding what is done");
            std::mem::take(&mut *done)
        };
        let mut sheet = Sheet::of(self);
        let undoing = StaDeed::because(&deed.session, UNDONE);
        for done in done.into_iter().rev() {
            match done {
                Done::Rows(rows) => rows.into_iter().for_each(|row| sheet.restore(row)),
                Done::Observed(observed) => {
                    for (key, terms) in observed {
                        self.strike(&undoing, &mut sheet, key, &terms).await?;
                    }
                }
            }
        }
        sheet.write(&undoing, "undo").await
    }

    /// What came of a deed of one request: all of it, or nothing where it failed.
    pub(super) async fn whole<T>(
        &self,
        deed: &StaDeed,
        came: Result<T, CityError>,
    ) -> Result<T, CityError> {
        match came {
            Ok(value) => Ok(value),
            Err(error) => {
                if let Err(stays) = self.sta_undo(deed).await {
                    tracing::error!(%error, %stays, "what failed could not be taken back");
                }
                Err(error)
            }
        }
    }
}
