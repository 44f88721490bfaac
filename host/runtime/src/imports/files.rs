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
        match self.ask(&host, HostRequest::Open { path, most: usize::MAX }).await? {
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

    async fn open_each(
        &mut self,
        places: Vec<files::Place>,
        most: u64,
    ) -> Result<Vec<Result<Resource<Entry>, wit_types::Error>>, Failure> {
        self.budget.host_call()?;
        let bytes = usize::try_from(most).unwrap_or(usize::MAX);
        let mut asked = Vec::with_capacity(places.len());
        for place in places {
            asked.push((place.host, HostRequest::Open { path: types::path(&place.path)?, most: bytes }));
        }
        let found = self.ask_each(asked, most).await?;
        let entry = |found| match found? {
            Found::Opened(opened) => self.entry(opened),
            _ => Err(types::amiss()),
        };
        Ok(found.into_iter().map(entry).collect())
    }
}
