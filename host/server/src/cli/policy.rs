//! `scout policy`: what a plugin may do on a host, which line decides, and a team's own table of that.
//!
//! Asks the same function as every call does, with the same rights. Connects to no host.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use scout_machine::RemotePath;
use scout_runtime::grants::{Action, CallRights, DeclaredEffect, Denial, Limit, Permit, Place, Reason, decide};
use scout_runtime::policy::{self as exec, Pipeline, Stage, Word};
use scout_runtime::{Called, Effect, Fleet, HostRecord, LoadError, Plugin, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use super::print;
use crate::config::{Config, ConfigError, did_you_mean, near};
use crate::files;
use crate::plugins::{Plugins, Reading};
use crate::tenant;
use scout_machine::visible;

// The parser of the plugin `command` itself: what is explained is what would run.
#[path = "../../../../plugins/command/src/lex.rs"]
mod lex;

/// The largest table of cases, in bytes.
const MAX_TABLE: u64 = 4 << 20;

const OPERATIONS: &str = "An OPERATION is one of
  list                    see the host, and whether it answers
  read:/etc/fstab         look at a file or directory
  copy:/srv/a             copy it to somewhere else
  write:/srv/in/a         write what is copied from somewhere else
  run:df -h | sort        run a command in the home directory, read as the plugin `command` reads it
  run@/var/log:ls -l      run it in another directory
  shell                   run a free script
  keep                    keep something of it from one call to the next";

/// What can be asked of policy.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether a plugin may do something, which line decides, and what narrower thing is allowed
    #[command(after_help = OPERATIONS)]
    Explain {
        /// A plugin: hosts, file, dir, command, or a [plugins.NAME]
        plugin: String,
        /// A name of ssh_config
        host: Option<String>,
        /// What it would do there
        operation: Option<String>,
        /// One of the plugin's tools, or a template of its resources as `docker://{host}`; without, each of its tools
        #[arg(long)]
        tool: Option<String>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a table of cases; exits with 1 if one is decided otherwise than it expects
    #[command(
        after_help = "The table:\n  [[case]]\n  plugin = \"logs\"\n  tool = \"logs\"                   # if it has tools\n  host = \"web1\"\n  operation = \"read:/etc/shadow\"  # as for explain\n  expect = \"deny\"                 # or \"allow\"\n  because = \"secret paths\"        # a part of what explain says; may be left out"
    )]
    Test {
        /// The table
        cases: PathBuf,
    },
}

