//! Whose turn it is to run a command on a connection.
//!
//! Owns the places for commands that run at once, the lines of the shells that stay, and the one queue before both. Whoever waits longest
//! is served first: a command that needs a place is not overtaken by those that could stand in a line. Does not know what runs.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use scout_machine::CommandLimits;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::shell::Job;

/// Commands that stand in one line at most, with the one that runs: as many as keep a shell busy while a line travels.
const LONGEST_LINE: usize = 8;
/// A command takes a shell about so long: a way that is shorter is not worth a line.
const SHORT_WAY: Duration = Duration::from_millis(4);
/// A command that has run so much longer than a way takes may run for long: nobody stands behind it any more.
const PATIENCE: Duration = Duration::from_millis(100);

/// The turns on one connection.
pub(crate) struct Turns {
    state: Mutex<State>,
    /// A shell was opened, has ended, or has one command less.
    changed: Notify,
}

struct State {
    places: usize,
    taken: usize,
    waiting: VecDeque<Waiting>,
    /// Those that take commands.
    shells: Vec<Entry>,
    /// Shells that have a channel, or will have one at once: those that take no more commands too.
    living: usize,
    /// How many wait for a channel.
    wanting: usize,
    /// The next number, of a shell or of one who waits.
    next: u64,
    /// How long a question and its answer take, at best; absent: nobody knows.
    way: Option<Duration>,
}

struct Waiting {
    number: u64,
    joins: Option<CommandLimits>,
    turn: oneshot::Sender<Turn>,
}

/// A shell that takes commands.
struct Entry {
    number: u64,
    limits: CommandLimits,
    jobs: mpsc::UnboundedSender<Job>,
    in_line: usize,
    /// When the first in the line had its turn, or the last one ended.
    since: Instant,
    /// Whether its first command is answered: before that nobody may stand behind it.
    has_answered: bool,
}

/// What somebody may do whose turn it is.
pub(crate) enum Turn {
    /// Run a command, in a shell that is idle or on a channel of its own.
    Place(Place),
    /// Stand in the line of a shell.
    Line(Seat),
}

/// The right to run a command. Free again when dropped.
pub(crate) struct Place(Option<Arc<Turns>>);

/// A place in the line of a shell, until the command has ended. Free again when dropped.
pub(crate) struct Seat {
    turns: Option<Arc<Turns>>,
    number: u64,
    jobs: mpsc::UnboundedSender<Job>,
}

/// A shell that may be given commands, as long as this lives.
pub(crate) struct Open {
    turns: Arc<Turns>,
    number: u64,
}

/// A shell that has a channel, as long as this lives.
pub(crate) struct Living(Arc<Turns>);

/// Somebody who waits for a channel, as long as this lives.
struct Wanting<'a>(&'a Turns);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        let mut state = turns.state.lock();
        state.taken -= 1;
        turns.serve(&mut state);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else { return };
        let mut state = turns.state.lock();
        state.leave(self.number);
        turns.serve(&mut state);
        drop(state);
        turns.changed.notify_waiters();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.turns.state.lock().shells.retain(|entry| entry.number != self.number);
        self.turns.changed.notify_waiters();
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.state.lock().living -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().wanting -= 1;
    }
}

impl<'a> Wanting<'a> {
    fn new(turns: &'a Turns) -> Self {
        turns.state.lock().wanting += 1;
        Self(turns)
    }

    /// Has a shell with so many commands at most end, unless as many end already as wait.
    fn make_room(&self, most: usize) {
        let mut state = self.0.state.lock();
        if state.living.saturating_sub(state.shells.len()) < state.wanting {
            state.end_a_shell(most);
        }
    }
}

impl Seat {
    /// Where the shell takes commands from.
    pub(crate) fn jobs(&self) -> mpsc::UnboundedSender<Job> {
        self.jobs.clone()
    }
}

impl Open {
    /// The first command is answered: from now on others may stand in its line.
    pub(crate) fn has_answered(&self) {
        let mut state = self.turns.state.lock();
        if let Some(entry) = state.shells.iter_mut().find(|entry| entry.number == self.number) {
            entry.has_answered = true;
            self.turns.serve(&mut state);
        }
    }

