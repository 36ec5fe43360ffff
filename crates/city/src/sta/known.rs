//! What new entities are linked to: whether the asker sees it, and whose it is.

use std::collections::{BTreeMap, BTreeSet};

use catalog::Session;
use sensing::entity::{Fault, Group, ObservationType, Outcome, check_elements};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::columns::Terms;
use super::{DATASTREAM, dataset, unread};
use crate::{City, CityError};

/// Entities that one statement looks up.
const LOOKED_UP_MAX: usize = 1_000;
/// Entities that one request may link to.
const LINKED_MAX: usize = 20_000;

/// An entity that is there.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub terms: Terms,
    /// Of a Location.
    pub geometry: Option<Vec<u8>>,
}

/// Entities by type and number.
pub(super) type Numbers = BTreeSet<(EntityKind, i64)>;

/// A stream that observations are for.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub terms: Terms,
    pub thing: i64,
    results: Results,
}

/// What results a stream has.
#[derive(Debug, Clone)]
enum Results {
    Of(ObservationType),
    /// Of a MultiDatastream.
    Elements(Vec<ObservationType>),
}

impl Stream {
    pub fn kind(&self) -> EntityKind {
        match self.results {
            Results::Of(_) => EntityKind::Datastream,
            Results::Elements(_) => EntityKind::MultiDatastream,
        }
    }

    /// Refuses a result that the stream's type does not allow.
    pub fn check(&self, result: &Outcome) -> Result<(), Box<Fault>> {
        let root = sensing::entity::At::Root;
        let at = root.member("result");
        match &self.results {
            Results::Of(kind) => kind.check(at, result),
            Results::Elements(kinds) => check_elements(at, kinds, result),
        }
    }

    /// The same for a bulk, where a row is refused alone.
    pub fn hold(&self, group: &mut Group) {
        match &self.results {
            Results::Of(kind) => group.hold_to(kind),
            Results::Elements(kinds) => group.hold_to_elements(kinds),
        }
    }
}

/// Can something be added to it only by who answers for it?
fn is_added_to(kind: EntityKind) -> bool {
    matches!(
        kind,
        EntityKind::Thing
            | EntityKind::Datastream
            | EntityKind::MultiDatastream
            | EntityKind::HistoricalLocation
    )
}

impl City {
    /// The entities of these numbers, as far as the session sees them.
    pub(super) async fn sta_known(
        &self,
        session: &Session,
        wanted: &Numbers,
    ) -> Result<BTreeMap<(EntityKind, i64), Known>, CityError> {
        if wanted.len() > LINKED_MAX {
            let reason = format!("a request links to at most {LINKED_MAX} entities");
            return Err(CityError::TooLarge(reason));
        }
        let mut by_kind: BTreeMap<EntityKind, Vec<i64>> = BTreeMap::new();
        for (kind, id) in wanted {
            by_kind.entry(*kind).or_default().push(*id);
        }
        let mut known = BTreeMap::new();
        for (kind, ids) in by_kind {
            for ids in ids.chunks(LOOKED_UP_MAX) {
                let geometry = if kind == EntityKind::Location { ", geometry" } else { "" };
                let which = match kind {
                    EntityKind::Datastream => " AND NOT multi",
                    EntityKind::MultiDatastream => " AND multi",
                    _ => "",
                };
                let sql = format!(
                    "SELECT id, owner, sharing{geometry} FROM {} WHERE id IN ({}){which}",
                    dataset(kind),
                    listed(ids)
                );
                let table = self.sta_rows(session, &sql, &[]).await?;
                for row in 0..table.len() {
                    let (Some(id), Some(terms)) = (table.integer("id", row), terms(&table, row))
                    else {
                        continue;
                    };
                    let geometry = table.bytes("geometry", row);
                    known.insert((kind, id), Known { terms, geometry });
                }
            }
        }
        Ok(known)
    }

    /// The same, where all have to be there, and what is added to has to be the asker's own.
    pub(super) async fn sta_linked(
        &self,
        session: &Session,
        wanted: &Numbers,
    ) -> Result<BTreeMap<(EntityKind, i64), Known>, CityError> {
        let known = self.sta_known(session, wanted).await?;
        for (kind, id) in wanted {
            let name = SENSORTHINGS_1_1.entity(*kind).name;
            let Some(found) = known.get(&(*kind, *id)) else {
                return Err(CityError::Invalid(format!("there is no {name} {id} to link to")));
            };
            if is_added_to(*kind) {
                may_add(session, &found.terms.owner, &format!("{name} {id}"))?;
            }
        }
        Ok(known)
    }

    /// The streams of these numbers that are the asker's own. Others are left out.
    pub(super) async fn sta_streams(
        &self,
        session: &Session,
        wanted: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Stream>, CityError> {
        let mut streams = BTreeMap::new();
        let wanted: Vec<i64> = wanted.iter().copied().collect();
        for ids in wanted.chunks(LOOKED_UP_MAX) {
            let sql = format!(
                "SELECT id, thing, observation_type, data_types, multi, owner, sharing FROM \
                 {DATASTREAM} WHERE id IN ({})",
                listed(ids)
            );
            let table = self.sta_rows(session, &sql, &[]).await?;
            for row in 0..table.len() {
                let Some((id, stream)) = stream_of_row(&table, row)? else { continue };
                if session.principal.organisations.contains(&stream.terms.owner) {
                    streams.insert(id, stream);
                }
            }
        }
        Ok(streams)
    }
}

/// A row of a stream with its number.
pub(super) fn stream_of_row(
    table: &super::table::Table,
    row: usize,
) -> Result<Option<(i64, Stream)>, CityError> {
    let (Some(id), Some(thing), Some(terms)) =
        (table.integer("id", row), table.integer("thing", row), terms(table, row))
    else {
        return Ok(None);
    };
    let results = match table.flag("multi", row) {
        Some(true) => {
            let types = table.text("data_types", row).unwrap_or_default();
            let types: Vec<String> =
                serde_json::from_str(&types).map_err(|error| CityError::Kept(error.to_string()))?;
            let kinds = types.iter().map(|uri| ObservationType::parse(uri));
            Results::Elements(
                kinds.collect::<Result<_, Box<Fault>>>().map_err(|error| unread(&error))?,
            )
        }
        _ => {
            let uri = table.text("observation_type", row).unwrap_or_default();
            Results::Of(ObservationType::parse(&uri).map_err(|error| unread(&error))?)
        }
    };
    Ok(Some((id, Stream { terms, thing, results })))
}

pub(super) fn terms(table: &super::table::Table, row: usize) -> Option<Terms> {
    Some(Terms { owner: table.text("owner", row)?, sharing: table.text("sharing", row)? })
}

/// Numbers of rows and of bodies are integers, so they are written out.
fn listed(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(", ")
}

/// Whether the asker acts for who answers for it, and so may add to it.
pub(super) fn may_add(session: &Session, owner: &str, what: &str) -> Result<(), CityError> {
    acts_for(session, owner, what, "add to it")
}

/// The same, to change it or take it away.
pub(super) fn may_change(session: &Session, owner: &str, what: &str) -> Result<(), CityError> {
    acts_for(session, owner, what, "change it")
}

fn acts_for(session: &Session, owner: &str, what: &str, verb: &str) -> Result<(), CityError> {
    let principal = &session.principal;
    if principal.organisations.contains(owner) {
        return Ok(());
    }
    let reason = format!("{what} belongs to {owner}: {} may not {verb}", principal.user);
    Err(CityError::Refused(reason))
}
