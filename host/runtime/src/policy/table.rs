//! The closed table: one row per program, naming every flag and operand it may be given.
//!
//! Owns the data only; [`super::grammar`] reads it, and `docs/commands.md` is the same table for people (a test holds them equal).
//! A flag is absent because it writes, runs a program, never ends, takes file names or options out of a file, shows an environment, or
//! because nobody has needed it yet. Flags whose meaning differs between GNU, busybox and BSD in a way that matters are absent too. Every
//! option that Debian 12's tools name in their `--help` (`options.txt`) is allowed, refused with a reason, or unused: a test says so.

use super::Word;

/// What a flag's value or an operand must look like. [`super::values`] reads each, and gives what it names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Digits up to this number, with an optional sign.
    Number(u64),
    /// Digits from one number to another.
    Between(u64, u64),
    /// Digits with an optional sign and a unit, such as `+5` or `10M`, up to so many bytes.
    Size(u64),
    /// The same of a buffer that is taken at once; without a unit in KiB.
    Buffer(u64),
    /// Digits and commas.
    Numbers,
    /// Text that is printed or compared; as a word of its own not beginning with `-`: elsewhere than here that word might be a flag.
    Text,
    /// An operand of a program that only prints it.
    Word,
    /// A regular expression.
    Pattern,
    /// The same, or plain text, where the word may not begin with `-`.
    Separator,
    /// A pattern of names.
    Glob,
    /// A name of a user, a unit, a type and the like: no path.
    Name,
    /// Names of packages, or a path that is looked for in their lists.
    Package,
    /// A terminal, below `/dev`.
    Terminal,
    /// A file; held against the secret paths.
    Path,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// These words, separated by commas, each perhaps with a sign before it or `=` after it.
    ListOf(&'static [&'static str]),
    /// A file, or the device of a mount, and no `LABEL=x`: such a tag is looked up in a cache of devices, which is written anew.
    MountPath,
    /// Names of fields or properties, separated by commas, and none of an environment.
    Names,
    /// Names of columns, separated by commas.
    Columns,
    /// `FIELD=value` of the journal, of a field that is no environment.
    FieldMatch,
    /// A time in numbers and English: a time zone's name would be the name of a file.
    Time,
    /// `+FORMAT` of `date`, its widths bounded.
    DateFormat,
    /// A style of `ls --time-style`.
    TimeStyle,
    /// A format of `stat`, `find -printf` or `dpkg-query`, its widths bounded.
    Directives,
    /// A style of `nl`.
    NumberingStyle,
    /// A key of `sort`.
    SortKey,
    /// Ranges of `cut`.
    Fields,
    /// A set of `tr`.
    Set,
    /// A type of `od`.
    ByteFormat,
    /// `NAME=NUMBER` of `file`.
    FileParameter,
    /// What `ip` shows: the name of an interface, or an address.
    NetWord,
    /// The value of a keyword of `ip`: no interface.
    NetValue,
    /// Letters of `ps` without a dash, or process ids.
    PsWord,
    /// The mode of `find -perm`.
    Mode,
    /// A format of `printf` that converts text only, and is no flag: where `printf` is built into the shell, `-v` and the conversions of
    /// numbers evaluate `a[$(program)]`.
    Format,
    /// A script of `sed` that prints lines by their numbers, and may stop at one.
    SedPrint,
    /// A program of `awk` that prints fields.
    AwkPrint,
    /// A file of `awk`, which takes some names for no file.
    AwkFile,
    /// A filter of `jq` that takes values out of its input.
    JqFilter,
    /// A name such as network interfaces have, and modules of the kernel have not.
    Interface,
    /// An address of the internet in numbers.
    Address,
    /// What `lsof -i` shows: a version, a protocol, an address in numbers, ports.
    InternetFiles,
    /// Letters, digits and punctuation that means little: a package, a chip, an account.
    Plain,
    /// A name below `/proc/sys`, with dots between its parts.
    KernelSetting,
    /// A file of `openssl`, which takes what has a colon for an address.
    CertificateFile,
    /// The bare name of a disk, which is asked after in the directory too.
    DiskName,
    /// A device of a disk, of which a program reads what it says of itself.
    Disk,
    /// Fields of containers and images that are named one by one, as Go's templates have it.
    Template,
    /// A time of day.
    Clock,
    /// A pool of ZFS, or what is in it: no number, which would be an interval.
    Pool,
}

/// Which operands a program takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operands {
    /// So many of one kind.
    Each(Kind, usize, usize),
    /// A word of this kind, then files; only files when one of these flags was given.
    FirstThenPaths(Kind, &'static [&'static str]),
    /// A word of this kind, then any number of that.
    FirstThen(Kind, Kind),
    /// One of these words, then names.
    Subcommand(&'static [&'static str]),
    /// States and an expression of `ss`: its addresses are numbers, because it asks name servers for any other.
    SocketFilter,
    /// One of these words, perhaps one of those, then names and addresses.
    Show(&'static [&'static str], &'static [&'static str]),
    /// Anything literal, flags included; the first word perhaps of a kind.
    Words(Option<Kind>),
    /// Starting points, then an expression.
    Find,
    /// Perhaps names of this kind, then none or both of an interval and a count: without a count there is no end.
    Rounds(Option<Kind>),
}

/// One program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its bare name, perhaps with the words behind it that choose what it does: `openssl x509`.
    pub(super) name: &'static str,
    /// The program that is run in its place, where it is only another name of one.
    pub(super) runs: &'static str,
    /// Whether it is part of the shell.
    pub(super) is_builtin: bool,
    /// Short flags without a value.
    pub(super) short: &'static str,
    /// Short flags with a value.
    pub(super) short_values: &'static [(char, Kind)],
    /// Long flags without a value, separated by spaces.
    pub(super) long: &'static str,
    /// Long flags with a value.
    pub(super) long_values: &'static [(&'static str, Kind)],
    /// Long flags that take a value only after `=`.
    pub(super) long_optional: &'static [(&'static str, Kind)],
    /// Short flags that take a value only in the same word.
    pub(super) short_optional: &'static [(char, Kind)],
    /// Short flags whose value may be absent, and stands in the same word or the next.
    pub(super) short_next: &'static [(char, Kind)],
    /// Flags of one dash and several letters, or of a plus, that stand alone in their word; separated by spaces.
    pub(super) whole: &'static str,
    /// The same with a value in the next word.
    pub(super) whole_values: &'static [(&'static str, Kind)],
    /// Its operands.
    pub(super) operands: Operands,
    /// Whether `-n5` means `-n 5`. Programs that scan their own arguments may read the rest of the word as more flags.
    pub(super) attached: bool,
    /// What `-5` is, where it is a flag.
    pub(super) dash_number: Option<Kind>,
    /// Whether every flag must stand before the first operand.
    pub(super) flags_first: bool,
    /// Whether a word that begins with `+` may be an old spelling of a flag: it stands behind `--` or with `./` before it.
    pub(super) plus_flags: bool,
    /// Flags whose value some systems take only in the same word; separated by spaces. With the value in the next word the pattern is a file
    /// there.
    pub(super) same_word: &'static str,
    /// Groups of flags, separated by spaces: of each group one must be given.
    pub(super) needs: &'static [&'static str],
    /// Subcommands and flags, and the flags of which each needs one; separated by spaces.
    pub(super) asks: &'static [(&'static str, &'static str)],
    /// A flag beside which only these others stand, separated by spaces, and no operands.
    pub(super) beside: Option<(&'static str, &'static str)>,
    /// What it opens without being told its name: flags, or the first operand, that make it do so, separated by spaces (none: it always does), and the
    /// paths, in which `*` is any name.
    pub(super) reads: &'static [(&'static str, &'static [&'static str])],
    /// What the program puts behind the name of a file that is not there, and looks again: such names are held to be named too.
    pub(super) suffixes: &'static [&'static str],
    /// Words that it is always begun with, separated by spaces; they need no quotes.
    pub(super) begins: &'static str,
    /// What it finds in its environment.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Flags, separated by spaces, and why they are absent.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// Flags that are absent because nobody has needed them; separated by spaces.
    pub(super) unused: &'static str,
    /// What else a reader should know.
    pub(super) note: &'static str,
}

/// As many as fit into a stage.
pub(super) const MANY: usize = usize::MAX;

const NO_OPERANDS: Operands = Operands::Each(Kind::Text, 0, 0);
pub(super) const PATHS: Operands = Operands::Each(Kind::Path, 0, MANY);
pub(super) const SOME_PATHS: Operands = Operands::Each(Kind::Path, 1, MANY);

