//! Who lives with whom: people of a community to households.
//!
//! Households of one are as many as published for the district, the others as large as it takes.
//! Couples are of like age, children live with couples that could be their parents, collective
//! households take the young first. What remains is filled up.

use crate::num::{floor, real};
use crate::rng::Rng;

/// A person to be housed.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub male: bool,
    pub age: u32,
    /// Of the facts' bands.
    pub band: usize,
}

pub const ADULT_AGE: u32 = 18;
const COLLECTIVE_AGES: std::ops::RangeInclusive<u32> = 15..=39;
const PARENT_AGES: std::ops::RangeInclusive<u32> = 24..=52;
const CROWDED_PEOPLE: usize = 6;

/// Members by the numbers of people.
#[derive(Debug, Default)]
pub struct Housed {
    pub households: Vec<Vec<u32>>,
    /// Of no family household.
    pub collective: Vec<u32>,
}

/// Houses everybody: `family_people` of them in so many households.
pub fn house(
    people: &[Person],
    households: usize,
    family_people: usize,
    single_share: f64,
    rng: &mut Rng,
) -> Housed {
    let (collective, family) = divide(people, people.len() - family_people);
    let sizes = sizes(households, family_people, single_share, rng);
    let by_age = |numbers: &mut Vec<u32>| numbers.sort_by_key(|at| people[*at as usize].age);
    let of = |keep: &dyn Fn(&Person) -> bool| -> Vec<u32> {
        let mut numbers: Vec<u32> =
            family.iter().copied().filter(|at| keep(&people[*at as usize])).collect();
        by_age(&mut numbers);
        numbers
    };
    let men = of(&|person| person.age >= ADULT_AGE && person.male);
    let women = of(&|person| person.age >= ADULT_AGE && !person.male);
    let children = of(&|person| person.age < ADULT_AGE);
    let mut homes: Vec<Vec<u32>> = sizes.iter().map(|size| Vec::with_capacity(*size)).collect();
    // Couples go to households in any order, or old and young would live in streets of their own.
    let mut shared: Vec<usize> = (0..sizes.len()).filter(|at| sizes[*at] > 1).collect();
    rng.shuffle(&mut shared);
    let mut rest = couple(&men, &women, &shared, sizes.len(), &mut homes);
    let left = place_children(people, &children, &shared, &sizes, &mut homes);
    rng.shuffle(&mut rest);
    rest.extend(left);
    fill(&mut homes, &sizes, rest);
    Housed { households: homes, collective }
}

/// The collective and the others. The young first, then other adults, then anybody.
fn divide(people: &[Person], collective: usize) -> (Vec<u32>, Vec<u32>) {
    let rank = |person: &Person| match person.age {
        age if COLLECTIVE_AGES.contains(&age) => 0,
        age if age >= ADULT_AGE => 1,
        _ => 2,
    };
    let mut order: Vec<u32> = (0..crate::num::index(people.len())).collect();
    order.sort_by_key(|at| rank(&people[*at as usize]));
    let family = order.split_off(collective);
    (order, family)
}

/// How many live in each household: those of one as published, the others by chance.
fn sizes(households: usize, people: usize, single_share: f64, rng: &mut Rng) -> Vec<usize> {
    let households = households.min(people);
    let spare = people - households;
    // Each that is not of one takes another person at least.
    // Rounded by chance, or small communities would all err to one side.
    let singles = floor(real(households) * single_share + rng.unit());
    let singles = singles.max(households.saturating_sub(spare));
    let singles = if spare > 0 { singles.min(households - 1) } else { households };
    let mut sizes = vec![1; households];
    let mut left = people - households;
    for size in sizes.iter_mut().skip(singles) {
        let one = left.min(1);
        *size += one;
        left -= one;
    }
    let shared = households - singles;
    while left > 0 {
        // A crowded one is passed over for another, once.
        let first = singles + rng.below(shared);
        let crowded = sizes[first] >= CROWDED_PEOPLE;
        sizes[if crowded { singles + rng.below(shared) } else { first }] += 1;
        left -= 1;
    }
    rng.shuffle(&mut sizes);
    sizes
}

