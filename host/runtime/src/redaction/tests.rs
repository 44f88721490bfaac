//! The rules by their examples, what has no secret, and what a text may cost.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use serde_json::Value;

use super::super::rules::RULES;
use super::*;

fn shown(text: &str) -> String {
    mask(text.as_bytes()).map_or_else(|| text.to_owned(), |masked| String::from_utf8(masked.bytes).unwrap())
}

#[test]
fn every_rule_finds_its_examples_and_lets_stand_what_looks_like_them() {
    let mut wrong = Vec::new();
    for rule in RULES {
        assert!(!rule.finds.is_empty() && !rule.lets_stand.is_empty(), "{} has examples of both", rule.name);
        for example in rule.finds {
            let (before, behind) = example.split_once('·').unwrap();
            let secret: String = behind.chars().take(12).collect();
            let text = format!("{before}{behind}");
            let json = Value::from(&*text).to_string();
            for text in [text.clone(), format!("first line\n{text}\nlast"), format!("\u{1b}[01;31m{text}"), json] {
                let shown = shown(&text);
                if !shown.contains(&format!("[redacted: {}]", rule.name)) || shown.contains(&secret) {
                    wrong.push(format!("{}:\n{text}\n{shown}", rule.name));
                }
            }
        }
        for example in rule.lets_stand {
            let example = format!("{example}\n");
            let shown = shown(&example);
            if shown != example {
                wrong.push(format!("{} stands:\n{example}\n{shown}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_has_no_secret_stays_as_it_is() {
    for text in [
        "",
        "a",
        "\n",
        "ä ö …",
        "PATH=/usr/bin:/bin\nHOME=/root\n",
        "total 8\ndrwxr-xr-x 2 root root 4096 Nov 12 10:00 .ssh\n",
        "Nov 12 10:00:01 web1 sshd[12]: Accepted password for ann from 192.0.2.1 port 40022 ssh2",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ0lVd0hPSkpLTE1OT1BRUlNUVVYwCgYIKoZIzj0EAwIw\n-----END CERTIFICATE-----\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH3q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9 ann@web1",
        "commit 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c\nAuthor: Ann <ann@example.org>\n",
        "image: registry.example.org/app@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "UUID=550e8400-e29b-41d4-a716-446655440000 / ext4 defaults 0 1",
        "GET /search?q=token&key=value&page=2 HTTP/1.1\" 200 512",
        "let token = self.tokens.next().ok_or(Error::Token)?;\nif password.len() < MIN_PASSWORD1 { return }",
        "-rw-r----- 1 root shadow 1024 /etc/shadow",
        "password    requisite    pam_pwquality.so retry=3 minlen=12",
        "{\"tokens\": {\"prompt_tokens\": 1204, \"completion_tokens\": 77}, \"token_type\": \"bearer\"}",
    ] {
        assert_eq!(shown(text), text);
    }
}

/// Of pieces that rules look for, without any value behind them.
#[test]
fn a_text_of_near_hits_stays_or_is_masked_without_a_byte_lost_round_it() {
    const PIECES: [&str; 20] = [
        "password",
        "token",
        "=",
        ": ",
        "\"",
        "'",
        "\\",
        "\n",
        " ",
        "[",
        "{",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "eyJ",
        "://",
        "@",
        "ghp_",
        "ö",
        "<",
        "- ",
    ];
    let mut state = 0x5eed_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..24 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES.get(usize::try_from(state >> 33).unwrap() % PIECES.len()).unwrap());
        }
        assert_eq!(
            shown(&text).split("[redacted: ").count(),
            mask(text.as_bytes()).map_or(0, |masked| masked.count) + 1,
            "{text}"
        );
        // What stands round it does not change what is masked of a secret, or that it is.
        let with = format!("{text}\nq8Kd2Lw9Xv3Nb6 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 end of it");
        let shown = shown(&with);
        assert!(!shown.contains("qKdLwXvNbMz") && shown.ends_with(" end of it"), "{with}\n{shown}");
    }
}

/// Steps are counted, not time: each byte is looked at so often at most.
#[test]
fn a_text_takes_steps_by_its_length_whatever_is_in_it() {
    const MOST: usize = 300;
    let mut wrong = Vec::new();
    for piece in [
        "token=",
        "token=a ",
        "token='",
        "token=\"a ",
        "token: [",
        "token: [a,",
        "token: {",
        "token:\n",
        "token: |\n ",
        "token:\n- a\n",
        "--pass '",
        "<token>",
        "\\\"token\\\":\\\"",
        "'token: \"",
        "a_",
        "token",
        "key",
        "token :",
        "token\\\\",
        "token\t",
        "a;token=",
        "token=a,a",
        "token=;;",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA\n",
        "-----BEGIN PRIVATE KEY-----\nA-b: ",
        "----BEGIN ",
        "glpat-",
        "glpat-a",
        "xoxb-",
        "eyJ",
        "eyJ-",
        "eyJaaaaaaaaaaaa.eyJ",
        "a://",
        "a://b:",
        "a://b:c",
        "a://b:c/",
        "Basic ",
        "Basic YW5u",
        "Cookie: ",
        "Cookie: a=",
        "0:AA",
        "11111111:AA",
        ".atlasv1.",
        "Bearer ",
        "curl -u",
        "curl -",
        "machine h login ",
        "sshpass -p",
        "$6$",
        "$6$a",
        "?sig=",
        "sk-",
        "sk-a",
        "SG.",
        "SG.aaaaaaaaaaaaaaaa.",
        "LS0tLS1CRUdJTiBQUklWQVRF",
        "LS0tLS1CRUdJTiBQUklWQVRF+",
        "Private-Lines: 1",
        "Private-Lines: 1\n",
        "ghs_",
        "ghs_a.",
        "hooks.slack.com/services/",
        "LS0tLS1CRUdJTiBFQyBQUklW=",
        "AGE-SECRET-KEY-1",
    ] {
        let steps = |length: usize| {
            // What ends it belongs to none of it.
            let bytes = piece.repeat(length / piece.len()) + "_";
            let text = Text::new(bytes.as_bytes());
            mask_text(&text);
            text.looked_at.get()
        };
        let (short, long) = (steps(1 << 13), steps(1 << 15));
        if long > MOST << 15 || long > 5 * short.max(1 << 13) {
            wrong.push(format!("{piece:?}: {short} for 8 KiB, {long} for 32"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What looks most like secrets costs little more than what does not: a name is judged once, and its value once.
#[test]
fn a_byte_of_a_near_hit_is_looked_at_fewer_than_four_times() {
    for piece in [
        "password=${P123} ",
        "token: abc123\n",
        "api_key=\"x123\" ",
        "https://a:123/x ",
        "ghp_short123 ",
        "Cookie: a=123\n",
        "\\npassword=short ",
    ] {
        let bytes = piece.repeat((1 << 14) / piece.len());
        let text = Text::new(bytes.as_bytes());
        assert_eq!(mask_text(&text), None, "{piece}");
        let looked_at = text.looked_at.get();
        assert!(looked_at * 5 <= 18 * bytes.len(), "{piece:?}: {looked_at} for {} bytes", bytes.len());
    }
}

#[test]
fn a_token_that_was_cut_is_masked_as_far_as_it_is_there() {
    for text in ["x hf_qKdLwXvNbM", "x hf_qKdLwXvNbM… y", "x ghp_zQWBuTSOoRi4...\n"] {
        assert!(shown(text).starts_with("x [redacted: "), "{text}");
    }
    assert!(
        shown("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC").starts_with("[redacted: private-key]")
    );
}

#[test]
fn a_field_is_masked_by_its_name_where_its_value_is_likely_to_be_secret() {
    for (name, value, masked) in [
        ("password", "hunter2", true),
        ("dbPassword", "q8Kd2Lw9", true),
        ("token", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", true),
        ("password", "changeme", false),
        ("password_file", "/run/x1", false),
        ("token_type", "bearer", false),
        ("tokenId", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", false),
        ("name", "q8Kd2Lw9", false),
    ] {
        assert_eq!(mask_named(name, value).is_some(), masked, "{name}: {value}");
    }
}

#[test]
fn a_secret_is_masked_wherever_it_lies() {
    for before in (0..40).map(|less| (32 << 10) - less) {
        let text = format!("{} 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 token=q8Kd2Lw9Xv3Nb6Mz1Cp \n", "x".repeat(before));
        assert_eq!(mask(text.as_bytes()).map(|masked| masked.count), Some(2), "{before}");
    }
}
