//! What a client may ask for: the target's grammar and the resource URIs.
//!
//! Pure. Knows no host: whether a name exists is the router's question.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use scout_machine::{HostError, RemotePath, Start};
use scout_runtime::Subject;
use serde_json::{Map, Value};

/// The longest target, in bytes: twice the longest path of Linux.
const MAX_TARGET: usize = 8 * 1024;
/// The longest command line, in bytes.
const MAX_QUERY: usize = 64 * 1024;
/// The longest host name, in bytes.
pub(crate) const MAX_HOST: usize = 255;
/// The longest query of the target `hosts`, in bytes: patterns and parts of names, and behind them `from` with a name.
const MAX_SELECTION: usize = 4 * MAX_HOST;

/// One request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The listing of hosts.
    Hosts {
        /// Which of them; absent: all, from the first.
        query: Option<String>,
        /// Their order, and how many from where on.
        arguments: Map<String, Value>,
    },
    /// A file or a directory.
    Path {
        /// As the client names it.
        host: String,
        /// Absent: the home directory.
        path: Option<RemotePath>,
    },
    /// A command.
    Command {
        /// As the client names it.
        host: String,
        /// Where it runs; absent: the home directory.
        path: Option<RemotePath>,
        /// The command line.
        command: String,
    },
    /// What needs arguments of its own. What lies where is for the plugin to find out that answers it.
    About {
        /// What is asked.
        subject: Subject,
        /// As the client names it; absent where the arguments name them.
        host: Option<String>,
        /// Absent: the home directory.
        path: Option<RemotePath>,
        /// The command line.
        command: Option<String>,
        /// The others, checked.
        arguments: Map<String, Value>,
    },
}

/// A target that cannot be understood: what is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

impl From<HostError> for TargetError {
    fn from(error: HostError) -> Self {
        Self(error.message().to_owned())
    }
}

impl Request {
    /// Reads the three arguments of the `scout` tool that say what is looked at.
    ///
    /// # Errors
    /// Says what is wrong and how it is written.
    pub fn parse(target: &str, query: Option<&str>, host: Option<&str>) -> Result<Self, TargetError> {
        if target.len() > MAX_TARGET {
            return Err(TargetError(format!(
                "the target is {} bytes long, at most {MAX_TARGET} are allowed; a target is `hosts`, `host:/path` or `host:~/path`",
                target.len()
            )));
        }
        if let Some(query) = query {
            check_query(query)?;
        }
        if target.contains('\0') {
            return Err(TargetError("a path cannot hold a NUL byte; leave it out of `target`".to_owned()));
        }
        let (host, path) = match host {
            Some(host) => (host, path_below(host, target)?),
            None if target.trim().eq_ignore_ascii_case("hosts") => {
                return match query.map(str::trim) {
                    Some(query) if query.len() > MAX_SELECTION || query.contains(['/', '|', ';', '>', '$']) => Err(TargetError(
                        "with the target `hosts`, `query` selects hosts: a pattern such as `web*`, a part of a name, or \
                         `from NAME`; a command needs one host: write `host:` or `host:/directory` as the target"
                            .to_owned(),
                    )),
                    query => Ok(Self::Hosts { query: query.map(str::to_owned), arguments: Map::new() }),
                };
            }
            None => split(target)?,
        };
        if host.len() > MAX_HOST {
            return Err(TargetError(format!("a host's name has at most {MAX_HOST} bytes; `hosts` lists them")));
        }
        let path = (!path.is_empty()).then(|| RemotePath::parse(path)).transpose()?;
        let host = host.to_owned();
        Ok(match query {
            None => Self::Path { host, path },
            Some(query) => Self::Command { host, path, command: query.to_owned() },
        })
    }

    /// What is asked of many hosts, which `arguments` name.
    ///
    /// # Errors
    /// What is wrong with the command line.
    pub fn many(query: Option<&str>, arguments: Map<String, Value>) -> Result<Self, TargetError> {
        query.map_or(Ok(()), check_query)?;
        let command = query.map(str::to_owned);
        Ok(Self::About { subject: Subject::Targets, host: None, path: None, command, arguments })
    }

