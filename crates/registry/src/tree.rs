//! Organisations and areas as they stand now, in memory: who is above whom, who is below.
//!
//! The pack has been checked for cycles, and the walks are bounded all the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use pack::AreaLevel;
use sea_orm::DatabaseConnection;

use crate::{RegistryError, register};

/// Deeper than any administration on earth.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct Tree {
    organisations: BTreeMap<String, Organisation>,
    /// Organisation → those directly below it.
    below: BTreeMap<String, Vec<String>>,
    /// Area → the one above it.
    areas: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone)]
struct Organisation {
    parent: Option<String>,
    area: String,
}

impl Tree {
    pub(crate) async fn load(
        db: &DatabaseConnection,
        now: DateTime<Utc>,
    ) -> Result<Self, RegistryError> {
        let mut tree = Self::default();
        for row in register::organisations_at(db, now).await? {
            if let Some(parent) = &row.parent {
                tree.below.entry(parent.clone()).or_default().push(row.id.clone());
            }
            let organisation = Organisation { parent: row.parent, area: row.area };
            tree.organisations.insert(row.id, organisation);
        }
        for row in register::areas_at(db, now, false).await? {
            tree.areas.insert(row.code, row.parent);
        }
        Ok(tree)
    }

    pub fn has_organisation(&self, id: &str) -> bool {
        self.organisations.contains_key(id)
    }

    /// The ids of all organisations there are now.
    pub fn organisations(&self) -> impl Iterator<Item = &String> {
        self.organisations.keys()
    }

    pub fn has_area(&self, code: &str) -> bool {
        self.areas.contains_key(code)
    }

    /// The area that an organisation answers for.
    pub fn area_of(&self, organisation: &str) -> Option<&str> {
        self.organisations.get(organisation).map(|organisation| organisation.area.as_str())
    }

    /// An organisation and every one above it, nearest first.
    pub fn ancestors(&self, organisation: &str) -> Vec<String> {
        let parent =
            |id: &str| self.organisations.get(id).and_then(|found| found.parent.as_deref());
        climb(organisation, self.has_organisation(organisation), parent)
    }

    /// An organisation and every one below it.
    pub fn subtree(&self, organisation: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if !self.has_organisation(organisation) {
            return found;
        }
        let mut waiting = vec![organisation];
        while let Some(id) = waiting.pop() {
            if found.insert(id.to_owned()) {
                let below = self.below.get(id).map(Vec::as_slice).unwrap_or_default();
                waiting.extend(below.iter().map(String::as_str));
            }
        }
        found
    }

    /// An area and every one above it, nearest first.
    pub fn areas_above(&self, code: &str) -> Vec<String> {
        let parent = |id: &str| self.areas.get(id).and_then(Option::as_deref);
        climb(code, self.has_area(code), parent)
    }

    /// The prefix that the codes of an area and of all below it share.
    pub fn area_prefix(&self, code: &str) -> Option<String> {
        self.has_area(code).then(|| pack::codes::area_prefix(code).to_owned())
    }
}

fn climb<'a>(from: &'a str, known: bool, parent: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let mut above = Vec::new();
    let mut at = known.then_some(from);
    while let Some(id) = at
        && above.len() < DEPTH_MAX
    {
        above.push(id.to_owned());
        at = parent(id);
    }
    above
}

/// A level as the records keep it.
pub(crate) fn level_text(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::City => "city",
        AreaLevel::District => "district",
        AreaLevel::Street => "street",
        AreaLevel::Community => "community",
        AreaLevel::Grid => "grid",
        AreaLevel::MicroGrid => "micro_grid",
    }
}
