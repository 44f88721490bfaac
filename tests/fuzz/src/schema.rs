//! What plugins say of their arguments, answers and resources.

use scout_runtime::UriTemplate;

/// A schema in the first line, and a client's arguments or a plugin's answer in the rest.
pub(crate) fn schema(bytes: &[u8]) {
    scout_server::fuzz::schema(bytes);
}

/// A template in the first line, and a client's URI in the rest. What is read of it is text that makes the same URI's values again.
pub(crate) fn uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (template, uri) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(template) = UriTemplate::parse(template) else { return };
    let Some(values) = template.values(uri) else { return };
    assert_eq!(values.len(), template.variables().count());
    assert!(values.iter().all(|value| !value.is_empty() && !value.contains(char::is_control)));
    let again = template.uri(&values).map(|uri| template.values(&uri));
    assert_eq!(again, Some(Some(values)));
}
