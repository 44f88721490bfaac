//! Commands that run as root: a stage that begins with `sudo`.
//!
//! Owns what of the table may be run so, how it is sent, and the line of sudoers that allows a row. Which rows there are the operator says
//! ([`HostRules`](crate::grants::HostRules)). No password is known to anybody: `sudo -n` asks for none.

use scout_machine::RemotePath;

use super::table::row_of;
use super::{PathCheck, PathOperand, PathUse, Pipeline, Refusal, SecretPaths, Stage, StderrTo, Word, grammar, quoted};

/// The program.
const SUDO: &str = "sudo";
/// As it is sent, in front of the command.
pub(super) const SENT: &[u8] = b"sudo -n -- ";

/// Where root's programs are, in the order in which sudo looks for them.
pub const PLACES: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What a stage runs as root, if it does. Options of sudo and variables in front of the program are none of it.
pub fn command(stage: &Stage) -> Option<Stage> {
    let (Word::Literal(sudo), Word::Literal(program)) = (stage.words.first()?, stage.words.get(1)?) else {
        return None;
    };
    let is_program = !program.starts_with('-') && !program.contains('=');
    let words = stage.words.get(1..).unwrap_or_default().to_vec();
    (sudo == SUDO && is_program).then_some(Stage { words, stderr: stage.stderr })
}

/// The stage that runs a command as root.
pub(crate) fn in_front(mut command: Stage) -> Stage {
    command.words.insert(0, Word::Literal(SUDO.to_owned()));
    command
}

/// Whether a stage of it runs as root.
pub(crate) fn is_in(pipeline: &Pipeline) -> bool {
    pipeline.stages.iter().any(|stage| command(stage).is_some())
}

/// The same without any `sudo`: what the table judges.
pub(crate) fn without(pipeline: &Pipeline) -> Pipeline {
    let stages = pipeline.stages.iter().map(|stage| command(stage).unwrap_or_else(|| stage.clone()));
    Pipeline { stages: stages.collect(), directory: pipeline.directory.clone() }
}

/// Whether a command that the table allows may run as root too. What guards files from the account does not guard them from root, so
/// nothing is left to what a shell makes of a word, or to what a program finds in a directory.
///
/// # Errors
/// The word that is refused, and why.
pub(crate) fn check(secrets: &SecretPaths, command: &Stage, directory: Option<&RemotePath>) -> Result<(), Refusal> {
    let refuse = |what: &str, why: &str, instead: &str| {
        Err(Refusal { what: quoted(what), why: why.to_owned(), instead: Some(instead.to_owned()) })
    };
    if let Some(Word::Glob(glob)) = command.words.iter().find(|word| matches!(word, Word::Glob(_))) {
        return refuse(
            glob,
            "a command that runs as root has no globs: they could become a secret's name",
            "the paths, written out",
        );
    }
    let program = command.words.first().map(Word::text).unwrap_or_default();
    match row_of(&command.words) {
        Some((row, _)) if row.is_builtin || !row.environment.is_empty() || !row.runs.is_empty() => {
            return refuse(
                program,
                "does not run as root here: sudo would not give it what keeps it within bounds",
                "the same without `sudo`",
            );
        }
        Some(_) => {}
        None => return refuse(program, "with `sudo` only what the table has a row for", "the same without `sudo`"),
    }
    let held = |operand: PathOperand<'_>| {
        if operand.look == PathUse::Searches {
            let shown = String::from_utf8_lossy(operand.path).into_owned();
            let why = "a program that searches directories does not run as root: it would read the secrets in them";
            return refuse(&shown, why, "the same without `sudo`, or a program that is given files");
        }
        secrets.check_operand(operand)
    };
    let held: &PathCheck<'_> = &held;
    grammar::check(&command.words, directory, held)
}

