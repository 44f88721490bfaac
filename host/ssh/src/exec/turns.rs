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
    /// Those that have a channel.
    shells: Vec<Entry>,
    /// How many wait for a channel.
    wanting: usize,
    /// Those of them that no shell may keep waiting that always has something to do.
    pressing: usize,
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

/// A shell.
struct Entry {
    number: u64,
    limits: CommandLimits,
    /// Absent: it takes no more commands, and ends with those that it has.
    jobs: Option<mpsc::UnboundedSender<Box<Job>>>,
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
    jobs: mpsc::UnboundedSender<Box<Job>>,
    is_taken: bool,
}

/// A shell that may be given commands, as long as this lives.
pub(crate) struct Open {
    turns: Arc<Turns>,
    number: u64,
}

/// A shell that has a channel, as long as this lives.
pub(crate) struct Living {
    turns: Arc<Turns>,
    number: u64,
}

/// Somebody who waits for a channel, as long as this lives.
struct Wanting<'a> {
    turns: &'a Arc<Turns>,
    is_pressing: bool,
}

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
        state.leave(self.number, self.is_taken);
        turns.serve(&mut state);
        drop(state);
        turns.changed.notify_waiters();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        state.entry(self.number).into_iter().for_each(|entry| entry.jobs = None);
        drop(state);
        self.turns.changed.notify_waiters();
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.turns.state.lock().shells.retain(|entry| entry.number != self.number);
        self.turns.changed.notify_waiters();
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        state.wanting -= 1;
        state.pressing -= usize::from(self.is_pressing);
        self.turns.serve(&mut state);
        drop(state);
        self.turns.changed.notify_waiters();
    }
}

impl<'a> Wanting<'a> {
    fn new(turns: &'a Arc<Turns>, is_pressing: bool) -> Self {
        let mut state = turns.state.lock();
        state.wanting += 1;
        state.pressing += usize::from(is_pressing);
        Self { turns, is_pressing }
    }

    /// Has a shell end that has nothing to do, unless as many end already as wait.
    fn make_room(&self) {
        let mut state = self.turns.state.lock();
        if state.closing() < state.wanting {
            state.end_an_idle_shell();
        }
    }
}

impl Seat {
    /// With a command that stands there now.
    pub(crate) fn taken(mut self) -> Self {
        self.is_taken = true;
        self
    }

    /// Where the shell takes commands from.
    pub(crate) fn jobs(&self) -> mpsc::UnboundedSender<Box<Job>> {
        self.jobs.clone()
    }
}

impl Open {
    /// The first command is answered: from now on others may stand in its line.
    pub(crate) fn has_answered(&self) {
        let mut state = self.turns.state.lock();
        state.entry(self.number).into_iter().for_each(|entry| entry.has_answered = true);
        self.turns.serve(&mut state);
    }

