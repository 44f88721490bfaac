//! A host over SSH, as one of the machines that can be asked.

use std::sync::Arc;

use scout_machine::path::not_a_file;
use scout_machine::transfer::Done;
use scout_machine::{
    Attributes, Call, Capture, Errand, ErrorKind, HostError, Machine, Opened, Operation, Outcome, Principal,
    RemotePath, TruePath, Within,
};

use crate::{HostSpec, Lease, Pool};

/// A host, for one principal. Nothing is dialled before something is asked.
#[derive(Clone, Debug)]
pub struct Host {
    /// The connections.
    pub pool: Pool,
    /// On whose behalf.
    pub principal: Principal,
    /// Which host.
    pub spec: Arc<HostSpec>,
    /// Whether each command has a session of its own, also one that could share a shell that stays.
    pub own_sessions: bool,
}

impl Machine for Host {
    async fn perform(
        &self,
        operation: &Operation,
        within: &Within,
        call: &Call,
        ready: impl Future<Output = Result<(), HostError>> + Send,
    ) -> Result<Outcome, HostError> {
        if let Operation::Probe { timeout, anew } = operation {
            ready.await?;
            let age = if *anew { Pool::ANEW } else { Pool::FRESH };
            return Ok(Outcome::Probe(self.pool.probe_within(&self.principal, &self.spec, *timeout, age).await));
        }
        let lease = self.pool.lease(&self.principal, &self.spec, call).await?.with_own_sessions(self.own_sessions);
        ready.await?;
        match operation {
            Operation::Open { path, cap, max_entries } => {
                let (opened, place) = open(&lease, path, *cap, *max_entries, within, call).await?;
                Ok(Outcome::Open(opened, place))
            }
            Operation::Read { path, offset, length } => {
                let (content, place) = read(&lease, path, *offset, *length, within, call).await?;
                Ok(Outcome::Read(content, place))
            }
            Operation::Stat { path } => {
                let (attributes, place) = stat(&lease, path, within, call).await?;
                Ok(Outcome::Stat(attributes, place))
            }
            Operation::Exec(request) => lease.exec(request, call).await.map(Outcome::Exec),
            Operation::Handshake => Ok(Outcome::Handshake(lease.handshake())),
            Operation::Transfer(errand) => transfer(&lease, errand, within, call).await.map(Outcome::Transfer),
            Operation::Probe { .. } => Err(HostError::new(ErrorKind::Invalid, "a probe takes no connection")),
        }
    }
}

async fn open(
    lease: &Lease,
    path: &RemotePath,
    cap: usize,
    max_entries: usize,
    within: &Within,
    call: &Call,
) -> Result<(Opened, TruePath), HostError> {
    match within.is_everything() {
        true => lease.open_placed(path, cap, max_entries, call).await,
        false => lease.open_within(within, path, 0, cap, max_entries, call).await,
    }
}

async fn read(
    lease: &Lease,
    path: &RemotePath,
    offset: u64,
    length: usize,
    within: &Within,
    call: &Call,
) -> Result<(Capture, TruePath), HostError> {
    if within.is_everything() {
        let (_, content, place) = lease.read_placed(path, offset, length, call).await?;
        return Ok((content, place));
    }
    match lease.open_within(within, path, offset, length, 0, call).await? {
        (Opened::File { content, .. }, place) => Ok((content, place)),
        (Opened::Directory { .. } | Opened::Other { .. }, _) => Err(not_a_file(path.bytes())),
    }
}

async fn stat(
    lease: &Lease,
    path: &RemotePath,
    within: &Within,
    call: &Call,
) -> Result<(Attributes, TruePath), HostError> {
    match within.is_everything() {
        true => lease.stat_placed(path, call).await,
        false => lease.stat_within(within, path, call).await,
    }
}

async fn transfer(lease: &Lease, errand: &Errand, within: &Within, call: &Call) -> Result<Done, HostError> {
    // Boxed: they are large, and whatever else is asked of a host would be as large as they are.
    match errand {
        Errand::Locate { path } => {
            stat(lease, path, within, call).await.map(|(attributes, place)| Done::Located(attributes, place))
        }
        Errand::Send { path, offset, outlet } => {
            Box::pin(lease.send(path, *offset, outlet, call)).await.map(|(sent, place)| Done::Sent(sent, place))
        }
        Errand::Receive { path, file, inlet } => {
            Box::pin(lease.receive(path, file, inlet, call)).await.map(Done::Received)
        }
        Errand::MakeDirectory { path, mode } => Box::pin(lease.make_directory(path, *mode, call)).await.map(Done::Made),
        Errand::Digest { path } => Box::pin(lease.digest(path, call)).await.map(Done::Digest),
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::mem::size_of_val;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::PoolConfig;

    /// A future is copied wherever it is handed on, and a list of hosts has a thousand of them.
    #[tokio::test]
    async fn the_future_of_an_operation_is_small() {
        let spec = Arc::new(HostSpec::new("box", "127.0.0.1", 22, "me"));
        let host = Host {
            pool: Pool::new(PoolConfig::default()),
            principal: Principal::new("test", "me"),
            spec,
            own_sessions: false,
        };
        let call = Call::until(Instant::now());
        let probe = Operation::Probe { timeout: Duration::ZERO, anew: false };
        let within = Within::default();
        let future = host.perform(&probe, &within, &call, ready(Ok(())));
        assert!(size_of_val(&future) <= 8 << 10, "{}", size_of_val(&future));
    }
}
