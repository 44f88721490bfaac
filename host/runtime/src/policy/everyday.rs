//! Rows of what people type on servers every day, beside those of [`super::table`].
//!
//! Owns data only, in the same way.

use super::table::{
    COUNT, DEPTH, ELSEWHERE, ENDLESS, INTERVAL, Kind, MANY, NAMES_FROM, Operands, PATHS, READS, ROW, RUNS, Row,
    SETTINGS, SOME_PATHS, WIDTH, WRITES,
};
use Kind::{
    Address, Between, CertificateFile, Clock, Columns, Directives, Disk, DiskName, Interface, InternetFiles,
    KernelSetting, ListOf, Name, Names, Number, Numbers, OneOf, Package, Path, Pattern, Plain, Pool,
};

/// All of them.
pub(super) const ROWS: &[&[Row]] = &[TEXT, NETWORK, MACHINE, DISKS, PACKAGES, SERVICES];

/// Logs of a disk that smartctl shows.
const SMART_LOGS: &[&str] =
    &["error", "xerror", "selftest", "xselftest", "selective", "scttemp", "devstat", "background", "ssd"];
const COMPRESSES: &str = "it compresses";
const SETS: &str = "it sets what it otherwise tells";
const SUFFIXES: &[&str] = &[".gz", "-gz", ".z", "-z", "_z", ".Z"];
const DECOMPRESS: &str = "-d --decompress --uncompress";
const STDOUT: &str = "-c --stdout --to-stdout";
const TO_STDOUT: &str = "It only decompresses to standard output: `-dc`.";

/// Numbers of ports.
const PORT: Kind = Between(1, 65_535);

/// Programs that show text, or a part of it.
const TEXT: &[Row] = &[
    Row {
        name: "gzip",
        short: "cdkqv",
        long: "stdout to-stdout decompress uncompress keep quiet verbose",
        operands: PATHS,
        needs: &[DECOMPRESS, STDOUT],
        suffixes: SUFFIXES,
        refused: &[
            ("-f --force", "it prints what is not compressed too, which cat does"),
            ("-r --recursive", "it opens what it finds"),
            ("-1 -9 --fast --best -n --no-name -N --name --rsyncable", COMPRESSES),
            ("-S --suffix", "it names files anew"),
            ("--synchronous", WRITES),
        ],
        unused: "-h -l --list -L --license -t --test -V",
        note: TO_STDOUT,
        ..ROW
    },
    Row {
        name: "gunzip",
        short: "ckqv",
        long: "stdout to-stdout keep quiet verbose",
        operands: PATHS,
        needs: &[STDOUT],
        suffixes: SUFFIXES,
        refused: &[
            ("-f --force", "it prints what is not compressed too, which cat does"),
            ("-r --recursive", "it opens what it finds"),
            ("-n --no-name -N --name -S --suffix", "it names files anew"),
            ("--synchronous", WRITES),
        ],
        unused: "-h -l --list -t --test -V -d --decompress --uncompress",
        note: "It only decompresses to standard output: `-c`.",
        ..ROW
    },
    Row {
        name: "xzcat",
        short: "cdkqv",
        long: "stdout to-stdout decompress uncompress keep quiet verbose",
        operands: PATHS,
        refused: XZ,
        unused: XZ_UNUSED,
        ..ROW
    },
    Row {
        name: "xz",
        short: "cdkqv",
        long: "stdout to-stdout decompress uncompress keep quiet verbose",
        operands: PATHS,
        needs: &[DECOMPRESS, STDOUT],
        refused: XZ,
        unused: XZ_UNUSED,
        note: TO_STDOUT,
        ..ROW
    },
    Row {
        name: "bzcat",
        short: "cdkqsv",
        long: "stdout decompress keep quiet small verbose",
        operands: PATHS,
        refused: BZIP2,
        unused: BZIP2_UNUSED,
        ..ROW
    },
    Row {
        name: "bzip2",
        short: "cdkqsv",
        long: "stdout decompress keep quiet small verbose",
        operands: PATHS,
        needs: &["-d --decompress", "-c --stdout"],
        refused: BZIP2,
        unused: BZIP2_UNUSED,
        note: TO_STDOUT,
        ..ROW
    },
    Row {
        name: "zstdcat",
        short: "cdkq",
        long: "stdout decompress uncompress keep quiet",
        operands: PATHS,
        refused: ZSTD,
        unused: ZSTD_UNUSED,
        ..ROW
    },
    Row {
        name: "zstd",
        short: "cdkq",
        long: "stdout decompress uncompress keep quiet",
        operands: PATHS,
        needs: &["-d --decompress --uncompress", "-c --stdout"],
        refused: ZSTD,
        unused: ZSTD_UNUSED,
        note: TO_STDOUT,
        ..ROW
    },
    Row {
        name: "base64",
        short: "di",
        short_values: &[('w', WIDTH)],
        long: "decode ignore-garbage",
        long_values: &[("wrap", WIDTH)],
        operands: Operands::Each(Path, 0, 1),
        ..ROW
    },
    Row {
        name: "jq",
        short: "cCejMrRsS",
        long: "compact-output color-output exit-status join-output monochrome-output raw-input raw-output slurp sort-keys tab ascii-output \
               unbuffered",
        operands: Operands::FirstThenPaths(Kind::JqFilter, &[]),
        // What stands behind the first word that is no flag may be a filter to an older jq.
        flags_first: true,
        refused: &[
            ("-f --from-file", "it reads a filter out of a file"),
            ("-L", "it reads modules out of a directory"),
            ("--slurpfile --rawfile --argfile", "it reads a file that is not among its operands"),
            ("--arg --argjson --args --jsonargs", "the filters allowed here use no variables"),
        ],
        unused: "-n -a -h --null-input --indent --stream --seq",
        note: "Only filters that take values out: `.a[0].b`, `.[] | select(.state == \"up\") | {name, id}`, `keys`, `length`, `map(.x)`, `@tsv`. Others read the \
               environment, other files or have no end. A file ~/.jq of the account may define names of its own.",
        ..ROW
    },
    Row {
        name: "openssl x509",
        whole: "-noout -text -dates -startdate -enddate -subject -issuer -serial -fingerprint -email -ocsp_uri -ocspid -purpose -pubkey -modulus \
                -alias -hash -subject_hash -issuer_hash -subject_hash_old -issuer_hash_old -sha1 -sha256",
        whole_values: &[
            ("-in", CertificateFile),
            ("-inform", OneOf(&["PEM", "DER", "pem", "der"])),
            ("-ext", Names),
            ("-checkend", Number(10_000_000_000)),
            ("-checkhost", Plain),
            ("-checkip", Address),
            ("-nameopt", Plain),
            ("-certopt", Plain),
            ("-dateopt", OneOf(&["rfc_822", "iso_8601"])),
        ],
        needs: &["-noout"],
        refused: &[
            ("-out -outform -x509toreq -new -req -set_serial -next_serial -days -subj -preserve_dates -badsig", WRITES),
            ("-key -signkey -CA -CAkey -force_pubkey -passin", "it reads a private key"),
            (
                "-extfile -extensions -clrext -copy_extensions -CAserial -CAcreateserial -addtrust -addreject -setalias",
                WRITES,
            ),
            ("-engine -provider -provider-path", "it loads a library"),
            ("-writerand -rand", WRITES),
        ],
        unused: "-help -CAform -CAkeyform -checkemail -clrreject -clrtrust -keyform -nocert -propquery -sigopt -trustout -vfyopt",
        note: "It tells of one certificate, the first of `-in FILE` or of standard input; `-noout` keeps it from printing the certificate too.",
        ..ROW
    },
    Row { name: "openssl version", whole: "-a -b -d -e -f -m -o -p -r -v -c", unused: "-help", ..ROW },
];

