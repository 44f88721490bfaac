//! The one way to a host. What a guest asks passes these steps in this order, a file each:
//!
//! 1. [`decide`]: whether the call may; a command becomes the script that is sent, so that what was judged is what runs.
//! 2. [`approve`]: whether somebody has to be asked first.
//! 3. [`budget`]: whether the call has that much left, and how much a host may send.
//! 4. [`observe`]: what others are told: progress, the audit trail, the tape. Around all that follows.
//! 5. [`machine`]: the host does it, where it may lie.
//! 6. [`secrets`]: what was truly found is held against the list of secret paths.
//! 7. [`cap`]: what an answer holds of it; of a failure [`hide`] takes what tells where the host is, if the call may not see that.
//!
//! A new operation is a variant of [`HostRequest`]: the compiler names every step that has to answer for it. Who has the rights of nobody's
//! guest (the look at a path before a plugin is chosen) enters behind the budget, which is a guest's.

mod approve;
mod budget;
mod cap;
mod decide;
pub(crate) mod hide;
mod machine;
mod observe;
mod privileged;
mod secrets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_machine::transfer::Done;
use scout_machine::{
    Attributes, Call, Capture, Errand, ErrorKind, ExecOutcome, Handshake, HostError, Opened, Operation, Probe,
    RemotePath,
};

use self::decide::Decided;
use self::observe::Record;
pub(crate) use self::observe::told;
use self::privileged::AsRoot;
use crate::budget::Budget;
use crate::grants::{self, Action, CallRights, Permit};
use crate::policy::{Pipeline, Refusal};
use crate::state::shown;
use crate::{CallContext, HostRecord, PluginId};

/// What is asked of a host.
#[derive(Debug)]
pub(crate) enum HostRequest {
    /// Looks at a path. Of a file so many bytes are asked for, within the limits of the call.
    Open { path: RemotePath, most: usize },
    /// Reads bytes of a file.
    Read { path: RemotePath, offset: u64, length: u64 },
    /// Asks for a path's attributes.
    Stat { path: RemotePath },
    /// Runs a command, word by word.
    Run(Pipeline),
    /// Runs what a shell reads, in this directory.
    Script { directory: Option<RemotePath>, script: String },
    /// Asks whether it answers; `anew`: though it was asked a moment ago.
    Probe { timeout: Duration, anew: bool },
    /// Asks what its connection was agreed on.
    Handshake,
    /// Does its part of a transfer.
    Transfer(Box<Part>),
}

/// A part of a transfer, on one of its two machines.
#[derive(Debug)]
pub(crate) struct Part {
    /// The path as it was asked for: what rights are judged by.
    pub(crate) asked: RemotePath,
    /// Which side it is.
    pub(crate) side: Side,
    /// What is to be done.
    pub(crate) task: Task,
}

/// A side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is copied.
    Source,
    /// Where it is written.
    Target,
}

/// What is done on one side.
#[derive(Debug)]
pub(crate) enum Task {
    /// Lists a directory that was found to lie there.
    List { truly: RemotePath },
    /// What a machine does for it.
    Do(Errand),
}

impl Part {
    /// Where it truly lies, if that was asked before.
    fn truly(&self) -> Option<&RemotePath> {
        match &self.task {
            Task::List { truly } => Some(truly),
            Task::Do(Errand::Locate { .. }) => None,
            Task::Do(errand) => Some(errand.path()),
        }
    }
}

impl HostRequest {
    /// The path that is looked at, and how.
    fn look(&self) -> Option<(&'static str, &RemotePath)> {
        match self {
            Self::Open { path, .. } => Some(("open", path)),
            Self::Read { path, .. } => Some(("read", path)),
            Self::Stat { path } => Some(("stat", path)),
            Self::Transfer(part) => Some((
                match &part.task {
                    Task::List { .. } => "list",
                    Task::Do(errand) => errand.name(),
                },
                &part.asked,
            )),
            Self::Run(_) | Self::Script { .. } | Self::Probe { .. } | Self::Handshake => None,
        }
    }
}

/// What was found out.
#[derive(Debug)]
pub(crate) enum Found {
    /// By [`HostRequest::Open`].
    Opened(Opened),
    /// By [`HostRequest::Read`].
    Content(Capture),
    /// By [`HostRequest::Stat`].
    Attributes(Attributes),
    /// By [`HostRequest::Run`] and [`HostRequest::Script`].
    Ran(ExecOutcome),
    /// By [`HostRequest::Probe`].
    Probed(Probe),
    /// By [`HostRequest::Handshake`].
    Shaken(Arc<Handshake>),
    /// By [`Task::Do`].
    Done(Done),
}

