//! Takes apart what sshd is set to: what `sshd -T` prints, and what its files say. Pure.

use scout_plugin::text;

use crate::finding::{CIPHERS, EXCHANGES, Finding, KEYS, MACS, State};

/// The files, the one that wins first: Debian, Red Hat and their kin include the directory at the beginning of the file.
pub(crate) const FILE: &str = "/etc/ssh/sshd_config";
pub(crate) const FILES: &str = "/etc/ssh/sshd_config.d/*.conf";

/// Settings that are looked at, by keyword in small letters, each with its first value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) set: Vec<(String, String)>,
    /// Whether some are only for some connections, and were not looked at.
    pub(crate) has_match: bool,
    /// Whether a file was not read that may say otherwise.
    pub(crate) is_partial: bool,
}

impl Settings {
    /// What `sshd -T` prints: keywords in small letters, each line one. What is below `Match` is not among them.
    pub(crate) fn of_dump(output: &str) -> Self {
        let mut settings = Self { has_match: true, ..Self::default() };
        output.lines().for_each(|line| settings.take(line));
        settings
    }

    /// Lines of files with the name of the file in front, as `grep -H` writes them. The first value counts; a `Match` ends with its file.
    /// The files of the directory count where `sshd_config` includes them.
    pub(crate) fn of_files(output: &str) -> Self {
        let lines: Vec<(&str, &str)> = output.lines().filter_map(|line| line.split_once(':')).collect();
        let mut settings = Self::default();
        let mut in_match = false;
        for (_, line) in lines.iter().filter(|(file, _)| *file == FILE) {
            let (keyword, value) = parts(line).unwrap_or((line, String::new()));
            in_match |= keyword.eq_ignore_ascii_case("match");
            settings.has_match |= in_match;
            if in_match {
                continue;
            }
            if !keyword.eq_ignore_ascii_case("include") {
                settings.take(line);
            } else if value == FILES {
                settings.take_included(lines.iter().filter(|(file, _)| *file != FILE));
            } else {
                settings.is_partial = true;
            }
        }
        settings
    }

    fn take_included<'a>(&mut self, lines: impl Iterator<Item = &'a (&'a str, &'a str)>) {
        let (mut last, mut in_match) = ("", false);
        for (file, line) in lines {
            if *file != last {
                (last, in_match) = (file, false);
            }
            let keyword = parts(line).map_or(*line, |(keyword, _)| keyword);
            in_match |= keyword.eq_ignore_ascii_case("match");
            self.has_match |= in_match;
            self.is_partial |= !in_match && keyword.eq_ignore_ascii_case("include");
            if !in_match {
                self.take(line);
            }
        }
    }

    fn take(&mut self, line: &str) {
        let Some((keyword, value)) = parts(line) else { return };
        let keyword = keyword.to_ascii_lowercase();
        let is_known = SWITCHES.iter().any(|(known, ..)| *known == keyword)
            || LISTS.iter().any(|(known, _)| *known == keyword)
            || keyword == RSA_SIZE;
        if is_known && self.get(&keyword).is_none() {
            self.set.push((keyword, value));
        }
    }

    fn get(&self, keyword: &str) -> Option<&str> {
        self.set.iter().find(|(known, _)| known == keyword).map(|(_, value)| value.as_str())
    }

    /// What they come to.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (keyword, weak, state, why) in SWITCHES {
            if let Some(value) = self.get(keyword) {
                let is_known = VALUES.iter().any(|known| value.eq_ignore_ascii_case(known));
                let (state, why) = match value.eq_ignore_ascii_case(weak) {
                    true => (state, why),
                    false if is_known => (State::Ok, ""),
                    false => (State::Unknown, "no value that is known here"),
                };
                findings.push(Finding::new(keyword, state, value, why));
            }
        }
        for (keyword, algorithms) in LISTS {
            let Some(value) = self.get(keyword) else { continue };
            findings.push(of_list(keyword, value, algorithms));
        }
        if let Some(value) = self.get(RSA_SIZE) {
            let (state, why) = match value.parse::<u64>() {
                Ok(bits) if bits >= 2048 => (State::Ok, ""),
                Ok(_) => (State::Weak, "RSA keys below 2048 bits may log in"),
                Err(_) => (State::Unknown, "no number"),
            };
            findings.push(Finding::new(RSA_SIZE, state, value, why));
        }
        for finding in findings.iter_mut().filter(|finding| self.is_partial && finding.state == State::Ok) {
            finding.state = State::Unknown;
            finding.why = "a file that was not read may say otherwise".into();
        }
        findings
    }
}

