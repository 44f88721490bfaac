//! Holds one stage against its row of the table.
//!
//! Owns the scanning of flags and operands: bundles are expanded, `--` ends the flags, a flag may follow an operand as GNU allows. It does
//! not know how words are quoted, nor which paths may be read: it finds them. Invariant: a word that is not positively recognised is refused.

use std::iter::Peekable;
use std::slice;

use scout_machine::RemotePath;

use super::absent::{self, VERSIONS};
use super::table::{
    ALONE, COMBINES, FIND, INTERVAL, Kind, LOOKS_NOWHERE, MANY, ONLY_TELLS, Operands, RECURSES, ROUNDS, Row, SEARCHES,
    SHOW_VALUES, SHOW_WORDS, SOCKET_STATES, SOCKET_WORDS, TAKES_PATTERNS, row_of, rows,
};
use super::values::{self, in_units};
use super::{PathCheck, PathOperand, PathUse, Refusal, Word, quoted, regex};

/// Whether a stage is one that the table allows, seen from this directory, and every path of it is held to be good.
pub(super) fn check(words: &[Word], directory: Option<&RemotePath>, held: &PathCheck<'_>) -> Result<(), Refusal> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Refusal { what: quoted(""), why: "a stage without a program".into(), instead: Some(programs()) });
    };
    let name = match program {
        Word::Literal(name) => name,
        Word::Glob(glob) => {
            return Err(Refusal {
                what: quoted(glob),
                why: "the name of a program is a literal word, never a glob".into(),
                instead: Some(programs()),
            });
        }
    };
    let is_version = |(names, flags): &(&str, &str)| {
        lists(names, name) && matches!(arguments, [Word::Literal(flag)] if lists(flags, flag))
    };
    if VERSIONS.iter().any(is_version) {
        return Ok(());
    }
    if let [Word::Literal(flag)] = arguments
        && ALONE.contains(&flag.as_str())
        && rows().any(|row| row.program() == name)
    {
        return Ok(());
    }
    let Some((row, arguments)) = row_of(words) else {
        return Err(absent(name, arguments));
    };
    let look = match row.name {
        name if lists(ONLY_TELLS, name) => PathUse::Tells,
        name if lists(SEARCHES, name) => PathUse::Searches,
        _ => PathUse::Opens,
    };
    let stage = Stage { row, directory, held, look };
    match row.operands {
        Operands::Words(first) => stage.words(arguments, first),
        Operands::Find => stage.find(arguments),
        _ => stage.scan(arguments),
    }
}

/// Why a program has no row, or none for what it is to do, as far as it is known.
fn absent(name: &str, arguments: &[Word]) -> Refusal {
    let first = arguments.first().map(Word::text).unwrap_or_default();
    let choices: Vec<_> = rows().filter(|row| row.program() == name).map(|row| row.name).collect();
    let (why, instead) = match absent::known(name, first) {
        Some((why, instead)) => {
            (format!("not one of the programs this host runs: {why}"), format!("{instead}; {}", programs()))
        }
        None if !choices.is_empty() => {
            (format!("{name} is allowed only with some of its commands"), format!("one of: `{}`", choices.join("`, `")))
        }
        None if name.contains('/') => ("programs are named without a path".into(), programs()),
        None => ("not one of the programs this host runs".into(), programs()),
    };
    let what = if choices.is_empty() { quoted(name) } else { quoted(&format!("{name} {first}")) };
    Refusal { what, why, instead: Some(instead) }
}

fn programs() -> String {
    let mut names: Vec<_> = rows().map(Row::program).collect();
    names.sort_unstable();
    names.dedup();
    format!("one of: {}", names.join(" "))
}

struct Stage<'a> {
    row: &'static Row,
    directory: Option<&'a RemotePath>,
    held: &'a PathCheck<'a>,
    look: PathUse,
}

/// What the flags were, and what remains.
#[derive(Default)]
struct Scanned<'a> {
    flags: Vec<String>,
    operands: Vec<&'a Word>,
    /// A flag whose value stands in the next word, where some systems do not look for it.
    detached: Option<String>,
    /// Regular expressions: together they are one to some programs.
    patterns: Vec<&'a str>,
}

