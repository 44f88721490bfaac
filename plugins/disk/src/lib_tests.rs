//! Filters, both answers, and errors that say what to do.

use scout_plugin::ErrorKind;
use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::{Arguments, Chosen, Mount, as_json, as_text, choose, notes, row, schema, table};

const TYPED: &[u8] = include_bytes!("../tests/fixtures/debian13-typed.txt");
const INODES: &[u8] = include_bytes!("../tests/fixtures/debian13-inodes.txt");

fn asked(json: &str) -> Arguments {
    Arguments::read(json).expect("are arguments")
}

fn chosen(asked: &Arguments) -> Chosen {
    choose(asked, table::parse(TYPED, true), &table::parse(INODES, false).rows, false, 0)
}

/// Both answers.
fn answers(asked: Arguments, chosen: &Chosen, unanswered: &[(Mount, String)], warnings: &[String]) -> (String, String) {
    let notes = notes(&asked, chosen, unanswered);
    let page = asked.rows.page(chosen.entries.iter().map(row).collect()).notes(notes);
    (as_text(&page, warnings), as_json(&page, chosen, unanswered, warnings).finish())
}

fn points(chosen: &Chosen) -> Vec<String> {
    chosen.entries.iter().map(|entry| entry.row.mount_point.escape_ascii().to_string()).collect()
}

#[test]
fn the_schemas_are_json() {
    let shape = schema::shape(true);
    assert!(
        Value::parse(&shape.input(schema::INPUT)).is_some() && Value::parse(&shape.output(schema::OUTPUT)).is_some()
    );
}

