//! The names under which known_hosts knows a host.

use std::net::{IpAddr, Ipv4Addr};

use crate::HostSpec;

/// The port that names leave out.
const DEFAULT_PORT: u16 = 22;

/// The name and the port to look a host up by: its `HostKeyAlias` without any port, else what is dialled.
///
/// Written as OpenSSH writes it: names lowercased, addresses in their usual form.
pub fn known_as(spec: &HostSpec) -> (String, u16) {
    match &spec.host_key_alias {
        Some(alias) => (alias.to_ascii_lowercase(), DEFAULT_PORT),
        None => (canonical(&spec.host_name), spec.port),
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

/// A name lowercased, an address as it is usually written: OpenSSH looks `127.1` up as `127.0.0.1`.
fn canonical(host: &str) -> String {
    let (address, scope) = match host.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (host, None),
    };
    let address = address.parse::<IpAddr>().ok().or_else(|| historic_ipv4(address).map(IpAddr::V4));
    match (address, scope) {
        (Some(address), None) => address.to_string(),
        (Some(address), Some(scope)) => format!("{address}%{scope}"),
        (None, _) => host.to_ascii_lowercase(),
    }
}

/// IPv4 as C's `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal, the last one filling the rest.
fn historic_ipv4(text: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    };
    if text.contains('+') {
        return None;
    }
    let numbers = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, front) = numbers.split_last()?;
    let mut bits: u64 = 0;
    for number in front {
        bits = (bits << 8) | u64::from(u8::try_from(*number).ok()?);
    }
    let rest = 8 * u32::try_from(4_usize.checked_sub(front.len())?).ok()?;
    let bits = match rest {
        0 => return None,
        rest if u64::from(*last) >> rest != 0 => return None,
        rest => (bits << rest) | u64::from(*last),
    };
    Some(Ipv4Addr::from_bits(u32::try_from(bits).ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Name, canonical};

    #[test]
    fn a_host_is_written_as_openssh_writes_it() {
        for (host, wanted) in [
            ("Web.Example.ORG", "web.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f.0.0.01", "127.0.0.1"),
            ("10.0.258", "10.0.1.2"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("256.1.1.1", "256.1.1.1"),
            ("1.2.3.256", "1.2.3.256"),
            ("1..2", "1..2"),
            ("FE80::0001", "fe80::1"),
            ("fe80::01%eth0", "fe80::1%eth0"),
            ("a%b", "a%b"),
            ("", ""),
        ] {
            assert_eq!(canonical(host), wanted, "{host}");
        }
        assert_eq!(Name::new("::1", 2222).text(), "[::1]:2222");
    }
}
