//! Whether a machine answers.

use std::time::Duration;

use crate::HostError;

/// Whether a host answers, as far as is known.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whether the pool holds a ready connection for this principal and host.
    pub connected: bool,
    /// How long a TCP connect took, or why it failed. [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): nobody has asked, because a connection
    /// is ready, or the host is behind another, or asking would do harm.
    pub latency: Result<Duration, HostError>,
    /// Why the last try to log in failed, if the host is left alone for it.
    pub refused: Option<HostError>,
}
