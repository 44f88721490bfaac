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
/// How many times what it is given the values weigh at most that a filter of `jq` makes of it; see [`Growth`].
const MOST_GROWTH: u64 = 256;
/// What a value weighs at least: the longest number as `jq` writes it, in bytes.
const LEAST: u64 = 24;

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
    fn text(&mut self) -> Option<&'a str> {
        self.spaces();
        let (text, rest) = self.0.strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        let is_known = text.split('\\').skip(1).all(|escaped| escaped.starts_with(['t', 'n']));
        (is_known && !text.contains('\n')).then_some(text)
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
                if rest.0.starts_with('"') { rest.text().map(drop)? } else { rest.number(LINES)? }
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
        return rest.text().map(drop);
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
    jq_pipe(&mut rest, DEEPEST).is_some_and(|growth| growth.times <= MOST_GROWTH) && rest.is_done()
}

/// What a filter of `jq` makes of a value at most.
///
/// A value weighs as much as its JSON text and no less than [`LEAST`], a list or an object [`LEAST`] and all that it holds, the names of members
/// their text. So every value weighs as much as a constant that a function may answer in its place (`null`, `"boolean"`, a number), and what is small in
/// JSON and large in memory (`0,0,0`) is not counted as small.
#[derive(Clone, Copy)]
struct Growth {
    /// How many values; absent: as many as a list holds.
    values: Option<u64>,
    /// How many times what it is given they weigh together, and whatever it makes on the way.
    times: u64,
}

impl Growth {
    /// One value that is a part of what is given, or a constant.
    const PART: Self = Self { values: Some(1), times: 1 };

    fn one(times: u64) -> Self {
        Self { values: Some(1), times }
    }

    /// The values of both.
    fn beside(self, other: Self) -> Option<Self> {
        self.combined(other, u64::checked_add)
    }

    /// The other's values of each of these.
    fn then(self, other: Self) -> Option<Self> {
        self.combined(other, u64::checked_mul)
    }

    /// What is made of every value of these with every one of the other's. Of two lists that would be as many as both have, multiplied.
    fn with(self, other: Self) -> Option<Self> {
        if self.values.or(other.values).is_some() { self.then(other) } else { None }
    }

    fn combined(self, other: Self, both: fn(u64, u64) -> Option<u64>) -> Option<Self> {
        let values = match (self.values, other.values) {
            (Some(values), Some(others)) => Some(both(values, others)?),
            _ => None,
        };
        Some(Self { values, times: both(self.times, other.times)? })
    }
}

/// How many times [`LEAST`] this text weighs.
fn times_least(text: &str) -> u64 {
    // A control character is `\u001b` in JSON.
    let weight = |character: char| if character.is_control() { 6 } else { character.len_utf8() };
    u64::try_from(text.chars().map(weight).sum::<usize>()).unwrap_or(u64::MAX).div_ceil(LEAST)
}

/// Functions without arguments, and how many times what they are given their answer weighs. To write a value as text doubles its quotes and backslashes, and puts
/// some between: less than three times. Of a member or an element of 24 `to_entries` makes an object of less than four times that.
const JQ_WORDS: &[(&str, u64)] = &[
    ("keys_unsorted", 1),
    ("keys", 1),
    ("length", 1),
    ("type", 1),
    ("values", 1),
    ("to_entries", 4),
    ("add", 1),
    ("any", 1),
    ("all", 1),
    ("min", 1),
    ("max", 1),
    ("sort", 1),
    ("unique", 1),
    ("reverse", 1),
    ("first", 1),
    ("last", 1),
    ("not", 1),
    ("tostring", 3),
    ("tonumber", 1),
    ("ascii_downcase", 1),
    ("ascii_upcase", 1),
    ("floor", 1),
    ("empty", 1),
    ("true", 1),
    ("false", 1),
    ("null", 1),
    ("@tsv", 3),
    ("@csv", 3),
    ("@text", 3),
];

