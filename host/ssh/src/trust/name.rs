//! The names under which known_hosts knows a host.

use crate::HostSpec;
use crate::config::address;

/// The port that names leave out.
const DEFAULT_PORT: u16 = 22;

/// The name and the port to look a host up by: its `HostKeyAlias` without any port, else what is dialled.
///
/// Written as OpenSSH writes it: names lowercased, addresses in their usual form.
pub fn known_as(spec: &HostSpec) -> (String, u16) {
    match &spec.host_key_alias {
        Some(alias) => (alias.to_ascii_lowercase(), DEFAULT_PORT),
        None => (address::canonical(&spec.host_name, spec.address_family), spec.port),
    }
}

/// One name that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Name {
    text: String,
    bytewise: String,
}

impl Name {
    /// The host at a port, as `[host]:port` unless the port is 22.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        let text = if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") };
        Self { bytewise: text.bytes().map(char::from).collect(), text }
    }

    /// The name without the port, by which OpenSSH looks for a host that is not known with it.
    pub(super) fn without_port(host: &str, port: u16) -> Option<Self> {
        (port != DEFAULT_PORT).then(|| Self::new(host, DEFAULT_PORT))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A character for each byte: in OpenSSH's patterns `?` is a byte.
    pub(super) fn bytewise(&self) -> &str {
        &self.bytewise
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_port_of_its_own_is_written_with_the_name() {
        assert_eq!(Name::new("::1", 2222).text(), "[::1]:2222");
    }
}