pub(super) const ROW: Row = Row {
    name: "",
    runs: "",
    is_builtin: false,
    short: "",
    short_values: &[],
    long: "",
    long_values: &[],
    long_optional: &[],
    short_optional: &[],
    short_next: &[],
    whole: "",
    whole_values: &[],
    operands: NO_OPERANDS,
    attached: true,
    dash_number: None,
    flags_first: false,
    plus_flags: false,
    same_word: "",
    needs: &[],
    asks: &[],
    beside: None,
    reads: &[],
    suffixes: &[],
    begins: "",
    environment: &[],
    refused: &[],
    unused: "",
    note: "",
};

/// Flags that every program may be given alone: where one does not know them it says so and ends.
pub(super) const ALONE: &[&str] = &["--help", "--version"];

pub(super) const WRITES: &str = "it writes a file";
pub(super) const RUNS: &str = "it runs a program";
pub(super) const ENDLESS: &str = "it never ends";
pub(super) const NAMES_FROM: &str = "it takes file names out of a file";
pub(super) const READS: &str = "it reads a file that is not held against the secret paths";
pub(super) const ELSEWHERE: &str = "it looks into another host, container or root";
const ASKS: &str = "it asks name servers";
const CACHES: &str = "it looks for devices by their labels, which writes a cache of devices";

use Kind::{
    Between, Buffer, ByteFormat, Columns, DateFormat, Directives, Fields, FileParameter, Glob, ListOf, MountPath, Name,
    Names, Number, NumberingStyle, Numbers, OneOf, Package, Path, Pattern, Plain, Separator, Set, SortKey, Terminal,
    Text, Time, TimeStyle,
};

/// Lines, entries, days, ids: what a program counts, and does not make.
pub(super) const COUNT: Kind = Number(1_000_000_000);
/// Any number that a system knows a file by.
const INODE: Kind = Number(u64::MAX);
/// Bytes that are skipped, read or compared.
const SIZE: Kind = Kind::Size(1 << 50);
/// Lines that are kept for each that matches.
const CONTEXT: Kind = Number(100_000);
/// Columns of what is printed: programs fill them with blanks.
pub(super) const WIDTH: Kind = Between(0, 10_000);
/// Seconds between two rounds.
pub(super) const INTERVAL: Kind = Between(1, 60);
/// Rounds of what is told again and again.
pub(super) const ROUNDS: Kind = Between(1, 60);
/// Directories below one another.
pub(super) const DEPTH: Kind = Between(0, 1000);

const FILE_TESTS: Kind =
    OneOf(&["apptype", "ascii", "cdf", "compress", "csv", "elf", "encoding", "soft", "tar", "json", "text", "tokens"]);

const WHEN: Kind = OneOf(&["never", "auto", "always"]);

/// Columns of `ps` that every procps knows, two of them with the width of a whole name. An unknown one makes procps read all its arguments again as BSD letters.
const PS_COLUMNS: Kind = ListOf(&[
    "%cpu", "%mem", "args", "c", "cmd", "comm", "command", "cputime", "egid", "egroup", "etime", "etimes", "euid",
    "euser", "euser:32", "f", "gid", "group", "lstart", "lwp", "ni", "nlwp", "pcpu", "pgid", "pid", "pmem", "ppid",
    "pri", "psr", "rss", "ruser", "s", "sid", "start", "stat", "state", "stime", "sz", "thcount", "time", "tname",
    "tty", "uid", "user", "user:32", "vsz", "wchan",
]);

/// Fields of `df`.
const DF_FIELDS: Kind = ListOf(&[
    "source", "fstype", "itotal", "iused", "iavail", "ipcent", "size", "used", "avail", "pcent", "file", "target",
]);

/// Syntaxes of `find -regex`.
const REGEX_TYPE: Kind = OneOf(&[
    "awk",
    "ed",
    "egrep",
    "emacs",
    "findutils-default",
    "gnu-awk",
    "grep",
    "posix-awk",
    "posix-basic",
    "posix-egrep",
    "posix-extended",
    "posix-minimal-basic",
    "sed",
]);

const SOCKETS: Kind = ListOf(&[
    "all",
    "inet",
    "tcp",
    "mptcp",
    "udp",
    "raw",
    "unix",
    "unix_dgram",
    "unix_stream",
    "unix_seqpacket",
    "packet",
    "packet_raw",
    "packet_dgram",
    "netlink",
    "dccp",
    "sctp",
    "vsock_stream",
    "vsock_dgram",
    "tipc",
    "xdp",
]);

const JOURNAL_OUTPUT: Kind = OneOf(&[
    "short",
    "short-full",
    "short-iso",
    "short-iso-precise",
    "short-precise",
    "short-monotonic",
    "short-unix",
    "short-delta",
    "verbose",
    "export",
    "json",
    "json-pretty",
    "json-sse",
    "json-seq",
    "cat",
    "with-unit",
]);

/// Formats that print the message of an entry and not its other fields.
const UNIT_OUTPUT: Kind = OneOf(&[
    "short",
    "short-full",
    "short-iso",
    "short-iso-precise",
    "short-precise",
    "short-monotonic",
    "short-unix",
    "short-delta",
    "cat",
    "with-unit",
]);

/// Columns of `findmnt` but those for which it looks devices up: SOURCES writes a cache of them, labels and UUIDs may.
const MOUNT_COLUMNS: Kind = ListOf(&[
    "ACTION",
    "AVAIL",
    "FREQ",
    "FSROOT",
    "FSTYPE",
    "FS-OPTIONS",
    "ID",
    "MAJ:MIN",
    "OLD-OPTIONS",
    "OLD-TARGET",
    "OPTIONS",
    "OPT-FIELDS",
    "PARENT",
    "PASSNO",
    "PROPAGATION",
    "SIZE",
    "SOURCE",
    "TARGET",
    "TID",
    "USED",
    "USE%",
    "VFS-OPTIONS",
]);

