//! A shell that stays: one `/bin/sh` on a host that runs command after command, each in a subshell of its own.
//!
//! Owns its text, the line of a command and how the end of its output is found. A server forks and sets up a session for every command
//! that it is asked for; a shell that is there already costs a fork. **Only commands that read may share one**: what a command could
//! leave behind would be there for the next. Does not know SSH.
//!
//! Three texts, which dash, bash, busybox, ksh93, mksh, zsh and yash read alike as `/bin/sh`:
//!
//! - The *entry* stands in the exec request, so any login shell reads it. It looks whether all arrived as it was sent and whether the
//!   shell leads its process group, and makes room for the guard; what it was told travels in the environment from there on, where no
//!   other account reads it, and nothing of it stays in a list of processes.
//! - The *guard* hands the lines of the channel on, and ends the process group when the channel goes away: it has to listen while a
//!   command runs.
//! - The *loop* reads a line, a marker and a script, and runs the script. Its text is the first line of its own input: bash says that a
//!   child was killed only of a script that it reads. Its standard error is a pipe of its own without another process, for what a shell
//!   says of its child must not stand among the words of the command. By that is known whether status 137 was a signal: the loop writes
//!   the marker into the pipe, and whatever stands before it says so. A status above 256 is a signal in ksh93 and yash.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::shell::{CANARY, Kept, MAX_HEAD, encoded, is_plain, neutral, quoted, random_marker};
use super::shell::{NEWLINE, no_nul};
use crate::{Capture, CommandLimits, Ending, HostError};

/// The script, the marker, the lengths of all that is text, the canary, how the script is the command (`p`: as it is, `e`: encoded for
/// `printf %b`), the limits, the guard, the loop, and what evaluates the guard.
///
/// A shell that leads no process group is not for this: what ends it would end its server (Dropbear). It says so and runs nothing.
const ENTRY: &str = concat!(
    "exec /bin/sh -c '",
    "case ${#1}-${#4}-${#6}-${#7}-${#8} in $3) ;; *) exit 255;; esac; ",
    neutral!(),
    r#"k=0; g=0; export SCOUT_COMMAND=/$$/ LC_ALL=C.UTF-8 LANGUAGE=; "#,
    r#"[ -r /proc/self/stat ] && read -r g g g g g x </proc/self/stat && [ "$g" != $$ ] && k=$$; "#,
    r#"[ $k = 0 ] || { echo $2 $k $$ $g; exit 254; }; "#,
    r#"case $5 in e) c=$(printf %b "$1");; *) c=$1;; esac; "#,
    r#"export SCOUT_GUARD="$7" SCOUT_LOOP="$8" SCOUT_HEAD="0 $$ $g" SCOUT_MARKER=$2 SCOUT_LIMITS="$6" SCOUT_SCRIPT="$c"; "#,
    r#"exec /bin/sh -c "$9" scout'"#,
);

/// Evaluates the guard.
const EVALUATES: &str = r#"eval "$SCOUT_GUARD""#;

/// Signals are caught and not ignored, for what is ignored is inherited. What hands the lines on is the system's `cat` and not one that an
/// account has before it in its `PATH`, unless there is no other (NixOS). The loop has the channel's streams as 4 and 5; what it writes to
/// its standard output nobody reads.
const GUARD: &str = concat!(
    r#"e=$SCOUT_LOOP; unset SCOUT_GUARD SCOUT_LOOP; trap : HUP INT TERM; exec 3<&0 4>&1 5>&2 </dev/null 2>/dev/null; "#,
    r#"{ trap "" HUP INT TERM; unset SCOUT_HEAD SCOUT_MARKER SCOUT_LIMITS SCOUT_SCRIPT; echo "$e"; exec 4>&- 5>&- 2>/dev/null; "#,
    r#"command -p cat <&3; [ $? = 127 ] && cat <&3; exec >&2; kill -TERM 0; sleep 0.3; kill -KILL 0; } 3<&3 "#,
    r#"| /bin/sh -s 3<&- 4>&4 5>&5 | :; wait; wait"#,
);

