//! `blobs`: bytes that stay in the host.

use bytes::Bytes;
use scout_ssh::Capture;
use wasmtime::component::Resource;

use super::wit::blobs;
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
}

impl From<Capture> for Blob {
    fn from(capture: Capture) -> Self {
        Self { data: capture.data, truncated: capture.truncated, total: capture.total }
    }
}

impl blobs::Host for CallState {}

impl blobs::HostBlob for CallState {
    async fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        let size = self.table.get(&blob)?.data.len() as u64;
        self.budget.enter_guest();
        Ok(size)
    }

    async fn total(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Option<u64>> {
        self.budget.host_call()?;
        let total = self.table.get(&blob)?.total;
        self.budget.enter_guest();
        Ok(total)
    }

    async fn truncated(&mut self, blob: Resource<Blob>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        let truncated = self.table.get(&blob)?.truncated;
        self.budget.enter_guest();
        Ok(truncated)
    }

    async fn is_text(&mut self, blob: Resource<Blob>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        let blob = self.table.get(&blob)?;
        let text = match std::str::from_utf8(&blob.data) {
            Ok(_) => true,
            // The cap may have split the last character.
            Err(error) => blob.truncated && error.error_len().is_none(),
        };
        self.budget.enter_guest();
        Ok(text)
    }

    async fn read(&mut self, blob: Resource<Blob>, offset: u64, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.budget.host_call()?;
        let data = &self.table.get(&blob)?.data;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let end = start.saturating_add((length as usize).min(MAX_READ)).min(data.len());
        let part = data.get(start..end).unwrap_or_default().to_vec();
        self.budget.enter_guest();
        Ok(part)
    }

    async fn share(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Resource<Blob>> {
        self.budget.host_call()?;
        let blob = self.table.get(&blob)?.clone();
        let shared = self.table.push(blob)?;
        self.budget.enter_guest();
        Ok(shared)
    }

    async fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}
