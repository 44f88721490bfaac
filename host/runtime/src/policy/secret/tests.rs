//! What of the list of secret paths is seen however a path is spelled, and what is not taken for it.

mod document;
mod kinds;

use super::super::tests::{all_allowed, pipeline, refused, verdict};
use super::super::{CommandPolicy, Pipeline, check, check_with};
use super::*;

refused! {
    secret_paths_bind_operands: "cat /etc/shadow
        cat /etc/shadow-
        cat //etc/./shadow
        cat /etc/../etc/shadow
        cat /usr/../../etc/shadow
        cat ../../etc/shadow
        cat ../../../../../../etc/gshadow
        head -n 1 /etc/sudoers
        ls /etc/sudoers.d/admins
        cat -- /etc/shadow
        wc -l - /etc/shadow
        grep x /etc/shadow
        grep -e x /etc/shadow
        grep x -e /etc/shadow
        grep -r x .ssh/id_rsa
        find /etc/shadow -print
        find . -newer /etc/shadow
        date -r /etc/shadow
        date --reference=/etc/shadow
        diff a /etc/shadow
        cat .ssh/id_ed25519
        cat ~/.ssh/id_ed25519
        cat /home/a/.ssh/id_rsa
        cat .ssh/id_rsa.pub/../id_rsa
        cat .SSH/ID_RSA
        cat .ssh/id_rsa.pub.bak
        cat /proc/1/environ
        cat /proc/self/environ
        cat /proc/1/task/1/environ
        cat /proc/self/root/etc/shadow
        cat /proc/self/root/../etc/shadow
        cat /proc/1/cwd/../../etc/shadow
        cat /proc/1/task/2/root/etc/shadow
        cat /private/etc/sudoers
        tail -c 1 /proc/kcore
        cat /etc/ssh/ssh_host_ed25519_key
        cat .aws/credentials
        cat .netrc
        cat a/b/.pgpass
        ls .gnupg
        ls .gnupg/private-keys-v1.d
        cat .kube/config
        cat .docker/config.json
        cat .git-credentials
        cat a | cat .netrc";
    secret_paths_bind_globs: "cat /etc/*
        cat /etc/sh*
        cat /etc/shado?
        cat /etc/[s]hadow
        cat /etc/[!a]hadow
        cat /etc/[[:alpha:]]hadow
        cat /e*/shadow
        cat /*/*
        cat /?tc/shadow
        cat .ssh/*
        cat .ssh/id_*
        cat .s*/id_rsa
        cat .*/id_rsa
        cat .*
        cat .n*
        cat .[n]etrc
        cat */.netrc
        cat /proc/*/environ
        cat /proc/1/e*
        cat /proc/*/*
        cat /proc/*/root/etc/shadow
        cat /proc/1/r*/etc/shadow
        cat /priv*/etc/sudoers
        cat /var/.*/etc/shadow
        cat /var/.?/etc/x
        cat .ssh/*.pu?
        cat /etc/ssh/*
        cat .a**s/c*s
        find /etc/s* -type f
        cat .ssh/c*
        cat /home/*/.ssh/w*";
    what_leads_nobody_knows_where_is_refused: "cat /proc/self/cwd/shadow
        cat /proc/1/cwd/x
        cat /proc/*/cwd/x
        cat /proc/self/c?d/x
        cat /proc/self/c*/x
        cat /proc/thread-self/cwd/x
        cat /proc/1/task/2/cwd/x
        cat /proc/self/root/proc/1/cwd/x
        ls /proc/self/fd/3/x
        ls /dev/fd/3/x
        ls /proc/1/task/2/fd/3/x
        grep -r x /proc/1/cwd
        cat /proc/1/map_files/400000-401000
        ls -L /proc/1/map_files";
    a_parent_behind_a_name_is_refused: "cat /var/run/../etc/shadow
        cat /proc/net/../root/etc/shadow
        cat /proc/net/../environ
        head /dev/fd/../environ
        cat /proc/net/../../1/environ
        cat /proc/net/../mem
        cat /var/lock/../secrets/x
        cat a/../b
        cat ../b
        cat ../../b
        cat */../b
        ls /usr/../x
        cat ./../b
        find .. ../x -name y
        grep -r x a/..//b
        date -r a/../b
        realpath --relative-to=a/../b c";
    what_macos_takes_for_the_same_file_is_refused: "cat /System/Volumes/Data/private/etc/sudoers
        cat /System/Volumes/Data/etc/sudoers
        cat /private/etc/master.passwd
        cat '/Volumes/Macintosh HD/private/etc/sudoers'
        cat /SYSTEM/volumes/data/PRIVATE/ETC/SUDOERS
        cat /etc/\u{17f}udoers
        cat /etc/\u{17f}hadow
        cat /etc/s\u{200c}udoers
        cat /etc/sudo\u{ad}ers
        cat /e\u{feff}tc/sudoers
        cat .net\u{301}rc
        cat .\u{17f}\u{17f}h/id_rsa
        cat .pgpa\u{df}
        cat .co\u{fb01}g/gcloud/x
        cat .\u{212a}ube/config
        cat .k\u{200d}ube/config
        cat .k\u{3164}ube/config
        cat /.vol/16777220/2
        head /.VOL/1/2";
    dots_and_spaces_at_the_end_of_a_name_are_no_other_name: "cat .netrc.
        cat '.netrc '
        cat '.aws. /credentials'
        cat .aws/credentials..
        cat .netr?.";
    other_roots_hold_secrets_too: "cat /.snapshots/7/snapshot/etc/shadow
        cat /.zfs/snapshot/daily/etc/shadow
        cat /sysroot/ostree/deploy/fedora/deploy/0.1/etc/shadow
        cat /ostree/deploy/*/deploy/*/etc/shadow
        cat /proc/1/root/proc/1/root/etc/shadow
        cat /proc/1/task/1/root/proc/1/environ";
    devices_are_not_opened: "hexdump -C /dev/sda
        grep -a root: /dev/sda
        grep -e root: /dev/sda
        cat /dev/mem
        head -c 1 /dev/watchdog
        cat /proc/kmsg
        cat /sys/kernel/tracing/trace_pipe
        cat /sys/kernel/debug/tracing/trace_pipe
        cat /sys/kernel/debug/tracing/per_cpu/cpu0/trace_pipe_raw
        cat /sys/kernel/tracing/instances/x/trace_pipe
        tail /dev/zero
        sort -S 1M /dev/urandom
        od -N 4 /dev/random
        wc -c /dev/sda
        cmp /dev/sda a
        diff a /dev/sda
        md5sum /dev/sda
        file /dev/sda
        cat /dev/fd/3
        cat /dev/stdout
        cat /dev/tty
        cat /dev/shm/../sda
        cat /dev/disk/by-id/x
        cat /d*/sda
        cat /de[v]/sda
        cat /*/sda
        cat /dev/n*
        cat //dev//sda
        cat /./dev/sda
        cat /DEV/SDA
        cat /proc/self/root/dev/sda
        cat /proc/1/root/dev/sda
        cat /proc/1/fd/0
        cat /proc/self/fd/3
        cat /proc/*/fd/*
        cat /proc/1/task/1/fd/1
        grep -r x /dev
        rg x /dev
        zcat /dev/sda
        uniq /dev/zero
        column /dev/zero
        sed -n 1p /dev/zero
        cut -c 1 /dev/zero
        paste /dev/zero
        diff /dev a/sda";
    directories_of_secrets_are_not_searched: "grep -r x /proc
        grep -r x /proc/self
        grep -ra x /proc/1234
        grep -R x /proc/self/root/proc/1
        grep -x --directories=recurse x /proc/thread-self
        rg -a x /proc/self/
        rg x /proc/1/task/1
        diff -a /proc/1 /proc/self
        diff /proc/1/task/1 /proc/2/task/2
        diff /home/a/.ssh /home/b/.ssh
        diff .aws x
        grep -r x .ssh
        grep -rn x .kube
        rg x /home/*/.ssh
        grep -r x /sys
        rg x /sys/kernel/debug
        grep -r x /sys/kernel/tracing/events";
    files_that_diff_looks_for_are_held_too: "diff /etc /mnt/shadow
        diff /mnt/shadow /etc
        diff /etc/ /mnt/shadow/
        diff -r /etc x/shadow
        diff .ssh keys/id_rsa
        diff -N /etc /mnt
        diff --new-file /etc /mnt
        diff -rN /etc /mnt
        diff -N -x '[!s]*' /etc /mnt";
}

