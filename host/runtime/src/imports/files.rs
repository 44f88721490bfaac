//! `files`: remote files and directories.

use std::sync::Arc;

use scout_machine::{Attributes, DirEntry, Opened, RemotePath};
use wasmtime::component::Resource;

use super::blobs::Blob;
use super::types;
use super::wit::files;
use super::wit::types::{self as wit_types, Error};
use crate::budget::Hold;
use crate::state::CallState;
use crate::steps::{Asked, Found};

/// What was found at a path.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Entry {
    attributes: Attributes,
    content: Option<Blob>,
    entries: Vec<DirEntry>,
    truncated: bool,
    _hold: Arc<Hold>,
}

impl Entry {
    fn new(opened: Opened, hold: Arc<Hold>) -> Self {
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
fn weight(opened: &Opened) -> usize {
    match opened {
        Opened::File { content, .. } => content.data.len(),
        Opened::Directory { entries, .. } => entries.iter().map(|entry| size_of::<DirEntry>() + entry.name.len()).sum(),
        Opened::Other { .. } => 0,
    }
}

impl files::Host for CallState {
    async fn open(&mut self, host: String, path: Vec<u8>) -> wasmtime::Result<Result<Resource<Entry>, Error>> {
        self.budget.host_call()?;
        let opened = self.open_path(&host, path).await;
        Ok(match opened {
            Ok(opened) => {
                let hold = self.hold(weight(&opened));
                hold.and_then(|hold| self.push(Entry::new(opened, hold)))
            }
            Err(error) => Err(error),
        })
    }

    async fn read(
        &mut self,
        host: String,
        path: Vec<u8>,
        offset: u64,
        length: u64,
    ) -> wasmtime::Result<Result<Resource<Blob>, Error>> {
        self.budget.host_call()?;
        Ok(match self.look(&host, path, |path| Asked::Read { path, offset, length }).await {
            Ok(Found::Content(content)) => self.blob(content),
            Ok(_) => Err(types::amiss()),
            Err(error) => Err(error),
        })
    }

    async fn stat(&mut self, host: String, path: Vec<u8>) -> wasmtime::Result<Result<wit_types::Attributes, Error>> {
        self.budget.host_call()?;
        Ok(match self.look(&host, path, |path| Asked::Stat { path }).await {
            Ok(Found::Attributes(found)) => Ok(types::attributes(&found)),
            Ok(_) => Err(types::amiss()),
            Err(error) => Err(error),
        })
    }
}

impl files::HostEntry for CallState {
    async fn attributes(&mut self, entry: Resource<Entry>) -> wasmtime::Result<wit_types::Attributes> {
        self.budget.host_call()?;
        Ok(types::attributes(&self.table.get(&entry)?.attributes))
    }

    async fn content(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Option<Resource<Blob>>> {
        self.budget.host_call()?;
        let content = self.table.get(&entry)?.content.clone();
        content.map(|blob| self.own(blob)).transpose()
    }

    async fn entries(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Vec<wit_types::DirEntry>> {
        self.budget.host_call()?;
        let entries = self.table.get(&entry)?.entries.iter();
        let entries = entries.map(|entry| wit_types::DirEntry {
            name: entry.name.clone(),
            attributes: types::attributes(&entry.attributes),
        });
        Ok(entries.collect())
    }

    async fn truncated(&mut self, entry: Resource<Entry>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        Ok(self.table.get(&entry)?.truncated)
    }

    async fn drop(&mut self, entry: Resource<Entry>) -> wasmtime::Result<()> {
        self.table.delete(entry)?;
        Ok(())
    }
}

impl CallState {
    /// Asks something of a path.
    async fn look(
        &mut self,
        host: &str,
        path: Vec<u8>,
        asked: impl FnOnce(RemotePath) -> Asked,
    ) -> Result<Found, Error> {
        self.ask(host, asked(types::path(&path)?)).await
    }

    /// What the router found at this path, or else what is there now.
    async fn open_path(&mut self, host: &str, path: Vec<u8>) -> Result<Opened, Error> {
        let path = types::path(&path)?;
        let admitted = self.admit(host, Asked::Open { path: path.clone() }).await?;
        let waiting = admitted.reach().context().take_waiting(host, &path, &admitted.permit().within);
        if let Some(opened) = waiting {
            return Ok(opened);
        }
        match self.go(admitted).await? {
            Found::Opened(opened) => Ok(opened),
            _ => Err(types::amiss()),
        }
    }
}
