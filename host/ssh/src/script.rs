//! Looking at files where the host offers no SFTP: one fixed script for `/bin/sh`.
//!
//! Owns the script, what goes into it and how its output is read. **The path reaches the script as data** (octal escapes
//! for `printf %b`), never as shell text. One line says what the path names, and where that truly lies comes behind it; a file's
//! bytes follow raw, and so do a directory's entries, each as seven numbers and its name, ended by a slash and a newline: no name holds a slash, so any
//! name can be told from the next one. Needs `stat` as GNU, busybox or the BSDs have it, and `head`, `tail`, `find`.
//! Does not know how a command is run.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use scout_machine::command::shell::encoded;
use scout_machine::path::{DELETED, deleted, not_a_file, shown, swapped, untold};
use scout_machine::{
    Attributes, Capture, CommandLimits, DirEntry, Ending, ErrorKind, ExecOutcome, ExecRequest, FileKind, HostError,
    Opened, RemotePath, TruePath,
};

/// `p`: the path, `o`: what is asked (stat, read, open), `f`: the first byte counted from 1, `c`: how many bytes, `n`: how
/// many entries. `-r` is asked first, because a failing redirection may end the shell; the first `stat` is there for its words.
///
/// **Nothing is used by a name that could lead elsewhere by now**: the shell goes into the directory (`d`) and asks where it is, and
/// takes the name (`b`) there if it is no link; a link is resolved once, before. A file is opened as standard input, and what is
/// open is asked where it lies and what it is; a directory is listed from within. Without /proc that a name in a directory
/// is no link is asked before and after its opening.
const SCRIPT: &str = concat!(
    "LC_ALL=C;export LC_ALL;",
    "case $p in /*);;*)p=./$p;;esac;",
    "k=-c;F=\"%f %s %u %g %X %Y %h\";N=%n;",
    "stat -c %f / >/dev/null 2>&1||{ k=-f;F=\"%Xp %z %u %g %a %m %l\";N=%N;stat -f %z / >/dev/null 2>&1||{ echo U;exit 0;};};",
    "e(){ printf \"E %s\\n\" \"$1\";exit 0;};l(){ echo L;exit 0;};r=\"denied: Permission denied\";",
    // Where the shell is, and whether the kernel itself says so. The dot keeps newlines at the end.
    "w(){ y=P;t=$(exec 2>/dev/null;readlink /proc/self/cwd;echo .);",
    "case $t in /*);;*)y=N;t=$(exec 2>/dev/null;env pwd -P||pwd -P;echo .);;esac;t=${t%??};};",
    "h(){ printf \"%s\\n%s\\000%s\\000\" \"$1$y $a\" \"$t\" \"$b\";};",
    "a=$(stat -L $k \"$F\" \"$p\" 2>&1)||e \"$a\";",
    "i=0;while :;do b=${p##*/};d=${p%/*}/;case $b in \"\"|.|..)d=$p;b=.;;esac;",
    "cd -P -- \"$d\" 2>/dev/null||e \"$r\";",
    "[ -h \"./$b\" ]||break;[ $i = 0 ]||l;i=1;",
    "p=$(exec 2>/dev/null;readlink -f \"./$b\"||realpath \"./$b\";echo .);p=${p%??};",
    "case $p in /*);;*)l;;esac;done;",
    "if [ -d \"./$b\" ]&&[ $o = o ];then cd -P -- \"./$b\" 2>/dev/null&&[ -r . ]||e \"$r\";b=.;",
    "a=$(stat $k \"$F\" . 2>&1)||e \"$a\";w;h D;",
    "find . ! -name . -prune -exec stat $k \"$F $N/\" {} + 2>/dev/null|head -n $n;exit 0;fi;",
    "[ $o = r ]&&[ -d \"./$b\" ]&&[ ! -r \"./$b\" ]&&e \"$r\";",
    "if [ $o = s ]||[ ! -f \"./$b\" ];then w;a=$(stat $k \"$F\" \"./$b\" 2>&1)||e \"$a\";h O;exit 0;fi;",
    "[ -r \"./$b\" ]||e \"$r\";",
    "{ t=$(exec 2>/dev/null;readlink /proc/self/fd/0;echo .);case $t in ",
    "/*)t=${t%??};y=P;b=.;a=$(stat -L $k \"$F\" /proc/self/fd/0 2>&1)||e \"$a\";;",
    "*)w;y=N;a=$(stat $k \"$F\" \"./$b\" 2>&1)||e \"$a\";[ ! -h \"./$b\" ]||l;;esac;h F;",
    "if [ $f = 1 ];then head -c $c;else tail -c +$f|head -c $c;fi;}<\"./$b\"",
);

