//! The census: how many devices there are of each state, by department, area or kind, and how many
//! of those that are registered are connected (应接尽接).

use std::collections::BTreeMap;

use catalog::Session;
use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use pack::Text;

use super::{Conditions, DEVICE_STATE, count_of, not_said, text};
use crate::objects::{quoted, quoted_table};
use crate::sta::table::Table;
use crate::{City, CityError};

/// Areas below one that are listed.
const AREAS_MAX: usize = 2_000;

/// What the census is broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CensusBy {
    Department,
    Area,
    Kind,
}

/// Devices by state, and sums of their shares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    pub devices: u64,
    pub registered: u64,
    pub connected: u64,
    pub reporting: u64,
    pub silent: u64,
    pub retired: u64,
    /// Not retired, and to be maintained by today.
    pub maintenance_due: u64,
    valid: Mean,
    uptime: Mean,
}

/// A mean in the making, of those of which something is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn read(table: &Table, sum: &str, count: &str, row: usize) -> Self {
        Self { sum: table.number(sum, row).unwrap_or(0.0), count: count_of(table, count, row) }
    }

    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.devices += other.devices;
        self.registered += other.registered;
        self.connected += other.connected;
        self.reporting += other.reporting;
        self.silent += other.silent;
        self.retired += other.retired;
        self.maintenance_due += other.maintenance_due;
        self.valid.add(other.valid);
        self.uptime.add(other.uptime);
    }

    /// Those of one state, as a row of the census' statement has them.
    fn of(state: &str, table: &Table, row: usize) -> Self {
        let devices = count_of(table, "devices", row);
        let mut tally = Self {
            devices,
            maintenance_due: count_of(table, "due", row),
            valid: Mean::read(table, "valid_sum", "valid_count", row),
            uptime: Mean::read(table, "uptime_sum", "uptime_count", row),
            ..Self::default()
        };
        match state {
            "connected" => tally.connected = devices,
            "reporting" => tally.reporting = devices,
            "silent" => tally.silent = devices,
            "retired" => tally.retired = devices,
            _ => tally.registered = devices,
        }
        tally
    }

    /// Connected, reporting and silent ones of all that are not retired.
    pub fn connected_share(&self) -> Option<f64> {
        let standing = self.devices.saturating_sub(self.retired);
        let connected = self.connected + self.reporting + self.silent;
        (standing > 0).then(|| connected as f64 / standing as f64)
    }

    /// The mean over devices that are not retired and of which it is known.
    pub fn valid_share(&self) -> Option<f64> {
        self.valid.value()
    }

    /// The mean over devices that are not retired and of which it is known.
    pub fn uptime_share(&self) -> Option<f64> {
        self.uptime.value()
    }
}

#[derive(Debug)]
pub struct CensusRow {
    /// A department, an area's code, a kind; empty where the device says none, or lies in none of
    /// the areas.
    pub key: String,
    pub title: Text,
    pub tally: Tally,
}

#[derive(Debug)]
pub struct Census {
    pub at: DateTime<Utc>,
    /// What is known of Datastreams is made up; false for a while after a start.
    pub whole: bool,
    pub total: Tally,
    pub rows: Vec<CensusRow>,
}

/// An area below the one that was asked about.
#[derive(Debug, Clone, PartialEq)]
struct Child {
    code: String,
    title: Text,
}

impl Child {
    fn prefix(&self) -> &str {
        pack::codes::area_prefix(&self.code)
    }
}

/// Groups by the children whose codes they begin with; by an empty key where there is none.
fn rolled_up(groups: &[(String, Tally)], children: &[Child]) -> BTreeMap<String, Tally> {
    let by_prefix: BTreeMap<&str, &str> =
        children.iter().map(|child| (child.prefix(), child.code.as_str())).collect();
    let mut rows: BTreeMap<String, Tally> =
        children.iter().map(|child| (child.code.clone(), Tally::default())).collect();
    for (code, tally) in groups {
        let ends = (1..=code.len()).rev().filter(|end| code.is_char_boundary(*end));
        let found = ends.map(|end| &code[..end]).find_map(|prefix| by_prefix.get(prefix));
        rows.entry(found.copied().unwrap_or_default().to_owned()).or_default().add(tally);
    }
    rows
}

impl City {
    /// Today, on the city's clocks.
    fn today_here(&self) -> NaiveDate {
        let offset = FixedOffset::east_opt(self.pack().city.utc_offset_minutes * 60);
        match offset {
            Some(offset) => Utc::now().with_timezone(&offset).date_naive(),
            None => Utc::now().date_naive(),
        }
    }

    /// The census of the devices that the session sees, in an area where one is named.
    pub async fn census(
        &self,
        session: &Session,
        by: CensusBy,
        area: Option<&str>,
    ) -> Result<Census, CityError> {
        let key = match by {
            CensusBy::Department => "coalesce(owner, '')",
            CensusBy::Area => "coalesce(area_code, '')",
            CensusBy::Kind => "coalesce(kind, '')",
        };
        let mut asked = Conditions::default();
        asked.params.push(text(&self.today_here().to_string()));
        if let Some(area) = area {
            asked.with("starts_with(area_code, {})", text(pack::codes::area_prefix(area)));
        }
        let (valid, uptime) = (standing("valid_share"), standing("uptime_share"));
        let sql = format!(
            "SELECT {key} AS grouped, state, count(*) AS devices, \
             sum({valid}) AS valid_sum, count({valid}) AS valid_count, \
             sum({uptime}) AS uptime_sum, count({uptime}) AS uptime_count, \
             count(CASE WHEN state <> 'retired' AND CAST(maintenance_due AS VARCHAR) <= $1 \
             THEN 1 END) AS due \
             FROM sensing.device_state{} GROUP BY 1, 2",
            asked.clause()
        );
        let table = self.sensed(session, &[DEVICE_STATE], &sql, &asked.params).await?;
        let mut total = Tally::default();
        let mut groups = Vec::with_capacity(table.len());
        for row in 0..table.len() {
            let state = table.text("state", row).unwrap_or_default();
            let tally = Tally::of(&state, &table, row);
            total.add(&tally);
            groups.push((table.text("grouped", row).unwrap_or_default(), tally));
        }
        let rows = match by {
            CensusBy::Area => self.by_area(session, &groups, area).await?,
            CensusBy::Department => summed(&groups, |key| self.organisation_called(key)),
            CensusBy::Kind => summed(&groups, |key| self.kind_called(key)),
        };
        Ok(Census { at: Utc::now(), whole: self.live().is_whole(), total, rows })
    }

