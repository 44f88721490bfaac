//! Looking at files where the host offers no SFTP: one fixed script for `/bin/sh`.
//!
//! Owns the script, what goes into it and how its output is read. **The path reaches the script as data** (octal escapes
//! for `printf %b`), never as shell text. One line says what the path names; a file's bytes follow it raw, and so do a
//! directory's entries, each as six numbers and its name, ended by a slash and a newline: no name holds a slash, so any
//! name can be told from the next one. Needs `stat` as GNU, busybox or the BSDs have it, and `head`, `tail`, `find`.
//! Does not know how a command is run.

use std::time::Duration;

use bytes::{Buf as _, Bytes};

use crate::exec::shell::encoded;
use crate::sftp::{check, is_guarded, not_a_file, other_home, remote_path, shown};
use crate::{Attributes, Capture, DirEntry, Ending, ErrorKind, ExecOutcome, ExecRequest, Opened, SshError, TruePath};

/// `p`: the path, `o`: what is asked (stat, read, open), `f`: the first byte counted from 1, `c`: how many bytes, `n`: how
/// many entries. `t` becomes where the path truly leads, in which `?` stands for what `echo` would not print as it is; it is
/// empty where `readlink` or `tr` is missing. `-r` is asked first, because a failing redirection ends the shell; `-L`: links are followed, as STAT does.
const SCRIPT: &str = concat!(
    "LC_ALL=C;export LC_ALL;",
    "case $p in /*);;*)p=./$p;;esac;",
    "k=-c;F=\"%f %s %u %g %X %Y\";N=%n;",
    "stat -c %f / >/dev/null 2>&1||{ k=-f;F=\"%Xp %z %u %g %a %m\";N=%N;stat -f %z / >/dev/null 2>&1||{ echo U;exit 0;};};",
    "a=$(stat -L $k \"$F\" \"$p\" 2>&1)||{ printf \"E %s\\n\" \"$a\";exit 0;};",
    "t=$(exec 2>/dev/null;readlink -f \"$p\"|tr \"\\n\\\\\\\\\" \"??\");a=\"$a ${t%?}\";",
    "[ $o = s ]&&{ echo \"O $a\";exit 0;};",
    "r=\"E denied: Permission denied\";",
    "if [ -d \"$p\" ]&&[ $o = o ];then cd \"$p\" 2>/dev/null&&[ -r . ]||{ echo \"$r\";exit 0;};echo \"D $a\";",
    "find . ! -name . -prune -exec stat $k \"$F $N/\" {} + 2>/dev/null|head -n $n;exit 0;fi;",
    "[ -f \"$p\" ]||{ echo \"O $a\";exit 0;};",
    "[ -r \"$p\" ]||{ echo \"$r\";exit 0;};",
    "echo \"F $a\";",
    "if [ $f = 1 ];then head -c $c \"$p\";else tail -c +$f \"$p\"|head -c $c;fi",
);

/// What the answer's first line may take: six numbers, or an error with a path in it.
const HEAD: usize = 16 * 1024;
/// What a listing's entry takes, on average, at most; with longer names a listing is cut before its limit.
const ENTRY: usize = 512;
/// A listing is never longer.
const MAX_LISTING: usize = 16 * 1024 * 1024;
/// What of standard error is kept.
const STDERR: usize = 1024;
/// How long a file under /proc may keep us, as long as over SFTP.
const STALL: Duration = Duration::from_secs(2);
/// Otherwise the call's deadline binds.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// Its attributes.
    Stat,
    /// A file's first bytes or a directory's entries.
    Open { cap: usize, max_entries: usize },
    /// A part of a file.
    Read { offset: u64, length: usize },
}

