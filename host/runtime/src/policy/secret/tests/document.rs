//! The list of secret paths as a page for people.

use std::fmt::Write as _;

use super::super::devices::{DEVICES, DIRECTORIES, ROOTS};
use super::super::list::{NAMES, Row, SECRETS, UNPROVEN};
use super::super::name::COPIES;
use crate::written_pages;

/// Where the page stands, seen from the crate.
const DOCUMENT: &str = "../../docs/secret-paths.md";

const HEAD: &str = "# Secret paths

Made from the [list](../host/runtime/src/policy/secret/list.rs); a test holds the two equal and says
how to write this page anew.

What stands here is refused on every host, to files and to commands, whatever the remote account may
read. A refusal names the pattern. [scout.toml](configuration.md#scouttoml) changes the list:
`secret_paths` adds to it, `readable_paths` takes away.

A pattern begins with `/`, or with `**/` for any directory. `*` stands for characters of one name,
`/**` at the end for a directory and all below it; `/x/*/**` is everything in a directory, which may
be listed itself. Letters are compared in either case. How files and commands are held against the
list, and what is not seen, is in the [security model](security.md#secret-paths).

What is left out, knowingly:

- `/etc/environment`, `/etc/default`, `/etc/sysconfig`, `/etc/crontab`: every account may read them,
  every program is started with them, and no question about a service is answered without them.
- `*.pem`, `*.crt`, `*.key` of files: most of the first two are certificates. What the file holds
  decides. Commands open [some of them](#for-commands-alone) not at all.
- Configurations that hold a password now and then (`/etc/*.conf`, `*.ini`, `*.yml`): `secret_paths`
  takes those that do.
- `.env.example` and what else is meant to be copied: it holds no values.
";

const CONTENT: &str = "
## What a file holds

A file is not answered, whatever its name, if what is answered of it holds one of these, unless
`readable_paths` has the file:

- a private key: as PEM, of OpenSSH, OpenPGP, SSH2, PuTTY or age, or a static key of OpenVPN; also
  within JSON, YAML or XML, in UTF-16, and in base64 as Kubernetes writes secrets;
- settings of Git with a password in a remote's address, or with an `Authorization` header.

Keys in other notations (DER, PKCS #12, key stores) are known by their names.
";

/// A word that begins a heading.
fn heading(holds: &str) -> String {
    let mut letters = holds.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What rows hold, each kind under one heading.
fn kinds(out: &mut String, rows: &[Row]) {
    let mut last = "";
    for (holds, patterns, but) in rows {
        if *holds != last {
            let _ = write!(out, "\n### {}\n", heading(holds));
        }
        last = holds;
        let _ = writeln!(out);
        for pattern in *patterns {
            let _ = writeln!(out, "- `{pattern}`");
        }
        if !but.is_empty() {
            let but: Vec<_> = but.iter().map(|pattern| format!("`{pattern}`")).collect();
            let _ = write!(out, "\nOf these may be read:\n{}\n", wrapped(&but.join(", ")));
        }
    }
}

/// Words in lines of at most 100 characters; what stands in backquotes is kept together.
fn wrapped(text: &str) -> String {
    let (mut out, mut column, mut is_code) = (String::new(), 0, false);
    for word in text.split(' ') {
        let length = word.chars().count();
        if !is_code && column > 0 && column + 1 + length > 100 {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        is_code ^= word.matches('`').count() % 2 == 1;
    }
    out
}

fn copies() -> String {
    let shown = |(before, behind): &(&[u8], &[u8])| {
        format!("`{}NAME{}`", String::from_utf8_lossy(before), String::from_utf8_lossy(behind))
    };
    COPIES.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn roots() -> String {
    ROOTS.iter().map(|root| format!("`/{}`", root.join("/"))).collect::<Vec<_>>().join(", ")
}

fn document() -> String {
    let mut out = String::from(HEAD);
    let _ = write!(
        out,
        "\n## Copies and other roots\n\n{}\n\n{}\n",
        wrapped(&format!(
            "What is called like a copy of a secret file is refused as well, and a copy of a copy: {}, and digits at the \
             end, as in `NAME.1` and `NAME-20261129`.",
            copies()
        )),
        wrapped(&format!(
            "What is listed [in its place](#in-their-place) from the root on is held below any other directory too \
             (`/mnt/etc/shadow`); what `secret_paths` adds is not. Below these directories everything is as below `/`: {}.",
            roots()
        ))
    );
    let section = |out: &mut String, title: &str, text: &str, rows: &[Row]| {
        let _ = write!(out, "\n## {title}\n");
        if !text.is_empty() {
            let _ = write!(out, "\n{}\n", wrapped(text));
        }
        kinds(out, rows);
    };
    section(&mut out, "In their place", "", SECRETS);
    let named = "A program that only tells that one is there (`ls`, `stat`) may be given it. Of globs those are refused that \
                 are meant for it.";
    section(&mut out, "By their name, in any directory", named, NAMES);
    out.push_str(CONTENT);
    let unproven = "Of a command nobody sees what it answers before it is answered, so the name decides.";
    section(&mut out, "For commands alone", unproven, UNPROVEN);
    let devices = "Reading it can block, never end, take away what others wait for, or set something going. Programs that \
                   only tell of it ([commands.md](commands.md) names them) may be given it.";
    section(&mut out, "What commands do not open", devices, DEVICES);
    let directories = "A program that searches directories (`grep -r`, `rg`, `diff`) is not let into these, and not into what \
                       is listed above as `/x/*/**`.";
    section(&mut out, "Where commands do not search", directories, DIRECTORIES);
    out
}

#[test]
fn the_page_is_the_list() {
    written_pages::hold(DOCUMENT, &document(), "list.rs", "the_page_is_the_list");
}
