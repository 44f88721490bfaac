//! Loading and calling plugins.

use std::path::PathBuf;

use crate::{Answer, CallContext, CallError, Receipt};

/// A plugin's name: 1 to 64 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginId(pub(crate) String);

impl PluginId {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let good = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a plugin may import. An interface that is not granted is not linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Grants {
    /// `inventory`.
    pub inventory: bool,
    /// `files`.
    pub files: bool,
    /// `exec`: `run`.
    pub exec: bool,
    /// `exec`: `shell`, on hosts whose policy is `shell`.
    pub shell: bool,
}

/// What a handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The listing of hosts.
    Hosts,
    /// A regular file, or what is neither file nor directory.
    File,
    /// A directory.
    Directory,
    /// A command.
    Command,
}

/// What a handler said of itself at load.
#[derive(Clone, Debug)]
pub struct HandlerDescription {
    /// One line, bounded.
    pub summary: String,
    /// What it answers.
    pub subjects: Vec<Subject>,
}

/// The most a tool does to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads.
    Read,
    /// Runs commands.
    Exec,
    /// Writes.
    Write,
}

/// What a plugin said of a tool at load; bounded and checked, still untrusted text.
#[derive(Clone, Debug)]
pub struct ToolDescription {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// JSON Schema, an object.
    pub input_schema: serde_json::Map<String, serde_json::Value>,
    /// JSON Schema of the structured answer.
    pub output_schema: Option<serde_json::Map<String, serde_json::Value>>,
    /// What it does.
    pub effect: Effect,
}

/// A query for a handler.
#[derive(Clone, Debug)]
pub struct Query {
    /// What is asked.
    pub subject: Subject,
    /// Absent only for [`Subject::Hosts`].
    pub host: Option<String>,
    /// Absent: the home directory.
    pub path: Option<Vec<u8>>,
    /// The command line.
    pub command: Option<String>,
}

/// Why a component cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("plugin `{plugin}`: {message}")]
pub struct LoadError {
    /// Which.
    pub plugin: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Instances at once (the pooling allocator's slots).
    pub max_instances: u32,
    /// Where compiled code is kept; absent: nowhere. Created 0700; refused if another could write it.
    pub cache_dir: Option<PathBuf>,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {}

impl Runtime {
    /// Sets up the engine: pooling allocation if the address space allows it, else on demand.
    ///
    /// # Errors
    /// When the machine cannot run WebAssembly at all.
    pub fn new(_config: RuntimeConfig) -> Result<Self, LoadError> {
        todo!()
    }

    /// Compiles a component, checks its imports against the grants and asks it to describe itself. Blocks for the
    /// compilation: call it off the async threads.
    ///
    /// # Errors
    /// Bytes that are no component, imports that are not granted, another API version, a description that fails.
    pub fn load(
        &self,
        _id: PluginId,
        _component: &[u8],
        _grants: Grants,
        _settings: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Plugin, LoadError> {
        todo!()
    }
}

/// A loaded plugin. Cheap to clone; every call runs in a fresh instance.
#[derive(Clone)]
pub struct Plugin {}

impl Plugin {
    /// Its name.
    pub fn id(&self) -> &PluginId {
        todo!()
    }

    /// What it answers, if it is a query handler.
    pub fn handler(&self) -> Option<&HandlerDescription> {
        todo!()
    }

    /// Its tools, if it is a tool plugin; else empty.
    pub fn tools(&self) -> &[ToolDescription] {
        todo!()
    }

    /// Answers a query.
    ///
    /// # Cancel safety
    /// Dropping the future drops the instance; remote work is stopped.
    ///
    /// # Errors
    /// What the plugin answered with, a budget, a trap, the deadline.
    pub async fn handle(&self, _context: CallContext, _query: Query) -> Result<(Answer, Receipt), CallError> {
        todo!()
    }

    /// Calls a tool with a JSON object of arguments, already validated.
    ///
    /// # Errors
    /// As [`Plugin::handle`].
    pub async fn call_tool(
        &self,
        _context: CallContext,
        _name: &str,
        _arguments: &str,
    ) -> Result<(Answer, Receipt), CallError> {
        todo!()
    }
}
