//! A cassette as JSON: what a person reads and compares, and what may come from anybody.
//!
//! Bytes are text where they are UTF-8, a list of lines if there are several, else base64. An unknown key, another
//! version and an operation whose answer does not fit are errors. What it would take in memory is told from its text before
//! anything of it is read, and what its author may repeat is counted while it is.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scout_machine::transfer::{Digest, digest, hex};
use scout_machine::{ErrorKind, FileKind, RemoteState};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::CassetteError;
use super::bounded::{fields, items, optional_fields};
use crate::json::Weight;
use crate::policy::CommandPolicy;
use crate::{CallErrorKind, Encoding, Grants};

/// The version that is written and read.
pub(super) const VERSION: u64 = 1;
/// The largest cassette, in bytes.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Lines, values and objects of a cassette, all together: the shortest take a hundred times their text.
const MAX_NODES: usize = 500_000;
/// How deep they lie in each other.
const MAX_DEPTH: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) cassette: u64,
    pub(super) plugin: String,
    /// The tool that was called. Empty: a resource was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) tool: String,
    /// The resource that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    #[serde(default, deserialize_with = "fields")]
    pub(super) arguments: Map<String, Value>,
    #[serde(deserialize_with = "fields")]
    pub(super) settings: Map<String, Value>,
    pub(super) grants: Grants,
    /// What the operator grants the plugin beyond interfaces.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) plugin_rights: Rights,
    /// What the operator lets whoever asked do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) caller_rights: Rights,
    /// What the operator added to the secret paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) secret_paths: Vec<String>,
    /// What the operator took away from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) readable_paths: Vec<String>,
    pub(super) limits: Limits,
    /// What the clock of a WASI guest begins with, in seconds since 1970.
    pub(super) clock: u64,
    /// What its random numbers are made of.
    pub(super) seed: u64,
    /// Those that the guest saw or named.
    #[serde(deserialize_with = "items")]
    pub(super) hosts: Vec<Host>,
    #[serde(deserialize_with = "items")]
    pub(super) operations: Vec<RecordedOperation>,
    pub(super) expect: Expect,
}

/// Bounds that shape what a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) file_bytes: usize,
    pub(super) output_bytes: usize,
    pub(super) dir_entries: usize,
    pub(super) answer_bytes: usize,
}

/// What one source of rights allows ([`crate::grants::Rights`]), as `scout.toml` has it. What is absent limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rights {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grants: Option<Grants>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hosts: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paths: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) commands: Option<Vec<Vec<String>>>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) follow_links_out: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<bool>,
}

/// A host as the guest saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<String>,
    /// Directories that are open to transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writable: Option<Vec<String>>,
    /// What may be run there as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sudo: Option<Vec<Vec<String>>>,
    /// Whether it is the machine that Scout ran on, as transfers see it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) is_exchange: bool,
    #[serde(with = "Commands")]
    pub(super) commands: CommandPolicy,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CommandPolicy", rename_all = "kebab-case")]
enum Commands {
    None,
    ReadOnly,
    Shell,
}