const XZ: &[(&str, &str)] = &[
    ("--files --files0", NAMES_FROM),
    (
        "-z --compress -0 -1 -2 -3 -4 -5 -6 -7 -8 -9 -e --extreme -C --check --block-size --block-list --flush-timeout",
        COMPRESSES,
    ),
    ("-S --suffix", "it names files anew"),
    ("-f --force", "it prints what is not compressed too, which cat does"),
];
const XZ_UNUSED: &str = "-t --test -l --list --single-stream --no-sparse -F --format --ignore-check -T --threads --memlimit-compress \
                         --memlimit-decompress --memlimit-mt-decompress -M --memlimit --no-adjust --lzma1 --lzma2 --x86 --arm --armthumb --arm64 \
                         --powerpc --ia64 --sparc --delta -Q --no-warn --robot --info-memory -h -H --long-help -V";
const BZIP2: &[(&str, &str)] = &[
    ("-z --compress -1 -9 --fast --best", COMPRESSES),
    ("-f --force", "it prints what is not compressed too, which cat does"),
];
const BZIP2_UNUSED: &str = "-h -t --test -L --license -V";
const ZSTD: &[(&str, &str)] = &[
    ("-o --output-dir-flat --output-dir-mirror --trace", WRITES),
    ("--rm", "it removes what it has read"),
    ("--filelist", NAMES_FROM),
    ("-D --patch-from", READS),
    ("-r", "it opens what it finds"),
    ("-f --force", "it prints what is not compressed too, which cat does"),
    (
        "--ultra --fast --adapt --rsyncable --exclude-compressed --train --train-cover --train-fastcover --train-legacy -b -e -i -B -S",
        COMPRESSES,
    ),
];
const ZSTD_UNUSED: &str = "-h -H -V -v --verbose --progress --no-progress --asyncio --no-asyncio --check --no-check --long -T --single-thread --auto-threads \
                           --stream-size --size-hint --target-compressed-block-size --memory -M --format --sparse --no-sparse --pass-through \
                           --no-pass-through --no-dictID -l -t --test --priority --dictID --maxdict";

