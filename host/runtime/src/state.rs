//! What a guest's store holds: the call, its budget, its handles.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{
    Attributes, Call, Capture, ErrorKind as SshErrorKind, ExecOutcome, ExecRequest, HostError, Machine as _, Opened,
    Operation, Outcome, Probe, TruePath,
};
use serde_json::{Map, Value};
use tokio::time::sleep_until;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::budget::Budget;
use crate::cassette::{self, OnTape, Request};
use crate::grants::{self, CallRights, Denial, Permit};
use crate::machines::AnyMachine;
use crate::policy::{LEAD, Refusal};
use crate::shares::Room;
use crate::stdio::Printed;
use crate::turns::Turns;
use crate::{CallContext, HostRecord, Limits, PluginId};

/// Handles that a guest may hold at once.
pub(crate) const HANDLES: usize = 4096;
/// Random bytes that a foreign guest may ask for at once.
const RANDOM_BYTES: u64 = 1 << 20;

/// One call's state.
pub(crate) struct CallState {
    pub(crate) plugin: PluginId,
    pub(crate) rights: Arc<CallRights>,
    pub(crate) settings: Arc<Map<String, Value>>,
    pub(crate) limits: Arc<Limits>,
    /// Absent while a plugin describes itself: there is no host then.
    pub(crate) context: Option<CallContext>,
    pub(crate) budget: Budget,
    pub(crate) table: ResourceTable,
    /// The last error that the guest has logged.
    pub(crate) complaint: Option<String>,
    wasi: Option<Wasi>,
}

struct Wasi {
    context: WasiCtx,
    stdout: Printed,
    stderr: Printed,
}

impl CallState {
    pub(crate) fn new(
        plugin: PluginId,
        rights: CallRights,
        settings: Arc<Map<String, Value>>,
        limits: Arc<Limits>,
        context: Option<CallContext>,
        turns: Turns,
        room: Room,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let budget = Budget::new(&limits, turns, room);
        let rights = Arc::new(rights);
        Self { plugin, rights, settings, limits, context, budget, table, complaint: None, wasi: None }
    }

    /// What a guest that crashed said last: the end of its standard error, or else of what it logged. Nothing, if it said
    /// nothing. Its own text.
    pub(crate) fn last_words(&self) -> Option<String> {
        /// The most of it that is told, in bytes: a traceback of a few frames, whose last line says what it was.
        const MOST: usize = 1500;
        let printed = self.wasi.as_ref().map(|wasi| wasi.stderr.kept()).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        let said = match printed.trim() {
            "" => self.complaint.as_deref()?.trim(),
            printed => printed,
        };
        // What Rust adds is for who can set variables.
        let lines = said.lines().map(str::trim_end).filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE"));
        let said = lines.collect::<Vec<_>>().join("\n");
        let from = said.ceil_char_boundary(said.len().saturating_sub(MOST));
        let cut = if from > 0 { "…" } else { "" };
        said.get(from..).filter(|said| !said.is_empty()).map(|said| format!("{cut}{said}"))
    }

    /// Writes what a foreign guest has printed to the log.
    pub(crate) fn log_stdio(&self) {
        let Some(wasi) = &self.wasi else { return };
        for (stream, pipe) in [("stdout", &wasi.stdout), ("stderr", &wasi.stderr)] {
            let bytes = pipe.kept();
            if !bytes.is_empty() {
                let text = String::from_utf8_lossy(&bytes);
                tracing::info!(plugin = self.plugin.as_str(), stream, printed = ?text, "a plugin printed");
            }
        }
    }
}

impl WasiView for CallState {
    /// An empty world: no arguments, variables, files, sockets; clocks and randomness of the host, or of the cassette.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            let (stdout, stderr) = (Printed::default(), Printed::default());
            let mut builder = WasiCtx::builder();
            builder
                .stdout(stdout.clone())
                .stderr(stderr.clone())
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .max_random_size(RANDOM_BYTES);
            if let Some(tape) = self.context.as_ref().and_then(|context| context.tape.as_ref()) {
                tape.surroundings().furnish(&mut builder);
            }
            Wasi { context: builder.build(), stdout, stderr }
        });
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

/// A host that a call may use, with what is needed to reach it: everything a task needs that outlives the import.
pub(crate) struct Reach {
    context: CallContext,
    pub(crate) host: HostRecord,
    /// What the operation that is under way was allowed by.
    permit: Permit,
}

