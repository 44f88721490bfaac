//! What programs complained about: known words of theirs, and everything else. Pure.
//!
//! Every command of Scout speaks English, so that words can be known. **What is not known is never taken for nothing**: without
//! entries it is an error, beside entries a note.

use scout_plugin::text;

/// The most characters of what a program complained about.
const MAX_COMPLAINT: usize = 500;

/// The most complaints that are repeated one by one.
const MAX_NOTES: usize = 5;

/// Standard error of a pipeline with `journalctl`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// It does not know one of our flags.
    pub(crate) old: Option<String>,
    /// There is no journal that the account may read; why.
    pub(crate) no_journal: Option<String>,
    /// Whose entries the account does not see.
    pub(crate) unseen: Option<String>,
    /// Files that were left out.
    pub(crate) ignored: Vec<String>,
    /// Everything else.
    pub(crate) other: Vec<String>,
}

impl Said {
    /// Takes standard error apart. A line that begins with a blank goes on with the one in front.
    pub(crate) fn parse(stderr: &str) -> Self {
        let mut said = Self::default();
        for complaint in complaints(stderr) {
            let says = |known: &[&str]| known.iter().any(|known| complaint.contains(known));
            let list = if says(&["unrecognized option", "invalid option", "ompiled without pattern matching"]) {
                said.old = Some(complaint);
                continue;
            } else if says(&["No journal files were"]) || says(&["journalctl"]) && says(&["not found"]) {
                said.no_journal = Some(complaint);
                continue;
            } else if let Some(hint) = complaint.strip_prefix("Hint: You are currently not seeing messages from ") {
                // `other users and the system.  Users in the 'systemd-journal' group can see all messages. Pass -q to …`
                let hint = hint.split(" Pass -q").next().unwrap_or(hint);
                said.unseen = Some(hint.trim_end().trim_end_matches('.').to_owned());
                continue;
            } else if says(&["SYSTEMD_LOG_LEVEL=debug"]) {
                // How to find out more, behind a file that was ignored.
                continue;
            } else if says(&["ignoring file"]) {
                &mut said.ignored
            } else {
                &mut said.other
            };
            // Each of two programs says it.
            if !list.contains(&complaint) {
                list.push(complaint);
            }
        }
        said
    }

    /// What a reader of entries must know of what was said beside them.
    pub(crate) fn notes(&self) -> Vec<String> {
        let unseen = self.unseen.as_ref().map(|hint| format!("the account does not see the entries of {hint}"));
        let repeated = |complaints: &[String]| {
            let left = complaints.len().saturating_sub(MAX_NOTES);
            let more = (left > 0).then(|| format!("journalctl said {left} more of this kind"));
            let each = complaints.iter().take(MAX_NOTES).map(|complaint| format!("journalctl said: {complaint}"));
            each.chain(more).collect::<Vec<_>>()
        };
        unseen.into_iter().chain(repeated(&self.ignored)).chain(repeated(&self.other)).collect()
    }
}

/// Complaints, each as one line without the colours that some versions write.
pub(crate) fn complaints(stderr: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in plain(stderr).lines().filter(|line| !line.trim().is_empty()) {
        match all.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => all.push(line.trim().to_owned()),
        }
    }
    all.iter().map(|complaint| text::clipped(complaint, MAX_COMPLAINT)).collect()
}

/// All of them as one line.
pub(crate) fn one_line(complaints: &[String]) -> String {
    text::clipped(&complaints.join("; "), MAX_COMPLAINT)
}

fn plain(stderr: &str) -> String {
    let mut plain = String::new();
    let mut rest = stderr;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.strip_prefix('[').unwrap_or(after).trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::Said;

    fn one(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn silence_says_nothing() {
        assert_eq!((Said::parse(""), Said::parse("\n \n")), (Said::default(), Said::default()));
    }

    #[test]
    fn what_journalctl_says_is_told_apart() {
        let red = "\u{1b}[0;1;31mNo journal files were opened due to insufficient permissions.\u{1b}[0m\n";
        let expected = "No journal files were opened due to insufficient permissions.";
        assert_eq!(Said::parse(red).no_journal.as_deref(), Some(expected));
        for missing in [
            "sh: 1: journalctl: not found\n",
            "/bin/sh: line 1: journalctl: command not found\n",
            "No journal files were found.\n",
        ] {
            assert!(Said::parse(missing).no_journal.is_some(), "{missing}");
        }
        for old in
            ["journalctl: unrecognized option '--output-fields=X'\n", "Compiled without pattern matching support\n"]
        {
            assert!(Said::parse(old).old.is_some(), "{old}");
        }
        let bad = "Bad pattern \"(\": missing closing parenthesis\n";
        assert_eq!(Said::parse(bad), Said { other: one(bad.trim()), ..Said::default() });
    }

    #[test]
    fn a_hint_tells_whose_entries_are_not_seen() {
        // systemd 252 and 257, and 252 where the directory has access lists; each of two programs says it.
        let plain = "Hint: You are currently not seeing messages from other users and the system.\n      \
                     Users in the 'systemd-journal' group can see all messages. Pass -q to\n      turn off this notice.\n";
        let notes = Said::parse(&plain.repeat(2)).notes();
        assert_eq!(
            notes,
            ["the account does not see the entries of other users and the system. \
              Users in the 'systemd-journal' group can see all messages"]
        );
        let listed = "Hint: You are currently not seeing messages from the system.\n      Users in groups 'adm', \
                      'systemd-journal' can see all messages.\n      Pass -q to turn off this notice.\n";
        assert_eq!(
            Said::parse(listed).unseen.as_deref(),
            Some("the system. Users in groups 'adm', 'systemd-journal' can see all messages")
        );
    }

    #[test]
    fn files_that_were_left_out_are_notes_and_so_is_what_nobody_knows() {
        let said = Said::parse(
            "Journal file /var/log/journal/x/system.journal uses an unsupported feature, ignoring file.\n\
             Use SYSTEMD_LOG_LEVEL=debug journalctl --file=/var/log/journal/x/system.journal to see the details.\n\
             Journal file /var/log/journal/x/user-1.journal is truncated, ignoring file.\nthe moon is full\n",
        );
        assert_eq!((said.ignored.len(), &said.other), (2, &one("the moon is full")));
        let notes = said.notes();
        assert!(
            notes[0].starts_with("journalctl said: Journal file /var/log/journal/x/system.journal uses"),
            "{notes:?}"
        );
        assert_eq!(notes[2], "journalctl said: the moon is full");
        let many: String = (0..9).map(|at| format!("Journal file {at} corrupted, ignoring file.\n")).collect();
        let notes = Said::parse(&many).notes();
        assert_eq!((notes.len(), notes[5].as_str()), (6, "journalctl said 4 more of this kind"));
    }
}
