//! What plugins say of themselves, and what they are asked, across the boundary. Untrusted text: bounded and checked.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::imports::{self, HandlerDescription as SaidHandler, Template, Tool};
use crate::json::Weight;
use crate::shares::MemoryReservation;
use crate::state::shown;
use crate::uri_template::{self, UriTemplate};
use crate::{Effect, HandlerDescription, Subject, TemplateDescription, ToolDescription};
use scout_machine::hidden;

/// The longest one-line text, in bytes.
const MAX_LINE: usize = 512;
/// The longest description, in bytes: it is put before a model.
const MAX_DESCRIPTION: usize = 8 * 1024;
/// The longest schema, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;
/// All schemas of a plugin, in bytes.
const MAX_SCHEMAS: usize = 1 << 20;
/// What they may take when they are parsed, in bytes.
const MAX_PARSED: usize = 16 << 20;
/// Tools of one plugin.
pub const MAX_TOOLS_OF_PLUGIN: usize = 100;
/// Templates of resources of one plugin.
pub const MAX_TEMPLATES_OF_PLUGIN: usize = 50;
/// The longest description of a template, in bytes: clients show it in lists.
const MAX_TEMPLATE_DESCRIPTION: usize = 1024;
/// The longest media type, in bytes.
const MAX_MEDIA_TYPE: usize = 128;

pub(crate) fn handler(said: SaidHandler) -> Result<HandlerDescription, String> {
    if said.subjects.is_empty() {
        return Err("it names no subject".to_owned());
    }
    let mut subjects: Vec<Subject> = Vec::new();
    for given in said.subjects {
        let known = imports::subject(&given).ok_or_else(|| {
            let name = shown(&given);
            format!("it names the subject `{name}`, which this Scout does not have")
        })?;
        if !subjects.contains(&known) {
            subjects.push(known);
        }
    }
    Ok(HandlerDescription { summary: line("summary", said.summary)?, subjects })
}

/// Takes `room` for what the descriptions take, before they take it, and for so many bytes `beside` them.
pub(crate) fn tools(
    said: Vec<Tool>,
    beside: usize,
    room: &mut MemoryReservation,
) -> Result<Vec<ToolDescription>, String> {
    if said.len() > MAX_TOOLS_OF_PLUGIN {
        return Err(format!("{} tools; {MAX_TOOLS_OF_PLUGIN} are allowed", said.len()));
    }
    weigh(&said, beside, room)?;
    let mut described: Vec<ToolDescription> = Vec::new();
    for given in said {
        if !is_name(&given.name) {
            return Err("a tool's name is 1 to 64 of A-Z a-z 0-9 _ -".to_owned());
        }
        if described.iter().any(|other| other.name == given.name) {
            return Err(format!("two tools are named `{}`", given.name));
        }
        if given.description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(format!("the description of `{}` has control characters", given.name));
        }
        if given.description.len() > MAX_DESCRIPTION {
            return Err(format!("the description of `{}` is longer than {MAX_DESCRIPTION} bytes", given.name));
        }
        described.push(ToolDescription {
            title: given.title.map(|title| line("title", title)).transpose()?,
            description: given.description,
            input_schema: schema(&given.name, &given.input_schema)?,
            output_schema: given.output_schema.as_deref().map(|text| schema(&given.name, text)).transpose()?,
            effect: given.effect,
            name: given.name,
        });
    }
    Ok(described)
}

fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(known)
}

/// Bytes that templates take, about, however often their texts are kept.
pub(crate) fn size_of_templates(said: &[Template]) -> usize {
    let texts = |template: &Template| {
        let optional = [&template.title, &template.media_type].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<TemplateDescription>()
            + 3 * (template.name.len() + template.uri.len() + template.description.len() + optional)
    };
    said.iter().map(texts).sum()
}