#[test]
fn devices_may_be_told_of_and_some_be_read() {
    all_allowed(
        "ls -l /dev
        ls -l /dev/sda /dev/disk/by-id
        stat /dev/sda
        find /dev -type b
        find /dev/disk -lname '*sda1'
        df -h /dev/sda1
        lsblk -f /dev/sda
        findmnt /dev/sda1
        readlink -f /dev/disk/by-id/x
        realpath /dev/cdrom
        du -s /dev/shm
        tree -L 1 /dev
        ls -l /proc/1/fd
        ls -l /proc/1/cwd
        readlink /proc/1/cwd
        readlink /proc/1/fd/3
        cat /proc/1/fdinfo/3
        cat /dev/null
        grep x /dev/null a
        cat /dev/stdin
        sort /dev/fd/0
        cat /proc/self/fd/0
        cat /dev/shm/state
        cat dev/notes
        grep -r x dev
        cat /home/me/dev/main.c",
    );
}

#[test]
fn other_directories_are_searched_and_single_files_read() {
    all_allowed(
        "grep -r x /etc
        grep -rn PermitRootLogin /etc/ssh
        grep -r x
        rg x
        rg x /var/log
        grep -r x /sys/class/net
        grep x /proc/meminfo /proc/1/status
        diff /proc/1/limits /proc/2/limits
        diff /etc/ssh/sshd_config a
        diff -r a b
        ls -R .ssh
        find /proc/1 -maxdepth 1
        rg x /proc/meminfo",
    );
    let within = |directory: &str, line: &str| {
        let directory = Some(remote(directory));
        check(CommandPolicy::ReadOnly, &Pipeline { directory, ..pipeline(line) })
    };
    for (directory, line) in
        [("/proc/self", "grep -r x"), ("/proc", "rg x self"), ("~/.ssh", "rg x"), ("~/.ssh", "grep -r x .")]
    {
        assert!(within(directory, line).is_err(), "{directory}: {line}");
    }
}

