//! Findings of real servers and of odd ones, and both answers.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use scout_plugin::exec::{Output, RanAs};
use scout_plugin::inventory::Property;
use scout_plugin::json::Value;

use super::finding::{Finding, State, of_handshake};
use super::mutants::mutant;
use super::settings::{Settings, keys};
use super::{Found, answer, of_files, schema};

const DEBIAN_12: &str = include_str!("../tests/fixtures/openssh9.2-dump.txt");
const DEBIAN_13: &str = include_str!("../tests/fixtures/openssh10.0-dump.txt");
const FILES: &str = include_str!("../tests/fixtures/sshd_config-debian13.txt");

fn facts(facts: &[(&str, &str)]) -> Vec<Property> {
    let property = |(name, value): &(&str, &str)| Property { name: (*name).to_owned(), value: (*value).to_owned() };
    facts.iter().map(property).collect()
}

fn states(findings: &[Finding]) -> Vec<(&str, State)> {
    findings.iter().map(|finding| (finding.check.as_str(), finding.state)).collect()
}

fn state(findings: &[Finding], check: &str) -> Option<State> {
    findings.iter().find(|finding| finding.check == check).map(|finding| finding.state)
}

#[test]
fn a_server_of_today_is_ok_and_one_of_long_ago_is_weak() {
    let today = of_handshake(
        &facts(&[
            ("identification", "SSH-2.0-OpenSSH_10.0p2 Debian-7"),
            ("key-exchange", "mlkem768x25519-sha256"),
            ("post-quantum", "yes"),
            ("strict-key-exchange", "yes"),
            ("host-key", "ssh-ed25519"),
            ("host-key-fingerprint", "SHA256:x"),
            ("cipher", "aes128-gcm@openssh.com"),
            ("compression", "none"),
        ]),
        None,
    );
    // That no table lists a version says nothing of it.
    assert_eq!(state(&today, "server_version"), Some(State::Unknown));
    assert!(today.iter().skip(1).all(|finding| finding.state == State::Ok), "{today:?}");
    assert_eq!(today.len(), 5);
    let old = of_handshake(
        &facts(&[
            ("identification", "SSH-2.0-OpenSSH_6.6.1"),
            ("key-exchange", "diffie-hellman-group14-sha1"),
            ("post-quantum", "no"),
            ("strict-key-exchange", "no"),
            ("host-key", "ssh-rsa"),
            ("host-key-bits", "1024"),
            ("cipher", "chacha20-poly1305@openssh.com"),
            ("mac", "hmac-sha1-etm@openssh.com"),
        ]),
        None,
    );
    let (weak, unknown) = (State::Weak, State::Unknown);
    assert_eq!(
        states(&old),
        [
            ("server_version", unknown),
            ("CVE-2023-38408", unknown),
            ("CVE-2021-41617", unknown),
            ("CVE-2018-15473", unknown),
            ("key_exchange", weak),
            ("strict_key_exchange", weak),
            ("host_key", weak),
            ("cipher", State::Ok),
            ("mac", weak),
        ]
    );
}

