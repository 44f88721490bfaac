//! The audit trail of one tenant in this process: records come in from anywhere, a thread of its own writes them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use scout_machine::Principal;
use scout_runtime::{AuditRecord, Recorded};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::allowance::Allowance;
use super::line::{AccessLine, Event, Line, Omitted, text};
use super::log_file::{LogFile, unwritable};

/// Records that wait for a disk that hangs, in bytes: the commands of 250 calls at their longest.
const MAX_WAITING: usize = 16 << 20;
/// Lines that are written at once, and their bytes.
const BATCH: (usize, usize) = (256, 1 << 20);
/// How long it may take until what was left out is told.
const TELL_AFTER: Duration = Duration::from_secs(60);
/// How long the last lines may take to be written when Scout ends.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What becomes of a command whose beginning cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditMode {
    /// It is not sent.
    #[default]
    #[serde(alias = "required")]
    Strict,
    /// It is sent, and never waits for the log.
    BestEffort,
}

/// The audit trail. Dropping it waits for what is still to be written, at most two seconds.
#[derive(Debug)]
pub struct Audit {
    mode: AuditMode,
    /// Tells the commands of this process from those of others.
    run: String,
    /// How many commands it has told of.
    commands: Arc<AtomicU64>,
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    /// Ends when everything is written.
    writing: Mutex<Receiver<()>>,
}

/// What the writer and those who bring records know of each other.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes of the records on their way.
    waiting: AtomicUsize,
    /// Records that there was no room for.
    dropped: AtomicU64,
}

/// A line of either kind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum AnyLine {
    Command(Line),
    Access(AccessLine),
}

impl AnyLine {
    fn event(&self) -> Event {
        match self {
            Self::Command(line) => line.event,
            Self::Access(line) => line.event,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Command(line) => line.bytes(),
            Self::Access(line) => line.bytes(),
        }
    }
}

#[derive(Debug)]
struct Job {
    line: AnyLine,
    written: oneshot::Sender<Result<(), String>>,
}

impl Audit {
    /// Opens the log for appending, creating it (0600) and its directory (0700).
    ///
    /// # Errors
    /// In the mode `strict` Scout does not start without an audit trail: the message names the file.
    pub fn open(path: &Path, mode: AuditMode) -> Result<Self, String> {
        let mut file = LogFile::new(path);
        if let Err(error) = file.open() {
            let why = unwritable(path, &error);
            match mode {
                AuditMode::Strict => return Err(why),
                AuditMode::BestEffort => tracing::error!("{why}"),
            }
        }
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|error| format!("no random numbers are available: {error}"))?;
        let ((jobs, to_do), (done, writing)) = (channel(), channel());
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            file,
            unsent: Allowance::new(Instant::now()),
            denied: Allowance::new(Instant::now()),
            omitted: None,
            is_failing: false,
            shared: Arc::clone(&shared),
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run(&to_do);
                drop(done);
            })
            .map_err(|error| format!("the audit trail has no thread: {error}"))?;
        let run = format!("{:016x}", u64::from_ne_bytes(run));
        Ok(Self { mode, run, commands: Arc::default(), shared, jobs: Some(jobs), writing: Mutex::new(writing) })
    }

    /// How many commands it has told of: each record of a command has its number.
    pub(crate) fn commands(&self) -> &Arc<AtomicU64> {
        &self.commands
    }

    /// Takes a record, and tells when it is written. In the mode `best-effort` nobody has to wait, and nothing fails.
    pub fn record(&self, principal: &Principal, record: AuditRecord) -> Recorded {
        let handed_over = self.hand_over(match record {
            AuditRecord::Command(record) => AnyLine::Command(Line::new(&self.run, principal, record)),
            AuditRecord::Access(record) => AnyLine::Access(AccessLine::new(principal, record)),
        });
        match self.mode {
            AuditMode::BestEffort => Box::pin(std::future::ready(Ok(()))),
            AuditMode::Strict => {
                Box::pin(async { handed_over?.await.unwrap_or_else(|_| Err(lost("its thread ended"))) })
            }
        }
    }

    fn hand_over(&self, line: AnyLine) -> Result<oneshot::Receiver<Result<(), String>>, String> {
        let bytes = line.bytes();
        let waiting = self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        // The end of a command that was begun is owed: there are no more of them than commands.
        if waiting + bytes > MAX_WAITING && line.event() != Event::End {
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(lost("too much waits for its disk"));
        }
        let (written, receiver) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(|| lost("it is closed"))?;
        jobs.send(Job { line, written }).map_err(|_| lost("its thread ended"))?;
        Ok(receiver)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // It never sends anything: this waits for its end.
        self.writing.lock().recv_timeout(LAST_LINES).ok();
    }
}

