//! Which commands a rule lets through: one stage of a pipeline, word by word.

use super::wild::Wild;
use crate::policy::{Stage, Word};

/// Words of one rule.
const MAX_WORDS: usize = 64;
/// Bytes of one word of a rule.
const MAX_WORD: usize = 1024;
/// Stands for all words that follow.
const REST: &str = "...";

/// The words of one command: a program, then words that stand for themselves, except that
///
/// - `*` as a word is any one word that does not begin with `-`;
/// - `*` within a word is any characters but `/`; a word with `*` matches nothing that begins with `-` unless it begins
///   with it itself, and nothing that has `..` for a directory;
/// - `...` as the last word is any further words, flags included, or none.
///
/// A glob that the host would expand may become several words: only `...` lets it through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv {
    words: Vec<String>,
    /// Whether any words may follow.
    open: bool,
}

impl Argv {
    /// A rule, if it is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let (words, open) = match words.split_last() {
            Some((last, before)) if last == REST => (before, true),
            _ => (words, false),
        };
        match words.first() {
            None => return Err("a command begins with its program, such as [\"df\", \"-h\"]".to_owned()),
            Some(program) if program.is_empty() || program.contains(['*', ' ']) => {
                return Err(format!(
                    "{program:?} is not a program: name it literally, and its arguments as further words"
                ));
            }
            Some(_) => {}
        }
        if words.iter().any(|word| word == REST) {
            return Err("`...` stands for all words that follow: it must be the last word".to_owned());
        }
        if words.len() > MAX_WORDS || words.iter().any(|word| word.len() > MAX_WORD || word.contains('\0')) {
            return Err(format!("a command has at most {MAX_WORDS} words of {MAX_WORD} bytes, without NUL"));
        }
        Ok(Self { words: words.to_vec(), open })
    }

    /// Its words, as it is written.
    pub fn words(&self) -> Vec<String> {
        self.words.iter().map(String::as_str).chain(self.open.then_some(REST)).map(str::to_owned).collect()
    }

    /// Whether it lets this stage through.
    pub fn matches(&self, stage: &Stage) -> bool {
        let fits = self.words.len() == stage.words.len() || self.open && self.words.len() < stage.words.len();
        fits && self.words.iter().zip(&stage.words).all(|(rule, word)| match word {
            Word::Literal(text) => matches(rule, text),
            Word::Glob(_) => false,
        })
    }
}

fn matches(rule: &str, word: &str) -> bool {
    if !rule.contains('*') {
        return rule == word;
    }
    if word.starts_with('-') && !rule.starts_with('-') {
        return false;
    }
    if rule == "*" {
        return true;
    }
    let climbs = word.split(['/', '=']).any(|name| name == "..");
    !climbs && Wild { one: false, never: Some(b'/') }.matches(rule.as_bytes(), word.as_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;
    use crate::policy::StderrTo;

    fn rule(words: &str) -> Result<Argv, String> {
        Argv::parse(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn stage(words: &str) -> Stage {
        let word = |text: &str| match text.strip_prefix("glob:") {
            Some(glob) => Word::Glob(glob.to_owned()),
            None => Word::Literal(text.to_owned()),
        };
        Stage { words: words.split(' ').map(word).collect(), stderr: StderrTo::Capture }
    }

    #[test]
    fn a_rule_is_matched_word_by_word() {
        for (words, command, matches) in [
            ("df -h", "df -h", true),
            ("df -h", "df", false),
            ("df -h", "df -h /", false),
            ("df -h", "df -hT", false),
            ("df -h", "/bin/df -h", false),
            ("journalctl -u *", "journalctl -u nginx", true),
            ("journalctl -u *", "journalctl -u --vacuum-size=1", false),
            ("journalctl -u *", "journalctl -u", false),
            ("journalctl -u *", "journalctl -u a b", false),
            ("journalctl -u app-*", "journalctl -u app-1", true),
            ("journalctl -u app-*", "journalctl -u web-1", false),
            ("journalctl --unit=*", "journalctl --unit=nginx", true),
            ("cat /var/log/*.log", "cat /var/log/a.log", true),
            ("cat /var/log/*.log", "cat /var/log/x/a.log", false),
            ("ls /var/log/*", "ls /var/log/..", false),
            ("cat *", "cat ../x", true),
            ("cat *", "cat -n", false),
            ("cat *", "cat glob:*", false),
            ("cat /var/log/*", "cat glob:/var/log/*", false),
            ("cat ...", "cat glob:/var/log/*", true),
            ("cat ...", "cat", true),
            ("ls -l ...", "ls -l -a /", true),
            ("ls -l ...", "ls -a -l", false),
        ] {
            assert_eq!(rule(words).unwrap().matches(&stage(command)), matches, "{words} <- {command}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for words in ["", "...", "* -h", "df ... -h", "d*"] {
            assert!(rule(words).is_err(), "{words}");
        }
        assert!(Argv::parse(&[]).is_err());
        assert!(Argv::parse(&["df -h".to_owned()]).unwrap_err().contains("further words"));
    }
}
