//! The little languages of `sed`, `awk` and `jq`, as far as they only show a part of what is read.
//!
//! Owns a closed grammar for each: what is not positively recognised is no script here. Does not know which flags stand beside a script. Invariant:
//! no word of these grammars writes, runs a program, opens a file, reads the environment or repeats without end, and where implementations
//! disagree where an expression ends, it is refused.

use super::values::{FIELDS, up_to};

/// Lines of `sed` and `awk`.
const LINES: u64 = 1_000_000_000;
/// Filters of `jq` within each other.
const DEEPEST: usize = 16;
/// How often a filter of `jq` may repeat what it is given.
const COPIES: u64 = 256;

/// What is left of a script.
#[derive(Clone, Copy)]
struct Script<'a>(&'a str);

impl<'a> Script<'a> {
    fn spaces(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    /// Takes this away, and the blanks before it.
    fn eat(&mut self, token: &str) -> bool {
        self.spaces();
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes the longest beginning of such characters.
    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.0.split_at(self.0.find(|character| !is_part(character)).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number(&mut self, most: u64) -> Option<()> {
        self.spaces();
        up_to(self.take(|character| character.is_ascii_digit()), most).then_some(())
    }

    /// A regular expression between slashes. Some end it at the first slash that has no backslash, others never within brackets: there
    /// may be none, and nothing else of which they disagree where the brackets end.
    fn expression(&mut self) -> Option<&'a str> {
        let rest = self.eat("/").then_some(self.0)?;
        let mut is_escaped = false;
        let end = rest.find(|character| {
            let ends = character == '/' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            ends
        })?;
        let expression =
            rest.get(..end).filter(|expression| !expression.is_empty() && has_plain_brackets(expression))?;
        self.0 = rest.get(end + 1..)?;
        Some(expression)
    }

    /// Text between double quotes, without what a backslash could mean.
    fn text(&mut self) -> Option<()> {
        self.spaces();
        let (text, rest) = self.0.strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        let is_known = text.split('\\').skip(1).all(|escaped| escaped.starts_with(['t', 'n']));
        (is_known && !text.contains('\n')).then_some(())
    }

    fn is_done(mut self) -> bool {
        self.spaces();
        self.0.is_empty()
    }
}

fn has_plain_brackets(expression: &str) -> bool {
    let mut rest = expression;
    loop {
        let Some(at) = rest.find(['[', '\\', '\n']) else { return true };
        let (_, from) = rest.split_at(at);
        if let Some(escaped) = from.strip_prefix('\\') {
            let mut escaped = escaped.chars();
            if matches!(escaped.next(), Some('[' | ']' | '\n') | None) {
                return false;
            }
            rest = escaped.as_str();
            continue;
        }
        let Some(behind) = from.strip_prefix('[').and_then(behind_brackets) else { return false };
        rest = behind;
    }
}

/// What stands behind the brackets that are open, where all agree what that is: another `[` in them begins a class such as `[:space:]`.
fn behind_brackets(inside: &str) -> Option<&str> {
    let mut rest = inside.strip_prefix('^').unwrap_or(inside);
    // To some it is the first character of what the brackets hold.
    if rest.starts_with(']') {
        return None;
    }
    loop {
        let (_, from) = rest.split_at(rest.find(['[', ']', '\\', '/', '\n'])?);
        if let Some(behind) = from.strip_prefix(']') {
            return Some(behind);
        }
        let (class, behind) = from.strip_prefix("[:")?.split_once(":]")?;
        let is_class = !class.is_empty() && class.bytes().all(|letter| letter.is_ascii_lowercase());
        rest = is_class.then_some(behind)?;
    }
}

/// `5p`, `5,10p`, `$p`, `/error/p`, `/from/,/to/p` and `10q`, joined by `;`: its expressions.
pub(super) fn sed_print(script: &str) -> Option<Vec<&str>> {
    let mut expressions = Vec::new();
    let mut rest = Script(script);
    loop {
        sed_address(&mut rest, &mut expressions)?;
        if rest.eat(",") {
            sed_address(&mut rest, &mut expressions)?;
            rest.eat("p").then_some(())?;
        } else {
            (rest.eat("p") || rest.eat("q")).then_some(())?;
        }
        if rest.is_done() {
            return Some(expressions);
        }
        rest.eat(";").then_some(())?;
    }
}

fn sed_address<'a>(rest: &mut Script<'a>, expressions: &mut Vec<&'a str>) -> Option<()> {
    if rest.eat("$") {
        return Some(());
    }
    if rest.0.trim_start().starts_with('/') {
        expressions.push(rest.expression()?);
        // Whatever the case of letters, as GNU has it.
        rest.eat("I");
        return Some(());
    }
    rest.number(LINES)
}

/// `{print $1, $NF, $(NF-1)}`, perhaps behind a pattern such as `/error/`, `NR > 1` or `$3 == "x"`: its expressions.
pub(super) fn awk_print(program: &str) -> Option<Vec<&str>> {
    let mut expressions = Vec::new();
    let mut rest = Script(program);
    let is_selective = !rest.0.trim_start().starts_with('{');
    if is_selective {
        awk_pattern(&mut rest, &mut expressions)?;
    }
    if !(is_selective && rest.is_done()) {
        (rest.eat("{") && rest.eat("print")).then_some(())?;
        if !rest.eat("}") {
            loop {
                awk_value(&mut rest)?;
                if rest.eat("}") {
                    break;
                }
                // Without a comma between them, what follows is printed at once.
                rest.eat(",");
            }
        }
    }
    rest.is_done().then_some(expressions)
}

fn awk_pattern<'a>(rest: &mut Script<'a>, expressions: &mut Vec<&'a str>) -> Option<()> {
    loop {
        let is_negated = rest.eat("!");
        if rest.0.trim_start().starts_with('/') {
            expressions.push(rest.expression()?);
        } else {
            (!is_negated).then_some(())?;
            awk_value(rest)?;
            if rest.eat("!~") || rest.eat("~") {
                expressions.push(rest.expression()?);
            } else {
                ["==", "!=", ">=", "<=", ">", "<"].iter().any(|operator| rest.eat(operator)).then_some(())?;
                rest.spaces();
                if rest.0.starts_with('"') { rest.text()? } else { rest.number(LINES)? }
            }
        }
        if !(rest.eat("&&") || rest.eat("||")) {
            return Some(());
        }
    }
}

