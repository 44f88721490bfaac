//! Opening a path and learning what truly was opened, in one flight.
//!
//! A path can be made to lead elsewhere between a look at it and its opening. So the question is asked about what is
//! open: on Linux the link `/proc/self/fd/N` of the server's own process names it, and REALPATH follows that link. `N` is
//! the lowest number that was free before the OPEN: the flight asks for a few of them before and after. This holds for
//! servers that work in order and hand out guessed handles (OpenSSH's); there is no race then.
//!
//! Elsewhere (no /proc, as in a chroot; other servers) REALPATH of the path is asked before and after instead, and an
//! answer that changed is refused. Who can swap a directory for a link and back again **between those two, twice**, is
//! not noticed: [`TruePath::is_proven`] tells which it was.

use super::channel::{GUESS, Reply};
use super::operations::{
    FLIGHT_BYTES, Listing, Reading, attributes, handle, is_guarded, read, remote_error, status_error,
};
use super::upload::real_path;
use super::wire::Request;
use super::{Attributes, FileKind, Opened, SftpChannel, SftpError};
use crate::{Call, Capture, SshError};

/// File descriptors of the server that may be the next one: 0 to 2 are its own, and a log or sshd's sockets
/// take some.
const DESCRIPTORS: [&[u8]; 6] = [
    b"/proc/self/fd/3",
    b"/proc/self/fd/4",
    b"/proc/self/fd/5",
    b"/proc/self/fd/6",
    b"/proc/self/fd/7",
    b"/proc/self/fd/8",
];
/// READDIRs of the flight at most: with OpenSSH's 100 names each more than any answer shows.
const MAX_READDIRS: usize = 128;
/// Names that every server puts into one answer, roughly.
const NAMES_PER_READDIR: usize = 50;

/// Where what was opened lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruePath {
    /// The absolute path without links.
    pub path: Vec<u8>,
    /// Whether this was asked about the open file itself. Otherwise it was asked about the name, before and after.
    pub is_proven: bool,
}

/// The answers about a path and what it opened.
struct Answers {
    attributes: Attributes,
    content: Vec<Reply>,
    listing: Vec<Reply>,
    true_path: TruePath,
}

impl SftpChannel {
    /// As [`open`](Self::open), a file from `offset` on, and where that truly lies. At most 2 MiB of a file are read, so
    /// that all is one flight.
    ///
    /// Dropping the future leaves the channel usable.
    pub(crate) async fn open_truly(
        &self,
        path: &[u8],
        offset: u64,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), SftpError> {
        let path = self.resolve(path, call).await?;
        if is_guarded(&path) {
            let attributes = self.stat_remote(&path, call).await?;
            if attributes.kind() == FileKind::Other {
                let path = TruePath { path: self.real_path(&path, call).await?, is_proven: false };
                return Ok((Opened::Other { attributes }, path));
            }
        }
        // One byte more than asked for tells whether there is more.
        let mut reading = Reading::new(offset, cap.saturating_add(1).min(FLIGHT_BYTES), self.read_length());
        let plan = reading.plan();
        let readdirs = (max_entries / NAMES_PER_READDIR + 2).min(MAX_READDIRS);
        let answers = match self.find_truly(&path, &plan, readdirs, max_entries, call).await? {
            Some(answers) => answers,
            None => self.find_by_name(&path, &plan, readdirs, max_entries, call).await?,
        };
        let (attributes, true_path) = (answers.attributes, answers.true_path);
        match attributes.kind() {
            FileKind::Directory => {
                let mut listing = Listing::default();
                listing.take(answers.listing, &path)?;
                let truncated = listing.truncated || !listing.ended;
                let entries = listing.entries;
                Ok((Opened::Directory { attributes, entries, truncated }, true_path))
            }
            FileKind::File => {
                reading.take(&plan, answers.content, self, &path)?;
                let content = cut(reading, attributes.size, cap);
                Ok((Opened::File { attributes, content }, true_path))
            }
            FileKind::Symlink | FileKind::Other => Ok((Opened::Other { attributes }, true_path)),
        }
    }

