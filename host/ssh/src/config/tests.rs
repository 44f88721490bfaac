//! What lines of `ssh_config` mean, by tables and by asking ssh itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{HostSpec, SshConfig, StrictHostKeyChecking};
use crate::{ErrorKind, SshError};

/// A home directory with `.ssh/config`, and the system's file beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a temporary directory"));
        std::fs::create_dir(home.path(".ssh")).expect("a directory");
        home.write(".ssh/config", config);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        // Whatever the umask is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    fn load(&self) -> SshConfig {
        SshConfig::load(&self.path(".ssh/config"), Some(&self.path("system")), self.0.path()).expect("a configuration")
    }

    fn resolve(&self, alias: &str) -> Result<HostSpec, SshError> {
        self.load().resolve(alias)
    }
}

fn resolve(config: &str, alias: &str) -> HostSpec {
    Home::new(config).resolve(alias).unwrap_or_else(|e| panic!("{config}: {e}"))
}

fn refusal(config: &str, alias: &str) -> SshError {
    let error = Home::new(config).resolve(alias).expect_err(config);
    assert_eq!(error.kind(), ErrorKind::Config);
    error
}

#[test]
fn an_absent_file_gives_the_defaults_of_openssh() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let config = SshConfig::load(&home.path().join("absent"), None, home.path()).expect("a configuration");
    assert!(config.hosts().is_empty());
    let host = config.resolve("Web1").expect("a host");
    let ssh = home.path().join(".ssh");
    assert_eq!((host.alias.as_str(), host.host_name.as_str(), host.port), ("Web1", "web1", 22));
    assert_eq!(host.user, uzers::get_current_username().expect("a name").to_string_lossy());
    assert!(host.identity_files_are_default);
    assert_eq!(
        host.identity_files,
        ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"].map(|name| ssh.join(name))
    );
    assert_eq!(host.user_known_hosts_files, [ssh.join("known_hosts"), ssh.join("known_hosts2")]);
    assert_eq!(
        host.global_known_hosts_files,
        [Path::new("/etc/ssh/ssh_known_hosts"), Path::new("/etc/ssh/ssh_known_hosts2")]
    );
    assert_eq!(host.strict_host_key_checking, StrictHostKeyChecking::Yes);
    assert_eq!(host.agent, environment_agent());
    assert!(!host.identities_only);
    assert_eq!((host.connect_timeout, host.server_alive_interval, host.server_alive_count_max), (None, None, 3));
}

#[test]
fn the_first_value_wins_and_blocks_end_at_the_next() {
    let config = "Port 1\nHost a\n User first\n Port 2\nHost *\n User last\n Port 3\nMatch all\n ConnectTimeout 7\n";
    let a = resolve(config, "a");
    assert_eq!((a.user.as_str(), a.port, a.connect_timeout), ("first", 1, Some(Duration::from_secs(7))));
    assert_eq!(resolve(config, "b").user, "last");
}

#[test]
fn host_patterns_match_as_in_openssh() {
    let config = "Host web? *.example.org !db.example.org\n User hit\nHost *\n User miss\n";
    for (alias, user) in [
        ("web1", "hit"),
        ("web12", "miss"),
        ("a.example.org", "hit"),
        ("db.example.org", "miss"),
        ("WEB1", "miss"),
        ("a,b", "miss"),
    ] {
        assert_eq!(resolve(config, alias).user, user, "{alias}");
    }
}

#[test]
fn hosts_are_the_literal_names_each_once_in_order() {
    let home = Home::new("Include more\nHost b a *.x !c\nHost a d?\nHost e !e f\nHost b\n Include more\n");
    home.write(".ssh/more", "Host g b\n");
    home.write("system", "Host h\n");
    assert_eq!(home.load().hosts(), ["g", "b", "a", "f", "h"]);
}

#[test]
fn the_systems_file_comes_after_the_users_and_outside_its_blocks() {
    let home = Home::new("Port 2\nHost other\n");
    home.write("system", "Port 3\nUser system\n");
    let host = home.resolve("a").expect("a host");
    assert_eq!((host.port, host.user.as_str()), (2, "system"));
}

#[test]
fn host_name_tokens_are_replaced() {
    let config = "Host a\n HostName %h.Example.org\nHost v6\n HostName fe80::1%%Eth0\nHost bad\n HostName %q\n";
    assert_eq!(resolve(config, "a").host_name, "a.example.org");
    assert_eq!(resolve(config, "v6").host_name, "fe80::1%Eth0");
    assert!(refusal(config, "bad").message().contains("config:6: HostName %q"), "{}", refusal(config, "bad"));
}

