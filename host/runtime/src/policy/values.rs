//! What a flag's value or an operand may look like, and what it names.
//!
//! Owns one parser for each kind of value: it gives every path that a program may take the value for, or make of it. Does not know the programs, nor
//! which paths may be read. Invariant: a kind that gives no paths takes no value of which a program could make one.

use std::borrow::Cow;

use super::table::{Kind, SETTINGS};
use super::{PathUse, regex, scripts};

/// Bytes of free text.
const LONGEST_TEXT: usize = 4096;
/// Bytes of a value that is no free text.
const LONGEST: usize = 1024;
/// `*` in one pattern: some programs try every way to divide a name among them.
const STARS: usize = 16;
/// Digits of a width or precision in a format.
const WIDTH_DIGITS: usize = 3;
/// Fields of `awk`, `sort` and `cut`, and characters of those.
pub(super) const FIELDS: u64 = 100_000;
/// `[x*N]` of `tr`.
const REPEATS: u64 = 1000;
/// How much `file` may read of a file, and how deep it looks.
const FILE_PARAMETER: u64 = 1 << 20;

/// A path that a program makes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: String,
    /// Whether `*` in it is any name.
    pub(super) is_glob: bool,
    /// What the program does there; absent: what it does with every path.
    pub(super) look: Option<PathUse>,
}

impl Kind {
    /// Whether it may be any text, so that elsewhere the word may be a flag or a file.
    pub(super) fn is_free(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Pattern
                | Self::Glob
                | Self::Name
                | Self::Separator
                | Self::Set
                | Self::NumberingStyle
                | Self::Directives
                | Self::Time
                | Self::Package
        )
    }
}