/// Functions with one argument: a filter that is asked of each element.
const JQ_MAPS: &[&str] = &["map_values", "map"];

/// The same, whose answers are kept beside the elements.
const JQ_ORDERS: &[&str] = &["sort_by", "group_by", "unique_by", "min_by", "max_by"];

/// Functions with one argument, text or a number, that answer with a part of what they are given, or whether it is so.
const JQ_TESTS: &[&str] = &["startswith", "endswith", "contains", "has", "ltrimstr", "rtrimstr"];

fn jq_pipe(rest: &mut Script<'_>, depth: usize) -> Option<Growth> {
    let depth = depth.checked_sub(1)?;
    let mut all = Growth::PART;
    loop {
        let mut each = jq_comparison(rest, depth)?;
        while rest.eat(",") {
            each = each.beside(jq_comparison(rest, depth)?)?;
        }
        all = all.then(each)?;
        if rest.0.trim_start().starts_with("||") || !rest.eat("|") {
            return Some(all);
        }
    }
}

fn jq_comparison(rest: &mut Script<'_>, depth: usize) -> Option<Growth> {
    let mut all = jq_term(rest, depth)?;
    while ["==", "!=", ">=", "<=", ">", "<", "//", "and ", "or "].iter().any(|operator| rest.eat(operator)) {
        all = all.with(jq_term(rest, depth)?)?;
    }
    Some(all)
}

fn jq_term(rest: &mut Script<'_>, depth: usize) -> Option<Growth> {
    rest.spaces();
    let mut growth = if rest.0.starts_with('"') {
        Growth::one(times_least(rest.text()?).max(1))
    } else if rest.0.starts_with(|character: char| character.is_ascii_digit() || character == '-') {
        rest.eat("-");
        rest.number(u64::from(u32::MAX))?;
        return Some(Growth::PART);
    } else if rest.eat("(") {
        let growth = jq_pipe(rest, depth)?;
        rest.eat(")").then_some(growth)?
    } else if rest.eat("[") {
        let held = if rest.0.trim_start().starts_with(']') { 0 } else { jq_pipe(rest, depth)?.times };
        rest.eat("]").then_some(Growth::one(held.checked_add(1)?))?
    } else if rest.eat("{") {
        jq_object(rest, depth)?
    } else if rest.0.starts_with('.') {
        rest.eat(".");
        (!rest.0.starts_with('.')).then_some(())?;
        jq_name(rest)?;
        Growth::PART
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
            if jq_index(rest)? == Index::All {
                growth.values = None;
            }
        } else if let Some(behind) = rest.0.strip_prefix('?') {
            rest.0 = behind;
            (!behind.starts_with('/')).then_some(())?;
        } else {
            return Some(growth);
        }
    }
}

/// A name behind a dot, if there is one.
fn jq_name(rest: &mut Script<'_>) -> Option<()> {
    if rest.0.starts_with('"') {
        return rest.text().map(drop);
    }
    if !rest.0.starts_with(|character: char| character.is_ascii_digit()) {
        rest.take(|character| character.is_ascii_alphanumeric() || character == '_');
        return Some(());
    }
    None
}

/// What stands in brackets behind a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Index {
    /// Nothing: each value that is there.
    All,
    /// A number, a slice, a name.
    Part,
}

