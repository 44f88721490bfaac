//! What the list of secret paths holds by itself, and what only programs that open files are kept from.
//!
//! Rooted patterns hold below other roots too ([`ROOTS`]), so a shell's `*/*` meets them only where they can be.

use std::sync::LazyLock;

use super::Entry;
use super::pattern::PathPattern;

/// What an entry holds, its patterns, and what of them is none of it all the same.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const SECRETS: &[Row] = &[
    ("a process's environment", &["/proc/*/environ", "/proc/*/task/*/environ"], &[]),
    (
        "a process's memory",
        &["/proc/*/mem", "/proc/*/task/*/mem", "/proc/*/map_files/**", "/var/lib/systemd/coredump/**"],
        &[],
    ),
    ("the kernel's memory", &["/proc/kcore", "/proc/vmcore"], &[]),
    ("messages that are gone once somebody has read them", &["/proc/kmsg"], &[]),
    (
        "events that are gone once somebody has read them",
        &[
            "/sys/kernel/tracing/trace_pipe",
            "/sys/kernel/tracing/per_cpu/*/trace_pipe*",
            "/sys/kernel/tracing/instances/*/trace_pipe",
            "/sys/kernel/tracing/instances/*/per_cpu/*/trace_pipe*",
            "/sys/kernel/debug/tracing/trace_pipe",
            "/sys/kernel/debug/tracing/per_cpu/*/trace_pipe*",
            "/sys/kernel/debug/tracing/instances/*/trace_pipe",
            "/sys/kernel/debug/tracing/instances/*/per_cpu/*/trace_pipe*",
        ],
        &[],
    ),
    ("every file, by its number", &["/.vol/**"], &[]),
    (
        "password hashes",
        &[
            "/etc/shadow*",
            "/etc/gshadow*",
            "/etc/passwd-",
            "/etc/security/opasswd*",
            "/etc/master.passwd*",
            "/etc/spwd.db",
            "/usr/etc/shadow*",
            "/usr/etc/gshadow*",
            "/var/backups/passwd*",
            "/var/backups/shadow*",
            "/var/backups/gshadow*",
            "/var/backups/master.passwd*",
            "/var/db/dslocal/nodes/**",
        ],
        &[],
    ),
    ("who may become whom", &["/etc/sudoers*/**", "/usr/etc/sudoers*/**", "/usr/local/etc/sudoers*/**"], &[]),
    (
        "the host's private keys",
        &[
            "/etc/ssh/ssh_host_*_key",
            "/usr/local/etc/ssh/ssh_host_*_key",
            "/etc/dropbear/dropbear_*_host_key",
            "/etc/krb5.keytab",
        ],
        &[],
    ),
    (
        "private keys",
        &[
            "/etc/ssl/private/**",
            "/usr/lib/ssl/private/**",
            "/etc/pki/tls/private/**",
            "/etc/letsencrypt/live/*/privkey*",
            "/etc/letsencrypt/archive/*/privkey*",
            "/etc/letsencrypt/keys/**",
            "/etc/letsencrypt/accounts/**",
            "/etc/kubernetes/pki/*.key",
            "/etc/kubernetes/pki/etcd/*.key",
            "/etc/wireguard/**",
            "/var/lib/kubelet/pki/**",
            "**/.gnupg/**",
        ],
        &[],
    ),
    (
        "private keys",
        &["**/.ssh/*/**"],
        &["**/.ssh/*.pub", "**/.ssh/known_hosts*", "**/.ssh/authorized_keys*", "**/.ssh/config", "**/.ssh/config.d/**"],
    ),
    (
        "credentials",
        &[
            "/etc/ipsec.secrets",
            "/etc/ppp/*-secrets",
            "/etc/mysql/debian.cnf",
            "/etc/NetworkManager/system-connections/**",
            "/etc/kubernetes/*.conf",
            "/etc/rancher/k3s/k3s.yaml",
            "/run/secrets/**",
            "/var/run/secrets/**",
            "/run/credentials/**",
            "/var/run/credentials/**",
            "/var/lib/kubelet/pods/*/volumes/kubernetes.io~secret/**",
            "**/.aws/credentials",
            "**/.aws/sso/cache/**",
            "**/.aws/cli/cache/**",
            "**/.azure/**",
            "**/.cargo/credentials*",
            "**/.config/gcloud/**",
            "**/.config/gh/hosts.yml",
            "**/.config/git/credentials",
            "**/.config/containers/auth.json",
            "**/.docker/config.json",
            "**/.git-credentials",
            "**/.kube/config",
            "**/.my.cnf",
            "**/.mylogin.cnf",
            "**/.netrc",
            "**/.npmrc",
            "**/.pgpass",
            "**/.pypirc",
            "**/.terraform.d/credentials.tfrc.json",
            "**/.vault-token",
        ],
        &[],
    ),
];

