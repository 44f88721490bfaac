//! `entries`: what was found at a path.

use std::sync::Arc;

use scout_machine::{Attributes, DirEntry, Opened};
use wasmtime::component::Resource;

use super::blobs::Blob;
use super::types;
use super::wit::entries;
use super::wit::types::{self as wit_types, Error};
use crate::budget::HostMemory;
use crate::state::CallState;

/// What was found at a path.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Entry {
    attributes: Attributes,
    content: Option<Blob>,
    entries: Vec<DirEntry>,
    truncated: bool,
    _hold: Arc<HostMemory>,
}

impl Entry {
    fn new(opened: Opened, hold: Arc<HostMemory>) -> Self {
        let entry = |attributes| Self {
            attributes,
            content: None,
            entries: Vec::new(),
            truncated: false,
            _hold: Arc::clone(&hold),
        };
        match opened {
            Opened::File { attributes, content } => {
                Self { content: Some(Blob::new(content, Arc::clone(&hold))), ..entry(attributes) }
            }
            Opened::Directory { attributes, entries, truncated } => Self { entries, truncated, ..entry(attributes) },
            Opened::Other { attributes } => entry(attributes),
        }
    }
}

/// What it takes in the host, in bytes.
pub(super) fn weight(opened: &Opened) -> usize {
    match opened {
        Opened::File { content, .. } => content.data.len(),
        Opened::Directory { entries, .. } => entries.iter().map(|entry| size_of::<DirEntry>() + entry.name.len()).sum(),
        Opened::Other { .. } => 0,
    }
}

impl CallState {
    /// What was found, for a guest.
    pub(super) fn entry(&mut self, opened: Opened) -> Result<Resource<Entry>, Error> {
        let hold = self.hold(weight(&opened))?;
        self.push(Entry::new(opened, hold))
    }
}

impl entries::Host for CallState {}

impl entries::HostEntry for CallState {
    fn attributes(&mut self, entry: Resource<Entry>) -> wasmtime::Result<wit_types::Attributes> {
        self.budget.host_call()?;
        Ok(types::attributes(&self.table.get(&entry)?.attributes))
    }

    fn content(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Option<Resource<Blob>>> {
        self.budget.host_call()?;
        let content = self.table.get(&entry)?.content.clone();
        content.map(|blob| self.own(blob)).transpose()
    }

    fn entries(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Vec<wit_types::DirEntry>> {
        self.budget.host_call()?;
        let entries = self.table.get(&entry)?.entries.iter();
        let entries = entries.map(|entry| wit_types::DirEntry {
            name: entry.name.clone(),
            attributes: types::attributes(&entry.attributes),
        });
        Ok(entries.collect())
    }

    fn truncated(&mut self, entry: Resource<Entry>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        Ok(self.table.get(&entry)?.truncated)
    }

    fn drop(&mut self, entry: Resource<Entry>) -> wasmtime::Result<()> {
        self.table.delete(entry)?;
        Ok(())
    }
}
