//! Paths that transfers never write, whatever the operator has opened: what is there decides who logs in, or what runs by itself.
//!
//! Owns the list. It is held against a path as it is written and, again, against where it truly lies.

/// Names of files and directories, wherever they are; what is below a directory is meant too.
const NAMES: &[&str] = &[
    // Who logs in.
    ".ssh",
    ".rhosts",
    ".shosts",
    ".k5login",
    ".k5identity",
    "authorized_keys",
    "authorized_keys2",
    // What a login or a shell runs.
    ".profile",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".zshenv",
    ".zshrc",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".mkshrc",
    ".shrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".logout",
    ".pam_environment",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".xinitrc",
    // What programs run that are started by hand.
    ".gitconfig",
    ".hgrc",
    ".vimrc",
    ".exrc",
    ".tmux.conf",
    ".screenrc",
    ".inputrc",
    ".gdbinit",
    ".pythonrc",
    // What programs that Scout runs are configured by.
    ".docker",
    ".kube",
    ".gnupg",
    // What mail that comes runs.
    ".forward",
    ".procmailrc",
];

/// Directories below a home directory's `.config`.
const CONFIG: &[&str] =
    &["systemd", "autostart", "environment.d", "containers", "podman", "fish", "git", "nvim", "plasma-workspace"];

/// Directories below a home directory's `.local/share`.
const DATA: &[&str] = &["systemd", "dbus-1", "applications", "autostart"];

/// Directories and files by their whole path; what begins with one that ends in `*` is meant too.
const PATHS: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/etc/passwd*",
    "/etc/group*",
    "/etc/gshadow*",
    "/etc/shadow*",
    "/etc/subuid*",
    "/etc/subgid*",
    "/etc/sudoers*",
    "/etc/doas.conf",
    "/etc/security",
    "/etc/pam*",
    "/etc/ssh",
    "/etc/dropbear",
    "/etc/hosts.equiv",
    "/etc/shells",
    "/etc/nsswitch.conf",
    "/etc/polkit-1",
    "/etc/cron*",
    "/etc/anacrontab",
    "/etc/at.*",
    "/var/spool/cron",
    "/var/spool/at",
    "/var/cron",
    "/etc/init*",
    "/etc/rc*",
    "/etc/systemd",
    "/run/systemd",
    "/usr/lib/systemd",
    "/usr/local/lib/systemd",
    "/usr/local/share/dbus-1",
    "/usr/share/dbus-1",
    "/etc/dbus-1",
    "/lib/systemd",
    "/etc/default",
    "/etc/sysconfig",
    "/etc/xdg/autostart",
    "/etc/xdg/systemd",
    "/etc/X11",
    "/etc/runit",
    "/etc/sv",
    "/etc/service",
    "/etc/s6*",
    "/etc/tmpfiles.d",
    "/etc/sysusers.d",
    "/etc/binfmt.d",
    "/etc/sysctl*",
    "/etc/crypttab",
    "/etc/fstab",
    "/etc/inittab",
    "/etc/udev",
    "/etc/modprobe.d",
    "/etc/modules*",
    "/etc/ld.so*",
    "/etc/environment",
    "/etc/profile*",
    "/etc/bash*",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zshrc",
    "/etc/csh*",
    "/etc/fish",
    "/etc/update-motd.d",
    "/etc/NetworkManager/dispatcher.d",
    "/etc/network/if-*",
    "/etc/dhcp",
    "/etc/logrotate*",
    "/etc/apt",
    "/etc/dpkg",
    "/etc/yum*",
    "/etc/dnf",
];

/// Why transfers never write there, if so. The path is without `..`: its text tells where it leads, but for links.
pub(crate) fn why(path: &[u8]) -> Option<&'static str> {
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    let is = |name: &[u8], known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if names.iter().any(|name| NAMES.iter().any(|known| is(name, known))) {
        return Some("decides who may log in or what runs at a login");
    }
    let is_one_of = |name: &[u8], list: &[&str]| list.iter().any(|known| is(name, known));
    let is_below = |home: &[&str], list: &[&str]| {
        names.windows(home.len() + 1).any(|window| {
            let below = window.split_last().filter(|(name, _)| is_one_of(name, list));
            below.is_some_and(|(_, above)| above.iter().zip(home).all(|(name, known)| is(name, known)))
        })
    };
    if is_below(&[".config"], CONFIG) || is_below(&[".local", "share"], DATA) {
        return Some("decides what runs by itself");
    }
    if !path.starts_with(b"/") {
        return None;
    }
    let plain: Vec<u8> = names.iter().flat_map(|name| [&b"/"[..], name]).flatten().copied().collect();
    let is_known = PATHS.iter().any(|known| match known.strip_suffix('*') {
        Some(beginning) => plain.starts_with(beginning.as_bytes()),
        None => plain.strip_prefix(known.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")),
    });
    is_known.then_some("belongs to the system: it decides who may log in or what runs by itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_who_logs_in_or_what_runs_is_not_written() {
        for path in [
            "~/.ssh/authorized_keys",
            "/home/me/.ssh/x",
            "/srv/in/.bashrc",
            "/srv/in/.BashRC",
            "~/.config/systemd/user/x.service",
            "/home/me/.config//autostart/x.desktop",
            "/etc/cron.d/x",
            "/etc/crontab",
            "//etc/./sudoers.d/x",
            "/etc/systemd/system/x.service",
            "/var/spool/cron/crontabs/root",
            "/etc/ld.so.preload",
            "/proc/sys/kernel/core_pattern",
            "/etc/init.d/x",
            "~/.local/share/systemd/user/x.service",
            "/home/me/.local/share/dbus-1/services/x.service",
            "/etc/xdg/autostart/x.desktop",
            "/etc/default/cron",
        ] {
            assert!(why(path.as_bytes()).is_some(), "{path}");
        }
        for path in [
            "/srv/in/bashrc",
            "/srv/in/ssh/config",
            "/etc/nginx/sites-available/x",
            "/srv/etc/passwd",
            "~/.config/app/settings.toml",
            "~/systemd/x",
            "~/.local/share/app/systemd",
            "~/share/systemd/x",
            "/etc/systemd-mine/x",
            "in/cron",
        ] {
            assert_eq!(why(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn each_row_of_the_list_is_found() {
        for name in NAMES {
            assert!(why(format!("/srv/{name}").as_bytes()).is_some(), "{name}");
            assert!(why(format!("~/{name}/x").as_bytes()).is_some(), "{name}");
        }
        for name in CONFIG {
            assert!(why(format!("~/.config/{name}/x").as_bytes()).is_some(), "{name}");
        }
        for name in DATA {
            assert!(why(format!("~/.local/share/{name}/x").as_bytes()).is_some(), "{name}");
        }
        for path in PATHS {
            assert!(why(path.trim_end_matches('*').as_bytes()).is_some(), "{path}");
        }
    }
}
