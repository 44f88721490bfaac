//! What many hosts said, told once for those that said the same.

use scout_plugin::json::Object;
use scout_plugin::{Answer, Blob, Error, first_bytes, text};

use crate::fold::fold;
use crate::lines::difference;
use crate::targets::Rest;

/// Bytes of all that is told: some 30,000 tokens.
const TOLD: usize = 120_000;
/// Groups of which more is told than who they are.
const GROUPS: usize = 50;
/// Bytes of texts between which differences are looked for.
const COMPARED: usize = 1 << 20;

/// What a host said.
pub(crate) struct Reply {
    pub(crate) host: String,
    /// Where different paths were asked for.
    pub(crate) path: Option<String>,
    pub(crate) said: Result<Said, Error>,
}

/// An answer of a host.
#[derive(Debug)]
pub(crate) struct Said {
    /// How it ended, or what it is.
    pub(crate) status: String,
    pub(crate) is_well: bool,
    pub(crate) exit: Option<u64>,
    /// Whether `output` is all that there is to say.
    pub(crate) is_text: bool,
    pub(crate) output: Body,
    /// Standard error.
    pub(crate) complaint: Body,
    /// Whether there was more of it.
    pub(crate) is_cut: bool,
}

/// A text that is read into the plugin only if it is told.
#[derive(Debug)]
pub(crate) enum Body {
    /// Held by Scout, with its digest.
    Held(Blob, Vec<u8>),
    /// Made here.
    Text(String),
}

impl Body {
    pub(crate) fn held(blob: Blob) -> Self {
        let digest = blob.digest();
        Self::Held(blob, digest)
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Held(_, one), Self::Held(_, other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }

    fn text(&self) -> String {
        let blob = match self {
            Self::Text(text) => return text.clone(),
            Self::Held(blob, _) => blob,
        };
        String::from_utf8_lossy(&first_bytes(blob, u64::MAX)).into_owned()
    }
}

impl Said {
    fn is(&self, other: &Self) -> bool {
        (self.exit, self.is_cut) == (other.exit, other.is_cut)
            && self.status == other.status
            && self.output.is(&other.output)
            && self.complaint.is(&other.complaint)
    }
}

/// Hosts that said the same.
struct Group {
    hosts: Vec<String>,
    path: Option<String>,
    said: Said,
}

/// Hosts that could not be asked, for the same reason.
struct Failure {
    hosts: Vec<String>,
    /// Why, without numbers.
    words: String,
    /// That of the first.
    error: Error,
    /// Whether those of others have other numbers: addresses, how long to wait.
    is_alike: bool,
}

impl Failure {
    fn message(&self) -> String {
        match self.hosts.first().filter(|_| self.is_alike) {
            Some(first) => format!("{} (of {first}; of the others alike)", self.error.message),
            None => self.error.message.clone(),
        }
    }
}

/// A message without the host before it.
fn without(host: &str, message: &str) -> String {
    message.strip_prefix(host).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message).to_owned()
}

/// Groups, the largest first, and failures.
fn grouped(replies: Vec<Reply>) -> (Vec<Group>, Vec<Failure>) {
    let (mut groups, mut failures): (Vec<Group>, Vec<Failure>) = (Vec::new(), Vec::new());
    for Reply { host, path, said } in replies {
        match said {
            Ok(said) => match groups.iter_mut().find(|group| group.said.is(&said) && group.path == path) {
                Some(group) => group.hosts.push(host),
                None => groups.push(Group { hosts: vec![host], path, said }),
            },
            Err(error) => {
                // Most messages begin with their host, and some say how long to wait.
                let error = Error { message: without(&host, &error.message), ..error };
                let words: String = error.message.chars().filter(|character| !character.is_ascii_digit()).collect();
                match failures.iter_mut().find(|failure| failure.words == words) {
                    Some(failure) => {
                        failure.is_alike |= failure.error.message != error.message;
                        failure.hosts.push(host);
                    }
                    None => failures.push(Failure { hosts: vec![host], words, error, is_alike: false }),
                }
            }
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.hosts.len()));
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.hosts.len()));
    (groups, failures)
}