/// What the answer's first line may take: seven numbers, or an error with a path in it.
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
    /// [`ErrorKind::Invalid`] for what is no name of an account behind `~`.
    pub(crate) fn request(self, path: &RemotePath) -> Result<ExecRequest, HostError> {
        let mut script = match path.other_home() {
            None => format!("h=;p=$(printf %b \"{}.\");", encoded(path.plain())),
            Some((home, rest)) => {
                let name = account(home).ok_or_else(|| {
                    HostError::new(ErrorKind::Invalid, format!("not the name of an account: `{}`", shown(home)))
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
            timeout: if path.is_guarded() { STALL } else { NO_LIMIT },
            // What it does is bounded by what it is asked for.
            limits: CommandLimits::NONE,
            only_reads: true,
        })
    }

    /// What the command's outcome says. Only a question that opens gets content.
    ///
    /// # Errors
    /// As over SFTP; Unsupported if the host has no `stat`.
    pub(crate) fn answer(self, asked: &RemotePath, outcome: &ExecOutcome) -> Result<(Opened, TruePath), HostError> {
        // As SFTP names it: what is below the home directory without `~`.
        let path = asked.plain();
        let remote = |what: &str| HostError::new(ErrorKind::Remote, format!("{what}: `{}`", shown(path)));
        match &outcome.ending {
            Ending::Exited(_) | Ending::OutputLimit(_) => {}
            Ending::TimedOut(_) if asked.is_guarded() => return Err(not_a_file(path)),
            Ending::TimedOut(_) => {
                let message = format!("the host did not answer before the deadline: `{}`", shown(path));
                return Err(HostError::new(ErrorKind::Timeout, message));
            }
            Ending::Cancelled(_) => return Err(HostError::new(ErrorKind::Cancelled, "the request was cancelled")),
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
        if *kind == b'L' {
            return Err(untold("this host", path));
        }
        let attributes =
            || line.split_first().and_then(|(_, numbers)| attributes(numbers.trim_ascii())).ok_or_else(failed);
        let mut place = || place(line, &mut rest, path, failed);
        match (kind, self) {
            (b'U', _) => Err(HostError::new(
                ErrorKind::Unsupported,
                "the host offers no SFTP, and its `stat` command is missing or tells too little",
            )
            .with_hint("switch on `Subsystem sftp` in its sshd_config")),
            (b'A', _) => {
                let home = asked.other_home().map_or(path, |(home, _)| home);
                let message = format!("no such account, or it has no home: `{}`", shown(home));
                Err(HostError::new(ErrorKind::NotFound, message))
            }
            (b'O', _) => {
                let place = place()?;
                match attributes()? {
                    attributes if attributes.kind() == FileKind::Symlink => Err(swapped(path)),
                    attributes => Ok((Opened::Other { attributes }, place)),
                }
            }
            (b'F', Self::Open { .. } | Self::Read { .. }) => {
                let (attributes, place) = (attributes()?, place()?);
                if attributes.kind() != FileKind::File {
                    return Err(swapped(path));
                }
                let (offset, cap) = match self {
                    Self::Read { offset, length } => (offset, length),
                    Self::Open { cap, .. } => (0, cap),
                    Self::Stat => (0, 0),
                };
                Ok((content(attributes, rest, offset, cap, failed)?, place))
            }
            (b'D', Self::Open { max_entries, .. }) => {
                let (attributes, place) = (attributes()?, place()?);
                let is_cut = matches!(outcome.ending, Ending::OutputLimit(_));
                let (entries, truncated) = entries(rest, max_entries, is_cut).ok_or_else(failed)?;
                Ok((Opened::Directory { attributes, entries, truncated }, place))
            }
            _ => Err(failed()),
        }
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
fn refusal(words: &[u8], path: &[u8]) -> HostError {
    let shown_path = shown(path);
    let ends = |with: &[&str]| with.iter().any(|with| words.ends_with(with.as_bytes()));
    // "Symbolic link loop" and "Too many levels of symbolic links" are ELOOP in musl and elsewhere.
    let missing =
        ["No such file or directory", "Not a directory", "Too many levels of symbolic links", "Symbolic link loop"];
    if ends(&missing) {
        HostError::new(ErrorKind::NotFound, format!("no such file or directory: `{shown_path}`"))
    } else if ends(&["Permission denied", "Operation not permitted"]) {
        HostError::new(ErrorKind::Permission, format!("permission denied: `{shown_path}`"))
    } else {
        HostError::new(ErrorKind::Remote, format!("the host says `{}`: `{shown_path}`", shown(words)))
    }
}

/// Mode (hexadecimal), size, owner, group, times, names.
fn attributes(line: &[u8]) -> Option<Attributes> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let permissions = u32::from_str_radix(words.next()?, 16).ok()?;
    let (size, uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // Times before 1970 and after 2106 have no place in SFTP's answer either.
    let mut time = || Some(words.next()?.parse::<i64>().ok()?.try_into().ok());
    let (atime, mtime): (Option<u32>, Option<u32>) = (time()?, time()?);
    let links = Some(words.next()?.parse().ok()?);
    let (size, uid, gid, permissions) = (Some(size), Some(uid), Some(gid), Some(permissions));
    let attributes = Attributes { size, uid, gid, permissions, links, atime, mtime, found_to_be: None };
    words.next().is_none().then_some(attributes)
}

/// A directory and a name in it, each ended by a NUL; `.` is the directory itself. Takes them off what follows the first line.
fn place(line: &[u8], rest: &mut Bytes, path: &[u8], failed: impl Fn() -> HostError) -> Result<TruePath, HostError> {
    let mut take = || {
        let end = rest.iter().take(HEAD).position(|byte| *byte == 0)?;
        let taken = rest.split_to(end);
        rest.advance(1);
        Some(taken)
    };
    let (Some(directory), Some(name)) = (take(), take()) else { return Err(failed()) };
    if !directory.starts_with(b"/") {
        return Err(untold("this host", path));
    }
    let is_proven = line.first() == Some(&b'P');
    if is_proven && directory.ends_with(DELETED) {
        return Err(deleted(path));
    }
    let slash: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    let path = if name == b"."[..] { directory.to_vec() } else { [&directory, slash, &name].concat() };
    Ok(TruePath { path, is_proven })
}

fn content(
    attributes: Attributes,
    mut data: Bytes,
    offset: u64,
    cap: usize,
    failed: impl Fn() -> HostError,
) -> Result<Opened, HostError> {
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
    Ok(Opened::File { attributes, content: Capture { data, truncated, total, modified: attributes.mtime } })
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

/// One entry, `81a4 12 0 0 1 1 1 ./name/` and a newline, and its length.
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
    use scout_machine::command::shell::{Prepared, Way};

    fn remote(path: impl AsRef<[u8]>) -> RemotePath {
        RemotePath::parse(path).expect("a path")
    }

    fn outcome(stdout: &[u8]) -> ExecOutcome {
        ExecOutcome {
            ending: Ending::Exited(0),
            stdout: Capture { data: Bytes::copy_from_slice(stdout), ..Capture::default() },
            stderr: Capture::default(),
            duration: Duration::ZERO,
        }
    }

    const OPEN: Question = Question::Open { cap: 100, max_entries: 50 };

    #[test]
    fn what_may_be_a_device_has_little_time_however_it_is_spelled() {
        let limit = |path| OPEN.request(&remote(path)).expect("a path").timeout;
        for path in ["/dev/tty", "//dev/./tty", "../dev/tty", "~/../dev/tty", "~/a/../../dev/tty", "~root/../dev/tty"] {
            assert_eq!(limit(path), STALL, "{path}");
        }
        for path in ["/srv/dev/tty", "dev/tty", "~/dev/tty", "~root/dev/tty", "~/a/../dev/tty"] {
            assert_eq!(limit(path), NO_LIMIT, "{path}");
        }
    }

    #[test]
    fn a_question_travels_inside_the_exec_request() {
        for path in [&b"/var/log/some/quite/long/path with 'quotes' and \xff/a.log"[..], b"~root/x"] {
            let request = OPEN.request(&remote(path)).expect("a path");
            assert!(
                Prepared::new(&request.script, &request.limits, Way::Argument).expect("a script").data.is_none(),
                "data costs a round trip"
            );
        }
    }

    #[test]
    fn a_path_is_never_shell_text() {
        let script = OPEN.request(&remote(b"/a'\"$(reboot)`reboot`\n;reboot")).expect("a path").script;
        let head = script.split(|byte| *byte == b';').nth(1).expect("the path");
        assert!(head.starts_with(b"p=$(printf %b \"/a\\0047\\0042\\0044\\0050reboot"));
        assert!(!script.contains(&b'\n'));
        assert!(OPEN.request(&remote(b"~$(reboot)/x")).is_err());
        assert!(OPEN.request(&remote(b"~-/x")).is_err());
    }

    #[test]
    fn names_with_newlines_and_other_bytes_are_told_apart() {
        let listing = b"DP 41ed 1 0 0 1 1 1\n/d\0.\x0081a4 12 0 0 1 1 1 ./a\nb 41ed 1/\n41ed 0 1 2 3 4 5 ./\xff ./\n";
        let Ok((Opened::Directory { entries, truncated, .. }, _)) = OPEN.answer(&remote(b"/d"), &outcome(listing))
        else {
            panic!("not a directory");
        };
        let names: Vec<_> = entries.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(names, [&b"a\nb 41ed 1"[..], b"\xff ."]);
        assert!(!truncated);
    }

    /// A host's shell, as the beginning of a command line, its PATH, and whether it has /proc.
    #[derive(Clone, Debug)]
    struct Host<'a> {
        shell: &'a [&'a str],
        tools: Option<&'a std::path::Path>,
        has_proc: bool,
    }

    impl Host<'_> {
        /// Runs a question's script as the host would.
        fn ask(&self, path: &[u8], question: Question) -> Result<(Opened, TruePath), HostError> {
            use std::os::unix::ffi::OsStringExt as _;
            let path = remote(path);
            let script = String::from_utf8(question.request(&path).expect("a path").script).expect("text");
            let script = if self.has_proc { script } else { script.replace("/proc/self", "/proc/absent") };
            let (program, arguments) = self.shell.split_first().expect("a program");
            let mut command = std::process::Command::new(program);
            command.args(arguments).arg("-c").arg(std::ffi::OsString::from_vec(script.into_bytes()));
            if let Some(tools) = self.tools {
                command.env("PATH", tools);
            }
            let output = command.output().unwrap_or_else(|error| panic!("{program} is missing: {error}"));
            let capture = |data: Vec<u8>| Capture { data: data.into(), ..Capture::default() };
            let outcome =
                ExecOutcome { stdout: capture(output.stdout), stderr: capture(output.stderr), ..outcome(b"") };
            question.answer(&path, &outcome)
        }
    }

    /// The busybox that is first in `PATH`.
    fn busybox() -> String {
        let path = std::env::var_os("PATH").expect("a PATH");
        let found = std::env::split_paths(&path).map(|directory| directory.join("busybox")).find(|file| file.is_file());
        found.expect("busybox is missing: apt-get install busybox").display().to_string()
    }

    /// A directory of links to it.
    fn links(tools: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for tool in tools {
            std::os::unix::fs::symlink(busybox(), directory.path().join(tool)).expect("a link");
        }
        directory
    }

    #[test]
    fn every_shell_and_busybox_answer_alike() {
        use std::os::unix::ffi::OsStrExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let dir = std::fs::canonicalize(home.path()).expect("it is there");
        let (all, few) =
            (links(&["stat", "find", "head", "tail", "readlink"]), links(&["stat", "find", "head", "tail"]));
        let (all, few) = (Some(all.path()), Some(few.path()));
        let file = dir.join("-a \\c\nb'\"$x\n");
        std::fs::write(&file, [b"0123456789".as_slice(), &[0, 255]].concat()).expect("written");
        let bytes = file.as_os_str().as_bytes();
        let link = dir.join("link\n");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        std::os::unix::fs::symlink("absent", dir.join("dangling")).expect("a link");
        std::fs::create_dir(dir.join("d")).expect("made");
        std::fs::hard_link(&file, dir.join("d/other")).expect("a second name");
        std::os::unix::fs::symlink(&dir, dir.join("d/up")).expect("a link");
        let read = Question::Read { offset: 9, length: 2 };
        let busybox = busybox();
        for (shell, tools) in [
            (&["/bin/dash"][..], None),
            (&["/bin/bash"], None),
            (&[&busybox, "sh"], None),
            (&["/bin/dash"], all),
            (&[&busybox, "sh"], all),
            (&["/bin/dash"], few),
        ] {
            for has_proc in [true, false] {
                let host = Host { shell, tools, has_proc };
                let ask = |path: &[u8], question: Question| host.ask(path, question).map(|(opened, _)| opened);
                let Ok(Opened::File { content, attributes }) = ask(bytes, OPEN) else { panic!("{host:?}: not a file") };
                assert_eq!((&*content.data, content.total), (&b"0123456789\0\xff"[..], Some(12)), "{host:?}");
                assert_eq!((attributes.size, attributes.kind()), (Some(12), FileKind::File), "{host:?}");
                assert_eq!(attributes.links, Some(2), "{host:?}");
                let Ok(Opened::File { content, .. }) = ask(bytes, read) else { panic!("{host:?}: not a file") };
                assert_eq!((&*content.data, content.truncated), (&b"9\0"[..], true), "{host:?}");
                let Ok(Opened::Directory { entries, .. }) = ask(dir.as_os_str().as_bytes(), OPEN) else {
                    panic!("{host:?}: not a directory");
                };
                assert_eq!(entries.len(), 4, "{host:?}");
                assert!(entries.iter().any(|entry| entry.name == b"-a \\c\nb'\"$x\n"), "{host:?}");
                let tells = has_proc && tools != few;
                for (path, question, place, is_proven) in [
                    (bytes, OPEN, bytes, tells),
                    (bytes, read, bytes, tells),
                    (bytes, Question::Stat, bytes, tells),
                    (&[dir.as_os_str().as_bytes(), b"/d/up/d/.."].concat(), OPEN, dir.as_os_str().as_bytes(), tells),
                    (
                        &[dir.as_os_str().as_bytes(), b"/d/up/d/up/d"].concat(),
                        Question::Stat,
                        dir.join("d").as_os_str().as_bytes(),
                        tells,
                    ),
                    (b"/", OPEN, b"/", tells),
                    (b"/dev", Question::Stat, b"/dev", tells),
                ] {
                    let (_, told) = host.ask(path, question).unwrap_or_else(|error| panic!("{host:?}: {error}"));
                    assert_eq!(told, TruePath { path: place.to_vec(), is_proven }, "{host:?}");
                }
                for question in [OPEN, read, Question::Stat] {
                    let asked = host.ask(link.as_os_str().as_bytes(), question);
                    match asked {
                        Ok((_, told)) => {
                            assert_eq!(told, TruePath { path: bytes.to_vec(), is_proven: tells }, "{host:?}")
                        }
                        // Without `readlink` and `realpath` nobody says where a link leads.
                        Err(error) => {
                            assert!(tools == few && error.kind() == ErrorKind::Unsupported, "{host:?}: {error}")
                        }
                    }
                }
                for missing in [
                    &[bytes, b"\n\\c x"].concat()[..],
                    &[bytes, b"/x"].concat(),
                    dir.join("dangling").as_os_str().as_bytes(),
                ] {
                    assert_eq!(ask(missing, OPEN).expect_err("missing").kind(), ErrorKind::NotFound, "{host:?}");
                }
                assert!(matches!(ask(b"/dev/null", OPEN), Ok(Opened::Other { .. })), "{host:?}");
                assert!(matches!(ask(b"~root/..", Question::Stat), Ok(Opened::Other { .. })), "{host:?}");
                let stranger = ask(b"~no-such-account/x", OPEN).expect_err("no account");
                assert_eq!(stranger.kind(), ErrorKind::NotFound, "{host:?}");
            }
        }
    }

    #[test]
    fn a_listing_that_makes_no_sense_is_refused() {
        for listing in [&b"x"[..], b"1 2 ./a/\n", b"81a4 1 0 0 1 1 1 ./a", b"81a4 1 0 0 1 1 1 ./../\n"] {
            let whole = [b"DP 41ed 1 0 0 1 1 1\n/d\0.\0", listing].concat();
            assert!(OPEN.answer(&remote(b"/d"), &outcome(&whole)).is_err(), "{listing:?}");
        }
        for text in [
            &b""[..],
            b"FP",
            b"\n",
            b"FP x\n/f\0.\0",
            b"XP 41ed 1 0 0 1 1 1\n/f\0.\0",
            b"FP 81a4 1 0 0 1 1 1 1\n/f\0.\0",
        ] {
            assert!(OPEN.answer(&remote(b"/f"), &outcome(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_lies_nowhere_or_was_swapped_is_refused() {
        assert!(OPEN.answer(&remote(b"/f"), &outcome(b"FP 81a4 0 0 0 1 1 1\n/f\0.\0")).is_ok());
        for text in [
            // No place, half a place, and one that is none.
            &b"FP 81a4 0 0 0 1 1 1\n"[..],
            b"FP 81a4 0 0 0 1 1 1\n/f\0",
            b"FN 81a4 0 0 0 1 1 1\n.\0f\0",
            // Removed by now; no file by now; a link by now.
            b"FP 81a4 0 0 0 1 1 1\n/f (deleted)\0.\0",
            b"FP 21b6 0 0 0 1 1 1\n/dev/zero\0.\0",
            b"OP a1ff 0 0 0 1 1 1\n/\0f\0",
            b"L\n",
        ] {
            assert!(OPEN.answer(&remote(b"/f"), &outcome(text)).is_err(), "{text:?}");
        }
    }
}
