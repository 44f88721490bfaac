//! What is known of a socket, whoever told it.

/// A socket that waits for connections or datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Socket {
    /// `tcp` or `udp`.
    pub(crate) proto: String,
    /// Without brackets; `*` and an interface behind `%` as `ss` has them.
    pub(crate) address: String,
    pub(crate) port: Option<u64>,
    /// Names and ids of the processes that have it open, by their ids; empty where the account may not see them.
    pub(crate) owners: Vec<(String, u64)>,
    /// The account that opened it.
    pub(crate) uid: Option<u64>,
    /// Of systemd, by its control group.
    pub(crate) unit: Option<String>,
    /// Connections, or bytes, that wait to be taken.
    pub(crate) waiting: Option<u64>,
    /// How many connections may wait.
    pub(crate) backlog: Option<u64>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sockets: Vec<Socket>,
    /// Lines that are none of a socket.
    pub(crate) unread: usize,
    pub(crate) notes: Vec<String>,
}
