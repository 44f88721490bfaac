//! `files`: remote files and directories.

use scout_ssh::{Attributes, DirEntry, Opened};
use wasmtime::component::Resource;

use super::blobs::Blob;
use super::wit::files;
use super::wit::types::{self as wit_types, Error, ErrorKind};
use super::{in_task, types};
use crate::state::{CallState, Reach};

/// What was found at a path.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Entry {
    attributes: Attributes,
    content: Option<Blob>,
    entries: Vec<DirEntry>,
    truncated: bool,
}

impl From<Opened> for Entry {
    fn from(opened: Opened) -> Self {
        match opened {
            Opened::File { attributes, content } => {
                Self { attributes, content: Some(content.into()), entries: Vec::new(), truncated: false }
            }
            Opened::Directory { attributes, entries, truncated } => {
                Self { attributes, content: None, entries, truncated }
            }
            Opened::Other { attributes } => Self { attributes, content: None, entries: Vec::new(), truncated: false },
        }
    }
}

impl files::Host for CallState {
    async fn open(&mut self, host: String, path: Vec<u8>) -> wasmtime::Result<Result<Resource<Entry>, Error>> {
        self.budget.host_call()?;
        let opened = self.open_path(&host, path).await;
        let entry = match opened {
            Ok(opened) => self.push(Entry::from(opened)),
            Err(error) => Err(error),
        };
        self.budget.enter_guest();
        Ok(entry)
    }

    async fn read(
        &mut self,
        host: String,
        path: Vec<u8>,
        offset: u64,
        length: u64,
    ) -> wasmtime::Result<Result<Resource<Blob>, Error>> {
        self.budget.host_call()?;
        let read = match self.path(&host, &path) {
            Ok(reach) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(reach.limits().file_bytes);
                in_task(async move {
                    let lease = reach.lease().await.map_err(|error| types::from_ssh(&error))?;
                    let read = lease.read(&path, offset, length, reach.call()).await;
                    read.map(|(_, capture)| Blob::from(capture)).map_err(|error| types::from_ssh(&error))
                })
                .await
            }
            Err(error) => Err(error),
        };
        let blob = match read {
            Ok(blob) => self.push(blob),
            Err(error) => Err(error),
        };
        self.budget.enter_guest();
        Ok(blob)
    }

    async fn stat(&mut self, host: String, path: Vec<u8>) -> wasmtime::Result<Result<wit_types::Attributes, Error>> {
        self.budget.host_call()?;
        let found = match self.path(&host, &path) {
            Ok(reach) => {
                in_task(async move {
                    let lease = reach.lease().await.map_err(|error| types::from_ssh(&error))?;
                    lease.stat(&path, reach.call()).await.map_err(|error| types::from_ssh(&error))
                })
                .await
            }
            Err(error) => Err(error),
        };
        self.budget.enter_guest();
        Ok(found.map(|found| types::attributes(&found)))
    }
}

impl files::HostEntry for CallState {
    async fn attributes(&mut self, entry: Resource<Entry>) -> wasmtime::Result<wit_types::Attributes> {
        self.budget.host_call()?;
        let attributes = types::attributes(&self.table.get(&entry)?.attributes);
        self.budget.enter_guest();
        Ok(attributes)
    }

    async fn content(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Option<Resource<Blob>>> {
        self.budget.host_call()?;
        let content = self.table.get(&entry)?.content.clone();
        let content = content.map(|blob| self.table.push(blob)).transpose()?;
        self.budget.enter_guest();
        Ok(content)
    }

    async fn entries(&mut self, entry: Resource<Entry>) -> wasmtime::Result<Vec<wit_types::DirEntry>> {
        self.budget.host_call()?;
        let entries = self.table.get(&entry)?.entries.iter();
        let entries = entries.map(|entry| wit_types::DirEntry {
            name: entry.name.clone(),
            attributes: types::attributes(&entry.attributes),
        });
        let entries = entries.collect();
        self.budget.enter_guest();
        Ok(entries)
    }

    async fn truncated(&mut self, entry: Resource<Entry>) -> wasmtime::Result<bool> {
        self.budget.host_call()?;
        let truncated = self.table.get(&entry)?.truncated;
        self.budget.enter_guest();
        Ok(truncated)
    }

    async fn drop(&mut self, entry: Resource<Entry>) -> wasmtime::Result<()> {
        self.table.delete(entry)?;
        Ok(())
    }
}

impl CallState {
    /// The host of a path that may be read.
    fn path(&self, host: &str, path: &[u8]) -> Result<Reach, Error> {
        let reach = self.reach(host)?;
        reach.check_path(path).map_err(|refusal| types::from_refusal(&refusal))?;
        Ok(reach)
    }

    /// What the router found at this path, or else what is there now.
    async fn open_path(&mut self, host: &str, path: Vec<u8>) -> Result<Opened, Error> {
        let reach = self.path(host, &path)?;
        if let Some(opened) = reach.context().take_waiting(host, &path) {
            return Ok(opened);
        }
        in_task(async move { reach.open(&path).await.map_err(|error| types::from_ssh(&error)) }).await
    }

    /// A handle of the guest's for this value.
    pub(super) fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, Error> {
        self.table
            .push(value)
            .map_err(|_full| types::error(ErrorKind::Exhausted, "too many handles are open; drop some", None))
    }
}
