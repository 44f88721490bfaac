//! A TCP relay on loopback that delays each direction and counts bytes and round trips.
//!
//! Round trips are counted by cause, not by clock: a chunk from the client belongs to the round after the last chunk
//! that the client had received when it sent it; a chunk from the server belongs to the round of the last chunk that
//! the server had received. What a request sends in one go and what comes back for it is one round.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Chunks under way in one direction: with chunks of 64 KiB, more than any window that is used here.
const CHUNKS: usize = 1024;

/// The most that one chunk holds.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Connection {
    /// The round of the latest chunk that reached the client.
    at_client: AtomicU64,
    /// The round of the latest chunk that reached the server.
    at_server: AtomicU64,
    is_forgotten: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    to_server: AtomicU64,
    to_client: AtomicU64,
    chunks_entered: AtomicU64,
    chunks_left: AtomicU64,
    is_silent: AtomicBool,
}

/// A moment to count from.
#[derive(Clone, Debug)]
pub struct Mark {
    rounds: Vec<u64>,
    to_server: u64,
    to_client: u64,
}

/// A relay to one server; ends with this value.
#[derive(Debug)]
pub struct DelayLink {
    address: SocketAddr,
    one_way: Duration,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl DelayLink {
    /// Relays to `server`, each direction `one_way` late.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start(server: SocketAddr, one_way: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut relays = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                relays.spawn(relay(client, server, one_way, Arc::clone(&accepting)));
                while relays.try_join_next().is_some() {}
            }
        });
        Self { address, one_way, shared, task }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses everything from now on, and closes nothing: as a firewall that has forgotten its connections.
    pub fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// Carries again what is sent from now on. Connections that lost something are of no use any more.
    pub fn recover(&self) {
        self.shared.is_silent.store(false, Ordering::SeqCst);
    }

    /// Loses everything that the connections made so far send, and closes none; later ones work.
    pub fn forget_connections(&self) {
        for connection in self.lock().iter() {
            connection.is_forgotten.store(true, Ordering::SeqCst);
        }
    }

    /// How many connections were made through it.
    pub fn connections(&self) -> usize {
        self.lock().len()
    }

    /// This moment.
    pub fn mark(&self) -> Mark {
        Mark {
            rounds: self.lock().iter().map(|c| c.at_client.load(Ordering::SeqCst)).collect(),
            to_server: self.shared.to_server.load(Ordering::SeqCst),
            to_client: self.shared.to_client.load(Ordering::SeqCst),
        }
    }

    /// Round trips since then, on the connection that had most.
    pub fn round_trips_since(&self, mark: &Mark) -> u64 {
        let connections = self.lock();
        let rounds = connections.iter().enumerate().map(|(index, connection)| {
            let before = mark.rounds.get(index).copied().unwrap_or(0);
            connection.at_client.load(Ordering::SeqCst) - before
        });
        rounds.max().unwrap_or(0)
    }

    /// Bytes that reached the client since then.
    pub fn bytes_to_client_since(&self, mark: &Mark) -> u64 {
        self.shared.to_client.load(Ordering::SeqCst) - mark.to_client
    }

    /// Bytes that reached the server since then.
    pub fn bytes_to_server_since(&self, mark: &Mark) -> u64 {
        self.shared.to_server.load(Ordering::SeqCst) - mark.to_server
    }

    /// Waits until nothing is under way and nothing new came for two round trips, so that what an earlier request left
    /// behind (a channel opened ahead) is not counted into the next.
    pub async fn settle(&self) {
        let quiet = (self.one_way * 4).max(Duration::from_millis(20));
        loop {
            let entered = self.shared.chunks_entered.load(Ordering::SeqCst);
            tokio::time::sleep(quiet).await;
            let left = self.shared.chunks_left.load(Ordering::SeqCst);
            if self.shared.chunks_entered.load(Ordering::SeqCst) == entered && left == entered {
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DelayLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toward {
    Server,
    Client,
}

async fn relay(client: TcpStream, server: SocketAddr, one_way: Duration, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let connection = Arc::new(Connection::default());
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&connection));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::join!(
        carry(Toward::Server, client_read, server_write, one_way, &shared, &connection),
        carry(Toward::Client, server_read, client_write, one_way, &shared, &connection),
    );
}

async fn carry(
    toward: Toward,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    one_way: Duration,
    shared: &Shared,
    connection: &Connection,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, u64, Bytes)>(CHUNKS);
    let read = async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK_BYTES);
            let Ok(1..) = from.read_buf(&mut buffer).await else { break };
            shared.chunks_entered.fetch_add(1, Ordering::SeqCst);
            let round = match toward {
                Toward::Server => connection.at_client.load(Ordering::SeqCst) + 1,
                Toward::Client => connection.at_server.load(Ordering::SeqCst),
            };
            if sender.send((Instant::now() + one_way, round, buffer.split().freeze())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, round, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if shared.is_silent.load(Ordering::SeqCst) || connection.is_forgotten.load(Ordering::SeqCst) {
                shared.chunks_left.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let (arrived, bytes) = match toward {
                Toward::Server => (&connection.at_server, &shared.to_server),
                Toward::Client => (&connection.at_client, &shared.to_client),
            };
            arrived.fetch_max(round, Ordering::SeqCst);
            bytes.fetch_add(chunk.len() as u64, Ordering::SeqCst);
            shared.chunks_left.fetch_add(1, Ordering::SeqCst);
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