pub(crate) fn templates(said: Vec<Template>) -> Result<Vec<TemplateDescription>, String> {
    if said.len() > MAX_TEMPLATES_OF_PLUGIN {
        return Err(format!("{} templates of resources; {MAX_TEMPLATES_OF_PLUGIN} are allowed", said.len()));
    }
    let mut described: Vec<TemplateDescription> = Vec::new();
    for given in said {
        if !is_name(&given.name) {
            return Err("a template's name is 1 to 64 of A-Z a-z 0-9 _ -".to_owned());
        }
        if described.iter().any(|other| other.name == given.name) {
            return Err(format!("two templates are named `{}`", given.name));
        }
        let wrong = |why: &str| uri_template::wrong(&given.uri, why);
        let uri = UriTemplate::parse(&given.uri).map_err(|why| wrong(&why))?;
        if let Some(other) = described.iter().find(|other| other.uri.is_alike(&uri)) {
            return Err(wrong(&format!("stands for the same as `{}`", other.uri.text())));
        }
        if given.effect == Effect::Write {
            return Err(wrong("says that reading it writes: what changes something is a tool"));
        }
        if given.is_of_each_host && uri.variables().count() != 1 {
            return Err(wrong("is to be listed for each host, and has not the host for its only variable"));
        }
        if given.description.len() > MAX_TEMPLATE_DESCRIPTION || given.description.chars().any(char::is_control) {
            return Err(wrong(&format!("is not described in one line of at most {MAX_TEMPLATE_DESCRIPTION} bytes")));
        }
        if given.media_type.as_deref().is_some_and(|media_type| !is_media_type(media_type)) {
            return Err(wrong(&format!(
                "has a media type that is not `type/subtype`, of at most {MAX_MEDIA_TYPE} bytes"
            )));
        }
        described.push(TemplateDescription {
            uri: Arc::new(uri),
            title: given.title.map(|title| line("title", title)).transpose()?,
            name: given.name,
            description: given.description,
            media_type: given.media_type,
            is_of_each_host: given.is_of_each_host,
            effect: given.effect,
        });
    }
    Ok(described)
}

/// RFC 6838 §4.2, with parameters as text.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !name.is_empty() && name.bytes().all(known)
    };
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_shown = |byte: u8| (b' '..=b'~').contains(&byte);
    text.len() <= MAX_MEDIA_TYPE
        && parameters.bytes().all(is_shown)
        && name.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// Refuses schemas that together are too large, or would be once they are parsed.
fn weigh(said: &[Tool], beside: usize, room: &mut MemoryReservation) -> Result<(), String> {
    let schemas = || said.iter().flat_map(|tool| [Some(&tool.input_schema), tool.output_schema.as_ref()]).flatten();
    let text: usize = schemas().map(String::len).sum();
    if text > MAX_SCHEMAS {
        return Err(format!("its schemas are {text} bytes together; {MAX_SCHEMAS} are allowed"));
    }
    let memory = schemas().fold(0_usize, |all, text| all.saturating_add(Weight::of(text.as_bytes()).memory()));
    if memory > MAX_PARSED {
        return Err(format!(
            "its schemas take {} MiB together once they are read; {} are allowed: make them smaller or fewer",
            memory >> 20,
            MAX_PARSED >> 20
        ));
    }
    let told: usize = said.iter().map(|tool| tool.description.len() + tool.title.as_ref().map_or(0, String::len)).sum();
    if !room.grow_to(memory + told + beside) {
        return Err("there is no memory for it: what all plugins may say of themselves is used up; \
            raise `max_plugin_memory` or configure fewer plugins"
            .to_owned());
    }
    Ok(())
}

fn line(what: &str, text: String) -> Result<String, String> {
    if text.len() > MAX_LINE || text.chars().any(char::is_control) {
        return Err(format!("its {what} is not one line of at most {MAX_LINE} bytes"));
    }
    Ok(text)
}

