//! What paths were a moment ago, so that a flight asks for that alone: nobody knows of a new path whether it is a file or a directory,
//! nor how long, and is asked for both.
//!
//! **Nothing here is believed**: what a flight finds counts, and one that finds something else is flown again for both. Neither path
//! nor content is kept, only a few bits in a place that the path's hash tells, so that memory is bounded and a collision costs a round
//! trip at most.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

use scout_machine::{Attributes, FileKind};

/// Paths of one channel.
const PLACES: usize = 1024;
/// Bits that tell what a path was; those above tell which path.
const KIND_BITS: u32 = 10;
const KIND_MASK: u32 = (1 << KIND_BITS) - 1;
/// A directory; less is a file's number of pieces, and 0 nothing.
const DIRECTORY: u32 = KIND_MASK;

/// What a path was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A file of so many pieces, as large as this server answers one READ with; or of more, if they are as many as can be kept.
    File {
        pieces: u32,
    },
}

impl Kind {
    /// `None` for what is neither, and for a file without a length: in /proc that is a lie.
    pub(super) fn of(attributes: &Attributes, piece: u32) -> Option<Self> {
        match (attributes.kind(), attributes.size) {
            (FileKind::Directory, _) => Some(Self::Directory),
            (FileKind::File, Some(size)) if size > 0 => {
                let pieces = size.div_ceil(u64::from(piece.max(1)));
                Some(Self::File { pieces: u32::try_from(pieces).unwrap_or(u32::MAX).min(DIRECTORY - 1) })
            }
            (FileKind::File | FileKind::Symlink | FileKind::Other, _) => None,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Directory => DIRECTORY,
            Self::File { pieces } => pieces.min(DIRECTORY - 1),
        }
    }
}

/// What the paths of a channel were.
pub(super) struct Kinds {
    hasher: RandomState,
    places: Box<[AtomicU32]>,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: (0..PLACES).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Kinds {
    /// What a path was, if that is kept.
    pub(super) fn get(&self, path: &[u8]) -> Option<Kind> {
        let (place, which) = self.place(path)?;
        let kept = place.load(Ordering::Relaxed);
        match kept & KIND_MASK {
            _ if kept & !KIND_MASK != which => None,
            0 => None,
            DIRECTORY => Some(Kind::Directory),
            pieces => Some(Kind::File { pieces }),
        }
    }

    /// Keeps what a path is.
    pub(super) fn note(&self, path: &[u8], kind: Option<Kind>) {
        if let Some((place, which)) = self.place(path) {
            place.store(kind.map_or(0, |kind| which | kind.bits()), Ordering::Relaxed);
        }
    }

    fn place(&self, path: &[u8]) -> Option<(&AtomicU32, u32)> {
        let hash = self.hasher.hash_one(path);
        let at = usize::try_from(hash % PLACES as u64).ok()?;
        Some((self.places.get(at)?, (hash >> 32) as u32 & !KIND_MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_was_is_kept_until_it_is_something_else() {
        let kinds = Kinds::default();
        assert_eq!(kinds.get(b"/a"), None);
        for kind in [Some(Kind::Directory), Some(Kind::File { pieces: 2 }), Some(Kind::File { pieces: 1022 }), None] {
            kinds.note(b"/a", kind);
            assert_eq!(kinds.get(b"/a"), kind);
        }
    }

    #[test]
    fn a_file_has_the_pieces_of_its_length_and_none_without_one() {
        let of = |mode: u32, size: u64| {
            Kind::of(&Attributes { permissions: Some(mode), size: Some(size), ..Attributes::default() }, 100)
        };
        let (file, directory, link) = (0o100_644, 0o40_755, 0o120_777);
        for (size, pieces) in [(1, 1), (100, 1), (101, 2), (102_200, 1022), (102_201, 1022), (u64::MAX, 1022)] {
            assert_eq!(of(file, size), Some(Kind::File { pieces }), "{size}");
        }
        assert_eq!((of(file, 0), of(directory, 0), of(link, 7)), (None, Some(Kind::Directory), None));
        assert_eq!(Kind::of(&Attributes::default(), 100), None);
    }

    #[test]
    fn many_paths_take_no_more_memory_and_most_are_told_apart() {
        let kinds = Kinds::default();
        let path = |number: usize| format!("/some/path/{number}").into_bytes();
        (0..100_000).for_each(|number| kinds.note(&path(number), Some(Kind::Directory)));
        let told = (100_000..200_000).filter(|number| kinds.get(&path(*number)).is_some()).count();
        assert!(told < 10, "{told}");
    }
}
