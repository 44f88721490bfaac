//! Programs that have no row: those that may be asked for their version, and those that people reach for, with why not and what answers the same.
//!
//! Owns what a refusal says of a program as a whole. What it says must be true of what was asked: where only some uses do what a reason
//! tells, the words say which, and where the first argument decides, it has an entry of its own.

/// Interpreters, servers and compilers, and the flags with which each tells its version and ends, as its manual has it.
///
/// Not among them: `rustc`, `cargo`, `go`, `npm`, `yarn`, `pnpm`: where a project's files name another version they may fetch and run
/// that one, whatever they are asked (rustup 1.28, Go 1.21, corepack 0.10), and npm writes a log (npm 9); `terraform` and `deno`, which
/// ask for news over the network. `java` has a row: it writes a file unless it is told not to.
pub(super) const VERSIONS: &[(&str, &str)] = &[
    ("python python2 python3 pypy3", "--version -V"),
    ("perl", "--version -v"),
    ("ruby", "--version -v"),
    ("php", "--version -v"),
    ("lua luajit lua5.4", "-v"),
    ("node nodejs", "--version -v"),
    ("bash zsh fish", "--version"),
    ("gcc g++ cc clang make cmake ld", "--version"),
    ("ssh", "-V"),
    ("nginx", "-v -V"),
    ("apache2 httpd", "-v"),
    ("haproxy", "-v"),
    ("caddy traefik", "version"),
    ("mysql mariadb mysqld mariadbd", "--version -V"),
    ("psql postgres pg_dump", "--version -V"),
    ("redis-server redis-cli valkey-server", "--version -v"),
    ("mongod", "--version"),
    ("memcached", "-V"),
    ("sqlite3", "--version -version"),
    ("git", "--version"),
    ("docker podman", "--version -v"),
    ("containerd runc crictl", "--version -v"),
    ("curl wget rsync", "--version -V"),
    ("tar", "--version"),
    ("zip unzip", "-v"),
    ("tmux", "-V"),
    ("sudo", "--version -V"),
    ("vim nano", "--version"),
    ("zfs zpool", "--version version"),
    ("ufw", "--version version"),
    ("iptables ip6tables nft", "--version -V"),
];

const GREP: &str =
    "`grep -r --include='*.conf' PATTERN DIRECTORY` searches the files of a directory without another program";
const SERVICES: &str = "the tool `services`, or `ls /etc/init.d` and `ps aux`";
const CONTAINERS: &str = "the tool `containers`; docker ps -a, docker logs --tail 100 NAME, docker stats --no-stream, and the same of podman";
const CLUSTER: &str = "a plugin's tool for clusters, where Scout has one; `systemctl status kubelet`, `journalctl -u kubelet` and `ps aux` show this node";
const POOLS: &str =
    "the tool `storage`; zpool list, zpool status, zfs list; `df -hT` and `findmnt -t zfs,btrfs` tell of file systems";

