//! A copy from one machine to another: a file, or a directory with what is below it.

use scout_plugin::json::Object;
use scout_plugin::transfer::{self, Failure, Place};
use scout_plugin::{Answer, Description, Error, ErrorKind, Handler, Query, Subject, register, text};

struct Transfer;
register!(Transfer: handler);

/// Failures that are shown.
const SHOWN: usize = 20;
/// Characters of a path or of a message that are shown.
const CLIPPED: usize = 300;

impl Handler for Transfer {
    fn describe() -> Description {
        Description::new("copies files and directories from one machine to another", &[Subject::Transfer])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let (source, target) = ends(&query)?;
        let is_replacing = query.arguments().flag("replace");
        let report = transfer::copy(&source, &target, is_replacing)?;
        let copied = Copied {
            source: shown(&source),
            target: shown(&Place { host: target.host, path: report.path() }),
            files: report.files(),
            unchanged: report.unchanged(),
            directories: report.directories(),
            bytes: report.bytes(),
            resumed: report.resumed(),
            verified: report.verified(),
            sha256: report.digest().map(|digest| hex(&digest)),
            failures: report.failures().into_iter().map(Left::from).collect(),
            failed: report.failed(),
        };
        let answer = Answer::new().text(copied.as_text()).structured(copied.as_json());
        Ok(match copied.failure() {
            Some(why) => answer.failed(why),
            None => answer,
        })
    }
}

/// What is copied, and where to.
fn ends(query: &Query) -> Result<(Place, Place), Error> {
    let arguments = query.arguments();
    if let (Some(source), Some(target)) = (arguments.text("beam_source"), arguments.text("beam_target")) {
        return Ok((named("beam_source", source)?, named("beam_target", target)?));
    }
    let (Some(host), Some(path), Some(here)) = (&query.host, &query.path, arguments.text("beam")) else {
        return Err(Error::new(ErrorKind::Invalid, "a copy has two ends: `beam_source` and `beam_target`"));
    };
    let there = Place { host: Some(host.clone()), path: path.clone() };
    let here = named("beam", here)?;
    if here.host.is_some() {
        let why = "`beam` is a path of the machine that Scout runs on";
        return Err(Error::new(ErrorKind::Invalid, why).hint("between two hosts: `beam_source` and `beam_target`"));
    }
    // What is there goes to the host; what is not is fetched. As scout_mcp has it.
    match transfer::look(&here)? {
        Some(_) => Ok((here, there)),
        None => Ok((there, here)),
    }
}

/// `host:/path`, or `/path` of the machine that Scout runs on.
fn named(argument: &str, end: &str) -> Result<Place, Error> {
    let is_path = |path: &str| path.starts_with(['/', '~']);
    let (host, path) = match end.split_once(':') {
        _ if is_path(end) => (None, end),
        Some((host, path)) if !host.is_empty() && is_path(path) => (Some(host.to_owned()), path),
        _ => {
            let why = format!("`{argument}` is `{}`", text::clipped(end, CLIPPED));
            let hint = "write `host:/path`, or `/path` of the machine that Scout runs on";
            return Err(Error::new(ErrorKind::Invalid, why).hint(hint));
        }
    };
    Ok(Place { host, path: path.as_bytes().to_vec() })
}

