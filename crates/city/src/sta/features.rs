//! The Feature of Interest of an observation that names none: made from where its Thing is, found
//! again for every observation after.

use std::collections::HashMap;
use std::sync::Mutex;

use catalog::Session;
use datafusion::common::ScalarValue;
use sensing::entity::{Entity, FeatureOfInterest, FeatureOfInterestRow};
use sensing::schema::EntityKind;
use tokio::sync::Mutex as AsyncMutex;

use super::columns::Terms;
use super::deed::StaDeed;
use super::rows::{batch, feature_columns};
use super::sheet::Sheet;
use super::table::Table;
use super::{FEATURE, LOCATION};
use crate::{City, CityError};

/// Locations whose Feature of Interest is remembered; the others' are looked up again.
const FEATURES_MAX: usize = 1 << 20;

/// The Features of Interest that were made from Locations, by Location and owner.
#[derive(Debug, Default)]
pub(super) struct Features {
    of: Mutex<HashMap<(i64, String), i64>>,
    /// Held while one is looked up or made, so that it is made once: those that are here are found
    /// meanwhile. Whether those of before the start are here.
    loaded: AsyncMutex<bool>,
}

impl Features {
    fn get(&self, place: &(i64, String)) -> Option<i64> {
        self.of.lock().expect("no one panics while holding the features").get(place).copied()
    }

    fn keep(&self, place: (i64, String), feature: i64) {
        let mut of = self.of.lock().expect("no one panics while holding the features");
        if of.len() >= FEATURES_MAX {
            of.clear();
        }
        of.insert(place, feature);
    }
}

impl City {
    /// The Feature of Interest of an observation that names none: made from where its Thing is,
    /// once for each Location and owner. None where the Thing is nowhere.
    pub(super) async fn feature_of(
        &self,
        session: &Session,
        thing: i64,
        terms: &Terms,
    ) -> Result<Option<i64>, CityError> {
        let Some(location) = self.place_of_thing(thing).await? else { return Ok(None) };
        let place = (location, terms.owner.clone());
        if let Some(feature) = self.kept_feature(&place).await? {
            return Ok(Some(feature));
        }
        let features = &self.sta.features;
        let mut loaded = features.loaded.lock().await;
        if !*loaded {
            self.load_features().await?;
            *loaded = true;
        }
        // Somebody may have made it meanwhile.
        if let Some(feature) = self.kept_feature(&place).await? {
            return Ok(Some(feature));
        }
        // Two departments may have Things at one Location: each sees a feature of its own.
        let sql = format!(
            "SELECT id FROM {FEATURE} WHERE location = {location} AND owner = $1 \
             ORDER BY id LIMIT 1"
        );
        let owner = ScalarValue::Utf8(Some(terms.owner.clone()));
        let known = self.sta_rows(session, &sql, &[owner]).await?.integer("id", 0);
        let feature = match known {
            Some(feature) => Some(feature),
            None => self.make_feature(session, location, terms).await?,
        };
        if let Some(feature) = feature {
            features.keep(place, feature);
        }
        Ok(feature)
    }

    /// A feature that is remembered, where it is still there.
    async fn kept_feature(&self, place: &(i64, String)) -> Result<Option<i64>, CityError> {
        let Some(feature) = self.sta.features.get(place) else { return Ok(None) };
        let contract = self.contract(FEATURE)?;
        let there = self.registers().versions(contract, &[feature.to_string()]).await?;
        Ok((!there.is_empty()).then_some(feature))
    }

    /// Finds all that were made before at once: after a start every device says something soon.
    async fn load_features(&self) -> Result<(), CityError> {
        for rows in self.registers().rows(self.contract(FEATURE)?, None).await? {
            let table = Table::of(&rows.schema(), std::slice::from_ref(&rows))?;
            let features = &self.sta.features.of;
            let mut features = features.lock().expect("no one panics while holding the features");
            for row in 0..table.len() {
                let (Some(id), Some(location), Some(owner)) = (
                    table.integer("id", row),
                    table.integer("location", row),
                    table.text("owner", row),
                ) else {
                    continue;
                };
                if features.len() < FEATURES_MAX {
                    let first = features.entry((location, owner)).or_insert(id);
                    *first = id.min(*first);
                }
            }
        }
        Ok(())
    }

    /// Makes a Feature of Interest of a Location. None where there is none to be seen.
    async fn make_feature(
        &self,
        session: &Session,
        location: i64,
        terms: &Terms,
    ) -> Result<Option<i64>, CityError> {
        let sql = format!(
            "SELECT id, name, description, encoding_type, location, properties FROM {LOCATION} \
             WHERE id = {location}"
        );
        let table = self.sta_rows(session, &sql, &[]).await?;
        if table.len() == 0 {
            return Ok(None);
        }
        let Entity::Location(place) = table.item(EntityKind::Location, 0)?.entity else {
            return Ok(None);
        };
        let id = self.sta_numbers(FEATURE, 1).await?.start;
        let feature = FeatureOfInterest {
            name: place.name,
            description: place.description,
            encoding_type: place.encoding_type,
            feature: place.location,
            properties: place.properties,
        };
        let rows = [FeatureOfInterestRow::new(id, feature)];
        let row = batch(self, FEATURE, feature_columns(&rows, Some(location)), terms)?;
        let mut sheet = Sheet::of(self);
        sheet.add(FEATURE, row);
        // Others may use it from now on, so it stays whatever becomes of the observation.
        sheet.write(&StaDeed::of(session), "create").await?;
        Ok(Some(id))
    }
}
