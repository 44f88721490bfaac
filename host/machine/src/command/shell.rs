//! How a command reaches `/bin/sh` through any login shell, and how its output is told from an rc file's.
//!
//! Owns the fixed literal, the encoding behind it and the marker. **The exec string is the same literal for every
//! command, followed by nothing but characters that every shell reads alike inside single quotes.** Does not know SSH.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};

use crate::text;
use crate::{Capture, CommandLimits, ErrorKind, HostError};

/// Makes `/bin/sh` a shell that nobody has changed by what is exported: with `TMOUT` (hardening guides) a `read` of the lifeline
/// ends in bash and ksh93, which keeps what it has imported until it is 0; bash takes the options of `SHELLOPTS` and `BASHOPTS`, and
/// functions under the names of what is used here. What it starts inherits none of these.
macro_rules! neutral {
    () => {
        concat!(
            "TMOUT=0; unset TMOUT; case $BASH_VERSION in ?*) { unset -f command read echo kill sleep printf [ cat wait; ",
            "set +aefuvxCkmtP +o pipefail; export -n SHELLOPTS BASHOPTS; ",
            "shopt -u failglob nullglob nocasematch nocaseglob dotglob globstar extglob lastpipe xpg_echo execfail; ",
            "} >/dev/null 2>&1;; esac; ",
        )
    };
}
pub(super) use neutral;

/// Evaluates `c`, once `m` was said on both streams. A process in the background watches the input, the lifeline: when the channel goes
/// away it ends the process group. `k` is 0 if the shell leads that, else its pid: servers such as Dropbear run commands in a group of
/// their own, `g`, and then those of its processes are ended that have this command in their environment, or are forks of the shell,
/// which have the marker among its arguments; but not the watcher, `w`. With a `w` in `h` the
/// process is no child of the shell, for the command may `wait` for its own: it is left behind by a part of a pipeline, for ksh93 forks
/// no other subshell. Its streams are redirected within: mksh would keep a copy of them. A line on the input asks it to look whether the
/// command has ended, and to end then.
///
/// What runs speaks one language, whatever an rc file says, in UTF-8 where the host has it and else as `C`: a locale that is missing
/// sets none, and what a shell says of that stands before the marker. `LANGUAGE` is emptied because gettext heeds it under every locale
/// but `C` (glibc 2.36: `LC_ALL=C.UTF-8 LANGUAGE=de ls /nosuch` complains in German).
macro_rules! body {
    () => {
        concat!(
            r#"k=0; g=0; export SCOUT_COMMAND=/$$/ LC_ALL=C.UTF-8 LANGUAGE=; "#,
            r#"[ -r /proc/self/stat ] && read -r g g g g g x </proc/self/stat && [ "$g" != $$ ] && k=$$; "#,
            r#"scout_kill() { s=$1; { [ $k = 0 ] || kill -0 $$; } && kill $s $k; [ $k = 0 ] || "#,
            r#"for f in $(grep -lsF -e SCOUT_COMMAND=/$$/ -e $m /proc/[0-9]*/environ /proc/[0-9]*/cmdline); do f=${f%/*}; "#,
            r#"IFS= read -r x <$f/stat; set -- ${x##*")" }; [ "$3" = $g ] && [ $f != /proc/$w ] && kill $s ${f#/proc/}; done; }; "#,
            r#"scout_watch() { unset SCOUT_COMMAND; [ $k = 0 ] || read -r w x </proc/self/stat; exec <&3 3<&- >/dev/null 2>&1; "#,
            r#"trap "" HUP INT TERM; while read -r x; do kill -0 $$ || break; done; "#,
            r#"if kill -0 $$; then scout_kill -TERM; sleep 0.3; fi; scout_kill -KILL; }; "#,
            r#"exec 3<&0 </dev/null; case $h in *w) { scout_watch & } | :;; *) scout_watch & esac; "#,
            r#"exec 3<&-; set --; echo $m $k $$ $g && echo $m >&2 && eval "$c""#,
        )
    };
}

