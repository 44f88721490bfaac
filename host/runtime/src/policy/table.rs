//! The closed table: one row per program, naming every flag and operand it may be given.
//!
//! Owns the data only; [`super::grammar`] reads it. A flag is absent because it writes, runs a program, never ends, takes file names or
//! options out of a file, shows an environment, or because nobody has needed it yet. Flags whose meaning differs between GNU, busybox and
//! BSD in a way that matters are absent too.

/// What a flag's value or an operand must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Digits with an optional sign.
    Number,
    /// Digits with an optional sign and a unit, such as `+5` or `10M`.
    Size,
    /// Digits and commas.
    Numbers,
    /// Any characters, but as a word of its own not beginning with `-`: elsewhere than here that word might be a flag.
    Text,
    /// Any characters.
    Pattern,
    /// A file; held against the secret paths.
    Path,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// These words, separated by commas, each perhaps with a sign before it or `=` after it.
    ListOf(&'static [&'static str]),
    /// `FIELD=value` of the journal.
    FieldMatch,
    /// `+FORMAT` of `date`.
    DateFormat,
    /// Letters of `ps` without a dash, or process ids.
    PsWord,
    /// The mode of `find -perm`.
    Mode,
    /// A format of `printf` that converts text only, and is no flag: where `printf` is built into the shell, `-v` and the conversions of
    /// numbers evaluate `a[$(program)]`.
    Format,
}

/// Which operands a program takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operands {
    /// So many of one kind.
    Each(Kind, usize, usize),
    /// A pattern, then files; only files when one of these flags was given.
    PatternThenPaths(&'static [&'static str]),
    /// One of these words, then text.
    Subcommand(&'static [&'static str]),
    /// Anything literal, flags included; the first word perhaps of a kind.
    Words(Option<Kind>),
    /// Starting points, then an expression.
    Find,
}

/// One program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its bare name.
    pub(super) name: &'static str,
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
    /// Its operands.
    pub(super) operands: Operands,
    /// Whether `-n5` means `-n 5`. Programs that scan their own arguments may read the rest of the word as more flags.
    pub(super) attached: bool,
    /// Whether `-5` is a flag.
    pub(super) dash_number: bool,
    /// Whether every flag must stand before the first operand.
    pub(super) flags_first: bool,
}

/// As many as fit into a stage.
pub(super) const MANY: usize = usize::MAX;

const NO_OPERANDS: Operands = Operands::Each(Kind::Text, 0, 0);
const PATHS: Operands = Operands::Each(Kind::Path, 0, MANY);
const SOME_PATHS: Operands = Operands::Each(Kind::Path, 1, MANY);

const ROW: Row = Row {
    name: "",
    short: "",
    short_values: &[],
    long: "",
    long_values: &[],
    long_optional: &[],
    operands: NO_OPERANDS,
    attached: true,
    dash_number: false,
    flags_first: false,
};

use Kind::{ListOf, Number, Numbers, OneOf, Path, Pattern, Size, Text};

const WHEN: Kind = OneOf(&["never", "auto", "always"]);

/// Columns of `ps` that every procps knows. An unknown one makes procps read all its arguments again as BSD letters.
const PS_COLUMNS: Kind = ListOf(&[
    "%cpu", "%mem", "args", "c", "cmd", "comm", "command", "cputime", "egid", "egroup", "etime", "etimes", "euid",
    "euser", "f", "gid", "group", "lstart", "lwp", "ni", "nlwp", "pcpu", "pgid", "pid", "pmem", "ppid", "pri", "psr",
    "rss", "ruser", "s", "sid", "start", "stat", "state", "stime", "sz", "thcount", "time", "tname", "tty", "uid",
    "user", "vsz", "wchan",
]);