#[test]
fn arguments_have_defaults_and_a_host() {
    let plain = asked(r#"{"host":"box"}"#);
    assert_eq!((plain.all, plain.threshold, plain.inodes, plain.operand()), (false, 0, false, None));
    assert_eq!(asked(r#"{"host":"box","path":"/srv"}"#).operand().as_deref(), Some("/srv"));
    assert_eq!(asked(r#"{"host":"box","path":"~"}"#).operand().as_deref(), Some("."));
    assert_eq!(asked(r#"{"host":"box","path":"~/-a"}"#).operand().as_deref(), Some("./-a"));
    for fields in [
        r#""inodes":true"#,
        r#""where":"inodes_used_percent > 80""#,
        r#""sort":"-inodes""#,
        r#""columns":"inodes_free""#,
    ] {
        assert!(asked(&format!(r#"{{"host":"box",{fields}}}"#)).inodes, "{fields}");
    }
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"host":1}"#,
        r#"{"host":"box","threshold":101}"#,
        r#"{"host":"box","threshold":-1}"#,
        r#"{"host":"box","path":"srv"}"#,
        r#"{"host":"box","path":""}"#,
        r#"{"host":"box","path":"/\u0000"}"#,
        r#"{"host":"box","where":"size > 1"}"#,
    ] {
        assert_eq!(Arguments::read(bad).map(|_| ()).map_err(|error| error.kind), Err(ErrorKind::Invalid), "{bad}");
    }
}

#[test]
fn memory_of_the_system_is_left_out_unless_all_or_a_path_is_asked_for() {
    let plain = chosen(&asked(r#"{"host":"box"}"#));
    assert_eq!((plain.entries.len(), plain.pseudo), (8, 2));
    assert!(!points(&plain).iter().any(|point| point == "/run" || point == "/dev/shm"));
    for json in [r#"{"host":"box","all":true}"#, r#"{"host":"box","path":"/run"}"#] {
        assert_eq!((chosen(&asked(json)).entries.len(), chosen(&asked(json)).pseudo), (10, 0));
    }
}

#[test]
fn images_and_snapshots_are_full_by_nature() {
    let output = b"head\n\
        /dev/loop1 erofs 100 100 0 100% /mnt/image\n\
        composefs overlay 100 100 0 100% /\n\
        overlay overlay 100 50 50 50% /merged\n\
        tank/a@now zfs 100 100 0 100% /a/.zfs/snapshot/now\n\
        tank/a zfs 100 100 0 100% /a\n\
        /dev/sr0 udf 100 100 0 100% /media/disc\n\
        /dev/sdb1 udf 100 50 50 50% /media/stick\n\
        snapfuse fuse.snapfuse 100 100 0 100% /snap/core/1\n\
        /dev/sda1 ext4 100 100 0 100% /full\n";
    let asked = asked(r#"{"host":"box"}"#);
    let chosen = choose(&asked, table::parse(output, true), &[], false, 0);
    assert_eq!(
        (points(&chosen), chosen.pseudo),
        (["/merged", "/a", "/media/stick", "/full"].map(str::to_owned).to_vec(), 5)
    );
}

#[test]
fn a_share_is_computed_and_rounded_up() {
    let percent = |figures: &str| {
        let table = table::parse(format!("head\n/dev/a {figures} /a\n").as_bytes(), false);
        table.rows.first().and_then(|row| row.figures.percent())
    };
    for (figures, expected) in [
        // busybox and the BSDs round in other ways, and one may print more than all.
        ("1000 1 999 0%", Some(1)),
        ("1000 995 5 99%", Some(100)),
        ("1000 500 500 50%", Some(50)),
        ("100 98 -3 103%", Some(100)),
        ("0 0 0 -", None),
        ("- - - -", None),
    ] {
        assert_eq!(percent(figures), expected, "{figures}");
    }
}

#[test]
fn what_did_not_answer_is_named() {
    let line = b"52 27 0:41 / /home rw - nfs4 srv:/home rw\n";
    let mount = super::mounts::parse(line).remove(0);
    let unanswered = [(mount, "`df` on box did not end in time; it was stopped".to_owned())];
    let asked = asked(r#"{"host":"box"}"#);
    let chosen = chosen(&asked);
    let (text, json) = answers(asked, &chosen, &unanswered, &[]);
    assert!(
        text.ends_with("(/home (srv:/home, nfs4) did not answer: `df` on box did not end in time; it was stopped)"),
        "{text}"
    );
    assert!(
        json.contains(
            r#""unanswered":[{"filesystem":"srv:/home","type":"nfs4","mount_point":"/home","why":"`df` on box"#
        ),
        "{json}"
    );
}

#[test]
fn a_threshold_counts_bytes_and_inodes_if_asked() {
    let bytes = chosen(&asked(r#"{"host":"box","threshold":90}"#));
    assert_eq!((points(&bytes), bytes.below), (vec!["/srv/data".to_owned()], 7));
    let either = chosen(&asked(r#"{"host":"box","threshold":90,"inodes":true}"#));
    assert_eq!(points(&either), ["/srv/with blank", "/srv/data"]);
}

#[test]
fn both_answers_say_the_same() {
    let asked = asked(r#"{"host":"box","threshold":60,"inodes":true}"#);
    let chosen = chosen(&asked);
    let (text, json) = answers(asked, &chosen, &[], &["df: x: odd".to_owned()]);
    assert_eq!(
        text,
        "filesystem           type   size_bytes  used_bytes  available_bytes  used_percent  inodes  inodes_used  inodes_free  \
         inodes_used_percent  mount_point\n\
         //server/share name  tmpfs     3.0 MiB     1.9 MiB          1.1 MiB            64      20           20            0  \
         \u{20}               100  /srv/with blank\n\
         /dev/loop0           ext4     13.7 MiB    12.4 MiB              0 B           100    4096           12         4084  \
         \u{20}                 1  /srv/data\n\
         (6 file systems are less than 60 % full)\n\
         (2 pseudo file systems are left out; `all` shows them)\n\
         warning: df: x: odd"
    );
    assert_eq!(
        json,
        concat!(
            r#"{"host":"box","filesystems":[{"filesystem":"//server/share name","type":"tmpfs","size_bytes":3145728,"#,
            r#""used_bytes":2002944,"available_bytes":1142784,"used_percent":64,"inodes":20,"inodes_used":20,"inodes_free":0,"#,
            r#""inodes_used_percent":100,"mount_point":"/srv/with blank"},{"filesystem":"/dev/loop0","type":"ext4","#,
            r#""size_bytes":14410752,"used_bytes":13016064,"available_bytes":0,"used_percent":100,"inodes":4096,"inodes_used":12,"#,
            r#""inodes_free":4084,"inodes_used_percent":1,"mount_point":"/srv/data"}],"total":2,"left_out":{},"#,
            r#""notes":["6 file systems are less than 60 % full","2 pseudo file systems are left out; `all` shows them"],"#,
            r#""pseudo_left_out":2,"below_threshold":6,"truncated":false,"unanswered":[],"warnings":["df: x: odd"]}"#
        )
    );
}

#[test]
fn rows_are_chosen_ordered_and_narrowed() {
    let asked = asked(
        r#"{"host":"box","where":"type != ext4 and size_bytes < 10M","sort":"-used_percent,mount_point","columns":"mount_point,used_percent","limit":2}"#,
    );
    let chosen = chosen(&asked);
    let (text, json) = answers(asked, &chosen, &[], &[]);
    assert!(text.starts_with("mount_point           used_percent\n/srv/with blank                 64\n"), "{text}");
    assert!(json.contains(r#""total":8,"left_out":{"where":3,"later":3},"cursor":"2-"#), "{json}");
}

#[test]
fn a_name_that_is_not_utf8_keeps_its_bytes() {
    let asked = asked(r#"{"host":"box"}"#);
    let chosen = chosen(&asked);
    let (_, json) = answers(asked, &chosen, &[], &[]);
    assert!(
        json.contains("\"mount_point\":\"/srv/latin\u{fffd}\",\"mount_point_base64\":\"L3Nydi9sYXRpbuk=\""),
        "{json}"
    );
}

#[test]
fn many_rows_are_cut_and_it_is_told() {
    let mut output = b"head\n".to_vec();
    for number in 0..501 {
        output.extend_from_slice(format!("/dev/{number} ext4 10 5 5 50% /{number}\n").as_bytes());
    }
    let asked = asked(r#"{"host":"box"}"#);
    let chosen = choose(&asked, table::parse(&output, true), &[], false, 0);
    let (text, json) = answers(asked, &chosen, &[], &[]);
    assert!(text.contains("\n(500 of 501 rows; 1 to come, cursor: 1f4-"), "{text}");
    assert!(json.contains(r#""truncated":true"#) && json.contains(r#""left_out":{"later":1}"#), "{json}");
}

#[test]
fn many_rows_find_their_inodes_and_long_names_do_not_widen_all_of_them() {
    let rows = |count: u32| (0..count).map(|at| format!("/dev/a{at} {at} 2 3 4% /{at}\n")).collect::<String>();
    let table = |text: &str| table::parse(format!("head\n{text}").as_bytes(), false);
    let inodes = table(&rows(50_000)).rows;
    let chosen = choose(&asked(r#"{"host":"box","inodes":true}"#), table(&rows(50_000)), &inodes, false, 0);
    assert_eq!(chosen.entries.get(7).map(|entry| entry.inodes.total), Some(Some(8)));
    let long = format!("{} 1 2 3 4% /x\n{}", "n".repeat(1 << 20), rows(499));
    let asked = asked(r#"{"host":"box"}"#);
    let chosen = choose(&asked, table(&long), &[], false, 0);
    let (text, _) = answers(asked, &chosen, &[], &[]);
    assert!(text.len() < 500 * 400, "{}", text.len());
}

#[test]
fn an_error_says_what_df_said_and_what_to_do() {
    let asked = asked(r#"{"host":"box","path":"/nope"}"#);
    let error = |stderr: &str| {
        asked.silent(&Output { exit: Some(1), stdout: Vec::new(), stderr: stderr.to_owned(), truncated: false })
    };
    for (stderr, kind) in [
        ("df: /nope: No such file or directory\n", ErrorKind::NotFound),
        ("df: /nope: can't find mount point\n", ErrorKind::NotFound),
        ("df: '/nope': Permission denied\n", ErrorKind::Permission),
        ("sh: 1: df: not found\n", ErrorKind::Remote),
        ("", ErrorKind::Remote),
    ] {
        let error = error(stderr);
        assert_eq!(error.kind, kind, "{stderr}");
        assert!(
            error.message.starts_with("`df` for `/nope` on box said: ") && error.hint.is_some(),
            "{}",
            error.message
        );
        assert!(error.message.ends_with(stderr.trim()));
    }
    assert!(error(&"x".repeat(1 << 20)).message.len() < 1000);
}
