//! What is asked of rows, and the page that answers it.

use std::cmp::Ordering;

use super::condition::{self, Condition};
use super::cursor;
use super::shape::{Cell, Column, Kind, Row, Shape};
use super::sort;
use crate::json::{Object, Value};
use crate::{Error, text};

/// The most bytes of texts in the rows of a page, as they are written at most: less than an answer may hold. One row is always shown.
const MAX_PAGE: usize = 2500 * 1024;

/// The most characters of one text in the table, whose columns are as wide as their widest text.
const MAX_SHOWN: usize = 200;

/// The deepest that a text is indented in the table.
const MAX_DEPTH: usize = 20;

/// What a client asks of the rows of a tool.
#[derive(Clone, Debug)]
pub struct Asked {
    shape: Shape,
    host: String,
    /// Which are shown; those that stand beside others are not among them.
    columns: Vec<usize>,
    is_narrowed: bool,
    conditions: Vec<Condition>,
    /// Columns, and whether from the largest down.
    sort: Vec<(usize, bool)>,
    limit: usize,
    offset: usize,
    /// Whether a client has an argument to bring a cursor back in: a resource has none.
    goes_on: bool,
}

impl Asked {
    /// The same, of which no later page can be asked for.
    pub(super) fn at_once(self) -> Self {
        Self { goes_on: false, ..self }
    }

    pub(super) fn read(shape: Shape, arguments: &Value) -> Result<Self, Error> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_text).filter(|text| !text.trim().is_empty());
        let named = |argument: &str, name: &str| shape.column(name).ok_or_else(|| shape.unknown(argument, name));
        let host = text("host").ok_or_else(|| shape.invalid("host", "missing"))?;
        let all = (0..shape.columns.len()).filter(|at| shape.columns.get(*at).is_some_and(Column::is_shown));
        let mut columns: Vec<usize> = Vec::new();
        for name in words(text("columns").unwrap_or_default()) {
            let at = named("columns", name)?;
            // A field that is there twice is none of JSON's.
            if !columns.contains(&at) {
                columns.push(at);
            }
        }
        let is_narrowed = !columns.is_empty();
        if !is_narrowed {
            columns.extend(all);
        }
        let conditions = text("where").map_or(Ok(Vec::new()), |all| condition::parse(&shape, all))?;
        let mut sort: Vec<(usize, bool)> = Vec::new();
        for word in words(text("sort").unwrap_or_default()) {
            let name = word.strip_prefix('-').unwrap_or(word);
            let at = named("sort", name)?;
            if sort.iter().all(|(known, _)| *known != at) {
                sort.push((at, name != word));
            }
        }
        let limit = match arguments.get("limit") {
            None | Some(Value::Null) => shape.limit,
            Some(value) => value
                .as_integer()
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| (1..=Shape::MAX_LIMIT).contains(limit))
                .ok_or_else(|| shape.invalid("limit", &format!("expected a number from 1 to {}", Shape::MAX_LIMIT)))?,
        };
        let offset = text("cursor").map_or(Ok(0), cursor::read)?;
        Ok(Self { shape, host: host.to_owned(), columns, is_narrowed, conditions, sort, limit, offset, goes_on: true })
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether `columns` was given, so that a text of the tool's own would show other columns than were asked for.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.is_narrowed
    }

    /// Whether rows are chosen, ordered or skipped, so that more of them are needed than a page holds.
    #[must_use]
    pub fn is_picky(&self) -> bool {
        !self.conditions.is_empty() || self.is_sorted() || self.offset > 0
    }

    /// Whether `sort` was given.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        !self.sort.is_empty()
    }

    /// Whether the answer needs a column: it is shown, compared or sorted by. What is not needed may be left [`Cell::None`].
    #[must_use]
    pub fn needs(&self, column: &str) -> bool {
        let at = self.shape.column(column);
        let keys = self.sort.iter().map(|(at, _)| at).chain(self.conditions.iter().map(|condition| &condition.column));
        self.columns.iter().chain(keys).any(|needed| Some(*needed) == at)
    }

    /// The page of these rows that was asked for. Rows that are equal to `sort` stay in the order given.
    #[must_use]
    pub fn page(self, mut rows: Vec<Row>) -> Page {
        let total = rows.len();
        let kind = |at: usize| self.shape.columns.get(at).map_or(Kind::Text, |column| column.kind);
        let fits = |row: &[Cell]| self.conditions.iter().all(|condition| condition.fits(row, kind(condition.column)));
        let mut places: Vec<usize> = rows.iter().enumerate().filter(|(_, row)| fits(row)).map(|(at, _)| at).collect();
        if !self.sort.is_empty() {
            let row = |at: usize| rows.get(at).map_or(&[][..], Vec::as_slice);
            sort::stable(&mut places, &|one, other| {
                let mut orders = self.sort.iter().map(|(at, is_descending)| {
                    condition::order(cell(row(one), *at), cell(row(other), *at), kind(*at), *is_descending)
                });
                orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            });
        }
        let fitting = places.len();
        let earlier = self.offset.min(fitting);
        let mut bytes = 0;
        let (mut kept, mut shown) = (Vec::new(), Vec::new());
        for place in places.into_iter().skip(earlier).take(self.limit) {
            let row = rows.get_mut(place).map(std::mem::take).unwrap_or_default();
            bytes += self.weight(&row);
            if bytes > MAX_PAGE && !kept.is_empty() {
                break;
            }
            kept.push(place);
            shown.push(row);
        }
        let later = fitting - earlier - kept.len();
        let cursor = (later > 0 && self.goes_on).then(|| cursor::write(earlier + kept.len())).flatten();
        Page {
            asked: self,
            rows: shown,
            places: kept,
            total,
            unfit: total - fitting,
            earlier,
            later,
            cursor,
            notes: Vec::new(),
        }
    }

    /// Bytes of the texts of a row that are shown, as they are written at most.
    fn weight(&self, row: &Row) -> usize {
        let of = |cell: &Cell| match cell {
            Cell::Text(text) => text::written(text.as_bytes()),
            Cell::List(items) => items.iter().map(|item| text::written(item.as_bytes())).sum(),
            _ => 0,
        };
        self.shown().filter_map(|(at, _)| row.get(at)).map(of).sum()
    }

    /// The columns of structured rows, in the order of the shape or as they were asked for.
    fn shown(&self) -> impl Iterator<Item = (usize, &Column)> {
        let columns = self.shape.columns;
        self.columns.iter().filter_map(move |at| Some((*at, columns.get(*at)?))).flat_map(move |(at, column)| {
            let beside = move |other: &&Column| other.beside == Some(column.name);
            let others = columns.iter().enumerate().filter(move |(_, other)| beside(other));
            std::iter::once((at, column)).chain(others)
        })
    }
}

