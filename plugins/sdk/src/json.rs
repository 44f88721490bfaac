//! Writes and reads JSON. Small, because it is in every component: 30 KB less than a general library.

mod value;

pub use value::Value;

/// An object, field by field in the order written. A name is written as given: twice is the caller's fault.
#[derive(Clone, Debug)]
pub struct Object(String);

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        let mut text = String::with_capacity(128);
        text.push('{');
        Self(text)
    }

    fn name(&mut self, name: &str) -> &mut String {
        // No value ends so.
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
        &mut self.0
    }

    /// With a string, or null.
    #[must_use]
    pub fn text<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        let out = self.name(name);
        match value.into() {
            Some(value) => quote(out, value),
            None => out.push_str("null"),
        }
        self
    }

    /// With an integer, or null.
    #[must_use]
    pub fn integer(mut self, name: &str, value: impl Into<Option<u64>>) -> Self {
        let out = self.name(name);
        match value.into() {
            Some(value) => crate::text::decimal(out, value),
            None => out.push_str("null"),
        }
        self
    }

    /// With tenths (`123` is written `12.3`), or null.
    #[must_use]
    pub fn tenths(mut self, name: &str, value: Option<u64>) -> Self {
        let out = self.name(name);
        match value {
            Some(value) => out.push_str(&crate::text::tenths(value)),
            None => out.push_str("null"),
        }
        self
    }

    /// With a truth value.
    #[must_use]
    pub fn boolean(mut self, name: &str, value: bool) -> Self {
        self.name(name).push_str(if value { "true" } else { "false" });
        self
    }

    /// With an array of strings.
    #[must_use]
    pub fn texts<T: AsRef<str>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let out = self.name(name);
        out.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            quote(out, value.as_ref());
        }
        out.push(']');
        self
    }

    /// With an object.
    #[must_use]
    pub fn object(mut self, name: &str, value: Object) -> Self {
        self.name(name).push_str(&value.finish());
        self
    }

    /// With an array of objects.
    #[must_use]
    pub fn objects(mut self, name: &str, values: impl IntoIterator<Item = Object>) -> Self {
        let out = self.name(name);
        out.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&value.finish());
        }
        out.push(']');
        self
    }

    /// The same, where each object is written where it belongs: with `fields` added to one that has none.
    #[must_use]
    pub fn each<T>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        fields: impl Fn(Object, T) -> Object,
    ) -> Self {
        self.name(name).push('[');
        for (index, value) in values.into_iter().enumerate() {
            self.0.push_str(if index > 0 { ",{" } else { "{" });
            self = fields(self, value);
            self.0.push('}');
        }
        self.0.push(']');
        self
    }

    /// The JSON text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Appends a JSON string (RFC 8259 §7).
fn quote(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    // What stands for itself is copied by runs.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) if control < ' ' => {
                let code = u32::from(control);
                out.push_str("\\u00");
                out.extend([code >> 4, code & 0xf].into_iter().filter_map(|digit| char::from_digit(digit, 16)));
            }
            Some(other) => out.extend(['\\', other]),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn fields_are_written_in_order() {
        let object = Object::new()
            .text("a", "x")
            .text("b", None)
            .integer("c", 7)
            .integer("d", None)
            .tenths("e", Some(123))
            .boolean("f", true)
            .objects("g", [Object::new(), Object::new().integer("h", 1)])
            .texts("i", ["j", "\n"])
            .object("k", Object::new())
            .each("l", [None, Some("m{")], |object, value| {
                value.map_or(object.clone(), |value| object.text(value, value))
            })
            .each("n", [], |object, ()| object);
        assert_eq!(
            object.finish(),
            r#"{"a":"x","b":null,"c":7,"d":null,"e":12.3,"f":true,"g":[{},{"h":1}],"i":["j","\n"],"k":{},"l":[{},{"m{":"m{"}],"n":[]}"#
        );
    }

    #[test]
    fn control_characters_and_quotes_are_escaped() {
        let object = Object::new().text("k\"", "a\"b\\c\nd\re\tf\u{1b}g\u{0}ü\u{2028}");
        assert_eq!(object.finish(), "{\"k\\\"\":\"a\\\"b\\\\c\\nd\\re\\tf\\u001bg\\u0000ü\u{2028}\"}");
    }
}
