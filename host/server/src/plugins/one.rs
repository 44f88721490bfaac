//! One plugin by itself, for the commands that try and test plugins.

use std::path::Path;
use std::sync::Arc;

use scout_runtime::{LoadError, Plugin};

use super::bundled::bundled;
use super::loaded::{Identity, Loaded};
use super::wanted::Reading;
use super::{Catalog, Resources, Tool};
use crate::config::{Config, ConfigError, did_you_mean, near};
use crate::files;

/// A component's bytes: of a file, if `plugin` has a `/` or ends in `.wasm`, else of the plugin that `scout.toml` names so
/// or Scout brings along, vetted as `scout serve` does it. Blocks, for a network too.
///
/// # Errors
/// A file that cannot be read, and a name that there is not.
pub(crate) fn component(config: &Config, plugin: &str) -> Result<Vec<u8>, ConfigError> {
    let path = Path::new(plugin);
    if plugin.contains('/') || path.extension().is_some_and(|extension| extension == "wasm") {
        return files::read_component(path).map_err(|why| ConfigError::new(format!("{}: {why}", path.display())));
    }
    let all = Reading::new(config)?.into_wanted();
    let names: Vec<String> = all.iter().map(|known| known.name.clone()).collect();
    match all.into_iter().find(|known| known.name == plugin) {
        Some(known) => {
            let bytes = known.component?.take_bytes().map_err(ConfigError::new)?;
            Ok(bytes.into_owned())
        }
        None => match bundled(plugin) {
            Some(bundled) => Ok(bundled.component.to_vec()),
            None => Err(unknown(plugin, names.iter().map(String::as_str))),
        },
    }
}

/// The configuration with this plugin and no other of its own.
///
/// # Errors
/// A name that it does not have.
pub(crate) fn only(config: &Config, plugin: &str) -> Result<Config, ConfigError> {
    if !config.plugins.contains_key(plugin) {
        return Err(unknown(plugin, config.plugins.keys().map(String::as_str)));
    }
    let mut config = config.clone();
    config.plugins.retain(|name, _| name == plugin);
    Ok(config)
}

fn unknown<'a>(plugin: &str, names: impl Iterator<Item = &'a str>) -> ConfigError {
    let near = did_you_mean(&near(plugin, names));
    ConfigError::new(format!("no plugin is named `{plugin}`{near}; scout.toml names one with [plugins.NAME]"))
}

/// A plugin's tools under their own names, and its resources.
///
/// # Errors
/// Why it cannot be offered.
pub(crate) async fn tools(plugin: Plugin, component: &[u8]) -> Result<Catalog, LoadError> {
    let identity = Identity::new(component, plugin.grants(), plugin.settings().clone());
    let loaded = Arc::new(Loaded::new(plugin, identity, Arc::default()).await?);
    let offered = Tool::all_of(&loaded, "").and_then(|tools| Ok((tools, Resources::of(&loaded)?)));
    match offered {
        Ok((tools, resources)) => Ok(Catalog::new(tools, resources.into_iter().collect(), Vec::new())),
        Err(message) => Err(LoadError { plugin: loaded.plugin().id().as_str().to_owned(), message }),
    }
}
