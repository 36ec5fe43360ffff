//! Login failures, counted for a while: whoever guesses has to wait longer and longer.
//!
//! A guesser is known by its address together with the name it tries, so that guessing at
//! somebody's password does not lock that somebody out elsewhere; by its address alone, with a
//! wider bound, so that trying one password on many names is noticed too; and by the name alone,
//! so that guessing from many addresses is. A name that is locked so still gets in from where it
//! got in before: whoever guesses must not keep the duty officer out. GB/T 22239-2019, 8.1.4.1 b)
//! asks that login failures be handled and illegal attempts bounded.
//!
//! All faces count together, or each would give a guesser its own tries.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{
    LOGIN_FAILURES_MAX, LOGIN_FAILURES_OF_ADDRESS_MAX, LOGIN_FAILURES_OF_NAME_MAX,
    LOGIN_GUESSERS_MAX, LOGIN_WINDOW_SECONDS, seconds,
};

/// The failures of the last while.
#[derive(Debug, Default)]
pub struct Throttle {
    guessers: Mutex<HashMap<Guesser, Failures>>,
    /// Where names have got in from.
    at_home: Mutex<HashSet<(IpAddr, String)>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Guesser {
    /// One name from one address.
    Of(IpAddr, String),
    /// Whatever name is tried from an address.
    At(IpAddr),
    /// A name, wherever it is tried from.
    For(String),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= seconds(LOGIN_WINDOW_SECONDS)
    }
}

impl Throttle {
    /// How long this login has to wait, where it has failed too often.
    pub fn wait(&self, address: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let at_home = self.homes().contains(&(network(address), user.to_owned()));
        let guessers = self.guessers.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = all(address, user).into_iter().filter_map(|(guesser, failures_max)| {
            if at_home && matches!(guesser, Guesser::For(_)) {
                return None;
            }
            let failures = guessers.get(&guesser).filter(|failures| !failures.is_old(now))?;
            let over = failures.count >= failures_max;
            over.then(|| seconds(LOGIN_WINDOW_SECONDS) - now.duration_since(failures.last))
        });
        waits.max()
    }

    /// Counts a failure. True: from now on this guesser has to wait.
    pub fn failed(&self, address: IpAddr, user: &str, now: Instant) -> bool {
        let mut guessers = self.guessers.lock().unwrap_or_else(PoisonError::into_inner);
        if guessers.len() >= LOGIN_GUESSERS_MAX {
            guessers.retain(|_, failures| !failures.is_old(now));
        }
        let mut locked = false;
        for (guesser, failures_max) in all(address, user) {
            // With every place taken by the guessers of this moment, those that are known wait on.
            if guessers.len() >= LOGIN_GUESSERS_MAX && !guessers.contains_key(&guesser) {
                continue;
            }
            let failures = guessers.entry(guesser).or_insert(Failures { count: 0, last: now });
            if failures.is_old(now) {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            locked |= failures.count == failures_max;
        }
        locked
    }

    /// Forgets this name's failures from this address: it has got in. What was failed for the
    /// name from elsewhere is not forgotten: that was somebody else.
    pub fn succeeded(&self, address: IpAddr, user: &str) {
        let guesser = Guesser::Of(network(address), user.to_owned());
        self.guessers.lock().unwrap_or_else(PoisonError::into_inner).remove(&guesser);
        let mut homes = self.homes();
        if homes.len() >= LOGIN_GUESSERS_MAX {
            homes.clear();
        }
        homes.insert((network(address), user.to_owned()));
    }

    fn homes(&self) -> MutexGuard<'_, HashSet<(IpAddr, String)>> {
        self.at_home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all(address: IpAddr, user: &str) -> [(Guesser, u32); 3] {
    let address = network(address);
    [
        (Guesser::Of(address, user.to_owned()), LOGIN_FAILURES_MAX),
        (Guesser::At(address), LOGIN_FAILURES_OF_ADDRESS_MAX),
        (Guesser::For(user.to_owned()), LOGIN_FAILURES_OF_NAME_MAX),
    ]
}

/// One household or office of IPv6 has 2⁶⁴ addresses: they count as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 8));

    #[test]
    fn who_guesses_waits_and_nobody_else() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 1..LOGIN_FAILURES_MAX {
            assert!(!throttle.failed(HERE, "lin", now));
        }
        assert_eq!(throttle.wait(HERE, "lin", now), None);
        assert!(throttle.failed(HERE, "lin", now), "the last one locks");
        let wait = throttle.wait(HERE, "lin", now).expect("it has to wait");
        assert_eq!(wait, seconds(LOGIN_WINDOW_SECONDS));
        assert_eq!(throttle.wait(THERE, "lin", now), None, "lin herself comes from elsewhere");
        assert_eq!(throttle.wait(HERE, "zhao", now), None);
        assert_eq!(throttle.wait(HERE, "lin", now + wait), None, "the wait ends");
    }

    #[test]
    fn a_right_password_clears_the_slate() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..LOGIN_FAILURES_MAX {
                throttle.failed(HERE, "lin", now);
            }
            throttle.succeeded(HERE, "lin");
        }
        assert_eq!(throttle.wait(HERE, "lin", now), None);
    }

    #[test]
    fn one_password_for_many_names_is_noticed() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..LOGIN_FAILURES_OF_ADDRESS_MAX {
            throttle.failed(HERE, &format!("u{number}"), now);
        }
        assert!(throttle.wait(HERE, "never-tried", now).is_some());
        assert_eq!(throttle.wait(THERE, "never-tried", now), None);
    }

    #[test]
    fn guessing_from_many_addresses_locks_the_name_but_where_it_is_at_home() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.succeeded(HERE, "lin");
        let botnet = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0b00_0000 + number));
        for number in 0..LOGIN_FAILURES_OF_NAME_MAX {
            assert_eq!(throttle.wait(THERE, "lin", now), None);
            throttle.failed(botnet(number), "lin", now);
        }
        assert!(throttle.wait(THERE, "lin", now).is_some(), "locked for strangers");
        assert_eq!(throttle.wait(HERE, "lin", now), None, "and not for lin's own desk");
        assert_eq!(throttle.wait(THERE, "zhao", now), None);
        let later = now + seconds(LOGIN_WINDOW_SECONDS);
        assert_eq!(throttle.wait(THERE, "lin", later), None, "the lock ends");
    }

    #[test]
    fn the_book_of_guessers_has_an_end() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..=u32::try_from(LOGIN_GUESSERS_MAX).unwrap() {
            throttle.failed(IpAddr::V4(std::net::Ipv4Addr::from_bits(number)), "lin", now);
        }
        assert!(throttle.guessers.lock().unwrap().len() <= LOGIN_GUESSERS_MAX);
        let later = now + seconds(LOGIN_WINDOW_SECONDS);
        throttle.failed(HERE, "lin", later);
        assert_eq!(throttle.guessers.lock().unwrap().len(), 3, "old failures make room");
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        assert_eq!(network(one), network(same));
    }
}
