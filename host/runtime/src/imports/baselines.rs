//! `baselines`: what a guest keeps of a host from one call to the next.

use scout_machine::{ErrorKind, HostError};

use super::types;
use super::wit::baselines;
use super::{Failure, in_task};
use crate::baselines::{BaselineKey, Baselines, check_name, check_size};
use crate::budget::BASELINES;
use crate::cassette::{self, OnTape, Request};
use crate::state::CallState;
use crate::steps::HostAccess;

impl baselines::Host for CallState {
    async fn load(&mut self, host: String, name: String) -> Result<Option<baselines::Baseline>, Failure> {
        self.budget.host_call()?;
        let key = self.key(&host, name)?;
        let asked = |key: &BaselineKey| Request::LoadBaseline(key.name.clone());
        let kept = self.keeping(key, asked, |kept, key| kept.load(key)).await?;
        Ok(kept.map(|kept| baselines::Baseline { content: kept.content, taken: kept.taken }))
    }

    async fn store(&mut self, host: String, name: String, content: Vec<u8>) -> Result<u64, Failure> {
        self.budget.host_call()?;
        let key = self.key(&host, name)?;
        check_size(content.len()).map_err(|error| types::from_ssh(&error))?;
        let asked = |key: &BaselineKey| Request::StoreBaseline(key.name.clone());
        Ok(self.keeping(key, asked, move |kept, key| kept.store(key, &content)).await?)
    }
}

impl CallState {
    /// The baseline that is meant, if the call may keep any of this host.
    fn key(&mut self, host: &str, name: String) -> Result<(HostAccess, BaselineKey), super::WitError> {
        let access = self.access(host)?;
        check_name(&name).map_err(|error| types::from_ssh(&error))?;
        access.keeps(&self.rights).map_err(|refusal| types::from_refusal(&refusal))?;
        if !self.budget.baseline() {
            let message = format!("a call may load or store {BASELINES} baselines, and this one has");
            return Err(types::error(types::Kind::Exhausted, &message, None));
        }
        let host = access.host.name.to_string();
        let key =
            BaselineKey { principal: access.context().principal.clone(), plugin: self.plugin.clone(), host, name };
        Ok((access, key))
    }

    /// Has something of it done, or plays it.
    async fn keeping<T: Send + 'static>(
        &mut self,
        (access, key): (HostAccess, BaselineKey),
        asked: impl FnOnce(&BaselineKey) -> Request + Send + 'static,
        work: impl FnOnce(&dyn Baselines, &BaselineKey) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, super::WitError>
    where
        Result<T, HostError>: OnTape,
    {
        let keeping = in_task(move || async move {
            let context = access.context();
            let kept = context.baselines.clone();
            let owned = key.clone();
            let live = async move {
                let kept = kept.ok_or_else(|| HostError::new(ErrorKind::Unsupported, "nothing is kept here"))?;
                let working = tokio::task::spawn_blocking(move || work(&*kept, &owned));
                working.await.unwrap_or_else(|error| Err(HostError::new(ErrorKind::Remote, error.to_string())))
            };
            let done =
                cassette::pass(context.tape.as_ref(), &access.host.name, access.call(), || asked(&key), live).await;
            done.map_err(|error| types::from_ssh(&error))
        });
        self.budget.away(keeping).await
    }
}