/// Couples of like rank by age to the shared households; returns the adults that are left. So many
/// adults are kept back that each household without a couple can have one.
fn couple(
    men: &[u32],
    women: &[u32],
    shared: &[usize],
    households: usize,
    homes: &mut [Vec<u32>],
) -> Vec<u32> {
    let adults = men.len() + women.len();
    let couples =
        shared.len().min(men.len()).min(women.len()).min(adults.saturating_sub(households));
    let mut taken = (vec![false; men.len()], vec![false; women.len()]);
    for (nth, at) in shared.iter().take(couples).enumerate() {
        let (man, woman) = (nth * men.len() / couples, nth * women.len() / couples);
        homes[*at].extend([men[man], women[woman]]);
        taken.0[man] = true;
        taken.1[woman] = true;
    }
    let left = |people: &[u32], taken: &[bool]| -> Vec<u32> {
        people.iter().zip(taken).filter(|(_, taken)| !**taken).map(|(at, _)| *at).collect()
    };
    let mut rest = left(men, &taken.0);
    rest.extend(left(women, &taken.1));
    rest
}

/// Children to households with room whose couple is of an age to be parents, youngest with the
/// youngest; returns those for whom there was no such room.
fn place_children(
    people: &[Person],
    children: &[u32],
    shared: &[usize],
    sizes: &[usize],
    homes: &mut [Vec<u32>],
) -> Vec<u32> {
    let parents = |at: usize| {
        let oldest = homes[at].iter().map(|member| people[*member as usize].age).max();
        oldest.is_some_and(|age| PARENT_AGES.contains(&age))
    };
    // `shared` has couples by rising age, so rooms come in that order too.
    let mut rooms: Vec<usize> = Vec::new();
    for at in shared.iter().copied().filter(|at| parents(*at)) {
        rooms.extend(std::iter::repeat_n(at, sizes[at].saturating_sub(homes[at].len())));
    }
    let placed = rooms.len().min(children.len());
    for (nth, child) in children.iter().take(placed).enumerate() {
        homes[rooms[nth * rooms.len() / placed]].push(*child);
    }
    children[placed..].to_vec()
}

/// Fills empty households first, then whatever has room.
fn fill(homes: &mut [Vec<u32>], sizes: &[usize], rest: Vec<u32>) {
    let mut rest = rest.into_iter();
    for home in homes.iter_mut().filter(|home| home.is_empty()) {
        home.extend(rest.next());
    }
    for (home, size) in homes.iter_mut().zip(sizes) {
        let room = size.saturating_sub(home.len());
        home.extend(rest.by_ref().take(room));
    }
    debug_assert!(rest.next().is_none(), "sizes add up to the people");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Topic;

    fn crowd(count: usize) -> Vec<Person> {
        let mut rng = Rng::of(2, Topic::People, 1);
        let age = |rng: &mut Rng| crate::num::index(rng.below(90));
        (0..count).map(|_| Person { male: rng.chance(0.5), age: age(&mut rng), band: 0 }).collect()
    }

    #[test]
    fn everybody_is_housed_once() {
        for (count, family, households) in
            [(1_000, 880, 350), (1_000, 880, 880), (3, 3, 1), (40, 0, 0), (7, 7, 6), (50, 50, 2)]
        {
            let people = crowd(count);
            let mut rng = Rng::of(3, Topic::Households, 0);
            let housed = house(&people, households, family, 0.277, &mut rng);
            assert_eq!(housed.households.len(), households);
            assert!(housed.households.iter().all(|members| !members.is_empty()));
            let mut all: Vec<u32> = housed.households.iter().flatten().copied().collect();
            assert_eq!(all.len(), family);
            all.extend(&housed.collective);
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..crate::num::index(count)), "{count}");
        }
    }

    #[test]
    fn households_of_one_are_as_published_and_children_are_not_alone() {
        let people = crowd(5_000);
        let mut rng = Rng::of(3, Topic::Households, 0);
        let housed = house(&people, 2_000, 4_900, 0.25, &mut rng);
        let single = housed.households.iter().filter(|members| members.len() == 1).count();
        assert_eq!(single, 500);
        let adult = |at: &u32| people[*at as usize].age >= ADULT_AGE;
        assert!(housed.households.iter().all(|members| members.iter().any(adult)));
    }
}
