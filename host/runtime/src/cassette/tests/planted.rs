//! Secrets drawn by chance, planted under every name in every notation: none of their parts stands in a printed cassette.
//!
//! A failure prints what was planted, and where the numbers began.

use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use scout_tests::Numbers;
use serde_json::json;

use super::{Request, file, fleet, operation, said};
use crate::cassette::{Cassette, Text, format, scrub};

/// Each with every name in every notation.
const ROUNDS: u64 = 10;

const NAMES: [&str; 32] = [
    "pass",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "db_pass",
    "mysql_pwd",
    "root_password",
    "dbpass",
    "secret",
    "client_secret",
    "token",
    "tokens",
    "api_token",
    "access_token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "secret_key",
    "signing_key",
    "encryption_key",
    "credential",
    "credentials",
    "cookie",
    "session",
    "session_id",
    "session_key",
    "auth",
    "authorization",
    "jwt",
    "psk",
];

/// As people write names: `db_pass`, `DB_PASS`, `db-pass`, `db.pass`, `dbPass`, `DbPass`.
fn styled(numbers: &mut Numbers, name: &str) -> String {
    let camel = |name: &str| {
        let parts = name.split('_').map(|part| part[..1].to_uppercase() + &part[1..]);
        parts.collect::<String>()
    };
    match numbers.below(6) {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => name.replace('_', "-"),
        3 => name.replace('_', "."),
        4 => name[..1].to_owned() + &camel(name)[1..],
        _ => camel(name),
    }
}

/// Parts that stand nowhere else, with characters between them that mean something in some notation.
fn secret(numbers: &mut Numbers, between: &str) -> (Vec<String>, String) {
    const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxzBCDFGHJKMNPQRSTVWXZ23456789";
    let between: Vec<char> = between.chars().collect();
    let part = |numbers: &mut Numbers| (0..6).map(|_| char::from(numbers.one_of(LETTERS))).collect::<String>();
    let parts: Vec<String> = (0..1 + numbers.below(4)).map(|_| part(numbers)).collect();
    let mut whole = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            for _ in 0..1 + numbers.below(2) {
                whole.push(numbers.one_of(&between));
            }
        }
        whole.push_str(part);
    }
    (parts, whole)
}

const PRINTABLE: &str = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ü";
/// What a word of a shell holds without quotes, and a URL.
const WORD: &str = "!%+,-./:;=?@^_~*#";

fn json_string(text: &str) -> String {
    json!(text).to_string()
}

/// How a value stands under a name: what it is called, what may be in the value, and the text of a name and a value.
type Notation = (&'static str, &'static str, fn(&str, &str) -> String);

const NOTATIONS: [Notation; 32] = [
    ("json", PRINTABLE, |n, v| format!("{{\"a\":1,{}:{},\"z\":[true]}}", json_string(n), json_string(v))),
    ("pretty json", PRINTABLE, |n, v| format!("{{\n  {} : {},\n  \"z\": 2\n}}", json_string(n), json_string(v))),
    ("json in json", PRINTABLE, |n, v| json_string(&format!("{{{}:{},\"z\":1}}", json_string(n), json_string(v)))),
    ("json in json in json", PRINTABLE, |n, v| {
        json_string(&json_string(&format!("{{\"a\":\"\",{}: {}}}", json_string(n), json_string(v))))
    }),
    ("json array", PRINTABLE, |n, v| {
        format!("{{{}:[{},7,{}],\"z\":1}}", json_string(n), json_string("x"), json_string(v))
    }),
    ("json object", PRINTABLE, |n, v| format!("{{{}:{{\"a\":[{{\"b\":{}}}]}}}}", json_string(n), json_string(v))),
    ("json in a shell", "\",:;{}[] =", |n, v| {
        format!("curl -d '{{\"a\": 1, {}: {}}}' http://x", json_string(n), json_string(v))
    }),
    ("lines in json", WORD, |n, v| json_string(&format!("a=1\n{n}={v}\nz=2"))),
    ("python", PRINTABLE, |n, v| format!("{{'{n}': b'{}', 'z': 1}}", v.replace('\\', "\\\\").replace('\'', "\\'"))),
    ("env", PRINTABLE, |n, v| format!("A=1\n{n}={v}\nZ=2")),
    ("environ", PRINTABLE, |n, v| format!("A=1\0{n}={v}\0Z=2")),
    ("export", PRINTABLE, |n, v| format!("export {n}='{}'", v.replace('\'', "'\\''"))),
    ("assignment", WORD, |n, v| format!("env A=1 {n}={v} program")),
    ("flag", WORD, |n, v| format!("program --{n} {v} -h db")),
    ("flag with =", WORD, |n, v| format!("program --{n}={v} -h db")),
    ("quoted flag", " \"$&()*,;:<>[]{}|`", |n, v| format!("program '--{n}={v}' -h db")),
    ("flags in json", PRINTABLE, |n, v| json!(["program", format!("--{n}"), v, "-h", "db"]).to_string()),
    ("yaml", " \"#$%&()*+,-./;<=>?@[\\]^_`{|}~ü", |n, v| format!("a: 1\n{n}: {v}\nz: 2")),
    ("yaml in a list", PRINTABLE, |n, v| format!("- a: 1\n- {n}: {v}\n- z: 2")),
    ("yaml in quotes", PRINTABLE, |n, v| format!("a: 1\nb:\n  {n}: '{}'\nz: 2", v.replace('\'', "''"))),
    ("yaml block", PRINTABLE, |n, v| format!("a: 1\n{n}: |-\n  x\n\n   {v}\nz: 2")),
    ("yaml list", PRINTABLE, |n, v| format!("a: 1\n{n}:\n- '{}'\n- x\nz: 2", v.replace('\'', "''"))),
    ("toml array", PRINTABLE, |n, v| format!("a = 1\n{n} = [\n  \"x\",\n  {},\n]\nz = 2", json_string(v))),
    ("ini", PRINTABLE, |n, v| format!("[a]\r\n{n} = {v}\r\nz = 2")),
    ("header", PRINTABLE, |n, v| format!("GET / HTTP/1.1\r\nX-{n}: {v}\r\nA: b")),
    ("header with a scheme", PRINTABLE, |_, v| format!("> GET / HTTP/1.1\n> Authorization: Token {v}\n>")),
    ("cookie", PRINTABLE, |_, v| format!("< HTTP/1.1 200 OK\r\n< Set-Cookie: id={v}; Path=/\r\n<")),
    ("header in a line", PRINTABLE, |_, v| format!("12:00 debug: sent authorization: Digest {v}")),
    ("header in a shell", " \"$&()*,;:<>[]{}|`", |n, v| format!("curl -s -H 'X-{n}: {v}' http://x")),
    ("query", WORD_OF_URL, |n, v| format!("GET /x?a=1&{n}={v}&z=2 HTTP/1.1")),
    ("xml", " !\"#$%'()*+,-./:;=?@[]^_`{|}~", |n, v| format!("<a><{n}>{v}</{n}></a>")),
    ("url", "%!$()*+,;=-._~:@", |_, v| format!("see postgres://ann:{v}@db.example/x for more")),
];