impl Question {
    /// The command that asks.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no path, or no name of an account behind `~`.
    pub(crate) fn request(self, path: &[u8]) -> Result<ExecRequest, SshError> {
        let mut script = match other_home(path) {
            None => format!("h=;p=$(printf %b \"{}.\");", encoded(&remote_path(path)?)),
            Some((home, rest)) => {
                check(path)?;
                let name = account(home).ok_or_else(|| {
                    SshError::new(ErrorKind::Invalid, format!("not the name of an account: `{}`", shown(home)))
                })?;
                let rest = encoded(rest);
                format!("h=~{name};case $h in \"~\"*)echo A;exit 0;;esac;p=$(printf %b \"{rest}.\");")
            }
        };
        let (letter, offset, bytes, entries) = match self {
            Self::Stat => ('s', 0, 0, 0),
            Self::Open { cap, max_entries } => ('o', 0, cap, max_entries),
            Self::Read { offset, length } => ('r', offset, length, 0),
        };
        // One more than asked for tells whether there is more.
        let (first, count, lines) = (offset.saturating_add(1), bytes.saturating_add(1), entries.saturating_add(1));
        script.push_str(&format!("p=$h${{p%.}};o={letter};f={first};c={count};n={lines};"));
        script.push_str(SCRIPT);
        let listing = entries.saturating_mul(ENTRY).min(MAX_LISTING);
        Ok(ExecRequest {
            script: script.into_bytes(),
            stdout_cap: count.max(listing).saturating_add(HEAD),
            stderr_cap: STDERR,
            timeout: if is_guarded(path) { STALL } else { NO_LIMIT },
        })
    }

    /// What the command's outcome says. Only a question that opens gets content.
    ///
    /// # Errors
    /// As over SFTP; Unsupported if the host has no `stat`.
    pub(crate) fn answer(self, path: &[u8], outcome: &ExecOutcome) -> Result<(Opened, Option<TruePath>), SshError> {
        // As SFTP names it: what is below the home directory without `~`.
        let plain = remote_path(path).unwrap_or(path.into());
        let path = &*plain;
        let remote = |what: &str| SshError::new(ErrorKind::Remote, format!("{what}: `{}`", shown(path)));
        match &outcome.ending {
            Ending::Exited(_) | Ending::OutputLimit(_) => {}
            Ending::TimedOut(_) if is_guarded(path) => return Err(not_a_file(path)),
            Ending::TimedOut(_) => {
                let message = format!("the host did not answer before the deadline: `{}`", shown(path));
                return Err(SshError::new(ErrorKind::Timeout, message));
            }
            Ending::Cancelled(_) => return Err(SshError::new(ErrorKind::Cancelled, "the request was cancelled")),
            Ending::Signaled(_) | Ending::NoStatus => return Err(remote("the host ended the command that looks")),
        }
        let failed = || match outcome.stderr.data.is_empty() {
            true => remote("the host's answer makes no sense"),
            false => remote(&format!("the host says `{}`", shown(outcome.stderr.data.trim_ascii()))),
        };
        let mut rest = outcome.stdout.data.clone();
        let end = rest.iter().take(HEAD).position(|byte| *byte == b'\n').ok_or_else(failed)?;
        let line = rest.split_to(end);
        rest.advance(1);
        let (kind, line) = line.split_first().ok_or_else(failed)?;
        if *kind == b'E' {
            // The path may hold newlines: what counts stands at the end.
            let words = [line, b"\n", &rest[..]].concat();
            return Err(refusal(words.trim_ascii(), path));
        }
        // No number holds a slash, and a true path begins with one.
        let (numbers, place) = line.split_at(line.iter().position(|byte| *byte == b'/').unwrap_or(line.len()));
        let place = (!place.is_empty()).then(|| TruePath { path: place.to_vec(), is_proven: false });
        let attributes = || attributes(numbers.trim_ascii()).ok_or_else(failed);
        let opened = match (kind, self) {
            (b'U', _) => Err(SshError::new(
                ErrorKind::Unsupported,
                "the host offers no SFTP, and its `stat` command is missing or tells too little",
            )
            .with_hint("switch on `Subsystem sftp` in its sshd_config")),
            (b'A', _) => {
                let home = other_home(path).map_or(path, |(home, _)| home);
                let message = format!("no such account, or it has no home: `{}`", shown(home));
                Err(SshError::new(ErrorKind::NotFound, message))
            }
            (b'O', _) => Ok(Opened::Other { attributes: attributes()? }),
            (b'F', Self::Open { cap, .. }) => content(attributes()?, rest, 0, cap, failed),
            (b'F', Self::Read { offset, length }) => content(attributes()?, rest, offset, length, failed),
            (b'D', Self::Open { max_entries, .. }) => {
                let is_cut = matches!(outcome.ending, Ending::OutputLimit(_));
                let (entries, truncated) = entries(rest, max_entries, is_cut).ok_or_else(failed)?;
                Ok(Opened::Directory { attributes: attributes()?, entries, truncated })
            }
            _ => Err(failed()),
        };
        Ok((opened?, place))
    }
}

