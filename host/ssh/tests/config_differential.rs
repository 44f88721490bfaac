//! Scout's reading of `ssh_config` beside that of the real `ssh`: generated configurations and a corpus of real ones.
//!
//! The oracle is `ssh -G -F FILE HOST`. For every host both must come to the same settings, or Scout must refuse with
//! file:line what it does not evaluate. A file that ssh refuses as a whole is asked again with its bad lines replaced by
//! `SendEnv` probes, which tell whether such a line applies to the host: if one does, Scout must refuse the host there;
//! if none does, the settings must be the same.
//!
//! `SCOUT_CONFIG_SEED` and `SCOUT_CONFIG_CASES` choose other generated configurations.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use scout_ssh::SshConfig;
use scout_ssh::config::{AddressFamily, Explained, HostSpec, Proxy, StrictHostKeyChecking};

const DEFAULT_SEED: u64 = 0x5C07;
const DEFAULT_CASES: usize = 500;
/// Stands for the directory of a configuration's files.
const DIRECTORY: &str = "@DIR@";

/// Keywords whose lines Scout may refuse though ssh takes them.
const NOT_EVALUATED: &[&str] = &[
    "canonicalizehostname",
    "checkhostip",
    "knownhostscommand",
    "nohostauthenticationforlocalhost",
    "revokedhostkeys",
    "bindinterface",
    "proxyusefdpass",
    // Names of services.
    "port",
    // Tokens.
    "user",
    // Blanks, comments, loops; a command after `ProxyJump none`.
    "proxyjump",
    "proxycommand",
    // `!final` without `final`.
    "match",
];

/// One configuration: files by name, the first one is the user's, and the hosts to ask for.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    files: Vec<(String, String)>,
    hosts: Vec<String>,
}

/// A directory in which a case's files lie: the home directory of whoever reads them.
struct World(tempfile::TempDir);

impl World {
    fn new(case: &Case) -> Self {
        let world = Self(tempfile::tempdir().expect("a temporary directory"));
        for (name, text) in &case.files {
            world.write(name, text);
        }
        world
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text.replace(DIRECTORY, &self.path().display().to_string())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.path().join(".ssh/config")
    }

    fn ssh(&self, arguments: &[&str]) -> Output {
        Command::new("ssh")
            .arg("-F")
            .arg(self.config())
            .args(arguments)
            // Only `Include` asks the environment for the home directory.
            .env("HOME", self.path())
            .stdin(Stdio::null())
            .output()
            .expect("ssh runs; install openssh-client")
    }

    fn scout(&self) -> SshConfig {
        SshConfig::load(&self.config(), None, self.path()).expect("a configuration")
    }
}

/// What ssh prints, by keyword.
type Printed = BTreeMap<String, Vec<String>>;

fn printed(output: &Output) -> Option<Printed> {
    let mut printed = Printed::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        printed.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    output.status.success().then_some(printed)
}

/// `ssh -G` for one name; what it says on stderr if it refuses.
fn ask(world: &World, options: &[String], host: &str) -> Result<Printed, String> {
    let mut arguments: Vec<&str> = vec!["-G"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(["--", host]);
    let output = world.ssh(&arguments);
    printed(&output).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What this version of ssh knows and prefers.
struct Oracle {
    defaults: Printed,
    /// Names that both know, for each list.
    common: HashMap<&'static str, HashSet<String>>,
    /// Lists whose defaults have another order than Scout's, which knows OpenSSH 9.2's.
    reordered: HashSet<&'static str>,
    home: String,
}

const LISTS: [(&str, &str); 6] = [
    ("kexalgorithms", "kex"),
    ("ciphers", "cipher"),
    ("macs", "mac"),
    ("hostkeyalgorithms", "key-sig"),
    ("pubkeyacceptedalgorithms", "key-sig"),
    ("casignaturealgorithms", "key-sig"),
];

fn list<'a>(spec: &'a HostSpec, keyword: &str) -> Option<&'a Vec<String>> {
    let algorithms = &spec.algorithms;
    match keyword {
        "kexalgorithms" => algorithms.kex.as_ref(),
        "ciphers" => algorithms.ciphers.as_ref(),
        "macs" => algorithms.macs.as_ref(),
        "hostkeyalgorithms" => algorithms.host_keys.as_ref(),
        "pubkeyacceptedalgorithms" => algorithms.public_keys.as_ref(),
        "casignaturealgorithms" => algorithms.ca_signatures.as_ref(),
        other => panic!("{other} is no list"),
    }
}

fn oracle() -> &'static Oracle {
    static ORACLE: OnceLock<Oracle> = OnceLock::new();
    ORACLE.get_or_init(|| {
        let empty = world_of("");
        let defaults = ask(&empty, &[], "any").expect("ssh reads an empty file");
        let (mut common, mut reordered) = (HashMap::new(), HashSet::new());
        for (keyword, query) in LISTS {
            let output = Command::new("ssh").args(["-Q", query]).output().unwrap();
            let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
            let known = |name: &&str| world_of(&format!("{keyword} {name}\n")).scout().resolve("any").is_ok();
            let names: HashSet<String> = theirs.lines().filter(known).map(str::to_owned).collect();
            let first = names.iter().next().expect("a common name");
            // A default list that loses nothing.
            let spec = world_of(&format!("{keyword} -no-such-name,!{first}\n")).scout().resolve("any").unwrap();
            let ours: Vec<&String> =
                list(&spec, keyword).unwrap().iter().filter(|name| names.contains(*name)).collect();
            let default: Vec<&str> = defaults[keyword][0].split(',').filter(|name| names.contains(*name)).collect();
            if ours != default {
                reordered.insert(keyword);
            }
            common.insert(keyword, names);
        }
        let user = home_of_passwd();
        Oracle { defaults, common, reordered, home: user }
    })
}

