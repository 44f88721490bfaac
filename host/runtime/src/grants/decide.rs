//! The one function that judges an operation.

use std::fmt;
use std::sync::Arc;

use scout_machine::{RemotePath, Within};

use super::path::among;
use super::{HostRules, Limit, Place, Rights, Root, Rule};
use crate::policy::resolve::Resolved;
use crate::policy::{self, CommandPolicy, PathOperand, Pipeline, Refusal, SecretPaths, Word, sudo};
use crate::{Effect, Grants, Interface};

/// Rules that one refusal names.
const MAX_NAMED: usize = 8;

/// What four sources allow one call. Three are here, the fourth is the host ([`Target`]).
#[derive(Clone, Debug)]
pub struct CallRights {
    /// What the plugin's component imports.
    pub declared: Grants,
    /// What the tool that is called, or the resource that is read, says of itself. A handler says nothing.
    pub effect: Option<DeclaredEffect>,
    /// What the plugin was loaded with.
    pub linked: Grants,
    /// What the operator grants the plugin.
    pub operator: Arc<Rights>,
    /// What the operator lets the principal do.
    pub tenant: Arc<Rights>,
}

/// The most that a tool or a resource does to a host, as it says of itself.
#[derive(Clone, Debug)]
pub struct DeclaredEffect {
    /// `tool` or `resource`.
    pub of: &'static str,
    /// The tool's name, or the template of the resource's URI.
    pub name: Arc<str>,
    /// This.
    pub effect: Effect,
}

/// A host that an operation is about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name.
    pub name: &'a str,
    /// What commands it runs for anybody.
    pub commands: CommandPolicy,
    /// What the operator says of it.
    pub rules: &'a HostRules,
    /// What nobody reads there.
    pub secrets: &'a SecretPaths,
}

/// What a call asks to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// See the host in the inventory, and whether it answers.
    See,
    /// Look at a path.
    Read(&'a RemotePath),
    /// Copy what is at a path to somewhere else.
    Copy(&'a RemotePath),
    /// Write what is copied from somewhere else.
    Write(&'a RemotePath),
    /// Run a pipeline.
    Run(&'a Pipeline),
    /// Run a free script.
    Shell,
    /// Keep something of the host from one call to the next.
    Keep,
}

/// Who has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the plugin's component imports.
    Plugin,
    /// What the tool says it does.
    Effect,
    /// What the operator grants the plugin.
    Operator,
    /// What the operator lets the principal do.
    Principal,
    /// What the host runs for anybody.
    Host,
    /// The paths that nobody reads.
    Secrets,
    /// The directories that transfers may write.
    Transfers,
}

/// One source's word.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Whose.
    pub source: Source,
    /// The rule, as it is written; absent: the source sets no limit here.
    pub rule: Option<Arc<str>>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// That an operation is allowed.
#[derive(Clone, Debug, Default)]
pub struct Permit {
    /// What let it through: each source that sets a limit, in the order in which they are asked.
    pub reasons: Vec<Reason>,
    /// Where the path must truly lie on its host.
    pub within: Within,
    /// Whether it must truly lead to none of the secret paths.
    pub keeps_secrets: bool,
    /// Whether only the text of paths was held against directories, as it is with commands: links, and programs that
    /// descend, may lead out of them.
    pub is_lexical: bool,
    /// Whether nothing is told of where the host is.
    pub hides_address: bool,
}

/// That it is not.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who decided.
    pub reason: Reason,
    /// What is refused, why, and the narrower thing that is allowed.
    pub refusal: Refusal,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => "the plugin's imports",
            Self::Effect => "the tool's effect",
            Self::Operator => "the grants of the plugin",
            Self::Principal => "the rights of the principal",
            Self::Host => "the command policy of the host",
            Self::Secrets => "the list of secret paths",
            Self::Transfers => "the directories that are open to transfers",
        })
    }
}

