//! What a component imports and exports by name (its externs), read from its bytes alone: nothing is compiled or run.

use wasmparser::{ComponentExternName, Encoding, Parser, Payload};

use crate::plugin::WASI;
use crate::state::shown;
use crate::{Grants, imports, shape};

/// Names of one kind that are read.
const MAX_NAMES: usize = 1_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// The names at a component's outside. Untrusted text, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Externs {
    /// In the component's order.
    pub imports: Vec<String>,
    /// In the component's order.
    pub exports: Vec<String>,
}

impl Externs {
    /// Reads a component's names. Whether the rest of it is valid is not known.
    ///
    /// # Errors
    /// Bytes that are no component, or too much of one, as the rest of a sentence that begins with the plugin's name.
    pub fn read(component: &[u8]) -> Result<Self, String> {
        shape::check(component)?;
        let broken = |error: wasmparser::BinaryReaderError| format!("is not a component that can be read: {error}");
        let mut externs = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(broken)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err("is a core module; `cargo build --target wasm32-wasip2` makes a component".to_owned());
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                // The outermost one ends too.
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        keep(&mut externs.imports, "imports", &import.map_err(broken)?.name)?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut externs.exports, "exports", &export.map_err(broken)?.name)?;
                    }
                }
                _ => {}
            }
        }
        Ok(externs)
    }

    /// The versions of `scout:plugin` that it names, each once.
    pub fn versions(&self) -> Vec<&str> {
        let mut versions = Vec::new();
        for name in self.imports.iter().chain(&self.exports) {
            let version = name.strip_prefix("scout:plugin/").and_then(|rest| rest.split_once('@'));
            if let Some((_, version)) = version
                && !versions.contains(&version)
            {
                versions.push(version);
            }
        }
        versions
    }

    /// Whether all that it imports can be had, by the names of interfaces; what is wrong within one is seen when it is linked.
    ///
    /// # Errors
    /// All that cannot be had, and with which switch of the tool that made the component it is left out, as the rest of a
    /// sentence that begins with the plugin's name.
    pub fn check(&self) -> Result<(), String> {
        /// More of them are counted.
        const NAMED: usize = 12;
        let versions = self.imports.iter().filter_map(|import| import.strip_prefix("scout:plugin/")?.split_once('@'));
        if let Some((_, version)) = versions.into_iter().find(|(_, version)| !imports::compatible(version)) {
            return Err(imports::other_version(version));
        }
        let lacking: Vec<&str> = self.imports.iter().map(String::as_str).filter(|import| !is_there(import)).collect();
        let mut names: Vec<String> = lacking.iter().take(NAMED).map(|import| format!("`{}`", shown(import))).collect();
        let rest = lacking.len().saturating_sub(NAMED);
        if rest > 0 {
            names.push(format!("{rest} more"));
        }
        let Some(last) = names.pop() else { return Ok(()) };
        let names = if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) };
        let mut told = format!("imports {names}, which this Scout does not offer");
        for (is_about, hint) in HINTS {
            if lacking.iter().any(|import| is_about(import)) {
                told.push_str(&format!(": {hint}"));
            }
        }
        Err(told)
    }

    /// The interfaces it imports that `grants` do not allow, by their names in `scout.toml`.
    pub fn missing(&self, grants: Grants) -> Vec<&str> {
        self.imports
            .iter()
            .filter_map(|import| import.strip_prefix("scout:plugin/"))
            .map(|rest| rest.split_once('@').map_or(rest, |(name, _)| name))
            .filter(|name| imports::offered(name) && !imports::granted(name, grants))
            .collect()
    }
}

/// What an import is about, and what is to be done about it.
type Hint = (fn(&str) -> bool, &'static str);

/// What to do about imports that cannot be had, by what they are.
const HINTS: [Hint; 4] = [
    (
        |import| import.starts_with("wasi:http/") && is_of_wasi_0_2(import),
        "`jco componentize … -d http -d fetch-event` leaves `wasi:http` out",
    ),
    (
        |import| import.starts_with("wasi:") && !is_of_wasi_0_2(import),
        "of WASI this Scout offers 0.2; build it for that, as the target wasm32-wasip2 is",
    ),
    (|import| newer_interface(import), "it needs a newer Scout"),
    (
        |import| !import.contains(':'),
        "a plugin imports whole interfaces, none of them by a bare name; leave out of its world what is not in wit/",
    ),
];

fn is_of_wasi_0_2(import: &str) -> bool {
    import.split_once('@').is_some_and(|(_, version)| version.starts_with("0.2."))
}

fn newer_interface(import: &str) -> bool {
    let rest = import.strip_prefix("scout:plugin/").and_then(|rest| rest.split_once('@'));
    rest.is_some_and(|(_, version)| imports::newer(version))
}

/// Whether an interface of this name can be linked, if it is granted.
fn is_there(import: &str) -> bool {
    match (import.strip_prefix("scout:plugin/"), import.strip_prefix("wasi:")) {
        (Some(rest), _) => imports::offered(rest.split_once('@').map_or(rest, |(name, _)| name)),
        (None, Some(rest)) => {
            let package = rest.split('/').next().unwrap_or_default();
            WASI.contains(&package) && is_of_wasi_0_2(import)
        }
        (None, None) => false,
    }
}

fn keep(names: &mut Vec<String>, what: &str, name: &ComponentExternName<'_>) -> Result<(), String> {
    if names.len() == MAX_NAMES {
        return Err(format!("{what} more than {MAX_NAMES} names"));
    }
    if name.name.len() > MAX_NAME {
        return Err(format!("{what} a name of more than {MAX_NAME} bytes"));
    }
    names.push(name.name.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(imports: &[&str]) -> Result<(), String> {
        let imports = imports.iter().map(|import| (*import).to_owned()).collect();
        Externs { imports, exports: Vec::new() }.check()
    }

    #[test]
    fn all_that_cannot_be_had_is_named_with_what_leaves_it_out() {
        assert_eq!(check(&["scout:plugin/files@0.2.0", "wasi:cli/stderr@0.2.3", "wasi:sockets/tcp@0.2.0"]), Ok(()));
        let http = ["wasi:io/poll@0.2.10", "wasi:http/types@0.2.10", "wasi:http/outgoing-handler@0.2.10"];
        assert_eq!(
            check(&http),
            Err("imports `wasi:http/types@0.2.10` and `wasi:http/outgoing-handler@0.2.10`, which this Scout does not offer: \
                 `jco componentize … -d http -d fetch-event` leaves `wasi:http` out"
                .to_owned())
        );
        for (import, says) in [
            ("wasi:clocks/monotonic-clock@0.3.0", "of WASI this Scout offers 0.2"),
            ("scout:plugin/calendars@0.2.7", "it needs a newer Scout"),
            ("env", "none of them by a bare name"),
            ("wasi:nn/graph@0.2.0-rc", "does not offer"),
        ] {
            assert!(check(&[import]).is_err_and(|why| why.contains(says)), "{import}");
        }
        assert!(
            check(&["scout:plugin/files@0.9.0"]).is_err_and(|why| why.starts_with("is built for scout:plugin 0.9.0"))
        );
        let many: Vec<String> = (0..50).map(|n| format!("a:b/c{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(check(&many).is_err_and(|why| why.contains("`a:b/c11` and 38 more, which")));
    }
}
