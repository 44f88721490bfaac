//! The arguments of the tool `scout`: which there are, what they are, which go together, and what is asked with them.
//!
//! One table, of which the tool's schema, the reading of arguments and the checks are made; the command line has a flag for each.
//! Pure: knows no host.

use scout_runtime::Subject;
use serde_json::{Map, Value, json};

use crate::params::kind_of;
use crate::target::{Request, TargetError};

/// What an argument is.
enum Kind {
    /// A string that says something.
    Text,
    /// A string of any kind, of so many bytes.
    Content(usize),
    /// `true` or `false`.
    Flag,
    /// A whole number from this one to that one.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Strings, at least one and at most so many.
    Texts(usize),
}

/// An argument.
struct Argument {
    name: &'static str,
    kind: Kind,
    /// What it asks for, if it does; then no other that asks for something else may be there.
    asks: Option<Subject>,
    /// What else it goes with; nothing: with everything.
    with: &'static [Subject],
}

/// The longest text of an argument of the table, in bytes.
const MAX_TEXT: usize = 8 * 1024;
/// Targets of one request.
const MAX_TARGETS: usize = 100;
/// Levels below a directory.
const MAX_DEPTH: u64 = 10;
/// Lines that are asked for at once.
const MAX_LINES: u64 = 100_000;
/// Rows of one answer.
const MAX_ROWS: u64 = 2_000;
/// The largest offset: more than any file has, and what all servers take.
const MAX_OFFSET: u64 = 1 << 62;
/// Bytes of a text that a file is compared with.
const MAX_CONTENT: usize = 256 * 1024;

/// Those that are not a target, a query or a host.
const ARGUMENTS: [Argument; 21] = [
    Argument { name: "tree", kind: Kind::Flag, asks: Some(Subject::Tree), with: &[] },
    Argument { name: "find", kind: Kind::Text, asks: Some(Subject::Find), with: &[] },
    Argument {
        name: "type",
        kind: Kind::Word(&["file", "directory", "symlink", "f", "d", "l"]),
        asks: None,
        with: &[Subject::Find],
    },
    Argument { name: "depth", kind: Kind::Number(1, MAX_DEPTH), asks: None, with: &[Subject::Tree, Subject::Find] },
    Argument { name: "where", kind: Kind::Text, asks: None, with: &[Subject::Find] },
    Argument { name: "sort", kind: Kind::Text, asks: None, with: &[Subject::Find, Subject::Hosts] },
    Argument { name: "columns", kind: Kind::Text, asks: None, with: &[Subject::Find] },
    Argument { name: "limit", kind: Kind::Number(1, MAX_ROWS), asks: None, with: &[Subject::Find, Subject::Hosts] },
    Argument {
        name: "cursor",
        kind: Kind::Text,
        asks: None,
        with: &[Subject::Find, Subject::Part, Subject::Targets, Subject::Hosts],
    },
    Argument { name: "refresh", kind: Kind::Flag, asks: None, with: &[Subject::Hosts] },
    Argument { name: "diff", kind: Kind::Text, asks: Some(Subject::Diff), with: &[] },
    Argument { name: "diff_content", kind: Kind::Content(MAX_CONTENT), asks: Some(Subject::Diff), with: &[] },
    Argument { name: "offset", kind: Kind::Number(0, MAX_OFFSET), asks: Some(Subject::Part), with: &[] },
    Argument { name: "lines", kind: Kind::Number(1, MAX_LINES), asks: Some(Subject::Part), with: &[] },
    Argument { name: "tail", kind: Kind::Number(1, MAX_LINES), asks: Some(Subject::Part), with: &[] },
    Argument { name: "grep", kind: Kind::Text, asks: Some(Subject::Part), with: &[] },
    Argument { name: "targets", kind: Kind::Texts(MAX_TARGETS), asks: Some(Subject::Targets), with: &[] },
    Argument { name: "beam", kind: Kind::Text, asks: Some(Subject::Transfer), with: &[] },
    Argument { name: "beam_source", kind: Kind::Text, asks: Some(Subject::Transfer), with: &[] },
    Argument { name: "beam_target", kind: Kind::Text, asks: Some(Subject::Transfer), with: &[] },
    Argument { name: "replace", kind: Kind::Flag, asks: None, with: &[Subject::Transfer] },
];

