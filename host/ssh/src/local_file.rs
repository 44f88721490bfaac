//! Files of this machine that are believed: opened without waiting for anybody, and written by nobody but root and this
//! account.
//!
//! Owns the two questions that such a file is asked: is it a regular file, and who can change it. Knows no content. The
//! second question is OpenSSH's of ssh_config, with what Debian and Ubuntu add: a group that is the account's alone counts
//! as the account.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use uzers::os::unix::GroupExt as _;

/// A FIFO is opened without its writer, so that it can be refused instead of waited for; no terminal becomes ours.
pub const AT_ONCE: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// Links that are followed on the way to a file, as Linux does.
const MAX_LINKS: usize = 40;
/// Who may write besides the owner.
const SHARED: u32 = 0o022;
/// In such a directory only the owner of an entry can exchange it.
const STICKY: u32 = 0o1000;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else than a file.
    #[error("it is {0}, not a regular file")]
    Special(&'static str),
    /// Others than root and this account can change it.
    #[error("{why}; {mend}")]
    Exposed {
        /// Who, and how.
        why: String,
        /// What to do about it.
        mend: String,
    },
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

/// Opens a regular file for reading, or `/dev/null`, which many name for an empty one. Never waits: what is none is refused
/// at once.
///
/// # Errors
/// A file that cannot be opened, and what is no file.
pub fn open(path: &Path) -> Result<File, FileError> {
    let file = match File::options().read(true).custom_flags(AT_ONCE).open(path) {
        // So Linux answers for a socket, and for a device that nobody drives.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
            return Err(FileError::Special("a socket or a device"));
        }
        opened => opened?,
    };
    check_kind(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a file, which may be `/dev/null`.
///
/// # Errors
/// As [`open`], and a file of more than `max` bytes.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    read_to_end(open(path)?, max)
}

/// What is left of an open file.
///
/// # Errors
/// A file that cannot be read, or has more than `max` bytes left.
pub fn read_to_end(file: impl io::Read, max: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {max} bytes")).into());
    }
    Ok(bytes)
}

/// Refuses what is neither a regular file nor `/dev/null`.
///
/// # Errors
/// What it is instead.
pub fn check_kind(metadata: &Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() || is_null(metadata) => Ok(()),
        () if kind.is_dir() => Err(FileError::Special("a directory")),
        () if kind.is_fifo() => Err(FileError::Special("a pipe")),
        () if kind.is_socket() => Err(FileError::Special("a socket")),
        () => Err(FileError::Special("a device")),
    }
}

/// Whether it is the device that is always empty.
fn is_null(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device()
        && std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev())
}

/// Makes sure that only root and this account decide what lies in a directory. One in which each may exchange what is their own only,
/// such as `/tmp`, is fine.
///
/// # Errors
/// [`FileError::Exposed`], and a directory that is not there.
pub fn check_directory(directory: &Path) -> Result<(), FileError> {
    exposure(&std::fs::metadata(directory)?, directory).map_or(Ok(()), Err)
}

/// Makes sure that only root and this account decide what is read at `path`: the file is theirs, each directory on the way
/// of its links that holds a link or the file is, and so are the links. A file that is not there is not asked about.
///
/// Further up nothing is asked: who exchanges a directory there can only put another one in its place in which root or this
/// account has a file of this name.
///
/// # Errors
/// [`FileError::Exposed`], and a path that cannot be followed.
pub fn check(path: &Path) -> Result<(), FileError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        check_directory(directory)?;
        let entry = match path.symlink_metadata() {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !entry.is_symlink() {
            return check_file(&entry, &path);
        }
        if let Some(exposure) = owned_by_another(&entry, &path) {
            return Err(exposure);
        }
        path = directory.join(path.read_link()?);
    }
    Err(io::Error::other("it is a link that leads through too many links").into())
}

/// Makes sure that only root and this account can write a file; `path` is where it is. As OpenSSH asks of ssh_config.
///
/// # Errors
/// [`FileError::Exposed`].
pub fn check_file(metadata: &Metadata, path: &Path) -> Result<(), FileError> {
    // What is always empty nobody changes.
    if is_null(metadata) { Ok(()) } else { exposure(metadata, path).map_or(Ok(()), Err) }
}

/// How others than root and this account can change a file, or the entries of a directory.
fn exposure(metadata: &Metadata, path: &Path) -> Option<FileError> {
    if let Some(exposure) = owned_by_another(metadata, path) {
        return Some(exposure);
    }
    let mode = metadata.mode();
    if mode & SHARED == 0 || (metadata.is_dir() && mode & STICKY != 0) || is_read_only(path) {
        return None;
    }
    if mode & 0o002 == 0 && !has_acl(path) && is_own_group(metadata.gid()) {
        return None;
    }
    Some(FileError::Exposed {
        why: format!("other accounts may write {} (mode {:04o})", path.display(), mode & 0o7777),
        mend: format!("run `chmod go-w {}`", path.display()),
    })
}

fn owned_by_another(metadata: &Metadata, path: &Path) -> Option<FileError> {
    foreign(metadata.uid(), rustix::process::getuid().as_raw(), path)
}