    /// Takes no more commands if it has none.
    pub(crate) fn ends_if_idle(&self) -> bool {
        let mut state = self.turns.state.lock();
        let Some(entry) = state.entry(self.number).filter(|entry| entry.in_line == 0) else { return false };
        entry.jobs = None;
        true
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

    /// How long the first of a line may have run for others to stand behind it.
    fn patience(&self) -> Duration {
        self.way.unwrap_or_default() + PATIENCE
    }

    /// A shell with these limits that takes commands and has fewer than so many. None as long as somebody waits for a channel that none
    /// is about to give up.
    fn shell(&mut self, limits: &CommandLimits, fewer_than: usize) -> Option<&mut Entry> {
        if self.pressing > self.closing() {
            return None;
        }
        let patience = self.patience();
        let takes = |entry: &&mut Entry| {
            let may_stand = entry.has_answered && entry.since.elapsed() < patience;
            entry.jobs.is_some()
                && entry.limits == *limits
                && entry.in_line < fewer_than
                && (entry.in_line == 0 || may_stand)
        };
        // Of those that are idle, the one that was used last: the others may end.
        self.shells.iter_mut().filter(takes).min_by_key(|entry| (entry.in_line, Reverse(entry.since)))
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.shells.iter_mut().find(|entry| entry.number == number)
    }

    /// How many shells have nothing to do and take no more commands: their channels are about to be free.
    fn closing(&self) -> usize {
        self.shells.iter().filter(|entry| entry.jobs.is_none() && entry.in_line == 0).count()
    }

    /// Has the shell end that has had nothing to do for longest; whether there was one.
    fn end_an_idle_shell(&mut self) -> bool {
        let idle = self.shells.iter_mut().filter(|entry| entry.jobs.is_some() && entry.in_line == 0);
        // It ends when nobody can give it a command any more.
        idle.min_by_key(|entry| entry.since).map(|entry| entry.jobs = None).is_some()
    }
}

impl Turns {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let state = State {
            places,
            taken: 0,
            waiting: VecDeque::new(),
            shells: Vec::new(),
            wanting: 0,
            pressing: 0,
            next: 0,
            way: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// As long as this is awaited, somebody waits for a channel: for each of them a shell ends that has nothing to do. If `is_pressing`,
    /// those that have something get nothing more to do until one has. Never ends.
    pub(crate) async fn make_room(self: &Arc<Self>, is_pressing: bool) -> Infallible {
        let wanting = Wanting::new(self, is_pressing);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            wanting.make_room();
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
        self.state.lock().patience()
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

    /// A shell with these limits that has nothing to do; where there are as many as there may be, the line that is shortest.
    pub(crate) fn shell(self: &Arc<Self>, limits: &CommandLimits) -> Option<Seat> {
        let mut state = self.state.lock();
        let open = state.shells.iter().filter(|entry| entry.jobs.is_some()).count();
        let fewer_than = if open >= state.places { usize::MAX } else { 1 };
        let entry = state.shell(limits, fewer_than)?;
        self.seat(entry)
    }

    /// Takes up a shell that is about to be started, with the place in its line of its first command.
    pub(crate) fn open(
        self: &Arc<Self>,
        limits: CommandLimits,
        jobs: mpsc::UnboundedSender<Box<Job>>,
    ) -> (Open, Living, Seat) {
        let mut state = self.state.lock();
        let number = state.number();
        let (since, own) = (Instant::now(), jobs.clone());
        state.shells.push(Entry { number, limits, jobs: Some(jobs), in_line: 1, since, has_answered: false });
        let [seat, open, living] = std::array::from_fn(|_| Arc::clone(self));
        let seat = Seat { turns: Some(seat), number, jobs: own, is_taken: false };
        (Open { turns: open, number }, Living { turns: living, number }, seat)
    }

    /// Has the shell end that has had nothing to do for longest, if there is one.
    pub(crate) fn end_an_idle_shell(&self) -> bool {
        self.state.lock().end_an_idle_shell()
    }

    fn seat(self: &Arc<Self>, entry: &mut Entry) -> Option<Seat> {
        let jobs = entry.jobs.clone()?;
        if entry.in_line == 0 {
            entry.since = Instant::now();
        }
        entry.in_line += 1;
        Some(Seat { turns: Some(Arc::clone(self)), number: entry.number, jobs, is_taken: false })
    }

    fn grant(self: &Arc<Self>, state: &mut State, joins: Option<CommandLimits>) -> Option<Turn> {
        if state.taken < state.places {
            state.taken += 1;
            return Some(Turn::Place(Place(Some(Arc::clone(self)))));
        }
        let longest = state.longest_line();
        // One that is idle is for those who have a place.
        let entry = state.shell(&joins?, longest).filter(|entry| entry.in_line > 0)?;
        self.seat(entry).map(Turn::Line)
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
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One of a shell's line has gone. `was_there`: its command stood in it, and so it is the next one's turn.
    fn leave(&mut self, number: u64, was_there: bool) {
        if let Some(entry) = self.entry(number) {
            entry.in_line -= 1;
            if was_there {
                entry.since = Instant::now();
            }
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
                self.leave(seat.number, false);
            }
        }
    }
}

/// Somebody in the queue.
struct Waits<'a> {
    turns: &'a Arc<Turns>,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        state.waiting.retain(|waiting| waiting.number != self.number);
        // Those behind it may be served where it was not.
        self.turns.serve(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LIMITS: CommandLimits = CommandLimits::NONE;
    /// Some long way.
    const FAR: Duration = Duration::from_millis(50);

    fn open(turns: &Arc<Turns>) -> ((Open, Living), Seat, mpsc::UnboundedReceiver<Box<Job>>) {
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
        let wanting = Wanting::new(&turns, true);
        let open = || turns.state.lock().shells.iter().filter(|entry| entry.jobs.is_some()).count();
        wanting.make_room();
        assert_eq!(open(), 1, "one ends already");
        drop(first);
        wanting.make_room();
        assert_eq!(open(), 1, "it is busy");
        assert!(turns.shell(&LIMITS).is_none(), "and gets nothing more to do");
        drop(last);
        wanting.make_room();
        assert!(jobs_of_second.recv().now_or_never().is_some_and(|job| job.is_none()));
        assert!(second.0.ends_if_idle());
        drop((wanting, second));
        let (_third, _seat, _jobs) = self::open(&turns);
        assert_eq!(turns.state.lock().shells.len(), 1, "what has ended is forgotten");
    }
}
