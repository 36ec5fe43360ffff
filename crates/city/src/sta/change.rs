//! PATCH, PUT and JSON Patch of entities that are rows of registers (OGC 18-088, 10.3).
//!
//! The entity is read from its row, changed by `sensing::entity`, and written in its place. What is
//! linked from the other end is turned, a Thing that comes to other Locations leaves a
//! HistoricalLocation behind, and what hangs on a Thing follows its terms: one transaction.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;
use catalog::Session;
use sensing::entity::{self, Change, Entity, Thing};
use sensing::odata::{EntityId, ResourcePath};
use sensing::plan::ObservationKey;
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::columns::Terms;
use super::correct::Relink;
use super::create::{StaCreated, may_share};
use super::deed::StaDeed;
use super::draft::{Turned, said, turned};
use super::known::{Known, Numbers, may_add, may_change, terms as terms_of};
use super::read::nothing;
use super::relate::{number_in, text};
use super::rows::{Held, may_be_in, row_of};
use super::sheet::{Sheet, with};
use super::table::Table;
use super::{DATASTREAM_PROPERTY, THING_LOCATION, dataset, number, unread};
use crate::{City, CityError};

/// How a body changes an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaUpdate {
    /// What it gives, and nothing else.
    Patch,
    /// It stands in place of what was.
    Put,
    /// Operations (RFC 6902).
    JsonPatch,
}

impl StaUpdate {
    pub(super) fn read(self, now: &Entity, body: &[u8]) -> Result<Change, CityError> {
        let change = match self {
            Self::Patch => entity::patch(now, body),
            Self::Put => entity::put(now, body),
            Self::JsonPatch => entity::json_patch(now, body),
        };
        change.map_err(|error| unread(&error))
    }
}

/// The links of a change, by navigation, and the observations that it links to.
#[derive(Default)]
struct Links {
    named: BTreeMap<&'static str, Vec<(EntityKind, i64)>>,
    observations: Vec<ObservationKey>,
}

impl Links {
    fn of(kind: EntityKind, change: &Change) -> Result<Self, CityError> {
        let mut links = Self::default();
        for link in &change.links {
            match turned(kind, link.navigation, &link.id)? {
                Turned::Observation(key) => links.observations.push(key),
                Turned::Entity(target, id) => {
                    links.named.entry(link.navigation.name).or_default().push((target, id));
                }
            }
        }
        Ok(links)
    }

    fn one(&self, navigation: &str) -> Option<i64> {
        self.named.get(navigation)?.first().map(|(_, id)| *id)
    }

    fn numbers(&self, navigation: &str) -> Vec<i64> {
        self.named.get(navigation).into_iter().flatten().map(|(_, id)| *id).collect()
    }

    fn all(&self) -> Numbers {
        self.named.values().flatten().copied().collect()
    }
}

/// An entity under change.
struct Changing<'c> {
    deed: &'c StaDeed,
    kind: EntityKind,
    id: i64,
    /// As it was.
    row: RecordBatch,
    change: Change,
    links: Links,
    known: BTreeMap<(EntityKind, i64), Known>,
    terms: Terms,
    /// Its terms are not what they were.
    passes_on: bool,
}

impl City {
    /// Changes the entity that the path leads to. The id of an observation whose time or Datastream
    /// is another one now is another one, too.
    pub async fn sta_change(
        &self,
        deed: &StaDeed,
        path: &ResourcePath,
        how: StaUpdate,
        body: &[u8],
    ) -> Result<StaCreated, CityError> {
        let session = &deed.session;
        self.may_sense(session)?;
        let item = self.sta_one(session, path).await?;
        let kind = item.entity.kind();
        if kind == EntityKind::Observation {
            return self.correct(deed, &item.id, how, body).await;
        }
        let id = number(&item.id).ok_or_else(nothing)?;
        let mut sheet = Sheet::of(self);
        let row = sheet.row(dataset(kind), &id.to_string()).await?.ok_or_else(nothing)?;
        let had = terms_in(&row)?;
        may_change(session, &had.owner, &format!("{} {id}", SENSORTHINGS_1_1.entity(kind).name))?;
        let before = Table::of(&row.schema(), std::slice::from_ref(&row))?.item(kind, 0)?.entity;
        let change = how.read(&before, body)?;
        let links = Links::of(kind, &change)?;
        let known = self.sta_linked(session, &links.all()).await?;
        let terms = terms_after(session, &change, &had, &links, &known)?;
        let passes_on = terms != had;
        let changing = Changing { deed, kind, id, row, change, links, known, terms, passes_on };
        self.put_changed(&mut sheet, &changing)?;
        self.follow_links(&mut sheet, &changing).await?;
        self.follow_change(&mut sheet, &changing).await?;
        sheet.write(deed, "change").await?;
        for key in &changing.links.observations {
            let to = match kind {
                EntityKind::FeatureOfInterest => Relink::Feature(id),
                _ => Relink::Stream(id),
            };
            self.relink(deed, *key, to).await?;
        }
        Ok(StaCreated { kind, id: EntityId::Integer(id) })
    }