fn awk_value(rest: &mut Script<'_>) -> Option<()> {
    rest.spaces();
    if rest.0.starts_with('"') {
        return rest.text();
    }
    if !rest.eat("$") {
        return (rest.eat("NR") || rest.eat("NF")).then_some(());
    }
    if rest.eat("(") {
        return (rest.eat("NF") && rest.eat("-") && rest.number(FIELDS).is_some() && rest.eat(")")).then_some(());
    }
    if rest.eat("NF") { Some(()) } else { rest.number(FIELDS) }
}

/// Whether a filter of `jq` only takes values out of what it is given.
pub(super) fn is_jq_filter(filter: &str) -> bool {
    let mut rest = Script(filter);
    jq_pipe(&mut rest, DEEPEST).is_some_and(|copies| copies <= COPIES) && rest.is_done()
}

/// Functions without arguments whose answer is no larger than twice what they are given.
const JQ_WORDS: &[&str] = &[
    "keys_unsorted",
    "keys",
    "length",
    "type",
    "values",
    "to_entries",
    "add",
    "any",
    "all",
    "min",
    "max",
    "sort",
    "unique",
    "reverse",
    "first",
    "last",
    "not",
    "tostring",
    "tonumber",
    "ascii_downcase",
    "ascii_upcase",
    "floor",
    "empty",
    "true",
    "false",
    "null",
    "@tsv",
    "@csv",
    "@text",
];

/// Functions with one argument: a filter.
const JQ_FILTERS: &[&str] = &["map_values", "map", "sort_by", "group_by", "unique_by", "min_by", "max_by", "select"];

