//! Scout's reading of `ssh_config` beside that of the real `ssh`: generated configurations and a corpus of real ones.
//!
//! The oracle is `ssh -G -F FILE HOST`. For every host both must come to the same settings, or Scout must refuse with
//! file:line what it does not evaluate. A file that ssh refuses as a whole is asked again with its bad lines replaced by
//! `SendEnv` probes, which tell whether such a line applies to the host: if one does, Scout must refuse the host there;
//! if none does, the settings must be the same.
//!
//! The user's file is read alone, and in `system` with the system's behind it.
//!
//! `SCOUT_CONFIG_SEED` and `SCOUT_CONFIG_CASES` choose other generated configurations.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod compare;
mod generator;
mod keywords;
mod refusals;
mod settings;
mod system;
mod world;

use std::path::{Path, PathBuf};

use scout_ssh::config::Proxy;
use scout_tests::{is_with_newer_openssh, with_newer_openssh};

use crate::compare::{Outcome, compare, compare_all};
use crate::settings::oracle;
use crate::world::{Case, world_of};

const DEFAULT_SEED: u64 = 0x5C07;
const DEFAULT_CASES: usize = 500;

/// Reads a number from the environment.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

#[test]
fn a_newer_openssh_comes_to_the_same() {
    if !is_with_newer_openssh() {
        with_newer_openssh("a_newer_openssh_comes_to_the_same", &[]);
    }
}

#[test]
fn generated_configurations_come_to_what_ssh_comes_to() {
    let seed = setting("SCOUT_CONFIG_SEED", DEFAULT_SEED);
    let cases: Vec<Case> =
        (0..setting("SCOUT_CONFIG_CASES", DEFAULT_CASES) as u64).map(|number| generator::case(seed, number)).collect();
    come_to_the_same(&cases, seed, std::thread::available_parallelism().map_or(2, usize::from), 60);
}

/// `percent`: so many of the hosts come to the same settings, at least.
fn come_to_the_same(cases: &[Case], seed: u64, threads: usize, percent: usize) {
    let ([same, both, not_evaluated], differences) = compare_all(cases, threads);
    let total = same + both + not_evaluated + differences.len();
    eprintln!("{total} hosts: {same} the same, {both} refused by both, {not_evaluated} not evaluated");
    assert!(
        differences.is_empty(),
        "{} of the first {total} hosts differ; again with SCOUT_CONFIG_SEED={seed}\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(same * 100 > total * percent, "more hosts must be compared: {same} of {total}");
    assert!(not_evaluated * 20 < total, "few may be left out: {not_evaluated} of {total}");
}

#[test]
fn real_configurations_come_to_what_ssh_comes_to() {
    let cases = corpus();
    assert!(cases.len() >= 15, "{} configurations", cases.len());
    // People use all that is in the corpus, so Scout reads all of it.
    for case in cases {
        for host in &case.hosts {
            assert_eq!(compare(&case, host), Ok(Outcome::Same), "{host} of {}", case.name);
        }
    }
}

/// The files of `config_corpus`; those below its `include` belong to all of them.
fn corpus() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_corpus");
    let mut included = Vec::new();
    collect(&root.join("include"), &root, &mut included);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let case = |path: PathBuf| {
        let mut text = std::fs::read_to_string(&path).unwrap();
        // Since 10.0 ssh knows no DSA, and refuses to be told of it; old machines' configurations still name it.
        if oracle().version >= (10, 0) {
            text = text.replace(",ssh-dss", "");
        }
        let world = world_of(&text);
        // Names, and in comments the names that only patterns reach.
        let mut hosts = world.scout().hosts();
        let more = text.lines().filter_map(|line| line.strip_prefix("# also: "));
        hosts.extend(more.flat_map(|names| names.split_whitespace().map(str::to_owned)));
        assert!(!hosts.is_empty(), "{} names no host", path.display());
        let mut files = vec![(".ssh/config".to_owned(), text)];
        files.extend(included.iter().map(|(name, text): &(String, String)| (format!(".ssh/{name}"), text.clone())));
        Case { name: path.file_name().unwrap().to_string_lossy().into_owned(), files, hosts }
    };
    files.into_iter().map(case).collect()
}

fn collect(directory: &Path, root: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            into.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// `ssh -G` leaves tokens as they are in these; `ssh -v` tells what it comes to.
#[test]
fn names_of_keys_and_proxy_commands_are_expanded_as_ssh_expands_them() {
    let config = "\
        Host one\n HostName Real.Example.ORG\n User u\n Port 2022\n HostKeyAlias Kay\n\
        Host two\n HostName 127.1\n\
        Host *\n\
        IdentityFile ~/k_%h_%n_%p_%r\n IdentityFile /%d/%u/%i/%k\n IdentityFile \"/a b/%l.%L.%%\"\n\
        IdentityFile /${CARGO_PKG_NAME}/%C\n IdentityFile none\n CertificateFile ~/c_%n\n CertificateFile /%k/%C\n\
        ProxyCommand exit 1; # %h %p %r %n %k %% \"quoted  blanks\" ${HOME}\n";
    let world = world_of(config);
    for host in ["one", "two"] {
        // A log of its own: the shell that ssh starts writes to the same standard error, in the middle of a line.
        let log = world.path().join("log");
        world.ssh(&["-v", "-E", log.to_str().unwrap(), "-o", "BatchMode=yes", "--", host]);
        let told = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).replace('\r', "");
        std::fs::remove_file(&log).unwrap();
        let lines = |prefix: &str, end: &str| -> Vec<String> {
            told.lines()
                .filter_map(|line| {
                    Some(line.strip_prefix("debug1: ")?.strip_prefix(prefix)?.split(end).next()?.to_owned())
                })
                .collect()
        };
        let spec = world.scout().resolve(host).unwrap();
        let home = world.path().display().to_string();
        // The home directory of the passwd entry.
        let at_home = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string().replace(&home, &oracle().home)).collect()
        };
        assert_eq!(at_home(&spec.identity_files), lines("identity file ", " type "), "{told}");
        // Since 10.5 ssh tells of those that are not there in other words.
        let told_of = [lines("certificate file ", " type "), lines("no identity cert loaded from ", "\n")].concat();
        assert_eq!(at_home(&spec.certificate_files), told_of, "{told}");
        let Proxy::Command(command) = spec.proxy else { panic!("{host} has a proxy command") };
        assert_eq!(lines("Executing proxy command: ", "\u{0}"), [format!("exec {command}")], "{told}");
    }
}