/// Takes the command from its arguments: the text, the marker, the lengths of text and canary, the canary, and how the text is the
/// command: as it is (`p`), encoded for `printf %b` at the cost of a fork (`e`), or not at all, for the command is the first line of the
/// input (`d`); with a `w` behind it if it may wait for its children. **Nothing is evaluated if text or canary are not what was sent**: there are login shells that expand what is between
/// single quotes.
///
/// Read alike by bash, dash, zsh, fish, tcsh, busybox, ksh93, mksh, yash, posh, nushell and elvish as login shells; hence no `!` before
/// a letter and no newline.
const LITERAL: &str = concat!(
    "exec /bin/sh -c '",
    "case ${#1}-${#4} in $3) ;; *) exit 255;; esac; ",
    neutral!(),
    r#"n=${IFS#??}; m=$2; h=$5; case $h in d*) IFS= read -r c || exit 255;; e*) c=$(printf %b "$1");; *) c=$1;; esac; "#,
    body!(),
    "'",
);

/// What a login shell that expands what is between single quotes makes something else of.
pub(super) const CANARY: &str = r"$PATH$(:)`:`\x41*~";

/// The exec request of a command that follows as data, for login shells that hand on something else than they are given (xonsh, sash).
/// The marker stands behind it, where what is forked of the shell has it too.
const AS_DATA: &str = "exec /bin/sh -s";

/// Behind the text of a command that follows as data: the shell reads it from the input that it then watches, so all of it is one line.
const DATA_BODY: &str = concat!(neutral!(), body!(), "; exit\n");

/// A command up to this many bytes, encoded, travels inside the exec request. OpenSSH grants no window before the
/// request, so data behind it costs a round trip more; Dropbear takes 9000 bytes, everyone else far more. The literal, the
/// marker and what sets the limits are the rest.
const MAX_INLINE: usize = 7000;
/// No command is longer. The shell reads its line byte by byte.
const MAX_SCRIPT: usize = 256 * 1024;
/// What an rc file may print before the marker.
const MAX_NOISE: u64 = 1024 * 1024;
/// What of the noise is kept for an error message.
const NOISE_KEPT: usize = 256;
/// The marker's line is never longer.
pub(super) const MAX_HEAD: usize = 128;

/// A command ready to be sent.
#[derive(Clone)]
pub struct Prepared {
    /// For the exec request.
    pub exec: Vec<u8>,
    /// For the channel, behind it.
    pub data: Option<Bytes>,
    /// What both streams begin with.
    pub marker: String,
    /// Environment variables that the server is asked to set.
    pub environment: Vec<(String, String)>,
    /// How it reaches the shell.
    pub way: Way,
}

/// How a command reaches the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As an argument of the exec request, if it fits.
    Argument,
    /// As data behind the request, which the login shell never sees.
    Data,
}

impl Prepared {
    /// Renders a script for `/bin/sh`, which sets these bounds before it evaluates it: what watches over the command is not held to them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a NUL or a script that is too long.
    pub fn new(script: &[u8], limits: &CommandLimits, way: Way) -> Result<Self, HostError> {
        no_nul(script)?;
        if script.len() > MAX_SCRIPT {
            let message = format!("the command is {} bytes long, more than {MAX_SCRIPT}", script.len());
            return Err(HostError::new(ErrorKind::Invalid, message));
        }
        let waits = if waits(script) { "w" } else { "" };
        let limits = limits.script();
        let marker = random_marker()?;
        let whole = [limits.as_bytes(), script].concat();
        let prepared = |exec, data: Option<Vec<u8>>, marker| {
            Ok(Self { exec, data: data.map(Bytes::from), marker, environment: Vec::new(), way })
        };
        if way == Way::Data {
            let mut line = format!("m={marker}; h={waits}; n=${{IFS#??}}; c=").into_bytes();
            line.extend(quoted(&whole, NEWLINE));
            line.extend_from_slice(b"; ");
            line.extend_from_slice(DATA_BODY.as_bytes());
            return prepared(format!("{AS_DATA} {marker}").into_bytes(), Some(line), marker);
        }
        if script.len() <= MAX_INLINE && script.iter().all(|byte| is_plain(*byte)) {
            return prepared(request(&whole, &marker, "p", waits), None, marker);
        }
        let argument = encoded(&whole);
        // Limits come on top: no command takes a round trip more for them.
        if argument.len() <= MAX_INLINE + encoded(limits.as_bytes()).len() {
            return prepared(request(argument.as_bytes(), &marker, "e", waits), None, marker);
        }
        let mut line = b"eval ".to_vec();
        line.extend(quoted(&whole, NEWLINE));
        line.push(b'\n');
        prepared(request(b"", &marker, "d", waits), Some(line), marker)
    }
}