fn world_of(text: &str) -> World {
    World::new(&Case {
        name: String::new(),
        files: vec![(".ssh/config".to_owned(), text.to_owned())],
        hosts: Vec::new(),
    })
}

/// The home directory that ssh takes from the passwd entry.
fn home_of_passwd() -> String {
    let printed = ask(&world_of("ControlPath ~/x\n"), &[], "any").expect("ssh reads it");
    printed["controlpath"][0].strip_suffix("/x").unwrap().to_owned()
}

/// How a host is compared: keyword and value, in words that both come to.
fn ours(explained: &Explained) -> Vec<(String, String)> {
    let spec = &explained.spec;
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let seconds = |duration: Option<Duration>| duration.map_or("0".to_owned(), |d| d.as_secs().to_string());
    let paths = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let mut all = vec![
        ("hostname", spec.host_name.clone()),
        ("user", spec.user.clone()),
        ("port", spec.port.to_string()),
        (
            "addressfamily",
            match spec.address_family {
                AddressFamily::Any => "any",
                AddressFamily::Inet => "inet",
                AddressFamily::Inet6 => "inet6",
            }
            .to_owned(),
        ),
        ("bindaddress", spec.bind_address.clone().unwrap_or_default()),
        ("identitiesonly", yes_or_no(spec.identities_only)),
        ("pubkeyauthentication", yes_or_no(spec.methods.public_key)),
        ("passwordauthentication", yes_or_no(spec.methods.password)),
        ("kbdinteractiveauthentication", yes_or_no(spec.methods.keyboard_interactive)),
        ("preferredauthentications", spec.methods.order.clone().unwrap_or_default().join(",")),
        ("numberofpasswordprompts", spec.methods.password_prompts.to_string()),
        (
            "stricthostkeychecking",
            match spec.strict_host_key_checking {
                StrictHostKeyChecking::Yes => "yes",
                StrictHostKeyChecking::AcceptNew => "accept-new",
                StrictHostKeyChecking::No => "no",
            }
            .to_owned(),
        ),
        ("userknownhostsfile", paths(&spec.user_known_hosts_files)),
        ("globalknownhostsfile", paths(&spec.global_known_hosts_files)),
        ("hostkeyalias", spec.host_key_alias.clone().unwrap_or_default()),
        ("hashknownhosts", yes_or_no(spec.hash_known_hosts)),
        ("identityfile", paths(&spec.identity_files)),
        ("certificatefile", paths(&spec.certificate_files)),
        ("identityagent", spec.agent.as_ref().map_or_else(String::new, |path| path.display().to_string())),
        ("setenv", spec.set_env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")),
        ("connecttimeout", seconds(spec.connect_timeout)),
        ("serveraliveinterval", seconds(spec.server_alive_interval)),
        ("requiredrsasize", spec.required_rsa_bits.to_string()),
        ("serveralivecountmax", spec.server_alive_count_max.to_string()),
        (
            "proxycommand",
            match &spec.proxy {
                Proxy::Command(command) => command.clone(),
                Proxy::Direct | Proxy::Jump(_) => String::new(),
            },
        ),
    ];
    for (keyword, _) in LISTS {
        let common = &oracle().common[keyword];
        let names = list(spec, keyword).map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        all.push((keyword, comparable(keyword, names.unwrap_or_default().into_iter().filter(|n| common.contains(*n)))));
    }
    all.into_iter().map(|(keyword, value)| (keyword.to_owned(), value)).collect()
}

/// A list of algorithms; sorted if the two have other defaults.
fn comparable<'a>(keyword: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    if oracle().reordered.contains(keyword) {
        names.sort_unstable();
    }
    names.join(",")
}