    /// All in one flight with guessed handles; `None` where they cannot be guessed.
    async fn find_truly(
        &self,
        path: &[u8],
        plan: &[(u64, u32)],
        readdirs: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<Option<Answers>, SftpError> {
        let descriptors = || DESCRIPTORS.iter().map(|descriptor| Request::RealPath(descriptor));
        let mut requests = vec![Request::RealPath(path), Request::Stat(path)];
        requests.extend(descriptors());
        requests.push(Request::Open(path));
        requests.extend(descriptors());
        requests.push(Request::Fstat(GUESS));
        requests.extend(plan.iter().map(|(offset, length)| read(GUESS, *offset, *length)));
        requests.extend([Request::Close(GUESS), Request::OpenDir(path)]);
        requests.extend(descriptors());
        requests.extend((0..readdirs).map(|_| Request::ReadDir(GUESS)));
        requests.extend([Request::Close(GUESS), Request::RealPath(path)]);
        let Some(replies) = self.guess(&requests, max_entries, call).await? else { return Ok(None) };

        let mut replies = replies.into_iter();
        let named = real_path(replies.next(), path);
        let followed = attributes(replies.next()).map_err(|status| status_error(&status, path))?;
        let before: Vec<_> = replies.by_ref().take(DESCRIPTORS.len()).collect();
        let file = replies.next();
        let with_file: Vec<_> = replies.by_ref().take(DESCRIPTORS.len()).collect();
        let opened = attributes(replies.next());
        let content = replies.by_ref().take(plan.len()).collect();
        replies.next();
        let directory = replies.next();
        let with_directory: Vec<_> = replies.by_ref().take(DESCRIPTORS.len()).collect();
        let listing = replies.by_ref().take(readdirs).collect();
        replies.next();
        let named_after = real_path(replies.next(), path);

        let is_directory = followed.kind() == FileKind::Directory;
        match if is_directory { &directory } else { &file } {
            Some(Reply::Status(status)) if followed.kind() != FileKind::Other => {
                return Err(status_error(status, path).into());
            }
            _ => {}
        }
        let (file, directory) = (descriptor(&before, &with_file), descriptor(&before, &with_directory));
        // The server opens a directory twice; what is told of it was asked the first time.
        let is_other = is_directory && file.is_some() && file != directory;
        let attributes = opened.unwrap_or(followed);
        if is_other || attributes.kind() != followed.kind() {
            return Err(swapped(path).into());
        }
        let true_path = match if is_directory { directory } else { file } {
            Some(path) => TruePath { path, is_proven: true },
            None => by_name(named, named_after, path)?,
        };
        Ok(Some(Answers { attributes, content, listing, true_path }))
    }

    /// The same with handles that stay open for a moment.
    async fn find_by_name(
        &self,
        path: &[u8],
        plan: &[(u64, u32)],
        readdirs: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<Answers, SftpError> {
        let followed = self.stat_remote(path, call).await?;
        let is_directory = followed.kind() == FileKind::Directory;
        let open = if is_directory { Request::OpenDir(path) } else { Request::Open(path) };
        let mut replies = self.ask(&[Request::RealPath(path), open], 0, call).await?.into_iter();
        let named = real_path(replies.next(), path);
        let opened = handle(replies.next()).map_err(|status| status_error(&status, path))?;
        let mut requests = vec![Request::RealPath(path), Request::Fstat(opened.as_bytes())];
        if is_directory {
            requests.extend((0..readdirs).map(|_| Request::ReadDir(opened.as_bytes())));
        } else {
            requests.extend(plan.iter().map(|(offset, length)| read(opened.as_bytes(), *offset, *length)));
        }
        let mut replies = self.ask(&requests, max_entries, call).await?.into_iter();
        let true_path = by_name(named, real_path(replies.next(), path), path)?;
        let found = attributes(replies.next()).unwrap_or(followed);
        let (content, listing) =
            if is_directory { (Vec::new(), replies.collect()) } else { (replies.collect(), Vec::new()) };
        if found.kind() != followed.kind() {
            return Err(swapped(path).into());
        }
        Ok(Answers { attributes: found, content, listing, true_path })
    }
}

/// What the lowest descriptor that was free before leads to now.
fn descriptor(before: &[Reply], after: &[Reply]) -> Option<Vec<u8>> {
    // REALPATH answers for a last name that does not exist with that name: then the descriptor is free.
    let is_free = |index: usize, reply: &Reply| match reply {
        Reply::Path(path) => path.strip_prefix(b"/proc/").is_some_and(|rest| {
            let number = DESCRIPTORS.get(index).and_then(|descriptor| descriptor.strip_prefix(b"/proc/self"));
            let pid = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            pid > 0 && rest.get(pid..) == number
        }),
        _ => false,
    };
    let index = before.iter().enumerate().position(|(index, reply)| is_free(index, reply))?;
    match after.get(index)? {
        reply if is_free(index, reply) => None,
        Reply::Path(path) if path.starts_with(b"/") => Some(path.to_vec()),
        _ => None,
    }
}

fn by_name(
    before: Result<Vec<u8>, SshError>,
    after: Result<Vec<u8>, SshError>,
    path: &[u8],
) -> Result<TruePath, SshError> {
    let (before, after) = (before?, after?);
    if before != after {
        return Err(swapped(path));
    }
    Ok(TruePath { path: before, is_proven: false })
}

fn swapped(path: &[u8]) -> SshError {
    remote_error("something else took its place while it was opened", path).with_hint("try again")
}

fn cut(reading: Reading, size: Option<u64>, cap: usize) -> Capture {
    let (end, ended) = (reading.end(), reading.ended);
    let mut data = reading.into_bytes();
    // A size of nothing is a lie in /proc: there only an end that came is believed.
    let goes_on = !ended && size != Some(end);
    let truncated = data.len() > cap || goes_on;
    let total = if truncated { size.filter(|size| *size >= end) } else { Some(end) };
    data.truncate(cap);
    Capture { data, truncated, total }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::sftp::wire::Status;

    fn paths(of: &[&str]) -> Vec<Reply> {
        of.iter().map(|path| Reply::Path(Bytes::copy_from_slice(path.as_bytes()))).collect()
    }

    #[test]
    fn the_lowest_descriptor_that_was_free_tells_what_was_opened() {
        let before = paths(&["/dev/log", "/proc/77/fd/4", "/proc/77/fd/5"]);
        assert_eq!(descriptor(&before, &paths(&["/dev/log", "/etc/x", "/proc/77/fd/5"])), Some(b"/etc/x".to_vec()));
        assert_eq!(descriptor(&before, &before), None, "nothing was opened");
        assert_eq!(descriptor(&before, &[]), None);
    }

    #[test]
    fn where_no_descriptor_is_known_to_be_free_nothing_is_proven() {
        let after = paths(&["/etc/x", "/etc/x", "/etc/x"]);
        for before in [
            paths(&["/etc/x", "/etc/x", "/etc/x"]),
            // Not the number that was asked for, or no process.
            paths(&["/proc/77/fd/9", "/proc/x/fd/4", "/proc//fd/5"]),
            vec![Reply::Status(Status::default())],
            Vec::new(),
        ] {
            assert_eq!(descriptor(&before, &after), None);
        }
    }
}
