//! `transfer`: files and directories that are copied from one machine to another.

use std::sync::Arc;

use scout_machine::Cost;
use tokio::time::Instant;
use wasmtime::component::Resource;

use super::each::ending;
use super::types::Kind;
use super::wit::transfer::{self, Failure as Left, Place};
use super::wit::types as wit_types;
use super::{Failure, in_task, types};
use crate::state::CallState;
use crate::transfer::{self as copies, Copy, Report};

impl transfer::Host for CallState {
    async fn look(&mut self, place: Place) -> Result<Option<wit_types::Attributes>, Failure> {
        self.budget.host_call()?;
        // It is the source of a copy that is not made.
        let copy = self.copies(place.clone(), place, false)?;
        let found = in_task(move || async move { copy.look().await.map_err(|error| types::from_ssh(&error)) });
        Ok(self.budget.away(found).await?.map(|found| types::attributes(&found)))
    }

    async fn copy(&mut self, source: Place, target: Place, replace: bool) -> Result<Resource<Report>, Failure> {
        self.budget.host_call()?;
        let copy = self.copies(source, target, replace)?;
        let copying = in_task(move || async move { copy.run().await.map_err(|error| types::from_ssh(&error)) });
        let report = self.budget.away(copying).await?;
        Ok(self.push(report)?)
    }
}

impl CallState {
    fn copies(&self, source: Place, target: Place, replace: bool) -> Result<Copy, wit_types::Error> {
        let Some(mut context) = self.context.clone() else {
            return Err(types::error(Kind::Refused, "no host can be reached while a plugin describes itself", None));
        };
        // So that there is time to tell how far it came.
        context.call.deadline = ending(Instant::now(), context.call.deadline);
        // What passes from one machine to another is not what the guest has read.
        context.call.cost = Arc::<Cost>::default();
        let place = |place: Place| -> Result<copies::Place, wit_types::Error> {
            Ok(copies::Place { host: place.host, path: types::path(&place.path)? })
        };
        let places = (place(source)?, place(target)?);
        Ok(Copy::new(context, Arc::clone(&self.rights), self.plugin.clone(), places, replace))
    }
}

impl transfer::HostReport for CallState {
    fn path(&mut self, report: Resource<Report>) -> wasmtime::Result<Vec<u8>> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.path.clone())
    }

    fn files(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.files)
    }

    fn unchanged(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.unchanged)
    }

    fn directories(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.directories)
    }

    fn bytes(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.bytes)
    }

    fn resumed(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.resumed)
    }

    fn verified(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.verified)
    }

    fn digest(&mut self, report: Resource<Report>) -> wasmtime::Result<Option<Vec<u8>>> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.digest.map(|digest| digest.to_vec()))
    }

    fn failures(&mut self, report: Resource<Report>) -> wasmtime::Result<Vec<Left>> {
        self.budget.host_call()?;
        let failures = &self.table.get(&report)?.failures;
        Ok(failures.iter().map(|(path, error)| Left { path: path.clone(), error: types::from_ssh(error) }).collect())
    }

    fn failed(&mut self, report: Resource<Report>) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.table.get(&report)?.failed)
    }

    fn drop(&mut self, report: Resource<Report>) -> wasmtime::Result<()> {
        self.table.delete(report)?;
        Ok(())
    }
}