/// What was asked of a host, and what it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedOperation {
    pub(super) host: String,
    pub(super) asked: Request,
    pub(super) given: Response,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// A path.
    Open(Text),
    Read {
        path: Text,
        offset: u64,
        length: u64,
    },
    /// A path.
    Stat(Text),
    /// What `/bin/sh` evaluates.
    Exec(Text),
    Probe {
        timeout_ms: u64,
    },
    Handshake,
    /// By its name.
    LoadBaseline(String),
    /// By its name: what is stored was made of what else was recorded, and may have been ordered by what was taken out.
    StoreBaseline(String),
    /// A path.
    Locate(Text),
    /// A path.
    Send(Text),
    Receive {
        path: Text,
        size: u64,
        replace: bool,
    },
    /// A path.
    MakeDirectory(Text),
    /// A path.
    Digest(Text),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Response {
    File {
        attributes: Attributes,
        content: Capture,
    },
    Directory {
        attributes: Attributes,
        entries: Vec<Entry>,
        #[serde(default, skip_serializing_if = "is_false")]
        truncated: bool,
    },
    Other {
        attributes: Attributes,
    },
    Content(Capture),
    Attributes(Attributes),
    Outcome {
        ending: Ending,
        stdout: Capture,
        stderr: Capture,
        duration_ms: u64,
    },
    Probe {
        connected: bool,
        latency_us: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// What was kept, if anything was.
    Baseline(Option<KeptBaseline>),
    /// When it was kept, in seconds since 1970.
    Stored(u64),
    /// Words, and what each says.
    Handshake(BTreeMap<String, String>),
    Located {
        attributes: Attributes,
        place: Text,
    },
    Sent {
        before: Attributes,
        after: Attributes,
        bytes: u64,
    },
    Received {
        resumed: u64,
        replaced: bool,
        synced: bool,
        verified: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Sum>,
    },
    /// Whether it is new.
    Made(bool),
    Digest(Option<Sum>),
    Error(Failure),
}

impl Request {
    /// Whether a host is asked, which takes a round trip, and not the connection to it or this machine.
    pub(super) fn asks_a_host(&self) -> bool {
        !matches!(self, Self::Probe { .. } | Self::Handshake | Self::LoadBaseline(_) | Self::StoreBaseline(_))
    }
}

impl Response {
    /// Whether a host can give this when it is asked that.
    fn fits(&self, asked: &Request) -> bool {
        match asked {
            Request::Open(_) => {
                matches!(self, Self::File { .. } | Self::Directory { .. } | Self::Other { .. } | Self::Error(_))
            }
            Request::Read { .. } => matches!(self, Self::Content(_) | Self::Error(_)),
            Request::Stat(_) => matches!(self, Self::Attributes(_) | Self::Error(_)),
            Request::Exec(_) => matches!(self, Self::Outcome { .. } | Self::Error(_)),
            Request::Handshake => matches!(self, Self::Handshake(_) | Self::Error(_)),
            Request::LoadBaseline(_) => matches!(self, Self::Baseline(_) | Self::Error(_)),
            Request::StoreBaseline(_) => matches!(self, Self::Stored(_) | Self::Error(_)),
            Request::Locate(_) => matches!(self, Self::Located { .. } | Self::Error(_)),
            Request::Send(_) => matches!(self, Self::Sent { .. } | Self::Error(_)),
            Request::Receive { .. } => matches!(self, Self::Received { .. } | Self::Error(_)),
            Request::MakeDirectory(_) => matches!(self, Self::Made(_) | Self::Error(_)),
            Request::Digest(_) => matches!(self, Self::Digest(_) | Self::Error(_)),
            Request::Probe { .. } => {
                matches!(self, Self::Probe { latency_us, error, .. } if latency_us.is_some() != error.is_some())
            }
        }
    }

    /// Payload bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::File { content, .. } | Self::Content(content) => content.bytes.0.len(),
            Self::Directory { entries, .. } => entries.iter().map(|entry| entry.name.0.len()).sum(),
            Self::Outcome { stdout, stderr, .. } => stdout.bytes.0.len() + stderr.bytes.0.len(),
            Self::Other { .. }
            | Self::Baseline(_)
            | Self::Stored(_)
            | Self::Attributes(_)
            | Self::Probe { .. }
            | Self::Handshake(_)
            | Self::Located { .. }
            | Self::Sent { .. }
            | Self::Received { .. }
            | Self::Made(_)
            | Self::Digest(_)
            | Self::Error(_) => 0,
        }
    }
}

/// What a plugin has kept of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptBaseline {
    pub(super) content: Text,
    pub(super) taken: u64,
}

/// A SHA-256, as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(pub(super) Digest);

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sum = digest(text.as_bytes());
        sum.map(Self).ok_or_else(|| D::Error::custom("a SHA-256 has 64 hexadecimal digits"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capture {
    pub(super) bytes: Text,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) truncated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<u32>,
}

/// Of the attributes, those that a guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// `st_mode` as octal digits.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "octal")]
    pub(super) mode: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) links: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<u32>,
    /// Where there is no mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind>,
}

/// [`scout_machine::FileKind`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

impl From<FileKind> for Kind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::File => Self::File,
            FileKind::Directory => Self::Directory,
            FileKind::Symlink => Self::Symlink,
            FileKind::Other => Self::Other,
        }
    }
}

impl From<Kind> for FileKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Symlink => Self::Symlink,
            Kind::Other => Self::Other,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(super) name: Text,
    pub(super) attributes: Attributes,
}

