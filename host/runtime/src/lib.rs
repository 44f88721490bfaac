//! The plugin runtime: sandboxed components, their budgets and grants, and the imports that reach hosts.
//!
//! The only crate that names wasmtime. Knows no MCP and no configuration file. Bindgen types stay inside
//! `imports`; whatever asks a host goes through `steps`.

mod answer;
mod baselines;
mod budget;
mod call;
pub mod cassette;
mod completion;
mod cpu_slices;
mod cursor;
mod describe;
mod engine;
mod externs;
mod fault;
mod features;
mod fleet;
pub mod grants;
mod imports;
pub mod json;
mod look;
mod machines;
mod meter;
mod plain;
mod plugin;
pub mod policy;
pub mod redaction;
mod reports;
mod resource;
mod shape;
mod shares;
mod state;
mod stdio;
mod steps;
mod transfer;
mod uri_template;
mod work;
mod workers;
mod written;
#[cfg(test)]
mod written_pages;

pub use answer::{Answer, AnswerFailure, AnswerMemory, Content, Encoding, ImageFormat, Receipt, Structured};
pub use baselines::{Baseline, BaselineKey, Baselines, MAX_BASELINE};
pub use call::{
    AccessEvent, AccessRecord, Audit, AuditRecord, CallContext, CallError, CallErrorKind, CommandEnd, CommandEvent,
    CommandRecord, Limits, MAX_MESSAGE, Recorded,
};
pub use completion::{Completion, HostPage};
pub use cursor::CursorKey;
pub use describe::{MAX_TEMPLATES_OF_PLUGIN, MAX_TOOLS_OF_PLUGIN};
pub use externs::Externs;
pub use fault::fault;
pub use fleet::{Fleet, HostRecord, HostSource, Location};
pub use look::{Looked, Readers};
pub use meter::{Meter, Stopped};
pub use plugin::{
    Called, Effect, HandlerDescription, LoadError, MAX_COMPONENT, Plugin, PluginId, PluginMemory, Query, Runtime,
    RuntimeConfig, Subject, TemplateDescription, ToolDescription,
};
pub use reports::Progress;
pub use resource::{ListedResource, ListingPlace, ResourcePage, ResourceRequest};
pub use scout_machine::{Grants, Interface};
pub use uri_template::UriTemplate;

pub use work::STEPS as WORK_STEPS;
