//! What many hosts said, told once for those that said the same.

use scout_plugin::json::Object;
use scout_plugin::{Answer, Error, text};

use crate::fold::fold;
use crate::lines::difference;

/// Bytes of all that is told: some 30,000 tokens.
const TOLD: usize = 120_000;

/// What a host said.
pub(crate) struct Reply {
    pub(crate) host: String,
    /// Where different paths were asked for.
    pub(crate) path: Option<String>,
    pub(crate) said: Result<Said, Error>,
}

/// An answer of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// How it ended, or what it is.
    pub(crate) status: String,
    pub(crate) is_well: bool,
    pub(crate) exit: Option<u64>,
    /// Whether `output` is all that there is to say.
    pub(crate) is_text: bool,
    pub(crate) output: String,
    /// Standard error.
    pub(crate) complaint: String,
    /// Whether there was more of it.
    pub(crate) is_cut: bool,
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
    /// Why, without the name of one host.
    words: String,
    /// That of the first.
    error: Error,
}

impl Failure {
    fn message(&self) -> &str {
        if self.hosts.len() > 1 { &self.words } else { &self.error.message }
    }
}

/// Groups, the largest first, and failures.
fn grouped(replies: Vec<Reply>) -> (Vec<Group>, Vec<Failure>) {
    let (mut groups, mut failures): (Vec<Group>, Vec<Failure>) = (Vec::new(), Vec::new());
    for Reply { host, path, said } in replies {
        match said {
            Ok(said) => match groups.iter_mut().find(|group| group.said == said && group.path == path) {
                Some(group) => group.hosts.push(host),
                None => groups.push(Group { hosts: vec![host], path, said }),
            },
            Err(error) => {
                // Most messages name their host.
                let words = error.message.replace(host.as_str(), "each");
                match failures.iter_mut().find(|failure| failure.words == words) {
                    Some(failure) => failure.hosts.push(host),
                    None => failures.push(Failure { hosts: vec![host], words, error }),
                }
            }
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.hosts.len()));
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.hosts.len()));
    (groups, failures)
}

/// The answer: failures first, then what most hosts said, then how others differ from that.
pub(crate) fn answer(command: Option<&str>, replies: Vec<Reply>) -> Answer {
    let total = replies.len();
    let (groups, failures) = grouped(replies);
    let failed: usize = failures.iter().map(|failure| failure.hosts.len()).sum();
    let mut out = format!("{}: ", text::count(total as u64, "host", "hosts"));
    out.push_str(&match (groups.len(), failed) {
        (0, _) => "none could be asked".to_owned(),
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
    let mut left = TOLD;
    let mut parts: Vec<Part> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let share = if at == 0 && groups.len() > 1 { left / 2 } else { left / (groups.len() - at) };
        let base = parts.first().and(groups.first()).filter(|base| base.path == group.path);
        let part = Part::of(group, base, share);
        left = left.saturating_sub(part.output.len() + part.complaint.len());
        parts.push(part);
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
    let is_cut = parts.iter().any(|part| part.is_cut);
    let object = Object::new()
        .text("command", command)
        .integer("asked", total as u64)
        .integer("failed", failed as u64)
        .boolean("truncated", is_cut)
        .each("groups", groups.iter().zip(&parts), |object, (group, part)| part.as_json(object, group))
        .each("failures", &failures, |object, failure| {
            object
                .text("hosts", names(&failure.hosts).as_str())
                .texts("names", &failure.hosts)
                .text("kind", failure.error.kind())
                .text("message", failure.message())
                .text("hint", failure.error.hint.as_deref())
        });
    let answer = Answer::new().text(out).structured(object);
    match failures.into_iter().next() {
        Some(failure) if groups.is_empty() => answer.failed(failure.error),
        _ => answer,
    }
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
    fn of(group: &Group, base: Option<&Group>, share: usize) -> Self {
        let said = &group.said;
        let complaint = first(&said.complaint, share / 4);
        let room = share - complaint.len();
        let is_cut = said.is_cut || complaint.len() < said.complaint.len();
        let comparable = base.filter(|base| base.said.is_text && said.is_text && !base.said.output.is_empty());
        if let Some(base) = comparable.filter(|base| base.said.output != said.output) {
            let told = difference(&base.said.output, &said.output, room);
            // Of what has nothing in common the difference says less than what it is.
            if !told.is_coarse && (told.unified.len() <= said.output.len() || told.is_cut) {
                let is_cut = is_cut || told.is_cut;
                return Self { is_difference: true, output: told.unified, complaint, is_cut };
            }
        }
        let output = match comparable.is_some_and(|base| base.said.output == said.output) {
            true => String::new(),
            false => first(&said.output, room),
        };
        let is_cut = is_cut || (output.len() < said.output.len() && comparable.is_none());
        Self {
            is_difference: comparable.is_some() && output.is_empty() && !said.output.is_empty(),
            output,
            complaint,
            is_cut,
        }
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
        let object = object
            .text("hosts", names(&group.hosts).as_str())
            .texts("names", &group.hosts)
            .text("path", group.path.as_deref())
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

    use super::{Reply, Said, TOLD, answer};

    fn said(output: &str) -> Said {
        Said {
            status: "exit 0".to_owned(),
            is_well: true,
            exit: Some(0),
            is_text: true,
            output: output.to_owned(),
            complaint: String::new(),
            is_cut: false,
        }
    }

    fn reply(host: &str, said: Result<Said, Error>) -> Reply {
        Reply { host: host.to_owned(), path: None, said }
    }

    fn told(replies: Vec<Reply>) -> (String, String) {
        let answer = answer(Some("x"), replies);
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
        assert!(text.contains("! db[1-2]: each: no answer"), "{text}");
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
    fn what_all_say_is_told_once_and_what_none_says_is_a_failure() {
        let (_, text) = told(vec![reply("a", Ok(said("x\n"))), reply("b", Ok(said("x\n")))]);
        assert!(text.contains("2 hosts: all say the same") && text.matches("exit 0\\nx").count() == 1, "{text}");
        let none = answer(None, vec![reply("a", Err(Error::new(ErrorKind::Refused, "no")))]);
        assert!(format!("{none:?}").contains("failure: Some("));
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