fn schema(tool: &str, text: &str) -> Result<Arc<Map<String, Value>>, String> {
    if text.len() > MAX_SCHEMA {
        return Err(format!("a schema of `{tool}` is longer than {MAX_SCHEMA} bytes"));
    }
    let schema =
        serde_json::from_str(text).map_err(|error| format!("a schema of `{tool}` is not a JSON object: {error}"))?;
    // Made visible it would be another schema: names, patterns and constants are compared with what a call brings.
    if let Some((place, c)) = hidden_in_fields(&schema) {
        let place = place.iter().rev().map(|step| format!("/{}", shown(step))).collect::<String>();
        let place: String = place.chars().take(MAX_LINE).collect();
        return Err(format!(
            "a schema of `{tool}` has a hidden character in `{place}`, U+{:04X}: leave it out",
            u32::from(c)
        ));
    }
    Ok(Arc::new(schema))
}

/// A hidden character, and the way there: the innermost step first.
type Hidden = (Vec<String>, char);

/// The first one in the names and the values.
fn hidden_in_fields(fields: &Map<String, Value>) -> Option<Hidden> {
    fields.iter().find_map(|(name, value)| {
        let (mut place, c) = hidden_in_text(name).or_else(|| hidden_in(value))?;
        place.push(name.clone());
        Some((place, c))
    })
}