/// The answer: failures first, then what most hosts said, then how others differ from that.
pub(crate) fn answer(command: Option<&str>, replies: Vec<Reply>, rest: Option<&Rest>) -> Answer {
    let total = replies.len();
    let mut hosts: Vec<&str> = replies.iter().map(|reply| reply.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let counted = match hosts.len() {
        count if count == total => text::count(count as u64, "host", "hosts"),
        count => format!("{total} targets on {}", text::count(count as u64, "host", "hosts")),
    };
    let (groups, failures) = grouped(replies);
    let failed: usize = failures.iter().map(|failure| failure.hosts.len()).sum();
    let mut out = format!("{counted}: ");
    out.push_str(&match (groups.len(), failed) {
        (0, _) => "none answered as asked".to_owned(),
        (1, 0) if groups.iter().all(|group| group.said.is_cut) => "all say the same, as far as it was read".to_owned(),
        (1, 0) => "all say the same".to_owned(),
        (answers, 0) => format!("{answers} different answers"),
        (answers, failed) => format!("{failed} failed, {}", text::count(answers as u64, "answer", "different answers")),
    });
    out.push('\n');
    for failure in &failures {
        out.push_str(&format!("! {}: {}\n", names(&failure.hosts), failure.message()));
        if let Some(hint) = &failure.error.hint {
            out.push_str(&format!("  ({hint})\n"));
        }
    }
    // The first may have half of all; what it leaves is for the others, in equal parts.
    let (mut left, mut compared, mut base) = (TOLD, 0, String::new());
    let mut parts: Vec<Part> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let (output, complaint) = match at < GROUPS {
            true => (group.said.output.text(), group.said.complaint.text()),
            false => (String::new(), String::new()),
        };
        let share = if at == 0 && groups.len() > 1 { left / 2 } else { left / (groups.len() - at).min(GROUPS) };
        let first =
            groups.first().filter(|first| at > 0 && at < GROUPS && first.path == group.path && first.said.is_text);
        let mut part =
            Part::of(&group.said, (&output, &complaint), first.map(|_| (base.as_str(), compared < COMPARED)), share);
        if first.is_some() {
            compared += base.len() + output.len();
        }
        part.is_cut |= at >= GROUPS;
        left = left.saturating_sub(part.output.len() + part.complaint.len());
        parts.push(part);
        if at == 0 {
            base = output;
        }
    }
    for (group, part) in groups.iter().zip(&parts) {
        out.push_str(&part.heading(group));
        out.push_str(&part.output);
        if !part.output.is_empty() && !part.output.ends_with('\n') {
            out.push('\n');
        }
        if !part.complaint.is_empty() {
            out.push_str(&format!("standard error:\n{}\n", part.complaint.trim_end_matches('\n')));
        }
    }
    if let Some(rest) = rest {
        out.push_str(&says(rest));
    }
    let is_cut = parts.iter().any(|part| part.is_cut);
    let object = match command {
        Some(command) => Object::new().text("command", command),
        None => Object::new(),
    };
    let object = object.integer("asked", total as u64).integer("failed", failed as u64).boolean("truncated", is_cut);
    let object = match rest {
        Some(rest) => object.text("cursor", rest.cursor.as_str()),
        None => object,
    };
    let object = object
        .each("groups", groups.iter().zip(&parts), |object, (group, part)| part.as_json(object, group))
        .each("failures", &failures, |object, failure| {
            object
                .text("hosts", names(&failure.hosts).as_str())
                .texts("names", &failure.hosts)
                .text("kind", failure.error.kind())
                .text("message", failure.message().as_str())
                .text("hint", failure.error.hint.as_deref())
        });
    let answer = Answer::new().text(out).structured(object);
    match failures.into_iter().next() {
        Some(failure) if groups.is_empty() => answer.failed(failure.error),
        _ => answer,
    }
}

