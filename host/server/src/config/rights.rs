//! The keys that limit who may do what: `[plugins.NAME]`, `[access.NAME]`, `[hosts.NAME]`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use scout_runtime::Grants;
use scout_runtime::grants::{Access, Argv, HostPattern, HostRules, Limit, Place, Rights, Root, Rule};
use scout_runtime::policy::{CommandPolicy, PathPattern, SecretPaths, sudo};
use scout_ssh::{HostNames, SshConfig};
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::file::{AccessTable, Commands, HostTable, TransportName};
use super::limits::{self, HostLimit, LimitKeys};
use super::{Config, ConfigError, did_you_mean, is_principal, near};
use crate::quotas::Quota;
use crate::tenant::LOCAL;

/// Rules of one key.
const MAX_RULES: usize = 256;
/// Directories of one key: the host is asked about each of them with every path.
pub(super) const MAX_ROOTS: usize = 32;

/// Where in scout.toml something is.
#[derive(Debug, Default)]
pub(super) struct Lines {
    path: PathBuf,
    /// Where lines end, in bytes.
    ends: Vec<usize>,
}

impl Lines {
    pub(super) fn new(path: PathBuf, text: &str) -> Self {
        Self { path, ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect() }
    }

    fn line<T>(&self, at: &Spanned<T>) -> usize {
        self.ends.partition_point(|end| *end < at.span().start) + 1
    }

    /// The file's own name and the line: messages with it reach models, which need not know where the file is.
    pub(super) fn place<T>(&self, at: &Spanned<T>) -> Place {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        Place::new(format!("{name}:{}", self.line(at)))
    }

    pub(super) fn refuse<T>(&self, at: &Spanned<T>, why: &str) -> ConfigError {
        ConfigError(format!("{}:{}: {why}", self.path.display(), self.line(at)))
    }
}

/// The keys that limit, as a table has them.
pub(super) struct Keys<'a> {
    pub(super) grants: Option<&'a Spanned<Grants>>,
    pub(super) hosts: Option<&'a Spanned<Vec<Spanned<String>>>>,
    pub(super) paths: Option<&'a Spanned<Vec<Spanned<String>>>>,
    pub(super) commands: Option<&'a Spanned<Vec<Spanned<Vec<String>>>>>,
    pub(super) follow_links_out: Option<&'a Spanned<bool>>,
    pub(super) addresses: Option<&'a Spanned<bool>>,
}

impl Keys<'_> {
    /// The rights that they come to.
    pub(super) fn rights(&self, lines: &Lines) -> Result<Rights, ConfigError> {
        if let (Some(key), None) = (self.follow_links_out, self.paths) {
            return Err(lines.refuse(key, "`follow_links_out` limits nothing without `paths` beside it"));
        }
        Ok(Rights {
            grants: self.grants.map(|key| (*key.get_ref(), lines.place(key))),
            hosts: limit(lines, self.hosts, MAX_RULES, |text| Ok((HostPattern::parse(text)?, text.clone())))?,
            paths: limit(lines, self.paths, MAX_ROOTS, |text| Ok((Root::parse(text.as_bytes())?, text.clone())))?,
            commands: limit(lines, self.commands, MAX_RULES, |words| Ok((Argv::parse(words)?, words.join(" "))))?,
            follow_links_out: self.follow_links_out.is_some_and(|key| *key.get_ref()),
            addresses: self.addresses.map(|key| (*key.get_ref(), lines.place(key))),
        })
    }
}

pub(super) fn limit<W, T>(
    lines: &Lines,
    key: Option<&Spanned<Vec<Spanned<W>>>>,
    most: usize,
    parse: impl Fn(&W) -> Result<(T, String), String>,
) -> Result<Option<Limit<T>>, ConfigError> {
    let Some(key) = key else { return Ok(None) };
    let written = key.get_ref();
    if written.len() > most {
        return Err(lines.refuse(key, &format!("{} rules; {most} are allowed", written.len())));
    }
    let mut rules = Vec::with_capacity(written.len());
    for rule in written {
        let (value, text) = parse(rule.get_ref()).map_err(|why| lines.refuse(rule, &why))?;
        rules.push(Rule { value, text: text.into(), place: lines.place(rule) });
    }
    Ok(Some(Limit { rules, place: lines.place(key) }))
}

