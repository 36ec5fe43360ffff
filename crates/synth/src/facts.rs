//! What the pack says a city is made of: `synth/` in its folder. Typed, read and checked here; the
//! rest of the crate knows no city.
//!
//! ```text
//!  city.toml         centre, settlement, grids, people, streets, metro, supply
//!  districts.csv     area, seat, households         population.csv   people by sex and age
//!  employment.csv    workers by section             enterprises.toml sections, chains
//!  facilities.toml   kinds of facilities            sensors.toml     kinds, incidents
//!  land.toml         venues, parks, parcels
//! ```

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use pack::{AreaLevel, Pack, Text};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, SynthError};

/// Version of these files, written in `city.toml`.
const FORMAT: u32 = 1;
const FOLDER: &str = "synth";

#[derive(Debug, Clone)]
pub struct Facts {
    pub city: CityFacts,
    /// In the order of the pack's areas.
    pub districts: Vec<DistrictFacts>,
    /// Sex and age groups, the same for each district.
    pub bands: Vec<Band>,
    pub facilities: Vec<FacilityKind>,
    pub enterprises: EnterpriseFacts,
    pub sensors: SensorFacts,
    pub land: LandFacts,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CityFacts {
    format: u32,
    pub centre: Degrees,
    pub settlement: Settlement,
    pub grids: Grids,
    pub people: PeopleFacts,
    pub streets: StreetFacts,
    pub metro: MetroFacts,
    pub supply: Vec<Supply>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degrees {
    pub lon: f64,
    pub lat: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    pub town_suffixes: Vec<String>,
    pub village_suffixes: Vec<String>,
    pub name_suffixes: Vec<String>,
    pub street_density: f64,
    pub urban_community_density: f64,
    pub density_falls_by_radii: f64,
    pub spread_sigma: f64,
    pub urban_households_per_building: usize,
    pub rural_households_per_building: usize,
    pub people_per_dormitory: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grids {
    pub general_households: usize,
    pub micro_households: usize,
    pub dedicated_people: usize,
    pub dedicated_people_min: usize,
    pub general_name: Text,
    pub micro_name: Text,
    pub dedicated_name: Text,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleFacts {
    pub identity_prefix: String,
    pub reference_date: NaiveDate,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreetFacts {
    pub people_per_node: usize,
    pub radials: usize,
    pub local_spacing_m: f64,
    pub outer_spacing_m: f64,
    pub ring: Vec<RingRoad>,
    pub class: Vec<StreetClass>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingRoad {
    pub name: Text,
    pub radius_m: f64,
    pub class: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreetClass {
    pub id: String,
    /// None: nobody walks there.
    pub walk_m_per_s: Option<f64>,
    pub drive_km_per_h: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetroFacts {
    pub lines: usize,
    pub ring_line: usize,
    pub ring_radius_m: f64,
    pub line_name: Text,
    pub station_name: Text,
    pub reach_m: f64,
    pub spacing_centre_m: f64,
    pub spacing_outer_m: f64,
    pub interchange_m: f64,
    pub opened_year_first: i32,
    pub opened_year_last: i32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supply {
    pub to_km: f64,
    pub factor: f64,
}

/// A row of `districts.csv` with its rows of the other tables.
#[derive(Debug, Clone)]
pub struct DistrictFacts {
    pub code: String,
    pub area_km2: f64,
    pub seat: Degrees,
    /// About the middle of its ground.
    pub middle: Degrees,
    pub households: usize,
    pub household_people: usize,
    pub single_households: usize,
    /// By [`Facts::bands`].
    pub people: Vec<usize>,
    /// Workers by [`EnterpriseFacts::section`].
    pub employed: Vec<usize>,
}

impl DistrictFacts {
    pub fn people_all(&self) -> usize {
        self.people.iter().sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    pub male: bool,
    pub age_from: u32,
    /// None: no upper end.
    pub age_to: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacilityKind {
    pub id: String,
    pub name: Text,
    pub owner: String,
    pub people_per_facility: f64,
    pub capacity: [f64; 2],
    pub capacity_unit: String,
    /// Youngest and, perhaps, oldest age that it serves.
    pub ages: Vec<u32>,
    pub opens: String,
    pub closes: String,
    pub days: String,
    pub floor_m2: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseFacts {
    pub total: usize,
    pub year: i32,
    pub updated_to: DateTime<Utc>,
    /// Of the firms that could be high-tech enterprises, those that are.
    pub high_tech_share: f64,
    pub code_prefix: String,
    pub founded_from_year: i32,
    pub section: Vec<Section>,
    pub chain: Vec<Chain>,
}

/// A section of GB/T 4754.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub id: String,
    pub name: Text,
    pub mean_staff: f64,
    pub company_share: f64,
    /// 10,000 yuan a year.
    pub revenue_per_head: f64,
    pub research_share: f64,
    pub researching: f64,
    pub debt_ratio: f64,
    pub codes: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    pub id: String,
    pub name: Text,
    pub sections: Vec<String>,
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub id: String,
    pub zh: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorFacts {
    pub silent_share: f64,
    pub drifting_share: f64,
    pub faulty_share: f64,
    /// Of those that told something once and tell nothing any more.
    pub gone_share: f64,
    /// Of those that were set up and have never told anything.
    pub unheard_share: f64,
    pub retired_share: f64,
    /// Of gateways that carry nothing any more; one is, in any city.
    pub gateways_gone_share: f64,
    pub installed_from_year: i32,
    pub installed_to: NaiveDate,
    /// The first day on which one is due for maintenance; the others follow within a year.
    pub maintained_from: NaiveDate,
    pub gateway_name: Text,
    pub battery: BatteryFacts,
    pub kind: Vec<SensorKind>,
    pub incident: Vec<IncidentKind>,
}

/// What devices without mains tell of their batteries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatteryFacts {
    pub name: Text,
    pub period_s: u32,
    /// Days that a middling one lasts.
    pub days: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorKind {
    pub id: String,
    pub name: Text,
    pub owner: String,
    /// What it observes.
    pub observes: Text,
    /// Where that is defined; by default a name of this project's own.
    pub definition: Option<String>,
    pub unit: String,
    pub unit_name: String,
    /// Open to all departments.
    pub shared: bool,
    /// As many share a gateway; none: each has a connection of its own.
    pub per_gateway: Option<usize>,
    #[serde(default)]
    pub battery: bool,
    pub period_s: u32,
    pub people_per_sensor: f64,
    pub prefix: String,
    pub base: f64,
    pub daily: f64,
    pub peak_hour: f64,
    pub weekly: f64,
    pub noise: f64,
    pub drift_per_day: f64,
    pub range_max: f64,
    /// A reading so far from those beside it is no plausible one.
    pub spike: Option<f64>,
    /// Nor are so many in a row that are the same.
    pub stuck_readings: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentKind {
    pub id: String,
    pub every_hours: f64,
    pub name: Text,
    pub kind: String,
    pub factor: f64,
    pub radius_m: f64,
    pub hours: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandFacts {
    pub venues: usize,
    pub parks: usize,
    pub parcels: usize,
    pub park_name: Text,
    pub venue_name: Text,
    pub venue: Vec<VenueKind>,
    pub r#use: Vec<LandUse>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueKind {
    pub id: String,
    pub name: Text,
    pub owner: String,
    pub share: f64,
    pub capacity: [f64; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandUse {
    pub id: String,
    pub name: Text,
    pub share: f64,
    pub built_share: f64,
}

#[derive(Debug, Deserialize)]
struct FacilityFile {
    facility: Vec<FacilityKind>,
}

#[derive(Debug, Deserialize)]
struct DistrictRow {
    district: String,
    area_km2: f64,
    lon: f64,
    lat: f64,
    middle_lon: f64,
    middle_lat: f64,
    households: usize,
    household_people: usize,
    single_households: usize,
}

#[derive(Debug, Deserialize)]
struct PopulationRow {
    district: String,
    sex: String,
    age_from: u32,
    age_to: Option<u32>,
    people: usize,
}

#[derive(Debug, Deserialize)]
struct EmploymentRow {
    district: String,
    section: String,
    employed: usize,
}

impl Facts {
    pub fn read(pack: &Pack) -> Result<Self> {
        let dir = pack.dir.join(FOLDER);
        let city: CityFacts = toml(&dir.join("city.toml"))?;
        if city.format != FORMAT {
            let problem = format!("format {}: this program reads {FORMAT}", city.format);
            return Err(SynthError::Facts { path: dir.join("city.toml"), problem });
        }
        let enterprises: EnterpriseFacts = toml(&dir.join("enterprises.toml"))?;
        let facilities: FacilityFile = toml(&dir.join("facilities.toml"))?;
        let (bands, districts) = districts(pack, &dir, &enterprises.section)?;
        Ok(Self {
            city,
            districts,
            bands,
            facilities: facilities.facility,
            enterprises,
            sensors: toml(&dir.join("sensors.toml"))?,
            land: toml(&dir.join("land.toml"))?,
        })
    }

    /// Residents in the published figures: what full scale means.
    pub fn people_all(&self) -> usize {
        self.districts.iter().map(DistrictFacts::people_all).sum()
    }
}

fn toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SynthError::Read { path: path.to_owned(), source })?;
    ::toml::from_str(&text)
        .map_err(|error| SynthError::Facts { path: path.to_owned(), problem: error.to_string() })
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let fault =
        |error: csv::Error| SynthError::Facts { path: path.to_owned(), problem: error.to_string() };
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).map_err(fault)?;
    reader.deserialize().collect::<std::result::Result<_, _>>().map_err(fault)
}

fn districts(
    pack: &Pack,
    dir: &Path,
    sections: &[Section],
) -> Result<(Vec<Band>, Vec<DistrictFacts>)> {
    let heads: Vec<DistrictRow> = rows(&dir.join("districts.csv"))?;
    let people: Vec<PopulationRow> = rows(&dir.join("population.csv"))?;
    let employed: Vec<EmploymentRow> = rows(&dir.join("employment.csv"))?;
    let mut bands: Option<Vec<Band>> = None;
    let mut districts = Vec::new();
    for area in pack.areas.iter().filter(|area| area.level == AreaLevel::District) {
        let missing = |file: &str, what: &str| SynthError::Facts {
            path: dir.join(file),
            problem: format!("district {} has no {what}", area.code),
        };
        let head = heads
            .iter()
            .find(|row| row.district == area.code)
            .ok_or_else(|| missing("districts.csv", "row"))?;
        let own: Vec<&PopulationRow> =
            people.iter().filter(|row| row.district == area.code).collect();
        let band = |row: &&PopulationRow| Band {
            male: row.sex == "male",
            age_from: row.age_from,
            age_to: row.age_to,
        };
        let here: Vec<Band> = own.iter().map(band).collect();
        if here.is_empty() || bands.get_or_insert_with(|| here.clone()) != &here {
            return Err(missing("population.csv", "groups, or others than the first district"));
        }
        let section = |section: &Section| {
            employed
                .iter()
                .find(|row| row.district == area.code && row.section == section.id)
                .map(|row| row.employed)
                .ok_or_else(|| missing("employment.csv", &format!("section {}", section.id)))
        };
        districts.push(DistrictFacts {
            code: area.code.clone(),
            area_km2: head.area_km2,
            seat: Degrees { lon: head.lon, lat: head.lat },
            middle: Degrees { lon: head.middle_lon, lat: head.middle_lat },
            households: head.households,
            household_people: head.household_people,
            single_households: head.single_households,
            people: own.iter().map(|row| row.people).collect(),
            employed: sections.iter().map(section).collect::<Result<_>>()?,
        });
    }
    match bands {
        Some(bands) if districts.len() > 1 => Ok((bands, districts)),
        _ => Err(SynthError::Facts {
            path: dir.join("districts.csv"),
            problem: "a city of two districts at least is needed".to_owned(),
        }),
    }
}
