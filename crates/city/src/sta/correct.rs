//! Corrections of single observations: PATCH, PUT, JSON Patch and DELETE of what the lake holds.
//!
//! Nothing is written over. A correction is a row of a register beside the observation, under the
//! same key, with who, when and why; whoever reads observations reads it instead
//! (`observations.rs`). An observation's id says its Datastream and time, so one of another
//! Datastream or time is appended anew, and the correction of the old one says where it went.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use catalog::Session;
use datafusion::common::ScalarValue;
use pack::Contract;
use registry::registers::key_of;
use sensing::entity::{Entity, Moment, Observation, ObservationId, ObservationRow};
use sensing::odata::EntityId;
use sensing::plan::ObservationKey;
use sensing::schema::EntityKind;

use super::change::StaUpdate;
use super::columns::{Columns, Terms};
use super::create::StaCreated;
use super::deed::StaDeed;
use super::known::{Numbers, may_change, terms as terms_of};
use super::observe::Observed;
use super::read::nothing;
use super::sheet::Sheet;
use super::{OBSERVATION, number, unread};
use crate::observations::CORRECTION;
use crate::plausible::OF_TIME;
use crate::{City, CityError};

/// What an existing observation is to belong to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relink {
    Stream(i64),
    Feature(i64),
}

/// An observation as it is read.
struct Kept {
    row: ObservationRow,
    terms: Terms,
}

/// An observation as it is to be.
struct Meant {
    observation: Observation,
    stream: i64,
    feature: Option<i64>,
}

/// What a correction says.
enum Says<'r> {
    Stands(&'r ObservationRow),
    Removed,
    Moved(ObservationKey),
}

/// A correction on its way to its row.
struct Line<'r> {
    key: ObservationKey,
    stands: Option<&'r ObservationRow>,
    moved_to: Option<String>,
    flags: i64,
    deed: &'r StaDeed,
}

impl City {
    /// Corrects an observation; the id that it has from now on.
    pub(super) async fn correct(
        &self,
        deed: &StaDeed,
        id: &EntityId,
        how: StaUpdate,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        let (session, key) = (&deed.session, key_in(id)?);
        let mut sheet = Sheet::of(self);
        let kept = self.kept(session, &mut sheet, key).await?;
        let before = kept.row.clone().entity().map_err(|error| unread(&error))?;
        let change = how.read(&before, body)?;
        let Entity::Observation(observation) = change.entity else { return Err(nothing()) };
        let (mut stream, mut feature) = (key.datastream, kept.row.feature_of_interest);
        let mut linked = Numbers::new();
        for link in &change.links {
            let none = || {
                let what = link.navigation.name;
                CityError::Invalid(format!("there is no {what} {} to link to", link.id))
            };
            let far = number(&link.id).ok_or_else(none)?;
            linked.insert((link.navigation.target, far));
            match link.navigation.target {
                EntityKind::FeatureOfInterest => feature = Some(far),
                _ => stream = far,
            }
        }
        let of_streams = linked.iter().filter(|(kind, _)| *kind != EntityKind::FeatureOfInterest);
        if of_streams.count() > 1 {
            let reason = "an observation is of a Datastream or of a MultiDatastream";
            return Err(CityError::Invalid(reason.to_owned()));
        }
        self.sta_linked(session, &linked).await?;
        let meant = Meant { observation, stream, feature };
        let key = self.put_right(deed, sheet, key, kept, meant).await?;
        let id = EntityId::Text(key.to_string());
        Ok(StaCreated { kind: EntityKind::Observation, id })
    }

    /// Has an observation belong to another Datastream or feature, which is the asker's own.
    pub(super) async fn relink(
        &self,
        deed: &StaDeed,
        key: ObservationKey,
        to: Relink,
    ) -> Result<(), CityError> {
        let key = self.stores().over(None).await?.followed(key);
        let mut sheet = Sheet::of(self);
        let kept = match self.kept(&deed.session, &mut sheet, key).await {
            Err(CityError::NotFound(_)) => {
                let reason = format!("there is no Observation '{key}' to link to");
                return Err(CityError::Invalid(reason));
            }
            kept => kept?,
        };
        let before = kept.row.clone().entity().map_err(|error| unread(&error))?;
        let Entity::Observation(observation) = before else { return Err(nothing()) };
        let mut meant =
            Meant { observation, stream: key.datastream, feature: kept.row.feature_of_interest };
        match to {
            Relink::Stream(stream) => meant.stream = stream,
            Relink::Feature(feature) => meant.feature = Some(feature),
        }
        self.put_right(deed, sheet, key, kept, meant).await.map(|_| ())
    }

