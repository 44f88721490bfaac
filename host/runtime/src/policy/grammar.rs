//! Holds one stage against its row of the table.
//!
//! Owns the scanning of flags and operands: bundles are expanded, `--` ends the flags, a flag may follow an operand as GNU allows. It does
//! not know how words are quoted. Invariant: a word that is not positively recognised is refused.

use super::secret;
use super::table::{FIND, Kind, MANY, Operands, REASONS, Row, row, rows};
use super::{Refusal, Word, quoted};

/// Whether a stage is one that the table allows, seen from this directory.
pub(super) fn check(words: &[Word], directory: Option<&[u8]>) -> Result<(), Refusal> {
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
    let Some(row) = row(name) else {
        let why = if name.contains('/') {
            "programs are named without a path"
        } else {
            "not one of the programs this host runs"
        };
        return Err(Refusal { what: quoted(name), why: why.into(), instead: Some(programs()) });
    };
    let stage = Stage { row, directory };
    match row.operands {
        Operands::Words(first) => stage.words(arguments, first),
        Operands::Find => stage.find(arguments),
        _ => stage.scan(arguments),
    }
}

fn programs() -> String {
    let mut names: Vec<_> = rows().map(|row| row.name).collect();
    names.sort_unstable();
    format!("one of: {}", names.join(" "))
}

struct Stage<'a> {
    row: &'static Row,
    directory: Option<&'a [u8]>,
}

/// What the flags were, and what remains.
#[derive(Default)]
struct Scanned<'a> {
    flags: Vec<String>,
    operands: Vec<&'a Word>,
}