    /// Takes no more commands if it has none.
    pub(crate) fn ends_if_idle(&self) -> bool {
        let mut state = self.turns.state.lock();
        let is_idle = |entry: &Entry| entry.number == self.number && entry.in_line == 0;
        let before = state.shells.len();
        state.shells.retain(|entry| !is_idle(entry));
        state.shells.len() < before
    }
}

impl State {
    /// How many may stand in one line.
    fn longest_line(&self) -> usize {
        let way = self.way.unwrap_or_default();
        if way < SHORT_WAY {
            return 1;
        }
        // A command that takes a fork takes about a millisecond.
        usize::try_from(way.as_millis() / 2 + 1).unwrap_or(LONGEST_LINE).min(LONGEST_LINE)
    }

    /// A line that is short enough, behind a command that has just begun.
    fn line(&mut self, limits: &CommandLimits) -> Option<&mut Entry> {
        let (longest, patience) = (self.longest_line(), self.way.unwrap_or_default() + PATIENCE);
        let takes = |entry: &&mut Entry| {
            entry.has_answered
                && entry.limits == *limits
                && (1..longest).contains(&entry.in_line)
                && entry.since.elapsed() < patience
        };
        self.shells.iter_mut().filter(takes).min_by_key(|entry| entry.in_line)
    }
}

impl Turns {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let state = State {
            places,
            taken: 0,
            waiting: VecDeque::new(),
            shells: Vec::new(),
            living: 0,
            wanting: 0,
            next: 0,
            way: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// As long as this is awaited, somebody waits for a channel: for each of them one shell ends, the one that has had nothing to do for
    /// longest; if `also_busy`, else one that ends with the commands that it has. Never ends.
    pub(crate) async fn make_room(&self, also_busy: bool) -> Infallible {
        let most = if also_busy { usize::MAX } else { 0 };
        let wanting = Wanting::new(self);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            wanting.make_room(most);
            changed.await;
        }
    }

    /// [`Turns::shell`], once there is one.
    ///
    /// # Cancel safety
    /// Nothing is taken.
    pub(crate) async fn some_shell(self: &Arc<Self>, limits: &CommandLimits) -> Seat {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(seat) = self.shell(limits) {
                return seat;
            }
            changed.await;
        }
    }

    /// Lowers how many commands may run at once to `places`.
    pub(crate) fn lower_to(&self, places: usize) {
        let mut state = self.state.lock();
        state.places = state.places.min(places);
    }

    /// That a question was answered after so long.
    pub(crate) fn note_way(&self, way: Duration) {
        let mut state = self.state.lock();
        state.way = Some(state.way.map_or(way, |known| known.min(way)));
    }

    /// How long the first of a line may run before those behind it go elsewhere.
    pub(crate) fn patience(&self) -> Duration {
        self.state.lock().way.unwrap_or_default() + PATIENCE
    }

    /// A turn, if there is one and nobody waits. `joins`: the limits of a command that may run in a shell with others.
    pub(crate) fn try_acquire(self: &Arc<Self>, joins: Option<CommandLimits>) -> Option<Turn> {
        let mut state = self.state.lock();
        if !state.waiting.is_empty() {
            return None;
        }
        self.grant(&mut state, joins)
    }

    /// A turn, once all have theirs who came before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(crate) async fn acquire(self: &Arc<Self>, joins: Option<CommandLimits>) -> Option<Turn> {
        let (turn, mut granted) = oneshot::channel();
        let waits = {
            let mut state = self.state.lock();
            if state.waiting.is_empty()
                && let Some(turn) = self.grant(&mut state, joins)
            {
                return Some(turn);
            }
            let number = state.number();
            state.waiting.push_back(Waiting { number, joins, turn });
            Waits { turns: self, number }
        };
        let turn = (&mut granted).await.ok();
        drop(waits);
        turn
    }

    /// A shell with these limits that has nothing to do, the one that was used last: the others may end. Where there are as many as
    /// there may be, the line that is shortest.
    pub(crate) fn shell(self: &Arc<Self>, limits: &CommandLimits) -> Option<Seat> {
        let mut state = self.state.lock();
        let are_enough = state.shells.len() >= state.places;
        let takes =
            |entry: &&mut Entry| entry.limits == *limits && (entry.in_line == 0 || are_enough && entry.has_answered);
        let shells = state.shells.iter_mut().filter(takes);
        let entry = shells.min_by_key(|entry| (entry.in_line, Reverse(entry.since)))?;
        Some(self.seat(entry))
    }

    /// Takes up a shell that is about to be started, with the place in its line of its first command.
    pub(crate) fn open(
        self: &Arc<Self>,
        limits: CommandLimits,
        jobs: mpsc::UnboundedSender<Job>,
    ) -> (Open, Living, Seat) {
        let mut state = self.state.lock();
        let number = state.number();
        let mut entry = Entry { number, limits, jobs, in_line: 0, since: Instant::now(), has_answered: false };
        let seat = self.seat(&mut entry);
        state.shells.push(entry);
        state.living += 1;
        drop(state);
        self.changed.notify_waiters();
        (Open { turns: Arc::clone(self), number }, Living(Arc::clone(self)), seat)
    }

    /// Has the shell end that has had nothing to do for longest, if there is one.
    pub(crate) fn end_an_idle_shell(&self) -> bool {
        self.state.lock().end_a_shell(0)
    }

    fn seat(self: &Arc<Self>, entry: &mut Entry) -> Seat {
        if entry.in_line == 0 {
            entry.since = Instant::now();
        }
        entry.in_line += 1;
        Seat { turns: Some(Arc::clone(self)), number: entry.number, jobs: entry.jobs.clone() }
    }

    fn grant(self: &Arc<Self>, state: &mut State, joins: Option<CommandLimits>) -> Option<Turn> {
        if state.taken < state.places {
            state.taken += 1;
            return Some(Turn::Place(Place(Some(Arc::clone(self)))));
        }
        state.line(&joins?).map(|entry| Turn::Line(self.seat(entry)))
    }

    /// Gives those who wait their turns, as far as there are any.
    fn serve(self: &Arc<Self>, state: &mut State) {
        while let Some(first) = state.waiting.front() {
            if first.turn.is_closed() {
                state.waiting.pop_front();
                continue;
            }
            let joins = first.joins;
            let Some(turn) = self.grant(state, joins) else { return };
            let Some(first) = state.waiting.pop_front() else { return };
            // One that is dropped here would lock what is locked.
            if let Err(turn) = first.turn.send(turn) {
                state.take_back(turn);
            }
        }
    }
}

