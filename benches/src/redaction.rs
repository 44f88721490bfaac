//! What it costs to look for secrets in what leaves: plain text, text that is full of what begins like one, and text full of secrets.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use scout_runtime::redaction::mask;

use crate::samples::{Samples, milliseconds};

/// How much of each text is looked at, in bytes.
const LENGTH: usize = 1 << 20;
/// How often.
const TIMES: usize = 51;
/// Parts of no token: together their checksum is right, as one text they would be taken for one that is in use.
const TOKEN: [&str; 2] = ["ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"];

pub(crate) fn measure() -> Result<String> {
    let mut report = String::from(
        "## Secrets in what leaves\n\n`redact = true`: 1 MiB is looked at, by one thread.\n\n| | masked | median | least |\n|---|---:|---:|---:|\n",
    );
    for (what, line, has_secrets) in [
        ("lines of sshd and of a web server", plain as fn(usize) -> String, false),
        ("what begins like secrets, and is none", near, false),
        ("a password and a token, line by line", dense, true),
    ] {
        let mut text = String::new();
        for at in 0.. {
            text.push_str(&line(at));
            if text.len() >= LENGTH {
                break;
            }
        }
        text.truncate(LENGTH);
        let (mut samples, mut masked) = (Samples::default(), 0);
        for _ in 0..TIMES {
            let begun = Instant::now();
            masked = mask(text.as_bytes()).map_or(0, |masked| masked.count);
            samples.push(begun.elapsed());
        }
        ensure!((masked > 0) == has_secrets, "{what}: {masked} masked");
        let (median, least) = (milliseconds(samples.median()), milliseconds(samples.minimum()));
        let _ = writeln!(report, "| {what} | {masked} | {median} | {least} |");
    }
    Ok(report)
}

fn plain(at: usize) -> String {
    let (port, address) = (1024 + at * 7 % 60_000, at % 251);
    match at % 3 {
        0 => format!(
            "2026-11-12T10:{:02}:11.{port:06}+00:00 web1 sshd[{port}]: Accepted publickey for ann from 192.0.2.{address} port {port} ssh2: ED25519 SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8\n",
            at % 60
        ),
        1 => format!(
            "192.0.2.{address} - - [12/Nov/2026:10:{:02}:11 +0000] \"GET /assets/app.{port:x}.js?v={address} HTTP/1.1\" 200 {port} \"https://www.example.org/cart\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
            at % 60
        ),
        _ => format!(
            "2026-11-12T10:{:02}:12.{port:06}+00:00 web1 sshd[{port}]: Failed password for invalid user admin from 192.0.2.{address} port {port} ssh2\n",
            at % 60
        ),
    }
}

fn near(at: usize) -> String {
    let number = at % 997;
    match at % 6 {
        0 => format!("password=${{P{number}}} "),
        1 => format!("token: abc{number}\n"),
        2 => format!("api_key=\"x{number}\" "),
        3 => format!("https://a:{number}/x "),
        4 => format!("ghp_short{number} "),
        _ => format!("Cookie: a={number}\n"),
    }
}

fn dense(at: usize) -> String {
    format!("DB_PASSWORD=hunter{}\nuse {}{}\n", at % 997, TOKEN[0], TOKEN[1])
}
