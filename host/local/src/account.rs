//! The account that Scout runs as.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use scout_machine::path::shown;
use scout_machine::{ErrorKind, HostError, RemotePath, Start};
use uzers::os::unix::UserExt as _;

/// Where programs are looked for if nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What of Scout's own environment commands get: it may hold secrets of whoever started Scout.
const INHERITED: [&str; 5] = ["PATH", "TZ", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Whose files and commands they are.
#[derive(Clone, Debug)]
pub struct Account {
    name: OsString,
    home: OsString,
    shell: OsString,
    /// What commands get of Scout's own.
    inherited: Vec<(String, OsString)>,
}

impl Account {
    /// The account of this process, whose home directory is `home`, with `variable` for the variables of its environment. Reads the user
    /// database.
    pub fn current(home: impl Into<OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let user = uzers::get_user_by_uid(uzers::get_current_uid());
        let name = user.as_ref().map_or_else(|| OsString::from("unknown"), |user| user.name().to_owned());
        let shell = user.as_ref().map_or_else(|| OsString::from("/bin/sh"), |user| user.shell().as_os_str().to_owned());
        let given = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
        let mut inherited: Vec<_> = given.filter(|(_, value)| !value.is_empty()).collect();
        if !inherited.iter().any(|(name, _)| name == "PATH") {
            inherited.push(("PATH".to_owned(), PATH.into()));
        }
        Self { name, home: home.into(), shell, inherited }
    }

    /// Its name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Its home directory.
    pub fn home(&self) -> &OsStr {
        &self.home
    }

    /// What commands run with.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let own = [("HOME", &self.home), ("USER", &self.name), ("LOGNAME", &self.name), ("SHELL", &self.shell)];
        let inherited = self.inherited.iter().map(|(name, value)| (OsStr::new(name), value.as_os_str()));
        own.into_iter().map(|(name, value)| (OsStr::new(name), value.as_os_str())).chain(inherited)
    }

    /// The absolute path that one names. Asks the user database for `~name`, and so may block.
    pub(crate) fn absolute(&self, path: &RemotePath) -> Result<Vec<u8>, HostError> {
        if let Some((home, rest)) = path.other_home() {
            let name = OsStr::from_bytes(home.strip_prefix(b"~").unwrap_or(home));
            let user = uzers::get_user_by_name(name).ok_or_else(|| {
                let message = format!("no such account, or it has no home: `{}`", shown(home));
                HostError::new(ErrorKind::NotFound, message)
            })?;
            return Ok([user.home_dir().as_os_str().as_bytes(), rest].concat());
        }
        match path.start() {
            Start::Root => Ok(path.bytes().to_vec()),
            Start::Home | Start::OtherHome => Ok([self.home.as_bytes(), b"/", path.plain()].concat()),
        }
    }
}
