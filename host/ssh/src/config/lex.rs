//! One line of `ssh_config`, split as OpenSSH splits it.
//!
//! Owns quotes, escapes, comments and the `=` after a keyword. Knows no keyword.

/// A line that is neither empty nor a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// As it is written.
    pub(super) keyword: String,
    /// The arguments, or why they cannot be split.
    pub(super) arguments: Result<Vec<String>, &'static str>,
}

const BLANKS: [char; 5] = [' ', '\t', '\r', '\n', '\x0c'];

/// Splits a line; `None` for an empty line and a comment.
pub(super) fn split(line: &str) -> Option<Line> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keyword, rest) = match line.strip_prefix('"') {
        Some(quoted) => match quoted.split_once('"') {
            Some(parts) => parts,
            None => return Some(Line { keyword: line.to_owned(), arguments: Err("has invalid quotes") }),
        },
        None => line.split_at(line.find(|c| BLANKS.contains(&c) || c == '=' || c == '"').unwrap_or(line.len())),
    };
    let rest = rest.trim_start_matches(BLANKS);
    // One `=` is a separator, a second one belongs to the value.
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(BLANKS);
    Some(Line { keyword: keyword.to_owned(), arguments: words(rest).ok_or("has invalid quotes") })
}

/// The words of a line up to a comment; `None` if a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
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
    use super::{Line, split};

    #[test]
    fn lines_are_split_as_openssh_splits_them() {
        let table: &[(&str, &str, Option<&[&str]>)] = &[
            ("Port 22", "Port", Some(&["22"])),
            ("\t Port\t22 \r\n", "Port", Some(&["22"])),
            ("Port=22", "Port", Some(&["22"])),
            ("Port = 22", "Port", Some(&["22"])),
            ("Port = = 22", "Port", Some(&["=", "22"])),
            ("\"Port\" 22", "Port", Some(&["22"])),
            ("User \"a b\"", "User", Some(&["a b"])),
            ("User 'a b'", "User", Some(&["a b"])),
            ("User a\\ b", "User", Some(&["a b"])),
            ("User a\\tb", "User", Some(&["a\\tb"])),
            ("User \"a\\\"b\"", "User", Some(&["a\"b"])),
            ("User x#y # z", "User", Some(&["x#y"])),
            ("User x # it's", "User", Some(&["x"])),
            ("User", "User", Some(&[])),
            ("User \"\"", "User", Some(&[""])),
            ("User \"abc", "User", None),
            ("File a'b c'd  e", "File", Some(&["ab cd", "e"])),
        ];
        for (text, keyword, arguments) in table {
            let wanted = Line {
                keyword: (*keyword).to_owned(),
                arguments: arguments.map(|a| a.iter().map(|s| (*s).to_owned()).collect()).ok_or("has invalid quotes"),
            };
            assert_eq!(split(text), Some(wanted), "{text:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_nothing() {
        for text in ["", "   \t\r\n", "# Port 22", "  #x"] {
            assert_eq!(split(text), None, "{text:?}");
        }
    }
}