/// The secret paths: Scout's own, with those of one key and without those of the other.
pub(super) fn secrets(
    added: &[Spanned<String>],
    readable: &[Spanned<String>],
    lines: &Lines,
) -> Result<SecretPaths, ConfigError> {
    if let Some(first) = [added, readable].into_iter().find(|key| key.len() > MAX_RULES).and_then(<[_]>::first) {
        return Err(lines.refuse(first, &format!("more than {MAX_RULES} patterns of paths")));
    }
    let pattern = |text: &Spanned<String>| PathPattern::parse(text.get_ref()).map_err(|why| lines.refuse(text, &why));
    let added = added.iter().map(|text| Ok((pattern(text)?, lines.place(text).to_string())));
    let added = added.collect::<Result<_, ConfigError>>()?;
    Ok(SecretPaths::new(added, readable.iter().map(pattern).collect::<Result<_, _>>()?))
}

/// All `[hosts.NAME]`, by name. Copies share them.
#[derive(Clone, Default)]
pub struct HostTables(Arc<Tables>);

#[derive(Default)]
struct Tables {
    by_name: BTreeMap<String, HostConfig>,
    /// The names of those that are about a pattern, in order.
    globs: Vec<String>,
    /// Which of them begin with the same letters.
    by_beginning: HashMap<String, Vec<usize>>,
}

impl HostTables {
    pub(super) fn new(by_name: BTreeMap<String, HostConfig>) -> Self {
        let (mut globs, mut by_beginning) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for (name, table) in by_name.iter().filter(|(_, table)| table.pattern.host().is_none()) {
            by_beginning.entry(table.pattern.beginning().to_owned()).or_default().push(globs.len());
            globs.push(name.clone());
        }
        Self(Arc::new(Tables { by_name, globs, by_beginning }))
    }

    /// The one of this name, which may be a pattern.
    pub fn get(&self, name: &str) -> Option<&HostConfig> {
        self.0.by_name.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &HostConfig)> {
        self.0.by_name.iter()
    }

    /// Those that are about a host: its own, then those of patterns in order. Patterns that begin otherwise are not tried.
    fn about<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a HostConfig> {
        let Tables { globs, by_beginning, .. } = &*self.0;
        let own = self.get(host).filter(|table| table.pattern.host().is_some());
        let mut tried: Vec<usize> = Vec::new();
        if !globs.is_empty() {
            let beginnings = host.char_indices().map(|(end, _)| end).chain([host.len()]);
            tried.extend(beginnings.filter_map(|end| by_beginning.get(host.get(..end)?)).flatten());
            tried.sort_unstable();
        }
        let globs = tried.into_iter().filter_map(move |at| self.get(globs.get(at)?));
        own.into_iter().chain(globs.filter(move |table| table.pattern.names(host)))
    }
}

/// Names in the order of their letters: whether one falls under a pattern is found without trying all.
struct SortedNames<'a>(Vec<&'a str>);

impl<'a> SortedNames<'a> {
    fn of(names: &'a HostNames) -> Self {
        let mut sorted: Vec<&str> = names.iter().map(|name| &**name).collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    fn under(&self, pattern: &HostPattern) -> impl Iterator<Item = &'a str> {
        let beginning = pattern.beginning();
        let first = self.0.partition_point(|name| *name < beginning);
        let candidates = self.0.iter().copied().skip(first).take_while(move |name| name.starts_with(beginning));
        candidates.filter(move |name| pattern.names(name))
    }
}

/// All that they say, of a hundred thousand too, in a few bytes.
impl fmt::Debug for HostTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digest = Sha256::new();
        for (name, table) in self.iter() {
            let HostConfig { pattern: _, commands, limits, persistent_shells, sudo, writable, tags, local } = table;
            let limits = limits.as_ref().map(|limits| format!("{limits:?}"));
            let commands = commands.as_ref().map(|(policy, place)| format!("{policy:?} {place}"));
            let local = local.as_ref().map(Place::to_string);
            let shells = persistent_shells.as_ref().map(|(shells, place)| format!("{shells} {place}"));
            let writable = writable.as_ref().map(|writable| format!("{writable:?}"));
            let sudo = sudo.as_ref().map(|limit| format!("{limit:?}"));
            let parts = [
                Some(name.as_str()),
                commands.as_deref(),
                limits.as_deref(),
                shells.as_deref(),
                writable.as_deref(),
                sudo.as_deref(),
                local.as_deref(),
            ];
            for part in parts.into_iter().chain(tags.iter().map(|tag| Some(&**tag))).chain([None]) {
                digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
                digest.update(part.unwrap_or_default());
            }
        }
        write!(f, "HostTables({:?})", digest.finalize())
    }
}