/// Their part of the tool's input schema; of those that copy only if something may be copied somewhere. Every model that may use the tool reads it: what they mean is in the tool's description, and
/// what they may be is told by whoever reads them.
pub(crate) fn schema(copies: bool) -> impl Iterator<Item = (&'static str, Value)> {
    ARGUMENTS.iter().filter(move |argument| copies || !argument.copies()).map(|argument| {
        let schema = match argument.kind {
            Kind::Text | Kind::Content(_) | Kind::Word(_) => json!({"type": "string"}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Number(..) => json!({"type": "integer"}),
            Kind::Texts(_) => json!({"type": "array", "items": {"type": "string"}}),
        };
        (argument.name, schema)
    })
}

/// Why arguments are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// One is of a wrong kind.
    #[error("{0}")]
    WrongKind(String),
    /// They make no sense.
    #[error("{0}")]
    Senseless(String),
}

impl From<TargetError> for Mistake {
    fn from(error: TargetError) -> Self {
        Self::Senseless(error.to_string())
    }
}

/// What the arguments of a request are, for a message.
pub(crate) const USAGE: &str = "the arguments are `target` (`hosts`, `host:/path`) or `targets`, and optionally `query` (a command), \
     `host`, `base64`, `tree`, `find`, `type`, `depth`, `where`, `sort`, `columns`, `limit`, `cursor`, `refresh`, `diff`, `diff_content`, `offset`, `lines`, `tail`, `grep`, `beam`, `beam_source`, `beam_target`, `replace`";

impl Argument {
    /// Whether it is about copies.
    fn copies(&self) -> bool {
        self.asks == Some(Subject::Transfer) || self.with == [Subject::Transfer]
    }

    /// What it is for people.
    fn kind(&self) -> String {
        match self.kind {
            Kind::Text => format!("a string of 1 to {MAX_TEXT} bytes without NUL"),
            Kind::Content(most) => format!("a string of up to {most} bytes"),
            Kind::Flag => "a boolean".to_owned(),
            Kind::Number(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Word(words) => format!("one of `{}`", words.join("`, `")),
            Kind::Texts(most) => format!("a list of 1 to {most} strings of 1 to {MAX_TEXT} bytes without NUL"),
        }
    }

    /// The value, if it is there and says something.
    fn read(&self, given: &mut Map<String, Value>) -> Result<Option<Value>, Mistake> {
        let value = match given.remove(self.name) {
            None | Some(Value::Null | Value::Bool(false)) if matches!(self.kind, Kind::Flag) => return Ok(None),
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let (is_kind, fits) = match (&self.kind, &value) {
            (Kind::Text, Value::String(text)) => (true, fits(text)),
            (Kind::Content(most), Value::String(text)) => (true, text.len() <= *most),
            (Kind::Word(words), Value::String(text)) => (true, words.contains(&text.as_str())),
            (Kind::Flag, Value::Bool(_)) => (true, true),
            // Some clients write 3.0.
            (Kind::Number(least, most), Value::Number(_)) => {
                (true, whole(&value).is_some_and(|number| (*least..=*most).contains(&number)))
            }
            (Kind::Texts(most), Value::Array(values)) => {
                let texts = values.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
                let fit = |texts: &Vec<&str>| (1..=*most).contains(&texts.len()) && texts.iter().all(|text| fits(text));
                (texts.is_some(), texts.as_ref().is_some_and(fit))
            }
            _ => (false, false),
        };
        let Self { name, .. } = self;
        match (is_kind, fits) {
            (false, _) => Err(Mistake::WrongKind(format!("`{name}` is {}, not {}", kind_of(&value), self.kind()))),
            (true, false) => Err(Mistake::Senseless(format!("`{name}` has to be {}", self.kind()))),
            (true, true) => Ok(Some(whole(&value).map_or(value, Value::from))),
        }
    }
}

fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.contains('\0')
}

/// A number without a fraction.
fn whole(value: &Value) -> Option<u64> {
    let exact = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(exact))
}

