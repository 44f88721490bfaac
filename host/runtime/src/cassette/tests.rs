#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod planted;

use std::sync::Arc;

use scout_machine::{Attributes, Call, Ending, ErrorKind, ExecOutcome, HostError, Opened, Probe};
use scout_ssh::{Pool, PoolConfig};
use serde_json::{Value, json};

use super::format::{self, File, RecordedOperation, Request, Response, Text};
use super::tape::{OnTape, Playing, Recording, Tape, pass};
use super::wasi::Surroundings;
use super::*;
use crate::Interface;
use crate::policy::CommandPolicy;

const SURROUNDINGS: Surroundings = Surroundings { clock: 1, seed: 2 };

fn capture(bytes: &[u8]) -> scout_machine::Capture {
    scout_machine::Capture {
        data: bytes.to_vec().into(),
        total: Some(bytes.len() as u64),
        ..scout_machine::Capture::default()
    }
}

fn outcome(stdout: &[u8]) -> ExecOutcome {
    ExecOutcome {
        ending: Ending::Exited(0),
        stdout: capture(stdout),
        stderr: capture(b""),
        duration: Duration::from_millis(7),
    }
}

fn attributes(size: u64) -> Attributes {
    Attributes { size: Some(size), permissions: Some(0o100_644), mtime: Some(9), uid: Some(0), ..Attributes::default() }
}

fn operation(host: &str, asked: Request, given: Response) -> RecordedOperation {
    RecordedOperation { host: host.to_owned(), asked, given }
}

fn file(operations: Vec<RecordedOperation>) -> File {
    File {
        cassette: format::VERSION,
        plugin: "mine".to_owned(),
        tool: "look".to_owned(),
        uri: None,
        arguments: Map::new(),
        settings: Map::new(),
        grants: Grants::only(Interface::Files).with(Interface::Shell),
        plugin_rights: format::Rights::default(),
        caller_rights: format::Rights::default(),
        secret_paths: Vec::new(),
        readable_paths: Vec::new(),
        limits: (&Limits::default()).into(),
        clock: 1,
        seed: u64::MAX,
        hosts: Vec::new(),
        operations,
        expect: Expect::default(),
    }
}

fn exec(stdout: &[u8]) -> File {
    file(vec![operation("box", Request::Exec("df".into()), OnTape::given(&Ok::<_, HostError>(outcome(stdout))))])
}

fn call() -> Call {
    Call::until(Instant::now() + REPLAY)
}

/// Hosts `web1` and `web2` with an address and an account that are nobody's business.
fn fleet() -> Fleet {
    let host = |name: &str, address: &str, user: &str| {
        let location = Location { address: address.to_owned(), port: 22, user: user.to_owned() };
        HostRecord::recorded(name, Ok(location), CommandPolicy::ReadOnly)
    };
    let hosts = vec![host("web1", "10.20.30.4", "deploy"), host("web2", "web2.corp.internal", "root")];
    Fleet::new(hosts, Pool::new(PoolConfig::default()))
}