impl Reach {
    /// The host with this name, if a call with these rights may name it. One that it may not is answered as one that
    /// there is not.
    pub(crate) fn new(context: &CallContext, host: &str, rights: &CallRights) -> Result<Self, HostError> {
        let access = context.fleet.access();
        let granted = context.fleet.get(host).filter(|record| match rights.names(record.target(access)) {
            Ok(_) => true,
            Err(denial) => {
                tracing::info!(host = record.name, why = %denial.refusal, "a call named a host that it may not use");
                false
            }
        });
        let record = granted.ok_or_else(|| {
            HostError::new(SshErrorKind::NotFound, format!("no host that may be used here is named `{}`", shown(host)))
                .with_hint("the target `hosts` lists all hosts; `scout policy explain` tells what a plugin may use")
        })?;
        if let Some(tape) = &context.tape {
            tape.named(host);
        }
        Ok(Self { host: record, context: context.clone(), permit: Permit::default() })
    }

    /// Judges an operation on this host.
    pub(crate) fn decide(&self, rights: &CallRights, operation: grants::Operation<'_>) -> Result<Permit, Denial> {
        grants::decide(rights, self.host.target(self.context.fleet.access()), operation)
    }

    /// Judges a look at a path, and holds the host to it.
    pub(crate) fn confine(&mut self, rights: &CallRights, path: &[u8]) -> Result<(), Denial> {
        self.permit = self.decide(rights, grants::Operation::Read(path))?;
        Ok(())
    }

    /// What the operation that is under way was allowed by.
    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(crate) fn call(&self) -> &Call {
        &self.context.call
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.context.limits
    }

    pub(crate) fn context(&self) -> &CallContext {
        &self.context
    }

    /// The machine, once its settings are looked up, as long as the call waits for them.
    pub(crate) async fn machine(&self) -> Result<AnyMachine, HostError> {
        let (name, call) = (&self.host.name, self.call());
        tokio::select! {
            biased;
            machine = self.context.fleet.machine(&self.host, &self.context.principal) => machine,
            () = call.cancel.cancelled() => {
                Err(HostError::new(SshErrorKind::Cancelled, format!("{name}: the request was cancelled")))
            }
            () = sleep_until(call.deadline) => {
                let message = format!("{name}: its settings were not looked up in the time that the call had left");
                Err(HostError::new(SshErrorKind::Timeout, message).with_hint("a command of `Match exec` may hang"))
            }
        }
    }

    /// Asks the machine, where the last operation that was judged lets it be asked, once `ready` says so.
    async fn perform(
        &self,
        operation: &Operation,
        ready: impl Future<Output = Result<(), HostError>> + Send,
    ) -> Result<Outcome, HostError> {
        let outcome = self.machine().await?.perform(operation, &self.permit.within, self.call(), ready).await;
        // What is granted instead, if it was the confinement that refused.
        outcome.map_err(|error| match error.kind() {
            SshErrorKind::Outside => error.with_hint(self.permit.granted_paths()),
            _ => error,
        })
    }

    /// Looks at a path.
    pub(crate) async fn open(&self, path: &[u8]) -> Result<Opened, HostError> {
        let live = async {
            let Limits { file_bytes: cap, dir_entries: max_entries, .. } = *self.limits();
            let asked = Operation::Open { path: path.into(), cap, max_entries };
            let Outcome::Open(opened, place) = self.perform(&asked, ready(Ok(()))).await? else { return Err(amiss()) };
            if let Opened::File { content, .. } = &opened {
                self.keep_keys(path, &place, content)?;
            }
            self.keep_secrets(path, &place)?;
            Ok(opened)
        };
        self.taped(|| Request::Open(path.into()), live).await
    }

    /// Bytes of a regular file.
    pub(crate) async fn read(&self, path: &[u8], offset: u64, length: usize) -> Result<Capture, HostError> {
        let live = async {
            // With what is before it: a key that begins there would not be seen in its second half.
            let lead = offset.min(LEAD);
            let (from, most) = (offset - lead, length.saturating_add(lead as usize));
            let asked = Operation::Read { path: path.into(), offset: from, length: most };
            let Outcome::Read(content, place) = self.perform(&asked, ready(Ok(()))).await? else { return Err(amiss()) };
            self.keep_keys(path, &place, &content)?;
            self.keep_secrets(path, &place)?;
            let data = content.data.slice(content.data.len().min(lead as usize)..);
            Ok(Capture { data, ..content })
        };
        self.taped(|| Request::Read { path: path.into(), offset, length: length as u64 }, live).await
    }

