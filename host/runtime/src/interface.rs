//! What a component imports and exports by name, read from its bytes alone: nothing is compiled or run.

use wasmparser::{ComponentExternName, Encoding, Parser, Payload};

use crate::{Grants, imports, shape};

/// Names of one kind that are read.
const MAX_NAMES: usize = 1_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// The names at a component's outside. Untrusted text, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// In the component's order.
    pub imports: Vec<String>,
    /// In the component's order.
    pub exports: Vec<String>,
}

impl Interface {
    /// Reads a component's names. Whether the rest of it is valid is not known.
    ///
    /// # Errors
    /// Bytes that are no component, or too much of one, as the rest of a sentence that begins with the plugin's name.
    pub fn read(component: &[u8]) -> Result<Self, String> {
        shape::check(component)?;
        let broken = |error: wasmparser::BinaryReaderError| format!("is no component that can be read: {error}");
        let mut interface = Self::default();
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
                        keep(&mut interface.imports, "imports", &import.map_err(broken)?.name)?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        keep(&mut interface.exports, "exports", &export.map_err(broken)?.name)?;
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
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