/// Names, separated by commas or blanks.
fn words(names: &str) -> impl Iterator<Item = &str> {
    names.split([',', ' ']).filter(|name| !name.is_empty())
}

/// A part of a tool's rows, with what is not in it.
#[derive(Clone, Debug)]
pub struct Page {
    asked: Asked,
    pub(super) rows: Vec<Row>,
    places: Vec<usize>,
    total: usize,
    unfit: usize,
    earlier: usize,
    pub(super) later: usize,
    pub(super) cursor: Option<String>,
    notes: Vec<String>,
}

impl Page {
    /// With what else a reader must know, such as what the host did not tell: each a sentence of `notes` and of the text.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// With its rows the other way round: for a tool that looks at the newest first, and shows it last.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.rows.reverse();
        self.places.reverse();
        self
    }

    /// Where the rows of the page stood among those that were given, in the order of the page: for a tool with a text of its own.
    #[must_use]
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// How many rows fit `where`, on this page or another.
    #[must_use]
    pub fn fitting(&self) -> usize {
        self.total - self.unfit
    }

    /// Whether there are rows that fit behind those of this page.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.later > 0
    }

    /// What was asked.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The structured answer: these fields behind those that are there.
    #[must_use]
    pub fn json(&self, object: Object) -> Object {
        let object = object.each(self.asked.shape.list, &self.rows, |object, row| {
            self.asked.shown().fold(object, |object, (at, column)| {
                let cell = cell(row, at);
                if column.beside.is_some() && *cell == Cell::None { object } else { field(object, column, cell) }
            })
        });
        let reasons = [("where", self.unfit), ("earlier", self.earlier), ("later", self.later)];
        let left_out = reasons.iter().filter(|(_, count)| *count > 0);
        let left_out = left_out.fold(Object::new(), |object, (why, count)| object.integer(why, *count as u64));
        let object = object.integer("total", self.total as u64).object("left_out", left_out);
        let object = match &self.cursor {
            Some(cursor) => object.text("cursor", cursor.as_str()),
            None => object,
        };
        object.texts("notes", &self.notes)
    }

    /// A table under the names of its columns, and what is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let columns: Vec<(usize, &Column)> = self.asked.shown().filter(|(_, column)| column.beside.is_none()).collect();
        let mut table = text::Table::new(columns.iter().map(|(_, column)| column.is_number()).collect::<Vec<_>>());
        if !self.rows.is_empty() {
            columns.iter().for_each(|(_, column)| table.cell(|out| out.push_str(column.name)));
        }
        for row in &self.rows {
            for (at, column) in &columns {
                table.cell(|out| {
                    out.extend(std::iter::repeat_n(' ', 2 * self.depth(column, row)));
                    show(out, column.kind, cell(row, *at));
                });
            }
        }
        let mut out = table.finish(String::new());
        out.push_str(&self.remarks());
        out
    }

    /// How deep a text is indented.
    fn depth(&self, column: &Column, row: &Row) -> usize {
        let columns = self.asked.shape.columns.iter().enumerate();
        let beside = columns.filter(|(_, other)| other.beside == Some(column.name));
        let depths = beside.filter_map(|(at, _)| match cell(row, at) {
            Cell::Number(depth) => Some(usize::try_from(*depth).unwrap_or(MAX_DEPTH).min(MAX_DEPTH)),
            _ => None,
        });
        depths.sum()
    }

    /// What is left out, and the notes, each a line in brackets: empty where all is there.
    #[must_use]
    pub fn remarks(&self) -> String {
        let mut out = String::new();
        if self.rows.is_empty() || self.unfit + self.earlier + self.later > 0 {
            let shown = self.rows.len();
            out = format!("({shown} of {}", text::count(self.total as u64, "row", "rows"));
            for (count, why) in
                [(self.unfit, "not in `where`"), (self.earlier, "on pages before"), (self.later, "to come")]
            {
                if count > 0 {
                    out.push_str(&format!("; {count} {why}"));
                }
            }
            if let Some(cursor) = &self.cursor {
                out.push_str(&format!(", cursor: {cursor}"));
            }
            out.push_str(")\n");
        }
        out.extend(self.notes.iter().map(|note| format!("({note})\n")));
        out
    }
}