    /// The entity's own row.
    fn put_changed(&self, sheet: &mut Sheet<'_>, of: &Changing<'_>) -> Result<(), CityError> {
        let held = |navigation: &str, column: &str| {
            of.links.one(navigation).or_else(|| number_in(&of.row, column)).unwrap_or_default()
        };
        let held = Held {
            thing: held("Thing", "thing"),
            sensor: held("Sensor", "sensor"),
            observed_property: held("ObservedProperty", "observed_property"),
        };
        let mut row = row_of(self, of.id, of.change.entity.clone(), held, &of.terms)?;
        // What the entity says nothing of stays.
        let kept: &[&str] = match of.kind {
            EntityKind::Thing => &["geometry", "area_code", "network"],
            EntityKind::FeatureOfInterest => &["location"],
            _ => &[],
        };
        for column in kept {
            if let Some(value) = of.row.column_by_name(column) {
                row = with(&row, column, value.clone())?;
            }
        }
        if let Entity::Thing(thing) = &of.change.entity
            && of.change.changed.contains(&"properties")
        {
            row = told_anew(&of.deed.session, thing, row)?;
        }
        sheet.put(dataset(of.kind), &of.id.to_string(), row);
        Ok(())
    }

    /// What other rows hold of its links.
    async fn follow_links(
        &self,
        sheet: &mut Sheet<'_>,
        of: &Changing<'_>,
    ) -> Result<(), CityError> {
        use EntityKind::{HistoricalLocation, Location, MultiDatastream, Thing};
        let terms_of = |far: (EntityKind, i64)| of.known.get(&far).map(|known| &known.terms);
        for (navigation, far) in &of.links.named {
            match (of.kind, *navigation) {
                // In its own row, or for all of them at once.
                (_, "Thing" | "Sensor" | "ObservedProperty" | "ObservedProperties") => {}
                (Thing, "Locations") => {
                    let locations = of.links.numbers(navigation).into_iter().collect();
                    self.come(sheet, of.deed, of.id, &locations, &of.terms).await?;
                }
                (Location, "Things") => {
                    for far in far {
                        let terms = terms_of(*far).unwrap_or(&of.terms);
                        let here = BTreeSet::from([of.id]);
                        self.come(sheet, of.deed, far.1, &here, terms).await?;
                    }
                }
                (Location, "HistoricalLocations") => {
                    for far in far {
                        let terms = terms_of(*far).unwrap_or(&of.terms);
                        self.note_at(sheet, far.1, of.id, terms).await?;
                    }
                }
                (HistoricalLocation, "Locations") => {
                    for far in far {
                        self.note_at(sheet, of.id, far.1, &of.terms).await?;
                    }
                }
                _ => {
                    for far in far {
                        self.belong(sheet, (of.kind, of.id), &of.terms, *far).await?;
                    }
                }
            }
        }
        if of.kind == MultiDatastream {
            self.follow_properties(sheet, of).await?;
        }
        Ok(())
    }

    /// A MultiDatastream has an ObservedProperty for each data type.
    async fn follow_properties(
        &self,
        sheet: &mut Sheet<'_>,
        of: &Changing<'_>,
    ) -> Result<(), CityError> {
        let Entity::MultiDatastream(stream) = &of.change.entity else { return Ok(()) };
        let given = of.links.numbers("ObservedProperties");
        let count = match given.len() {
            0 => {
                let id = BTreeSet::from([of.id]);
                sheet.find(DATASTREAM_PROPERTY, "datastream", &id).await?.len()
            }
            given => given,
        };
        let types = stream.data_types.len();
        if count != types {
            let reason = format!(
                "a MultiDatastream has as many ObservedProperties as data types: it would have \
                 {count} and {types}"
            );
            return Err(CityError::Invalid(reason));
        }
        match given.is_empty() {
            true => Ok(()),
            false => self.observe_properties(sheet, of.id, &given, &of.terms).await,
        }
    }

