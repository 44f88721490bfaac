//! A file on its way from one machine to another: what both are told, and the bytes between them.
//!
//! Neither machine knows the other. The one that sends writes into an [`Outlet`]; the one that receives says from where on it wants
//! the bytes, takes them from an [`Inlet`], and gives the file its name only when it is told that all of them have come.

use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::path::shown;
use crate::within::outside;
use crate::{Attributes, ErrorKind, HostError, RemotePath, TruePath};

/// Bytes that wait between two machines at most.
const BETWEEN: usize = 256 << 10;

/// What is asked of a machine for a transfer. But for the first, a path is absolute and without links, as the machine has told it
/// before; one that leads elsewhere by now is [`ErrorKind::Outside`].
#[derive(Clone, Debug)]
pub enum Errand {
    /// Asks what a path names, any path, and where that truly lies.
    Locate {
        /// The path.
        path: RemotePath,
    },
    /// Sends the bytes of a regular file from `offset` on.
    Send {
        /// The file.
        path: RemotePath,
        /// The first byte that is wanted.
        offset: u64,
        /// Where the bytes go.
        outlet: Outlet,
    },
    /// Writes a regular file: beside its place, and in one step in its place when all has come.
    Receive {
        /// The file, in a directory that is there.
        path: RemotePath,
        /// What is written.
        file: NewFile,
        /// Where the bytes come from.
        inlet: Inlet,
    },
    /// Makes a directory in one that is there.
    MakeDirectory {
        /// The directory.
        path: RemotePath,
        /// Its permission bits, of which the account's umask takes some away.
        mode: u32,
    },
    /// Asks for the SHA-256 of a regular file.
    Digest {
        /// The file.
        path: RemotePath,
    },
}

/// A SHA-256.
pub type Digest = [u8; 32];

/// A file that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// How many bytes it will have.
    pub size: u64,
    /// Its permission bits, if it is new; absent: what the account's umask leaves of 0666.
    pub mode: Option<u32>,
    /// Whether a file that exists may be replaced.
    pub replace: bool,
    /// What a partial file of an earlier try would be called by: the same source, of the same size and time, has the same.
    pub partial: [u8; 12],
}

impl NewFile {
    /// The name of the file until it is complete.
    pub fn partial_name(&self) -> String {
        hidden_name(self.partial)
    }
}

/// The name of a file that has not got its own yet.
fn hidden_name(of: [u8; 12]) -> String {
    format!(".scout-{}", hex(&of))
}

/// Such a name that nobody else knows.
///
/// # Errors
/// Exhausted: there are no random numbers.
pub fn random_name() -> Result<String, HostError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)
        .map_err(|error| HostError::new(ErrorKind::Exhausted, format!("no random numbers are available: {error}")))?;
    Ok(hidden_name(bytes))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A SHA-256 of 64 hexadecimal digits.
pub fn digest(digits: &[u8]) -> Option<Digest> {
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// The directory that holds an absolute path, and the path's name in it.
///
/// # Errors
/// Outside: it is not absolute; Invalid: it has no name.
pub fn split<'a>(path: &RemotePath, absolute: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), HostError> {
    let slash = absolute.iter().rposition(|byte| *byte == b'/').filter(|_| absolute.starts_with(b"/"));
    let split = slash.and_then(|slash| Some((absolute.get(..slash.max(1))?, absolute.get(slash + 1..)?)));
    match split.ok_or_else(|| outside(path))? {
        (_, b"" | b"." | b"..") => {
            let message = format!("not the name of a file: `{}`", shown(path.bytes()));
            Err(HostError::new(ErrorKind::Invalid, message))
        }
        split => Ok(split),
    }
}

/// A file that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was opened.
    pub before: Attributes,
    /// When its last byte was read.
    pub after: Attributes,
    /// How many bytes.
    pub bytes: u64,
}

impl Sent {
    /// Whether what was sent is the file as it was found, from `offset` on to its end.
    pub fn is_whole(&self, offset: u64) -> bool {
        let same = (self.before.size, self.before.mtime) == (self.after.size, self.after.mtime);
        same && self.before.size.is_none_or(|size| size == offset.saturating_add(self.bytes))
    }
}

