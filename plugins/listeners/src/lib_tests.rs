//! Both answers.

use scout_plugin::json::Value;

use super::{Found, answer, schema, ss};

fn answered(fields: &str, found: Found) -> (String, String) {
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    let answer = answer(schema::SHAPE.ask(&arguments).expect("is asked"), found);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

#[test]
fn ports_stand_in_their_order_in_both_answers() {
    let table = b"tcp LISTEN 0 511 *:80 *:* users:((\"nginx\",pid=9,fd=6),(\"nginx\",pid=7,fd=6)) cgroup:/system.slice/nginx.service\n\
                  udp UNCONN 3 0 0.0.0.0:53 0.0.0.0:* uid:102\nodd\n";
    let (text, json) = answered("", ss::parse(table));
    assert_eq!(
        text,
        "proto  address  port  process  pid  uid  unit\n\
         udp    0.0.0.0    53  -          -  102  -\n\
         tcp    *          80  nginx      7    0  nginx.service\n\
         (1 line could not be read)"
    );
    assert!(
        json.contains(
            r#"{"proto":"tcp","address":"*","port":80,"process":"nginx","pid":7,"uid":0,"unit":"nginx.service"}"#
        ),
        "{json}"
    );
    let (_, json) = answered(r#","columns":"owners,waiting,backlog","where":"owners ~ nginx""#, ss::parse(table));
    assert!(json.contains(r#"[{"owners":["nginx/7","nginx/9"],"waiting":0,"backlog":511}]"#), "{json}");
}

#[test]
fn that_nothing_listens_is_told() {
    let (text, _) = answered("", Found::default());
    assert_eq!(text, "(0 of 0 rows)\n(nothing listens on TCP or UDP)");
}