/// Programs that tell of the network.
const NETWORK: &[Row] = &[
    Row {
        name: "ifconfig",
        short: "a",
        refused: &[("-s -v", "elsewhere it is taken for an interface, and the operand for its new address")],
        note: "Nothing or `-a`, which both tell of all. Of a name that no interface has Linux and FreeBSD load a module, and a second word sets something: `ip -s link \
               show eth0` and `ip addr show eth0` tell of one.",
        ..ROW
    },
    Row {
        name: "route",
        short: "ne46v",
        begins: "-n",
        long: "extend verbose numeric",
        refused: &[("-F --fib -C --cache", "it belongs to what current kernels do not have")],
        unused: "-N --symbolic -A -h -V",
        note: "It always answers in numbers. Operands change the table; `ip route` tells the same.",
        ..ROW
    },
    Row {
        name: "arp",
        short: "naev",
        short_values: &[('i', Interface)],
        begins: "-n",
        long: "numeric all verbose",
        operands: Operands::Each(Address, 0, 1),
        refused: &[
            ("-s --set -d --delete -D --use-device", "it changes the table"),
            ("-f --file", "it adds entries out of a file"),
        ],
        unused: "-A -p --protocol -H --hw-type -t --device -h -V",
        note: "It always answers in numbers. `ip neigh` tells the same.",
        ..ROW
    },
    Row {
        name: "ethtool",
        short: "iSkgaclmTP",
        operands: Operands::Each(Interface, 1, 1),
        refused: &[
            (
                "-s --change -A --pause -C --coalesce -G --set-ring -K --features --offload -E --change-eeprom -N -U --config-nfc --config-ntuple -L --set-channels -X --set-rxfh-indir --rxfh -f --flash -W --set-dump -Q --per-queue",
                SETS,
            ),
            ("-r --negotiate -p --identify -t --test --reset", "it acts on the device"),
            (
                "-d --register-dump -e --eeprom-dump -w --get-dump",
                "it reads out the memory of the device, and may write it to a file",
            ),
            ("--monitor", ENDLESS),
            (
                "--set-priv-flags --set-eee --set-phy-tunable --set-tunable --set-fec --set-module --cable-test --cable-test-tdr --set-plca-cfg",
                SETS,
            ),
        ],
        unused: "-h -I -n -u -x --show-pause --show-coalesce --show-ring --show-features --show-offload --driver --statistics --show-permaddr --module-info \
                 --dump-module-eeprom --show-eee --show-priv-flags --show-channels --show-time-stamping --show-nfc --show-ntuple --show-rxfh-indir \
                 --show-rxfh --phy-statistics --get-phy-tunable --get-tunable --show-fec --show-tunnels --show-module --debug --json --include-statistics \
                 --get-plca-cfg --get-plca-status --src",
        note: "One name of an interface, perhaps behind one flag that tells more of it. Of others /sys/class/net/NAME/speed and the files beside it tell.",
        ..ROW
    },
    Row {
        name: "bridge",
        whole: "-s -statistics -d -details -o -oneline -j -json -p -pretty -c -compressvlans -color -t -timestamp",
        operands: Operands::Show(&["link", "fdb", "vlan", "mdb"], &["show", "list"]),
        flags_first: true,
        refused: &[("-b -batch -force", "it reads commands out of a file"), ("-n -netns", ELSEWHERE)],
        unused: "-V -Version",
        note: "Other commands change the bridge, or never end (`monitor`).",
        ..ROW
    },
    Row {
        name: "tc",
        whole: "-s -statistics -d -details -r -raw -o -oneline -j -json -p -pretty -c -color -br -brief -N -Numeric -iec",
        operands: Operands::Show(&["qdisc", "class", "filter"], &["show", "list", "ls"]),
        flags_first: true,
        refused: &[
            ("-b -batch -force", "it reads commands out of a file"),
            ("-n -netns", ELSEWHERE),
            ("-nm -nam -names -cf -conf", READS),
        ],
        unused: "-V -Version -t -timestamp -ts -tshort",
        note: "Other commands change how packets are sent, or never end (`monitor`).",
        ..ROW
    },
    Row {
        name: "lsof",
        short: "abGlnoOPRtUVw",
        short_values: &[('c', Plain), ('d', Plain), ('p', Numbers), ('u', Plain), ('g', Numbers)],
        short_next: &[
            ('i', InternetFiles),
            (
                's',
                OneOf(&[
                    "TCP:LISTEN",
                    "TCP:ESTABLISHED",
                    "TCP:CLOSE_WAIT",
                    "TCP:TIME_WAIT",
                    "TCP:SYN_SENT",
                    "TCP:SYN_RECV",
                    "TCP:^LISTEN",
                    "tcp:listen",
                    "tcp:established",
                    "UDP:Idle",
                ]),
            ),
        ],
        whole: "+L +L1 +L0 +c0 +w -L",
        begins: "-n -P",
        operands: PATHS,
        plus_flags: true,
        refused: &[
            ("-r +r", ENDLESS),
            ("-D", "on systems with a cache of devices it writes it"),
            ("+D +d", "it opens every directory below another"),
            ("-k -m +m", READS),
            ("-A -e +e -x", "it changes how file systems are looked at"),
            ("-S -T -K", "its value is optional, and read in two ways"),
            ("-F", "its value is optional, and read in two ways"),
            ("+M -M", "it asks other machines which ports are registered"),
        ],
        unused: "-? -h -v -C -E +E -f +f -H -I -N -Q -X -Z -z +c -J -j",
        note: "It always answers in numbers (`-n -P`). `ss -tlnp` tells of sockets too.",
        ..ROW
    },
    Row {
        name: "resolvectl",
        short: "46",
        long: "no-pager",
        long_values: &[("legend", OneOf(&["true", "false", "yes", "no"]))],
        operands: Operands::Each(OneOf(&["status", "statistics"]), 0, 1),
        refused: &[("-M --machine", ELSEWHERE)],
        unused: "-h -i --interface -p --protocol -t --type -c --class --service-address --service-txt --cname --validate --synthesize --cache \
                 --stale-data --relax-single-label --zone --trust-anchor --network --search --raw --json -j",
        note: "Other commands ask name servers (`query`) or set something: `dns`, `domain` and the like do with an operand; `status` tells them all. \
               It tells of all interfaces: of a name that none has, Linux loads a module for an administrator.",
        ..ROW
    },
    Row {
        name: "chronyc",
        short: "n4",
        begins: "-h 127.0.0.1 -n",
        operands: Operands::Each(OneOf(&["tracking", "sources", "sourcestats", "activity"]), 1, 1),
        flags_first: true,
        refused: &[
            ("-h", ELSEWHERE),
            ("-6", "the daemon is asked at an address of IPv4"),
            ("-a -c -d -m -p -s -v", "it belongs to commands that are not allowed"),
            ("-f", READS),
        ],
        unused: "-N",
        note: "It asks the daemon at 127.0.0.1, in numbers: to ask at the daemon's socket it would make one of its own below /run/chrony. `serverstats` \
               and the like are answered only there. `timedatectl timesync-status` tells of systemd's own.",
        ..ROW
    },
    Row {
        name: "ntpq",
        short: "pnw46",
        begins: "-n",
        needs: &["-p"],
        // An administrator's question would write what it has made of its modules, where that is missing.
        environment: &[("PYTHONDONTWRITEBYTECODE", "1")],
        refused: &[
            ("-c -i", "it gives commands, of which some set something"),
            ("-u -d -D", "it belongs to looking for faults"),
            ("-l --logfile", WRITES),
            ("-k --keyfile", READS),
            ("-s --srcname", "it asks name servers"),
        ],
        unused: "-V -? -h -> -a --authentication -S --srcnumber -W --width --ipv4 --ipv6 --peers --numeric --wide --command --interactive --old-rv --units --debug --debug-level \
                 --set-debug-level",
        note: "Only the peers of the daemon on the host itself: `ntpq -p`, in numbers. That of ntpsec is a Python program, and looks for its library \
               with `ldconfig -p` and, where there is a compiler, with `gcc` and `ld`: these make temporary files, and remove them.",
        ..ROW
    },
    Row {
        name: "pg_isready",
        short: "q",
        short_values: &[
            ('h', OneOf(&["localhost", "127.0.0.1", "::1"])),
            ('p', PORT),
            ('t', Between(0, 60)),
            ('U', Plain),
        ],
        long: "quiet",
        long_values: &[
            ("host", OneOf(&["localhost", "127.0.0.1", "::1"])),
            ("port", PORT),
            ("timeout", Between(0, 60)),
            ("username", Plain),
        ],
        refused: &[("-d --dbname", "it may name another machine")],
        unused: "-? -V",
        note: "One connection to the server on the host itself.",
        ..ROW
    },
];

