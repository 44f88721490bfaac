//! Holds the lock files against `tests/advisories.toml`, without the network.
//!
//! A test of this file is the check. `cargo run -p scout-tests --bin advisories` checks too, and with the path of a checkout of
//! RustSec's advisory-db it renews the list first: what the database says of crates in our lock files replaces what the list
//! says. What the database does not have stays: exceptions, advisories of the projects themselves, and newer ones.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use jiff::civil::Date;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

/// Where cargo keeps what is built, and this file.
const LOCKS: [&str; 4] = ["Cargo.lock", "plugins/Cargo.lock", "tests/fixtures/Cargo.lock", "tests/fuzz/Cargo.lock"];
const LIST: &str = "tests/advisories.toml";
/// Days after which a list is called old. No failure: what passed yesterday passes today.
const OLD: i64 = 60;
const HEAD: &str = "\
# What is known of the crates in Scout's lock files, held against them by `tests/src/bin/advisories.rs`, which says how this
# list is renewed. A version is affected that no `patched` and no `unaffected` range holds. An exception is for one version
# of one crate; one that nothing needs any more is an error.

";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// When somebody last looked, and where.
    checked: String,
    source: String,
    #[serde(default)]
    exception: Vec<Exception>,
    advisory: Vec<Advisory>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    patched: Vec<VersionReq>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unaffected: Vec<VersionReq>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    version: Version,
    reason: String,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

/// A crate at a version. Ours are among them, and what we carry with a change of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Package {
    name: String,
    version: Version,
}

/// What the front of an advisory of RustSec's says.
#[derive(Deserialize)]
struct Front {
    advisory: FrontAdvisory,
    versions: FrontVersions,
    #[serde(default)]
    affected: FrontAffected,
}

