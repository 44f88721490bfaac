//! A command: taken apart into a pipeline that Scout can check, or handed to a shell where a host allows one.

mod ending;
mod lex;

use scout_plugin::exec::{self, Outcome, Pipeline, Word};
use scout_plugin::json::Object;
use scout_plugin::{Answer, Blob, Description, Encoding, Error, ErrorKind, Handler, Query, Subject, register, text};

use crate::ending::Told;
use crate::lex::{Construct, NotAPipeline, Tilde};

struct Command;
register!(Command: handler);

impl Handler for Command {
    fn describe() -> Description {
        Description::new("runs commands", &[Subject::Command])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let (Some(host), Some(command)) = (query.host, query.command) else {
            return Err(Error::new(ErrorKind::Invalid, "a command needs a host and a query"));
        };
        let outcome = run(&host, query.path.as_deref(), &command)?;
        Ok(answer(&host, query.path.as_deref(), &command, outcome))
    }
}

fn run(host: &str, directory: Option<&[u8]>, command: &str) -> Result<Outcome, Error> {
    match lex::pipeline(command, Tilde::of(directory)) {
        Ok(stages) => exec::run(host, &Pipeline { stages, directory: directory.map(<[u8]>::to_vec) }),
        Err(NotAPipeline::NeedsShell(construct)) => {
            let instead = instead(host, directory, command, &construct.written);
            exec::shell(host, directory, command).map_err(|error| shell_error(&construct, instead, error))
        }
        Err(NotAPipeline::Malformed(why)) => {
            Err(Error::new(ErrorKind::Invalid, format!("the query is not a command: {why}")).hint(PIPELINES))
        }
    }
}

/// What a command may be made of on any host.
const PIPELINES: &str = "write commands with arguments, joined by `|`; quotes, `*`, `?`, `[…]`, `2>&1` and `2>/dev/null` work as in a shell";

/// The longest command line that a hint repeats, in bytes.
const REPEATED: usize = 200;

/// Commands of a shell that are no programs, and change or end nothing but the shell which runs them.
const OF_THE_SHELL: [&str; 31] = [
    ".", ":", "alias", "bg", "break", "cd", "continue", "declare", "dirs", "eval", "exec", "exit", "export", "fg",
    "jobs", "local", "popd", "pushd", "read", "readonly", "return", "set", "shift", "shopt", "source", "trap",
    "typeset", "ulimit", "umask", "unset", "wait",
];

/// The same without a shell, for the constructs that people write most and that have another way. `at` is the target's directory.
fn instead(host: &str, at: Option<&[u8]>, command: &str, construct: &str) -> Option<String> {
    let is_pipeline = |line: &str| {
        lex::pipeline(line, Tilde::IsElsewhere).is_ok_and(|stages| {
            stages.iter().all(|stage| match stage.words.first() {
                Some(Word::Literal(name)) => !OF_THE_SHELL.contains(&name.as_str()),
                _ => true,
            })
        })
    };
    if command.len() > REPEATED {
        return None;
    }
    let (before, behind) = match construct {
        "||" => command.rsplit_once(construct)?,
        _ => command.split_once(construct)?,
    };
    let (before, behind) = (before.trim(), behind.trim());
    let directory = before.strip_prefix("cd ").and_then(|name| below(at, name.trim()));
    match (construct, directory) {
        ("||", _) if matches!(behind, "true" | ":") && is_pipeline(before) => Some(format!(
            "`{before}` alone: a command that fails is answered with its exit status, which is not an error"
        )),
        ("&&" | ";", Some(directory)) if is_pipeline(behind) => {
            Some(format!("the target `{host}:{directory}` with the query `{behind}`"))
        }
        (";", None) if is_pipeline(before) && is_pipeline(behind) => {
            Some(format!("a query for each: `{before}`, and then `{behind}`"))
        }
        ("<", _) if plain(behind) && before == "cat" => Some(format!("`cat {behind}`")),
        ("<", _) if plain(behind) && is_pipeline(before) => Some(format!("`cat {behind} | {before}`")),
        _ => None,
    }
}

/// Whether a word needs no quotes.
fn plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-~".contains(c))
}