/// Without its EXIT trap a loop that cannot fork would leave a guard that waits. `unset` first: a variable that a host exports would be
/// exported with what is written here.
const LOOP: &str = concat!(
    r#"unset h l m c n p s t g; h=$SCOUT_HEAD l=$SCOUT_LIMITS m=$SCOUT_MARKER c=$SCOUT_SCRIPT; "#,
    r#"unset SCOUT_HEAD SCOUT_LIMITS SCOUT_MARKER SCOUT_SCRIPT; "#,
    r#"trap "kill -KILL 0" 0; trap : HUP INT TERM PIPE; n=${IFS#??}; p=0; "#,
    r#"[ -p /proc/self/fd/1 ] && (exec 6<>/proc/self/fd/1) 2>/dev/null && exec 6<>/proc/self/fd/1 && p=1; "#,
    r#"exec 1>&4 4>&- 2>/dev/null; [ $p = 1 ] && exec 2>&6; echo "$m $h"; echo "$m" >&5; "#,
    r#"while :; do (exec </dev/null 2>&5 5>&- 6>&-; eval "$l$c"); s=$?; "#,
    r#"if [ $s -gt 128 ]; then t=; [ $s -gt 256 ] && t=y; "#,
    r#"[ $p = 1 ] && { echo "$m" >&6; until IFS= read -r g <&6; [ "$g" = "$m" ]; do t=y; done; }; "#,
    r#"[ "$t" ] && s="$s $(kill -l $s)"; fi; "#,
    r#"echo "$m $s"; echo "$m" >&5; IFS=" " read -r m c || exit; done"#,
);

/// A script of more bytes, as it is written here, goes the other way: the shell reads its line byte by byte, and above some 4,000 bytes
/// that takes as long as a session.
const MAX_SCRIPT: usize = 4000;

/// A command as it is sent to a shell that stays.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The exec request that starts a shell with it, or the line for one that is there.
    pub text: Bytes,
    /// What ends its output on both streams; of one that starts a shell, also what begins it.
    pub marker: String,
}

/// Whether a script is short enough for a shell that stays, as its first command and as any other.
pub fn fits(script: &[u8]) -> bool {
    argument(script).1.len() <= MAX_SCRIPT && as_line(script).len() <= MAX_SCRIPT
}

/// How a script is the command, and the script so.
fn argument(script: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(script) {
        Ok(text) if script.iter().copied().all(is_plain) => ("p", text.to_owned()),
        _ => ("e", encoded(script)),
    }
}

/// A script on one line, whose blanks at both ends stay.
fn as_line(script: &[u8]) -> Vec<u8> {
    let is_line = !script.contains(&b'\n') && !script.starts_with(b" ") && !script.ends_with(b" ");
    if is_line { script.to_vec() } else { [b"eval ".to_vec(), quoted(script, NEWLINE)].concat() }
}

/// The exec request that starts a shell, which sets these limits before each command, with its first command. Absent for a script that is
/// too long for it.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a NUL, Exhausted without random numbers.
pub fn start(script: &[u8], limits: &CommandLimits) -> Result<Option<Sent>, HostError> {
    no_nul(script)?;
    let (how, argument) = argument(script);
    if argument.len() > MAX_SCRIPT {
        return Ok(None);
    }
    let (limits, marker) = (limits.script(), random_marker()?);
    let lengths =
        [argument.len(), CANARY.len(), limits.len(), GUARD.len(), LOOP.len()].map(|length| length.to_string());
    let lengths = lengths.join("-");
    let text = format!(
        "{ENTRY} /bin/sh '{argument}' {marker} {lengths} '{CANARY}' {how} '{limits}' '{GUARD}' '{LOOP}' '{EVALUATES}'"
    );
    Ok(Some(Sent { text: text.into(), marker }))
}

/// The line of a command for a shell that is there. Absent for a script that is too long for one.
///
/// # Errors
/// As [`start`].
pub fn line(script: &[u8]) -> Result<Option<Sent>, HostError> {
    no_nul(script)?;
    let script = as_line(script);
    if script.len() > MAX_SCRIPT {
        return Ok(None);
    }
    let marker = random_marker()?;
    let text = [marker.as_bytes(), b" ", &script, b"\n"].concat();
    Ok(Some(Sent { text: text.into(), marker }))
}

