//! The little grammar of `where`: `COLUMN OP VALUE`, joined by `and`. Closed: no brackets, no `or`, nothing that is computed.

use std::cmp::Ordering;

use super::page::cell;
use super::shape::{Cell, Kind, Shape};
use crate::Error;
use crate::text;

/// The most bytes of it.
const MAX_BYTES: usize = 1000;

/// The most conditions.
const MAX_CONDITIONS: usize = 16;

/// How a cell is compared. Those of two characters stand first, so that they are found first.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::Not),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Is),
    ("<", Operator::Below),
    (">", Operator::Above),
    ("~", Operator::Contains),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    Not,
    Below,
    AtMost,
    Above,
    AtLeast,
    Contains,
}

/// What a cell is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// `null`, without quotes: what is not known.
    Nothing,
    Text(String),
    Number(u64),
    Bool(bool),
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) column: usize,
    operator: Operator,
    wanted: Wanted,
}

/// The conditions of a `where`, all of which a row must fit.
///
/// # Errors
/// Where it stops being one, and what is expected there.
pub(super) fn parse(shape: &Shape, all: &str) -> Result<Vec<Condition>, Error> {
    if all.len() > MAX_BYTES {
        return Err(shape.invalid("where", &format!("more than {MAX_BYTES} bytes")));
    }
    let mut conditions = Vec::new();
    let mut rest = all.trim_start();
    loop {
        let at = |rest: &str| all.get(..all.len() - rest.len()).unwrap_or_default().chars().count() + 1;
        let fail = |rest: &str, what: &str| {
            let shown = text::clipped(&text::one_line(rest), 20);
            let found = if rest.is_empty() { "its end".to_owned() } else { format!("`{shown}`") };
            shape.invalid("where", &format!("at character {}, {found}: {what}", at(rest)))
        };
        // A letter of another alphabet belongs to the name too, so that the error shows all of it.
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || !letter.is_ascii();
        let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(fail(rest, "expected a column"));
        }
        let column = shape.column(name).ok_or_else(|| shape.unknown("where", name))?;
        let kind = shape.columns.get(column).map_or(Kind::Text, |column| column.kind);
        let behind = behind.trim_start();
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, behind.strip_prefix(sign)?)));
        let (operator, behind) = found.ok_or_else(|| fail(behind, "expected one of = != < <= > >= ~"))?;
        let behind = behind.trim_start();
        let (value, is_quoted, after) =
            value(behind).ok_or_else(|| fail(behind, "expected a value, with both of its quotes if it has any"))?;
        let wanted = wanted(kind, operator, value, is_quoted).map_err(|what| fail(behind, &what))?;
        conditions.push(Condition { column, operator, wanted });
        if after.trim().is_empty() {
            return Ok(conditions);
        }
        if conditions.len() == MAX_CONDITIONS {
            return Err(fail(after.trim_start(), &format!("more than {MAX_CONDITIONS} conditions")));
        }
        let joined = after.trim_start();
        rest = joined
            .get(..3)
            .filter(|word| word.eq_ignore_ascii_case("and") && after.len() > joined.len())
            .and_then(|_| joined.get(3..))
            .filter(|rest| rest.starts_with(char::is_whitespace))
            .ok_or_else(|| fail(joined, "expected `and`; a value with blanks stands in quotes"))?
            .trim_start();
    }
}

/// A value in quotes or up to a blank, whether it had quotes, and what follows.
fn value(text: &str) -> Option<(&str, bool, &str)> {
    let quote = text.chars().next()?;
    if matches!(quote, '"' | '\'') {
        let (value, after) = text.get(1..)?.split_once(quote)?;
        return Some((value, true, after));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at_checked(end).map(|(value, after)| (value, false, after))
}

/// The value as a column of this kind has it.
fn wanted(kind: Kind, operator: Operator, value: &str, is_quoted: bool) -> Result<Wanted, String> {
    let is_equality = matches!(operator, Operator::Is | Operator::Not);
    if value == "null" && !is_quoted {
        return if is_equality { Ok(Wanted::Nothing) } else { Err("null is only compared with = and !=".to_owned()) };
    }
    match kind {
        Kind::Bool if !is_equality => Err("true and false are only compared with = and !=".to_owned()),
        Kind::Bool => value.parse().map(Wanted::Bool).map_err(|_| "expected true or false".to_owned()),
        Kind::List if !is_equality && operator != Operator::Contains => {
            Err("a list is only compared with =, != and ~".to_owned())
        }
        Kind::Text | Kind::List => Ok(Wanted::Text(value.to_owned())),
        Kind::Time if is_time(value) => Ok(Wanted::Text(value.trim_end_matches('Z').to_owned())),
        Kind::Time => Err("expected a time in UTC or its beginning, as 2026-11-30 or 2026-11-30T08:15:00Z".to_owned()),
        _ if operator == Operator::Contains => {
            Err("a number contains nothing: compare it with = != < <= > >=".to_owned())
        }
        Kind::Number => number(value, &[]).map(Wanted::Number).ok_or_else(|| "expected a number".to_owned()),
        Kind::Tenths => tenths(value).map(Wanted::Number).ok_or_else(|| "expected a number, as 12.5".to_owned()),
        Kind::Bytes => {
            let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40), ("P", 1 << 50)];
            // `10MiB` and `10MB` mean the same as `10M`.
            let short = value.strip_suffix('B').unwrap_or(value);
            let short = short.strip_suffix('i').unwrap_or(short);
            number(short, &units).map(Wanted::Number).ok_or_else(|| "expected a size, as 512, 10M or 2G".to_owned())
        }
        Kind::Seconds => {
            let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];
            number(value, &units).map(Wanted::Number).ok_or_else(|| "expected a time, as 90, 15m, 2h or 3d".to_owned())
        }
    }
}

