//! Writes plugins for Scout.
//!
//! A plugin is a type with one trait, [`Handler`] (it answers queries of the `scout` tool) or [`Tools`] (it brings
//! tools of its own), or with both, and one line, [`register!`]. It reaches hosts only through the functions of this crate, and only
//! as far as the operator grants: an interface that is not used is not imported, and one that is not granted makes the
//! plugin fail when Scout loads it.
//!
//! On any target but WebAssembly the functions that reach Scout panic; what needs no host runs and is tested natively.

extern crate self as scout_plugin;

pub mod json;
pub mod rows;
pub mod text;
pub mod zone;

mod answer;
mod bindings;
mod describe;
mod error;
#[cfg(all(feature = "heap", target_family = "wasm"))]
mod heap;
mod host;
mod output;
mod privileged;

pub use answer::{Answer, Encoding};
pub use bindings::imports::scout::plugin::blobs::Blob;
pub use bindings::imports::scout::plugin::descriptions::Effect;
pub use bindings::imports::scout::plugin::entries::Entry;
pub use bindings::imports::scout::plugin::types::{Attributes, DirEntry, FileKind};
pub use describe::{Arguments, Description, Query, Subject, Tool};
pub use error::{Error, ErrorKind};
pub use host::{baselines, cursors, exec, files, inventory, log, progress, settings, transfer};
pub use output::first_bytes;

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

impl<T: Handler> bindings::query_handler::exports::scout::plugin::handler::Guest for T {
    fn describe() -> bindings::imports::scout::plugin::descriptions::HandlerDescription {
        <T as Handler>::describe().give()
    }

    fn handle(
        query: bindings::imports::scout::plugin::queries::Query,
    ) -> Result<bindings::imports::scout::plugin::answers::Answer, bindings::imports::scout::plugin::types::Error> {
        <T as Handler>::handle(Query::read(&query)).map(Answer::give).map_err(Error::into_wit)
    }
}

impl<T: Tools> bindings::tool_plugin::exports::scout::plugin::tools::Guest for T {
    fn describe() -> Vec<bindings::imports::scout::plugin::descriptions::Tool> {
        <T as Tools>::describe().into_iter().map(Tool::give).collect()
    }

    fn call(
        name: String,
        arguments: String,
    ) -> Result<bindings::imports::scout::plugin::answers::Answer, bindings::imports::scout::plugin::types::Error> {
        <T as Tools>::call(&name, &arguments).map(Answer::give).map_err(Error::into_wit)
    }
}

/// Makes a type this component's plugin: `register!(Type: handler)`, `register!(Type: tools)` or `register!(Type: handler, tools)`.
///
/// Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! register {
    ($plugin:ident: handler, tools) => {
        $crate::register!($plugin: handler);
        $crate::register!($plugin: tools);
    };
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