pub(super) async fn run(config: &Config, command: PolicyCommand) -> Result<ExitCode, ConfigError> {
    let (fleet, plugins) = (config.fleet()?, Plugins::start(config, Reading::strict(config)?));
    let evaluator = PolicyEvaluator { config, fleet, plugins: loaded(&plugins).await };
    match command {
        PolicyCommand::Explain { plugin, host, operation, tool, json } => {
            let plugin = evaluator.plugin(&plugin)?;
            let tools = evaluator.tools(plugin, tool.as_deref())?;
            let host = host.as_deref().map(|host| evaluator.host(host)).transpose()?;
            let operation = operation.as_deref().map(PolicyQuestion::parse).transpose().map_err(ConfigError::new)?;
            let explained: Vec<Explained> = tools
                .iter()
                .map(|tool| evaluator.explain(plugin, tool.as_deref(), host.as_ref(), operation.as_ref()))
                .collect();
            if json {
                print(&format!("{:#}", Value::Array(explained.iter().map(Explained::json).collect())));
            } else {
                print(&visible(&explained.iter().map(Explained::text).collect::<Vec<_>>().join("\n")));
            }
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test { cases } => evaluator.test(&cases),
    }
}

/// An operation as people write it.
enum PolicyQuestion {
    See,
    Read(RemotePath),
    Copy(RemotePath),
    Write(RemotePath),
    Run(Pipeline),
    /// A command that is no pipeline: how it is told.
    Script(String),
    Shell,
    Keep,
}

impl PolicyQuestion {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "list" => Ok(Self::See),
            None if text == "shell" => Ok(Self::Shell),
            None if text == "keep" => Ok(Self::Keep),
            Some(("read", path)) if !path.is_empty() => Ok(Self::Read(parsed(path)?)),
            Some(("copy", path)) if !path.is_empty() => Ok(Self::Copy(parsed(path)?)),
            Some(("write", path)) if !path.is_empty() => Ok(Self::Write(parsed(path)?)),
            Some(("run", command)) => Self::command(command, None),
            Some((run, command)) if run.starts_with("run@/") || run.starts_with("run@~") => {
                Self::command(command, run.strip_prefix("run@").map(parsed).transpose()?)
            }
            _ => Err(format!("`{text}` is not an operation. {OPERATIONS}")),
        }
    }

    fn command(command: &str, directory: Option<RemotePath>) -> Result<Self, String> {
        match lex::pipeline(command, lex::Tilde::of(directory.as_ref().map(RemotePath::bytes))) {
            Ok(stages) => Ok(Self::Run(Pipeline { stages, directory })),
            Err(lex::NotAPipeline::NeedsShell(lex::Construct { written, called })) => {
                Ok(Self::Script(format!("run `{command}` as a script (`{written}`, {called}, needs a shell)")))
            }
            Err(lex::NotAPipeline::Malformed(why)) => Err(format!("`{command}` is not a command: {why}")),
        }
    }

    fn operation(&self) -> Action<'_> {
        match self {
            Self::See => Action::See,
            Self::Read(path) => Action::Read(path),
            Self::Copy(path) => Action::Copy(path),
            Self::Write(path) => Action::Write(path),
            Self::Run(pipeline) => Action::Run(pipeline),
            Self::Script(_) | Self::Shell => Action::Shell,
            Self::Keep => Action::Keep,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::See => "see it".to_owned(),
            Self::Read(path) => format!("read {}", String::from_utf8_lossy(path.bytes())),
            Self::Copy(path) => format!("copy {}", String::from_utf8_lossy(path.bytes())),
            Self::Write(path) => format!("write {}", String::from_utf8_lossy(path.bytes())),
            Self::Run(pipeline) => {
                let words = |stage: &Stage| {
                    let texts = stage.words.iter().map(|word| match word {
                        Word::Literal(text) | Word::Glob(text) => text.as_str(),
                    });
                    texts.collect::<Vec<_>>().join(" ")
                };
                format!("run {}", pipeline.stages.iter().map(words).collect::<Vec<_>>().join(" | "))
            }
            Self::Script(told) => told.clone(),
            Self::Keep => "keep something of it".to_owned(),
            Self::Shell => "run a free script".to_owned(),
        }
    }
}

fn parsed(path: &str) -> Result<RemotePath, String> {
    RemotePath::parse(path).map_err(|error| error.message().to_owned())
}

/// What is needed to judge.
struct PolicyEvaluator<'a> {
    config: &'a Config,
    fleet: Arc<Fleet>,
    plugins: Vec<Result<Plugin, LoadError>>,
}

/// All plugins, once every one of them serves or cannot.
async fn loaded(plugins: &Plugins) -> Vec<Result<Plugin, LoadError>> {
    let mut loaded = Vec::new();
    for subject in Subject::mains() {
        loaded.push(plugins.for_subject(subject).await.map(|loaded| loaded.plugin().clone()));
    }
    let catalog = plugins.catalog().await;
    loaded.extend(catalog.tools().iter().map(|tool| Ok(tool.plugin().clone())));
    loaded.extend(catalog.resources().iter().map(|resources| Ok(resources.plugin().clone())));
    loaded.extend(catalog.refused().iter().cloned().map(Err));
    loaded
}