/// The name in `~name`, if any shell reads it as one.
fn account(home: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(home.strip_prefix(b"~")?).ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // `~-` and `~1` are something else in some shells.
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (begins && name.chars().all(fits)).then_some(name)
}

/// The words of an error as SFTP's codes have them: ENOENT, ENOTDIR and ELOOP are one, EACCES and EPERM another.
fn refusal(words: &[u8], path: &[u8]) -> SshError {
    let shown_path = shown(path);
    let ends = |with: &[&str]| with.iter().any(|with| words.ends_with(with.as_bytes()));
    // "Symbolic link loop" and "Too many levels of symbolic links" are ELOOP in musl and elsewhere.
    let missing =
        ["No such file or directory", "Not a directory", "Too many levels of symbolic links", "Symbolic link loop"];
    if ends(&missing) {
        SshError::new(ErrorKind::NotFound, format!("no such file or directory: `{shown_path}`"))
    } else if ends(&["Permission denied", "Operation not permitted"]) {
        SshError::new(ErrorKind::Permission, format!("permission denied: `{shown_path}`"))
    } else {
        SshError::new(ErrorKind::Remote, format!("the host says `{}`: `{shown_path}`", shown(words)))
    }
}

/// Mode (hexadecimal), size, owner, group, times.
fn attributes(line: &[u8]) -> Option<Attributes> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let permissions = u32::from_str_radix(words.next()?, 16).ok()?;
    let (size, uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // Times before 1970 and after 2106 have no place in SFTP's answer either.
    let mut time = || Some(words.next()?.parse::<i64>().ok()?.try_into().ok());
    let (atime, mtime): (Option<u32>, Option<u32>) = (time()?, time()?);
    let attributes =
        Attributes { size: Some(size), uid: Some(uid), gid: Some(gid), permissions: Some(permissions), atime, mtime };
    words.next().is_none().then_some(attributes)
}

fn content(
    attributes: Attributes,
    mut data: Bytes,
    offset: u64,
    cap: usize,
    failed: impl Fn() -> SshError,
) -> Result<Opened, SshError> {
    let (size, truncated) = (attributes.size, data.len() > cap);
    if data.is_empty() && size.is_some_and(|size| size > offset) {
        return Err(failed());
    }
    let end = offset.saturating_add(data.len() as u64);
    let total = match size {
        _ if !truncated && !data.is_empty() => Some(end),
        size => size.filter(|size| !truncated || *size >= end),
    };
    data.truncate(cap);
    Ok(Opened::File { attributes, content: Capture { data, truncated, total } })
}

/// Entries as far as they came whole, and whether there are more.
fn entries(mut rest: Bytes, max_entries: usize, is_cut: bool) -> Option<(Vec<DirEntry>, bool)> {
    let limit_reached = rest.iter().filter(|byte| **byte == b'\n').count() > max_entries;
    let mut entries = Vec::new();
    while !rest.is_empty() && entries.len() < max_entries {
        let Some((entry, length)) = entry(&rest) else {
            // Only what was cut may end in the middle of an entry.
            return (is_cut || limit_reached).then_some((entries, true));
        };
        entries.push(entry);
        rest.advance(length);
    }
    Some((entries, is_cut || limit_reached || !rest.is_empty()))
}