#[test]
fn a_parent_behind_a_name_is_refused_with_what_to_write() {
    let within = |directory: &str, line: &str| {
        let directory = Some(remote(directory));
        check(CommandPolicy::ReadOnly, &Pipeline { directory, ..pipeline(line) })
    };
    for (directory, line, instead) in [
        ("/var/run", "cat ../etc/passwd", "\"/var/etc/passwd\""),
        ("/etc/nginx/conf.d", "cat ../nginx.conf", "\"/etc/nginx/nginx.conf\""),
        ("/etc/nginx/conf.d", "ls ../*.conf", "\"/etc/nginx/*.conf\""),
        ("/var/run/..", "ls x", "\"/var\""),
        ("~/app/log", "cat ../conf", "\"app/conf\""),
        ("~", "cat ../conf", "\"/conf\""),
        ("/var/log", "ls ..", "\"/var\""),
        ("/var/log", "find ../.. -maxdepth 1", "\"/\""),
        ("/var/log/..", "ls", "\"/var\""),
        ("/var/log/..", "df", "\"/var\""),
        ("/var/log", "grep -r x run/..", "\"/var/log\""),
        ("~", "ls x/..", "\"~\""),
    ] {
        let refusal = within(directory, line).expect_err(line);
        assert!(refusal.instead.as_ref().is_some_and(|hint| hint.contains(instead)), "{directory} {line}: {refusal:?}");
    }
    for (directory, line) in
        [("/", "ls .."), ("/..", "ls"), ("/proc/self/cwd", "ls"), ("/var/log", "cat /../etc/passwd")]
    {
        assert_eq!(within(directory, line), Ok(()), "{directory}: {line}");
    }
    for (directory, line) in
        [("/proc/self/cwd", "cat shadow"), ("/proc/1/cwd", "ls x"), ("/dev", "cat sda"), ("/dev/disk", "grep -r x ..")]
    {
        assert!(within(directory, line).is_err(), "{directory}: {line}");
    }
}

#[test]
fn names_in_other_scripts_are_no_secrets() {
    all_allowed(
        "cat /etc/\u{442}\u{435}\u{441}\u{442}
        cat \u{6587}\u{6863}/\u{9879}\u{76ee}
        ls /srv/\u{65e5}\u{672c}\u{8a9e}/\u{65e5}\u{672c}\u{8a9e}
        cat /etc/caf\u{e9}
        cat caf\u{e9}/\u{fc}ber.txt
        cat \u{1f600}.log \u{2705} \u{1f600}.conf \u{ab}x\u{bb}.txt \u{20ac}uro.txt
        ls /tmp/* /etc/host*
        cat /tmp/*.log /etc/host* music\u{266b} plan\u{201c}b\u{201d} notes\u{2013}old.txt
        ls d\u{1f980}/f* \u{266b}/x",
    );
}

/// A path that an entry is about.
fn example(entry: &Entry) -> String {
    let text = entry.pattern.to_string();
    let text = text.strip_suffix("/**").map_or(text.clone(), |above| format!("{above}/x"));
    match text.strip_prefix("**/") {
        Some(below) => format!("~/{}", below.replace('*', "x")),
        None => text.replace('*', "x"),
    }
}