fn theirs(world: &World, printed: &Printed, alias: &str) -> Vec<(String, String)> {
    let oracle = oracle();
    let get = |keyword: &str| printed.get(keyword).and_then(|values| values.first()).map_or("", String::as_str);
    let home = world.path().display().to_string();
    // What ssh has expanded has the home directory of the passwd entry.
    let at_home = |path: &str| match path.strip_prefix(&format!("{}/", oracle.home)) {
        Some(rest) => format!("{home}/{rest}"),
        None => path.to_owned(),
    };
    let key_alias = if get("hostkeyalias").is_empty() { alias } else { get("hostkeyalias") };
    let uid = std::fs::metadata(world.path()).unwrap().uid().to_string();
    let expanded = |text: &str| {
        let tokens = [
            ("d", home.as_str()),
            ("h", get("hostname")),
            ("k", key_alias),
            ("n", alias),
            ("p", get("port")),
            ("r", get("user")),
            ("u", oracle.defaults["user"][0].as_str()),
            ("i", uid.as_str()),
        ];
        expand(text, &home, &tokens)
    };
    let batch = get("batchmode") == "yes";
    let mut all = Vec::new();
    for (keyword, _) in ours_keywords() {
        let value = match keyword.as_str() {
            "stricthostkeychecking" => match get(&keyword) {
                "ask" | "true" => "yes".to_owned(),
                "false" => "no".to_owned(),
                other => other.to_owned(),
            },
            "pubkeyauthentication" => if get(&keyword) == "false" { "no" } else { "yes" }.to_owned(),
            "passwordauthentication" | "kbdinteractiveauthentication" if batch => "no".to_owned(),
            "preferredauthentications" if get(&keyword) == default_of(&keyword) => String::new(),
            "connecttimeout" if get(&keyword) == "none" => "0".to_owned(),
            // Debian's default in batch mode.
            "serveraliveinterval" if batch && get(&keyword) == "300" => "0".to_owned(),
            "userknownhostsfile" | "globalknownhostsfile" => match get(&keyword) {
                "none" => String::new(),
                files => {
                    let files = files.split(' ').map(|file| match file.strip_prefix("~/") {
                        Some(rest) => format!("{home}/{rest}"),
                        None => at_home(file),
                    });
                    files.collect::<Vec<_>>().join(" ")
                }
            },
            "identityfile" | "certificatefile" => {
                let files = printed.get(&keyword).cloned().unwrap_or_default();
                // Of kinds that the engine does not speak.
                let spoken = |file: &&String| !["~/.ssh/id_xmss", "~/.ssh/id_dsa"].contains(&file.as_str());
                let is_file = |file: &&String| keyword == "certificatefile" || !file.eq_ignore_ascii_case("none");
                files.iter().filter(spoken).filter(is_file).map(|file| expanded(file)).collect::<Vec<_>>().join(" ")
            }
            "identityagent" => match get(&keyword) {
                "" | "SSH_AUTH_SOCK" => std::env::var("SSH_AUTH_SOCK").unwrap_or_default(),
                "none" => String::new(),
                text if text.starts_with('$') => std::env::var(&text[1..]).unwrap_or_default(),
                path => at_home(path),
            },
            "setenv" => printed.get(&keyword).cloned().unwrap_or_default().join(" "),
            "proxycommand" => expand_percent(
                get(&keyword),
                &[("h", get("hostname")), ("k", key_alias), ("n", alias), ("p", get("port")), ("r", get("user"))],
            ),
            list if LISTS.iter().any(|(name, _)| *name == list) => {
                let common = &oracle.common[list];
                if get(list) == default_of(list) {
                    // Scout's own default is nobody's business here, a list that comes to the default is.
                    "default".to_owned()
                } else {
                    comparable(list, get(list).split(',').filter(|name| common.contains(*name)))
                }
            }
            other => get(other).to_owned(),
        };
        all.push((keyword, value));
    }
    all
}

fn default_of(keyword: &str) -> &'static str {
    oracle().defaults.get(keyword).map_or("", |values| values[0].as_str())
}

/// The keywords that are compared.
fn ours_keywords() -> Vec<(String, String)> {
    static KEYWORDS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    KEYWORDS.get_or_init(|| ours(&world_of("").scout().explain("any").unwrap())).clone()
}

fn expand(text: &str, home: &str, tokens: &[(&str, &str)]) -> String {
    let text = match text.strip_prefix('~') {
        Some(rest) => format!("{home}{rest}"),
        None => text.to_owned(),
    };
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').unwrap();
        write!(out, "{before}{}", std::env::var(name).unwrap()).unwrap();
        rest = after;
    }
    out.push_str(rest);
    expand_percent(&out, tokens)
}

fn expand_percent(text: &str, tokens: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, c == '%') {
            (_, true) => {
                let token = rest.next().unwrap().to_string();
                let value = tokens.iter().find(|(name, _)| *name == token).map(|(_, value)| *value);
                if token == "%" {
                    out.push('%');
                } else {
                    out.push_str(value.unwrap_or_else(|| panic!("{text} has an unknown token")));
                }
            }
            (c, false) => out.push(c),
        }
    }
    out
}

/// The first difference between a host as Scout has it and as ssh printed it.
fn difference(world: &World, explained: &Explained, printed: &Printed) -> Option<String> {
    let spec = &explained.spec;
    for ((keyword, mine), (_, wanted)) in ours(explained).into_iter().zip(theirs(world, printed, &spec.alias)) {
        let is_default = wanted == "default" && {
            // Not configured, or configured to what is the default of ssh.
            let default =
                default_of(&keyword).split(',').filter(|name| oracle().common[keyword.as_str()].contains(*name));
            mine.is_empty() || mine == comparable(&keyword, default)
        };
        if mine != wanted && !is_default {
            return Some(format!("{}: {keyword}: Scout has {mine:?}, ssh has {wanted:?}", spec.alias));
        }
    }
    unsourced(world, explained)
}

/// A setting whose line does not begin with its keyword.
fn unsourced(world: &World, explained: &Explained) -> Option<String> {
    for setting in &explained.settings {
        let Some(source) = &setting.source else { continue };
        let text = std::fs::read_to_string(&source.file).ok()?;
        let line = text.lines().nth(usize::try_from(source.line).unwrap() - 1).unwrap_or_default();
        let keyword = keyword_of(line);
        let names: &[&str] = match setting.keyword {
            "KbdInteractiveAuthentication" => {
                &["kbdinteractiveauthentication", "challengeresponseauthentication", "batchmode"]
            }
            "PasswordAuthentication" => &["passwordauthentication", "batchmode"],
            "PubkeyAcceptedAlgorithms" => &["pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"],
            // Of a hop, by the line that names it.
            "User" => &["user", "proxyjump"],
            "Port" => &["port", "proxyjump"],
            other => &[&other.to_ascii_lowercase()],
        };
        if !names.contains(&keyword.as_str()) {
            let at = world.path().display();
            return Some(format!("{at}: {setting:?} is said to come from {line:?}"));
        }
    }
    None
}

fn keyword_of(line: &str) -> String {
    let line = line.trim_start().replace('"', "");
    line.split([' ', '\t', '=']).next().unwrap_or_default().to_ascii_lowercase()
}

