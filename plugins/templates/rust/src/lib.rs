//! The tool `os_release`: which operating system a host runs.

use scout_plugin::json::{Object, Value};
use scout_plugin::{Answer, Error, ErrorKind, Tool, Tools, files, register};

const ARGUMENTS: &str = r#"{
    "type": "object",
    "properties": {"host": {"type": "string", "description": "A host's name, as the target `hosts` lists it"}},
    "required": ["host"],
    "additionalProperties": false
}"#;
const ANSWER: &str = r#"{
    "type": "object",
    "properties": {"name": {"type": "string"}, "version": {"type": ["string", "null"]}},
    "required": ["name", "version"]
}"#;

struct Plugin;

register!(Plugin: tools);

impl Tools for Plugin {
    fn describe() -> Vec<Tool> {
        let does = "Tells which operating system a host runs, and which version";
        vec![Tool::new("os_release", does, ARGUMENTS).output_schema(ANSWER)]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let host = host(arguments)?;
        let file = files::open(&host, b"/etc/os-release")?;
        let content = file
            .content()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "/etc/os-release is not a file"))?;
        let text = content.read(0, 64 * 1024);
        let text = String::from_utf8_lossy(&text);
        let name = field(&text, "NAME")
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "/etc/os-release names no system"))?;
        let version = field(&text, "VERSION_ID");
        let shown = [name, version.unwrap_or_default()].join(" ");
        Ok(Answer::new()
            .text(shown.trim_end())
            .structured(Object::new().text("name", name).text("version", version)))
    }
}

/// Scout has checked the arguments against the schema.
fn host(arguments: &str) -> Result<String, Error> {
    let arguments = Value::parse(arguments);
    let host = arguments
        .as_ref()
        .and_then(|arguments| arguments.get("host")?.as_text());
    host.map(str::to_owned)
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "a host is missing"))
}

/// The value of a field of `/etc/os-release` (os-release(5)), without its quotes.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(|quote| quote == '"' || quote == '\''))
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name_and_loses_its_quotes() {
        let text = "PRETTY_NAME=\"Alpine Linux v3.22\"\nNAME='Alpine Linux'\nVERSION_ID=3.22.1\n";
        assert_eq!(field(text, "NAME"), Some("Alpine Linux"));
        assert_eq!(field(text, "VERSION_ID"), Some("3.22.1"));
        assert_eq!(field(text, "VERSION"), None);
    }
}
