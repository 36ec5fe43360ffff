//! One community: its people drawn, housed, and written as rows.

use pack::Text;

use crate::apportion::{apportion, totals};
use crate::num::{index, real};
use crate::people::dates::{AGE_MAX, Births, check_character};
use crate::people::households::{ADULT_AGE, Housed, Person, house};
use crate::people::{Made, rows};
use crate::plan::{Community, Plan};
use crate::plane::{Point, centroid, inside, toward};
use crate::rng::{Permutation, Rng, Topic};
use crate::sheet::Rows;

/// Sequence numbers of a day and sex in an identity number.
const SEQUENCES_MAX: u16 = 500;
const ELDER_AGE: u32 = 65;
/// Mean of what the oldest group has lived beyond its beginning.
const OLDEST_YEARS_MEAN: f64 = 4.0;
/// Buildings keep off the border by this share of the way to the middle.
const INSET_SHARE: f64 = 0.08;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const UPDATED_WITHIN_MINUTES: usize = 365 * 24 * 60;

/// What all communities share.
pub struct Maker<'a> {
    plan: &'a Plan,
    births: Births,
    /// By district: running totals over bands, and the order in which its people are dealt out.
    bands: Vec<Vec<usize>>,
    orders: Vec<Permutation>,
}

/// A building with those who live in it.
struct Building {
    id: String,
    area_code: String,
    kind: &'static str,
    at: Point,
    floors: usize,
    built_year: usize,
    households: std::ops::Range<usize>,
    /// Of the collective.
    lodgers: std::ops::Range<usize>,
}