/// Columns by which `top` sorts.
const TOP_COLUMNS: Kind =
    ListOf(&["%CPU", "%MEM", "PID", "TIME", "TIME+", "USER", "RES", "VIRT", "SHR", "S", "PR", "NI", "COMMAND"]);

/// Programs that tell of the machine and of who uses it.
const MACHINE: &[Row] = &[
    Row {
        name: "top",
        short: "bcHiS1",
        short_values: &[
            ('n', Between(1, 10)),
            ('d', INTERVAL),
            ('o', TOP_COLUMNS),
            ('p', Numbers),
            ('u', Plain),
            ('U', Plain),
            ('w', WIDTH),
        ],
        needs: &["-b", "-n"],
        // Otherwise it makes a directory for it where there is none (procps 4.0.2).
        environment: &[("XDG_CONFIG_HOME", "/dev/null/no-configuration")],
        refused: &[("-s", "it is for terminals"), ("-E -e", "on some systems it shows other things")],
        unused: "-h -V -O --batch-mode --cmdline-toggle --delay --scale-summary-mem --scale-task-mem --threads-show --idle-toggle --iterations \
                 --list-fields --sort-override --pid --width --accum-time-toggle --secure-mode --filter-any-user --filter-only-euser --single-cpu-toggle",
        note: "Only in batch mode, and a few rounds: `top -b -n 1`. The first round tells the use since each process began; `-n 2` what happens now.",
        ..ROW
    },
    Row { name: "whoami", ..ROW },
    Row { name: "arch", ..ROW },
    Row { name: "getenforce", ..ROW },
    Row {
        name: "crontab",
        short: "l",
        needs: &["-l"],
        refused: &[
            ("-e -r -i", "it changes the table of jobs"),
            ("-u", "it is for the table of another account"),
            ("-T -s", "it belongs to a new table"),
        ],
        // On Linux, on some of its distributions, and on BSD.
        reads: &[("", &["/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/var/cron/tabs/*"])],
        note: "The account's own jobs, which are on the list of secret paths: it runs where the operator lets these files be read. An operand would be the new table. \
               Those of the system are in /etc/crontab and /etc/cron.d.",
        ..ROW
    },
    Row {
        name: "lastlog",
        short_values: &[('u', Plain), ('t', COUNT), ('b', COUNT)],
        long_values: &[("user", Plain), ("time", COUNT), ("before", COUNT)],
        refused: &[("-C --clear -S --set", "it changes the log"), ("-R --root", ELSEWHERE)],
        unused: "-h",
        ..ROW
    },
    Row {
        name: "pstree",
        short: "acglnpsStTuUA",
        long: "arguments ascii compact-not long numeric-sort show-pids show-pgids show-parents uid-changes unicode thread-names hide-threads",
        operands: Operands::Each(Plain, 0, 1),
        refused: &[("-N --ns-sort --ns-changes", ELSEWHERE)],
        unused: "-V -h -H -G -Z -C --highlight-all --highlight-pid --vt100 --security-context --color",
        ..ROW
    },
    Row {
        name: "iostat",
        short: "cdhkmNstxyz",
        long: "human pretty compact",
        long_values: &[("dec", Between(0, 2))],
        operands: Operands::Rounds(Some(DiskName)),
        flags_first: true,
        refused: &[
            ("-f", READS),
            (
                "-p",
                "where its value is a number, that is an interval without an end; the name of a device stands alone",
            ),
        ],
        unused: "-H -g -j -o -V",
        note: "The first round tells the mean since the machine started: `iostat -x 1 3`, or `-y` to leave it out.",
        ..ROW
    },
    Row {
        name: "mpstat",
        short: "AnuT",
        short_values: &[('P', Plain), ('I', OneOf(&["SUM", "CPU", "SCPU", "ALL"]))],
        long_values: &[("dec", Between(0, 2))],
        operands: Operands::Rounds(None),
        flags_first: true,
        unused: "-N -V -o",
        ..ROW
    },
    Row {
        name: "pidstat",
        short: "dhHIlrRstuvw",
        short_values: &[('p', Plain), ('C', Pattern), ('G', Pattern), ('T', OneOf(&["TASK", "CHILD", "ALL"]))],
        long: "human",
        long_values: &[("dec", Between(0, 2))],
        operands: Operands::Rounds(None),
        flags_first: true,
        refused: &[("-e", RUNS)],
        unused: "-U -V",
        ..ROW
    },
    Row {
        name: "sar",
        short: "AbBCdFhHpqrRStuvVWwyz",
        short_values: &[
            ('f', Path),
            (
                'n',
                ListOf(&[
                    "DEV", "EDEV", "NFS", "NFSD", "SOCK", "IP", "EIP", "ICMP", "EICMP", "TCP", "ETCP", "UDP", "SOCK6",
                    "IP6", "EIP6", "ICMP6", "EICMP6", "UDP6", "SOFT", "FC", "ALL",
                ]),
            ),
            ('P', Plain),
        ],
        long: "human pretty",
        long_values: &[("dec", Between(0, 2)), ("dev", Plain), ("iface", Plain)],
        operands: Operands::Rounds(None),
        flags_first: true,
        refused: &[("-o", WRITES), ("-I -s -e", "where its value is a number, that is an interval without an end")],
        unused: "-D -i -j -m -x -X --sadc --fs --int",
        note: "Without an interval it reads today's file below /var/log/sysstat, with `-f` another.",
        ..ROW
    },
    Row {
        name: "sadf",
        short: "dhHjprTtUx",
        short_values: &[('s', Clock), ('e', Clock), ('P', Plain)],
        long_values: &[("dev", Plain), ("iface", Plain)],
        operands: Operands::FirstThen(
            Path,
            OneOf(&[
                "-A", "-b", "-B", "-d", "-q", "-r", "-S", "-u", "-w", "-W", "-n", "DEV", "EDEV", "SOCK", "ALL", "LOAD",
            ]),
        ),
        // Its value is optional: one that is none would be the file.
        attached: false,
        refused: &[
            ("-c", "it turns an old file into a new one"),
            ("-l", WRITES),
            ("-g", "it draws a picture, which is large"),
            ("-O", "it may name a file to write"),
        ],
        unused: "-C -V --fs --int",
        note: "The tool `history` tells it in rows. A file below /var/log/sysstat (/var/log/sa on Red Hat and SUSE), then `--` and what of sar is to be told: `sadf -j /var/log/sysstat/sa01 -- -u -r -q`.",
        ..ROW
    },
    Row {
        name: "sysctl",
        short: "aAbeNnqX",
        short_values: &[('r', Pattern)],
        long: "all binary ignore names values quiet deprecated",
        long_values: &[("pattern", Pattern)],
        operands: Operands::Each(KernelSetting, 0, MANY),
        reads: &[("-a -A -X --all", SETTINGS)],
        refused: &[("-w --write --dry-run", SETS), ("-p --load -f --system", "it sets what stands in a file")],
        unused: "-h -V -o -x -d",
        note: "NAME=VALUE sets, with or without -w.",
        ..ROW
    },
    Row {
        name: "lsipc",
        short: "mqsgcltpPyJrb",
        short_values: &[('i', COUNT), ('o', Columns)],
        long: "shmems queues semaphores global creator list time numeric-perms json raw noheadings bytes notruncate export newline",
        long_values: &[("id", COUNT), ("output", Columns), ("time-format", OneOf(&["short", "full", "iso"]))],
        unused: "-h -V -e -n -z --shell --zero",
        ..ROW
    },
    Row {
        name: "sensors",
        short: "fAuj",
        long: "fahrenheit no-adapter",
        operands: Operands::Each(Plain, 0, MANY),
        refused: &[("-s --set", SETS), ("-c --config-file", READS)],
        unused: "-h -v --bus-list",
        ..ROW
    },
    Row {
        name: "lsusb",
        short: "t",
        short_values: &[('s', Plain), ('d', Plain)],
        long: "tree",
        refused: &[("-v --verbose -D", "it opens the devices")],
        unused: "-h -V",
        ..ROW
    },
    Row {
        name: "nvidia-smi",
        whole: "-L -q",
        whole_values: &[("-i", Plain), ("-d", Columns)],
        long_values: &[
            ("query-gpu", Columns),
            ("query-compute-apps", Columns),
            ("query-accounted-apps", Columns),
            ("query-supported-clocks", Columns),
            ("format", ListOf(&["csv", "noheader", "nounits"])),
            ("id", Plain),
            ("display", Columns),
        ],
        refused: &[
            ("-pm -e -p -c -r -vm -ac -rac -am -caa -lgc -rgc -lmc -rmc -pl -cc -mig -gtt -gom -fdm -lgd -dm", SETS),
            (
                "--persistence-mode --ecc-config --reset-ecc-errors --compute-mode --gpu-reset --applications-clocks --power-limit",
                SETS,
            ),
            ("-l --loop -lms --loop-ms", ENDLESS),
            ("-f --filename", WRITES),
            ("-x --xml-format -u --unit --dtd", "nobody has needed it so far"),
        ],
        unused: "-h --list-gpus --query",
        note: "Other flags set clocks, limits and modes; its commands (`dmon`, `pmon`, `topo`, `mig`) have no row.",
        ..ROW
    },
    Row {
        name: "java",
        whole: "-version --version",
        needs: &["-version --version"],
        // It would write a file below /tmp, and take more memory than commands have here.
        begins: "-XX:+IgnoreUnrecognizedVMOptions -XX:-UsePerfData -XX:CompressedClassSpaceSize=32m -Xmx64m",
        note: "It tells its version and nothing else.",
        ..ROW
    },
];