/// How a command ended; [`scout_machine::Ending`] as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    Exited(u32),
    Signaled(String),
    TimedOut(#[serde(with = "State")] RemoteState),
    Cancelled(#[serde(with = "State")] RemoteState),
    OutputLimit(#[serde(with = "State")] RemoteState),
    NoStatus,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RemoteState", rename_all = "snake_case")]
enum State {
    Stopped,
    Running,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    #[serde(with = "FailureKind")]
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ErrorKind", rename_all = "kebab-case")]
enum FailureKind {
    Config,
    Unreachable,
    UnknownHostKey,
    HostKeyRejected,
    Auth,
    NotFound,
    Permission,
    Outside,
    NotReadable,
    Timeout,
    Cancelled,
    Exhausted,
    Invalid,
    Unsupported,
    Remote,
    ConnectionLost,
}

/// What the call must come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Expect {
    Answer {
        content: Vec<Content>,
        #[serde(default, deserialize_with = "optional_fields")]
        structured: Option<Map<String, Value>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failed>,
    },
    Error {
        #[serde(with = "EndKind")]
        kind: CallErrorKind,
        message: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<Text>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// Written by the plugin.
    Text(Text),
    /// Sent by a host.
    Blob(Text),
    /// A picture that a host sent.
    Image(Text),
}

/// Why the operation failed that an answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub(super) kind: String,
    pub(super) message: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    pub(super) field: String,
    pub(super) value: Text,
    #[serde(with = "AttachmentEncoding")]
    pub(super) encoding: Encoding,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Encoding", rename_all = "snake_case")]
enum AttachmentEncoding {
    Text,
    Base64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CallErrorKind", rename_all = "snake_case")]
enum EndKind {
    Failed,
    Plugin,
    Timeout,
    Cancelled,
    Busy,
    Internal,
}

/// Bytes, readable where they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(super) Vec<u8>);

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Line(&'a str),
    /// Put together as they are: each holds its own line feed.
    Lines(Vec<&'a str>),
    Base64 {
        base64: String,
    },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match std::str::from_utf8(&self.0) {
            Ok(text) => {
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                if lines.len() > 1 { Written::Lines(lines) } else { Written::Line(text) }
            }
            Err(_) => Written::Base64 { base64: BASE64_STANDARD.encode(&self.0) },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadText)
    }
}

/// Puts the lines together as they come.
struct ReadText;

impl<'de> Visitor<'de> for ReadText {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list of lines, or base64 under the key `base64`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Text, A::Error> {
        let mut text = Vec::new();
        while let Some(line) = lines.next_element::<String>()? {
            text.extend_from_slice(line.as_bytes());
        }
        Ok(Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Text, A::Error> {
        let (Some("base64"), base64) = (object.next_key::<String>()?.as_deref(), object.next_value::<String>()?) else {
            return Err(A::Error::custom("bytes stand under the key `base64`"));
        };
        if object.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("beside `base64` stands nothing"));
        }
        BASE64_STANDARD.decode(base64).map(Text).map_err(A::Error::custom)
    }
}

mod octal {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(mode: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        match mode {
            Some(mode) => serializer.collect_str(&format_args!("{mode:o}")),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| u32::from_str_radix(&text, 8).map_err(de::Error::custom)).transpose()
    }
}

fn is_default(rights: &Rights) -> bool {
    *rights == Rights::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Reads a cassette.
pub(super) fn parse(bytes: &[u8]) -> Result<File, CassetteError> {
    let broken = |why: String| CassetteError::new(format!("is not a cassette that can be used: {why}"));
    if bytes.len() > MAX_BYTES {
        return Err(broken(format!("it has more than {} MiB", MAX_BYTES >> 20)));
    }
    let weight = Weight::of(bytes);
    if weight.nodes() > MAX_NODES || weight.depth() > MAX_DEPTH {
        let most = format!("{MAX_NODES} lines and values, or lies more than {MAX_DEPTH} deep");
        return Err(broken(format!("it has more than {most}: record a call that asks for less")));
    }
    // The version first: another one may differ in everything else.
    #[derive(Deserialize)]
    struct Version {
        cassette: u64,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if version.cassette != VERSION {
        return Err(broken(format!(
            "it has version {}, and this Scout reads version {VERSION}: record it anew",
            version.cassette
        )));
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if file.tool.is_empty() != file.uri.is_some() {
        return Err(broken(
            "it names either the tool that was called or, with `uri`, the resource that was read".to_owned(),
        ));
    }
    for (at, operation) in file.operations.iter().enumerate() {
        if !operation.given.fits(&operation.asked) {
            return Err(broken(format!("operation {} is answered with what cannot answer it", at + 1)));
        }
    }
    Ok(file)
}

/// Writes a cassette.
pub(super) fn print(file: &File) -> Result<String, CassetteError> {
    let too_large = || {
        let message = format!("would have more than {} MiB: ask for less, or lower max_file_size", MAX_BYTES >> 20);
        CassetteError::new(message)
    };
    let mut text = serde_json::to_string_pretty(file)
        .map_err(|error| CassetteError::new(format!("cannot be written: {error}")))?;
    text.push('\n');
    if text.len() > MAX_BYTES {
        return Err(too_large());
    }
    // Who reads it has bounds that who records it does not.
    parse(text.as_bytes()).map_err(|error| CassetteError::new(format!("would not be read again: it {error}")))?;
    Ok(text)
}
