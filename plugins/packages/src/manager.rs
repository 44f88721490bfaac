//! Package managers: what each is asked, and how its answer is read. Pure.

use scout_plugin::exec::Output;

/// Who manages the packages of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// Of Debian and Ubuntu, with apt.
    Dpkg,
    /// Of Alpine.
    Apk,
    /// Of Arch.
    Pacman,
    /// Of Red Hat and SUSE. Last: a host of another kind may have it, and then it makes a database in the home directory.
    Rpm,
}

/// A package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// That is installed.
    pub(crate) version: Option<String>,
    /// That it can be updated to.
    pub(crate) available: Option<String>,
    /// Whether the update mends security; absent where the manager does not tell.
    pub(crate) security: Option<bool>,
    pub(crate) arch: Option<String>,
    /// Where the update is from.
    pub(crate) repository: Option<String>,
    /// Bytes on disk.
    pub(crate) size: Option<u64>,
    /// In the manager's words.
    pub(crate) state: Option<String>,
    pub(crate) summary: Option<String>,
}

/// What a manager told.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) packages: Vec<Package>,
    /// Lines that are none of a package.
    pub(crate) unread: usize,
    /// Packages that are gone but for their configuration.
    pub(crate) removed: usize,
    pub(crate) notes: Vec<String>,
}

/// What a line tells.
enum Line {
    Of(Package),
    Removed,
    /// A heading.
    Nothing,
}

const DPKG: &[&str] = &[
    "dpkg-query",
    "-W",
    "-f",
    "${Package}\\t${Version}\\t${Architecture}\\t${Installed-Size}\\t${Status}\\t${binary:Summary}\\n",
];
const RPM: &[&str] =
    &["rpm", "-qa", "--qf", "%{NAME}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SIZE}\\t%{SUMMARY}\\n"];

/// What stands before the installed version of what can be updated.
const FROM: &str = "[upgradable from: ";

impl Manager {
    /// In the order in which they are asked.
    pub(crate) const ALL: [Self; 4] = [Self::Dpkg, Self::Apk, Self::Pacman, Self::Rpm];

    /// As the answer calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
            Self::Rpm => "rpm",
        }
    }

    /// The words of the command; absent where a manager cannot be asked without fetching.
    pub(crate) fn words(self, updates: bool) -> Option<&'static [&'static str]> {
        Some(match (self, updates) {
            (Self::Dpkg, false) => DPKG,
            (Self::Dpkg, true) => &["apt", "list", "--upgradable"],
            (Self::Apk, false) => &["apk", "list", "-I"],
            (Self::Apk, true) => &["apk", "list", "-u"],
            (Self::Pacman, false) => &["pacman", "-Q"],
            (Self::Pacman, true) => &["pacman", "-Qu"],
            (Self::Rpm, false) => RPM,
            (Self::Rpm, true) => return None,
        })
    }

    /// Whether what it said of updates is an answer, though it may be that there are none.
    pub(crate) fn knows(self, output: &Output) -> bool {
        match self {
            // In every language a heading.
            Self::Dpkg => !output.stdout.is_empty(),
            Self::Apk => output.exit == Some(0),
            // It ends with 1 where there are none.
            _ => !output.stdout.is_empty() || output.stderr.trim().is_empty(),
        }
    }

    /// The packages of its answer.
    pub(crate) fn parse(self, updates: bool, output: &[u8]) -> Listing {
        let output = String::from_utf8_lossy(output);
        let mut listing = Listing::default();
        for line in output.lines() {
            let read = match (self, updates) {
                (Self::Dpkg, false) => dpkg(line),
                (Self::Dpkg, true) => apt(line),
                (Self::Apk, updates) => apk(updates, line),
                (Self::Pacman, _) => pacman(line),
                (Self::Rpm, _) => rpm(line),
            };
            match read {
                Some(Line::Of(package)) => listing.packages.push(package),
                Some(Line::Removed) => listing.removed += 1,
                Some(Line::Nothing) => {}
                None => listing.unread += 1,
            }
        }
        listing
    }
}

fn owned(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty() && text != "(none)")
}

