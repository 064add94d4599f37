//! Rates: how many requests a key may send, and how many refusals an address may collect.
//!
//! ```text
//!   request ─▶ key valid? ──yes──▶ its rate ──over──▶ 429
//!                  └────────no───▶ refusals of its address ──over──▶ 429, else 401
//! ```
//!
//! A valid key is never refused for what others at its address do: behind a reverse proxy all clients have one address,
//! and a stranger must not lock them out. What happens inside a request (frames of a WebSocket, bytes of a body) has
//! bounds of its own and is not counted here.

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use lazaret_core::{Clock, KeyId};

/// Names that are remembered before those whose rate has recovered are forgotten. Some hundred bytes each.
const REMEMBERED_MAX: usize = 10_000;

/// What clients may do in a time; `None` is without a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSettings {
    /// Requests a second of one key, in the long run.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests of one key at once, after a pause.
    pub request_burst: NonZeroU32,
    /// Refused keys a minute of one address, which it may also collect at once.
    pub refusals_per_minute: Option<NonZeroU32>,
}

impl Default for RateSettings {
    /// Far above what one agent does (a thousand execs a second would keep two processors busy), so that only a client
    /// in a loop meets it.
    fn default() -> Self {
        const fn number(number: u32) -> NonZeroU32 {
            NonZeroU32::new(number).expect("a literal above zero")
        }
        Self {
            requests_per_second: Some(number(2_000)),
            request_burst: number(4_000),
            refusals_per_minute: Some(number(60)),
        }
    }
}

/// The state of all rates.
pub(crate) struct Rates {
    keys: Option<Limiter<KeyId>>,
    refusals: Option<Limiter<IpAddr>>,
    clock: Monotonic,
}

impl Rates {
    pub(crate) fn new(settings: &RateSettings, clock: Arc<dyn Clock>) -> Self {
        let clock = Monotonic(clock);
        let of_keys = |rate| Quota::per_second(rate).allow_burst(settings.request_burst);
        Self {
            keys: settings.requests_per_second.map(|rate| limiter(of_keys(rate), &clock)),
            refusals: settings.refusals_per_minute.map(|rate| limiter(Quota::per_minute(rate), &clock)),
            clock,
        }
    }

    /// Counts a request of `key`.
    ///
    /// # Errors
    /// How long to wait, if there were too many.
    pub(crate) fn request(&self, key: KeyId) -> Result<(), Duration> {
        self.spend(self.keys.as_ref(), &key)
    }

    /// Counts a refused key from `address`.
    ///
    /// # Errors
    /// How long to wait, if there were too many.
    pub(crate) fn refusal(&self, address: IpAddr) -> Result<(), Duration> {
        self.spend(self.refusals.as_ref(), &network(address))
    }

    fn spend<K: Clone + Eq + Hash>(&self, limiter: Option<&Limiter<K>>, who: &K) -> Result<(), Duration> {
        let Some(limiter) = limiter else { return Ok(()) };
        if limiter.len() > REMEMBERED_MAX {
            limiter.retain_recent();
        }
        limiter.check_key(who).map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

type Limiter<K> =
    RateLimiter<K, DashMapStateStore<K>, Monotonic, governor::middleware::NoOpMiddleware<Duration>>;

fn limiter<K: Clone + Eq + Hash>(quota: Quota, clock: &Monotonic) -> Limiter<K> {
    RateLimiter::dashmap_with_clock(quota, clock.clone())
}

/// The part of an address that its holder cannot choose: one subscriber has a /64 of IPv6 (RFC 6177) at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The core's monotonic clock, as the limiter wants it.
#[derive(Debug, Clone)]
struct Monotonic(Arc<dyn Clock>);

impl GovernorClock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use lazaret_core::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn a_rate_is_spent_in_a_burst_and_comes_back_with_time() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_micros(0)));
        let number = |number| NonZeroU32::new(number).unwrap();
        let settings = RateSettings {
            requests_per_second: Some(number(10)),
            request_burst: number(3),
            refusals_per_minute: None,
        };
        let rates = Rates::new(&settings, clock.clone());
        let (one, other) = (KeyId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]));
        for _ in 0..3 {
            assert_eq!(rates.request(one), Ok(()));
        }
        assert_eq!(rates.request(one), Err(Duration::from_millis(100)));
        assert_eq!(rates.request(other), Ok(()), "another key has a rate of its own");
        clock.advance(Duration::from_millis(100));
        assert_eq!(rates.request(one), Ok(()));
        assert_eq!(rates.request(one), Err(Duration::from_millis(100)));
        for _ in 0..1000 {
            assert_eq!(rates.refusal(IpAddr::from([192, 0, 2, 1])), Ok(()), "no bound was set");
        }
    }

    #[test]
    fn addresses_of_one_subscriber_share_their_refusals() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let of = |text: &str| network(text.parse().unwrap());
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
    }

    #[test]
    fn addresses_that_have_recovered_are_forgotten() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_micros(0)));
        let rates = Rates::new(&RateSettings::default(), clock.clone());
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..u32::try_from(REMEMBERED_MAX).unwrap() + 1 {
            assert_eq!(rates.refusal(address(number)), Ok(()));
        }
        clock.advance(Duration::from_secs(3600));
        assert_eq!(rates.refusal(address(0)), Ok(()));
        assert_eq!(rates.refusals.as_ref().unwrap().len(), 1);
    }
}