    /// What follows from what it has become.
    async fn follow_change(
        &self,
        sheet: &mut Sheet<'_>,
        of: &Changing<'_>,
    ) -> Result<(), CityError> {
        use EntityKind::{Datastream, HistoricalLocation, Location, MultiDatastream, Thing};
        let id = BTreeSet::from([of.id]);
        let moves =
            of.change.changed.iter().any(|name| ["location", "encodingType"].contains(name));
        match of.kind {
            Thing if of.passes_on => self.give_terms(sheet, of.id, &of.terms).await,
            Datastream | MultiDatastream if of.passes_on => {
                self.give_streams_terms(sheet, &id, &of.terms).await
            }
            HistoricalLocation if of.passes_on => {
                self.give_notes_terms(sheet, &id, &of.terms).await
            }
            Location if moves => {
                for (_, row) in sheet.find(THING_LOCATION, "location", &id).await? {
                    let Some(thing) = number_in(&row, "thing") else { continue };
                    let at = BTreeSet::from([thing]);
                    let at = sheet.find(THING_LOCATION, "thing", &at).await?;
                    let at = at.iter().filter_map(|(_, row)| number_in(row, "location")).collect();
                    let place = self.place_among(sheet, &at).await?;
                    self.place(sheet, thing, place).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Has a Thing come to Locations, and notes it where it was elsewhere.
    async fn come(
        &self,
        sheet: &mut Sheet<'_>,
        deed: &StaDeed,
        thing: i64,
        locations: &BTreeSet<i64>,
        terms: &Terms,
    ) -> Result<(), CityError> {
        let place = self.place_among(sheet, locations).await?;
        if self.stand(sheet, thing, locations, place, terms).await? {
            let now_us = deed.now.timestamp_micros();
            self.note(sheet, thing, locations, now_us, terms).await?;
        }
        Ok(())
    }
}

/// Whose a row is.
pub(super) fn terms_in(row: &RecordBatch) -> Result<Terms, CityError> {
    let table = Table::of(&row.schema(), std::slice::from_ref(row))?;
    terms_of(&table, 0).ok_or_else(|| CityError::Kept("a row without an owner".to_owned()))
}

/// Whose it is from now on: what belongs to a Thing has the Thing's terms; of others `properties`
/// may say them anew. What they do not say stays as it is.
fn terms_after(
    session: &Session,
    change: &Change,
    had: &Terms,
    links: &Links,
    known: &BTreeMap<(EntityKind, i64), Known>,
) -> Result<Terms, CityError> {
    let thing = links.one("Thing").and_then(|thing| known.get(&(EntityKind::Thing, thing)));
    if let Some(thing) = thing {
        return Ok(thing.terms.clone());
    }
    let of_thing = matches!(
        change.entity.kind(),
        EntityKind::Datastream | EntityKind::MultiDatastream | EntityKind::HistoricalLocation
    );
    if of_thing || !change.changed.contains(&"properties") {
        return Ok(had.clone());
    }
    let owner = said(&change.entity, "owner").unwrap_or_else(|| had.owner.clone());
    may_add(session, &owner, "what it is to be")?;
    let sharing = said(&change.entity, "sharing").unwrap_or_else(|| had.sharing.clone());
    may_share(&sharing)?;
    Ok(Terms { owner, sharing })
}

/// A Thing's row with what its properties say of it beside the standard. Null takes it away; what
/// they do not name stays.
fn told_anew(
    session: &Session,
    thing: &Thing,
    mut row: RecordBatch,
) -> Result<RecordBatch, CityError> {
    let properties = thing.properties.as_ref().map(entity::Json::value).unwrap_or_default();
    for member in ["area_code", "network"] {
        if let Some(value) = properties.get(member) {
            if member == "area_code" {
                may_be_in(session, value.as_str())?;
            }
            row = with(&row, member, text(value.as_str()))?;
        }
    }
    Ok(row)
}
