//! `scout plugin test`: recorded calls, played to a plugin without any host.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::Call;
use scout_runtime::cassette::{Cassette, RecordedQuestion};
use scout_runtime::{Limits, PluginId, Runtime, RuntimeConfig};
use tokio::time::Instant;

use super::super::{print, usage};
use crate::config::{Config, ConfigError, with_hint};
use crate::exit::Secrets;
use crate::files;
use crate::plugins::one;
use crate::tenant;
use scout_machine::visible;

/// Where cassettes are when nothing else is said.
const CASSETTES: &str = "cassettes";
/// The largest cassette, in bytes.
const MAX_READ: u64 = 16 << 20;

/// How long checking what a cassette says may take: it waits for nobody.
const CHECK: Duration = Duration::from_secs(60);
/// Room for calls; one is made after the other, and none has all of it.
const INSTANCES: u32 = 8;

/// What `scout plugin test` is told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A component's file, or a plugin of scout.toml
    plugin: String,
    /// Cassettes, or directories of them [default: cassettes]
    cassettes: Vec<PathBuf>,
    /// Expect from now on what the plugin answers now
    #[arg(long)]
    update: bool,
}

pub(super) async fn run(config: &Config, given: Arguments) -> Result<ExitCode, ConfigError> {
    let component: Arc<[u8]> = one::component(config, &given.plugin)?.into();
    let named = if given.cassettes.is_empty() { vec![PathBuf::from(CASSETTES)] } else { given.cassettes };
    let mut cassettes = Vec::new();
    for path in named {
        match cassettes_at(&path) {
            Ok(found) => cassettes.extend(found),
            Err(error) => return Ok(usage(&format!("{}: {error}", path.display()))),
        }
    }
    if cassettes.is_empty() {
        return Ok(usage("there are no cassettes: `scout plugin run … --record FILE.json` makes them"));
    }
    let engine =
        RuntimeConfig { max_instances: INSTANCES, memory: config.plugin_memory, cache_dir: config.cache_dir.clone() };
    let runtime = Runtime::new(engine).map_err(|error| ConfigError::new(error.to_string()))?;
    let bench = Bench { runtime, component, limits: config.limits.clone(), update: given.update };
    let mut failures = 0;
    for path in &cassettes {
        let shown = path.display().to_string();
        match bench.play(path).await {
            Ok(note) => print(&format!("ok      {}{note}", visible(&shown))),
            Err(why) => {
                failures += 1;
                print(&format!("FAILED  {}\n{}", visible(&shown), visible(&indented(&why))));
            }
        }
    }
    print(&format!("{} passed, {failures} failed", cassettes.len() - failures));
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cassettes of a directory in the order of their names, or the one of this name.
fn cassettes_at(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return path.metadata().map(|_| vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in path.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What cassettes are played to.
struct Bench {
    runtime: Runtime,
    component: Arc<[u8]>,
    limits: Limits,
    update: bool,
}

impl Bench {
    /// Plays one cassette: what is to be said of it, or why it failed.
    async fn play(&self, path: &Path) -> Result<&'static str, String> {
        let bytes = files::read_own(path, MAX_READ).map_err(|error| error.to_string())?;
        let mut cassette = Cassette::parse(&bytes).map_err(|error| error.to_string())?;
        let id = PluginId::new(cassette.plugin()).ok_or("names a plugin that cannot exist")?;
        let (grants, settings) = (cassette.grants(), cassette.settings().clone());
        let loaded = self.runtime.load(id, Arc::clone(&self.component), grants, settings).await;
        let plugin = loaded.map_err(|error| error.to_string())?;
        let catalog = one::tools(plugin.clone(), &self.component).await.map_err(|error| error.to_string())?;
        let (principal, call) = (tenant::local_principal(), Call::until(Instant::now() + CHECK));
        let tool = match cassette.asked() {
            RecordedQuestion::Tool { name, arguments } => {
                let tool = catalog.tool(name).ok_or_else(|| format!("the plugin has no tool `{name}`"))?;
                let checked = tool.check_arguments(arguments.clone(), &principal, &call).await;
                checked.map_err(|error| error.message)?;
                Some(tool)
            }
            RecordedQuestion::Resource { .. } => None,
        };
        let replay = cassette.replay(&plugin, &self.limits).await.map_err(|error| error.to_string())?;
        if !replay.faults.is_empty() {
            let faults = replay.faults.join("\n");
            // What the plugin gave up with often tells more.
            let ended = replay.answer.as_ref().err();
            let ended = ended
                .map(|error| format!("\nthe call ended with: {}", with_hint(&error.message, error.hint.as_deref())));
            return Err(format!("{faults}{}\nif the plugin is right, record the call anew", ended.unwrap_or_default()));
        }
        if let (Some(tool), Ok((answer, receipt))) = (tool, &replay.answer) {
            let replied = tool.reply((answer.clone(), Secrets::Shown), *receipt, &principal, &call).await;
            replied.map_err(|error| error.message)?;
        }
        match cassette.difference(&replay) {
            None => Ok(""),
            Some(_) if self.update => {
                cassette.expect(&replay);
                let text = cassette.print().map_err(|error| error.to_string())?;
                replace(path, &text).map_err(|error| error.to_string())?;
                Ok(" (updated)")
            }
            Some(difference) => {
                Err(format!("the answer differs (- expected, + now); if the new one is right: --update\n{difference}"))
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut file = files::beside(path, files::PRIVATE)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