#[test]
fn every_entry_of_the_list_keeps_its_example_from_files_and_commands() {
    for entry in LISTED.entries().iter().chain(NAMED.entries()) {
        let path = example(entry);
        let refusal = check_path(path.as_bytes()).expect_err(&path);
        assert!(refusal.why.contains(&entry.why), "{path}: {refusal}, expected {entry}");
        let operand = path.strip_prefix("~/").unwrap_or(&path).replace(' ', "' '");
        let refusal = verdict(&format!("head {operand}")).expect_err(&path);
        assert!(refusal.why.contains(&entry.why), "{path}: {refusal}, expected {entry}");
    }
    for entry in UNREAD.entries() {
        let path = example(entry);
        assert_eq!(check_path(path.as_bytes()), Ok(()), "{path}");
        let refusal = verdict(&format!("head {}", path.strip_prefix("~/").unwrap_or(&path))).expect_err(&path);
        assert!(refusal.why.contains(&format!("{entry}, and is not opened by commands here")), "{path}: {refusal}");
    }
}

fn patterns(texts: &[&str]) -> Vec<PathPattern> {
    texts.iter().map(|text| PathPattern::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))).collect()
}

#[test]
fn the_operator_adds_to_the_list_and_takes_away() {
    let added = patterns(&["/srv/vault/**", "**/*.pem", "**/.ssh/config"]);
    let added = added.into_iter().map(|pattern| (pattern, "scout.toml:3".to_owned())).collect();
    let readable = ["/srv/vault/README", "**/.npmrc", "/etc/sudoers.d/**", "/etc/ssh/ssh_host_*_key", "/dev/ttyUSB*"];
    let secrets = SecretPaths::new(added, patterns(&readable));
    let refusal = secrets.check_path(&remote(b"/srv/vault/x/y")).expect_err("added");
    assert_eq!(refusal.why, "is on the list of secret paths: /srv/vault/** stands in scout.toml:3");
    for path in ["/srv/vault", "/x/y.pem", "~/y.PEM", "~/.ssh/config", "~/.ssh/id_rsa", "/etc/sudoers", "/etc/shadow"] {
        assert!(secrets.check_path(&remote(path)).is_err(), "{path}");
        assert!(secrets.check_true_path(&remote("x"), path.as_bytes()).is_err(), "{path}");
    }
    for path in [
        "/srv/vault/README",
        "~/.npmrc",
        "/root/.npmrc",
        "/etc/sudoers.d",
        "/etc/sudoers.d/a",
        "/etc/ssh/ssh_host_rsa_key",
    ] {
        assert_eq!(secrets.check_path(&remote(path)), Ok(()), "{path}");
        assert!(secrets.has(&remote(path)), "{path}");
    }
    let verdict = |line: &str| check_with(&secrets, CommandPolicy::ReadOnly, &pipeline(line));
    for line in [
        "cat /etc/sudoers.d/*",
        "cat /etc/ssh/ssh_host_*_key",
        "cat .npmrc",
        "head -c 10 /dev/ttyUSB0",
        "cat /dev/ttyUSB[01]",
    ] {
        assert_eq!(verdict(line), Ok(()), "{line}");
    }
    // What a glob could match beside what may be read, and what only looks like it.
    for line in [
        "cat /etc/sudoers*",
        "cat /etc/ssh/ssh_host_*",
        "cat /srv/vault/R*",
        "cat /srv/*/x",
        "cat srv/vault/x",
        "cat /dev/tty*",
        "cat etc/sudoers.d/a",
        "cat /srv/vault/x/../README",
        "cat a/*.pem",
        "cat a/*",
    ] {
        assert!(verdict(line).is_err(), "{line}");
    }
    let nothing = SecretPaths::new(Vec::new(), patterns(&["/**"]));
    assert_eq!(nothing.check_path(&remote(b"~/.netrc")).and(nothing.check_path(&remote(b"/etc/shadow"))), Ok(()));
}