impl PolicyEvaluator<'_> {
    fn plugin(&self, name: &str) -> Result<&Plugin, ConfigError> {
        let named = |plugin: &Result<Plugin, LoadError>| match plugin {
            Ok(plugin) => plugin.id().as_str().to_owned(),
            Err(error) => error.plugin.clone(),
        };
        match self.plugins.iter().find(|plugin| named(plugin) == name) {
            Some(Ok(plugin)) => Ok(plugin),
            Some(Err(error)) => Err(ConfigError::new(error.to_string())),
            None => {
                let mut names: Vec<String> = self.plugins.iter().map(named).collect();
                names.dedup();
                let near = did_you_mean(&near(name, names.iter().map(String::as_str)));
                Err(ConfigError::new(format!("no plugin is named `{name}`{near}")))
            }
        }
    }

    /// The tools and templates of resources that are asked about; `None` for a handler.
    fn tools(&self, plugin: &Plugin, tool: Option<&str>) -> Result<Vec<Option<String>>, ConfigError> {
        let templates = || plugin.templates().iter().map(|template| template.uri.text());
        let names = || plugin.tools().iter().map(|tool| tool.name.as_str()).chain(templates());
        match tool {
            Some(tool) if !names().any(|name| name == tool) => {
                let near = did_you_mean(&near(tool, names()));
                Err(ConfigError::new(format!("plugin `{}` has no tool `{tool}`{near}", plugin.id().as_str())))
            }
            Some(tool) => Ok(vec![Some(tool.to_owned())]),
            None if names().next().is_none() => Ok(vec![None]),
            None => {
                let tools = if plugin.tools().is_empty() { names().count() } else { plugin.tools().len() };
                Ok(names().take(tools).map(|name| Some(name.to_owned())).collect())
            }
        }
    }

    fn host(&self, name: &str) -> Result<HostRecord, ConfigError> {
        self.fleet.get(name).ok_or_else(|| {
            let near = did_you_mean(&near(name, self.fleet.names().iter().map(|host| &**host)));
            ConfigError::new(format!("{} has no host `{name}`{near}", self.config.ssh_config.display()))
        })
    }

    fn explain(
        &self,
        plugin: &Plugin,
        tool: Option<&str>,
        host: Option<&HostRecord>,
        operation: Option<&PolicyQuestion>,
    ) -> Explained {
        let access = self.fleet.access();
        let template = plugin.templates().iter().find(|template| Some(template.uri.text()) == tool);
        let called = match (tool, template) {
            (_, Some(template)) => Called::Resource(&template.name),
            (Some(tool), None) => Called::Tool(tool),
            (None, None) => Called::Query,
        };
        let rights = plugin.rights(access, &tenant::local_principal(), called);
        let subject = match &rights.effect {
            Some(DeclaredEffect { of, name, effect }) => {
                let effect = match effect {
                    Effect::Read => "read",
                    Effect::Exec => "exec",
                    Effect::Write => "write",
                };
                format!("{}, {of} `{name}` ({effect})", plugin.id().as_str())
            }
            None => plugin.id().as_str().to_owned(),
        };
        let verdicts = match (host, operation) {
            (Some(host), Some(asked)) => {
                let judged = decide(&rights, host.target(access), asked.operation());
                vec![Verdict { what: format!("{} on {}", asked.words(), host.name), judged, is_asked: true }]
            }
            (Some(host), None) => {
                let named = rights.names(host.target(access)).map(permitted);
                let mut verdicts =
                    vec![Verdict { what: format!("name {}", host.name), judged: named, is_asked: false }];
                verdicts.extend(interfaces(&rights));
                verdicts
            }
            (None, _) => interfaces(&rights),
        };
        let limits = if operation.is_none() { limits(&rights) } else { Vec::new() };
        Explained { subject, verdicts, limits }
    }

    fn test(&self, path: &Path) -> Result<ExitCode, ConfigError> {
        let refuse = |why: String| ConfigError::new(format!("{}{why}", path.display()));
        let bytes = files::read_own(path, MAX_TABLE).map_err(|error| refuse(format!(" cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| refuse(" is not UTF-8".to_owned()))?;
        let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let table: Table = toml::from_str(&text).map_err(|error| {
            refuse(format!(":{}: {}", line(error.span().map_or(0, |span| span.start)), error.message()))
        })?;
        let mut report = String::new();
        let mut differ = 0_usize;
        for case in &table.case {
            let place = line(case.span().start);
            let case = case.get_ref();
            let at = |error: ConfigError| refuse(format!(":{place}: {error}"));
            let plugin = self.plugin(&case.plugin).map_err(at)?;
            let tools = self.tools(plugin, case.tool.as_deref()).map_err(at)?;
            let [tool] = tools.as_slice() else {
                return Err(refuse(format!(
                    ":{place}: plugin `{}` has several tools: name one with `tool`",
                    case.plugin
                )));
            };
            let host = self.host(&case.host).map_err(at)?;
            let asked = PolicyQuestion::parse(&case.operation).map_err(|why| refuse(format!(":{place}: {why}")))?;
            let explained = self.explain(plugin, tool.as_deref(), Some(&host), Some(&asked));
            let is_allowed = explained.verdicts.iter().all(|verdict| verdict.judged.is_ok());
            let text = explained.text();
            let is_expected = is_allowed == (case.expect == Expect::Allow)
                && case.because.as_ref().is_none_or(|because| text.contains(because.as_str()));
            if !is_expected {
                differ += 1;
                let because = case.because.as_ref().map(|part| format!(", because {part:?}")).unwrap_or_default();
                let expect = if case.expect == Expect::Allow { "allow" } else { "deny" };
                report.push_str(&format!("{}:{place}: expected {expect}{because}; it is\n{text}\n", path.display()));
            }
        }
        report.push_str(&format!("{} cases, {differ} decided otherwise than expected", table.case.len()));
        print(&visible(&report));
        Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A team's table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Spanned<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    plugin: String,
    tool: Option<String>,
    host: String,
    operation: String,
    expect: Expect,
    because: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

/// What there is to say of a plugin, or of one of its tools.
struct Explained {
    subject: String,
    verdicts: Vec<Verdict>,
    /// The keys that limit it, where no operation is asked about.
    limits: Vec<(String, String)>,
}

struct Verdict {
    what: String,
    judged: Result<Permit, Denial>,
    /// Whether an operation was asked about, not only a name or an interface.
    is_asked: bool,
}

fn permitted(reasons: Vec<Reason>) -> Permit {
    Permit { reasons, ..Permit::default() }
}

/// Each interface that takes a grant.
fn interfaces(rights: &CallRights) -> Vec<Verdict> {
    let (home, nothing) = (RemotePath::home(), Pipeline { stages: Vec::new(), directory: None });
    let operations = [Action::See, Action::Read(&home), Action::Run(&nothing), Action::Shell];
    let verdict = |operation: &Action<'_>| Verdict {
        what: format!("use `{}`", operation.interface()),
        judged: rights.reaches(*operation).map(|()| Permit::default()),
        is_asked: false,
    };
    operations.iter().map(verdict).collect()
}

/// The keys that are set, with their place.
fn limits(rights: &CallRights) -> Vec<(String, String)> {
    fn texts<T>(limit: &Limit<T>) -> String {
        let rules: Vec<&str> = limit.rules.iter().map(|rule| &*rule.text).collect();
        if rules.is_empty() { "none".to_owned() } else { rules.join(", ") }
    }
    let mut said = Vec::new();
    for (whose, rights) in [("plugin", &rights.operator), ("principal", &rights.tenant)] {
        let mut say = |place: &Place, key: &str, rules: String| {
            said.push((place.to_string(), format!("{key} of the {whose}: {rules}")));
        };
        if let Some(limit) = &rights.hosts {
            say(&limit.place, "hosts", texts(limit));
        }
        if let Some(limit) = &rights.paths {
            let links =
                if rights.follow_links_out { "; links may lead out" } else { "; links that lead out are refused" };
            say(&limit.place, "paths", texts(limit) + links);
        }
        if let Some(limit) = &rights.commands {
            say(&limit.place, "commands", texts(limit));
        }
        if let Some((addresses, place)) = &rights.addresses {
            say(place, "addresses", if *addresses { "told" } else { "not told" }.to_owned());
        }
    }
    said
}

impl Explained {
    fn text(&self) -> String {
        let mut text = String::new();
        for verdict in &self.verdicts {
            let word = if verdict.judged.is_ok() { "allowed" } else { "denied" };
            text.push_str(&format!("{}: {}: {word}\n", self.subject, verdict.what));
            for line in verdict.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        for (place, rule) in &self.limits {
            text.push_str(&format!("  {place}: {rule}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let verdicts = self.verdicts.iter().map(|verdict| match &verdict.judged {
            Ok(permit) => json!({
                "operation": verdict.what,
                "allowed": true,
                "by": permit.reasons.iter().map(reason_json).collect::<Value>(),
                "notes": verdict.notes(permit),
            }),
            Err(denial) => json!({
                "operation": verdict.what,
                "allowed": false,
                "by": [reason_json(&denial.reason)],
                "because": denial.refusal.to_string(),
                "instead": denial.refusal.instead,
            }),
        });
        let limits = self.limits.iter().map(|(place, rule)| json!({"place": place, "rule": rule}));
        json!({"plugin": self.subject, "verdicts": verdicts.collect::<Value>(), "limits": limits.collect::<Value>()})
    }
}

impl Verdict {
    fn lines(&self) -> Vec<String> {
        match &self.judged {
            Ok(permit) => {
                let mut lines: Vec<String> =
                    permit.reasons.iter().map(|reason| format!("by {}", told(reason))).collect();
                lines.extend(self.notes(permit));
                lines
            }
            Err(denial) => {
                let mut lines = vec![format!("decided by {}", told(&denial.reason)), denial.refusal.to_string()];
                lines.extend(denial.refusal.instead.as_ref().map(|instead| format!("allowed: {instead}")));
                lines
            }
        }
    }

    /// What else must be true, or is not seen to.
    fn notes(&self, permit: &Permit) -> Vec<String> {
        let mut notes = Vec::new();
        if !permit.within.is_everything() {
            notes.push(format!(
                "if on the host it truly lies in {}: a link that leads out is refused",
                permit.granted_paths()
            ));
        }
        if permit.is_lexical {
            notes.push(
                "of a command's paths only the text is seen: links, and programs that descend, may lead out".to_owned(),
            );
        }
        if self.is_asked && permit.reasons.is_empty() {
            notes.push(
                "no key of scout.toml limits it; the host's command policy and the secret paths allow it".to_owned(),
            );
        }
        notes
    }
}

fn told(reason: &Reason) -> String {
    let place = reason.place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
    let rule = reason.rule.as_ref().map(|rule| format!(": {rule}")).unwrap_or_default();
    format!("{}{place}{rule}", reason.source)
}

fn reason_json(reason: &Reason) -> Value {
    json!({
        "source": reason.source.to_string(),
        "place": reason.place.as_ref().map(ToString::to_string),
        "rule": reason.rule.as_deref(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;
    use scout_runtime::policy::StderrTo;

    #[test]
    fn a_command_is_what_the_plugin_would_run() {
        let run = |text: &str| match PolicyQuestion::parse(text).unwrap() {
            PolicyQuestion::Run(pipeline) => {
                pipeline.stages.into_iter().map(|stage| (stage.words, stage.stderr)).collect()
            }
            _ => Vec::new(),
        };
        let literal = |text: &str| Word::Literal(text.to_owned());
        assert_eq!(
            run("run:grep 'a | b' ~/log/*.log 2>/dev/null|wc -l a[bc"),
            [
                (vec![literal("grep"), literal("a | b"), Word::Glob("log/*.log".to_owned())], StderrTo::Discard),
                (vec![literal("wc"), literal("-l"), literal("a[bc")], StderrTo::Capture),
            ]
        );
        assert!(matches!(PolicyQuestion::parse("run:echo \"$HOME\""), Ok(PolicyQuestion::Script(_))));
        assert!(matches!(PolicyQuestion::parse("run@~/x:cat ~/y"), Ok(PolicyQuestion::Script(_))));
        assert_eq!(
            PolicyQuestion::parse("run:a; b").unwrap().words(),
            "run `a; b` as a script (`;`, a sequence, needs a shell)"
        );
        for text in ["run:", "run:a |", "run:| a", "run:a 'b"] {
            assert!(PolicyQuestion::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_operation_is_read_strictly() {
        assert!(
            matches!(PolicyQuestion::parse("read:/a:b"), Ok(PolicyQuestion::Read(path)) if path.bytes() == b"/a:b")
        );
        let run = PolicyQuestion::parse("run@/var/log:ls -l").unwrap();
        assert!(
            matches!(&run, PolicyQuestion::Run(Pipeline { directory: Some(directory), .. }) if directory.bytes() == b"/var/log")
        );
        for text in ["", "read", "read:", "writes:/x", "write:", "copy:", "run:", "shell:x", "run@x:ls"] {
            assert!(PolicyQuestion::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_tables_of_the_documentation_are_understood() {
        let pages = crate::documents::manual();
        let blocks = pages.iter().flat_map(crate::documents::Page::blocks);
        let mut cases = 0;
        for block in blocks.filter(|block| block.is_toml() && block.text.contains("[[case]]")) {
            let table: Table = toml::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
            for case in &table.case {
                cases += 1;
                assert!(PolicyQuestion::parse(&case.get_ref().operation).is_ok(), "{}", case.get_ref().operation);
            }
        }
        assert!(cases >= 2, "{cases}");
    }
}