impl Stage<'_> {
    fn refuse(&self, word: &str, why: impl Into<String>) -> Refusal {
        Refusal { what: quoted(word), why: why.into(), instead: Some(usage(self.row)) }
    }

    fn unlisted(&self, word: &str, flag: &str) -> Refusal {
        let known = REASONS.iter().find(|(program, named, _)| *program == self.row.name && *named == flag);
        match known {
            Some((program, _, reason)) => self.refuse(word, format!("{flag} of {program} is not allowed: {reason}")),
            None => {
                self.refuse(word, format!("{} is not among what {} may be given here", quoted(flag), self.row.name))
            }
        }
    }

    fn words(&self, arguments: &[Word], first: Option<Kind>) -> Result<(), Refusal> {
        if let Some(kind) = first {
            let word = arguments.first().ok_or_else(|| self.refuse(self.row.name, "its first operand is missing"))?;
            self.operand(word, kind, false)?;
        }
        arguments.iter().try_for_each(|word| self.operand(word, Kind::Text, false))
    }

    fn scan(&self, arguments: &[Word]) -> Result<(), Refusal> {
        let mut scanned = Scanned::default();
        let mut rest = arguments.iter();
        let mut ended = false;
        while let Some(word) = rest.next() {
            let text = match word {
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
            } else if let Some(long) = text.strip_prefix("--") {
                self.long(text, long, &mut rest, &mut scanned)?;
            } else {
                self.bundle(text, &mut rest, &mut scanned)?;
            }
        }
        self.operands(&scanned)
    }

    fn long<'a>(
        &self,
        word: &str,
        long: &str,
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
                Some(value) => self.value(word, value, kind, seen)?,
                None => self.next_value(word, rest.next(), kind, seen)?,
            }
        } else if let Some(kind) = kind(self.row.long_optional) {
            if let Some(value) = attached {
                self.value(word, value, kind, seen)?;
            }
        } else if !self.row.long.split_ascii_whitespace().any(|known| known == name) {
            return Err(self.unlisted(word, &flag));
        } else if attached.is_some() {
            return Err(self.refuse(word, format!("{flag} takes no value")));
        }
        scanned.flags.push(flag);
        Ok(())
    }

    fn bundle<'a>(
        &self,
        word: &str,
        rest: &mut impl Iterator<Item = &'a Word>,
        scanned: &mut Scanned<'a>,
    ) -> Result<(), Refusal> {
        let letters = word.trim_start_matches('-');
        if self.row.dash_number && letters.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        let seen = !scanned.operands.is_empty();
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let flag = format!("-{letter}");
            let kind = self.row.short_values.iter().find(|(known, _)| *known == letter).map(|(_, kind)| *kind);
            if let Some(kind) = kind {
                match letters.as_str() {
                    "" => self.next_value(word, rest.next(), kind, seen)?,
                    _ if !self.row.attached => {
                        return Err(self.refuse(word, format!("the value of {flag} stands in the next word")));
                    }
                    value => self.value(word, value, kind, seen)?,
                }
                scanned.flags.push(flag);
                return Ok(());
            }
            if !self.row.short.contains(letter) {
                return Err(self.unlisted(word, &flag));
            }
            scanned.flags.push(flag);
        }
        Ok(())
    }

    fn next_value(&self, flag: &str, word: Option<&Word>, kind: Kind, seen: bool) -> Result<(), Refusal> {
        match word {
            None => Err(self.refuse(flag, "its value is missing")),
            Some(Word::Glob(glob)) => Err(self.refuse(glob, "a glob stands only where a path operand is expected")),
            Some(Word::Literal(value)) => {
                if matches!(kind, Kind::Text | Kind::Path) && value.len() > 1 && value.starts_with('-') {
                    return Err(self.refuse(
                        value,
                        format!(
                            "the value of {flag} begins with - and would be a flag elsewhere; attach it to the flag"
                        ),
                    ));
                }
                self.value(value, value, kind, seen)
            }
        }
    }

    /// `operands_seen`: a system whose getopt stops at the first operand takes free text for a path from there on.
    fn value(&self, word: &str, value: &str, kind: Kind, operands_seen: bool) -> Result<(), Refusal> {
        if operands_seen && matches!(kind, Kind::Text | Kind::Pattern) {
            secret::check(self.directory, value.as_bytes(), false)?;
        }
        self.kind(word, value, kind)
    }

    fn kind(&self, word: &str, value: &str, kind: Kind) -> Result<(), Refusal> {
        let fits = match kind {
            Kind::Text | Kind::Pattern => Ok(()),
            Kind::Path => return secret::check(self.directory, value.as_bytes(), false),
            Kind::Number => is_number(value, "").then_some(()).ok_or("a number"),
            Kind::Size => is_number(value, "bcwkKmMgGtTpPiB").then_some(()).ok_or("a number, perhaps with a unit"),
            Kind::Numbers => {
                let listed =
                    value.split(',').all(|item| !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit()));
                listed.then_some(()).ok_or("numbers separated by commas")
            }
            Kind::OneOf(known) => {
                if !known.contains(&value) {
                    return Err(self.refuse(word, format!("expected one of: {}", known.join(" "))));
                }
                Ok(())
            }
            Kind::ListOf(known) => {
                let plain = |item: &str| {
                    let item = item.strip_prefix(['+', '-']).unwrap_or(item);
                    known.contains(&item.strip_suffix('=').unwrap_or(item))
                };
                if !value.split(',').all(plain) {
                    return Err(self.refuse(word, format!("expected some of: {}", known.join(","))));
                }
                Ok(())
            }
            Kind::FieldMatch => {
                let field = value.split_once('=').map(|(field, _)| field).unwrap_or_default();
                let named =
                    field.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
                (value == "+" || !field.is_empty() && named).then_some(()).ok_or("FIELD=value")
            }
            Kind::DateFormat => {
                value.starts_with('+').then_some(()).ok_or("+FORMAT; anything else would set the clock")
            }
            Kind::PsWord => {
                let process = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
                let letters = value.bytes().all(|byte| b"auxwfjlrT".contains(&byte));
                (!value.is_empty() && (process || letters))
                    .then_some(())
                    .ok_or("letters of auxwfjlrT (e would show environments) or process ids")
            }
            Kind::Mode => {
                let mode = value.strip_prefix(['-', '/', '+']).unwrap_or(value);
                let known = mode.bytes().all(|byte| byte.is_ascii_digit() || b"ugoarwxXst,=+-".contains(&byte));
                (!mode.is_empty() && known).then_some(()).ok_or("a mode")
            }
            Kind::Format => {
                let mut characters = value.chars();
                let mut known = !value.starts_with('-');
                while let Some(character) = characters.next() {
                    known &= character != '%' || characters.next().is_some_and(|letter| "sb%".contains(letter));
                }
                known.then_some(()).ok_or("a format without flags, of whose conversions there are %s, %b and %%")
            }
        };
        fits.map_err(|expected| self.refuse(word, format!("expected {expected}")))
    }

    fn operands(&self, scanned: &Scanned<'_>) -> Result<(), Refusal> {
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
                operands.try_for_each(|word| self.operand(word, kind, max == MANY))
            }
            Operands::PatternThenPaths(given_by) => {
                if !scanned.flags.iter().any(|flag| given_by.contains(&flag.as_str())) {
                    match operands.next() {
                        None => return Err(self.refuse(self.row.name, "the pattern is missing")),
                        Some(word) => self.operand(word, Kind::Pattern, false)?,
                    }
                }
                operands.try_for_each(|word| self.operand(word, Kind::Path, true))
            }
            Operands::Subcommand(known) => {
                if let Some(word) = operands.next() {
                    self.operand(word, Kind::OneOf(known), false)?;
                }
                operands.try_for_each(|word| self.operand(word, Kind::Text, false))
            }
            // They have no flags to scan and are handled before.
            Operands::Words(_) | Operands::Find => Ok(()),
        }
    }

    fn operand(&self, word: &Word, kind: Kind, globs: bool) -> Result<(), Refusal> {
        match (word, kind) {
            (Word::Literal(text), _) => self.kind(text, text, kind),
            (Word::Glob(glob), Kind::Path) if globs => secret::check(self.directory, glob.as_bytes(), true),
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
        while let Some(word) = rest.next_if(|word| !word.text().starts_with(['-', '!', '(', ')', ','])) {
            self.operand(word, Kind::Path, true)?;
        }
        let mut open = 0_usize;
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
                        Some(Word::Literal(value)) => self.kind(value, value, *kind)?,
                    },
                },
            }
        }
        if open > 0 {
            return Err(self.refuse("(", "a bracket is not closed"));
        }
        Ok(())
    }
}