#[test]
fn a_version_is_no_proof_and_what_is_not_known_is_told_as_that() {
    let told = of_handshake(&facts(&[("identification", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7")]), None);
    let why = |check: &str| told.iter().find(|finding| finding.check == check).map(|finding| finding.why.as_str());
    assert!(why("CVE-2024-6387").is_some_and(|why| why.starts_with("the distribution has mended it in this revision")));
    assert!(why("CVE-2023-38408").is_some_and(|why| why.starts_with("may be affected; the distribution may have")));
    let exchange = |version: &str| {
        let told = of_handshake(
            &facts(&[("identification", version), ("key-exchange", "curve25519-sha256"), ("post-quantum", "no")]),
            None,
        );
        state(&told, "key_exchange")
    };
    assert_eq!(exchange("SSH-2.0-OpenSSH_9.2p1"), Some(State::Unknown));
    assert_eq!(exchange("SSH-2.0-OpenSSH_8.4p1"), Some(State::Weak));
    assert_eq!(of_handshake(&[], None), []);
    let odd = of_handshake(&facts(&[("identification", "SSH-2.0-\u{1b}[2J"), ("strict-key-exchange", "odd")]), None);
    assert_eq!(states(&odd), [("server_version", State::Unknown), ("strict_key_exchange", State::Unknown)]);
}

#[test]
fn a_certificate_is_held_against_the_hosts_clock() {
    let told = |before: Option<&str>, now: Option<u64>| {
        let before = before.map(|before| ("certificate-valid-before", before));
        let known = [("certificate-id", "web1"), ("certificate-authority", "SHA256:x")];
        let findings = of_handshake(&facts(&known.into_iter().chain(before).collect::<Vec<_>>()), now);
        (findings[0].state, findings[0].time)
    };
    for (known, value) in [(vec![("certificate-id", "web1")], "web1"), (Vec::new(), "SHA256:x")] {
        let known: Vec<_> = known.into_iter().chain([("certificate-authority", "SHA256:x")]).collect();
        assert_eq!(of_handshake(&facts(&known), Some(1))[0].value, value);
    }
    let day = 86_400;
    assert_eq!(told(Some("8640000"), Some(50 * day)), (State::Ok, Some(8_640_000)));
    assert_eq!(told(Some("8640000"), Some(90 * day)), (State::Weak, Some(8_640_000)));
    assert_eq!(told(Some("8640000"), Some(101 * day)), (State::Weak, Some(8_640_000)));
    assert_eq!(told(Some("8640000"), None), (State::Unknown, Some(8_640_000)));
    assert_eq!(told(None, Some(1)), (State::Weak, None));
}

#[test]
fn what_sshd_prints_is_read_of_two_versions() {
    for (dump, permits) in [(DEBIAN_12, State::Ok), (DEBIAN_13, State::Ok)] {
        let findings = Settings::of_dump(dump).findings();
        assert_eq!(state(&findings, "passwordauthentication"), Some(State::Weak), "{findings:?}");
        assert_eq!(state(&findings, "permitrootlogin"), Some(permits));
        for check in ["ciphers", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms"] {
            assert_eq!(state(&findings, check), Some(State::Ok), "{check}");
        }
        assert_eq!(state(&findings, "macs"), Some(State::Weak));
        assert_eq!(state(&findings, "requiredrsasize"), Some(State::Weak));
    }
}

#[test]
fn of_files_the_first_value_counts_and_none_below_match() {
    let settings = Settings::of_files(
        "/etc/ssh/sshd_config.d/a.conf:PasswordAuthentication no\n\
         /etc/ssh/sshd_config.d/a.conf:Match User x\n\
         /etc/ssh/sshd_config.d/a.conf:PermitRootLogin yes\n\
         /etc/ssh/sshd_config:Include /etc/ssh/sshd_config.d/*.conf\n\
         /etc/ssh/sshd_config:passwordauthentication yes\n\
         /etc/ssh/sshd_config:\tCiphers = aes128-cbc,aes256-gcm@openssh.com\n\
         /etc/ssh/sshd_config:MACs -hmac-sha1\nodd\n:\n",
    );
    assert!(settings.has_match);
    let findings = settings.findings();
    assert_eq!(
        states(&findings),
        [("passwordauthentication", State::Ok), ("ciphers", State::Weak), ("macs", State::Unknown)]
    );
    assert_eq!(
        (findings[1].value.as_str(), findings[1].why.as_str()),
        ("aes128-cbc", "offered: CBC tells of the plain text by how a server answers")
    );
    let captured = Settings::of_files(FILES);
    assert_eq!(state(&captured.findings(), "kbdinteractiveauthentication"), Some(State::Ok));
}

#[test]
fn what_a_file_says_counts_where_it_is_included_and_as_far_as_all_were_read() {
    let of = |lines: &[&str]| Settings::of_files(&lines.join("\n"));
    let password = |settings: &Settings| state(&settings.findings(), "passwordauthentication");
    let (included, main) = ("/etc/ssh/sshd_config.d/a.conf:PasswordAuthentication no", "/etc/ssh/sshd_config");
    let include = format!("{main}:Include /etc/ssh/sshd_config.d/*.conf");
    let yes = format!("{main}:PasswordAuthentication yes # for now");
    for (lines, expected) in [
        (&[included, &include, &yes][..], State::Ok),
        (&[included, &yes, &include], State::Weak),
        // Nothing includes it.
        (&[included, &yes], State::Weak),
    ] {
        let settings = of(lines);
        assert_eq!((password(&settings), settings.is_partial), (Some(expected), false), "{lines:?}");
    }
    // Another file may say otherwise.
    let other = format!("{main}:Include /etc/ssh/more.conf");
    let settings = of(&[&other, &format!("{main}:PasswordAuthentication no")]);
    assert_eq!((password(&settings), settings.is_partial), (Some(State::Unknown), true));
    // A value that is none of sshd's.
    assert_eq!(password(&of(&[&format!("{main}:PasswordAuthentication maybe")])), Some(State::Unknown));
    let quoted = of(&[&format!("{main}:PermitRootLogin \"yes\"#")]);
    assert_eq!(state(&quoted.findings(), "permitrootlogin"), Some(State::Weak));
    assert!(Settings::of_dump("permitrootlogin no").has_match, "a dump leaves out what is below `Match`");
}

#[test]
fn whatever_a_host_prints_is_read_or_passed_over() {
    for seed in 0..2000 {
        let wrong = [&b"\n"[..], b" ", b":", b"=", b"Match", b"ciphers ", b"\xff", b"\x1b[2J", b"\""];
        for captured in [DEBIAN_12, FILES] {
            let output = String::from_utf8_lossy(&mutant(captured.as_bytes(), &wrong, seed)).into_owned();
            for settings in [Settings::of_dump(&output), Settings::of_files(&output)] {
                for finding in settings.findings() {
                    assert!(finding.value.len() < 2000 && !finding.value.contains('\n'), "{seed}");
                    assert!(finding.why.len() < 2000 && !finding.why.contains('\n'), "{seed}: {}", finding.why);
                }
            }
        }
    }
    assert_eq!(keys("x\n1 /etc/shadow\n-1 /etc/ssh/a\n9999999999999999999999 /etc/ssh/a\n"), []);
    let told = keys("1780000000 /etc/ssh/ssh_host_rsa_key.pub\n");
    assert_eq!((told[0].time, told[0].value.as_str()), (Some(1_780_000_000), "ssh_host_rsa_key.pub"));
}

#[test]
fn not_there_not_permitted_and_no_answer_are_told_apart() {
    let output = |stdout: &str, stderr: &str| Output {
        exit: Some(2),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.to_owned(),
        truncated: false,
    };
    let mut notes = Vec::new();
    let absent =
        of_files("box", &output("", "grep: /etc/ssh/sshd_config: No such file\n"), &RanAs::Account, &mut notes);
    assert_eq!(absent.expect_err("is absent").kind(), "not-found");
    let denied = of_files("box", &output("", "grep: x: Permission denied\n"), &RanAs::Account, &mut notes);
    assert_eq!(denied.expect_err("is denied").kind(), "permission");
    assert_eq!(notes, Vec::<String>::new());
    of_files("box", &output("/etc/ssh/sshd_config:Port 22\n", ""), &RanAs::Account, &mut notes).expect("is read");
    assert!(notes[0].starts_with("`sshd -T` is root's: ") && notes[1].contains(r#"`sudo = [["sshd", "-T"]]`"#));
}

#[test]
fn the_worst_stands_first_in_both_answers() {
    let findings = vec![
        Finding::new("cipher", State::Ok, "aes128-ctr", ""),
        Finding { time: Some(0), ..Finding::new("host_key_file", State::Unknown, "a\n", "written then") },
        Finding::new("macs", State::Weak, "md5", "MD5 is broken"),
    ];
    let arguments = Value::parse(r#"{"host":"box"}"#).expect("is JSON");
    let asked = schema::SHAPE.ask(&arguments).expect("is asked");
    let answer = answer(asked, Found { findings, notes: vec!["a note".to_owned()] });
    assert_eq!(
        answer.shown(),
        "check          state    value       time                  why\n\
         macs           weak     md5         -                     MD5 is broken\n\
         host_key_file  unknown  a\\n         1970-01-01T00:00:00Z  written then\n\
         cipher         ok       aes128-ctr  -                     -\n\
         (a note)"
    );
    let json = answer.json().unwrap_or_default();
    assert!(json.contains(r#""findings":[{"check":"macs","state":"weak","value":"md5","time":null,"why""#), "{json}");
}
