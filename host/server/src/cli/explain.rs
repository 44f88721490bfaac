//! `scout explain HOST`: every effective setting with the line that set it, the way to the host, the identities in
//! order, and what known_hosts says of it.
//!
//! Looks at files and asks the agent. Connects to no host.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use scout_ssh::config::{Explained, Proxy, Source};
use scout_ssh::trust::{Entry, KnownHosts, Meaning, known_as};
use scout_ssh::{HostSpec, KeyFileState, agent_keys, inspect_key_file};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{failed, print};
use crate::config::{Config, ConfigError, did_you_mean, near, with_hint};
use crate::render::visible;

/// An agent answers at once, or waits for a person who is not there.
const AGENT: Duration = Duration::from_secs(2);

pub(super) async fn run(config: &Config, host: &str, json: bool) -> Result<ExitCode, ConfigError> {
    let ssh = config.ssh()?;
    let explained = match ssh.explain(host) {
        Ok(explained) => explained,
        Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
    };
    let names = ssh.hosts();
    let mut all = Vec::new();
    for (hop, is_last) in way(&explained) {
        all.push(match Report::of(config, hop, is_last).await {
            Ok(report) => report,
            Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
        });
    }
    let Some((target, hops)) = all.split_last() else { return Ok(failed("there is no host to explain")) };
    if json {
        let mut value = target.json();
        if let Value::Object(fields) = &mut value {
            fields.insert("listed".to_owned(), names.iter().any(|name| name == host).into());
            fields.insert("hops".to_owned(), hops.iter().map(Report::json).collect());
        }
        print(&format!("{value:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    let name = target.explained.spec.alias.as_str();
    let mut text = target.text(name, hops.len());
    if !names.iter().any(|name| name == host) {
        let near = near(host, names.iter().map(String::as_str));
        let file = config.ssh_config.display();
        text.push_str(&format!(
            "No Host line of {file} names it, so clients are not offered it{}\n",
            did_you_mean(&near)
        ));
    }
    for (hop, number) in hops.iter().zip(1..) {
        text.push_str(&format!("\nHop {number}: {}", hop.text(name, 0)));
    }
    print(&visible(&text));
    Ok(ExitCode::SUCCESS)
}

/// The hosts on the way, then the host itself.
fn way(explained: &Explained) -> impl Iterator<Item = (&Explained, bool)> {
    explained.hops.iter().map(|hop| (hop, false)).chain([(explained, true)])
}

/// What there is to say of one host.
struct Report<'a> {
    explained: &'a Explained,
    identities: Vec<(&'a Path, Option<&'a Source>, KeyFileState)>,
    /// The fingerprints of the agent's keys, or why they are not to be had; absent if there is no agent.
    agent: Option<Result<Vec<String>, String>>,
    /// The name and port by which known_hosts knows the host.
    known_as: (String, u16),
    entries: Vec<Entry>,
    is_target: bool,
}

impl<'a> Report<'a> {
    async fn of(config: &Config, explained: &'a Explained, is_target: bool) -> Result<Self, scout_ssh::SshError> {
        let spec = &explained.spec;
        let mut sources = explained.settings.iter().filter(|setting| setting.keyword == "IdentityFile");
        let identities = spec.identity_files.iter().map(|file| {
            let source = sources.next().and_then(|setting| setting.source.as_ref());
            (file.as_path(), source, inspect_key_file(file, spec.required_rsa_bits))
        });
        let identities = identities.collect();
        let agent = match &spec.agent {
            Some(socket) => Some(agent_keys(socket, Instant::now() + AGENT).await),
            None => None,
        };
        let files: Vec<&Path> = config.pool.known_hosts_of(spec).all().collect();
        let known_as = known_as(spec);
        let entries = KnownHosts::load(&files)?.entries(&known_as.0, known_as.1);
        Ok(Self { explained, identities, agent, known_as, entries, is_target })
    }

    fn in_agent(&self, state: &KeyFileState) -> bool {
        match (&self.agent, &state.fingerprint) {
            (Some(Ok(keys)), Some(fingerprint)) => keys.contains(fingerprint),
            _ => false,
        }
    }

    /// Of the agent's keys, those that no identity file names.
    fn other_agent_keys(&self) -> Vec<&str> {
        let Some(Ok(keys)) = &self.agent else { return Vec::new() };
        let is_named = |key: &String| self.identities.iter().any(|(.., state)| state.fingerprint.as_ref() == Some(key));
        keys.iter().filter(|key| !is_named(key)).map(String::as_str).collect()
    }

    /// `target`: the host that is reached over `hops` hosts, this one or one behind it.
    fn text(&self, target: &str, hops: usize) -> String {
        let mut text = String::new();
        match self.write(&mut text, target, hops) {
            // Writing to a String does not fail.
            Ok(()) | Err(std::fmt::Error) => text,
        }
    }

    fn write(&self, text: &mut String, target: &str, hops: usize) -> std::fmt::Result {
        let HostSpec { alias, user, host_name, port, proxy, .. } = &self.explained.spec;
        writeln!(text, "{alias} is {user}@{host_name}:{port}, reached {}", reached(proxy, hops, self.is_target))?;
        let settings = &self.explained.settings;
        let width = settings.iter().map(|setting| setting.keyword.len()).max().unwrap_or(0);
        for setting in settings {
            writeln!(text, "  {:width$}  {}  ({})", setting.keyword, setting.value, place(setting.source.as_ref()))?;
        }
        writeln!(text, "Identities:")?;
        for (file, _, state) in &self.identities {
            writeln!(text, "  {}  {}", file.display(), self.judgement(state))?;
        }
        match &self.agent {
            None => writeln!(text, "  no agent")?,
            Some(Err(why)) => writeln!(text, "  the agent {why}")?,
            Some(Ok(_)) if self.explained.spec.identities_only => {
                writeln!(text, "  the agent's other keys are not offered: IdentitiesOnly")?;
            }
            Some(Ok(_)) => {
                for key in self.other_agent_keys() {
                    writeln!(text, "  agent key {key}")?;
                }
            }
        }
        let (name, port) = &self.known_as;
        writeln!(text, "Known as {name}, port {port}:")?;
        for entry in &self.entries {
            let Entry { source, meaning, key_type, fingerprint } = entry;
            writeln!(text, "  {} {key_type} {fingerprint}  ({})", words(*meaning), place(Some(source)))?;
        }
        if !self.is_known() {
            // A hop may have another user or port than the host of its name: it is asked for on the way to the target.
            writeln!(
                text,
                "  no line vouches for it: unknown; after checking its fingerprint, `scout trust {target}`"
            )?;
        }
        Ok(())
    }

    fn judgement(&self, state: &KeyFileState) -> String {
        let in_agent = self.in_agent(state);
        let own = match state {
            KeyFileState { exists: false, .. } => "absent",
            KeyFileState { is_encrypted: true, .. } if in_agent => "encrypted",
            KeyFileState { is_encrypted: true, .. } => {
                "encrypted: load it into the agent, or configure a secret command"
            }
            KeyFileState { hindrance: Some(_), .. } if in_agent => "public half",
            KeyFileState { hindrance: Some(why), .. } => why,
            KeyFileState { hindrance: None, .. } => "readable",
        };
        let own = if state.is_too_short { "not offered: RSA of fewer bits than RequiredRSASize" } else { own };
        let mut text = own.to_owned();
        if in_agent {
            text.push_str(", the agent holds it");
        }
        if let Some(fingerprint) = &state.fingerprint {
            text.push_str(&format!("  {fingerprint}"));
        }
        text
    }

    /// Whether a key or an authority is known for the host, which it may show.
    fn is_known(&self) -> bool {
        self.entries.iter().any(|entry| entry.meaning != Meaning::Revoked)
    }

    fn json(&self) -> Value {
        let spec = &self.explained.spec;
        let at = |source: Option<&Source>| match source {
            Some(source) => json!({"file": source.file.display().to_string(), "line": source.line}),
            None => Value::Null,
        };
        let settings = self.explained.settings.iter().map(
            |setting| json!({"keyword": setting.keyword, "value": setting.value, "source": at(setting.source.as_ref())}),
        );
        let identities = self.identities.iter().map(|(file, source, state)| {
            json!({
                "file": file.display().to_string(),
                "source": at(*source),
                "exists": state.exists,
                "encrypted": state.is_encrypted,
                "in_agent": self.in_agent(state),
                "hindrance": state.hindrance,
                "too_short": state.is_too_short,
                "fingerprint": state.fingerprint,
            })
        });
        let entries = self.entries.iter().map(|entry| {
            json!({
                "meaning": words(entry.meaning),
                "key_type": entry.key_type,
                "fingerprint": entry.fingerprint,
                "source": at(Some(&entry.source)),
            })
        });
        let agent = match &self.agent {
            None => Value::Null,
            Some(Ok(keys)) => json!({"keys": keys, "error": null}),
            Some(Err(why)) => json!({"keys": [], "error": why}),
        };
        json!({
            "host": spec.alias,
            "settings": settings.collect::<Value>(),
            "identities": identities.collect::<Value>(),
            "agent": agent,
            "known_hosts": {
                "name": self.known_as.0,
                "port": self.known_as.1,
                "known": self.is_known(),
                "lines": entries.collect::<Value>(),
            },
        })
    }
}

fn reached(proxy: &Proxy, hops: usize, is_target: bool) -> String {
    match proxy {
        Proxy::Command(_) => "through a command".to_owned(),
        Proxy::Jump(_) if hops == 1 => "through one host, which is explained below".to_owned(),
        Proxy::Jump(_) => format!("through {hops} hosts, which are explained below"),
        Proxy::Direct if is_target => "directly".to_owned(),
        // The first one is, each other one through those before it.
        Proxy::Direct => "on the way".to_owned(),
    }
}

fn place(source: Option<&Source>) -> String {
    source.map_or_else(|| "default".to_owned(), |source| format!("{}:{}", source.file.display(), source.line))
}

fn words(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::HostKey => "key",
        Meaning::Authority => "authority",
        Meaning::Revoked => "revoked",
    }
}