    /// Reads a resource URI: `hosts://list` or `scout://HOST/PATH`, percent-encoded.
    ///
    /// # Errors
    /// Says what is wrong and how it is written.
    pub fn parse_uri(uri: &str) -> Result<Self, TargetError> {
        const SHAPE: &str = "resources are `hosts://list` and `scout://HOST/PATH` (percent-encoded)";
        if uri.len() > 3 * MAX_TARGET {
            return Err(TargetError(format!("the URI is too long; {SHAPE}")));
        }
        if uri == HOSTS_URI {
            return Ok(Self::Hosts { query: None, arguments: Map::new() });
        }
        let Some(rest) = uri.strip_prefix("scout://") else {
            return Err(TargetError(format!("no resource has this URI; {SHAPE}")));
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = percent_decode_str(host).decode_utf8().unwrap_or_default().into_owned();
        if host.is_empty() || host.len() > MAX_HOST {
            return Err(TargetError(format!("the URI names no host; {SHAPE}")));
        }
        let below: Vec<u8> = percent_decode_str(path).collect();
        // `scout://host/~/x` is the home directory, as `host:~/x` is; a directory that is called `~` is `/./~`.
        let path = if below.starts_with(b"~") { below } else { [b"/", below.as_slice()].concat() };
        Ok(Self::Path { host, path: Some(RemotePath::parse(path)?) })
    }
}

/// The URI of the listing of hosts.
pub const HOSTS_URI: &str = "hosts://list";
/// The URI template of files and directories (RFC 6570, level 4).
pub const PATH_URI_TEMPLATE: &str = "scout://{host}/{path*}";

/// Whether a URI is one of Scout's own resources, or of none.
pub(crate) fn is_own_uri(uri: &str) -> bool {
    uri == HOSTS_URI || uri.starts_with("scout://")
}

/// The schemes that scout_mcp had.
const FORMER_SCHEMES: [&str; 4] = ["docker", "compose", "zfs", "syslog"];

/// Whether a URI begins as those of scout_mcp did that are as they were.
pub(crate) fn is_former_scheme(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, _)| FORMER_SCHEMES.contains(&scheme))
}

/// What a URI of scout_mcp is now, which has a host in the place of the scheme: `web1://docker/db/logs`, and `web1://etc/fstab` for what is
/// none of a scheme that it had, whatever others plugins have. None: no host is named so.
pub(crate) fn former_uri(
    uri: &str,
    is_host: impl Fn(&str) -> bool,
    is_scheme: impl Fn(&str) -> bool,
) -> Option<String> {
    let (host, rest) = uri.split_once("://")?;
    if host.is_empty() || host.len() > MAX_HOST || !is_host(host) {
        return None;
    }
    let host = percent_encode(host.as_bytes(), NON_ALPHANUMERIC);
    let (first, behind) = rest.split_once('/').map_or((rest, None), |(first, behind)| (first, Some(behind)));
    Some(match (FORMER_SCHEMES.contains(&first) && is_scheme(first), behind) {
        (true, Some(behind)) => format!("{first}://{host}/{behind}"),
        (true, None) => format!("{first}://{host}"),
        (false, _) => format!("scout://{host}/{rest}"),
    })
}

/// What is encoded in a path: all but RFC 3986's `pchar` and `/`.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The URI of a path, which [`Request::parse_uri`] reads as a path to the same place.
pub fn uri(host: &str, path: &RemotePath) -> String {
    let written = path.bytes();
    let before = match path.start() {
        // Else it would be somebody's home directory.
        Start::Root if written.starts_with(b"/~") => "/.",
        Start::Root => "",
        Start::Home | Start::OtherHome if written.starts_with(b"~") => "/",
        Start::Home | Start::OtherHome => "/~/",
    };
    format!("scout://{}{before}{}", percent_encode(host.as_bytes(), PATH), percent_encode(written, PATH))
}

fn check_query(query: &str) -> Result<(), TargetError> {
    let why = if query.trim().is_empty() {
        "`query` is empty; leave it out to read a file or a directory, or write a command such as `df -h`".to_owned()
    } else if query.len() > MAX_QUERY {
        format!("`query` is {} bytes long, at most {MAX_QUERY} are allowed", query.len())
    } else if query.contains('\0') {
        "a command cannot hold a NUL byte; leave it out of `query`".to_owned()
    } else {
        return Ok(());
    };
    Err(TargetError(why))
}

