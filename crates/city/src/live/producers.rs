//! Who sends, and what became of it: rows, refusals, flags, duplicates, loss, lag and rate since
//! the process started. A fixed size for each sender, however much it sends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use catalog::{Session, Surface};
use chrono::Utc;

use super::sequence::Sequence;

/// Senders that are told apart; those beyond are one, without a name.
const PRODUCERS_MAX: usize = 20_000;
/// Counts of sequences that one sender may carry on.
const SEQUENCES_MAX: usize = 1_000;
/// Seconds that a rate is taken over.
const RATE_S: usize = 60;
const MICROS: i64 = 1_000_000;
/// What is older when it comes in is history that is brought in, and tells of no delay.
const LAG_S_MAX: i64 = 86_400;
/// Steps of the lags: four for each doubling, from 1 ms to about 35 years.
const LAG_STEPS: usize = 160;

/// By which way something came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Face {
    Http,
    Mqtt,
    /// What the city itself fetches.
    Poll,
}

impl Face {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Mqtt => "mqtt",
            Self::Poll => "poll",
        }
    }

    /// The face that a session came by, where nobody says otherwise.
    pub fn of(session: &Session) -> Self {
        match session.surface {
            Surface::Http | Surface::PgWire | Surface::Cli => Self::Http,
            Surface::Mqtt => Self::Mqtt,
            Surface::Engine => Self::Poll,
        }
    }
}

/// What one request brought.
#[derive(Debug, Default)]
pub(crate) struct Took {
    pub rows: u64,
    pub refused: u64,
    pub flagged: u64,
    pub duplicates: u64,
    /// From the phenomenon to its receipt.
    pub lags_us: Vec<i64>,
    /// Numbers that its sender gave, each with the count that it belongs to.
    pub numbers: Vec<(String, u64)>,
}

/// One sender as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProducerState {
    pub producer: String,
    pub face: &'static str,
    pub owner: String,
    pub since_us: i64,
    pub last_us: i64,
    pub rows: u64,
    pub refused: u64,
    pub flagged: u64,
    pub duplicates: u64,
    /// None where it gives no numbers.
    pub lost: Option<u64>,
    pub rate_per_s: f64,
    /// Of what came within the last minute.
    pub flagged_minute: u64,
    pub refused_minute: u64,
    pub lag_p50_ms: Option<i64>,
    pub lag_p99_ms: Option<i64>,
}

/// All senders.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    senders: Mutex<BTreeMap<(String, Face), Sender>>,
}

#[derive(Debug)]
struct Sender {
    owner: String,
    since_us: i64,
    last_us: i64,
    rows: u64,
    refused: u64,
    flagged: u64,
    duplicates: u64,
    rate: Rate,
    rate_flagged: Rate,
    rate_refused: Rate,
    lags: Lags,
    numbers: HashMap<String, Sequence>,
}

/// What came in each of the last seconds.
#[derive(Debug, Clone, Copy)]
struct Rate {
    second: i64,
    counts: [u32; RATE_S],
}

#[derive(Debug, Clone, Copy)]
struct Lags {
    counts: [u32; LAG_STEPS],
}

impl Producers {
    /// Notes what a sender brought. `owner` is its organisation.
    pub fn took(&self, user: &str, owner: &str, face: Face, took: &Took) {
        self.took_at(user, owner, face, took, Utc::now().timestamp_micros());
    }

    fn took_at(&self, user: &str, owner: &str, face: Face, took: &Took, now_us: i64) {
        let mut senders = self.senders.lock().expect("no one panics while holding the senders");
        let mut key = (user.to_owned(), face);
        let mut owner = owner;
        if senders.len() >= PRODUCERS_MAX && !senders.contains_key(&key) {
            (key.0, owner) = (String::new(), "");
        }
        senders.entry(key).or_insert_with(|| Sender::of(owner, now_us)).take(took, now_us);
    }

    pub fn states(&self) -> Vec<ProducerState> {
        self.states_at(Utc::now().timestamp_micros())
    }