const LVM_REFUSED: &[(&str, &str)] = &[
    ("--config --profile --commandprofile --devices --devicesfile --journal --lockopt", "it changes how LVM works"),
    ("-y --yes -t --test -d --debug -v --verbose", "it belongs to commands that change something"),
    ("-S --select", "its expressions have no row yet"),
];
const LVM_UNUSED: &str = "-h -q --quiet -H --history --foreign --ignorelockingfailure --logonly --shared --unbuffered --unquoted --rows --nameprefixes \
                          --configreport --driverloaded --nolocking --nohints --readonly --longhelp --separator --binary --headings --repairlabel \
                          --reports --nohistory --ignoreskippedcluster -P --partial --trustcache";
const LVM_REPORT: Row = Row {
    short: "a",
    short_values: &[('o', Columns), ('O', Columns)],
    long: "all noheadings nosuffix segments aligned",
    long_values: &[
        ("options", Columns),
        ("sort", Columns),
        ("units", OneOf(&["h", "H", "b", "B", "k", "K", "m", "M", "g", "G", "t", "T", "s"])),
        ("reportformat", OneOf(&["basic", "json"])),
    ],
    // A name, or a device by its path, which it looks for in its lists of what it has found.
    operands: Operands::Each(Package, 0, MANY),
    // Neither locks nor the file in which it keeps what it has found.
    begins: "--nolocking --config devices/hints=none",
    refused: LVM_REFUSED,
    unused: LVM_UNUSED,
    note: "It reads the disks, and so takes an administrator.",
    ..ROW
};
const LVM_DISPLAY: Row = Row {
    short_values: &[],
    long: "all colon columns maps short",
    long_values: &[("units", OneOf(&["h", "H", "b", "B", "k", "K", "m", "M", "g", "G", "t", "T", "s"]))],
    unused: "-h -q --quiet -H --history -o -O --options --sort --aligned --binary --configreport --driverloaded --foreign --ignorelockingfailure --logonly \
             --longhelp --nohints --noheadings --nolocking --nosuffix --readonly --separator --shared --unbuffered --reports --nohistory --segments -A \
             --activevolumegroups --ignoreskippedcluster -P --partial",
    ..LVM_REPORT
};