/// Every path that a value of this kind names.
///
/// # Errors
/// What is expected, if it is no such value.
pub(super) fn named(kind: Kind, value: &str) -> Result<Vec<Named>, String> {
    let longest = match kind {
        // Bounded as words are.
        Kind::Path | Kind::MountPath | Kind::AwkFile | Kind::Word => usize::MAX,
        Kind::Text | Kind::Pattern | Kind::Separator | Kind::Format | Kind::Template => LONGEST_TEXT,
        _ => LONGEST,
    };
    if value.len() > longest {
        return Err(format!("at most {longest} bytes"));
    }
    let itself = || Named { path: value.to_owned(), is_glob: false, look: None };
    match kind {
        Kind::Path => return Ok(vec![itself()]),
        Kind::MountPath if value.contains('=') => {
            return Err(
                "a path: a tag such as LABEL=x is looked up in a cache of devices, which is written anew".into()
            );
        }
        Kind::MountPath => return Ok(vec![itself()]),
        Kind::Terminal => {
            let is_terminal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
                || value.strip_prefix("pts/").is_some_and(digits)
                || value == "?"
                || value == "-";
            // procps asks what each of these is; the last is for `co`.
            let candidates = ["/dev/#", "/dev/tty#", "/dev/pts/#", "/dev/pty#", "/dev/#nsole"];
            let candidates = candidates.map(|form| form.replace('#', value));
            let told = |path| Named { path, is_glob: false, look: Some(PathUse::Tells) };
            return is_terminal
                .then(|| candidates.into_iter().map(told).collect())
                .ok_or_else(|| "a terminal such as tty1 or pts/0".into());
        }
        Kind::OneOf(known) if !known.contains(&value) => return Err(format!("one of: {}", known.join(" "))),
        Kind::ListOf(known) if !value.split(',').all(|item| is_listed(known, item)) => {
            return Err(format!("some of: {}", known.join(",")));
        }
        // Its caller holds all patterns of a stage together.
        Kind::Pattern => {}
        Kind::Separator => regex::check(&[value])?,
        Kind::SedPrint => {
            let expected = "lines to print, such as 5p, 5,10p, $p or /error/p, joined by ;";
            regex::check(&scripts::sed_print(value).ok_or(expected)?)?;
        }
        Kind::AwkPrint => {
            let expected = format!("fields to print up to {FIELDS}, such as {{print $1, $NF}}");
            regex::check(&scripts::awk_print(value).ok_or(expected)?)?;
        }
        Kind::AwkFile => {
            if value.split_once('=').is_some_and(|(name, _)| is_variable(name)) {
                return Err("a file: awk takes this for an assignment; write ./ before it".into());
            }
            if value.starts_with("/inet") {
                return Err("a file: gawk takes this for a network connection".into());
            }
            return Ok(vec![itself()]);
        }
        Kind::KernelSetting => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:*/".contains(&byte);
            let begins = value.starts_with(|first: char| first.is_ascii_alphanumeric());
            if !begins || value.contains("..") || !value.bytes().all(is_plain) {
                return Err("the name of a setting, such as net.ipv4.ip_forward: with = it would be set".into());
            }
            // A slash stands for a dot, or the other way round, or both.
            let turned = |character| match character {
                '.' => '/',
                '/' => '.',
                character => character,
            };
            let forms = [value.replace('.', "/"), value.chars().map(turned).collect(), value.to_owned()];
            let told = |path: String| Named { is_glob: path.contains('*'), path, look: None };
            return Ok(forms.iter().flat_map(|form| settings(form)).map(told).collect());
        }
        Kind::CertificateFile if value.contains(':') => {
            return Err("a file: openssl takes what has a colon for an address, such as file:/x".into());
        }
        Kind::CertificateFile => return Ok(vec![itself()]),
        Kind::DiskName => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.!".contains(&byte);
            let is_name = value.starts_with(|first: char| first.is_ascii_alphabetic()) && value.bytes().all(is_plain);
            let told = ["", "/dev/", "/sys/block/"].map(|place| Named {
                path: format!("{place}{value}"),
                is_glob: false,
                look: Some(PathUse::Tells),
            });
            return is_name.then(|| told.to_vec()).ok_or_else(|| "the name of a disk, such as sda".into());
        }
        Kind::Disk => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:+/".contains(&byte);
            let is_disk =
                value.strip_prefix("/dev/").is_some_and(|name| DISKS.iter().any(|disk| name.starts_with(disk)))
                    && !value.contains("..")
                    && value.bytes().all(is_plain);
            // What it opens of it says what it is, and nothing of what it holds.
            let told = vec![Named { path: value.to_owned(), is_glob: false, look: Some(PathUse::Tells) }];
            return is_disk.then_some(told).ok_or_else(|| "a disk, such as /dev/sda".into());
        }
        Kind::Plain => {
            fits(kind, value).map_err(Cow::into_owned)?;
            // To apt a name that holds `+` is a regular expression.
            regex::check(&[value])?;
        }
        Kind::NumberingStyle => {
            let is_style = matches!(value, "a" | "t" | "n") || value.starts_with('p');
            is_style.then_some(()).ok_or("a, t, n or pPATTERN")?;
            regex::check(&[value])?;
        }
        kind => fits(kind, value).map_err(Cow::into_owned)?,
    }
    Ok(Vec::new())
}

