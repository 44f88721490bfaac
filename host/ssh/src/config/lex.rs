//! One line of `ssh_config`, split as OpenSSH splits it.
//!
//! Owns quotes, escapes, comments and the `=` after a keyword. Knows no keyword.

use std::borrow::Cow;

/// A line that is neither empty nor a comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// All of it that counts.
    pub(super) text: &'a str,
    /// As it is written.
    pub(super) keyword: Cow<'a, str>,
    /// All that follows the keyword, for those that take a command.
    pub(super) rest: &'a str,
}

impl Line<'_> {
    /// The arguments, or why there are none.
    pub(super) fn arguments(&self) -> Result<Vec<String>, &'static str> {
        self.check_empty()?;
        arguments(self.rest).ok_or(QUOTES)
    }

    /// Whether there are arguments. Takes no memory for most lines.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.check_empty()?;
        let has_quotes = self.rest.bytes().any(|byte| matches!(byte, b'"' | b'\''));
        if has_quotes && arguments(self.rest).is_none() { Err(QUOTES) } else { Ok(()) }
    }

    fn check_empty(&self) -> Result<(), &'static str> {
        if self.rest.is_empty() { Err("needs an argument") } else { Ok(()) }
    }
}

const QUOTES: &str = "has invalid quotes";

pub(super) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// What of a line counts.
fn trimmed(line: &str) -> &str {
    // To OpenSSH a line is a C string, and a form feed is a blank only at the end of one.
    let line = line.split('\0').next().unwrap_or(line);
    let trimmed = line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
    if trimmed.is_empty() { line.trim_end_matches(BLANKS) } else { trimmed }
}

/// Splits a line; `None` for what OpenSSH passes over: an empty line, a comment, a keyword whose quote is not closed.
pub(super) fn split(line: &str) -> Option<Line<'_>> {
    let text = trimmed(line);
    let mut words = Words::new(text);
    let mut keyword = words.next()?;
    if keyword.is_empty() {
        keyword = words.next()?;
    }
    if keyword.is_empty() || keyword.starts_with('#') {
        return None;
    }
    Some(Line { text, keyword, rest: words.rest.unwrap_or("").trim_start_matches(BLANKS) })
}

/// The words of a line as OpenSSH's `strdelim` gives them: the keyword is the first.
///
/// A blank or one `=` ends a word, and so does a closing quote. A quote that is not closed ends them all.
#[derive(Clone, Debug)]
struct Words<'a> {
    rest: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let text = self.rest.take()?;
        let Some(end) = text.bytes().position(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'=')) else {
            return Some(text.into());
        };
        let (word, tail) = text.split_at(end);
        if let Some(quoted) = tail.strip_prefix('"') {
            let (quoted, rest) = quoted.split_once('"')?;
            self.rest = Some(rest.trim_start_matches(BLANKS));
            return Some(format!("{word}{quoted}").into());
        }
        let mut tail = tail.chars();
        let delimiter = tail.next();
        let mut rest = tail.as_str().trim_start_matches(BLANKS);
        // One `=` is a separator, a second one belongs to the value.
        if delimiter != Some('=') {
            rest = rest.strip_prefix('=').map_or(rest, |rest| rest.trim_start_matches(BLANKS));
        }
        self.rest = Some(rest);
        Some(word.into())
    }
}

/// The arguments of a line up to a comment, as OpenSSH's `argv_split` gives them; `None` if a quote is not closed.
fn arguments(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| *c == ' ' || *c == '\t').is_some() {}
        match rest.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = rest.next() {
            match c {
                '\\' => {
                    let escaped = rest.next_if(|n| matches!(n, '\'' | '"' | '\\') || (quote.is_none() && *n == ' '));
                    // A backslash before anything else stands for itself.
                    word.push(escaped.unwrap_or('\\'));
                }
                ' ' | '\t' if quote.is_none() => break,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, split};

    #[test]
    fn lines_are_split_as_openssh_splits_them() {
        type Row = (&'static str, &'static str, Result<&'static [&'static str], &'static str>);
        let table: &[Row] = &[
            ("Port 22", "Port", Ok(&["22"])),
            ("\t Port\t22 \r\n", "Port", Ok(&["22"])),
            ("Port=22", "Port", Ok(&["22"])),
            ("Port = 22", "Port", Ok(&["22"])),
            ("Port = = 22", "Port", Ok(&["=", "22"])),
            ("Port==22", "Port", Ok(&["=22"])),
            ("=Port 22", "Port", Ok(&["22"])),
            ("\"Port\" 22", "Port", Ok(&["22"])),
            ("\"Port\"=22", "Port", Ok(&["=22"])),
            ("Po\"rt\" 22", "Port", Ok(&["22"])),
            ("User \"a b\"", "User", Ok(&["a b"])),
            ("User 'a b'", "User", Ok(&["a b"])),
            ("User a\\ b", "User", Ok(&["a b"])),
            ("User a\\tb", "User", Ok(&["a\\tb"])),
            ("User \"a\\\"b\"", "User", Ok(&["a\"b"])),
            ("User x#y # z", "User", Ok(&["x#y"])),
            ("User x # it's", "User", Ok(&["x"])),
            ("User # x", "User", Ok(&[])),
            ("User \"\"", "User", Ok(&[""])),
            ("User x\0y", "User", Ok(&["x"])),
            ("File a'b c'd  e", "File", Ok(&["ab cd", "e"])),
            ("User", "User", Err("needs an argument")),
            ("User =", "User", Err("needs an argument")),
            ("User \"abc", "User", Err("has invalid quotes")),
            ("\x0c", "\x0c", Err("needs an argument")),
        ];
        for (text, keyword, wanted) in table {
            let line = split(text).unwrap_or_else(|| panic!("{text:?}"));
            let arguments = line.arguments();
            assert_eq!(
                (&*line.keyword, line.check()),
                (*keyword, arguments.as_ref().map(drop).map_err(|why| *why)),
                "{text:?}"
            );
            assert_eq!(
                arguments.as_deref().map_err(|why| *why).map(|a| a.iter().map(String::as_str).collect::<Vec<_>>()),
                wanted.map(<[_]>::to_vec)
            );
        }
    }

    #[test]
    fn comments_and_blank_lines_and_open_keywords_are_nothing() {
        for text in ["", "   \t\r\n", "# Port 22", "  #x", "\"Port 22"] {
            assert_eq!(split(text), None, "{text:?}");
        }
    }

    #[test]
    fn words_end_at_blanks_equals_signs_and_closing_quotes() {
        let words = |text| Words::new(text).collect::<Vec<_>>();
        assert_eq!(words("host=a,b  user = c"), ["host", "a,b", "user", "c"]);
        assert_eq!(words("exec \"test 'x y' = z\" all"), ["exec", "test 'x y' = z", "all", ""].map(str::to_owned)[..3]);
        assert_eq!(words("exec \"open"), ["exec"]);
    }
}
