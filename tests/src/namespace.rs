//! Programs that see other files in the place of this machine's own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Mounts what each triple says, up to `--`, and becomes what follows.
const MOUNT: &str = r#"while [ "$1" != -- ]; do case $1 in
bind) mount --bind "$2" "$3" ;;
read-only) mount --bind "$2" "$3" && mount -o remount,bind,ro "$3" ;;
small) mount -t tmpfs -o "size=$2,mode=700" scout-tests "$3" ;;
esac || exit 125; shift 3; done; shift; exec "$@""#;

/// A command that runs what its further arguments say in a mount namespace of its own, where the first of each pair is
/// bound over the second, which exists. The account stays the same.
///
/// # Panics
/// Where this machine allows no such namespace: with what to do about it.
pub fn with_mounts(binds: &[(&Path, &Path)]) -> Command {
    let binds: Vec<_> = binds.iter().map(|(from, onto)| ("bind", from.as_os_str(), *onto)).collect();
    allowed(&binds)
}

/// The same, where nobody can write below a directory.
///
/// # Panics
/// As [`with_mounts`].
pub fn with_read_only(directory: &Path) -> Command {
    allowed(&[("read-only", directory.as_os_str(), directory)])
}

/// The same, where an empty disk of so many bytes is mounted on a directory.
///
/// # Panics
/// As [`with_mounts`].
pub fn with_small_disk(bytes: u64, directory: &Path) -> Command {
    allowed(&[("small", OsStr::new(&bytes.to_string()), directory)])
}

fn allowed(mounts: &[(&str, &OsStr, &Path)]) -> Command {
    static ALLOWED: OnceLock<Result<(), String>> = OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| {
        // One exists everywhere.
        let mut command = command(&[("bind", OsStr::new("/tmp"), Path::new("/tmp"))]);
        match command.arg("true").output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    if let Err(why) = allowed {
        panic!(
            "no mount namespace can be made here ({why}): run the tests as root with CAP_SYS_ADMIN (docker: --privileged), \
             or let users make namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu \
             kernel.apparmor_restrict_unprivileged_userns=0)"
        );
    }
    command(mounts)
}

fn command(mounts: &[(&str, &OsStr, &Path)]) -> Command {
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).output().expect("`id` runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (user, group) = (id("-u"), id("-g"));
    let mut command = Command::new("unshare");
    command.arg(if user == "0" { "-m" } else { "-rm" }).args(["sh", "-c", MOUNT, "sh"]);
    for (how, what, onto) in mounts {
        command.arg(how).arg(what).arg(onto);
    }
    command.arg("--");
    if user != "0" {
        // Root there for the mounts only.
        command.args(["unshare", "--user", "--map-user", &user, "--map-group", &group, "--"]);
    }
    command
}
