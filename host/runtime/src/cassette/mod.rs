//! Cassettes: one call of a tool, or one read of a resource, as it was recorded against real hosts, to be played again without any.
//!
//! Owns what is recorded (the operations on hosts, beneath grants, budgets and the command policy), its file, what is taken
//! out of it, and the comparison of a replay with what was expected. Knows no command line and no paths: whoever records or
//! plays reads and writes the files. A cassette may come from anybody: it is bounded and checked, and playing one reaches no host.

mod bounded;
mod format;
mod rights;
mod scrub;
mod tape;
#[cfg(test)]
mod tests;
mod wasi;

use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Call, ErrorKind, HostError, Principal};
use scout_ssh::{Pool, PoolConfig};
use serde_json::{Map, Value};
use similar::TextDiffConfig;
use tokio::time::Instant;

use crate::grants::Action::See;
use crate::grants::{Access, HostRules, Limit, Root, decide};
use crate::policy::{PathPattern, SecretPaths};
use crate::state::shown;
use crate::{
    Answer, CallContext, CallError, Called, Content, Fleet, Grants, HostRecord, Limits, Location, Plugin, Receipt,
    ResourceRequest, Structured,
};
use format::{Attachment, Expect, File, Host, Text};
use tape::{Playing, Recording};
use wasi::Surroundings;

pub(crate) use format::Request;
pub(crate) use tape::{OnTape, Tape, pass};

/// How long a replay may take: it waits for nobody.
const REPLAY: Duration = Duration::from_secs(60);
/// Who asks in a replay.
const CALLER: &str = "replay";
/// The port that every host of a cassette has.
const PORT: u16 = 22;
/// The address of the machine that Scout ran on, which has none.
const LOCAL: &str = "local";
/// Unchanged lines round a difference.
const CONTEXT: usize = 3;
/// How long the smallest difference is looked for; a larger one is told after that.
const DIFFERENCE: Duration = Duration::from_secs(2);
/// Lines of a difference that are told.
const MAX_DIFFERENCE: usize = 200;

/// Why a cassette cannot be read, recorded or played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CassetteError(String);

impl CassetteError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// One recorded call.
#[derive(Clone, Debug, PartialEq)]
pub struct Cassette {
    file: File,
}

/// Records one call.
pub struct Recorder {
    recording: Arc<Recording>,
}

/// The call that was recorded.
pub struct RecordedCall<'a> {
    /// The plugin that was called.
    pub plugin: &'a Plugin,
    /// What of it.
    pub asked: RecordedQuestion<'a>,
    /// On whose behalf.
    pub principal: &'a Principal,
    /// The hosts that it could reach, and who may do what there.
    pub fleet: &'a Fleet,
    /// Its bounds.
    pub limits: &'a Limits,
    /// Texts that are taken out wherever they stand, beside what is known to be secret.
    pub redact: &'a [String],
}

/// What was asked of a plugin.
#[derive(Clone, Copy, Debug)]
pub enum RecordedQuestion<'a> {
    /// A tool was called.
    Tool {
        /// Under its own name.
        name: &'a str,
        /// With these arguments.
        arguments: &'a Map<String, Value>,
    },
    /// A resource was read.
    Resource {
        /// By this URI.
        uri: &'a str,
    },
}

impl Recorder {
    /// A recorder for one call. `clock` (seconds since 1970) and `seed` are what a WASI guest takes for the time and for
    /// randomness, in this call and whenever it is played.
    pub fn new(clock: u64, seed: u64) -> Self {
        Self { recording: Arc::new(Recording::new(Surroundings { clock, seed })) }
    }

    /// Has what a call asks of hosts recorded.
    pub fn attach(&self, context: &mut CallContext) {
        context.tape = Some(Tape::Recording(Arc::clone(&self.recording)));
    }

