//! Every spelling of a path, confined.

use std::fs::create_dir_all;
use std::os::unix::ffi::OsStrExt as _;

use scout_machine::Start;

use self::spellings::{NO_PATHS, Names, SPELLINGS};
use super::*;

#[path = "../../../machine/src/remote_path/spellings.rs"]
mod spellings;

/// Where a path leads below the home directory or below `/`, as long as no name is a link; nothing above it.
fn led(path: &RemotePath) -> Option<Vec<&[u8]>> {
    path.names().try_fold(Vec::new(), |mut led, name| {
        if name == b".." && path.start() != Start::Root {
            led.pop()?;
        } else if name == b".." {
            led.pop();
        } else {
            led.push(name);
        }
        Some(led)
    })
}

/// As grants and secrets judge its text (`runtime/policy/resolve`), so the machine confines what a path leads to.
#[test]
fn every_spelling_of_a_path_is_confined_as_its_text_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for directory in ["dev", "srv/app/x", "srv/app/.netrc", "home/app/x", "home/x"] {
        create_dir_all(root.join(directory)).unwrap();
    }
    let account = Account::current(root.join("home"), |_| None);
    let below_root = |path: &[u8]| RemotePath::parse([root.as_os_str().as_bytes(), path].concat()).unwrap();
    let within = Within { roots: vec![vec![below_root(b"/srv/app"), RemotePath::parse("~/app").unwrap()]] };
    let mut confined = 0;
    for (path, start, .., as_file, _) in SPELLINGS {
        let spelled = RemotePath::parse(path).unwrap();
        // The root of this test is a directory, and above that is something else than itself.
        if *start == Start::Root && spelled.names().next() == Some(b"..") {
            continue;
        }
        let lies_in = matches!(
            (led(&spelled).as_deref(), start),
            (Some([b"srv", b"app", ..]), Start::Root) | (Some([b"app", ..]), Start::Home)
        );
        match as_file {
            Names::Plain => assert!(lies_in, "{spelled:?}"),
            Names::Elsewhere | Names::Nobody => assert!(!lies_in, "{spelled:?}"),
            Names::Secret => {}
        }
        let asked = if *start == Start::Root { below_root(path) } else { spelled.clone() };
        let found = found(&account, &Operation::Stat { path: asked }, &within);
        let is_outside = found.is_err_and(|error| error.kind() == ErrorKind::Outside);
        assert_eq!(is_outside, !lies_in, "{spelled:?}");
        confined += usize::from(is_outside);
    }
    assert!(confined > 20, "{confined}");
    assert!(NO_PATHS.iter().all(|(path, _)| RemotePath::parse(path).is_err()), "nothing else can be asked");
}

#[test]
fn a_small_file_takes_no_room_for_a_large_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    for (bytes, cap, room) in
        [(0, 1 << 20, BEYOND), (1024, 1 << 20, BEYOND), (100_000, 1 << 20, 100_001), (100_000, 100, 101)]
    {
        std::fs::write(&path, vec![b'x'; bytes]).unwrap();
        let content = Place::open(path.as_os_str().as_bytes(), b"file").unwrap().content(0, cap).unwrap();
        assert_eq!((content.data.len(), content.truncated), (bytes.min(cap), bytes > cap));
        assert_eq!(content.data.try_into_mut().unwrap().capacity(), room, "{bytes} bytes, {cap} at most");
    }
}

#[test]
fn a_file_that_holds_more_than_it_says_is_read_to_its_end() {
    let content = Place::open(b"/proc/self/status", b"status").unwrap().content(0, 1 << 20).unwrap();
    assert!(content.data.starts_with(b"Name:") && content.total == Some(content.data.len() as u64));
}