/// Programs, perhaps with their first argument, why they have no row, and what to use instead. Those with an argument stand first.
pub(super) const ABSENT: &[(&str, &str, &str)] = &[
    ("xargs grep,egrep,fgrep,rg", "it runs another program for each of its words", GREP),
    (
        "xargs cat,head,tail,wc,ls,stat,md5sum,sha256sum",
        "it runs another program for each of its words",
        "that program with a glob, or `find -ls` and `find -printf`",
    ),
    (
        "time",
        "it is a part of the shell that runs another command",
        "the command itself: each answer tells how long it took",
    ),
    ("timeout", "it runs another program", "the program itself: every command here ends at a deadline"),
    (
        "watch",
        "it runs another program again and again, without end",
        "the program itself, asked twice; `vmstat 1 5` for what changes",
    ),
    ("sudo su doas runuser", "it runs another program, as another account", "the program itself, as this account"),
    (
        "xargs env nice nohup strace ltrace setsid chroot busybox ionice unshare nsenter",
        "it runs another program",
        "the program itself",
    ),
    (
        "sh bash dash zsh ksh fish python python2 python3 perl ruby node nodejs deno bun php lua",
        "it runs what it is given; only its version can be asked for here, as in `python3 --version`",
        "programs of the table, joined by `|`",
    ),
    ("eval exec source .", "it runs what it is given", "programs of the table, joined by `|`"),
    ("less more man view vi vim nano", "it is made for a terminal, and can run programs", "cat, head, tail or sed -n"),
    (
        "tar",
        "an archive called `host:file` is fetched by running rsh, and --to-command, --checkpoint-action and -I run programs",
        "ls -l and file",
    ),
    ("unzip zip", "it writes what it unpacks, and its list of a zip file has no row yet", "ls -l and file"),
    (
        "zgrep zegrep zfgrep bzgrep xzgrep zstdgrep",
        "it is a shell script that has run file names as commands",
        "zcat FILE | grep PATTERN, or xzcat, bzcat, zstdcat",
    ),
    (
        "zless bzless xzless zmore",
        "it is a shell script around a program for terminals",
        "zcat FILE, or xzcat, bzcat, zstdcat",
    ),
    ("xxd", "its second operand is written", "hexdump -C or od"),
    ("strings", "an operand @FILE holds options", "grep -a"),
    ("yq", "programs of two kinds have this name, and one runs what it is given", "cat and grep"),
    ("env printenv export set", "it shows the environment", "nothing: environments hold secrets"),
    ("htop atop btop glances nmon", "it is made for a terminal", "the tool `processes`, or top -b -n 1"),
    ("iotop iftop nethogs", "it is made for a terminal, and for an administrator", "pidstat -d 1 3, iostat -x 1 3"),
    (
        "tee dd cp mv rm ln mkdir touch chmod chown install truncate split csplit mkfifo rmdir",
        "it changes files",
        "nothing: commands here only read",
    ),
    (
        "kill pkill killall reboot shutdown halt poweroff",
        "it ends processes or the machine",
        "nothing: commands here only read",
    ),
    ("sleep wait", "it only waits", "nothing: ask again later"),
    (
        "read cd pushd popd alias unset umask ulimit",
        "it is a part of the shell and holds for that shell alone",
        "the directory in the target, as in `HOST:/var/log`",
    ),
    (
        "curl wget nc ncat telnet ssh scp sftp rsync ping traceroute tracepath mtr",
        "it talks to other machines",
        "nothing: ask the other host itself, or `ss -tn` for connections that there are",
    ),
    (
        "dig host nslookup drill",
        "it asks name servers",
        "`resolvectl status` and `cat /etc/resolv.conf` tell which; `getent passwd` and the like need none",
    ),
    (
        "docker inspect,info",
        "it shows environments, labels or proxies, which hold passwords",
        "the tool `containers`, or docker ps -a --no-trunc",
    ),
    (
        "docker compose,top,exec,run,cp,events",
        "it reads files of a project, runs programs, copies files or never ends",
        "the tool `containers`; docker ps -a, docker logs --tail 100 NAME",
    ),
    (
        "podman inspect,info",
        "it shows environments, labels or proxies, which hold passwords",
        "the tool `containers`, or podman ps -a --no-trunc",
    ),
    ("docker podman", "most of its commands act on containers, or show environments", CONTAINERS),
    (
        "docker-compose podman-compose",
        "it reads files of a project, which may name others and hold passwords",
        CONTAINERS,
    ),
    ("nerdctl ctr", "who may ask its daemon is root on that host, and `inspect` shows environments", CONTAINERS),
    ("crictl", "who may ask its daemon is root on that host, and `inspect` shows environments", CLUSTER),
    (
        "kubectl helm k9s oc",
        "it acts on a cluster with the account's own credentials, and `get secrets` shows those of others",
        CLUSTER,
    ),
    ("zpool", "only `zpool list` and `zpool status` are allowed: most of its other commands change pools", POOLS),
    ("zfs", "only `zfs list` and `zfs get` are allowed: most of its other commands change datasets", POOLS),
    (
        "btrfs",
        "only `btrfs filesystem usage`, `btrfs filesystem df` and `btrfs device stats` are allowed: most of its other commands change file systems",
        "btrfs filesystem usage PATH, btrfs device stats PATH; `findmnt -t btrfs` and `lsblk -f` tell which there are",
    ),
    ("git", "its configuration names programs to run", "cat, ls and diff"),
    ("service", "it runs scripts of /etc/init.d, for `status` too", SERVICES),
    ("rc-status rc-service rc-update", "it writes OpenRC's cache, whatever it is asked", SERVICES),
    ("initctl chkconfig sv", "it is for changing services", SERVICES),
    (
        "mailq",
        "it runs as another account, and may start a delivery",
        "`ls /var/spool/postfix`, and `journalctl -u postfix`",
    ),
    (
        "postqueue",
        "`-f` and `-i` start deliveries, and `-p` asks Postfix with rights that the account does not have",
        "`journalctl -u postfix`",
    ),
    (
        "firewall-cmd ufw nft iptables ip6tables",
        "most of its commands change the firewall, and reading it takes an administrator",
        "`ss -tlnp` for what listens; files below /etc/nftables.conf, /etc/ufw and /etc/firewalld",
    ),
    ("blkid", "it writes a cache of devices", "lsblk -f"),
    ("fdisk parted gdisk sfdisk", "it is for changing disks", "lsblk -o NAME,SIZE,TYPE,FSTYPE,PARTTYPENAME"),
    (
        "dpkg-reconfigure dpkg-deb dpkg-divert update-alternatives",
        "it changes packages or takes one apart",
        "dpkg -l, dpkg -L, dpkg -s",
    ),
    ("apt-get aptitude", "it is for changing packages", "the tool `packages`, or apt list, apt-cache policy, dpkg -l"),
    (
        "apt",
        "only `apt list` and `apt show` are allowed: its other commands change packages",
        "apt list --installed, apt-cache policy NAME",
    ),
    (
        "dnf yum microdnf zypper",
        "it fetches lists and writes caches, also when it only tells",
        "the tool `packages`, or rpm -qa, rpm -qi NAME, rpm -ql NAME, rpm -qf FILE",
    ),
    (
        "apk",
        "only `apk info`, `apk list` and `apk version` are allowed: its other commands change packages",
        "the tool `packages`, or apk info -v",
    ),
    ("snap", "only `snap list` and `snap version` are allowed: its other commands change snaps", "snap list"),
    (
        "flatpak brew pip pip3 gem npm",
        "it is for changing packages, and runs what they bring",
        "the tool `dir` for where they are installed",
    ),
    (
        "nginx",
        "without -v or -V it starts or signals a server, or reads files that are not held against the secret paths (-T)",
        "nginx -v; cat /etc/nginx/nginx.conf",
    ),
    (
        "mysql mariadb psql sqlite3 redis-cli mongosh",
        "it runs statements, and some of those write",
        "its version, as in `psql --version`; pg_isready",
    ),
    (
        "rustc cargo go npm yarn pnpm",
        "where a project's files name another version it may fetch and run that one, whatever it is asked",
        "ls -l of where it is installed",
    ),
];