#[test]
fn identity_files_accumulate_and_are_expanded() {
    let home = Home::new(
        "Host a\n HostName h\n User r\n Port 9\n IdentityFile ~/k1\n IdentityFile \"%d/k 2\"\nHost *\n \
         IdentityFile /k/%h_%n_%r_%p_%%\n IdentityFile ~/k1\n IdentityFile /${PATH}/k\n",
    );
    let host = home.resolve("a").expect("a host");
    assert!(!host.identity_files_are_default);
    let path = std::env::var("PATH").expect("PATH");
    assert_eq!(
        host.identity_files,
        [home.path("k1"), home.path("k 2"), PathBuf::from("/k/h_a_r_9_%"), PathBuf::from(format!("/{path}/k"))]
    );
}

#[test]
fn identity_file_none_switches_the_defaults_off() {
    let host = resolve("IdentityFile none\n", "a");
    assert!(host.identity_files.is_empty() && !host.identity_files_are_default);
}

#[test]
fn an_identity_file_that_cannot_be_expanded_is_refused() {
    for (value, why) in [
        ("/${SCOUT_IS_NOT_SET_HERE}", "SCOUT_IS_NOT_SET_HERE is not set"),
        ("/${PATH", "not closed"),
        ("/%C", "%C is not evaluated"),
        ("~no-such-account-here/x", "no such account"),
    ] {
        let error = refusal(&format!("IdentityFile {value}\n"), "a");
        assert!(error.message().contains(why), "{error}");
        assert!(error.message().contains("config:1: IdentityFile"), "{error}");
    }
}

fn environment_agent() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[test]
fn the_agent_is_where_the_line_says() {
    let path = PathBuf::from(std::env::var("PATH").expect("PATH"));
    for (value, wanted) in [
        ("none", None),
        ("SSH_AUTH_SOCK", environment_agent()),
        ("$PATH", Some(path)),
        ("\"/run/my agent\"", Some("/run/my agent".into())),
        ("/run/%n", Some("/run/a".into())),
    ] {
        assert_eq!(resolve(&format!("IdentityAgent {value}\n"), "a").agent, wanted, "{value}");
    }
}

#[test]
fn known_hosts_files_may_be_several_and_quoted() {
    let home = Home::new("UserKnownHostsFile ~/kh \"/a b\"\nGlobalKnownHostsFile none\nUserKnownHostsFile /late\n");
    let host = home.resolve("a").expect("a host");
    assert_eq!(host.user_known_hosts_files, [home.path("kh"), PathBuf::from("/a b")]);
    assert!(host.global_known_hosts_files.is_empty());
}

#[test]
fn strict_host_key_checking_has_openssh_words() {
    for (word, wanted) in [
        ("yes", StrictHostKeyChecking::Yes),
        ("ask", StrictHostKeyChecking::Yes),
        ("Accept-New", StrictHostKeyChecking::AcceptNew),
        ("no", StrictHostKeyChecking::No),
        ("off", StrictHostKeyChecking::No),
    ] {
        let host = resolve(&format!("StrictHostKeyChecking {word}\n"), "a");
        assert_eq!(host.strict_host_key_checking, wanted, "{word}");
    }
}