/// At most three letters of `units` after the digits (`KiB`).
fn is_number(value: &str, units: &str) -> bool {
    let value = value.strip_prefix(['+', '-']).unwrap_or(value);
    let unit = value.trim_start_matches(|digit: char| digit.is_ascii_digit());
    unit.len() < value.len() && unit.len() <= 3 && unit.chars().all(|letter| units.contains(letter))
}

/// Everything that a program may be given.
fn usage(row: &Row) -> String {
    let mut parts = vec![row.name.to_owned()];
    if !row.short.is_empty() {
        parts.push(format!("-{}", row.short));
    }
    parts.extend(row.short_values.iter().map(|(flag, kind)| format!("-{flag} {}", label(*kind))));
    parts.extend(row.long.split_ascii_whitespace().map(|flag| format!("--{flag}")));
    parts.extend(row.long_values.iter().map(|(flag, kind)| format!("--{flag}={}", label(*kind))));
    parts.extend(row.long_optional.iter().map(|(flag, kind)| format!("--{flag}[={}]", label(*kind))));
    match row.operands {
        Operands::Each(_, _, 0) => {}
        Operands::Each(kind, _, MANY) => parts.push(format!("{}...", label(kind))),
        Operands::Each(kind, _, max) => parts.extend((0..max).map(|_| label(kind).to_owned())),
        Operands::PatternThenPaths(_) => parts.push("PATTERN PATH...".into()),
        Operands::Subcommand(known) => parts.push(format!("{} TEXT...", known.join("|"))),
        Operands::Words(_) => parts.push("TEXT...".into()),
        Operands::Find => {
            parts.push("[-H|-L|-P] PATH... ( )".into());
            parts.extend(FIND.iter().map(|(primary, kind)| match kind {
                Some(kind) => format!("{primary} {}", label(*kind)),
                None => (*primary).to_owned(),
            }));
        }
    }
    format!("allowed: {}", parts.join(" "))
}

fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "NUMBER",
        Kind::Size => "SIZE",
        Kind::Numbers => "NUMBERS",
        Kind::Text => "TEXT",
        Kind::Pattern => "PATTERN",
        Kind::Path => "PATH",
        Kind::OneOf(_) => "WORD",
        Kind::ListOf(_) => "LIST",
        Kind::FieldMatch => "FIELD=value",
        Kind::DateFormat => "+FORMAT",
        Kind::PsWord => "auxwfjlrT|PID",
        Kind::Mode => "MODE",
        Kind::Format => "FORMAT",
    }
}
