//! Both answers.

use scout_plugin::json::Value;

use super::{Manager, answer, schema};

fn answered(fields: &str, manager: Manager, output: &[u8]) -> (String, String) {
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    let updates = arguments.get("updates").and_then(Value::as_boolean).unwrap_or(false);
    let asked = schema::shape(updates).ask(&arguments).expect("is asked");
    let answer = answer(asked, manager, updates, manager.parse(updates, output));
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

#[test]
fn what_is_installed_is_told_in_both_answers() {
    let output = b"openssl\t3.0.15-1\tamd64\t2284\tinstall ok installed\tSecure Sockets Layer\n\
                   cron\t3.0\tamd64\t263\tdeinstall ok config-files\tdaemon\nodd\n";
    let (text, json) = answered("", Manager::Dpkg, output);
    assert_eq!(
        text,
        "name     version   arch   size_bytes  summary\n\
         openssl  3.0.15-1  amd64     2.2 MiB  Secure Sockets Layer\n\
         (1 line could not be read)\n\
         (of 1 package that was removed there is still configuration)"
    );
    assert!(
        json.starts_with(concat!(
            r#"{"host":"box","manager":"dpkg","packages":[{"name":"openssl","version":"3.0.15-1","arch":"amd64","#,
            r#""size_bytes":2338816,"summary":"Secure Sockets Layer"}],"total":1,"left_out":{},"#
        )),
        "{json}"
    );
}

#[test]
fn what_can_be_updated_has_columns_of_its_own() {
    let output = include_bytes!("../tests/fixtures/ubuntu-updates-written.txt");
    let (text, json) = answered(r#","updates":true,"where":"security = true","limit":1"#, Manager::Dpkg, output);
    assert!(
        text.starts_with(
            "name   version          available        security  repository\n\
             libc6  2.35-0ubuntu3.6  2.35-0ubuntu3.8  yes       jammy-updates,jammy-security\n"
        ),
        "{text}"
    );
    assert!(json.contains(r#""total":3,"left_out":{"where":1,"later":1}"#), "{json}");
    let (text, _) = answered(r#","updates":true"#, Manager::Pacman, b"");
    assert_eq!(text, "(0 of 0 rows)\n(nothing to update)");
}
