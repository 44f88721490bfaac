//! What wit-bindgen makes of `wit/`. Nothing outside the SDK names it.
//!
//! One world holds the imports and their types; the two export worlds borrow those types. With `pub_export_macro` the
//! description of an export goes into a component only where its `export!` is invoked: a handler exports `handler`
//! alone, though the SDK knows `tools` as well.
#![expect(missing_docs, unreachable_pub, reason = "generated")]

pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        generate_all,
    });
}

pub mod query_handler {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "query-handler",
        pub_export_macro: true,
        export_macro_name: "export_handler",
        default_bindings_module: "scout_plugin::__private::query_handler",
        with: {
            "scout:plugin/types@0.1.0": super::imports::scout::plugin::types,
            "scout:plugin/blobs@0.1.0": super::imports::scout::plugin::blobs,
            "scout:plugin/answers@0.1.0": super::imports::scout::plugin::answers,
            "scout:plugin/inventory@0.1.0": super::imports::scout::plugin::inventory,
            "scout:plugin/files@0.1.0": super::imports::scout::plugin::files,
            "scout:plugin/exec@0.1.0": super::imports::scout::plugin::exec,
            "scout:plugin/log@0.1.0": super::imports::scout::plugin::log,
            "scout:plugin/progress@0.1.0": super::imports::scout::plugin::progress,
            "scout:plugin/settings@0.1.0": super::imports::scout::plugin::settings,
        },
    });
}

pub mod tool_plugin {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "tool-plugin",
        pub_export_macro: true,
        export_macro_name: "export_tools",
        default_bindings_module: "scout_plugin::__private::tool_plugin",
        with: {
            "scout:plugin/types@0.1.0": super::imports::scout::plugin::types,
            "scout:plugin/blobs@0.1.0": super::imports::scout::plugin::blobs,
            "scout:plugin/answers@0.1.0": super::imports::scout::plugin::answers,
            "scout:plugin/inventory@0.1.0": super::imports::scout::plugin::inventory,
            "scout:plugin/files@0.1.0": super::imports::scout::plugin::files,
            "scout:plugin/exec@0.1.0": super::imports::scout::plugin::exec,
            "scout:plugin/log@0.1.0": super::imports::scout::plugin::log,
            "scout:plugin/progress@0.1.0": super::imports::scout::plugin::progress,
            "scout:plugin/settings@0.1.0": super::imports::scout::plugin::settings,
        },
    });
}
