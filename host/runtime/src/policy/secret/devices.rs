//! What programs that open files are kept from beside secrets, and directories that are a root themselves.

use super::list::Row;

/// What programs may tell of, and not open: reading it can block, never end, take away what others wait for, or set something
/// going.
pub(super) const DEVICES: &[Row] = &[
    ("devices", &["/dev/**"], &["/dev/null", "/dev/stdin", "/dev/fd/0", "/dev/shm/**", "/dev/mqueue/**"]),
    ("what a process has open", &["/proc/*/fd/**"], &["/proc/self/fd/0"]),
    ("what a process has open", &["/proc/*/task/*/fd/**"], &[]),
    ("what is not known here", &["/proc/*/cwd/**", "/proc/*/task/*/cwd/**"], &[]),
];

/// Directories in which nothing is searched: what is read there beside secrets is no loss, or blocks.
pub(super) const DIRECTORIES: &[Row] = &[
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
    (
        "private keys and credentials",
        &["**/.aws", "**/.kube", "**/.docker", "**/.config/gh", "**/.m2", "/etc/kubernetes", "/var/lib/cloud"],
        &[],
    ),
];

/// The root of a process and of its threads: what is above it is itself.
pub(crate) const PROCESS_ROOTS: &[&[&str]] = &[&["proc", "*", "root"], &["proc", "*", "task", "*", "root"]];

/// Directories that are a root to somebody: below them everything is as below `/`. Of macOS (whose system is spread over
/// volumes), of snapshots, of systems that boot from a tree of files, of containers and what they see of their host.
pub(crate) const ROOTS: &[&[&str]] = &[
    &["private"],
    &["System", "Volumes", "Data"],
    &["Volumes", "Macintosh HD"],
    &[".snapshots", "*", "snapshot"],
    &[".zfs", "snapshot", "*"],
    &["sysroot"],
    &["ostree", "deploy", "*", "deploy", "*"],
    &["rom"],
    &["overlay", "upper"],
    &["compat", "linux"],
    &["usr", "compat", "linux"],
    &["host"],
    &["hostfs"],
    &["rootfs"],
    &["old_root"],
    &["run", "host"],
    &["srv", "chroot", "*"],
    &["snap", "*", "current"],
    &["var", "lib", "machines", "*"],
    &["var", "lib", "lxc", "*", "rootfs"],
    &["var", "lib", "docker", "overlay2", "*", "diff"],
    &["var", "lib", "docker", "overlay2", "*", "merged"],
    &["var", "lib", "containers", "storage", "overlay", "*", "diff"],
    &["var", "lib", "containers", "storage", "overlay", "*", "merged"],
    &["run", "containerd", "io.containerd.runtime.v2.task", "*", "*", "rootfs"],
];

/// Where what a path leads to is not known from its text.
pub(crate) const ELSEWHERE: &[&[&str]] = &[
    &["proc", "*", "cwd"],
    &["proc", "*", "task", "*", "cwd"],
    &["proc", "*", "fd", "*"],
    &["proc", "*", "task", "*", "fd", "*"],
    &["dev", "fd", "*"],
];
