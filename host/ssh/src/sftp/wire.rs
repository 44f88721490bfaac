//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): requests to bytes, bytes to answers.
//!
//! Pure: knows no stream and no channel. A decoder never trusts a length or a count of the server's.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Attributes, DirEntry};

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

const INIT: u8 = 1;
const VERSION_PACKET: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const STAT: u8 = 17;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
/// `SSH_FXF_READ`.
const OPEN_READ: u32 = 1;

/// `SSH_FX_EOF`.
pub(super) const STATUS_EOF: u32 = 1;
/// `SSH_FX_NO_SUCH_FILE`.
pub(super) const STATUS_NO_SUCH_FILE: u32 = 2;
/// `SSH_FX_PERMISSION_DENIED`.
pub(super) const STATUS_PERMISSION_DENIED: u32 = 3;
/// `SSH_FX_OP_UNSUPPORTED`.
pub(super) const STATUS_UNSUPPORTED: u32 = 8;

/// How the server broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) &'static str);

/// One request. All of them only read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// Attributes of what the path names, links followed.
    Stat(&'a [u8]),
    /// A handle for reading.
    Open(&'a [u8]),
    /// A handle for listing.
    OpenDir(&'a [u8]),
    /// Bytes of an open file.
    Read { handle: &'a [u8], offset: u64, length: u32 },
    /// The next names of an open directory.
    ReadDir(&'a [u8]),
    /// Gives a handle back.
    Close(&'a [u8]),
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
    /// NAME.
    Names,
    /// Nothing else.
    Status,
}

/// One answer, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A status code.
    Status(u32),
    /// A handle.
    Handle(Bytes),
    /// Bytes of a file.
    Data(Bytes),
    /// Names of a directory, without `.` and `..`, and whether some were left out because there were too many.
    Names(Vec<DirEntry>, bool),
    /// Attributes.
    Attributes(Attributes),
}

impl Request<'_> {
    /// What may answer it.
    pub(super) fn expected(&self) -> Expected {
        match self {
            Self::Stat(_) => Expected::Attributes,
            Self::Open(_) | Self::OpenDir(_) => Expected::Handle,
            Self::Read { length, .. } => Expected::Data(*length),
            Self::ReadDir(_) => Expected::Names,
            Self::Close(_) => Expected::Status,
        }
    }

    /// Appends the packet. Paths and handles are short: their callers have checked that.
    pub(super) fn encode(&self, id: u32, out: &mut BytesMut) {
        let (kind, text, extra) = match self {
            Self::Stat(path) => (STAT, path, 0),
            Self::Open(path) => (OPEN, path, 8),
            Self::OpenDir(path) => (OPENDIR, path, 0),
            Self::Read { handle, .. } => (READ, handle, 12),
            Self::ReadDir(handle) => (READDIR, handle, 0),
            Self::Close(handle) => (CLOSE, handle, 0),
        };
        let text_length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        out.put_u32(text_length.saturating_add(9 + extra));
        out.put_u8(kind);
        out.put_u32(id);
        out.put_u32(text_length);
        out.put_slice(text);
        match self {
            Self::Open(_) => {
                out.put_u32(OPEN_READ);
                out.put_u32(0);
            }
            Self::Read { offset, length, .. } => {
                out.put_u64(*offset);
                out.put_u32(*length);
            }
            Self::Stat(_) | Self::OpenDir(_) | Self::ReadDir(_) | Self::Close(_) => {}
        }
    }
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
        (STATUS, _) => Ok(Answer::Status(number(&mut rest)?)),
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
        (ATTRS, Expected::Attributes) => Ok(Answer::Attributes(attributes(&mut rest)?)),
        _ => Err(Violation("an answer does not fit its request")),
    }
}

fn number(from: &mut Bytes) -> Result<u32, Violation> {
    from.try_get_u32().map_err(|_| Violation("a packet is too short"))
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
        string(&mut rest)?;
        let attributes = attributes(&mut rest)?;
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

fn attributes(from: &mut Bytes) -> Result<Attributes, Violation> {
    let flags = number(from)?;
    let mut attributes = Attributes::default();
    if flags & 1 != 0 {
        attributes.size = Some(from.try_get_u64().map_err(|_| Violation("a packet is too short"))?);
    }
    if flags & 2 != 0 {
        attributes.uid = Some(number(from)?);
        attributes.gid = Some(number(from)?);
    }
    if flags & 4 != 0 {
        attributes.permissions = Some(number(from)?);
    }
    if flags & 8 != 0 {
        attributes.atime = Some(number(from)?);
        attributes.mtime = Some(number(from)?);
    }
    if flags & 0x8000_0000 != 0 {
        for _ in 0..number(from)? {
            string(from)?;
            string(from)?;
        }
    }
    Ok(attributes)
}

/// The server's side of the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// How many bytes before the packet were no SFTP.
    pub(super) noise: usize,
    /// Whether `limits@openssh.com` is offered: such servers answer READs of 255 KiB in one piece.
    pub(super) long_reads: bool,
}

/// Looks for the VERSION packet and takes everything up to its end off the buffer; `None` while more is needed.
pub(super) fn take_greeting(buffer: &mut BytesMut) -> Option<Greeting> {
    let limit = buffer.len().min(MAX_NOISE + 1);
    let found = (0..limit).find_map(|noise| {
        let mut rest = Bytes::copy_from_slice(buffer.get(noise..noise + 9)?);
        let length = rest.get_u32() as usize;
        let fits = (5..=MAX_NOISE).contains(&length) && rest.get_u8() == VERSION_PACKET && rest.get_u32() == VERSION;
        if !fits {
            return None;
        }
        let mut extensions = Bytes::copy_from_slice(buffer.get(noise + 9..noise + 4 + length)?);
        let mut long_reads = false;
        while !extensions.is_empty() {
            let name = string(&mut extensions).ok()?;
            string(&mut extensions).ok()?;
            long_reads |= &name[..] == b"limits@openssh.com";
        }
        Some((Greeting { noise, long_reads }, noise + 4 + length))
    });
    let (greeting, end) = found?;
    buffer.advance(end);
    Some(greeting)
}

#[cfg(test)]
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
        assert!(take_packet(&mut BytesMut::from(&b"\x7f\xff\xff\xff"[..])).is_err());
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
        assert_eq!(take_greeting(&mut buffer), None);
        buffer.put_slice(b"\0\0\0\x011rest");
        // Length 5 + 4 + 18 + 4 + 1.
        assert_eq!(take_greeting(&mut buffer), Some(Greeting { noise: 9, long_reads: true }));
        assert_eq!(&buffer[..], b"rest");
    }
}