/// What a row has in a column.
pub(super) fn cell(row: &[Cell], at: usize) -> &Cell {
    const NONE: &Cell = &Cell::None;
    row.get(at).unwrap_or(NONE)
}

fn field(object: Object, column: &Column, cell: &Cell) -> Object {
    match (column.kind, cell) {
        (_, Cell::None) => object.text(column.name, None),
        (_, Cell::Text(text)) => object.text(column.name, text.as_str()),
        (Kind::Tenths, Cell::Number(tenths)) => object.tenths(column.name, Some(*tenths)),
        (_, Cell::Number(number)) => object.integer(column.name, *number),
        (_, Cell::Bool(is)) => object.boolean(column.name, *is),
        (_, Cell::List(items)) => object.texts(column.name, items),
    }
}

/// Appends a cell as people read it, in one line.
fn show(out: &mut String, kind: Kind, cell: &Cell) {
    match (kind, cell) {
        (_, Cell::None) => out.push('-'),
        (_, Cell::Text(text)) => out.push_str(&text::clipped(&text::one_line(text), MAX_SHOWN)),
        (Kind::Bytes, Cell::Number(bytes)) => out.push_str(&text::size(*bytes)),
        (Kind::Seconds, Cell::Number(seconds)) => out.push_str(&text::duration(*seconds)),
        (Kind::Tenths, Cell::Number(tenths)) => out.push_str(&text::tenths(*tenths)),
        (_, Cell::Number(number)) => text::decimal(out, *number),
        (_, Cell::Bool(is)) => out.push_str(if *is { "yes" } else { "no" }),
        (_, Cell::List(items)) => out.push_str(&text::clipped(&text::one_line(&items.join(",")), MAX_SHOWN)),
    }
}