/// A host that a call may name, with what is needed to reach it: everything a task needs that outlives the import.
pub(crate) struct HostAccess {
    pub(crate) host: HostRecord,
    context: CallContext,
}

impl HostAccess {
    /// The host with this name, if a call with these rights may name it. One that it may not is answered as one that
    /// there is not.
    pub(crate) fn new(context: &CallContext, host: &str, rights: &CallRights) -> Result<Self, HostError> {
        let access = context.fleet.access();
        let granted = context.fleet.get(host).filter(|record| match rights.names(record.target(access)) {
            Ok(_) => true,
            Err(denial) => {
                tracing::info!(host = &*record.name, why = %denial.refusal, "a call named a host that it may not use");
                false
            }
        });
        let record = granted.ok_or_else(|| {
            HostError::new(ErrorKind::NotFound, format!("no host that may be used here is named `{}`", shown(host)))
                .with_hint("the target `hosts` lists all hosts; `scout policy explain` tells what a plugin may use")
        })?;
        if let Some(tape) = &context.tape {
            tape.named(host);
        }
        Ok(Self { host: record, context: context.clone() })
    }

    /// The machine that Scout runs on, as transfers see it.
    ///
    /// # Errors
    /// That nothing of it is open to them.
    pub(crate) fn exchange(context: &CallContext) -> Result<Self, HostError> {
        let host = context.fleet.exchange().cloned().ok_or_else(|| {
            let why = "no directory of the machine that Scout runs on is open to transfers";
            HostError::new(ErrorKind::Outside, why)
                .with_hint("the operator opens one with `directories` below [transfers] in scout.toml")
        })?;
        if let Some(tape) = &context.tape {
            tape.named(&host.name);
        }
        Ok(Self { host, context: context.clone() })
    }

    /// Whether a call with these rights may keep something of the host.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn keeps(&self, rights: &CallRights) -> Result<(), Refusal> {
        let target = self.host.target(self.context.fleet.access());
        grants::decide(rights, target, Action::Keep).map(|_| ()).map_err(|denial| denial.refusal)
    }

    pub(crate) fn context(&self) -> &CallContext {
        &self.context
    }

    pub(crate) fn call(&self) -> &Call {
        &self.context.call
    }

    /// The same for an operation that ends before its call does, if a moment is given.
    pub(crate) fn until(mut self, until: Option<tokio::time::Instant>) -> Self {
        if let Some(until) = until {
            self.context.call.deadline = self.context.call.deadline.min(until);
        }
        self
    }

    /// Steps 1 and 2.
    async fn judge(&self, rights: &CallRights, request: &HostRequest) -> Result<Decided, Refusal> {
        let decided = decide::decide(self, rights, request)?;
        approve::approve(self, request, &decided.permit).await?;
        Ok(decided)
    }

    fn admitted(self, plugin: &str, request: &HostRequest, decided: Decided, entered: Instant) -> Admitted {
        let Decided { permit, script, only_reads, as_root } = decided;
        let as_root = as_root.then(|| AsRoot::of(request, &self));
        let record = Record::of(&self, plugin, request, script.as_deref(), entered);
        let operation = cap::operation(request, (script, only_reads), &self);
        Admitted { access: self, operation, permit, record, as_root }
    }

    /// Steps 1 and 2 for somebody who is no guest, in the name of this plugin.
    ///
    /// # Errors
    /// Why it may not, which is not recorded: another may, perhaps.
    pub(crate) async fn admit(
        self,
        plugin: &str,
        rights: &CallRights,
        request: HostRequest,
    ) -> Result<Admitted, Refusal> {
        let entered = Instant::now();
        let decided = self.judge(rights, &request).await?;
        Ok(self.admitted(plugin, &request, decided, entered))
    }

    /// Records that this was refused, in the name of this plugin.
    pub(crate) async fn record_refusal(&self, plugin: &str, request: &HostRequest, refusal: &Refusal) {
        if let Some(record) = Record::of(self, plugin, request, None, Instant::now()) {
            record.refused(self, request, refusal).await;
        }
    }

    /// Steps 1 and 2 for a part of what a guest of this plugin has asked for as a whole.
    ///
    /// # Errors
    /// Why it may not, which is recorded.
    pub(crate) async fn admit_part(
        self,
        plugin: &PluginId,
        rights: &CallRights,
        part: Part,
    ) -> Result<Admitted, Refusal> {
        let (entered, request) = (Instant::now(), HostRequest::Transfer(Box::new(part)));
        match self.judge(rights, &request).await {
            Ok(decided) => Ok(self.admitted(plugin.as_str(), &request, decided, entered)),
            Err(refusal) => {
                self.record_refusal(plugin.as_str(), &request, &refusal).await;
                Err(refusal)
            }
        }
    }

    /// Steps 1 to 3 for a guest of this plugin.
    ///
    /// # Errors
    /// Why it may not, and that its budget is used up.
    pub(crate) async fn admit_guest(
        self,
        plugin: &PluginId,
        rights: &CallRights,
        budget: &mut Budget,
        request: HostRequest,
    ) -> Result<Admitted, Stop> {
        let entered = Instant::now();
        let judged = self.judge(rights, &request).await;
        // Also for what is refused: each is a line of the audit trail.
        budget::take(budget, &self, &request).map_err(Stop::Spent)?;
        match judged {
            Ok(decided) => Ok(self.admitted(plugin.as_str(), &request, decided, entered)),
            Err(refused) => {
                if let Some(record) = Record::of(&self, plugin.as_str(), &request, None, entered) {
                    budget.away(record.refused(&self, &request, &refused)).await;
                }
                Err(Stop::Refused(refused))
            }
        }
    }
}