/// `[hosts.NAME]`.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Which hosts it is about.
    pattern: HostPattern,
    commands: Option<(CommandPolicy, Place)>,
    limits: Option<Box<LimitKeys>>,
    persistent_shells: Option<(bool, Place)>,
    /// The directories that transfers may write.
    writable: Option<Box<Limit<Root>>>,
    /// What may be run there as root.
    sudo: Option<Limit<Argv>>,
    tags: Vec<Arc<str>>,
    /// Where it is written that this is the machine that Scout runs on.
    local: Option<Place>,
}

impl HostConfig {
    pub(super) fn new(name: &str, table: &HostTable, lines: &Lines) -> Result<Self, ConfigError> {
        let refuse = |why: &str| ConfigError(format!("{}: [hosts.{name}]: {why}", lines.path.display()));
        let pattern = HostPattern::parse(name).map_err(|why| refuse(&why))?;
        if pattern.tag().is_some() || pattern.group().is_some() {
            return Err(refuse(
                "a table is about hosts, by name or glob; tags stand in it, and groups are made of them",
            ));
        }
        let local = table.transport.as_ref().filter(|transport| *transport.get_ref() == TransportName::Local);
        if let Some(transport) = local {
            if pattern.host().is_none() || !is_plain(name) {
                return Err(lines.refuse(
                    transport,
                    "a table with `transport = \"local\"` is a host, so its name must be one host's: letters, digits, `.`, `-` and `_`",
                ));
            }
            if cfg!(not(target_os = "linux")) {
                return Err(lines.refuse(transport, "`transport = \"local\"` works on Linux only"));
            }
        }
        let local = local.map(|transport| lines.place(transport));
        let mut tags = Vec::new();
        for tag in &table.tags {
            // What no rule can name is no tag.
            HostPattern::parse(&format!("tag:{}", tag.get_ref())).map_err(|why| lines.refuse(tag, &why))?;
            tags.push(tag.get_ref().as_str().into());
        }
        let place = |commands: &Spanned<Commands>| ((*commands.get_ref()).into(), lines.place(commands));
        let limits = table.command_limits.as_ref().map(|keys| Box::new(LimitKeys::new(keys, lines)));
        let persistent_shells = table.persistent_shells.as_ref().map(|shells| (*shells.get_ref(), lines.place(shells)));
        let row = |words: &Vec<String>| {
            sudo::check_row(words)?;
            Ok((Argv::parse(words)?, words.join(" ")))
        };
        let sudo = limit(lines, table.sudo.as_ref(), MAX_RULES, row)?;
        let parse = |text: &String| Ok((Root::parse(text.as_bytes())?, text.clone()));
        let writable = limit(lines, table.writable_paths.as_ref(), MAX_ROOTS, parse)?.map(Box::new);
        let commands = table.commands.as_ref().map(place);
        Ok(Self { pattern, commands, limits, persistent_shells, sudo, writable, tags, local })
    }

    /// The directories that transfers may write, if that is said.
    pub(super) fn writable(&self) -> Option<&Limit<Root>> {
        self.writable.as_deref()
    }

    /// Where it is written that this is the machine that Scout runs on; absent: it is not.
    pub fn local(&self) -> Option<&Place> {
        self.local.as_ref()
    }
}

/// Where transfers may write on a host: the table with the host's own name decides, else those of all patterns add up.
fn writable(tables: &[&HostConfig]) -> Option<Limit<Root>> {
    let own = tables.iter().filter(|table| table.pattern.host().is_some()).find_map(|table| table.writable());
    if let Some(own) = own {
        return Some(own.clone());
    }
    let mut said = tables.iter().filter_map(|table| table.writable());
    let mut all = said.next()?.clone();
    all.rules.extend(said.flat_map(|limit| limit.rules.iter().cloned()));
    Some(all)
}