/// Neither loads the kernel's module where it is missing, nor waits for it: 0.8 heeds the first, and since 2.0 it asks modprobe, which heeds
/// the last.
const ZFS: &[(&str, &str)] = &[("ZFS_MODULE_LOADING", "NO"), ("ZFS_MODULE_TIMEOUT", "0"), ("MODPROBE_OPTIONS", "-n")];
const POOL: &str = "The tool `storage` tells it in rows. Pools and datasets by their names; an interval would have no end. Where the kernel's \
                    module is missing it runs modprobe for it, which is told to load nothing; that of busybox, and FreeBSD, load it for an administrator.";

/// Programs that tell of disks and of what is written on them about files.
const DISKS: &[Row] = &[
    Row { name: "lvs", ..LVM_REPORT },
    Row { name: "vgs", ..LVM_REPORT },
    // What is no device it looks for as a file.
    Row { name: "pvs", operands: Operands::Each(Disk, 0, MANY), ..LVM_REPORT },
    Row { name: "lvdisplay", short: "acCm", ..LVM_DISPLAY },
    Row { name: "vgdisplay", short: "cCs", long: "colon columns short", ..LVM_DISPLAY },
    Row { name: "pvdisplay", operands: Operands::Each(Disk, 0, MANY), short: "acCms", ..LVM_DISPLAY },
    Row {
        name: "mdadm",
        short: "DEvb",
        long: "detail examine verbose brief",
        operands: Operands::Each(Disk, 1, MANY),
        needs: &["-D --detail -E --examine"],
        refused: &[
            (
                "-s --scan -Q --query -Y --export",
                "where the list of arrays below /run/mdadm is missing, it writes it anew and tells udev",
            ),
            (
                "-A --assemble -B --build -C --create -G --grow -I --incremental -F --monitor --follow -a --add -r --remove -f --fail --set-faulty --manage",
                "it changes an array",
            ),
            (
                "--zero-superblock -R --run -S --stop -o --readonly -w --readwrite -W --wait --action --re-add --replace --auto-detect",
                "it changes an array",
            ),
            ("-c --config", READS),
        ],
        unused: "-h -V --help-options -t --test --detail-platform -X --examine-bitmap --examine-badblocks --misc -e --dump --restore \
                 --udev-rules -q --quiet --force --homehost --prefer --offroot",
        note: "It takes an administrator; `cat /proc/mdstat` tells of arrays to anybody. Of a part of an array that has no name below `/dev`, and of \
               every part of a container (Intel's and DDF's), it makes a device file there for as long as it opens it; Intel's it opens to write too, \
               and writes nothing.",
        ..ROW
    },
    Row {
        name: "smartctl",
        short: "aHiAcxj",
        short_values: &[('l', OneOf(SMART_LOGS)), ('d', Plain)],
        long: "all health info attributes capabilities xall json scan",
        long_values: &[("log", OneOf(SMART_LOGS)), ("device", Plain)],
        operands: Operands::Each(Disk, 0, 1),
        needs: &["-a --all -H --health -i --info -A --attributes -c --capabilities -x --xall -l --log --scan"],
        // A disk that sleeps is not woken for it.
        begins: "-n standby",
        refused: &[
            ("-s --smart -o --offlineauto -S --saveauto --set", SETS),
            ("-t --test -C --captive -X --abort", "it begins or ends a test of the disk"),
            ("-B --drivedb", READS),
            ("--scan-open", "it opens every disk"),
        ],
        unused: "-h --usage -V --copyright --license -g --get -q --quietmode -r --report -T --tolerance -b --badsum -n --nocheck -v --vendorattribute -F \
                 --firmwarebug -P --presets -f --format --identify",
        note: "It takes an administrator. A disk that sleeps is left asleep and told as such. `lsblk -o NAME,MODEL,SERIAL,STATE` needs neither.",
        ..ROW
    },
    Row {
        name: "zpool list",
        short: "HpPLgv",
        short_values: &[('o', Columns)],
        environment: ZFS,
        operands: Operands::Each(Pool, 0, MANY),
        unused: "-T -j --json --json-int --json-flat-vdevs --json-pool-key-guid",
        note: POOL,
        ..ROW
    },
    Row {
        name: "zpool status",
        short: "vxpPLgDsite",
        environment: ZFS,
        operands: Operands::Each(Pool, 0, MANY),
        refused: &[("-c", RUNS)],
        unused: "-T -d -j --json --json-int --json-flat-vdevs --json-pool-key-guid",
        note: POOL,
        ..ROW
    },
    Row {
        name: "zfs list",
        short: "Hpr",
        short_values: &[
            ('o', Columns),
            ('t', ListOf(&["filesystem", "fs", "snapshot", "snap", "volume", "vol", "bookmark", "all"])),
            ('s', Columns),
            ('S', Columns),
            ('d', DEPTH),
        ],
        environment: ZFS,
        operands: Operands::Each(Pool, 0, MANY),
        unused: "-j --json --json-int",
        note: POOL,
        ..ROW
    },
    Row {
        name: "zfs get",
        short: "Hpr",
        short_values: &[
            ('o', ListOf(&["name", "property", "value", "received", "source", "all"])),
            ('t', ListOf(&["filesystem", "fs", "snapshot", "snap", "volume", "vol", "bookmark", "all"])),
            ('s', ListOf(&["local", "default", "inherited", "temporary", "received", "none"])),
            ('d', DEPTH),
        ],
        environment: ZFS,
        operands: Operands::FirstThen(Columns, Pool),
        flags_first: true,
        unused: "-j --json --json-int",
        note: POOL,
        ..ROW
    },
    Row {
        name: "btrfs filesystem usage",
        short: "bhHkmgtT",
        long: "raw human-readable iec si kbytes mbytes gbytes tbytes",
        operands: SOME_PATHS,
        ..ROW
    },
    Row {
        name: "btrfs filesystem df",
        short: "bhHkmgt",
        long: "raw human-readable iec si kbytes mbytes gbytes tbytes",
        operands: Operands::Each(Path, 1, 1),
        unused: "--format",
        ..ROW
    },
    Row {
        name: "btrfs device stats",
        short: "cT",
        long: "check",
        operands: Operands::Each(Path, 1, 1),
        refused: &[("-z --reset", "it sets the counts to zero")],
        unused: "--format",
        note: "A path in the file system, and no device.",
        ..ROW
    },
    Row {
        name: "namei",
        short: "lmonvx",
        long: "long modes owners nosymlinks vertical mountpoints",
        operands: SOME_PATHS,
        unused: "-h -V -Z --context",
        ..ROW
    },
    Row { name: "lsattr", short: "adlpRv", operands: PATHS, unused: "-V", ..ROW },
    Row {
        name: "test",
        whole: "-b -c -d -e -f -g -h -k -L -G -O -N -p -r -s -S -u -w -x",
        operands: Operands::Each(Path, 1, 1),
        needs: &["-b -c -d -e -f -g -h -k -L -G -O -N -p -r -s -S -u -w -x"],
        flags_first: true,
        refused: &[("-v -R", "where it is a part of the shell, it evaluates what it is given")],
        unused: "-n -z -t -o -a -ef -nt -ot -eq -ne -lt -gt -le -ge",
        note: "One question about one file, answered by the exit status: `test -f FILE`. `stat FILE` tells more.",
        ..ROW
    },
];

