//! `files`: remote files and directories.

use wasmtime::component::Resource;

use super::blobs::Blob;
use super::entries::Entry;
use super::wit::files;
use super::wit::types as wit_types;
use super::{Failure, types};
use crate::state::CallState;
use crate::steps::{Found, HostRequest};

impl files::Host for CallState {
    async fn open(&mut self, host: String, path: Vec<u8>) -> Result<Resource<Entry>, Failure> {
        self.budget.host_call()?;
        let path = types::path(&path)?;
        match self.ask(&host, HostRequest::Open { path }).await? {
            Found::Opened(opened) => Ok(self.entry(opened)?),
            _ => Err(types::amiss().into()),
        }
    }

    async fn read(&mut self, host: String, path: Vec<u8>, offset: u64, length: u64) -> Result<Resource<Blob>, Failure> {
        self.budget.host_call()?;
        let path = types::path(&path)?;
        match self.ask(&host, HostRequest::Read { path, offset, length }).await? {
            Found::Content(content) => Ok(self.blob(content)?),
            _ => Err(types::amiss().into()),
        }
    }

    async fn stat(&mut self, host: String, path: Vec<u8>) -> Result<wit_types::Attributes, Failure> {
        self.budget.host_call()?;
        let path = types::path(&path)?;
        match self.ask(&host, HostRequest::Stat { path }).await? {
            Found::Attributes(found) => Ok(types::attributes(&found)),
            _ => Err(types::amiss().into()),
        }
    }
}