/// What was not answered, and how to ask for it.
fn says(rest: &Rest) -> String {
    let late = match rest.unanswered {
        0 => None,
        count => Some(format!(
            "{} did not answer while there was time and room",
            text::count(count as u64, "target", "targets")
        )),
    };
    let more = rest.has_more.then(|| "others were not asked yet".to_owned());
    let what = late.into_iter().chain(more).collect::<Vec<_>>().join(", ");
    format!("({what}: `cursor` {} asks them)\n", rest.cursor)
}

fn names(hosts: &[String]) -> String {
    fold(hosts.iter().map(String::as_str))
}

/// What is told of a group.
struct Part {
    /// Whether `output` is how it differs from what most hosts said.
    is_difference: bool,
    output: String,
    complaint: String,
    is_cut: bool,
}

impl Part {
    /// Of what a group said; `base` is what the first one did, and whether a difference may be looked for.
    fn of(said: &Said, (output, complaint): (&str, &str), base: Option<(&str, bool)>, share: usize) -> Self {
        let told = first(complaint, share / 4);
        let room = share - told.len();
        let is_cut = said.is_cut || told.len() < complaint.len();
        if let Some((base, may_differ)) = base.filter(|(base, _)| said.is_text && !base.is_empty()) {
            if base == output {
                return Self { is_difference: true, output: String::new(), complaint: told, is_cut };
            }
            if may_differ {
                let difference = difference(base, output, room);
                // Of what has nothing in common the difference says less than what it is.
                let says_more = difference.unified.len() <= output.len() || difference.is_cut;
                if says_more && !difference.is_coarse && !difference.unified.is_empty() {
                    let is_cut = is_cut || difference.is_cut;
                    return Self { is_difference: true, output: difference.unified, complaint: told, is_cut };
                }
            }
        }
        let shown = first(output, room);
        let is_cut = is_cut || shown.len() < output.len();
        Self { is_difference: false, output: shown, complaint: told, is_cut }
    }

    fn heading(&self, group: &Group) -> String {
        let at = group.path.as_ref().map_or_else(String::new, |path| format!(":{path}"));
        let hosts = text::count(group.hosts.len() as u64, "host", "hosts");
        let than = match (self.is_difference, self.output.is_empty()) {
            (false, _) => "",
            (true, false) => ", different from the first:",
            (true, true) => ", the output of the first",
        };
        let cut = if self.is_cut { " (cut)" } else { "" };
        format!("= {hosts}, {}{at}: {}{cut}{than}\n", names(&group.hosts), group.said.status)
    }

    fn as_json(&self, object: Object, group: &Group) -> Object {
        let said = &group.said;
        let object = object.text("hosts", names(&group.hosts).as_str()).texts("names", &group.hosts);
        let object = match &group.path {
            Some(path) => object.text("path", path.as_str()),
            None => object,
        };
        let object = object
            .text("status", said.status.as_str())
            .boolean("ok", said.is_well)
            .integer("exit", said.exit)
            .boolean("truncated", self.is_cut);
        let field = if self.is_difference { "diff" } else { "stdout" };
        object.text(field, self.output.as_str()).text("stderr", self.complaint.as_str())
    }
}

