//! Writes plugins for Scout.
//!
//! A plugin is a type with one trait, [`Handler`] (it answers queries of the `scout` tool), [`Tools`] (it brings
//! tools of its own) or [`Resources`] (it brings what clients read by a URI), or with several, and one line, [`register!`]. It reaches hosts only through the functions of this crate, and only
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

pub use answer::{Answer, Encoding, Listing};
pub use bindings::imports::scout::plugin::blobs::Blob;
pub use bindings::imports::scout::plugin::descriptions::Effect;
pub use bindings::imports::scout::plugin::entries::Entry;
pub use bindings::imports::scout::plugin::types::{Attributes, DirEntry, FileKind};
pub use describe::{Arguments, Description, Query, Subject, Template, Tool};
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

/// Brings resources that clients read by a URI.
pub trait Resources {
    /// The templates of their URIs. Called once when Scout loads the plugin, with no access to any host.
    fn describe() -> Vec<Template>;

    /// Reads the resource of the template of this name whose URI has these values, in the template's order: text, not empty, decoded.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound): there is no such resource. Whatever else kept it from an answer; Scout shows the message
    /// and the hint.
    fn read(template: &str, values: &[&str]) -> Result<Answer, Error>;

    /// Some of the resources that there are now, from the first one on, or from where a listing said that the next ones are. Clients ask for it
    /// to show people what they may choose from: ask no more of hosts than you must. A plugin need not write it: what has no variables,
    /// and what is there for [each host](Template::each_host), Scout lists itself.
    ///
    /// # Errors
    /// Whatever kept it from a list: clients see the resources of others then.
    fn list(next: Option<&str>) -> Result<Listing, Error> {
        let _ = next;
        Ok(Listing::new())
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

impl<T: Resources> bindings::resource_plugin::exports::scout::plugin::resources::Guest for T {
    fn describe() -> Vec<bindings::imports::scout::plugin::descriptions::Template> {
        <T as Resources>::describe().into_iter().map(Template::give).collect()
    }

    fn read(
        template: String,
        values: Vec<String>,
    ) -> Result<bindings::imports::scout::plugin::answers::Answer, bindings::imports::scout::plugin::types::Error> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        <T as Resources>::read(&template, &values).map(Answer::give).map_err(Error::into_wit)
    }

    fn list(
        next: Option<String>,
    ) -> Result<bindings::imports::scout::plugin::answers::Listing, bindings::imports::scout::plugin::types::Error>
    {
        <T as Resources>::list(next.as_deref()).map(Listing::give).map_err(Error::into_wit)
    }
}

/// Makes a type this component's plugin: `register!(Type: tools)`, or any others of `handler`, `tools` and `resources`, each behind a comma.
///
/// Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! register {
    ($plugin:ident: $first:tt, $($more:tt),+) => {
        $crate::register!($plugin: $first);
        $crate::register!($plugin: $($more),+);
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
    ($plugin:ident: resources) => {
        const _: fn() = $crate::__private::is_resources::<$plugin>;
        #[cfg(target_family = "wasm")]
        $crate::__private::export_resources!($plugin);
    };
}

/// What [`register!`] expands to. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::query_handler::export_handler;
    pub use crate::bindings::resource_plugin::export_resources;
    pub use crate::bindings::tool_plugin::export_tools;
    pub use crate::bindings::{query_handler, resource_plugin, tool_plugin};
    pub use wit_bindgen::rt;

    /// Says at once, on every target, that a registered type lacks the trait.
    pub fn is_handler<T: crate::Handler>() {}

    /// Says at once, on every target, that a registered type lacks the trait.
    pub fn is_tools<T: crate::Tools>() {}

    /// Says at once, on every target, that a registered type lacks the trait.
    pub fn is_resources<T: crate::Resources>() {}
}
