//! What is mounted, as Linux tells it in `/proc/self/mountinfo` (proc(5)), and what of it may be asked. Pure.
//!
//! Reading that file asks no file system anything. `df` asks each: an automount point is mounted by it (busybox), and one whose server is
//! gone keeps it waiting for good.

use std::collections::{BTreeMap, BTreeSet};

/// File systems that are asked of another machine, or of a program.
const REMOTE: &str = "nfs nfs4 cifs smb3 smbfs ncpfs afs auristorfs coda ceph glusterfs lustre 9p beegfs fhgfs gpfs orangefs pvfs2 ocfs2 gfs2 \
                      davfs ibrix acfs vxfs vboxsf vmhgfs prl_fs virtiofs";

/// File systems of this machine, whatever they were mounted from: a device may have any name.
const LOCAL: &str = "btrfs devtmpfs ext2 ext3 ext4 f2fs overlay ramfs tmpfs vfat xfs zfs";

/// The type of an automount point.
const AUTOMOUNT: &str = "autofs";

/// The most directories above a mount point that are looked at: paths of Linux have at most 4096 bytes.
const MAX_DEPTH: usize = 2048;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    id: Vec<u8>,
    /// The one on which it lies.
    parent: Vec<u8>,
    /// Major and minor number of its device.
    device: Vec<u8>,
    pub(crate) point: Vec<u8>,
    pub(crate) kind: String,
    /// Device, pool or share.
    pub(crate) source: Vec<u8>,
    /// Whether another mount hides it: its path leads elsewhere.
    pub(crate) is_hidden: bool,
}

/// What can be seen of what is mounted: of several on one point the last, in the order of the output.
pub(crate) fn parse(output: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in output.split(|byte| *byte == b'\n').filter_map(mount) {
        mounts.push(mount);
    }
    let mut seen = BTreeSet::new();
    let mut visible: Vec<Mount> = mounts.into_iter().rev().filter(|mount| seen.insert(mount.point.clone())).collect();
    visible.reverse();
    hide(&mut visible);
    visible
}

/// Marks what no path leads to. A mount hides what lies below its point on the mount that it lies on itself, whichever was mounted
/// first, and all that lies on that. Mounts below a root that is hidden are not told at all.
fn hide(mounts: &mut [Mount]) {
    let mut places: BTreeSet<(&[u8], &[u8])> = BTreeSet::new();
    places.extend(mounts.iter().map(|mount| (mount.parent.as_slice(), mount.point.as_slice())));
    let mut lying: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    let mut found = Vec::new();
    for (at, mount) in mounts.iter().enumerate() {
        lying.entry(&mount.parent).or_default().push(at);
        if above(&mount.point).take(MAX_DEPTH).any(|point| places.contains(&(mount.parent.as_slice(), point))) {
            found.push(at);
        }
    }
    let mut hidden = BTreeSet::new();
    while let Some(at) = found.pop() {
        if hidden.insert(at) {
            found.extend(mounts.get(at).and_then(|mount| lying.get(mount.id.as_slice())).into_iter().flatten());
        }
    }
    for (at, mount) in mounts.iter_mut().enumerate() {
        mount.is_hidden = hidden.contains(&at);
    }
}

