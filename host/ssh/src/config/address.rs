//! Addresses in the spelling that OpenSSH gives them.
//!
//! OpenSSH asks the C library whether a host's name is an address, and if so goes on with the library's own spelling of
//! it: `127.1` is `127.0.0.1`. Whatever is no address is a name and is lower-cased.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressFamily;

/// The host's name as it is dialled and looked up in known_hosts.
pub(crate) fn canonical(name: &str, family: AddressFamily) -> String {
    match parse(name, family) {
        // A spelling that differs in nothing but case is kept.
        Some(address) if address.eq_ignore_ascii_case(name) => name.to_owned(),
        Some(address) => address,
        None if looks_like_one(name) => name.to_owned(),
        None => name.to_ascii_lowercase(),
    }
}

/// Whether OpenSSH takes a name for an address, so that it looks it up nowhere.
pub(super) fn is_numeric(name: &str, family: AddressFamily) -> bool {
    looks_like_one(name) || parse(name, family).is_some()
}

/// What OpenSSH takes for an address though it may be none.
fn looks_like_one(name: &str) -> bool {
    name.contains(['%', ':']) || name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn parse(name: &str, family: AddressFamily) -> Option<String> {
    let (address, scope) = match name.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (name, None),
    };
    let parsed = match address.parse::<Ipv6Addr>() {
        Ok(v6) => IpAddr::V6(v6),
        Err(_) => IpAddr::V4(legacy_v4(address)?),
    };
    match (parsed, scope, family) {
        (IpAddr::V4(v4), None, AddressFamily::Any | AddressFamily::Inet) => Some(v4.to_string()),
        (IpAddr::V6(v6), None, AddressFamily::Any | AddressFamily::Inet6) => Some(spelled(v6)),
        // The library names an interface that is given by its number; the number means the same.
        (IpAddr::V6(v6), Some(scope), AddressFamily::Any | AddressFamily::Inet6)
            if v6.is_unicast_link_local() && !scope.is_empty() =>
        {
            Some(format!("{}%{scope}", spelled(v6)))
        }
        _ => None,
    }
}

/// As `inet_ntop` spells it: also `::1.2.3.4`, where Rust has `::102:304`.
fn spelled(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}

/// As `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal, the last one filling what is left.
fn legacy_v4(text: &str) -> Option<Ipv4Addr> {
    let parts = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last()?;
    let free_bits = 32_u32.checked_sub(8 * u32::try_from(leading.len()).ok()?)?;
    if leading.len() > 3 || u64::from(*last) >= 1_u64 << free_bits {
        return None;
    }
    let mut address = *last;
    for (part, shift) in leading.iter().zip([24, 16, 8]) {
        address |= u32::from(u8::try_from(*part).ok()?) << shift;
    }
    Some(Ipv4Addr::from(address))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::{AddressFamily, canonical};

    #[test]
    fn addresses_are_spelled_as_openssh_spells_them() {
        for (name, wanted) in [
            ("Web1.Example.ORG", "web1.example.org"),
            ("127.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("010.1.1.1", "8.1.1.1"),
            ("1.2.3.256", "1.2.3.256"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("99999999999", "99999999999"),
            ("4294967295", "255.255.255.255"),
            ("::FFFF:1.2.3.4", "::FFFF:1.2.3.4"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("FE80::01%Eth0", "fe80::1%Eth0"),
            ("Ab%c", "Ab%c"),
            ("[::1]", "[::1]"),
            ("+1.2.3.4", "+1.2.3.4"),
            ("Web.Example.ORG", "web.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f.0.0.01", "127.0.0.1"),
            ("10.0.258", "10.0.1.2"),
            ("256.1.1.1", "256.1.1.1"),
            ("1..2", "1..2"),
            ("FE80::0001", "fe80::1"),
            ("fe80::01%eth0", "fe80::1%eth0"),
            ("a%b", "a%b"),
            ("", ""),
        ] {
            assert_eq!(canonical(name, AddressFamily::Any), wanted, "{name}");
        }
        assert_eq!(canonical("0::1", AddressFamily::Inet), "0::1");
        assert_eq!(canonical("0::1", AddressFamily::Inet6), "::1");
    }
}
