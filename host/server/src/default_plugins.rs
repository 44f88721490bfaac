//! The plugins that Scout brings along, with what each may import.
//!
//! The build script leaves the components in `OUT_DIR`. What a plugin is not granted here it cannot import: only
//! `command` reaches `exec`, and whether a host runs pipelines or a shell for it is that host's policy.

use scout_runtime::{Grants, Subject};

/// A plugin that Scout brings along.
pub(crate) struct DefaultPlugin {
    /// Its name; a component in `plugins_dir` with this name takes its place.
    pub(crate) name: &'static str,
    /// What it answers.
    pub(crate) subject: Subject,
    /// Its component.
    pub(crate) component: &'static [u8],
    /// What it may import.
    pub(crate) grants: Grants,
}

const NOTHING: Grants = Grants { inventory: false, files: false, exec: false, shell: false };

/// One for each subject.
pub(crate) const DEFAULT_PLUGINS: &[DefaultPlugin] = &[
    DefaultPlugin {
        name: "hosts",
        subject: Subject::Hosts,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/hosts.wasm")),
        grants: Grants { inventory: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "file",
        subject: Subject::File,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/file.wasm")),
        grants: Grants { files: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "dir",
        subject: Subject::Directory,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/dir.wasm")),
        grants: Grants { files: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "command",
        subject: Subject::Command,
        component: include_bytes!(concat!(env!("OUT_DIR"), "/command.wasm")),
        grants: Grants { exec: true, shell: true, ..NOTHING },
    },
];