/// Programs that print files.
const FILES: &[Row] = &[
    Row {
        name: "cat",
        short: "AbEensTtuv",
        long: "show-all number-nonblank show-ends number squeeze-blank show-tabs show-nonprinting",
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "tac",
        short: "br",
        short_values: &[('s', Separator)],
        long: "before regex",
        long_values: &[("separator", Separator)],
        operands: PATHS,
        note: "What is not a regular file, such as a pipe, goes through a temporary file of the system, which it removes.",
        ..ROW
    },
    Row {
        name: "nl",
        short: "p",
        short_values: &[
            ('b', NumberingStyle),
            ('h', NumberingStyle),
            ('f', NumberingStyle),
            ('d', Text),
            ('s', Text),
            ('i', COUNT),
            ('l', COUNT),
            ('v', COUNT),
            ('w', WIDTH),
            ('n', OneOf(&["ln", "rn", "rz"])),
        ],
        long_values: &[("body-numbering", NumberingStyle), ("number-width", WIDTH), ("number-separator", Text)],
        operands: PATHS,
        unused: "--footer-numbering --header-numbering --join-blank-lines --line-increment --no-renumber --number-format \
                 --section-delimiter --starting-line-number",
        ..ROW
    },
    Row {
        name: "head",
        short: "qvz",
        short_values: &[('n', SIZE), ('c', SIZE)],
        long: "quiet silent verbose zero-terminated",
        long_values: &[("lines", SIZE), ("bytes", SIZE)],
        operands: PATHS,
        dash_number: Some(COUNT),
        note: "`-5` is `-n 5`.",
        ..ROW
    },
    Row {
        name: "tail",
        short: "qvz",
        short_values: &[('n', SIZE), ('c', SIZE)],
        long: "quiet silent verbose zero-terminated",
        long_values: &[("lines", SIZE), ("bytes", SIZE)],
        operands: PATHS,
        dash_number: Some(COUNT),
        plus_flags: true,
        refused: &[
            ("-f -F --follow", ENDLESS),
            ("--retry --pid -s --sleep-interval", "it belongs to -f, which never ends"),
            ("--max-unchanged-stats", "it belongs to -f, which never ends"),
        ],
        note: "`-5` is `-n 5`. `+1f` is an old `-n +1 -f`.",
        ..ROW
    },
    Row {
        name: "wc",
        short: "clLmw",
        long: "bytes chars lines max-line-length words",
        operands: PATHS,
        refused: &[("--files0-from", NAMES_FROM)],
        ..ROW
    },
    Row {
        name: "md5sum",
        short: "btz",
        long: "binary text tag zero",
        operands: PATHS,
        refused: &[("-c --check", NAMES_FROM)],
        unused: "--ignore-missing --quiet --status --strict -w --warn",
        ..ROW
    },
    Row {
        name: "sha1sum",
        short: "btz",
        long: "binary text tag zero",
        operands: PATHS,
        refused: &[("-c --check", NAMES_FROM)],
        unused: "--ignore-missing --quiet --status --strict -w --warn",
        ..ROW
    },
    Row {
        name: "sha512sum",
        short: "btz",
        long: "binary text tag zero",
        operands: PATHS,
        refused: &[("-c --check", NAMES_FROM)],
        unused: "--ignore-missing --quiet --status --strict -w --warn",
        ..ROW
    },
    Row {
        name: "sha256sum",
        short: "btz",
        long: "binary text tag zero",
        operands: PATHS,
        refused: &[("-c --check", NAMES_FROM)],
        unused: "--ignore-missing --quiet --status --strict -w --warn",
        ..ROW
    },
    Row {
        name: "diff",
        short: "abBcdeEinpqrstTuwyZ",
        short_values: &[('U', CONTEXT), ('C', CONTEXT), ('W', WIDTH), ('I', Pattern), ('x', Glob)],
        long: "text brief recursive ignore-case ignore-all-space ignore-space-change ignore-blank-lines minimal \
               report-identical-files side-by-side suppress-common-lines strip-trailing-cr show-c-function expand-tabs",
        long_values: &[("unified", CONTEXT), ("context", CONTEXT), ("width", WIDTH), ("exclude", Glob)],
        long_optional: &[("color", WHEN)],
        operands: Operands::Each(Path, 2, 2),
        refused: &[
            ("-l --paginate", "it runs pr"),
            ("-X --exclude-from", "it reads patterns out of a file"),
            ("--from-file --to-file", "its operands would not be two"),
            ("-N --new-file", "it prints every file of a directory that the other one lacks"),
        ],
        note: "Of a directory and a file, the file of the same name in the directory is compared; of two directories, all files that both have.",
        unused: "-D -F -S -v --GTYPE-group-format --LTYPE-line-format --ed --horizon-lines --ifdef --ignore-file-name-case \
                 --ignore-matching-lines --ignore-tab-expansion --ignore-trailing-space --initial-tab --label --left-column \
                 --line-format --no-dereference --no-ignore-file-name-case --normal --palette --rcs --show-function-line \
                 --speed-large-files --starting-file --suppress-blank-empty --tabsize --unidirectional-new-file",
        ..ROW
    },
    Row {
        name: "file",
        short: "bhiklLnNr0",
        long: "brief mime mime-type mime-encoding keep-going dereference no-dereference no-pad no-buffer raw print0 extension apple list",
        short_values: &[('F', Text), ('e', FILE_TESTS), ('P', FileParameter)],
        long_values: &[
            ("separator", Text),
            ("exclude", FILE_TESTS),
            ("exclude-quiet", FILE_TESTS),
            ("parameter", FileParameter),
        ],
        operands: SOME_PATHS,
        refused: &[
            ("-C --compile", "it writes a compiled magic file"),
            ("-m --magic-file", "it reads rules out of a file"),
            ("-z --uncompress -Z --uncompress-noreport", "it runs decompressors"),
            ("-f --files-from", NAMES_FROM),
            ("-p --preserve-date", "it sets the times of a file"),
            ("-S --no-sandbox", "it takes a guard away"),
            ("-s --special-files", "it reads devices"),
        ],
        unused: "-c -d -v --checking-printout --debug",
        ..ROW
    },
    Row {
        name: "zcat",
        operands: PATHS,
        suffixes: &[".gz", "-gz", ".z", "-z", "_z", ".Z"],
        refused: &[
            ("-f --force", "it prints what is not compressed too, which cat does"),
            ("-r --recursive", "it opens what it finds"),
        ],
        unused: "-l --list -q --quiet -S --suffix --synchronous -t --test -v --verbose",
        ..ROW
    },
    Row {
        name: "od",
        short: "abcdfilosvx",
        short_values: &[('A', OneOf(&["d", "o", "x", "n"])), ('j', SIZE), ('N', SIZE), ('t', ByteFormat)],
        long: "output-duplicates",
        long_values: &[
            ("address-radix", OneOf(&["d", "o", "x", "n"])),
            ("skip-bytes", SIZE),
            ("read-bytes", SIZE),
            ("format", ByteFormat),
            ("endian", OneOf(&["big", "little"])),
        ],
        operands: PATHS,
        unused: "-S --strings -w --width --traditional",
        ..ROW
    },
    Row {
        name: "hexdump",
        short: "bcCdovx",
        short_values: &[('n', SIZE), ('s', SIZE)],
        long: "one-byte-octal one-byte-char canonical two-bytes-decimal two-bytes-octal two-bytes-hex no-squeezing",
        long_values: &[("length", SIZE), ("skip", SIZE)],
        operands: PATHS,
        refused: &[("-f --format-file", "it reads a format out of a file")],
        unused: "-V -h -e --format -L --color",
        ..ROW
    },
    Row {
        name: "cmp",
        short: "bls",
        short_values: &[('n', SIZE)],
        long: "print-bytes verbose quiet silent",
        long_values: &[("bytes", SIZE)],
        operands: Operands::Each(Path, 2, 2),
        unused: "-v -i --ignore-initial",
        ..ROW
    },
    Row {
        name: "comm",
        short: "123z",
        long: "check-order nocheck-order total zero-terminated",
        long_values: &[("output-delimiter", Text)],
        operands: Operands::Each(Path, 2, 2),
        ..ROW
    },
];

/// `grep`, and what its older names are read as.
const GREP: Row = Row {
    name: "grep",
    short: "abcEFGHhiILlnoPqRrsTUvwxyzZ",
    short_values: &[('A', CONTEXT), ('B', CONTEXT), ('C', CONTEXT), ('m', COUNT), ('e', Pattern)],
    long: "text byte-offset count extended-regexp fixed-strings basic-regexp perl-regexp with-filename no-filename \
               ignore-case no-ignore-case files-without-match files-with-matches line-number only-matching quiet silent \
               recursive dereference-recursive no-messages initial-tab invert-match word-regexp line-regexp null null-data \
               line-buffered",
    long_values: &[
        ("after-context", CONTEXT),
        ("before-context", CONTEXT),
        ("context", CONTEXT),
        ("max-count", COUNT),
        ("regexp", Pattern),
        ("include", Glob),
        ("exclude", Glob),
        ("exclude-dir", Glob),
        ("label", Text),
        ("binary-files", OneOf(&["binary", "text", "without-match"])),
        ("directories", OneOf(&["read", "recurse", "skip"])),
        ("devices", OneOf(&["skip"])),
    ],
    long_optional: &[("color", WHEN), ("colour", WHEN)],
    operands: Operands::FirstThenPaths(Pattern, &["-e", "--regexp"]),
    dash_number: Some(CONTEXT),
    // OpenBSD and macOS.
    same_word: "-C --context",
    refused: &[("-f --file", "it reads patterns out of a file"), ("--exclude-from", "it reads patterns out of a file")],
    note: "`-5` is `-C 5`. A directory above a secret file is not refused, see below.",
    unused: "-D -V -d --binary --group-separator --no-group-separator",
    ..ROW
};

