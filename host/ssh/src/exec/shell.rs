//! How a command reaches `/bin/sh` through any login shell, and how its output is told from an rc file's.
//!
//! Owns the fixed literal, the encoding behind it and the marker. **The exec string is the same literal for every
//! command, followed by nothing but characters that every shell reads alike inside single quotes.** Does not know SSH.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};

use crate::foreign;
use crate::{Capture, CommandLimits, ErrorKind, SshError};

/// Takes the command from its arguments, or from the first line of its input, and evaluates it. One argument is encoded
/// for `printf %b`, at the cost of a fork; two are the command as it is and the marker. A process in the
/// background watches the input, the lifeline: when the channel goes away it ends the process group. `k` is 0 if the
/// shell leads its process group, else its pid (servers such as Dropbear run commands in a group of their own: then
/// only the command itself is killed).
///
/// What runs speaks one language, whatever an rc file says, in UTF-8 where the host has it and else as `C`: a locale that is missing
/// sets none, and what a shell says of that stands before the marker. `LANGUAGE` is emptied because gettext heeds it under every locale
/// but `C` (glibc 2.36: `LC_ALL=C.UTF-8 LANGUAGE=de ls /nosuch` complains in German).
///
/// Read alike by bash, dash, zsh, fish, tcsh and busybox as login shells; hence no `!` before a letter and no newline.
const LITERAL: &str = concat!(
    "exec /bin/sh -c '",
    r#"case $# in 0) IFS= read -r c || exit 255;; 1) c=$(printf %b "$1");; *) c=$1;; esac; "#,
    r#"n=${IFS#??}; k=0; export SCOUT_COMMAND=/$$/ LC_ALL=C.UTF-8 LANGUAGE=; "#,
    r#"[ -r /proc/self/stat ] && read -r g g g g g x </proc/self/stat && [ "$g" != $$ ] && k=$$; "#,
    r#"exec 3<&0 </dev/null; "#,
    r#"(trap "" HUP INT TERM; while read -r x; do :; done <&3; "#,
    r#"if kill -0 $$; then kill -TERM $k; sleep 0.3; kill -KILL $k; fi; "#,
    r#"[ $k = 0 ] && kill -KILL 0) >/dev/null 2>&1 & "#,
    r#"exec 3<&-; [ $# = 2 ] && echo $2 $k $$ && echo $2 >&2; eval "$c""#,
    "'",
);

/// A command up to this many bytes, encoded, travels inside the exec request. OpenSSH grants no window before the
/// request, so data behind it costs a round trip more; Dropbear takes 9000 bytes, everyone else far more. The literal, the
/// marker and what sets the limits are the rest.
const MAX_INLINE: usize = 8000;
/// No command is longer. The shell reads its line byte by byte.
const MAX_SCRIPT: usize = 256 * 1024;
/// Linux takes 128 KiB in one argument.
const MAX_ARGUMENT: usize = 64 * 1024;
/// What an rc file may print before the marker.
const MAX_NOISE: u64 = 1024 * 1024;
/// What of the noise is kept for an error message.
const NOISE_KEPT: usize = 256;
/// The marker's line is never longer.
const MAX_HEAD: usize = 128;

/// A command ready to be sent.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// For the exec request.
    pub(crate) exec: Vec<u8>,
    /// For the channel, behind it.
    pub(crate) data: Option<Bytes>,
    /// What both streams begin with.
    pub(crate) marker: String,
    /// Environment variables that the server is asked to set.
    pub(crate) environment: Vec<(String, String)>,
}

impl Prepared {
    /// Renders a script for `/bin/sh`, which sets these bounds before it evaluates it: what watches over the command is not held to them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a NUL or a script that is too long.
    pub(crate) fn new(script: &[u8], limits: &CommandLimits) -> Result<Self, SshError> {
        if script.contains(&0) {
            return Err(SshError::new(ErrorKind::Invalid, "the command holds a NUL byte"));
        }
        if script.len() > MAX_SCRIPT {
            let message = format!("the command is {} bytes long, more than {MAX_SCRIPT}", script.len());
            return Err(SshError::new(ErrorKind::Invalid, message));
        }
        let waiting = waits(script).then(|| in_a_shell_of_its_own(script));
        let script = waiting.as_deref().unwrap_or(script);
        let limits = limits.script();
        let marker = random_marker()?;
        let mut exec = LITERAL.as_bytes().to_vec();
        if script.len() <= MAX_INLINE && script.iter().all(|byte| is_plain(*byte)) {
            exec.extend_from_slice(b" sh '");
            exec.extend_from_slice(limits.as_bytes());
            exec.extend_from_slice(script);
            exec.extend_from_slice(format!("' {marker}").as_bytes());
            return Ok(Self { exec, data: None, marker, environment: Vec::new() });
        }
        let line = line(script, &limits, &marker);
        let argument = encoded(&line);
        // Limits come on top: no command takes a round trip more for them.
        if argument.len() <= MAX_INLINE + encoded(limits.as_bytes()).len() {
            exec.extend_from_slice(b" sh '");
            exec.extend_from_slice(argument.as_bytes());
            exec.push(b'\'');
            return Ok(Self { exec, data: None, marker, environment: Vec::new() });
        }
        let mut data = line;
        data.push(b'\n');
        Ok(Self { exec, data: Some(data.into()), marker, environment: Vec::new() })
    }
}