/// The quotas of principals.
pub(super) fn quotas(given: &BTreeMap<String, AccessTable>) -> BTreeMap<String, Quota> {
    let all = given.iter().map(|(name, table)| (name.clone(), table.quota()));
    all.filter(|(_, quota)| *quota != Quota::default()).collect()
}

/// The rights of principals.
pub(super) fn principals(
    given: BTreeMap<String, Rights>,
    lines: &Lines,
) -> Result<BTreeMap<String, Arc<Rights>>, ConfigError> {
    let file = lines.path.display();
    for name in given.keys() {
        is_principal(name).map_err(|why| ConfigError(format!("{file}: [access.{name}]: {why}")))?;
        // Who is not named there is limited by nothing.
        if name != LOCAL && !near(name, [LOCAL].into_iter()).is_empty() {
            let why = format!(
                "{file}: [access.{name}] is nearly [access.{LOCAL}], who is whoever starts Scout: did you mean that?"
            );
            return Err(ConfigError(why));
        }
    }
    Ok(given.into_iter().map(|(name, rights)| (name, Arc::new(rights))).collect())
}

impl Config {
    /// What a host's tables say of its commands and tags, and the groups that it is in.
    ///
    /// Of several tables the one with the host's own name decides on `commands`, else the strictest; on `writable_paths` too, else they add
    /// up, as tags do.
    pub(super) fn rules(&self, host: &str) -> (CommandPolicy, HostRules) {
        let tables: Vec<_> = self.hosts.about(host).collect();
        let own = tables.iter().find(|table| table.pattern.host().is_some() && table.commands.is_some());
        let strictest = || tables.iter().filter_map(|table| table.commands.as_ref()).min_by_key(|it| strictness(it.0));
        let commands = own.and_then(|table| table.commands.as_ref()).or_else(strictest);
        let place = commands.map(|(_, place)| place.clone()).or_else(|| self.commands_place.clone());
        let tags: Vec<Arc<str>> = tables.iter().flat_map(|table| table.tags.iter().cloned()).collect();
        let groups = self.groups.of(host, &tags);
        let (own_sessions, writable) = (!self.persistent_shells(host).0, writable(&tables));
        let sudo = as_root(&tables);
        let rules = HostRules { tags, groups, commands: place, sudo, own_sessions, writable, is_exchange: false };
        (commands.map_or(self.commands, |(policy, _)| *policy), rules)
    }