/// Whether a value is one of a kind that names nothing.
fn fits(kind: Kind, value: &str) -> Result<(), Cow<'static, str>> {
    let (is_good, expected): (bool, Cow<'static, str>) = match kind {
        Kind::Number(most) => {
            let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
            (up_to(digits, most), format!("a number up to {most}").into())
        }
        Kind::Between(least, most) => (
            digits(value) && value.parse().is_ok_and(|number: u64| (least..=most).contains(&number)),
            format!("a number from {least} to {most}").into(),
        ),
        Kind::Size(most) => (
            size(value, 1).is_some_and(|size| size <= most),
            format!("a number, perhaps with a unit, up to {}", in_units(most)).into(),
        ),
        Kind::Buffer(most) => (
            // A number without a unit is in KiB.
            size(value, 1024).is_some_and(|size| size <= most),
            format!("a size up to {}, in KiB without a unit", in_units(most)).into(),
        ),
        Kind::Numbers => {
            (value.split(',').all(|item| up_to(item, u64::from(u32::MAX))), "numbers separated by commas".into())
        }
        Kind::Names => (
            value.split(',').all(is_plain_field),
            "names separated by commas, none of an environment".into(),
        ),
        Kind::Columns => {
            let column = |byte: u8| byte.is_ascii_alphanumeric() || b"_:%-+,.".contains(&byte);
            (value.bytes().all(column), "names of columns separated by commas".into())
        }
        Kind::FieldMatch => {
            let field = value.split_once('=').map(|(field, _)| field).unwrap_or_default();
            let upper = !field.bytes().any(|byte| byte.is_ascii_lowercase());
            (value == "+" || upper && is_plain_field(field), "FIELD=value, where the field holds no environment".into())
        }
        Kind::Name => (
            !value.contains('/') && !value.contains(".."),
            "a name: no path, so no / and no two dots together".into(),
        ),
        Kind::Package => (!value.contains(".."), "the name of a package, or a path in one without two dots".into()),
        Kind::Glob => (
            value.matches('*').count() <= STARS,
            format!("a pattern with at most {STARS} asterisks").into(),
        ),
        Kind::Set => (is_set(value), format!("characters, ranges and classes, with repeats up to [x*{REPEATS}]").into()),
        Kind::DateFormat => (
            value.starts_with('+') && is_narrow(value),
            format!("+FORMAT with widths of at most {WIDTH_DIGITS} digits; anything else would set the clock").into(),
        ),
        Kind::TimeStyle => {
            let name = value.strip_prefix("posix-").unwrap_or(value);
            let is_known = matches!(name, "full-iso" | "long-iso" | "iso" | "locale");
            (
                is_known || value.starts_with('+') && is_narrow(value),
                "full-iso, long-iso, iso, locale or +FORMAT with narrow widths".into(),
            )
        }
        Kind::Directives => {
            (is_narrow(value), format!("a format whose widths have at most {WIDTH_DIGITS} digits").into())
        }
        Kind::Time => (
            is_time(value),
            "a time in numbers and English, such as yesterday, -2 hours, 2026-11-29 10:00 or @1764400000: no name of a \
             time zone, which would be a file, but UTC, Z and +01:00"
                .into(),
        ),
        Kind::SortKey => (is_sort_key(value), format!("a key such as 2,2n or 1.3, its fields up to {FIELDS}").into()),
        Kind::Fields => (
            value.split(',').all(is_range),
            format!("ranges such as 1,3-5,7-, separated by commas, up to {FIELDS}").into(),
        ),
        Kind::ByteFormat => (is_byte_format(value), "types such as x1, d4, c or x1z".into()),
        Kind::FileParameter => (is_file_parameter(value), format!("bytes=N and the like, N up to {FILE_PARAMETER}").into()),
        Kind::NetWord => (
            is_net_word(value) && (is_address(value) || is_interface(value)),
            format!("a keyword, an address in numbers, perhaps with /PREFIX, or {INTERFACE}").into(),
        ),
        Kind::NetValue => (is_net_word(value), "a name or a number".into()),
        Kind::PsWord => {
            let letters = value.bytes().all(|byte| b"auxwfjlrT".contains(&byte));
            let processes = value.split(',').all(|process| up_to(process, u64::from(u32::MAX)));
            (
                !value.is_empty() && (letters || processes),
                "letters of auxwfjlrT (e would show environments) or process ids".into(),
            )
        }
        Kind::JqFilter => (
            scripts::is_jq_filter(value),
            "a filter that takes values out of its input: paths, | and ,, [ ], { }, select(PATH == VALUE), keys, length and \
             the like; no variables, no environment, no further inputs; a list in brackets, as in [.x[]], where its values would be \
             multiplied: in select( ), beside others in { }, or compared with another list's"
                .into(),
        ),
        Kind::Interface => (is_interface(value), INTERFACE.into()),
        Kind::Address => {
            (value.parse::<std::net::IpAddr>().is_ok(), "an address in numbers: a name would be asked of name servers".into())
        }
        Kind::InternetFiles => (
            is_internet_files(value),
            "[46][tcp|udp][@ADDRESS][:PORTS], the address in numbers: a name would be asked of name servers".into(),
        ),
        Kind::Plain => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:+@~*,%".contains(&byte);
            (
                !value.is_empty() && !value.starts_with('-') && !value.contains("..") && value.bytes().all(is_plain),
                "a name of letters, digits and . _ : + @ ~ * , % -".into(),
            )
        }
        Kind::Mode => {
            let mode = value.strip_prefix(['-', '/', '+']).unwrap_or(value);
            let known = mode.bytes().all(|byte| byte.is_ascii_digit() || b"ugoarwxXst,=+-".contains(&byte));
            (!mode.is_empty() && known, "a mode".into())
        }
        Kind::Template => (
            is_template(value),
            "fields that are named one by one, such as {{.Names}}, {{json .Status}} or {{.Label \"com.docker.compose.project\"}}: \
             others hold labels and environments"
                .into(),
        ),
        Kind::Clock => (is_clock(value), "a time of day such as 08:15:00: any other word would be a file".into()),
        Kind::Pool => (is_pool(value), "a pool, or a dataset in it: a number would be an interval".into()),
        Kind::Format => (
            is_text_format(value),
            "a format without flags, of whose conversions there are %s, %b and %%".into(),
        ),
        // Text goes nowhere but into what is printed and compared; the others are parsed before.
        Kind::Text
        | Kind::Word
        | Kind::Path
        | Kind::MountPath
        | Kind::Terminal
        | Kind::OneOf(_)
        | Kind::ListOf(_)
        | Kind::Pattern
        | Kind::Separator
        | Kind::SedPrint
        | Kind::AwkPrint
        | Kind::AwkFile
        | Kind::KernelSetting
        | Kind::CertificateFile
        | Kind::DiskName
        | Kind::Disk
        | Kind::NumberingStyle => (true, "".into()),
    };
    if is_good { Ok(()) } else { Err(expected) }
}

