//! What an account may not see and root may: programs that run as root where the operator has a row of `sudo` for exactly that.

use crate::exec::{Output, as_root, output};
use crate::{Error, ErrorKind, text};

/// The most characters of what sudo said.
const MAX_COMPLAINT: usize = 200;

/// A command that ended, and as whom it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What it left behind.
    pub output: Output,
    /// As whom.
    pub by: RanAs,
}

/// As whom a program ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RanAs {
    /// The account: the operator has no row for it.
    Account,
    /// The account: there is a row, and the host's sudo did not run it, which says why.
    Unprivileged(String),
    /// Root.
    Root,
}

impl RanAs {
    /// What a reader must know of it: that `program` ran as root, or why it did not though there is a row.
    #[must_use]
    pub fn note(&self, program: &str) -> Option<String> {
        match self {
            Self::Account => None,
            Self::Unprivileged(why) => Some(format!("`{program}` did not run as root: {why}")),
            Self::Root => Some(format!("`{program}` ran as root")),
        }
    }

    /// What would let a program see more, where nothing does yet: the row for these words, in which `*` stands for any one word.
    #[must_use]
    pub fn advice<W: AsRef<str>>(&self, row: &[W]) -> Option<String> {
        let words: Vec<String> = row.iter().map(|word| format!("\"{}\"", word.as_ref())).collect();
        (*self == Self::Account)
            .then(|| format!("`sudo = [[{}]]` below [hosts.NAME] in scout.toml would show more", words.join(", ")))
    }
}

/// As [`output`](crate::exec::output), where every stage of this program runs as root if the operator lets exactly its words run so. What the
/// host's sudo does not run runs once more as the account.
///
/// # Errors
/// As [`output`](crate::exec::output).
pub fn output_as_root<W: AsRef<str>>(host: &str, stages: &[&[W]], program: &str) -> Result<Ran, Error> {
    let mut raised: Vec<Vec<String>> = Vec::with_capacity(stages.len());
    let mut by = RanAs::Account;
    for stage in stages {
        let mut words: Vec<String> = stage.iter().map(|word| word.as_ref().to_owned()).collect();
        if words.first().is_some_and(|first| first == program) && as_root(host, &words)? {
            words.insert(0, "sudo".to_owned());
            by = RanAs::Root;
        }
        raised.push(words);
    }
    if by == RanAs::Root {
        let raised: Vec<&[String]> = raised.iter().map(Vec::as_slice).collect();
        match output(host, &raised) {
            Ok(output) => match refusal(&output) {
                None => return Ok(Ran { output, by }),
                Some(why) => by = RanAs::Unprivileged(why),
            },
            Err(error) if error.kind == ErrorKind::Permission => by = RanAs::Unprivileged(said(&error.message)),
            Err(error) => return Err(error),
        }
    }
    Ok(Ran { output: output(host, stages)?, by })
}

/// What sudo said if it ran nothing in a pipeline, whose status is its last stage's.
fn refusal(output: &Output) -> Option<String> {
    output.stdout.is_empty().then(|| output.stderr.lines().find(|line| is_said_of_a_refusal(line)).map(said)).flatten()
}

/// Whether sudo, or sudo-rs, says so where it runs nothing. It warns of other things, as of a host whose name it cannot resolve, and
/// runs the program all the same.
fn is_said_of_a_refusal(line: &str) -> bool {
    const REFUSALS: [&str; 11] = [
        " is required",
        "no tty present",
        "sorry",
        "not allowed",
        "command not found",
        "must be owned by",
        "unknown user",
        "no new privileges",
        "effective uid is not 0",
        "no valid sudoers sources",
        "account validation failure",
    ];
    let is_sudos = line.starts_with("sudo: ") || line.starts_with("sudo-rs: ");
    line.starts_with("Sorry, user ")
        || line.contains(" is not in the sudoers file")
        || is_sudos && REFUSALS.iter().any(|words| line.contains(words))
}

fn said(line: &str) -> String {
    text::clipped(&text::one_line(line), MAX_COMPLAINT)
}

#[cfg(test)]
mod tests {
    use super::{RanAs, refusal};
    use crate::exec::Output;

    #[test]
    fn as_whom_a_program_ran_is_told_and_what_would_show_more() {
        let refused = RanAs::Unprivileged("box: sudo did not run it".to_owned());
        assert_eq!(RanAs::Root.note("ss").as_deref(), Some("`ss` ran as root"));
        assert_eq!(refused.note("ss").as_deref(), Some("`ss` did not run as root: box: sudo did not run it"));
        assert_eq!(RanAs::Account.note("ss"), None);
        let advice = "`sudo = [[\"ss\", \"-l\"]]` below [hosts.NAME] in scout.toml would show more";
        assert_eq!(RanAs::Account.advice(&["ss", "-l"]).as_deref(), Some(advice));
        assert_eq!((RanAs::Root.advice(&["ss"]), refused.advice(&["ss"])), (None, None));
    }

    #[test]
    fn a_pipeline_in_which_sudo_ran_nothing_is_told_from_one_that_says_nothing() {
        let output = |stdout: &str, stderr: &str| {
            let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.to_owned());
            refusal(&Output { exit: Some(0), stdout, stderr, truncated: false })
        };
        let asks = "x: odd\nsudo: a password is required\n";
        assert_eq!(output("", asks).as_deref(), Some("sudo: a password is required"));
        assert_eq!((output("a line", asks), output("", "journalctl: none\n")), (None, None));
        for warns in [
            "sudo: unable to resolve host web1: Name or service not known\n",
            "sudo: setrlimit(RLIMIT_CORE): Operation not permitted\n",
            "sudo: unable to send audit message: Operation not permitted\n",
        ] {
            assert_eq!(output("", warns), None, "it ran, and found nothing");
            assert_eq!(output("", &format!("{warns}{asks}")).as_deref(), Some("sudo: a password is required"));
        }
        for refuses in [
            "Sorry, user ann is not allowed to execute '/bin/ss -l' as root on web1.\n",
            "ann is not in the sudoers file.\n",
            "sudo: ss: command not found\n",
            "sudo: sorry, you must have a tty to run sudo\n",
            "sudo-rs: interactive authentication is required\n",
        ] {
            assert_eq!(output("", refuses).as_deref(), Some(refuses.trim_end()));
        }
        let long =
            output("", &format!("sudo: a password is required {}\u{1b}[2J", "x".repeat(1 << 20))).unwrap_or_default();
        assert!(long.len() < 300 && !long.contains('\u{1b}'), "{long}");
    }
}