    /// A host's tags, and the groups that it is in.
    pub fn labels(&self, host: &str) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let rules = self.rules(host).1;
        (rules.tags, rules.groups)
    }

    /// What may be run on a host as root; absent: nothing.
    pub fn as_root(&self, host: &str) -> Option<Limit<Argv>> {
        as_root(&self.hosts.about(host).collect::<Vec<_>>())
    }

    /// Whether commands that only read share shells that stay on a host, and where that is written, if it is. Of several tables the one
    /// with the host's own name decides, else one that says no.
    pub fn persistent_shells<'a>(&'a self, host: &'a str) -> (bool, Option<&'a Place>) {
        let said: Vec<_> = self
            .hosts
            .about(host)
            .filter_map(|table| Some((table.pattern.host().is_some(), table.persistent_shells.as_ref()?)))
            .collect();
        let own = said.iter().find(|(is_own, _)| *is_own);
        let strictest = || said.iter().min_by_key(|(_, (shells, _))| *shells);
        let decided = own.or_else(strictest).map(|(_, shells)| *shells).or(self.persistent_shells.as_ref());
        decided.map_or((true, None), |(shells, place)| (*shells, Some(place)))
    }

    /// Whether `hosts` of some `[access.NAME]` names a host that is not listed: by its name or by a pattern that says
    /// something.
    pub(super) fn opens(&self, host: &str) -> bool {
        let mut rules =
            self.principals.values().filter_map(|rights| rights.hosts.as_ref()).flat_map(|limit| &limit.rules);
        rules.any(|rule| {
            let says_something = rule.text.contains(|c| c != '*' && c != '?');
            says_something && rule.value.names(host)
        })
    }

    /// Whether some of these hosts runs whatever it is asked for. Asks no more of them than those of which a table could say so.
    pub(super) fn runs_anything(&self, names: &HostNames) -> bool {
        let runs = |host: &str| self.rules(host).0 == CommandPolicy::Shell;
        if self.commands == CommandPolicy::Shell {
            return names.iter().any(|host| runs(host));
        }
        let sorted = OnceCell::new();
        let mut saying =
            self.hosts.iter().filter(|(_, table)| matches!(table.commands, Some((CommandPolicy::Shell, _))));
        saying.any(|(_, table)| match table.pattern.host() {
            Some(host) => names.find(host).is_some() && runs(host),
            None => sorted.get_or_init(|| SortedNames::of(names)).under(&table.pattern).any(runs),
        })
    }

    /// All that is said of who may do what with these hosts.
    ///
    /// # Errors
    /// A table or a rule that names no host, and a tag that no host has.
    pub(super) fn access(&self, names: &HostNames, ssh: &SshConfig) -> Result<Access, ConfigError> {
        let file = self.file.as_deref().unwrap_or(std::path::Path::new("scout.toml")).display();
        let (patterns, sorted) = (ssh.patterns(), OnceCell::new());
        for (name, table) in self.hosts.iter() {
            let names_one = match table.pattern.host() {
                Some(host) => names.find(host).is_some() || ssh.pattern_of(host).is_some(),
                None => {
                    sorted.get_or_init(|| SortedNames::of(names)).under(&table.pattern).next().is_some()
                        || patterns.iter().any(|pattern| table.pattern.names(pattern))
                        || ssh.pattern_of(name).is_some()
                }
            };
            if !names_one {
                let near = did_you_mean(&near(name, names.iter().map(|host| &**host)));
                let ssh_config = self.ssh_config.display();
                return Err(ConfigError(format!("{file}: [hosts.{name}] names no host of {ssh_config}{near}")));
            }
        }
        let mut principals = self.principals.clone();
        // Whoever starts Scout may do what is not forbidden, others what is said.
        principals.entry(LOCAL.to_owned()).or_default();
        let access = Access {
            plugins: self.plugins.iter().map(|(name, plugin)| (name.clone(), Arc::clone(&plugin.rights))).collect(),
            principals,
            others: Arc::new(Rights::none(Place::new("no [access.NAME] in scout.toml".to_owned()))),
            secrets: Arc::clone(&self.secrets),
        };
        let rights = access.plugins.values().chain(access.principals.values());
        let rules = rights.flat_map(|rights| &rights.hosts).flat_map(|limit| &limit.rules);
        let tags = OnceCell::new();
        let tags =
            || tags.get_or_init(|| self.hosts.iter().flat_map(|(_, table)| &table.tags).map(|tag| &**tag).collect());
        for rule in rules.chain(self.groups.members()) {
            self.names_something(rule, names, ssh, tags)?;
        }
        Ok(access)
    }

    /// What processes of commands may take of a host, and what says so.
    pub fn command_limits(&self, host: &str) -> [HostLimit; 4] {
        let tables =
            self.hosts.about(host).filter_map(|table| Some((table.pattern.host().is_some(), table.limits.as_deref()?)));
        let (own, others): (Vec<_>, Vec<_>) = tables.partition(|(is_own, _)| *is_own);
        let others: Vec<_> = others.into_iter().map(|(_, keys)| keys).collect();
        let own = own.first().map(|(_, keys)| *keys);
        limits::of_host(own, &others, self.command_limits.as_ref(), self.limits.command_timeout)
    }

    /// A rule for a host, a tag or a group that there is not grants nothing, and nobody would see why.
    fn names_something<'a>(
        &self,
        rule: &Rule<HostPattern>,
        names: &HostNames,
        ssh: &SshConfig,
        tags: impl Fn() -> &'a BTreeSet<&'a str>,
    ) -> Result<(), ConfigError> {
        let (Rule { text, place, .. }, ssh_config) = (rule, self.ssh_config.display());
        let is_there = |host: &&str| names.find(host).is_some() || ssh.pattern_of(host).is_some();
        if let Some(host) = rule.value.host().filter(|host| !is_there(host)) {
            let near = did_you_mean(&near(host, names.iter().map(|host| &**host)));
            return Err(ConfigError(format!("{place}: \"{text}\" names no host of {ssh_config}{near}")));
        }
        if let Some(tag) = rule.value.tag().filter(|tag| !tags().contains(tag)) {
            let near = did_you_mean(&near(tag, tags().iter().copied()));
            return Err(ConfigError(format!("{place}: no host has the tag \"{tag}\"; a [hosts.NAME] gives it{near}")));
        }
        if let Some(group) = rule.value.group().filter(|group| !self.groups.has(group)) {
            let near = did_you_mean(&near(group, self.groups.names()));
            return Err(ConfigError(format!(
                "{place}: no group is named \"{group}\"; a [groups.NAME] makes one{near}"
            )));
        }
        Ok(())
    }
}