impl<'a> Maker<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let bands = plan.districts.iter().map(|district| {
            let counts = district.by_band.iter().map(|count| real(*count));
            totals(counts).into_iter().map(crate::num::round).collect()
        });
        let order = |(number, district): (usize, &crate::plan::District)| {
            let rng = Rng::of(plan.seed, Topic::Ages, number as u64);
            Permutation::new(district.people as u64, rng)
        };
        Self {
            plan,
            births: Births::new(plan.facts.city.people.reference_date),
            bands: bands.collect(),
            orders: plan.districts.iter().enumerate().map(order).collect(),
        }
    }

    pub fn community(&self, number: usize) -> Made {
        let community = &self.plan.communities[number];
        let mut rng = Rng::of(self.plan.seed, Topic::People, number as u64);
        let people = self.draw(community, &mut rng);
        let facts = &self.plan.facts.districts[community.district];
        let single_share = real(facts.single_households) / real(facts.households.max(1));
        let housed = house(
            &people,
            community.households,
            community.household_people,
            single_share,
            &mut rng,
        );
        let buildings = self.buildings(number, &housed);
        let mut rows = rows();
        let mut writer = Writer {
            maker: self,
            community,
            ordinal: number,
            people: &people,
            sequence: std::collections::HashMap::new(),
            rng: Rng::of(self.plan.seed, Topic::Households, number as u64),
        };
        for building in &buildings {
            writer.building(building, &housed, &mut rows);
        }
        Made { batches: rows.map(Rows::finish) }
    }

    /// Sex and age of everybody here. The district's people stand in a shuffled row; a community
    /// takes its stretch of it.
    fn draw(&self, community: &Community, rng: &mut Rng) -> Vec<Person> {
        let (bands, order) = (&self.bands[community.district], &self.orders[community.district]);
        let person = |nth: usize| {
            let at = order.at((community.first_person + nth) as u64);
            let at = usize::try_from(at).expect("people are counted in usize");
            let band = bands.partition_point(|total| *total <= at);
            let facts = self.plan.facts.bands[band];
            let age = match facts.age_to {
                Some(oldest) => {
                    facts.age_from + index(rng.below((oldest - facts.age_from + 1) as usize))
                }
                None => {
                    let beyond = -OLDEST_YEARS_MEAN * (1.0 - rng.unit()).ln();
                    (facts.age_from + index(crate::num::floor(beyond))).min(AGE_MAX)
                }
            };
            Person { male: facts.male, age, band }
        };
        (0..community.people).map(person).collect()
    }

    /// Buildings of all grids, and who of the housed lives in which.
    fn buildings(&self, number: usize, housed: &Housed) -> Vec<Building> {
        let plan = self.plan;
        let community = &plan.communities[number];
        let mut rng = Rng::of(plan.seed, Topic::Buildings, number as u64);
        let settlement = &plan.facts.city.settlement;
        let per_building = match community.urban {
            true => settlement.urban_households_per_building,
            false => settlement.rural_households_per_building,
        };
        let mut buildings = Vec::new();
        let (mut household, mut lodger) = (0, 0);
        for grid in &plan.grids[community.grids.clone()] {
            for micro in &plan.micros[grid.micros.clone()] {
                let ring = plan.mesh.outline(&micro.face);
                let count = micro.households.div_ceil(per_building.max(1));
                for (nth, homes) in
                    apportion(micro.households, &vec![1.0; count]).into_iter().enumerate()
                {
                    let kind = if community.urban { "apartment" } else { "house" };
                    let mut building = build(&micro.code, nth, kind, &ring, homes, &mut rng);
                    building.households = household..household + homes;
                    household += homes;
                    buildings.push(building);
                }
            }
            if grid.dedicated_people > 0 {
                let ring = plan.mesh.outline(&grid.face);
                let people = grid.dedicated_people;
                self.dormitories(
                    &grid.code,
                    &ring,
                    lodger..lodger + people,
                    &mut rng,
                    &mut buildings,
                );
                lodger += people;
            }
        }
        debug_assert_eq!(household, housed.households.len(), "grids hold all households");
        // Too few for a grid of their own, they live in the first.
        if lodger < housed.collective.len() {
            let grid = &plan.grids[community.grids.start];
            let ring = plan.mesh.outline(&grid.face);
            let rest = lodger..housed.collective.len();
            self.dormitories(&grid.code, &ring, rest, &mut rng, &mut buildings);
        }
        buildings
    }

    fn dormitories(
        &self,
        grid: &str,
        ring: &[Point],
        lodgers: std::ops::Range<usize>,
        rng: &mut Rng,
        into: &mut Vec<Building>,
    ) {
        let count = lodgers.len().div_ceil(self.plan.facts.city.settlement.people_per_dormitory);
        let mut first = lodgers.start;
        for (nth, people) in apportion(lodgers.len(), &vec![1.0; count]).into_iter().enumerate() {
            let mut building = build(grid, nth, "dormitory", ring, people.div_ceil(4), rng);
            building.id = format!("{grid}D{:03}", nth + 1);
            building.lodgers = first..first + people;
            first += people;
            into.push(building);
        }
    }
}

/// An empty building somewhere in a ring, as high as its homes make it.
fn build(
    area: &str,
    nth: usize,
    kind: &'static str,
    ring: &[Point],
    homes: usize,
    rng: &mut Rng,
) -> Building {
    const BUILT_FIRST: usize = 1980;
    const BUILT_YEARS: usize = 40;
    let floors = match kind {
        "house" => 1 + rng.below(3),
        _ => (homes / [1, 2, 4, 6][rng.below(4)]).clamp(3, 34),
    };
    Building {
        id: format!("{area}{:03}", nth + 1),
        area_code: area.to_owned(),
        kind,
        at: toward(inside(ring, rng), centroid(ring), INSET_SHARE),
        floors,
        built_year: BUILT_FIRST + rng.below(BUILT_YEARS),
        households: 0..0,
        lodgers: 0..0,
    }
}

/// Writes a community's rows.
struct Writer<'a> {
    maker: &'a Maker<'a>,
    community: &'a Community,
    ordinal: usize,
    people: &'a [Person],
    /// Identity numbers given out for a day and sex.
    sequence: std::collections::HashMap<(i32, bool), u16>,
    rng: Rng,
}