impl Action<'_> {
    /// The grant that it takes.
    pub fn interface(&self) -> Interface {
        match self {
            Self::See => Interface::Inventory,
            Self::Read(_) => Interface::Files,
            Self::Run(_) => Interface::Exec,
            Self::Shell => Interface::Shell,
            Self::Copy(_) | Self::Write(_) => Interface::Transfer,
            Self::Keep => Interface::Baselines,
        }
    }

    /// The effect that a tool has to declare for it. A tool that runs commands may read, one that writes may do both.
    fn effect(&self) -> Effect {
        match self {
            // To a host it does nothing.
            Self::See | Self::Read(_) | Self::Keep => Effect::Read,
            Self::Run(_) | Self::Shell => Effect::Exec,
            Self::Copy(_) | Self::Write(_) => Effect::Write,
        }
    }

    /// The path that is looked at or written, where it is one.
    fn path(&self) -> Option<&RemotePath> {
        match self {
            Self::Read(path) | Self::Copy(path) | Self::Write(path) => Some(path),
            Self::See | Self::Run(_) | Self::Shell | Self::Keep => None,
        }
    }
}

impl Permit {
    /// The directories in which the path must lie, with where they are written, for people.
    pub fn granted_paths(&self) -> String {
        let lists = self.within.roots.iter().map(|list| {
            let mut named: Vec<_> =
                list.iter().take(MAX_NAMED).map(|root| String::from_utf8_lossy(root.bytes())).collect();
            if list.len() > MAX_NAMED {
                named.push(format!("{} more", list.len() - MAX_NAMED).into());
            }
            format!("paths below {}", named.join(", "))
        });
        lists.collect::<Vec<_>>().join(" that are also ")
    }
}

impl CallRights {
    /// Everything that a plugin was loaded with, by whoever asks.
    pub fn unlimited(linked: Grants) -> Self {
        Self { declared: linked, effect: None, linked, operator: Arc::default(), tenant: Arc::default() }
    }

    /// The two sources whose limits are rules.
    fn ruled(&self) -> [(Source, &Rights); 2] {
        [(Source::Operator, &self.operator), (Source::Principal, &self.tenant)]
    }

    /// Whether the interface that the operation takes is there for this call, whatever the host.
    ///
    /// # Errors
    /// The source that has or grants it not.
    pub fn reaches(&self, operation: Action<'_>) -> Result<(), Denial> {
        let what = || format!("`{}`", operation.interface());
        let refuse = |source, place: Option<&Place>, why: String, instead: &str| {
            let reason = Reason { source, rule: None, place: place.cloned() };
            let refusal = Refusal { what: what(), why: placed(why, place), instead: Some(instead.to_owned()) };
            Err(Denial { reason, refusal })
        };
        if !self.declared.has(operation.interface()) {
            return refuse(Source::Plugin, None, "the plugin does not import it".to_owned(), &imported(self.declared));
        }
        if let Some(DeclaredEffect { of, name, effect }) = &self.effect
            && operation.effect() > *effect
        {
            let (says, instead) = match operation.effect() {
                Effect::Write => ("that it does not write", "a tool that copies files says `write`"),
                _ => ("that it only reads", "hosts, files and directories; what runs commands says `exec`"),
            };
            let why = format!("the {of} {} says of itself {says}", quoted(name));
            return refuse(Source::Effect, None, why, instead);
        }
        for (source, ruled) in self.ruled() {
            let granted = ruled.grants.as_ref();
            let linked = source != Source::Operator || self.linked.has(operation.interface());
            if !linked || granted.is_some_and(|(grants, _)| !grants.has(operation.interface())) {
                let why = match source {
                    Source::Principal => "is not granted to whoever asks",
                    _ => "is not granted to this plugin",
                };
                return refuse(source, granted.map(|(_, place)| place), why.to_owned(), "the operator grants it");
            }
        }
        Ok(())
    }

    /// Whether the call may run any script on a host that runs scripts.
    fn allow_any_script(&self) -> bool {
        self.reaches(Action::Shell).is_ok()
            && self.ruled().into_iter().all(|(source, rights)| shell(source, rights).is_ok())
    }

