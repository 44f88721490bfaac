//! A small SFTP server, version 3 (draft-ietf-secsh-filexfer-02): read only, confined to one directory.
//!
//! Owns the packets, the handles and the view of the file system. Knows no SSH: bytes go in, bytes come out.
//! The directory is shown as `/` and also under its real path, so that what REALPATH gives means the same to a command;
//! every path is resolved below it by cap-std, so neither `..` nor a symbolic link leads out. Requests are answered in order, one reply each. A handle is OpenSSH's: four bytes, big-endian, the lowest free
//! index. Nothing can be written: there is no code that could.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cap_std::fs::{Dir, File, FileExt, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, ReadDir};

/// The longest packet, without its length field: OpenSSH's `SFTP_MAX_MSG_LENGTH`.
const MAX_PACKET: u32 = 256 << 10;
/// The most bytes that one READ gives: what is left of a packet after OpenSSH's 1 KiB of headroom.
const MAX_READ: u32 = MAX_PACKET - 1024;
/// Open files and directories of one channel.
const MAX_HANDLES: usize = 256;
/// Entries in one READDIR reply, as OpenSSH gives.
const ENTRIES_PER_REPLY: usize = 100;
/// One turn stops after a reply that brings it over this, so that a pipelined flood of READs is never in memory as a whole.
const TURN_BYTES: usize = 256 << 10;

const FXP_INIT: u8 = 1;
const FXP_VERSION: u8 = 2;
const FXP_OPEN: u8 = 3;
const FXP_CLOSE: u8 = 4;
const FXP_READ: u8 = 5;
const FXP_WRITE: u8 = 6;
const FXP_LSTAT: u8 = 7;
const FXP_FSTAT: u8 = 8;
const FXP_SETSTAT: u8 = 9;
const FXP_FSETSTAT: u8 = 10;
const FXP_OPENDIR: u8 = 11;
const FXP_READDIR: u8 = 12;
const FXP_REMOVE: u8 = 13;
const FXP_MKDIR: u8 = 14;
const FXP_RMDIR: u8 = 15;
const FXP_REALPATH: u8 = 16;
const FXP_STAT: u8 = 17;
const FXP_RENAME: u8 = 18;
const FXP_READLINK: u8 = 19;
const FXP_SYMLINK: u8 = 20;
const FXP_STATUS: u8 = 101;
const FXP_HANDLE: u8 = 102;
const FXP_DATA: u8 = 103;
const FXP_NAME: u8 = 104;
const FXP_ATTRS: u8 = 105;
const FXP_EXTENDED: u8 = 200;
const FXP_EXTENDED_REPLY: u8 = 201;

const VERSION: u32 = 3;
const LIMITS: &[u8] = b"limits@openssh.com";

/// SSH_FXF_READ; any other bit of an OPEN's flags means writing.
const OPEN_READ: u32 = 1;

/// SIZE, UIDGID, PERMISSIONS and ACMODTIME.
const ATTRIBUTE_FLAGS: u32 = 1 | 2 | 4 | 8;

/// A packet that cannot be taken apart; the channel must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// The length field is zero or above [`MAX_PACKET`].
    #[error("packet of {0} bytes")]
    Length(u32),
    /// A request came before INIT, or INIT came twice.
    #[error("INIT must come first, and once")]
    Init,
    /// The packet is too short to hold an id.
    #[error("packet without an id")]
    Headless,
}

/// One channel's SFTP state.
#[derive(Debug)]
pub(super) struct SftpServer {
    root: Dir,
    /// Where the root really lies: absolute and without links.
    location: PathBuf,
    handles: Vec<Option<Open>>,
    received: BytesMut,
    initialized: bool,
}

#[derive(Debug)]
enum Open {
    File(File),
    Directory { directory: Dir, dots: bool, entries: ReadDir },
}

/// A request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    OpUnsupported = 8,
}

impl From<io::Error> for Code {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NoSuchFile,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            _ => Self::Failure,
        }
    }
}

impl Code {
    /// The words of OpenSSH's sftp-server.
    fn message(self) -> &'static str {
        match self {
            Self::Eof => "End of file",
            Self::NoSuchFile => "No such file",
            Self::PermissionDenied => "Permission denied",
            Self::Failure => "Failure",
            Self::BadMessage => "Bad message",
            Self::OpUnsupported => "Operation unsupported",
        }
    }
}

impl SftpServer {
    /// A server that shows `root`, which lies at `location` (absolute, without links). Relative paths begin at the root.
    pub(super) fn new(root: Dir, location: PathBuf) -> Self {
        Self { root, location, handles: Vec::new(), received: BytesMut::new(), initialized: false }
    }

