//! Writing an answer.

use crate::bindings::imports::scout::plugin::answers;
use crate::json::Object;
use crate::{Blob, Error};

pub use crate::bindings::imports::scout::plugin::answers::Encoding;

/// An answer: its parts in the order in which they are shown, and its fields.
#[derive(Debug, Default)]
pub struct Answer {
    content: Vec<Content>,
    structured: Option<String>,
    attachments: Vec<(String, Blob, Encoding)>,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Blob(Blob),
    Image(Blob, &'static str),
}

impl Answer {
    /// An answer that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    /// With a further part that is a picture: `image/png`, `image/jpeg`, `image/gif` or `image/webp`. Scout refuses one that is cut, or
    /// does not begin as that format does.
    #[must_use]
    pub fn image(mut self, blob: Blob, media_type: &'static str) -> Self {
        self.content.push(Content::Image(blob, media_type));
        self
    }

    /// With the structured answer.
    #[must_use]
    pub fn structured(mut self, object: Object) -> Self {
        self.structured = Some(object.finish());
        self
    }

    /// With the structured answer as JSON, which has to be an object.
    #[must_use]
    pub fn structured_json(mut self, json: impl Into<String>) -> Self {
        self.structured = Some(json.into());
        self
    }

    /// With a blob as the value of a field at the top of the structured answer.
    #[must_use]
    pub fn attach(mut self, field: &str, value: Blob, encoding: Encoding) -> Self {
        self.attachments.push((field.to_owned(), value, encoding));
        self
    }

    /// Marked as the answer of an operation that failed, and why.
    #[must_use]
    pub fn failed(mut self, why: Error) -> Self {
        self.failure = Some(why);
        self
    }

    /// The structured answer so far, as JSON: for tests, which need no host.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.structured.as_deref()
    }

    /// The parts that are text, one behind the other: for tests, which need no host.
    #[must_use]
    pub fn shown(&self) -> String {
        let text = |content: &'_ Content| match content {
            Content::Text(text) => Some(text.clone()),
            Content::Blob(_) | Content::Image(..) => None,
        };
        self.content.iter().filter_map(text).collect()
    }

    /// Hands it to Scout.
    pub(crate) fn give(self) -> answers::Answer {
        let given = answers::Answer::new();
        for content in self.content {
            match content {
                Content::Text(text) => given.text(&text),
                Content::Blob(blob) => given.blob(blob),
                Content::Image(blob, media_type) => given.image(blob, media_type),
            }
        }
        if let Some(object) = &self.structured {
            given.structured(object);
        }
        for (field, value, encoding) in self.attachments {
            given.attach(&field, value, encoding);
        }
        if let Some(why) = self.failure {
            given.failed(&why.into_wit());
        }
        given
    }
}

/// Resources that there are now: a page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    resources: Vec<(String, Vec<String>)>,
    next: Option<String>,
}

impl Listing {
    /// A page of none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the resource of the template of this name whose URI has these values.
    #[must_use]
    pub fn with(mut self, template: &str, values: &[&str]) -> Self {
        self.resources.push((template.to_owned(), values.iter().map(|&value| value.to_owned()).collect()));
        self
    }

    /// With more behind it: what [`Resources::list`](crate::Resources::list) is given for those.
    #[must_use]
    pub fn next(mut self, next: &str) -> Self {
        self.next = Some(next.to_owned());
        self
    }

    /// Hands it to Scout.
    pub(crate) fn give(self) -> answers::Listing {
        let given = answers::Listing::new();
        for (template, values) in &self.resources {
            given.add(template, values);
        }
        if let Some(next) = &self.next {
            given.next(next);
        }
        given
    }
}
