//! Failed logins, by the address that they come from. Whoever brings a good key is not asked here: nobody locks anybody else out.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures of one address that are answered as such, in each [`WINDOW`].
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered: of more, those that failed longest ago are forgotten.
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// How often each address has failed lately.
#[derive(Debug)]
pub(super) struct Throttle(Mutex<LruCache<IpAddr, Failures>>);

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ADDRESSES)))
    }
}

impl Throttle {
    /// An address has failed once more. Gives how long it is to wait, if it has failed too often.
    pub(super) fn fails(&self, address: IpAddr) -> Option<Duration> {
        let mut addresses = self.0.lock();
        let now = Instant::now();
        let failures = addresses.get_or_insert_mut(network(address), || Failures { since: now, count: 0 });
        if now - failures.since >= WINDOW {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
        (failures.count > FAILURES).then(|| WINDOW.saturating_sub(now - failures.since))
    }
}

/// What one machine has of addresses: of IPv6 a network of its own.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_too_often_waits_and_no_other() {
        let throttle = Throttle::default();
        let [one, other, near, v6, same, next]: [IpAddr; 6] = [
            "192.0.2.1".parse().unwrap(),
            "192.0.2.2".parse().unwrap(),
            "::ffff:192.0.2.1".parse().unwrap(),
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2:0:0:1".parse().unwrap(),
            "2001:db8:0:1::1".parse().unwrap(),
        ];
        for _ in 0..FAILURES {
            assert_eq!((throttle.fails(one), throttle.fails(v6)), (None, None));
        }
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(throttle.fails(one), Some(WINDOW / 2));
        assert_eq!((throttle.fails(near), throttle.fails(same)), (Some(WINDOW / 2), Some(WINDOW / 2)));
        assert_eq!((throttle.fails(other), throttle.fails(next)), (None, None));
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(throttle.fails(one), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..2 * u32::try_from(ADDRESSES.get()).unwrap() {
            throttle.fails(std::net::Ipv4Addr::from_bits(n).into());
        }
        assert_eq!(throttle.0.lock().len(), ADDRESSES.get());
    }
}