/// Programs that search, order and cut text.
const FILTERS: &[Row] = &[
    GREP,
    // Where these are scripts they say so on standard error.
    Row { name: "egrep", runs: "grep", begins: "-E", note: "It is `grep -E`.", ..GREP },
    Row { name: "fgrep", runs: "grep", begins: "-F", note: "It is `grep -F`.", ..GREP },
    Row {
        name: "rg",
        short: "0.acFHiIlnNopPqsSuUvwx",
        short_values: &[
            ('A', CONTEXT),
            ('B', CONTEXT),
            ('C', CONTEXT),
            ('m', COUNT),
            ('M', COUNT),
            ('d', DEPTH),
            ('j', Between(0, 16)),
            ('e', Pattern),
            ('g', Glob),
            ('t', Name),
            ('T', Name),
            ('r', Text),
        ],
        long: "text count count-matches fixed-strings with-filename no-filename ignore-case case-sensitive smart-case \
               files-with-matches files-without-match line-number no-line-number only-matching pretty quiet hidden no-ignore \
               no-ignore-vcs no-heading heading json stats files type-list invert-match word-regexp line-regexp multiline \
               multiline-dotall pcre2 null no-messages passthru trim vimgrep column no-column no-config one-file-system \
               unrestricted byte-offset crlf",
        long_values: &[
            ("after-context", CONTEXT),
            ("before-context", CONTEXT),
            ("context", CONTEXT),
            ("max-count", COUNT),
            ("max-columns", COUNT),
            ("max-depth", DEPTH),
            ("threads", Between(0, 16)),
            ("regexp", Pattern),
            ("glob", Glob),
            ("iglob", Glob),
            ("type", Name),
            ("type-not", Name),
            ("replace", Text),
            ("max-filesize", SIZE),
            ("color", WHEN),
            ("sort", OneOf(&["none", "path", "modified", "accessed", "created"])),
            ("sortr", OneOf(&["none", "path", "modified", "accessed", "created"])),
        ],
        operands: Operands::FirstThenPaths(Pattern, &["-e", "--regexp", "--files", "--type-list"]),
        refused: &[
            ("--pre --hostname-bin", RUNS),
            ("--pre-glob", "it belongs to --pre"),
            ("-z --search-zip", "it runs decompressors"),
            ("-f --file", "it reads patterns out of a file"),
            ("--ignore-file", "it reads patterns out of a file"),
        ],
        note: "A configuration file of the account may add flags of its own (RIPGREP_CONFIG_PATH); `--no-config` stops it.",
        unused: "-E -L -V -b -h --auto-hybrid-regex --binary --block-buffered --colors --context-separator --debug \
                 --dfa-size-limit --encoding --engine --field-context-separator --field-match-separator --follow \
                 --glob-case-insensitive --ignore-file-case-insensitive --include-zero --line-buffered --max-columns-preview \
                 --mmap --no-context-separator --no-ignore-dot --no-ignore-exclude --no-ignore-files --no-ignore-global \
                 --no-ignore-messages --no-ignore-parent --no-mmap --no-pcre2-unicode --no-require-git --no-unicode --null-data \
                 --path-separator --pcre2-unicode --pcre2-version --regex-size-limit --type-add --type-clear --unicode",
        ..ROW
    },
    Row {
        name: "sort",
        short: "bcCdfghiMmnRrsuVz",
        short_values: &[('k', SortKey), ('t', Text), ('S', Buffer(1 << 30))],
        long: "ignore-leading-blanks dictionary-order ignore-case general-numeric-sort human-numeric-sort ignore-nonprinting \
               month-sort numeric-sort random-sort reverse stable unique version-sort zero-terminated merge debug",
        long_values: &[
            ("key", SortKey),
            ("sort", OneOf(&["general-numeric", "human-numeric", "month", "numeric", "random", "version"])),
            ("field-separator", Text),
            ("buffer-size", Buffer(1 << 30)),
            ("parallel", Between(1, 16)),
        ],
        long_optional: &[("check", OneOf(&["quiet", "silent", "diagnose-first"]))],
        operands: PATHS,
        refused: &[
            ("-o --output", WRITES),
            ("--compress-program", RUNS),
            ("--files0-from", NAMES_FROM),
            ("-T --temporary-directory", "it writes temporary files where it is told"),
            ("--random-source", "it reads a file without end"),
            ("--batch-size", "it belongs to temporary files"),
        ],
        // By itself GNU's takes a few MiB for what comes through a pipe. Of several sizes the largest counts.
        begins: "-S 512M",
        environment: &[("TMPDIR", "/dev/null/no-temporary-files")],
        note: "It gets no temporary files: input beyond its memory is an error, and so is a merge of more than 16 files; `-S 1G` is the most memory.",
        ..ROW
    },
    Row {
        name: "uniq",
        short: "cdDiuz",
        short_values: &[('f', COUNT), ('s', COUNT), ('w', COUNT)],
        long: "count repeated ignore-case unique zero-terminated",
        long_values: &[("skip-fields", COUNT), ("skip-chars", COUNT), ("check-chars", COUNT)],
        long_optional: &[
            ("all-repeated", OneOf(&["none", "prepend", "separate"])),
            ("group", OneOf(&["separate", "prepend", "append", "both"])),
        ],
        operands: Operands::Each(Path, 0, 1),
        flags_first: true,
        note: "A second operand would be written, so there is at most one, and it cannot be a glob.",
        ..ROW
    },
    Row {
        name: "cut",
        short: "nsz",
        short_values: &[('b', Fields), ('c', Fields), ('d', Text), ('f', Fields)],
        long: "complement only-delimited zero-terminated",
        long_values: &[
            ("bytes", Fields),
            ("characters", Fields),
            ("delimiter", Text),
            ("fields", Fields),
            ("output-delimiter", Text),
        ],
        operands: PATHS,
        unused: "-M",
        ..ROW
    },
    Row {
        name: "tr",
        short: "cCdst",
        long: "complement delete squeeze-repeats truncate-set1",
        operands: Operands::Each(Set, 1, 2),
        flags_first: true,
        ..ROW
    },
    Row {
        name: "paste",
        short: "sz",
        short_values: &[('d', Text)],
        long: "serial zero-terminated",
        long_values: &[("delimiters", Text)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "fold",
        short: "bs",
        short_values: &[('w', WIDTH)],
        long: "bytes spaces",
        long_values: &[("width", WIDTH)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "column",
        short: "tx",
        short_values: &[('c', WIDTH), ('s', Text)],
        long: "table fillrows",
        long_values: &[("output-width", WIDTH), ("separator", Text)],
        operands: PATHS,
        unused: "-V -h -n --table-name -O --table-order -N --table-columns -l --table-columns-limit -E --table-noextreme -d --table-noheadings \
                 -e --table-header-repeat -H --table-hide -R --table-right -T --table-truncate -W --table-wrap -L --keep-empty-lines \
                 -J --json -r --tree -i --tree-id -p --tree-parent -o --output-separator",
        ..ROW
    },
    Row {
        name: "sed",
        short: "nEr",
        long: "quiet silent regexp-extended",
        operands: Operands::FirstThenPaths(Kind::SedPrint, &[]),
        // A BSD sed takes a flag after its script for a file; nothing here is a flag with a value.
        flags_first: true,
        needs: &["-n --quiet --silent"],
        refused: &[
            ("-i --in-place", "it rewrites files"),
            ("-f --file", "it reads a script out of a file"),
            ("--follow-symlinks", "it belongs to -i"),
            ("-e --expression", "the script stands as the first operand"),
        ],
        unused: "--debug -l --line-length --posix -s --separate --sandbox -u --unbuffered -z --null-data",
        note: "Only `sed -n` with lines to print, by number or by expression: `5p`, `5,10p`, `$p`, `/error/p`, `/from/,/to/p`, several joined by `;`, \
               perhaps with `q` at a line. A script could otherwise write files (`w`) and run programs (`e`).",
        ..ROW
    },
    Row {
        name: "awk",
        short_values: &[('F', Separator)],
        operands: Operands::FirstThen(Kind::AwkPrint, Kind::AwkFile),
        flags_first: true,
        refused: &[
            ("-f --file -i --include -l --load -E --exec", "it reads a program out of a file"),
            ("-v --assign", "the programs allowed here use no variables"),
            ("-e --source", "the program stands as the first operand"),
        ],
        note: "Only `{print $1, $NF}` and the like. A program could otherwise write files and run programs. Among its files gawk takes `/inet/…` \
               for a network connection, and every awk `name=value` for an assignment, gawk `space::name=value` too: write `./name=value`.",
        ..ROW
    },
];

/// Programs that describe files and directories.
const NAMES: &[Row] = &[
    Row {
        name: "ls",
        short: "1aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ",
        long: "all almost-all author escape directory classify file-type full-time group-directories-first no-group \
               human-readable si inode kibibytes dereference numeric-uid-gid literal hide-control-chars quote-name reverse \
               recursive size context zero",
        long_values: &[
            ("sort", OneOf(&["none", "size", "time", "version", "extension", "name", "width"])),
            ("format", OneOf(&["across", "commas", "horizontal", "long", "single-column", "verbose", "vertical"])),
            (
                "time",
                OneOf(&["atime", "access", "use", "ctime", "status", "birth", "creation", "mtime", "modification"]),
            ),
            ("time-style", TimeStyle),
            ("block-size", SIZE),
            ("hide", Glob),
            ("ignore", Glob),
        ],
        long_optional: &[("color", WHEN)],
        operands: PATHS,
        unused: "-D -I -T -w --dereference-command-line --dereference-command-line-symlink-to-dir --dired --hyperlink \
                 --ignore-backups --indicator-style --quoting-style --show-control-chars --tabsize --width",
        ..ROW
    },
    Row {
        name: "tree",
        short: "aAcCdDfFghiJlnNpqQrsStuUvxX",
        short_values: &[('L', DEPTH), ('P', Glob), ('I', Glob)],
        long: "noreport dirsfirst filesfirst du si metafirst prune inodes device gitignore ignore-case matchdirs",
        long_values: &[("sort", OneOf(&["name", "version", "size", "mtime", "ctime"])), ("filelimit", COUNT)],
        operands: PATHS,
        // Its own scanner takes the next word as the value and goes on reading flags in this one: `-Po x f` would write f.
        attached: false,
        refused: &[
            ("-o --output", WRITES),
            ("-R", "it writes files"),
            ("-H -T", "it is for -R, which writes files"),
            ("--fromfile --fflinks", NAMES_FROM),
            ("--infofile --gitfile --hintro --houtro", READS),
        ],
        unused: "--charset --info --nolinks --timefmt",
        ..ROW
    },
    Row {
        name: "stat",
        short: "fLt",
        short_values: &[('c', Directives)],
        long: "file-system dereference terse",
        long_values: &[("format", Directives), ("printf", Directives)],
        operands: SOME_PATHS,
        unused: "--cached",
        ..ROW
    },
    Row {
        name: "find",
        operands: Operands::Find,
        refused: &[
            ("-delete", "it deletes"),
            (
                "-exec -execdir -ok -okdir",
                "it runs a program; grep -r --include='*.conf' PATTERN DIRECTORY searches the files that it would find",
            ),
            ("-fls -fprint -fprint0 -fprintf", WRITES),
            ("-files0-from", NAMES_FROM),
        ],
        unused: "-D -O -context -newerXY",
        ..ROW
    },
    Row {
        name: "du",
        short: "0abcDhHklLmPsSx",
        short_values: &[('d', DEPTH), ('t', SIZE), ('B', SIZE)],
        long: "all apparent-size bytes total dereference human-readable inodes null si summarize one-file-system separate-dirs \
               count-links",
        long_values: &[("max-depth", DEPTH), ("threshold", SIZE), ("block-size", SIZE), ("exclude", Glob)],
        long_optional: &[("time", OneOf(&["atime", "access", "use", "ctime", "status"]))],
        operands: PATHS,
        refused: &[("--files0-from", NAMES_FROM), ("-X --exclude-from", "it reads patterns out of a file")],
        unused: "--dereference-args --no-dereference --time-style",
        ..ROW
    },
    Row {
        name: "df",
        short: "aHhiklmPT",
        short_values: &[('B', SIZE), ('t', Name), ('x', Name)],
        long: "all human-readable si inodes local portability print-type total no-sync",
        long_values: &[("block-size", SIZE), ("type", Name), ("exclude-type", Name)],
        long_optional: &[("output", DF_FIELDS)],
        operands: PATHS,
        // In UTF-8 GNU's writes a question mark for each byte of a name that is none.
        environment: &[("LC_ALL", "C")],
        refused: &[("--sync", "it writes what the file systems have not written yet")],
        unused: "-v",
        ..ROW
    },
    Row {
        name: "realpath",
        short: "eLmPqsz",
        long: "canonicalize-existing canonicalize-missing logical physical quiet strip no-symlinks zero",
        long_values: &[("relative-to", Path), ("relative-base", Path)],
        operands: SOME_PATHS,
        ..ROW
    },
    Row {
        name: "readlink",
        short: "efmnqsvz",
        long: "canonicalize canonicalize-existing canonicalize-missing no-newline quiet silent verbose zero",
        operands: SOME_PATHS,
        ..ROW
    },
    Row {
        name: "basename",
        short: "az",
        short_values: &[('s', Text)],
        long: "multiple zero",
        long_values: &[("suffix", Text)],
        operands: Operands::Each(Kind::Word, 1, MANY),
        ..ROW
    },
    Row { name: "dirname", short: "z", long: "zero", operands: Operands::Each(Kind::Word, 1, MANY), ..ROW },
];

/// Programs that describe the machine.
const MACHINE: &[Row] = &[
    Row {
        name: "ps",
        short: "AadefFHjlLTwy",
        short_values: &[('p', Numbers), ('o', PS_COLUMNS)],
        long: "forest no-headers no-heading headers",
        long_values: &[
            ("pid", Numbers),
            ("ppid", Numbers),
            ("format", PS_COLUMNS),
            ("user", Name),
            ("User", Name),
            ("group", Name),
            ("Group", Name),
            ("tty", Terminal),
            ("sid", Numbers),
            ("sort", PS_COLUMNS),
            ("cols", WIDTH),
            ("columns", WIDTH),
            ("width", WIDTH),
        ],

        operands: Operands::Each(Kind::PsWord, 0, MANY),
        beside: Some((
            "-e",
            "-f -F -l -L -w -y -H --forest -o --format --sort --headers --no-headers --cols --columns --width",
        )),
        refused: &[
            (
                "-u -U -G -g -t -s",
                "where the name is not known, ps reads all its arguments again as BSD letters, of which e shows environments; --user, --User, --Group, --group, --tty and --sid mean the same and are allowed",
            ),
            (
                "-C",
                "ps may read its arguments again as BSD letters, of which e shows environments; pgrep finds a process by its name",
            ),
            ("-E", "on some systems it shows environments"),
            ("-O", "it is read in two ways"),
        ],
        unused: "-V -c -M -m -N -P -q -Z --deselect --quick-pid --context --rows --lines --cumulative --info",
        note: "Of BSD letters there are `auxwfjlrT`: `e` would show environments. When procps finds fault with its arguments it reads them all again as such letters, so beside `-e` stand only flags with which no second reading shows an environment. On FreeBSD and OpenBSD `-e` shows the environments of the account's own processes: use `-A` there.",
        ..ROW
    },
    Row { name: "uptime", short: "ps", long: "pretty since", unused: "-V -h", ..ROW },
    Row {
        name: "uname",
        short: "aimnoprsv",
        long: "all kernel-name nodename kernel-release kernel-version machine processor hardware-platform operating-system",
        ..ROW
    },
    Row {
        name: "hostname",
        short: "Is",
        long: "all-ip-addresses short",
        refused: &[
            ("-A --all-fqdns -d --domain -f --fqdn --long -i --ip-address -a --alias", ASKS),
            ("-F --file -b --boot", "it sets the name"),
            ("-y --yp --nis", "it belongs to setting a NIS domain"),
        ],
        note: "An operand would be the new name.",
        ..ROW
    },
    Row {
        name: "date",
        short: "uR",
        short_values: &[('r', Path)],
        long: "utc universal rfc-email",
        long_values: &[("date", Time), ("reference", Path), ("rfc-3339", OneOf(&["date", "seconds", "ns"]))],
        long_optional: &[("iso-8601", OneOf(&["date", "hours", "minutes", "seconds", "ns"]))],
        operands: Operands::Each(DateFormat, 0, 1),
        short_optional: &[('I', OneOf(&["date", "hours", "minutes", "seconds", "ns"]))],
        refused: &[
            ("-s --set", "it sets the clock"),
            ("-f --file", "it shows the lines of a file"),
            ("-d", "on some BSD systems it sets the kernel's flag for summer time; --date= is allowed"),
        ],
        note: "An operand that does not begin with `+` would set the clock.",
        unused: "--debug --resolution",
        ..ROW
    },
    Row {
        name: "id",
        short: "gGnruzZ",
        long: "group groups name real user zero context",
        operands: Operands::Each(Name, 0, MANY),
        unused: "-a",
        ..ROW
    },
    Row {
        name: "who",
        short: "abdHlmpqrstTuw",
        long: "all boot dead heading login process count runlevel short time users mesg",
        refused: &[("--lookup", ASKS)],
        note: "An operand would be a file to read.",
        unused: "--ips --message --writable",
        ..ROW
    },
    Row { name: "pwd", short: "LP", ..ROW },
    Row { name: "nproc", long: "all", long_values: &[("ignore", COUNT)], ..ROW },
    Row {
        name: "free",
        short: "bghklmtvw",
        long: "bytes kilo mega giga tera kibi mebi gibi tebi peta pebi committed human si wide total lohi",
        short_values: &[('s', INTERVAL), ('c', ROUNDS)],
        long_values: &[("seconds", INTERVAL), ("count", ROUNDS)],
        asks: &[("-s", "-c --count"), ("--seconds", "-c --count")],
        note: "`-s` never ends without `-c`.",
        unused: "-V",
        ..ROW
    },
    Row {
        name: "lsblk",
        short: "abdDfiJlmnOpPrsStTz",
        short_values: &[('o', Columns), ('e', Numbers), ('I', Numbers), ('x', Columns)],
        long: "all bytes nodeps fs ascii json list perms noheadings output-all paths pairs raw inverse scsi topology discard tree zoned",
        long_values: &[("output", Columns), ("exclude", Numbers), ("include", Numbers), ("sort", Columns)],
        operands: PATHS,
        refused: &[("--sysroot", ELSEWHERE)],
        unused: "-V -h -A --noempty -E --dedup -M --merge -w --width -y --shell",
        ..ROW
    },
    Row {
        name: "dmesg",
        short: "deJkPprtTux",
        short_values: &[('l', Name), ('f', Name)],
        long: "show-delta reltime kernel nopager raw notime ctime userspace decode json force-prefix",
        long_values: &[
            ("level", Name),
            ("facility", Name),
            ("since", Time),
            ("until", Time),
            ("time-format", OneOf(&["ctime", "reltime", "delta", "notime", "iso", "raw"])),
        ],
        long_optional: &[("color", WHEN)],
        refused: &[
            ("-c --read-clear -C --clear", "it clears the kernel's log"),
            ("-w --follow -W --follow-new", ENDLESS),
            ("-D --console-off -E --console-on -n --console-level", "it changes the console"),
            ("-F --file", READS),
            ("-H --human", "it may run a pager"),
        ],
        unused: "-V -h -S --syslog -s --buffer-size --noescape -L",
        ..ROW
    },
    Row {
        name: "ss",
        short: "046aedHilMmnOopsSTtuwxZz",
        short_values: &[('A', SOCKETS), ('f', OneOf(&["unix", "inet", "inet6", "link", "netlink", "vsock"]))],
        long: "all listening numeric options extended memory processes info summary ipv4 ipv6 packet tcp udp raw unix dccp sctp mptcp vsock tipc tipcinfo xdp tos cgroup threads context contexts inet-sockopt \
               oneline no-header",
        long_values: &[
            ("query", SOCKETS),
            ("socket", SOCKETS),
            ("family", OneOf(&["unix", "inet", "inet6", "link", "netlink", "vsock"])),
        ],
        operands: Operands::SocketFilter,
        refused: &[
            ("-K --kill", "it closes connections"),
            ("-D --diag", WRITES),
            ("-E --events", ENDLESS),
            ("-F --filter", "it reads a filter out of a file"),
            ("-N --net", ELSEWHERE),
            ("-r --resolve", ASKS),
            ("-b --bpf", "it reads programs of the kernel"),
        ],
        note: "Addresses and ports of a filter are numbers, addresses of IPv6 in brackets: `dst 10.0.0.0/8`, `dst [::1]:443`, `sport = :22`. A \
               name would be asked of name servers.",
        unused: "-V -h",
        ..ROW
    },
    Row {
        name: "pgrep",
        short: "acfilnovwx",
        short_values: &[('P', Numbers), ('u', Name), ('U', Name), ('t', Terminal)],
        long: "list-name list-full inverse lightweight count full ignore-case newest oldest exact",
        long_values: &[("parent", Numbers), ("euid", Name), ("uid", Name), ("terminal", Terminal)],
        operands: Operands::Each(Pattern, 0, 1),
        refused: &[("-F --pidfile -L --logpidfile", READS)],
        unused: "-V -h -d --delimiter -g --pgroup -G --group -O --older -s --session -r --runstates -A --ignore-ancestors --cgroup --ns --nslist",
        ..ROW
    },
    Row {
        name: "lscpu",
        short: "aBbceJpxy",
        long: "all online bytes offline json hex physical output-all",
        long_optional: &[("extended", Columns), ("parse", Columns), ("caches", Columns)],
        refused: &[("-s --sysroot", ELSEWHERE)],
        unused: "-V -h -C",
        ..ROW
    },
    Row {
        name: "findmnt",
        short: "aAbcCDfiJklmnPRrsuUv",
        short_values: &[
            ('t', Name),
            ('o', MOUNT_COLUMNS),
            ('O', Text),
            ('T', MountPath),
            ('M', MountPath),
            ('d', OneOf(&["forward", "backward"])),
        ],
        long: "all ascii bytes canonicalize nocanonicalize df first-only invert json kernel list mtab noheadings pairs pseudo \
               real submounts raw fstab notruncate tree uniq nofsroot shadowed vfs-all",
        long_values: &[
            ("types", Name),
            ("output", MOUNT_COLUMNS),
            ("options", Text),
            ("target", MountPath),
            ("mountpoint", MountPath),
            ("direction", OneOf(&["forward", "backward"])),
        ],
        operands: Operands::Each(MountPath, 0, 2),
        reads: &[("-s --fstab", &["/etc/fstab"])],
        refused: &[
            ("-p --poll -w --timeout", ENDLESS),
            ("-F --tab-file", READS),
            ("-N --task", ELSEWHERE),
            ("-e --evaluate -S --source --output-all", CACHES),
        ],
        note: "For labels and UUIDs there is `lsblk -f`.",
        unused: "-V -h -x --verify --verbose -y --shell",
        ..ROW
    },
    Row {
        name: "mount",
        short_values: &[('t', Plain)],
        note: "Without operands it shows what is mounted, with `-t` that of some types. An operand mounts: `findmnt /srv` tells of one place.",
        refused: &[
            ("-l --show-labels", "it reads devices for their labels, which `lsblk -f` tells"),
            ("-a --all -B --bind -M --move -R --rbind -o --options -r --read-only -w --rw --read-write", "it mounts"),
            (
                "--source --target --target-prefix -L --label -U --uuid -F --fork -f --fake -m --mkdir -n --no-mtab",
                "it mounts",
            ),
            (
                "-c --no-canonicalize -i --internal-only --options-mode --options-source --options-source-force -O --test-opts",
                "it mounts",
            ),
            ("--make-shared --make-slave --make-private --make-unbindable", "it changes a mount"),
            ("--make-rshared --make-rslave --make-rprivate --make-runbindable", "it changes a mount"),
            ("-T --fstab -N --namespace", ELSEWHERE),
        ],
        unused: "-V -h -v --verbose --types",
        ..ROW
    },
    Row {
        name: "netstat",
        short: "46aegilnoprstuUvWxSZ",
        long: "all extend groups interfaces listening numeric numeric-hosts numeric-ports numeric-users programs raw route sctp statistics \
               symbolic tcp timers udp udplite unix verbose wide context",
        // A resolver is asked for every address otherwise.
        begins: "-n",
        refused: &[
            ("-c --continuous", ENDLESS),
            ("-w", "on BSD it never ends: its value is an interval; --raw is allowed"),
            ("-N", "on BSD its value is a kernel to read; --symbolic is allowed"),
            ("-M --masquerade", "it reads what current kernels do not have"),
        ],
        note: "It always answers in numbers: without `-n` it asks name servers for every address.",
        unused: "-A -C --cache -F --fib --ax25 --ipx --netrom",
        ..ROW
    },
    Row {
        name: "ip",
        whole: "-4 -6 -br -brief -c -color -d -details -h -human -human-readable -j -json -N -Numeric -o -oneline -p -pretty -s -stats -statistics",
        operands: Operands::Show(
            &[
                "a",
                "addr",
                "address",
                "l",
                "link",
                "r",
                "route",
                "rule",
                "n",
                "neigh",
                "neighbor",
                "neighbour",
                "maddress",
                "nexthop",
            ],
            &["show", "list", "ls", "get"],
        ),
        flags_first: true,
        refused: &[
            ("-b -batch -force", "it reads commands out of a file"),
            ("-n -netns -a -all", ELSEWHERE),
            ("-r -resolve", ASKS),
        ],
        unused: "-V -Version -iec -f -family -M -B -0 -l -loops -t -timestamp -ts -tshort -rc -rcvbuf",
        note: "Other commands change addresses, links, routes and name spaces, or never end (`monitor`).",
        ..ROW
    },
    Row {
        name: "vmstat",
        short: "adDfmnsty",
        refused: &[("-w", "on BSD it never ends: its value is an interval; --wide is allowed")],
        long: "active disk disk-sum forks one-header no-first slabs stats timestamp wide",
        operands: Operands::Rounds(None),
        note: "Without an interval it tells the mean since the machine started; `vmstat 1 5` what happens now. Without a count it never ends.",
        unused: "-V -h -p --partition -S --unit",
        ..ROW
    },
    Row {
        name: "last",
        short: "aFiRwx",
        short_values: &[('n', COUNT), ('s', Time), ('t', Time), ('p', Time)],
        long: "fulltimes fullnames hostlast ip nohostname system",
        long_values: &[("limit", COUNT), ("since", Time), ("until", Time), ("present", Time)],
        operands: Operands::Each(Name, 0, MANY),
        // On FreeBSD -s has no value: `-sf/path` would read a file.
        attached: false,
        dash_number: Some(COUNT),
        refused: &[("-f --file", READS), ("-d --dns", ASKS)],
        unused: "-V -h --time-format",
        ..ROW
    },
    Row {
        name: "w",
        short: "fhiosu",
        long: "no-header no-current short from old-style ip-addr",
        operands: Operands::Each(Name, 0, 1),
        unused: "-V",
        ..ROW
    },
    Row {
        name: "getent",
        operands: Operands::Subcommand(&["group", "passwd", "protocols", "rpc", "services"]),
        flags_first: true,
        reads: &[
            ("group", &["/etc/group"]),
            ("passwd", &["/etc/passwd"]),
            ("protocols", &["/etc/protocols"]),
            ("rpc", &["/etc/rpc"]),
            ("services", &["/etc/services"]),
        ],
        refused: &[("-s --service", "it loads other sources")],
        unused: "-V -A --no-addrconfig -i --no-idn -? --usage",
        note: "`shadow` and `gshadow` are password hashes; `hosts`, `ahosts` and `networks` ask name servers.",
        ..ROW
    },
    Row { name: "which", short: "a", operands: Operands::Each(Name, 1, MANY), ..ROW },
];

/// Units and what is put beside them, of the system and of its users.
const UNITS: &[&str] = &[
    "/etc/systemd/*/*",
    "/etc/systemd/*/*/*",
    "/run/systemd/*/*",
    "/run/systemd/*/*/*",
    "/lib/systemd/*/*",
    "/lib/systemd/*/*/*",
    "/usr/lib/systemd/*/*",
    "/usr/lib/systemd/*/*/*",
    "/usr/local/lib/systemd/*/*",
    "/usr/local/lib/systemd/*/*/*",
    "~/.config/systemd/user/*",
    "~/.config/systemd/user/*/*",
    "~/.local/share/systemd/user/*",
    "~/.local/share/systemd/user/*/*",
];

/// Programs that describe services and their logs.
const SERVICES: &[Row] = &[
    Row {
        name: "journalctl",
        short: "abekNlmqrx",
        short_values: &[
            ('u', Name),
            ('n', COUNT),
            ('p', Text),
            ('c', Text),
            ('S', Time),
            ('U', Time),
            ('o', JOURNAL_OUTPUT),
            ('g', Pattern),
            ('t', Text),
            ('F', Names),
        ],
        long: "all catalog disk-usage dmesg fields full header list-boots list-catalog dump-catalog merge show-cursor verify no-full no-hostname no-pager no-tail pager-end quiet \
               reverse system user utc",
        long_values: &[
            ("unit", Name),
            ("user-unit", Name),
            ("lines", COUNT),
            ("priority", Text),
            ("cursor", Text),
            ("after-cursor", Text),
            ("since", Time),
            ("until", Time),
            ("output", JOURNAL_OUTPUT),
            ("grep", Pattern),
            ("identifier", Text),
            ("facility", Name),
            ("field", Names),
            ("output-fields", Names),
            ("case-sensitive", OneOf(&["true", "false"])),
        ],
        long_optional: &[("boot", Name)],
        operands: Operands::Each(Kind::FieldMatch, 0, MANY),
        // `-b -1`; anywhere else journalctl refuses it itself.
        dash_number: Some(COUNT),
        refused: &[
            ("-f --follow", ENDLESS),
            ("--vacuum-size --vacuum-time --vacuum-files", "it deletes logs"),
            ("--cursor-file", WRITES),
            ("--rotate --flush --sync --relinquish-var --smart-relinquish-var", "it changes the journal"),
            ("--setup-keys --force --interval --verify-key", "it is for making keys"),
            ("--update-catalog", WRITES),
            ("-D --directory --file", READS),
            ("-M --machine --root --image --namespace", ELSEWHERE),
        ],
        note: "A path as an operand would name a program; write `_EXE=/path` instead. Output that does not go to a terminal is not paged. No field of an \
               environment can be asked for, but without `--output-fields` the formats verbose, export, json and those like it print all fields \
               of an entry: of a crash that systemd-coredump took down, COREDUMP_ENVIRON too, to accounts that may read such entries.",
        unused: "-h",
        ..ROW
    },
    Row {
        name: "systemctl",
        short: "alq",
        short_values: &[('t', Name), ('n', COUNT), ('o', UNIT_OUTPUT), ('p', Names), ('P', Names)],
        long: "all full no-pager no-legend plain failed quiet reverse show-types system user value with-dependencies",
        long_values: &[
            ("type", Name),
            ("state", Name),
            ("lines", COUNT),
            ("output", UNIT_OUTPUT),
            ("property", Names),
            ("timestamp", OneOf(&["pretty", "unix", "us", "utc", "us+utc"])),
            ("legend", OneOf(&["true", "false", "yes", "no"])),
        ],
        operands: Operands::Subcommand(&[
            "status",
            "is-active",
            "is-enabled",
            "is-failed",
            "is-system-running",
            "list-units",
            "list-unit-files",
            "list-timers",
            "list-sockets",
            "list-automounts",
            "list-dependencies",
            "list-jobs",
            "get-default",
            "show",
            "cat",
        ]),
        asks: &[("show", "-p -P --property")],
        reads: &[("cat", UNITS)],
        refused: &[
            ("-H --host -M --machine --root --image --global -r --recursive", ELSEWHERE),
            ("-s --signal --kill-whom --kill-who --what", "it belongs to a command that changes units"),
            (
                "-f --force --now --runtime --preset-mode --job-mode -T --show-transaction",
                "it belongs to a command that changes units",
            ),
            (
                "--no-block --no-reload --mkdir --read-only --marked --wait --dry-run",
                "it belongs to a command that changes units",
            ),
            (
                "--no-wall --firmware-setup --boot-loader-menu --boot-loader-entry --check-inhibitors -i",
                "it belongs to stopping the machine",
            ),
            ("--no-ask-password", "no command that is allowed asks for a password"),
        ],
        note: "Any other command changes units or the machine, or shows the manager's environment. `show` would print environments among all \
               properties, and other formats than these all fields of log entries. `cat` prints unit files as they are, and what they set in \
               `Environment=` with them.",
        unused: "-h",
        ..ROW
    },
    Row {
        name: "timedatectl",
        short: "a",
        short_values: &[('p', Names)],
        long: "all no-pager value",
        long_values: &[("property", Names)],
        operands: Operands::Each(OneOf(&["status", "show", "timesync-status", "show-timesync"]), 0, 1),
        refused: &[
            ("-H --host -M --machine", ELSEWHERE),
            ("--monitor", ENDLESS),
            ("--adjust-system-clock", "it sets the clock"),
            ("--no-ask-password", "no command that is allowed asks for a password"),
        ],
        unused: "-h -P",
        ..ROW
    },
    Row {
        name: "hostnamectl",
        long: "static pretty transient",
        long_values: &[("json", OneOf(&["pretty", "short", "off"]))],
        operands: Operands::Each(OneOf(&["status"]), 0, 1),
        refused: &[
            ("-H --host -M --machine", ELSEWHERE),
            ("--no-ask-password", "no command that is allowed asks for a password"),
        ],
        note: "Any other command sets a name.",
        unused: "-h",
        ..ROW
    },
    Row {
        name: "dpkg",
        short: "lLsSC",
        long: "list listfiles no-pager search status print-architecture print-foreign-architectures get-selections audit",
        operands: Operands::Each(Package, 0, MANY),
        needs: &[
            "-l --list -L --listfiles -s --status -S --search --print-architecture --print-foreign-architectures \
                  --get-selections -C --audit",
        ],
        refused: &[
            (
                "-A -E -G -O -B -D --abort-after --auto-deconfigure --debug --dry-run --no-act --simulate --force-help --ignore-depends \
                 --no-debsig --path-exclude --path-include --refuse-downgrade --selected-only --skip-same-version --status-fd \
                 --robot --triggers-only",
                "it belongs to installing packages",
            ),
            (
                "--add-architecture --clear-avail --clear-selections --forget-old-unavail --merge-avail --record-avail \
                 --remove-architecture --set-selections --update-avail",
                "it changes the data of packages",
            ),
            (
                "-X -f -x --ctrl-tarfile --extract --field --fsys-tarfile --vextract",
                "it takes the file of a package apart, which dpkg-deb does; dpkg -L and -s tell of those that are installed",
            ),
            ("-V --verify --verify-format", "it reads all files of packages, secret ones among them"),
            ("-i --install -r --remove -P --purge --unpack --configure", "it changes the packages"),
            ("--pre-invoke --post-invoke --status-logger", RUNS),
            ("--log", WRITES),
            ("--admindir --root --instdir", ELSEWHERE),
        ],
        unused: "-? -p --assert-help --compare-versions --predep-package --print-avail --yet-to-unpack",
        ..ROW
    },
    Row {
        name: "dpkg-query",
        short: "lLsSW",
        short_values: &[('f', Directives)],
        long: "list listfiles no-pager search show status",
        long_values: &[("showformat", Directives)],
        operands: Operands::Each(Package, 0, MANY),
        needs: &["-l --list -L --listfiles -s --status -S --search -W --show"],
        refused: &[
            ("--admindir --root", ELSEWHERE),
            ("-c --control-path --control-list --control-show", "it shows the scripts of a package"),
        ],
        unused: "-? -p --print-avail --load-avail",
        ..ROW
    },
];

/// Programs that only print what they are given.
const WORDS: &[Row] = &[
    Row { name: "echo", operands: Operands::Words(None), ..ROW },
    Row { name: "printf", operands: Operands::Words(Some(Kind::Format)), ..ROW },
];

/// Every row.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [FILES, FILTERS, NAMES, MACHINE, SERVICES, WORDS]
        .into_iter()
        .chain(super::everyday::ROWS.iter().copied())
        .chain([super::containers::ROWS])
        .flatten()
}

/// Programs that, given no path, read standard input or tell of the whole machine. Every other one that takes paths looks at the
/// directory in which it runs.
pub(super) const LOOKS_NOWHERE: &str = "cat tac nl head tail wc md5sum sha1sum sha512sum sha256sum od hexdump grep sort uniq cut paste \
                                        fold column sed df lsblk findmnt zcat gzip gunzip xzcat xz bzcat bzip2 zstdcat zstd jq base64 \
                                        egrep fgrep lsof rpm pacman";

/// States of sockets as `ss` names them.
pub(super) const SOCKET_STATES: &[&str] = &[
    "all",
    "big",
    "bucket",
    "close",
    "close-wait",
    "closed",
    "closing",
    "connected",
    "established",
    "fin-wait-1",
    "fin-wait-2",
    "last-ack",
    "listen",
    "listening",
    "syn-recv",
    "syn-sent",
    "synchronized",
    "time-wait",
    "unconnected",
];

/// Words of an expression of `ss`.
pub(super) const SOCKET_WORDS: &str =
    "src dst sport dport ( ) ! not & && and | || or = == eq != ne neq < lt > gt <= le leq >= ge geq autobound";

/// Words of `ip`, `bridge` and `tc` that stand alone, or before an interface or an address. None is the name of a module, as `vrf` is.
pub(super) const SHOW_WORDS: &str = "dev oif iif master br brport up down to from via src root match exact primary secondary dynamic permanent \
                                     temporary deprecated tentative dadfailed optimistic mngtmpaddr home nodad nomaster novf proxy unused cached cloned cache \
                                     ingress egress clsact invisible fibmatch any all";

/// Words of theirs with a value behind them that is no interface.
pub(super) const SHOW_VALUES: &str = "table type label proto protocol scope state nud group realm realms metric preference tos dsfield mark vid vlan parent \
                                      handle classid prio pref chain block ipproto sport dport uid id";

/// All settings of the kernel. What is directly below `/proc`, or in `sys/kernel`, has its name here: any name could be another secret's.
pub(super) const SETTINGS: &[&str] = &[
    "/proc/sys/abi/*",
    "/proc/sys/crypto/*",
    "/proc/sys/debug/*",
    "/proc/sys/dev/*",
    "/proc/sys/dev/*/*",
    "/proc/sys/dev/*/*/*",
    "/proc/sys/fs/*",
    "/proc/sys/fs/*/*",
    "/proc/sys/fs/*/*/*",
    "/proc/sys/kernel/*",
    "/proc/sys/kernel/firmware_config/*",
    "/proc/sys/kernel/keys/*",
    "/proc/sys/kernel/pty/*",
    "/proc/sys/kernel/random/*",
    "/proc/sys/kernel/sched_domain/*/*/*",
    "/proc/sys/kernel/seccomp/*",
    "/proc/sys/kernel/usermodehelper/*",
    "/proc/sys/kernel/yama/*",
    "/proc/sys/net/*",
    "/proc/sys/net/*/*",
    "/proc/sys/net/*/*/*",
    "/proc/sys/net/*/*/*/*",
    "/proc/sys/sunrpc/*",
    "/proc/sys/user/*",
    "/proc/sys/vm/*",
];

/// Flags with which they look there all the same.
pub(super) const RECURSES: &str = "-r -R --recursive --dereference-recursive --directories";

/// Programs that never open what they are named, and tell only that it is there, what it is and where it leads. Every other one
/// that takes paths may read them.
pub(super) const ONLY_TELLS: &str =
    "ls tree stat find du df realpath readlink date lsblk findmnt test namei lsof rpm pacman";

/// Programs that open what they find in a directory, whatever their flags.
pub(super) const SEARCHES: &str = "rg diff";

/// Programs to which every operand is a regular expression, or may be made one, whatever its kind.
pub(super) const TAKES_PATTERNS: &str = "rpm";

/// Programs that, given a directory and a file, take the file of that name in the directory.
pub(super) const COMBINES: &str = "diff";

impl Row {
    /// The words that it begins with.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.name.split(' ')
    }

    /// The first of them.
    pub(super) fn program(&self) -> &'static str {
        self.words().next().unwrap_or_default()
    }
}