    /// Whether the call may see every host there is: nothing limits it to some. Else each is judged by itself.
    pub fn sees_all(&self) -> bool {
        self.reaches(Action::See).is_ok() && self.ruled().into_iter().all(|(_, rights)| rights.hosts.is_none())
    }

    /// Whether the call is told where hosts are.
    pub fn sees_addresses(&self) -> bool {
        self.ruled().into_iter().all(|(_, rights)| rights.addresses.as_ref().is_none_or(|(sees, _)| *sees))
    }

    /// Whether the call may name this host: what may not be named must not be told from what is not there.
    ///
    /// # Errors
    /// The limit that leaves it out.
    pub fn names(&self, target: Target<'_>) -> Result<Vec<Reason>, Denial> {
        let mut reasons = Vec::new();
        for (source, rights) in self.ruled() {
            let Some(limit) = &rights.hosts else { continue };
            match limit.rules.iter().find(|rule| rule.value.matches(target.name, target.rules)) {
                Some(rule) => reasons.push(by(source, rule)),
                None => return Err(deny(source, limit, &quoted(target.name), "is not among the hosts", "")),
            }
        }
        Ok(reasons)
    }
}

/// Judges an operation: all four sources must let it through.
///
/// # Errors
/// The first source that does not, why, and what it lets through instead.
pub fn decide(rights: &CallRights, target: Target<'_>, operation: Action<'_>) -> Result<Permit, Denial> {
    rights.reaches(operation)?;
    // What is limited are the hosts and what is on them: of the machine that Scout runs on transfers see what is opened to them.
    let is_exchange = target.rules.is_exchange;
    let reasons = if is_exchange { Vec::new() } else { rights.names(target)? };
    let mut permit = Permit { reasons, hides_address: !rights.sees_addresses(), ..Permit::default() };
    if let Some(path) = operation.path().filter(|_| is_exchange || matches!(operation, Action::Write(_))) {
        write(target, path, &mut permit)?;
    }
    for (source, rights) in rights.ruled() {
        match operation {
            Action::See | Action::Keep => {}
            Action::Copy(_) | Action::Write(_) if is_exchange => {}
            Action::Read(path) | Action::Copy(path) | Action::Write(path) => read(source, rights, path, &mut permit)?,
            Action::Run(pipeline) => run(source, rights, (pipeline, target.commands), &mut permit)?,
            Action::Shell => shell(source, rights)?,
        }
    }
    // Who may run anything may read anything.
    permit.keeps_secrets = !(target.commands == CommandPolicy::Shell && rights.allow_any_script());
    if let Some(refusal) = by_host(target, operation, permit.keeps_secrets) {
        let place = target.rules.commands.clone();
        let source = if operation.path().is_some() { Source::Secrets } else { Source::Host };
        let reason = Reason { source, rule: None, place: place.filter(|_| source == Source::Host) };
        return Err(Denial { reason, refusal });
    }
    Ok(permit)
}

fn read(source: Source, rights: &Rights, path: &RemotePath, permit: &mut Permit) -> Result<(), Denial> {
    let Some(limit) = &rights.paths else { return Ok(()) };
    let lies = Resolved::file(path).ok().and_then(|path| among(&path, roots(limit)));
    let Some(rule) = lies.and_then(|index| limit.rules.get(index)) else {
        let shown = quoted(&String::from_utf8_lossy(path.bytes()));
        return Err(deny(source, limit, &shown, "does not lie, as it is written, in the directories", "paths below "));
    };
    permit.reasons.push(by(source, rule));
    if !rights.follow_links_out {
        permit.within.roots.push(limit.rules.iter().map(|rule| rule.value.path().clone()).collect());
    }
    Ok(())
}