#[test]
fn bad_lines_are_refused_with_file_and_line() {
    for (line, what) in [
        ("Port 99999", "Port 99999 is not a port"),
        ("Port 0", "Port 0 is not a port"),
        ("Port 0x16", "Port 0x16 is not a port"),
        ("Port", "Port needs an argument"),
        ("User a b", "User has more than one argument"),
        ("User \"abc", "User has invalid quotes"),
        ("User \"\"", "User needs an argument"),
        ("ConnectTimeout 5x", "ConnectTimeout 5x is not a time"),
        ("ConnectTimeout -1", "ConnectTimeout -1 is not a time"),
        ("ConnectTimeout 9999999999", "is not a time"),
        ("ServerAliveCountMax 1m", "ServerAliveCountMax 1m is not a number"),
        ("IdentitiesOnly maybe", "IdentitiesOnly maybe is neither yes nor no"),
        ("StrictHostKeyChecking perhaps", "StrictHostKeyChecking perhaps is none of"),
        ("ProxyJump", "ProxyJump needs an argument"),
        ("Include", "Include needs a file name"),
        ("NoSuchThing yes", "NoSuchThing is not a known keyword"),
    ] {
        let error = refusal(&format!("# one\n{line}\n"), "a");
        assert!(error.message().contains(what), "{error}");
        assert!(error.message().contains("/.ssh/config:2: "), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_line_that_is_not_evaluated_fails_only_the_hosts_it_touches() {
    for line in [
        "Port 99999",
        "ProxyJump bastion",
        "ProxyCommand nc %h %p",
        "HostKeyAlias x",
        "CertificateFile x",
        "Ciphers +aes128-cbc",
        "MACs x",
        "KexAlgorithms x",
        "HostKeyAlgorithms +ssh-rsa",
        "CanonicalizeHostname yes",
        "AddressFamily inet",
        "PubkeyAuthentication no",
        "SetEnv A=b",
        "Whatever x",
    ] {
        let config = format!("Host a*\n {line}\nHost b\n User x\n");
        let keyword = line.split(' ').next().expect("a keyword");
        assert!(refusal(&config, "a1").message().contains(&format!("config:2: {keyword}")), "{line}");
        assert_eq!(resolve(&config, "b").user, "x", "{line}");
    }
}

#[test]
fn irrelevant_and_harmless_lines_are_silent() {
    let config = "ForwardX11 yes\nForwardAgent yes\nGSSAPIAuthentication yes\nGSSAPIFutureThing x\nCompression yes\n\
        LogLevel DEBUG\nVisualHostKey yes\nTunnel no\nLocalForward 1 a:2\nRemoteForward 1 a:2\nControlMaster auto\n\
        ControlPath ~/x\nControlPersist 10m\nSendEnv LANG LC_*\nRequestTTY yes\nTCPKeepAlive yes\nAddKeysToAgent yes\n\
        UseKeychain yes\nHashKnownHosts yes\nBatchMode yes\nEscapeChar none\nPreferredAuthentications publickey\n\
        ProxyJump none\nProxyCommand none\nCanonicalizeHostname no\nSetEnv TERM=xterm\nAddressFamily any\n";
    assert_eq!(resolve(config, "a").port, 22);
}

#[test]
fn ignore_unknown_holds_for_the_lines_below_it() {
    assert_eq!(resolve("IgnoreUnknown My*,Other\nMyThing x y\nother z\n", "a").port, 22);
    assert!(refusal("MyThing x\nIgnoreUnknown My*\n", "a").message().contains("config:1: MyThing"));
    assert!(refusal("IgnoreUnknown My*\nProxyJump x\n", "a").message().contains("config:2: ProxyJump"));
}

#[test]
fn a_match_block_fails_every_host() {
    for condition in ["host a", "exec true", "final all", "user x"] {
        let config = format!("Host a\n User x\nMatch {condition}\n Port 9\n");
        for alias in ["a", "b"] {
            assert!(refusal(&config, alias).message().contains("config:3: Match"), "{condition}");
        }
    }
}

#[test]
fn includes_are_relative_to_the_ssh_directory_and_sorted() {
    let home = Home::new("Include conf.d/*.conf \"~/my file\" absent\nPort 9\n");
    home.write(".ssh/conf.d/20.conf", "User later\nHost x\n User x\n");
    home.write(".ssh/conf.d/10.conf", "User \"first one\"\n");
    home.write(".ssh/conf.d/.hidden.conf", "Nonsense\n");
    home.write("my file", "ConnectTimeout 3\n");
    std::fs::create_dir(home.path(".ssh/conf.d/dir.conf")).expect("a directory");
    let host = home.resolve("a").expect("a host");
    assert_eq!((host.user.as_str(), host.port), ("first one", 9), "a block in an included file ends with the file");
    assert_eq!(host.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn an_include_inside_a_block_holds_only_for_the_block() {
    let home = Home::new("Host a\n Include more\n Port 9\n");
    home.write(".ssh/more", "User x\nHost b\n User never\n Nonsense\nMatch host c\n User y\n");
    assert!(home.resolve("b").expect("a host").user != "never");
    assert!(home.resolve("a").expect_err("Match is in the block").message().contains("more:5: Match"));
}

#[test]
fn a_file_that_includes_itself_ends() {
    let home = Home::new("Host a\n Include config config\nHost b\n User x\n");
    assert!(home.resolve("a").expect_err("no end").message().contains("config:2: Include"));
    assert_eq!(home.resolve("b").expect("a host").user, "x");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new("Host a\n Include open\n");
    home.write(".ssh/open", "User x\n");
    let chmod = |name: &str| {
        std::fs::set_permissions(home.path(name), std::fs::Permissions::from_mode(0o666)).expect("a mode");
    };
    chmod(".ssh/open");
    let error = home.resolve("a").expect_err("others may write it");
    assert!(error.message().contains("config:2: Include") && error.hint().is_some_and(|h| h.contains("chmod")));
    home.resolve("b").expect("a host that it does not touch");
    chmod(".ssh/config");
    let loaded = SshConfig::load(&home.path(".ssh/config"), None, home.0.path());
    assert_eq!(loaded.expect_err("others may write it").kind(), ErrorKind::Config);
}

#[test]
fn a_directory_or_an_endless_file_is_no_configuration() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for path in [home.path(), Path::new("/dev/zero")] {
        assert_eq!(SshConfig::load(path, None, home.path()).expect_err("no file").kind(), ErrorKind::Config);
    }
}

/// Pieces of configuration; every pair and every one on its own is compared with `ssh -G`.
const CORPUS: &[&str] = &[
    "Port 2201\n",
    "Host web\n\tPort 2202\n\tUser one\n",
    "Host web* !web2\nHostName=%h.Example.org\nUser = \"two words\"\n",
    "host \"web\" db\n  hostname 10.0.0.1 # comment\n  port=2203\r\n",
    "Host *\n ConnectTimeout 1m30s\n ServerAliveInterval 15\n ServerAliveCountMax 0\n",
    "Host we? db\n ConnectTimeout none\n IdentitiesOnly TRUE\n StrictHostKeyChecking accept-new\n",
    "ConnectTimeout 1h5\nServerAliveInterval none\n",
    "Host !web *\n User three\\ x\n Port 022\n StrictHostKeyChecking off\n",
    "Match all\n User four\n ServerAliveInterval 2w\nHost db\n Port ssh\n",
    "\"User\" 'five x'\nIdentitiesOnly no\n",
    "Host DB Web\n User six\n HostName UPPER\n",
    "Include part\nUser seven\n",
    "Host web\n Include part\nHost *\n ServerAliveInterval=0\n",
    "StrictHostKeyChecking ask\nUser x#y\nUser z # late\n",
    "IgnoreUnknown Foo*,bar\nFooBar x\nBAR y\nPort = 2210\n",
    "Port 99999\n",
    "User a b\n",
    "User \"open\n",
    "ServerAliveCountMax 1m\n",
];
const PART: &str = "Port 2299\nHost db web2\n User part\n";
const SETTINGS: &[&str] = &[
    "hostname",
    "user",
    "port",
    "connecttimeout",
    "serveraliveinterval",
    "serveralivecountmax",
    "identitiesonly",
    "stricthostkeychecking",
];

fn as_ssh_prints(host: &HostSpec) -> Vec<String> {
    let seconds = |d: Option<Duration>, absent: &str| d.map_or(absent.to_owned(), |d| d.as_secs().to_string());
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let strict = match host.strict_host_key_checking {
        StrictHostKeyChecking::Yes => "yes",
        StrictHostKeyChecking::AcceptNew => "accept-new",
        StrictHostKeyChecking::No => "no",
    };
    vec![
        host.host_name.clone(),
        host.user.clone(),
        host.port.to_string(),
        seconds(host.connect_timeout, "none"),
        seconds(host.server_alive_interval, "0"),
        host.server_alive_count_max.to_string(),
        yes_or_no(host.identities_only),
        strict.to_owned(),
    ]
}

/// What `ssh -G` prints of `SETTINGS`; `None` if it refuses the file.
fn oracle(file: &Path, alias: &str) -> Option<Vec<String>> {
    let output = Command::new("ssh").args(["-G", "-F"]).arg(file).arg(alias).output().expect("ssh is installed");
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |setting: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(setting)?.strip_prefix(' ')).unwrap_or("absent");
        match (setting, value) {
            ("stricthostkeychecking", "ask" | "true") => "yes",
            ("stricthostkeychecking", "false") => "no",
            (_, value) => value,
        }
        .to_owned()
    };
    Some(SETTINGS.iter().map(|setting| value(setting)).collect())
}

#[test]
fn ssh_itself_resolves_the_same() {
    let home = Home::new("");
    home.write(".ssh/part", PART);
    let config = home.path(".ssh/config");
    let mut compared = 0;
    for (i, first) in CORPUS.iter().enumerate() {
        // Every second one, with a stride, keeps the number of processes small.
        for second in CORPUS.iter().skip(i + 1).step_by(3).chain([&""]) {
            let text = format!("{first}{second}");
            // ssh takes the home from the passwd entry, so it must be told where `part` is.
            home.write(
                ".ssh/config",
                &text.replace("Include part", &format!("Include {}/.ssh/part", home.0.path().display())),
            );
            for alias in ["web", "db"] {
                let ours = home.resolve(alias);
                match (oracle(&config, alias), &ours) {
                    (Some(wanted), Ok(host)) => assert_eq!(as_ssh_prints(host), wanted, "{text}\n{alias}"),
                    // ssh refuses a file for a bad line wherever it stands; here only the hosts that it touches.
                    (None, _) => {}
                    (Some(_), Err(e)) => panic!("{text}\n{alias}: {e}"),
                }
                compared += 1;
            }
        }
    }
    assert!(compared > CORPUS.len());
}
