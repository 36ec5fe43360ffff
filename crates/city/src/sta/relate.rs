//! What links mean on the rows that hold them: something belongs to another, a Thing stands
//! elsewhere, and whoever hangs on a Thing has its terms.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use sensing::entity::{
    DatastreamObservedPropertyRow, HistoricalLocationPlaceRow, HistoricalLocationRow,
    ThingLocationRow,
};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::columns::Terms;
use super::rows::{
    at_columns, batch, historical_columns, place_columns, properties_of, stream_property_columns,
};
use super::sheet::{Sheet, with};
use super::{
    DATASTREAM, DATASTREAM_PROPERTY, HISTORICAL_LOCATION, HISTORICAL_PLACE, LOCATION, THING,
    THING_LOCATION, dataset,
};
use crate::{City, CityError};

impl City {
    /// Has an entity that is there belong to another: its row is turned to that one. What then
    /// belongs to another Thing has the terms of that Thing.
    pub(super) async fn belong(
        &self,
        sheet: &mut Sheet<'_>,
        (near, id): (EntityKind, i64),
        terms: &Terms,
        (far, far_id): (EntityKind, i64),
    ) -> Result<(), CityError> {
        use EntityKind::{
            Datastream, HistoricalLocation, MultiDatastream, ObservedProperty, Sensor, Thing,
        };
        let column = match (near, far) {
            (Thing, Datastream | MultiDatastream | HistoricalLocation) => "thing",
            (Sensor, Datastream | MultiDatastream) => "sensor",
            (ObservedProperty, Datastream) => "observed_property",
            _ => {
                let (near, far) = (SENSORTHINGS_1_1.entity(near), SENSORTHINGS_1_1.entity(far));
                let reason = format!("a {} is not turned to a {} so", far.name, near.name);
                return Err(CityError::Unsupported(reason));
            }
        };
        let (name, key) = (dataset(far), far_id.to_string());
        let Some(row) = sheet.row(name, &key).await? else { return Ok(()) };
        sheet.put(name, &key, with(&row, column, integer(id))?);
        match (near, far) {
            (Thing, HistoricalLocation) => {
                self.give_notes_terms(sheet, &BTreeSet::from([far_id]), terms).await
            }
            (Thing, _) => self.give_streams_terms(sheet, &BTreeSet::from([far_id]), terms).await,
            _ => Ok(()),
        }
    }

    // --- Where Things are ---------------------------------------------------------------------

    /// Has a Thing that is there stand at these Locations and no others. False: it stood there
    /// already.
    pub(super) async fn stand(
        &self,
        sheet: &mut Sheet<'_>,
        thing: i64,
        locations: &BTreeSet<i64>,
        place: Option<Vec<u8>>,
        terms: &Terms,
    ) -> Result<bool, CityError> {
        let found = sheet.find(THING_LOCATION, "thing", &BTreeSet::from([thing])).await?;
        let mut stays = BTreeSet::new();
        for (key, row) in &found {
            match number_in(row, "location").filter(|location| locations.contains(location)) {
                Some(location) => {
                    stays.insert(location);
                }
                None => sheet.remove(THING_LOCATION, key),
            }
        }
        for location in locations.difference(&stays) {
            self.stand_at(sheet, thing, *location, terms).await?;
        }
        self.place(sheet, thing, place).await?;
        Ok(stays.len() != found.len() || stays.len() != locations.len())
    }

    /// A Thing may come back to where it was, so the row may have been there before.
    async fn stand_at(
        &self,
        sheet: &mut Sheet<'_>,
        thing: i64,
        location: i64,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let rows = [ThingLocationRow { thing, location }];
        let row = batch(self, THING_LOCATION, at_columns(&rows), terms)?;
        let key = pack::keys::join(&[thing.to_string(), location.to_string()]);
        sheet.row(THING_LOCATION, &key).await?;
        sheet.put(THING_LOCATION, &key, row);
        Ok(())
    }

    /// Notes on a Thing's row where it is.
    pub(super) async fn place(
        &self,
        sheet: &mut Sheet<'_>,
        thing: i64,
        place: Option<Vec<u8>>,
    ) -> Result<(), CityError> {
        let key = thing.to_string();
        let Some(row) = sheet.row(THING, &key).await? else { return Ok(()) };
        let place: ArrayRef = Arc::new(BinaryArray::from(vec![place.as_deref()]));
        sheet.put(THING, &key, with(&row, "geometry", place)?);
        Ok(())
    }