impl<'a> Scanned<'a> {
    /// Takes note of the value of a flag.
    fn given(&mut self, kind: Kind, value: &'a str) {
        if matches!(kind, Kind::Pattern) {
            self.patterns.push(value);
        }
    }

    fn detach(&mut self, row: &Row, flag: &str) {
        if lists(row.same_word, flag) {
            self.detached = Some(flag.to_owned());
        }
    }
}

impl Stage<'_> {
    fn refuse(&self, word: &str, why: impl Into<String>) -> Refusal {
        Refusal { what: quoted(word), why: why.into(), instead: Some(usage(self.row)) }
    }

    fn unlisted(&self, word: &str, flag: &str) -> Refusal {
        let name = self.row.name;
        if ALONE.contains(&flag) {
            return self.refuse(word, format!("{flag} of {name} stands alone"));
        }
        match self.row.refused.iter().find(|(flags, _)| lists(flags, flag)) {
            Some((_, reason)) => self.refuse(word, format!("{flag} of {name} is not allowed: {reason}")),
            None if lists(self.row.unused, flag) => {
                self.refuse(word, format!("{flag} of {name} is not allowed: nobody has needed it so far"))
            }
            None => self.refuse(word, format!("{} is not among what {name} may be given here", quoted(flag))),
        }
    }

    /// A path that a program is given, and those that it makes of it.
    fn path(&self, path: &[u8], is_glob: bool) -> Result<(), Refusal> {
        self.look_at(path, is_glob, self.look)?;
        for suffix in self.row.suffixes {
            self.look_at(&[path, suffix.as_bytes()].concat(), is_glob, self.look)?;
        }
        Ok(())
    }

    fn look_at(&self, path: &[u8], is_glob: bool, look: PathUse) -> Result<(), Refusal> {
        (self.held)(PathOperand { directory: self.directory, path, is_glob, look })
    }

    /// The directory that a program looks at when it is given no path.
    fn own_directory(&self, flags: &[String]) -> Result<(), Refusal> {
        let recurses = flags.iter().any(|flag| lists(RECURSES, flag));
        if lists(LOOKS_NOWHERE, self.row.name) && !recurses { Ok(()) } else { self.path(b".", false) }
    }

    /// The files that a program looks for in the one operand if the other is a file.
    fn combined(&self, operands: &[&Word]) -> Result<(), Refusal> {
        let [first, second] = operands else { return Ok(()) };
        for (directory, file) in [(first, second), (second, first)] {
            let names = file.text().rsplit('/').find(|name| !name.is_empty());
            let name = names.unwrap_or_default();
            self.path(format!("{}/{name}", directory.text()).as_bytes(), false)?;
        }
        Ok(())
    }

    fn words(&self, arguments: &[Word], first: Option<Kind>) -> Result<(), Refusal> {
        if let Some(kind) = first {
            let word = arguments.first().ok_or_else(|| self.refuse(self.row.name, "its first operand is missing"))?;
            self.operand(word, kind, false)?;
        }
        arguments.iter().try_for_each(|word| self.operand(word, Kind::Word, false))
    }

    fn scan(&self, arguments: &[Word]) -> Result<(), Refusal> {
        let mut scanned = Scanned::default();
        let mut rest = arguments.iter().peekable();
        let mut ended = false;
        while let Some(word) = rest.next() {
            let text = match word {
                Word::Literal(text) if !ended && lists(self.row.whole, text) => text,
                Word::Glob(text) | Word::Literal(text) if self.row.plus_flags && !ended && text.starts_with('+') => {
                    let flag = text.get(..2).unwrap_or(text);
                    let mut left_out = self.row.refused.iter().map(|(flags, _)| *flags).chain([self.row.unused]);
                    if left_out.any(|flags| lists(flags, flag)) {
                        return Err(self.unlisted(text, flag));
                    }
                    return Err(self.refuse(
                        text,
                        "an operand that begins with + may be taken for flags; write -- or ./ before it",
                    ));
                }
                Word::Glob(glob) if !ended && glob.starts_with('-') => {
                    return Err(
                        self.refuse(glob, "a glob that begins with - could expand to a flag; write ./ before it")
                    );
                }
                Word::Literal(text) if !ended && text.len() > 1 && text.starts_with('-') => text,
                _ => {
                    scanned.operands.push(word);
                    continue;
                }
            };
            if self.row.flags_first && !scanned.operands.is_empty() {
                return Err(
                    self.refuse(text, "flags stand before the operands: some systems take it for an operand here")
                );
            }
            if text == "--" {
                ended = true;
            } else if lists(self.row.whole, text) {
                scanned.flags.push(text.clone());
            } else if let Some((_, kind)) = self.row.whole_values.iter().find(|(flag, _)| flag == text) {
                let value = self.next_value(text, rest.next(), *kind, !scanned.operands.is_empty())?;
                scanned.given(*kind, value);
                scanned.flags.push(text.clone());
            } else if let Some(long) = text.strip_prefix("--") {
                self.long(text, long, &mut rest, &mut scanned)?;
            } else {
                self.bundle(text, &mut rest, &mut scanned)?;
            }
        }
        let recurses = scanned.flags.iter().any(|flag| lists(RECURSES, flag)) && self.look == PathUse::Opens;
        Stage { look: if recurses { PathUse::Searches } else { self.look }, ..*self }.operands(&scanned)?;
        self.unnamed(&scanned)
    }

    /// What the program opens without being told its name.
    fn unnamed(&self, scanned: &Scanned<'_>) -> Result<(), Refusal> {
        let first = scanned.operands.first().map(|word| word.text());
        let given = |by: &str| scanned.flags.iter().map(String::as_str).chain(first).any(|word| lists(by, word));
        let paths = self.row.reads.iter().filter(|(by, _)| by.is_empty() || given(by)).flat_map(|(_, paths)| *paths);
        paths.into_iter().try_for_each(|path| {
            let (directory, path) = match path.strip_prefix("~/") {
                Some(below_home) => (None, below_home),
                None => (self.directory, *path),
            };
            let operand =
                PathOperand { directory, path: path.as_bytes(), is_glob: path.contains('*'), look: PathUse::Opens };
            (self.held)(operand).map_err(|refusal| Refusal {
                why: format!("{}; {} opens it without being told its name", refusal.why, self.row.name),
                ..refusal
            })
        })
    }

    fn long<'a>(
        &self,
        word: &str,
        long: &'a str,
        rest: &mut impl Iterator<Item = &'a Word>,
        scanned: &mut Scanned<'a>,
    ) -> Result<(), Refusal> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let flag = format!("--{name}");
        let kind = |values: &[(&str, Kind)]| values.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let seen = !scanned.operands.is_empty();
        if let Some(kind) = kind(self.row.long_values) {
            match attached {
                Some(value) => {
                    self.value(word, value, kind, seen)?;
                    scanned.given(kind, value);
                }
                None => {
                    let value = self.next_value(word, rest.next(), kind, seen)?;
                    scanned.given(kind, value);
                    scanned.detach(self.row, &flag);
                }
            }
        } else if let Some(kind) = kind(self.row.long_optional) {
            if let Some(value) = attached {
                self.value(word, value, kind, seen)?;
            }
        } else if !lists(self.row.long, name) {
            return Err(self.unlisted(word, &flag));
        } else if attached.is_some() {
            return Err(self.refuse(word, format!("{flag} takes no value")));
        }
        scanned.flags.push(flag);
        Ok(())
    }

    fn bundle<'a>(
        &self,
        word: &'a str,
        rest: &mut Peekable<slice::Iter<'a, Word>>,
        scanned: &mut Scanned<'a>,
    ) -> Result<(), Refusal> {
        let letters = word.trim_start_matches('-');
        if let Some(kind) = self.row.dash_number.filter(|_| letters.bytes().all(|byte| byte.is_ascii_digit())) {
            return self.kind(word, letters, kind);
        }
        let seen = !scanned.operands.is_empty();
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let flag = format!("-{letter}");
            let kind = self.row.short_values.iter().find(|(known, _)| *known == letter).map(|(_, kind)| *kind);
            if let Some(kind) = kind {
                match letters.as_str() {
                    "" => {
                        let value = self.next_value(word, rest.next(), kind, seen)?;
                        scanned.given(kind, value);
                        scanned.detach(self.row, &flag);
                    }
                    _ if !self.row.attached => {
                        return Err(self.refuse(word, format!("the value of {flag} stands in the next word")));
                    }
                    value => {
                        self.value(word, value, kind, seen)?;
                        scanned.given(kind, value);
                    }
                }
                scanned.flags.push(flag);
                return Ok(());
            }
            if let Some((_, kind)) = self.row.short_optional.iter().find(|(known, _)| *known == letter) {
                if !letters.as_str().is_empty() {
                    self.value(word, letters.as_str(), *kind, seen)?;
                }
                scanned.flags.push(flag);
                return Ok(());
            }
            if let Some((_, kind)) = self.row.short_next.iter().find(|(known, _)| *known == letter) {
                let attached = letters.as_str();
                let is_value = |word: &&Word| !word.text().starts_with(['-', '+']);
                if !attached.is_empty() {
                    self.value(word, attached, *kind, seen)?;
                } else if let Some(next) = rest.next_if(is_value) {
                    self.next_value(word, Some(next), *kind, seen)?;
                }
                scanned.flags.push(flag);
                return Ok(());
            }
            if !self.row.short.contains(letter) {
                // Where flags are whole words, the word is the flag.
                let is_whole = !self.row.whole.is_empty() || !self.row.whole_values.is_empty();
                return Err(self.unlisted(word, if is_whole { word } else { &flag }));
            }
            scanned.flags.push(flag);
        }
        Ok(())
    }

    fn next_value<'a>(&self, flag: &str, word: Option<&'a Word>, kind: Kind, seen: bool) -> Result<&'a str, Refusal> {
        match word {
            None => Err(self.refuse(flag, "its value is missing")),
            Some(Word::Glob(glob)) => Err(self.refuse(glob, "a glob stands only where a path operand is expected")),
            Some(Word::Literal(value)) => {
                let may_be_a_flag = kind.is_free() && !matches!(kind, Kind::Pattern)
                    || matches!(kind, Kind::Path | Kind::CertificateFile);
                if may_be_a_flag && value.len() > 1 && value.starts_with('-') {
                    return Err(self.refuse(
                        value,
                        format!(
                            "the value of {flag} begins with - and would be a flag elsewhere; attach it to the flag"
                        ),
                    ));
                }
                self.value(value, value, kind, seen)?;
                Ok(value)
            }
        }
    }

    /// `operands_seen`: a system whose getopt stops at the first operand takes free text for a path from there on.
    fn value(&self, word: &str, value: &str, kind: Kind, operands_seen: bool) -> Result<(), Refusal> {
        if operands_seen && kind.is_free() {
            self.path(value.as_bytes(), false)?;
        }
        self.kind(word, value, kind)
    }

    fn kind(&self, word: &str, value: &str, kind: Kind) -> Result<(), Refusal> {
        let named = values::named(kind, value).map_err(|expected| self.refuse(word, format!("expected {expected}")))?;
        named.iter().try_for_each(|named| match named.look {
            Some(look) => self.look_at(named.path.as_bytes(), named.is_glob, look),
            None => self.path(named.path.as_bytes(), named.is_glob),
        })
    }

    /// Together, unless they are plain text.
    fn patterns(&self, patterns: &[&str], is_plain: bool) -> Result<(), Refusal> {
        if is_plain {
            return Ok(());
        }
        regex::check(patterns).map_err(|expected| {
            self.refuse(patterns.first().copied().unwrap_or_default(), format!("expected {expected}"))
        })
    }

    fn operands(&self, scanned: &Scanned<'_>) -> Result<(), Refusal> {
        let row = self.row;
        let given = |flags: &str| scanned.flags.iter().any(|flag| lists(flags, flag));
        if let Some(missing) = row.needs.iter().find(|flags| !given(flags)) {
            return Err(self.refuse(row.name, format!("without {} it is not allowed", missing.replace(' ', " or "))));
        }
        if let Some((flag, others)) = row.asks.iter().find(|(flag, others)| given(flag) && !given(others)) {
            return Err(self.refuse(flag, format!("beside it, expected one of: {others}")));
        }
        if let Some((flag, others)) = row.beside.filter(|(flag, _)| given(flag)) {
            let stranger = scanned.flags.iter().find(|other| *other != flag && !lists(others, other));
            let stranger = stranger.map(String::as_str).or(scanned.operands.first().map(|word| word.text()));
            if let Some(stranger) = stranger {
                return Err(self.refuse(
                    stranger,
                    format!("{flag} of {} takes no operands beside it, and only these flags: {others}", row.name),
                ));
            }
        }
        // Elsewhere -F is another flag.
        let is_plain = (lists("grep rg", row.name) && given("-F --fixed-strings") || row.name == "fgrep")
            && !given("-E -G -P --extended-regexp --basic-regexp --perl-regexp --pcre2");
        let mut patterns = scanned.patterns.clone();
        let mut operands = scanned.operands.iter().copied();
        match self.row.operands {
            Operands::Each(kind, min, max) => {
                if let Some(extra) = scanned.operands.get(max) {
                    let why = match max {
                        0 => format!("{} takes no operands here", self.row.name),
                        _ => format!("{} takes at most {max} operands here", self.row.name),
                    };
                    return Err(self.refuse(extra.text(), why));
                }
                if scanned.operands.len() < min {
                    return Err(self.refuse(self.row.name, format!("expected at least {min} operands")));
                }
                if scanned.operands.is_empty() && matches!(kind, Kind::Path) {
                    self.own_directory(&scanned.flags)?;
                }
                let are_patterns = matches!(kind, Kind::Pattern) || lists(TAKES_PATTERNS, row.name);
                patterns.extend(operands.clone().filter(|_| are_patterns).map(Word::text));
                self.patterns(&patterns, is_plain)?;
                operands.try_for_each(|word| self.operand(word, kind, max == MANY))?;
                if lists(COMBINES, row.name) { self.combined(&scanned.operands) } else { Ok(()) }
            }
            Operands::FirstThenPaths(kind, given_by) => {
                if !scanned.flags.iter().any(|flag| given_by.contains(&flag.as_str())) {
                    match operands.next() {
                        None => {
                            return Err(self.refuse(row.name, format!("its first operand is missing: {}", label(kind))));
                        }
                        Some(word) => {
                            self.operand(word, kind, false)?;
                            patterns.extend(matches!(kind, Kind::Pattern).then_some(word.text()));
                            if let Some(flag) = &scanned.detached {
                                self.path(word.text().as_bytes(), false).map_err(|refusal| Refusal {
                                    why: format!(
                                        "{}; without its value attached to {flag}, some systems take this word for a file",
                                        refusal.why
                                    ),
                                    ..refusal
                                })?;
                            }
                        }
                    }
                }
                self.patterns(&patterns, is_plain)?;
                if operands.len() == 0 {
                    self.own_directory(&scanned.flags)?;
                }
                operands.try_for_each(|word| self.operand(word, Kind::Path, true))
            }
            Operands::FirstThen(first, kind) => {
                let word = operands.next();
                let word = word
                    .ok_or_else(|| self.refuse(row.name, format!("its first operand is missing: {}", label(first))))?;
                self.operand(word, first, false)?;
                operands.try_for_each(|word| self.operand(word, kind, true))
            }
            Operands::Rounds(kind) => self.rounds(&scanned.operands, kind),
            Operands::Subcommand(known) => {
                if let Some(word) = operands.next() {
                    self.operand(word, Kind::OneOf(known), false)?;
                    let asked = row.asks.iter().find(|(subcommand, _)| *subcommand == word.text());
                    if let Some((subcommand, flags)) = asked.filter(|(_, flags)| !given(flags)) {
                        return Err(self.refuse(subcommand, format!("beside it, expected one of: {flags}")));
                    }
                }
                operands.try_for_each(|word| self.operand(word, Kind::Name, false))
            }
            Operands::SocketFilter => self.socket_filter(operands),
            Operands::Show(objects, verbs) => {
                for known in [objects, verbs] {
                    if let Some(word) = operands.next() {
                        self.operand(word, Kind::OneOf(known), false)?;
                    }
                }
                self.shown(operands)
            }
            // They have no flags to scan and are handled before.
            Operands::Words(_) | Operands::Find => Ok(()),
        }
    }

    /// Numbers come last.
    fn rounds(&self, operands: &[&Word], kind: Option<Kind>) -> Result<(), Refusal> {
        let is_number = |word: &&Word| word.text().bytes().all(|byte| byte.is_ascii_digit());
        let (names, numbers) = operands.split_at(operands.iter().position(is_number).unwrap_or(operands.len()));
        for name in names {
            let kind =
                kind.ok_or_else(|| self.refuse(name.text(), format!("{} takes numbers alone here", self.row.name)))?;
            self.operand(name, kind, false)?;
        }
        match numbers {
            [] => Ok(()),
            [interval, count] => {
                self.operand(interval, INTERVAL, false)?;
                self.operand(count, ROUNDS, false)
            }
            [interval] => {
                let why = "an interval without a count never ends; write the count behind it, as in `1 5`";
                Err(self.refuse(interval.text(), why))
            }
            [_, _, extra, ..] => Err(self.refuse(extra.text(), "expected an interval and a count at the end")),
        }
    }

    /// Whatever is not known to be something else is the name of an interface to `ip`.
    fn shown<'a>(&self, mut words: impl Iterator<Item = &'a Word>) -> Result<(), Refusal> {
        while let Some(word) = words.next() {
            if lists(SHOW_VALUES, word.text()) {
                if let Some(value) = words.next() {
                    self.operand(value, Kind::NetValue, false)?;
                }
            } else if !lists(SHOW_WORDS, word.text()) {
                self.operand(word, Kind::NetWord, false)?;
            }
        }
        Ok(())
    }

    /// States come first, each a word of its own; ss divides what follows at blanks.
    fn socket_filter<'a>(&self, operands: impl Iterator<Item = &'a Word>) -> Result<(), Refusal> {
        let mut operands = operands.peekable();
        while operands.next_if(|word| matches!(word.text(), "state" | "exclude")).is_some() {
            let state = operands.next().ok_or_else(|| self.refuse("state", "its value is missing"))?;
            self.operand(state, Kind::OneOf(SOCKET_STATES), false)?;
        }
        for word in operands {
            let Word::Literal(text) = word else {
                let why = "a glob stands only where a path is expected; quote what is meant as it is written";
                return Err(self.refuse(word.text(), why));
            };
            if let Some(token) = text.split([' ', '\t']).find(|token| !is_socket_token(token)) {
                let why = "expected src, dst, sport or dport, a comparison, an address in numbers (IPv6 in brackets), or a port in numbers such as :443";
                return Err(self.refuse(token, why));
            }
        }
        Ok(())
    }

    fn operand(&self, word: &Word, kind: Kind, globs: bool) -> Result<(), Refusal> {
        match (word, kind) {
            (Word::Literal(text), _) => self.kind(text, text, kind),
            // The shell tries every way to divide a name among its asterisks.
            (Word::Glob(glob), Kind::Path | Kind::AwkFile) if globs => {
                self.kind(glob, glob, Kind::Glob)?;
                if matches!(kind, Kind::AwkFile) {
                    self.kind(glob, glob, kind)?;
                    // One that begins with a wildcard gets ./ before it.
                    let begins = glob.split(['*', '?', '[']).next().unwrap_or_default();
                    if !begins.is_empty() && values::is_variable(begins) {
                        let why = "a file that it matches may have a name that awk takes for an assignment; write ./ before it";
                        return Err(self.refuse(glob, why));
                    }
                }
                self.path(glob.as_bytes(), true)
            }
            (Word::Glob(glob), Kind::Path) => {
                Err(self
                    .refuse(glob, format!("a glob may expand to more operands than {} may be given", self.row.name)))
            }
            (Word::Glob(glob), _) => Err(self.refuse(glob, "a glob stands only where a path is expected")),
        }
    }

    fn find(&self, arguments: &[Word]) -> Result<(), Refusal> {
        let mut rest = arguments.iter().peekable();
        while rest
            .next_if(|word| matches!(word, Word::Literal(text) if ["-H", "-L", "-P"].contains(&text.as_str())))
            .is_some()
        {}
        let mut starts = 0_usize;
        while let Some(word) = rest.next_if(|word| !word.text().starts_with(['-', '!', '(', ')', ','])) {
            self.operand(word, Kind::Path, true)?;
            starts += 1;
        }
        if starts == 0 {
            self.own_directory(&[])?;
        }
        let mut open = 0_usize;
        let mut patterns = Vec::new();
        while let Some(word) = rest.next() {
            let Word::Literal(primary) = word else {
                return Err(
                    self.refuse(word.text(), "a glob stands only among the starting points; quote it as a literal")
                );
            };
            match primary.as_str() {
                "(" => open += 1,
                ")" => {
                    open =
                        open.checked_sub(1).ok_or_else(|| self.refuse(primary, "closes a bracket that is not open"))?;
                }
                _ => match FIND.iter().find(|(known, _)| known == primary) {
                    None => return Err(self.unlisted(primary, primary)),
                    Some((_, None)) => {}
                    Some((_, Some(kind))) => match rest.next() {
                        None => return Err(self.refuse(primary, "its value is missing")),
                        Some(Word::Glob(glob)) => {
                            return Err(self.refuse(glob, "find matches patterns itself: give a literal word"));
                        }
                        Some(Word::Literal(value)) => {
                            self.kind(value, value, *kind)?;
                            patterns.extend(matches!(kind, Kind::Pattern).then_some(value.as_str()));
                        }
                    },
                },
            }
        }
        if open > 0 {
            return Err(self.refuse("(", "a bracket is not closed"));
        }
        self.patterns(&patterns, false)
    }
}

