//! Writing a host's key into known_hosts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PublicKey;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use scout_machine::{ErrorKind, HostError};

use super::{KnownHosts, Name, Presented, Verdict, line};
use crate::local_file;

/// Others hold the lock as long as it takes to append a line; together with `LOCK_PAUSE` this is two seconds.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Adds a line for this host to a known_hosts file, creating it 0600 and its directory 0700, under a lock.
///
/// Host and port are those of [`super::known_as`]. The file is read again under the lock: a key that somebody else has
/// just added is not added twice, and a host that has got another key meanwhile is not given a second one. Blocks on
/// the disk, and up to two seconds on the lock.
///
/// # Errors
/// [`ErrorKind::Config`] when the file cannot be read or written, [`ErrorKind::Invalid`] for a name that does not fit on a
/// line, [`ErrorKind::HostKeyRejected`] when the file has another key for the host, or revokes this one.
pub fn learn(file: &Path, host: &str, port: u16, key: &PublicKey, hashed: bool) -> Result<(), HostError> {
    // All of these mean something to whoever reads the line: `*` would trust this key for every host.
    let is_special = |c: char| c.is_whitespace() || c.is_control() || "*?!,|@#[]".contains(c);
    if host.is_empty() || host.contains(is_special) {
        return Err(HostError::new(
            ErrorKind::Invalid,
            format!("the key of {host:?} cannot be learned: the name has characters that known_hosts gives a meaning"),
        ));
    }
    let fail = |why: String| HostError::new(ErrorKind::Config, format!("cannot write {}: {why}", file.display()));

    let name = Name::new(host, port);
    let written =
        if hashed { line::hashed(name.text()).map_err(|why| fail(why.to_owned()))? } else { name.text().to_owned() };
    let blob = key.to_bytes().map_err(|e| fail(e.to_string()))?;
    let line = format!("{written} {} {}\n", key.algorithm().as_str(), STANDARD.encode(blob));

    let mut open = open_locked(file).map_err(&fail)?;
    let mut known = KnownHosts::default();
    // From the locked file itself: one that cannot be read says nothing about the host.
    known.parse(file, &super::bytes_of(&open, file)?);
    // The name without the port does not count: whoever learns has looked there.
    let verdict = match known.revoked(&name, Presented::Key(key.key_data())) {
        Some(source) => Verdict::Revoked(source.clone()),
        None => known.find_key(&name, Some(key.key_data())),
    };
    match verdict {
        Verdict::Known(_) => return Ok(()),
        Verdict::Unknown => {}
        Verdict::Changed(at) | Verdict::Revoked(at) => {
            return Err(HostError::new(
                ErrorKind::HostKeyRejected,
                format!("the key of {host} is not learned: {}:{} says otherwise", at.file.display(), at.line),
            ));
        }
    }
    let text = if ends_inside_a_line(&mut open).map_err(|e| fail(e.to_string()))? { format!("\n{line}") } else { line };
    // One write in append mode: a reader sees the whole line or none of it.
    open.write_all(text.as_bytes()).map_err(|e| fail(e.to_string()))
    // The lock ends with the file.
}

/// The file, locked, and still the one of that name: whoever rewrites it (`ssh-keygen -R`) puts a new one in its place.
fn open_locked(path: &Path) -> Result<File, String> {
    let text = |error: std::io::Error| error.to_string();
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(text)?;
    }
    for _ in 0..LOCK_ATTEMPTS {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(local_file::AT_ONCE);
        let file = options.open(path).map_err(text)?;
        let own = file.metadata().map_err(text)?;
        local_file::check_kind(&own).map_err(|error| error.to_string())?;
        // /dev/null keeps nothing, and its lock would be one for the whole machine.
        if !own.is_file() {
            return Ok(file);
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (own.dev(), own.ino())) => {
                return Ok(file);
            }
            Ok(()) | Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("somebody else keeps it locked".to_owned())
}

fn ends_inside_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