/// The host and the path of a target that names both.
fn split(target: &str) -> Result<(&str, &str), TargetError> {
    const SHAPE: &str = "write `hosts` for all hosts, `host:/path` or `host:~/path` for a file or a directory";
    if target.trim().is_empty() {
        return Err(TargetError(format!("the target is empty; {SHAPE}")));
    }
    let (host, path) = match target.split_once(':') {
        Some((host, _)) if host.contains('/') => ("", target),
        Some((host, path)) => (host, path),
        None if target.contains('/') => ("", target),
        None => (target.trim(), ""),
    };
    if host.is_empty() {
        return Err(TargetError(format!("the target names no host; {SHAPE}, or give the argument `host`")));
    }
    Ok((host, path))
}

/// The path of a target beside the argument `host`: the host's prefix may be there, another may not.
fn path_below<'a>(host: &str, target: &'a str) -> Result<&'a str, TargetError> {
    if host.is_empty() {
        return Err(TargetError("`host` is empty; leave it out or name a host".to_owned()));
    }
    if target == host {
        return Ok("");
    }
    match target.split_once(':') {
        Some((prefix, path)) if prefix == host => Ok(path),
        Some((prefix, _)) if !prefix.contains('/') => Err(TargetError(format!(
            "`host` is `{host}` and the target names `{prefix}`; give one of them, or write the path as `./{target}`"
        ))),
        _ => Ok(target),
    }
}

#[cfg(test)]
#[path = "../../machine/src/remote_path/spellings.rs"]
mod spellings;

#[cfg(test)]
mod tests {
    use super::spellings::{NO_PATHS, SPELLINGS};
    use super::*;

    fn remote(path: impl AsRef<[u8]>) -> RemotePath {
        RemotePath::parse(path).expect("a path")
    }

    fn path(host: &str, path: &str) -> Request {
        Request::Path { host: host.to_owned(), path: (!path.is_empty()).then(|| remote(path)) }
    }

    #[test]
    fn targets_are_read() {
        let table = [
            ("hosts", None, Request::Hosts { query: None, arguments: Map::new() }),
            (" Hosts ", None, Request::Hosts { query: None, arguments: Map::new() }),
            ("hosts:/etc", None, path("hosts", "/etc")),
            ("hosts:", None, path("hosts", "")),
            ("box", None, path("box", "")),
            ("box:", None, path("box", "")),
            ("box:/etc/a b", None, path("box", "/etc/a b")),
            ("box:~/x", None, path("box", "~/x")),
            ("box:x:y", None, path("box", "x:y")),
            ("/etc", Some("box"), path("box", "/etc")),
            ("/a:b", Some("box"), path("box", "/a:b")),
            ("box:/etc", Some("box"), path("box", "/etc")),
            ("box", Some("box"), path("box", "")),
            ("", Some("box"), path("box", "")),
        ];
        for (target, host, expected) in table {
            assert_eq!(Request::parse(target, None, host), Ok(expected), "{target:?} {host:?}");
        }
    }

    #[test]
    fn a_query_makes_a_command() {
        let expected =
            Request::Command { host: "box".to_owned(), path: Some(remote("/var")), command: "du -sh".to_owned() };
        assert_eq!(Request::parse("box:/var", Some("du -sh"), None), Ok(expected));
    }