    /// The cassette of the call, once it has ended: scrubbed, and played once to see that it can be. What that replay
    /// answers is what is expected from then on: the live answer may hold what was taken out.
    ///
    /// # Errors
    /// An operation that had not ended, too much for a cassette, a replay that asks for something else than was recorded.
    pub async fn finish(self, call: RecordedCall<'_>) -> Result<Cassette, CassetteError> {
        let (operations, access) = (self.recording.operations()?, call.fleet.access());
        let (tool, uri, arguments) = match call.asked {
            RecordedQuestion::Tool { name, arguments } => (name.to_owned(), None, arguments.clone()),
            RecordedQuestion::Resource { uri } => (String::new(), Some(uri.to_owned()), Map::new()),
        };
        let request = uri.as_deref().map(|uri| resource(call.plugin, uri)).transpose()?;
        let hosts = {
            let state = self.recording.state();
            let called = match &request {
                Some(request) => Called::Resource(&request.template),
                None => Called::Tool(&tool),
            };
            let rights = call.plugin.rights(access, call.principal, called);
            let listed = |host: &HostRecord| state.listed && decide(&rights, host.target(access), See).is_ok();
            let seen = |host: &HostRecord| state.named.contains(&*host.name) || listed(host);
            let labels = |labels: &[Arc<str>]| labels.iter().map(|label| label.to_string()).collect();
            let texts = |limit: &Limit<Root>| limit.rules.iter().map(|rule| rule.text.to_string()).collect();
            let described = |host: HostRecord| {
                let rules = host.target(access).rules;
                Host {
                    tags: labels(&rules.tags),
                    groups: labels(&rules.groups),
                    writable: rules.writable.as_ref().map(texts),
                    sudo: rules.sudo.as_ref().map(rights::words),
                    is_exchange: rules.is_exchange,
                    ..Host::from(&host)
                }
            };
            let is_listed = |name: &String| call.fleet.names().find(name).is_some();
            let opened = state.named.iter().filter(|name| !is_listed(name)).filter_map(|name| call.fleet.get(name));
            let exchange = call.fleet.exchange().filter(|host| state.named.contains(&*host.name)).cloned();
            call.fleet.hosts().filter(seen).chain(opened).chain(exchange).map(described).collect()
        };
        let mut file = File {
            cassette: format::VERSION,
            plugin: call.plugin.id().as_str().to_owned(),
            tool,
            uri,
            arguments,
            settings: call.plugin.settings().clone(),
            grants: call.plugin.grants(),
            // Interfaces are what it was linked with.
            plugin_rights: format::Rights { grants: None, ..(&*access.plugin(call.plugin.id().as_str())).into() },
            caller_rights: (&*access.principal(call.principal)).into(),
            secret_paths: access.secrets.added(),
            readable_paths: access.secrets.readable(),
            limits: call.limits.into(),
            clock: self.recording.surroundings.clock,
            seed: self.recording.surroundings.seed,
            hosts,
            operations,
            expect: Expect::default(),
        };
        scrub::scrub(&mut file, call.fleet, call.redact)?;
        let mut cassette = Cassette { file };
        let replay = cassette.replay(&call.plugin.with_settings(cassette.settings().clone()), call.limits).await?;
        if !replay.faults.is_empty() {
            return Err(CassetteError::new(format!(
                "the call was recorded, but played again it asks for something else: it depends on what was taken out, or on what is in no cassette\n{}",
                replay.faults.join("\n")
            )));
        }
        cassette.expect(&replay);
        cassette.print()?;
        Ok(cassette)
    }
}

/// What came of playing a cassette.
pub struct Replay {
    /// As a caller would have got it.
    pub answer: Result<(Answer, Receipt), CallError>,
    /// What was asked for and is not in the cassette, and what is there and was not asked for. For people, escaped.
    pub faults: Vec<String>,
}

