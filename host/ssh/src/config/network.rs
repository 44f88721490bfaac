//! The networks of `Match localnetwork`, and whether this machine is in one of them.

use std::net::{IpAddr, Ipv6Addr};

use nix::net::if_::InterfaceFlags;

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == masked(self.address, self.bits)
    }
}

/// The first bits of an address, the others zero. Those of IPv4 are the last 32.
fn masked(address: IpAddr, bits: u32) -> u128 {
    let (number, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), Ipv6Addr::BITS),
    };
    let dropped = width.saturating_sub(bits);
    number.checked_shr(dropped).and_then(|kept| kept.checked_shl(dropped)).unwrap_or(0)
}

/// Networks as OpenSSH reads them: `ADDRESS` or `ADDRESS/BITS`, with commas between.
///
/// # Errors
/// Which of them is none.
pub(super) fn parse(list: &str) -> Result<Vec<Network>, String> {
    list.split(',').map(one).collect()
}

fn one(text: &str) -> Result<Network, String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| format!("{text:?} is not an address or a network"))?;
    let width = if address.is_ipv4() { 32 } else { Ipv6Addr::BITS };
    let bits = match bits {
        None => width,
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|number| *number <= width)
            .ok_or_else(|| format!("{text:?} has no number of bits up to {width}"))?,
    };
    if masked(address, bits) != masked(address, width) {
        return Err(format!("{text:?} has bits of a host behind those of the network"));
    }
    Ok(Network { address, bits })
}

/// Whether an interface that is up has an address in one of the networks. As for OpenSSH, an address that belongs to one
/// link only (`fe80::`) is in none.
///
/// # Errors
/// If the interfaces cannot be asked for.
pub(super) fn is_local(networks: &[Network]) -> Result<bool, String> {
    Ok(addresses(None)?.into_iter().any(|address| networks.iter().any(|network| network.contains(address))))
}

/// The addresses of the interfaces that are up, or of one of them, in the system's order.
///
/// # Errors
/// If the interfaces cannot be asked for.
pub(crate) fn addresses(interface: Option<&str>) -> Result<Vec<IpAddr>, String> {
    let interfaces =
        nix::ifaddrs::getifaddrs().map_err(|error| format!("this machine's interfaces are not known: {error}"))?;
    let is_meant = |name: &str| interface.is_none_or(|wanted| wanted == name);
    let up = interfaces.filter(|one| one.flags.contains(InterfaceFlags::IFF_UP) && is_meant(&one.interface_name));
    let addresses = up.filter_map(|one| {
        let address = one.address?;
        if let Some(v4) = address.as_sockaddr_in() {
            return Some(IpAddr::V4(v4.ip()));
        }
        let v6 = address.as_sockaddr_in6()?;
        (v6.scope_id() == 0).then(|| IpAddr::V6(v6.ip()))
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::{addresses, is_local, parse};

    #[test]
    fn networks_are_those_that_openssh_takes() {
        for list in
            ["127.0.0.0/8", "10.0.0.1", "10.0.0.0/8,192.168.0.0/16", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"]
        {
            assert!(parse(list).is_ok(), "{list}");
        }
        for list in
            ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8,", "10.0.0.0/x", "host", "!10.0.0.0/8", "2001:db8::1/32"]
        {
            assert!(parse(list).is_err(), "{list}");
        }
    }

    #[test]
    fn this_machine_is_in_the_network_of_its_loopback_interface() {
        let is_in = |list: &str| is_local(&parse(list).expect("networks")).expect("interfaces");
        assert!(is_in("203.0.113.0/24,127.0.0.0/8") && is_in("127.0.0.1") && is_in("0.0.0.0/0"));
        assert!(!is_in("203.0.113.0/24") && !is_in("127.0.0.2"));
        assert!(addresses(Some("lo")).expect("interfaces").contains(&std::net::Ipv4Addr::LOCALHOST.into()));
        assert!(addresses(Some("no-such-interface")).expect("interfaces").is_empty());
    }
}