/// The file of a setting, and if it could be the name of a directory, all settings below it.
fn settings(name: &str) -> Vec<String> {
    let path = format!("/proc/sys/{}", name.trim_end_matches('/'));
    let names: Vec<&str> = path.split('/').collect();
    let below = SETTINGS.iter().filter_map(|setting| {
        let parts: Vec<&str> = setting.split('/').collect();
        let rest = parts.get(names.len()..).filter(|rest| !rest.is_empty())?;
        let pairs = || names.iter().copied().zip(parts.iter().copied());
        let could_be = pairs().all(|(name, part)| name == part || part == "*" || name.contains('*'));
        let begins = pairs().map(|(name, part)| if part == "*" { name } else { part });
        could_be.then(|| begins.chain(rest.iter().copied()).collect::<Vec<_>>().join("/"))
    });
    std::iter::once(path.clone()).chain(below).collect()
}

/// Fields that docker and podman have of containers, images, volumes and what containers use, none of which holds labels or an environment.
const TEMPLATE_FIELDS: &str = "AVGCPU AvgCPU BlockIO CPU CPUPerc Command Container Containers Created CreatedAt CreatedHuman CreatedSince Digest \
                               Driver ExitCode Exited ExitedAt ID Id Image ImageID MemPerc MemUsage Name Names NetIO Networks PIDS PIDs Pod \
                               PodName Ports Reclaimable Repository Restarts RunningFor Scope SharedSize Size StartedAt State Status Tag \
                               TotalCount Active Type UniqueSize UpTime VirtualSize";

/// The beginnings of the names of labels with which compose says what belongs together.
const TEMPLATE_LABELS: [&str; 2] = ["com.docker.compose.", "io.podman.compose."];