/// What programs may tell of, and not open: reading it can block, never end, take away what others wait for, or set something
/// going.
const DEVICES: &[Row] = &[
    ("devices", &["/dev/**"], &["/dev/null", "/dev/stdin", "/dev/fd/0", "/dev/shm/**", "/dev/mqueue/**"]),
    ("what a process has open", &["/proc/*/fd/**"], &["/proc/self/fd/0"]),
    ("what a process has open", &["/proc/*/task/*/fd/**"], &[]),
    ("what is not known here", &["/proc/*/cwd/**", "/proc/*/task/*/cwd/**"], &[]),
];

/// Directories in which nothing is searched: what is read there beside secrets is no loss, or blocks.
const DIRECTORIES: &[Row] = &[
    (
        "environments and memory of processes",
        &[
            "/proc",
            "/proc/self",
            "/proc/thread-self",
            "/proc/1*",
            "/proc/2*",
            "/proc/3*",
            "/proc/4*",
            "/proc/5*",
            "/proc/6*",
            "/proc/7*",
            "/proc/8*",
            "/proc/9*",
            "/proc/*/task",
            "/proc/*/task/*",
        ],
        &[],
    ),
    ("files that never end", &["/sys", "/sys/kernel", "/sys/kernel/debug/**", "/sys/kernel/tracing/**"], &[]),
    ("private keys and credentials", &["**/.ssh", "**/.aws", "**/.kube", "**/.docker", "**/.config/gh"], &[]),
];

/// Directories that are a root themselves: below them everything is as below `/`. Of a process and its threads, of macOS
/// (whose system is spread over volumes), of snapshots, of systems that boot from a tree of files.
pub(crate) const ROOTS: &[&[&str]] = &[
    &["proc", "*", "root"],
    &["proc", "*", "task", "*", "root"],
    &["private"],
    &["System", "Volumes", "Data"],
    &["Volumes", "Macintosh HD"],
    &[".snapshots", "*", "snapshot"],
    &[".zfs", "snapshot", "*"],
    &["sysroot"],
    &["ostree", "deploy", "*", "deploy", "*"],
];

/// Where what a path leads to is not known from its text.
pub(crate) const ELSEWHERE: &[&[&str]] = &[
    &["proc", "*", "cwd"],
    &["proc", "*", "task", "*", "cwd"],
    &["proc", "*", "fd", "*"],
    &["proc", "*", "task", "*", "fd", "*"],
    &["dev", "fd", "*"],
];

/// [`SECRETS`].
pub(super) static LISTED: LazyLock<Vec<Entry>> = LazyLock::new(|| entries(SECRETS));

/// [`DEVICES`].
pub(super) static UNOPENED: LazyLock<Vec<Entry>> = LazyLock::new(|| entries(DEVICES));

/// [`DIRECTORIES`].
pub(super) static UNSEARCHED: LazyLock<Vec<Entry>> = LazyLock::new(|| entries(DIRECTORIES));

fn entries(rows: &[Row]) -> Vec<Entry> {
    let entry = |holds: &'static str, pattern: &str, but: &[&str]| Entry {
        pattern: parsed(pattern),
        why: format!("holds {holds}"),
        but: but.iter().map(|pattern| parsed(pattern)).collect(),
    };
    rows.iter().flat_map(|(holds, patterns, but)| patterns.iter().map(|pattern| entry(holds, pattern, but))).collect()
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test parses them")]
fn parsed(pattern: &str) -> PathPattern {
    PathPattern::parse(pattern).expect("a pattern")
}