impl State {
    /// Has a shell with so many commands at most take no more of them; whether there was one.
    fn end_a_shell(&mut self, most: usize) -> bool {
        let shells = self.shells.iter().enumerate().filter(|(_, entry)| entry.in_line <= most);
        let Some((at, _)) = shells.min_by_key(|(_, entry)| (entry.in_line, entry.since)) else { return false };
        // It ends when nobody can give it a command any more.
        self.shells.swap_remove(at);
        true
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One of a shell's line has gone.
    fn leave(&mut self, number: u64) {
        if let Some(entry) = self.shells.iter_mut().find(|entry| entry.number == number) {
            entry.in_line -= 1;
            entry.since = Instant::now();
        }
    }

    /// Undoes a grant.
    fn take_back(&mut self, mut turn: Turn) {
        match &mut turn {
            Turn::Place(place) => {
                place.0 = None;
                self.taken -= 1;
            }
            Turn::Line(seat) => {
                seat.turns = None;
                self.leave(seat.number);
            }
        }
    }
}

/// Somebody in the queue.
struct Waits<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.turns.state.lock().waiting.retain(|waiting| waiting.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LIMITS: CommandLimits = CommandLimits::NONE;
    /// Some long way.
    const FAR: Duration = Duration::from_millis(50);

    fn open(turns: &Arc<Turns>) -> ((Open, Living), Seat, mpsc::UnboundedReceiver<Job>) {
        let (sender, jobs) = mpsc::unbounded_channel();
        let (open, living, seat) = turns.open(LIMITS, sender);
        ((open, living), seat, jobs)
    }

    fn place(turn: Option<Turn>) -> Place {
        let Some(Turn::Place(place)) = turn else { panic!("no place") };
        place
    }

    fn line(turn: Option<Turn>) -> Seat {
        let Some(Turn::Line(seat)) = turn else { panic!("no line") };
        seat
    }

    #[tokio::test]
    async fn whoever_waits_longest_is_first_and_one_that_leaves_is_passed_over() {
        let turns = Turns::new(1);
        let held = place(turns.try_acquire(None));
        let (mut first, mut second, mut third) = (
            Box::pin(turns.acquire(Some(LIMITS))),
            Box::pin(turns.acquire(None)),
            Box::pin(turns.acquire(Some(LIMITS))),
        );
        for waiting in [&mut first, &mut third] {
            assert!(waiting.now_or_never().is_none());
        }
        assert!((&mut second).now_or_never().is_none());
        assert!(turns.try_acquire(None).is_none(), "nobody overtakes");
        drop(first);
        drop(held);
        // The third came before the second.
        let held = place((&mut third).now_or_never().flatten());
        assert!((&mut second).now_or_never().is_none());
        drop(held);
        drop(place((&mut second).now_or_never().flatten()));
        drop(place(turns.try_acquire(None)));
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_comes_back() {
        let turns = Turns::new(1);
        let held = place(turns.try_acquire(None));
        let mut waiting = Box::pin(turns.acquire(None));
        assert!((&mut waiting).now_or_never().is_none());
        drop(held);
        drop(waiting);
        drop(place(turns.try_acquire(None)));
    }

    #[tokio::test]
    async fn a_line_is_stood_in_only_over_a_long_way_behind_what_is_answered_and_within_the_same_limits() {
        let turns = Turns::new(1);
        let _held = place(turns.try_acquire(None));
        let ((open, _living), front, _jobs) = open(&turns);
        turns.note_way(FAR);
        assert!(turns.try_acquire(Some(LIMITS)).is_none(), "its first command is not answered");
        open.has_answered();
        assert!(turns.try_acquire(None).is_none(), "a script needs a place");
        let others = CommandLimits { cpu: Some(1), ..LIMITS };
        assert!(turns.try_acquire(Some(others)).is_none());
        let behind: Vec<_> = (1..LONGEST_LINE).map(|_| line(turns.try_acquire(Some(LIMITS)))).collect();
        assert!(turns.try_acquire(Some(LIMITS)).is_none(), "it is full");
        drop(front);
        let last = line(turns.try_acquire(Some(LIMITS)));
        drop((behind, last));
        // A short way.
        turns.note_way(Duration::from_millis(1));
        let _front = turns.shell(&LIMITS).expect("it is idle");
        assert!(turns.try_acquire(Some(LIMITS)).is_none());
    }

    #[tokio::test]
    async fn one_who_needs_a_place_is_not_overtaken_by_those_who_can_stand_in_a_line() {
        let turns = Turns::new(1);
        let held = place(turns.try_acquire(None));
        let ((open, _living), _front, _jobs) = open(&turns);
        turns.note_way(FAR);
        open.has_answered();
        let (mut script, mut reads) = (Box::pin(turns.acquire(None)), Box::pin(turns.acquire(Some(LIMITS))));
        assert!((&mut script).now_or_never().is_none() && (&mut reads).now_or_never().is_none());
        drop(held);
        let _place = place((&mut script).now_or_never().flatten());
        let _seat = line((&mut reads).now_or_never().flatten());
    }

    #[tokio::test]
    async fn the_shell_that_was_idle_for_longest_makes_room() {
        let turns = Turns::new(6);
        let ((first, one, mut jobs_of_first), (second, other, mut jobs_of_second)) = (open(&turns), open(&turns));
        assert!(!turns.end_an_idle_shell(), "both have a command");
        drop(one);
        drop(other);
        let used = turns.shell(&LIMITS).expect("the second was used last");
        drop(used);
        assert!(turns.end_an_idle_shell());
        assert!(jobs_of_first.recv().now_or_never().is_some_and(|job| job.is_none()), "it is told by its end");
        assert!(jobs_of_second.recv().now_or_never().is_none());
        let last = turns.shell(&LIMITS).expect("the second one is there");
        let wanting = Wanting::new(&turns);
        let open = || turns.state.lock().shells.len();
        wanting.make_room(9);
        assert_eq!(open(), 1, "one ends already");
        drop(first);
        wanting.make_room(0);
        assert_eq!(open(), 1, "it is busy");
        wanting.make_room(9);
        assert_eq!(open(), 0, "it takes no more");
        assert!(jobs_of_second.recv().now_or_never().is_none(), "it has a command still");
        drop(last);
        assert!(jobs_of_second.recv().now_or_never().is_some_and(|job| job.is_none()));
        assert!(!second.0.ends_if_idle());
    }
}