    /// Takes an observation away.
    pub(super) async fn remove_observation(
        &self,
        deed: &StaDeed,
        id: &EntityId,
    ) -> Result<(), CityError> {
        let key = key_in(id)?;
        let mut sheet = Sheet::of(self);
        let kept = self.kept(&deed.session, &mut sheet, key).await?;
        let flags = kept.row.flags;
        self.say(deed, &mut sheet, key, &kept.terms, flags, &Says::Removed)?;
        sheet.write(deed, "delete").await
    }

    /// Takes away an observation that was appended by what failed then.
    pub(super) async fn strike(
        &self,
        deed: &StaDeed,
        sheet: &mut Sheet<'_>,
        key: ObservationKey,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let place = place_of(self.contract(CORRECTION)?, key)?;
        sheet.row(CORRECTION, &place).await?;
        self.say(deed, sheet, key, terms, 0, &Says::Removed)
    }

    /// An observation as it stands, where the asker sees it and may change it. The version of its
    /// correction is looked at first: who corrects it meanwhile makes this one a conflict.
    async fn kept(
        &self,
        session: &Session,
        sheet: &mut Sheet<'_>,
        key: ObservationKey,
    ) -> Result<Kept, CityError> {
        let place = place_of(self.contract(CORRECTION)?, key)?;
        sheet.row(CORRECTION, &place).await?;
        let sql = format!(
            "SELECT o.datastream, o.phenomenon_time, o.ordinal, o.phenomenon_end, o.result_time, \
             o.result_number, o.result_json, o.result_quality, o.valid_start, o.valid_end, \
             o.parameters, o.feature_of_interest, o.flags, o.owner, o.sharing \
             FROM {OBSERVATION} AS o WHERE o.datastream = {} AND o.phenomenon_time = $1 \
             AND o.ordinal = {} LIMIT 1",
            key.datastream, key.ordinal
        );
        let time = ScalarValue::TimestampMicrosecond(Some(key.time_us), Some("UTC".into()));
        let table = self.sta_rows(session, &sql, &[time]).await?;
        let (row, terms) = (table.kept_observation(0), terms_of(&table, 0));
        let (Some(row), Some(terms)) = (row, terms) else { return Err(nothing()) };
        may_change(session, &terms.owner, &format!("Observation '{key}'"))?;
        Ok(Kept { row, terms })
    }

    /// Has an observation be what is meant; its key from now on.
    async fn put_right(
        &self,
        deed: &StaDeed,
        mut sheet: Sheet<'_>,
        key: ObservationKey,
        kept: Kept,
        meant: Meant,
    ) -> Result<ObservationKey, CityError> {
        let Meant { observation, stream, feature } = meant;
        let streams = self.sta_streams(&deed.session, &BTreeSet::from([stream])).await?;
        if let Some(stream) = streams.get(&stream) {
            stream.check(&observation.result).map_err(|error| unread(&error))?;
        }
        let start = observation.phenomenon_time.start();
        let flags = kept.row.flags;
        if stream == key.datastream && start.micros() == key.time_us {
            let id = id_of(key).ok_or_else(nothing)?;
            let row = ObservationRow { flags, ..ObservationRow::new(id, observation, feature) };
            if row != kept.row {
                let row = self.judged_again(row, &kept.row).await?;
                let says = Says::Stands(&row);
                self.say(deed, &mut sheet, key, &kept.terms, row.flags, &says)?;
                sheet.write(deed, "correct").await?;
            }
            return Ok(key);
        }
        let over = self.stores().over(None).await?;
        let unsure = self.unsure_moments([(stream, start.micros())]);
        self.recall_moments(unsure).await?;
        let id = self.observation_id(&over, stream, start)?;
        let to = ObservationKey {
            datastream: id.datastream(),
            time_us: id.time().micros(),
            ordinal: i64::from(id.ordinal()),
        };
        let terms = match streams.get(&stream) {
            Some(stream) if to.datastream != key.datastream => &stream.terms,
            _ => &kept.terms,
        };
        let row = ObservationRow { flags, ..ObservationRow::new(id, observation, feature) };
        let row = self.judged_again(row, &kept.row).await?;
        // The new one first: a crash between the two leaves both, and loses neither.
        self.observe_in(deed, &[Observed { row, terms }]).await?;
        self.say(deed, &mut sheet, key, &kept.terms, flags, &Says::Moved(to))?;
        sheet.write(deed, "correct").await?;
        Ok(to)
    }