/// A file that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many of its bytes were there of an earlier try.
    pub resumed: u64,
    /// Whether it has taken the place of another one.
    pub replaced: bool,
    /// Whether it was on the disk before it got its name.
    pub synced: bool,
    /// The SHA-256 of what was sent, where it is known.
    pub digest: Option<Digest>,
    /// Whether the file has it: read again by a tool of the machine, or written by Scout itself.
    pub verified: bool,
}

/// What a machine answers to an [`Errand`], the variant of the same name.
#[derive(Clone, Debug)]
pub enum Done {
    /// What was found at the path, and where that truly lies.
    Located(Attributes, TruePath),
    /// The file was sent, from where it truly lay.
    Sent(Sent, TruePath),
    /// The file is written.
    Received(Received),
    /// The directory is there: whether it was not before.
    Made(bool),
    /// The SHA-256; absent: the machine has no tool that tells it.
    Digest(Option<Digest>),
}

impl Errand {
    /// The path that it is about.
    pub fn path(&self) -> &RemotePath {
        match self {
            Self::Locate { path }
            | Self::Send { path, .. }
            | Self::Receive { path, .. }
            | Self::MakeDirectory { path, .. }
            | Self::Digest { path } => path,
        }
    }

    /// What it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Locate { .. } => "locate",
            Self::Send { .. } => "send",
            Self::Receive { .. } => "receive",
            Self::MakeDirectory { .. } => "make-directory",
            Self::Digest { .. } => "digest",
        }
    }
}

/// Where a machine that sends writes. Clones are the same.
#[derive(Clone)]
pub struct Outlet(Arc<Mutex<DuplexStream>>);

/// Where a machine that receives reads. Clones are the same.
#[derive(Clone)]
pub struct Inlet(Arc<Receiving>);

struct Receiving {
    wanted: Mutex<Option<oneshot::Sender<u64>>>,
    bytes: Arc<Mutex<DuplexStream>>,
    end: Mutex<Option<oneshot::Receiver<End>>>,
}

/// How what comes out of an [`Inlet`] has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All has come: the SHA-256 of the whole file, where it is known.
    Whole(Option<Digest>),
    /// It broke off; a later try may go on from there.
    BrokenOff,
    /// No later try goes on with it: the source has changed, or may not be sent.
    Worthless,
}

impl End {
    /// The SHA-256 of a file that has come as a whole, where it is known.
    ///
    /// # Errors
    /// Cancelled: it has not.
    pub fn whole(self) -> Result<Option<Digest>, HostError> {
        match self {
            Self::Whole(digest) => Ok(digest),
            Self::BrokenOff => Err(HostError::new(ErrorKind::Cancelled, "the source did not send all of the file")),
            Self::Worthless => Err(HostError::new(ErrorKind::Cancelled, "nothing of the file was kept")),
        }
    }
}

/// The other end of an [`Inlet`].
#[derive(Debug)]
pub struct Feed {
    wanted: Option<oneshot::Receiver<u64>>,
    bytes: DuplexStream,
    end: oneshot::Sender<End>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlet")
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inlet")
    }
}

impl Outlet {
    /// An outlet, and what comes out of it.
    pub fn new() -> (Self, DuplexStream) {
        let (ours, theirs) = duplex(BETWEEN);
        (Self(Arc::new(Mutex::new(ours))), theirs)
    }

    /// Where the bytes are written.
    pub async fn writer(&self) -> impl AsyncWrite + Unpin + Send + use<> {
        Locked(Arc::clone(&self.0).lock_owned().await)
    }
}

impl Inlet {
    /// An inlet, and what feeds it.
    pub fn new() -> (Feed, Self) {
        let (ours, theirs) = duplex(BETWEEN);
        let ((wants, wanted), (end, ended)) = (oneshot::channel(), oneshot::channel());
        let receiving = Receiving {
            wanted: Mutex::new(Some(wants)),
            bytes: Arc::new(Mutex::new(theirs)),
            end: Mutex::new(Some(ended)),
        };
        (Feed { wanted: Some(wanted), bytes: ours, end }, Self(Arc::new(receiving)))
    }

