//! What is found at a path.

use crate::Capture;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device; or the server did not say, and it was not opened.
    Other,
}

/// What the server says of a path (draft-ietf-secsh-filexfer-02 §5). Absent fields were not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes.
    pub size: Option<u64>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// `st_mode`: type and permission bits.
    pub permissions: Option<u32>,
    /// Names that it has on its file system. Version 3 of SFTP does not tell.
    pub links: Option<u64>,
    /// Seconds since 1970.
    pub atime: Option<u32>,
    /// Seconds since 1970.
    pub mtime: Option<u32>,
    /// What it was found to be where `permissions` are absent: what OPEN opens is a file, what OPENDIR opens a directory.
    pub found_to_be: Option<FileKind>,
}

impl Attributes {
    /// The kind that the type bits of `permissions` name, else what it was found to be.
    pub fn kind(&self) -> FileKind {
        match self.permissions.map(|mode| mode & 0o170_000) {
            Some(0o100_000) => FileKind::File,
            Some(0o040_000) => FileKind::Directory,
            Some(0o120_000) => FileKind::Symlink,
            Some(_) => FileKind::Other,
            None => self.found_to_be.unwrap_or(FileKind::Other),
        }
    }

    /// Whether the server says what it is.
    pub fn has_kind(&self) -> bool {
        self.permissions.is_some()
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Bytes: file systems know no encoding.
    pub name: Vec<u8>,
    /// Of the entry itself, not of a link's target.
    pub attributes: Attributes,
}

/// What was found at a path.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A regular file and its first bytes.
    File {
        /// Of the file.
        attributes: Attributes,
        /// Up to the cap asked for.
        content: Capture,
    },
    /// A directory and its entries, without `.` and `..`.
    Directory {
        /// Of the directory.
        attributes: Attributes,
        /// In the server's order.
        entries: Vec<DirEntry>,
        /// Whether there are more.
        truncated: bool,
    },
    /// Neither: it was not opened.
    Other {
        /// Of what it is.
        attributes: Attributes,
    },
}

/// Where something lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruePath {
    /// The absolute path without links.
    pub path: Vec<u8>,
    /// Whether this was asked about the open file itself. Otherwise none of its names was a link before and after.
    pub is_proven: bool,
}
