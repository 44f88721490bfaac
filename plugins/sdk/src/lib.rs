//! Writes plugins for Scout.
//!
//! A plugin is a type with one trait, [`Handler`] (it answers queries of the `scout` tool) or [`Tools`] (it brings
//! tools of its own), and one line, [`register!`]. It reaches hosts only through the functions of this crate, and only
//! as far as the operator grants: an interface that is not used is not imported, and one that is not granted makes the
//! plugin fail when Scout loads it.
//!
//! On any target but WebAssembly the functions that reach Scout panic; what needs no host runs and is tested natively.

extern crate self as scout_plugin;

pub mod json;
pub mod text;
pub mod zone;

mod answer;
mod bindings;
#[cfg(all(feature = "heap", target_family = "wasm"))]
mod heap;
mod host;
mod output;

pub use answer::Encoding;
pub use bindings::imports::scout::plugin::answers::Answer;
pub use bindings::imports::scout::plugin::blobs::Blob;
pub use bindings::imports::scout::plugin::types::{Attributes, DirEntry, Error, ErrorKind, FileKind};
pub use bindings::query_handler::exports::scout::plugin::handler::{Description, Query, Subject};
pub use bindings::tool_plugin::exports::scout::plugin::tools::{Effect, Tool};
pub use host::{exec, files, inventory, log, progress, settings};

/// Answers queries of the `scout` tool.
pub trait Handler {
    /// Who this handler is. Called once when Scout loads it, with no access to any host.
    fn describe() -> Description;

    /// Answers one query. Each call runs in a fresh instance: nothing is kept between two.
    ///
    /// # Errors
    /// Whatever kept it from an answer; Scout shows the message and the hint.
    fn handle(query: Query) -> Result<Answer, Error>;
}

/// Brings tools that clients see beside `scout`.
pub trait Tools {
    /// The tools. Called once when Scout loads the plugin, with no access to any host.
    fn describe() -> Vec<Tool>;

    /// Calls a tool. `arguments` is a JSON object that fits the tool's input schema: Scout has checked it. A plugin
    /// whose tools take no arguments and answer nothing yet need not write it.
    ///
    /// # Errors
    /// Whatever kept it from an answer; Scout shows the message and the hint.
    fn call(name: &str, arguments: &str) -> Result<Answer, Error> {
        let _ = arguments;
        Err(Error::new(ErrorKind::Unsupported, format!("the tool `{name}` cannot be called")))
    }
}

impl Description {
    /// A handler of these subjects, with one line about it.
    #[must_use]
    pub fn new(summary: &str, subjects: &[Subject]) -> Self {
        Self { summary: summary.to_owned(), subjects: subjects.to_vec() }
    }
}

impl Tool {
    /// A tool that only reads, of this name, with this description and this JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: &str, description: &str, input_schema: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: None,
            description: description.to_owned(),
            input_schema: input_schema.to_owned(),
            output_schema: None,
            effect: Effect::Read,
        }
    }

    /// With a name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// With the JSON Schema of its structured answer.
    #[must_use]
    pub fn output_schema(mut self, schema: &str) -> Self {
        self.output_schema = Some(schema.to_owned());
        self
    }

    /// With the most that it does to a host.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }
}

impl Error {
    /// A failure in one sentence: what failed and where.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// With what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<T: Handler> bindings::query_handler::exports::scout::plugin::handler::Guest for T {
    fn describe() -> Description {
        <T as Handler>::describe()
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        <T as Handler>::handle(query)
    }
}

impl<T: Tools> bindings::tool_plugin::exports::scout::plugin::tools::Guest for T {
    fn describe() -> Vec<Tool> {
        <T as Tools>::describe()
    }

    fn call(name: String, arguments: String) -> Result<Answer, Error> {
        <T as Tools>::call(&name, &arguments)
    }
}

/// Makes a type this component's plugin: `register!(Type: handler)` or `register!(Type: tools)`.
///
/// Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! register {
    ($plugin:ident: handler) => {
        const _: fn() = $crate::__private::is_handler::<$plugin>;
        #[cfg(target_family = "wasm")]
        $crate::__private::export_handler!($plugin);
    };
    ($plugin:ident: tools) => {
        const _: fn() = $crate::__private::is_tools::<$plugin>;
        #[cfg(target_family = "wasm")]
        $crate::__private::export_tools!($plugin);
    };
}

/// What [`register!`] expands to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::query_handler::export_handler;
    pub use crate::bindings::tool_plugin::export_tools;
    pub use crate::bindings::{query_handler, tool_plugin};
    pub use wit_bindgen::rt;

    /// Says at once, on every target, that a registered type lacks the trait.
    pub fn is_handler<T: crate::Handler>() {}

    /// Says at once, on every target, that a registered type lacks the trait.
    pub fn is_tools<T: crate::Tools>() {}
}