/// Where transfers may write, and of the machine that Scout runs on read too.
fn write(target: Target<'_>, path: &RemotePath, permit: &mut Permit) -> Result<(), Denial> {
    let what = quoted(&String::from_utf8_lossy(path.bytes()));
    let Some(limit) = &target.rules.writable else {
        let why = format!("nothing may be written on `{}`", target.name);
        let instead =
            "the operator opens directories to transfers with `writable_paths` below [hosts.NAME] in scout.toml";
        let refusal = Refusal { what, why, instead: Some(instead.to_owned()) };
        return Err(Denial { reason: Reason { source: Source::Transfers, rule: None, place: None }, refusal });
    };
    let lies = Resolved::file(path).ok().and_then(|path| among(&path, roots(limit)));
    let Some(rule) = lies.and_then(|index| limit.rules.get(index)) else {
        let why = "does not lie, as it is written, in the directories";
        return Err(deny(Source::Transfers, limit, &what, why, "paths below "));
    };
    permit.reasons.push(by(Source::Transfers, rule));
    permit.within.roots.push(limit.rules.iter().map(|rule| rule.value.path().clone()).collect());
    Ok(())
}

fn run(
    source: Source,
    rights: &Rights,
    (pipeline, policy): (&Pipeline, CommandPolicy),
    permit: &mut Permit,
) -> Result<(), Denial> {
    if let Some(limit) = &rights.commands {
        for stage in &pipeline.stages {
            let Some(rule) = limit.rules.iter().find(|rule| rule.value.matches(stage)) else {
                let words: Vec<&str> = stage.words.iter().map(Word::text).collect();
                return Err(deny(source, limit, &quoted(&words.join(" ")), "is not among the commands", ""));
            };
            permit.reasons.push(by(source, rule));
        }
    }
    let Some(limit) = &rights.paths else { return Ok(()) };
    let held = |operand: PathOperand<'_>| {
        if Resolved::operand(&operand).is_ok_and(|path| among(&path, roots(limit)).is_some()) {
            return Ok(());
        }
        let path = match operand.path {
            b"." => operand.directory.map_or(&b"~"[..], RemotePath::bytes),
            path => path,
        };
        let shown = quoted(&String::from_utf8_lossy(path));
        let why = "does not lie, as it is written (of a command's paths only the text is seen, and behind a link `..` leads elsewhere), in the directories";
        let instead = "a command whose paths, and whose directory if it looks there, lie below ";
        Err(deny(source, limit, &shown, why, instead).refusal)
    };
    // Where the host has rows for what runs as root, the paths are those of the same command. Elsewhere nothing bounds it.
    let stripped = (policy == CommandPolicy::ReadOnly && sudo::is_in(pipeline)).then(|| sudo::without(pipeline));
    if let Err(mut refusal) = policy::check_paths(stripped.as_ref().unwrap_or(pipeline), &held) {
        if !refusal.why.contains(&*limit.place.0) {
            let why = "; where paths are limited, only commands of the table run, whose paths are known";
            refusal.why = placed(refusal.why + why, Some(&limit.place));
        }
        return Err(Denial { reason: of(source, limit), refusal });
    }
    permit.reasons.push(of(source, limit));
    permit.is_lexical = true;
    Ok(())
}

/// A script is not held against rules: whoever has them runs none.
fn shell(source: Source, rights: &Rights) -> Result<(), Denial> {
    const WHY: &str = "cannot be held against the rules";
    const INSTEAD: &str = "commands word by word (`exec.run`), within ";
    match (&rights.commands, &rights.paths) {
        (Some(limit), _) => Err(deny(source, limit, "a free shell command", WHY, INSTEAD)),
        (None, Some(limit)) => Err(deny(source, limit, "a free shell command", WHY, INSTEAD)),
        (None, None) => Ok(()),
    }
}

/// What a plugin can do at most.
fn imported(grants: Grants) -> String {
    let names: Vec<&str> = grants.iter().map(Interface::name).collect();
    if names.is_empty() { "it reaches no host".to_owned() } else { format!("what it imports: {}", names.join(", ")) }
}

