//! `blobs`: bytes that stay in the host.

use std::sync::Arc;

use bytes::Bytes;
use scout_machine::Capture;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Resource;

use super::wit::blobs;
use crate::budget::HostMemory;
use crate::state::CallState;

/// The most that one `read` copies into a guest, in bytes.
const MAX_READ: usize = 1 << 20;

/// Bytes that a host call produced.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Blob {
    pub(super) data: Bytes,
    truncated: bool,
    total: Option<u64>,
    modified: Option<u32>,
    /// The same for all handles to these bytes.
    pub(super) hold: Arc<HostMemory>,
}

impl Blob {
    pub(super) fn new(capture: Capture, hold: Arc<HostMemory>) -> Self {
        let Capture { data, truncated, total, modified } = capture;
        Self { data, truncated, total, modified, hold }
    }

    /// Whether the source holds more.
    pub(super) fn is_cut(&self) -> bool {
        self.truncated
    }
}

impl blobs::Host for CallState {}

impl blobs::HostBlob for CallState {
    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&blob)?.data.len() as u64)
    }

    fn total(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Option<u64>> {
        self.budget.host_call()?;
        Ok(self.table.get(&blob)?.total)
    }

    fn truncated(&mut self, blob: Resource<Blob>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        Ok(self.table.get(&blob)?.truncated)
    }

    fn is_text(&mut self, blob: Resource<Blob>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        let blob = self.table.get(&blob)?;
        Ok(match std::str::from_utf8(&blob.data) {
            Ok(_) => true,
            // The cap may have split the last character.
            Err(error) => blob.truncated && error.error_len().is_none(),
        })
    }

    fn read(&mut self, blob: Resource<Blob>, offset: u64, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.budget.host_call()?;
        let data = &self.table.get(&blob)?.data;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let end = start.saturating_add((length as usize).min(MAX_READ)).min(data.len());
        let copied = data.get(start..end).unwrap_or_default().to_vec();
        self.budget.copy(copied.len());
        Ok(copied)
    }

    fn digest(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Vec<u8>> {
        self.budget.host_call()?;
        Ok(Sha256::digest(&self.table.get(&blob)?.data).to_vec())
    }

    fn share(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Resource<Blob>> {
        self.budget.host_call()?;
        let blob = self.table.get(&blob)?.clone();
        self.own(blob)
    }

    fn modified(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Option<u64>> {
        self.budget.host_call()?;
        Ok(self.table.get(&blob)?.modified.map(u64::from))
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}