/// The row of a stage, and what follows the words that it is named by.
pub(super) fn row_of(words: &[Word]) -> Option<(&'static Row, &[Word])> {
    rows().find_map(|row| {
        let (named, rest) = words.split_at_checked(row.words().count())?;
        let is_named =
            named.iter().zip(row.words()).all(|(word, name)| matches!(word, Word::Literal(word) if word == name));
        is_named.then_some((row, rest))
    })
}

/// The row of this name.
#[cfg(test)]
pub(super) fn row(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

/// Primaries of `find` and what their arguments must look like.
pub(super) const FIND: &[(&str, Option<Kind>)] = &[
    ("!", None),
    ("-not", None),
    ("-a", None),
    ("-and", None),
    ("-o", None),
    ("-or", None),
    (",", None),
    ("-true", None),
    ("-false", None),
    ("-daystart", None),
    ("-depth", None),
    ("-follow", None),
    ("-ignore_readdir_race", None),
    ("-noignore_readdir_race", None),
    ("-noleaf", None),
    ("-nowarn", None),
    ("-warn", None),
    ("-mount", None),
    ("-xdev", None),
    ("-prune", None),
    ("-quit", None),
    ("-print", None),
    ("-print0", None),
    ("-ls", None),
    ("-empty", None),
    ("-executable", None),
    ("-readable", None),
    ("-writable", None),
    ("-nogroup", None),
    ("-nouser", None),
    ("-printf", Some(Directives)),
    ("-name", Some(Glob)),
    ("-iname", Some(Glob)),
    ("-path", Some(Glob)),
    ("-ipath", Some(Glob)),
    ("-wholename", Some(Glob)),
    ("-iwholename", Some(Glob)),
    ("-lname", Some(Glob)),
    ("-ilname", Some(Glob)),
    ("-regex", Some(Pattern)),
    ("-iregex", Some(Pattern)),
    ("-regextype", Some(REGEX_TYPE)),
    ("-type", Some(ListOf(&["b", "c", "d", "p", "f", "l", "s"]))),
    ("-xtype", Some(ListOf(&["b", "c", "d", "p", "f", "l", "s"]))),
    ("-size", Some(SIZE)),
    ("-mtime", Some(COUNT)),
    ("-atime", Some(COUNT)),
    ("-ctime", Some(COUNT)),
    ("-mmin", Some(COUNT)),
    ("-amin", Some(COUNT)),
    ("-cmin", Some(COUNT)),
    ("-inum", Some(INODE)),
    ("-links", Some(COUNT)),
    ("-used", Some(COUNT)),
    ("-uid", Some(INODE)),
    ("-gid", Some(INODE)),
    ("-maxdepth", Some(DEPTH)),
    ("-mindepth", Some(DEPTH)),
    ("-user", Some(Name)),
    ("-group", Some(Name)),
    ("-fstype", Some(Name)),
    ("-perm", Some(Kind::Mode)),
    ("-newer", Some(Path)),
    ("-anewer", Some(Path)),
    ("-cnewer", Some(Path)),
    ("-samefile", Some(Path)),
    ("-newermt", Some(Time)),
    ("-newerct", Some(Time)),
    ("-newerat", Some(Time)),
];