#[test]
fn what_is_no_pattern_is_refused_with_what_to_write() {
    for (text, says) in [
        ("", "begins with `/`"),
        ("x", "begins with `/`"),
        ("~/.netrc", "`**/.netrc` is that file of every account"),
        ("/", "names nothing"),
        ("**/", "names nothing"),
        ("**/**", "names nothing"),
        ("/a/../b", "a pattern cannot contain"),
        ("/a//b", "a pattern cannot contain"),
        ("/a/./b", "a pattern cannot contain"),
        ("/a/", "a pattern cannot contain"),
        ("/a/**/b", "only at the start and the end"),
        ("/a/*b*", "one `*` at most"),
        ("/a/b?", "the only wildcard"),
        ("/a/[b]", "the only wildcard"),
    ] {
        let why = PathPattern::parse(text).expect_err(text);
        assert!(why.contains(says), "{text}: {why}");
    }
    assert!(PathPattern::parse(&format!("/{}", "x".repeat(63))).is_err());
    assert!(PathPattern::parse(&"/x".repeat(600)).is_err());
}

#[test]
fn where_a_path_truly_leads_counts() {
    let secrets = SecretPaths::default();
    assert_eq!(secrets.check_true_path(&remote("~/link"), b"/var/log/syslog"), Ok(()));
    let refusal = secrets.check_true_path(&remote("~/link"), b"/etc/shadow").expect_err("a secret");
    let says = "\"~/link\": leads to what is on the list of secret paths: /etc/shadow holds password hashes";
    assert_eq!(refusal.to_string(), says);
    assert_eq!(secrets.check_path(&remote(b"/var/run/../x")), Ok(()));
}

fn remote(path: impl AsRef<[u8]>) -> RemotePath {
    RemotePath::parse(path).expect("a path")
}

fn check_path(path: &[u8]) -> Result<(), Refusal> {
    SecretPaths::default().check_path(&remote(path))
}

#[test]
fn public_keys_and_neighbours_of_secrets_are_readable() {
    all_allowed(
        "cat .ssh/id_rsa.pub
        cat .ssh/*.pub
        cat .ssh/known_hosts
        cat .ssh/known_hosts.old
        cat .ssh/authorized_keys
        cat .ssh/config
        cat .ssh/config.d/10-fleet
        cat /etc/ssh/ssh_host_rsa_key.pub
        cat /etc/passwd
        cat /etc/ssh/sshd_config
        cat /proc/1/status
        cat /proc/*/status
        cat /proc/meminfo
        cat .docker/daemon.json
        ls /etc
        ls .ssh
        cat *
        ls -la a*",
    );
}

#[test]
fn the_directory_counts_when_paths_are_held_against_the_secrets() {
    let within = |directory: &str, line: &str| {
        let directory = Some(remote(directory));
        check(CommandPolicy::ReadOnly, &Pipeline { directory, ..pipeline(line) })
    };
    for (directory, line) in [
        ("/etc", "cat shadow"),
        ("/etc", "cat s*"),
        ("/etc/", "cat ./x/../shadow"),
        ("/var/log", "cat ../../etc/shadow"),
        ("~/.ssh", "cat id_rsa"),
        ("~", "cat .netrc"),
        (".ssh", "cat *"),
        (".ssh/~/..", "cat id_rsa"),
        ("/proc/self", "cat environ"),
        ("/proc/self/root", "cat etc/shadow"),
        ("~/.gnupg", "ls"),
        ("/etc", "cat a | sort shadow"),
    ] {
        assert!(within(directory, line).is_err(), "{directory}: {line}");
    }
    for (directory, line) in
        [("/var/log", "cat shadow"), ("~/.ssh", "cat config"), ("/etc/nginx", "cat *"), ("/etc", "cat /var/x")]
    {
        assert_eq!(within(directory, line), Ok(()), "{directory}: {line}");
    }
}

#[test]
fn a_path_alone_is_held_against_the_secrets() {
    for path in ["/etc/shadow", "~/.ssh/id_rsa", "~/../etc/shadow", ".netrc", "a/../.netrc", "/proc/7/environ"] {
        let refusal = check_path(path.as_bytes()).expect_err(path);
        assert_eq!(refusal.what, quoted(path));
    }
    for path in ["/etc/passwd", "~", "~/x", "", "/", "a*", "/etc/*", "~/.ssh/id_rsa.pub", "/home/etc/shadows/x"] {
        assert_eq!(check_path(path.as_bytes()), Ok(()), "{path}");
    }
    assert_eq!(check_path(b"/caf\xe9"), Ok(()));
}