/// Whether this could be a row: a program of the table, and words that sudoers can say exactly.
///
/// # Errors
/// Why it is none.
pub fn check_row(words: &[String]) -> Result<(), String> {
    let typed: Vec<Word> = words.iter().map(|word| Word::Literal(word.clone())).collect();
    if words.last().is_some_and(|word| word == "...") {
        return Err("`...` lets any words follow: a row of `sudo` has each of them, or `*` for one".to_owned());
    }
    if words.first().is_some_and(|word| word == SUDO) {
        return Err("a row of `sudo` begins with the program, not with `sudo`".to_owned());
    }
    let Some((row, _)) = row_of(&typed) else {
        let program = words.first().map(String::as_str).unwrap_or_default();
        return Err(format!(
            "{} begins no row of the table of commands, and nothing else runs as root",
            quoted(program)
        ));
    };
    if row.is_builtin || !row.environment.is_empty() || !row.runs.is_empty() {
        return Err(format!(
            "`{}` does not run as root here: sudo would not give it what keeps it within bounds",
            row.name
        ));
    }
    if let Some(word) = words.iter().find(|word| word.is_empty() || !word.chars().all(is_plain)) {
        return Err(format!(
            "{} has what sudoers cannot say exactly: words are of letters, digits and `._/@%+:=,-`, and `*`",
            quoted(word)
        ));
    }
    let could_climb = |name: &str| name != "*" && name.contains('*') && name.chars().all(|c| c == '*' || c == '.');
    if let Some(word) = words.iter().find(|word| word.split(['/', '=']).any(could_climb)) {
        return Err(format!("{} could become `..`, which sudoers cannot be told not to be", quoted(word)));
    }
    let has_any = words.iter().any(|word| word.contains('*'));
    if has_any && ANYTHING.contains(&row.name) {
        return Err(format!("with `*` the words of `{}` could be those that write: write them out", row.name));
    }
    // What the table lets nobody run must not be let by sudoers either, which knows no table.
    let judged = |any: &str| {
        let word = |word: &String| match word.as_str() {
            "*" => any.to_owned(),
            word => word.replace('*', "x"),
        };
        let words = words.iter().map(|text| Word::Literal(word(text))).collect();
        check(&SecretPaths::default(), &Stage { words, stderr: StderrTo::Capture }, None)
    };
    let mut judged = ANY.iter().map(|any| judged(any));
    let first = judged.next().unwrap_or(Ok(()));
    match first {
        Err(refusal) if !judged.any(|judged| judged.is_ok()) => {
            Err(format!("the table of commands lets nobody run it: {refusal}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a `*` may stand for in a command that is judged in the place of a row.
const ANY: [&str; 4] = ["x", "/x", "1", "/dev/sda"];
/// Programs of which one more word may write: a value to be set, a program of theirs.
const ANYTHING: [&str; 3] = ["sysctl", "awk", "sed"];

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._/@%+:=,-*".contains(c)
}

/// The line of sudoers that allows exactly a row, to an account of this name, of a program that lies at this path. Absent if one of them
/// cannot be written there.
///
/// A `*` becomes an expression, which sudo takes from 1.9.10 on: its own wildcards match blanks too, and so further words.
pub fn sudoers(account: &str, path: &str, row: &[String]) -> Option<String> {
    let is_name = |text: &str, also: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let is_account = is_name(account, "_.-") && account.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !is_account || !is_name(path, "_./+-") || !path.starts_with('/') || check_row(row).is_err() {
        return None;
    }
    let typed: Vec<Word> = row.iter().map(|word| Word::Literal(word.clone())).collect();
    let (table_row, _) = row_of(&typed)?;
    // As it is sent: with what the table puts behind the words that the row is named by.
    let (named, rest) = row.split_at_checked(table_row.words().count())?;
    let begins = table_row.begins.split_ascii_whitespace().map(str::to_owned);
    let arguments: Vec<String> = named.iter().skip(1).cloned().chain(begins).chain(rest.iter().cloned()).collect();
    let escaped = |word: &str| {
        word.chars().fold(String::new(), |out, c| {
            if ",:=".contains(c) { out + "\\" + &c.to_string() } else { out + &c.to_string() }
        })
    };
    let command = if arguments.is_empty() {
        "\"\"".to_owned()
    } else if arguments.iter().any(|word| word.contains('*')) {
        let words: Vec<String> = arguments.iter().map(|word| expression(word)).collect();
        format!("^{}$", words.join(" "))
    } else {
        arguments.iter().map(|word| escaped(word)).collect::<Vec<_>>().join(" ")
    };
    Some(format!("{account} ALL=(root) NOPASSWD: {path} {command}"))
}

/// What a word of a row lets through, as an extended regular expression of POSIX: a word with `*` begins with no `-` but its own, and no
/// name in it is `..`.
fn expression(word: &str) -> String {
    if word == "*" {
        return "[^-[:space:]][^[:space:]]*".to_owned();
    }
    let mut out = String::new();
    for name in word.split_inclusive(['/', '=']) {
        let (name, end) = match name.strip_suffix(['/', '=']) {
            Some(before) => (before, name.get(before.len()..).unwrap_or_default()),
            None => (name, ""),
        };
        let is_first = out.is_empty();
        if name == "*" {
            let first = if is_first { "[^-./[:space:]]" } else { "[^./[:space:]]" };
            out.push_str(&format!("({first}[^/[:space:]]*|[.]|[.][^./[:space:]][^/[:space:]]*|[.][.][^/[:space:]]+)"));
        }
        for (at, c) in name.chars().enumerate().filter(|_| name != "*") {
            match c {
                '*' if at == 0 && is_first => out.push_str("([^-/[:space:]][^/[:space:]]*)?"),
                '*' => out.push_str("[^/[:space:]]*"),
                '.' | '+' => out.extend(['[', c, ']']),
                ',' | ':' => out.extend(['\\', c]),
                _ => out.push(c),
            }
        }
        out.push_str(if end == "=" { "\\=" } else { end });
    }
    out
}

/// What sudo says, if it runs nothing: it is not there, asks for a password, or does not let the account. Behind a pipe (`is_piped`) what comes
/// out and the status are another program's, and only what sudo is known to say counts.
pub(crate) fn refusal(is_piped: bool, status: u32, stdout: &[u8], stderr: &[u8]) -> Option<String> {
    let stderr = String::from_utf8_lossy(stderr.get(..stderr.len().min(4096)).unwrap_or_default());
    if is_piped {
        return stderr.lines().find(|line| is_said_of_a_refusal(line)).map(str::to_owned);
    }
    let first = stderr.lines().next().unwrap_or_default();
    let says = first.starts_with("sudo: ") || first.starts_with("Sorry, user ");
    let is_absent = status == 127 && stderr.contains(SUDO);
    (stdout.is_empty() && (is_absent || status == 1 && says)).then(|| first.to_owned())
}

/// A line of sudo, sudo-rs or a shell without either. Sudo warns of other things and runs the program all the same.
fn is_said_of_a_refusal(line: &str) -> bool {
    const REFUSALS: &[&str] = &[
        " is required",
        "no tty present",
        "sorry",
        "not allowed",
        "must be owned by",
        "unknown user",
        "no new privileges",
        "effective uid is not 0",
        "no valid sudoers sources",
        "account validation failure",
    ];
    let is_sudos = line.starts_with("sudo: ") || line.starts_with("sudo-rs: ");
    // A file may be called sudo.
    let is_absent = ["not found", "command not found", "No such file or directory"].iter().any(|what| {
        let said = format!("sudo: {what}");
        line.starts_with(&said) || line.contains(&format!(" {said}"))
    });
    is_absent
        || line.ends_with("command not found: sudo")
        || line.starts_with("Sorry, user ")
        || line.contains(" is not in the sudoers file")
        || is_sudos && REFUSALS.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn stage(text: &str) -> Stage {
        let word = |text: &str| match text.contains('*') {
            true => Word::Glob(text.to_owned()),
            false => Word::Literal(text.to_owned()),
        };
        Stage { words: text.split(' ').map(word).collect(), stderr: StderrTo::Capture }
    }

    #[test]
    fn a_stage_runs_as_root_only_without_options_of_sudo_and_variables() {
        assert_eq!(command(&stage("sudo journalctl -u a")), Some(stage("journalctl -u a")));
        for other in ["sudo", "sudo -u ann id", "sudo A=b id", "sudo -s", "sudo --version", "xsudo id", "sudo *"] {
            assert_eq!(command(&stage(other)), None, "{other}");
        }
    }

    #[test]
    fn what_runs_as_root_has_no_globs_searches_nothing_and_reads_no_secrets() {
        let judged = |text: &str| check(&SecretPaths::default(), &stage(text), None);
        for allowed in ["journalctl -u nginx", "ss -tlnp", "cat /var/log/syslog", "ls -l /root"] {
            assert_eq!(judged(allowed), Ok(()), "{allowed}");
        }
        for refused in [
            "cat /etc/shadow",
            "cat /etc/*",
            "ls /root/*",
            "grep -r root /etc",
            "grep -r x .",
            "journalctl --vacuum-size=1",
            "rm /etc/hosts",
            "sort /var/log/a",
            "command -v x",
            "cat /var/log/../../etc/hosts",
            "find / -delete",
            "nginx -v",
        ] {
            assert!(judged(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_row_is_of_the_table_and_can_be_said_in_sudoers() {
        let disks = "smartctl -i -H -A -j *";
        for row in ["journalctl -u *", "ss -tlnp", "systemctl status *", "cat /var/log/*.log", disks] {
            assert_eq!(check_row(&words(row)), Ok(()), "{row}");
        }
        for row in [
            "journalctl ...",
            "rm -rf /",
            "sudo journalctl",
            "cat /a!",
            "cat /a\\b",
            "",
            "command -v x",
            "sort *",
            "cat \u{e9}",
            "cat /var/log/.*",
            "cat /var/*./x",
            "sysctl *",
            "sysctl kernel.core_pattern=x",
            "find / -delete",
            "journalctl --vacuum-size=1",
            "systemctl * nginx",
            "date -s *",
            "uniq * *",
            "awk *",
            "grep -r x /etc",
        ] {
            assert!(check_row(&words(row)).is_err(), "{row}");
        }
    }

    const ROWS: [(&str, &str, &str); 8] = [
        ("ss -tlnp", "/usr/bin/ss", "ann ALL=(root) NOPASSWD: /usr/bin/ss -tlnp"),
        ("ls", "/usr/bin/ls", "ann ALL=(root) NOPASSWD: /usr/bin/ls \"\""),
        (
            "journalctl -u *",
            "/usr/bin/journalctl",
            "ann ALL=(root) NOPASSWD: /usr/bin/journalctl ^-u [^-[:space:]][^[:space:]]*$",
        ),
        (
            "cat /var/log/app-*.log",
            "/usr/bin/cat",
            "ann ALL=(root) NOPASSWD: /usr/bin/cat ^/var/log/app-[^/[:space:]]*[.]log$",
        ),
        (
            "stat --printf=%n:%s,%U /root",
            "/usr/bin/stat",
            "ann ALL=(root) NOPASSWD: /usr/bin/stat --printf\\=%n\\:%s\\,%U /root",
        ),
        (
            "journalctl --unit=* -n 5",
            "/usr/bin/journalctl",
            "ann ALL=(root) NOPASSWD: /usr/bin/journalctl ^--unit\\=([^./[:space:]][^/[:space:]]*|[.]|[.][^./[:space:]][^/[:space:]]*|[.][.][^/[:space:]]+) -n 5$",
        ),
        (
            "systemctl status *.service",
            "/usr/bin/systemctl",
            "ann ALL=(root) NOPASSWD: /usr/bin/systemctl ^status ([^-/[:space:]][^/[:space:]]*)?[.]service$",
        ),
        (
            "sysctl net.ipv4.ip_forward",
            "/usr/sbin/sysctl",
            "ann ALL=(root) NOPASSWD: /usr/sbin/sysctl net.ipv4.ip_forward",
        ),
    ];

    #[test]
    fn a_line_of_sudoers_is_the_row_and_no_more() {
        for (row, path, line) in ROWS {
            assert_eq!(sudoers("ann", path, &words(row)).as_deref(), Some(line));
        }
        for (account, path) in [
            ("ann,bob", "/usr/bin/ss"),
            ("", "/usr/bin/ss"),
            ("%ann", "/usr/bin/ss"),
            ("ann", "ss"),
            ("ann", "/usr/bin/s s"),
        ] {
            assert_eq!(sudoers(account, path, &words("ss -tlnp")), None, "{account} {path}");
        }
    }

    /// The expressions let through what the rows do, and nothing that the rows do not.
    #[test]
    fn an_expression_lets_through_what_its_word_does() {
        for (row, through, not) in [
            ("*", &["x", "/a/b", "a=b"][..], &["-x", "", "a b"][..]),
            ("*.log", &["a.log", ".log"], &["-a.log", "--x.log", "a/b.log", "alog"]),
            (
                "/var/log/*/x",
                &["/var/log/a/x", "/var/log/.a/x", "/var/log/..a/x"],
                &["/var/log/../x", "/var/log/a/b/x", "/var/log/"],
            ),
            ("--unit=*", &["--unit=a", "--unit=-a"], &["--unit=..", "--unit=a/b", "-unit=a"]),
            ("app-*.log", &["app-.log", "app-1.log"], &["app-1.lo", "xapp-1.log", "app-/1.log"]),
        ] {
            let expression = regex::Regex::new(&format!("^(?:{})$", expression(row).replace("\\=", "="))).expect("one");
            let rule = crate::grants::Argv::parse(&["cat".to_owned(), row.to_owned()]).expect("a rule");
            let as_rule = |word: &str| {
                let words = ["cat", word].map(|word| Word::Literal(word.to_owned())).to_vec();
                rule.matches(&Stage { words, stderr: StderrTo::Capture })
            };
            for word in through {
                assert!(expression.is_match(word) && as_rule(word), "{row} {word} {expression}");
            }
            for word in not {
                assert!(!expression.is_match(word), "{row} {word} {expression}");
                assert!(!as_rule(word) || word.is_empty() || word.contains(' '), "{row} {word}");
            }
        }
    }

    #[test]
    fn visudo_takes_the_lines() {
        let lines: String = ROWS.iter().map(|(_, _, line)| format!("{line}\n")).collect();
        let mut visudo = Command::new("visudo");
        visudo.args(["-c", "-f", "-"]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        visudo.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = visudo.spawn().expect("visudo: sudo apt-get install sudo");
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{lines}{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn what_sudo_says_when_it_runs_nothing_is_told_from_what_programs_say() {
        for (is_piped, status, stdout, stderr, refused) in [
            (false, 1, "", "sudo: a password is required\n", true),
            (false, 1, "", "sudo: Ein Passwort ist notwendig\n", true),
            (false, 1, "", "Sorry, user ann is not allowed to execute '/usr/bin/id' as root on h.\n", true),
            (false, 127, "", "/bin/sh: 1: exec: sudo: not found\n", true),
            (false, 1, "", "Unit x could not be found.\n", false),
            (false, 1, "a", "sudo: a password is required\n", false),
            (false, 0, "", "sudo: unable to resolve host h\n", false),
            (true, 0, "0\n", "sudo: a password is required\n", true),
            (true, 0, "0\n", "sudo: interactive authentication is required\n", true),
            (true, 0, "0\n", "sudo: unable to resolve host h\nSorry, user ann may not run sudo on h.\n", true),
            (true, 0, "0\n", "/bin/sh: 1: sudo: not found\n", true),
            (true, 0, "7\n", "sudo: unable to resolve host h\n", false),
            (true, 1, "", "grep: x: No such file or directory\n", false),
            (true, 1, "", "sudo: unable to resolve host h\n", false),
            (true, 0, "", "cat: /etc/pam.d/sudo: No such file or directory\n", false),
            (true, 0, "0\n", "zsh:1: command not found: sudo\n", true),
            (
                true,
                0,
                "0\n",
                "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.\n",
                true,
            ),
        ] {
            let told = refusal(is_piped, status, stdout.as_bytes(), stderr.as_bytes());
            assert_eq!(told.is_some(), refused, "{stderr}");
            assert!(told.is_none_or(|line| stderr.lines().last() == Some(&*line)), "{stderr}");
        }
    }
}
