//! `scout doctor`: what is configured, and the first trouble of each host, found by really logging in.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use scout_machine::Call;
use scout_runtime::policy::sudo;
use scout_runtime::{Fleet, HostRecord, Subject};
use scout_ssh::HostSpec;
use scout_ssh::local_file::{self, FileError};
use scout_ssh::trust::KnownHosts;

use super::print;
use crate::audit::{self, AuditMode};
use crate::config::{Config, ConfigError, with_hint};
use crate::plugins::{Plugins, Reading};
use crate::tenant;

/// Hosts that are tried at once.
const AT_ONCE: usize = 16;
/// Beyond what the dial may take, for the one look at the home directory.
const LOOK: Duration = Duration::from_secs(10);

pub(super) async fn run(config: &Config) -> Result<ExitCode, ConfigError> {
    let mut report = Report::default();
    report.say(match &config.file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration: defaults (no scout.toml)".to_owned(),
    });
    for warning in &config.warnings {
        report.trouble(warning);
    }
    let unrecorded = match config.audit {
        AuditMode::Strict => "",
        AuditMode::BestEffort => ", best-effort: a command that cannot be recorded runs all the same",
    };
    match audit::check(&config.audit_log) {
        Ok(()) => report.say(format!("audit log     {}{unrecorded}", config.audit_log.display())),
        Err(why) => report.trouble(&format!("{why}{unrecorded}")),
    }
    let plugins = Plugins::start(config, Reading::strict(config)?);
    for subject in Subject::mains() {
        match plugins.for_subject(subject).await {
            Ok(loaded) => {
                let plugin = loaded.plugin();
                let summary = plugin.handler().map(|handler| handler.summary.clone()).unwrap_or_default();
                report.say(format!("plugin        {:8} {summary}", plugin.id().as_str()));
            }
            Err(error) => report.trouble(&error.to_string()),
        }
    }
    let catalog = plugins.catalog().await;
    for tool in catalog.tools() {
        report.say(format!("plugin        {:8} tool `{}`", tool.plugin().id().as_str(), tool.name));
    }
    for error in catalog.refused() {
        report.trouble(&error.to_string());
    }
    let fleet = config.fleet()?;
    let local = config.hosts.iter().filter(|(_, table)| table.local().is_some()).count();
    let also = if local > 0 { format!(", of which {local} this machine, as scout.toml says") } else { String::new() };
    report.say(format!("hosts         {} in {}{also}", fleet.names().len(), config.ssh_config.display()));
    if fleet.names().is_empty() {
        report.trouble(
            "no host is configured; add `Host NAME` with HostName and User to ssh_config, or try `scout demo`",
        );
    }
    for (name, why) in config.ssh()?.left_out() {
        report.say(format!("left out      {name}: {why}"));
    }
    report.agents(&fleet);
    report.known_hosts(config, &fleet);
    report.secret_command(config);
    let checks = stream::iter(fleet.hosts()).map(|host| check(Arc::clone(&fleet), host, config));
    let results: Vec<(String, Result<String, String>)> = checks.buffered(AT_ONCE).collect().await;
    let width = results.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, result) in results {
        match result {
            Ok(good) => report.say(format!("{name:width$}  {good}")),
            Err(why) => report.trouble(&format!("{name:width$}  {why}")),
        }
    }
    report.as_root(&fleet).await;
    fleet.pool().shutdown().await;
    Ok(report.finish())
}

/// Logs in and looks at the home directory, as a real request would.
async fn check(fleet: Arc<Fleet>, host: HostRecord, config: &Config) -> (String, Result<String, String>) {
    let told = |error: scout_machine::HostError| with_hint(error.message(), error.hint());
    let looked = async {
        let spec = host.looked_up().await.transpose().map_err(told)?;
        let dial = spec.as_ref().map(|spec| config.dial.connect_limit(spec)).unwrap_or_default();
        let call = Call::until(tokio::time::Instant::now() + dial + LOOK);
        spec.as_ref().map_or(Ok(()), |spec| missing_key(spec))?;
        let begun = Instant::now();
        fleet.look_at_home(&host, &tenant::local_principal(), &call).await.map_err(told)?;
        let took = begun.elapsed();
        Ok(match spec {
            Some(spec) => {
                format!("{}@{}:{} answers, logged in and looked in {took:.0?}", spec.user, spec.host_name, spec.port)
            }
            None => "is this machine, looked in its home directory".to_owned(),
        })
    };
    let result = looked.await;
    (host.name.to_string(), result)
}

/// The line of sudoers that allows a row on a host.
async fn sudoers(fleet: &Fleet, host: &HostRecord, call: &Call, row: &[String]) -> Result<String, NoLine> {
    let program = row.first().map(String::as_str).unwrap_or_default();
    let found = fleet.find_program(host, &tenant::local_principal(), call, program).await;
    let Some(path) = found.map_err(|_| NoLine::Host)? else {
        return Err(NoLine::Row(format!("{program} is not there, in {}", sudo::PLACES.join(", "))));
    };
    let account = host.location().map_err(|_| NoLine::Host)?.user;
    sudo::sudoers(&account, &path, row).ok_or_else(|| {
        NoLine::Row(format!("the account `{account}` or the path `{path}` cannot be written into sudoers as it is"))
    })
}