fn foreign(owner: u32, account: u32, path: &Path) -> Option<FileError> {
    (owner != 0 && owner != account).then(|| FileError::Exposed {
        why: format!("{} belongs to another account (uid {owner})", path.display()),
        mend: format!("run `chown -h {account} {}` as root", path.display()),
    })
}

/// Whether it lies where nobody can write at all, whatever its mode says: Kubernetes mounts its volumes so.
fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|mounted| mounted.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// With an access control list the group's bits in the mode are those of everybody who is named there.
fn has_acl(path: &Path) -> bool {
    rustix::fs::getxattr(path, c"system.posix_acl_access", &mut [0_u8; 0]).is_ok()
}

/// Whether a group is this account's alone, as where each account gets one of its own name and the umask is 002. Debian's and
/// Ubuntu's OpenSSH ask the same. Of an account that a directory service knows it cannot be told who else has the group.
fn is_own_group(gid: u32) -> bool {
    let account = rustix::process::getuid().as_raw();
    let (Some(user), Some(group)) = (uzers::get_user_by_uid(account), uzers::get_group_by_gid(gid)) else {
        return false;
    };
    // Accounts that have it as their first group are not among its members.
    group.name() == user.name()
        && group.members().iter().all(|member| member == user.name())
        && std::fs::read_to_string("/etc/passwd").is_ok_and(|accounts| is_first_group_of(account, gid, &accounts))
}

/// Whether this account of a passwd file has this group as its first one, and no other has.
fn is_first_group_of(account: u32, gid: u32, accounts: &str) -> bool {
    let ids = accounts.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?))
    });
    let mut having = ids.filter(|(_, first)| *first == gid).peekable();
    having.peek().is_some() && having.all(|(id, _)| id == account)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_dev_null_is_empty() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let _listener = UnixListener::bind(at("socket")).expect("a socket");
        symlink("fifo", at("link")).expect("a link");
        for (path, what) in [
            (at("fifo"), "a pipe"),
            (at("link"), "a pipe"),
            (at("socket"), "a socket or a device"),
            (at("."), "a directory"),
            ("/dev/zero".into(), "a device"),
        ] {
            let refused = read(&path, 9).expect_err("no file");
            assert_eq!(refused.to_string(), format!("it is {what}, not a regular file"), "{}", path.display());
        }
        assert_eq!(read(Path::new("/dev/null"), 9).expect("an empty file"), b"");
        std::fs::write(at("file"), "ten bytes!").expect("a file");
        assert!(read(&at("file"), 9).is_err());
        assert_eq!(read(&at("file"), 10).expect("a file"), b"ten bytes!");
    }

    #[test]
    fn a_file_is_believed_if_nobody_else_can_change_it_its_directory_or_a_link_to_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["own", "links"] {
            std::fs::create_dir(at(name)).expect("a directory");
            chmod(&at(name), 0o755);
        }
        std::fs::write(at("own/file"), "").expect("a file");
        symlink("../own/file", at("links/file")).expect("a link");
        let refused_at = |name: &str, mode: u32, is: &str| {
            let path = at(name);
            let before = path.metadata().expect("metadata").mode();
            chmod(&path, mode);
            for asked in ["own/file", "links/file"] {
                let says = check(&at(asked)).err().map(|error| error.to_string()).unwrap_or_default();
                let is_meant = is.split(' ').any(|part| part == asked);
                assert_eq!(!says.is_empty(), is_meant, "{name} {mode:o} {asked}: {says}");
                let told = says.contains(&format!("(mode {mode:04o}); run `chmod go-w "));
                assert!(!is_meant || (told && says.contains(name)), "{says}");
            }
            chmod(&path, before);
        };
        refused_at("own/file", 0o644, "");
        refused_at("own/file", 0o646, "own/file links/file");
        refused_at("own/file", 0o666, "own/file links/file");
        refused_at("own", 0o757, "own/file links/file");
        refused_at("links", 0o777, "links/file");
        // Only the owner of an entry can exchange it there.
        refused_at("own", 0o1777, "");
        assert!(check(&at("own/absent")).is_ok());
        symlink("loop", at("own/loop")).expect("a link");
        assert!(check(&at("own/loop")).is_err());
        assert!(check(Path::new("/dev/null")).is_ok());
    }

    #[test]
    fn only_root_and_the_account_itself_are_believed() {
        for (owner, account) in [(0, 0), (0, 1000), (1000, 1000)] {
            assert!(foreign(owner, account, Path::new("x")).is_none(), "{owner} {account}");
        }
        for (owner, account) in [(1000, 0), (1001, 1000), (65534, 1000)] {
            let refusal = foreign(owner, account, Path::new("/etc/x")).expect("another account").to_string();
            let says =
                format!("/etc/x belongs to another account (uid {owner}); run `chown -h {account} /etc/x` as root");
            assert_eq!(refusal, says);
        }
    }

    #[test]
    fn a_group_of_one_account_is_that_account() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";
        assert!(is_first_group_of(1000, 1000, accounts));
        assert!(!is_first_group_of(1000, 1001, accounts));
        assert!(!is_first_group_of(1000, 1000, &format!("{accounts}carl:x:1002:1000::/:/bin/sh\n")));
        assert!(!is_first_group_of(1002, 1002, accounts), "who is known elsewhere may share it");
    }
}
