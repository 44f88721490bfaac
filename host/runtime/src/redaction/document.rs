//! `docs/redaction.md`, written from the rules, and the test that holds the two equal.

use std::fmt::Write as _;

use super::rules::{Form, RULES};
use crate::written_pages;

const DOCUMENT: &str = "../../docs/redaction.md";
/// The longest line.
const COLUMNS: usize = 100;

const HEAD: &str = "# Redaction

Made from the [rules](../host/runtime/src/redaction/rules.rs); a test holds the two equal and says how
to write this page anew.

With `redact = true` in [scout.toml](configuration.md#scouttoml) secrets are masked in everything
that leaves for a client: the text and the fields of answers, resources, errors and their hints,
progress, what `scout call` prints. Where one was stands `[redacted: NAME]` with the name of its rule
below. `redacted` in the receipt of an answer (`_meta`) says how many there were. What has no secret
stays as it is, byte for byte, and no file is ever changed. Over stdio it is off unless you turn it
on; over HTTP it is on unless you turn it off with `redact = false`.

It takes secrets out that lie in what a model reads for other reasons. It is no wall: who may run
commands on a host and wants to show a secret can write it in a way that no rule knows.

What is seen:

- A text is looked at before it is cut to what an answer shows, as far as Scout got it from its host:
  a token that is cut at the end of that, or by a plugin with `…`, is masked as far as it is there
  (eight characters and more). A part of a file that begins within a secret shows its rest.
- Each string of JSON by itself, and with the name of its field; of `{\"name\": \"DB_PASSWORD\",
  \"value\": \"…\"}` the value. In texts, names count in whatever notation they stand: JSON (also inside a
  string of JSON), YAML, INI, variables, flags, queries, XML.
- Bytes that are no text are looked at before they become base64. UTF-16 is not known, and what is
  compressed or encoded by a host is not unpacked. Pictures are not looked at, and numbers in fields
  stay.
- A value behind a secret's name stays if it is a placeholder (`changeme`, `<…>`, `****`), a variable
  (`${NAME}`), a path, a word, a number, a date, a version or a call of a function; so does a password
  of letters alone. What names speak *about* a secret (`password_file`, `token_type`) counts as none.
- What your own client sends is not masked where an error repeats it.

[Secret paths](secret-paths.md) and files that hold private keys are refused whether or not this is
on.

## Rules
";

fn document() -> String {
    let mut out = HEAD.to_owned();
    for rule in RULES {
        let mut text = format!("- `{}`: {}", rule.name, rule.what);
        if let Form::Token { prefixes, .. } = &rule.form {
            let _ = write!(text, "; begins with `{}`", prefixes.join("`, `"));
        }
        out.push('\n');
        out.push_str(&wrapped(&format!("{text}.")));
    }
    out.push('\n');
    out
}

/// An item of a list in lines.
fn wrapped(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    // What stands in quotes stays on one line.
    let mut quoted = false;
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut().filter(|_| quoted) {
            Some(last) => *last = format!("{last} {word}"),
            None => words.push(word.to_owned()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    for word in words {
        let long = word.chars().count();
        if column > 0 && column + 1 + long > COLUMNS {
            out.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word);
        column += long;
    }
    out
}

#[test]
fn the_page_is_the_rules() {
    written_pages::hold(DOCUMENT, &document(), "rules.rs", "the_page_is_the_rules");
}
