//! `queries`: what a handler is asked.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Resource;

use super::answers::NoAnswer;
use super::entries::Entry;
use super::wit::queries;
use crate::cursor::Asked;
use crate::state::CallState;
use crate::{CallErrorKind, Subject};

/// A query, as a guest has it.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Query {
    asked: Arc<crate::Query>,
    entry: Option<Resource<Entry>>,
}

/// The subject that the contract calls so.
pub(crate) fn subject(word: &str) -> Option<Subject> {
    Subject::ALL.into_iter().find(|subject| subject.name() == word)
}

impl CallState {
    /// A handle to a query, with what was found at its path.
    ///
    /// # Errors
    /// No room for what was found.
    pub(crate) fn query(&mut self, mut asked: crate::Query) -> Result<Resource<Query>, NoAnswer> {
        let full = |why: String| NoAnswer { kind: CallErrorKind::Busy, why: format!("cannot be asked: {why}") };
        let entry = asked.found.take().map(|opened| self.entry(opened)).transpose();
        let entry = entry.map_err(|error| full(error.message))?;
        let asked = Arc::new(asked);
        self.asked = Some(Asked::Query(Arc::clone(&asked)));
        self.push(Query { asked, entry }).map_err(|error| full(error.message))
    }
}

impl queries::Host for CallState {}

impl queries::HostQuery for CallState {
    fn subject(&mut self, query: Resource<Query>) -> wasmtime::Result<String> {
        self.budget.host_call()?;
        Ok(self.table.get(&query)?.asked.subject.name().to_owned())
    }

    fn host(&mut self, query: Resource<Query>) -> wasmtime::Result<Option<String>> {
        self.budget.host_call()?;
        Ok(self.table.get(&query)?.asked.host.clone())
    }

    fn path(&mut self, query: Resource<Query>) -> wasmtime::Result<Option<Vec<u8>>> {
        self.budget.host_call()?;
        Ok(self.table.get(&query)?.asked.path.clone())
    }

    fn command(&mut self, query: Resource<Query>) -> wasmtime::Result<Option<String>> {
        self.budget.host_call()?;
        Ok(self.table.get(&query)?.asked.command.clone())
    }

    fn arguments(&mut self, query: Resource<Query>) -> wasmtime::Result<String> {
        self.budget.host_call()?;
        Ok(Value::Object(self.table.get(&query)?.asked.arguments.clone()).to_string())
    }

    fn entry(&mut self, query: Resource<Query>) -> wasmtime::Result<Option<Resource<Entry>>> {
        self.budget.host_call()?;
        Ok(self.table.get_mut(&query)?.entry.take())
    }

    fn drop(&mut self, query: Resource<Query>) -> wasmtime::Result<()> {
        let query = self.table.delete(query)?;
        if let Some(entry) = query.entry {
            self.table.delete(entry)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_one_word() {
        for known in Subject::ALL {
            assert_eq!(subject(known.name()), Some(known));
        }
        assert_eq!(subject("weather"), None);
    }
}