    async fn by_area(
        &self,
        session: &Session,
        groups: &[(String, Tally)],
        area: Option<&str>,
    ) -> Result<Vec<CensusRow>, CityError> {
        let parent = area.unwrap_or(&self.pack().city.code);
        let children = self.areas_below(session, parent).await?;
        let rows = rolled_up(groups, &children).into_iter();
        let titled = rows.map(|(key, tally)| {
            let child = children.iter().find(|child| child.code == key);
            let title = child.map_or_else(not_said, |child| child.title.clone());
            CensusRow { key, title, tally }
        });
        Ok(titled.collect())
    }

    /// The areas directly below one: the pack's, or those of the dataset that its map names.
    async fn areas_below(&self, session: &Session, parent: &str) -> Result<Vec<Child>, CityError> {
        let of_pack =
            self.pack().areas.iter().filter(|area| area.parent.as_deref() == Some(parent));
        let of_pack: Vec<Child> = of_pack
            .take(AREAS_MAX)
            .map(|area| Child { code: area.code.clone(), title: area.name.clone() })
            .collect();
        let fields = self.pack().map.as_ref().and_then(|map| map.areas.as_ref());
        let (true, Some(fields)) = (of_pack.is_empty(), fields) else { return Ok(of_pack) };
        let name = quoted(&fields.name);
        let name_en = fields.name_en.as_ref().map_or_else(|| name.clone(), |field| quoted(field));
        let sql = format!(
            "SELECT {code} AS code, {name} AS name, {name_en} AS name_en FROM {dataset} \
             WHERE {parent} = $1 ORDER BY 1 LIMIT {AREAS_MAX}",
            code = quoted(&fields.code),
            dataset = quoted_table(&fields.dataset),
            parent = quoted(&fields.parent),
        );
        let table = self.sensed(session, &[&fields.dataset], &sql, &[text(parent)]).await?;
        let child = |row: usize| {
            let code = table.text("code", row)?;
            let zh = table.text("name", row).unwrap_or_else(|| code.clone());
            let en = table.text("name_en", row).unwrap_or_else(|| zh.clone());
            Some(Child { code, title: Text { zh, en } })
        };
        Ok((0..table.len()).filter_map(child).collect())
    }
}

/// A share as a number, of those that are not retired.
fn standing(share: &str) -> String {
    format!("CASE WHEN state <> 'retired' THEN CAST({share} AS DOUBLE) END")
}

/// One row for each key.
fn summed(groups: &[(String, Tally)], called: impl Fn(&str) -> Text) -> Vec<CensusRow> {
    let mut rows: BTreeMap<&str, Tally> = BTreeMap::new();
    for (key, tally) in groups {
        rows.entry(key).or_default().add(tally);
    }
    let titled = rows.into_iter().map(|(key, tally)| CensusRow {
        key: key.to_owned(),
        title: if key.is_empty() { not_said() } else { called(key) },
        tally,
    });
    titled.collect()
}

#[cfg(test)]
mod tests {
    use super::super::itself;
    use super::*;

    fn tally(reporting: u64, silent: u64, retired: u64) -> Tally {
        let devices = reporting + silent + retired;
        Tally { devices, reporting, silent, retired, ..Tally::default() }
    }

    #[test]
    fn retired_devices_are_no_part_of_the_share_that_is_connected() {
        let mut all = tally(2, 1, 3);
        all.registered = 1;
        all.devices += 1;
        assert_eq!(all.connected_share(), Some(0.75));
        assert_eq!(tally(0, 0, 5).connected_share(), None);
        assert_eq!(all.valid_share(), None);
    }

    #[test]
    fn a_mean_is_of_all_devices_alike() {
        let mut all = Tally { valid: Mean { sum: 0.5, count: 1 }, ..Tally::default() };
        all.add(&Tally { valid: Mean { sum: 3.0, count: 3 }, ..Tally::default() });
        assert_eq!(all.valid_share(), Some(0.875));
    }

    #[test]
    fn grids_count_for_the_area_that_they_lie_in() {
        let child = |code: &str| Child { code: code.to_owned(), title: itself(code) };
        let children = [child("510104000000"), child("510105000000")];
        let groups = [
            ("51010401700103".to_owned(), tally(1, 0, 0)),
            ("510104000000".to_owned(), tally(0, 2, 0)),
            ("510106001001".to_owned(), tally(4, 0, 0)),
            (String::new(), tally(8, 0, 0)),
        ];
        let rows = rolled_up(&groups, &children);
        assert_eq!(rows["510104000000"], tally(1, 2, 0));
        assert_eq!(rows["510105000000"], Tally::default(), "listed where it has none");
        assert_eq!(rows[""], tally(12, 0, 0));
    }
}
