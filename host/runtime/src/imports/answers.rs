//! `answers`: what a guest gives back, checked and with its blobs redeemed.

use wasmtime::component::Resource;

use super::blobs::Blob;
use super::wit::answers;
use crate::state::CallState;
use crate::{Answer, CallErrorKind, Content, Encoding};

/// Parts of an answer, and fields of it whose value is a blob.
const MAX_PARTS: usize = 1000;

impl answers::Host for CallState {}

/// A guest's answer, with its JSON as the guest wrote it.
pub(crate) struct Given {
    pub(crate) answer: Answer,
    pub(crate) structured: Option<String>,
}

/// A guest's answer in host types. Costs as much as it has parts, however long they are.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with the plugin's name, and whose fault that is.
pub(crate) fn answer(state: &CallState, given: answers::Answer) -> Result<Given, (CallErrorKind, String)> {
    let wrong = |why: String| (CallErrorKind::Plugin, why);
    let parts = given.content.len().max(given.attachments.len());
    if parts > MAX_PARTS {
        return Err(wrong(format!("answered with {parts} parts; {MAX_PARTS} are allowed")));
    }
    let fields: usize = given.attachments.iter().map(|attachment| attachment.field.len()).sum();
    let written: usize = fields
        + given.structured.as_ref().map_or(0, String::len)
        + given
            .content
            .iter()
            .map(|content| if let answers::Content::Text(text) = content { text.len() } else { 0 })
            .sum::<usize>();
    if written > state.limits.answer_bytes {
        let allowed = state.limits.answer_bytes;
        return Err(wrong(format!("answered with {written} bytes of text; {allowed} are allowed")));
    }
    let text = state.budget.hold_answer(written).ok_or_else(|| {
        let why = "answered, and there is no memory for it: what all calls share is used up; try again later";
        (CallErrorKind::Busy, why.to_owned())
    })?;
    let mut answer = Answer { is_error: given.is_error, size: written, ..Answer::default() };
    answer.held.bytes.push(text);
    // Each file and stream once as content and once as an attachment.
    let allowed = 2 * (state.limits.file_bytes + 2 * state.limits.output_bytes);
    let (mut handed, mut holds): (usize, Vec<_>) = (0, Vec::new());
    let mut redeem = |blob: &Resource<Blob>| {
        let unknown = |_| "answered with a blob that is not its own".to_owned();
        let Blob { data, hold, .. } = state.table.get(blob).map_err(unknown)?.clone();
        handed = handed.saturating_add(data.len());
        if handed > allowed {
            return Err(format!("answered with more than {allowed} bytes of blobs"));
        }
        holds.push(hold);
        Ok(data)
    };
    for content in given.content {
        answer.content.push(match content {
            answers::Content::Text(text) => Content::Text(text),
            answers::Content::Blob(blob) => Content::Bytes(redeem(&blob).map_err(wrong)?),
        });
    }
    for attachment in given.attachments {
        let data = redeem(&attachment.value).map_err(wrong)?;
        let encoding = match attachment.encoding {
            answers::Encoding::Text => Encoding::Text,
            answers::Encoding::Base64 => Encoding::Base64,
        };
        answer.attachments.push((attachment.field, data, encoding));
    }
    answer.size += handed;
    answer.held.bytes.extend(holds);
    Ok(Given { answer, structured: given.structured })
}