fn refusal(text: &str) -> String {
    Cassette::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn bytes_are_text_lines_or_base64() {
    for (bytes, written) in [
        (&b""[..], json!("")),
        (b"one", json!("one")),
        (b"one\n", json!("one\n")),
        (b"one\n\ntwo", json!(["one\n", "\n", "two"])),
        (b"\xff\0", json!({"base64": "/wA="})),
    ] {
        let text = Text::from(bytes);
        assert_eq!(serde_json::to_value(&text).unwrap(), written);
        assert_eq!(serde_json::from_value::<Text>(written).unwrap(), text);
    }
}

#[test]
fn what_is_written_is_read_again() {
    let given: [(Request, Response); 7] = [
        (
            Request::Open("/etc".into()),
            OnTape::given(&Ok::<_, HostError>(Opened::Directory {
                attributes: attributes(3),
                entries: vec![scout_machine::DirEntry { name: b"caf\xe9".to_vec(), attributes: Attributes::default() }],
                truncated: true,
            })),
        ),
        (
            Request::Open("/dev/null".into()),
            OnTape::given(&Ok::<_, HostError>(Opened::Other { attributes: attributes(0) })),
        ),
        (
            Request::Read { path: "/x".into(), offset: 1, length: 2 },
            OnTape::given(&Ok::<_, HostError>(capture(b"\xfe"))),
        ),
        (Request::Stat("/x".into()), OnTape::given(&Ok::<_, HostError>(attributes(1)))),
        (
            Request::Exec("a\nb".into()),
            OnTape::given(&Err::<ExecOutcome, _>(HostError::new(ErrorKind::ConnectionLost, "gone").with_hint("again"))),
        ),
        (
            Request::Probe { timeout_ms: 5 },
            OnTape::given(&Probe { connected: true, latency: Ok(Duration::from_micros(3)), refused: None }),
        ),
        (
            Request::Probe { timeout_ms: 5 },
            OnTape::given(&Probe {
                connected: false,
                latency: Err(HostError::new(ErrorKind::Timeout, "late")),
                refused: None,
            }),
        ),
    ];
    let operations = given.map(|(asked, given)| operation("box", asked, given)).to_vec();
    let cassette = Cassette { file: file(operations) };
    let text = cassette.print().unwrap();
    assert_eq!(Cassette::parse(text.as_bytes()).unwrap(), cassette, "{text}");
    assert!(text.contains("\"mode\": \"100644\"") && text.contains("\"shell\""), "{text}");
}

#[test]
fn rights_are_read_as_they_were_written() {
    let rules = format::Rights {
        grants: Some(Grants::only(Interface::Exec)),
        hosts: Some(vec!["web*".to_owned(), "tag:prod".to_owned()]),
        paths: Some(vec!["/var/log".to_owned(), "~".to_owned()]),
        commands: Some(vec![vec!["df".to_owned(), "*".to_owned(), "...".to_owned()]]),
        follow_links_out: true,
        addresses: Some(false),
    };
    assert_eq!(format::Rights::from(&*rules.read().unwrap()), rules);
    assert_eq!(format::Rights::from(&*format::Rights::default().read().unwrap()), format::Rights::default());
    let unfit = format::Rights { paths: Some(vec!["log".to_owned()]), ..format::Rights::default() };
    assert!(unfit.read().unwrap_err().to_string().contains("not a directory"));
}

#[test]
fn a_cassette_of_another_version_is_refused_before_anything_else_of_it_is_read() {
    assert!(refusal(r#"{"cassette": 2, "new": true}"#).contains("version 2, and this Scout reads version 1"));
}

#[test]
fn a_broken_cassette_is_refused_with_its_place() {
    let mut good = serde_json::to_value(exec(b"x")).unwrap();
    assert!(refusal("").contains("is not a cassette that can be used: "));
    assert!(refusal("{").contains("line 1 column"));
    let deep = format!("\"settings\":{{\"a\":{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refusal(&good.to_string().replace("\"settings\":{", &deep)).contains("more than 100 deep"));
    let base64 = json!({"base64": "/wA=", "text": "x"});
    good["expect"]["answer"]["content"] = json!([{"text": base64}]);
    assert!(refusal(&good.to_string()).contains("beside `base64` stands nothing"));
    good["expect"]["answer"]["content"] = json!([]);
    good["operations"][0]["asked"] = json!({"stat": "/x"});
    assert!(refusal(&good.to_string()).contains("operation 1 is answered with what cannot answer it"));
    good["operations"][0]["asked"] = json!({"rm": "/x"});
    assert!(refusal(&good.to_string()).contains("unknown variant `rm`"));
    good["operations"] = json!([]);
    good["tols"] = json!([]);
    assert!(refusal(&good.to_string()).contains("unknown field `tols`"));
}

#[test]
fn a_cassette_that_is_too_large_is_neither_read_nor_written() {
    assert!(refusal(&" ".repeat(format::MAX_BYTES + 1)).contains("more than 16 MiB"));
    let large = Cassette { file: exec(&vec![b'x'; format::MAX_BYTES]) };
    assert!(large.print().unwrap_err().to_string().contains("more than 16 MiB"));
    let many = Cassette { file: file(vec![exec(b"").operations[0].clone(); 10_001]) };
    assert!(many.print().is_err());
    assert!(refusal(&serde_json::to_string(&many.file).unwrap()).contains("10000"));
}

#[test]
fn what_a_cassette_repeats_is_counted_while_it_is_read() {
    let with = |values: usize| {
        let mut good = serde_json::to_value(exec(b"x")).unwrap();
        good["settings"] = json!({"a": vec![json!({"": 1.5}); values], "b": [null, true, -1, 1, "x"]});
        good.to_string()
    };
    let parsed = Cassette::parse(with(2).as_bytes()).unwrap();
    assert_eq!(
        Value::Object(parsed.settings().clone()),
        json!({"a": [{"": 1.5}, {"": 1.5}], "b": [null, true, -1, 1, "x"]})
    );
    assert!(refusal(&with(25_000)).contains("more than 50000 values in arguments, settings or a structured answer"));
    let mut file = exec(b"x");
    file.arguments = json!({"a": vec![0; 50_000]}).as_object().unwrap().clone();
    let unread = Cassette { file }.print().unwrap_err().to_string();
    assert!(
        unread.contains("would not be read again: it is not a cassette that can be used: more than 50000"),
        "{unread}"
    );
}

#[tokio::test]
async fn what_was_recorded_is_played_and_nothing_else_is_asked() {
    let recording = Arc::new(Recording::new(SURROUNDINGS));
    let tape = Tape::Recording(Arc::clone(&recording));
    let first = pass(Some(&tape), "box", &call(), || Request::Exec("df".into()), async { Ok(outcome(b"full")) }).await;
    assert_eq!(first.unwrap().stdout.data, "full");
    let operations = recording.operations().unwrap();
    let playing = Arc::new(Playing::new(SURROUNDINGS, operations));
    let tape = Tape::Playing(Arc::clone(&playing));
    let asked = call();
    let again: Result<ExecOutcome, _> =
        pass(Some(&tape), "box", &asked, || Request::Exec("df".into()), async { panic!("a host was asked") }).await;
    assert_eq!(again.unwrap().stdout.data, "full");
    let cost = asked.cost.snapshot();
    assert_eq!((cost.execs, cost.remote_bytes, cost.round_trips), (1, 4, 1));
    assert!(playing.played().missing.is_empty() && playing.unused().is_empty());
}

#[tokio::test]
async fn a_call_that_ended_while_a_host_was_asked_makes_no_cassette() {
    let recording = Arc::new(Recording::new(SURROUNDINGS));
    let tape = Tape::Recording(Arc::clone(&recording));
    let under_way = call();
    let asked = pass(Some(&tape), "box", &under_way, || Request::Exec("df".into()), std::future::pending());
    let asked: std::pin::Pin<Box<dyn Future<Output = Result<ExecOutcome, HostError>>>> = Box::pin(asked);
    assert!(futures_util::FutureExt::now_or_never(asked).is_none());
    let refusal = recording.operations().unwrap_err().to_string();
    assert!(refusal.contains("exec on box: df"), "{refusal}");
}

#[tokio::test]
async fn equal_requests_are_answered_in_the_order_in_which_they_were_recorded() {
    let operations = [exec(b"one").operations, exec(b"two").operations].concat();
    let playing = Arc::new(Playing::new(SURROUNDINGS, operations));
    let tape = Tape::Playing(Arc::clone(&playing));
    for expected in ["one", "two"] {
        let played: Result<ExecOutcome, _> =
            pass(Some(&tape), "box", &call(), || Request::Exec("df".into()), std::future::pending()).await;
        assert_eq!(played.unwrap().stdout.data, expected);
    }
    let third: Result<ExecOutcome, _> =
        pass(Some(&tape), "box", &call(), || Request::Exec("df".into()), std::future::pending()).await;
    assert!(third.is_err());
    assert!(playing.played().missing[0].contains("was recorded 2 times, and is asked for once more"));
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_nearest_that_is_there_and_what_is_unused_is_told() {
    let stat = |path: &str| operation("box", Request::Stat(path.into()), Response::Attributes((&attributes(1)).into()));
    let operations = vec![stat("/etc/hosts"), stat("/var/log/syslog"), exec(b"x").operations[0].clone()];
    let playing = Arc::new(Playing::new(SURROUNDINGS, operations));
    let tape = Tape::Playing(Arc::clone(&playing));
    let missed: Result<Attributes, _> =
        pass(Some(&tape), "box", &call(), || Request::Stat("/var/log/sys\u{1b}log".into()), std::future::pending())
            .await;
    assert_eq!(missed.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(
        playing.played().missing,
        ["stat box:/var/log/sys\\u{1b}log\n  was not recorded; the nearest that was:\n  stat box:/var/log/syslog"]
    );
    assert_eq!(playing.unused(), ["stat box:/etc/hosts", "stat box:/var/log/syslog", "exec on box: df"]);
    let elsewhere: Result<Attributes, _> =
        pass(Some(&tape), "other", &call(), || Request::Stat("/etc/hosts".into()), std::future::pending()).await;
    assert!(elsewhere.is_err());
}

#[test]
fn an_answer_that_differs_is_told_by_its_lines() {
    let answer = |text: &str| {
        let answer = Answer { content: vec![Content::Text(text.to_owned())], ..Answer::default() };
        Replay { answer: Ok((answer, Receipt::default())), faults: Vec::new() }
    };
    let mut cassette = Cassette { file: exec(b"") };
    cassette.expect(&answer("one\ntwo\nthree\n"));
    assert_eq!(cassette.difference(&answer("one\ntwo\nthree\n")), None);
    let told = cassette.difference(&answer("one\n2\nthree\n")).unwrap();
    assert!(told.contains("-          \"two\\n\",\n+          \"2\\n\",\n"), "{told}");
    assert!(told.contains("           \"one\\n\",\n"), "{told}");
}

fn scrubbed(arguments: Value, settings: Value, given: Response, redact: &[&str]) -> String {
    let mut file = file(vec![operation("web1", Request::Exec("curl 10.20.30.4 -u deploy".into()), given)]);
    file.arguments = arguments.as_object().unwrap().clone();
    file.settings = settings.as_object().unwrap().clone();
    let fleet = fleet();
    file.hosts = fleet.hosts().map(|host| Host::from(&host)).collect();
    let redact: Vec<String> = redact.iter().map(|text| (*text).to_owned()).collect();
    scrub::scrub(&mut file, &fleet, &redact).unwrap();
    serde_json::to_string(&file).unwrap()
}

fn said(text: &str) -> Response {
    OnTape::given(&Ok::<_, HostError>(outcome(text.as_bytes())))
}

#[tokio::test]
async fn secrets_are_taken_out_of_what_hosts_gave() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\naC1rZXk\n-----END OPENSSH PRIVATE KEY-----";
    for (text, stays, goes) in [
        (key, "-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNz"),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut0ff", "BEGIN RSA PRIVATE KEY", "cut0ff"),
        ("env DB_PASSWORD=hunter2 next", "next", "hunter2"),
        ("\"apiKey\": \"a b c\", \"x\": 1", "\\\"x\\\": 1", "a b c"),
        ("client-secret: 's3cr3t words'", "client-secret", "s3cr3t words"),
        ("mysql --password hunter2 -h db", "-h db", "hunter2"),
        ("Authorization: Digest username=\"bob\"", "Authorization: redacted", "bob"),
        ("curl -H 'X: Bearer abcdefghijkl'", "Bearer redacted", "abcdefghijkl"),
        ("https://bob:hunter2@db.example/x", "@db.example/x", "hunter2"),
        ("id eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl ok", " ok", "c2lnbmF0dXJl"),
        ("AKIAIOSFODNN7EXAMPLE!", "!", "AKIAIOSFODNN7"),
        ("ghp_abcdefghijklmnopqrstuvwxyz012345", "redacted", "abcdefghijk"),
        ("root:$6$saltsalt$hashhashhash:19000:", "root:redacted:19000:", "hashhash"),
    ] {
        let out = scrubbed(json!({}), json!({}), said(text), &[]);
        assert!(out.contains(stays) && !out.contains(goes), "{text}: {out}");
    }
    for text in ["PasswordAuthentication no", "/dev/sda1 10% /", "Mem: 12 34"] {
        let out = scrubbed(json!({}), json!({}), said(text), &[]);
        assert!(out.contains(text), "{out}");
    }
}

#[tokio::test]
async fn secrets_of_settings_and_arguments_are_taken_out_wherever_they_come_again() {
    let settings = json!({"token": "tr0ub4dor", "login": {"password": "correct horse"}, "lines": 5});
    let out = scrubbed(json!({"api_key": ["k3yk3yk3y"]}), settings, said("k3yk3yk3y tr0ub4dor correct horse"), &[]);
    for secret in ["tr0ub4dor", "correct horse", "k3yk3yk3y"] {
        assert!(!out.contains(secret), "{secret} in {out}");
    }
    assert!(out.contains("\"lines\":5"), "{out}");
}

#[tokio::test]
async fn addresses_and_accounts_are_replaced_alike_in_hosts_questions_and_answers() {
    let out = scrubbed(
        json!({"to": "10.20.30.4"}),
        json!({}),
        said("deploy@10.20.30.4 10.20.30.45 deployment root web2.corp.internal."),
        &[],
    );
    for part in [
        "\"curl 192.0.2.1 -u user\"",
        "\"to\":\"192.0.2.1\"",
        "user@192.0.2.1 10.20.30.45 deployment root host2.example.",
        r#"{"name":"web1","address":"192.0.2.1","user":"user","commands":"read-only"}"#,
        r#"{"name":"web2","address":"host2.example","user":"root","commands":"read-only"}"#,
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[tokio::test]
async fn errors_do_not_tell_of_the_machine_that_recorded_them() {
    let error = HostError::new(
        ErrorKind::Auth,
        "10.20.30.4 (198.51.100.7, [fe80::1%eth0]:22) refused /home/alice/.ssh/id_work, see /home/alice/fleet/config:3",
    );
    let out = scrubbed(json!({}), json!({}), OnTape::given(&Err::<ExecOutcome, _>(error)), &[]);
    assert!(
        out.contains("192.0.2.1 (192.0.2.1, [2001:db8::1]:22) refused ~/.ssh/redacted, see /home/user/fleet/config:3"),
        "{out}"
    );
}

#[tokio::test]
async fn what_is_told_to_be_redacted_goes_and_sizes_still_fit() {
    let given =
        OnTape::given(&Ok::<_, HostError>(Opened::File { attributes: attributes(9), content: capture(b"a Jupiter") }));
    let mut file = file(vec![operation("web1", Request::Open("/srv/Jupiter".into()), given)]);
    scrub::scrub(&mut file, &fleet(), &["Jupiter".to_owned()]).unwrap();
    let out = serde_json::to_string(&file.operations).unwrap();
    let size = "a redacted-1".len();
    assert!(out.contains("/srv/redacted-1") && !out.contains("Jupiter"), "{out}");
    assert!(out.contains(&format!("\"size\":{size}")) && out.contains(&format!("\"total\":{size}")), "{out}");
}

#[tokio::test]
async fn a_secret_file_is_taken_out_whole() {
    let given =
        OnTape::given(&Ok::<_, HostError>(Opened::File { attributes: attributes(4), content: capture(b"a\xffbc") }));
    let mut file = file(vec![operation("web1", Request::Open("~/.ssh/id_ed25519".into()), given)]);
    scrub::scrub(&mut file, &fleet(), &[]).unwrap();
    let out = serde_json::to_string(&file.operations).unwrap();
    assert!(out.contains("\"bytes\":\"redacted\""), "{out}");
}

#[test]
fn a_cassette_is_of_one_tool_or_of_one_resource() {
    let read = File { tool: String::new(), uri: Some("docker://web1".to_owned()), ..exec(b"") };
    let text = Cassette { file: read.clone() }.print().unwrap();
    assert!(text.contains(r#""uri": "docker://web1""#) && !text.contains("\"tool\""), "{text}");
    let parsed = Cassette::parse(text.as_bytes()).unwrap();
    assert!(matches!(parsed.asked(), RecordedQuestion::Resource { uri: "docker://web1" }));
    for file in [File { tool: "look".to_owned(), ..read.clone() }, File { uri: None, ..read }] {
        let text = serde_json::to_string(&file).unwrap();
        assert!(refusal(&text).contains("names either the tool"), "{text}");
    }
}

#[tokio::test]
async fn what_is_taken_out_is_taken_out_of_a_uri_too() {
    let mut read = File { tool: String::new(), uri: Some("docker://web1/Jupiter/logs".to_owned()), ..exec(b"Jupiter") };
    scrub::scrub(&mut read, &fleet(), &["Jupiter".to_owned()]).unwrap();
    assert_eq!(read.uri.as_deref(), Some("docker://web1/redacted-1/logs"));
    for (uri, word, left) in [
        ("docker://web1/a%20J%C3%BCpiter%2Fb/logs", "J\u{fc}piter", "docker://web1/a%20redacted-1%2Fb/logs"),
        ("docker://web1/a%20b/%4Aupiter", "Jupiter", "docker://web1/a%20b/redacted-1"),
        ("scout://web1/one/two", "one/two", "scout://web1/redacted-1"),
        ("docker://web1/%61", "Jupiter", "docker://web1/%61"),
    ] {
        let mut read = File { tool: String::new(), uri: Some(uri.to_owned()), ..exec(word.as_bytes()) };
        scrub::scrub(&mut read, &fleet(), &[word.to_owned()]).unwrap();
        assert_eq!(read.uri.as_deref(), Some(left));
    }
}