impl Writer<'_> {
    fn building(&mut self, building: &Building, housed: &Housed, rows: &mut [Rows; 4]) {
        let homes = &housed.households[building.households.clone()];
        let lodgers = &housed.collective[building.lodgers.clone()];
        let people: usize = homes.iter().map(Vec::len).sum::<usize>() + lodgers.len();
        rows[0].text(&building.id).text(&building.area_code).text(building.kind);
        rows[0].count(building.floors).count(building.built_year).count(homes.len()).count(people);
        rows[0].point(&self.maker.plan.plane, building.at);
        for (nth, members) in homes.iter().enumerate() {
            self.household(building, nth + 1, "family", members, rows);
        }
        if !lodgers.is_empty() {
            self.household(building, homes.len() + 1, "collective", lodgers, rows);
        }
        let mut bands = vec![0_usize; self.maker.plan.facts.bands.len()];
        for member in homes.iter().flatten().chain(lodgers) {
            bands[self.people[*member as usize].band] += 1;
        }
        for (band, count) in
            self.maker.plan.facts.bands.iter().zip(&bands).filter(|(_, count)| **count > 0)
        {
            rows[3].text(&building.id).text(&building.area_code).text(sex(band.male));
            rows[3].integer(i64::from(band.age_from)).integer_or(band.age_to.map(i64::from));
            rows[3].count(*count);
        }
    }

    fn household(
        &mut self,
        building: &Building,
        nth: usize,
        kind: &str,
        members: &[u32],
        rows: &mut [Rows; 4],
    ) {
        let id = format!("{}-{nth}", building.id);
        let age = |member: &&u32| self.people[**member as usize].age;
        let children = members.iter().filter(|member| age(member) < ADULT_AGE).count();
        let elders = members.iter().filter(|member| age(member) >= ELDER_AGE).count();
        rows[1].text(&id).text(&building.id).text(&building.area_code).text(kind);
        rows[1].count(members.len()).count(children).count(elders);
        for member in members {
            self.resident(*member, &id, building, nth, &mut rows[2]);
        }
    }

    fn resident(
        &mut self,
        number: u32,
        household: &str,
        b: &Building,
        nth: usize,
        rows: &mut Rows,
    ) {
        let person = self.people[number as usize];
        let born = self.maker.births.day(person.age, &mut self.rng);
        let facts = &self.maker.plan.facts.city.people;
        let body = self.identity(born, person.male, &facts.identity_prefix);
        rows.format(format_args!("{body}{}", check_character(&body)));
        rows.format(format_args!("居民{:04}{:05}", self.ordinal + 1, number + 1));
        rows.text(sex(person.male)).date(born);
        // No mobile number begins with 100.
        rows.format(format_args!("100{:08}", self.rng.below(100_000_000)));
        let Text { zh: community, .. } = &self.community.name;
        let street = &self.maker.plan.streets[self.community.street].name.zh;
        let house = &b.id[self.community.code.len()..];
        rows.format(format_args!("{street}{community}{house}栋{nth}号"));
        rows.text(&self.community.code).text(household);
        let minutes = crate::num::signed(self.rng.below(UPDATED_WITHIN_MINUTES));
        rows.timestamp(facts.updated_at.timestamp_micros() - minutes * MICROS_PER_MINUTE);
    }

    /// The first 17 digits: prefix, community, day of birth, a number that is odd for men.
    fn identity(&mut self, born: i32, male: bool, prefix: &str) -> String {
        let sequence = self.sequence.entry((born, male)).or_insert(0);
        assert!(*sequence < SEQUENCES_MAX, "a community has fewer births of a sex in a day");
        let number = *sequence * 2 + u16::from(male);
        *sequence += 1;
        format!("{prefix}{:04}{}{number:03}", self.ordinal + 1, self.maker.births.digits(born))
    }
}

fn sex(male: bool) -> &'static str {
    if male { "male" } else { "female" }
}