/// Name, version, architecture, KiB, `install ok installed` and a summary, with tabs between them.
fn dpkg(line: &str) -> Option<Line> {
    let mut fields = line.splitn(6, '\t');
    let name = owned(fields.next()?)?;
    let (version, arch, size) = (fields.next()?, fields.next()?, fields.next()?);
    let mut status = fields.next()?.split(' ');
    let (wanted, _error, state) = (status.next()?, status.next()?, status.next()?);
    if matches!(state, "config-files" | "not-installed") {
        return Some(Line::Removed);
    }
    let state = if wanted == "hold" { format!("{state}, held") } else { state.to_owned() };
    Some(Line::Of(Package {
        name,
        version: owned(version),
        arch: owned(arch),
        size: size.parse().ok().and_then(|kib: u64| kib.checked_mul(1024)),
        state: Some(state),
        summary: owned(fields.next()?),
        ..Package::default()
    }))
}

/// `openssl/stable-security,now 3.0.16-1 amd64 [upgradable from: 3.0.15-1]`
fn apt(line: &str) -> Option<Line> {
    let Some((package, installed)) = line.split_once(FROM) else {
        // `Listing...`, in whatever language, and a note about further versions.
        return (!line.contains('/')).then_some(Line::Nothing);
    };
    let mut words = package.split_ascii_whitespace();
    let (name, suites) = words.next()?.split_once('/')?;
    let (available, arch) = (words.next()?, words.next()?);
    Some(Line::Of(Package {
        name: owned(name)?,
        version: owned(installed.trim_end().strip_suffix(']')?),
        available: owned(available),
        security: Some(suites.split(',').any(|suite| suite.ends_with("-security"))),
        arch: owned(arch),
        repository: owned(suites),
        ..Package::default()
    }))
}

/// `busybox-1.37.0-r12 x86_64 {busybox} (GPL-2.0-only) [installed]`, or `… [upgradable from: busybox-1.37.0-r9]`.
fn apk(updates: bool, line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace();
    let (name, version) = named(words.next()?)?;
    let arch = owned(words.next()?);
    let package = Package { name, arch, ..Package::default() };
    Some(Line::Of(match line.split_once(FROM) {
        Some((_, installed)) => {
            let (_, installed) = named(installed.trim_end().strip_suffix(']')?)?;
            Package { version: Some(installed), available: Some(version), ..package }
        }
        None if updates => return None,
        None => Package { version: Some(version), ..package },
    }))
}

/// `busybox-1.37.0-r12`: the version begins at the last dash before the release. What `apk add --virtual` made has no release.
fn named(word: &str) -> Option<(String, String)> {
    let is_release = |release: &str| !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_digit());
    let released = word.rsplit_once("-r").filter(|(_, release)| is_release(release)).map_or(word, |(rest, _)| rest);
    let (name, _) = released.rsplit_once('-')?;
    let version = word.get(name.len() + 1..)?;
    Some((owned(name)?, owned(version)?))
}

/// `bash 5.2.037-5`, or `bash 5.2.037-5 -> 5.3.3-1`, perhaps with `[ignored]`.
fn pacman(line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    let available = match (words.next(), words.next()) {
        (None, _) => None,
        (Some("->"), Some(available)) => owned(available),
        _ => return None,
    };
    let state = words.next().map(|mark| mark.trim_matches(['[', ']']).to_owned());
    Some(Line::Of(Package { name: owned(name)?, version: owned(version), available, state, ..Package::default() }))
}

/// Name, epoch or `(none)`, version, architecture, bytes and a summary, with tabs between them.
fn rpm(line: &str) -> Option<Line> {
    let mut fields = line.splitn(6, '\t');
    let (name, epoch, version) = (fields.next()?, fields.next()?, fields.next()?);
    let (arch, size, summary) = (fields.next()?, fields.next()?, fields.next()?);
    let version = if epoch.parse::<u64>().is_ok() { format!("{epoch}:{version}") } else { version.to_owned() };
    Some(Line::Of(Package {
        name: owned(name)?,
        version: Some(version),
        arch: owned(arch),
        size: size.parse().ok(),
        summary: owned(summary),
        ..Package::default()
    }))
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