    #[test]
    fn a_query_of_the_hosts_has_room_for_a_selection_and_the_longest_name() {
        let query = format!("web* eu from {}", "a".repeat(MAX_HOST));
        assert_eq!(
            Request::parse("hosts", Some(&query), None),
            Ok(Request::Hosts { query: Some(query), arguments: Map::new() })
        );
        assert!(Request::parse("hosts", Some(&"a".repeat(MAX_SELECTION + 1)), None).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let table = [
            ("", None, None),
            ("  ", None, None),
            (":", None, None),
            (":/etc", None, None),
            ("/etc/passwd", None, None),
            ("/a:b", None, None),
            ("box:/a\0b", None, None),
            ("hosts", Some("ls /etc"), None),
            ("box", Some(""), None),
            ("box", Some("ls\0"), None),
            ("other:/etc", None, Some("box")),
            ("/etc", None, Some("")),
        ];
        for (target, query, host) in table {
            assert!(Request::parse(target, query, host).is_err(), "{target:?} {query:?} {host:?}");
        }
        assert!(Request::parse(&format!("box:/{}", "a".repeat(MAX_TARGET)), None, None).is_err());
        assert!(Request::parse("box", Some(&"a".repeat(MAX_QUERY + 1)), None).is_err());
    }

    #[test]
    fn a_uri_names_the_place_that_its_path_names() {
        for (path, ..) in SPELLINGS {
            let path = remote(path);
            let Ok(Request::Path { path: Some(read), .. }) = Request::parse_uri(&uri("box", &path)) else {
                panic!("{path:?}")
            };
            assert!(read.start() == path.start() && read.names().eq(path.names()), "{path:?} became {read:?}");
        }
    }

    #[test]
    fn every_spelling_is_read_as_it_is_written() {
        for (path, ..) in SPELLINGS {
            let Ok(text) = std::str::from_utf8(path) else { continue };
            let read = Request::parse(&format!("box:{text}"), None, None);
            assert_eq!(read, Ok(self::path("box", text)));
        }
    }

    #[test]
    fn what_is_no_path_is_refused_in_a_target_and_in_a_uri() {
        for (path, message) in NO_PATHS {
            let uri = format!("scout://box/{}", percent_encode(path, PATH));
            assert_eq!(Request::parse_uri(&uri).map_err(|error| error.to_string()), Err((*message).to_owned()));
            let target = format!("box:{}", String::from_utf8_lossy(path));
            assert!(Request::parse(&target, None, None).is_err(), "{target}");
        }
    }

    #[test]
    fn a_uri_of_scout_mcp_is_one_of_today() {
        let former = |uri| former_uri(uri, |host| host == "web_1", |scheme| matches!(scheme, "docker" | "etc"));
        for (uri, now) in [
            ("web_1://docker", Some("docker://web%5F1")),
            ("web_1://docker/a%2Fb/logs", Some("docker://web%5F1/a%2Fb/logs")),
            ("web_1://etc/fstab", Some("scout://web%5F1/etc/fstab")),
            ("web_1://zfs", Some("scout://web%5F1/zfs")),
            ("web_1://", Some("scout://web%5F1/")),
            ("web1://docker", None),
            ("://docker", None),
            ("web_1:/etc", None),
        ] {
            assert_eq!(former(uri).as_deref(), now, "{uri}");
        }
        assert_eq!(Request::parse_uri("scout://web%5F1/etc/fstab"), Ok(path("web_1", "/etc/fstab")));
    }

    #[test]
    fn uris_are_read_and_written() {
        for (uri_text, expected) in [
            ("hosts://list", Request::Hosts { query: None, arguments: Map::new() }),
            ("scout://box/etc/a%20b", path("box", "/etc/a b")),
            ("scout://box", path("box", "/")),
            ("scout://box/~/x", path("box", "~/x")),
            ("scout://b%20x/", path("b x", "/")),
        ] {
            assert_eq!(Request::parse_uri(uri_text), Ok(expected), "{uri_text}");
        }
        let latin = Request::Path { host: "box".to_owned(), path: Some(remote(b"/caf\xe9")) };
        assert_eq!(uri("box", &remote(b"/caf\xe9")), "scout://box/caf%E9");
        assert_eq!(Request::parse_uri("scout://box/caf%E9"), Ok(latin));
        for (written, expected) in [
            ("~/x", "scout://box/~/x"),
            ("x", "scout://box/~/x"),
            ("~root/x", "scout://box/~root/x"),
            ("/~root/x", "scout://box/./~root/x"),
        ] {
            assert_eq!(uri("box", &remote(written)), expected);
        }
        for bad in ["", "http://box/", "scout://", "scout:///etc", "scout://box/%00", "hosts://other"] {
            assert!(Request::parse_uri(bad).is_err(), "{bad}");
        }
    }
}
