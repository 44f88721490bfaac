//! What a guest's store holds: the call, its budget, its handles.

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::budget::Budget;
use crate::cpu_slices::CpuSlices;
use crate::cursor::{Asked, Seal};
use crate::grants::CallRights;
use crate::shares::MemoryReservation;
use crate::stdio::Printed;
use crate::{CallContext, Limits, PluginId};

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
    /// Bytes of text in all answers that the guest is writing.
    pub(crate) drafted: usize,
    /// What is asked of the guest, and what seals its cursors once it needs one.
    pub(crate) asked: Option<Asked>,
    pub(crate) seal: Option<Seal>,
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
        slices: CpuSlices,
        room: MemoryReservation,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let budget = Budget::new(&limits, slices, room);
        let rights = Arc::new(rights);
        Self {
            plugin,
            rights,
            settings,
            limits,
            context,
            budget,
            table,
            drafted: 0,
            asked: None,
            seal: None,
            complaint: None,
            wasi: None,
        }
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

/// A name from a guest as messages show it.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
