//! What is told of a failure to whoever may not see where hosts are: the kind of it and the name of the host. The log and the audit
//! trail have all of it.

use scout_machine::{ErrorKind, HostError, Probe};

use super::Found;

/// An answer without what may hold an address, a port or an account.
pub(super) fn address(host: &str, found: Result<Found, HostError>) -> Result<Found, HostError> {
    match found {
        Ok(Found::Probed(Probe { connected, latency, refused })) => Ok(Found::Probed(Probe {
            connected,
            latency: latency.map_err(|error| of(host, error)),
            refused: refused.map(|error| of(host, error)),
        })),
        Err(error) => Err(of(host, error)),
        found => found,
    }
}

/// A failure without them. What fails on the host itself tells nothing of the way there.
pub(crate) fn of(host: &str, error: HostError) -> HostError {
    let what = match error.kind() {
        ErrorKind::Config => "its settings cannot be used",
        ErrorKind::Unreachable => "it cannot be reached",
        ErrorKind::UnknownHostKey => "its key is not known yet",
        ErrorKind::HostKeyRejected => "its key is not the one that is trusted, or is revoked",
        ErrorKind::Auth => "it accepted no login",
        ErrorKind::Timeout => "it did not answer in time; what was begun there may have run",
        ErrorKind::ConnectionLost => "the connection was lost: what ran may have run",
        ErrorKind::NotFound
        | ErrorKind::Permission
        | ErrorKind::Outside
        | ErrorKind::NotReadable
        | ErrorKind::Cancelled
        | ErrorKind::Exhausted
        | ErrorKind::Invalid
        | ErrorKind::Unsupported
        | ErrorKind::Remote => return error,
    };
    HostError::new(error.kind(), format!("{host}: {what}"))
        .with_hint("whoever runs Scout sees more: `scout doctor`, its log")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_failure_on_the_way_to_a_host_tells_where_it_is() {
        let told = "web1: 10.1.2.3:22 as ann";
        for kind in [
            ErrorKind::Config,
            ErrorKind::Unreachable,
            ErrorKind::UnknownHostKey,
            ErrorKind::HostKeyRejected,
            ErrorKind::Auth,
            ErrorKind::Timeout,
            ErrorKind::ConnectionLost,
        ] {
            let error = || HostError::new(kind, told).with_hint(told);
            let probe = Probe { connected: false, latency: Err(error()), refused: Some(error()) };
            let Ok(Found::Probed(probe)) = address("web1", Ok(Found::Probed(probe))) else { panic!("a probe") };
            let failed = address("web1", Err(error())).err();
            for error in [failed, probe.latency.err(), probe.refused] {
                let error = error.unwrap_or_else(|| panic!("{kind:?}"));
                let said = format!("{} {:?}", error.message(), error.hint());
                assert!(
                    error.kind() == kind
                        && said.starts_with("web1: ")
                        && !said.contains("10.1")
                        && !said.contains("as ann"),
                    "{said}"
                );
            }
        }
        let probe = Probe { connected: true, latency: Ok(Duration::ZERO), refused: None };
        assert!(matches!(address("web1", Ok(Found::Probed(probe))), Ok(Found::Probed(Probe { connected: true, .. }))));
        let kept = address("web1", Err(HostError::new(ErrorKind::NotFound, "/etc/x is not there"))).err();
        assert!(kept.is_some_and(|error| error.message() == "/etc/x is not there"));
    }
}