    /// A row with the flags of its value, where that is another one than before.
    async fn judged_again(
        &self,
        row: ObservationRow,
        before: &ObservationRow,
    ) -> Result<ObservationRow, CityError> {
        if row.result_number == before.result_number {
            return Ok(row);
        }
        let found = self.stores().judge_value(row.datastream, row.result_number).await?;
        Ok(ObservationRow { flags: before.flags & OF_TIME | found, ..row })
    }

    /// Puts a correction on a sheet that has looked at its row.
    fn say(
        &self,
        deed: &StaDeed,
        sheet: &mut Sheet<'_>,
        key: ObservationKey,
        terms: &Terms,
        flags: i64,
        says: &Says<'_>,
    ) -> Result<(), CityError> {
        let contract = self.contract(CORRECTION)?;
        let (stands, moved_to) = match says {
            Says::Stands(row) => (Some(*row), None),
            Says::Removed => (None, None),
            Says::Moved(to) => (None, Some(to.to_string())),
        };
        let lines = [Line { key, stands, moved_to, flags, deed }];
        let row = columns(&lines).terms(|_| terms).batch(contract)?;
        sheet.put(CORRECTION, &place_of(contract, key)?, row);
        Ok(())
    }
}

fn columns<'l>(lines: &'l [Line<'l>]) -> Columns<'l, Line<'l>> {
    Columns::of(lines)
        .integer("datastream", |line| line.key.datastream)
        .instant("phenomenon_time", |line| line.key.time_us)
        .integer("ordinal", |line| line.key.ordinal)
        .flag("removed", |line| line.stands.is_none())
        .text_if("moved_to", |line| line.moved_to.as_deref())
        .instant("corrected_at", |line| line.deed.now.timestamp_micros())
        .text("corrected_by", |line| line.deed.session.principal.user.as_str())
        .text("reason", |line| line.deed.reason.as_str())
        .instant_if("phenomenon_end", |line| line.stands?.phenomenon_end)
        .instant_if("result_time", |line| line.stands?.result_time)
        .number_if("result_number", |line| line.stands?.result_number)
        .text_if("result_json", |line| line.stands?.result_json.as_deref())
        .text_if("result_quality", |line| line.stands?.result_quality.as_deref())
        .instant_if("valid_start", |line| line.stands?.valid_start)
        .instant_if("valid_end", |line| line.stands?.valid_end)
        .text_if("parameters", |line| line.stands?.parameters.as_deref())
        .integer_if("feature_of_interest", |line| line.stands?.feature_of_interest)
        .integer("flags", |line| line.flags)
}

fn key_in(id: &EntityId) -> Result<ObservationKey, CityError> {
    match id {
        EntityId::Text(text) => text.parse().map_err(|_| nothing()),
        EntityId::Integer(_) => Err(nothing()),
    }
}

fn id_of(key: ObservationKey) -> Option<ObservationId> {
    let time = Moment::from_micros(key.time_us)?;
    ObservationId::new(key.datastream, time, u32::try_from(key.ordinal).ok()?)
}

/// The key of an observation's correction, as registers write keys.
fn place_of(contract: &Contract, key: ObservationKey) -> Result<String, CityError> {
    let time = TimestampMicrosecondArray::from(vec![key.time_us]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 3] = [
        ("datastream", Arc::new(Int64Array::from(vec![key.datastream]))),
        ("phenomenon_time", Arc::new(time)),
        ("ordinal", Arc::new(Int64Array::from(vec![key.ordinal]))),
    ];
    let keys = key_of(contract, &RecordBatch::try_from_iter(columns)?)?;
    keys.into_iter().next().ok_or_else(nothing)
}