/// What came of one host.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The same settings.
    Same,
    /// Both refuse, or a bad line of another host's is passed over.
    BothRefuse,
    /// Scout does not evaluate it.
    NotEvaluated,
}

/// Compares one host. `Err` is a difference.
fn compare(case: &Case, host: &str) -> Result<Outcome, String> {
    let world = World::new(case);
    let mine = world.scout().explain(host);
    let mut probes: Vec<(PathBuf, u32)> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    let mut answer = ask(&world, &[], host);
    while let Err(stderr) = &answer {
        let bad: Vec<(PathBuf, u32)> = bad_lines(&world, case, stderr);
        if bad.is_empty() {
            break;
        }
        for at in bad {
            if stderr.contains(&format!("{}: line {}: Bad configuration option", at.0.display(), at.1)) {
                unknown.push(place(&at));
            }
            if !probe(&at, probes.len()) {
                // A block whose hosts are not known.
                return match mine {
                    Err(error) if error.message().contains(&place(&at)) => Ok(Outcome::BothRefuse),
                    // It stands in an `Include` that does not reach the host, or an earlier line is refused.
                    _ => Ok(Outcome::NotEvaluated),
                };
            }
            probes.push(at);
        }
        answer = ask(&world, &[], host);
    }
    let printed = match answer {
        Ok(printed) => printed,
        Err(stderr) => {
            // Wherever that `Include` stands; here only for the hosts that it is read for.
            let elsewhere = stderr.contains("Too many recursive configuration includes");
            return match mine {
                Ok(_) if !elsewhere => Err(format!("{host}: ssh refuses, Scout does not: {stderr}")),
                _ => Ok(Outcome::BothRefuse),
            };
        }
    };
    let chain = match chain(&world, &printed) {
        Ok(chain) => chain,
        Err(_) if mine.is_err() => return Ok(Outcome::BothRefuse),
        // The ssh of a hop reads the whole file too, and an IgnoreUnknown may stand in a block that is not the hop's.
        Err(why) if why.contains("Bad configuration option") => return Ok(Outcome::BothRefuse),
        Err(why) => return Err(format!("{host}: ssh refuses, Scout does not: {why}")),
    };
    // The bad lines that apply to the host or to one on the way.
    let sent: Vec<&String> =
        chain.iter().chain([&printed]).filter_map(|printed| printed.get("sendenv")).flatten().collect();
    let applies = |i: usize| sent.iter().any(|name| **name == format!("SCOUT_PROBE_{i}_"));
    let bad: Vec<String> = (0..probes.len()).filter(|i| applies(*i)).map(|i| place(&probes[i])).collect();
    match mine {
        // Where only the second reading comes to an IgnoreUnknown, ssh has refused the file in the first one.
        Ok(_) if bad.iter().any(|at| !unknown.contains(at)) => {
            Err(format!("{host}: ssh refuses {bad:?}, Scout does not"))
        }
        Ok(explained) => {
            let difference = difference(&world, &explained, &printed);
            match difference.or_else(|| difference_of_hops(&world, &chain, &explained)) {
                Some(difference) => Err(difference),
                None if probes.is_empty() => Ok(Outcome::Same),
                None => Ok(Outcome::BothRefuse),
            }
        }
        // Any of those that apply may be the one that Scout comes to first.
        Err(error) if bad.iter().any(|place| error.message().contains(place)) => Ok(Outcome::BothRefuse),
        Err(error) => match refused_for_a_reason(&world, error.message()) {
            Ok(()) => Ok(Outcome::NotEvaluated),
            Err(why) => {
                Err(format!("{host}: ssh takes it, Scout says {:?} ({:?}): {why}", error.message(), error.hint()))
            }
        },
    }
}

fn place((file, line): &(PathBuf, u32)) -> String {
    format!("{}:{line}: ", file.display())
}

/// The refusal names a line, and its keyword is one that Scout does not always evaluate.
fn refused_for_a_reason(world: &World, message: &str) -> Result<(), String> {
    // `ssh -G` does not look into these; ssh itself would end.
    if ["%q", "SCOUT_IS_NOT_SET", "no-such-account-here", "leaves no algorithm"]
        .iter()
        .any(|text| message.contains(text))
    {
        return Ok(());
    }
    // For a host behind another, the last place named is the one in question.
    let directory = world.path().display().to_string();
    let (_, rest) = message.rsplit_once(&directory).ok_or("no file is named")?;
    let (file, rest) = rest.split_once(':').ok_or("no line is named")?;
    let (line, _) = rest.split_once(':').ok_or("no line is named")?;
    let line: usize = line.parse().map_err(|_| "no line is named")?;
    let text = std::fs::read_to_string(format!("{directory}{file}")).map_err(|error| error.to_string())?;
    let keyword = keyword_of(text.lines().nth(line - 1).ok_or("there is no such line")?);
    if NOT_EVALUATED.contains(&keyword.as_str()) { Ok(()) } else { Err(format!("{keyword} is evaluated")) }
}

/// The lines that ssh complains of.
fn bad_lines(world: &World, case: &Case, stderr: &str) -> Vec<(PathBuf, u32)> {
    let mut bad = Vec::new();
    for (name, _) in &case.files {
        let file = world.path().join(name);
        for message in stderr.lines() {
            let Some(rest) = message.strip_prefix(&file.display().to_string()) else { continue };
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            let Some(rest) = rest.strip_prefix(" line ") else { continue };
            // A message, no refusal.
            if rest.contains(": Unsupported option ") {
                continue;
            }
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            let at = (file.clone(), digits.parse().unwrap());
            if !bad.contains(&at) {
                bad.push(at);
            }
        }
    }
    bad
}

