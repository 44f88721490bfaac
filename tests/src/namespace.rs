//! Programs that see other files in the place of this machine's own.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Binds each file or directory over the one behind it, up to `--`, and becomes what follows.
const BIND: &str = r#"while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done; shift; exec "$@""#;

/// A command that runs what its further arguments say in a mount namespace of its own, where the first of each pair is
/// bound over the second, which exists. The account stays the same.
///
/// # Panics
/// Where this machine allows no such namespace: with what to do about it.
pub fn with_mounts(binds: &[(&Path, &Path)]) -> Command {
    static ALLOWED: OnceLock<Result<(), String>> = OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| {
        // One exists everywhere.
        let mut command = command(&[(Path::new("/tmp"), Path::new("/tmp"))]);
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
    command(binds)
}

fn command(binds: &[(&Path, &Path)]) -> Command {
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).output().expect("`id` runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (user, group) = (id("-u"), id("-g"));
    let mut command = Command::new("unshare");
    command.arg(if user == "0" { "-m" } else { "-rm" }).args(["sh", "-c", BIND, "sh"]);
    for (from, onto) in binds {
        command.arg(from).arg(onto);
    }
    command.arg("--");
    if user != "0" {
        // Root there for the mounts only.
        command.args(["unshare", "--user", "--map-user", &user, "--map-group", &group, "--"]);
    }
    command
}