/// No shell is given one.
pub(super) fn no_nul(script: &[u8]) -> Result<(), HostError> {
    if script.contains(&0) {
        return Err(HostError::new(ErrorKind::Invalid, "the command holds a NUL byte"));
    }
    Ok(())
}

/// The exec request with this text.
fn request(text: &[u8], marker: &str, how: &str, waits: &str) -> Vec<u8> {
    let mut exec = [LITERAL.as_bytes(), b" /bin/sh '", text].concat();
    exec.extend_from_slice(format!("' {marker} {}-{} '{CANARY}' {how}{waits}", text.len(), CANARY.len()).as_bytes());
    exec
}

pub(super) fn random_marker() -> Result<String, HostError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| HostError::new(ErrorKind::Exhausted, format!("no random numbers are available: {error}")))?;
    Ok(bytes.iter().fold(String::from("scout-"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// A newline inside single quotes, where one line is all there is.
pub(super) const NEWLINE: &[u8] = br#"'"$n"'"#;

/// A word in single quotes, with `newline` for each newline in it.
pub(super) fn quoted(text: &[u8], newline: &[u8]) -> Vec<u8> {
    let mut word = b"'".to_vec();
    for byte in text {
        match byte {
            b'\n' => word.extend_from_slice(newline),
            b'\'' => word.extend_from_slice(br"'\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    word
}

/// Whether a script may `wait` for its children. If the lifeline's watcher were one of them, it would not end before it.
fn waits(script: &[u8]) -> bool {
    script.windows(4).any(|word| word == b"wait")
}

/// Whether every login shell takes this byte for itself inside single quotes: not so a quote, a newline (tcsh), a
/// backslash (fish), `!` (tcsh) and what is not ASCII.
pub(super) fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\' | b'!')
}

/// For `printf %b`: every byte that any login shell could take for something is an octal escape.
pub fn encoded(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len() * 2);
    for byte in line {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(*byte)),
            b' ' | b'_' | b'.' | b'/' | b',' | b':' | b'=' | b'@' | b'+' | b'-' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\0{other:03o}");
            }
        }
    }
    text
}

/// The first bytes of a stream up to a cap, and how many came.
#[derive(Debug)]
pub(super) struct Kept {
    data: BytesMut,
    cap: usize,
    total: u64,
}

impl Kept {
    /// Nothing yet, of which `cap` bytes will be kept.
    pub(super) fn new(cap: usize) -> Self {
        Self { data: BytesMut::new(), cap, total: 0 }
    }

    /// Takes what arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.cap.saturating_sub(self.data.len());
        self.data.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Whether more came than may.
    pub(super) fn is_over(&self) -> bool {
        self.total > self.cap as u64
    }

    /// Whether nothing came.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What was kept, and how much came.
    pub(super) fn into_capture(self) -> Capture {
        let truncated = self.total > self.data.len() as u64;
        Capture { truncated, total: Some(self.total), data: self.data.freeze(), modified: None }
    }
}

/// One stream of a command: noise, the marker's line, then output up to a cap.
pub struct Stream {
    marker: String,
    /// Whether this may stand behind the marker.
    accepts: fn(&str) -> bool,
    /// What stood behind the marker, once it came.
    head: Option<String>,
    /// Whether the other stream's marker may follow, for both may come as one.
    may_be_both: bool,
    pending: BytesMut,
    noise: Vec<u8>,
    noise_bytes: u64,
    output: Kept,
}

impl Stream {
    /// Standard output: the marker's line names the process.
    pub fn stdout(marker: &str, cap: usize) -> Self {
        let accepts = |head: &str| RemoteProcess::parse(head, "").is_some();
        Self { may_be_both: true, ..Self::new(marker, cap, accepts) }
    }

    /// Standard error: the marker stands alone.
    pub fn stderr(marker: &str, cap: usize) -> Self {
        Self::new(marker, cap, str::is_empty)
    }

    fn new(marker: &str, cap: usize, accepts: fn(&str) -> bool) -> Self {
        Self {
            marker: marker.to_owned(),
            accepts,
            head: None,
            may_be_both: false,
            pending: BytesMut::new(),
            noise: Vec::new(),
            noise_bytes: 0,
            output: Kept::new(cap),
        }
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.head.is_some() {
            return self.keep_own(bytes);
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let marker = self.marker.as_bytes();
            let Some(start) = self.pending.windows(marker.len()).position(|window| window == marker) else {
                let done = self.pending.len().saturating_sub(marker.len());
                return self.discard(done);
            };
            self.discard(start);
            let head: Vec<u8> = self.pending.iter().skip(self.marker.len()).take(MAX_HEAD).copied().collect();
            match head.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let head = String::from_utf8_lossy(head.get(..end).unwrap_or_default()).trim().to_owned();
                    if (self.accepts)(&head) {
                        self.head = Some(head);
                        let rest = self.pending.split_off(self.marker.len() + end + 1);
                        self.pending.clear();
                        return self.keep_own(&rest);
                    }
                }
                None if head.len() < MAX_HEAD => return,
                None => {}
            }
            // A login shell that echoes what it was told to run.
            self.discard(self.marker.len());
        }
    }

    fn discard(&mut self, count: usize) {
        let gone = self.pending.split_to(count.min(self.pending.len()));
        self.noise_bytes += gone.len() as u64;
        let room = NOISE_KEPT.saturating_sub(self.noise.len());
        self.noise.extend(gone.iter().take(room));
    }

    /// Keeps what the command wrote: the marker of the other stream is no part of it.
    fn keep_own(&mut self, bytes: &[u8]) {
        if !self.may_be_both {
            return self.output.push(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let marker = [self.marker.as_bytes(), b"\n"].concat();
        if marker.starts_with(&self.pending) && self.pending.len() < marker.len() {
            return;
        }
        self.may_be_both = false;
        let pending = self.pending.split();
        self.output.push(pending.strip_prefix(&*marker).unwrap_or(&pending));
    }

    /// Whether more came than may.
    pub fn is_over(&self) -> bool {
        self.output.is_over() || self.noise_bytes > MAX_NOISE
    }

    /// What stood behind the marker; absent while the command has not begun.
    pub fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// The beginning of what came before the marker, for people.
    pub fn noise(&self) -> String {
        let mut noise = self.noise.clone();
        noise.extend(self.pending.iter().take(NOISE_KEPT.saturating_sub(noise.len())));
        text::line(&noise, NOISE_KEPT)
    }

    /// Who runs the command, once standard output has said so.
    pub fn process(&self) -> Option<RemoteProcess> {
        RemoteProcess::parse(self.head()?, &self.marker)
    }

    /// What was kept, and how much came.
    pub fn into_capture(mut self) -> Capture {
        if self.head.is_some() {
            self.output.push(&self.pending);
        }
        self.output.into_capture()
    }

    /// What was kept behind the marker, for whoever reads it from here on.
    pub fn take(&mut self) -> Bytes {
        self.may_be_both = false;
        let empty = Kept::new(self.output.cap);
        let mut all = std::mem::replace(&mut self.output, empty).data;
        all.extend_from_slice(&self.pending.split());
        all.freeze()
    }
}

/// Who runs a command on the remote host, as its first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteProcess {
    pid: u32,
    /// Its process group, if the host tells and it leads none.
    foreign_group: Option<u32>,
    /// What forks of the shell have among their arguments.
    marker: String,
}

