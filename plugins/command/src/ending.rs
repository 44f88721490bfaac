//! How a command ended, told to people and in fields. Pure.

use scout_plugin::exec::{Ending, RemoteState};
use scout_plugin::{ErrorKind, text};

/// An ending, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) exit: Option<u64>,
    pub(crate) signal: Option<String>,
    pub(crate) timed_out: bool,
    pub(crate) output_limit: bool,
    /// Whether it still runs on the host, where that is a question.
    pub(crate) remote: Option<&'static str>,
    /// What kind of failure it was. A command that exits 3 or dies of a signal of its own ran all the same.
    pub(crate) failed: Option<ErrorKind>,
    /// A sentence for people; none for a success.
    pub(crate) sentence: Option<String>,
}

/// Tells an ending.
pub(crate) fn told(ending: &Ending, duration_ms: u64) -> Told {
    let plain = Told {
        exit: None,
        signal: None,
        timed_out: false,
        output_limit: false,
        remote: None,
        failed: None,
        sentence: None,
    };
    match ending {
        Ending::Exited(0) => Told { exit: Some(0), ..plain },
        Ending::Exited(status) => {
            Told { exit: Some(u64::from(*status)), sentence: Some(format!("exit status {status}")), ..plain }
        }
        Ending::Signaled(signal) => {
            Told { signal: Some(signal.clone()), sentence: Some(format!("ended by signal {signal}")), ..plain }
        }
        Ending::TimedOut(state) => Told {
            timed_out: true,
            remote: Some(remote(*state)),
            failed: Some(ErrorKind::Timeout),
            sentence: Some(format!("timed out after {}; {}", seconds(duration_ms), whereabouts(*state))),
            ..plain
        },
        Ending::OutputLimit(state) => Told {
            output_limit: true,
            remote: Some(remote(*state)),
            sentence: Some(format!("wrote more than the output limit; {}", whereabouts(*state))),
            ..plain
        },
        Ending::NoStatus => Told {
            remote: Some(remote(RemoteState::Unknown)),
            failed: Some(ErrorKind::Unreachable),
            sentence: Some(format!(
                "the connection ended before the command's status came; {}",
                whereabouts(RemoteState::Unknown)
            )),
            ..plain
        },
    }
}

/// The last line of the answer: how it ended if not well, or that there was nothing to show.
pub(crate) fn status(told: &Told, silent: bool) -> Option<String> {
    match (&told.sentence, silent) {
        (Some(sentence), true) => Some(format!("(no output) {sentence}")),
        (Some(sentence), false) => Some(sentence.clone()),
        (None, true) => Some("(no output)".to_owned()),
        (None, false) => None,
    }
}

fn remote(state: RemoteState) -> &'static str {
    match state {
        RemoteState::Stopped => "stopped",
        RemoteState::Running => "running",
        RemoteState::Unknown => "unknown",
    }
}

fn whereabouts(state: RemoteState) -> &'static str {
    match state {
        RemoteState::Stopped => "the command was stopped on the host",
        RemoteState::Running => "the command still runs on the host",
        RemoteState::Unknown => "whether the command still runs on the host is unknown",
    }
}

/// Milliseconds as seconds, with a tenth where there is one.
fn seconds(milliseconds: u64) -> String {
    let in_tenths = milliseconds.saturating_add(50) / 100;
    if in_tenths.is_multiple_of(10) {
        format!("{} s", in_tenths / 10)
    } else {
        format!("{} s", text::tenths(in_tenths))
    }
}

#[cfg(test)]
mod tests {
    use super::{status, told};
    use scout_plugin::ErrorKind;
    use scout_plugin::exec::{Ending, RemoteState};

    fn said(ending: Ending) -> Option<String> {
        status(&told(&ending, 1_020), false)
    }

    #[test]
    fn a_success_says_nothing_unless_there_is_nothing_else() {
        assert_eq!(said(Ending::Exited(0)), None);
        assert_eq!(status(&told(&Ending::Exited(0), 5), true).as_deref(), Some("(no output)"));
        assert_eq!(status(&told(&Ending::Exited(1), 5), true).as_deref(), Some("(no output) exit status 1"));
    }

    #[test]
    fn a_status_and_a_signal_are_no_failure_of_the_operation() {
        assert_eq!(said(Ending::Exited(3)).as_deref(), Some("exit status 3"));
        assert_eq!(said(Ending::Signaled("TERM".to_owned())).as_deref(), Some("ended by signal TERM"));
        let died = told(&Ending::Signaled("TERM".to_owned()), 5);
        assert_eq!((told(&Ending::Exited(3), 5).failed, died.failed), (None, None));
    }

    #[test]
    fn a_timeout_says_what_is_known_of_the_command() {
        assert_eq!(
            said(Ending::TimedOut(RemoteState::Stopped)).as_deref(),
            Some("timed out after 1 s; the command was stopped on the host")
        );
        let unknown = told(&Ending::TimedOut(RemoteState::Unknown), 2_500);
        assert_eq!((unknown.failed, unknown.remote), (Some(ErrorKind::Timeout), Some("unknown")));
        assert!(unknown.timed_out);
        assert!(unknown.sentence.is_some_and(|sentence| sentence.starts_with("timed out after 2.5 s")));
    }

    #[test]
    fn the_output_limit_is_told_but_no_failure() {
        let limit = told(&Ending::OutputLimit(RemoteState::Stopped), 5);
        assert!(limit.output_limit && limit.failed.is_none() && limit.exit.is_none());
    }

    #[test]
    fn a_lost_status_is_a_failure_that_leaves_the_command_open() {
        let lost = told(&Ending::NoStatus, 5);
        assert_eq!((lost.failed, lost.remote), (Some(ErrorKind::Unreachable), Some("unknown")));
    }
}
