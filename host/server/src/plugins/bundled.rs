//! The plugins that Scout brings along, with what each may import: the rows of `plugins/bundled.rs`.
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
    /// SHA-256 of it.
    pub(super) digest: [u8; 32],
    /// What it may import.
    pub(super) grants: Grants,
}

/// The bundled plugin of this name.
pub(super) fn bundled(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|plugin| plugin.name == name)
}

macro_rules! bundled {
    ($($name:ident: ($subject:expr), [$($interface:ident)*];)*) => {
        /// All of them.
        pub(super) const BUNDLED: &[Bundled] = &[$(Bundled {
            name: stringify!($name),
            subject: $subject,
            component: include_bytes!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".wasm")),
            digest: *include_bytes!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".sha256")),
            grants: Grants::NONE$(.with(Interface::$interface))*,
        }),*];
    };
}

include!("../../../../plugins/bundled.rs");

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::BUNDLED;

    #[test]
    fn the_digest_of_each_is_that_of_its_component() {
        for plugin in BUNDLED {
            assert_eq!(plugin.digest, <[u8; 32]>::from(Sha256::digest(plugin.component)), "{}", plugin.name);
        }
    }
}