impl RemoteProcess {
    /// From what stands behind the marker on standard output.
    pub fn parse(head: &str, marker: &str) -> Option<Self> {
        let mut words = head.split(' ');
        let (k, pid, group) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let foreign_group = (k != "0").then_some(group);
        let marker = marker.to_owned();
        (pid > 1 && words.next().is_none()).then_some(Self { pid, foreign_group, marker })
    }

    /// Whether the process group is its own.
    pub fn leads_its_group(&self) -> bool {
        self.foreign_group.is_none()
    }

    /// A script that ends what is left of it and prints `running` or `stopped`. A zombie does not run. A process that has left the
    /// group (`setsid`, a daemon) is not ended, and runs, unless it ends by itself within a third of a second, as what watched over the
    /// command does. In a group that is not its own, those are its processes that have it in their environment, or the marker in their
    /// arguments. The text of this script may be in an environment too (`SSH_ORIGINAL_COMMAND` of a `ForceCommand`), so it does not hold
    /// what it looks for.
    ///
    /// A group is named behind `-s TERM --`, which every shell takes, though busybox complains: dash 0.5.12 takes no `-TERM --`, and
    /// where `kill` is a program, `-TERM -12` may be everybody (procps 4.0.2).
    pub fn kill_script(&self) -> Vec<u8> {
        let Self { pid, foreign_group, marker } = self;
        // A word that this text does not hold.
        let (first, rest) = marker.split_at_checked(marker.len() / 2).unwrap_or_default();
        let found = format!(
            "$(grep -lsF 'SCOUT_COMMAND='/{pid}/ /proc/[0-9]*/environ; grep -lsF '{first}''{rest}' /proc/[0-9]*/cmdline) /proc/{pid}/environ"
        );
        let ours = match foreign_group {
            None => format!(
                r#"ours() {{
  [ -r /proc/self/stat ] || {{ {{ kill -s 0 -- -{pid} || kill -0 -{pid}; }} 2>/dev/null && echo -{pid}; return; }}
  for f in /proc/[0-9]*; do
    IFS= read -r s <"$f/stat" || continue
    set -- ${{s##*")" }}
    [ "$3" = {pid} ] && [ "$1" != Z ] && echo -{pid} && return
  done 2>/dev/null
}}"#
            ),
            Some(group) => format!(
                r#"ours() {{
  for f in {found}; do
    f=${{f%/*}}
    IFS= read -r s <"$f/stat" || continue
    set -- ${{s##*")" }}
    [ "$3" = {group} ] && [ "$1" != Z ] && echo ${{f#/proc/}}
  done 2>/dev/null
}}"#
            ),
        };
        format!(
            r#"{ours}
left() {{
  for f in {found}; do
    f=${{f%/*}}
    IFS= read -r s <"$f/stat" || continue
    set -- ${{s##*")" }}
    [ "$1" != Z ] && return 0
  done 2>/dev/null
  return 1
}}
i=0
while p=$(ours); [ "$p" ]; do
  i=$((i+1))
  [ $i -gt 26 ] && echo running && exit 0
  [ $i = 1 ] && kill -s TERM -- $p
  [ $i -gt 7 ] && kill -s KILL -- $p
  sleep 0.05
done 2>/dev/null
i=0
while left; do
  i=$((i+1))
  [ $i -gt 6 ] && echo running && exit 0
  sleep 0.05
done
echo stopped"#
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn prepared(script: &[u8]) -> Prepared {
        Prepared::new(script, &CommandLimits::NONE, Way::Argument).expect("a script")
    }

    /// The largest bounds that can be told.
    const WIDE: CommandLimits =
        CommandLimits { memory: Some(1 << 40), cpu: Some(86_400), file_size: Some(1 << 40), processes: Some(1 << 22) };

    #[test]
    fn the_longest_command_in_a_request_fits_into_dropbears_nine_thousand_bytes_with_its_limits() {
        let plain = [b'x'; MAX_INLINE];
        let other = [b"\n".as_slice(), &[b'x'; MAX_INLINE - 200]].concat();
        for script in [&plain[..], &other] {
            let prepared = Prepared::new(script, &WIDE, Way::Argument).expect("a script");
            assert!(prepared.data.is_none() && prepared.exec.len() < 9000, "{}", prepared.exec.len());
        }
    }

    #[test]
    fn limits_send_no_command_as_data_that_went_in_the_request_without_them() {
        for length in MAX_INLINE / 5 - 60..MAX_INLINE / 5 {
            let script = vec![b'\''; length];
            let with = Prepared::new(&script, &WIDE, Way::Argument).expect("a script");
            assert_eq!(with.data.is_some(), prepared(&script).data.is_some(), "{length}");
        }
    }

    #[test]
    fn the_exec_string_holds_no_character_that_a_shell_reads_its_own_way() {
        let prepared = prepared(b"echo '!a' \"$HOME\" `x` \\ \n\xff");
        let argument = prepared.exec.get(LITERAL.len()..).expect("longer than the literal");
        let inside = argument.strip_prefix(b" /bin/sh '").expect("a quote").split(|byte| *byte == b'\'').next();
        let inside = inside.expect("between the quotes");
        assert!(inside.iter().all(|b| b.is_ascii_alphanumeric() || b" _./,:=@+-\\".contains(b)));
    }

    #[test]
    fn a_command_that_every_shell_reads_alike_goes_as_it_is() {
        let prepared = prepared(b"cd -- /var || exit 1; ls -la | head -3");
        let argument = prepared.exec.get(LITERAL.len()..).expect("longer than the literal");
        let wanted =
            format!(" /bin/sh 'cd -- /var || exit 1; ls -la | head -3' {} 38-18 '{CANARY}' p", prepared.marker);
        assert_eq!(String::from_utf8_lossy(argument), wanted);
    }

    #[test]
    fn what_comes_before_the_marker_is_noise_however_it_is_cut() {
        let text = b"welcome\nscout-1 0 77 77\noutput\n";
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            let mut stream = Stream::stdout("scout-1", 100);
            stream.push(left);
            stream.push(right);
            assert_eq!(stream.head(), Some("0 77 77"), "{cut}");
            assert_eq!(&*stream.into_capture().data, b"output\n", "{cut}");
        }
    }

    #[test]
    fn a_stream_that_is_both_shows_no_marker() {
        for (text, wanted) in [
            (&b"scout-1 0 77 77\nscout-1\noutput\n"[..], &b"output\n"[..]),
            (b"scout-1 0 77 77\nscout-1", b"scout-1"),
            (b"scout-1 0 77 77\nscout-2\nscout-1\n", b"scout-2\nscout-1\n"),
        ] {
            for cut in 0..text.len() {
                let (left, right) = text.split_at(cut);
                let mut stream = Stream::stdout("scout-1", 100);
                stream.push(left);
                stream.push(right);
                assert_eq!(&*stream.into_capture().data, wanted, "{cut}");
            }
        }
    }

    #[test]
    fn a_stream_keeps_its_cap_and_counts_on() {
        let mut stream = Stream::stderr("m", 3);
        stream.push(b"m\nabcde");
        assert!(stream.is_over());
        let capture = stream.into_capture();
        assert_eq!((&*capture.data, capture.truncated, capture.total), (&b"abc"[..], true, Some(5)));
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(Prepared::new(b"a\0b", &CommandLimits::NONE, Way::Argument).is_err());
    }

    /// What the script that ends a process says in this shell, of a command that nothing else ends.
    fn ended(shell: &[&str], process: &RemoteProcess) -> String {
        let (program, arguments) = shell.split_first().expect("a program");
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg("-c").arg(OsStr::from_bytes(&process.kill_script()));
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}: tests/ci.sh installs it"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn what_is_left_of_a_command_is_ended_in_every_shell() {
        use std::os::unix::process::CommandExt as _;
        let shells: [&[&str]; 7] =
            [&["dash"], &["bash", "--posix"], &["busybox", "sh"], &["mksh"], &["ksh93"], &["yash"], &["posh"]];
        let own = u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).expect("a group");
        for shell in shells {
            for (is_leader, script) in [
                (true, "sleep 1000 | cat; :"),
                (true, "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) | cat; :"),
                (false, "sleep 1000 | cat; :"),
                // A fork of the shell: what it exports is in the environment of programs alone.
                (false, "(while :; do :; done) | cat; :"),
            ] {
                let marker = random_marker().expect("random numbers");
                let mut command = std::process::Command::new("dash");
                command.args(["-c", &format!("export SCOUT_COMMAND=/$$/; {script}"), "sh", &marker]);
                if is_leader {
                    command.process_group(0);
                }
                let mut child = command.spawn().expect("dash runs");
                let pid = child.id();
                let process = RemoteProcess { pid, foreign_group: (!is_leader).then_some(own), marker };
                let told = ended(shell, &process);
                let is_over = child.try_wait().expect("it can be waited for").is_some();
                child.kill().ok();
                child.wait().expect("it ends");
                assert_eq!((told.as_str(), is_over), ("stopped", true), "{shell:?}: {script}");
            }
        }
    }

    #[test]
    fn the_remote_process_is_read_from_the_first_line() {
        let process = |foreign_group| Some(RemoteProcess { pid: 77, foreign_group, marker: "scout-1".to_owned() });
        assert_eq!(RemoteProcess::parse("0 77 77", "scout-1"), process(None));
        assert_eq!(RemoteProcess::parse("0 77 0", "scout-1"), process(None), "without /proc");
        assert_eq!(RemoteProcess::parse("77 77 50", "scout-1"), process(Some(50)));
        for none in ["0 1 1", "0 77", "$k $$ $g", "0 77 77 77", ""] {
            assert_eq!(RemoteProcess::parse(none, "scout-1"), None, "{none}");
        }
    }
}