/// Replaces a bad line by one that ssh prints if it applies. Not possible for lines that begin blocks.
fn probe((file, line): &(PathBuf, u32), number: usize) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let bad = &mut lines[usize::try_from(*line).unwrap() - 1];
    if ["host", "match", "include", "sendenv"].contains(&keyword_of(bad).as_str()) {
        return false;
    }
    // Not a prefix of the tenth.
    *bad = format!("SendEnv SCOUT_PROBE_{number}_");
    std::fs::write(file, lines.join("\n")).unwrap();
    true
}

/// Follows `ProxyJump` as ssh does: it starts itself for the last host, with the others as `-J`. The nearest host, which
/// is dialled last, comes first. `Err` if ssh refuses one of them.
fn chain(world: &World, printed: &Printed) -> Result<Vec<Printed>, String> {
    let jump_of = |printed: &Printed| printed.get("proxyjump").map(|values| values[0].clone());
    let mut chain: Vec<Printed> = Vec::new();
    let mut jump = jump_of(printed);
    while let Some(text) = jump {
        // ssh would go on for ever.
        if chain.len() > 20 {
            return Err(format!("{text} leads back to itself"));
        }
        let (before, last) = match text.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, text.as_str()),
        };
        let (user, address) = match last.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, last),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').unwrap();
                (host, port.strip_prefix(':'))
            }
            None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        let mut options = Vec::new();
        for (option, value) in [("-l", user), ("-p", port), ("-J", before)] {
            if let Some(value) = value {
                options.extend([option.to_owned(), value.to_owned()]);
            }
        }
        let hop = ask(world, &options, host).map_err(|stderr| format!("hop {last}: {stderr}"))?;
        jump = jump_of(&hop);
        chain.push(hop);
    }
    Ok(chain)
}

/// The first difference in the hosts that both jump through.
fn difference_of_hops(world: &World, chain: &[Printed], explained: &Explained) -> Option<String> {
    if chain.len() != explained.hops.len() {
        return Some(format!("Scout jumps through {} hosts, ssh through {}", explained.hops.len(), chain.len()));
    }
    let pairs = explained.hops.iter().rev().zip(chain);
    pairs
        .filter_map(|(hop, printed)| difference(world, hop, printed))
        .map(|difference| format!("hop {difference}"))
        .next()
}

/// Takes lines out of a case as long as it still differs.
fn shrunk(case: &Case, host: &str) -> Case {
    let differs = |case: &Case| std::panic::catch_unwind(|| compare(case, host)).map_or(true, |result| result.is_err());
    let mut case = case.clone();
    let mut progress = true;
    while progress {
        progress = false;
        for file in 0..case.files.len() {
            let mut line = 0;
            while line < case.files[file].1.split('\n').count() {
                let mut smaller = case.clone();
                let mut lines: Vec<&str> = case.files[file].1.split('\n').collect();
                lines.remove(line);
                smaller.files[file].1 = lines.join("\n");
                if smaller.files[file].1 != case.files[file].1 && differs(&smaller) {
                    case = smaller;
                    progress = true;
                } else {
                    line += 1;
                }
            }
        }
    }
    case.files.retain(|(_, text)| !text.is_empty());
    case
}

/// Compares all hosts of all cases on all processors; gives how many came to what, and the first cases that differ.
fn compare_all(cases: &[Case]) -> ([usize; 3], Vec<String>) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut counts, mut differences) = ([0; 3], Vec::new());
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            // To shrink one takes seconds.
            if !differences.is_empty() {
                break;
            }
            for host in &case.hosts {
                match compare(case, host) {
                    Ok(Outcome::Same) => counts[0] += 1,
                    Ok(Outcome::BothRefuse) => counts[1] += 1,
                    Ok(Outcome::NotEvaluated) => counts[2] += 1,
                    Err(_) => {
                        let small = shrunk(case, host);
                        let why = compare(&small, host).expect_err("a shrunk case differs");
                        let mut text = format!("{} for {host}: {why}\n", case.name);
                        for (name, content) in &small.files {
                            writeln!(text, "--- {name}\n{content}").unwrap();
                        }
                        differences.push(text);
                    }
                }
            }
        }
        (counts, differences)
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut total = ([0; 3], Vec::new());
        for worker in workers {
            let (counts, differences) = worker.join().unwrap();
            total.0.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            total.1.extend(differences);
        }
        total
    })
}

/// Reads a number from the environment.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

#[test]
fn generated_configurations_come_to_what_ssh_comes_to() {
    let seed = setting("SCOUT_CONFIG_SEED", DEFAULT_SEED);
    let cases: Vec<Case> =
        (0..setting("SCOUT_CONFIG_CASES", DEFAULT_CASES) as u64).map(|number| generator::case(seed, number)).collect();
    let ([same, both, not_evaluated], differences) = compare_all(&cases);
    let total = same + both + not_evaluated + differences.len();
    eprintln!("{total} hosts: {same} the same, {both} refused by both, {not_evaluated} not evaluated");
    assert!(
        differences.is_empty(),
        "{} of the first {total} hosts differ; again with SCOUT_CONFIG_SEED={seed}\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(same * 10 > total * 6, "most hosts must be compared: {same} of {total}");
    assert!(not_evaluated * 5 < total, "few may be left out: {not_evaluated} of {total}");
}

#[test]
fn real_configurations_come_to_what_ssh_comes_to() {
    let cases = corpus();
    assert!(cases.len() >= 15, "{} configurations", cases.len());
    // People use all that is in the corpus, so Scout reads all of it.
    for case in cases {
        for host in &case.hosts {
            assert_eq!(compare(&case, host), Ok(Outcome::Same), "{host} of {}", case.name);
        }
    }
}

/// The files of `config_corpus`; those below its `include` belong to all of them.
fn corpus() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_corpus");
    let mut included = Vec::new();
    collect(&root.join("include"), &root, &mut included);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let case = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let world = world_of(&text);
        // Names, and in comments the names that only patterns reach.
        let mut hosts = world.scout().hosts();
        let more = text.lines().filter_map(|line| line.strip_prefix("# also: "));
        hosts.extend(more.flat_map(|names| names.split_whitespace().map(str::to_owned)));
        assert!(!hosts.is_empty(), "{} names no host", path.display());
        let mut files = vec![(".ssh/config".to_owned(), text)];
        files.extend(included.iter().map(|(name, text): &(String, String)| (format!(".ssh/{name}"), text.clone())));
        Case { name: path.file_name().unwrap().to_string_lossy().into_owned(), files, hosts }
    };
    files.into_iter().map(case).collect()
}