/// Why a program has no row for what it is to do, and what to use instead.
pub(super) fn known(name: &str, first: &str) -> Option<(&'static str, &'static str)> {
    let known = ABSENT.iter().find(|(names, ..)| {
        let names: Vec<_> = names.split(' ').collect();
        match names.as_slice() {
            [program, firsts] if firsts.contains(',') => {
                *program == name && firsts.split(',').any(|known| known == first)
            }
            names => names.contains(&name),
        }
    });
    known.map(|(_, why, instead)| (*why, *instead))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::table::rows;

    #[test]
    fn an_entry_for_first_arguments_speaks_of_those_alone() {
        for (command, says) in [
            ("docker inspect", "environments"),
            ("docker compose", "reads files of a project"),
            ("docker rm", "most of its commands"),
            ("docker ", "most of its commands"),
            ("podman inspect", "environments"),
            ("podman compose", "most of its commands"),
            ("docker-compose ps", "reads files of a project"),
            ("zpool import", "only `zpool list`"),
            ("btrfs balance", "only `btrfs filesystem usage`"),
        ] {
            let (name, first) = command.split_once(' ').expect("two words");
            let (why, instead) = known(name, first).expect("it is known");
            assert!(why.contains(says), "{command}: {why}");
            assert!(instead.contains("the tool `") || instead.contains("PATH"), "{command}: {instead}");
        }
    }

    #[test]
    fn a_program_that_is_left_out_has_no_row() {
        for (names, ..) in ABSENT {
            for name in names.split(' ').filter(|name| !name.contains(',')) {
                assert!(!rows().any(|row| row.name == name), "{name}");
            }
        }
    }
}