/// Whether a template of Go only takes such fields. Without a field it could be a word that stands for all of them: `json`.
fn is_template(value: &str) -> bool {
    let mut parts = value.split("{{");
    let is_text = |text: &str| !text.contains("}}") && !text.contains(char::is_control);
    let begins = parts.next().is_some_and(is_text) && !value.starts_with('-');
    let mut fields = parts.peekable();
    let is_field =
        |part: &str| part.split_once("}}").is_some_and(|(field, text)| is_template_field(field) && is_text(text));
    begins && fields.peek().is_some() && fields.all(is_field)
}

/// `.Names`, `json .Names`, `.Label "NAME"`, `index .Labels "NAME"`, and these two in brackets behind `json`.
fn is_template_field(field: &str) -> bool {
    let is_label = |text: &str| {
        let name = text.strip_prefix(".Label ").or_else(|| text.strip_prefix("index .Labels "));
        let name = name.and_then(|name| name.strip_prefix('"')?.strip_suffix('"'));
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        name.is_some_and(|name| is_plain(name) && TEMPLATE_LABELS.iter().any(|known| name.starts_with(known)))
    };
    let is_known = |text: &str| {
        text.strip_prefix('.').is_some_and(|name| TEMPLATE_FIELDS.split_ascii_whitespace().any(|known| known == name))
    };
    let field = field.trim_matches(' ');
    let in_json = field.strip_prefix("json ").unwrap_or(field);
    let bare = in_json.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    is_known(in_json) || bare.map_or_else(|| in_json == field && is_label(field), is_label)
}

/// `hh:mm:ss`.
fn is_clock(value: &str) -> bool {
    let mut parts = value.split(':').zip([24, 60, 60]);
    value.len() == 8
        && parts
            .all(|(part, most)| part.len() == 2 && digits(part) && part.parse().is_ok_and(|number: u32| number < most))
}

/// Whether it is the name of a pool of ZFS or of what is in one, and no interval: whatever `strtod` takes is one.
fn is_pool(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@".contains(&byte);
    let is_number =
        ["inf", "nan"].iter().any(|known| value.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(known)));
    value.starts_with(|first: char| first.is_ascii_alphabetic()) && !is_number && value.bytes().all(is_plain)
}

/// Whether some awk takes it for the name of a variable, which gawk 5 takes with a name space before it: `awk::FS`.
pub(super) fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn up_to(text: &str, most: u64) -> bool {
    digits(text) && text.parse().is_ok_and(|number: u64| number <= most)
}

/// Bytes, of at most three letters behind the digits (`KiB`); `plain` is what a number without a unit counts.
fn size(value: &str, plain: u64) -> Option<u64> {
    let value = value.strip_prefix(['+', '-']).unwrap_or(value);
    let unit = value.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
    let (first, rest) = match unit.chars().next() {
        Some(first) => (Some(first), unit.get(first.len_utf8()..)?),
        None => (None, ""),
    };
    let factor = match first {
        None => plain,
        Some('c' | 'B') => 1,
        Some('w') => 2,
        Some('b') => 512,
        Some('k' | 'K') => 1 << 10,
        Some('m' | 'M') => 1 << 20,
        Some('g' | 'G') => 1 << 30,
        Some('t' | 'T') => 1 << 40,
        Some('p' | 'P') => 1 << 50,
        Some(_) => return None,
    };
    if matches!(rest, "" | "B" | "iB") { number.checked_mul(factor) } else { None }
}

/// A power of 1024 as people write it.
pub(super) fn in_units(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut number, mut unit) = (bytes, UNITS.iter());
    let mut name = unit.next();
    while number >= 1024 && number % 1024 == 0 {
        (number, name) = (number / 1024, unit.next());
    }
    format!("{number} {}", name.copied().unwrap_or_default())
}

fn is_listed(known: &[&str], item: &str) -> bool {
    let item = item.strip_prefix(['+', '-']).unwrap_or(item);
    known.contains(&item.strip_suffix('=').unwrap_or(item))
}