fn collect(directory: &Path, root: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            into.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// `ssh -G` leaves tokens as they are in these; `ssh -v` tells what it comes to.
#[test]
fn names_of_keys_and_proxy_commands_are_expanded_as_ssh_expands_them() {
    let config = "\
        Host one\n HostName Real.Example.ORG\n User u\n Port 2022\n HostKeyAlias Kay\n\
        Host two\n HostName 127.1\n\
        Host *\n\
        IdentityFile ~/k_%h_%n_%p_%r\n IdentityFile /%d/%u/%i/%k\n IdentityFile \"/a b/%l.%L.%%\"\n\
        IdentityFile /${CARGO_PKG_NAME}/%C\n IdentityFile none\n CertificateFile ~/c_%n\n CertificateFile /%k/%C\n\
        ProxyCommand exit 1; # %h %p %r %n %k %% \"quoted  blanks\" ${HOME}\n";
    let world = world_of(config);
    for host in ["one", "two"] {
        // A log of its own: the shell that ssh starts writes to the same standard error, in the middle of a line.
        let log = world.path().join("log");
        world.ssh(&["-v", "-E", log.to_str().unwrap(), "-o", "BatchMode=yes", "--", host]);
        let told = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).replace('\r', "");
        std::fs::remove_file(&log).unwrap();
        let lines = |prefix: &str, end: &str| -> Vec<String> {
            told.lines()
                .filter_map(|line| {
                    Some(line.strip_prefix("debug1: ")?.strip_prefix(prefix)?.split(end).next()?.to_owned())
                })
                .collect()
        };
        let spec = world.scout().resolve(host).unwrap();
        let home = world.path().display().to_string();
        // The home directory of the passwd entry.
        let at_home = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string().replace(&home, &oracle().home)).collect()
        };
        assert_eq!(at_home(&spec.identity_files), lines("identity file ", " type "), "{told}");
        assert_eq!(at_home(&spec.certificate_files), lines("certificate file ", " type "), "{told}");
        let Proxy::Command(command) = spec.proxy else { panic!("{host} has a proxy command") };
        assert_eq!(lines("Executing proxy command: ", "\u{0}"), [format!("exec {command}")], "{told}");
    }
}

/// Configurations out of a seed.
mod generator {
    use std::fmt::Write as _;

    use super::Case;

    const NAMES: [&str; 9] =
        ["web", "db", "DB", "bastion", "jump1", "web1.example.org", "10.0.0.1", "fe80::1", "a-b_c"];
    const PATTERNS: [&str; 9] = ["*", "web*", "?b", "*.example.org", "!db", "!*.org", "jump?", "10.*", "*1"];

