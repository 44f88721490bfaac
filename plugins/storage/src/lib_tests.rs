//! The answer, and what is told of what was not seen.

use scout_plugin::exec::{Output, RanAs};
use scout_plugin::json::Value;
use scout_plugin::{Error, ErrorKind};

use super::{Found, What, answer, lvm, md, schema, smart, zfs, zfs_failure};
use crate::part::Told;

fn output(exit: u32, stdout: &[u8], stderr: &str) -> Output {
    Output { exit: Some(exit), stdout: stdout.to_vec(), stderr: stderr.to_owned(), truncated: false }
}

fn shown(fields: &str, found: Found) -> (String, String) {
    let (rows, notes) = found.told("box").expect("is told");
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    let answer = answer(schema::shape(What::Health).ask(&arguments).expect("is asked"), rows, notes);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

#[test]
fn the_worst_stands_first_and_what_was_not_seen_is_told() {
    let mut found = Found::default();
    let list = include_bytes!("../tests/fixtures/zpool-list-written.txt");
    found.take("zpool", zfs::pools(list), &output(0, list, ""));
    let mdstat = include_bytes!("../tests/fixtures/mdstat-written.txt");
    found.take("/proc/mdstat", md::arrays(mdstat), &output(0, mdstat, ""));
    assert!(!found.is_there("smartctl", &output(127, b"", "sh: smartctl: not found")));
    found.fail(Error::new(ErrorKind::Permission, "LVM on box tells only an administrator of its volumes"));
    let (text, json) = shown(r#","columns":"kind,name,health,size_bytes""#, found);
    assert_eq!(
        text,
        "kind   name     health   size_bytes\n\
         zpool  lost     failed            -\n\
         md     md127    failed    931.4 GiB\n\
         zpool  tank     warning    10.9 TiB\n\
         zpool  rpool    warning   237.0 GiB\n\
         md     md1      warning   558.7 GiB\n\
         zpool  backup   ok          3.6 TiB\n\
         md     md0      ok       1022.0 MiB\n\
         md     md2      ok          4.0 GiB\n\
         md     md_imsm  ok          1.8 TiB\n\
         (LVM on box tells only an administrator of its volumes)\n\
         (not asked, for they are not installed: smartctl)"
    );
    assert!(json.contains(r#""rows":[{"kind":"zpool","name":"lost","health":"failed","size_bytes":null}"#), "{json}");
}

#[test]
fn the_rows_that_would_let_it_be_asked_as_root_are_told() {
    let mut denied = Found::default();
    denied.deny("LVM tells only an administrator".to_owned(), &[lvm::GROUPS]);
    denied.deny("SMART tells only an administrator".to_owned(), &[&[smart::ASK, &["*"]].concat()]);
    let hint = denied.told("box").expect_err("nothing was told").hint.expect("says what would tell");
    let rows = r#"`sudo = [["vgs", "--reportformat", "json", "#;
    assert!(hint.starts_with(rows) && hint.contains(r#"["smartctl", "-i", "-H", "-A", "-j", "*"]]` below"#), "{hint}");
    let list = include_bytes!("../tests/fixtures/zpool-list-written.txt");
    let mut found = Found::default();
    found.take("zpool", zfs::pools(list), &output(0, list, ""));
    found.note(RanAs::Root.note("zpool"));
    found.note(RanAs::Root.note("zpool"));
    assert_eq!(found.told("box").expect("is told").1, ["`zpool` ran as root"]);
}

#[test]
fn not_installed_not_permitted_nothing_there_and_no_answer_are_four_answers() {
    let missing = Found { missing: vec!["zpool", "vgs", "smartctl"], ..Found::default() };
    let (text, _) = shown("", missing);
    assert_eq!(
        text,
        "(0 of 0 rows)\n(neither pools, arrays, volumes of LVM, file systems of btrfs nor disks with SMART were found on box)\n\
         (not asked, for they are not installed: zpool, vgs, smartctl)"
    );
    let mut denied = Found::default();
    denied.fail(Error::new(ErrorKind::Remote, "other"));
    denied.fail(Error::new(ErrorKind::Permission, "denied"));
    denied.fail(Error::new(ErrorKind::Permission, "denied"));
    assert_eq!(denied.failures.len(), 2);
    assert_eq!(denied.told("box").map_err(|error| error.kind), Err(ErrorKind::Permission));
    let mut silent = Found::default();
    silent.fail(Error::new(ErrorKind::Remote, "`vgs` on box said: nothing that can be read"));
    assert_eq!(silent.told("box").map_err(|error| error.kind), Err(ErrorKind::Remote));
}

#[test]
fn a_program_that_the_account_does_not_look_for_is_installed() {
    let mut found = Found { missing: vec!["zpool", "vgs", "smartctl"], ..Found::default() };
    found.hidden("box", "/sbin/vgs\n/usr/sbin/smartctl\n/usr/sbin/vgs\n/usr/bin/zpool\n");
    assert_eq!(found.missing, ["zpool"]);
    let failure = found.told("box").expect_err("it may not be asked");
    assert_eq!(failure.kind, ErrorKind::Permission);
    assert_eq!(failure.message, "vgs, smartctl of box lie in /usr/sbin, which is not on the account's PATH");
    let mut none = Found { missing: vec!["vgs"], ..Found::default() };
    none.hidden("box", "");
    assert_eq!((none.missing.len(), none.failures.len()), (1, 0));
}

#[test]
fn zfs_without_its_module_has_no_pools_and_is_told() {
    let said = "The ZFS modules cannot be auto-loaded.\nTry running 'modprobe zfs' as root to manually load them.\n";
    let failure = zfs_failure("box", "zpool", &output(1, b"", said)).expect("it told nothing");
    assert_eq!(failure.kind, ErrorKind::Unsupported);
    let mut found = Found::default();
    found.fail(failure);
    let (text, _) = shown("", found);
    assert!(text.contains("its module of the kernel is not loaded"), "{text}");
    // Older ones say on standard output that there is none.
    assert!(zfs_failure("box", "zpool", &output(0, b"", "no pools available\n")).is_none());
    let denied = zfs_failure("box", "zpool", &output(1, b"", "cannot open /dev/zfs: Permission denied\n"));
    assert_eq!(denied.map(|error| error.kind), Some(ErrorKind::Permission));
}

#[test]
fn what_is_cut_or_cannot_be_read_is_told() {
    let mut found = Found::default();
    let cut = Output { exit: None, truncated: true, ..output(0, b"", "") };
    found.take("zpool", Told { unread: 2, ..Told::default() }, &cut);
    let (text, _) = shown("", found);
    assert!(text.contains("(2 lines of zpool could not be read)"), "{text}");
    assert!(text.contains("zpool says more than Scout accepts"), "{text}");
}

#[test]
fn a_dataset_is_of_the_pool_whose_name_begins_its_own() {
    for (dataset, pool, is) in [
        ("tank", "tank", true),
        ("tank/data", "tank", true),
        ("tank2", "tank", false),
        ("tank2/data", "tank", false),
        ("tank", "tank/data", false),
        ("tank", "tan", false),
    ] {
        assert_eq!(super::is_of(dataset, pool), is, "{dataset} {pool}");
    }
}
