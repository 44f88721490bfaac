//! The plugins that Scout brings along, with what each may import.
//!
//! The build script leaves the components in `OUT_DIR`. What a plugin is not granted here it cannot import: of the
//! handlers only `command` reaches `exec`; the tools reach nothing else, and a shell never. Whether a host runs pipelines or
//! a shell is that host's policy.

use scout_runtime::{Grants, Interface, Subject};

/// A plugin that Scout brings along.
pub(super) struct Bundled {
    /// Its name.
    pub(super) name: &'static str,
    /// What it answers, if it is a handler: those are always there, another component may take their place. A plugin
    /// with tools runs when `scout.toml` says so.
    pub(super) subject: Option<Subject>,
    /// Its component.
    pub(super) component: &'static [u8],
    /// What it may import.
    pub(super) grants: Grants,
}

/// The bundled plugin of this name.
pub(super) fn bundled(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|plugin| plugin.name == name)
}

/// All of them.
pub(super) const BUNDLED: &[Bundled] = &[
    Bundled {
        name: "hosts",
        subject: Some(Subject::Hosts),
        component: include_bytes!(concat!(env!("OUT_DIR"), "/hosts.wasm")),
        grants: Grants::only(Interface::Inventory),
    },
    Bundled {
        name: "file",
        subject: Some(Subject::File),
        component: include_bytes!(concat!(env!("OUT_DIR"), "/file.wasm")),
        grants: Grants::only(Interface::Files),
    },
    Bundled {
        name: "dir",
        subject: Some(Subject::Directory),
        component: include_bytes!(concat!(env!("OUT_DIR"), "/dir.wasm")),
        grants: Grants::only(Interface::Files),
    },
    Bundled {
        name: "command",
        subject: Some(Subject::Command),
        component: include_bytes!(concat!(env!("OUT_DIR"), "/command.wasm")),
        grants: Grants::only(Interface::Exec).with(Interface::Shell),
    },
    Bundled {
        name: "disk",
        subject: None,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/disk.wasm")),
        grants: Grants::only(Interface::Exec),
    },
    Bundled {
        name: "services",
        subject: None,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/services.wasm")),
        grants: Grants::only(Interface::Exec),
    },
    Bundled {
        name: "logs",
        subject: None,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/logs.wasm")),
        grants: Grants::only(Interface::Exec),
    },
];
