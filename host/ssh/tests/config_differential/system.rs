//! The system's file behind the user's.
//!
//! `ssh -F` reads no other file, so here ssh and Scout are asked in a mount namespace in which `/etc/ssh` and the home
//! directory are for the test alone: this program starts itself there.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use scout_tests::with_mounts;

use crate::settings::ask_before;
use crate::world::{Case, TOKEN, home_of_passwd, take_the_machine};
use crate::{DEFAULT_SEED, come_to_the_same, generator, setting};

/// Says that this is the program in the namespace, and which of them.
const INSIDE: &str = "SCOUT_CONFIG_NAMESPACE";
/// In a namespace there is one configuration at a time.
const NAMESPACES: u64 = 2;
/// In each of them.
const CASES: u64 = 60;

#[test]
fn the_users_and_the_systems_file_together_come_to_what_ssh_comes_to() {
    if let Ok(number) = std::env::var(INSIDE) {
        return compare_inside(number.parse().unwrap());
    }
    let home = home_of_passwd();
    let started = (0..NAMESPACES).map(|number| {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "etc"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join(TOKEN), "").unwrap();
        }
        let (own_home, own_etc) = (dir.path().join("home"), dir.path().join("etc"));
        let mut command = with_mounts(&[(&own_etc, Path::new("/etc/ssh")), (&own_home, Path::new(&home))]);
        // Held open: it may lie below the home directory.
        let program = File::open(std::env::current_exe().unwrap()).unwrap();
        command.args(["/proc/self/fd/0", "--nocapture", "--exact"]);
        command.arg("system::the_users_and_the_systems_file_together_come_to_what_ssh_comes_to");
        command.env(INSIDE, number.to_string()).stdin(program).stdout(Stdio::piped()).stderr(Stdio::piped());
        (command.spawn().unwrap(), dir)
    });
    for (child, _dir) in started.collect::<Vec<_>>() {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        eprintln!("{told}");
    }
}

fn compare_inside(number: u64) {
    take_the_machine(home_of_passwd().into());
    ask_before();
    let seed = setting("SCOUT_CONFIG_SEED", DEFAULT_SEED);
    let cases: Vec<Case> =
        (0..CASES).map(|case| generator::case_with_system(seed, case * NAMESPACES + number)).collect();
    come_to_the_same(&cases, seed, 1, 40);
}
