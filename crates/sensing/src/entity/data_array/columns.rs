//! Observations as columns, and the rows that did not become one.

use super::super::REFUSALS_TOLD_MAX;
use super::super::fault::{At, Fault, Result};
use super::super::json::Json;
use super::super::model::{Observation, Outcome};
use super::super::observation_type::{ObservationType, check_elements};
use super::super::time::{Moment, Period, TimeObject};
use crate::odata::EntityId;
use crate::schema::EntityKind;

/// The stream that a group's observations are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Datastream or MultiDatastream.
    pub kind: EntityKind,
    pub id: EntityId,
}

/// The observations of one stream in a bulk.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its place in the body.
    pub index: usize,
    /// None where the group does not say it, which is its [`fault`](Self::fault).
    pub stream: Option<Stream>,
    /// As many as the body has, read or refused.
    pub rows: usize,
    pub observations: Observations,
    /// In order of their rows.
    pub refused: Vec<Refused>,
    /// Why no row of it could be read at all.
    pub fault: Option<Box<Fault>>,
}

/// A row that is no observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the group, from 0.
    pub row: usize,
    /// None where many rows were refused before it.
    pub fault: Option<Box<Fault>>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row<'a> {
    /// The observation's place in the columns.
    Read(usize),
    Refused(Option<&'a Fault>),
}

/// A column for each property. A column of something that no row has is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observations {
    /// Where an interval begins.
    pub phenomenon_time: Vec<Moment>,
    /// Of those that are intervals, by their place.
    pub phenomenon_end: Vec<(usize, Moment)>,
    /// NaN where the result is no number.
    pub result: Vec<f64>,
    /// Results that are no numbers, by their place.
    pub result_json: Vec<(usize, Json)>,
    pub result_time: Vec<Option<Moment>>,
    pub feature: Vec<Option<EntityId>>,
    /// What few observations have, by their place.
    pub result_quality: Vec<(usize, Json)>,
    pub valid_time: Vec<(usize, Period)>,
    pub parameters: Vec<(usize, Json)>,
}

/// A row that was read.
#[derive(Debug)]
pub(super) struct NewRow {
    pub phenomenon_time: TimeObject,
    pub result: Outcome,
    pub result_time: Option<Moment>,
    pub feature: Option<EntityId>,
    pub result_quality: Option<Json>,
    pub valid_time: Option<Period>,
    pub parameters: Option<Json>,
}

impl Observations {
    pub fn len(&self) -> usize {
        self.phenomenon_time.len()
    }

    pub fn is_empty(&self) -> bool {
        self.phenomenon_time.is_empty()
    }

    pub(super) fn push(&mut self, row: NewRow) {
        let place = self.len();
        self.phenomenon_time.push(row.phenomenon_time.start());
        self.phenomenon_end.extend(row.phenomenon_time.end().map(|end| (place, end)));
        match row.result {
            Outcome::Number(number) => self.result.push(number),
            Outcome::Other(json) => {
                self.result.push(f64::NAN);
                self.result_json.push((place, json));
            }
        }
        push_filled(&mut self.result_time, place, row.result_time);
        push_filled(&mut self.feature, place, row.feature);
        self.result_quality.extend(row.result_quality.map(|json| (place, json)));
        self.valid_time.extend(row.valid_time.map(|period| (place, period)));
        self.parameters.extend(row.parameters.map(|json| (place, json)));
    }

    /// The result of one of them.
    pub fn result_at(&self, place: usize) -> Outcome {
        match at(&self.result_json, place) {
            Some(json) => Outcome::Other(json.clone()),
            None => Outcome::Number(self.result[place]),
        }
    }

    /// One of them, whole.
    pub fn observation(&self, place: usize) -> Observation {
        let start = self.phenomenon_time[place];
        let period = at(&self.phenomenon_end, place).and_then(|end| Period::new(start, *end));
        Observation {
            phenomenon_time: period.map_or(TimeObject::Moment(start), TimeObject::Period),
            result: self.result_at(place),
            result_time: self.result_time.get(place).copied().flatten(),
            result_quality: at(&self.result_quality, place).cloned(),
            valid_time: at(&self.valid_time, place).copied(),
            parameters: at(&self.parameters, place).cloned(),
        }
    }

    /// Takes those at the places out, which are in order.
    fn remove(&mut self, places: &[usize]) {
        let gone = |place: usize| places.binary_search(&place).is_ok();
        dense(&mut self.phenomenon_time, &gone);
        dense(&mut self.result, &gone);
        dense(&mut self.result_time, &gone);
        dense(&mut self.feature, &gone);
        sparse(&mut self.phenomenon_end, places);
        sparse(&mut self.result_json, places);
        sparse(&mut self.result_quality, places);
        sparse(&mut self.valid_time, places);
        sparse(&mut self.parameters, places);
    }
}

/// A column that begins with the first value there is.
fn push_filled<T: Clone>(column: &mut Vec<Option<T>>, place: usize, value: Option<T>) {
    if value.is_some() || !column.is_empty() {
        column.resize(place, None);
        column.push(value);
    }
}

fn at<T>(column: &[(usize, T)], place: usize) -> Option<&T> {
    let found = column.binary_search_by_key(&place, |(place, _)| *place).ok()?;
    Some(&column[found].1)
}

fn dense<T>(column: &mut Vec<T>, gone: &impl Fn(usize) -> bool) {
    let mut place = 0;
    column.retain(|_| {
        place += 1;
        !gone(place - 1)
    });
}

/// Those that stay move up by as many as went before them.
fn sparse<T>(column: &mut Vec<(usize, T)>, places: &[usize]) {
    column.retain_mut(|(place, _)| match places.binary_search(place) {
        Ok(_) => false,
        Err(before) => {
            *place -= before;
            true
        }
    });
}

impl Group {
    /// What became of each row, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut refused = self.refused.iter().peekable();
        let mut read = 0;
        (0..self.rows).map(move |row| {
            if self.fault.is_some() {
                return Row::Refused(self.fault.as_deref());
            }
            if let Some(refused) = refused.next_if(|refused| refused.row == row) {
                return Row::Refused(refused.fault.as_deref());
            }
            read += 1;
            Row::Read(read - 1)
        })
    }

    pub(super) fn refuse(&mut self, row: usize, fault: Box<Fault>) {
        let told = self.refused.len() < REFUSALS_TOLD_MAX;
        self.refused.push(Refused { row, fault: told.then_some(fault) });
    }

    /// Refuses the observations whose result the Datastream's type does not allow.
    pub fn hold_to(&mut self, kind: &ObservationType) {
        if kind.allows_all_numbers() && self.observations.result_json.is_empty() {
            return;
        }
        self.hold(|at, result| kind.check(at, result));
    }

    /// The same for a MultiDatastream.
    pub fn hold_to_elements(&mut self, kinds: &[ObservationType]) {
        self.hold(|at, result| check_elements(at, kinds, result));
    }

    fn hold(&mut self, check: impl Fn(At<'_>, &Outcome) -> Result<()>) {
        let root = At::Root;
        let group = root.element(self.index);
        let array = group.member("dataArray");
        let mut refused = Vec::new();
        for (row, became) in self.rows().enumerate() {
            if let Row::Read(place) = became
                && let Err(fault) = check(array.element(row), &self.observations.result_at(place))
            {
                refused.push((row, place, fault));
            }
        }
        let places: Vec<usize> = refused.iter().map(|(_, place, _)| *place).collect();
        self.observations.remove(&places);
        for (row, _, fault) in refused {
            self.refuse(row, fault);
        }
        self.refused.sort_by_key(|refused| refused.row);
    }
}