/// Reads what is left of the arguments strictly, once `target`, `query` and `host` are taken: a misspelt one would otherwise silently
/// be left out.
///
/// # Errors
/// What is wrong, and what to write or leave out instead.
pub fn request(
    (target, query, host): (Option<&str>, Option<&str>, Option<&str>),
    mut given: Map<String, Value>,
) -> Result<Request, Mistake> {
    let mut arguments = Map::new();
    let mut asked: Option<(Subject, &'static str)> = None;
    for argument in &ARGUMENTS {
        let Some(value) = argument.read(&mut given)? else { continue };
        if let Some(subject) = argument.asks {
            match asked {
                Some((other, name)) if other != subject => {
                    let own = argument.name;
                    return Err(Mistake::Senseless(format!(
                        "`{name}` and `{own}` ask for two things; leave one of them out"
                    )));
                }
                Some(_) => {}
                None => asked = Some((subject, argument.name)),
            }
        }
        arguments.insert(argument.name.to_owned(), value);
    }
    if let Some(name) = given.keys().next() {
        let name = name.get(..name.floor_char_boundary(64)).unwrap_or_default();
        return Err(Mistake::Senseless(format!("unknown argument `{name}`; {USAGE}")));
    }
    let plain = match (asked, target) {
        (None, Some(target)) => Some(Request::parse(target, query, host)?),
        _ => None,
    };
    let subject = match (asked, &plain) {
        (Some((subject, _)), _) => Some(subject),
        (None, Some(Request::Hosts { .. })) => Some(Subject::Hosts),
        // A file that was cut is read on.
        (None, Some(Request::Path { path: Some(_), .. })) if arguments.contains_key("cursor") => Some(Subject::Part),
        (None, _) => None,
    };
    for argument in
        ARGUMENTS.iter().filter(|argument| !argument.with.is_empty() && arguments.contains_key(argument.name))
    {
        if !subject.is_some_and(|subject| argument.with.contains(&subject)) {
            let asks = |one: &&Argument| one.asks.is_some_and(|subject| argument.with.contains(&subject));
            let names = ARGUMENTS.iter().filter(asks).map(|one| format!("`{}`", one.name));
            let hosts = argument.with.contains(&Subject::Hosts).then(|| "the target `hosts`".to_owned());
            let (own, with) = (argument.name, names.chain(hosts).collect::<Vec<_>>().join(" or "));
            return Err(Mistake::Senseless(format!("`{own}` goes with {with}; give that too, or leave `{own}` out")));
        }
    }
    for (one, other) in [
        ("diff", "diff_content"),
        ("tail", "offset"),
        ("tail", "grep"),
        ("tail", "lines"),
        ("tail", "cursor"),
        ("beam", "beam_source"),
        ("beam", "beam_target"),
    ] {
        if arguments.contains_key(one) && arguments.contains_key(other) {
            return Err(Mistake::Senseless(format!(
                "`{one}` and `{other}` contradict each other; leave one of them out"
            )));
        }
    }
    let (subject, name) = match (asked, plain) {
        (Some(asked), _) => asked,
        (None, Some(Request::Hosts { query, .. })) => return Ok(Request::Hosts { query, arguments }),
        (None, Some(Request::Path { host, path })) if subject == Some(Subject::Part) => {
            return Ok(Request::About { subject: Subject::Part, host: Some(host), path, command: None, arguments });
        }
        (None, Some(plain)) => return Ok(plain),
        (None, None) => return Err(Mistake::Senseless(format!("`target` is missing; {USAGE}"))),
    };
    if subject == Subject::Targets {
        if target.is_some() || host.is_some() {
            let why = "`targets` names the hosts; leave `target` and `host` out, or give `target` alone for one host";
            return Err(Mistake::Senseless(why.to_owned()));
        }
        return Ok(Request::many(query, arguments)?);
    }
    let has_both_ends = arguments.contains_key("beam_source") && arguments.contains_key("beam_target");
    if subject == Subject::Transfer && !arguments.contains_key("beam") {
        if !has_both_ends {
            let why = "`beam_source` and `beam_target` go together; give both, or `beam` and a `target`";
            return Err(Mistake::Senseless(why.to_owned()));
        }
        if target.is_some() || host.is_some() || query.is_some() {
            let why = "`beam_source` and `beam_target` are both ends; leave `target`, `host` and `query` out";
            return Err(Mistake::Senseless(why.to_owned()));
        }
        return Ok(Request::About { subject, host: None, path: None, command: None, arguments });
    }
    if query.is_some() {
        let why = format!("`query` runs a command, and `{name}` looks at the path itself; leave one of them out");
        return Err(Mistake::Senseless(why));
    }
    let target = target.ok_or_else(|| Mistake::Senseless(format!("`target` is missing; {USAGE}")))?;
    match Request::parse(target, None, host)? {
        Request::Path { host, path } => {
            let does = match subject {
                Subject::Part => "reads a part of a file",
                Subject::Transfer => "copies a file or a directory",
                _ => "",
            };
            if !does.is_empty() && path.is_none() {
                let why = format!("`{name}` {does}; write it as the target, `{host}:/path`");
                return Err(Mistake::Senseless(why));
            }
            Ok(Request::About { subject, host: Some(host), path, command: None, arguments })
        }
        _ => {
            let why = format!("`{name}` looks at a path of one host; write `host:/path` as the target");
            Err(Mistake::Senseless(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: Value) -> Result<Request, String> {
        let Value::Object(mut given) = arguments else { panic!("an object") };
        let mut text = |name: &str| given.remove(name).and_then(|value| value.as_str().map(str::to_owned));
        let (target, query, host) = (text("target"), text("query"), text("host"));
        request((target.as_deref(), query.as_deref(), host.as_deref()), given).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn each_argument_asks_for_what_the_table_says() {
        for (arguments, subject, left) in [
            (json!({"target": "box:/srv", "tree": true, "depth": 2}), Subject::Tree, json!({"tree": true, "depth": 2})),
            (
                json!({"target": "/srv", "host": "box", "find": "*.log", "type": "f"}),
                Subject::Find,
                json!({"find": "*.log", "type": "f"}),
            ),
            (json!({"target": "box:/a", "diff": "other:/a"}), Subject::Diff, json!({"diff": "other:/a"})),
            (json!({"target": "box:/a", "lines": 3.0, "grep": "x"}), Subject::Part, json!({"lines": 3, "grep": "x"})),
            (json!({"target": "box:/a", "diff_content": ""}), Subject::Diff, json!({"diff_content": ""})),
            (json!({"targets": ["web*"], "query": "uptime"}), Subject::Targets, json!({"targets": ["web*"]})),
            (
                json!({"target": "box:/a", "beam": "/b", "replace": true}),
                Subject::Transfer,
                json!({"beam": "/b", "replace": true}),
            ),
        ] {
            let Ok(Request::About { subject: asked, arguments: given, host, command, .. }) = read(arguments.clone())
            else {
                panic!("{arguments}")
            };
            assert_eq!((asked, Value::Object(given)), (subject, left));
            assert_eq!((host.is_none(), command.is_some()), (subject == Subject::Targets, subject == Subject::Targets));
        }
        for arguments in [json!({"target": "box:/a", "tree": false, "find": null}), json!({"target": "box:/a"})] {
            assert_eq!(read(arguments), Ok(Request::parse("box:/a", None, None).expect("a target")));
        }
    }

    #[test]
    fn hosts_take_arguments_and_a_cursor_reads_a_file_on() {
        let hosts = json!({"sort": "name", "limit": 3, "cursor": "x", "refresh": true});
        let asked = read(json!({"target": "hosts", "sort": "name", "limit": 3, "cursor": "x", "refresh": true}));
        assert!(
            matches!(&asked, Ok(Request::Hosts { query: None, arguments }) if Value::Object(arguments.clone()) == hosts),
            "{asked:?}"
        );
        let asked = read(json!({"target": "box:/a", "cursor": "x"}));
        assert!(matches!(&asked, Ok(Request::About { subject: Subject::Part, .. })), "{asked:?}");
        let asked = read(json!({"targets": ["box"], "cursor": "x"}));
        assert!(matches!(&asked, Ok(Request::About { subject: Subject::Targets, .. })), "{asked:?}");
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_what_to_leave_out() {
        for (arguments, says) in [
            (json!({"target": "box:/a", "tree": true, "find": "x"}), "leave one of them out"),
            (json!({"target": "box:/a", "diff": "b:/a", "diff_content": "x"}), "contradict each other"),
            (json!({"target": "box:/a", "tail": 1, "offset": 1}), "contradict each other"),
            (json!({"target": "box:/a", "depth": 1}), "`depth` goes with `tree` or `find`"),
            (json!({"target": "box:/a", "type": "f", "tree": true}), "`type` goes with `find`"),
            (json!({"target": "box:/a", "tree": true, "query": "ls"}), "leave one of them out"),
            (json!({"target": "hosts", "tree": true}), "a path of one host"),
            (json!({"target": "box", "tail": 1}), "a part of a file"),
            (json!({"target": "box", "targets": ["a"]}), "leave `target` and `host` out"),
            (json!({"targets": ["a"], "host": "box"}), "leave `target` and `host` out"),
            (json!({"target": "box:/a", "beam": "/a", "beam_source": "b:/a"}), "contradict each other"),
            (json!({"target": "box:/a", "beam_source": "b:/a", "beam_target": "c:/a"}), "leave `target`"),
            (json!({"beam_source": "b:/a"}), "go together"),
            (json!({"target": "box", "beam": "/a"}), "copies a file or a directory"),
            (json!({"target": "box:/a", "replace": true}), "`replace` goes with `beam`"),
            (json!({"beam": "/a"}), "`target` is missing"),
            (json!({"tree": true}), "`target` is missing"),
            (json!({}), "`target` is missing"),
            (json!({"target": "box:/a", "deep": 1}), "unknown argument `deep`"),
            (json!({"target": "box:/a", "tail": 1, "cursor": "x"}), "contradict each other"),
            (json!({"target": "box:/a", "tree": true, "cursor": "x"}), "`cursor` goes with `find` or `offset`"),
            (json!({"target": "box:/a", "query": "ls", "cursor": "x"}), "or `targets` or the target `hosts`"),
            (json!({"target": "box", "cursor": "x"}), "`cursor` goes with"),
            (json!({"target": "box", "refresh": true}), "`refresh` goes with the target `hosts`"),
            (json!({"target": "hosts", "depth": 1}), "`depth` goes with `tree` or `find`"),
            (json!({"cursor": "x"}), "`cursor` goes with"),
        ] {
            let why = read(arguments.clone()).expect_err("it makes no sense");
            assert!(why.contains(says), "{arguments}: {why}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_what_it_has_to_be() {
        let long = "x".repeat(MAX_TEXT + 1);
        for (name, value, says) in [
            ("depth", json!(0), "a whole number from 1 to 10"),
            ("depth", json!(1.5), "a whole number from 1 to 10"),
            ("depth", json!("2"), "`depth` is a string, not a whole number"),
            ("offset", json!(-1), "a whole number from 0 to"),
            ("offset", json!(u64::MAX), "a whole number from 0 to"),
            ("tree", json!("yes"), "`tree` is a string, not a boolean"),
            ("find", json!(""), "a string of 1 to 8192 bytes"),
            ("find", json!("a\0"), "without NUL"),
            ("find", json!(long), "to 8192 bytes"),
            ("diff_content", json!("x".repeat(MAX_CONTENT + 1)), "a string of up to 262144 bytes"),
            ("type", json!("socket"), "one of `file`"),
            ("targets", json!([]), "a list of 1 to 100 strings"),
            ("targets", json!([1]), "not a list"),
            ("targets", json!("web*"), "not a list"),
        ] {
            let why = read(json!({"target": "box:/a", name: value})).expect_err("it does not fit");
            assert!(why.contains(says) && why.contains(name), "{name}: {why}");
        }
    }

    #[test]
    fn usage_names_every_argument() {
        for argument in &ARGUMENTS {
            assert!(USAGE.contains(&format!("`{}`", argument.name)), "{}", argument.name);
        }
    }
}
