//! The exit firewall: what of an answer's text leaves for a client, once secrets are masked.
//!
//! Owns which parts of an answer are looked at: every text, every string of JSON with its name, every blob that becomes text or base64.
//! Pictures are not. What a secret looks like is said by `scout_runtime::redaction`. Only copies are changed, never a file.

use bytes::Bytes;
use scout_runtime::redaction::{mask, mask_named};
use serde_json::{Map, Value};

/// What becomes of secrets in what leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// They are shown.
    #[default]
    Shown,
    /// They are masked.
    Masked,
}

impl From<bool> for Secrets {
    fn from(redact: bool) -> Self {
        if redact { Self::Masked } else { Self::Shown }
    }
}

/// What one answer passes on its way out.
#[derive(Debug)]
pub(crate) struct Exit {
    secrets: Secrets,
    /// How many secrets were masked.
    pub(crate) masked: usize,
    /// Blobs that passed, with what became of them: one may be in several places.
    passed: Vec<(Bytes, Bytes)>,
}

impl Exit {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, masked: 0, passed: Vec::new() }
    }

    /// A text without its secrets.
    pub(crate) fn text(&mut self, text: String) -> String {
        match self.masked(text.as_bytes()) {
            Some(bytes) => {
                String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
            None => text,
        }
    }

    /// Bytes without their secrets; they themselves where there are none.
    pub(crate) fn bytes(&mut self, bytes: &Bytes) -> Bytes {
        let is_same = |other: &Bytes| (other.as_ptr(), other.len()) == (bytes.as_ptr(), bytes.len());
        if let Some((_, passed)) = self.passed.iter().find(|(given, _)| is_same(given)) {
            return passed.clone();
        }
        let passed = self.masked(bytes).map_or_else(|| bytes.clone(), Bytes::from);
        if self.secrets == Secrets::Masked {
            self.passed.push((bytes.clone(), passed.clone()));
        }
        passed
    }

    /// Whether everything passes as it is. Else JSON has to be read: what a string holds is seen only then, and whose value it is.
    pub(crate) fn is_open(&self) -> bool {
        self.secrets == Secrets::Shown
    }

    /// The fields of an object without their secrets.
    pub(crate) fn fields(&mut self, fields: &mut Map<String, Value>) {
        if self.secrets == Secrets::Shown {
            return;
        }
        // As Kubernetes and Docker write variables: `{"name": "DB_PASSWORD", "value": "…"}`.
        let named = ["name", "key", "Name", "Key"].iter().find_map(|key| fields.get(*key)?.as_str());
        let named = named.map(str::to_owned);
        for (field, value) in fields.iter_mut() {
            let name = if field.eq_ignore_ascii_case("value") { named.as_deref().unwrap_or(field) } else { field };
            self.value(name, value);
        }
        if fields.keys().any(|name| mask(name.as_bytes()).is_some()) {
            for (name, value) in std::mem::take(fields) {
                fields.entry(self.text(name)).or_insert(value);
            }
        }
    }

    fn value(&mut self, name: &str, value: &mut Value) {
        match value {
            Value::String(text) => match mask_named(name, text) {
                Some(marker) => {
                    *text = marker;
                    self.masked += 1;
                }
                None => *text = self.text(std::mem::take(text)),
            },
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(name, value)),
            Value::Object(fields) => self.fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn masked(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.secrets == Secrets::Shown {
            return None;
        }
        let masked = mask(bytes)?;
        self.masked += masked.count;
        Some(masked.bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = concat!("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17");

    #[test]
    fn each_string_is_masked_by_its_form_and_by_the_name_of_its_field() {
        let mut given = json!({
            "password": "hunter2", "port": 8080, "list": [{"name": "DB_PASSWORD", "value": "hunter2"}, TOKEN],
            "tokens": ["0f1e2d3c4b5a69788796a5b4c3d2e1f0", "none"], "text": format!("a {TOKEN} b"), TOKEN: 1, "password_count": "hunter2",
        });
        let masked = json!({
            "password": "[redacted: secret-value]", "port": 8080,
            "list": [{"name": "DB_PASSWORD", "value": "[redacted: secret-value]"}, "[redacted: github-token]"],
            "tokens": ["[redacted: secret-value]", "none"], "text": "a [redacted: github-token] b", "[redacted: github-token]": 1,
            "password_count": "hunter2",
        });
        let mut exit = Exit::new(Secrets::Shown);
        let shown = given.clone();
        given.as_object_mut().into_iter().for_each(|fields| exit.fields(fields));
        assert_eq!((&given, exit.masked), (&shown, 0));
        let mut exit = Exit::new(Secrets::Masked);
        given.as_object_mut().into_iter().for_each(|fields| exit.fields(fields));
        assert_eq!((given, exit.masked), (masked, 6));
    }

    #[test]
    fn bytes_in_several_places_are_masked_once() {
        let bytes = Bytes::from(format!("{TOKEN} \u{e9}"));
        let mut exit = Exit::new(Secrets::Masked);
        let (first, again) = (exit.bytes(&bytes), exit.bytes(&bytes));
        assert_eq!(
            (first.as_ptr(), first.as_ref(), exit.masked),
            (again.as_ptr(), "[redacted: github-token] é".as_bytes(), 1)
        );
        let plain = Bytes::from_static(b"plain");
        assert_eq!(exit.bytes(&plain).as_ptr(), plain.as_ptr());
    }
}
