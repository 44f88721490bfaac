//! The plugins that are built in, and what each is granted.

use scout_runtime::{Grants, Subject};

/// A plugin inside this binary.
pub(crate) struct DefaultPlugin {
    /// Its name, also that of a file that replaces it.
    pub(crate) name: &'static str,
    /// What it answers.
    pub(crate) subject: Subject,
    /// The component.
    pub(crate) component: &'static [u8],
    /// No more than it needs.
    pub(crate) grants: Grants,
}

const NOTHING: Grants = Grants { inventory: false, files: false, exec: false, shell: false };

macro_rules! component {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm"))
    };
}

/// One for each subject.
pub(crate) const DEFAULT_PLUGINS: &[DefaultPlugin] = &[
    DefaultPlugin {
        name: "hosts",
        subject: Subject::Hosts,
        component: component!("hosts"),
        grants: Grants { inventory: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "file",
        subject: Subject::File,
        component: component!("file"),
        grants: Grants { files: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "dir",
        subject: Subject::Directory,
        component: component!("dir"),
        grants: Grants { files: true, ..NOTHING },
    },
    DefaultPlugin {
        name: "command",
        subject: Subject::Command,
        component: component!("command"),
        // `shell` too: which host takes a free script is that host's policy.
        grants: Grants { exec: true, shell: true, ..NOTHING },
    },
];