    fn states_at(&self, now_us: i64) -> Vec<ProducerState> {
        let senders = self.senders.lock().expect("no one panics while holding the senders");
        let state = |((user, face), sender): (&(String, Face), &Sender)| ProducerState {
            producer: user.clone(),
            face: face.as_str(),
            owner: sender.owner.clone(),
            since_us: sender.since_us,
            last_us: sender.last_us,
            rows: sender.rows,
            refused: sender.refused,
            flagged: sender.flagged,
            duplicates: sender.duplicates,
            lost: match sender.numbers.is_empty() {
                true => None,
                false => Some(sender.numbers.values().map(|numbers| numbers.lost).sum()),
            },
            rate_per_s: per_second(sender.rate.sum(now_us.div_euclid(MICROS))),
            flagged_minute: sender.rate_flagged.sum(now_us.div_euclid(MICROS)),
            refused_minute: sender.rate_refused.sum(now_us.div_euclid(MICROS)),
            lag_p50_ms: sender.lags.quantile(500),
            lag_p99_ms: sender.lags.quantile(990),
        };
        senders.iter().map(state).collect()
    }
}

/// Rows of a minute as a rate.
pub(crate) fn per_second(rows: u64) -> f64 {
    // More rows than a double holds exactly do not come in a minute.
    u32::try_from(rows).map_or(f64::MAX, f64::from) / 60.0
}

impl Sender {
    fn of(owner: &str, now_us: i64) -> Self {
        Self {
            owner: owner.to_owned(),
            since_us: now_us,
            last_us: now_us,
            rows: 0,
            refused: 0,
            flagged: 0,
            duplicates: 0,
            rate: Rate::default(),
            rate_flagged: Rate::default(),
            rate_refused: Rate::default(),
            lags: Lags::default(),
            numbers: HashMap::new(),
        }
    }

    fn take(&mut self, took: &Took, now_us: i64) {
        self.last_us = self.last_us.max(now_us);
        self.rows += took.rows;
        self.refused += took.refused;
        self.flagged += took.flagged;
        self.duplicates += took.duplicates;
        let second = now_us.div_euclid(MICROS);
        self.rate.add(second, took.rows);
        self.rate_flagged.add(second, took.flagged);
        self.rate_refused.add(second, took.refused);
        for lag_us in &took.lags_us {
            self.lags.add(*lag_us);
        }
        for (count, number) in &took.numbers {
            if let Some(sequence) = self.numbers.get_mut(count) {
                sequence.take(*number);
            } else if self.numbers.len() < SEQUENCES_MAX {
                let mut sequence = Sequence::default();
                sequence.take(*number);
                self.numbers.insert(count.clone(), sequence);
            }
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { second: i64::MIN, counts: [0; RATE_S] }
    }
}

fn rate_slot(second: i64) -> usize {
    let slots = i64::try_from(RATE_S).unwrap_or(1);
    usize::try_from(second.rem_euclid(slots)).unwrap_or_default()
}

impl Rate {
    fn add(&mut self, second: i64, count: u64) {
        let slots = i64::try_from(RATE_S).unwrap_or(1);
        if second > self.second {
            for back in 0..second.saturating_sub(self.second).min(slots) {
                self.counts[rate_slot(second - back)] = 0;
            }
            self.second = second;
        } else if self.second - second >= slots {
            return;
        }
        let counted = &mut self.counts[rate_slot(second)];
        *counted = counted.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// What came within the last minute.
    fn sum(&self, now: i64) -> u64 {
        let slots = i64::try_from(RATE_S).unwrap_or(1);
        let first = now.saturating_sub(slots - 1);
        let known = (first..=now)
            .filter(|second| *second <= self.second && self.second.saturating_sub(*second) < slots);
        known.map(|second| u64::from(self.counts[rate_slot(second)])).sum()
    }
}

impl Default for Lags {
    fn default() -> Self {
        Self { counts: [0; LAG_STEPS] }
    }
}

impl Lags {
    fn add(&mut self, lag_us: i64) {
        if lag_us > LAG_S_MAX * MICROS {
            return;
        }
        let lag_ms = u64::try_from(lag_us.div_euclid(1_000)).unwrap_or_default();
        let counted = &mut self.counts[lag_step(lag_ms).min(LAG_STEPS - 1)];
        *counted = counted.saturating_add(1);
    }

