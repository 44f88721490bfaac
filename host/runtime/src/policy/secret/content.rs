//! Keys, known by what a file holds and not by its name.
//!
//! Owns the forms of keys. Knows no paths. Text that only speaks of keys is none: a header counts where a body follows. What
//! comes in other notations (DER, PKCS #12, key stores) is on the list by its name.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// How many bytes before those that are answered are looked at: a key that begins there and ends in the answer. The private
/// half of an RSA key of 16384 bits is 12.5 KiB as PEM.
pub(crate) const LEAD: u64 = 16 << 10;

/// How much of a file is looked at for Git's settings, in bytes.
const MAX_SETTINGS: usize = 64 << 10;

/// Line breaks, also as strings and XML write them, and what strings, lists and comments put before a line.
const BREAK: &str = r#"(?:[\s"'+,#>|*-]|\\[nrt\\]|\\u00(?:0[aAdD9]|20)|&#(?:1[03]|x0?[aAdD]);)"#;

static KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&[
        // PEM, OpenSSH and OpenPGP: a line of the body, or headers as old keys have them.
        &format!(
            r"-----BEGIN (?:[A-Z0-9]+ ){{0,4}}PRIVATE KEY(?: BLOCK)?-----{BREAK}{{0,80}}(?:[A-Za-z0-9+/=]{{16}}|[A-Z][A-Za-z-]+: )"
        ),
        &format!(r"-----BEGIN OpenVPN Static key V\d-----{BREAK}{{1,80}}[0-9a-f]{{16}}"),
        &format!(
            r"---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----{BREAK}{{1,80}}(?:[A-Za-z0-9+/=]{{16}}|[A-Z][A-Za-z-]+: )"
        ),
        // The same in base64, as Kubernetes writes secrets: `-----BEGIN PRIVATE`, `RSA`, `EC`, `OPENSSH`, `ENCRYPTED`, `DSA`.
        r"LS0tLS1CRUdJTiB(?:QUklWQVRF|SU0EgUFJJVk|FQyBQUklW|PUEVOU1NIIF|FTkNSWVBURU|EU0EgUFJJVk)",
        r"AGE-SECRET-KEY-(?:[A-Z]+-)?1[0-9A-Z]{20}",
        r"\APuTTY-User-Key-File-\d",
        r"\Aopenssh-key-v1\x00",
    ])
});

/// Text of UTF-16, as PowerShell writes what other programs print, that has what begins a key.
static WIDE: LazyLock<Regex> = LazyLock::new(|| compiled(&[r"-\x00-\x00-\x00-\x00 ?\x00?B\x00E\x00G\x00I\x00N"]));

/// A user and a password in an address, or what stands in its place.
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&[
        r#"(?im)^[ \t]*(?:push)?url[ \t]*=[ \t]*"?[a-z][a-z0-9+.-]*://(?:[^\s/:@]*:[^\s/@]+|[^\s/:@]{20,})@"#,
        r#"(?im)^[ \t]*extraheader[ \t]*=[ \t]*"?[a-z-]*authorization:"#,
    ])
});

/// What a file holds that is not answered.
pub(super) fn held_by_content(bytes: &[u8]) -> Option<&'static str> {
    let narrow = || bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>();
    if KEY.is_match(bytes) || WIDE.is_match(bytes) && KEY.is_match(&narrow()) {
        return Some("a private key");
    }
    let is_settings = bytes.trim_ascii_start().first().is_some_and(|first| b"[#;".contains(first));
    let settings = bytes.get(..bytes.len().min(MAX_SETTINGS)).filter(|_| is_settings)?;
    PASSWORD.is_match(settings).then_some("a password of a remote")
}

#[expect(clippy::expect_used, reason = "the expressions are constants, and a test compiles them")]
fn compiled(forms: &[&str]) -> Regex {
    Regex::new(&format!("(?-u){}", forms.join("|"))).expect("an expression")
}
