//! `scout plugin run`: one call of a tool, or one read of a resource, against real hosts, and its cassette.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use scout_runtime::cassette::{RecordedCall, RecordedQuestion, Recorder};
use scout_runtime::{CallContext, ResourceRequest};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::super::{failed, show, usage};
use crate::config::{Config, ConfigError, did_you_mean, near};
use crate::exit::Secrets;
use crate::files;
use crate::plugins::one;
use crate::plugins::{Catalog, Resources, Tool};
use crate::render::Reply;
use crate::router::{Caller, call_tool_in, read_in};
use crate::tenant::Tenant;

/// The shortest text that `--redact` takes out, in characters: a shorter one is everywhere.
const MIN_REDACTED: usize = 3;

/// What `scout plugin run` is told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A plugin of scout.toml
    plugin: String,
    /// One of its tools, without the prefix; or the URI of one of its resources
    tool: String,
    /// The tool's arguments, a JSON object
    #[arg(default_value = "{}")]
    arguments: String,
    /// Print the structured answer as JSON
    #[arg(long)]
    json: bool,
    /// Keep the call as a cassette: what hosts were asked and what they gave, without secrets
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Take this out of the cassette too, wherever it stands; may come several times
    #[arg(long, value_name = "TEXT", requires = "record", value_parser = redacted)]
    redact: Vec<String>,
}

fn redacted(text: &str) -> Result<String, String> {
    if text.chars().count() < MIN_REDACTED {
        return Err(format!("shorter than {MIN_REDACTED} characters: it would be found everywhere"));
    }
    Ok(text.to_owned())
}

pub(super) async fn run(config: &Config, given: Arguments) -> Result<ExitCode, ConfigError> {
    let fields: Map<String, Value> = match serde_json::from_str(&given.arguments) {
        Ok(fields) => fields,
        Err(error) => return Ok(usage(&format!("the arguments are not a JSON object: {error}"))),
    };
    if let Some(path) = given.record.as_deref().filter(|path| path.exists()) {
        return Ok(usage(&format!("{} is there already: remove it, or record under another name", path.display())));
    }
    let tenant = Tenant::local(&one::only(config, &given.plugin)?)?;
    let revision = tenant.revision();
    let catalog = revision.plugins.catalog().await;
    if let Some(error) = catalog.refused().first() {
        return Ok(failed(&error.to_string()));
    }
    let asked = match Question::find(&catalog, &given) {
        Ok(asked) => asked,
        Err(why) => return Ok(usage(&why)),
    };
    let cancel = CancellationToken::new();
    let caller = Caller::local(&tenant, cancel.clone());
    let principal = caller.principal().clone();
    let mut context = caller.context(&revision);
    if let Question::Tool(tool) = &asked
        && let Err(error) = tool.check_arguments(fields.clone(), &principal, &context.call).await
    {
        return Ok(usage(&error.message));
    }
    let recorder = match &given.record {
        Some(_) => {
            let recorder = recorder()?;
            recorder.attach(&mut context);
            Some(recorder)
        }
        None => None,
    };
    let answer = Box::pin(asked.ask(context, fields.clone(), revision.config().redact.into()));
    tokio::pin!(answer);
    let reply = tokio::select! {
        reply = &mut answer => reply,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            answer.await
        }
    };
    let code = show(&reply, given.json);
    let mut kept = Ok(());
    if let (Some(recorder), Some(path)) = (recorder, &given.record) {
        let (plugin, asked) = match &asked {
            Question::Tool(tool) => (tool.plugin(), RecordedQuestion::Tool { name: &given.tool, arguments: &fields }),
            Question::Resource(resources, _) => (resources.plugin(), RecordedQuestion::Resource { uri: &given.tool }),
        };
        let call = RecordedCall {
            plugin,
            asked,
            principal: &principal,
            fleet: &revision.fleet,
            limits: &revision.limits,
            redact: &given.redact,
        };
        kept = match recorder.finish(call).await.and_then(|cassette| cassette.print()) {
            Ok(text) => write_new(path, &text),
            Err(error) => Err(error.to_string()),
        };
    }
    tenant.pool().shutdown().await;
    Ok(match kept {
        Ok(()) => code,
        Err(why) => failed(&format!("nothing was recorded: {why}")),
    })
}

/// What is asked of the plugin.
enum Question<'a> {
    Tool(&'a Tool),
    Resource(&'a Resources, ResourceRequest),
}

impl<'a> Question<'a> {
    fn find(catalog: &'a Catalog, given: &Arguments) -> Result<Self, String> {
        let Arguments { plugin, tool, .. } = given;
        if let Some((scheme, _)) = tool.split_once("://") {
            let resources = catalog.scheme(scheme);
            let found = resources.and_then(|all| Some(Self::Resource(all, all.plugin().resource(tool)?)));
            return found.ok_or_else(|| {
                let templates = catalog.resources().iter().flat_map(|all| &all.templates);
                let templates: Vec<&str> = templates.map(|template| template.uri.as_str()).collect();
                format!("plugin `{plugin}` has no resource `{tool}`; its templates: {}", templates.join(" "))
            });
        }
        let names = || catalog.tools().iter().map(|tool| tool.shown.name.as_str());
        let found = catalog.tools().iter().find(|known| known.shown.name == *tool);
        found.map(|tool| Self::Tool(tool)).ok_or_else(|| {
            let near = did_you_mean(&near(tool, names()));
            format!("plugin `{plugin}` has no tool `{tool}`{near}")
        })
    }

    async fn ask(&self, context: CallContext, fields: Map<String, Value>, secrets: Secrets) -> Reply {
        match self {
            Self::Tool(tool) => call_tool_in(context, None, tool, fields, secrets).await,
            Self::Resource(resources, request) => read_in(context, None, resources, request.clone(), secrets).await,
        }
    }
}

/// The time of this call and a seed of its own.
fn recorder() -> Result<Recorder, ConfigError> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed =
        getrandom::u64().map_err(|error| ConfigError::new(format!("no random numbers are available: {error}")))?;
    Ok(Recorder::new(clock, seed))
}

/// The directory of a file, if it is not there.
fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => std::fs::create_dir_all(dir),
        None => Ok(()),
    }
}

/// Writes a file that was not there, and its directory. All of it or nothing.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let written = make_directory(path).and_then(|()| {
        files::beside(path, files::PRIVATE).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.persist_noclobber(path).map_err(|error| error.error)?;
            Ok(())
        })
    });
    written.map_err(|error| format!("{}: {error}", path.display()))
}
