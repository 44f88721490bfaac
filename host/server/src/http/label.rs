//! What a client of before 2026-07-28 has for a session: a label that Scout has sealed.
//!
//! Nothing is kept for a session, so sessions cost nothing, however many are begun and left. The label says when it began, and its seal that
//! Scout gave it to this principal: with another one's key it is none. One that its client has ended is remembered until it would end
//! by itself, as far as there is room.

use std::num::NonZeroUsize;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use scout_machine::Principal;
use sha2::Sha256;

/// How long a session is one.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Ended sessions that are remembered.
const ENDED: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");
/// Bytes of the time, of what tells labels apart, and of the seal.
const TIME: usize = 8;
const RANDOM: usize = 16;
const SEAL: usize = 16;
/// Bytes of a label.
const LABEL: usize = TIME + RANDOM + SEAL;

/// A session, as all that is known of it: what tells it apart.
pub(super) type SessionId = [u8; RANDOM];

/// Gives labels and tells which are theirs.
pub(super) struct Labels {
    key: [u8; 32],
    ended: Mutex<LruCache<SessionId, ()>>,
}

impl Labels {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key, ended: Mutex::new(LruCache::new(ENDED)) }
    }

    /// A new session of a principal. None: there are no random numbers.
    pub(super) fn begin(&self, principal: &Principal, now: Timestamp) -> Option<String> {
        let mut label = [0; LABEL];
        let (body, seal) = label.split_at_mut(TIME + RANDOM);
        let (time, random) = body.split_at_mut(TIME);
        time.copy_from_slice(&now.as_second().to_be_bytes());
        getrandom::fill(random).ok()?;
        seal.copy_from_slice(&self.seal(body, principal)?);
        Some(BASE64_URL_SAFE_NO_PAD.encode(label))
    }

    /// The session that a label is of; none: it is no label, another principal's, or its session has ended.
    pub(super) fn open(&self, label: &[u8], principal: &Principal, now: Timestamp) -> Option<SessionId> {
        let label: [u8; LABEL] = BASE64_URL_SAFE_NO_PAD.decode(label).ok()?.try_into().ok()?;
        let (body, seal) = label.split_at_checked(TIME + RANDOM)?;
        let (time, random) = body.split_at_checked(TIME)?;
        let mut mac = self.mac(principal)?;
        mac.update(body);
        mac.verify_truncated_left(seal).ok()?;
        let age = now.as_second().checked_sub(i64::from_be_bytes(time.try_into().ok()?))?;
        let is_alive = u64::try_from(age).map_or(true, |age| age < LIFE.as_secs());
        let id: SessionId = random.try_into().ok()?;
        (is_alive && !self.ended.lock().contains(&id)).then_some(id)
    }

    /// Ends a session.
    pub(super) fn end(&self, session: SessionId) {
        self.ended.lock().put(session, ());
    }

    fn seal(&self, body: &[u8], principal: &Principal) -> Option<[u8; SEAL]> {
        let mut mac = self.mac(principal)?;
        mac.update(body);
        mac.finalize().into_bytes().get(..SEAL)?.try_into().ok()
    }

    fn mac(&self, principal: &Principal) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        for part in [principal.tenant().as_str(), principal.name()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_its_principals_until_it_ends() {
        let labels = Labels::new([7; 32]);
        let (alice, bob) = (Principal::new("local", "alice"), Principal::new("local", "bob"));
        let (now, later) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + LIFE);
        let label = labels.begin(&alice, now).unwrap();
        let opened =
            |labels: &Labels, label: &str, principal: &Principal, now| labels.open(label.as_bytes(), principal, now);
        let session = opened(&labels, &label, &alice, now).unwrap();
        assert_eq!(opened(&labels, &label, &alice, later - Duration::from_secs(1)), Some(session));
        assert_eq!(opened(&labels, &label, &alice, later), None);
        assert_eq!(opened(&labels, &label, &bob, now), None);
        assert_eq!(opened(&labels, &label, &Principal::new("other", "alice"), now), None);
        assert_eq!(opened(&Labels::new([8; 32]), &label, &alice, now), None);
        // Another process of the same state directory knows it.
        assert_eq!(opened(&Labels::new([7; 32]), &label, &alice, now), Some(session));
        for at in 0..label.len() {
            let mut other = label.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(labels.open(&other, &alice, now), None, "{at}");
        }
        for none in ["", "x", &label[1..], &format!("{label}=")] {
            assert_eq!(opened(&labels, none, &alice, now), None, "{none}");
        }
        labels.end(session);
        assert_eq!(opened(&labels, &label, &alice, now), None);
        assert!(opened(&labels, &labels.begin(&alice, now).unwrap(), &alice, now).is_some());
    }
}