fn shown(place: &Place) -> String {
    let path = text::one_line(&String::from_utf8_lossy(&place.path));
    match &place.host {
        Some(host) => format!("{host}:{path}"),
        None => path,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was left out, and why.
struct Left {
    path: Vec<u8>,
    kind: String,
    message: String,
}

impl From<Failure> for Left {
    fn from(failure: Failure) -> Self {
        Self { path: failure.path, kind: failure.error.kind, message: failure.error.message }
    }
}

/// What was copied.
#[derive(Default)]
struct Copied {
    source: String,
    target: String,
    files: u64,
    unchanged: u64,
    directories: u64,
    bytes: u64,
    resumed: u64,
    verified: u64,
    sha256: Option<String>,
    failures: Vec<Left>,
    failed: u64,
}

impl Copied {
    fn as_text(&self) -> String {
        let Self { source, target, files, unchanged, directories, bytes, resumed, verified, .. } = self;
        let mut lines = vec![format!("{source} -> {target}")];
        let mut done = Vec::new();
        if *files > 0 {
            done.push(format!("{} written ({})", text::count(*files, "file", "files"), text::size(*bytes)));
        }
        if *unchanged > 0 {
            done.push(format!("{} there already with the same content", text::count(*unchanged, "file", "files")));
        }
        if *directories > 0 {
            done.push(format!("{} made", text::count(*directories, "directory", "directories")));
        }
        if *resumed > 0 {
            done.push(format!("{} were there of an interrupted copy", text::size(*resumed)));
        }
        if done.is_empty() {
            done.push("nothing to copy".to_owned());
        }
        lines.push(done.join(", "));
        if *files > 0 {
            lines.push(match (files == verified, &self.sha256) {
                (true, Some(sha256)) => format!("the target has its SHA-256: {sha256}"),
                (true, None) => "the target has the SHA-256 of each".to_owned(),
                (false, _) => format!(
                    "of {} only the size is known to be right: the host tells no SHA-256",
                    text::count(files - verified, "file", "files")
                ),
            });
        }
        if self.failed > 0 {
            lines.push(format!("left out: {}", self.failed));
            lines.extend(self.failures.iter().take(SHOWN).map(|failure| {
                let path = text::clipped(&text::one_line(&String::from_utf8_lossy(&failure.path)), CLIPPED);
                let path = if path.is_empty() { ".".to_owned() } else { path };
                format!("  {path}: {}", text::clipped(&failure.message, CLIPPED))
            }));
            if self.failed > SHOWN as u64 {
                lines.push(format!("  and {} more", self.failed - SHOWN as u64));
            }
        }
        lines.join("\n")
    }

    fn as_json(&self) -> Object {
        let failures = self.failures.iter().map(|failure| {
            let (path, base64) = text::name(&failure.path);
            Object::new()
                .text("path", path.as_str())
                .text("path_base64", base64.as_deref())
                .text("kind", failure.kind.as_str())
                .text("message", failure.message.as_str())
        });
        Object::new()
            .text("source", self.source.as_str())
            .text("target", self.target.as_str())
            .integer("files", self.files)
            .integer("unchanged", self.unchanged)
            .integer("directories", self.directories)
            .integer("bytes", self.bytes)
            .integer("resumed", self.resumed)
            .integer("verified", self.verified)
            .text("sha256", self.sha256.as_deref())
            .integer("failed", self.failed)
            .objects("failures", failures)
    }

    /// Why not all was copied that can be: links and special files never are.
    fn failure(&self) -> Option<Error> {
        let missing = self.failures.iter().filter(|failure| failure.kind != "unsupported");
        let first = missing.clone().next()?;
        let why = format!("{} were left out; the first: {}", self.failed, text::clipped(&first.message, CLIPPED));
        Some(Error::new(ErrorKind::Remote, why).hint("the same copy goes on where this one ended"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_path_here_or_on_a_host() {
        for (end, host, path) in [
            ("/srv/a", None, "/srv/a"),
            ("~/a", None, "~/a"),
            ("box:/srv/a", Some("box"), "/srv/a"),
            ("box:~/a:b", Some("box"), "~/a:b"),
            ("/srv/a:b", None, "/srv/a:b"),
        ] {
            let place = named("beam", end).unwrap();
            assert_eq!((place.host.as_deref(), &place.path[..]), (host, path.as_bytes()), "{end}");
        }
        for end in ["", "a", "box:", "box:a", ":/a", "hosts"] {
            let why = named("beam_source", end).unwrap_err().to_string();
            assert!(why.contains("`beam_source`"), "{end}: {why}");
        }
    }

    #[test]
    fn what_was_done_is_told_and_what_was_not() {
        let mut copied = Copied { source: "box:/a".into(), target: "/srv/a".into(), ..Copied::default() };
        assert_eq!(copied.as_text(), "box:/a -> /srv/a\nnothing to copy");
        (copied.files, copied.verified, copied.bytes, copied.sha256) = (1, 1, 2048, Some("ab".into()));
        assert!(copied.as_text().contains("1 file written (2"), "{}", copied.as_text());
        assert!(copied.as_text().ends_with("the target has its SHA-256: ab"));
        copied.verified = 0;
        assert!(copied.as_text().ends_with("of 1 file only the size is known to be right: the host tells no SHA-256"));
        let left = |kind: &str, path: &[u8]| Left { path: path.to_vec(), kind: kind.into(), message: "why".into() };
        copied.failures = vec![left("unsupported", b"l\n"), left("unsupported", b"")];
        copied.failed = 30;
        assert!(
            copied.as_text().ends_with("left out: 30\n  l\\n: why\n  .: why\n  and 10 more"),
            "{}",
            copied.as_text()
        );
        assert_eq!(copied.failure(), None, "links are never copied");
        copied.failures.push(left("permission", b"b"));
        assert!(copied.failure().unwrap().message.starts_with("30 were left out"));
        let json = copied.as_json().finish();
        assert!(json.contains(r#""failed":30"#) && json.contains(r#""kind":"permission""#), "{json}");
    }
}
