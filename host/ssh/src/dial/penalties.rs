//! What servers hold against this machine's address.
//!
//! sshd 9.8 and newer adds up what connections cost that end without a login (`PerSourcePenalties`: 1 s for one that
//! asks for nothing, 5 s for a refused login) and turns an address away for as long as it owes, once that is more than
//! 15 s. All tenants and aliases of this machine share its address, so the account is kept here by where a connection
//! goes, and **no contact begins that could bring a server to lock the address out**: it waits until enough is paid off.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// What sshd 9.8 to 10.6 takes for a connection that ends without a try to log in, if nothing else is configured.
const NOTHING_ASKED: Duration = Duration::from_secs(1);
/// The same for one whose login was refused.
const REFUSED: Duration = Duration::from_secs(5);
/// It turns an address away that owes more than 15 s; one second is lost to its clock.
const MOST: Duration = Duration::from_secs(14);
/// What contacts that ask for nothing may come to: one of them can always go on to log in.
const MOST_IDLE: Duration = Duration::from_secs(10);
/// Accounts are looked through for those that are paid off when there are so many.
const MANY: usize = 1024;

/// Where a connection goes, as far as the server tells sources apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// To this address.
    Address(SocketAddr),
    /// Through a command or another host: what is between counts as another source.
    Behind(String),
}

/// The accounts of one pool.
#[derive(Debug, Default)]
pub(crate) struct Penalties {
    accounts: Mutex<HashMap<Place, Account>>,
    paid: Notify,
}

#[derive(Debug)]
struct Account {
    /// When all is paid off.
    settled: Instant,
    /// What contacts under way may come to.
    reserved: Duration,
    /// Why the last contact that the server answered came to nothing.
    reason: Option<String>,
    /// The server is one that adds nothing up.
    is_lenient: bool,
}

impl Account {
    fn owed(&self, now: Instant) -> Duration {
        self.settled.saturating_duration_since(now)
    }

    fn owe(&mut self, now: Instant, more: Duration) {
        if !self.is_lenient {
            self.settled = self.settled.max(now) + more;
        }
    }
}

impl Penalties {
    /// Waits until a contact that asks for nothing may fail without harm, and reserves what it may cost. `is_proven`: such
    /// a login has succeeded before, so it is not waited for.
    ///
    /// # Cancel safety
    /// Nothing is reserved.
    pub(crate) async fn admit(self: &Arc<Self>, place: Place, is_proven: bool) -> Contact {
        let cost = if is_proven { Duration::ZERO } else { NOTHING_ASKED };
        self.reserve(&place, cost, MOST_IDLE).await;
        Contact { penalties: Arc::clone(self), place, is_proven, reserved: cost, outcome: NOTHING_ASKED }
    }