/// Digits, perhaps with a unit behind them. What is more than there can be is the most that there can be.
fn number(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = value.strip_prefix(digits)?;
    let factor = match unit {
        "" => 1,
        unit => units.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit))?.1,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().map_or(u64::MAX, |number| number.saturating_mul(factor)))
}

fn tenths(value: &str) -> Option<u64> {
    let (whole, tenth) = value.split_once('.').unwrap_or((value, "0"));
    let tenth = Some(tenth).filter(|tenth| tenth.len() == 1)?;
    Some(number(whole, &[])?.saturating_mul(10).saturating_add(number(tenth, &[])?))
}

/// A beginning of `2026-11-30T08:15:00.123Z` that holds its day.
fn is_time(value: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.";
    value.len() >= 10
        && value.trim_end_matches('Z').bytes().enumerate().all(|(at, byte)| match FORM.get(at) {
            Some(b'0') | None => byte.is_ascii_digit(),
            Some(sign) => byte == *sign,
        })
}

impl Condition {
    /// Whether a row fits.
    pub(super) fn fits(&self, row: &[Cell], kind: Kind) -> bool {
        let cell = cell(row, self.column);
        let is = match (cell, &self.wanted) {
            (Cell::None, Wanted::Nothing) => Some(Ordering::Equal),
            (Cell::Text(text), Wanted::Text(wanted)) if self.operator == Operator::Contains => {
                return contains(text, wanted);
            }
            (Cell::Text(text), Wanted::Text(wanted)) if kind == Kind::Time => Some(moment(text).cmp(wanted.as_str())),
            (Cell::Text(text), Wanted::Text(wanted)) => Some(text.as_str().cmp(wanted)),
            (Cell::Number(number), Wanted::Number(wanted)) => Some(number.cmp(wanted)),
            (Cell::Bool(is), Wanted::Bool(wanted)) => Some(is.cmp(wanted)),
            (Cell::List(items), Wanted::Text(wanted)) if self.operator == Operator::Contains => {
                return items.iter().any(|item| contains(item, wanted));
            }
            (Cell::List(items), Wanted::Text(wanted)) => items.contains(wanted).then_some(Ordering::Equal),
            _ => None,
        };
        match self.operator {
            Operator::Is => is == Some(Ordering::Equal),
            // What is not known is equal to nothing.
            Operator::Not => is != Some(Ordering::Equal),
            Operator::Below => is == Some(Ordering::Less),
            Operator::AtMost => is.is_some_and(Ordering::is_le),
            Operator::Above => is == Some(Ordering::Greater),
            Operator::AtLeast => is.is_some_and(Ordering::is_ge),
            Operator::Contains => false,
        }
    }
}

/// A time without its `Z`, which a fraction of a second would stand before: without it the order of texts is that of times.
fn moment(time: &str) -> &str {
    time.trim_end_matches('Z')
}

/// Whether a text holds another, whatever the case of ASCII letters.
fn contains(text: &str, wanted: &str) -> bool {
    wanted.is_empty() || text.as_bytes().windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The order of two cells of a column; what is not known stands last, whichever way is sorted.
pub(super) fn order(one: &Cell, other: &Cell, kind: Kind, is_descending: bool) -> Ordering {
    let natural = match (one, other) {
        (Cell::None, Cell::None) => return Ordering::Equal,
        (Cell::None, _) => return Ordering::Greater,
        (_, Cell::None) => return Ordering::Less,
        (Cell::Text(one), Cell::Text(other)) if kind == Kind::Time => moment(one).cmp(moment(other)),
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
        (Cell::Bool(one), Cell::Bool(other)) => one.cmp(other),
        (Cell::List(one), Cell::List(other)) => one.cmp(other),
        _ => Ordering::Equal,
    };
    if is_descending { natural.reverse() } else { natural }
}