/// The directories above a path, but for the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
    ends.filter_map(|(end, _)| path.get(..end))
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw`; of the fields before the dash the last are as many as there are.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, parent, device, _root, point) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, source) = (behind.next()?, behind.next()?);
    Some(Mount {
        id: id.to_vec(),
        parent: parent.to_vec(),
        device: device.to_vec(),
        point: plain(point),
        kind: String::from_utf8_lossy(&plain(kind)).into_owned(),
        source: plain(source),
        is_hidden: false,
    })
}

/// Without the escapes of blanks, line ends and backslashes: three octal digits.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

impl Mount {
    /// Whether nothing is mounted there yet, and asking would mount it.
    pub(crate) fn is_automount(&self) -> bool {
        self.kind == AUTOMOUNT
    }

    /// Whether another machine or a program answers for it, and perhaps never.
    pub(crate) fn is_remote(&self) -> bool {
        let of_program = self.kind == "fuse" || self.kind.starts_with("fuse.");
        let of_host = self.source.starts_with(b"//") || self.source.windows(2).any(|two| two == b":/");
        let is_one_of = |kinds: &str| kinds.split_ascii_whitespace().any(|kind| kind == self.kind);
        of_program || is_one_of(REMOTE) || of_host && !is_one_of(LOCAL)
    }

    /// Who answers for it: one that is gone takes all of its mounts along.
    pub(crate) fn server(&self) -> &[u8] {
        let source = self.source.as_slice();
        if let Some(share) = source.strip_prefix(b"//") {
            return share.split(|byte| *byte == b'/').next().unwrap_or(source);
        }
        match source.windows(2).position(|two| two == b":/") {
            Some(end) => source.get(..end).unwrap_or(source),
            None => source,
        }
    }
}

/// Types that no `df` over all file systems may ask, each once.
pub(crate) fn left_out(mounts: &[Mount]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.is_remote() || mount.is_automount()) {
        if !kinds.contains(&mount.kind.as_str()) {
            kinds.push(&mount.kind);
        }
    }
    kinds
}

/// Of several mounts of one device that with the shortest point, as `df` shows it. The subvolumes of btrfs are one device.
pub(crate) fn once_each<'a>(mounts: impl Iterator<Item = &'a Mount>) -> Vec<&'a Mount> {
    let mut chosen: Vec<&Mount> = Vec::new();
    for mount in mounts {
        let same = chosen.iter_mut().find(|known| known.device == mount.device && mount.kind != "btrfs");
        match same {
            Some(known) if mount.point.len() < known.point.len() => *known = mount,
            Some(_) => {}
            None => chosen.push(mount),
        }
    }
    chosen
}

/// The mount that holds a path, as far as its text tells.
pub(crate) fn holding<'a>(mounts: &'a [Mount], path: &[u8]) -> Option<&'a Mount> {
    let holds = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.point.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || mount.point == b"/")
    };
    mounts.iter().filter(|mount| !mount.is_hidden).filter(holds).max_by_key(|mount| mount.point.len())
}

/// Whether looking up this path, which lies on an automount point, mounts something: not where something is mounted there already, and
/// not on the way to that.
pub(crate) fn mounts_something(mounts: &[Mount], automount: &Mount, path: &[u8]) -> bool {
    let leads_to =
        |point: &[u8]| point.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    !mounts.iter().any(|mount| mount.parent == automount.id && leads_to(&mount.point))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{Mount, holding, left_out, mounts_something, once_each, parse};

    /// Debian 12's kernel 6.1, a host with autofs 5.1.8; server names invented.
    const MOUNTINFO: &[u8] = b"\
22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 22 0:33 / /proc/sys/fs/binfmt_misc rw,relatime shared:13 - autofs systemd-1 rw,fd=29,pgrp=1,timeout=0
50 27 0:40 / /net rw,relatime shared:20 - autofs /etc/auto.net rw,fd=6,pgrp=88
51 50 0:41 / /net/srv rw,relatime shared:21 - nfs4 srv:/export rw,vers=4.2
52 27 0:41 / /home\\040of\\040ann rw,relatime - nfs4 srv:/home rw
53 27 0:42 / /data rw,relatime - autofs /etc/auto.direct rw,fd=7
54 53 254:1 / /data rw,relatime - xfs /dev/vdb rw
55 27 254:0 /etc/hosts /srv/hosts rw,relatime - ext4 /dev/vda rw
56 27 0:43 / /mnt/ssh rw - fuse.sshfs ann@box:/ rw
57 27 0:44 / /mnt/win rw - fuseblk /dev/vdc1 rw
58 27 0:45 / /mnt/share rw - cifs //nas/ann rw
59 27 0:46 / /mnt/memory rw - tmpfs //odd/name rw
60 27 0:47 / /mnt/new rw - newfs cluster:/volume rw
";

    fn named<'a>(mounts: &'a [Mount], point: &str) -> &'a Mount {
        mounts.iter().find(|mount| mount.point == point.as_bytes()).unwrap_or_else(|| panic!("no {point}"))
    }

    #[test]
    fn what_lies_above_is_what_is_seen() {
        let mounts = parse(MOUNTINFO);
        assert_eq!(mounts.len(), 13);
        assert_eq!(named(&mounts, "/data").kind, "xfs");
        assert_eq!(named(&mounts, "/home of ann").source, b"srv:/home");
    }

    #[test]
    fn who_may_never_answer_is_known_by_type_or_source() {
        let mounts = parse(MOUNTINFO);
        for (point, server) in [
            ("/net/srv", "srv"),
            ("/home of ann", "srv"),
            ("/mnt/ssh", "ann@box"),
            ("/mnt/share", "nas"),
            ("/mnt/new", "cluster"),
        ] {
            let mount = named(&mounts, point);
            assert!(mount.is_remote() && mount.server() == server.as_bytes(), "{point}");
        }
        for point in ["/", "/data", "/mnt/win", "/mnt/memory", "/proc", "/net"] {
            assert!(!named(&mounts, point).is_remote(), "{point}");
        }
        assert_eq!(left_out(&mounts), ["autofs", "nfs4", "fuse.sshfs", "cifs", "newfs"]);
    }

    #[test]
    fn a_device_is_shown_once() {
        let mounts = parse(MOUNTINFO);
        let chosen = once_each(mounts.iter());
        assert!(
            chosen.iter().any(|mount| mount.point == b"/") && !chosen.iter().any(|mount| mount.point == b"/srv/hosts")
        );
        let volumes = parse(b"1 0 0:30 /root / rw - btrfs /dev/vda rw\n2 1 0:30 /home /home rw - btrfs /dev/vda rw\n");
        assert_eq!(once_each(volumes.iter()).len(), 2);
    }

    #[test]
    fn a_path_lies_on_the_mount_with_the_longest_point() {
        let mounts = parse(MOUNTINFO);
        for (path, point) in [
            ("/", "/"),
            ("/etc", "/"),
            ("/network", "/"),
            ("/net", "/net"),
            ("/net/x/y", "/net"),
            ("/net/srv/y", "/net/srv"),
            ("/data/x", "/data"),
        ] {
            let found = holding(&mounts, path.as_bytes()).map(|mount| mount.point.as_slice());
            assert_eq!(found, Some(point.as_bytes()), "{path}");
        }
        assert!(holding(&mounts, b"/net/x").is_some_and(Mount::is_automount));
        assert!(holding(&mounts, b"/data").is_some_and(|mount| !mount.is_automount()));
    }

    #[test]
    fn what_another_mount_hides_is_marked() {
        let more = b"70 27 0:50 / /net/old rw - nfs4 old:/x rw\n71 70 0:51 / /net/old/x rw - ext4 /dev/vde rw\n\
                     72 54 0:52 / /data/y rw - ext4 /dev/vdf rw\n73 53 0:53 / /data/z rw - ext4 /dev/vdg rw\n";
        let mounts = parse(&[MOUNTINFO, more].concat());
        let hidden = mounts.iter().filter(|mount| mount.is_hidden).map(|mount| mount.point.as_slice());
        assert_eq!(hidden.collect::<Vec<_>>(), [&b"/net/old"[..], b"/net/old/x", b"/data/z"]);
        for (path, point) in [("/net/old/x", "/net"), ("/data/z", "/data"), ("/data/y", "/data/y")] {
            let found = holding(&mounts, path.as_bytes()).map(|mount| mount.point.as_slice());
            assert_eq!(found, Some(point.as_bytes()), "{path}");
        }
        // In a circle.
        assert!(parse(b"1 2 0:1 / /a rw - x y z\n2 1 0:2 / /a/b rw - x y z\n").iter().all(|mount| !mount.is_hidden));
        assert!(parse(b"1 1 0:1 / /a rw - x y z\n1 1 0:2 / /a/b rw - x y z\n").iter().any(|mount| mount.is_hidden));
    }

    #[test]
    fn a_way_to_what_is_mounted_below_an_automount_point_mounts_nothing() {
        // A map of several mounts of one server, of which one is mounted, and a mount that the automount point hides.
        let more =
            b"61 50 0:50 / /net/two/a rw - nfs4 two:/a rw\n62 50 0:51 / /net/two/b rw - autofs /etc/auto.net rw\n\
                     63 27 0:52 / /net/old rw - nfs4 old:/x rw\n";
        let mounts = parse(&[MOUNTINFO, more].concat());
        for (path, mounts_it) in [
            ("/net", false),
            ("/net/srv", false),
            ("/net/two", false),
            ("/net/two/a", false),
            ("/net/two/b", false),
            ("/net/two/c", true),
            ("/net/sr", true),
            ("/net/srv2", true),
            ("/net/old", true),
        ] {
            assert_eq!(mounts_something(&mounts, named(&mounts, "/net"), path.as_bytes()), mounts_it, "{path}");
        }
        let trigger = named(&mounts, "/net/two/b");
        assert!(trigger.is_automount() && mounts_something(&mounts, trigger, b"/net/two/b"));
    }

    #[test]
    fn any_bytes_make_mounts() {
        for line in [
            &b""[..],
            b"\n\n",
            b"1 2 3 4 5 - ext4",
            b"1 2 3 4 \\04 rw - x y z",
            b"\xff \xff \xff \xff \xff - \xff \xff",
        ] {
            assert!(parse(line).len() <= 1);
        }
        assert_eq!(parse(b"1 2 3 / \\0400\\04 rw - x y z")[0].point, b" 0\\04");
    }
}