/// Programs that tell of packages.
const PACKAGES: &[Row] = &[
    Row {
        name: "rpm",
        short: "qaiflcdsR",
        short_values: &[],
        long: "query all info file list configfiles docfiles state requires provides changelog whatprovides whatrequires scripts",
        long_values: &[("queryformat", Directives), ("qf", Directives)],
        operands: PATHS,
        needs: &["-q --query"],
        refused: &[
            ("-p --package", "it reads the file of a package"),
            ("-V --verify", "it reads all files of packages, secret ones among them, and runs their scripts"),
            ("--last", "it is a shell pipeline behind an alias"),
            ("-E --eval -D --define --undefine --load --macros --pipe", RUNS),
            (
                "-e --erase -U --upgrade -F --freshen --install --reinstall --restore --import --initdb --rebuilddb",
                "it changes packages",
            ),
            ("-r --root --dbpath --rcfile", ELSEWHERE),
            (
                "--allfiles --allmatches --badreloc --excludedocs --excludepath --force --force-debian --ignorearch --ignoreos --ignoresignature \
                 --ignoresize --justdb --nocaps --nocontexts --nodb --nodeps --nofiledigest --nofiles --noorder --noplugins --noscript --noscripts \
                 --notriggers --noverify --oldpackage --prefix --relocate --replacefiles --replacepkgs",
                "it belongs to installing packages",
            ),
        ],
        unused: "-g -v -L -A -h --group --path --pkgid --hdrid --triggeredby --whatconflicts --whatobsoletes --whatrecommends --whatsuggests \
                 --whatsupplements --whatenhances --nomanifest --licensefiles --artifactfiles --noghost --noconfig --noartifact --dump --conflicts \
                 --enhances --obsoletes --recommends --suggests --supplements --triggers --filetriggers --filesbypkg --fileclass --filecolor \
                 --fileprovide --filerequire --filecaps --xml --showrc --quiet --verbose --querytags -? --changes --dupes --hash --percent --target --test --usage --nodigest --nosignature --predefine",
        note: "Only questions about what is installed: `rpm -qa`, `-qi NAME`, `-ql NAME`, `-qf FILE`. It makes a regular expression of a name, so all operands are \
               bounded as those are. For an administrator it opens its database in a way that \
               may write that database's own log; Debian's makes an empty one in the home directory, if there is none, and runs a shell for its name.",
        ..ROW
    },
    Row {
        name: "apk info",
        short: "vadLRrPstwe",
        long: "verbose all description contents depends rdepends provides size triggers webpage installed",
        operands: Operands::Each(Plain, 0, MANY),
        begins: "--no-network",
        refused: &[("-p --root --repository -X --keys-dir --cache-dir", ELSEWHERE)],
        unused: "-h -W --who-owns -q --quiet -I -i --install-if --license -Z --replaces",
        ..ROW
    },
    Row {
        name: "apk list",
        short: "Iuav",
        long: "installed upgradable upgradeable available verbose",
        operands: Operands::Each(Plain, 0, MANY),
        begins: "--no-network",
        refused: &[("-p --root --repository -X --keys-dir --cache-dir", ELSEWHERE)],
        unused: "-h -O --orphaned -P --providers -o --origin -d --depends -q --quiet",
        ..ROW
    },
    Row {
        name: "apk version",
        short: "va",
        long: "verbose all",
        operands: Operands::Each(Plain, 0, MANY),
        begins: "--no-network",
        refused: &[("-p --root --repository -X --keys-dir --cache-dir", ELSEWHERE)],
        unused: "-h -I --indexes -t --test -c --check -l --limit -q --quiet",
        ..ROW
    },
    Row {
        name: "pacman",
        short: "Qilqedmntuogc",
        long: "query info list quiet explicit deps foreign native unrequired upgrades owns groups changelog",
        operands: PATHS,
        needs: &["-Q --query"],
        refused: &[
            ("-S --sync -R --remove -U --upgrade -D --database", "it changes packages"),
            ("-p --file", "it reads the file of a package"),
            ("-k --check", "it looks at all files of packages"),
            ("-b --dbpath -r --root --sysroot --config --cachedir --gpgdir --hookdir --logfile --arch", ELSEWHERE),
        ],
        unused: "-h -V -s -v -T -F --search --verbose --color --confirm --noconfirm --debug --disable-download-timeout --deptest --files",
        ..ROW
    },
    Row {
        name: "apt list",
        long: "installed upgradable",
        operands: Operands::Each(Plain, 0, MANY),
        begins: APT,
        refused: &[("-o --option -c --config-file", "it may name programs to run")],
        unused: "-a --all-versions --manual-installed --upgradeable -h -q -v -t -s --all --names-only --verbose --target-release",
        note: "It writes no cache here.",
        ..ROW
    },
    Row {
        name: "apt show",
        operands: Operands::Each(Plain, 1, MANY),
        begins: APT,
        refused: &[("-o --option -c --config-file", "it may name programs to run")],
        unused: "-a --all-versions -h -q -v -t --full --no-all-versions",
        note: "It writes no cache here.",
        ..ROW
    },
    Row { name: "apt-cache policy", operands: Operands::Each(Plain, 0, MANY), ..APT_CACHE },
    Row { name: "apt-cache show", operands: Operands::Each(Plain, 1, MANY), ..APT_CACHE },
    Row { name: "apt-cache madison", operands: Operands::Each(Plain, 1, MANY), ..APT_CACHE },
    Row {
        name: "snap list",
        long: "all",
        operands: Operands::Each(Plain, 0, MANY),
        unused: "-h --color --unicode",
        note: "Where snapd does not run it tries for two minutes before it says so.",
        ..ROW
    },
    Row { name: "snap version", unused: "-h", ..ROW },
];

