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
    LOGIN_GUESSERS_FORGOTTEN, LOGIN_GUESSERS_MAX, LOGIN_WINDOW_SECONDS, seconds,
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
    /// Whoever comes back to an address from an OpenID provider.
    Back(IpAddr),
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
        waiting(&self.book(), &all(address, user), at_home, now)
    }

    /// Counts a failure. True: from now on this guesser has to wait.
    pub fn failed(&self, address: IpAddr, user: &str, now: Instant) -> bool {
        count(&mut self.book(), all(address, user), now)
    }

    /// Counts a try as a failure before it is made: of many that are begun together, or hung up
    /// on, no more are made than of those that wait for each other. [`Throttle::forgive`] takes the
    /// count back. An error: how long it has to wait.
    pub fn begin(&self, address: IpAddr, user: &str, now: Instant) -> Result<(), Duration> {
        let at_home = self.homes().contains(&(network(address), user.to_owned()));
        let mut book = self.book();
        match waiting(&book, &all(address, user), at_home, now) {
            Some(wait) => Err(wait),
            None => {
                count(&mut book, all(address, user), now);
                Ok(())
            }
        }
    }

    /// A try that was begun was right, or never came to be one.
    pub fn forgive(&self, address: IpAddr, user: &str) {
        let mut book = self.book();
        for (guesser, _) in all(address, user) {
            if let Some(failures) = book.get_mut(&guesser) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }

    /// How long an address has to wait whose browsers came back from a provider in vain too often.
    pub fn wait_to_return(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        waiting(&self.book(), &returns(address), false, now)
    }

    /// Counts a return from a provider that signed nobody in. Apart from the passwords: any page
    /// can send an office's browsers here.
    pub fn returned_in_vain(&self, address: IpAddr, now: Instant) {
        count(&mut self.book(), returns(address), now);
    }

    /// Forgets this name's failures from this address: it has got in. What was failed for the
    /// name from elsewhere is not forgotten: that was somebody else.
    pub fn succeeded(&self, address: IpAddr, user: &str) {
        let guesser = Guesser::Of(network(address), user.to_owned());
        self.book().remove(&guesser);
        let mut homes = self.homes();
        if homes.len() >= LOGIN_GUESSERS_MAX {
            homes.clear();
        }
        homes.insert((network(address), user.to_owned()));
    }

    fn book(&self) -> MutexGuard<'_, HashMap<Guesser, Failures>> {
        self.guessers.lock().unwrap_or_else(PoisonError::into_inner)
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

fn returns(address: IpAddr) -> [(Guesser, u32); 1] {
    [(Guesser::Back(network(address)), LOGIN_FAILURES_OF_ADDRESS_MAX)]
}

/// The longest wait of these guessers; at home a name's failures elsewhere do not count.
fn waiting(
    book: &HashMap<Guesser, Failures>,
    guessers: &[(Guesser, u32)],
    at_home: bool,
    now: Instant,
) -> Option<Duration> {
    let waits = guessers.iter().filter_map(|(guesser, failures_max)| {
        if at_home && matches!(guesser, Guesser::For(_)) {
            return None;
        }
        let failures = book.get(guesser).filter(|failures| !failures.is_old(now))?;
        let over = failures.count >= *failures_max;
        over.then(|| seconds(LOGIN_WINDOW_SECONDS) - now.duration_since(failures.last))
    });
    waits.max()
}

/// Counts a failure of each. True: from now on one of them has to wait.
fn count<const N: usize>(
    book: &mut HashMap<Guesser, Failures>,
    guessers: [(Guesser, u32); N],
    now: Instant,
) -> bool {
    make_room(book, N, now);
    let mut locked = false;
    for (guesser, failures_max) in guessers {
        let failures = book.entry(guesser).or_insert(Failures { count: 0, last: now });
        if failures.is_old(now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        locked |= failures.count == failures_max;
    }
    locked
}

/// Room for so many more guessers. In a book full of this moment's the least guilty give way: to
/// be forgotten one has to fail less than all who stay. Many go at once, so that the book is not
/// read through for each failure.
fn make_room(book: &mut HashMap<Guesser, Failures>, more: usize, now: Instant) {
    if book.len() + more <= LOGIN_GUESSERS_MAX {
        return;
    }
    book.retain(|_, failures| !failures.is_old(now));
    if book.len() + more <= LOGIN_GUESSERS_MAX {
        return;
    }
    let mut counts: Vec<u32> = book.values().map(|failures| failures.count).collect();
    let (_, least, _) = counts.select_nth_unstable(LOGIN_GUESSERS_FORGOTTEN);
    let (least, mut left) = (*least, LOGIN_GUESSERS_FORGOTTEN);
    book.retain(|_, failures| {
        let goes = left > 0 && failures.count <= least;
        left -= usize::from(goes);
        !goes
    });
}

/// One household or office of IPv6 has 2⁶⁴ addresses: they count as one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
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
    fn tries_that_are_begun_together_are_no_more_than_those_that_wait() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..LOGIN_FAILURES_MAX {
            assert_eq!(throttle.begin(HERE, "lin", now), Ok(()));
        }
        assert_eq!(throttle.begin(HERE, "lin", now), Err(seconds(LOGIN_WINDOW_SECONDS)));
        throttle.forgive(HERE, "lin");
        assert_eq!(throttle.begin(HERE, "lin", now), Ok(()), "one of them was right");
        assert!(throttle.begin(HERE, "lin", now).is_err());
        assert_eq!(throttle.begin(THERE, "lin", now), Ok(()));
        throttle.forgive(THERE, "never-tried");
    }

    #[test]
    fn returns_in_vain_lock_no_password_out() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..LOGIN_FAILURES_OF_ADDRESS_MAX {
            assert_eq!(throttle.wait_to_return(HERE, now), None);
            throttle.returned_in_vain(HERE, now);
        }
        assert!(throttle.wait_to_return(HERE, now).is_some());
        assert_eq!(throttle.wait_to_return(THERE, now), None);
        assert_eq!(throttle.wait(HERE, "lin", now), None);
    }

    #[test]
    fn the_book_of_guessers_has_an_end() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let stranger = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        for _ in 0..LOGIN_FAILURES_MAX {
            throttle.failed(THERE, "zhao", now);
        }
        let many = u32::try_from(LOGIN_GUESSERS_MAX).unwrap();
        for number in 0..=many {
            throttle.failed(stranger(number), "lin", now);
            assert!(throttle.book().len() <= LOGIN_GUESSERS_MAX);
        }
        assert!(throttle.wait(THERE, "zhao", now).is_some(), "who failed often is remembered");
        for _ in 0..LOGIN_FAILURES_MAX {
            throttle.failed(HERE, "wu", now);
        }
        assert!(throttle.wait(HERE, "wu", now).is_some(), "and who comes late is counted");

        let mut number = many;
        while throttle.book().len() + 3 <= LOGIN_GUESSERS_MAX {
            number += 1;
            throttle.failed(stranger(number), "lin", now);
        }
        let later = now + seconds(LOGIN_WINDOW_SECONDS);
        throttle.failed(HERE, "lin", later);
        assert_eq!(throttle.book().len(), 3, "old failures make room");
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        assert_eq!(network(one), network(same));
    }
}