impl Cassette {
    /// Reads a cassette.
    ///
    /// # Errors
    /// What is none, is too large, or is of another version, with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, CassetteError> {
        format::parse(bytes).map(|file| Self { file })
    }

    /// The cassette as it is kept: JSON, the same for the same cassette.
    ///
    /// # Errors
    /// One that is too large.
    pub fn print(&self) -> Result<String, CassetteError> {
        format::print(&self.file)
    }

    /// The plugin that was recorded.
    pub fn plugin(&self) -> &str {
        &self.file.plugin
    }

    /// What was asked of it.
    pub fn asked(&self) -> RecordedQuestion<'_> {
        match &self.file.uri {
            Some(uri) => RecordedQuestion::Resource { uri },
            None => RecordedQuestion::Tool { name: &self.file.tool, arguments: &self.file.arguments },
        }
    }

    /// With these settings.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.file.settings
    }

    /// With these grants.
    pub fn grants(&self) -> Grants {
        self.file.grants
    }

    /// Plays it to a plugin that was loaded with its grants and settings. Reaches no host. `limits` bounds what the
    /// cassette does not say: CPU, memory, calls. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Hosts that there cannot be, and a resource that the plugin does not have. That something is missing or differs is no error: the replay says it.
    pub async fn replay(&self, plugin: &Plugin, limits: &Limits) -> Result<Replay, CassetteError> {
        let surroundings = Surroundings { clock: self.file.clock, seed: self.file.seed };
        let playing = Arc::new(Playing::new(surroundings, self.file.operations.clone()));
        let (mut hosts, mut exchange) = (Vec::new(), None);
        for host in &self.file.hosts {
            match host.is_exchange {
                true => exchange = Some(record(host)?),
                false => hosts.push(record(host)?),
            }
        }
        let fleet = Fleet::new(hosts, Pool::new(PoolConfig::default())).with_access(self.access(plugin)?);
        let fleet = Arc::new(fleet.with_exchange(exchange));
        let limits = Arc::new(self.file.limits.within(limits));
        let call = Call::until(Instant::now() + REPLAY);
        let mut context = CallContext::new(Principal::own(CALLER), fleet, limits, call);
        context.tape = Some(Tape::Playing(Arc::clone(&playing)));
        let answer = match self.asked() {
            RecordedQuestion::Tool { name, arguments } => {
                let arguments = serde_json::to_string(arguments)
                    .map_err(|error| CassetteError::new(format!("has arguments that cannot be written: {error}")))?;
                plugin.call_tool(context, name, &arguments).await
            }
            RecordedQuestion::Resource { uri } => plugin.read_resource(context, resource(plugin, uri)?).await,
        };
        let mut faults: Vec<String> =
            playing.played().missing.iter().map(|missing| format!("asked for: {missing}")).collect();
        faults.extend(playing.unused().iter().map(|unused| format!("recorded, but not asked for: {unused}")));
        Ok(Replay { answer, faults })
    }

    /// Who may do what, for this plugin, whatever name it goes by now.
    fn access(&self, plugin: &Plugin) -> Result<Access, CassetteError> {
        Ok(Access {
            plugins: [(plugin.id().as_str().to_owned(), self.file.plugin_rights.read()?)].into(),
            principals: [(CALLER.to_owned(), self.file.caller_rights.read()?)].into(),
            secrets: Arc::new(self.secrets()?),
            ..Access::default()
        })
    }

    fn secrets(&self) -> Result<SecretPaths, CassetteError> {
        let pattern = |text: &String| {
            PathPattern::parse(text)
                .map_err(|why| CassetteError::new(format!("has {text:?}, which is not a pattern of paths: {why}")))
        };
        let added = self.file.secret_paths.iter().map(|text| Ok((pattern(text)?, "the cassette".to_owned())));
        let readable = self.file.readable_paths.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(SecretPaths::new(added.collect::<Result<_, _>>()?, readable))
    }

    /// How an answer differs from the expected one, as lines that begin with `-` (expected), `+` (now) or a space.
    pub fn difference(&self, replay: &Replay) -> Option<String> {
        let now = Expect::from(&replay.answer);
        if now == self.file.expect {
            return None;
        }
        let lines = |expect| serde_json::to_string_pretty(expect).unwrap_or_default();
        let (expected, now) = (lines(&self.file.expect), lines(&now));
        let difference = TextDiffConfig::default().timeout(DIFFERENCE).diff_lines(&expected, &now);
        let mut unified = difference.unified_diff();
        let told = unified.context_radius(CONTEXT).missing_newline_hint(false).to_string();
        let mut lines: Vec<&str> = told.lines().take(MAX_DIFFERENCE).collect();
        if told.lines().nth(MAX_DIFFERENCE).is_some() {
            lines.push("…");
        }
        Some(lines.join("\n"))
    }

    /// Expects what this replay answered.
    pub fn expect(&mut self, replay: &Replay) {
        self.file.expect = Expect::from(&replay.answer);
    }
}