/// As an administrator it would write what it has made of its lists.
const APT: &str = "-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=";
const APT_CACHE: Row = Row {
    begins: APT,
    refused: &[
        ("-o --option -c --config-file", "it may name programs to run"),
        ("-p --pkg-cache -s --src-cache", "it writes a cache where it is told"),
        ("-g --generate", "it writes the cache anew"),
    ],
    unused: "-h -v -q -a -f -i -n --all-versions --full --important --installed --names-only --no-all-versions --recurse --with-source",
    note: "It writes no cache here.",
    ..ROW
};

/// Programs that tell of systemd, and where a program is.
const SERVICES: &[Row] = &[
    Row {
        name: "systemd-cgls",
        short: "alk",
        short_values: &[('u', Plain)],
        long: "all full no-pager",
        long_values: &[
            ("unit", Plain),
            ("user-unit", Plain),
            ("xattr", OneOf(&["yes", "no"])),
            ("cgroup-id", OneOf(&["yes", "no"])),
        ],
        refused: &[("-M --machine", ELSEWHERE)],
        unused: "-h",
        ..ROW
    },
    Row {
        name: "systemd-cgtop",
        short: "bptcmirPk1",
        short_values: &[('n', Between(1, 10)), ('d', INTERVAL)],
        long: "batch raw",
        long_values: &[
            ("iterations", Between(1, 10)),
            ("delay", INTERVAL),
            ("depth", DEPTH),
            ("order", OneOf(&["path", "tasks", "cpu", "memory", "io"])),
            ("cpu", OneOf(&["percentage", "time"])),
            ("recursive", OneOf(&["yes", "no"])),
        ],
        needs: &["-b --batch", "-n --iterations -1"],
        refused: &[("-M --machine", ELSEWHERE)],
        unused: "-h",
        note: "Only in batch mode and a few rounds: `systemd-cgtop -b -n 2`. The first round tells no use of processors.",
        ..ROW
    },
    Row {
        name: "systemd-analyze",
        long: "no-pager system user",
        long_values: &[("fuzz", COUNT)],
        operands: Operands::Subcommand(&["time", "blame", "critical-chain"]),
        refused: &[
            ("-H --host -M --machine --root --image --global", ELSEWHERE),
            ("--security-policy --profile", READS),
        ],
        unused: "-h -q --quiet --recursive-errors --offline --threshold --json --order --require --from-pattern --to-pattern --man --generators --iterations \
                 --base-time",
        note: "`verify` and `cat-config` read files, and `dump` shows environments.",
        ..ROW
    },
    Row {
        name: "sshd",
        short: "T",
        needs: &["-T"],
        refused: &[
            ("-C", "a connection that is made up belongs behind it, with names that are looked up"),
            ("-D -d -e -i -R -r", "it serves"),
            ("-t -V", "it tells less"),
            ("-E", WRITES),
            ("-c -f -h", READS),
            ("-g -k -o -p -u -4 -6 -b -q -G", "it is another server's setting"),
        ],
        note: "What the server is set to, with the values that nobody has set. It reads the host's keys, which are root's, and shows nothing of them: \
               so it is of use with `sudo`.",
        ..ROW
    },
    Row {
        name: "command",
        is_builtin: true,
        short: "vV",
        operands: Operands::Each(Name, 1, 1),
        needs: &["-v -V"],
        flags_first: true,
        unused: "-p",
        note: "Without -v it runs what it is given.",
        ..ROW
    },
    Row {
        name: "type",
        is_builtin: true,
        operands: Operands::Each(Name, 1, MANY),
        unused: "-a -f -p -P -t",
        note: "It tells where a program is, or that it is a part of the shell.",
        ..ROW
    },
];
