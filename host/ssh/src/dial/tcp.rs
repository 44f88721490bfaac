//! TCP to one of a name's addresses.
//!
//! Owns resolution, the address family, the local address, and that an address that stays silent holds nobody up. Knows
//! no SSH.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use scout_machine::{ErrorKind, HostError};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::HostSpec;
use crate::config::{AddressFamily, network};

/// The next address is tried beside one that has not answered for so long: RFC 8305 §5.
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Where a host is, and from where it is dialled.
pub(crate) struct Addresses {
    first: SocketAddr,
    others: Vec<SocketAddr>,
    sources: Option<Sources>,
}

/// The addresses that a host is dialled from, and what says so.
struct Sources {
    addresses: Vec<SocketAddr>,
    keyword: &'static str,
}

impl Addresses {
    /// The address that is tried first.
    pub(crate) fn first(&self) -> SocketAddr {
        self.first
    }

    /// The address to dial this one from, if one is configured.
    fn source_for(&self, address: SocketAddr) -> io::Result<Option<(IpAddr, &'static str)>> {
        source_for(self.sources.as_ref(), address)
    }
}

/// Looks up where a host is; `stage` is told what is going on.
///
/// # Errors
/// [`ErrorKind::Unreachable`], naming the host.
pub(crate) async fn find(spec: &HostSpec, stage: impl Fn(String)) -> Result<Addresses, HostError> {
    let HostSpec { alias, host_name, port, .. } = spec;
    let unreachable = |what: String| HostError::new(ErrorKind::Unreachable, format!("{alias}: {what}"));
    stage(format!("looking up {host_name}"));
    let mut addresses = resolve(host_name, *port, spec.address_family).await.map_err(unreachable)?.into_iter();
    let first = addresses.next().ok_or_else(|| unreachable(format!("{host_name} has no address")))?;
    let sources = match &spec.bind_address {
        Some(name) => {
            let addresses = resolve(name, 0, spec.address_family).await.map_err(unreachable)?;
            Some(Sources { addresses, keyword: "BindAddress" })
        }
        None => spec.bind_interface.as_deref().map(sources_of).transpose().map_err(unreachable)?,
    };
    Ok(Addresses { first, others: addresses.collect(), sources })
}

/// Opens TCP to the first address that answers; `stage` is told what is going on.
///
/// # Errors
/// [`ErrorKind::Unreachable`], naming host and addresses.
/// # Cancel safety
/// Every socket is closed.
pub(crate) async fn connect(spec: &HostSpec, found: Addresses, stage: impl Fn(String)) -> Result<TcpStream, HostError> {
    let alias = &spec.alias;
    let unreachable = |what: String| HostError::new(ErrorKind::Unreachable, format!("{alias}: {what}"));
    let addresses = std::iter::once(found.first).chain(found.others).collect();
    let stream = race(addresses, found.sources.as_ref(), stage).await.map_err(unreachable)?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(host = %alias, %error, "TCP_NODELAY was refused");
    }
    Ok(stream)
}

/// Opens TCP to the first address alone, and closes it.
///
/// # Errors
/// Why it does not answer.
pub(crate) async fn look(found: &Addresses) -> Result<(), String> {
    let address = found.first;
    let connected = connect_from(found.source_for(address), address).await;
    connected.map(drop).map_err(|error| format!("no connection to {address}: {}", reason(&error)))
}

/// The addresses of an interface, as OpenSSH prefers them: those of this machine alone come last.
fn sources_of(interface: &str) -> Result<Sources, String> {
    let mut addresses = network::addresses(Some(interface))?;
    if addresses.is_empty() {
        return Err(format!("BindInterface {interface} does not exist, has no address, or is not up"));
    }
    addresses.sort_by_key(IpAddr::is_loopback);
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
    Ok(Sources { addresses, keyword: "BindInterface" })
}

/// Connects to one of the addresses; each but the first has its turn when those before it failed or stayed silent.
async fn race(
    addresses: Vec<SocketAddr>,
    sources: Option<&Sources>,
    stage: impl Fn(String),
) -> Result<TcpStream, String> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            stage(format!("connecting to {address}"));
            let source = source_for(sources, address);
            attempts.push(async move { (address, connect_from(source, address).await) });
        }
        tokio::select! {
            Some((address, outcome)) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    failures.push(format!("{address}: {}", reason(&error)));
                    if attempts.is_empty() && waiting.len() == 0 {
                        return Err(format!("no connection to {}", failures.join("; ")));
                    }
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// The addresses of a name, at least one.
async fn resolve(name: &str, port: u16, family: AddressFamily) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| format!("the name {name} was not resolved: {error}"))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        let fits = match family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        };
        if fits && !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    match (addresses.is_empty(), family) {
        (false, _) => Ok(addresses),
        (true, AddressFamily::Any) => Err(format!("{name} has no address")),
        (true, AddressFamily::Inet) => Err(format!("{name} has no IPv4 address, and AddressFamily is inet")),
        (true, AddressFamily::Inet6) => Err(format!("{name} has no IPv6 address, and AddressFamily is inet6")),
    }
}

/// The local address to dial from and what says so: `Ok(None)` if none is configured, an error if none is of that family.
fn source_for(sources: Option<&Sources>, address: SocketAddr) -> io::Result<Option<(IpAddr, &'static str)>> {
    let Some(Sources { addresses, keyword }) = sources else { return Ok(None) };
    let source = addresses.iter().find(|source| source.is_ipv4() == address.is_ipv4());
    let other_family = || io::Error::other(format!("{keyword} is of another family"));
    source.map(|source| Some((source.ip(), *keyword))).ok_or_else(other_family)
}

async fn connect_from(
    source: io::Result<Option<(IpAddr, &'static str)>>,
    address: SocketAddr,
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some((source, keyword)) = source? {
        let bound = socket.bind(SocketAddr::new(source, 0));
        bound.map_err(|error| io::Error::new(error.kind(), format!("{keyword} {source}: {error}")))?;
    }
    socket.connect(address).await
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[tokio::test]
    async fn a_silent_address_holds_nobody_up_and_all_failures_are_told() {
        let local = || SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(local()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        // Its queue is full once a connection gets no answer.
        let mut queued = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(silent)).await {
            queued.push(stream.unwrap());
        }
        // Closed at once.
        let refusing = tokio::net::TcpListener::bind(local()).await.unwrap().local_addr().unwrap();
        let listener = tokio::net::TcpListener::bind(local()).await.unwrap();
        let answering = listener.local_addr().unwrap();
        let stream = race(vec![silent, refusing, answering], None, |_| ()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answering);

        let why = race(vec![refusing, SocketAddr::from(([127, 0, 0, 2], refusing.port()))], None, |_| ()).await;
        let why = why.unwrap_err();
        assert!(why.contains("127.0.0.1:") && why.contains("; 127.0.0.2:"), "{why}");
    }

    #[tokio::test]
    async fn only_addresses_of_the_family_are_dialled() {
        let why = resolve("127.0.0.1", 22, AddressFamily::Inet6).await;
        assert_eq!(why, Err("127.0.0.1 has no IPv6 address, and AddressFamily is inet6".to_owned()));
        let found = resolve("127.0.0.1", 22, AddressFamily::Inet).await;
        assert_eq!(found, Ok(vec![SocketAddr::from(([127, 0, 0, 1], 22))]));
    }
}