    /// Says from which byte on the file is wanted, and where the bytes come from then. What ends early looks like an end:
    /// [`Inlet::end`] tells.
    pub async fn begin(&self, offset: u64) -> impl AsyncRead + Unpin + Send + use<> {
        if let Some(wanted) = self.0.wanted.lock().await.take() {
            // Who has gone wants nothing.
            wanted.send(offset).ok();
        }
        Locked(Arc::clone(&self.0.bytes).lock_owned().await)
    }

    /// Waits for the word how it ended.
    pub async fn end(&self) -> End {
        match self.0.end.lock().await.take() {
            Some(ended) => ended.await.unwrap_or(End::BrokenOff),
            None => End::BrokenOff,
        }
    }
}

impl Feed {
    /// Waits until the machine that receives says from which byte on it wants the file; absent: it wants nothing any more.
    pub async fn wanted(&mut self) -> Option<u64> {
        self.wanted.take()?.await.ok()
    }

    /// Where the bytes are written.
    pub fn writer(&mut self) -> &mut (impl AsyncWrite + Unpin + Send + use<>) {
        &mut self.bytes
    }

    /// Says how it ended. Dropped without that it is [`End::BrokenOff`]: nothing gets its name.
    pub fn finish(self, end: End) {
        drop(self.bytes);
        self.end.send(end).ok();
    }
}

/// A stream that is held as long as it is used.
struct Locked(OwnedMutexGuard<DuplexStream>);

impl AsyncRead for Locked {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Locked {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_file_ends_only_when_it_is_said_to_have_come() {
        for said in [Some(End::Whole(Some([7; 32]))), Some(End::Worthless), None] {
            let (mut feed, inlet) = Inlet::new();
            let receiving = async {
                let mut taken = Vec::new();
                inlet.begin(3).await.read_to_end(&mut taken).await.unwrap();
                (taken, inlet.end().await)
            };
            let feeding = async {
                assert_eq!(feed.wanted().await, Some(3));
                feed.writer().write_all(b"abc").await.unwrap();
                match said {
                    Some(end) => feed.finish(end),
                    None => drop(feed),
                }
            };
            let ((taken, end), ()) = tokio::join!(receiving, feeding);
            assert_eq!(taken, b"abc");
            assert_eq!(end, said.unwrap_or(End::BrokenOff));
            assert_eq!(end.whole().is_ok(), matches!(end, End::Whole(_)));
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_receiver_that_has_gone_hears_of_it() {
        let (mut feed, inlet) = Inlet::new();
        drop(inlet);
        assert_eq!(feed.wanted().await, None);
    }

    #[test]
    fn a_digest_is_64_digits() {
        let sum = [0xa5; 32];
        assert_eq!(digest(hex(&sum).as_bytes()), Some(sum));
        for other in ["", "a5", &"a5".repeat(33), &"g5".repeat(32), &"+5".repeat(32)] {
            assert_eq!(digest(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_path_is_its_directory_and_its_name() {
        let split = |path: &'static str| {
            split(&RemotePath::parse(path).unwrap(), path.as_bytes()).map_err(|error| error.kind())
        };
        for (path, directory, name) in [("/a/b", "/a", "b"), ("/a", "/", "a"), ("//a", "/", "a")] {
            assert_eq!(split(path), Ok((directory.as_bytes(), name.as_bytes())), "{path}");
        }
        for path in ["/", "/a/", "/a/.", "/a/.."] {
            assert_eq!(split(path), Err(ErrorKind::Invalid), "{path}");
        }
        assert_eq!(split("a/b"), Err(ErrorKind::Outside));
    }

    #[test]
    fn a_partial_file_has_a_hidden_name_of_its_source() {
        let file = NewFile { size: 0, mode: None, replace: false, partial: *b"\x00\x01\xff\x10________" };
        assert_eq!(file.partial_name(), ".scout-0001ff105f5f5f5f5f5f5f5f");
    }
}