fn random_marker() -> Result<String, SshError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| SshError::new(ErrorKind::Exhausted, format!("no random numbers from the system: {error}")))?;
    Ok(bytes.iter().fold(String::from("scout-"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// One line: the marker on both streams, what sets the limits, then the script with its newlines as `'…'"$n"'…'`.
fn line(script: &[u8], limits: &str, marker: &str) -> Vec<u8> {
    let mut line = format!("echo {marker} $k $$; echo {marker} >&2; {limits}eval ").into_bytes();
    line.extend(quoted(script, br#"'"$n"'"#));
    line
}

/// A word in single quotes, with `newline` for each newline in it.
fn quoted(text: &[u8], newline: &[u8]) -> Vec<u8> {
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

/// Whether a script may `wait` for its children. The lifeline's watcher is a child too, and does not end before it.
fn waits(script: &[u8]) -> bool {
    script.len() <= MAX_ARGUMENT && script.windows(4).any(|word| word == b"wait")
}

/// The same process, as a shell that does not know the children it has.
fn in_a_shell_of_its_own(script: &[u8]) -> Vec<u8> {
    [b"exec /bin/sh -c ".as_slice(), &quoted(script, b"\n")].concat()
}

/// Whether every login shell takes this byte for itself inside single quotes: not so a quote, a newline (tcsh), a
/// backslash (fish), `!` (tcsh) and what is not ASCII.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\' | b'!')
}

/// For `printf %b`: every byte that any login shell could take for something is an octal escape.
pub(crate) fn encoded(line: &[u8]) -> String {
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

/// One stream of a command: noise, the marker's line, then output up to a cap.
pub(crate) struct Stream {
    marker: String,
    /// Whether this may stand behind the marker.
    accepts: fn(&str) -> bool,
    /// What stood behind the marker, once it came.
    head: Option<String>,
    pending: BytesMut,
    noise: Vec<u8>,
    noise_bytes: u64,
    data: BytesMut,
    cap: usize,
    total: u64,
}

impl Stream {
    /// Standard output: the marker's line names the process.
    pub(crate) fn stdout(marker: &str, cap: usize) -> Self {
        Self::new(marker, cap, |head| RemoteProcess::parse(head).is_some())
    }

    /// Standard error: the marker stands alone.
    pub(crate) fn stderr(marker: &str, cap: usize) -> Self {
        Self::new(marker, cap, str::is_empty)
    }

    fn new(marker: &str, cap: usize, accepts: fn(&str) -> bool) -> Self {
        Self {
            marker: marker.to_owned(),
            accepts,
            head: None,
            pending: BytesMut::new(),
            noise: Vec::new(),
            noise_bytes: 0,
            data: BytesMut::new(),
            cap,
            total: 0,
        }
    }

    /// Takes what arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.head.is_some() {
            return self.keep(bytes);
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
                        return self.keep(&rest);
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

    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.cap.saturating_sub(self.data.len());
        self.data.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Whether more came than may.
    pub(crate) fn is_over(&self) -> bool {
        self.total > self.cap as u64 || self.noise_bytes > MAX_NOISE
    }

    /// What stood behind the marker; absent while the command has not begun.
    pub(crate) fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// The beginning of what came before the marker, for people.
    pub(crate) fn noise(&self) -> String {
        let mut noise = self.noise.clone();
        noise.extend(self.pending.iter().take(NOISE_KEPT.saturating_sub(noise.len())));
        foreign::line(&noise, NOISE_KEPT)
    }

    /// What was kept, and how much came.
    pub(crate) fn into_capture(self) -> Capture {
        let truncated = self.total > self.data.len() as u64;
        Capture { truncated, total: Some(self.total), data: self.data.freeze() }
    }
}

/// Who runs a command on the remote host, as its first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteProcess {
    pid: u32,
    leads_its_group: bool,
}

impl RemoteProcess {
    /// From what stands behind the marker on standard output.
    pub(crate) fn parse(head: &str) -> Option<Self> {
        let (k, pid) = head.split_once(' ')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self { pid, leads_its_group: k == "0" })
    }

    /// Whether all that it started is in its group, unless it called setsid.
    pub(crate) fn leads_its_group(self) -> bool {
        self.leads_its_group
    }

    /// A script that ends what is left of it and prints `running` or `stopped`. A zombie does not run. A process that has
    /// left the group (`setsid`, a daemon) is not ended, and runs. The text of this script may be in an environment too
    /// (`SSH_ORIGINAL_COMMAND` of a `ForceCommand`), so it does not hold what it looks for.
    pub(crate) fn kill_script(self) -> Vec<u8> {
        let pid = self.pid;
        let target = if self.leads_its_group { format!("-{pid}") } else { pid.to_string() };
        let field = if self.leads_its_group { "$3" } else { "$pid" };
        format!(
            r#"alive() {{
  kill -0 {target} 2>/dev/null || return 1
  [ -r /proc/self/stat ] || return 0
  for f in /proc/[0-9]*; do
    IFS= read -r s <"$f/stat" || continue
    pid=${{f#/proc/}}
    s=${{s##*) }}
    set -- $s
    [ "{field}" = {pid} ] && [ "$1" != Z ] && return 0
  done 2>/dev/null
  return 1
}}
if alive; then kill -TERM {target}; sleep 0.3; kill -KILL {target}; fi 2>/dev/null
i=0
while alive; do
  i=$((i+1))
  [ $i -gt 20 ] && echo running && exit 0
  sleep 0.05
done
if grep -qsF 'SCOUT_COMMAND='/{pid}/ /proc/[0-9]*/environ; then echo running; else echo stopped; fi"#
        )
        .into_bytes()
    }
}

/// Kills the SFTP servers of the connection that this script runs on, and prints `killed` if there was one.
pub(crate) const KILL_SFTP_SERVERS: &[u8] = br#"p=$PPID; r=no
pkill -KILL -P $p -x sftp-server >/dev/null 2>&1 && r=killed
[ $r = killed ] || for f in /proc/[0-9]*; do
  IFS= read -r s <"$f/stat" || continue
  case $s in *"(sftp-server) "*) ;; *) continue ;; esac
  s=${s##*) }
  set -- $s
  q=$2
  if [ "$q" != $p ]; then
    IFS= read -r s <"/proc/$q/stat" || continue
    s=${s##*) }
    set -- $s
    [ "$2" = $p ] || continue
  fi
  kill -KILL "${f#/proc/}" && r=killed
done 2>/dev/null
echo $r"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(script: &[u8]) -> Prepared {
        Prepared::new(script, &CommandLimits::NONE).expect("a script")
    }

    /// The largest bounds that can be told.
    const WIDE: CommandLimits =
        CommandLimits { memory: Some(1 << 40), cpu: Some(86_400), file_size: Some(1 << 40), processes: Some(1 << 22) };

    #[test]
    fn the_longest_command_in_a_request_fits_into_dropbears_nine_thousand_bytes_with_its_limits() {
        let plain = [b'x'; MAX_INLINE];
        let other = [b"\n".as_slice(), &[b'x'; MAX_INLINE - 200]].concat();
        for script in [&plain[..], &other] {
            let prepared = Prepared::new(script, &WIDE).expect("a script");
            assert!(prepared.data.is_none() && prepared.exec.len() < 9000, "{}", prepared.exec.len());
        }
    }

    #[test]
    fn limits_send_no_command_as_data_that_went_in_the_request_without_them() {
        for length in MAX_INLINE / 5 - 60..MAX_INLINE / 5 {
            let script = vec![b'\''; length];
            let with = Prepared::new(&script, &WIDE).expect("a script");
            assert_eq!(with.data.is_some(), prepared(&script).data.is_some(), "{length}");
        }
    }

    #[test]
    fn the_exec_string_holds_no_character_that_a_shell_reads_its_own_way() {
        let prepared = prepared(b"echo '!a' \"$HOME\" `x` \\ \n\xff");
        let argument = prepared.exec.get(LITERAL.len()..).expect("longer than the literal");
        assert!(argument.starts_with(b" sh '") && argument.ends_with(b"'"));
        let inside = argument.get(5..argument.len() - 1).expect("between the quotes");
        assert!(inside.iter().all(|b| b.is_ascii_alphanumeric() || b" _./,:=@+-\\".contains(b)));
    }

    #[test]
    fn a_command_that_every_shell_reads_alike_goes_as_it_is() {
        let prepared = prepared(b"cd -- /var || exit 1; ls -la | head -3");
        let argument = prepared.exec.get(LITERAL.len()..).expect("longer than the literal");
        assert_eq!(argument, format!(" sh 'cd -- /var || exit 1; ls -la | head -3' {}", prepared.marker).as_bytes());
    }

    #[test]
    fn what_comes_before_the_marker_is_noise_however_it_is_cut() {
        let text = b"welcome\nscout-1 0 77\noutput\n";
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            let mut stream = Stream::stdout("scout-1", 100);
            stream.push(left);
            stream.push(right);
            assert_eq!(stream.head(), Some("0 77"), "{cut}");
            assert_eq!(&*stream.into_capture().data, b"output\n", "{cut}");
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
        assert!(Prepared::new(b"a\0b", &CommandLimits::NONE).is_err());
    }

    #[test]
    fn the_remote_process_is_read_from_the_first_line() {
        assert_eq!(RemoteProcess::parse("0 77"), Some(RemoteProcess { pid: 77, leads_its_group: true }));
        assert_eq!(RemoteProcess::parse("77 77"), Some(RemoteProcess { pid: 77, leads_its_group: false }));
        assert_eq!(RemoteProcess::parse("0 1"), None);
    }
}