fn hidden_in(value: &Value) -> Option<Hidden> {
    match value {
        Value::String(text) => hidden_in_text(text),
        Value::Array(values) => values.iter().enumerate().find_map(|(number, value)| {
            let (mut place, c) = hidden_in(value)?;
            place.push(number.to_string());
            Some((place, c))
        }),
        Value::Object(fields) => hidden_in_fields(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn hidden_in_text(text: &str) -> Option<Hidden> {
    hidden(text).next().map(|(_, c)| (Vec::new(), c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Effect;

    fn tool(name: usize, schema: String) -> Tool {
        Tool::new(format!("t{name}"), String::new(), schema, Effect::Read)
    }

    #[test]
    fn schemas_that_are_large_together_are_refused_before_they_are_read() {
        let of = |count: usize, schema: &str| {
            tools((0..count).map(|n| tool(n, schema.to_owned())).collect(), 0, &mut MemoryReservation::endless())
        };
        let text = format!(r#"{{"description": "{}"}}"#, "x".repeat(60_000));
        assert!(of(10, &text).is_ok());
        assert!(of(20, &text).is_err_and(|why| why.contains("bytes together; 1048576 are allowed")));
        let nodes = format!(r#"{{"enum": [{}]}}"#, vec!["{\"\":{}}"; 3000].join(","));
        assert!(of(1, &nodes).is_ok());
        assert!(of(10, &nodes).is_err_and(|why| why.contains("once they are read; 16 are allowed")));
    }

    #[test]
    fn what_all_plugins_say_of_themselves_is_bounded_and_given_back() {
        let shares = crate::shares::Shares::new(1, 4 << 20);
        let describe = |room: &mut MemoryReservation| {
            let schema = format!(r#"{{"description": "{}"}}"#, "x".repeat(60_000));
            tools((0..10).map(|n| tool(n, schema.clone())).collect(), 0, room)
        };
        let (mut first, mut second) = (shares.keep(), shares.keep());
        assert!(describe(&mut first).is_ok());
        assert!(describe(&mut second).is_err_and(|why| why.contains("raise `max_plugin_memory`")));
        drop(first);
        assert!(describe(&mut second).is_ok());
    }

    #[test]
    fn a_schema_that_hides_text_is_refused_with_the_place() {
        for (text, place) in [
            ("{\"properties\": {\"pa\u{200b}th\": {}}}", "`/properties/pa\\u{200b}th`, U+200B"),
            (r#"{"a": [1, {"const": "x\ud83c\udf00\udb40\udc41"}]}"#, "`/a/1/const`, U+E0041"),
            (r#"{"\u001b": 1}"#, r"`/\u{1b}`, U+001B"),
        ] {
            let refusal = schema("look", text).err().unwrap_or_default();
            assert!(refusal.contains(place), "{refusal}");
        }
        let long =
            schema("look", &format!(r#"{{"{}": "\u202e"}}"#, "\u{34f}".repeat(10_000))).err().unwrap_or_default();
        assert!(long.contains("U+034F") && long.len() < 1000, "{long}");
    }

    fn template(change: impl FnOnce(&mut Template)) -> Template {
        let (name, uri) = ("list".to_owned(), "docker://{host}".to_owned());
        let mut template = Template::new(name, uri, "Containers".to_owned(), Effect::Exec);
        change(&mut template);
        template
    }

    #[test]
    fn a_template_is_taken_as_it_is() {
        let said =
            template(|it| (it.title, it.media_type) = (Some("C".to_owned()), Some("text/plain; x=1".to_owned())));
        let described =
            templates(vec![said, template(|it| (it.name, it.uri) = ("x".to_owned(), "docker://{host}/x".to_owned()))]);
        let described = described.expect("templates");
        assert_eq!(
            described.iter().map(|it| it.uri.text()).collect::<Vec<_>>(),
            ["docker://{host}", "docker://{host}/x"]
        );
        assert_eq!(described.first().and_then(|it| it.media_type.as_deref()), Some("text/plain; x=1"));
    }

    #[test]
    fn a_template_that_nobody_can_use_or_trust_is_refused_with_why() {
        let one = |change: fn(&mut Template)| templates(vec![template(change)]).err().unwrap_or_default();
        for (change, says) in [
            ((|it| it.name = "a b".to_owned()) as fn(&mut Template), "a template's name is 1 to 64"),
            (|it| it.uri = "scout://{host}".to_owned(), "which no plugin may have"),
            (|it| it.uri = "do\u{1b}[2J".repeat(100), "is longer than"),
            (|it| it.uri = "\u{202e}x".to_owned(), "the template `\\u{202e}x` has no scheme"),
            (|it| it.effect = Effect::Write, "what changes something is a tool"),
            (|it| it.description = "x".repeat(2000), "one line of at most 1024 bytes"),
            (|it| it.description = "a\u{1b}".to_owned(), "one line of at most 1024 bytes"),
            (|it| it.title = Some("a\nb".to_owned()), "its title is not one line"),
            (|it| (it.is_of_each_host, it.uri) = (true, "docker://{a}/{b}".to_owned()), "the host for its only"),
            (|it| (it.is_of_each_host, it.uri) = (true, "docker://all".to_owned()), "the host for its only"),
            (|it| it.media_type = Some("text".to_owned()), "a media type that is not"),
            (|it| it.media_type = Some("text/html\r\nx".to_owned()), "a media type that is not"),
        ] {
            let why = one(change);
            assert!(why.contains(says) && why.len() < 500, "{why}");
        }
        let two =
            |change: fn(&mut Template)| templates(vec![template(|_| {}), template(change)]).err().unwrap_or_default();
        assert!(two(|_| {}).contains("two templates are named `list`"));
        let alike = two(|it| (it.name, it.uri) = ("b".to_owned(), "docker://{machine}".to_owned()));
        assert!(alike.contains("`docker://{machine}` stands for the same as `docker://{host}`"), "{alike}");
        let many = (0..51).map(|n| template(|it| (it.name, it.uri) = (format!("t{n}"), format!("docker://t{n}"))));
        assert!(templates(many.collect()).is_err_and(|why| why.contains("51 templates of resources; 50 are allowed")));
    }

    #[test]
    fn a_schema_that_hides_nothing_is_taken() {
        let text = "{\"description\": \"a path;\n\u{26a0}\u{fe0f} slow\", \"properties\": {\"größe\": {}}}";
        assert!(schema("look", &text.replace('\n', "\\n")).is_ok());
    }
}