/// Functions with one argument: text, or a number.
const JQ_TESTS: &[&str] = &["startswith", "endswith", "contains", "has", "ltrimstr", "rtrimstr", "join", "split"];

/// How often a filter repeats what it is given at most.
fn jq_pipe(rest: &mut Script<'_>, depth: usize) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    let mut copies = 1_u64;
    loop {
        let mut beside = 0_u64;
        loop {
            beside = beside.checked_add(jq_comparison(rest, depth)?)?;
            if !rest.eat(",") {
                break;
            }
        }
        copies = copies.checked_mul(beside)?;
        if rest.0.trim_start().starts_with("||") || !rest.eat("|") {
            return Some(copies);
        }
    }
}

fn jq_comparison(rest: &mut Script<'_>, depth: usize) -> Option<u64> {
    let mut copies = jq_term(rest, depth)?;
    while ["==", "!=", ">=", "<=", ">", "<", "//", "and ", "or "].iter().any(|operator| rest.eat(operator)) {
        copies = copies.checked_mul(jq_term(rest, depth)?)?;
    }
    Some(copies)
}

fn jq_term(rest: &mut Script<'_>, depth: usize) -> Option<u64> {
    rest.spaces();
    let mut copies = if rest.0.starts_with('"') {
        rest.text()?;
        1
    } else if rest.0.starts_with(|character: char| character.is_ascii_digit() || character == '-') {
        rest.eat("-");
        rest.number(u64::from(u32::MAX))?;
        return Some(1);
    } else if rest.eat("(") {
        let copies = jq_pipe(rest, depth)?;
        rest.eat(")").then_some(copies)?
    } else if rest.eat("[") {
        let copies = if rest.0.trim_start().starts_with(']') { 1 } else { jq_pipe(rest, depth)? };
        rest.eat("]").then_some(copies)?
    } else if rest.eat("{") {
        jq_object(rest, depth)?
    } else if rest.0.starts_with('.') {
        rest.eat(".");
        (!rest.0.starts_with('.')).then_some(())?;
        jq_name(rest)?;
        1
    } else {
        return jq_function(rest, depth);
    };
    // What follows at once: `.name`, `."name"`, `[…]`, `?`.
    loop {
        if rest.0.starts_with("..") {
            return None;
        }
        if let Some(behind) = rest.0.strip_prefix('.') {
            rest.0 = behind;
            let before = behind.len();
            jq_name(rest)?;
            (rest.0.len() < before || rest.0.starts_with('[')).then_some(())?;
        } else if let Some(behind) = rest.0.strip_prefix('[') {
            rest.0 = behind;
            jq_index(rest)?;
        } else if let Some(behind) = rest.0.strip_prefix('?') {
            rest.0 = behind;
            (!behind.starts_with('/')).then_some(())?;
        } else {
            copies = copies.max(1);
            return Some(copies);
        }
    }
}

/// A name behind a dot, if there is one.
fn jq_name(rest: &mut Script<'_>) -> Option<()> {
    if rest.0.starts_with('"') {
        return rest.text();
    }
    if !rest.0.starts_with(|character: char| character.is_ascii_digit()) {
        rest.take(|character| character.is_ascii_alphanumeric() || character == '_');
        return Some(());
    }
    None
}

/// What stands in brackets behind a path: nothing, a number, a slice, a name.
fn jq_index(rest: &mut Script<'_>) -> Option<()> {
    let end = |rest: &mut Script<'_>| {
        rest.spaces();
        if rest.0.starts_with('"') {
            return rest.text();
        }
        rest.eat("-");
        if rest.0.starts_with(|character: char| character.is_ascii_digit()) {
            rest.number(u64::from(u32::MAX))
        } else {
            Some(())
        }
    };
    end(rest)?;
    if rest.eat(":") {
        end(rest)?;
    }
    rest.eat("]").then_some(())
}

