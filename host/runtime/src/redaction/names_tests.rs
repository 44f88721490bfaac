//! Which names are secret, what stays, and that any bytes are read.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use super::{ABOUT, ENDS, KEYS, Kind, ORDINARY, PASSWORDS, STEMS, WORDS, is_secret_name, kind_of, without};

fn shown(text: &str) -> String {
    String::from_utf8_lossy(&without(text.as_bytes(), &mut |_| {})).into_owned()
}

#[test]
fn names_are_secret_by_their_words() {
    for name in [
        "pass",
        "DB_PASS",
        "dbPass",
        "DBPass2",
        "dbpass",
        "pwd",
        "MYSQL_PWD",
        "PGPASSWORD",
        "passphrase",
        "x-api-key",
        "APIKey",
        "api key",
        "X-Auth-Token",
        "clientSecret",
        "aws_secret_access_key",
        "privateKey",
        "credentials",
        "Set-Cookie",
        "sessionid",
        "JSESSIONID",
        "session",
        "REDISCLI_AUTH",
        "_auth",
        "_authToken",
        "jwt",
        "wpa.psk",
        "--password",
    ] {
        assert!(is_secret_name(name.as_bytes()), "{name}");
    }
    for name in [
        "passed",
        "passing",
        "bypass",
        "by-pass",
        "ByPass",
        "compass",
        "encompass",
        "passive",
        "passenger",
        "cwd",
        "key",
        "primary_key",
        "keyboard",
        "monkey",
        "author",
        "authority",
        "session-4.scope",
        "_SYSTEMD_SESSION",
        "sessions",
        "syncookies",
        "NOPASSWD",
        "tokenizer",
        "secretary",
    ] {
        assert!(!is_secret_name(name.as_bytes()), "{name}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "PasswordAuthentication no",
        "tests: 12 passed: 11 bypass=1 compass: N",
        "PWD=/root\nOLDPWD=/srv\n",
        "/bin/sh: 1: pwd: Permission denied",
        "password: true\n{\"secret\": null, \"x\": 1} token=yes x",
        "PASSWORD=****",
        "password=\ntoken:\nnext: 1",
        "Failed password for root from 192.0.2.1 port 22 ssh2",
        "pam_unix(sshd:session): session opened for user root",
        "session-4.scope: Deactivated successfully.",
        "ann ALL=(ALL) NOPASSWD: ALL",
        "https://registry.example:4873/@scope/package",
        "use std::secret::Token;",
        "/run/secrets/db: ASCII text",
        "ssh://git@example.org/x",
        "docker run -u 1000:1000 x",
        "Mem: 12 34",
        "a List<Token> x",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn what_is_round_a_secret_stays() {
    for (text, expected) in [
        (r#"{"password":"a\"bcd","x":"y"}"#, r#"{"password":"redacted","x":"y"}"#),
        (r#"{"api_token": 987654321, "x": 1}"#, r#"{"api_token": 0, "x": 1}"#),
        (r#"{"tokens": ["a", 42424242, true], "x": 1}"#, r#"{"tokens": ["redacted", 0, true], "x": 1}"#),
        (
            r#"{"credentials": {"user": "u", "n": {"k": 1}}, "x": 1}"#,
            r#"{"credentials": {"user": "redacted", "n": {"k": 0}}, "x": 1}"#,
        ),
        ("{user=bob, password=a,b, x=1}", "{user=bob, password=redacted, x=1}"),
        ("DB_PASS=hunter2, x\nnext", "DB_PASS=redacted\nnext"),
        ("docker -e DB_PASS=hunter2,x run", "docker -e DB_PASS=redacted run"),
        ("/x?token=abc&user=bob#y", "/x?token=redacted&user=bob#y"),
        ("secrets: [a, \"b c\"]\nx: 1", "secrets: [redacted, \"redacted\"]\nx: 1"),
        ("password: |\n  one\n  two\nx: 1", "password: |\n  redacted\n  redacted\nx: 1"),
        ("secretRef:\n  name: db\n  x: y\n", "secretRef:\n  name: db\n  x: y\n"),
        ("x token: Bearer abc next", "x token: redacted next"),
        ("-d '{\"password\": \"a\"}' -x", "-d '{\"password\": \"redacted\"}' -x"),
        ("<password>a&amp;b</password>", "<password>redacted</password>"),
        ("requirepass foobared\nport 1", "requirepass redacted\nport 1"),
        ("machine h login u password p\n", "machine h login u password redacted\n"),
        ("curl -su ann:secret1 x", "curl -su ann:redacted x"),
        ("curl -s -u ann:s x", "curl -s -u ann:redacted x"),
        ("redis://:p@h/1 redis://u:p/q@h x@y", "redis://redacted:redacted@h/1 redis://redacted:redacted@h x@y"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn any_bytes_are_read_and_only_values_go() {
    const PIECES: [&[u8]; 24] = [
        b"password",
        b"token",
        b"\"",
        b"'",
        b"\\",
        b":",
        b"=",
        b"[",
        b"{",
        b"}",
        b"]",
        b",",
        b"\n",
        b" ",
        b"\t",
        b"\0",
        b"\r\n",
        b"- ",
        b"|",
        b"<",
        b">",
        b"\xff",
        b"\xc3\xbc",
        b"--api-key",
    ];
    let mut state = 0x5eed_u64;
    for _ in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..24 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.extend_from_slice(PIECES[usize::try_from(state >> 33).unwrap_or_default() % PIECES.len()]);
        }
        let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
        let mut longest = 0;
        let out = without(&text, &mut |secret| longest = longest.max(secret.len()));
        assert!(lines(&out) <= lines(&text) && longest <= text.len(), "{}", text.escape_ascii());
    }
}

/// That were never closed: a reader that looked for the end of each would not end within an hour.
#[test]
fn a_long_text_of_openings_is_read_once() {
    for piece in [
        "token=[",
        "password=\"",
        "{\"token\":",
        "secret: |\n ",
        "--pass '",
        "\\\\\\\"token\\\\\\\":\\\\\\\"",
        "token",
        "password:\n",
        "token=a ",
        "<token>",
        "token: \"",
    ] {
        let text = format!("'\"{}", piece.repeat((1 << 20) / piece.len()));
        assert!(without(text.as_bytes(), &mut |_| {}).len() <= 2 * text.len() + 64);
    }
}

/// The words of a name, each written out.
fn words_written_out(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = if at == 0 { ' ' } else { letters[at - 1] };
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let goes_on = before.is_ascii_uppercase() && !after.is_ascii_lowercase();
        if !letter.is_ascii_alphanumeric() || letter.is_ascii_uppercase() && before.is_ascii_alphanumeric() && !goes_on
        {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric() {
            words.last_mut().expect("there is one").push(letter.to_ascii_lowercase());
        }
    }
    let without_figures = |word: &String| word.trim_end_matches(|end: char| end.is_ascii_digit()).to_owned();
    words.iter().map(without_figures).filter(|word| !word.is_empty()).collect()
}

/// The same of each word as text, of all words joined, and of each with the one before it.
fn is_secret_by_words_written_out(name: &str) -> bool {
    let words = words_written_out(name);
    let whole = words.join("_");
    let ordinary = |word: &str| ORDINARY.contains(&word);
    let is_secret = |(at, word): (usize, &String)| {
        let before = if at == 0 { "" } else { &*words[at - 1] };
        let says = WORDS.contains(&&**word)
            || STEMS.iter().any(|stem| word.contains(stem))
            || ENDS.iter().any(|end| word.ends_with(end));
        says && !ordinary(word) && !ordinary(&format!("{before}{word}"))
            || ["key", "keys"].contains(&&**word) && KEYS.contains(&before)
    };
    words.iter().enumerate().any(is_secret)
        || ["auth", "session", "x_auth", "x_session"].contains(&&*whole)
        || ["session_id", "_auth"].iter().any(|end| whole.ends_with(end))
}

fn kind_by_words_written_out(name: &str) -> Option<Kind> {
    let words = words_written_out(name);
    let is_about = ABOUT.contains(&&**words.last()?) && !words.iter().any(|word| word.starts_with("sess"));
    let is_password = |word: &String| {
        ["password", "passwd", "passphrase"].iter().any(|part| word.contains(part))
            || word.ends_with("pass")
            || PASSWORDS.contains(&&**word)
    };
    let kind = if words.iter().any(is_password) { Kind::Password } else { Kind::Key };
    (is_secret_by_words_written_out(name) && !is_about).then_some(kind)
}

#[test]
fn names_are_judged_as_by_their_words_written_out() {
    const PIECES: [&str; 40] = [
        "pass", "Pass", "PASS", "word", "by", "By", "BY", "token", "Token", "izer", "secret", "ary", "key", "Key",
        "keys", "api", "API", "auth", "Auth", "x", "X", "session", "Session", "sess", "id", "ID", "Id", "pwd", "PW",
        "cookie", "file", "Path", "max", "7", "12", "_", "-", ".", "\u{f6}", " ",
    ];
    let mut state = 0x5eed_u64;
    let mut draw = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % count
    };
    let mut kinds = [0_usize; 3];
    for _ in 0..40_000 {
        let name: String = (0..1 + draw(6)).map(|_| PIECES[draw(PIECES.len())]).collect();
        assert_eq!(is_secret_name(name.as_bytes()), is_secret_by_words_written_out(&name), "{name}");
        let kind = kind_of(name.as_bytes());
        assert_eq!(kind, kind_by_words_written_out(&name), "{name}");
        kinds[kind.map_or(0, |kind| if kind == Kind::Key { 1 } else { 2 })] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 1000), "{kinds:?}");
}

#[test]
fn words_that_speak_about_a_secret_can_be_searched() {
    assert!(ABOUT.is_sorted());
}