    /// Takes bytes from the client.
    pub(super) fn feed(&mut self, data: &[u8]) {
        self.received.extend_from_slice(data);
    }

    /// Answers the complete packets that were fed, up to a bound; empty once none is left. Blocks on the file system.
    ///
    /// # Errors
    /// A packet that cannot be taken apart. What was answered before it in the same turn is lost with the channel.
    pub(super) fn turn(&mut self) -> Result<Bytes, Violation> {
        let mut replies = BytesMut::new();
        while replies.len() < TURN_BYTES {
            let Some(packet) = self.next_packet()? else { break };
            self.answer(packet, &mut replies)?;
        }
        Ok(replies.freeze())
    }

    fn next_packet(&mut self) -> Result<Option<Bytes>, Violation> {
        let Some((length, _)) = self.received.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if length == 0 || length > MAX_PACKET {
            return Err(Violation::Length(length));
        }
        let length = length as usize;
        if self.received.len() < length + 4 {
            return Ok(None);
        }
        self.received.advance(4);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    fn answer(&mut self, mut packet: Bytes, replies: &mut BytesMut) -> Result<(), Violation> {
        let kind = packet.try_get_u8().map_err(|_| Violation::Headless)?;
        // INIT carries the version where every other packet carries its id.
        let id = packet.try_get_u32().map_err(|_| Violation::Headless)?;
        if (kind == FXP_INIT) == self.initialized {
            return Err(Violation::Init);
        }
        if kind == FXP_INIT {
            self.initialized = true;
            reply(replies, FXP_VERSION, |body| {
                body.put_u32(VERSION);
                put_string(body, LIMITS);
                put_string(body, b"1");
            });
            return Ok(());
        }
        match self.request(kind, &mut packet) {
            Ok(answer) => answer.write(id, replies),
            Err(code) => reply(replies, FXP_STATUS, |body| put_status(body, id, code as u32, code.message())),
        }
        Ok(())
    }

    fn request(&mut self, kind: u8, packet: &mut Bytes) -> Result<Answer, Code> {
        match kind {
            FXP_OPEN => {
                let path = self.path(packet)?;
                let flags = get_u32(packet)?;
                self.open(&path, flags)
            }
            FXP_CLOSE => {
                let index = get_handle(packet)?;
                let slot = self.handles.get_mut(index).ok_or(Code::Failure)?;
                slot.take().ok_or(Code::Failure)?;
                Ok(Answer::Done)
            }
            FXP_READ => {
                let index = get_handle(packet)?;
                let offset = get_u64(packet)?;
                let length = get_u32(packet)?;
                let Open::File(file) = self.handle(index)? else { return Err(Code::Failure) };
                read(file, offset, length)
            }
            FXP_STAT => Ok(Answer::Attributes(self.root.metadata(self.path(packet)?)?)),
            FXP_LSTAT => Ok(Answer::Attributes(self.root.symlink_metadata(self.path(packet)?)?)),
            FXP_FSTAT => {
                let index = get_handle(packet)?;
                Ok(Answer::Attributes(match self.handle(index)? {
                    Open::File(file) => file.metadata()?,
                    Open::Directory { directory, .. } => directory.dir_metadata()?,
                }))
            }
            FXP_OPENDIR => {
                let path = self.path(packet)?;
                let directory = self.root.open_dir(path)?;
                let entries = directory.entries()?;
                self.keep(Open::Directory { directory, dots: true, entries })
            }
            FXP_READDIR => {
                let index = get_handle(packet)?;
                read_directory(self.handle(index)?)
            }
            FXP_REALPATH => {
                let path = self.path(packet)?;
                Ok(Answer::Names(vec![Name::bare(self.real_path(&path)?)]))
            }
            FXP_READLINK => {
                let path = self.path(packet)?;
                let target = self.root.read_link_contents(path)?;
                Ok(Answer::Names(vec![Name::bare(target.into_os_string().into_encoded_bytes())]))
            }
            FXP_WRITE | FXP_SETSTAT | FXP_FSETSTAT | FXP_REMOVE | FXP_MKDIR | FXP_RMDIR | FXP_RENAME | FXP_SYMLINK => {
                Err(Code::PermissionDenied)
            }
            FXP_EXTENDED => match get_string(packet)?.as_ref() {
                LIMITS => Ok(Answer::Limits),
                _ => Err(Code::OpUnsupported),
            },
            _ => Err(Code::OpUnsupported),
        }
    }

    /// A path as the client gave it, relative to the root.
    fn path(&self, packet: &mut Bytes) -> Result<PathBuf, Code> {
        let path = get_string(packet)?;
        if path.contains(&0) {
            return Err(Code::BadMessage);
        }
        let given = Path::new(OsStr::from_bytes(&path));
        let relative = given.strip_prefix(&self.location).or_else(|_| given.strip_prefix("/")).unwrap_or(given);
        Ok(if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative.to_path_buf() })
    }