    /// A path's attributes.
    pub(crate) async fn stat(&self, path: &[u8]) -> Result<Attributes, HostError> {
        let live = async {
            let asked = Operation::Stat { path: path.into() };
            let Outcome::Stat(found, place) = self.perform(&asked, ready(Ok(()))).await? else { return Err(amiss()) };
            self.keep_secrets(path, &place)?;
            Ok(found)
        };
        self.taped(|| Request::Stat(path.into()), live).await
    }

    /// Holds the secret paths against where a path has truly led. Its text was held before, and proves nothing.
    fn keep_secrets(&self, path: &[u8], place: &TruePath) -> Result<(), HostError> {
        if !self.permit.keeps_secrets {
            return Ok(());
        }
        self.context.fleet.access().secrets.check_true_path(path, &place.path).map_err(refused)
    }

    /// Holds what a file holds against what no file is answered with, whatever its name.
    fn keep_keys(&self, path: &[u8], place: &TruePath, content: &Capture) -> Result<(), HostError> {
        if !self.permit.keeps_secrets {
            return Ok(());
        }
        self.context.fleet.access().secrets.check_content(path, &place.path, &content.data).map_err(refused)
    }

    /// Runs a command once `recorded`, which is asked when the host has been reached, says that it may be sent.
    pub(crate) async fn exec(
        &self,
        request: &Arc<ExecRequest>,
        recorded: impl Future<Output = Result<(), HostError>> + Send,
    ) -> Result<ExecOutcome, HostError> {
        let live = async {
            let asked = Operation::Exec(Arc::clone(request));
            let Outcome::Exec(outcome) = self.perform(&asked, recorded).await? else { return Err(amiss()) };
            Ok(outcome)
        };
        self.taped(|| Request::Exec(request.script.as_slice().into()), live).await
    }

    /// Whether it can be reached.
    pub(crate) async fn probe(&self, timeout: Duration) -> Probe {
        let live = async {
            match self.perform(&Operation::Probe { timeout }, ready(Ok(()))).await {
                Ok(Outcome::Probe(probe)) => probe,
                Ok(_) => Probe { connected: false, latency: Err(amiss()), refused: None },
                Err(error) => Probe { connected: false, latency: Err(error), refused: None },
            }
        };
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.taped(|| Request::Probe { timeout_ms }, live).await
    }

    /// Every operation on a host passes here: what does not cannot be recorded, and its client hears nothing of the wait.
    async fn taped<T: OnTape>(&self, request: impl FnOnce() -> Request, live: impl Future<Output = T>) -> T {
        // Every hand that a future passes through makes a copy of it, or two.
        let live = self.context.while_waiting(&self.host.name, Box::pin(live));
        cassette::pass(self.context.tape.as_ref(), &self.host.name, self.call(), request, live).await
    }
}

/// An answer to another question.
fn amiss() -> HostError {
    HostError::new(SshErrorKind::Remote, "the machine has answered what it was not asked")
}

fn refused(refusal: Refusal) -> HostError {
    HostError::new(SshErrorKind::Outside, refusal.to_string()).with_hint(refusal.instead.unwrap_or_default())
}

/// A name from a guest as messages show it.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::{CommandLimits, Principal};
    use scout_ssh::{Pool, PoolConfig};
    use tokio::time::Instant;

    use super::*;
    use crate::policy::CommandPolicy;
    use crate::{Fleet, Grants, Location};

    /// Forty kilobytes once: a list of a thousand hosts copied two hundred megabytes.
    #[tokio::test]
    async fn what_asks_a_host_is_small() {
        let location = Location { address: String::new(), port: 22, user: String::new() };
        let hosts = vec![HostRecord::recorded("box", Ok(location), CommandPolicy::default())];
        let fleet = Arc::new(Fleet::new(hosts, Pool::new(PoolConfig::default())));
        let context = CallContext::new(Principal::new("me"), fleet, Arc::default(), Call::until(Instant::now()));
        let reach = Reach::new(&context, "box", &CallRights::unlimited(Grants::ALL)).unwrap();
        let request = Arc::new(ExecRequest {
            script: Vec::new(),
            stdout_cap: 0,
            stderr_cap: 0,
            timeout: Duration::ZERO,
            limits: CommandLimits::NONE,
        });
        for (what, bytes) in [
            ("open", size_of_val(&reach.open(b"/"))),
            ("read", size_of_val(&reach.read(b"/", 0, 0))),
            ("stat", size_of_val(&reach.stat(b"/"))),
            ("exec", size_of_val(&reach.exec(&request, ready(Ok(()))))),
            ("probe", size_of_val(&reach.probe(Duration::ZERO))),
        ] {
            assert!(bytes <= 8 << 10, "{what}: {bytes}");
        }
    }
}
