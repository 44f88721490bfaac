//! What is mounted, as Linux tells it in `/proc/self/mountinfo` (proc(5)), and what of it may be asked. Pure.
//!
//! Reading that file asks no file system anything. `df` asks each: an automount point is mounted by it (busybox), and one whose server is
//! gone keeps it waiting for good.

/// File systems that are asked of another machine, or of a program.
const REMOTE: &str = "nfs nfs4 cifs smb3 smbfs ncpfs afs auristorfs coda ceph glusterfs lustre 9p beegfs fhgfs gpfs orangefs pvfs2 ocfs2 gfs2 \
                      davfs ibrix acfs vxfs vboxsf vmhgfs prl_fs virtiofs";

/// File systems of this machine, whatever they were mounted from: a device may have any name.
const LOCAL: &str = "btrfs devtmpfs ext2 ext3 ext4 f2fs overlay ramfs tmpfs vfat xfs zfs";

/// The type of an automount point.
const AUTOMOUNT: &str = "autofs";

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Major and minor number of its device.
    device: Vec<u8>,
    pub(crate) point: Vec<u8>,
    pub(crate) kind: String,
    /// Device, pool or share.
    pub(crate) source: Vec<u8>,
}

/// What can be seen of what is mounted: of several on one point the last, in the order of the output.
pub(crate) fn parse(output: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in output.split(|byte| *byte == b'\n').filter_map(mount) {
        mounts.push(mount);
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut visible: Vec<Mount> = mounts.into_iter().rev().filter(|mount| seen.insert(mount.point.clone())).collect();
    visible.reverse();
    visible
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw`; of the fields before the dash the last are as many as there are.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (_id, _parent, device, _root, point) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, source) = (behind.next()?, behind.next()?);
    Some(Mount {
        device: device.to_vec(),
        point: plain(point),
        kind: String::from_utf8_lossy(&plain(kind)).into_owned(),
        source: plain(source),
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
    mounts.iter().filter(holds).max_by_key(|mount| mount.point.len())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{Mount, holding, left_out, once_each, parse};

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