/// The first bytes of a text, in whole characters.
fn first(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use scout_plugin::{Error, ErrorKind};

    use super::{Body, Reply, Rest, Said, TOLD, answer};

    fn said(output: &str) -> Said {
        Said {
            status: "exit 0".to_owned(),
            is_well: true,
            exit: Some(0),
            is_text: true,
            output: Body::Text(output.to_owned()),
            complaint: Body::Text(String::new()),
            is_cut: false,
        }
    }

    fn reply(host: &str, said: Result<Said, Error>) -> Reply {
        Reply { host: host.to_owned(), path: None, said }
    }

    fn told(replies: Vec<Reply>) -> (String, String) {
        let answer = answer(Some("x"), replies, None);
        let text = format!("{answer:?}");
        (answer.json().unwrap_or_default().to_owned(), text)
    }

    #[test]
    fn failures_come_first_then_the_largest_group_then_what_differs() {
        let refused = |host: &str| Err(Error::new(ErrorKind::Unreachable, format!("{host}: no answer")));
        let common = (1..=40).map(|n| format!("line {n}\n")).collect::<String>();
        let replies = vec![
            reply("web3", Ok(said(&common.replace("line 20", "LINE 20")))),
            reply("web1", Ok(said(&common))),
            reply("db1", refused("db1")),
            reply("web2", Ok(said(&common))),
            reply("db2", refused("db2")),
        ];
        let (json, text) = told(replies);
        assert!(text.contains("5 hosts: 2 failed, 2 different answers"), "{text}");
        assert!(text.contains("! db[1-2]: no answer"), "{text}");
        assert!(text.contains("= 2 hosts, web[1-2]: exit 0\\nline 1"), "{text}");
        assert!(text.contains("= 1 host, web3: exit 0, different from the first:\\n@@ -17,7 +17,7 @@"), "{text}");
        assert!(text.contains("-line 20\\n+LINE 20"), "{text}");
        assert!(json.starts_with("{\"command\":\"x\",\"asked\":5,\"failed\":2,\"truncated\":false,\"groups\":[{\"hosts\":\"web[1-2]\",\"names\":[\"web1\",\"web2\"]"), "{json}");
        assert!(
            json.contains("\"failures\":[{\"hosts\":\"db[1-2]\",\"names\":[\"db1\",\"db2\"],\"kind\":\"unreachable\""),
            "{json}"
        );
    }

    #[test]
    fn failures_that_differ_in_numbers_are_told_as_alike() {
        let refused =
            |host: &str, port: u16| Err(Error::new(ErrorKind::Unreachable, format!("{host}: no answer at {port}")));
        let replies =
            vec![reply("db1", refused("db1", 22)), reply("db2", refused("db2", 23)), reply("db3", refused("db3", 22))];
        let (_, text) = told(replies);
        assert!(text.contains("! db[1-3]: no answer at 22 (of db1; of the others alike)"), "{text}");
    }

    #[test]
    fn what_all_say_is_told_once_and_what_none_says_is_a_failure() {
        let (_, text) = told(vec![reply("a", Ok(said("x\n"))), reply("b", Ok(said("x\n")))]);
        assert!(text.contains("2 hosts: all say the same") && text.matches("exit 0\\nx").count() == 1, "{text}");
        let none = answer(None, vec![reply("a", Err(Error::new(ErrorKind::Refused, "no")))], None);
        assert!(format!("{none:?}").contains("failure: Some("));
    }

    #[test]
    fn what_is_left_is_told_with_its_cursor() {
        for (unanswered, has_more, says) in [
            (0, true, "(others were not asked yet: `cursor` c asks them)"),
            (1, false, "(1 target did not answer while there was time and room: `cursor` c asks them)"),
            (
                2,
                true,
                "(2 targets did not answer while there was time and room, others were not asked yet: `cursor` c asks them)",
            ),
        ] {
            let rest = Rest { cursor: "c".to_owned(), unanswered, has_more };
            let answer = answer(Some("x"), vec![reply("a", Ok(said("x\n")))], Some(&rest));
            assert!(format!("{answer:?}").contains(says), "{answer:?}");
            assert!(answer.json().is_some_and(|json| json.contains(r#""truncated":false,"cursor":"c","groups""#)));
        }
    }

    #[test]
    fn an_equal_output_with_another_end_is_not_told_again() {
        let other = Said { status: "exit 1".to_owned(), exit: Some(1), is_well: false, ..said("x\n") };
        let (json, text) = told(vec![reply("a", Ok(said("x\n"))), reply("b", Ok(said("x\n"))), reply("c", Ok(other))]);
        assert!(text.contains("= 1 host, c: exit 1, the output of the first"), "{text}");
        assert!(json.contains("\"exit\":1,\"truncated\":false,\"diff\":\"\""), "{json}");
    }

    #[test]
    fn all_groups_together_have_a_bound() {
        let replies = (0..50).map(|n| reply(&format!("h{n}"), Ok(said(&format!("{n} ").repeat(20_000))))).collect();
        let (json, _) = told(replies);
        assert!(json.len() < TOLD + 20_000, "{}", json.len());
        assert!(json.contains("\"truncated\":true"));
    }
}