/// Why there is no line of sudoers for a row.
enum NoLine {
    /// The host is not reached.
    Host,
    /// Of what was found there.
    Row(String),
}

/// The settings of all hosts over SSH that can be evaluated.
fn specs(fleet: &Fleet) -> Vec<Arc<HostSpec>> {
    fleet.hosts().filter_map(|host| host.spec()?.ok()).collect()
}

/// A key file that is configured and cannot be read; a default one may be absent.
fn missing_key(spec: &HostSpec) -> Result<(), String> {
    if spec.identity_files_are_default {
        return Ok(());
    }
    for file in &spec.identity_files {
        if let Err(error) = local_file::open(file) {
            return Err(format!("IdentityFile {}: {error}", file.display()));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Report {
    text: String,
    troubles: usize,
}

impl Report {
    fn say(&mut self, line: String) {
        self.text.push_str(&format!("  ok    {line}\n"));
    }

    fn trouble(&mut self, line: &str) {
        self.troubles += 1;
        self.text.push_str(&format!("  !!    {line}\n"));
    }

    /// Agents that hosts name and nobody listens at. No agent at all is no trouble: there are key files.
    fn agents(&mut self, fleet: &Fleet) {
        let mut named: Vec<&std::path::Path> = Vec::new();
        let specs = specs(fleet);
        for spec in &specs {
            if let Some(path) = &spec.agent
                && !named.contains(&path.as_path())
            {
                named.push(path);
            }
        }
        for path in named {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => self.say(format!("agent         {}", path.display())),
                Err(error) => self.trouble(&format!("agent         {}: {error}", path.display())),
            }
        }
    }

    fn known_hosts(&mut self, config: &Config, fleet: &Fleet) {
        let mut files: Vec<&std::path::Path> = Vec::new();
        let specs = specs(fleet);
        // Those that the configuration names count for all hosts, also if there is none.
        let named = config.dial.known_hosts.iter().flatten().map(AsRef::as_ref);
        for file in named.chain(specs.iter().flat_map(|spec| config.dial.known_hosts_of(spec).all())) {
            if file.exists() && !files.contains(&file) {
                files.push(file);
            }
        }
        for file in files {
            // Not refused, as by ssh; what is refused has been.
            if let Err(error @ FileError::Exposed { .. }) = local_file::check(file) {
                self.trouble(&format!("known_hosts   {error}"));
            }
            match KnownHosts::load(&[file]) {
                Ok(known) if known.warnings().is_empty() => {
                    let others: Vec<_> =
                        known.other_kinds().map(|(kind, count)| format!("{count} of {kind}")).collect();
                    // A newer ssh writes such lines itself.
                    let note = match others.is_empty() {
                        true => String::new(),
                        false => format!(" (lines of kinds of keys that Scout does not have: {})", others.join(", ")),
                    };
                    self.say(format!("known_hosts   {}{note}", file.display()));
                }
                Ok(known) => known.warnings().iter().for_each(|warning| self.trouble(warning)),
                Err(error) => self.trouble(&with_hint(error.message(), error.hint())),
            }
        }
    }

    /// The lines of sudoers that let what may run as root, by host.
    async fn as_root(&mut self, fleet: &Fleet) {
        for host in fleet.hosts() {
            let (Some(limit), name) = (host.as_root(), host.name.to_string()) else { continue };
            let call = Call::until(tokio::time::Instant::now() + LOOK);
            for rule in &limit.rules {
                let row = rule.value.words();
                match sudoers(fleet, &host, &call, &row).await {
                    Ok(line) => self.say(format!(
                        "{name}  sudo {}: allowed there by this line of sudoers:\n          {line}",
                        rule.text
                    )),
                    Err(NoLine::Row(why)) => {
                        self.trouble(&format!("{name}  sudo {} ({}): {why}", rule.text, rule.place));
                    }
                    // What is amiss with it was told.
                    Err(NoLine::Host) => break,
                }
            }
        }
    }

    /// A program that is asked for passwords.
    fn secret_command(&mut self, config: &Config) {
        // What has no directory is looked for in those of PATH.
        let named = config.dial.secret_command.as_ref();
        let Some(program) = named.filter(|program| program.components().count() > 1) else { return };
        match local_file::check(program).and_then(|()| Ok(program.metadata()?)) {
            Ok(_) => self.say(format!("secrets from  {}", program.display())),
            Err(error) => self.trouble(&format!("secrets from  {}: {error}", program.display())),
        }
    }

    fn finish(self) -> ExitCode {
        let verdict = match self.troubles {
            0 => "everything is well".to_owned(),
            1 => "1 thing to see to".to_owned(),
            n => format!("{n} things to see to"),
        };
        print(&format!("{}{verdict}", self.text));
        if self.troubles == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