fn jq_index(rest: &mut Script<'_>) -> Option<Index> {
    if rest.eat("]") {
        return Some(Index::All);
    }
    let end = |rest: &mut Script<'_>| {
        rest.spaces();
        if rest.0.starts_with('"') {
            return rest.text().map(drop);
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
    rest.eat("]").then_some(Index::Part)
}

/// `{name, name: FILTER, "name": FILTER}`: an object for every value of each with every one of the others.
fn jq_object(rest: &mut Script<'_>, depth: usize) -> Option<Growth> {
    let depth = depth.checked_sub(1)?;
    let (mut names, mut members) = (String::new(), Vec::new());
    loop {
        rest.spaces();
        if rest.0.starts_with('"') {
            names.push_str(rest.text()?);
        } else {
            let name = rest.take(|character| character.is_ascii_alphanumeric() || character == '_');
            name.starts_with(|first: char| !first.is_ascii_digit()).then_some(())?;
            names.push_str(name);
        }
        members.push(if rest.eat(":") { jq_term(rest, depth)? } else { Growth::PART });
        if rest.eat("}") {
            break;
        }
        rest.eat(",").then_some(())?;
    }
    let itself = times_least(&names).checked_add(1)?;
    // A list stands alone: whatever stood beside it would be repeated as often as that has values.
    if let [only] = members.as_slice() {
        return Some(Growth { times: itself.checked_add(1)?.checked_mul(only.times)?, ..*only });
    }
    let mut objects = 1_u64;
    for member in &members {
        objects = objects.checked_mul(member.values?)?;
    }
    let mut times = objects.checked_mul(itself)?;
    for member in &members {
        let with_others = objects.checked_div(member.values?)?;
        times = times.checked_add(with_others.checked_mul(member.times)?)?;
    }
    Some(Growth { values: Some(objects), times })
}

fn jq_function(rest: &mut Script<'_>, depth: usize) -> Option<Growth> {
    let name = rest.take(|character| character.is_ascii_alphanumeric() || "_@".contains(character));
    let is_word = |(word, _): &&(&str, u64)| *word == name;
    if let Some((_, times)) = JQ_WORDS.iter().find(is_word).filter(|_| !rest.0.starts_with('(')) {
        return Some(Growth::one(*times));
    }
    rest.0.starts_with('(').then_some(())?;
    rest.eat("(");
    let growth = if JQ_MAPS.contains(&name) {
        Growth::one(jq_pipe(rest, depth)?.times)
    } else if JQ_ORDERS.contains(&name) {
        Growth::one(jq_pipe(rest, depth)?.times.checked_add(1)?)
    } else if name == "select" {
        // It answers with all that it is given for each value that is true.
        let asked = jq_pipe(rest, depth)?;
        asked.values.is_some().then_some(asked)?
    } else {
        let text = jq_text_or_number(rest)?;
        match name {
            "join" => Growth::one(times_least(text).checked_add(1)?),
            // Of each character it may make a value, and one more beside, in a list.
            "split" => Growth::one(LEAST + 2),
            name => JQ_TESTS.contains(&name).then_some(Growth::PART)?,
        }
    };
    rest.eat(")").then_some(growth)
}

/// The text between quotes, or nothing where a number stands.
fn jq_text_or_number<'a>(rest: &mut Script<'a>) -> Option<&'a str> {
    rest.spaces();
    if rest.0.starts_with('"') { rest.text() } else { rest.number(u64::from(u32::MAX)).map(|()| "") }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use serde_json::{Value, json};

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
            ".a | split(\",\") | .[0]",
            "map(join(\", \"))",
            ".[] | {a, b, c: .x.c} | tostring",
            "group_by(.a) | map({a: .[0].a, n: length})",
            ".a[] == \"x\"",
            ".a[]? // \"none\"",
            "map(select([.tags[] == \"x\"] | any))",
            ".[] | {name, images: [.containers[].image]}",
            ".[] | {image: .containers[].image}",
        ] {
            let is_known = is_jq_filter(filter) || filter == "to_entries[] | .key";
            assert!(is_known, "{filter}");
        }
    }

    fn weight(value: &Value) -> u64 {
        // As it is written, without its quotes.
        let text = |text: &str| u64::try_from(Value::from(text).to_string().len() - 2).expect("a length");
        match value {
            Value::Array(held) => LEAST + held.iter().map(weight).sum::<u64>(),
            Value::Object(held) => LEAST + held.iter().map(|(name, value)| text(name) + weight(value)).sum::<u64>(),
            Value::String(held) => text(held).max(LEAST),
            _ => LEAST,
        }
    }

    /// What jq makes of each input, whatever fault it finds with others.
    fn made(filter: &str, inputs: &Value) -> Vec<Vec<Value>> {
        let mut jq = Command::new("jq")
            .args(["-c", &format!(".[] | [({filter})?]")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("jq is missing: apt-get install jq");
        jq.stdin.take().expect("a pipe").write_all(inputs.to_string().as_bytes()).expect("jq reads");
        let out = jq.wait_with_output().expect("jq ends");
        let lines = String::from_utf8(out.stdout).expect("JSON");
        let made: Vec<Vec<Value>> = lines.lines().map(|line| serde_json::from_str(line).expect("a list")).collect();
        assert_eq!(made.len(), inputs.as_array().map_or(0, Vec::len), "{filter}");
        made
    }

    #[test]
    fn no_filter_makes_more_than_is_counted() {
        let text = |part: &str| Value::from(part.repeat(200));
        let inputs = json!([
            null, -1.7976931348623157e308, "", "a", "\\", text("a"), text("\""), text("\\"), text("\n"), text("\u{1}"), text(","), text("a,"), text("\u{1f980}"),
            [], [[]], [0, 0, 0], [true, false, null], ["", "", ""], [text("\""), text("\t"), text("\\")], [[0], [0], [1]], [{"a": 0}, {"a": 0}, {}],
            {}, {"": 0}, {"a": 0, "b": [0, 0], "c": "x"}, {"\"\\": ["\"\\"], text("k").to_string(): 0}, {"a": text("\""), "b": text("\\")},
        ]);
        let words = JQ_WORDS.iter().map(|(word, _)| (*word).to_owned());
        let maps = JQ_MAPS
            .iter()
            .chain(JQ_ORDERS)
            .flat_map(|name| [".", "[.]", ".a?", "{a: ., b: .}"].map(|filter| format!("{name}({filter})")));
        let others = [
            ".",
            ".[]",
            ".[1:]",
            ".,.,.",
            "[.,.]",
            "\"a long text, and longer than that of a number\"",
            "1, 2",
            "[.] | tostring",
            "[[.] | tostring] | tostring",
            "[.[]] | @csv",
            "[[.[] | @text] | @tsv] | @tsv",
            "split(\"\")",
            "split(\",\")",
            "split(\"a\")",
            "join(\"\")",
            "join(\"0123456789012345678901234\")",
            "{a: .}",
            "{a: .[]}",
            "{a: ., b: ., \"a name that is longer than a number\": 1}",
            "{a: (1, 2), b: (., .)}",
            ".[] == 1",
            ". == (1, 2)",
            ".a? // .",
            "select(1, 2)",
            "select([.[]] | any)",
            "to_entries",
            "[to_entries] | map(to_entries)",
            "ltrimstr(\"a\")",
            "has(0)",
            "contains(\"a\")",
            "keys | keys",
            "map([., .]) | group_by(.) | map({a: .[0], b: .})",
        ];
        for filter in words.chain(maps).chain(others.map(str::to_owned)) {
            let growth = jq_pipe(&mut Script(&filter), DEEPEST).expect(&filter);
            for (input, made) in inputs.as_array().expect("a list").iter().zip(made(&filter, &inputs)) {
                let made_weight = made.iter().map(weight).sum::<u64>();
                assert!(made_weight <= growth.times * weight(input), "{filter} of {input} weighs {made_weight}");
                let values = u64::try_from(made.len()).expect("a length");
                assert!(growth.values.is_none_or(|most| values <= most), "{filter} of {input} makes {values}");
            }
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
            "[.]|tostring|[.]|tostring|[.]|tostring|[.]|tostring",
            "split(\"\")|map(split(\"\"))",
            "to_entries|map(to_entries|map(to_entries|map(to_entries|map(to_entries))))",
            ".[] == .[]",
            ".a[] and .b[]",
            ".a[] // .b[]",
            "select(.[])",
            "select(.tags[] == \"x\")",
            "{a: .[], b: .[]}",
            "{a: .[], b}",
            "{a, b: .x[]}",
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
