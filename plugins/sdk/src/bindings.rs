//! What wit-bindgen makes of `wit/`. Nothing outside the SDK names it.
//!
//! One world holds the imports and their types; the export worlds borrow those types. With `pub_export_macro` the description of an
//! export goes into a component only where its `export!` is invoked: a handler exports `handler` alone, though the SDK knows `tools` as
//! well, and a plugin that invokes both exports both.
#![expect(missing_docs, unreachable_pub, reason = "generated")]

pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        generate_all,
    });
}

/// The bindings of a world with one export, `$macro`, in the module `$module`.
macro_rules! export {
    ($module:ident, $world:literal, $macro:literal, $path:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $macro,
                default_bindings_module: $path,
                with: {
                    "scout:plugin/types@0.2.0": super::imports::scout::plugin::types,
                    "scout:plugin/blobs@0.2.0": super::imports::scout::plugin::blobs,
                    "scout:plugin/entries@0.2.0": super::imports::scout::plugin::entries,
                    "scout:plugin/answers@0.2.0": super::imports::scout::plugin::answers,
                    "scout:plugin/queries@0.2.0": super::imports::scout::plugin::queries,
                    "scout:plugin/descriptions@0.2.0": super::imports::scout::plugin::descriptions,
                    "scout:plugin/inventory@0.2.0": super::imports::scout::plugin::inventory,
                    "scout:plugin/files@0.2.0": super::imports::scout::plugin::files,
                    "scout:plugin/exec@0.2.0": super::imports::scout::plugin::exec,
                    "scout:plugin/transfer@0.2.0": super::imports::scout::plugin::transfer,
                    "scout:plugin/baselines@0.2.0": super::imports::scout::plugin::baselines,
                    "scout:plugin/log@0.2.0": super::imports::scout::plugin::log,
                    "scout:plugin/progress@0.2.0": super::imports::scout::plugin::progress,
                    "scout:plugin/settings@0.2.0": super::imports::scout::plugin::settings,
                    "scout:plugin/cursors@0.2.0": super::imports::scout::plugin::cursors,
                },
            });
        }
    };
}

export!(query_handler, "query-handler", "export_handler", "scout_plugin::__private::query_handler");
export!(tool_plugin, "tool-plugin", "export_tools", "scout_plugin::__private::tool_plugin");
export!(resource_plugin, "resource-plugin", "export_resources", "scout_plugin::__private::resource_plugin");