/// One entry, `81a4 12 0 0 1 1 ./name/` and a newline, and its length.
fn entry(from: &[u8]) -> Option<(DirEntry, usize)> {
    let start = from.windows(3).take(HEAD).position(|window| window == b" ./")?;
    let numbers = from.get(..start)?;
    let behind = from.get(start + 3..)?;
    let end = behind.iter().position(|byte| *byte == b'/')?;
    let name = behind.get(..end).filter(|name| !matches!(*name, b"" | b"." | b".."))?;
    (behind.get(end + 1) == Some(&b'\n')).then_some(())?;
    let entry = DirEntry { name: name.to_vec(), attributes: attributes(numbers)? };
    Some((entry, start + 3 + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::shell::Prepared;

    fn outcome(stdout: &[u8]) -> ExecOutcome {
        ExecOutcome {
            ending: Ending::Exited(0),
            stdout: Capture { data: Bytes::copy_from_slice(stdout), ..Capture::default() },
            stderr: Capture::default(),
            duration: Duration::ZERO,
        }
    }

    const OPEN: Question = Question::Open { cap: 100, max_entries: 3 };

    #[test]
    fn a_question_travels_inside_the_exec_request() {
        for path in [&b"/var/log/some/quite/long/path with 'quotes' and \xff/a.log"[..], b"~root/x"] {
            let request = OPEN.request(path).expect("a path");
            assert!(Prepared::new(&request.script).expect("a script").data.is_none(), "data costs a round trip");
        }
    }

    #[test]
    fn a_path_is_never_shell_text() {
        let script = OPEN.request(b"/a'\"$(reboot)`reboot`\n;reboot").expect("a path").script;
        let head = script.split(|byte| *byte == b';').nth(1).expect("the path");
        assert!(head.starts_with(b"p=$(printf %b \"/a\\0047\\0042\\0044\\0050reboot"));
        assert!(!script.contains(&b'\n'));
        assert!(OPEN.request(b"~$(reboot)/x").is_err());
        assert!(OPEN.request(b"~-/x").is_err());
        assert!(OPEN.request(b"/a\0b").is_err());
    }

    #[test]
    fn names_with_newlines_and_other_bytes_are_told_apart() {
        let listing = b"D 41ed 1 0 0 1 1\n81a4 12 0 0 1 1 ./a\nb 41ed 1/\n41ed 0 1 2 3 4 ./\xff ./\n";
        let Ok((Opened::Directory { entries, truncated, .. }, None)) = OPEN.answer(b"/d", &outcome(listing)) else {
            panic!("not a directory");
        };
        let names: Vec<_> = entries.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(names, [&b"a\nb 41ed 1"[..], b"\xff ."]);
        assert!(!truncated);
    }

    /// Runs a question's script as the host would; `shell` begins the command line.
    fn asked(shell: &[&str], path: &[u8], question: Question, tools: Option<&std::path::Path>) -> ExecOutcome {
        use std::os::unix::ffi::OsStringExt as _;
        let script = question.request(path).expect("a path").script;
        let (program, arguments) = shell.split_first().expect("a program");
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg("-c").arg(std::ffi::OsString::from_vec(script));
        if let Some(tools) = tools {
            command.env("PATH", tools);
        }
        let output = command.output().unwrap_or_else(|error| panic!("{program} is missing: {error}"));
        let capture = |data: Vec<u8>| Capture { data: data.into(), ..Capture::default() };
        ExecOutcome { stdout: capture(output.stdout), stderr: capture(output.stderr), ..outcome(b"") }
    }

    #[test]
    fn every_shell_and_busybox_answer_alike() {
        use std::os::unix::ffi::OsStrExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let tools = tempfile::tempdir().expect("a directory");
        for tool in ["stat", "find", "head", "tail"] {
            std::os::unix::fs::symlink("/bin/busybox", tools.path().join(tool)).expect("a link");
        }
        let file = home.path().join("-a \\c\nb'\"$x");
        std::fs::write(&file, [b"0123456789".as_slice(), &[0, 255]].concat()).expect("written");
        let bytes = file.as_os_str().as_bytes();
        let read = Question::Read { offset: 9, length: 2 };
        for (shell, tools) in [
            (&["dash"][..], None),
            (&["bash"], None),
            (&["busybox", "sh"], None),
            (&["dash"], Some(tools.path())),
            (&["/bin/busybox", "sh"], Some(tools.path())),
        ] {
            // Under a PATH of its own, a program is named by its own path.
            let shell: Vec<_> =
                shell.iter().map(|word| if tools.is_some() && *word == "dash" { "/bin/dash" } else { word }).collect();
            let place = |path: &[u8], question: Question| question.answer(path, &asked(&shell, path, question, tools));
            let ask = |path: &[u8], question: Question| place(path, question).map(|(opened, _)| opened);
            let Ok(Opened::File { content, attributes }) = ask(bytes, OPEN) else { panic!("{shell:?}: not a file") };
            assert_eq!((&*content.data, content.total), (&b"0123456789\0\xff"[..], Some(12)), "{shell:?}");
            assert_eq!((attributes.size, attributes.kind()), (Some(12), crate::FileKind::File), "{shell:?}");
            let Ok(Opened::File { content, .. }) = ask(bytes, read) else { panic!("{shell:?}: not a file") };
            assert_eq!((&*content.data, content.truncated), (&b"9\0"[..], true), "{shell:?}");
            let Ok(Opened::Directory { entries, .. }) = ask(home.path().as_os_str().as_bytes(), OPEN) else {
                panic!("{shell:?}: not a directory");
            };
            assert_eq!(entries.len(), 1, "{shell:?}");
            assert_eq!(entries.first().map(|entry| &entry.name[..]), Some(&b"-a \\c\nb'\"$x"[..]), "{shell:?}");
            let link = home.path().with_extension("link");
            let _absent = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(&file, &link).expect("a link");
            let (_, told) = place(link.as_os_str().as_bytes(), OPEN).expect("a file behind a link");
            std::fs::remove_file(&link).expect("it is there");
            // What echo would take for something else is told as `?`; without `readlink` nothing is told.
            let truly = bytes.iter().map(|byte| if b"\n\\".contains(byte) { b'?' } else { *byte }).collect();
            assert_eq!(told, tools.is_none().then_some(TruePath { path: truly, is_proven: false }), "{shell:?}");
            let missing = [bytes, b"\n\\c x"].concat();
            assert_eq!(ask(&missing, OPEN).expect_err("missing").kind(), ErrorKind::NotFound, "{shell:?}");
            let below = [bytes, b"/x"].concat();
            assert_eq!(ask(&below, OPEN).expect_err("no directory").kind(), ErrorKind::NotFound, "{shell:?}");
            assert!(matches!(ask(b"/dev/null", OPEN), Ok(Opened::Other { .. })), "{shell:?}");
            assert!(matches!(ask(b"~root/..", Question::Stat), Ok(Opened::Other { .. })), "{shell:?}");
            let stranger = ask(b"~no-such-account/x", OPEN).expect_err("no account");
            assert_eq!(stranger.kind(), ErrorKind::NotFound, "{shell:?}");
        }
    }

    #[test]
    fn a_listing_that_makes_no_sense_is_refused() {
        for listing in [&b"x"[..], b"1 2 ./a/\n", b"81a4 1 0 0 1 1 ./a", b"81a4 1 0 0 1 1 ./../\n"] {
            let whole = [b"D 41ed 1 0 0 1 1\n", listing].concat();
            assert!(OPEN.answer(b"/d", &outcome(&whole)).is_err(), "{listing:?}");
        }
        for text in [&b""[..], b"F", b"\n", b"F x\n", b"X 41ed 1 0 0 1 1\n", b"F 81a4 1 0 0 1 1 1\n"] {
            assert!(OPEN.answer(b"/f", &outcome(text)).is_err(), "{text:?}");
        }
    }
}