    /// Where the first of these Locations is that is anywhere.
    pub(super) async fn place_among(
        &self,
        sheet: &mut Sheet<'_>,
        locations: &BTreeSet<i64>,
    ) -> Result<Option<Vec<u8>>, CityError> {
        for location in locations {
            let row = sheet.row(LOCATION, &location.to_string()).await?;
            if let Some(place) = row.as_ref().and_then(place_in) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// A HistoricalLocation of a Thing.
    pub(super) async fn note(
        &self,
        sheet: &mut Sheet<'_>,
        thing: i64,
        locations: &BTreeSet<i64>,
        time: i64,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let id = self.sta_numbers(HISTORICAL_LOCATION, 1).await?.start;
        let note = [HistoricalLocationRow { id, thing, time }];
        let note = batch(self, HISTORICAL_LOCATION, historical_columns(&note), terms)?;
        sheet.add(HISTORICAL_LOCATION, note);
        let at = |location: &i64| HistoricalLocationPlaceRow {
            historical_location: id,
            location: *location,
        };
        let places: Vec<HistoricalLocationPlaceRow> = locations.iter().map(at).collect();
        sheet.add(HISTORICAL_PLACE, batch(self, HISTORICAL_PLACE, place_columns(&places), terms)?);
        Ok(())
    }

    /// Has a HistoricalLocation say another Location as well.
    pub(super) async fn note_at(
        &self,
        sheet: &mut Sheet<'_>,
        historical_location: i64,
        location: i64,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let key = pack::keys::join(&[historical_location.to_string(), location.to_string()]);
        if sheet.row(HISTORICAL_PLACE, &key).await?.is_none() {
            let rows = [HistoricalLocationPlaceRow { historical_location, location }];
            let row = batch(self, HISTORICAL_PLACE, place_columns(&rows), terms)?;
            sheet.put(HISTORICAL_PLACE, &key, row);
        }
        Ok(())
    }

    /// Gives a MultiDatastream these ObservedProperties, in order, in place of those it has.
    pub(super) async fn observe_properties(
        &self,
        sheet: &mut Sheet<'_>,
        datastream: i64,
        properties: &[i64],
        terms: &Terms,
    ) -> Result<(), CityError> {
        let of = BTreeSet::from([datastream]);
        for (key, _) in sheet.find(DATASTREAM_PROPERTY, "datastream", &of).await? {
            sheet.remove(DATASTREAM_PROPERTY, &key);
        }
        let rows: Vec<DatastreamObservedPropertyRow> =
            properties_of(datastream, properties.iter().copied()).collect();
        for row in rows {
            let key = pack::keys::join(&[datastream.to_string(), row.position.to_string()]);
            let columns = [row];
            let columns = stream_property_columns(&columns);
            let row = batch(self, DATASTREAM_PROPERTY, columns, terms)?;
            sheet.row(DATASTREAM_PROPERTY, &key).await?;
            sheet.put(DATASTREAM_PROPERTY, &key, row);
        }
        Ok(())
    }

    // --- Whose they are -----------------------------------------------------------------------

    /// Gives all that hangs on a Thing its terms. Observations keep those that they were written
    /// with; Locations, Sensors, ObservedProperties and features have terms of their own.
    pub(super) async fn give_terms(
        &self,
        sheet: &mut Sheet<'_>,
        thing: i64,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let of = BTreeSet::from([thing]);
        self.give(sheet, THING_LOCATION, "thing", &of, terms).await?;
        let notes = self.numbers_of(sheet, HISTORICAL_LOCATION, "thing", &of).await?;
        self.give_notes_terms(sheet, &notes, terms).await?;
        let streams = self.numbers_of(sheet, DATASTREAM, "thing", &of).await?;
        self.give_streams_terms(sheet, &streams, terms).await
    }

    pub(super) async fn give_streams_terms(
        &self,
        sheet: &mut Sheet<'_>,
        streams: &BTreeSet<i64>,
        terms: &Terms,
    ) -> Result<(), CityError> {
        self.give(sheet, DATASTREAM, "id", streams, terms).await?;
        self.give(sheet, DATASTREAM_PROPERTY, "datastream", streams, terms).await
    }

    pub(super) async fn give_notes_terms(
        &self,
        sheet: &mut Sheet<'_>,
        notes: &BTreeSet<i64>,
        terms: &Terms,
    ) -> Result<(), CityError> {
        self.give(sheet, HISTORICAL_LOCATION, "id", notes, terms).await?;
        self.give(sheet, HISTORICAL_PLACE, "historical_location", notes, terms).await
    }

    async fn give(
        &self,
        sheet: &mut Sheet<'_>,
        dataset: &'static str,
        column: &'static str,
        numbers: &BTreeSet<i64>,
        terms: &Terms,
    ) -> Result<(), CityError> {
        if numbers.is_empty() {
            return Ok(());
        }
        for (key, row) in sheet.find(dataset, column, numbers).await? {
            sheet.put(dataset, &key, with_terms(&row, terms)?);
        }
        Ok(())
    }

    /// The numbers of the rows of which a column holds one of others.
    pub(super) async fn numbers_of(
        &self,
        sheet: &mut Sheet<'_>,
        dataset: &'static str,
        column: &'static str,
        numbers: &BTreeSet<i64>,
    ) -> Result<BTreeSet<i64>, CityError> {
        let found = sheet.find(dataset, column, numbers).await?;
        Ok(found.iter().filter_map(|(_, row)| number_in(row, "id")).collect())
    }
}

pub(super) fn integer(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

pub(super) fn text(value: Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

pub(super) fn with_terms(row: &RecordBatch, terms: &Terms) -> Result<RecordBatch, CityError> {
    let row = with(row, "owner", text(Some(&terms.owner)))?;
    with(&row, "sharing", text(Some(&terms.sharing)))
}

/// The number in a column of a row.
pub(super) fn number_in(row: &RecordBatch, column: &str) -> Option<i64> {
    row.column_by_name(column)?.as_primitive_opt::<Int64Type>()?.iter().next()?
}

/// A Location's geometry.
fn place_in(row: &RecordBatch) -> Option<Vec<u8>> {
    let places = row.column_by_name("geometry")?.as_binary_opt::<i32>()?;
    places.iter().next()?.map(<[u8]>::to_vec)
}
