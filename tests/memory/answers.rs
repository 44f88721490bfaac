//! What an answer takes while it is made fit to be seen: a copy of it as text, and no second one for its field.

use bytes::Bytes;
use scout_runtime::{Answer, Content, Encoding, Receipt, Structured};
use scout_server::exit::Secrets;
use scout_server::render::{Base64, render};

use crate::Case;

/// A file as the plugin `file` answers with it.
fn file(content: &Bytes) -> Answer {
    Answer {
        content: vec![Content::Bytes(content.clone())],
        structured: Some(Structured::Fields(serde_json::Map::new())),
        attachments: vec![("content".to_owned(), content.clone(), Encoding::Text)],
        ..Answer::default()
    }
}

#[test]
fn a_text_of_1_mib_is_copied_once() {
    /// What an answer takes beside its text, in bytes.
    const BESIDE: usize = 64 << 10;
    let case = Case::alone();
    for (line, copies) in [
        ("a line as it is written to a log\n", 1),
        ("zwölf Zeilen größer als 日本語\r\n", 1),
        // What is hidden takes more as it is shown, and the text grows with it.
        ("\u{1b}[32mok\u{1b}[0m\n", 4),
    ] {
        let content = Bytes::from(line.repeat((1 << 20) / line.len()));
        let answer = file(&content);
        let (peak, reply) = case.peak(|| render(answer, Base64::Given, Secrets::Shown, Receipt::default()));
        assert!(peak <= copies * content.len() + BESIDE, "{line:?}: {peak} bytes of {}", content.len());
        assert_eq!(reply.joined().lines().count(), content.len() / line.len());
    }
}