/// Why an operation went no further than step 3.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It may not.
    Refused(Refusal),
    /// What the call has used up, for whoever wrote the guest.
    Spent(String),
}

/// An operation that may be done.
pub(crate) struct Admitted {
    access: HostAccess,
    operation: Operation,
    permit: Permit,
    /// Its part of the audit trail, if it has one.
    record: Option<Record>,
    /// What of it runs as root, if anything does: the rows that let it.
    as_root: Option<AsRoot>,
}

impl Admitted {
    /// What it was allowed by.
    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The host.
    pub(crate) fn access(&self) -> &HostAccess {
        &self.access
    }

    /// Steps 4 to 7.
    ///
    /// # Errors
    /// Those of [`Machine::perform`](scout_machine::Machine::perform); Outside for what truly lies where it may not.
    /// # Cancel safety
    /// A command is ended on its host, and its end recorded.
    pub(crate) async fn go(self) -> Result<Found, HostError> {
        let Self { access, operation, permit, mut record, as_root } = self;
        let live = async {
            let outcome = machine::perform(&access, &operation, &permit, observe::begin(&mut record, &access)).await?;
            secrets::hold(&access, &operation, &permit, outcome)
        };
        let found = observe::watch(&access, &operation, live).await;
        observe::end(record, &access, &operation, &found).await;
        let found = match as_root {
            Some(as_root) => Box::pin(privileged::told(&access, as_root, permit.hides_address, found)).await,
            None => found,
        };
        let found = found.map(cap::cut);
        if permit.hides_address { hide::address(&access.host.name, found) } else { found }
    }
}

/// An answer to another question.
pub(crate) fn amiss() -> HostError {
    HostError::new(ErrorKind::Remote, "the machine answered something that it was not asked")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::Principal;
    use scout_ssh::{Pool, PoolConfig};

    use super::*;
    use crate::policy::{CommandPolicy, Stage, StderrTo, Word};
    use crate::{Fleet, Grants, Location};

    /// Forty kilobytes once: a list of a thousand hosts copied two hundred megabytes.
    #[tokio::test]
    async fn what_asks_a_host_is_small() {
        let location = Location { address: String::new(), port: 22, user: String::new() };
        let hosts = vec![HostRecord::recorded("box", Ok(location), CommandPolicy::Shell)];
        let fleet = Arc::new(Fleet::new(hosts, Pool::new(PoolConfig::default())));
        let call = Call::until(tokio::time::Instant::now());
        let context = CallContext::new(Principal::new("test", "me"), fleet, Arc::default(), call);
        let path = RemotePath::parse("/etc/hosts").unwrap();
        let stage = Stage { words: vec![Word::Literal("uname".to_owned())], stderr: StderrTo::Capture };
        for request in [
            HostRequest::Open { path: path.clone(), most: usize::MAX },
            HostRequest::Read { path: path.clone(), offset: 0, length: 0 },
            HostRequest::Stat { path },
            HostRequest::Run(Pipeline { stages: vec![stage], directory: None }),
            HostRequest::Script { directory: None, script: "uname".to_owned() },
            HostRequest::Probe { timeout: Duration::ZERO, anew: false },
            HostRequest::Handshake,
        ] {
            let rights = CallRights::unlimited(Grants::ALL);
            let what = format!("{request:?}");
            let admitted =
                HostAccess::new(&context, "box", &rights).unwrap().admit("file", &rights, request).await.unwrap();
            let bytes = size_of_val(&admitted.go());
            assert!(bytes <= 8 << 10, "{what}: {bytes}");
        }
    }
}
