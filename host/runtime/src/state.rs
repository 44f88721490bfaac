//! What a guest's store holds: the call, its budget, its handles.

use std::sync::Arc;

use scout_ssh::{Call, ErrorKind as SshErrorKind, Lease, Opened, SshError};
use serde_json::{Map, Value};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::budget::Budget;
use crate::policy::{CommandPolicy, check_path};
use crate::{CallContext, Grants, HostRecord, Limits, PluginId};

/// Handles that a guest may hold at once.
const HANDLES: usize = 10_000;
/// What a foreign guest may print, in bytes.
const STDIO_BYTES: usize = 64 * 1024;

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
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl CallState {
    pub(crate) fn new(
        plugin: PluginId,
        grants: Grants,
        settings: Arc<Map<String, Value>>,
        limits: Arc<Limits>,
        context: Option<CallContext>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let budget = Budget::new(&limits);
        Self { plugin, grants, settings, limits, context, budget, table, progressed: None, wasi: None }
    }

    /// Writes what a foreign guest has printed to the log.
    pub(crate) fn log_stdio(&self) {
        let Some(wasi) = &self.wasi else { return };
        for (stream, pipe) in [("stdout", &wasi.stdout), ("stderr", &wasi.stderr)] {
            let bytes = pipe.contents();
            if !bytes.is_empty() {
                let text = String::from_utf8_lossy(&bytes);
                tracing::info!(plugin = self.plugin.as_str(), stream, printed = ?text, "a plugin printed");
            }
        }
    }
}

impl WasiView for CallState {
    /// An empty world: no arguments, variables, files, sockets; clocks and randomness of the host.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            let (stdout, stderr) = (MemoryOutputPipe::new(STDIO_BYTES), MemoryOutputPipe::new(STDIO_BYTES));
            let context = WasiCtx::builder()
                .stdout(stdout.clone())
                .stderr(stderr.clone())
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
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
