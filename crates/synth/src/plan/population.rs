//! Shares people and households out: to districts as published, below them by area and density.

use crate::apportion::apportion;
use crate::num::real;
use crate::plan::Plan;
use crate::plane::distance;
use crate::rng::{Rng, Topic};

pub fn share_out(plan: &mut Plan) {
    districts(plan);
    for district in 0..plan.districts.len() {
        communities(plan, district);
    }
}

/// The whole number of people to districts, and in each to sexes and ages.
fn districts(plan: &mut Plan) {
    let facts = &plan.facts.districts;
    let weights: Vec<f64> = facts.iter().map(|district| real(district.people_all())).collect();
    let people = apportion(plan.people, &weights);
    for ((district, facts), people) in plan.districts.iter_mut().zip(facts).zip(people) {
        let bands: Vec<f64> = facts.people.iter().map(|count| real(*count)).collect();
        let share = real(people) / real(facts.people_all());
        district.people = people;
        district.by_band = apportion(people, &bands);
        let household_people = crate::num::round(real(facts.household_people) * share).min(people);
        let households = crate::num::round(real(facts.households) * share);
        district.households = households.clamp(1, household_people.max(1));
        district.household_people = household_people.max(district.households).min(people);
    }
}

/// A district's people to its communities. Where people are dense follows from what the areas are
/// called, from the distance to the seat, and from chance.
fn communities(plan: &mut Plan, number: usize) {
    let settlement = &plan.facts.city.settlement;
    let district = &plan.districts[number];
    let range = district.communities.clone();
    let area_m2: f64 = plan.communities[range.clone()].iter().map(|c| c.area_m2).sum();
    let radius_m = (area_m2 / std::f64::consts::PI).sqrt();
    let weight = |at: usize| {
        let community = &plan.communities[at];
        let mut rng = Rng::of(plan.seed, Topic::Weights, at as u64);
        let mut density = (-distance(community.middle, district.heart)
            / (settlement.density_falls_by_radii * radius_m))
            .exp();
        if plan.streets[community.street].urban {
            density *= settlement.street_density;
        }
        if community.urban {
            density *= settlement.urban_community_density;
        }
        // Large communities are large because they are thinly settled.
        (density * community.area_m2).sqrt() * rng.log_normal(1.0, settlement.spread_sigma)
    };
    let weights: Vec<f64> = range.clone().map(weight).collect();
    let people = apportion(district.people, &weights);
    let by_people: Vec<f64> = people.iter().map(|count| real(*count)).collect();
    let none = vec![0; people.len()];
    let household_people = within(district.household_people, &by_people, &none, &people);
    let by_household_people: Vec<f64> = household_people.iter().map(|c| real(*c)).collect();
    // Nobody is left without a household to be in, and none is without somebody.
    let some: Vec<usize> = household_people.iter().map(|count| *count.min(&1)).collect();
    let households = within(district.households, &by_household_people, &some, &household_people);
    let mut first_person = 0;
    for (nth, community) in plan.communities[range].iter_mut().enumerate() {
        community.people = people[nth];
        community.first_person = first_person;
        first_person += people[nth];
        community.households = households[nth];
        community.household_people = household_people[nth];
    }
    // In a very small city there are more places to live in than households.
    let district = &mut plan.districts[number];
    district.households = households.iter().sum();
    district.household_people = household_people.iter().sum();
}

/// Shares out by weights, each part within its bounds. What a bound takes or gives goes to the
/// others, the heaviest first. Where the bounds leave no room, they win over the total.
fn within(total: usize, weights: &[f64], least: &[usize], most: &[usize]) -> Vec<usize> {
    let mut parts = apportion(total, weights);
    for ((part, least), most) in parts.iter_mut().zip(least).zip(most) {
        *part = (*part).clamp(*least, *most);
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
    let mut given: usize = parts.iter().sum();
    loop {
        let before = given;
        for at in order.iter().copied() {
            if given < total && parts[at] < most[at] {
                parts[at] += 1;
                given += 1;
            } else if given > total && parts[at] > least[at] {
                parts[at] -= 1;
                given -= 1;
            }
        }
        if given == before {
            return parts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn parts_stay_within_their_bounds_and_add_up() {
        let weights = [5.0, 3.0, 1.0, 1.0];
        assert_eq!(within(20, &weights, &[0; 4], &[20; 4]), [10, 6, 2, 2]);
        // What the first may not have goes to the others.
        assert_eq!(within(20, &weights, &[0; 4], &[7, 20, 20, 20]), [7, 7, 3, 3]);
        assert_eq!(within(5, &weights, &[1; 4], &[20; 4]), [2, 1, 1, 1]);
        // Bounds that leave no room win.
        assert_eq!(within(2, &weights, &[1; 4], &[20; 4]), [1; 4]);
        assert_eq!(within(9, &weights, &[0; 4], &[1; 4]), [1; 4]);
    }
}