/// The keyword and the value of a line, without a comment behind it and quotes around it.
fn parts(line: &str) -> Option<(&str, String)> {
    let (keyword, rest) = line.trim().split_once(|c: char| c.is_ascii_whitespace() || c == '=')?;
    let mut is_quoted = false;
    let end = rest.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '"';
        (c == '#' && !is_quoted).then_some(at)
    });
    let value = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    Some((keyword, value.trim_matches(|c: char| c.is_ascii_whitespace() || c == '"' || c == '=').to_owned()))
}

/// What switches may be set to.
const VALUES: [&str; 5] = ["yes", "no", "prohibit-password", "without-password", "forced-commands-only"];

const RSA_SIZE: &str = "requiredrsasize";

/// Settings of which one value is not good, and why.
const SWITCHES: [(&str, &str, State, &str); 6] = [
    ("passwordauthentication", "yes", State::Weak, "a password can be guessed and told: let keys in only"),
    (
        "kbdinteractiveauthentication",
        "yes",
        State::Unknown,
        "asks what PAM says: a second factor, or the password that `passwordauthentication no` forbids",
    ),
    ("permitrootlogin", "yes", State::Weak, "root's password is tried first: `prohibit-password` lets keys in only"),
    ("permitemptypasswords", "yes", State::Weak, "an account without a password is open to anybody"),
    ("hostbasedauthentication", "yes", State::Weak, "lets in whom another host vouches for"),
    ("permituserenvironment", "yes", State::Weak, "variables of an account can get round what a forced command allows"),
];

/// Lists of algorithms, and parts of their names that are weak.
const LISTS: [(&str, Algorithms); 5] = [
    ("ciphers", Algorithms::With(&CIPHERS)),
    ("macs", Algorithms::With(&MACS)),
    ("kexalgorithms", Algorithms::With(&EXCHANGES)),
    ("hostkeyalgorithms", Algorithms::Named(&KEYS)),
    ("pubkeyacceptedalgorithms", Algorithms::Named(&KEYS)),
];

/// Which names are weak, each with why.
#[derive(Clone, Copy)]
enum Algorithms {
    With(&'static [(&'static str, &'static str)]),
    Named(&'static [(&'static str, &'static str)]),
}

fn of_list(keyword: &str, value: &str, algorithms: Algorithms) -> Finding {
    if value.starts_with('-') {
        return Finding::new(keyword, State::Unknown, value, "what is left of the defaults is not told here");
    }
    let names = value.trim_start_matches(['+', '^']).split(',');
    let why = |name: &str| match algorithms {
        Algorithms::With(weak) => weak.iter().find(|(part, _)| name.contains(part)),
        Algorithms::Named(weak) => weak.iter().find(|(known, _)| *known == name),
    };
    let weak: Vec<(&str, &str)> = names.clone().filter_map(|name| Some((name, why(name)?.1))).collect();
    let Some((_, first)) = weak.first() else {
        let count = text::count(names.count() as u64, "algorithm", "algorithms");
        return Finding::new(keyword, State::Ok, &count, "");
    };
    let names: Vec<&str> = weak.iter().map(|(name, _)| *name).collect();
    Finding::new(keyword, State::Weak, &names.join(","), format!("offered: {first}"))
}

/// Host keys and when they were written, of lines `SECONDS PATH`.
pub(crate) fn keys(output: &str) -> Vec<Finding> {
    let key = |line: &str| {
        let (seconds, path) = line.split_once(' ')?;
        let name = path.strip_prefix("/etc/ssh/")?;
        let finding = Finding::new("host_key_file", State::Ok, name, "written then");
        Some(Finding { time: Some(seconds.parse().ok()?), ..finding })
    };
    output.lines().filter_map(key).collect()
}