    /// xorshift64*: small, and the same everywhere.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
        }

        fn below(&mut self, limit: usize) -> usize {
            usize::try_from(self.next() % limit as u64).unwrap()
        }

        /// Once in `n` times.
        fn once_in(&mut self, n: usize) -> bool {
            self.below(n) == 0
        }

        fn of<T: Copy>(&mut self, choices: &[T]) -> T {
            choices[self.below(choices.len())]
        }
    }

    pub(super) fn case(seed: u64, number: u64) -> Case {
        let mut random =
            Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number + 1).wrapping_mul(0xD1B5_4A32_D192_ED03));
        let mut files = vec![(".ssh/config".to_owned(), file(&mut random, 5, 6))];
        for name in [".ssh/part", ".ssh/conf.d/10.conf", ".ssh/conf.d/20.conf"] {
            files.push((name.to_owned(), file(&mut random, 2, 3)));
        }
        let mut hosts: Vec<String> = (0..3).map(|_| random.of(&NAMES).to_owned()).collect();
        hosts.push("other".to_owned());
        hosts.sort();
        hosts.dedup();
        Case { name: format!("case {number} of seed {seed}"), files, hosts }
    }

    fn file(random: &mut Random, blocks: usize, lines: usize) -> String {
        let mut text = String::new();
        let mut first = true;
        for _ in 0..=random.below(blocks) {
            if !first || random.once_in(3) {
                let head = if random.once_in(3) { condition(random) } else { host(random) };
                writeln!(text, "{head}").unwrap();
            }
            first = false;
            for _ in 0..random.below(lines) + 1 {
                text.push_str(&line(random));
                text.push_str(random.of(&["\n", "\n", "\n", "\n", "\r\n", " \n", "\n\n# comment\n", "\x0c\n"]));
            }
        }
        text
    }

    fn host(random: &mut Random) -> String {
        let mut text = random.of(&["Host", "host", "HOST"]).to_owned();
        text.push_str(random.of(&[" ", "\t", "=", " = "]));
        for i in 0..random.below(3) + 1 {
            let name = if random.once_in(3) { random.of(&PATTERNS) } else { random.of(&NAMES) };
            let blank = if i == 0 { "" } else { " " };
            if random.once_in(8) { write!(text, "{blank}\"{name}\"") } else { write!(text, "{blank}{name}") }.unwrap();
        }
        text
    }

    fn condition(random: &mut Random) -> String {
        let mut text = "Match".to_owned();
        for _ in 0..random.below(2) + 1 {
            let negation = random.of(&["", "", "", "!"]);
            let list = [random.of(&NAMES), random.of(&PATTERNS), random.of(&["web,db", "*,!db", "real.example.org"])];
            let list = random.of(&list);
            let criterion = match random.below(11) {
                0..3 => format!("host {list}"),
                3 | 4 => format!("originalhost {list}"),
                5 => format!("user {}", random.of(&["root", "u1", "u*", "!u1,*", "U1"])),
                6 => format!("localuser {}", random.of(&["root", "*", "nobody"])),
                7 => format!(
                    "exec {}",
                    random.of(&["true", "false", "\"test %h = db\"", "\"test '%n%%' = web%% -a %p = 22\""])
                ),
                8 => format!("host=\"{list}\""),
                9 => random.of(&["final", "final", "canonical"]).to_owned(),
                _ => return format!("{text} {negation}all"),
            };
            // Alone, `!final` is refused.
            let negation = if criterion == "final" { "" } else { negation };
            write!(text, " {negation}{criterion}").unwrap();
        }
        if random.once_in(150) {
            text.push_str(random.of(&[" all x", " colour blue", " host", " !final"]));
        }
        text
    }

    /// Keywords with arguments: good ones, and after `|` those that are refused or not evaluated.
    const LINES: &[(&str, &[&str], &[&str])] = &[
        (
            "HostName",
            &["%h.Example.ORG", "real.example.org", "10.0.0.2", "127.1", "FE80::0:1", "%%x", "web"],
            &["%q", "%"],
        ),
        ("User", &["u1", "\"two words\"", "U1", "o\\ ne", "x#y", "root"], &["a b", "%h", "\"\""]),
        ("Port", &["22", "2202", "022", "+24", "ssh", "65535"], &["0", "70000", "0x16", "http", "22 23"]),
        (
            "IdentityFile",
            &[
                "~/.ssh/k1",
                "/k/%h/%n",
                "\"/with space/%r\"",
                "none",
                "/k/%%%p",
                "${CARGO_PKG_NAME}/x",
                "'%d/q'",
                "/k/%k",
                "/u/%u",
            ],
            &["/k/%q", "${SCOUT_IS_NOT_SET}/x", "~no-such-account-here/x"],
        ),
        ("CertificateFile", &["~/.ssh/c1-cert.pub", "/c/%n", "/c/%n", "none"], &["\"open"]),
        ("IdentitiesOnly", &["yes", "no", "TRUE", "False"], &["maybe"]),
        (
            "IdentityAgent",
            &["none", "SSH_AUTH_SOCK", "$PATH", "~/agent.%n", "/run/a\\ b", "/run/${CARGO_PKG_NAME}"],
            &["$A-B", "/${SCOUT_IS_NOT_SET}"],
        ),
        (
            "ProxyJump",
            &[
                "bastion",
                "none",
                "u9@jump1:2222",
                "bastion,jump1",
                "ssh://u8@jump1:99",
                "[::1]:5,u@far",
                "far:",
                "NONE",
                "jump1 # why",
                "u7@web1.example.org,ssh://far",
            ],
            &["a,,b", "a:0", "::1", "none # x", "a,none"],
        ),
        (
            "ProxyCommand",
            &["nc %h %p", "ssh -W [%h]:%p \"b c\" # raw", "none", "NONE", "= x %r %n %k %%", "'q' %h"],
            &["nc \"%h", "nc %q"],
        ),
        ("ProxyUseFdpass", &["no", "no", "yes"], &["perhaps"]),
        ("AddressFamily", &["any", "inet", "INET6"], &["ipv4"]),
        ("BindAddress", &["10.0.0.9", "::1"], &["a b"]),
        (
            "UserKnownHostsFile",
            &["~/kh", "/dev/null", "none", "~/kh1 /kh2", "\"/k/%h\" ~/x", "/k/%k # c", "# none"],
            &["a none", "\"\"", "/%q"],
        ),
        ("GlobalKnownHostsFile", &["/etc/kh", "none", "~/g1 /g2", "/g/%h"], &["none a"]),
        ("StrictHostKeyChecking", &["yes", "no", "ask", "accept-new", "OFF", "true"], &["perhaps"]),
        ("HostKeyAlias", &["Alias.One", "two"], &["a b"]),
        ("HashKnownHosts", &["yes", "no"], &["1"]),
        (
            "KexAlgorithms",
            &[
                "curve25519-sha256",
                "+diffie-hellman-group14-sha1",
                "-ecdh*",
                "^ecdh-sha2-nistp521",
                "ecdh-sha2-nistp256,curve25519-sha256,ecdh-sha2-nistp256",
            ],
            &["nonsense", "curve*", "-*"],
        ),
        (
            "Ciphers",
            &[
                "aes256-ctr",
                "+aes128-cbc,3des-cbc",
                "-*gcm*,chacha20*",
                "^aes256-gcm@openssh.com",
                "aes128-ctr,aes128-ctr,aes192-ctr",
            ],
            &["aes", "+", "aes128-*"],
        ),
        ("MACs", &["hmac-sha2-256", "-*-etm@*", "+hmac-md5", "^hmac-sha2-512,hmac-sha1"], &["hmac"]),
        (
            "HostKeyAlgorithms",
            &["+ssh-rsa", "ssh-ed25519,rsa-sha2-512", "^rsa-sha2-256", "-ecdsa*,sk-*", "ssh-ed25519*", "+ssh-*"],
            &["foo*", "+!ssh-rsa"],
        ),
        ("PubkeyAcceptedAlgorithms", &["+ssh-rsa", "ssh-ed25519*", "-*cert*"], &["nonsense"]),
        ("PubkeyAcceptedKeyTypes", &["+ssh-rsa-cert-v01@openssh.com", "ecdsa-*"], &["nonsense"]),
        (
            "CASignatureAlgorithms",
            &["+ssh-rsa", "-rsa*", "ssh-ed25519", "^rsa-sha2-256", "ecdsa-*,rsa-sha2-512", "-*nistp*"],
            &["nonsense", "+!ssh-rsa", "-*", "ssh-ed25519-cert-v01@openssh.com"],
        ),
        ("PubkeyAuthentication", &["yes", "no", "unbound", "Host-Bound"], &["maybe"]),
        ("PasswordAuthentication", &["yes", "no"], &["maybe"]),
        ("KbdInteractiveAuthentication", &["yes", "no"], &["maybe"]),
        ("ChallengeResponseAuthentication", &["yes", "no"], &["maybe"]),
        ("PreferredAuthentications", &["publickey", "password,publickey"], &["a b"]),
        ("NumberOfPasswordPrompts", &["1", "0", "7"], &["-1", "x"]),
        ("BatchMode", &["yes", "no"], &["maybe"]),
        ("SetEnv", &["A=1", "A=1 B=\"x y\" A=2", "LANG=C.UTF-8 X=", "# nothing"], &["A", "A=1 B"]),
        ("ConnectTimeout", &["5", "1m30s", "none", "0", "2H", "\"1m 5\""], &["5x", "-1", "9999999999", ""]),
        ("ServerAliveInterval", &["15", "1m", "none", "0"], &["soon"]),
        ("ServerAliveCountMax", &["0", "5"], &["1m", "2147483648"]),
        ("IgnoreUnknown", &["Foo*,bar", "*", "!bar,*"], &["a b"]),
        (
            "Include",
            &[
                "part",
                "conf.d/*.conf",
                "~/.ssh/part absent",
                "conf.d/[12]0.conf",
                "\"conf.d/2?.conf\" part",
                "# nothing",
            ],
            &["\"\""],
        ),
        ("ForwardAgent", &["yes", "no", "/run/agent"], &[]),
        ("ControlMaster", &["auto", "no"], &[]),
        ("ControlPath", &["~/.ssh/cm-%C", "none"], &[]),
        ("ControlPersist", &["10m", "yes"], &[]),
        ("LocalForward", &["8080 localhost:80", "9090 [::1]:90"], &[]),
        ("RemoteCommand", &["tmux attach \"x\""], &[]),
        ("RequestTTY", &["force"], &[]),
        ("GSSAPIAuthentication", &["yes"], &[]),
        ("LogLevel", &["ERROR"], &[]),
        ("TCPKeepAlive", &["no"], &[]),
        ("VisualHostKey", &["no"], &[]),
        ("Compression", &["yes"], &[]),
        ("UpdateHostKeys", &["no"], &[]),
        ("VerifyHostKeyDNS", &["ask"], &[]),
        ("UseRoaming", &["no"], &[]),
        ("RSAAuthentication", &["yes"], &[]),
        ("FooThing", &[], &["x"]),
        ("Bar", &[], &["x y"]),
        ("CanonicalizeHostname", &["no"], &["perhaps"]),
        ("CheckHostIP", &["no"], &["yes"]),
        ("KnownHostsCommand", &["none"], &["/bin/x %H"]),
        ("RequiredRSASize", &["1024", "2048", "3072", "0", "16384"], &["x", "-1", "2147483648", "2048 3072"]),
        ("RevokedHostKeys", &["none"], &["/keys"]),
    ];

    fn line(random: &mut Random) -> String {
        let (keyword, good, bad) = random.of(LINES);
        let value =
            if good.is_empty() || (!bad.is_empty() && random.once_in(60)) { random.of(bad) } else { random.of(good) };
        // Of those that are nothing but bad, few.
        if good.is_empty() && !random.once_in(6) {
            return "# nothing".to_owned();
        }
        let keyword = match random.below(8) {
            0 => keyword.to_ascii_lowercase(),
            1 => keyword.to_ascii_uppercase(),
            2 if random.once_in(4) => format!("\"{keyword}\""),
            _ => keyword.to_owned(),
        };
        let quoted = keyword.starts_with('"');
        // Of the second `=` a value is made that Scout looks at only where it looks at values.
        let separator = match quoted {
            true => " ",
            false if !bad.is_empty() && random.once_in(40) => random.of(&["==", "= ="]),
            false => random.of(&[" ", " ", " ", "\t", "=", " = ", "  "]),
        };
        let indent = random.of(&["", " ", "    ", "\t"]);
        let takes_command = ["proxycommand", "proxyjump", "remotecommand", "knownhostscommand"]
            .contains(&keyword.to_ascii_lowercase().as_str());
        let comment = if !takes_command && random.once_in(12) { " # it's a comment" } else { "" };
        format!("{indent}{keyword}{separator}{value}{comment}")
    }
}
