//! Which columns rows have, and the schemas that say so.

use crate::Error;
use crate::ErrorKind;
use crate::json::Value;
use crate::text;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Number,
    /// A number with one place, given in tenths.
    Tenths,
    /// A size in bytes. `10M` may be asked for, in powers of 1024.
    Bytes,
    /// A length of time in seconds. `2h` may be asked for.
    Seconds,
    /// RFC 3339 in UTC, with any number of places.
    Time,
    /// A truth value.
    Bool,
    /// Texts.
    List,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As clients write it: lower-case letters, digits and `_`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    pub(super) is_extra: bool,
    pub(super) beside: Option<&'static str>,
}

impl Column {
    /// A column of each answer.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_extra: false, beside: None }
    }

    /// Shown only where `columns` names it.
    #[must_use]
    pub const fn extra(self) -> Self {
        Self { is_extra: true, ..self }
    }

    /// No column of its own, but a field that a structured row has where there is something in it and that column is shown: the bytes of
    /// a name that is not UTF-8. A number beside a text is how deep the text is indented in the table.
    #[must_use]
    pub const fn beside(self, column: &'static str) -> Self {
        Self { beside: Some(column), ..self }
    }

    /// Whether it is shown where `columns` names none.
    pub(super) fn is_shown(&self) -> bool {
        !self.is_extra && self.beside.is_none()
    }

    /// What is right-aligned.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Tenths | Kind::Bytes | Kind::Seconds)
    }

    fn schema(&self) -> String {
        let kind = match self.kind {
            Kind::Text => r#""string""#,
            Kind::Number | Kind::Bytes | Kind::Seconds => r#""integer""#,
            Kind::Tenths => r#""number""#,
            Kind::Time => r#""string","format":"date-time""#,
            Kind::Bool => r#""boolean""#,
            Kind::List => r#""array","items":{"type":"string"}"#,
        };
        // A type that stands alone becomes one of two.
        let (name, rest) =
            kind.split_once(',').map_or((kind, String::new()), |(name, rest)| (name, format!(",{rest}")));
        format!(r#""{}":{{"type":[{name},"null"]{rest}}}"#, self.name)
    }
}

/// What one row has in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// It is not known, or there is none.
    None,
    /// Of [`Kind::Text`] and [`Kind::Time`].
    Text(String),
    /// Of [`Kind::Number`], [`Kind::Bytes`], [`Kind::Seconds`], and in tenths of [`Kind::Tenths`].
    Number(u64),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::List`].
    List(Vec<String>),
}

impl Cell {
    /// A text, or none.
    #[must_use]
    pub fn text<'a>(text: impl Into<Option<&'a str>>) -> Self {
        text.into().map_or(Self::None, |text| Self::Text(text.to_owned()))
    }

    /// A number, or none.
    #[must_use]
    pub fn number(number: impl Into<Option<u64>>) -> Self {
        number.into().map_or(Self::None, Self::Number)
    }
}

/// A cell for each column of the shape, in its order; what is missing is [`Cell::None`].
pub type Row = Vec<Cell>;

/// The rows of one tool.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The tool.
    pub tool: &'static str,
    /// The field of the structured answer that holds the rows.
    pub list: &'static str,
    /// The columns.
    pub columns: &'static [Column],
    /// Rows of a page, unless the client says how many.
    pub limit: usize,
}

impl Shape {
    /// The most rows of a page, whatever the client says.
    pub const MAX_LIMIT: usize = 2000;

    /// The JSON Schema of the tool's arguments: `host`, the tool's own as the inside of `properties` (`"all":{"type":"boolean"}`), and what is
    /// asked of rows. It is small, because every model that may use the tool reads it.
    #[must_use]
    pub fn input(&self, own: &str) -> String {
        let comma = if own.is_empty() { "" } else { "," };
        format!(
            r#"{{"type":"object","properties":{{"host":{{"type":"string"}},{own}{comma}"where":{{"type":"string"}},"sort":{{"type":"string"}},"columns":{{"type":"string"}},"limit":{{"type":"integer"}},"cursor":{{"type":"string"}}}},"required":["host"],"additionalProperties":false}}"#
        )
    }

    /// The JSON Schema of the tool's structured answer: `host`, the rows, what was left out, `notes`, and the tool's own fields as the inside of
    /// `properties`. Models rarely see it: programs do.
    #[must_use]
    pub fn output(&self, own: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(Column::schema).collect();
        let comma = if own.is_empty() { "" } else { "," };
        format!(
            r#"{{"type":"object","properties":{{"host":{{"type":"string"}},"{list}":{{"type":"array","items":{{"type":"object","properties":{{{}}},"additionalProperties":false}}}},"total":{{"type":"integer","description":"rows that there are"}},"left_out":{{"type":"object","description":"how many of them are not here, by why","additionalProperties":{{"type":"integer"}}}},"cursor":{{"type":"string","description":"the argument that goes on behind these rows"}},{own}{comma}"notes":{{"type":"array","items":{{"type":"string"}},"description":"what else a reader must know"}}}},"required":["host","{list}","total","left_out","notes"],"additionalProperties":false}}"#,
            columns.join(","),
            list = self.list,
        )
    }

    /// What the client asks of the rows. The host is asked only behind it, so that a mistake costs no round trip.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: which argument, what of it, and which columns there are.
    pub fn ask(&self, arguments: &Value) -> Result<super::Asked, Error> {
        super::Asked::read(*self, arguments)
    }

    /// All rows of a host up to this many, where a client chooses nothing: of a resource.
    ///
    /// # Errors
    /// None that a shape of its own would bring.
    pub fn of(&self, host: &str, limit: usize) -> Result<super::Asked, Error> {
        let (host, limit) = (Value::Text(host.to_owned()), Value::Number(limit.to_string()));
        let asked = self.ask(&Value::Object(vec![("host".to_owned(), host), ("limit".to_owned(), limit)]))?;
        Ok(asked.at_once())
    }

    /// The place of a column that a client names.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name && column.beside.is_none())
    }

    /// An error of an argument.
    pub(super) fn invalid(&self, argument: &str, what: &str) -> Error {
        let names: Vec<&str> =
            self.columns.iter().filter(|column| column.beside.is_none()).map(|column| column.name).collect();
        Error::new(ErrorKind::Invalid, format!("`{argument}` of `{}`: {what}", self.tool))
            .hint(format!("columns: {}", names.join(" ")))
    }

    pub(super) fn unknown(&self, argument: &str, name: &str) -> Error {
        self.invalid(argument, &format!("unknown column `{}`", text::clipped(&text::one_line(name), 50)))
    }
}