    fn open(&mut self, path: &Path, flags: u32) -> Result<Answer, Code> {
        if flags != OPEN_READ {
            return Err(Code::PermissionDenied);
        }
        // Without NONBLOCK the open of a FIFO would wait for its writer, and everybody on this channel with it.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(|_| Code::Failure)?;
        let file = self.root.open_with(path, OpenOptions::new().read(true).custom_flags(nonblocking))?;
        let kind = file.metadata()?;
        // A directory opens, as in OpenSSH; it is the READ that fails.
        if !kind.is_file() && !kind.is_dir() {
            return Err(Code::Failure);
        }
        self.keep(Open::File(file))
    }

    /// Puts something open at the lowest free index.
    fn keep(&mut self, open: Open) -> Result<Answer, Code> {
        let index = self.handles.iter().position(Option::is_none).unwrap_or(self.handles.len());
        if index >= MAX_HANDLES {
            return Err(Code::Failure);
        }
        match self.handles.get_mut(index) {
            Some(slot) => *slot = Some(open),
            None => self.handles.push(Some(open)),
        }
        Ok(Answer::Handle(u32::try_from(index).map_err(|_| Code::Failure)?))
    }

    fn handle(&mut self, index: usize) -> Result<&mut Open, Code> {
        self.handles.get_mut(index).and_then(Option::as_mut).ok_or(Code::Failure)
    }

    /// Absolute and without links. As in OpenSSH, the last component need not exist.
    fn real_path(&self, path: &Path) -> Result<Vec<u8>, Code> {
        let real = match self.root.canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.file_name().ok_or(Code::NoSuchFile)?;
                if self.root.symlink_metadata(path).is_ok() {
                    return Err(Code::NoSuchFile);
                }
                let parent = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => self.root.canonicalize(parent)?,
                    _ => PathBuf::new(),
                };
                parent.join(name)
            }
            Err(error) => return Err(error.into()),
        };
        let absolute = if real == Path::new(".") { self.location.clone() } else { self.location.join(real) };
        Ok(absolute.into_os_string().into_encoded_bytes())
    }
}

/// What a request that succeeded is answered with.
enum Answer {
    Done,
    Handle(u32),
    Data(Vec<u8>),
    Attributes(Metadata),
    Names(Vec<Name>),
    Limits,
}

/// One entry of a NAME reply.
struct Name {
    name: Vec<u8>,
    /// Absent for REALPATH and READLINK, which carry dummy attributes.
    metadata: Option<Metadata>,
}

impl Name {
    fn bare(name: Vec<u8>) -> Self {
        Self { name, metadata: None }
    }
}

impl Answer {
    fn write(self, id: u32, replies: &mut BytesMut) {
        match self {
            Self::Done => reply(replies, FXP_STATUS, |body| put_status(body, id, 0, "Success")),
            Self::Handle(index) => reply(replies, FXP_HANDLE, |body| {
                body.put_u32(id);
                put_string(body, &index.to_be_bytes());
            }),
            Self::Data(data) => reply(replies, FXP_DATA, |body| {
                body.put_u32(id);
                put_string(body, &data);
            }),
            Self::Attributes(metadata) => reply(replies, FXP_ATTRS, |body| {
                body.put_u32(id);
                put_attributes(body, &metadata);
            }),
            Self::Names(names) => reply(replies, FXP_NAME, |body| {
                body.put_u32(id);
                body.put_u32(length_field(names.len()));
                for Name { name, metadata } in &names {
                    put_string(body, name);
                    match metadata {
                        Some(metadata) => {
                            put_string(body, &long_name(name, metadata));
                            put_attributes(body, metadata);
                        }
                        None => {
                            put_string(body, name);
                            body.put_u32(0);
                        }
                    }
                }
            }),
            Self::Limits => reply(replies, FXP_EXTENDED_REPLY, |body| {
                body.put_u32(id);
                body.put_u64(MAX_PACKET.into());
                body.put_u64(MAX_READ.into());
                body.put_u64(MAX_READ.into());
                body.put_u64(MAX_HANDLES as u64);
            }),
        }
    }
}

