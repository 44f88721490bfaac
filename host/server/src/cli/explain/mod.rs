//! `scout explain HOST`: every effective setting with what set it, the way to the host, the public keys in the order in
//! which they are offered, and what a dial makes of the host's key.
//!
//! Looks at files and asks the agent. Connects to no host.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{HashAlg, PublicKey};
use scout_machine::HostError;
use scout_runtime::grants::Place;
use scout_ssh::config::{Explained, Methods, Proxy, Source, StrictHostKeyChecking};
use scout_ssh::trust::{Decision, Entry, MayShow, Meaning, Verdict};
use scout_ssh::{Ahead, Authority, HostSpec, Offer, OfferSigner, Offers, TrustAhead, offers, trust_ahead};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::settings::{Effective, effective};
use super::{failed, print};
use crate::config::{Config, ConfigError, HostConfig, HostLimit, did_you_mean, near, with_hint};
use crate::status_file::serving;
use scout_machine::visible;

mod settings;

/// An agent answers at once, or waits for a person who is not there.
const AGENT: Duration = Duration::from_secs(2);

pub(super) async fn run(config: &Config, host: &str, json: bool) -> Result<ExitCode, ConfigError> {
    if let Some(place) = config.hosts.get(host).and_then(HostConfig::local) {
        return explain_local(config, host, place, json);
    }
    let ssh = config.ssh()?;
    let explained = match ssh.explain(host) {
        Ok(explained) => explained,
        Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
    };
    let names = ssh.names();
    let mut all = Vec::new();
    for stop in explained.hops.iter().chain([&explained]) {
        all.push(match Report::of(config, stop, &explained).await {
            Ok(report) => report,
            Err(error) => return Ok(failed(&with_hint(error.message(), error.hint()))),
        });
    }
    let Some((target, hops)) = all.split_last() else { return Ok(failed("there is no host to explain")) };
    let limits = config.command_limits(host);
    let shells = Shells::of(config, host)?;
    let (tags, groups) = config.labels(host);
    if json {
        let mut value = target.json();
        if let Value::Object(fields) = &mut value {
            fields.insert("tags".to_owned(), texts(&tags));
            fields.insert("groups".to_owned(), texts(&groups));
            fields.insert("command_limits".to_owned(), limits.iter().map(limit_json).collect());
            fields.insert("persistent_shells".to_owned(), shells.json());
            fields.insert("sudo".to_owned(), root_json(config, host));
            fields.insert("listed".to_owned(), names.find(host).is_some().into());
            fields.insert("hops".to_owned(), hops.iter().map(Report::json).collect());
        }
        print(&format!("{value:#}"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = target.text(hops.len());
    text.push_str(&labels_text(&tags, &groups));
    text.push_str(&limits_text(&limits));
    text.push_str(&shells.text());
    text.push_str(&root_text(config, host));
    if names.find(host).is_none() {
        let near = near(host, names.iter().map(|name| &**name));
        let file = config.ssh_config.display();
        text.push_str(&format!(
            "No Host line of {file} names it, so clients are not offered it{}\n",
            did_you_mean(&near)
        ));
    }
    for (hop, number) in hops.iter().zip(1..) {
        text.push_str(&format!("\nHop {number}: {}", hop.text(0)));
    }
    print(&visible(&text));
    Ok(ExitCode::SUCCESS)
}

/// A host that is this machine: no settings of ssh_config, no key, nobody to trust.
fn explain_local(config: &Config, host: &str, place: &Place, json: bool) -> Result<ExitCode, ConfigError> {
    let record = config.fleet()?.get(host);
    let user = record.and_then(|record| record.location().ok()).map(|location| location.user).unwrap_or_default();
    let limits = config.command_limits(host);
    let (tags, groups) = config.labels(host);
    if json {
        let limits: Vec<Value> = limits.iter().map(limit_json).collect();
        let value = json!({"host": host, "transport": "local", "set_by": place.to_string(), "user": user,
            "tags": texts(&tags), "groups": texts(&groups), "command_limits": limits, "sudo": root_json(config, host),
            "listed": true, "hops": []});
        print(&format!("{value:#}"));
    } else {
        let (labels, limits) = (labels_text(&tags, &groups), limits_text(&limits));
        let root = root_text(config, host);
        let text = format!("{host} is this machine ({place}), used as {user}, without SSH\n{labels}{limits}{root}");
        print(&visible(&text));
    }
    Ok(ExitCode::SUCCESS)
}

fn texts(texts: &[Arc<str>]) -> Value {
    texts.iter().map(|text| &**text).collect()
}

/// The tags and groups of a host, if it has some.
fn labels_text(tags: &[Arc<str>], groups: &[Arc<str>]) -> String {
    let line = |what: &str, labels: &[Arc<str>]| match labels {
        [] => String::new(),
        labels => format!("{what}: {}\n", labels.join(", ")),
    };
    line("Tags", tags) + &line("Groups", groups)
}

fn limits_text(limits: &[HostLimit]) -> String {
    let mut text = "Each process of a command may take there, where the host's ulimit has it:\n".to_owned();
    for limit in limits {
        let origin = limit.place.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string);
        text.push_str(&format!("  {:9}  {limit}  ({origin})\n", limit.key));
    }
    text
}

/// What runs as root on a host.
fn root_text(config: &Config, host: &str) -> String {
    let rows = config.as_root(host).map(|limit| limit.rules).unwrap_or_default();
    let rows: Vec<_> = rows.iter().map(|rule| format!("  sudo {}  ({})\n", rule.text, rule.place)).collect();
    if rows.is_empty() { String::new() } else { format!("What runs there as root:\n{}", rows.concat()) }
}

fn root_json(config: &Config, host: &str) -> Value {
    let rows = config.as_root(host).map(|limit| limit.rules).unwrap_or_default();
    rows.iter().map(|rule| json!({"row": rule.value.words(), "place": rule.place.to_string()})).collect()
}

/// Whether commands that only read share shells that stay on a host.
struct Shells<'a> {
    wanted: bool,
    place: Option<&'a Place>,
    /// The processes that have found out that none can stay there, and why.
    found: Vec<(u32, String)>,
}

impl<'a> Shells<'a> {
    fn of(config: &'a Config, host: &'a str) -> Result<Self, ConfigError> {
        let (wanted, place) = config.persistent_shells(host);
        let dir = config.serving_dir();
        let processes = serving(&dir).map_err(|error| ConfigError::new(format!("{}: {error}", dir.display())))?;
        let found = processes.into_iter().filter_map(|process| {
            let why = process.numbers.hosts_without_shells.get(host)?;
            Some((process.pid, why.clone()))
        });
        Ok(Self { wanted, place, found: found.collect() })
    }

    fn text(&self) -> String {
        let origin = self.place.map_or_else(|| "default".to_owned(), ToString::to_string);
        let mut text = match self.wanted {
            true => format!("Commands that only read share shells that stay there, where that can be ({origin})\n"),
            false => format!("Each command has a session of its own there ({origin})\n"),
        };
        for (pid, why) in &self.found {
            text.push_str(&format!("  it cannot be, as the `scout serve` with process id {pid} has found: {why}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let found = self.found.iter().map(|(pid, why)| json!({"pid": pid, "why": why}));
        json!({"wanted": self.wanted, "place": self.place.map(ToString::to_string), "cannot_be": found.collect::<Vec<_>>()})
    }
}

fn limit_json(limit: &HostLimit) -> Value {
    let HostLimit { key, bound, place } = limit;
    json!({"key": key, "bound": bound, "place": place.as_ref().map(ToString::to_string)})
}

/// What there is to say of one host.
struct Report<'a> {
    spec: &'a HostSpec,
    /// The host that is reached over this one, or this one.
    target: &'a HostSpec,
    explained: &'a Explained,
    settings: Vec<Effective<'a>>,
    /// What certifies whoever asks, in the place of what is offered.
    authority: Option<&'a Authority>,
    offers: Offers,
    trust: TrustAhead,
}

impl<'a> Report<'a> {
    async fn of(config: &'a Config, explained: &'a Explained, target: &'a Explained) -> Result<Self, HostError> {
        let (spec, target) = (&explained.spec, &target.spec);
        Ok(Self {
            spec,
            target,
            explained,
            settings: effective(config, explained, target),
            authority: config.dial.authority.as_ref(),
            offers: offers(spec, &config.dial, Instant::now() + AGENT).await,
            trust: trust_ahead(spec, &config.dial).await?,
        })
    }

    /// The line that names a file of keys or certificates.
    fn source_of(&self, file: &Path) -> Option<&'a Source> {
        let name = file.display().to_string();
        let mut settings = self.explained.settings.iter();
        let names = ["IdentityFile", "CertificateFile"];
        settings.find(|one| names.contains(&one.keyword) && one.value == name).and_then(|one| one.source.as_ref())
    }

    /// `hops`: how many hosts this one is reached through.
    fn text(&self, hops: usize) -> String {
        let mut text = String::new();
        match self.write(&mut text, hops) {
            // Writing to a String does not fail.
            Ok(()) | Err(std::fmt::Error) => text,
        }
    }

    fn write(&self, text: &mut String, hops: usize) -> std::fmt::Result {
        let HostSpec { alias, user, host_name, port, .. } = self.spec;
        writeln!(text, "{alias} is {user}@{host_name}:{port}, reached {}", self.reached(hops))?;
        let width = self.settings.iter().map(|setting| setting.keyword.len()).max().unwrap_or(0);
        for setting in &self.settings {
            writeln!(text, "  {:width$}  {}  ({})", setting.keyword, setting.value, setting.origin())?;
        }
        self.write_offers(text)?;
        self.write_trust(text)
    }

    fn write_offers(&self, text: &mut String) -> std::fmt::Result {
        if let Some(authority) = self.authority {
            return writeln!(
                text,
                "A certificate for whoever asks, signed with {}, and no other key: [ssh_ca] of scout.toml",
                authority.key.display()
            );
        }
        match never_offered(&self.spec.methods) {
            Some(why) => writeln!(text, "Public keys, none of them offered: {why}")?,
            None => writeln!(text, "Public keys, in the order in which they are offered:")?,
        }
        if self.offers.list.is_empty() {
            writeln!(text, "  none")?;
        }
        for offer in &self.offers.list {
            writeln!(text, "  {}", self.offer(offer))?;
        }
        for (file, why) in &self.offers.unread {
            writeln!(text, "  {}  not offered: {why}  ({})", file.display(), place(self.source_of(file)))?;
        }
        match &self.offers.agent {
            None => writeln!(text, "  no agent"),
            Some(Err(why)) => writeln!(text, "  the agent {why}"),
            Some(Ok(())) if self.spec.identities_only => {
                writeln!(text, "  whatever else the agent holds is not offered: IdentitiesOnly")
            }
            Some(Ok(())) => Ok(()),
        }?;
        self.offers.notes.iter().try_for_each(|note| writeln!(text, "  {note}"))
    }

    fn offer(&self, offer: &Offer) -> String {
        let Offer { file, configured, is_certificate, key_type, fingerprint, signer, is_encrypted, hindrance } = offer;
        let mut text = file.as_ref().map_or_else(|| "of the agent".to_owned(), |file| file.display().to_string());
        if let (Some(key_type), Some(fingerprint)) = (key_type, fingerprint) {
            let what = if *is_certificate { "certificate of " } else { "" };
            text.push_str(&format!("  {what}{key_type} {fingerprint}"));
        }
        text.push_str(&match (hindrance, signer) {
            (Some(why), _) => format!("  not offered: {why}"),
            (None, Some(OfferSigner::Agent)) => "  the agent signs".to_owned(),
            (None, _) if *is_encrypted => "  encrypted, the secret command is asked".to_owned(),
            (None, _) => "  readable".to_owned(),
        });
        if let Some(configured) = configured {
            text.push_str(&format!("  ({})", place(self.source_of(configured))));
        }
        text
    }

    fn write_trust(&self, text: &mut String) -> std::fmt::Result {
        let TrustAhead { name, port, entries, decisions, .. } = &self.trust;
        writeln!(text, "Known as {name}, port {port}:")?;
        for entry in entries {
            let Entry { source, meaning, is_without_port, key_type, fingerprint } = entry;
            let (meaning, source) = (words(*meaning), place(Some(source)));
            let named = if *is_without_port { ", without the port" } else { "" };
            writeln!(text, "  {meaning} {key_type} {fingerprint}  ({source}{named})")?;
        }
        if entries.is_empty() {
            writeln!(text, "  no line names it: unknown")?;
        }
        writeln!(text, "StrictHostKeyChecking {}, so if it shows", strict(self.spec))?;
        for (shown, ahead) in decisions {
            writeln!(text, "  {}: {}", what(shown), self.made_of_it(ahead))?;
        }
        Ok(())
    }

    fn made_of_it(&self, ahead: &Ahead) -> String {
        let at = |source: &Source| place(Some(source));
        let Ahead::Decided(decision) = ahead else {
            return "refused, RSA of fewer bits than RequiredRSASize".to_owned();
        };
        match decision {
            Decision::Trusted(source) => format!("accepted, {}", at(source)),
            Decision::Learn => match &self.trust.learn_into {
                Some(file) => format!("accepted, and learned into {}", file.display()),
                None => "accepted".to_owned(),
            },
            Decision::Localhost => "accepted, by NoHostAuthenticationForLocalhost".to_owned(),
            Decision::Unsafe(verdict) => format!("accepted, though {}; it gets no password", found(verdict)),
            Decision::Refused(Verdict::Unknown | Verdict::Known(_)) if self.trust.learn_into.is_none() => {
                "refused, unknown, and there is no known_hosts file to add it to".to_owned()
            }
            // A hop may have another user or port than the host of its name: it is asked for on the way to the target.
            Decision::Refused(Verdict::Unknown | Verdict::Known(_)) => {
                format!("refused, unknown; after checking its fingerprint, `scout trust {}`", self.target.alias)
            }
            Decision::Refused(verdict) => format!("refused, {}", found(verdict)),
        }
    }

    fn reached(&self, hops: usize) -> String {
        match &self.spec.proxy {
            Proxy::Command(_) => "through a command".to_owned(),
            Proxy::Jump(_) if hops == 1 => "through one host, which is explained below".to_owned(),
            Proxy::Jump(_) => format!("through {hops} hosts, which are explained below"),
            Proxy::Direct if std::ptr::eq(self.spec, self.target) => "directly".to_owned(),
            // The first one is, each other one through those before it.
            Proxy::Direct => "on the way".to_owned(),
        }
    }

    fn json(&self) -> Value {
        let identity = |offer: &Offer| {
            json!({
                "file": offer.file.as_ref().map(|file| file.display().to_string()),
                "source": offer.configured.as_ref().map_or(Value::Null, |file| at(self.source_of(file))),
                "certificate": offer.is_certificate,
                "key_type": offer.key_type,
                "fingerprint": offer.fingerprint,
                "signer": match offer.signer {
                    Some(OfferSigner::Agent) => Some("agent"),
                    Some(OfferSigner::File) => Some("file"),
                    None => None,
                },
                "encrypted": offer.is_encrypted,
                "hindrance": offer.hindrance.as_deref().or_else(|| never_offered(&self.spec.methods)),
            })
        };
        let unread = self.offers.unread.iter().map(|(file, why)| {
            json!({"file": file.display().to_string(), "source": at(self.source_of(file)), "hindrance": why})
        });
        let lines = self.trust.entries.iter().map(|entry| {
            json!({
                "meaning": words(entry.meaning),
                "without_port": entry.is_without_port,
                "key_type": entry.key_type,
                "fingerprint": entry.fingerprint,
                "source": at(Some(&entry.source)),
            })
        });
        json!({
            "host": self.spec.alias,
            "settings": self.settings.iter().map(Effective::json).collect::<Value>(),
            "certified_by": self.authority.map(|authority| authority.key.display().to_string()),
            "identities": self.offers.list.iter().map(identity).collect::<Value>(),
            "unread": unread.collect::<Value>(),
            "agent": self.offers.agent.as_ref().map(|agent| json!({"error": agent.as_ref().err()})),
            "notes": self.offers.notes,
            "known_hosts": {
                "name": self.trust.name,
                "port": self.trust.port,
                "lines": lines.collect::<Value>(),
                "strict_host_key_checking": strict(self.spec),
                "learn_into": self.trust.learn_into.as_ref().map(|file| file.display().to_string()),
                "decisions": self.trust.decisions.iter().map(decision_json).collect::<Value>(),
            },
        })
    }
}

/// Why no public key is offered at all.
fn never_offered(methods: &Methods) -> Option<&'static str> {
    let is_preferred = |names: &Vec<String>| names.iter().any(|name| name == "publickey");
    match methods {
        Methods { public_key: false, .. } => Some("PubkeyAuthentication is off"),
        Methods { order: Some(names), .. } if !is_preferred(names) => {
            Some("PreferredAuthentications does not name publickey")
        }
        Methods { .. } => None,
    }
}

fn decision_json((shown, ahead): &(MayShow, Ahead)) -> Value {
    let (shows, key) = match shown {
        MayShow::Key(key) => ("key", Some(key)),
        MayShow::CertifiedBy(key) => ("certificate", Some(key)),
        MayShow::OtherKey => ("other", None),
    };
    let (decision, because) = match ahead {
        Ahead::TooShort => ("refuse", None),
        Ahead::Decided(Decision::Localhost) => ("accept", None),
        Ahead::Decided(Decision::Trusted(source)) => ("accept", Some(Verdict::Known(source.clone()))),
        Ahead::Decided(Decision::Learn) => ("learn", Some(Verdict::Unknown)),
        Ahead::Decided(Decision::Unsafe(verdict)) => ("accept without passwords", Some(verdict.clone())),
        Ahead::Decided(Decision::Refused(verdict)) => ("refuse", Some(verdict.clone())),
    };
    let (because, source) = match &because {
        None if *ahead == Ahead::TooShort => ("too short", None),
        None => ("localhost", None),
        Some(Verdict::Unknown) => ("unknown", None),
        Some(Verdict::Known(source)) => ("known", Some(source)),
        Some(Verdict::Changed(source)) => ("changed", Some(source)),
        Some(Verdict::Revoked(source)) => ("revoked", Some(source)),
    };
    json!({
        "shows": shows,
        "key_type": key.map(|key| key.algorithm().to_string()),
        "fingerprint": key.map(fingerprint),
        "decision": decision,
        "because": because,
        "source": at(source),
    })
}

fn what(shown: &MayShow) -> String {
    match shown {
        MayShow::Key(key) => format!("{} {}", key.algorithm(), fingerprint(key)),
        MayShow::CertifiedBy(key) => format!("a certificate of {} {}", key.algorithm(), fingerprint(key)),
        MayShow::OtherKey => "any other key".to_owned(),
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn found(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Known(source) => format!("{} vouches for it", place(Some(source))),
        Verdict::Unknown => "it is unknown".to_owned(),
        Verdict::Changed(source) => format!("{} holds another key", place(Some(source))),
        Verdict::Revoked(source) => format!("{} revokes it", place(Some(source))),
    }
}

fn strict(spec: &HostSpec) -> &'static str {
    match spec.strict_host_key_checking {
        StrictHostKeyChecking::Yes => "yes",
        StrictHostKeyChecking::AcceptNew => "accept-new",
        StrictHostKeyChecking::No => "no",
    }
}

fn words(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::HostKey => "key",
        Meaning::Authority => "authority",
        Meaning::Revoked => "revoked",
    }
}

fn place(source: Option<&Source>) -> String {
    source.map_or_else(|| "default".to_owned(), |source| format!("{}:{}", source.file.display(), source.line))
}

fn at(source: Option<&Source>) -> Value {
    match source {
        Some(source) => json!({"file": source.file.display().to_string(), "line": source.line}),
        None => Value::Null,
    }
}
