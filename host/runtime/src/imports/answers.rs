//! `answers`: what a guest gives back, checked and with its blobs redeemed.

use wasmtime::component::Resource;

use super::blobs::Blob;
use super::wit::answers;
use crate::state::CallState;
use crate::{Answer, Content, Encoding};

/// Parts of an answer, and fields of it whose value is a blob.
const MAX_PARTS: usize = 1000;

impl answers::Host for CallState {}

/// A guest's answer in host types.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with the plugin's name.
pub(crate) fn answer(state: &CallState, given: answers::Answer) -> Result<Answer, String> {
    let parts = given.content.len().max(given.attachments.len());
    if parts > MAX_PARTS {
        return Err(format!("answered with {parts} parts; {MAX_PARTS} are allowed"));
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
        return Err(format!("answered with {written} bytes of text; {} are allowed", state.limits.answer_bytes));
    }
    let mut answer = Answer { is_error: given.is_error, ..Answer::default() };
    // Each file and stream once as content and once as an attachment.
    let allowed = 2 * (state.limits.file_bytes + 2 * state.limits.output_bytes);
    let mut handed: usize = 0;
    let mut redeem = |blob: &Resource<Blob>| {
        let unknown = |_| "answered with a blob that is not its own".to_owned();
        let data = state.table.get(blob).map_err(unknown)?.data.clone();
        handed = handed.saturating_add(data.len());
        if handed > allowed {
            return Err(format!("answered with more than {allowed} bytes of blobs"));
        }
        Ok(data)
    };
    for content in given.content {
        answer.content.push(match content {
            answers::Content::Text(text) => Content::Text(text),
            answers::Content::Blob(blob) => Content::Bytes(redeem(&blob)?),
        });
    }
    for attachment in given.attachments {
        let data = redeem(&attachment.value)?;
        let encoding = match attachment.encoding {
            answers::Encoding::Text => Encoding::Text,
            answers::Encoding::Base64 => Encoding::Base64,
        };
        answer.attachments.push((attachment.field, data, encoding));
    }
    answer.structured = match given.structured.as_deref().map(serde_json::from_str) {
        None => None,
        Some(Ok(serde_json::Value::Object(fields))) => Some(fields),
        Some(Ok(_)) => return Err("answered with JSON that is no object".to_owned()),
        Some(Err(error)) => return Err(format!("answered with something that is no JSON: {error}")),
    };
    Ok(answer)
}