/// The name of a field or property that holds no environment.
fn is_plain_field(name: &str) -> bool {
    let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !name.is_empty() && named && !name.to_ascii_uppercase().contains("ENVIRON")
}

/// Whether no width is large: of `%10d`, `%-10.10s` and dpkg's `${field;10}`.
fn is_narrow(format: &str) -> bool {
    let is_short = |number: &str| {
        number.len() - number.trim_start_matches(|digit: char| digit.is_ascii_digit()).len() <= WIDTH_DIGITS
    };
    format.split(['%', ';']).skip(1).all(|directive| {
        let width = directive.trim_start_matches(|flag: char| "-+ #_^':0".contains(flag));
        let precision = width.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix('.');
        is_short(width) && precision.is_none_or(is_short)
    })
}

/// Words of a time. `m` may be a minute or a month, nobody's file either way.
const TIME_WORDS: &str = "now today yesterday tomorrow noon midnight ago last next this first second third am pm utc gmt z t \
     mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday \
     jan january feb february mar march apr april may jun june jul july aug august sep sept september oct october nov november \
     dec december s sec secs seconds m min mins minute minutes h hr hour hours d day days w week weeks fortnight fortnights \
     month months y year years ms us boot";

/// A closed grammar: numbers, their punctuation and the words above. What holds `TZ="…"`, quotes, `=`, or another word is a time in no program here.
fn is_time(value: &str) -> bool {
    /// `YYYYMMDDhhmmss`.
    const DIGITS: usize = 14;
    let is_known = |word: &str| TIME_WORDS.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(word));
    value.split(' ').filter(|token| !token.is_empty()).all(|token| {
        let words = token.split(|character: char| !character.is_ascii_alphabetic());
        let numbers = token.split(|character: char| !character.is_ascii_digit());
        let bytes = token.as_bytes();
        // A slash divides the numbers of a date and nothing else.
        let is_slash_inside = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').all(|(at, _)| {
            let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
            is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1))
        });
        token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+:/.,@".contains(&byte))
            && is_slash_inside
            && words.filter(|word| !word.is_empty()).all(is_known)
            && numbers.into_iter().all(|number| number.len() <= DIGITS)
    })
}

/// `F[.C][LETTERS][,F[.C][LETTERS]]`.
fn is_sort_key(key: &str) -> bool {
    let is_position = |position: &str| {
        let numbers = position.trim_end_matches(|letter: char| "bdfgiMhnRrV".contains(letter));
        let (field, character) = numbers.split_once('.').unwrap_or((numbers, "1"));
        up_to(field, FIELDS) && up_to(character, FIELDS)
    };
    let (start, end) = key.split_once(',').map_or((key, None), |(start, end)| (start, Some(end)));
    is_position(start) && end.is_none_or(is_position)
}

/// `N`, `N-`, `-N`, `N-M`.
fn is_range(range: &str) -> bool {
    let is_end = |end: &str| end.is_empty() || up_to(end, FIELDS);
    match range.split_once('-') {
        Some((first, last)) => (first, last) != ("", "") && is_end(first) && is_end(last),
        None => up_to(range, FIELDS),
    }
}

/// Types of `od`: `a`, `c`, `d`, `f`, `o`, `u`, `x`, with a size and perhaps `z`.
fn is_byte_format(format: &str) -> bool {
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        let sizes: &[&str] = match letter {
            'a' | 'c' => &[""],
            'd' | 'o' | 'u' | 'x' => &["16", "1", "2", "4", "8", "C", "S", "I", "L", ""],
            'f' => &["16", "4", "8", "F", "D", "L", ""],
            _ => return false,
        };
        let behind = rest.get(1..).unwrap_or_default();
        let behind = sizes.iter().find_map(|size| behind.strip_prefix(size)).unwrap_or(behind);
        rest = behind.strip_prefix('z').unwrap_or(behind);
    }
    !format.is_empty()
}