/// What the host refuses anybody.
fn by_host(target: Target<'_>, operation: Action<'_>, keeps_secrets: bool) -> Option<Refusal> {
    match (operation, target.commands) {
        (Action::See | Action::Keep, _) | (Action::Shell, CommandPolicy::Shell) => None,
        (Action::Read(path) | Action::Copy(path) | Action::Write(path), _) => {
            target.secrets.check_path(path).err().filter(|_| keeps_secrets)
        }
        (Action::Run(pipeline), CommandPolicy::ReadOnly) if sudo::is_in(pipeline) => as_root(target, pipeline).err(),
        (Action::Run(pipeline), commands) => policy::check_with(target.secrets, commands, pipeline).err(),
        (Action::Shell, CommandPolicy::ReadOnly | CommandPolicy::None) => Some(Refusal {
            what: "a free shell command".to_owned(),
            why: format!("is not allowed on `{}`, whose command policy is not `shell`", target.name),
            instead: Some(
                "write single read-only commands or pipes of them; the operator allows more with `commands = \"shell\"` in scout.toml"
                    .to_owned(),
            ),
        }),
    }
}

/// Whether a pipeline may run of which some stages run as root: all of it must be of the table, and each of those a row of the host's.
fn as_root(target: Target<'_>, pipeline: &Pipeline) -> Result<(), Refusal> {
    policy::check_with(target.secrets, CommandPolicy::ReadOnly, &sudo::without(pipeline))?;
    for command in pipeline.stages.iter().filter_map(sudo::command) {
        let words: Vec<&str> = command.words.iter().map(Word::text).collect();
        let what = quoted(&format!("sudo {}", words.join(" ")));
        let Some(limit) = &target.rules.sudo else {
            let why = format!("nothing runs as root on `{}`", target.name);
            let instead = "the same without `sudo`; the operator lets rows of the table run as root with `sudo = [[\"journalctl\", \"-u\", \"*\"]]` below [hosts.NAME] in scout.toml";
            return Err(Refusal { what, why, instead: Some(instead.to_owned()) });
        };
        sudo::check(target.secrets, &command, pipeline.directory.as_ref())?;
        if !limit.rules.iter().any(|rule| rule.value.matches(&command)) {
            let mut named: Vec<String> =
                limit.rules.iter().take(MAX_NAMED).map(|rule| format!("sudo {}", rule.text)).collect();
            if limit.rules.len() > MAX_NAMED {
                named.push(format!("{} more", limit.rules.len() - MAX_NAMED));
            }
            let instead = if named.is_empty() { "the same without `sudo`".to_owned() } else { named.join(", ") };
            let why = placed("is not among what runs as root there".to_owned(), Some(&limit.place));
            return Err(Refusal { what, why, instead: Some(instead) });
        }
    }
    Ok(())
}

fn roots(limit: &Limit<Root>) -> impl Iterator<Item = &Root> {
    limit.rules.iter().map(|rule| &rule.value)
}

/// A refusal by a limit. `instead` is what is said before the rules that there are.
fn deny<T>(source: Source, limit: &Limit<T>, what: &str, why: &str, instead: &str) -> Denial {
    let mut named: Vec<&str> = limit.rules.iter().take(MAX_NAMED).map(|rule| &*rule.text).collect();
    let more = format!("{} more", limit.rules.len().saturating_sub(MAX_NAMED));
    if limit.rules.len() > MAX_NAMED {
        named.push(&more);
    }
    let whose = match source {
        Source::Principal => "granted to whoever asks",
        Source::Transfers => "open to transfers",
        _ => "granted to this plugin",
    };
    let instead =
        if named.is_empty() { "nothing is granted".to_owned() } else { format!("{instead}{}", named.join(", ")) };
    Denial {
        reason: of(source, limit),
        refusal: Refusal {
            what: what.to_owned(),
            why: placed(format!("{why} {whose}"), Some(&limit.place)),
            instead: Some(instead),
        },
    }
}

fn placed(why: String, place: Option<&Place>) -> String {
    match place {
        Some(place) => format!("{why} ({place})"),
        None => why,
    }
}

fn of<T>(source: Source, limit: &Limit<T>) -> Reason {
    Reason { source, rule: None, place: Some(limit.place.clone()) }
}

fn by<T>(source: Source, rule: &Rule<T>) -> Reason {
    Reason { source, rule: Some(Arc::clone(&rule.text)), place: Some(rule.place.clone()) }
}

fn quoted(text: &str) -> String {
    policy::quoted(text)
}
