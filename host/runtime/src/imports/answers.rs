//! `answers`: what a guest gives back, part by part.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::blobs::Blob;
use super::types::{bounded, word};
use super::wit::answers;
use super::wit::types::Error;
use crate::budget::HostMemory;
use crate::state::CallState;
use crate::{Answer, AnswerFailure, CallErrorKind, Content, Encoding, ImageFormat};

/// Parts of an answer, and fields of it whose value is a blob.
const MAX_PARTS: usize = 1000;

/// Resources of a page that a guest lists.
const MAX_LISTED: usize = 1000;
/// Bytes of their names and values together.
const MAX_LISTING: usize = 256 << 10;
/// The longest text that says where the next page begins, in bytes.
const MAX_NEXT: usize = 1 << 10;

/// A page of resources that a guest is writing.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Default)]
pub struct Listing {
    /// The name of a template, and what its variables are.
    pub(crate) resources: Vec<(String, Vec<String>)>,
    pub(crate) next: Option<String>,
    written: usize,
    holds: Vec<Arc<HostMemory>>,
}

/// An answer that a guest is writing.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Default)]
pub struct Draft {
    answer: Answer,
    structured: Option<String>,
    /// Bytes of its text and JSON.
    written: usize,
    /// Bytes of its blobs, each as often as it is in there.
    handed: usize,
}

/// A guest's answer, with its JSON as the guest wrote it.
pub(crate) struct GuestAnswer {
    pub(crate) answer: Answer,
    pub(crate) structured: Option<String>,
}

/// Ends a guest whose answer nobody can take: why, as the rest of a sentence that begins with the plugin's name, and whose fault it is.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct NoAnswer {
    pub(crate) kind: CallErrorKind,
    pub(crate) why: String,
}

impl NoAnswer {
    fn wrong(why: String) -> Self {
        Self { kind: CallErrorKind::Plugin, why }
    }
}

impl CallState {
    /// What a guest has answered.
    pub(crate) fn given(&mut self, draft: Resource<Draft>) -> wasmtime::Result<GuestAnswer> {
        let Draft { mut answer, structured, written, handed } = self.table.delete(draft)?;
        answer.size = written + handed;
        Ok(GuestAnswer { answer, structured })
    }

    /// What a guest has listed.
    pub(crate) fn listed(&mut self, listing: Resource<Listing>) -> wasmtime::Result<Listing> {
        Ok(self.table.delete(listing)?)
    }

    /// Takes memory for so much text in an answer.
    fn writes(&mut self, draft: &Resource<Draft>, bytes: usize) -> wasmtime::Result<&mut Draft> {
        self.budget.host_call()?;
        let allowed = self.limits.answer_bytes;
        // Of all answers that are being written: a guest gives one of them.
        let written = self.drafted.saturating_add(bytes);
        if written > allowed {
            let why = format!("answered with {written} bytes of text; {allowed} are allowed");
            return Err(NoAnswer::wrong(why).into());
        }
        let hold = self.budget.hold_answer(bytes).ok_or_else(|| {
            let why = "answered, and there is no memory for it: what all calls share is used up; try again later";
            NoAnswer { kind: CallErrorKind::Busy, why: why.to_owned() }
        })?;
        let draft = self.table.get_mut(draft)?;
        self.drafted = written;
        draft.written += bytes;
        draft.answer.held.bytes.push(hold);
        Ok(draft)
    }

    /// Redeems a blob for an answer.
    fn hands(&mut self, draft: &Resource<Draft>, blob: Resource<Blob>) -> wasmtime::Result<(&mut Draft, Blob)> {
        let blob = self.table.delete(blob)?;
        // Each file and stream once as content and once as an attachment.
        let allowed = 2 * (self.limits.file_bytes + 2 * self.limits.output_bytes);
        let draft = self.table.get_mut(draft)?;
        draft.handed = draft.handed.saturating_add(blob.data.len());
        if draft.handed > allowed {
            return Err(NoAnswer::wrong(format!("answered with more than {allowed} bytes of blobs")).into());
        }
        draft.answer.held.bytes.push(Arc::clone(&blob.hold));
        Ok((draft, blob))
    }
}

impl Draft {
    /// A further part.
    fn add(&mut self, content: Content) -> wasmtime::Result<()> {
        within(self.answer.content.len(), "parts")?;
        self.answer.content.push(content);
        Ok(())
    }
}