/// One stream of one command: what it wrote, up to the marker.
#[derive(Debug)]
pub struct Output {
    marker: Finder<'static>,
    /// What may be the beginning of the marker's line.
    held: BytesMut,
    output: Kept,
    end: Option<String>,
}

impl Output {
    /// The stream of the command with this marker, of which `cap` bytes are kept.
    pub fn new(marker: &str, cap: usize) -> Self {
        Self { marker: Finder::new(marker).into_owned(), held: BytesMut::new(), output: Kept::new(cap), end: None }
    }

    /// Takes what arrived; what stands behind the marker's line is not this command's and is left. Nothing is to be pushed after that.
    pub fn push(&mut self, arrived: &mut Bytes) {
        let mut bytes = std::mem::take(arrived);
        if !self.held.is_empty() {
            self.held.extend_from_slice(&bytes);
            bytes = self.held.split().freeze();
        }
        let Some(at) = self.marker.find(&bytes) else {
            let begun = begun(&bytes, self.marker.needle());
            let (output, held) = bytes.split_at(bytes.len() - begun);
            self.output.push(output);
            self.held.extend_from_slice(held);
            return;
        };
        let (output, line) = bytes.split_at(at);
        self.output.push(output);
        let line = line.get(self.marker.needle().len()..).unwrap_or_default();
        match line.iter().take(MAX_HEAD).position(|byte| *byte == b'\n') {
            Some(end) => {
                let told = line.get(..end).unwrap_or_default();
                self.end = Some(String::from_utf8_lossy(told).trim().to_owned());
                *arrived = bytes.split_off(at + self.marker.needle().len() + end + 1);
            }
            None if line.len() < MAX_HEAD => self.held.extend_from_slice(bytes.get(at..).unwrap_or_default()),
            // No shell says this.
            None => self.end = Some(String::from_utf8_lossy(line.get(..MAX_HEAD).unwrap_or_default()).into_owned()),
        }
    }

    /// Whether more came than may.
    pub fn is_over(&self) -> bool {
        self.output.is_over()
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty() && self.held.is_empty() && self.end.is_none()
    }

    /// What stands behind the marker, once the output has ended.
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// What was kept, and how much came.
    pub fn into_capture(mut self) -> Capture {
        if self.end.is_none() {
            self.output.push(&self.held);
        }
        self.output.into_capture()
    }
}

/// How many of the last bytes may be the beginning of the marker.
fn begun(bytes: &[u8], marker: &[u8]) -> usize {
    let most = bytes.len().min(marker.len().saturating_sub(1));
    (1..=most).rev().find(|length| bytes.ends_with(marker.get(..*length).unwrap_or_default())).unwrap_or(0)
}

