//! What a guest's store holds: the call, its budget, its handles.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use scout_ssh::{Call, ErrorKind as SshErrorKind, Lease, Opened, SshError};
use serde_json::{Map, Value};
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::budget::Budget;
use crate::policy::{CommandPolicy, check_path};
use crate::shares::Room;
use crate::turns::Turns;
use crate::{CallContext, Grants, HostRecord, Limits, PluginId};

/// Handles that a guest may hold at once.
pub(crate) const HANDLES: usize = 4096;
/// What is kept of each stream that a foreign guest prints to, in bytes.
const STDIO_BYTES: usize = 64 * 1024;
/// Random bytes that a foreign guest may ask for at once.
const RANDOM_BYTES: u64 = 1 << 20;

/// One call's state.
pub(crate) struct CallState {
    pub(crate) plugin: PluginId,
    pub(crate) grants: Grants,
    pub(crate) settings: Arc<Map<String, Value>>,
    pub(crate) limits: Arc<Limits>,
    /// Absent while a plugin describes itself: there is no host then.
    pub(crate) context: Option<CallContext>,
    pub(crate) budget: Budget,
    pub(crate) table: ResourceTable,
    /// When progress was last passed on.
    pub(crate) progressed: Option<std::time::Instant>,
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
        grants: Grants,
        settings: Arc<Map<String, Value>>,
        limits: Arc<Limits>,
        context: Option<CallContext>,
        turns: Turns,
        room: Room,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let budget = Budget::new(&limits, turns, room);
        Self { plugin, grants, settings, limits, context, budget, table, progressed: None, wasi: None }
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

/// What a guest printed to one stream: its first bytes. The rest is dropped as if it were printed, for a guest that only
/// talks much is no reason to end it.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn kept(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = STDIO_BYTES.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl WasiView for CallState {
    /// An empty world: no arguments, variables, files, sockets; clocks and randomness of the host.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            let (stdout, stderr) = (Printed::default(), Printed::default());
            let context = WasiCtx::builder()
                .stdout(stdout.clone())
                .stderr(stderr.clone())
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .max_random_size(RANDOM_BYTES)
                .build();
            Wasi { context, stdout, stderr }
        });
        WasiCtxView { ctx: &mut wasi.context, table: &mut self.table }
    }
}

/// A host that a call may use, with what is needed to reach it: everything a task needs that outlives the import.
pub(crate) struct Reach {
    context: CallContext,
    pub(crate) host: HostRecord,
}

impl Reach {
    /// The host with this name.
    pub(crate) fn new(context: &CallContext, host: &str) -> Result<Self, SshError> {
        let record = context.fleet.get(host).ok_or_else(|| {
            SshError::new(SshErrorKind::Invalid, format!("no host is named `{}`", shown(host)))
                .with_hint("the target `hosts` lists all hosts")
        })?;
        Ok(Self { host: record.clone(), context: context.clone() })
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

    pub(crate) async fn lease(&self) -> Result<Lease, SshError> {
        let spec = self.host.spec.as_ref().map_err(Clone::clone)?;
        self.context.fleet.pool().lease(&self.context.principal, spec, &self.context.call).await
    }

    /// Looks at a path.
    pub(crate) async fn open(&self, path: &[u8]) -> Result<Opened, SshError> {
        let limits = self.limits();
        self.lease().await?.open(path, limits.file_bytes, limits.dir_entries, self.call()).await
    }

    /// Whether this path may be read at all.
    pub(crate) fn check_path(&self, path: &[u8]) -> Result<(), crate::policy::Refusal> {
        // Who may run anything may read anything.
        if self.host.commands == CommandPolicy::Shell { Ok(()) } else { check_path(path) }
    }
}

/// A name from a guest as messages show it.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