    async fn reserve(&self, place: &Place, cost: Duration, most: Duration) {
        loop {
            let paid = self.paid.notified();
            let mut paid = std::pin::pin!(paid);
            // Not to miss what is paid between the look and the wait.
            paid.as_mut().enable();
            let Err(wait) = self.try_reserve(place, cost, most) else { return };
            tokio::select! {
                () = paid => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// The same for a look at whether anything answers, which never waits; absent if it would do harm.
    pub(crate) fn try_look(self: &Arc<Self>, place: Place) -> Option<Contact> {
        self.try_reserve(&place, NOTHING_ASKED, MOST_IDLE).ok()?;
        let (reserved, outcome) = (NOTHING_ASKED, NOTHING_ASKED);
        Some(Contact { penalties: Arc::clone(self), place, is_proven: false, reserved, outcome })
    }

    /// # Errors
    /// After how long it may be asked again, at the latest.
    fn try_reserve(&self, place: &Place, cost: Duration, most: Duration) -> Result<(), Duration> {
        let now = Instant::now();
        let mut accounts = self.accounts.lock();
        if accounts.len() > MANY {
            accounts.retain(|_, account| account.settled > now || !account.reserved.is_zero());
        }
        let account = accounts.entry(place.clone()).or_insert(Account {
            settled: now,
            reserved: Duration::ZERO,
            reason: None,
            is_lenient: false,
        });
        let after = account.owed(now) + account.reserved + cost;
        if cost.is_zero() || account.is_lenient || after <= most {
            account.reserved += cost;
            return Ok(());
        }
        Err(after - most)
    }

    /// Why the last contact came to nothing that the server answered.
    fn reason(&self, place: &Place) -> Option<String> {
        self.accounts.lock().get(place).and_then(|account| account.reason.clone())
    }
}

/// A contact under way. Unless more is told of it, it counts as one that asked for nothing.
#[derive(Debug)]
pub(crate) struct Contact {
    penalties: Arc<Penalties>,
    place: Place,
    is_proven: bool,
    reserved: Duration,
    outcome: Duration,
}

impl Contact {
    /// Waits until the login may be refused without harm. From then on the contact counts as refused unless more is told of it: one
    /// that is given up after a key was refused is.
    ///
    /// # Cancel safety
    /// The contact stays one that asks for nothing.
    pub(crate) async fn before_login(&mut self) {
        if !self.is_proven {
            let more = REFUSED.saturating_sub(self.reserved);
            self.penalties.reserve(&self.place, more, MOST).await;
            self.reserved += more;
        }
        self.outcome = REFUSED;
    }

    /// It cost nothing: there was no server, or the login succeeded.
    pub(crate) fn is_free(&mut self) {
        self.outcome = Duration::ZERO;
    }

    /// The server named itself so: whatever is not OpenSSH, or is older than 9.8, adds nothing up.
    pub(crate) fn is_with(&self, identification: &str) {
        if let Some(account) = self.penalties.accounts.lock().get_mut(&self.place) {
            account.is_lenient = !adds_up(identification);
        }
    }

    /// Whether the server adds nothing up.
    pub(crate) fn is_lenient(&self) -> bool {
        self.penalties.accounts.lock().get(&self.place).is_some_and(|account| account.is_lenient)
    }

    /// The login was refused.
    pub(crate) fn is_refused(&mut self) {
        self.outcome = REFUSED;
    }

    /// Whether contacts of this pool have cost something that is not paid off.
    pub(crate) fn owes(&self) -> bool {
        let accounts = self.penalties.accounts.lock();
        accounts.get(&self.place).is_some_and(|account| !account.owed(Instant::now()).is_zero())
    }

    /// Why it came to nothing, for whoever is turned away later.
    pub(crate) fn because(&self, reason: &str) {
        if let Some(account) = self.penalties.accounts.lock().get_mut(&self.place) {
            account.reason = Some(reason.to_owned());
        }
    }

    /// What was told of the contact before this one.
    pub(crate) fn reason(&self) -> Option<String> {
        self.penalties.reason(&self.place)
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(account) = self.penalties.accounts.lock().get_mut(&self.place) {
            account.reserved = account.reserved.saturating_sub(self.reserved);
            account.owe(now, self.outcome);
        }
        self.penalties.paid.notify_waiters();
    }
}

/// Whether a server with this identification has `PerSourcePenalties`, as far as it tells.
fn adds_up(identification: &str) -> bool {
    let Some((_, version)) = identification.split_once("OpenSSH_") else { return false };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (9, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssh_adds_up_since_9_8() {
        for (identification, adds) in [
            ("SSH-2.0-OpenSSH_9.8", true),
            ("SSH-2.0-OpenSSH_10.0p2 Debian-7+deb13u4", true),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2", false),
            ("SSH-2.0-OpenSSH_for_Windows_9.5", false),
            ("SSH-2.0-dropbear_2022.83", false),
        ] {
            assert_eq!(adds_up(identification), adds, "{identification}");
        }
    }

    fn place() -> Place {
        Place::Address(SocketAddr::from(([192, 0, 2, 1], 22)))
    }

    #[tokio::test(start_paused = true)]
    async fn refused_logins_of_an_hour_never_owe_what_locks_an_address_out() {
        let penalties = Arc::new(Penalties::default());
        let begun = Instant::now();
        let mut refused = 0;
        while begun.elapsed() < Duration::from_secs(3600) {
            let mut contact = penalties.admit(place(), false).await;
            contact.before_login().await;
            contact.is_refused();
            drop(contact);
            refused += 1;
            let owed = penalties.accounts.lock().get(&place()).map(|account| account.owed(Instant::now()));
            assert!(owed.is_some_and(|owed| owed <= MOST), "{owed:?}");
        }
        assert!(refused > 700, "{refused}: it still goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_begin_together_wait_for_each_other_and_success_costs_nothing() {
        let penalties = Arc::new(Penalties::default());
        let mut ten = Vec::new();
        for _ in 0..10 {
            ten.push(penalties.admit(place(), false).await);
        }
        let mut one = ten.pop().expect("ten of them");
        one.before_login().await;
        assert!(penalties.try_reserve(&place(), NOTHING_ASKED, MOST).is_err());
        let begun = Instant::now();
        // A login that has succeeded before is not waited for.
        penalties.admit(place(), true).await.is_free();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        one.is_free();
        drop(one);
        let mut next = ten.pop().expect("nine of them");
        next.before_login().await;
        next.is_free();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(penalties.try_look(Place::Behind("another".to_owned())).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_let_in_one_can_go_on_to_log_in() {
        let penalties = Arc::new(Penalties::default());
        let begun = Instant::now();
        let all = (0..14).map(|_| {
            let penalties = Arc::clone(&penalties);
            tokio::spawn(async move {
                let mut contact = penalties.admit(place(), false).await;
                // As long as a handshake takes: all that are let in are.
                sleep(Duration::from_millis(10)).await;
                contact.before_login().await;
                contact.is_free();
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.expect("no panic");
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "nothing is owed: {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_is_given_up_counts_as_refused() {
        let penalties = Arc::new(Penalties::default());
        let mut contact = penalties.admit(place(), false).await;
        contact.before_login().await;
        drop(contact);
        let owed = penalties.accounts.lock().get(&place()).map(|account| account.owed(Instant::now()));
        assert_eq!(owed, Some(REFUSED));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_ask_for_nothing_stop_before_they_do_harm() {
        let penalties = Arc::new(Penalties::default());
        let looks = (0..100).filter(|_| penalties.try_look(place()).is_some()).count();
        assert_eq!(looks, 10);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((0..100).filter(|_| penalties.try_look(place()).is_some()).count(), 3);
    }
}