/// What a client may be told: not where the log is.
fn lost(why: &str) -> String {
    format!("the audit log cannot be written ({why})")
}

/// The thread's own.
struct Writer {
    file: LogFile,
    /// How many lines may tell of commands that were not sent, and how many of looks that may not be.
    unsent: Allowance,
    denied: Allowance,
    /// What was left out and is not told yet, and when it is to be.
    omitted: Option<(Omitted, Instant)>,
    is_failing: bool,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match &self.omitted {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((_, due)) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(job) => {
                    // What waits beside it is written with it.
                    let (mut bytes, mut batch) = (job.line.bytes(), vec![job]);
                    while batch.len() < BATCH.0
                        && bytes < BATCH.1
                        && let Ok(job) = jobs.try_recv()
                    {
                        bytes += job.line.bytes();
                        batch.push(job);
                    }
                    self.take(batch, Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => self.tell_omitted(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.tell_omitted(Instant::now());
    }

    /// Writes lines, but for those of whose kind there are too many, and tells who waits for them.
    fn take(&mut self, batch: Vec<Job>, now: Instant) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.omitted(now).unwritten += dropped;
        }
        if self.omitted.as_ref().is_some_and(|(omitted, due)| omitted.unwritten > 0 || *due <= now) {
            self.tell_omitted(now);
        }
        let (mut lines, mut waiting, mut bytes) = (Vec::with_capacity(batch.len()), Vec::new(), 0);
        for Job { line, written } in batch {
            bytes += line.bytes();
            match line.event() {
                Event::Unsent if !self.unsent.take(now) => self.omitted(now).unsent += 1,
                Event::Denied if !self.denied.take(now) => self.omitted(now).denied += 1,
                Event::Begin | Event::End | Event::Unsent | Event::Denied | Event::Read => {
                    lines.push(text(&line));
                    waiting.push(written);
                    continue;
                }
            }
            written.send(Ok(())).ok();
        }
        let appended = match lines.is_empty() {
            true => Ok(()),
            false => self.append(lines),
        };
        if appended.is_err() {
            self.omitted(now).unwritten += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
        }
        for written in waiting {
            // Nobody may wait any more.
            written.send(appended.clone()).ok();
        }
        self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn omitted(&mut self, now: Instant) -> &mut Omitted {
        &mut self.omitted.get_or_insert_with(|| (Omitted::new(), now + TELL_AFTER)).0
    }

    fn tell_omitted(&mut self, now: Instant) {
        let Some((mut omitted, _)) = self.omitted.take() else { return };
        if self.append(vec![text(omitted.told())]).is_err() {
            self.omitted = Some((omitted, now + TELL_AFTER));
        }
    }

    fn append(&mut self, lines: Vec<io::Result<Vec<u8>>>) -> Result<(), String> {
        let lines: io::Result<Vec<_>> = lines.into_iter().collect();
        let appended = lines.and_then(|lines| self.file.append(&lines));
        // Once, and not for each line.
        match (&appended, std::mem::replace(&mut self.is_failing, appended.is_err())) {
            (Err(error), false) => tracing::error!(%error, "the audit log cannot be written"),
            (Ok(()), true) => tracing::info!("the audit log is written again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        appended.map_err(|error| match error.raw_os_error() {
            Some(_) => lost(&error.to_string()),
            // Our own words, which name the place.
            None => lost("it is refused"),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use std::path::PathBuf;

    use scout_runtime::{AccessEvent, AccessRecord, CommandEnd, CommandEvent, CommandRecord};
    use serde_json::Value;

    use super::*;

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("audit.jsonl")
        }

        fn open(&self, mode: AuditMode) -> Audit {
            Audit::open(&self.path(), mode).unwrap()
        }

        fn lines(&self) -> Vec<Value> {
            let text = std::fs::read_to_string(self.path()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    fn end(ending: &str) -> CommandEnd {
        CommandEnd { ending: ending.to_owned(), duration: Duration::from_millis(12) }
    }

    fn record(audit: &Audit, number: u64, command: &str, event: CommandEvent) -> Recorded {
        let (plugin, host) = ("command".to_owned(), "box".to_owned());
        let record = CommandRecord { number, plugin, host, command: command.into(), event };
        audit.record(&Principal::new("test", "local"), AuditRecord::Command(record))
    }

    #[tokio::test]
    async fn looks_have_a_line_each_and_denials_have_an_allowance_of_their_own() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        let look = |path: &[u8], event| {
            let (plugin, host, path) = ("file".to_owned(), "box".to_owned(), path.to_vec());
            let record = AccessRecord { plugin, host, operation: "open", path, event };
            audit.record(&Principal::new("test", "local"), AuditRecord::Access(record))
        };
        look(b"/etc/hosts", AccessEvent::Ended(end("found"))).await.unwrap();
        for _ in 0..110 {
            look(b"/etc/shadow\xff", AccessEvent::Denied("is secret".repeat(1000))).await.unwrap();
        }
        record(&audit, 1, "rm", CommandEvent::Unsent(end("refused"))).await.unwrap();
        drop(audit);
        let lines = world.lines();
        assert_eq!(
            (&lines[0]["event"], &lines[0]["operation"], &lines[0]["path"], &lines[0]["ending"]),
            (&"read".into(), &"open".into(), &"/etc/hosts".into(), &"found".into())
        );
        assert_eq!((&lines[1]["event"], &lines[1]["path"]), (&"denied".into(), &"/etc/shadow\u{fffd}".into()));
        assert!(lines[1]["why"].as_str().unwrap().len() <= 512, "{}", lines[1]);
        assert_eq!(lines.iter().filter(|line| line["event"] == "denied").count(), 100);
        assert_eq!(lines.iter().filter(|line| line["event"] == "unsent").count(), 1);
        assert_eq!(lines.last().unwrap()["denied"], 10);
    }

    /// Runs itself as a process that records until it is killed, a hundred times.
    #[tokio::test]
    async fn nothing_that_was_answered_is_lost_however_often_its_process_is_killed() {
        use std::io::{BufRead as _, Write as _};
        const LOG: &str = "SCOUT_TEST_KILLED_LOG";
        if let Some(path) = std::env::var_os(LOG) {
            let audit = Audit::open(path.as_ref(), AuditMode::Strict).unwrap();
            for number in 0.. {
                record(&audit, number, "uptime", CommandEvent::Begin).await.unwrap();
                writeln!(std::io::stdout(), "answered {}-{number}", audit.run).unwrap();
            }
        }
        let world = World::new();
        let mut answered = Vec::new();
        for round in 0..100 {
            let mut killed = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "audit::trail::tests::nothing_that_was_answered_is_lost_however_often_its_process_is_killed",
                ])
                .env(LOG, world.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut told = std::io::BufReader::new(killed.stdout.take().unwrap())
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("answered ").map(str::to_owned));
            answered.extend(told.by_ref().take(1 + round % 13));
            killed.kill().unwrap();
            // What it had said before.
            answered.extend(told);
            killed.wait().unwrap();
        }
        let text = std::fs::read_to_string(world.path()).unwrap();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let written: std::collections::HashSet<_> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
        // The last that it said may be cut off.
        let lost = answered.iter().filter(|id| id.contains('-') && !written.contains(id.as_str())).count();
        assert!(answered.len() >= 600, "{}", answered.len());
        assert_eq!(lost, 0);
        let found = super::super::Proof::default().file(text.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!((found.faulty, found.unlinked), (0, 0), "{found:?}");
    }

    #[tokio::test]
    async fn a_command_has_two_lines_of_one_id_and_the_last_has_all_fields() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        record(&audit, 7, "printf 'a\nb'", CommandEvent::Begin).await.unwrap();
        let begin = &world.lines()[0];
        assert_eq!((&begin["event"], &begin["ending"]), (&"begin".into(), &Value::Null));
        record(&audit, 7, "printf 'a\nb'", CommandEvent::End(end("exited 0"))).await.unwrap();
        let lines = world.lines();
        let (begin, end) = (&lines[0], &lines[1]);
        assert_eq!(
            (&end["event"], &end["ending"], &end["duration_ms"]),
            (&"end".into(), &"exited 0".into(), &12.into())
        );
        for line in [begin, end] {
            assert_eq!((&line["command"], &line["host"]), (&"printf 'a\nb'".into(), &"box".into()));
            let who = (&line["tenant"], &line["principal"], &line["plugin"]);
            assert_eq!(who, (&"test".into(), &"local".into(), &"command".into()));
        }
        assert_eq!(begin["id"], end["id"]);
        let other = world.open(AuditMode::Strict);
        record(&other, 7, "x", CommandEvent::Begin).await.unwrap();
        assert_ne!(world.lines()[2]["id"], begin["id"], "of another process");
    }

    #[tokio::test]
    async fn long_texts_are_cut_and_their_length_told() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        let long = "ä".repeat(100_000);
        record(&audit, 1, &long, CommandEvent::Begin).await.unwrap();
        record(&audit, 2, &long, CommandEvent::Unsent(end(&long))).await.unwrap();
        let lines = world.lines();
        let lengths: Vec<_> = lines.iter().map(|line| line["command"].as_str().unwrap().len()).collect();
        assert_eq!((lengths, &lines[1]["command_bytes"]), (vec![65_536, 512], &200_000.into()));
        assert_eq!(lines[1]["ending"].as_str().unwrap().len(), 512);
    }

    #[tokio::test]
    async fn commands_that_are_not_sent_fill_no_disk_and_are_counted() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        for number in 0..5000 {
            record(&audit, number, "rm -rf /", CommandEvent::Unsent(end("refused: no"))).await.unwrap();
        }
        // One that is sent is never left out.
        record(&audit, 5000, "ls", CommandEvent::Begin).await.unwrap();
        drop(audit);
        let lines = world.lines();
        let (told, omitted) = (lines.len() - 2, lines.last().unwrap());
        // The burst, and some that became due meanwhile.
        assert!((100..1000).contains(&told), "{told}");
        assert_eq!((&omitted["event"], &omitted["unwritten"]), (&"omitted".into(), &0.into()));
        assert_eq!(omitted["unsent"], 5000 - told);
        assert!(omitted["since"].is_string() && omitted["time"].is_string());
        assert_eq!(lines.iter().filter(|line| line["event"] == "begin").count(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_told_and_counted_once_it_can() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        record(&audit, 1, "ls", CommandEvent::Begin).await.unwrap();
        std::fs::rename(world.path(), world.dir.path().join("old")).unwrap();
        std::fs::create_dir(world.path()).unwrap();
        let refused = record(&audit, 2, "ls", CommandEvent::Begin).await.unwrap_err();
        assert!(refused.starts_with("the audit log cannot be written"), "{refused}");
        assert!(!refused.contains(world.dir.path().to_str().unwrap()), "{refused}");
        record(&audit, 1, "ls", CommandEvent::End(end("exited 0"))).await.unwrap_err();
        std::fs::remove_dir(world.path()).unwrap();
        record(&audit, 3, "ls", CommandEvent::Begin).await.unwrap();
        let lines = world.lines();
        assert_eq!((&lines[0]["event"], &lines[0]["unwritten"]), (&"omitted".into(), &2.into()));
        assert_eq!((&lines[1]["event"], lines.len()), (&"begin".into(), 2));
    }

    #[tokio::test]
    async fn a_log_that_hangs_holds_a_bounded_sum_and_no_worker() {
        let world = World::new();
        let audit = world.open(AuditMode::Strict);
        let other = std::fs::File::open(world.path()).unwrap();
        other.lock().unwrap();
        let long = "x".repeat(60_000);
        let mut waiting: Vec<_> = (0..250).map(|number| record(&audit, number, &long, CommandEvent::Begin)).collect();
        // Nothing was waited for so far. What is over is refused at once, but for ends.
        let mut refused = 0;
        for number in 250..1000 {
            let mut taken = record(&audit, number, &long, CommandEvent::Begin);
            match futures_util::poll!(&mut taken) {
                std::task::Poll::Ready(why) => {
                    assert!(why.unwrap_err().contains("too much waits"));
                    refused += 1;
                }
                std::task::Poll::Pending => waiting.push(taken),
            }
        }
        assert!(refused > 700, "{refused}");
        waiting.push(record(&audit, 0, "x", CommandEvent::End(end("exited 0"))));
        other.unlock().unwrap();
        for written in waiting {
            // Written, or given up because it took too long: told either way.
            written.await.ok();
        }
    }

    #[tokio::test]
    async fn the_operator_may_choose_that_nothing_depends_on_the_log() {
        let world = World::new();
        std::fs::create_dir(world.path()).unwrap();
        let refusal = Audit::open(&world.path(), AuditMode::Strict).unwrap_err();
        assert!(refusal.contains("audit.jsonl cannot be written") && refusal.contains("`audit_log`"), "{refusal}");
        let audit = world.open(AuditMode::BestEffort);
        record(&audit, 1, "ls", CommandEvent::Begin).await.unwrap();
        record(&audit, 1, "ls", CommandEvent::End(end("exited 0"))).await.unwrap();
        drop(audit);
        std::fs::remove_dir(world.path()).unwrap();
        let audit = world.open(AuditMode::BestEffort);
        record(&audit, 2, "ls", CommandEvent::Begin).await.unwrap();
        // Written all the same, and before the end of Scout.
        drop(audit);
        assert_eq!(world.lines()[0]["event"], "begin");
    }
}
