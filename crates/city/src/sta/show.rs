//! Rows that were just written as the entities that they are, for who listens.

use std::collections::BTreeMap;

use sensing::entity::Item;
use sensing::odata::EntityId;
use sensing::schema::EntityKind;

use super::feed::StaWritten;
use super::table::Table;
use super::{DATASTREAM, FEATURE, HISTORICAL_LOCATION, LOCATION, THING};
use crate::observations::{CORRECTION, OBSERVATION};
use crate::{City, CityError};

/// Entities of one batch.
pub struct StaShown {
    table: Table,
    kind: EntityKind,
    /// Of observations, the type of each stream that they are of.
    streams: BTreeMap<i64, EntityKind>,
}

impl City {
    /// The entities that a batch's rows are; none where they are links between entities.
    pub async fn sta_shown(&self, written: &StaWritten) -> Result<Option<StaShown>, CityError> {
        let kind = match written.dataset {
            THING => EntityKind::Thing,
            LOCATION => EntityKind::Location,
            HISTORICAL_LOCATION => EntityKind::HistoricalLocation,
            DATASTREAM => EntityKind::Datastream,
            "sensing.sensor" => EntityKind::Sensor,
            "sensing.observed_property" => EntityKind::ObservedProperty,
            FEATURE => EntityKind::FeatureOfInterest,
            OBSERVATION | CORRECTION => EntityKind::Observation,
            _ => return Ok(None),
        };
        let rows = &written.rows;
        let table = Table::of(&rows.schema(), std::slice::from_ref(rows))?;
        let mut streams = BTreeMap::new();
        if kind == EntityKind::Observation {
            for id in (0..table.len()).filter_map(|row| table.integer("datastream", row)) {
                if !streams.contains_key(&id)
                    && let Some(kind) = self.kind_of_stream(id).await?
                {
                    streams.insert(id, kind);
                }
            }
        }
        Ok(Some(StaShown { table, kind, streams }))
    }
}

impl StaShown {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// The type of a row's entity.
    pub fn kind(&self, row: usize) -> EntityKind {
        match self.table.flag("multi", row) {
            Some(true) if self.kind == EntityKind::Datastream => EntityKind::MultiDatastream,
            _ => self.kind,
        }
    }

    /// The entity; none where the row says that there is none any more.
    pub fn item(&self, row: usize) -> Result<Option<Item>, CityError> {
        let is_gone = self.table.flag("removed", row) == Some(true)
            || self.table.text("moved_to", row).is_some();
        if is_gone {
            return Ok(None);
        }
        let mut item = self.table.item(self.kind(row), row)?;
        if self.kind == EntityKind::Observation {
            item.absent = Some(match self.stream(row) {
                Some((EntityKind::MultiDatastream, _)) => EntityKind::Datastream,
                _ => EntityKind::MultiDatastream,
            });
        }
        Ok(Some(item))
    }

    fn stream(&self, row: usize) -> Option<(EntityKind, i64)> {
        let id = self.table.integer("datastream", row)?;
        Some((*self.streams.get(&id)?, id))
    }

    /// The entities in whose collections the row's entity is, as far as its row says.
    pub fn parents(&self, row: usize) -> Vec<(EntityKind, EntityId)> {
        let column = |kind: EntityKind, name: &str| {
            self.table.integer(name, row).map(|id| (kind, EntityId::Integer(id)))
        };
        let thing = || column(EntityKind::Thing, "thing");
        let found = match self.kind {
            EntityKind::Observation => [
                self.stream(row).map(|(kind, id)| (kind, EntityId::Integer(id))),
                column(EntityKind::FeatureOfInterest, "feature_of_interest"),
                None,
            ],
            EntityKind::Datastream => [
                thing(),
                column(EntityKind::Sensor, "sensor"),
                column(EntityKind::ObservedProperty, "observed_property"),
            ],
            EntityKind::HistoricalLocation => [thing(), None, None],
            _ => [None, None, None],
        };
        found.into_iter().flatten().collect()
    }
}