/// Whether words separated by spaces hold this one.
fn lists(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

/// A word of an expression of `ss`, or an address that it need not ask anybody for: it takes every other word for the name of a host.
/// A port is a number: of a name it asks with some flags (`-0`, `-f link`) whether an interface has it, and Linux loads a module of that
/// name for an administrator.
fn is_socket_token(token: &str) -> bool {
    let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok();
    let (address, port) = match token.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address, port),
            None => return false,
        },
        None => token.split_at(token.find(':').unwrap_or(token.len())),
    };
    let (host, prefix) = address.split_once('/').map_or((address, None), |(host, prefix)| (host, Some(prefix)));
    let is_address = if token.starts_with('[') {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        host.parse::<std::net::Ipv4Addr>().is_ok() || prefix.is_none() && matches!(host, "" | "*")
    };
    let is_endpoint = is_address
        && prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok())
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    is_endpoint || lists(SOCKET_WORDS, token) || token.is_empty() || token.parse::<u16>().is_ok()
}

/// Everything that a program may be given.
fn usage(row: &Row) -> String {
    let mut parts = vec![row.name.to_owned()];
    if !row.short.is_empty() {
        parts.push(format!("-{}", row.short));
    }
    parts.extend(row.short_values.iter().map(|(flag, kind)| format!("-{flag} {}", label(*kind))));
    parts.extend(row.short_optional.iter().map(|(flag, kind)| format!("-{flag}[{}]", label(*kind))));
    parts.extend(row.short_next.iter().map(|(flag, kind)| format!("-{flag} [{}]", label(*kind))));
    parts.extend(row.whole.split_ascii_whitespace().map(str::to_owned));
    parts.extend(row.whole_values.iter().map(|(flag, kind)| format!("{flag} {}", label(*kind))));
    parts.extend(row.long.split_ascii_whitespace().map(|flag| format!("--{flag}")));
    parts.extend(row.long_values.iter().map(|(flag, kind)| format!("--{flag}={}", label(*kind))));
    parts.extend(row.long_optional.iter().map(|(flag, kind)| format!("--{flag}[={}]", label(*kind))));
    match row.operands {
        Operands::Each(_, _, 0) => {}
        Operands::Each(kind, _, MANY) => parts.push(format!("{}...", label(kind))),
        Operands::Each(kind, _, max) => parts.extend((0..max).map(|_| label(kind))),
        Operands::FirstThenPaths(kind, _) => parts.push(format!("{} PATH...", label(kind))),
        Operands::FirstThen(first, kind) => parts.push(format!("{} {}...", label(first), label(kind))),
        Operands::Rounds(None) => parts.push("[INTERVAL COUNT]".into()),
        Operands::Rounds(Some(kind)) => parts.push(format!("[{}...] [INTERVAL COUNT]", label(kind))),
        Operands::Subcommand(known) => parts.push(format!("{} NAME...", known.join("|"))),
        Operands::SocketFilter => parts.push("[state STATE]... [FILTER]".into()),
        Operands::Show(objects, verbs) => {
            parts.push(format!("{} [{} [INTERFACE|ADDRESS|KEYWORD...]]", objects.join("|"), verbs.join("|")));
        }
        Operands::Words(_) => parts.push("WORD...".into()),
        Operands::Find => {
            parts.push("[-H|-L|-P] PATH... ( )".into());
            parts.extend(FIND.iter().map(|(primary, kind)| match kind {
                Some(kind) => format!("{primary} {}", label(*kind)),
                None => (*primary).to_owned(),
            }));
        }
    }
    if row.note.is_empty() {
        format!("allowed: {}", parts.join(" "))
    } else {
        format!("allowed: {}. {}", parts.join(" "), row.note)
    }
}