/// The resource of this URI.
fn resource(plugin: &Plugin, uri: &str) -> Result<ResourceRequest, CassetteError> {
    let why = || CassetteError::new(format!("reads `{}`, which is no resource of the plugin", shown(uri)));
    plugin.resource(uri).ok_or_else(why)
}

/// A host of which there is only what was recorded.
fn record(host: &Host) -> Result<HostRecord, CassetteError> {
    let location = match &host.trouble {
        Some(trouble) => Err(HostError::new(ErrorKind::Config, trouble.clone())),
        None => {
            let port = if host.address == LOCAL { 0 } else { PORT };
            Ok(Location { address: host.address.clone(), port, user: host.user.clone() })
        }
    };
    let labels = |labels: &[String]| labels.iter().map(|label| label.as_str().into()).collect();
    let (tags, groups, writable) = (labels(&host.tags), labels(&host.groups), rights::roots(host.writable.as_deref())?);
    let sudo = rights::commands(host.sudo.as_deref())?;
    let rules = HostRules { tags, groups, writable, sudo, is_exchange: host.is_exchange, ..HostRules::default() };
    Ok(HostRecord::recorded(&host.name, location, host.commands).with_rules(Arc::new(rules)))
}

impl From<&HostRecord> for Host {
    fn from(host: &HostRecord) -> Self {
        let (address, user, trouble) = match host.location() {
            Ok(Location { address, user, .. }) => (address, user, None),
            Err(error) => (String::new(), String::new(), Some(error.message().to_owned())),
        };
        Self {
            name: host.name.to_string(),
            address,
            user,
            trouble,
            tags: Vec::new(),
            groups: Vec::new(),
            writable: None,
            sudo: None,
            is_exchange: false,
            commands: host.commands,
        }
    }
}

impl From<&Limits> for format::Limits {
    fn from(limits: &Limits) -> Self {
        let Limits { file_bytes, output_bytes, dir_entries, answer_bytes, .. } = *limits;
        Self { file_bytes, output_bytes, dir_entries, answer_bytes }
    }
}

impl format::Limits {
    /// These, with the rest from others. No cassette holds more than its own size.
    fn within(self, rest: &Limits) -> Limits {
        let Self { file_bytes, output_bytes, dir_entries, answer_bytes } = self;
        Limits {
            file_bytes: file_bytes.min(format::MAX_BYTES),
            output_bytes: output_bytes.min(format::MAX_BYTES),
            dir_entries: dir_entries.min(format::MAX_BYTES),
            answer_bytes: answer_bytes.min(format::MAX_BYTES),
            ..rest.clone()
        }
    }
}

impl Default for Expect {
    fn default() -> Self {
        Self::Answer { content: Vec::new(), structured: None, attachments: Vec::new(), failure: None }
    }
}

impl From<&Result<(Answer, Receipt), CallError>> for Expect {
    fn from(answer: &Result<(Answer, Receipt), CallError>) -> Self {
        match answer {
            Ok((answer, _)) => Self::Answer {
                content: answer
                    .content
                    .iter()
                    .map(|content| match content {
                        Content::Text(text) => format::Content::Text(text.as_str().into()),
                        Content::Bytes(bytes) => format::Content::Blob(bytes.as_ref().into()),
                        Content::Image(bytes, _) => format::Content::Image(bytes.as_ref().into()),
                    })
                    .collect(),
                structured: answer.structured.clone().map(Structured::into_fields),
                attachments: answer
                    .attachments
                    .iter()
                    .map(|(field, value, encoding)| Attachment {
                        field: field.clone(),
                        value: value.as_ref().into(),
                        encoding: *encoding,
                    })
                    .collect(),
                failure: answer.failure.as_ref().map(|failure| format::Failed {
                    kind: failure.kind.clone().into_owned(),
                    message: failure.message.as_str().into(),
                    hint: failure.hint.as_deref().map(Text::from),
                }),
            },
            Err(error) => Self::Error {
                kind: error.kind,
                message: error.message.as_str().into(),
                hint: error.hint.as_deref().map(Text::from),
            },
        }
    }
}
