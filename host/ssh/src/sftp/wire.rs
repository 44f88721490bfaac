//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): requests to bytes, bytes to answers.
//!
//! Pure: knows no stream and no channel. A decoder never trusts a length or a count of the server's.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use scout_machine::{Attributes, DirEntry, FileKind};

use super::FileSystem;

/// The longest packet that is accepted: OpenSSH's own limit of 256 KiB and some room.
pub(super) const MAX_PACKET: usize = 257 * 1024;
/// How much a shell's rc files may print before the VERSION packet.
pub(super) const MAX_NOISE: usize = 64 * 1024;
/// The protocol's own limit for a handle (§6.2).
const MAX_HANDLE: usize = 256;
/// Longer than any file system's name; a longer one is an attempt to fill memory.
const MAX_NAME: usize = 4096;
/// Name, long name and attributes, all empty: what one entry takes at least.
const MIN_ENTRY: usize = 12;
/// The version that is spoken.
const VERSION: u32 = 3;

/// No text of a status is kept longer.
const MAX_STATUS_TEXT: usize = 200;

const INIT: u8 = 1;
const VERSION_PACKET: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const EXTENDED: u8 = 200;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;
/// `SSH_FXF_READ`.
const OPEN_READ: u32 = 1;
/// `SSH_FXF_WRITE`.
const OPEN_WRITE: u32 = 0x02;
/// `SSH_FXF_WRITE | SSH_FXF_CREAT | SSH_FXF_EXCL`.
const OPEN_CREATE: u32 = 0x02 | 0x08 | 0x20;
/// `SSH_FILEXFER_ATTR_SIZE`.
const ATTR_SIZE: u32 = 1;
/// `SSH_FILEXFER_ATTR_UIDGID`.
const ATTR_OWNER: u32 = 2;
/// `SSH_FILEXFER_ATTR_PERMISSIONS`.
const ATTR_PERMISSIONS: u32 = 4;
/// `SSH_FILEXFER_ATTR_ACMODTIME`.
const ATTR_TIMES: u32 = 8;
/// `SSH_FILEXFER_ATTR_EXTENDED`.
const ATTR_EXTENDED: u32 = 0x8000_0000;

/// `SSH_FX_OK`.
pub(super) const STATUS_OK: u32 = 0;
/// `SSH_FX_EOF`.
pub(super) const STATUS_EOF: u32 = 1;
/// `SSH_FX_NO_SUCH_FILE`.
pub(super) const STATUS_NO_SUCH_FILE: u32 = 2;
/// `SSH_FX_PERMISSION_DENIED`.
pub(super) const STATUS_PERMISSION_DENIED: u32 = 3;
/// `SSH_FX_FAILURE`: anything that version 3 has no code for.
pub(super) const STATUS_FAILURE: u32 = 4;
/// `SSH_FX_OP_UNSUPPORTED`.
pub(super) const STATUS_UNSUPPORTED: u32 = 8;

/// Decodes these bytes as all that a server sends, and then as an answer to each kind of request; how many packets
/// they are. For tests that choose all of them.
pub(crate) fn decode_all(bytes: &[u8]) -> usize {
    let mut buffer = BytesMut::from(bytes);
    take_greeting(&mut buffer, &mut 0);
    let mut packets = 0;
    while let Ok(Some(packet)) = take_packet(&mut buffer) {
        packets += 1;
        let Ok((kind, _, rest)) = head(packet) else { continue };
        for expected in [
            Expected::Attributes,
            Expected::Handle,
            Expected::Data(1024),
            Expected::Names,
            Expected::Path,
            Expected::FileSystem,
            Expected::Limits,
            Expected::Status,
        ] {
            // What it decodes to is for the session to judge; here it only has to come to an end.
            let _ = answer(kind, rest.clone(), expected, 1000);
        }
    }
    packets
}