fn is_file_parameter(parameter: &str) -> bool {
    const NAMES: [&str; 9] =
        ["bytes", "elf_notes", "elf_phnum", "elf_shnum", "elf_shsize", "encoding", "indir", "name", "regex"];
    parameter.split_once('=').is_some_and(|(name, number)| NAMES.contains(&name) && up_to(number, FILE_PARAMETER))
}

/// A word of `ip`. A slash stands only before the length of an address's prefix: of a type of link it makes the name of a library.
fn is_net_word(word: &str) -> bool {
    let (name, prefix) = word.split_once('/').map_or((word, None), |(name, prefix)| (name, Some(prefix)));
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:@%-".contains(&byte));
    let is_internet = || name.parse::<std::net::IpAddr>().is_ok() || name == "default";
    is_plain && !name.contains("..") && prefix.is_none_or(|prefix| is_internet() && up_to(prefix, 128))
}

/// An address of the internet, perhaps with the length of its prefix, or of hardware. A number alone may be a module: `8390`.
fn is_address(word: &str) -> bool {
    let name = word.split_once('/').map_or(word, |(name, _)| name);
    let is_hardware = || name.split(':').count() == 6 && name.split(':').all(|byte| is_hex(byte, 2));
    name == "default" || name.parse::<std::net::IpAddr>().is_ok() || is_hardware()
}

