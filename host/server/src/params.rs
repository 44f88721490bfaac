//! What is wrong with the parameters of a request whose method there is.
//!
//! rmcp takes a request whose parameters are of a wrong kind for one of a method that it does not know. Owns which kinds
//! the methods that Scout answers have; what values mean is the business of who answers.

use serde_json::Value;

/// The longest progress token, in bytes: each report repeats it. Clients count, or use UUIDs.
pub(crate) const MAX_TOKEN: usize = 1 << 10;

/// What a parameter is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Object,
    /// What names a request or its progress.
    Token,
}

/// A parameter: its name, behind those of the objects that it lies in; its kind; whether it must be there.
type Parameter = (&'static str, Kind, bool);

const META: [Parameter; 2] = [("_meta", Kind::Object, false), ("_meta.progressToken", Kind::Token, false)];
const PAGE: &[Parameter] = &[("cursor", Kind::Text, false)];

/// The methods that are answered, with their parameters beside [`META`].
const METHODS: [(&str, &[Parameter]); 9] = [
    (
        "initialize",
        &[
            ("protocolVersion", Kind::Text, true),
            ("capabilities", Kind::Object, true),
            ("clientInfo", Kind::Object, true),
            ("clientInfo.name", Kind::Text, true),
            ("clientInfo.version", Kind::Text, true),
        ],
    ),
    ("ping", &[]),
    ("server/discover", &[]),
    ("subscriptions/listen", &[("notifications", Kind::Object, true)]),
    ("tools/list", PAGE),
    ("tools/call", &[("name", Kind::Text, true), ("arguments", Kind::Object, false)]),
    ("resources/list", PAGE),
    ("resources/templates/list", PAGE),
    ("resources/read", &[("uri", Kind::Text, true)]),
];

/// What is wrong with parameters that rmcp does not know as those of this method. Nothing, if the method is not one that
/// is answered.
pub(crate) fn mistake(method: &str, params: Option<&Value>) -> Option<String> {
    let (_, parameters) = METHODS.iter().find(|(name, _)| *name == method)?;
    if let Some(params) = params
        && !params.is_object()
    {
        return Some(format!("`params` is {}, not an object", kind_of(params)));
    }
    let wrong = META.iter().chain(*parameters).find_map(|parameter| wrong(params, *parameter));
    Some(wrong.unwrap_or_else(|| format!("they are not those of `{method}`")))
}

fn wrong(params: Option<&Value>, (path, kind, must_be): Parameter) -> Option<String> {
    let mut value = params;
    for name in path.split('.') {
        value = value.and_then(|value| value.get(name));
    }
    let Some(value) = value.filter(|value| must_be || !value.is_null()) else {
        return must_be.then(|| format!("`{path}` is missing"));
    };
    let (fits, what) = match kind {
        Kind::Text => (value.is_string(), "a string"),
        Kind::Object => (value.is_object(), "an object"),
        Kind::Token => (value.is_string() || value.is_i64(), "a string or a whole number"),
    };
    (!fits).then(|| format!("`{path}` is {}, not {what}", kind_of(value)))
}

/// What a value is, with its article.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_of_a_wrong_kind_is_named() {
        for (method, params, says) in [
            ("tools/call", json!({"name": 5}), "`name` is a number, not a string"),
            ("tools/call", json!({"name": null}), "`name` is null, not a string"),
            ("tools/call", json!({}), "`name` is missing"),
            ("tools/call", json!({"name": "scout", "arguments": []}), "`arguments` is an array, not an object"),
            ("tools/call", json!([]), "`params` is an array, not an object"),
            ("tools/list", json!({"cursor": 1}), "`cursor` is a number, not a string"),
            ("tools/list", json!({"_meta": "x"}), "`_meta` is a string, not an object"),
            (
                "tools/list",
                json!({"_meta": {"progressToken": {}}}),
                "`_meta.progressToken` is an object, not a string or a whole number",
            ),
            ("resources/read", json!({"uri": true}), "`uri` is a boolean, not a string"),
            (
                "initialize",
                json!({"protocolVersion": "x", "capabilities": {}, "clientInfo": {"name": 1}}),
                "`clientInfo.name` is a number, not a string",
            ),
            ("ping", json!({"x": 1}), "they are not those of `ping`"),
        ] {
            assert_eq!(mistake(method, Some(&params)).as_deref(), Some(says), "{method} {params}");
        }
        assert_eq!(mistake("tools/call", None).as_deref(), Some("`name` is missing"));
        assert_eq!(mistake("nonsense/list", Some(&json!(5))), None);
    }
}