#[derive(Deserialize)]
struct FrontAdvisory {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct FrontVersions {
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

#[derive(Default, Deserialize)]
struct FrontAffected {
    #[serde(default)]
    os: Vec<String>,
}

fn main() -> ExitCode {
    match run(&root(), std::env::args_os().nth(1).map(PathBuf::from).as_deref()) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("advisories: {why}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(root: &Path, database: Option<&Path>) -> Result<Vec<String>, String> {
    let packages = packages(root)?;
    let mut list: List = parse(LIST, &read(&root.join(LIST))?)?;
    let today = jiff::Zoned::now().date();
    if let Some(database) = database {
        renew(&mut list, database, &packages, today)?;
        let text = toml::to_string(&list).map_err(|error| error.to_string())?;
        fs::write(root.join(LIST), format!("{HEAD}{text}")).map_err(|error| format!("{LIST}: {error}"))?;
    }
    let checked: Date = list.checked.parse().map_err(|error| format!("{LIST}: `checked`: {error}"))?;
    let age = checked.until(today).map_err(|error| error.to_string())?.get_days();
    if i64::from(age) > OLD {
        // Not `eprintln`, which a test that passes keeps to itself.
        let warning = format!("warning: {LIST} is {age} days old; its head says how it is renewed\n");
        std::io::stderr().write_all(warning.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(faults(&list, &packages))
}

/// What the lock files have that is affected and not excepted, and exceptions that nothing needs.
fn faults(list: &List, packages: &BTreeSet<Package>) -> Vec<String> {
    let mut needed = vec![false; list.exception.len()];
    let mut faults = Vec::new();
    for package in packages {
        for advisory in list.advisory.iter().filter(|advisory| advisory.name == package.name) {
            let spared = advisory.patched.iter().chain(&advisory.unaffected);
            if spared.into_iter().any(|range| range.matches(&package.version)) {
                continue;
            }
            let excepts = |exception: &Exception| {
                (&exception.id, &exception.name, &exception.version) == (&advisory.id, &package.name, &package.version)
            };
            match list.exception.iter().position(excepts).and_then(|at| needed.get_mut(at)) {
                Some(needed) => *needed = true,
                None => {
                    let mended: Vec<String> = advisory.patched.iter().map(ToString::to_string).collect();
                    let mended = if mended.is_empty() { "in no version".to_owned() } else { mended.join(" or ") };
                    faults.push(format!(
                        "{} {} is affected by {}, mended {mended}: cargo update -p {}, or an exception in {LIST}",
                        package.name, package.version, advisory.id, package.name
                    ));
                }
            }
        }
    }
    let unneeded = list.exception.iter().zip(needed).filter(|(_, needed)| !needed).map(|(exception, _)| {
        let Exception { id, name, version, .. } = exception;
        format!("{LIST}: nothing needs the exception of {name} {version} from {id} any more: remove it")
    });
    faults.extend(unneeded);
    faults
}

/// Crates of all lock files.
fn packages(root: &Path) -> Result<BTreeSet<Package>, String> {
    let mut packages = BTreeSet::new();
    for file in LOCKS {
        let lock: Lock = parse(file, &read(&root.join(file))?)?;
        packages.extend(lock.package);
    }
    Ok(packages)
}

fn renew(list: &mut List, database: &Path, packages: &BTreeSet<Package>, today: Date) -> Result<(), String> {
    let git = Command::new("git").arg("-C").arg(database).args(["log", "-1", "--format=%H of %cs"]).output();
    let commit = git.ok().filter(|git| git.status.success()).ok_or("that is no checkout of a git repository")?;
    list.checked = today.to_string();
    list.source = format!("RustSec advisory-db {}", String::from_utf8_lossy(&commit.stdout).trim());
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    list.advisory.retain(|advisory| names.contains(advisory.name.as_str()));
    for name in names {
        let Ok(files) = fs::read_dir(database.join("crates").join(name)) else { continue };
        for file in files {
            let path = file.map_err(|error| error.to_string())?.path();
            let text = read(&path)?;
            let front = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
            let front: Front = parse(&path.display().to_string(), front.ok_or("an advisory without a front")?)?;
            list.advisory.retain(|advisory| advisory.id != front.advisory.id);
            list.advisory.extend(of_ours(front));
        }
    }
    list.advisory.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(())
}

/// An advisory that says of a crate that it is dangerous where Scout runs: not that nobody tends it, nor of Windows alone.
fn of_ours(front: Front) -> Option<Advisory> {
    let FrontAdvisory { id, package, informational, withdrawn } = front.advisory;
    let dangerous = withdrawn.is_none() && informational.is_none_or(|kind| kind == "unsound");
    let os = front.affected.os;
    let here = os.is_empty() || os.iter().any(|os| os == "linux" || os == "macos");
    let FrontVersions { patched, unaffected } = front.versions;
    (dangerous && here).then_some(Advisory { id, name: package, patched, unaffected })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| format!("{what}: {error}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn no_crate_of_our_lock_files_is_affected_without_a_reason() {
        assert_eq!(run(&root(), None).unwrap(), [""; 0]);
    }

    fn list(exceptions: &str) -> List {
        let text = r#"
            checked = "2026-11-29"
            source = "a test"
            advisory = [{ id = "A-1", crate = "one", patched = [">= 1.2.3, < 2", ">= 2.1"], unaffected = ["< 1"] }]
        "#;
        parse("a test", &format!("{text}\n{exceptions}")).unwrap()
    }

    fn found(exceptions: &str, version: &str) -> Vec<String> {
        let package = |name: &str| Package { name: name.to_owned(), version: version.parse().unwrap() };
        faults(&list(exceptions), &[package("one"), package("other")].into())
    }

    #[test]
    fn a_version_that_no_range_spares_is_told_of_with_what_mends_it() {
        for spared in ["0.9.9", "1.2.3", "1.9.0", "2.1.0", "3.0.0"] {
            assert_eq!(found("", spared), [""; 0], "{spared}");
        }
        for affected in ["1.0.0", "1.2.2", "2.0.9", "1.2.3-rc.1"] {
            let told = found("", affected);
            assert_eq!(told.len(), 1, "{told:?}");
            let says = format!("one {affected} is affected by A-1, mended >=1.2.3, <2 or >=2.1: ");
            assert!(told.concat().starts_with(&says), "{told:?}");
        }
    }

    #[test]
    fn an_exception_is_for_one_version_and_must_be_needed() {
        let exception = r#"[[exception]]
            id = "A-1"
            crate = "one"
            version = "1.2.2"
            reason = "a test""#;
        assert_eq!(found(exception, "1.2.2"), [""; 0]);
        let unneeded = "nothing needs the exception of one 1.2.2 from A-1 any more";
        assert!(found(exception, "1.2.3").concat().contains(unneeded));
        let another = found(exception, "1.2.1").join("\n");
        assert!(another.contains("one 1.2.1 is affected") && another.contains(unneeded), "{another}");
    }

    #[test]
    fn of_a_database_only_dangers_are_taken_that_can_be_met_here() {
        let taken = |advisory: &str, affected: &str| {
            let text = format!(
                "[advisory]\nid = 'RUSTSEC-0000-0000'\npackage = 'one'\n{advisory}\n[versions]\npatched = ['>= 1']\n{affected}"
            );
            of_ours(parse("a test", &text).unwrap()).is_some()
        };
        assert!(taken("", ""));
        assert!(taken("informational = 'unsound'", ""));
        assert!(!taken("informational = 'unmaintained'", ""));
        assert!(!taken("withdrawn = '2026-01-01'", ""));
        assert!(!taken("", "[affected]\nos = ['windows']"));
        assert!(taken("", "[affected]\nos = ['windows', 'macos']"));
    }
}