/// How the names of disks, and of what is made of them, begin: to open another device may block, or take something away.
const DISKS: &[&str] =
    &["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "md", "dm-", "mapper/", "disk/by-", "sg", "loop", "nbd", "ada", "da"];

/// Bytes of the name of an interface of Linux.
const LONGEST_INTERFACE: usize = 15;

/// What is expected of a name that is not taken for an interface's.
const INTERFACE: &str = "the name of a network interface such as eth0, enp3s0f1, wlan0, bond0.20, br0 or veth1a2b3c: of a name that no interface has Linux \
                         loads the module of that name, if an administrator asks. `ip -s link` without a name tells of all interfaces, and \
                         /sys/class/net/NAME of each";

/// Interfaces that are known by their whole names.
const WHOLE: &str = "lo cilium_host cilium_net cilium_vxlan docker_gwbridge kube-bridge kube-ipvs0 nodelocaldns ovs-system vxlan.calico br-int br-ex br-tun";

/// What names of interfaces begin with that have a number behind it, and perhaps letters and numbers behind that: `eth0`, `tap100i0`.
const NUMBERED: &str = "eth wlan wwan usb em ib bond team br bridge vlan vxlan veth vnet vrf tap tun wg ppp dummy ifb macvlan macvtap ipvlan virbr vmbr \
                        fwbr fwpr fwln docker podman cni lxcbr lxdbr incusbr xenbr vif tailscale can flannel.";

/// The same with so many hexadecimal digits behind it, as what makes networks of containers has it.
const HEXADECIMAL: &[(&str, usize)] =
    &[("br-", 12), ("cali", 11), ("lxc", 11), ("lxc", 12), ("veth", 6), ("veth", 7), ("veth", 8), ("veth", 11)];

/// What systemd.net-naming-scheme(7) begins names with.
const PREDICTABLE: &[&str] = &["en", "wl", "ww", "ib", "sl"];

/// Modules that are called like one of these (`modinfo`, Debian's Linux 6.1).
const MODULES: &[&str] = &["br2684"];

/// Names that the kernel, systemd and what makes networks of machines and containers give to interfaces.
///
/// When an administrator asks for the flags, the index or the driver of an interface that is not there, Linux loads `netdev-NAME`, or else the module NAME, whatever that is
/// (`dev_load`, net/core/dev_ioctl.c). `ethtool` and `ip` ask so.
fn is_interface(name: &str) -> bool {
    // The kernel asks for what stands before the colon of an alias.
    let device = without_vlans(name.split_once(':').map_or(name, |(device, _)| device));
    let behind = |begins: &str| device.strip_prefix(begins);
    let is_known = || {
        WHOLE.split_ascii_whitespace().any(|whole| whole == device)
            || NUMBERED.split_ascii_whitespace().filter_map(behind).any(|rest| is_groups(rest, 0))
            || HEXADECIMAL.iter().any(|(begins, digits)| behind(begins).is_some_and(|rest| is_hex(rest, *digits)))
            || PREDICTABLE.iter().filter_map(|begins| behind(begins)).any(is_predictable)
            // Of a card and its port.
            || behind("p").is_some_and(|rest| rest.contains('p') && is_groups(rest, 0))
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    name.len() <= LONGEST_INTERFACE && name.bytes().all(is_plain) && is_known() && !MODULES.contains(&device)
}

/// The interface of which this is a VLAN: `bond0.20`, `eth0.100.5`.
fn without_vlans(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((device, vlan)) if digits(vlan) && device != "flannel" => without_vlans(device),
        _ => name,
    }
}

/// Numbers with letters between them, and perhaps so many before the first: `0`, `3s0f1`, `100i0`.
fn is_groups(text: &str, first: usize) -> bool {
    /// As in `f1np0`.
    const LETTERS: usize = 2;
    let mut runs = text.split(|character: char| character.is_ascii_digit());
    let is_run = |run: &str, most: usize| run.len() <= most && run.bytes().all(|byte| byte.is_ascii_alphabetic());
    let begins = runs.next().unwrap_or_default();
    text.ends_with(|last: char| last.is_ascii_digit()) && is_run(begins, first) && runs.all(|run| is_run(run, LETTERS))
}

/// What stands behind `en` and the like: `o1`, `s3f0np0`, `p3s0u1`, `P4p1s0`, `x` and a hardware address, `c` and a bus, and others with a number.
fn is_predictable(rest: &str) -> bool {
    let is_address = rest.strip_prefix('x').is_some_and(|address| is_hex(address, 12));
    let is_bus = |bus: &str| bus.bytes().any(|byte| byte.is_ascii_digit()) && is_hex(bus, bus.len());
    let is_known = rest.bytes().all(|byte| byte.is_ascii_digit() || b"PXbcdfinoprsuv".contains(&byte));
    let is_numbered = !rest.starts_with(|first: char| first.is_ascii_digit()) && is_groups(rest, 1);
    is_address || rest.strip_prefix('c').is_some_and(is_bus) || is_known && is_numbered
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What stands behind `lsof -i`.
fn is_internet_files(value: &str) -> bool {
    let version = value.strip_prefix(['4', '6']).unwrap_or(value);
    let is_protocol = |name: &&&str| version.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    let protocol = ["tcp", "udp"].iter().find(is_protocol).map_or(0, |name| name.len());
    let rest = version.get(protocol..).unwrap_or_default();
    let (address, ports) = match rest.strip_prefix('@') {
        None => (None, rest),
        Some(rest) if rest.starts_with('[') => match rest.split_once(']') {
            Some((address, ports)) => (address.strip_prefix('['), ports),
            None => return false,
        },
        Some(rest) => {
            let (address, ports) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            (Some(address), ports)
        }
    };
    let is_port = |port: &str| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    !value.is_empty()
        && address.is_none_or(|address| address.parse::<std::net::IpAddr>().is_ok())
        && (ports.is_empty() || ports.strip_prefix(':').is_some_and(|ports| ports.split(',').all(is_port)))
}

/// Sets of `tr`, which write their repeats out.
fn is_set(set: &str) -> bool {
    set.match_indices('*').all(|(at, _)| {
        let behind = set.get(at + 1..).unwrap_or_default();
        let end = behind.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let number = behind.strip_suffix(end).unwrap_or_default();
        number.is_empty() || !end.starts_with(']') || up_to(number, REPEATS)
    })
}

/// A format of `printf` that converts text only.
fn is_text_format(format: &str) -> bool {
    let mut characters = format.chars();
    let mut known = !format.starts_with('-');
    while let Some(character) = characters.next() {
        known &= character != '%' || characters.next().is_some_and(|letter| "sb%".contains(letter));
    }
    known
}
