//! What lines of `ssh_config` mean, by tables and by asking ssh itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use scout_machine::{ErrorKind, HostError};

use super::{AddressFamily, HostSpec, Proxy, SshConfig, StrictHostKeyChecking};

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

    fn resolve(&self, alias: &str) -> Result<HostSpec, HostError> {
        self.load().resolve(alias)
    }
}

fn resolve(config: &str, alias: &str) -> HostSpec {
    Home::new(config).resolve(alias).unwrap_or_else(|e| panic!("{config}: {e}"))
}

fn refusal(config: &str, alias: &str) -> HostError {
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
        ("/%q", "%q is not evaluated"),
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
        ("User # nobody", "User needs an argument"),
        ("ConnectTimeout 5x", "ConnectTimeout 5x is not a time"),
        ("ConnectTimeout -1", "ConnectTimeout -1 is not a time"),
        ("ConnectTimeout 9999999999", "is not a time"),
        ("ServerAliveCountMax 1m", "ServerAliveCountMax 1m is not a number"),
        ("IdentitiesOnly maybe", "IdentitiesOnly maybe is neither yes nor no"),
        ("StrictHostKeyChecking perhaps", "StrictHostKeyChecking perhaps is not one of"),
        ("ProxyJump", "ProxyJump needs an argument"),
        ("ProxyJump a,,b", "ProxyJump \"\" is not [user@]host[:port]"),
        ("ProxyCommand nc \"%h", "ProxyCommand has invalid quotes"),
        ("ProxyCommand nc %q", "ProxyCommand nc %q: the token %q"),
        ("AddressFamily ipv4", "AddressFamily ipv4 is not one of"),
        ("SetEnv A", "SetEnv A is not NAME=value"),
        ("UserKnownHostsFile a none", "UserKnownHostsFile has `none` beside other files"),
        ("NumberOfPasswordPrompts 3000000000", "NumberOfPasswordPrompts 3000000000 is not a number"),
        ("Ciphers aes128-foo", "Ciphers aes128-foo is not an algorithm"),
        ("Include", "Include needs an argument"),
        ("Include \"\"", "Include has an empty argument"),
        ("IdentityAgent none\nIdentityAgent ${SCOUT_IS_NOT_SET_HERE}", "SCOUT_IS_NOT_SET_HERE is not set"),
        ("IdentityAgent $A-B", "\"A-B\" is not the name of an environment variable"),
        ("HostKeyAlgorithms +!ssh-rsa", "HostKeyAlgorithms !ssh-rsa: only a list"),
        ("Ciphers aes128-ctr\nCiphers aes128-foo", "Ciphers aes128-foo is not an algorithm"),
        ("CheckHostIP no\nCheckHostIP perhaps", "CheckHostIP perhaps is neither yes nor no"),
        ("User %q", "User %q does not come to"),
        ("User ${SCOUT_IS_NOT_SET_HERE}", "User ${SCOUT_IS_NOT_SET_HERE} does not come to"),
        ("RefuseConnection \"use the bastion\"", "RefuseConnection use the bastion"),
        ("Match localnetwork 10.0.0.1/8", "Match localnetwork \"10.0.0.1/8\" has bits"),
        ("CanonicalizeHostname perhaps", "CanonicalizeHostname perhaps is not one of yes, no, always"),
        ("SetEnv A=%q", "SetEnv A=%q: the token %q"),
        ("SetEnv # nothing", "SetEnv needs an argument"),
        ("Match host", "Match host needs an argument"),
        ("Match colour blue", "Match colour is not a criterion"),
        ("Match host a user b all", "Match has `all` beside"),
        ("Match exec %q", "Match exec %q: the token %q"),
        ("Host a \"\"", "Host has an empty argument"),
        ("NoSuchThing yes", "NoSuchThing is not a known keyword"),
    ] {
        let error = refusal(&format!("# one\n{line}\n"), "a");
        assert!(error.message().contains(what), "{error}");
        let last = line.lines().count() + 1;
        assert!(error.message().contains(&format!("/.ssh/config:{last}: ")), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_line_that_is_not_evaluated_fails_only_the_hosts_it_touches() {
    for line in [
        "Port 99999",
        "Port no-such-service",
        "ProxyJump none # why",
        "ProxyJump a, b",
        "ProxyCommand -",
        "KnownHostsCommand /bin/keys %h",
        "CanonicalizeHostname yes\n CanonicalDomains example.org",
        "Include %h",
        "RefuseConnection no",
        "Whatever x",
    ] {
        let config = format!("Host a*\n {line}\nHost b\n User x\n");
        let keyword = line.split(' ').next().expect("a keyword");
        assert!(refusal(&config, "a1").message().contains(&format!("config:2: {keyword}")), "{line}");
        assert_eq!(resolve(&config, "b").user, "x", "{line}");
    }
}

#[test]
fn the_first_value_wins_for_what_is_not_evaluated_too() {
    resolve("HostKeyAlgorithms ssh-ed25519\nHostKeyAlgorithms +!ssh-rsa\nHostKeyAlgorithms -*\n", "a");
    resolve("CheckHostIP no\nCheckHostIP yes\nKnownHostsCommand none\nKnownHostsCommand /x\nUser x\nUser %q\n", "a");
    let error = refusal("PKCS11Provider none\nKnownHostsCommand /x\nKnownHostsCommand none\n", "a");
    assert!(error.message().contains("config:2: KnownHostsCommand"), "{error}");
}

#[test]
fn one_line_that_only_some_versions_read_or_dns_decides_bans_no_other_host() {
    let config = "CanonicalizeHostname yes\nCanonicalDomains corp.example.org\nCheckHostIP yes\nPKCS11Provider /p.so\n\
        NoHostAuthenticationForLocalhost yes\nRevokedHostKeys ~/revoked /%h.krl\nBindInterface lo\n\
        Host long.name.example.org\n User u\nHost behind\n ProxyJump long.name.example.org\nHost 10.0.0.1\n User v\n\
        Host off\n HostName full.off.example.org\nHost short\n User w\n";
    let home = Home::new(config);
    for (name, host_name) in [
        ("long.name.example.org", "long.name.example.org"),
        ("behind", "behind"),
        ("10.0.0.1", "10.0.0.1"),
        ("off", "full.off.example.org"),
    ] {
        let host = home.resolve(name).expect(name);
        assert_eq!(host.host_name, host_name);
        assert!(host.trusts_localhost && host.bind_interface.as_deref() == Some("lo"), "{name}");
        assert_eq!(host.revoked_host_keys, [home.path("revoked"), PathBuf::from(format!("/{host_name}.krl"))]);
    }
    let error = home.resolve("short").expect_err("DNS decides");
    assert!(error.message().contains("config:1: CanonicalizeHostname may make another name of short"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("HostName line")), "{error}");
    let told = home.load().explain("off").expect("a host").settings;
    let value = |keyword| told.iter().find(|setting| setting.keyword == keyword).map(|setting| setting.value.clone());
    assert!(value("CheckHostIP").is_some_and(|value| value.starts_with("yes (not evaluated")));
    assert!(value("PKCS11Provider").is_some_and(|value| value.contains("ssh-add -s /p.so")));
}

#[test]
fn users_variables_and_includes_know_the_tokens_of_newer_versions() {
    let home = Home::new(
        "Include conf-%u-%%-${CARGO_PKG_NAME} ${SCOUT_IS_NOT_SET_HERE}/x\nHost a\n User %n-%h-%p-%%\n HostName h\n SetEnv A=%r:%j\n ProxyJump u@b:7\n",
    );
    let local = uzers::get_current_username().expect("a name").to_string_lossy().into_owned();
    home.write(&format!(".ssh/conf-{local}-%-scout-ssh"), "ConnectTimeout 7\n");
    let host = home.resolve("a").expect("a host");
    assert_eq!(host.user, "a-h-22-%");
    assert_eq!(host.set_env, [("A".to_owned(), "a-h-22-%:b".to_owned())]);
    assert_eq!(host.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(resolve("Port https\n", "a").port, 443);
}

#[test]
fn irrelevant_and_harmless_lines_are_silent() {
    let config = "ForwardX11 yes\nForwardAgent yes\nGSSAPIAuthentication yes\nGSSAPIFutureThing x\nCompression yes\n\
        LogLevel DEBUG\nVisualHostKey yes\nTunnel no\nLocalForward 1 a:2\nRemoteForward 1 a:2\nControlMaster auto\n\
        ControlPath ~/x\nControlPersist 10m\nSendEnv LANG LC_*\nRequestTTY yes\nTCPKeepAlive yes\nAddKeysToAgent yes\n\
        UseKeychain yes\nEscapeChar none\nProxyJump none\nProxyCommand none\nCanonicalizeHostname no\n\
        RequiredRSASize 1024\nCASignatureAlgorithms +ssh-rsa\nProxyUseFdpass yes\nKnownHostsCommand none\n";
    assert_eq!(resolve(config, "a").port, 22);
}

#[test]
fn debians_older_names_of_the_keepalive_set_it() {
    for keyword in ["ServerAliveInterval", "ProtocolKeepAlives", "SetupTimeOut"] {
        let host = resolve(&format!("{keyword} none\n{keyword} 1m\nServerAliveInterval 5\n"), "a");
        assert_eq!(host.server_alive_interval, Some(Duration::from_secs(60)), "{keyword}");
        assert!(refusal(&format!("{keyword} 8x\n"), "a").message().contains("config:1: "), "{keyword}");
    }
}

#[test]
fn ignore_unknown_holds_for_the_lines_below_it() {
    assert_eq!(resolve("IgnoreUnknown My*,Other\nMyThing x y\nother z\n", "a").port, 22);
    assert!(refusal("MyThing x\nIgnoreUnknown My*\n", "a").message().contains("config:1: MyThing"));
    assert!(refusal("IgnoreUnknown *\nProxyJump x y\n", "a").message().contains("config:2: ProxyJump"));
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
    home.write(".ssh/more", "User x\nHost b\n User never\n Nonsense\nMatch colour blue\n User y\n");
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
    let fifo = home.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a FIFO");
    for path in [home.path(), Path::new("/dev/zero"), &fifo] {
        assert_eq!(SshConfig::load(path, None, home.path()).expect_err("no file").kind(), ErrorKind::Config);
    }
    assert!(SshConfig::load(Path::new("/dev/null"), None, home.path()).is_ok(), "a customary name for no file");
}

/// The way to a host, as `user@name:port` of each hop.
fn way(host: &HostSpec) -> Vec<String> {
    match &host.proxy {
        Proxy::Direct => Vec::new(),
        Proxy::Command(command) => vec![format!("$ {command}")],
        Proxy::Jump(hops) => hops
            .iter()
            .flat_map(|hop| {
                let own = match &hop.proxy {
                    Proxy::Command(command) => vec![format!("$ {command}")],
                    Proxy::Direct => Vec::new(),
                    Proxy::Jump(_) => panic!("a hop does not jump"),
                };
                own.into_iter().chain([format!("{}@{}:{}", hop.user, hop.host_name, hop.port)])
            })
            .collect(),
    }
}

#[test]
fn each_hop_is_resolved_by_its_own_block() {
    let config = "Host db\n ProxyJump edge,ops@inner:2222\nHost edge\n HostName 10.0.0.1\n User eve\n ProxyJump outer\n\
        Host inner\n User ignored\n Port 1\n HostName in.example.org\n ProxyJump never\nHost outer\n ProxyCommand nc %h %p\n\
        Host *\n User all\n";
    assert_eq!(
        way(&resolve(config, "db")),
        ["$ nc outer 22", "all@outer:22", "eve@10.0.0.1:22", "ops@in.example.org:2222"]
    );
    assert_eq!(way(&resolve(config, "edge")), ["$ nc outer 22", "all@outer:22"]);
    let hop = resolve("Host b\n IdentityFile /k/%r\n StrictHostKeyChecking no\nHost a\n ProxyJump u@b\n", "a");
    let Proxy::Jump(hops) = &hop.proxy else { panic!("{hop:?}") };
    assert_eq!(hops.first().expect("b").identity_files, [PathBuf::from("/k/u")]);
    assert_eq!(hop.strict_host_key_checking, StrictHostKeyChecking::Yes, "what a hop trusts is its own");
}

#[test]
fn jumps_that_lead_back_are_refused_and_end() {
    for (config, why) in [
        ("ProxyJump a\n", "is the host itself"),
        ("Host a\n HostName x\nHost *\n ProxyJump a\n", "leads back to itself"),
        ("Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "leads back to itself"),
        ("Host b\n HostName y\nHost *\n ProxyJump b,c\n", "leads back to itself"),
    ] {
        let error = refusal(config, "a");
        assert!(error.message().contains(why) && error.message().contains(": ProxyJump "), "{error}");
    }
    let chain: String = (0..40).map(|i| format!("Host h{i}\n ProxyJump h{}\n", i + 1)).collect();
    assert!(refusal(&chain, "h0").message().contains("more than 16 hosts away"));
    assert_eq!(way(&resolve(&chain, "h30")).len(), 10);
}

#[test]
fn a_hop_that_does_not_resolve_fails_those_behind_it() {
    let config = "Host a\n ProxyJump b\nHost b\n KnownHostsCommand /x\n";
    assert!(refusal(config, "a").message().contains("config:4: KnownHostsCommand"));
}

#[test]
fn whichever_proxy_comes_first_wins() {
    for (config, wanted) in [
        ("Host a\nProxyJump j\nProxyCommand nc\n", "j"),
        ("Host a\nProxyCommand nc\nProxyJump j\n", "$ nc"),
        ("Host a\nProxyCommand none\nProxyJump j\n", ""),
        ("Host a\nProxyJump none\nProxyJump j\n", ""),
        ("ProxyJump none\nProxyCommand none\n", ""),
        ("Host b\n ProxyJump k\nHost *\n ProxyCommand nc\n", "$ nc"),
    ] {
        let way = way(&resolve(config, "a")).join(" ");
        assert!(way.contains(wanted) && way.is_empty() == wanted.is_empty(), "{config}: {way}");
    }
    assert!(refusal("ProxyJump none\nProxyCommand nc\n", "a").message().contains("config:2: ProxyCommand after"));
}

#[test]
fn a_proxy_command_is_the_rest_of_its_line_with_tokens_replaced() {
    let command = |config: &str| match resolve(config, "Alias").proxy {
        Proxy::Command(command) => command,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        command("User u\nPort 7\nHostName h\nHostKeyAlias K\nProxyCommand=nc  \"%h\" %p %r %n %k %% # no comment\n"),
        "nc  \"h\" 7 u Alias k % # no comment"
    );
    assert_eq!(command("ProxyCommand none # at all\n"), "none # at all");
    assert!(refusal("ProxyUseFdpass yes\nProxyCommand x\n", "a").message().contains("config:1: ProxyUseFdpass"));
}

#[test]
fn criteria_of_match_are_evaluated_in_order_with_what_is_set_so_far() {
    let local = uzers::get_current_username().expect("a name").to_string_lossy().into_owned();
    for (config, matches) in [
        ("Match all\n", true),
        ("Match !all\n", false),
        ("Match host a\n", true),
        ("Match host=a\n", true),
        ("Match host A,!b\n", true),
        ("Match host *,!a\n", false),
        ("Match !host b,c\n", true),
        ("HostName h\nMatch host a\n", false),
        ("HostName H\nMatch host h\n", true),
        ("HostName %h.x\nMatch host a.x originalhost a\n", true),
        ("User u\nMatch user u,v\n", true),
        ("User u\nMatch user U\n", false),
        (&format!("Match localuser {local} user {local}\n"), true),
        ("Match localuser no-such-account\n", false),
        ("Match exec true\n", true),
        ("Match !exec true\n", false),
        ("Match exec \"test %h = a -a %p = 22 -a '%n' = a\" # comment\n", true),
        ("Match host b exec \"kill -9 $$\"\n", false),
        ("Match exec false host a\n", false),
        ("Match host a all\n", true),
        ("Match canonical\n", false),
        ("Match host b localnetwork 10.0.0.0/8\n", false),
        ("Match localnetwork 127.0.0.0/8\n", true),
        ("Match !localnetwork 203.0.113.0/24\n", true),
        ("Match localnetwork=127.0.0.1\n", true),
        ("Tag work\nMatch tagged work\n", true),
        ("Tag work\nTag home\nMatch tagged home\n", false),
        ("Tag work\nMatch tagged=w*,!home\n", true),
        ("Match tagged \"\"\n", true),
        ("Match tagged *\n", false),
        ("Tag work\nMatch !tagged \"\"\n", true),
        ("Match command \"\"\n", true),
        ("Match command *\n", false),
        ("Match sessiontype shell\n", true),
        ("Match sessiontype exec,subsystem\n", false),
        ("SessionType subsystem\nMatch sessiontype sub*\n", true),
        ("SessionType none\nMatch sessiontype none\n", true),
        ("Match version OpenSSH_*\n", true),
        ("Match version Dropbear_*\n", false),
        ("Match exec 'test %h = a'\n", true),
        ("Match exec \"test \\\"%h\\\" = a\"\n", true),
        ("Match \"host=a\"\n", true),
        ("Match !final\n", true),
        ("CanonicalizeHostname yes\nMatch canonical\n", true),
        ("CanonicalizeHostname yes\nCanonicalDomains none\nMatch final\n", true),
        ("CanonicalizeHostname no\nMatch canonical\n", false),
    ] {
        let host = resolve(&format!("{config} ConnectTimeout 5\n"), "a");
        assert_eq!(host.connect_timeout.is_some(), matches, "{config}");
    }
}

#[test]
fn a_match_that_cannot_be_decided_fails_the_hosts_that_reach_it() {
    for line in ["exec \"kill -9 $$\"", "localnetwork 10.0.0.0/33", "host = a", "sessiontype \"\""] {
        let config = format!("Host a\n User x\nMatch {line}\n Port 9\n");
        assert!(refusal(&config, "a").message().contains("config:3: Match"), "{line}");
    }
}

#[test]
fn commands_run_once_for_a_host_and_its_hops() {
    let home = Home::new("");
    let count = home.path("count");
    let exec = format!("Match exec \"echo x >> {}\"\n", count.display());
    home.write(".ssh/config", &format!("{exec} Port 5\n{exec} User u\nHost a\n ProxyJump b\nHost b c\n"));
    let runs = || std::fs::read_to_string(&count).expect("it has run").lines().count();
    assert_eq!(way(&home.resolve("a").expect("a host")), ["u@b:5"]);
    assert_eq!(runs(), 1);
    let config = home.load();
    assert!(config.hosts().iter().all(|name| config.resolve(name).is_ok()));
    assert_eq!((runs(), config.resolutions()), (2, 3), "and once for all hosts of one configuration");
}

#[test]
fn match_final_reads_the_files_again_with_the_name_that_is_dialled() {
    let config = "Host a\n HostName b\nHost b\n User second\nMatch final host b originalhost a\n Port 7\n\
        Match canonical\n ConnectTimeout 3\nHostName late\n";
    let host = resolve(config, "a");
    assert_eq!((host.host_name.as_str(), host.user.as_str(), host.port), ("b", "second", 7));
    assert_eq!(host.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn names_of_hosts_include_those_below_match() {
    let home = Home::new("Match exec false\n Include more\nHost a\n");
    home.write(".ssh/more", "Host b\n");
    assert_eq!(home.load().hosts(), ["b", "a"]);
}

#[test]
fn methods_follow_their_keywords_and_batch_mode() {
    let host = resolve(
        "PubkeyAuthentication host-bound\nChallengeResponseAuthentication no\n\
        PreferredAuthentications password,publickey\nNumberOfPasswordPrompts 1\n",
        "a",
    );
    let order = ["password".to_owned(), "publickey".to_owned()];
    assert_eq!(host.methods.order.as_deref(), Some(&order[..]));
    assert!(host.methods.public_key && host.methods.password && !host.methods.keyboard_interactive);
    assert_eq!(host.methods.password_prompts, 1);
    let host = resolve("BatchMode yes\nPubkeyAuthentication no\n", "a");
    assert!(!host.methods.public_key && !host.methods.password && !host.methods.keyboard_interactive);
}

#[test]
fn what_decides_the_connection_is_taken_over() {
    let config = "AddressFamily inet6\nBindAddress 10.0.0.9\nHostKeyAlias Key.Name\nHashKnownHosts yes\n\
        CertificateFile ~/c1\nCertificateFile /c/%k-%C\nSetEnv A=1 \"B=x y\" A=2\nSetEnv C=3\n\
        Ciphers aes256-ctr,aes128-ctr\nHostKeyAlgorithms +ssh-rsa\nPubkeyAcceptedKeyTypes ssh-ed25519\n";
    let home = Home::new(config);
    let host = home.resolve("a").expect("a host");
    assert_eq!(host.address_family, AddressFamily::Inet6);
    assert_eq!(host.bind_address.as_deref(), Some("10.0.0.9"));
    assert_eq!(host.host_key_alias.as_deref(), Some("key.name"));
    assert!(host.hash_known_hosts);
    assert_eq!(host.certificate_files.first(), Some(&home.path("c1")));
    let hashed = host.certificate_files.get(1).expect("two").display().to_string();
    assert!(hashed.starts_with("/c/key.name-") && hashed.len() == "/c/key.name-".len() + 40, "{hashed}");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(host.set_env, [variable("A", "1"), variable("B", "x y")]);
    let algorithms = &host.algorithms;
    assert_eq!(algorithms.ciphers, Some(vec!["aes256-ctr".to_owned(), "aes128-ctr".to_owned()]));
    assert!(algorithms.host_keys.as_ref().is_some_and(|names| names.last().is_some_and(|name| name == "ssh-rsa")));
    assert!(!algorithms.host_keys_are_ranked);
    assert_eq!(algorithms.public_keys, Some(vec!["ssh-ed25519".to_owned()]));
    assert!(resolve("HostKeyAlgorithms ^ssh-rsa\n", "a").algorithms.host_keys_are_ranked);
}

#[test]
fn every_setting_names_the_line_that_set_it() {
    let home =
        Home::new("Host a\n Include more\n User late\n ProxyJump u@b:7\nHost *\n IdentityFile /k1\nHost b\n Port 1\n");
    home.write(".ssh/more", "# first\nUser early\nIdentityFile /k0\n");
    let explained = home.load().explain("a").expect("a host");
    let told = |settings: &[super::Setting], keyword: &str| -> Vec<String> {
        let of = settings.iter().filter(|setting| setting.keyword == keyword);
        of.map(|setting| match &setting.source {
            None => format!("{} default", setting.value),
            Some(at) => format!("{} {}:{}", setting.value, at.file.file_name().expect("a name").display(), at.line),
        })
        .collect()
    };
    for (keyword, wanted) in [
        ("User", vec!["early more:2"]),
        ("Port", vec!["22 default"]),
        ("HostName", vec!["a default"]),
        ("IdentityFile", vec!["/k0 more:3", "/k1 config:6"]),
        ("ProxyJump", vec!["u@b:7 config:4"]),
        ("BindAddress", vec![]),
    ] {
        assert_eq!(told(&explained.settings, keyword), wanted, "{keyword}");
    }
    assert_eq!(explained.spec, home.resolve("a").expect("a host"));
    let hop = explained.hops.first().expect("one");
    assert_eq!(told(&hop.settings, "User"), ["u config:4"]);
    assert_eq!(told(&hop.settings, "Port"), ["7 config:4"]);
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_where_it_applies() {
    let home = Home::new("");
    std::fs::write(home.path(".ssh/config"), b"# caf\xe9\nHost b\n IdentityFile /caf\xe9\nHost a\n User \xc3\xa9\n")
        .expect("a file");
    assert_eq!(home.resolve("a").expect("a host").user, "\u{e9}");
    assert!(home.resolve("b").expect_err("not UTF-8").message().contains("config:3: IdentityFile is not UTF-8"));
}

#[test]
fn globs_are_those_of_the_c_library() {
    let home = Home::new("Include \"d/[^x]*/**/f\" d/a\\*/f\n");
    for (name, line) in
        [("d/a/b/f", "ConnectTimeout 1"), ("d/a-/b/f", "Port 2"), ("d/x/b/f", "Nonsense"), ("d/a*/f", "User star")]
    {
        home.write(&format!(".ssh/{name}"), &format!("{line}\nConnectTimeout 9\nPort 9\nUser nine\n"));
    }
    let host = home.resolve("a").expect("a host");
    // `d/a-/b/f` comes first, as `-` comes before `/`.
    assert_eq!((host.port, host.user.as_str()), (2, "nine"));
    assert_eq!(host.connect_timeout, Some(Duration::from_secs(9)));
}

#[test]
fn every_path_at_which_an_include_finds_or_would_find_something_is_known() {
    let home = Home::new("Include conf.d/*.conf absent\nHost a\n Include d/[ab]/hosts\n Include \"/x/\\*/y\"\n");
    home.write(".ssh/conf.d/one.conf", "Include ~/more");
    home.write(".ssh/conf.d/two", "Include ~/never");
    home.write("more", "");
    std::fs::create_dir_all(home.path(".ssh/d/a")).expect("a directory");
    let config = home.load();
    let below = |path: &PathBuf| path.strip_prefix(home.0.path()).unwrap_or(path).to_owned();
    let included: Vec<PathBuf> = config.included().iter().map(below).collect();
    let wanted =
        ["conf.d/*", "conf.d/one.conf", "absent", "d/*", "d/a/hosts"].map(|name| PathBuf::from(".ssh").join(name));
    for path in wanted.into_iter().chain(["more", "/x/*"].map(PathBuf::from)) {
        assert!(included.contains(&path), "{}: {included:?}", path.display());
    }
    assert_eq!(included.len(), 7, "{included:?}");
}

#[test]
fn a_hundred_thousand_hosts_are_read_and_each_is_looked_up_by_its_own_blocks() {
    let block = |n: usize| {
        let jump = if n.is_multiple_of(4) { "  ProxyJump bastion\n" } else { "" };
        format!("Host h{n} alias{n}\n  HostName 10.{}.{}.{}\n  User u{n}\n{jump}", n >> 16, n >> 8 & 255, n & 255)
    };
    let blocks: String = (0..100_000).map(block).collect();
    let padding = "# a comment that is long\n".repeat(60_000);
    let last = "Host h1*\n  Port 2222\nMatch originalhost h17\n  ServerAliveInterval 3\nHost *\nInclude many/*\n\n  ConnectTimeout 7\n";
    let home = Home::new(&format!("{blocks}{padding}Host bastion\n  Include of-bastion\n{last}"));
    home.write(".ssh/of-bastion", "User jumper\n");
    for n in 0..200 {
        home.write(&format!(".ssh/many/{n}"), &format!("# of one host\nHost more{n}\n  User m{n}\n"));
    }
    let config = home.load();
    let names = config.names();
    assert_eq!(names.len(), 200_201);
    assert_eq!(
        (names.position("h0"), names.position("alias99999"), names.position("more0")),
        (Some(0), Some(199_999), Some(200_001))
    );
    assert_eq!((config.resolutions(), config.visited_blocks()), (0, 0), "nobody is looked up before anybody asks");
    // Of all 100,206 blocks: its own, those of patterns, of `Match` and without a name, and the same for the host that it jumps over.
    for (name, host_name, user, port, visits) in [
        ("h99999", "10.1.134.159", "u99999", 22, 4),
        ("alias17", "10.0.0.17", "u17", 22, 4),
        ("h17", "10.0.0.17", "u17", 2222, 4),
        ("more150", "more150", "m150", 22, 4),
        ("alias16", "10.0.0.16", "u16", 22, 9),
    ] {
        let before = config.visited_blocks();
        let host = config.resolve(name).expect(name);
        assert_eq!((host.host_name.as_str(), host.user.as_str(), host.port), (host_name, user, port));
        assert_eq!(host.connect_timeout, Some(Duration::from_secs(7)));
        assert_eq!(host.server_alive_interval.is_some(), name == "h17");
        assert_eq!(config.visited_blocks() - before, visits, "{name}");
    }
    assert_eq!(config.resolutions(), 5);
}

#[test]
fn what_is_included_for_one_host_is_not_visited_for_another_unless_it_makes_the_files_be_read_again() {
    let home = Home::new("");
    for n in 0..100 {
        home.write(&format!(".ssh/{n}"), &format!("User u{n}\nMatch user u{n}\n Port 7\n"));
    }
    let includes: String = (0..100).map(|n| format!("Host h{n}\n Include {n}\n")).collect();
    home.write(".ssh/config", &includes);
    let config = home.load();
    let host = config.resolve("h42").expect("a host");
    assert_eq!((host.user.as_str(), host.port, config.visited_blocks()), ("u42", 7, 3));
    home.write(".ssh/config", &format!("{includes}Host b\n User second\nHost h\n HostName b\n"));
    home.write(".ssh/99", "Match final host other\n");
    let config = home.load();
    assert_eq!(
        config.resolve("h").expect("a host").user,
        "second",
        "for it is read again under the name that is dialled"
    );
}

#[test]
fn a_line_is_taken_for_what_it_is_however_it_is_written() {
    for (line, is_head) in [
        ("Host b", true),
        ("\tHOST\tb", true),
        ("host=b", true),
        ("\"Host\" b", true),
        ("Ho\"st\" b", true),
        ("=Host b", true),
        ("Host b \r", true),
        ("Match host b", true),
        ("Mat\"ch\" host=b", true),
        ("Host", true),
        ("Match", true),
        ("HostName c", false),
        ("HostKeyAlias c", false),
        ("# Host b", false),
        ("\"Host b", false),
        ("IdentityFile Host", false),
    ] {
        let home = Home::new(&format!("Host a\n{line}\n User below\n"));
        let below = home.resolve("a").map(|host| host.user);
        assert_eq!(below.as_deref().ok() == Some("below"), !is_head, "{line}: {below:?}");
    }
}

#[test]
fn a_bad_line_is_told_where_it_applies_and_nowhere_else() {
    let config = "Host a\n User x\n Port 99999\nHost b\n Nonsense 1\n Port\nHost c\n User \"open\nHost d d*\n Port 1\n";
    let home = Home::new(config);
    for (name, says) in [("a", "config:3: Port"), ("b", "config:5: Nonsense"), ("c", "config:8: User")] {
        let error = home.resolve(name).expect_err(name);
        assert!(error.message().contains(says), "{name}: {}", error.message());
    }
    assert_eq!(home.resolve("d").expect("a host").port, 1);
}

#[test]
fn names_that_nobody_can_use_are_left_out_with_why() {
    let home = Home::new(
        "Host web\nHost unix/* vsock/*\n  ProxyUseFdpass yes\nHost .host machine/.host\n  ProxyCommand /usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket %p\n  ProxyUseFdpass yes\nHost a/b \"c d\" fe80::1\nHost *\n",
    );
    let config = home.load();
    assert_eq!(config.hosts(), ["web", "fe80::1"]);
    let left_out: Vec<_> =
        config.left_out().into_iter().map(|(name, why)| (name, why.contains("ProxyUseFdpass"))).collect();
    let wanted = [(".host", true), ("machine/.host", true), ("a/b", false), ("c d", false)];
    assert_eq!(left_out, wanted.map(|(name, fdpass)| (name.to_owned(), fdpass)));
}

#[test]
fn a_name_falls_under_a_pattern_that_says_something() {
    let home = Home::new("Host i-* !i-bad\nInclude more\nHost * ??\n");
    home.write(".ssh/more", "Host *.corp literal\n");
    let config = home.load();
    for (name, pattern) in [
        ("i-0abc", Some("i-*")),
        ("i-bad", None),
        ("web.corp", Some("*.corp")),
        ("literal", None),
        ("ab", None),
        ("other", None),
    ] {
        assert_eq!(config.pattern_of(name), pattern, "{name}");
    }
}