/// Whether a name that a client gives may become a host's: it reaches commands of ssh_config as `%h` and `%n`.
pub(super) fn is_plain(name: &str) -> bool {
    /// Of a name in DNS.
    const LONGEST: usize = 253;
    name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// What may be run on a host as root, by its tables. That with the host's own name decides, else a row counts that all have which say it.
fn as_root(tables: &[&HostConfig]) -> Option<Limit<Argv>> {
    let mut said = tables.iter().filter_map(|table| Some((table.pattern.host().is_some(), table.sudo.as_ref()?)));
    let own = said.clone().find(|(is_own, _)| *is_own);
    if let Some((_, own)) = own {
        return Some(own.clone());
    }
    let (_, first) = said.next()?;
    let mut limit = first.clone();
    for (_, other) in said {
        limit.rules.retain(|rule| other.rules.iter().any(|also| also.value == rule.value));
    }
    Some(limit)
}

/// What allows less comes first.
fn strictness(policy: CommandPolicy) -> u8 {
    match policy {
        CommandPolicy::None => 0,
        CommandPolicy::ReadOnly => 1,
        CommandPolicy::Shell => 2,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::RemotePath;
    use scout_runtime::Interface;

    use super::super::file::File;
    use super::*;

    fn remote(path: &str) -> RemotePath {
        RemotePath::parse(path).unwrap()
    }

    #[test]
    fn the_tables_of_a_host_are_found_among_thousands_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        let many: String = (0..5_000).map(|n| format!("[hosts.\"rack{n}-*\"]\ntags = [\"r{n}\"]\n")).collect();
        let some = "[hosts.rack7-a]\ntags = [\"own\"]\n[hosts.\"*-a\"]\ntags = [\"first\"]\n[hosts.\"rack?-?\"]\ntags = [\"last\"]\n[hosts.\"*\"]\ntags = [\"all\"]\n";
        std::fs::write(&path, format!("{many}{some}")).unwrap();
        let file = File::read(&path).unwrap();
        let tables =
            file.hosts.iter().map(|(name, table)| (name.clone(), HostConfig::new(name, table, &file.lines).unwrap()));
        let tables = HostTables::new(tables.collect());
        let tags = |host: &str| -> Vec<String> {
            tables.about(host).flat_map(|table| table.tags.iter().map(|tag| tag.to_string())).collect()
        };
        assert_eq!(tags("rack7-a"), ["own", "all", "first", "r7", "last"]);
        assert_eq!(tags("rack7"), ["all"]);
        assert_eq!(tags("w\u{e9}-a"), ["all", "first"]);
        let mut names = HostNames::default();
        for name in ["rack7-b", "rack10-a", "r", "rack7-a"] {
            names.add(name);
        }
        let sorted = SortedNames::of(&names);
        for (pattern, under) in
            [("rack7-*", &["rack7-a", "rack7-b"][..]), ("*a", &["rack10-a", "rack7-a"]), ("s*", &[])]
        {
            let found: Vec<_> = sorted.under(&HostPattern::parse(pattern).unwrap()).collect();
            assert_eq!(found, under, "{pattern}");
        }
    }

    #[test]
    fn secret_paths_are_added_and_taken_away_or_refused_with_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            File::read(&path).and_then(|file| secrets(&file.secret_paths, &file.readable_paths, &file.lines))
        };
        let list = read("secret_paths = [\n\"**/.mine\"]\nreadable_paths = [\"/etc/sudoers\"]\n").unwrap();
        let refusal = list.check_path(&remote("~/app/.mine")).unwrap_err();
        assert_eq!(refusal.why, "is on the list of secret paths: **/.mine stands in scout.toml:2");
        assert!(list.check_path(&remote("/etc/sudoers")).is_ok() && list.check_path(&remote("/etc/shadow")).is_err());
        let many = vec!["\"/x\""; MAX_RULES + 1].join(",");
        for (text, says) in [
            ("\nsecret_paths = [\"/a\",\n\"~/.env\"]", ":3: a pattern begins with `/`"),
            ("readable_paths = [\"/a/**/b\"]", ":1: a name holds one `*`"),
            ("secret_path = []", ":1: unknown key `secret_path`; did you mean `secret_paths`"),
            ("secret_paths = \"/a\"", ":1: "),
            (&*format!("readable_paths = [{many}]"), ":1: more than 256 patterns"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn rows_that_run_as_root_are_of_the_table_and_those_of_several_patterns_are_what_all_have() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        let tables = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let file = File::read(&path)?;
            let tables =
                file.hosts.iter().map(|(name, table)| Ok((name.clone(), HostConfig::new(name, table, &file.lines)?)));
            Ok::<_, ConfigError>(HostTables::new(tables.collect::<Result<_, ConfigError>>()?))
        };
        let text = "[hosts.\"*\"]\nsudo = [[\"ss\", \"-tlnp\"], [\"id\"]]\n[hosts.\"web*\"]\nsudo = [[\"id\"], [\"w\"]]\n[hosts.web1]\nsudo = [[\"who\"]]\n[hosts.web2]\n";
        let tables_of = tables(text).unwrap();
        let rows = |host: &str| {
            let limit = as_root(&tables_of.about(host).collect::<Vec<_>>());
            limit.map(|limit| limit.rules.iter().map(|rule| rule.text.to_string()).collect::<Vec<_>>())
        };
        let rows_of = |rows: &[&str]| Some(rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>());
        assert_eq!(rows("web1"), rows_of(&["who"]));
        assert_eq!(rows("web2"), rows_of(&["id"]));
        assert_eq!(rows("db"), rows_of(&["ss -tlnp", "id"]));
        for (row, says) in [
            ("[\"rm\", \"-rf\", \"/\"]", ":2: \"rm\" begins no row of the table"),
            ("[\"journalctl\", \"...\"]", ":2: `...` lets any words follow"),
            ("[\"cat\", \"/a b\"]", ":2: \"/a b\" has what sudoers cannot say exactly"),
        ] {
            let error = tables(&format!("[hosts.a]\nsudo = [{row}]\n")).err().unwrap().to_string();
            assert!(error.contains(says), "{row}: {error}");
        }
    }

    /// A new limit does not compile here until its key is read.
    #[test]
    fn each_key_becomes_the_limit_of_its_name_in_either_table() {
        let keys = "grants = [\"exec\"]\nhosts = [\"web*\"]\npaths = [\n\"/a\",\n\"~/b\"]\ncommands = [[\"df\", \"-h\"]]\nfollow_links_out = true\naddresses = false\n";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        std::fs::write(&path, format!("[plugins.mine]\n{keys}[access.local]\n{keys}")).unwrap();
        let file = File::read(&path).unwrap();
        let plugin = file.plugins.get("mine").unwrap().limits().rights(&file.lines).unwrap();
        let principal = file.access.get("local").unwrap().limits().rights(&file.lines).unwrap();
        for (rights, first) in [(plugin, 2), (principal, 11)] {
            let Rights { grants, hosts, paths, commands, follow_links_out, addresses } = rights;
            let at = |place: &Place, line: u32| assert_eq!(place.to_string(), format!("scout.toml:{}", first + line));
            let (grants, place) = grants.unwrap();
            assert_eq!(grants, Grants::only(Interface::Exec));
            at(&place, 0);
            let (hosts, paths, commands) = (hosts.unwrap(), paths.unwrap(), commands.unwrap());
            at(&hosts.place, 1);
            at(&paths.place, 2);
            let lines: Vec<_> = paths.rules.iter().map(|rule| (&*rule.text, rule.place.to_string())).collect();
            assert_eq!(
                lines,
                [("/a", format!("scout.toml:{}", first + 3)), ("~/b", format!("scout.toml:{}", first + 4))]
            );
            at(&commands.place, 5);
            assert_eq!(commands.rules.iter().map(|rule| &*rule.text).collect::<Vec<_>>(), ["df -h"]);
            assert!(follow_links_out);
            let (addresses, place) = addresses.unwrap();
            assert!(!addresses);
            at(&place, 7);
        }
    }
}
