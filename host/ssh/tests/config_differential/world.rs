//! A case's files on disk, and what ssh and Scout are asked about them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};

use scout_ssh::SshConfig;

use crate::compare::keyword_of;
use crate::refusals::value_of;

/// Stands for the directory of a configuration's files.
const DIRECTORY: &str = "@DIR@";

/// One configuration: files by name, the first one is the user's, and the hosts to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) hosts: Vec<String>,
}

/// A directory in which a case's files lie: the home directory of whoever reads them.
pub(crate) struct World {
    home: Home,
    /// As they were written first.
    texts: Vec<(PathBuf, String)>,
}

enum Home {
    /// The user's file alone is read.
    Own(tempfile::TempDir),
    /// That of the passwd entry, and the system's file is read after the user's.
    Machines { home: &'static Path, _alone: MutexGuard<'static, ()> },
}

/// The home directory of the passwd entry where the user's and the system's files are for these tests alone.
static MACHINES_HOME: OnceLock<PathBuf> = OnceLock::new();
/// Held by the one case that is there.
static MACHINE: Mutex<()> = Mutex::new(());
const SYSTEM: &str = "/etc/ssh";
/// A file in both directories that says so.
pub(crate) const TOKEN: &str = "this-is-a-namespace-of-scouts-tests";

/// From now on each case is this machine's own configuration, so that there may be one at a time.
///
/// # Panics
/// If that would overwrite what is not for the tests.
pub(crate) fn take_the_machine(home: PathBuf) {
    assert!([Path::new(SYSTEM), &home].iter().all(|directory| directory.join(TOKEN).exists()), "not in a namespace");
    MACHINES_HOME.set(home).expect("it is taken once");
}

impl World {
    pub(crate) fn new(case: &Case) -> Self {
        let home = match MACHINES_HOME.get() {
            None => Home::Own(tempfile::tempdir().expect("a temporary directory")),
            Some(home) => {
                let _alone = match MACHINE.try_lock() {
                    Err(TryLockError::WouldBlock) => panic!("the machine has another configuration already"),
                    // Its case differs, and is shrunk.
                    Err(TryLockError::Poisoned(machine)) => machine.into_inner(),
                    Ok(machine) => machine,
                };
                for directory in [Path::new(SYSTEM), home] {
                    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                        match entry.file_type().unwrap().is_dir() {
                            true => std::fs::remove_dir_all(entry.path()).unwrap(),
                            false if entry.file_name() == TOKEN => {}
                            false => std::fs::remove_file(entry.path()).unwrap(),
                        }
                    }
                }
                Home::Machines { home, _alone }
            }
        };
        let mut world = Self { home, texts: Vec::new() };
        for (name, text) in &case.files {
            world.write(name, text);
        }
        world
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.home {
            Home::Own(directory) => directory.path(),
            Home::Machines { home, .. } => home,
        }
    }

    fn write(&mut self, name: &str, text: &str) {
        let path = self.file(name);
        let text = text.replace(DIRECTORY, &self.path().display().to_string());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.texts.push((path, text));
    }

    /// A file of the case.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The text of a file of the case, as it was written.
    pub(crate) fn text_of(&self, file: &str) -> Option<&str> {
        self.texts.iter().find(|(path, _)| path.as_path() == Path::new(file)).map(|(_, text)| text.as_str())
    }

    /// Whether any line has this keyword, in lower case.
    pub(crate) fn has_keyword(&self, keyword: &str) -> bool {
        self.texts.iter().any(|(_, text)| text.lines().any(|line| keyword_of(line) == keyword))
    }

    /// Whether any line has this keyword and value, in whatever case.
    pub(crate) fn has_line(&self, keyword: &str, value: &str) -> bool {
        let is_it = |line: &str| keyword_of(line) == keyword && value_of(line).eq_ignore_ascii_case(value);
        self.texts.iter().any(|(_, text)| text.lines().any(is_it))
    }

    fn config(&self) -> PathBuf {
        self.path().join(".ssh/config")
    }

    pub(crate) fn ssh(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("ssh");
        if let Home::Own(_) = self.home {
            // Neither the user's file nor the system's.
            command.arg("-F").arg(self.config());
        }
        command
            .args(arguments)
            // Only `Include` asks the environment for the home directory.
            .env("HOME", self.path())
            .stdin(Stdio::null())
            .output()
            .expect("ssh runs; install openssh-client")
    }

    pub(crate) fn scout(&self) -> SshConfig {
        let system = match self.home {
            Home::Own(_) => None,
            Home::Machines { .. } => Some(Path::new(SYSTEM).join("ssh_config")),
        };
        SshConfig::load(&self.config(), system.as_deref(), self.path()).expect("a configuration")
    }
}

/// What ssh prints, by keyword.
pub(crate) type Printed = BTreeMap<String, Vec<String>>;

fn printed(output: &Output) -> Option<Printed> {
    let mut printed = Printed::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        printed.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    output.status.success().then_some(printed)
}

/// `ssh -G` for one name; what it says on stderr if it refuses.
pub(crate) fn ask(world: &World, options: &[String], host: &str) -> Result<Printed, String> {
    let mut arguments: Vec<&str> = vec!["-G"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(["--", host]);
    let output = world.ssh(&arguments);
    printed(&output).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

pub(crate) fn world_of(text: &str) -> World {
    World::new(&Case {
        name: String::new(),
        files: vec![(".ssh/config".to_owned(), text.to_owned())],
        hosts: Vec::new(),
    })
}

/// The home directory that ssh takes from the passwd entry.
pub(crate) fn home_of_passwd() -> String {
    let printed = ask(&world_of("ControlPath ~/x\n"), &[], "any").expect("ssh reads it");
    printed["controlpath"][0].strip_suffix("/x").unwrap().to_owned()
}
