//! How many places each address holds, so that none can hold them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::throttle::network;

/// Places of which an address may hold so many at once.
#[derive(Debug, Clone)]
pub struct Shares {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
}

/// One place, until it is let go of.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    address: IpAddr,
}

impl Shares {
    pub fn of(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// None where the address holds as many as it may.
    pub fn take(&self, address: IpAddr) -> Option<Share> {
        let address = network(address);
        let mut held = self.held.lock();
        let count = held.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { of: self.clone(), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held.lock();
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_and_gives_them_back() {
        let shares = Shares::of(2);
        let take = |address: &str| shares.take(address.parse().unwrap());
        let first = take("10.0.0.1").unwrap();
        let _second = take("10.0.0.1").unwrap();
        assert!(take("10.0.0.1").is_none() && take("::ffff:10.0.0.1").is_none());
        let other = take("10.0.0.2");
        assert!(other.is_some());
        drop((first, other));
        assert!(take("10.0.0.1").is_some());
        assert_eq!(shares.held.lock().len(), 1, "who holds none is forgotten");
        let _one = take("2001:db8::1").unwrap();
        let _two = take("2001:db8::2").unwrap();
        assert!(take("2001:db8:0:0:ffff::3").is_none() && take("2001:db8:0:1::1").is_some());
    }
}