const JOURNAL_OUTPUT: Kind = OneOf(&[
    "short",
    "short-full",
    "short-iso",
    "short-iso-precise",
    "short-precise",
    "short-monotonic",
    "short-unix",
    "verbose",
    "json",
    "json-pretty",
    "cat",
    "with-unit",
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
        short_values: &[('s', Text)],
        long: "before regex",
        long_values: &[("separator", Text)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "nl",
        short: "p",
        short_values: &[
            ('b', Text),
            ('h', Text),
            ('f', Text),
            ('d', Text),
            ('s', Text),
            ('i', Number),
            ('l', Number),
            ('v', Number),
            ('w', Number),
            ('n', OneOf(&["ln", "rn", "rz"])),
        ],
        long_values: &[("body-numbering", Text), ("number-width", Number), ("number-separator", Text)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "head",
        short: "qvz",
        short_values: &[('n', Size), ('c', Size)],
        long: "quiet silent verbose zero-terminated",
        long_values: &[("lines", Size), ("bytes", Size)],
        operands: PATHS,
        dash_number: true,
        ..ROW
    },
    Row {
        name: "tail",
        short: "qvz",
        short_values: &[('n', Size), ('c', Size)],
        long: "quiet silent verbose zero-terminated",
        long_values: &[("lines", Size), ("bytes", Size)],
        operands: PATHS,
        dash_number: true,
        ..ROW
    },
    Row { name: "wc", short: "clLmw", long: "bytes chars lines max-line-length words", operands: PATHS, ..ROW },
    Row { name: "md5sum", short: "btz", long: "binary text tag zero", operands: PATHS, ..ROW },
    Row { name: "sha256sum", short: "btz", long: "binary text tag zero", operands: PATHS, ..ROW },
    Row {
        name: "diff",
        short: "abBcdeEinNpqrstTuwyZ",
        short_values: &[('U', Number), ('C', Number), ('W', Number), ('I', Pattern), ('x', Text)],
        long: "text brief recursive new-file ignore-case ignore-all-space ignore-space-change ignore-blank-lines minimal \
               report-identical-files side-by-side suppress-common-lines strip-trailing-cr show-c-function expand-tabs",
        long_values: &[("unified", Number), ("context", Number), ("width", Number), ("exclude", Text)],
        long_optional: &[("color", WHEN)],
        operands: Operands::Each(Path, 2, 2),
        ..ROW
    },
    Row {
        name: "file",
        short: "bhikLN0",
        long: "brief mime mime-type mime-encoding keep-going dereference no-dereference no-pad",
        operands: SOME_PATHS,
        ..ROW
    },
];

/// Programs that search, order and cut text.
const FILTERS: &[Row] = &[
    Row {
        name: "grep",
        short: "abcEFGHhiILlnoPqRrsTUvwxyzZ",
        short_values: &[('A', Number), ('B', Number), ('C', Number), ('m', Number), ('e', Pattern)],
        long: "text byte-offset count extended-regexp fixed-strings basic-regexp perl-regexp with-filename no-filename \
               ignore-case no-ignore-case files-without-match files-with-matches line-number only-matching quiet silent \
               recursive dereference-recursive no-messages initial-tab invert-match word-regexp line-regexp null null-data \
               line-buffered",
        long_values: &[
            ("after-context", Number),
            ("before-context", Number),
            ("context", Number),
            ("max-count", Number),
            ("regexp", Pattern),
            ("include", Text),
            ("exclude", Text),
            ("exclude-dir", Text),
            ("label", Text),
            ("binary-files", OneOf(&["binary", "text", "without-match"])),
            ("directories", OneOf(&["read", "recurse", "skip"])),
            ("devices", OneOf(&["read", "skip"])),
        ],
        long_optional: &[("color", WHEN), ("colour", WHEN)],
        operands: Operands::PatternThenPaths(&["-e", "--regexp"]),
        dash_number: true,
        ..ROW
    },
    Row {
        name: "rg",
        short: "0.acFHiIlnNopPqsSuUvwx",
        short_values: &[
            ('A', Number),
            ('B', Number),
            ('C', Number),
            ('m', Number),
            ('M', Number),
            ('d', Number),
            ('j', Number),
            ('e', Pattern),
            ('g', Text),
            ('t', Text),
            ('T', Text),
            ('r', Text),
        ],
        long: "text count count-matches fixed-strings with-filename no-filename ignore-case case-sensitive smart-case \
               files-with-matches files-without-match line-number no-line-number only-matching pretty quiet hidden no-ignore \
               no-ignore-vcs no-heading heading json stats files type-list invert-match word-regexp line-regexp multiline \
               multiline-dotall pcre2 null no-messages passthru trim vimgrep column no-column no-config one-file-system \
               unrestricted byte-offset crlf",
        long_values: &[
            ("after-context", Number),
            ("before-context", Number),
            ("context", Number),
            ("max-count", Number),
            ("max-columns", Number),
            ("max-depth", Number),
            ("threads", Number),
            ("regexp", Pattern),
            ("glob", Text),
            ("iglob", Text),
            ("type", Text),
            ("type-not", Text),
            ("replace", Text),
            ("max-filesize", Size),
            ("color", WHEN),
            ("sort", OneOf(&["none", "path", "modified", "accessed", "created"])),
            ("sortr", OneOf(&["none", "path", "modified", "accessed", "created"])),
        ],
        operands: Operands::PatternThenPaths(&["-e", "--regexp", "--files", "--type-list"]),
        ..ROW
    },
    Row {
        name: "sort",
        short: "bcCdfghiMmnRrsuVz",
        short_values: &[('k', Text), ('t', Text), ('S', Size)],
        long: "ignore-leading-blanks dictionary-order ignore-case general-numeric-sort human-numeric-sort ignore-nonprinting \
               month-sort numeric-sort random-sort reverse stable unique version-sort zero-terminated merge debug",
        long_values: &[("key", Text), ("field-separator", Text), ("buffer-size", Size), ("parallel", Number)],
        long_optional: &[("check", OneOf(&["quiet", "silent", "diagnose-first"]))],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "uniq",
        short: "cdDiuz",
        short_values: &[('f', Number), ('s', Number), ('w', Number)],
        long: "count repeated ignore-case unique zero-terminated",
        long_values: &[("skip-fields", Number), ("skip-chars", Number), ("check-chars", Number)],
        long_optional: &[
            ("all-repeated", OneOf(&["none", "prepend", "separate"])),
            ("group", OneOf(&["separate", "prepend", "append", "both"])),
        ],
        operands: Operands::Each(Path, 0, 1),
        flags_first: true,
        ..ROW
    },
    Row {
        name: "cut",
        short: "nsz",
        short_values: &[('b', Text), ('c', Text), ('d', Text), ('f', Text)],
        long: "complement only-delimited zero-terminated",
        long_values: &[
            ("bytes", Text),
            ("characters", Text),
            ("delimiter", Text),
            ("fields", Text),
            ("output-delimiter", Text),
        ],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "tr",
        short: "cCdst",
        long: "complement delete squeeze-repeats truncate-set1",
        operands: Operands::Each(Text, 1, 2),
        flags_first: true,
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
            ("time-style", Text),
            ("block-size", Size),
            ("hide", Text),
            ("ignore", Text),
        ],
        long_optional: &[("color", WHEN)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "tree",
        short: "aAcCdDfFghiJlnNpqQrsStuUvxX",
        short_values: &[('L', Number), ('P', Text), ('I', Text)],
        long: "noreport dirsfirst filesfirst du si prune inodes device gitignore ignore-case matchdirs",
        operands: PATHS,
        // Its own scanner takes the next word as the value and goes on reading flags in this one: `-Po x f` would write f.
        attached: false,
        ..ROW
    },
    Row {
        name: "stat",
        short: "fLt",
        short_values: &[('c', Text)],
        long: "file-system dereference terse",
        long_values: &[("format", Text), ("printf", Text)],
        operands: SOME_PATHS,
        ..ROW
    },
    Row { name: "find", operands: Operands::Find, ..ROW },
    Row {
        name: "du",
        short: "0abcDhHklLmPsSx",
        short_values: &[('d', Number), ('t', Size), ('B', Size)],
        long: "all apparent-size bytes total dereference human-readable inodes null si summarize one-file-system separate-dirs \
               count-links",
        long_values: &[("max-depth", Number), ("threshold", Size), ("block-size", Size), ("exclude", Text)],
        long_optional: &[("time", OneOf(&["atime", "access", "use", "ctime", "status"]))],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "df",
        short: "aHhiklmPT",
        short_values: &[('B', Size), ('t', Text), ('x', Text)],
        long: "all human-readable si inodes local portability print-type total no-sync",
        long_values: &[("block-size", Size), ("type", Text), ("exclude-type", Text)],
        long_optional: &[("output", Text)],
        operands: PATHS,
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
        operands: Operands::Each(Text, 1, MANY),
        ..ROW
    },
    Row { name: "dirname", short: "z", long: "zero", operands: Operands::Each(Text, 1, MANY), ..ROW },
];

/// Programs that describe the machine.
const MACHINE: &[Row] = &[
    Row {
        name: "ps",
        short: "AadfFHjlLTwy",
        short_values: &[('p', Numbers), ('o', PS_COLUMNS)],
        long: "forest no-headers headers",
        long_values: &[("pid", Numbers), ("ppid", Numbers), ("format", PS_COLUMNS)],
        long_optional: &[("sort", PS_COLUMNS)],
        operands: Operands::Each(Kind::PsWord, 0, MANY),
        ..ROW
    },
    Row { name: "uptime", short: "ps", long: "pretty since", ..ROW },
    Row {
        name: "uname",
        short: "aimnoprsv",
        long: "all kernel-name nodename kernel-release kernel-version machine processor hardware-platform operating-system",
        ..ROW
    },
    Row { name: "hostname", short: "AdfiIs", long: "all-fqdns domain fqdn ip-address all-ip-addresses short", ..ROW },
    Row {
        name: "date",
        short: "uRI",
        short_values: &[('d', Text), ('r', Path)],
        long: "utc universal rfc-email",
        long_values: &[("date", Text), ("reference", Path), ("rfc-3339", OneOf(&["date", "seconds", "ns"]))],
        long_optional: &[("iso-8601", OneOf(&["date", "hours", "minutes", "seconds", "ns"]))],
        operands: Operands::Each(Kind::DateFormat, 0, 1),
        ..ROW
    },
    Row {
        name: "id",
        short: "gGnruzZ",
        long: "group groups name real user zero context",
        operands: Operands::Each(Text, 0, MANY),
        ..ROW
    },
    Row {
        name: "who",
        short: "abdHlmpqrstTuw",
        long: "all boot dead heading login process count runlevel short time users mesg",
        ..ROW
    },
    Row { name: "pwd", short: "LP", ..ROW },
    Row { name: "nproc", long: "all", long_values: &[("ignore", Number)], ..ROW },
    Row {
        name: "free",
        short: "bghklmtvw",
        long: "bytes kilo mega giga tera kibi mebi gibi tebi human si wide total lohi",
        ..ROW
    },
    Row {
        name: "lsblk",
        short: "abdDfiJlmnOpPrsStTz",
        short_values: &[('o', Text), ('e', Numbers), ('I', Numbers), ('x', Text)],
        long: "all bytes nodeps fs ascii json list perms noheadings output-all paths pairs raw inverse scsi topology",
        long_values: &[("output", Text), ("exclude", Numbers), ("include", Numbers), ("sort", Text)],
        operands: PATHS,
        ..ROW
    },
    Row {
        name: "dmesg",
        short: "dekPrtTux",
        short_values: &[('l', Text), ('f', Text)],
        long: "show-delta reltime kernel nopager raw notime ctime userspace decode",
        long_values: &[
            ("level", Text),
            ("facility", Text),
            ("since", Text),
            ("until", Text),
            ("time-format", OneOf(&["ctime", "reltime", "delta", "notime", "iso", "raw"])),
        ],
        long_optional: &[("color", WHEN)],
        ..ROW
    },
    Row {
        name: "ss",
        short: "046aeHilmnOopsStuwxd",
        short_values: &[('f', OneOf(&["unix", "inet", "inet6", "link", "netlink", "vsock"]))],
        long: "all listening numeric options extended memory processes info summary ipv4 ipv6 packet tcp udp raw unix dccp sctp \
               oneline no-header",
        long_values: &[("family", OneOf(&["unix", "inet", "inet6", "link", "netlink", "vsock"]))],
        operands: Operands::Each(Text, 0, MANY),
        ..ROW
    },
];

/// Programs that describe services and their logs.
const SERVICES: &[Row] = &[
    Row {
        name: "journalctl",
        short: "abekNlmqrx",
        short_values: &[
            ('u', Text),
            ('n', Size),
            ('p', Text),
            ('S', Text),
            ('U', Text),
            ('o', JOURNAL_OUTPUT),
            ('g', Pattern),
            ('t', Text),
            ('F', Text),
        ],
        long: "all catalog disk-usage dmesg fields full list-boots merge no-full no-hostname no-pager no-tail pager-end quiet \
               reverse system user utc",
        long_values: &[
            ("unit", Text),
            ("user-unit", Text),
            ("lines", Size),
            ("priority", Text),
            ("since", Text),
            ("until", Text),
            ("output", JOURNAL_OUTPUT),
            ("grep", Pattern),
            ("identifier", Text),
            ("facility", Text),
            ("field", Text),
            ("output-fields", Text),
            ("case-sensitive", OneOf(&["true", "false"])),
        ],
        long_optional: &[("boot", Text)],
        operands: Operands::Each(Kind::FieldMatch, 0, MANY),
        // `-b -1`; anywhere else journalctl refuses it itself.
        dash_number: true,
        ..ROW
    },
    Row {
        name: "systemctl",
        short: "alq",
        short_values: &[('t', Text), ('n', Number), ('o', JOURNAL_OUTPUT), ('p', Text)],
        long: "all full no-pager no-legend plain failed quiet system user value recursive",
        long_values: &[
            ("type", Text),
            ("state", Text),
            ("lines", Number),
            ("output", JOURNAL_OUTPUT),
            ("property", Text),
        ],
        operands: Operands::Subcommand(&["status", "is-active", "is-enabled", "list-units", "show", "cat"]),
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
    [FILES, FILTERS, NAMES, MACHINE, SERVICES, WORDS].into_iter().flatten()
}

/// The row of a program.
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
    ("-printf", Some(Pattern)),
    ("-name", Some(Pattern)),
    ("-iname", Some(Pattern)),
    ("-path", Some(Pattern)),
    ("-ipath", Some(Pattern)),
    ("-wholename", Some(Pattern)),
    ("-lname", Some(Pattern)),
    ("-ilname", Some(Pattern)),
    ("-regex", Some(Pattern)),
    ("-iregex", Some(Pattern)),
    ("-regextype", Some(Text)),
    ("-type", Some(ListOf(&["b", "c", "d", "p", "f", "l", "s"]))),
    ("-xtype", Some(ListOf(&["b", "c", "d", "p", "f", "l", "s"]))),
    ("-size", Some(Size)),
    ("-mtime", Some(Number)),
    ("-atime", Some(Number)),
    ("-ctime", Some(Number)),
    ("-mmin", Some(Number)),
    ("-amin", Some(Number)),
    ("-cmin", Some(Number)),
    ("-inum", Some(Number)),
    ("-links", Some(Number)),
    ("-uid", Some(Number)),
    ("-gid", Some(Number)),
    ("-maxdepth", Some(Number)),
    ("-mindepth", Some(Number)),
    ("-user", Some(Text)),
    ("-group", Some(Text)),
    ("-fstype", Some(Text)),
    ("-perm", Some(Kind::Mode)),
    ("-newer", Some(Path)),
    ("-anewer", Some(Path)),
    ("-cnewer", Some(Path)),
    ("-samefile", Some(Path)),
    ("-newermt", Some(Text)),
];

/// Why the flags people reach for are absent: program, flag, reason.
pub(super) const REASONS: &[(&str, &str, &str)] = &[
    ("sort", "-o", "it writes a file"),
    ("sort", "--output", "it writes a file"),
    ("sort", "--compress-program", "it runs a program"),
    ("sort", "--files0-from", "it takes file names out of a file"),
    ("sort", "-T", "it writes temporary files where it is told"),
    ("sort", "--temporary-directory", "it writes temporary files where it is told"),
    ("tree", "-o", "it writes a file"),
    ("tree", "-R", "it writes files"),
    ("file", "-C", "it writes a compiled magic file"),
    ("file", "-m", "it reads rules out of a file"),
    ("file", "-z", "it runs decompressors"),
    ("file", "-f", "it takes file names out of a file"),
    ("rg", "--pre", "it runs a program"),
    ("rg", "--hostname-bin", "it runs a program"),
    ("rg", "-z", "it runs decompressors"),
    ("rg", "--search-zip", "it runs decompressors"),
    ("rg", "-f", "it reads patterns out of a file"),
    ("grep", "-f", "it reads patterns out of a file"),
    ("grep", "--file", "it reads patterns out of a file"),
    ("diff", "-l", "it runs a program"),
    ("tail", "-f", "it never ends"),
    ("tail", "-F", "it never ends"),
    ("tail", "--follow", "it never ends"),
    ("journalctl", "-f", "it never ends"),
    ("journalctl", "--follow", "it never ends"),
    ("journalctl", "--vacuum-size", "it deletes logs"),
    ("journalctl", "--vacuum-time", "it deletes logs"),
    ("journalctl", "--vacuum-files", "it deletes logs"),
    ("journalctl", "--cursor-file", "it writes a file"),
    ("journalctl", "--rotate", "it changes the journal"),
    ("journalctl", "--flush", "it changes the journal"),
    ("dmesg", "-c", "it clears the kernel's log"),
    ("dmesg", "-C", "it clears the kernel's log"),
    ("dmesg", "-w", "it never ends"),
    ("ss", "-K", "it closes connections"),
    ("ss", "-D", "it writes a file"),
    ("ss", "-E", "it never ends"),
    ("date", "-s", "it sets the clock"),
    ("date", "--set", "it sets the clock"),
    ("date", "-f", "it shows the lines of a file"),
    ("hostname", "-F", "it sets the name"),
    ("hostname", "-b", "it sets the name"),
    ("free", "-s", "it never ends"),
    ("ps", "-e", "on some systems it shows environments; -A means every process everywhere"),
    ("ps", "-u", "for an unknown user ps reads all its arguments again as BSD letters, of which e shows environments"),
    ("ps", "-C", "ps may read its arguments again as BSD letters, of which e shows environments"),
    ("find", "-delete", "it deletes"),
    ("find", "-exec", "it runs a program"),
    ("find", "-execdir", "it runs a program"),
    ("find", "-ok", "it runs a program"),
    ("find", "-okdir", "it runs a program"),
    ("find", "-fls", "it writes a file"),
    ("find", "-fprint", "it writes a file"),
    ("find", "-fprint0", "it writes a file"),
    ("find", "-fprintf", "it writes a file"),
    ("find", "-files0-from", "it takes file names out of a file"),
];
