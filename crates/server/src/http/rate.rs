//! So many requests a second: per address before anybody knows who asks, and per principal after.
//!
//! A bucket each (the generic cell rate algorithm): after a rest a burst is let through, so that a
//! map that draws itself is not held up, and then so many a second.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::fault::{Code, Fault};
use crate::limits::{
    RATE_BURST_SECONDS, RATE_KEYS_MAX, RATE_OF_ADDRESS_PER_SECOND, RATE_OF_PRINCIPAL_PER_SECOND,
};
use crate::throttle::network;

/// Between two looks at how many are remembered.
const LOOK_EVERY_REQUESTS: u64 = 1_024;

/// Requests a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateOptions {
    pub principal_per_second: NonZeroU32,
    pub address_per_second: NonZeroU32,
}

impl Default for RateOptions {
    fn default() -> Self {
        let some = |rate| NonZeroU32::new(rate).expect("the limits are no noughts");
        Self {
            principal_per_second: some(RATE_OF_PRINCIPAL_PER_SECOND),
            address_per_second: some(RATE_OF_ADDRESS_PER_SECOND),
        }
    }
}

/// The buckets.
pub struct Rates {
    principals: Buckets<String>,
    addresses: Buckets<IpAddr>,
}

impl Rates {
    pub fn new(options: RateOptions) -> Self {
        Self {
            principals: Buckets::new(options.principal_per_second),
            addresses: Buckets::new(options.address_per_second),
        }
    }

    /// Takes one request of an address.
    pub fn address(&self, address: IpAddr) -> Result<(), Fault> {
        self.addresses.take(&network(address))
    }

    /// Takes one request of a principal.
    pub fn principal(&self, user: &str) -> Result<(), Fault> {
        self.principals.take(&user.to_owned())
    }
}

struct Buckets<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    requests: AtomicU64,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(RATE_BURST_SECONDS);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota);
        Self { limiter, clock: DefaultClock::default(), requests: AtomicU64::new(0) }
    }

    fn take(&self, key: &K) -> Result<(), Fault> {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(LOOK_EVERY_REQUESTS) && self.limiter.len() > RATE_KEYS_MAX {
            // Full buckets are as good as none.
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(key)
            .map_err(|until| too_many(until.wait_time_from(self.clock.now())))
    }
}

/// A refusal that says when to come again.
fn too_many(wait: Duration) -> Fault {
    let mut fault = Fault::new(Code::TooManyRequests, "too many requests: wait a moment");
    fault.retry_after_s = Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(principal: u32, address: u32) -> Rates {
        let some = |rate| NonZeroU32::new(rate).unwrap();
        Rates::new(RateOptions {
            principal_per_second: some(principal),
            address_per_second: some(address),
        })
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let rates = rates(2, 1_000);
        let burst = 2 * RATE_BURST_SECONDS.get();
        for _ in 0..burst {
            rates.principal("lin").unwrap();
        }
        let refused = rates.principal("lin").unwrap_err();
        assert_eq!(refused.code, Code::TooManyRequests);
        assert_eq!(refused.retry_after_s, Some(1));
        rates.principal("zhao").expect("another's bucket is another's");
    }

    #[test]
    fn neighbours_share_a_bucket_and_strangers_do_not() {
        let rates = rates(1_000, 1);
        let here = |text: &str| text.parse::<IpAddr>().unwrap();
        for number in 0..RATE_BURST_SECONDS.get() {
            rates.address(here(&format!("2001:db8::{number:x}"))).unwrap();
        }
        rates.address(here("2001:db8::ffff")).unwrap_err();
        rates.address(here("2001:db8:0:1::1")).unwrap();
        rates.address(here("10.0.0.7")).unwrap();
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let rates = rates(1_000, 1_000_000);
        let all = u32::try_from(RATE_KEYS_MAX).unwrap() * 2;
        for number in 0..all {
            let _ = rates.address(IpAddr::V4(std::net::Ipv4Addr::from_bits(number)));
        }
        assert!(rates.addresses.limiter.len() < RATE_KEYS_MAX + 100_000);
    }
}
