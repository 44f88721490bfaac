//! Building an answer.

use crate::Blob;
use crate::bindings::imports::scout::plugin::answers::{Answer, Attachment, Content};
use crate::json::Object;

pub use crate::bindings::imports::scout::plugin::answers::Encoding;

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// An answer that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { content: Vec::new(), structured: None, attachments: Vec::new(), is_error: false }
    }

    /// With a further part of text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.content.push(Content::Text(text.into()));
        self
    }

    /// With a further part that is the bytes of a blob, shown as text.
    #[must_use]
    pub fn blob(mut self, blob: Blob) -> Self {
        self.content.push(Content::Blob(blob));
        self
    }

    /// With the structured answer.
    #[must_use]
    pub fn structured(mut self, object: Object) -> Self {
        self.structured = Some(object.finish());
        self
    }

    /// With a blob as the value of a field at the top of the structured answer.
    #[must_use]
    pub fn attach(mut self, field: &str, value: Blob, encoding: Encoding) -> Self {
        self.attachments.push(Attachment { field: field.to_owned(), value, encoding });
        self
    }

    /// Marked as the answer of an operation that failed.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.is_error = true;
        self
    }
}