const WORD_OF_URL: &str = "%!$()*+,;-._~:@/";

#[tokio::test]
async fn no_part_of_a_planted_secret_stands_in_the_printed_cassette() {
    let fleet = fleet();
    for round in 0..ROUNDS {
        let mut numbers = Numbers((round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut planted, mut operations) = (Vec::new(), Vec::new());
        for name in NAMES {
            for (notation, between, write) in NOTATIONS {
                let name = styled(&mut numbers, name);
                let (parts, whole) = secret(&mut numbers, between);
                let text = format!("first line\n{}\nlast line 7\n", write(&name, &whole));
                operations.push(operation("web1", Request::Exec("cat x".into()), said(&text)));
                planted.push((notation, text, parts));
            }
        }
        let mut file = file(operations);
        scrub::scrub(&mut file, &fleet, &[]).unwrap();
        let cassette = Cassette { file };
        for ((notation, text, parts), operation) in planted.iter().zip(&cassette.file.operations) {
            let format::Response::Outcome { stdout, .. } = &operation.given else { panic!("no outcome") };
            let left = String::from_utf8_lossy(&stdout.bytes.0);
            for part in parts {
                assert!(!left.contains(part), "{notation}, round {round}: {part} of {text:?} in {left:?}");
            }
            assert!(
                left.starts_with("first line\n") && left.ends_with("\nlast line 7\n"),
                "{notation}, round {round}: a line of {text:?} is lost: {left:?}"
            );
        }
        let parts: Vec<&String> = planted.iter().flat_map(|(.., parts)| parts).collect();
        let printed = cassette.print().unwrap();
        let found = AhoCorasick::new(&parts).unwrap().find(&printed);
        assert_eq!(found.map(|found| parts[found.pattern().as_usize()]), None, "round {round}");
    }
}

#[tokio::test]
async fn a_secret_of_the_settings_stands_nowhere_in_any_writing() {
    let fleet = fleet();
    for round in 0..200 {
        let mut numbers = Numbers((round + 1) * 0x9e37_79b9);
        let (parts, whole) = secret(&mut numbers, PRINTABLE);
        let digits: u64 = 100_000 + numbers.below(1_000_000_000) as u64;
        let name = numbers.one_of(&NAMES);
        let name = styled(&mut numbers, name);
        let shell = whole.replace('\'', "'\\''");
        let mut said_text = String::new();
        write!(said_text, "a {whole} b '{shell}' c {} d {digits}", json_string(&whole)).unwrap();
        let script = format!("grep -e '{shell}' {digits}");
        let mut file = file(vec![operation("web1", Request::Exec(script.as_str().into()), said(&said_text))]);
        file.settings.insert(name.clone(), json!(digits));
        file.arguments.insert(name.clone(), json!({"a": [whole, true]}));
        scrub::scrub(&mut file, &fleet, &[]).unwrap();
        assert_eq!((&file.settings[&name], &file.arguments[&name]), (&json!(0), &json!({"a": ["redacted", true]})));
        let printed = Cassette { file }.print().unwrap();
        let all = parts.iter().filter(|_| whole.len() >= 6).cloned().chain([digits.to_string()]);
        for part in all {
            assert!(!printed.contains(&part), "round {round}: {part} of {whole:?} under {name} in {printed}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_a_host_gave_is_taken_out_of_what_was_asked_next() {
    let first = operation("web1", Request::Exec("cat app.env".into()), said("DB_PASS=hunter2$hunter2\n"));
    let next = operation("web1", Request::Exec("exec program -x 'hunter2$hunter2'".into()), said("ok hunter2$hunter2"));
    let mut file = file(vec![next, first]);
    scrub::scrub(&mut file, &fleet(), &[]).unwrap();
    assert_eq!(file.operations[0].asked, Request::Exec("exec program -x redacted".into()));
    let format::Response::Outcome { stdout, .. } = &file.operations[0].given else { panic!("no outcome") };
    assert_eq!(stdout.bytes, Text::from("ok redacted"));
}