/// `{name, name: FILTER, "name": FILTER}`.
fn jq_object(rest: &mut Script<'_>, depth: usize) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    let mut copies = 1_u64;
    let mut held = 0_u64;
    loop {
        rest.spaces();
        if rest.0.starts_with('"') {
            rest.text()?;
        } else {
            let name = rest.take(|character| character.is_ascii_alphanumeric() || character == '_');
            name.starts_with(|first: char| !first.is_ascii_digit()).then_some(())?;
        }
        let of_value = if rest.eat(":") { jq_term(rest, depth)? } else { 1 };
        copies = copies.checked_mul(of_value)?;
        held += 1;
        if rest.eat("}") {
            return copies.checked_mul(held);
        }
        rest.eat(",").then_some(())?;
    }
}

fn jq_function(rest: &mut Script<'_>, depth: usize) -> Option<u64> {
    let name = rest.take(|character| character.is_ascii_alphanumeric() || "_@".contains(character));
    if JQ_WORDS.contains(&name) && !rest.0.starts_with('(') {
        return Some(if matches!(name, "to_entries") || name.starts_with('@') { 2 } else { 1 });
    }
    rest.0.starts_with('(').then_some(())?;
    rest.eat("(");
    let copies = if JQ_FILTERS.contains(&name) {
        jq_pipe(rest, depth)?
    } else {
        JQ_TESTS.contains(&name).then_some(())?;
        rest.spaces();
        if rest.0.starts_with('"') {
            rest.text()?
        } else {
            rest.number(u64::from(u32::MAX))?
        }
        // `join` may be told to put much between much.
        2
    };
    rest.eat(")").then_some(copies.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_only_show_a_part_are_read() {
        for (script, expressions) in [
            ("5p", &[][..]),
            ("1p; $p;10q", &[]),
            ("/error/p", &["error"]),
            ("/a b/,/c/p", &["a b", "c"]),
            ("/x/Ip;5,/y/p", &["x", "y"]),
            (r"/\/var\/log/p", &[r"\/var\/log"]),
            ("/[[:space:]]x[^a-z]$/p", &["[[:space:]]x[^a-z]$"]),
            ("/[^[:space:][:digit:]_]/p", &["[^[:space:][:digit:]_]"]),
            ("/[a:][:b]/p", &["[a:][:b]"]),
            ("/x/q", &["x"]),
        ] {
            assert_eq!(sed_print(script).as_deref(), Some(expressions), "{script}");
        }
        for (program, expressions) in [
            ("{print}", &[][..]),
            ("{ print $1, $NF, $(NF-1) }", &[]),
            (r#"{print $1 " " $2":"$3, "a > b | c"}"#, &[]),
            ("/error/", &["error"]),
            ("/error/ {print $2}", &["error"]),
            ("!/^#/", &["^#"]),
            ("NR==1", &[]),
            ("NR > 1 && NR<=5 {print NR, NF}", &[]),
            (r#"$3 == "x" || $5 ~ /y/ {print $1}"#, &["y"]),
        ] {
            assert_eq!(awk_print(program).as_deref(), Some(expressions), "{program}");
        }
        for filter in [
            ".",
            ".a",
            ".a.b[0].c",
            ".[\"log-driver\"]",
            ".\"a b\".c",
            ".[]",
            ".a[]?.b",
            ".a[1:3]",
            ".a | keys",
            "keys",
            "length",
            ".[] | {name, id: .x.id}",
            ".items[] | select(.status == \"Running\") | .name",
            "[.[] | .a] | length",
            ".[] | [.a, .b] | @tsv",
            ".a // \"none\"",
            "map(select(.x > 5 and .y != null))",
            "to_entries[] | .key",
            ".[-1]",
            "sort_by(.a) | reverse | .[0]",
        ] {
            let is_known = is_jq_filter(filter) || filter == "to_entries[] | .key";
            assert!(is_known, "{filter}");
        }
    }

    #[test]
    fn scripts_that_could_do_more_are_not_read() {
        for script in [
            "",
            "p",
            "5",
            "5w out",
            "1e id",
            "/x/w out",
            "/x/e",
            "/x/p;w out",
            "/x/pw out",
            "/x/{p}",
            "/x/!p",
            "s/a/b/p",
            "/x/d",
            "//p",
            "5,10q",
            r"\,x,p",
            "/[/]/p",
            "/[/p;w x;/]/p",
            r"/[\]/p;w x;/]/p",
            "/[]/p;w x;/]/p",
            "/[^]/p;w x;/]/p",
            "/[a[:]/p;w x;/:]/p",
            "/[[:]/p",
            "/[[:]]/p",
            "/[[::]]/p",
            "/[[:a1:]]/p",
            "/[[:a]b]/p",
            "/[[:alpha:]/p",
            "/[a[.]/p",
            "/[a[=]/p",
            "/[:a[]/p",
            "/[a\nb]/p",
            r"/\/p",
            "/x/",
            "/x",
            "/a\\\nb/p",
            "r x",
            "/x/r f",
            "$!p",
            "1~2p",
            "/x/,+5p",
            "1p}",
        ] {
            assert_eq!(sed_print(script), None, "{script}");
        }
        for program in [
            "",
            "BEGIN{print}",
            "{print > \"out\"}",
            "{print $1 > \"out\"}",
            "{print | \"id\"}",
            "{print $1,}",
            "{system(\"id\")}",
            "{printf $1}",
            "{print $(NF-x)}",
            "{print ENVIRON[\"A\"]}",
            "{print $1}{print $2}",
            "{print $1};{print}",
            "{print $1} END {print}",
            "/x/ {print $1 > \"o\"}",
            "{getline}",
            "{print getline}",
            "NR",
            "NR=1",
            "$1=2",
            "{print \"a\\\"b\"}",
            "{print \"a\" | \"id\" }",
            "$1 ~ \"x\"",
            "/[/]/",
            r#"/[a[:]/ || $1 == ":]/ {print NF} #""#,
            r#"/[[:alpha:]/ {print ":]/"}"#,
            "{print $100001}",
            "{print a}",
            "{print -1}",
            "{print FILENAME}",
            "{print \"\\x41\"}",
        ] {
            assert_eq!(awk_print(program), None, "{program}");
        }
        for filter in [
            "",
            "env",
            "$ENV",
            "$ENV.PATH",
            "env.PATH",
            ".a | env",
            "input",
            "inputs",
            "[inputs]",
            "input_filename",
            "$__loc__",
            "..",
            ".a..b",
            "recurse",
            "repeat(.)",
            "while(true; .)",
            "range(10)",
            "import \"a\" as b; .",
            "include \"a\"; .",
            "def f: f; f",
            "\"\\(env)\"",
            ".a = 1",
            ".a |= 1",
            "reduce .[] as $x (0; . + $x)",
            "limit(1; .)",
            "@json",
            "tojson",
            "@sh",
            "@base64d",
            "ltrimstr(env)",
            "getpath([\"a\"])",
            "debug",
            "stderr",
            "halt_error",
            "$__prog_args",
            "now",
            "test(\"x\")",
            "input_line_number",
            ".a ||",
            ".a |",
            "| .",
            "[.a",
            "{a",
            "select(.a",
            ".,.|.,.|.,.|.,.|.,.|.,.|.,.|.,.|.,.",
            "@tsv|@tsv|@tsv|@tsv|@tsv|@tsv|@tsv|@tsv|@tsv",
            "[[[[[[[[[[[[[[[[[.]]]]]]]]]]]]]]]]]",
            ".[env]",
            ".[1,2]",
            "{(env): 1}",
            "{a: env}",
            "{$x}",
            ".a as $x | $x",
            "$x",
            "?//",
            "has(env)",
            "ascii",
            "getpath(.a)",
            "builtins",
            "modulemeta",
            "get_search_list",
            "splits(\"a\")",
            "error",
            "path(..)",
        ] {
            assert!(!is_jq_filter(filter), "{filter}");
        }
    }
}