/// How a command ended, as its standard output tells behind the marker: a status, and the name of the signal if it was one. Absent for
/// anything else, which no shell says.
pub fn ending(told: &str) -> Option<Ending> {
    let (status, signal) = match told.split_once(' ') {
        Some((status, signal)) => (status, Some(signal)),
        None => (told, None),
    };
    let status: u32 = status.parse().ok()?;
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.len() <= 12
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'-')
    };
    match signal {
        None => (status <= 255).then_some(Ending::Exited(status)),
        Some(signal) => {
            let name = signal.strip_prefix("SIG").unwrap_or(signal);
            (status > 128 && is_name(&name)).then(|| Ending::Signaled(name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "scout-0123";

    /// What is kept, how much came, the word behind the marker and what is left, however the text is cut into two.
    fn read(text: &[u8], cap: usize) -> (Vec<u8>, Option<u64>, Option<String>, Vec<u8>) {
        let mut seen = None;
        for cut in 0..=text.len() {
            let (left, right) = text.split_at(cut);
            let (mut output, mut rest) = (Output::new(MARKER, cap), Vec::new());
            for part in [left, right] {
                let mut part = Bytes::copy_from_slice(part);
                if output.end().is_none() {
                    output.push(&mut part);
                }
                rest.extend_from_slice(&part);
            }
            let end = output.end().map(str::to_owned);
            let capture = output.into_capture();
            let this = (capture.data.to_vec(), capture.total, end, rest);
            assert_eq!(seen.get_or_insert_with(|| this.clone()), &this, "{cut}");
        }
        seen.expect("there is a cut")
    }

    #[test]
    fn output_ends_at_its_marker_however_it_is_cut() {
        let end = |word: &str| Some(word.to_owned());
        assert_eq!(read(b"out\nscout-0123 0\nnext", 99), (b"out\n".to_vec(), Some(4), end("0"), b"next".to_vec()));
        assert_eq!(read(b"scout-0123 137 KILL\n", 99), (vec![], Some(0), end("137 KILL"), vec![]));
        assert_eq!(read(b"scout-0123\nscout-0124\n", 99), (vec![], Some(0), end(""), b"scout-0124\n".to_vec()));
        // What begins as the marker and is none.
        let begun = b"scout-scout-012".to_vec();
        assert_eq!(read(b"scout-scout-012scout-0123 3\n", 99), (begun, Some(15), end("3"), vec![]));
        // What never ends is all output.
        assert_eq!(read(b"out\nscout-01", 99), (b"out\nscout-01".to_vec(), Some(12), None, vec![]));
        assert_eq!(read(b"abcdefscout-0123 0\n", 3), (b"abc".to_vec(), Some(6), end("0"), vec![]));
    }

    #[test]
    fn a_marker_without_an_end_of_its_line_is_no_shells() {
        let mut output = Output::new(MARKER, 9);
        output.push(&mut Bytes::from([MARKER.as_bytes(), &[b'x'; 4096]].concat()));
        assert_eq!(output.end().and_then(ending), None);
        assert!(output.end().is_some_and(|end| end.len() == MAX_HEAD));
    }

    #[test]
    fn only_what_a_shell_says_is_an_ending() {
        let signal = |name: &str| Some(Ending::Signaled(name.to_owned()));
        for (told, wanted) in [
            ("0", Some(Ending::Exited(0))),
            ("255", Some(Ending::Exited(255))),
            ("137", Some(Ending::Exited(137))),
            ("137 KILL", signal("KILL")),
            ("143 SIGTERM", signal("TERM")),
            ("265 KILL", signal("KILL")),
            ("162 34", signal("34")),
            ("162 RTMIN+2", signal("RTMIN+2")),
            ("256", None),
            ("1 KILL", None),
            ("137 ", None),
            ("137 KILL ME", None),
            ("137 \u{1b}[2J", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(ending(told), wanted, "{told}");
        }
    }

    #[test]
    fn the_texts_hold_nothing_that_a_login_shell_reads_its_own_way() {
        for text in [GUARD, LOOP, EVALUATES] {
            assert!(text.bytes().all(is_plain), "{text}");
        }
        let inside = ENTRY.strip_prefix("exec /bin/sh -c '").and_then(|text| text.strip_suffix('\''));
        assert!(inside.is_some_and(|text| text.replace("!=", "").bytes().all(is_plain)));
        let (bytes, count) = (Some(1 << 50), Some(1 << 40));
        let widest = CommandLimits { memory: bytes, cpu: count, file_size: bytes, processes: count };
        assert!(widest.script().bytes().all(is_plain), "{}", widest.script());
        // Dropbear takes no longer request.
        let longest = start(&[b'x'; MAX_SCRIPT], &widest).ok().flatten().expect("it fits");
        assert!(longest.text.len() < 9000, "{}", longest.text.len());
    }

    #[test]
    fn what_is_too_long_goes_the_other_way_and_a_nul_goes_nowhere() {
        let encoded = start(&[b'\''; 1001], &CommandLimits::NONE);
        assert!(encoded.is_ok_and(|sent| sent.is_none()), "encoded it has 4,004 bytes");
        assert!(line(&[b'x'; MAX_SCRIPT + 1]).is_ok_and(|sent| sent.is_none()));
        assert!(line(b"a\0b").is_err() && start(b"a\0b", &CommandLimits::NONE).is_err());
    }

    #[test]
    fn a_line_is_one_line_and_keeps_its_blanks() {
        for (script, wanted) in [
            ("ls -l", " ls -l\n"),
            ("ls 'a\nb'", " eval 'ls '\\''a'\"$n\"'b'\\'''\n"),
            (" ls \\ ", " eval ' ls \\ '\n"),
        ] {
            let sent = line(script.as_bytes()).ok().flatten().expect("a line");
            assert_eq!(String::from_utf8_lossy(&sent.text), sent.marker + wanted);
        }
    }
}