/// Where `cd` leads from the target's directory. Absent where only a shell could tell.
fn below(at: Option<&[u8]>, name: &str) -> Option<String> {
    let is_whole = |path: &str| path.starts_with('/') || path == "~" || path.starts_with("~/");
    if is_whole(name) {
        return plain(name).then(|| name.to_owned());
    }
    let at = match Tilde::of(at) {
        Tilde::IsHere => "~",
        Tilde::IsElsewhere => std::str::from_utf8(at?).ok().filter(|at| is_whole(at) && at.len() <= REPEATED)?,
    };
    let is_below = !name.starts_with(['~', '-']) && !name.split('/').any(|part| part == "..");
    (is_below && plain(name) && plain(at)).then(|| format!("{}/{name}", at.trim_end_matches('/')))
}

/// A refusal of the shell names what asked for one: the command may be written without it, perhaps as `instead` says.
fn shell_error(construct: &Construct, instead: Option<String>, error: Error) -> Error {
    if error.kind != ErrorKind::Refused {
        return error;
    }
    // A backtick in backticks is not to be read.
    let mark = if construct.written == "`" { "\"" } else { "`" };
    let Construct { written, called } = construct;
    let own = instead.unwrap_or_else(|| format!("without {mark}{written}{mark}: {PIPELINES}"));
    Error {
        kind: error.kind,
        message: format!("{mark}{written}{mark} ({called}) needs a shell: {}", error.message),
        hint: Some(match error.hint {
            Some(hint) => format!("{hint}; {own}"),
            None => own,
        }),
    }
}

fn answer(host: &str, directory: Option<&[u8]>, command: &str, outcome: Outcome) -> Answer {
    let told = ending::told(&outcome.ending, outcome.duration_ms);
    let (stdout, stderr) = (outcome.stdout, outcome.stderr);
    let silent = stdout.size() == 0 && stderr.size() == 0;
    let status = ending::status(&told, silent);
    let fields = Fields {
        host,
        directory,
        command,
        told: &told,
        stdout_truncated: stdout.truncated(),
        stderr_truncated: stderr.truncated(),
        duration_ms: outcome.duration_ms,
        note: status.as_deref(),
    };
    let mut answer = Answer::new().structured(fields.as_json());
    answer = stream(answer, None, &stdout);
    answer = stream(answer, Some("standard error:"), &stderr);
    if let Some(status) = status {
        answer = answer.text(status);
    }
    if let (Some(kind), Some(sentence)) = (told.failed, told.sentence) {
        answer = answer.failed(Error::new(kind, sentence));
    }
    answer.attach("stdout", stdout, Encoding::Text).attach("stderr", stderr, Encoding::Text)
}

/// With a stream's bytes under its heading, if it has any.
fn stream(mut answer: Answer, heading: Option<&str>, bytes: &Blob) -> Answer {
    if bytes.size() == 0 {
        return answer;
    }
    if let Some(heading) = heading {
        answer = answer.text(heading);
    }
    answer = answer.blob(bytes.share());
    if bytes.truncated() {
        answer = answer.text(format!("(cut after {})", text::count(bytes.size(), "byte", "bytes")));
    }
    answer
}

/// What the structured answer says beside what the command wrote.
struct Fields<'a> {
    host: &'a str,
    directory: Option<&'a [u8]>,
    command: &'a str,
    told: &'a Told,
    stdout_truncated: bool,
    stderr_truncated: bool,
    duration_ms: u64,
    /// What people are told of its end.
    note: Option<&'a str>,
}

