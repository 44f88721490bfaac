//! The settings of a host as a dial heeds them: those of ssh_config, and where Scout has its own in their place, that.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use scout_ssh::HostSpec;
use scout_ssh::config::{Explained, Setting, Source};
use serde_json::{Value, json};

use super::{at, place};
use crate::config::Config;

/// Of whom the settings are that replace those of ssh_config.
const KNOWN_HOSTS: &str = "Scout's, by --known-hosts, SCOUT_KNOWN_HOSTS or known_hosts in scout.toml";
const CONNECTION_TIMEOUT: &str = "Scout's connection_timeout";
const KEEPALIVE: &str = "Scout's own without ServerAliveInterval";

/// A setting that a dial heeds.
pub(super) struct Effective<'a> {
    pub(super) keyword: &'static str,
    pub(super) value: Cow<'a, str>,
    /// The line that set it.
    source: Option<&'a Source>,
    /// What else makes it so; without it and without a line it is ssh's default.
    note: Option<String>,
}

impl Effective<'_> {
    /// Who set it, in words.
    pub(super) fn origin(&self) -> String {
        match (self.source, &self.note) {
            (source, None) => place(source),
            (None, Some(note)) => note.clone(),
            (Some(_), Some(note)) => format!("{}; {note}", place(self.source)),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"keyword": self.keyword, "value": self.value, "source": at(self.source), "note": self.note})
    }
}

/// All settings of a host that is dialled on the way to `target`, or is it.
pub(super) fn effective<'a>(config: &Config, explained: &'a Explained, target: &HostSpec) -> Vec<Effective<'a>> {
    let mut all: Vec<Effective<'a>> =
        explained.settings.iter().filter_map(|setting| of_the_file(config, setting)).collect();
    all.push(connect_timeout(config, explained, target));
    all.extend(keepalive(explained));
    all
}

/// The setting as ssh_config has it; absent if what a dial heeds follows.
fn of_the_file<'a>(config: &Config, setting: &'a Setting) -> Option<Effective<'a>> {
    let Setting { keyword, value, source } = setting;
    let replaced = |files: &[PathBuf]| {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let value = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
        Some(Effective { keyword, value: value.into(), source: None, note: Some(KNOWN_HOSTS.to_owned()) })
    };
    match (*keyword, &config.dial.known_hosts) {
        ("ConnectTimeout" | "ServerAliveInterval" | "ServerAliveCountMax", _) => None,
        ("UserKnownHostsFile", Some(files)) => replaced(files),
        ("GlobalKnownHostsFile", Some(_)) => replaced(&[]),
        _ => Some(Effective { keyword, value: value.into(), source: source.as_ref(), note: None }),
    }
}

/// One limit holds for the whole way: the target's.
fn connect_timeout<'a>(config: &Config, explained: &'a Explained, target: &HostSpec) -> Effective<'a> {
    let limit = config.dial.connect_limit(target);
    let effective = |source, note| Effective { keyword: "ConnectTimeout", value: seconds(limit).into(), source, note };
    if !std::ptr::eq(&explained.spec, target) {
        return effective(None, Some(format!("of the whole way to {}", target.alias)));
    }
    let source = source_of(explained, "ConnectTimeout");
    match target.connect_timeout {
        // Zero is ssh's word for no limit of its own.
        None => effective(None, Some(CONNECTION_TIMEOUT.to_owned())),
        Some(own) if own > limit => {
            effective(source, Some(format!("not the {} s that stand there: no dial takes longer", seconds(own))))
        }
        Some(_) if limit > config.call_timeout() => {
            effective(source, Some(format!("a call waits {} s at most", seconds(config.call_timeout()))))
        }
        Some(_) => effective(source, None),
    }
}

fn keepalive(explained: &Explained) -> Vec<Effective<'_>> {
    let (interval_at, max_at) =
        (source_of(explained, "ServerAliveInterval"), source_of(explained, "ServerAliveCountMax"));
    let of = |keyword, value: String, source, note: Option<&str>| {
        let note = note.map(str::to_owned);
        Effective { keyword, value: value.into(), source, note }
    };
    // Without questions nothing counts them.
    let Some((interval, max)) = explained.spec.keepalive() else {
        return vec![of("ServerAliveInterval", "0".to_owned(), interval_at, None)];
    };
    let is_own = explained.spec.server_alive_interval.is_none();
    let note = is_own.then_some(KEEPALIVE);
    let max_at = if is_own { None } else { max_at };
    vec![
        of("ServerAliveInterval", seconds(interval), interval_at, note),
        of("ServerAliveCountMax", max.to_string(), max_at, note),
    ]
}

fn source_of<'a>(explained: &'a Explained, keyword: &str) -> Option<&'a Source> {
    explained.settings.iter().find(|setting| setting.keyword == keyword).and_then(|setting| setting.source.as_ref())
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