/// How the server broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) &'static str);

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// Attributes of what the path names, links followed.
    Stat(&'a [u8]),
    /// Attributes of what the path names, a link's own.
    Lstat(&'a [u8]),
    /// Attributes of what is open.
    Fstat(&'a [u8]),
    /// A handle for reading.
    Open(&'a [u8]),
    /// A handle for writing to a file that did not exist.
    Create { path: &'a [u8], permissions: u32 },
    /// A handle for writing to a file that exists.
    Reopen(&'a [u8]),
    /// A handle for listing.
    OpenDir(&'a [u8]),
    /// Bytes of an open file.
    Read { handle: &'a [u8], offset: u64, length: u32 },
    /// Bytes into an open file.
    Write { handle: &'a [u8], offset: u64, data: &'a [u8] },
    /// The next names of an open directory.
    ReadDir(&'a [u8]),
    /// Sets the permission bits of an open file.
    SetPermissions { handle: &'a [u8], permissions: u32 },
    /// Sets the owner of an open file.
    SetOwner { handle: &'a [u8], uid: u32, gid: u32 },
    /// Gives a handle back.
    Close(&'a [u8]),
    /// Removes a file.
    Remove(&'a [u8]),
    /// Makes a directory.
    MakeDirectory { path: &'a [u8], permissions: u32 },
    /// Renames a file to a name that is free.
    Rename { from: &'a [u8], to: &'a [u8] },
    /// Renames a file, replacing what has the name (`posix-rename@openssh.com`).
    PosixRename { from: &'a [u8], to: &'a [u8] },
    /// The absolute path without links.
    RealPath(&'a [u8]),
    /// What a link leads to, as it is written in it.
    ReadLink(&'a [u8]),
    /// The same with `~user` understood (`expand-path@openssh.com`).
    ExpandPath(&'a [u8]),
    /// The file system that holds the path (`statvfs@openssh.com`).
    StatVfs(&'a [u8]),
    /// Writes an open file through to the disk (`fsync@openssh.com`).
    Fsync(&'a [u8]),
    /// The server's limits (`limits@openssh.com`).
    Limits,
}

/// What may answer a request, besides a STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// ATTRS.
    Attributes,
    /// HANDLE.
    Handle,
    /// DATA of at most this many bytes.
    Data(u32),
    /// NAME, of a listing.
    Names,
    /// NAME, a single path, or what a link holds.
    Path,
    /// EXTENDED_REPLY to `statvfs@openssh.com`.
    FileSystem,
    /// EXTENDED_REPLY to `limits@openssh.com`.
    Limits,
    /// Nothing else.
    Status,
}

/// What a STATUS says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    /// The server's words, where the code alone says little.
    pub(super) text: Bytes,
}

/// What `limits@openssh.com` says. 0 is: not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) read_length: u64,
    pub(super) write_length: u64,
}

/// One answer, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A status.
    Status(Status),
    /// A handle.
    Handle(Bytes),
    /// Bytes of a file.
    Data(Bytes),
    /// Names of a directory, without `.` and `..`, and whether some were left out because there were too many.
    Names(Vec<DirEntry>, bool),
    /// A path.
    Path(Bytes),
    /// Attributes.
    Attributes(Attributes),
    /// A file system.
    FileSystem(FileSystem),
    /// Limits.
    Limits(Limits),
}

impl Request<'_> {
    /// What may answer it.
    pub(super) fn expected(&self) -> Expected {
        match self {
            Self::Stat(_) | Self::Lstat(_) | Self::Fstat(_) => Expected::Attributes,
            Self::Open(_) | Self::Create { .. } | Self::Reopen(_) | Self::OpenDir(_) => Expected::Handle,
            Self::Read { length, .. } => Expected::Data(*length),
            Self::ReadDir(_) => Expected::Names,
            Self::RealPath(_) | Self::ReadLink(_) | Self::ExpandPath(_) => Expected::Path,
            Self::StatVfs(_) => Expected::FileSystem,
            Self::Limits => Expected::Limits,
            Self::Write { .. }
            | Self::SetPermissions { .. }
            | Self::SetOwner { .. }
            | Self::Close(_)
            | Self::Remove(_)
            | Self::MakeDirectory { .. }
            | Self::Rename { .. }
            | Self::PosixRename { .. }
            | Self::Fsync(_) => Expected::Status,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Stat(_) => STAT,
            Self::Lstat(_) => LSTAT,
            Self::Fstat(_) => FSTAT,
            Self::Open(_) | Self::Create { .. } | Self::Reopen(_) => OPEN,
            Self::OpenDir(_) => OPENDIR,
            Self::Read { .. } => READ,
            Self::Write { .. } => WRITE,
            Self::ReadDir(_) => READDIR,
            Self::SetPermissions { .. } | Self::SetOwner { .. } => FSETSTAT,
            Self::Close(_) => CLOSE,
            Self::Remove(_) => REMOVE,
            Self::MakeDirectory { .. } => MKDIR,
            Self::Rename { .. } => RENAME,
            Self::RealPath(_) => REALPATH,
            Self::ReadLink(_) => READLINK,
            Self::PosixRename { .. } | Self::ExpandPath(_) | Self::StatVfs(_) | Self::Fsync(_) | Self::Limits => {
                EXTENDED
            }
        }
    }

    /// Appends the packet. Paths, handles and data are short: their callers have checked that.
    pub(super) fn encode(&self, id: u32, out: &mut BytesMut) {
        let start = out.len();
        out.put_u32(0);
        out.put_u8(self.kind());
        out.put_u32(id);
        match self {
            Self::Stat(text)
            | Self::Lstat(text)
            | Self::Fstat(text)
            | Self::OpenDir(text)
            | Self::ReadDir(text)
            | Self::Close(text)
            | Self::Remove(text)
            | Self::RealPath(text)
            | Self::ReadLink(text) => put_string(out, text),
            Self::Open(path) => {
                put_string(out, path);
                out.put_u32(OPEN_READ);
                out.put_u32(0);
            }
            Self::Create { path, permissions } => {
                put_string(out, path);
                out.put_u32(OPEN_CREATE);
                out.put_u32(ATTR_PERMISSIONS);
                out.put_u32(*permissions);
            }
            Self::Reopen(path) => {
                put_string(out, path);
                out.put_u32(OPEN_WRITE);
                out.put_u32(0);
            }
            Self::MakeDirectory { path, permissions } => {
                put_string(out, path);
                out.put_u32(ATTR_PERMISSIONS);
                out.put_u32(*permissions);
            }
            Self::Read { handle, offset, length } => {
                put_string(out, handle);
                out.put_u64(*offset);
                out.put_u32(*length);
            }
            Self::Write { handle, offset, data } => {
                put_string(out, handle);
                out.put_u64(*offset);
                put_string(out, data);
            }
            Self::SetPermissions { handle, permissions } => {
                put_string(out, handle);
                out.put_u32(ATTR_PERMISSIONS);
                out.put_u32(*permissions);
            }
            Self::SetOwner { handle, uid, gid } => {
                put_string(out, handle);
                out.put_u32(ATTR_OWNER);
                out.put_u32(*uid);
                out.put_u32(*gid);
            }
            // OpenSSH's rename takes the old path first, as the draft says.
            Self::Rename { from, to } => {
                put_string(out, from);
                put_string(out, to);
            }
            Self::PosixRename { from, to } => {
                put_string(out, Extension::PosixRename.name());
                put_string(out, from);
                put_string(out, to);
            }
            Self::ExpandPath(path) => {
                put_string(out, Extension::ExpandPath.name());
                put_string(out, path);
            }
            Self::StatVfs(path) => {
                put_string(out, Extension::StatVfs.name());
                put_string(out, path);
            }
            Self::Fsync(handle) => {
                put_string(out, Extension::Fsync.name());
                put_string(out, handle);
            }
            Self::Limits => put_string(out, Extension::Limits.name()),
        }
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn put_string(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
}

/// The first packet of a session.
pub(super) fn init() -> [u8; 9] {
    let [a, b, c, d] = VERSION.to_be_bytes();
    [0, 0, 0, 5, INIT, a, b, c, d]
}

/// Takes one whole packet off the buffer, without its length; `None` while it is incomplete.
pub(super) fn take_packet(buffer: &mut BytesMut) -> Result<Option<Bytes>, Violation> {
    let Some(length) = buffer.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
        return Ok(None);
    };
    if length > MAX_PACKET {
        return Err(Violation("a packet is too long"));
    }
    if buffer.len() < length + 4 {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// How many bytes of the packet at the beginning of the buffer have not come yet, as far as its length is known. Of one that is too long,
/// which [`take_packet`] refuses, no more than a packet may have.
pub(super) fn missing(buffer: &[u8]) -> usize {
    let length = buffer.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize);
    (length.min(MAX_PACKET) + 4).saturating_sub(buffer.len())
}

/// The type and id of an answer and the rest of it.
pub(super) fn head(mut packet: Bytes) -> Result<(u8, u32, Bytes), Violation> {
    let short = |_| Violation("a packet is too short");
    let kind = packet.try_get_u8().map_err(short)?;
    let id = packet.try_get_u32().map_err(short)?;
    Ok((kind, id, packet))
}

/// Decodes the rest of an answer. Of a listing, at most `max_entries` are kept.
pub(super) fn answer(kind: u8, mut rest: Bytes, expected: Expected, max_entries: usize) -> Result<Answer, Violation> {
    match (kind, expected) {
        (STATUS, _) => Ok(Answer::Status(status(&mut rest)?)),
        (HANDLE, Expected::Handle) => {
            let handle = string(&mut rest)?;
            if handle.len() > MAX_HANDLE {
                return Err(Violation("a handle is too long"));
            }
            Ok(Answer::Handle(Bytes::copy_from_slice(&handle)))
        }
        (DATA, Expected::Data(most)) => {
            let data = string(&mut rest)?;
            if data.len() > most as usize {
                return Err(Violation("more data came than was asked for"));
            }
            Ok(Answer::Data(data))
        }
        (NAME, Expected::Names) => names(rest, max_entries),
        (NAME, Expected::Path) => Ok(Answer::Path(path(rest)?)),
        (EXTENDED_REPLY, Expected::FileSystem) => Ok(Answer::FileSystem(file_system(&mut rest)?)),
        (EXTENDED_REPLY, Expected::Limits) => {
            // Of a whole packet, of a READ, of a WRITE, open handles.
            large_number(&mut rest)?;
            let (read_length, write_length) = (large_number(&mut rest)?, large_number(&mut rest)?);
            Ok(Answer::Limits(Limits { read_length, write_length }))
        }
        (ATTRS, Expected::Attributes) => Ok(Answer::Attributes(attributes(&mut rest)?)),
        _ => Err(Violation("an answer does not fit its request")),
    }
}

fn number(from: &mut Bytes) -> Result<u32, Violation> {
    from.try_get_u32().map_err(|_| Violation("a packet is too short"))
}

fn large_number(from: &mut Bytes) -> Result<u64, Violation> {
    from.try_get_u64().map_err(|_| Violation("a packet is too short"))
}

/// A code, and its text if there is one: servers older than version 3 send none.
fn status(from: &mut Bytes) -> Result<Status, Violation> {
    let code = number(from)?;
    let says_little = matches!(code, STATUS_OK..=STATUS_PERMISSION_DENIED | STATUS_UNSUPPORTED);
    if says_little || from.is_empty() {
        return Ok(Status { code, text: Bytes::new() });
    }
    let text = string(from)?;
    let known = text.eq_ignore_ascii_case(b"Failure");
    let kept = if known { &[] } else { text.get(..MAX_STATUS_TEXT).unwrap_or(&text) };
    Ok(Status { code, text: Bytes::copy_from_slice(kept) })
}

/// The one name of an answer to REALPATH or READLINK.
fn path(mut rest: Bytes) -> Result<Bytes, Violation> {
    if number(&mut rest)? != 1 {
        return Err(Violation("a path is not one name"));
    }
    let path = string(&mut rest)?;
    if path.is_empty() || path.len() > MAX_NAME || path.contains(&0) {
        return Err(Violation("a path is empty, too long or holds a NUL"));
    }
    Ok(Bytes::copy_from_slice(&path))
}

fn file_system(from: &mut Bytes) -> Result<FileSystem, Violation> {
    let mut fields = [0_u64; 11];
    for field in &mut fields {
        *field = large_number(from)?;
    }
    let [_, block, total, free, available, inodes, inodes_free, _, _, flags, _] = fields;
    Ok(FileSystem {
        total: total.saturating_mul(block),
        free: free.saturating_mul(block),
        available: available.saturating_mul(block),
        inodes,
        inodes_free,
        read_only: flags & 1 != 0,
    })
}

fn string(from: &mut Bytes) -> Result<Bytes, Violation> {
    let length = number(from)? as usize;
    if length > from.len() {
        return Err(Violation("a string is longer than its packet"));
    }
    Ok(from.split_to(length))
}

fn names(mut rest: Bytes, max_entries: usize) -> Result<Answer, Violation> {
    let count = number(&mut rest)? as usize;
    if count > rest.len() / MIN_ENTRY {
        return Err(Violation("a listing claims more names than it holds"));
    }
    let mut entries = Vec::with_capacity(count.min(max_entries));
    let mut left_out = false;
    for _ in 0..count {
        let name = string(&mut rest)?;
        let long_name = string(&mut rest)?;
        let mut attributes = attributes(&mut rest)?;
        if attributes.permissions.is_none() {
            attributes.found_to_be = kind_in(&long_name);
        }
        if name.len() > MAX_NAME {
            return Err(Violation("a name is too long"));
        }
        // A name with a slash would lead out of its directory for whoever joins them.
        if matches!(&name[..], b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
            continue;
        }
        if entries.len() == max_entries {
            left_out = true;
            continue;
        }
        entries.push(DirEntry { name: name.to_vec(), attributes });
    }
    Ok(Answer::Names(entries, left_out))
}

/// What a long name as `ls -l` writes it begins with (§7 recommends that form): the one thing that tells the kind of an
/// entry whose attributes do not.
fn kind_in(long_name: &[u8]) -> Option<FileKind> {
    let (kind, rest) = long_name.split_first()?;
    let permissions = rest.get(..9)?;
    permissions.iter().all(|byte| b"rwxsStT-".contains(byte)).then_some(match kind {
        b'-' => FileKind::File,
        b'd' => FileKind::Directory,
        b'l' => FileKind::Symlink,
        _ => FileKind::Other,
    })
}

/// Attributes, as an ATTRS packet and each name of a listing hold them.
fn attributes(from: &mut Bytes) -> Result<Attributes, Violation> {
    let flags = number(from)?;
    let mut attributes = Attributes::default();
    if flags & ATTR_SIZE != 0 {
        attributes.size = Some(large_number(from)?);
    }
    if flags & ATTR_OWNER != 0 {
        attributes.uid = Some(number(from)?);
        attributes.gid = Some(number(from)?);
    }
    if flags & ATTR_PERMISSIONS != 0 {
        attributes.permissions = Some(number(from)?);
    }
    if flags & ATTR_TIMES != 0 {
        attributes.atime = Some(number(from)?);
        attributes.mtime = Some(number(from)?);
    }
    if flags & ATTR_EXTENDED != 0 {
        for _ in 0..number(from)? {
            string(from)?;
            string(from)?;
        }
    }
    Ok(attributes)
}

/// An extension that is used where the server announces it (OpenSSH's PROTOCOL, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// `limits@openssh.com`.
    Limits,
    /// `expand-path@openssh.com`.
    ExpandPath,
    /// `statvfs@openssh.com`.
    StatVfs,
    /// `posix-rename@openssh.com`.
    PosixRename,
    /// `fsync@openssh.com`.
    Fsync,
}

impl Extension {
    const ALL: [Self; 5] = [Self::Limits, Self::ExpandPath, Self::StatVfs, Self::PosixRename, Self::Fsync];

    fn name(self) -> &'static [u8] {
        match self {
            Self::Limits => b"limits@openssh.com",
            Self::ExpandPath => b"expand-path@openssh.com",
            Self::StatVfs => b"statvfs@openssh.com",
            Self::PosixRename => b"posix-rename@openssh.com",
            Self::Fsync => b"fsync@openssh.com",
        }
    }

    /// The version that is spoken here; others may look otherwise.
    fn version(self) -> &'static [u8] {
        match self {
            Self::StatVfs => b"2",
            Self::Limits | Self::ExpandPath | Self::PosixRename | Self::Fsync => b"1",
        }
    }
}

/// The extensions that a server announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions(u8);

impl Extensions {
    /// Whether this one is among them.
    pub(super) fn has(self, extension: Extension) -> bool {
        self.0 & (1 << extension as u8) != 0
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        Self(extensions.into_iter().fold(0, |set, extension| set | (1 << extension as u8)))
    }
}

/// The server's side of the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// How many bytes before the packet were no SFTP.
    pub(super) noise: usize,
    /// What the server can do besides.
    pub(super) extensions: Extensions,
}

/// Looks for the VERSION packet and takes everything up to its end off the buffer; `None` while more is needed.
///
/// `from` is where the search goes on; it moves past what cannot be the packet, so that a server that sends its noise
/// byte by byte costs no more than one that sends it at once.
pub(super) fn take_greeting(buffer: &mut BytesMut, from: &mut usize) -> Option<Greeting> {
    let mut certain = true;
    for noise in *from..=MAX_NOISE {
        let Some(Ok(head)) = buffer.get(noise..noise + 9).map(<[u8; 9]>::try_from) else { break };
        let [l0, l1, l2, l3, kind, version @ ..] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let fits = (5..=MAX_NOISE).contains(&length) && kind == VERSION_PACKET && version == VERSION.to_be_bytes();
        if fits {
            match buffer.get(noise + 9..noise + 4 + length).map(extensions) {
                Some(Ok(extensions)) => {
                    buffer.advance(noise + 4 + length);
                    return Some(Greeting { noise, extensions });
                }
                Some(Err(_)) => {}
                // It may be the packet once the rest is here.
                None => certain = false,
            }
        }
        if certain {
            *from = noise + 1;
        }
    }
    None
}

/// The pairs of names and versions behind the version number.
fn extensions(bytes: &[u8]) -> Result<Extensions, Violation> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, version) = (string(&mut rest)?, string(&mut rest)?);
        let known = |extension: &Extension| extension.name() == name && extension.version() == version;
        found.extend(Extension::ALL.into_iter().find(known));
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn listing(count: u32, names: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32(count);
        for name in names {
            for text in [name, &b"long"[..]] {
                out.put_u32(u32::try_from(text.len()).expect("short"));
                out.put_slice(text);
            }
            out.put_u32(0);
        }
        out.freeze()
    }

    #[test]
    fn a_read_is_encoded_as_the_draft_says() {
        let mut out = BytesMut::new();
        Request::Read { handle: b"abcd", offset: 5, length: 6 }.encode(7, &mut out);
        assert_eq!(&out[..], b"\0\0\0\x19\x05\0\0\0\x07\0\0\0\x04abcd\0\0\0\0\0\0\0\x05\0\0\0\x06");
    }

    #[test]
    fn an_incomplete_packet_stays_in_the_buffer() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x02a"[..]);
        assert_eq!(take_packet(&mut buffer), Ok(None));
        buffer.put_u8(b'b');
        assert_eq!(take_packet(&mut buffer), Ok(Some(Bytes::from_static(b"ab"))));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_packet_longer_than_the_cap_is_refused_before_it_is_stored() {
        let mut endless = BytesMut::from(&b"\x7f\xff\xff\xff"[..]);
        assert_eq!(missing(&endless), MAX_PACKET);
        assert!(take_packet(&mut endless).is_err());
    }

    #[test]
    fn what_is_missing_of_a_packet_is_told_as_soon_as_its_length_is_there() {
        for (buffer, bytes) in
            [(&b""[..], 4), (b"\0\0\0", 1), (b"\0\0\x01\0", 256), (b"\0\0\0\x02a", 1), (b"\0\0\0\x02ab", 0)]
        {
            assert_eq!(missing(buffer), bytes, "{buffer:?}");
        }
    }

    #[test]
    fn a_listing_whose_count_lies_is_refused() {
        assert!(answer(NAME, listing(u32::MAX, &[b"a"]), Expected::Names, 10).is_err());
        assert!(answer(NAME, listing(2, &[b"aaaaaaaaaaaa"]), Expected::Names, 10).is_err());
    }

    #[test]
    fn dots_and_names_with_slashes_are_left_out_of_a_listing() {
        let Ok(Answer::Names(entries, false)) =
            answer(NAME, listing(5, &[b".", b"..", b"a/b", b"", b"c"]), Expected::Names, 10)
        else {
            panic!("not a listing");
        };
        assert_eq!(entries.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(), [b"c"]);
    }

    #[test]
    fn the_kind_of_an_entry_without_permissions_is_what_its_long_name_begins_with() {
        for (long_name, kind) in [
            ("drwxr-xr-x    2 0 0 4096 Jan  1 00:00 a", Some(FileKind::Directory)),
            ("-rwsr-xr-t    1 0 0 4096 Jan  1 00:00 a", Some(FileKind::File)),
            ("lrwxrwxrwx 1 a", Some(FileKind::Symlink)),
            ("crw-rw-rw- 1 a", Some(FileKind::Other)),
            ("d", None),
            ("directory!", None),
            ("", None),
        ] {
            assert_eq!(kind_in(long_name.as_bytes()), kind, "{long_name}");
        }
    }

    #[test]
    fn a_listing_keeps_no_more_than_asked() {
        let Ok(Answer::Names(entries, left_out)) = answer(NAME, listing(2, &[b"a", b"b"]), Expected::Names, 1) else {
            panic!("not a listing");
        };
        assert_eq!((entries.len(), left_out), (1, true));
    }

    #[test]
    fn more_data_than_asked_for_is_refused() {
        let data = Bytes::from_static(b"\0\0\0\x03abc");
        assert!(answer(DATA, data.clone(), Expected::Data(2), 0).is_err());
        assert_eq!(answer(DATA, data, Expected::Data(3), 0), Ok(Answer::Data(Bytes::from_static(b"abc"))));
    }

    #[test]
    fn every_cut_of_an_answer_is_refused_without_a_panic() {
        let whole = Bytes::from_static(b"\x80\0\0\x0f\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\x81\xa4\0\0\0\x04\0\0\0\x05\0\0\0\x01\0\0\0\x01a\0\0\0\x01b");
        assert!(answer(ATTRS, whole.clone(), Expected::Attributes, 0).is_ok());
        for cut in 0..whole.len() {
            assert!(answer(ATTRS, whole.slice(..cut), Expected::Attributes, 0).is_err(), "{cut}");
        }
    }

    #[test]
    fn the_greeting_is_found_behind_noise() {
        let mut buffer = BytesMut::from(&b"Welcome!\n\0\0\0\x20\x02\0\0\0\x03\0\0\0\x12limits@openssh.com"[..]);
        let mut from = 0;
        assert_eq!(take_greeting(&mut buffer, &mut from), None);
        assert_eq!(from, 9, "the search goes on where the packet may begin");
        buffer.put_slice(b"\0\0\0\x011rest");
        // Length 5 + 4 + 18 + 4 + 1.
        let extensions = Extensions::from_iter([Extension::Limits]);
        assert_eq!(take_greeting(&mut buffer, &mut from), Some(Greeting { noise: 9, extensions }));
        assert_eq!(&buffer[..], b"rest");
    }

    #[test]
    fn a_name_of_five_thousand_bytes_is_refused() {
        assert!(answer(NAME, listing(1, &[&[b'x'; 5000]]), Expected::Names, 10).is_err());
    }

    #[test]
    fn an_extension_of_another_version_is_none() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x20\x02\0\0\0\x03\0\0\0\x13statvfs@openssh.com\0\0\0\x01"[..]);
        buffer.put_slice(b"2");
        buffer[3] = 33;
        let greeting = take_greeting(&mut buffer.clone(), &mut 0).expect("a greeting");
        assert!(greeting.extensions.has(Extension::StatVfs));
        *buffer.last_mut().expect("a version") = b'1';
        let greeting = take_greeting(&mut buffer, &mut 0).expect("a greeting");
        assert!(!greeting.extensions.has(Extension::StatVfs));
    }

    #[test]
    fn no_answer_however_mutated_panics_or_grows() {
        let whole: [(u8, Vec<u8>); 7] = [
            (STATUS, b"\0\0\0\x04\0\0\0\x03abc\0\0\0\x02en".to_vec()),
            (HANDLE, b"\0\0\0\x04abcd".to_vec()),
            (DATA, b"\0\0\0\x04abcd".to_vec()),
            (NAME, listing(3, &[b"a", b"bcd", b"efghijklmnop"]).to_vec()),
            (
                ATTRS,
                b"\x80\0\0\x0f\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\x81\xa4\0\0\0\x04\0\0\0\x05\0\0\0\0".to_vec(),
            ),
            (EXTENDED_REPLY, vec![7; 88]),
            (VERSION_PACKET, b"\0\0\0\x03\0\0\0\x12limits@openssh.com\0\0\0\x011".to_vec()),
        ];
        let expected = [
            Expected::Attributes,
            Expected::Handle,
            Expected::Data(4),
            Expected::Names,
            Expected::Path,
            Expected::FileSystem,
            Expected::Limits,
            Expected::Status,
        ];
        let mut random = super::super::tests::Random(42);
        for _ in 0..20_000 {
            let (kind, mut bytes) = whole[random.below(whole.len())].clone();
            random.mutate(&mut bytes);
            let size = bytes.len();
            let answer = answer(kind, bytes.clone().into(), expected[random.below(expected.len())], 2);
            match answer {
                Ok(Answer::Names(entries, _)) => assert!(entries.len() <= 2),
                Ok(Answer::Data(data)) => assert!(data.len() <= 4),
                Ok(Answer::Handle(handle)) => assert!(handle.len() <= MAX_HANDLE),
                Ok(Answer::Status(status)) => assert!(status.text.len() <= MAX_STATUS_TEXT.min(size)),
                Ok(Answer::Path(path)) => assert!(path.len() <= MAX_NAME),
                Ok(Answer::Attributes(_) | Answer::FileSystem(_) | Answer::Limits(_)) | Err(_) => {}
            }
            let mut packet = BytesMut::new();
            packet.put_u32(u32::try_from(size + 1).expect("short"));
            packet.put_u8(kind);
            packet.put_slice(&bytes);
            let mut stream = packet.to_vec();
            random.mutate(&mut stream);
            let mut buffer = BytesMut::from(&stream[..]);
            take_greeting(&mut buffer.clone(), &mut 0);
            while let Ok(Some(packet)) = take_packet(&mut buffer) {
                head(packet).ok();
            }
        }
    }
}