impl Fields<'_> {
    fn as_json(&self) -> Object {
        let mut object = Object::new().text("host", self.host);
        if let Some(directory) = self.directory {
            let (path, path_base64) = text::name(directory);
            object = object.text("path", path.as_str());
            if let Some(bytes) = &path_base64 {
                object = object.text("path_base64", bytes.as_str());
            }
        }
        let told = self.told;
        object
            .text("command", self.command)
            .integer("exit", told.exit)
            .text("signal", told.signal.as_deref())
            .boolean("timed_out", told.timed_out)
            .boolean("output_limit", told.output_limit)
            .boolean("truncated", self.stdout_truncated || self.stderr_truncated || told.output_limit)
            .boolean("stdout_truncated", self.stdout_truncated)
            .boolean("stderr_truncated", self.stderr_truncated)
            .text("remote", told.remote)
            .integer("duration_ms", self.duration_ms)
            .text("note", self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, instead, shell_error};
    use crate::ending;
    use crate::lex::{self, Construct, NotAPipeline, Tilde};
    use scout_plugin::exec::Ending;
    use scout_plugin::{Error, ErrorKind};

    #[test]
    fn a_refused_shell_names_what_needed_it_and_keeps_the_hosts_hint() {
        let construct = Construct { written: ";".to_owned(), called: "a sequence" };
        let refused = Error::new(ErrorKind::Refused, "box runs no shell").hint("ask the operator");
        let error = shell_error(&construct, None, refused);
        assert_eq!(error.message, "`;` (a sequence) needs a shell: box runs no shell");
        assert!(error.hint.is_some_and(|hint| hint.starts_with("ask the operator; without `;`: write commands")));
        let lost = shell_error(&construct, None, Error::new(ErrorKind::Unreachable, "box is gone"));
        assert_eq!((lost.message.as_str(), lost.hint), ("box is gone", None));
    }

    #[test]
    fn what_can_be_written_without_a_shell_is_written_out() {
        for (command, told) in [
            (
                "ls /nonexistent || true",
                Some("`ls /nonexistent` alone: a command that fails is answered with its exit status"),
            ),
            ("ls /x | wc -l ||:", Some("`ls /x | wc -l` alone")),
            ("cd /var/log && ls -la | head", Some("the target `box:/var/log` with the query `ls -la | head`")),
            ("cd ~/app; git", Some("the target `box:~/app` with the query `git`")),
            ("cd app; ls", Some("the target `box:~/app` with the query `ls`")),
            ("cd app && ls", Some("the target `box:~/app` with the query `ls`")),
            ("ls; pwd", Some("a query for each: `ls`, and then `pwd`")),
            ("cat < /etc/hosts", Some("`cat /etc/hosts`")),
            ("grep -c x </etc/hosts", Some("`cat /etc/hosts | grep -c x`")),
            // What means something else without a shell.
            ("make || exit 1", None),
            ("cd /srv && make && make install", None),
            ("ls && pwd", None),
            // What no query runs, or what only a shell knows.
            ("ls; cd app", None),
            ("cd; ls", None),
            ("cd -; ls", None),
            ("cd ../app && ls", None),
            ("cd ~ann; ls", None),
            ("cd /srv; cd app", None),
            ("cd app || true", None),
            ("export A=1; ls", None),
            ("ls; exit", None),
            ("read line < /etc/hosts", None),
            ("cat < '/a b'", None),
            ("ls; rm x; pwd", None),
            ("echo 'a && b' && ls", None),
        ] {
            let Err(NotAPipeline::NeedsShell(construct)) = lex::pipeline(command, Tilde::IsElsewhere) else {
                panic!("{command} needs no shell");
            };
            let instead = instead("box", None, command, &construct.written);
            assert_eq!(instead.is_some(), told.is_some(), "{command}: {instead:?}");
            assert!(instead.unwrap_or_default().starts_with(told.unwrap_or_default()), "{command}");
        }
    }

    #[test]
    fn a_relative_directory_is_one_of_the_targets() {
        for (at, told) in [
            (&b"~"[..], Some("the target `box:~/app` with the query `ls`")),
            (b"/srv/", Some("the target `box:/srv/app` with the query `ls`")),
            (b"/", Some("the target `box:/app` with the query `ls`")),
            (b"~/web", Some("the target `box:~/web/app` with the query `ls`")),
            (b"caf\xe9", None),
        ] {
            for (command, construct) in [("cd app; ls", ";"), ("cd app && ls", "&&")] {
                assert_eq!(instead("box", Some(at), command, construct).as_deref(), told, "{command}");
            }
        }
    }

    #[test]
    fn fields_are_those_of_the_command() {
        let fields = Fields {
            host: "box",
            directory: Some(b"/srv"),
            command: "ls",
            told: &ending::told(&Ending::Exited(3), 12),
            stdout_truncated: true,
            stderr_truncated: false,
            duration_ms: 12,
            note: Some("exit status 3"),
        };
        assert_eq!(
            fields.as_json().finish(),
            "{\"host\":\"box\",\"path\":\"/srv\",\"command\":\"ls\",\"exit\":3,\"signal\":null,\"timed_out\":false,\
             \"output_limit\":false,\"truncated\":true,\"stdout_truncated\":true,\"stderr_truncated\":false,\
             \"remote\":null,\"duration_ms\":12,\"note\":\"exit status 3\"}"
        );
    }
}