    /// The longest lag of the step that this share, in thousandths, is within.
    fn quantile(&self, thousandths: u64) -> Option<i64> {
        let all: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * thousandths).div_ceil(1_000).max(1);
        let mut passed = 0;
        for (step, count) in self.counts.iter().enumerate() {
            passed += u64::from(*count);
            if *count > 0 && passed >= wanted {
                return i64::try_from(lag_max_ms(step)).ok();
            }
        }
        None
    }
}

/// 0 to 3 ms are steps of their own; from there each doubling has four.
fn lag_step(lag_ms: u64) -> usize {
    if lag_ms < 4 {
        return usize::try_from(lag_ms).unwrap_or_default();
    }
    let doubling = lag_ms.ilog2();
    let quarter = (lag_ms >> (doubling - 2)) & 3;
    usize::try_from(u64::from(4 * (doubling - 1)) + quarter).unwrap_or(usize::MAX)
}

fn lag_max_ms(step: usize) -> u64 {
    let step = u64::try_from(step).unwrap_or_default();
    if step < 4 {
        return step;
    }
    let (doubling, quarter) = (step / 4 + 1, step % 4);
    ((4 + quarter + 1) << (doubling - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_800_000_000_000_000;

    fn brought(rows: u64, lags_ms: impl IntoIterator<Item = i64>) -> Took {
        let lags_us = lags_ms.into_iter().map(|lag| lag * 1_000).collect();
        Took { rows, lags_us, ..Took::default() }
    }

    #[test]
    fn steps_of_lags_hold_what_falls_into_them() {
        let mut last = 0;
        for lag_ms in (0..5_000).chain([1 << 20, (1 << 20) + 1, 1 << 39]) {
            let step = lag_step(lag_ms);
            assert!(step >= last && step < LAG_STEPS, "{lag_ms}");
            assert!(lag_max_ms(step) >= lag_ms, "{lag_ms}");
            assert!(step == 0 || lag_max_ms(step - 1) < lag_ms, "{lag_ms}");
            last = step;
        }
    }

    #[test]
    fn quantiles_are_within_a_quarter_of_the_lag() {
        let producers = Producers::default();
        producers.took_at("hub", "water", Face::Http, &brought(1_000, 1..=1_000), AT);
        let [state] = &producers.states_at(AT)[..] else { panic!("one sender") };
        let (p50, p99) = (state.lag_p50_ms.unwrap(), state.lag_p99_ms.unwrap());
        assert!((500..=625).contains(&p50), "{p50}");
        assert!((990..=1_237).contains(&p99), "{p99}");
        assert_eq!(state.lost, None, "it gives no numbers");
    }

    #[test]
    fn a_rate_is_of_the_last_minute() {
        let producers = Producers::default();
        for second in 0..120 {
            let at = AT + second * MICROS;
            producers.took_at("hub", "water", Face::Mqtt, &brought(6, []), at);
        }
        let rate = |at| producers.states_at(at)[0].rate_per_s;
        assert!((rate(AT + 119 * MICROS) - 6.0).abs() < 1e-9);
        assert!((rate(AT + 149 * MICROS) - 3.0).abs() < 1e-9);
        assert!(rate(AT + 400 * MICROS).abs() < 1e-9);
    }

    #[test]
    fn a_sender_s_counts_are_looked_at_apart() {
        let producers = Producers::default();
        for number in 0..1_000 {
            let mut numbers = vec![("a".to_owned(), number)];
            if number % 2 == 0 {
                numbers.push(("b".to_owned(), number));
            }
            let took = Took { rows: 1, numbers, ..Took::default() };
            producers.took_at("hub", "water", Face::Http, &took, AT);
        }
        // Every odd number of b that has left the window, which has 128 places.
        assert_eq!(producers.states_at(AT)[0].lost, Some((998 - 128) / 2));
    }

    #[test]
    fn senders_beyond_the_bound_are_one() {
        let producers = Producers::default();
        for sender in 0..PRODUCERS_MAX + 5 {
            let took = Took { rows: 1, ..Took::default() };
            producers.took_at(&format!("s{sender}"), "o", Face::Http, &took, AT);
        }
        let states = producers.states_at(AT);
        assert_eq!(states.len(), PRODUCERS_MAX + 1);
        assert_eq!(states.iter().map(|state| state.rows).sum::<u64>(), PRODUCERS_MAX as u64 + 5);
    }
}
