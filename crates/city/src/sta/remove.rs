//! DELETE: an entity with all that hangs on it (OGC 18-088, 10.4, table of integrity constraints).
//!
//! ```text
//!  Thing ─► Datastreams, HistoricalLocations        Location ─► HistoricalLocations
//!  Sensor, ObservedProperty ─► Datastreams          Datastream, FeatureOfInterest ─► Observations
//! ```
//!
//! Rows of registers go in one transaction, and their versions stay. Observations are not touched:
//! those of a Datastream or a feature that is gone are not read any more (`observations.rs`), so
//! that a series of years goes in the same moment as its Datastream.

use std::collections::BTreeSet;

use catalog::Session;
use datafusion::logical_expr::lit;
use datafusion::prelude::{SessionContext, ident};
use sensing::entity::Item;
use sensing::odata::{QueryOptions, ResourceEnd, ResourcePath, Target};
use sensing::plan::{Extras, Request, plan};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::deed::StaDeed;
use super::known::may_change;
use super::read::nothing;
use super::relate::number_in;
use super::sheet::Sheet;
use super::{
    DATASTREAM, DATASTREAM_PROPERTY, HISTORICAL_LOCATION, HISTORICAL_PLACE, OBSERVATION,
    THING_LOCATION, dataset, number, unplanned,
};
use crate::{City, CityError};

impl City {
    /// Takes away the entity that the path leads to.
    pub async fn sta_remove(&self, deed: &StaDeed, path: &ResourcePath) -> Result<(), CityError> {
        let session = &deed.session;
        self.may_sense(session)?;
        let item = self.sta_one(session, path).await?;
        let kind = item.entity.kind();
        if kind == EntityKind::Observation {
            return self.remove_observation(deed, &item.id).await;
        }
        let id = number(&item.id).ok_or_else(nothing)?;
        let mut sheet = Sheet::of(self);
        let row = sheet.row(dataset(kind), &id.to_string()).await?.ok_or_else(nothing)?;
        let what = format!("{} {id}", SENSORTHINGS_1_1.entity(kind).name);
        may_change(session, &super::change::terms_in(&row)?.owner, &what)?;
        self.fell(&mut sheet, kind, id).await?;
        if let Some(dataset) = sheet.others(session) {
            let reason = format!("rows of {dataset} that belong to others hang on {what}");
            return Err(CityError::Conflict(reason));
        }
        if kind == EntityKind::FeatureOfInterest {
            self.no_others_observe(session, id).await?;
        }
        sheet.write(deed, "delete").await
    }

    /// The one entity that a path leads to, as far as the session sees it.
    pub(super) async fn sta_one(
        &self,
        session: &Session,
        path: &ResourcePath,
    ) -> Result<Item, CityError> {
        let (Target::Entity(_), ResourceEnd::Whole) = (path.target(), &path.end) else {
            let reason = "an entity is changed and deleted at its own address, such as Things(1)";
            return Err(CityError::Invalid(reason.to_owned()));
        };
        let path = self.sta_followed(session, path).await?;
        let context = self.sta_context("");
        let options = QueryOptions::default();
        let request = Request { path: &path, options: &options, extras: Extras::default() };
        let plan = plan(&request, &context).map_err(|error| unplanned(&error))?;
        self.sta_way(session, plan.parents.as_ref()).await?;
        let table = self.sta_ask(session, plan.page.as_ref().ok_or_else(nothing)?).await?;
        match table.len() {
            0 => Err(nothing()),
            _ => table.item(plan.entity.kind, 0),
        }
    }

    /// Takes an entity's row and those that hang on it off the sheet.
    async fn fell(
        &self,
        sheet: &mut Sheet<'_>,
        kind: EntityKind,
        id: i64,
    ) -> Result<(), CityError> {
        let of = BTreeSet::from([id]);
        let (mut streams, mut notes) = (BTreeSet::new(), BTreeSet::new());
        match kind {
            EntityKind::Thing => {
                streams = self.numbers_of(sheet, DATASTREAM, "thing", &of).await?;
                notes = self.numbers_of(sheet, HISTORICAL_LOCATION, "thing", &of).await?;
                fell_rows(sheet, THING_LOCATION, "thing", &of).await?;
            }
            EntityKind::Location => {
                for (_, row) in sheet.find(HISTORICAL_PLACE, "location", &of).await? {
                    notes.extend(number_in(&row, "historical_location"));
                }
                self.leave(sheet, &of).await?;
            }
            EntityKind::Sensor => {
                streams = self.numbers_of(sheet, DATASTREAM, "sensor", &of).await?;
            }
            EntityKind::ObservedProperty => {
                streams = self.numbers_of(sheet, DATASTREAM, "observed_property", &of).await?;
                for (_, row) in sheet.find(DATASTREAM_PROPERTY, "observed_property", &of).await? {
                    streams.extend(number_in(&row, "datastream"));
                }
            }
            EntityKind::Datastream | EntityKind::MultiDatastream => streams.extend(&of),
            EntityKind::HistoricalLocation => notes.extend(&of),
            EntityKind::FeatureOfInterest | EntityKind::Observation => {}
        }
        fell_rows(sheet, DATASTREAM_PROPERTY, "datastream", &streams).await?;
        fell_rows(sheet, DATASTREAM, "id", &streams).await?;
        fell_rows(sheet, HISTORICAL_PLACE, "historical_location", &notes).await?;
        fell_rows(sheet, HISTORICAL_LOCATION, "id", &notes).await?;
        sheet.remove(dataset(kind), &id.to_string());
        Ok(())
    }

    /// Has Things no longer stand at a Location.
    async fn leave(
        &self,
        sheet: &mut Sheet<'_>,
        location: &BTreeSet<i64>,
    ) -> Result<(), CityError> {
        let mut things = BTreeSet::new();
        for (key, row) in sheet.find(THING_LOCATION, "location", location).await? {
            things.extend(number_in(&row, "thing"));
            sheet.remove(THING_LOCATION, &key);
        }
        for thing in things {
            let left = sheet.find(THING_LOCATION, "thing", &BTreeSet::from([thing])).await?;
            let left = left.iter().filter_map(|(_, row)| number_in(row, "location")).collect();
            let place = self.place_among(sheet, &left).await?;
            self.place(sheet, thing, place).await?;
        }
        Ok(())
    }

    /// Refuses where somebody else's observations are of a feature: they would go with it. Nothing
    /// keeps observations by feature, so files are looked through whose range may have it.
    async fn no_others_observe(&self, session: &Session, feature: i64) -> Result<(), CityError> {
        let own = session.principal.organisations.iter();
        let own = own.map(|owner| lit(owner.as_str())).collect();
        let others = ident("owner").in_list(own, true);
        let of_feature = ident("feature_of_interest").eq(lit(feature));
        let rows = SessionContext::new().read_table(self.raw_table(OBSERVATION, None).await?)?;
        let found = rows.filter(of_feature.and(others))?.limit(0, Some(1))?.count().await?;
        match found {
            0 => Ok(()),
            _ => {
                let what = format!("observations of others are of FeatureOfInterest {feature}");
                Err(CityError::Conflict(what))
            }
        }
    }
}

async fn fell_rows(
    sheet: &mut Sheet<'_>,
    dataset: &'static str,
    column: &'static str,
    numbers: &BTreeSet<i64>,
) -> Result<(), CityError> {
    if numbers.is_empty() {
        return Ok(());
    }
    for (key, _) in sheet.find(dataset, column, numbers).await? {
        sheet.remove(dataset, &key);
    }
    Ok(())
}
