//! What may be asked of rows, what is answered, and what is refused.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use super::{Asked, Cell, Column, Kind, Page, Row, Shape};
use crate::json::{Object, Value};
use crate::{Error, ErrorKind};

const SHAPE: Shape = Shape {
    tool: "things",
    list: "rows",
    columns: &[
        Column::new("name", Kind::Text),
        Column::new("name_base64", Kind::Text).beside("name"),
        Column::new("size", Kind::Bytes),
        Column::new("cpu", Kind::Tenths),
        Column::new("up", Kind::Seconds),
        Column::new("since", Kind::Time),
        Column::new("on", Kind::Bool),
        Column::new("tags", Kind::List),
        Column::new("count", Kind::Number).extra(),
        Column::new("depth", Kind::Number).beside("name"),
    ],
    limit: 3,
};

fn rows() -> Vec<Row> {
    let row = |name: &str, size: u64, cpu: u64, up: u64, since: &str, on: bool, tags: &[&str], count: u64| {
        vec![
            Cell::text(name),
            Cell::None,
            Cell::Number(size),
            Cell::Number(cpu),
            Cell::Number(up),
            Cell::text(since),
            Cell::Bool(on),
            Cell::List(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            Cell::Number(count),
        ]
    };
    vec![
        row("alpha", 512, 5, 90, "2026-11-30T08:15:00Z", true, &["web", "prod"], 3),
        row("Beta two", 10 << 20, 125, 7200, "2026-11-30T08:15:00.25Z", false, &["db"], 1),
        row("gamma", 3 << 30, 0, 86_400, "2026-12-01T00:00:00Z", true, &[], 2),
        vec![Cell::text("delta"), Cell::text("ZA==")],
    ]
}

fn ask(fields: &str) -> Result<Asked, Error> {
    let comma = if fields.is_empty() { "" } else { "," };
    SHAPE.ask(&Value::parse(&format!(r#"{{"host":"box"{comma}{fields}}}"#)).expect("is JSON"))
}

fn page(fields: &str) -> Page {
    ask(fields).unwrap_or_else(|error| panic!("{fields}: {error}")).page(rows())
}

fn names(page: &Page) -> Vec<String> {
    let json = Value::parse(&page.json(Object::new()).finish()).expect("is JSON");
    let Some(Value::Array(rows)) = json.get("rows") else { panic!("{json:?}") };
    rows.iter().filter_map(|row| row.get("name")?.as_text().map(str::to_owned)).collect()
}

/// The names of what fits.
fn fitting(condition: &str) -> Vec<String> {
    let json = Object::new().text("where", condition).integer("limit", 100).finish();
    names(&page(json.trim_matches(['{', '}'])))
}

fn refusal(fields: &str) -> String {
    let error = ask(fields).expect_err(fields);
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(error.hint.as_deref(), Some("columns: name size cpu up since on tags count"));
    error.message
}

#[test]
fn a_condition_compares_by_the_kind_of_its_column() {
    for (condition, expected) in [
        ("name = alpha", &["alpha"][..]),
        ("name=alpha", &["alpha"]),
        ("name != alpha", &["Beta two", "gamma", "delta"]),
        ("name ~ ETA", &["Beta two"]),
        ("name = \"Beta two\"", &["Beta two"]),
        ("name='Beta two' and size>=10M", &["Beta two"]),
        ("name >= delta", &["gamma", "delta"]),
        ("size = 10M", &["Beta two"]),
        ("size > 10MiB", &["gamma"]),
        ("size<=512", &["alpha"]),
        ("cpu > 0.4", &["alpha", "Beta two"]),
        ("cpu = 12.5", &["Beta two"]),
        ("up >= 2h", &["Beta two", "gamma"]),
        ("up < 2m", &["alpha"]),
        ("up = 1d", &["gamma"]),
        ("since >= 2026-12-01", &["gamma"]),
        // A fraction stands before `Z`.
        ("since > 2026-11-30T08:15:00Z", &["Beta two", "gamma"]),
        ("since ~ 2026-11-30", &["alpha", "Beta two"]),
        ("on = true", &["alpha", "gamma"]),
        ("on != true", &["Beta two", "delta"]),
        ("tags = web", &["alpha"]),
        ("tags ~ RO", &["alpha"]),
        ("tags != web", &["Beta two", "gamma", "delta"]),
        ("size = null", &["delta"]),
        ("size != null AND on != false", &["alpha", "gamma"]),
        ("count = 2", &["gamma"]),
        ("count < 99999999999999999999999", &["alpha", "Beta two", "gamma"]),
        ("name = 'null'", &[]),
    ] {
        assert_eq!(fitting(condition), expected, "{condition}");
    }
}

#[test]
fn a_where_that_is_none_is_refused_with_its_place_and_what_is_expected() {
    for (condition, says) in [
        ("cpuu > 5", "`where` of `things`: unknown column `cpuu`"),
        ("name_base64 = x", "unknown column `name_base64`"),
        ("> 5", "at character 1, `> 5`: expected a column"),
        ("cpu", "at character 4, its end: expected one of = != < <= > >= ~"),
        ("cpu is 5", "at character 5, `is 5`: expected one of"),
        ("cpu >", "at character 6, its end: expected a value"),
        ("cpu > x", "at character 7, `x`: expected a number, as 12.5"),
        ("cpu > 5 or up > 1", "at character 9, `or up > 1`: expected `and`"),
        ("cpu > 5 andup > 1", "expected `and`"),
        ("cpu > 5 and", "expected `and`"),
        ("cpu > 5 and ", "at character 13, its end: expected a column"),
        ("name = Beta two", "at character 13, `two`: expected `and`; a value with blanks stands in quotes"),
        ("name = \"Beta", "expected a value, with both of its quotes"),
        ("size > 10Q", "expected a size, as 512, 10M or 2G"),
        ("size ~ 1", "a number contains nothing"),
        ("up > 2 hours", "expected `and`"),
        ("up > -1", "expected a time, as 90, 15m, 2h or 3d"),
        ("count > 1M", "expected a number"),
        ("since > yesterday", "expected a time in UTC or its beginning"),
        ("since > 2026-11-30 08:15", "expected `and`"),
        ("on > true", "true and false are only compared with = and !="),
        ("on = yes", "expected true or false"),
        ("tags > a", "a list is only compared with"),
        ("size > null", "null is only compared with"),
        ("größe > 1", "unknown column `größe`"),
    ] {
        let field = Object::new().text("where", condition).finish();
        let message = refusal(field.trim_matches(['{', '}']));
        assert!(message.contains(says), "{condition}: {message}");
    }
    let many = vec!["on = true"; 17].join(" and ");
    assert!(refusal(&format!(r#""where":"{many}""#)).contains("more than 16 conditions"));
    assert!(refusal(&format!(r#""where":"name = {}""#, "x".repeat(1000))).contains("more than 1000 bytes"));
}

#[test]
fn any_where_is_read_or_refused() {
    let pieces =
        ["name", "size", " ", "=", "!", "~", "<", "and", "\"", "'", "10M", "ü", "\u{0}", "null", "9", "-", "\n"];
    let mut state = 7_usize;
    for _ in 0..20_000 {
        let mut condition = String::new();
        for _ in 0..=state % 9 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            condition.push_str(pieces[(state >> 33) % pieces.len()]);
        }
        let asked = SHAPE.ask(
            &Value::parse(&Object::new().text("host", "box").text("where", &*condition).finish()).expect("is JSON"),
        );
        if let Err(error) = asked {
            assert!(error.message.starts_with("`where` of `things`: ") && error.message.len() < 200, "{error}");
        }
    }
}

#[test]
fn rows_are_chosen_and_ordered_before_they_are_cut() {
    assert_eq!(names(&page("")), ["alpha", "Beta two", "gamma"]);
    assert_eq!(names(&page(r#""sort":"-size","limit":1"#)), ["gamma"]);
    // What is not known stands last, whichever way.
    assert_eq!(names(&page(r#""sort":"size","limit":10"#)), ["alpha", "Beta two", "gamma", "delta"]);
    assert_eq!(names(&page(r#""sort":"-since","limit":10"#)), ["gamma", "Beta two", "alpha", "delta"]);
    assert_eq!(names(&page(r#""sort":"on -name name -on","limit":10"#)), ["Beta two", "gamma", "alpha", "delta"]);
    assert_eq!(names(&page(r#""where":"on = true","sort":"-count","limit":1"#)), ["alpha"]);
    let page = page(r#""sort":"-size","limit":2"#);
    assert_eq!(page.places(), [2, 1]);
    let page = page.reversed();
    assert_eq!((page.places(), names(&page)), (&[1, 2][..], ["Beta two", "gamma"].map(str::to_owned).to_vec()));
}

#[test]
fn what_is_left_out_is_told_with_why_in_both_answers() {
    let page = page(r#""where":"size > 1","limit":1,"columns":"name,size,cpu,up,on,tags""#);
    let cursor = page.cursor.clone().expect("there is more");
    assert_eq!(
        page.clone().notes(["a note".to_owned()]).text(),
        format!(
            "name    size  cpu     up  on   tags\nalpha  512 B  0.5  1m30s  yes  web,prod\n\
             (1 of 4 rows; 1 not in `where`; 2 to come, cursor: {cursor})\n(a note)\n"
        )
    );
    assert_eq!(
        page.json(Object::new().text("host", "box")).finish(),
        format!(
            "{{{}{}\"cursor\":\"{cursor}\",\"notes\":[]}}",
            r#""host":"box","rows":[{"name":"alpha","size":512,"cpu":0.5,"up":90,"on":true,"tags":["web","prod"]}],"#,
            r#""total":4,"left_out":{"where":1,"later":2},"#
        )
    );
    assert_eq!(ask("").expect("is asked").page(Vec::new()).text(), "(0 of 0 rows)\n");
    assert_eq!(ask(r#""limit":9,"columns":"name""#).expect("is asked").page(rows()).remarks(), "");
    assert!(!ask(r#""columns":" , ""#).expect("is asked").is_narrowed());
}

#[test]
fn columns_are_shown_as_they_were_asked_for_and_bytes_beside_their_name() {
    let narrow = page(r#""where":"size = null","columns":"count name, count""#);
    assert_eq!(narrow.text(), "count  name\n    -  delta\n(1 of 4 rows; 3 not in `where`)\n");
    let json = narrow.json(Object::new()).finish();
    assert!(json.starts_with(r#"{"rows":[{"count":null,"name":"delta","name_base64":"ZA=="}]"#), "{json}");
    assert!(!page(r#""columns":"size""#).json(Object::new()).finish().contains("base64"));
    assert!(narrow.asked().is_narrowed() && !page("").asked().is_narrowed());
    let asked = ask(r#""columns":"name","where":"cpu > 1","sort":"up""#).expect("is asked");
    let needed: Vec<_> = SHAPE.columns.iter().map(|column| column.name).filter(|name| asked.needs(name)).collect();
    assert_eq!(needed, ["name", "cpu", "up"]);
}

#[test]
fn a_number_beside_a_text_indents_it() {
    let row = |name: &str, depth: u64| {
        let mut row = vec![Cell::None; SHAPE.columns.len()];
        row[0] = Cell::text(name);
        row[9] = Cell::Number(depth);
        row
    };
    let rows = vec![row("init", 0), row("sshd", 1), row("sh", 2), row("deep", u64::MAX)];
    let page = ask(r#""columns":"name,cpu","limit":9"#).expect("is asked").page(rows);
    let deep = format!("{}deep", " ".repeat(40));
    assert!(page.text().lines().map(|line| line.trim_end_matches([' ', '-'])).eq([
        &format!("name{}cpu", " ".repeat(42))[..],
        "init",
        "  sshd",
        "    sh",
        &deep,
    ]));
    assert!(page.json(Object::new()).finish().contains(r#"{"name":"sshd","depth":1,"cpu":null}"#));
}

#[test]
fn a_cursor_goes_on_where_the_page_ended() {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for left in [3, 2, 1, 0] {
        let page = page(&format!(r#""sort":"name","limit":1,"cursor":"{cursor}""#));
        assert_eq!(page.later, left);
        seen.extend(names(&page));
        cursor = page.cursor.clone().unwrap_or_default();
    }
    assert_eq!((seen, cursor), (["Beta two", "alpha", "delta", "gamma"].map(str::to_owned).to_vec(), String::new()));
    // Another limit is another page, and no other list.
    let cursor = page(r#""sort":"name","limit":1"#).cursor.expect("there is more");
    let rest = page(&format!(r#""limit":100,"cursor":"{cursor}","sort":"name""#));
    assert_eq!(names(&rest), ["alpha", "delta", "gamma"]);
    assert_eq!(rest.remarks(), "(3 of 4 rows; 1 on pages before)\n");
    // Rows may go while a client reads.
    let none = ask(&format!(r#""sort":"name","cursor":"{cursor}""#)).expect("is asked").page(Vec::new());
    assert_eq!(none.remarks(), "(0 of 0 rows)\n");
}

/// Which calls a cursor belongs to is Scout's own to say: it seals them.
#[test]
fn what_is_no_cursor_is_refused() {
    for cursor in ["x", "1", "-unsealed", "+g-unsealed", "ffffffffffffffffffffff-unsealed"] {
        let error = ask(&format!(r#""cursor":"{cursor}""#)).expect_err(cursor);
        assert!(error.kind == ErrorKind::Invalid && error.message.starts_with("`cursor` "), "{error}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert_eq!(refusal(r#""columns":"name, nope""#), "`columns` of `things`: unknown column `nope`");
    assert_eq!(refusal(r#""sort":"-nope""#), "`sort` of `things`: unknown column `nope`");
    for limit in ["0", "-1", "2001", "1.5", "\"9\""] {
        assert_eq!(refusal(&format!(r#""limit":{limit}"#)), "`limit` of `things`: expected a number from 1 to 2000");
    }
    assert_eq!(SHAPE.ask(&Value::Null).expect_err("no host").message, "`host` of `things`: missing");
    assert!(refusal(&format!(r#""sort":"{}""#, "x".repeat(5000))).len() < 120);
}

#[test]
fn a_page_is_bounded_whatever_the_host_says() {
    let asked = || ask(r#""columns":"name","limit":2000"#).expect("is asked");
    let rows = |bytes: usize| (0..2000).map(|_| vec![Cell::Text("x\n".repeat(bytes / 2))]).collect::<Vec<_>>();
    let page = asked().page(rows(10_000));
    assert_eq!((page.rows.len(), page.later), (102, 1898));
    assert!(page.text().len() < 103 * 300, "{}", page.text().len());
    assert_eq!(asked().page(rows(1 << 20)).rows.len(), 1);
}

#[test]
fn the_schemas_name_the_columns() {
    let input = Value::parse(&SHAPE.input(r#""all":{"type":"boolean"}"#)).expect("is JSON");
    for name in ["host", "all", "where", "sort", "columns", "limit", "cursor"] {
        assert!(input.get("properties").and_then(|properties| properties.get(name)).is_some(), "{name}");
    }
    assert!(Value::parse(&SHAPE.input("")).is_some());
    let output = Value::parse(&SHAPE.output(r#""truncated":{"type":"boolean"}"#)).expect("is JSON");
    let list =
        output.get("properties").and_then(|properties| properties.get("rows")).and_then(|rows| rows.get("items"));
    let columns = list.and_then(|items| items.get("properties")).expect("are there");
    for column in SHAPE.columns {
        let Some(Value::Array(kinds)) = columns.get(column.name).and_then(|column| column.get("type")) else {
            panic!("{}", column.name)
        };
        assert_eq!((kinds.len(), kinds[1].as_text()), (2, Some("null")));
    }
    assert!(Value::parse(&SHAPE.output("")).is_some());
}
