//! One host's settings in words that ssh and Scout both come to.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use scout_ssh::config::{AddressFamily, Explained, HostSpec, Proxy, StrictHostKeyChecking};

use crate::compare::keyword_of;
use crate::world::{Printed, World, ask, home_of_passwd, world_of};

/// What this version of ssh knows and prefers.
pub(crate) struct Oracle {
    defaults: Printed,
    /// Names that both know, for each list.
    common: HashMap<&'static str, HashSet<String>>,
    /// Lists whose defaults have another order than Scout's, which knows OpenSSH 10.6's.
    reordered: HashSet<&'static str>,
    pub(crate) home: String,
    /// Major and minor.
    pub(crate) version: (u32, u32),
}

/// The version of the ssh that is compared with.
fn version() -> (u32, u32) {
    let output = Command::new("ssh").arg("-V").output().expect("ssh is missing: sudo apt-get install openssh-client");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = text.strip_prefix("OpenSSH_").and_then(|rest| rest.split(['p', ' ', ',']).next()).unwrap();
    let (major, minor) = number.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
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

pub(crate) fn oracle() -> &'static Oracle {
    static ORACLE: OnceLock<Oracle> = OnceLock::new();
    ORACLE.get_or_init(|| {
        let defaults = ask(&world_of(""), &[], "any").expect("ssh reads an empty file");
        let (mut common, mut reordered) = (HashMap::new(), HashSet::new());
        for (keyword, query) in LISTS {
            let output = Command::new("ssh").args(["-Q", query]).output().unwrap();
            let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
            let known = |name: &&str| world_of(&format!("{keyword} {name}\n")).scout().resolve("any").is_ok();
            let mut names: HashSet<String> = theirs.lines().filter(known).map(str::to_owned).collect();
            let first = names.iter().next().expect("a common name");
            // A default list that loses nothing.
            let spec = world_of(&format!("{keyword} -no-such-name,!{first}\n")).scout().resolve("any").unwrap();
            let ours = list(&spec, keyword).unwrap().clone();
            let default: Vec<&str> = defaults[keyword][0].split(',').collect();
            // Those that only one of the two has by default.
            names.retain(|name| ours.contains(name) == default.contains(&name.as_str()));
            let ours: Vec<&str> = ours.iter().map(String::as_str).filter(|name| names.contains(*name)).collect();
            let default: Vec<&str> = default.into_iter().filter(|name| names.contains(*name)).collect();
            if ours != default {
                reordered.insert(keyword);
            }
            common.insert(keyword, names);
        }
        let user = home_of_passwd();
        Oracle { defaults, common, reordered, home: user, version: version() }
    })
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
        ("bindinterface", spec.bind_interface.clone().unwrap_or_default()),
        ("nohostauthenticationforlocalhost", yes_or_no(spec.trusts_localhost)),
        ("revokedhostkeys", paths(&spec.revoked_host_keys)),
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
    let last_hop = get("proxyjump").rsplit(',').next().unwrap_or_default();
    let address = last_hop.rsplit('@').next().unwrap_or_default();
    let jump = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host.to_owned(),
        None => address.split(':').next().unwrap_or_default().to_owned(),
    };
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
            ("j", jump.as_str()),
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
            "userknownhostsfile" | "globalknownhostsfile" | "revokedhostkeys" => match get(&keyword) {
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
                let spoken = |file: &&String| {
                    !["~/.ssh/id_xmss", "~/.ssh/id_dsa", "~/.ssh/id_mldsa44_ed25519"].contains(&file.as_str())
                };
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

/// Asks ssh for all that is remembered; to do so takes configurations of its own.
pub(crate) fn ask_before() {
    oracle();
    ours_keywords();
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
pub(crate) fn difference(world: &World, explained: &Explained, printed: &Printed) -> Option<String> {
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
