//! What plugins say of their arguments and answers.

/// A schema in the first line, and a client's arguments or a plugin's answer in the rest.
pub(crate) fn schema(bytes: &[u8]) {
    scout_server::fuzz::schema(bytes);
}