/// Whether there may be one more.
fn within(there: usize, of: &str) -> wasmtime::Result<()> {
    if there < MAX_PARTS {
        return Ok(());
    }
    Err(NoAnswer::wrong(format!("answered with more than {MAX_PARTS} {of}")).into())
}

impl answers::Host for CallState {}

impl answers::HostAnswer for CallState {
    fn new(&mut self) -> wasmtime::Result<Resource<Draft>> {
        self.budget.host_call()?;
        self.own(Draft::default())
    }

    fn text(&mut self, draft: Resource<Draft>, text: String) -> wasmtime::Result<()> {
        self.writes(&draft, text.len())?.add(Content::Text(text))
    }

    fn blob(&mut self, draft: Resource<Draft>, bytes: Resource<Blob>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let (draft, blob) = self.hands(&draft, bytes)?;
        draft.add(Content::Bytes(blob.data))
    }

    fn image(&mut self, draft: Resource<Draft>, bytes: Resource<Blob>, media_type: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let (draft, blob) = self.hands(&draft, bytes)?;
        let format = ImageFormat::named(&media_type)
            .filter(|format| !blob.is_cut() && ImageFormat::of(&blob.data) == Some(*format));
        let Some(format) = format else {
            let why = "answered with a picture that is cut, or is not of the format that it names";
            return Err(NoAnswer::wrong(why.to_owned()).into());
        };
        draft.add(Content::Image(blob.data, format))
    }

    fn structured(&mut self, draft: Resource<Draft>, object: String) -> wasmtime::Result<()> {
        let draft = self.writes(&draft, object.len())?;
        draft.structured = Some(object);
        Ok(())
    }

    fn attach(
        &mut self,
        draft: Resource<Draft>,
        field: String,
        value: Resource<Blob>,
        encoding: answers::Encoding,
    ) -> wasmtime::Result<()> {
        self.writes(&draft, field.len())?;
        let (draft, blob) = self.hands(&draft, value)?;
        within(draft.answer.attachments.len(), "fields of blobs")?;
        let encoding = match encoding {
            answers::Encoding::Text => Encoding::Text,
            answers::Encoding::Base64 => Encoding::Base64,
        };
        draft.answer.attachments.push((field, blob.data, encoding));
        Ok(())
    }

    fn failed(&mut self, draft: Resource<Draft>, why: Error) -> wasmtime::Result<()> {
        let failure = AnswerFailure {
            kind: word(why.kind),
            message: bounded(&why.message),
            hint: why.hint.as_deref().map(bounded),
        };
        let bytes = failure.message.len() + failure.hint.as_ref().map_or(0, String::len);
        self.writes(&draft, bytes)?.answer.failure = Some(failure);
        Ok(())
    }

    fn drop(&mut self, draft: Resource<Draft>) -> wasmtime::Result<()> {
        self.drafted -= self.table.delete(draft)?.written;
        Ok(())
    }
}

impl answers::HostListing for CallState {
    fn new(&mut self) -> wasmtime::Result<Resource<Listing>> {
        self.budget.host_call()?;
        self.own(Listing::default())
    }

    fn add(&mut self, listing: Resource<Listing>, template: String, values: Vec<String>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let bytes = template.len() + values.iter().map(|value| size_of::<String>() + value.len()).sum::<usize>();
        let hold = self.keep(bytes)?;
        let listing = self.table.get_mut(&listing)?;
        listing.written = listing.written.saturating_add(bytes);
        if listing.resources.len() == MAX_LISTED || listing.written > MAX_LISTING {
            let why = format!("listed more than {MAX_LISTED} resources or {} KiB at once", MAX_LISTING >> 10);
            return Err(NoAnswer::wrong(why).into());
        }
        listing.resources.push((template, values));
        listing.holds.push(hold);
        Ok(())
    }

    fn next(&mut self, listing: Resource<Listing>, next: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        if next.len() > MAX_NEXT {
            let why = format!("says in {} bytes where the next resources begin; {MAX_NEXT} are allowed", next.len());
            return Err(NoAnswer::wrong(why).into());
        }
        self.table.get_mut(&listing)?.next = Some(next);
        Ok(())
    }

    fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(listing)?;
        Ok(())
    }
}