fn read(file: &File, offset: u64, length: u32) -> Result<Answer, Code> {
    let mut data = vec![0; length.min(MAX_READ) as usize];
    let read = file.read_at(&mut data, offset)?;
    if read == 0 && length != 0 {
        return Err(Code::Eof);
    }
    data.truncate(read);
    Ok(Answer::Data(data))
}

fn read_directory(open: &mut Open) -> Result<Answer, Code> {
    let Open::Directory { directory, dots, entries } = open else { return Err(Code::Failure) };
    let mut names = Vec::new();
    if std::mem::take(dots) {
        for name in [&b"."[..], b".."] {
            // What lies above the root is nobody's business: `..` is shown with the directory's own attributes.
            names.push(Name { name: name.to_vec(), metadata: Some(directory.dir_metadata()?) });
        }
    }
    while names.len() < ENTRIES_PER_REPLY {
        let Some(entry) = entries.next() else { break };
        let entry = entry?;
        // An entry that vanished since is left out, as it would be a moment later.
        let Ok(metadata) = entry.metadata() else { continue };
        names.push(Name { name: entry.file_name().into_encoded_bytes(), metadata: Some(metadata) });
    }
    if names.is_empty() { Err(Code::Eof) } else { Ok(Answer::Names(names)) }
}

/// The line of `ls -l`, which `sftp` prints as it is.
fn long_name(name: &[u8], metadata: &Metadata) -> Vec<u8> {
    let mode = metadata.mode();
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o100_000 => '-',
        _ => '?',
    };
    let bits: String = (0..9)
        .rev()
        .zip("rwxrwxrwx".chars())
        .map(|(bit, letter)| if mode & (1 << bit) == 0 { '-' } else { letter })
        .collect();
    let modified = jiff::Timestamp::from_second(metadata.mtime())
        .map(|time| time.strftime("%b %d %H:%M").to_string())
        .unwrap_or_default();
    let mut line = format!(
        "{kind}{bits} {:4} {:<8} {:<8} {:8} {modified} ",
        metadata.nlink(),
        metadata.uid(),
        metadata.gid(),
        metadata.size(),
    )
    .into_bytes();
    line.extend_from_slice(name);
    line
}

/// Writes a packet whose length field is filled in behind it.
fn reply(replies: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    let mut packet = BytesMut::new();
    packet.put_u8(kind);
    body(&mut packet);
    put_string(replies, &packet);
}

fn put_status(body: &mut BytesMut, id: u32, code: u32, message: &str) {
    body.put_u32(id);
    body.put_u32(code);
    put_string(body, message.as_bytes());
    put_string(body, b"");
}

fn put_attributes(body: &mut BytesMut, metadata: &Metadata) {
    body.put_u32(ATTRIBUTE_FLAGS);
    body.put_u64(metadata.size());
    body.put_u32(metadata.uid());
    body.put_u32(metadata.gid());
    body.put_u32(metadata.mode());
    // Version 3 has 32 bits of seconds; a time before 1970 is shown as 1970.
    body.put_u32(u32::try_from(metadata.atime()).unwrap_or_default());
    body.put_u32(u32::try_from(metadata.mtime()).unwrap_or_default());
}

fn put_string(body: &mut BytesMut, bytes: &[u8]) {
    body.put_u32(length_field(bytes.len()));
    body.put_slice(bytes);
}

/// Every string and list here is bounded far below 4 GiB by [`MAX_PACKET`] or [`ENTRIES_PER_REPLY`].
fn length_field(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn get_u32(packet: &mut Bytes) -> Result<u32, Code> {
    packet.try_get_u32().map_err(|_| Code::BadMessage)
}

fn get_u64(packet: &mut Bytes) -> Result<u64, Code> {
    packet.try_get_u64().map_err(|_| Code::BadMessage)
}

fn get_string(packet: &mut Bytes) -> Result<Bytes, Code> {
    let length = get_u32(packet)? as usize;
    if packet.len() < length {
        return Err(Code::BadMessage);
    }
    Ok(packet.split_to(length))
}

fn get_handle(packet: &mut Bytes) -> Result<usize, Code> {
    let handle = get_string(packet)?;
    let index: [u8; 4] = handle.as_ref().try_into().map_err(|_| Code::Failure)?;
    usize::try_from(u32::from_be_bytes(index)).map_err(|_| Code::Failure)
}

#[cfg(test)]
#[path = "sftp_server_tests.rs"]
mod tests;