fn label(kind: Kind) -> String {
    let label = match kind {
        Kind::Number(most) if most == u64::MAX => "NUMBER",
        Kind::Number(most) => return format!("NUMBER(up to {most})"),
        Kind::Between(least, most) => return format!("NUMBER({least}-{most})"),
        Kind::Size(most) => return format!("SIZE(up to {})", in_units(most)),
        Kind::Buffer(most) => return format!("BUFFER(up to {})", in_units(most)),
        Kind::Numbers => "NUMBERS",
        Kind::Text => "TEXT",
        Kind::Word => "WORD",
        Kind::Pattern => "PATTERN",
        Kind::Separator => "SEPARATOR",
        Kind::Glob => "GLOB",
        Kind::Name => "NAME",
        Kind::Package => "PACKAGE",
        Kind::Terminal => "TERMINAL",
        Kind::Path => "PATH",
        Kind::OneOf(_) => "ONE",
        Kind::ListOf(_) => "LIST",
        Kind::MountPath => "MOUNT",
        Kind::Names => "FIELD,...",
        Kind::Columns => "COLUMN,...",
        Kind::FieldMatch => "FIELD=value",
        Kind::Time => "TIME",
        Kind::DateFormat => "+FORMAT",
        Kind::TimeStyle => "TIMESTYLE",
        Kind::Directives => "FORMAT",
        Kind::NumberingStyle => "a|t|n|pPATTERN",
        Kind::SortKey => "KEY",
        Kind::Fields => "RANGES",
        Kind::Set => "SET",
        Kind::ByteFormat => "BYTETYPE",
        Kind::FileParameter => "bytes=N",
        Kind::NetWord => "INTERFACE|ADDRESS",
        Kind::NetValue => "NAME",
        Kind::PsWord => "auxwfjlrT|PID",
        Kind::Mode => "MODE",
        Kind::Format => "%FORMAT",
        Kind::SedPrint => "N[,N]p|/PATTERN/p",
        Kind::AwkPrint => "{print $N, ...}",
        Kind::AwkFile => "PATH",
        Kind::JqFilter => "FILTER",
        Kind::Interface => "INTERFACE",
        Kind::Address => "ADDRESS",
        Kind::InternetFiles => "[46][tcp|udp][@ADDRESS][:PORTS]",
        Kind::Plain => "NAME",
        Kind::KernelSetting => "SETTING",
        Kind::CertificateFile => "PATH",
        Kind::DiskName => "DISK",
        Kind::Disk => "/dev/DISK",
        Kind::Template => "{{.FIELD}}...",
        Kind::Clock => "hh:mm:ss",
        Kind::Pool => "POOL",
    };
    label.to_owned()
}

/// The label, or the words themselves where they are few.
#[cfg(test)]
fn kind_in_full(kind: Kind) -> String {
    match kind {
        Kind::OneOf(known) => known.join("|"),
        Kind::ListOf(known) => format!("LIST of {}", known.join(",")),
        Kind::Path => "FILE".into(),
        kind => label(kind),
    }
}

#[cfg(test)]
#[path = "document.rs"]
mod document;
